/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Backing chains. Where the definition ends a chain (<backingStore/>) or gives it, that is what counts. Where it
 * says nothing, the image's header does, as with libvirt: the daemon follows it, layer by layer, and both back ends are
 * told every layer explicitly, so that neither follows a name that stands inside an image. Headers are read by
 * kite-probe (storage/probe_client.h).
 */
#pragma once

#include "driver/conf/def_disk.h"
#include "driver/conf/domain_def.h"

/* Layers of one disk, the top included: XML readers stop soon after. */
#define DISK_CHAIN_MAX 200

/*
 * source->backing, where it is NULL, becomes what the header names, or the terminator (type NONE) when it names
 * nothing. It stays NULL where nobody can tell: an image on the network, or one whose name for its backing image has
 * secrets in it. disk is for messages. VIR_ERR_SYSTEM_ERROR: cannot be read; VIR_ERR_OPERATION_INVALID: the format of a
 * backing image is nowhere written, and it refers to others.
 */
gboolean disk_chain_next(const DiskDef *disk, StorageSource *source, GError **error);

/*
 * Numbers for the block nodes of images that have none: libvirt-N-format. For a whole machine at its start, in
 * libvirt's order (the last disk first; what was detected after what was given); for a disk or medium that comes later,
 * numbers that no image of `live` has. def and source are private to the caller.
 */
void disk_chain_number_all(DomainDef *def);
void disk_chain_number(const DomainDef *live, StorageSource *source);
