/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Block figures of one disk: those its monitor told (StatsView), and those that the host's file system knows.
 */
#pragma once

#include "driver/conf/def_disk.h"
#include "driver/domain/stats_cache.h"
#include "driver/rpc/typed_params.h"

/* Sizes of an image, bytes. */
typedef struct DiskSizes {
    guint64 capacity; /* that the guest sees */
    guint64 allocation; /* of the host's storage */
    guint64 physical; /* end of the file or device */
} DiskSizes;

/* By looking at the file: may block like any file access, so no lock is held. What the header of an image
 * says is remembered until the file changes. encrypted: a LUKS header goes off the capacity. FALSE sets error
 * with the libvirt code of libvirt's QEMU driver. */
gboolean disk_sizes(const char *path, StorageType type, StorageFormat format, gboolean encrypted,
                    DiskSizes *ret, GError **error);

/* NULL when there is none. */
const BlockFigure *disk_drive_figures(const StatsView *view, const DiskDef *disk);
const BlockFigure *disk_node_figures(const StatsView *view, const char *node);
const ImageFigure *disk_image_figures(const StatsView *view, const char *node);
/* "libvirt-1-format": the node of one image; layer "format" or "storage". */
void disk_node_name(const StorageSource *source, const char *layer, char *ret_name, gsize size);

/* A file on this host that can be looked at by its path. */
gboolean disk_source_is_local(const StorageSource *source);

/* --- the statistics group "block" --- */

/* Files to look at when no lock is held any more; of several domains. Starts zeroed. */
typedef struct DiskLookups {
    guint owner; /* the caller's: which list of parameters disk_stats_add() writes */
    GArray *list;
    gpointer jobs;
} DiskLookups;

void disk_lookups_clear(DiskLookups *lookups);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DiskLookups, disk_lookups_clear)

/* block.count and block.N.*. backing: each image of a chain on its own. State lock held. */
void disk_stats_add(TypedParams *params, const DomainDef *def, gboolean active, gboolean backing,
                    const StatsView *view, DiskLookups *lookups);
/* Fills in what disk_stats_add() left to be looked at; lists[owner] is what it wrote. No lock is held. */
void disk_stats_finish(TypedParams *lists, DiskLookups *lookups);
