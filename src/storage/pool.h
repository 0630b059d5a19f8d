/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pools, their volumes, and the list of all pools. What can be done with them is in storage_ops.h; the kinds
 * of pools are PoolOps, one line each in pool_table.c.
 *
 * Locks, in this order:
 *   Storage.changes  held by whoever adds pools, or changes or removes definitions on disk: names, uuids and
 * target folders stay unique Pool.modify      held by whoever scans, starts or stops the pool, or begins a
 * job on a volume; across file work Storage.lock     the tables; memory only Pool.lock        everything else
 * of one pool; memory only, so reading never waits for a folder
 *
 * A long job (building, cloning, wiping, resizing a volume) holds none of them: it is counted in Pool.jobs,
 * and marked at its volumes. While jobs run, the pool is not refreshed and not stopped; as in libvirt that is
 * an error.
 */
#pragma once

#include <glib.h>

#include "common/lock.h"
#include "storage/pool_xml.h"
#include "storage/volume_xml.h"

typedef struct Storage Storage;

/* One entry of Pool.volumes, by name. */
typedef struct Volume {
    VolumeDef *def;
    gboolean building; /* still being allocated */
    guint in_use; /* a job reads or writes it */
} Volume;
Volume *volume_new(VolumeDef *def); /* takes the reference */
void volume_free(gpointer volume);

/* What a scan of a pool found. */
typedef struct PoolScan {
    GHashTable *volumes; /* name -> Volume */
    guint64 capacity, allocation, available;
    StoragePerms perms;
} PoolScan;

/* A kind of pool. No locks are held by callers but Pool.modify where it says so; all may block. */
typedef struct PoolOps {
    PoolType type;
    /* Makes the pool's folder, device, ... virStoragePoolBuildFlags. (modify) */
    gboolean (*build)(const PoolDef *def, guint flags, GError **error);
    gboolean (*remove)(const PoolDef *def, GError **error);
    /* known: name -> VolumeDef of the last scan, whose headers need not be read again. (modify) */
    gboolean (*scan)(const PoolDef *def, GHashTable *known, PoolScan *ret, GError **error);
    /* Gives a new volume its type, path and key; VIR_ERR_OPERATION_INVALID when the place is taken. (modify)
     */
    gboolean (*place)(const PoolDef *def, VolumeDef *volume, GError **error);
    /* Leave nothing behind when they fail. virStorageVolCreateFlags. */
    gboolean (*create)(const PoolDef *def, const VolumeDef *volume, guint flags, GError **error);
    gboolean (*clone)(const PoolDef *def, const VolumeDef *volume, const VolumeDef *source, guint flags,
                      GError **error);
    /* What is there now, format and all; NULL when it is no volume any more. */
    VolumeDef *(*probe)(const VolumeDef *volume);
    /* The present figures of a volume of known format; NULL on error. */
    VolumeDef *(*refresh)(const VolumeDef *volume, GError **error);
    gboolean (*unlink)(const VolumeDef *volume, GError **error);
    gboolean (*resize)(const VolumeDef *volume, guint64 capacity, guint flags, GError **error);
    gboolean (*wipe)(const VolumeDef *volume, guint algorithm, GError **error);
} PoolOps;

extern const PoolOps pool_dir_ops;
/* NULL: that kind is not built. */
const PoolOps *pool_ops_for_type(PoolType type);

typedef struct Pool {
    gint refs;
    const PoolOps *ops; /* these three never change */
    char *name;
    guint8 uuid[16];
    Lock modify;
    Lock lock; /* guards what follows */
    PoolDef *def;
    PoolDef *new_def; /* in force when the pool is stopped, or NULL: def is */
    GHashTable *volumes; /* name -> Volume; of an active pool */
    gboolean active, starting, persistent, autostart;
    gboolean unsettled; /* found active or to be autostarted when the daemon began, and not scanned yet */
    gboolean gone; /* undefined, or removed from the list */
    guint jobs;
} Pool;

Pool *pool_new(PoolDef *def); /* takes def */
Pool *pool_ref(Pool *pool);
void pool_unref(Pool *pool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pool, pool_unref)

/* With Pool.lock held: */
/* VIR_ERR_OPERATION_INVALID "storage pool '%s' is not active". */
gboolean pool_check_active(Pool *pool, GError **error);
/* VIR_ERR_OPERATION_INVALID when it is starting, VIR_ERR_INTERNAL_ERROR when jobs run;
 * VIR_ERR_NO_STORAGE_POOL when it is gone. */
gboolean pool_check_quiet(Pool *pool, GError **error);
/* VIR_ERR_NO_STORAGE_VOL "no storage vol with matching name '%s'". Valid under the lock. */
Volume *pool_find_volume(Pool *pool, const char *name, GError **error);

/* --- the list of all pools ------------------------------------------------------------------------------ */

typedef struct StorageEvent {
    const char *name;
    const guint8 *uuid;
    gboolean is_refresh; /* else a lifecycle event: */
    int event; /* virStoragePoolEventLifecycleType; the detail is always 0 */
} StorageEvent;
/* Called in the order of events of a pool, with its modify lock held; must not block or call back. */
typedef void (*StorageEventFunc)(const StorageEvent *event, gpointer data);

struct Storage {
    char *config_dir, *autostart_dir, *state_dir;
    char *pool_schema, *volume_schema; /* RNG files, or NULL: nothing is validated */
    StorageEventFunc event_func;
    gpointer event_data;
    Lock changes;
    Lock lock; /* guards what follows */
    GHashTable *by_uuid; /* text -> Pool, reference */
    GHashTable *by_name;
    guint background; /* threads that use this object */
    GCond background_done;
};

/* All pools, referenced, sorted by name. */
GPtrArray *storage_pools(Storage *storage);
/* Referenced, or NULL. */
Pool *storage_pool_by_name(Storage *storage, const char *name);
Pool *storage_pool_by_uuid(Storage *storage, const guint8 uuid[16]);
void storage_insert(Storage *storage, Pool *pool);
void storage_remove(Storage *storage, Pool *pool);
void storage_emit(Storage *storage, const Pool *pool, int lifecycle_event);
void storage_emit_refresh(Storage *storage, const Pool *pool);
