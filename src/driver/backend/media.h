/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing media, as both back ends do it but for making the medium known to the VM. */
#pragma once

#include "driver/backend/backend.h"

/* Adds the block nodes of disk's source, the lowest first; the names of those that were added go to the front of
 * added (g_malloc'ed), also when it fails half-way. */
typedef gboolean (*MediaAddNodes)(const BackendConfig *config, VmProcess *vm, const DiskDef *disk, GPtrArray *added,
                                  GError **error);

/* See BackendOps.change_media. */
gboolean media_change(const BackendConfig *config, VmProcess *vm, const DomainDef *live, const DiskDef *disk,
                      StorageSource *source, gboolean force, MediaAddNodes add_nodes, GError **error);
