/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be done with storage pools and volumes: plain calls, no RPC. Any thread that may block. Errors
 * carry libvirt's numbers as its storage driver sets them; flags have been checked by the caller for unknown
 * bits.
 */
#pragma once

#include "storage/pool.h"

/* config_dir, state_dir: see pool_persist.h. schema_dir: where storagepool.rng and storagevol.rng are, or
 * NULL. */
Storage *storage_new(const char *config_dir, const char *state_dir, const char *schema_dir,
                     StorageEventFunc func, gpointer data);
/* Waits for background threads. No call may be running. Active pools stay so for the next start. */
void storage_free(Storage *storage);
/* Reads what is on disk; before any other call. Looks at no pool's folder. Returns the number of pools. */
guint storage_load(Storage *storage);
/* In a thread: looks at the pools that were active, starts those with autostart. Whoever asks for such a pool
 * earlier does it himself. */
void storage_settle(Storage *storage);

/* --- finding; the pool is referenced -------------------------------------------------------------------- */

/* VIR_ERR_NO_STORAGE_POOL. name is for the message, and may be NULL. */
Pool *storage_find_by_uuid(Storage *storage, const guint8 uuid[16], const char *name, GError **error);
Pool *storage_find_by_name(Storage *storage, const char *name, GError **error);
/* Of an active pool. */
Pool *storage_find_by_target_path(Storage *storage, const char *path, GError **error);
/* virConnectListAllStoragePoolsFlags; sorted by name. */
GPtrArray *storage_collect(Storage *storage, guint flags);

/* --- pools ---------------------------------------------------------------------------------------------- */

/* virStoragePoolDefineFlags */
gboolean storage_pool_define(Storage *storage, const char *xml, guint flags, Pool **ret_pool, GError **error);
/* virStoragePoolCreateFlags */
gboolean storage_pool_create_xml(Storage *storage, const char *xml, guint flags, Pool **ret_pool,
                                 GError **error);
gboolean storage_pool_create(Storage *storage, Pool *pool, guint flags, GError **error);
gboolean storage_pool_build(Storage *storage, Pool *pool, guint flags, GError **error);
gboolean storage_pool_destroy(Storage *storage, Pool *pool, GError **error);
gboolean storage_pool_delete(Storage *storage, Pool *pool, GError **error);
gboolean storage_pool_undefine(Storage *storage, Pool *pool, GError **error);
gboolean storage_pool_refresh(Storage *storage, Pool *pool, GError **error);
/* In a thread, after somebody wrote into a volume; does nothing while jobs run. */
void storage_pool_refresh_later(Storage *storage, const char *pool_name);
gboolean storage_pool_set_autostart(Storage *storage, Pool *pool, gboolean autostart, GError **error);

typedef struct PoolInfo {
    gboolean active, persistent, autostart;
    guint64 capacity, allocation, available; /* bytes */
} PoolInfo;
void storage_pool_get_info(Pool *pool, PoolInfo *ret);
char *storage_pool_xml(Pool *pool, gboolean inactive);
/* Of an active pool, sorted by name: array of VolumeDef, referenced. */
GPtrArray *storage_pool_volumes(Pool *pool, GError **error);

/* <storagepoolCapabilities>. Caller frees. */
char *storage_capabilities_xml(void);
/* virConnectFindStoragePoolSources: always NULL with an error. */
char *storage_find_sources(const char *type, GError **error);

/* --- volumes; VolumeDef are referenced ------------------------------------------------------------------ */

VolumeDef *storage_volume_by_name(Pool *pool, const char *name, GError **error);
/* Key and path are the same thing in a folder. Looks at no folder: the path's folder is a pool's, or it is
 * nobody's. */
VolumeDef *storage_volume_by_key(Storage *storage, const char *key, Pool **ret_pool, GError **error);
VolumeDef *storage_volume_by_path(Storage *storage, const char *path, Pool **ret_pool, GError **error);
/* By the names that clients hold. */
VolumeDef *storage_volume_find(Storage *storage, const char *pool_name, const char *name, Pool **ret_pool,
                               GError **error);
/* The same with present figures. */
VolumeDef *storage_volume_refreshed(Storage *storage, const char *pool_name, const char *name,
                                    GError **error);

/* virStorageVolCreateFlags. */
VolumeDef *storage_volume_create(Storage *storage, Pool *pool, const char *xml, guint flags, GError **error);
VolumeDef *storage_volume_clone(Storage *storage, Pool *pool, const char *xml, const char *source_pool,
                                const char *source, guint flags, GError **error);
gboolean storage_volume_delete(Storage *storage, const char *pool_name, const char *name, GError **error);
/* virStorageVolResizeFlags */
gboolean storage_volume_resize(Storage *storage, const char *pool_name, const char *name, guint64 capacity,
                               guint flags, GError **error);
gboolean storage_volume_wipe(Storage *storage, const char *pool_name, const char *name, guint algorithm,
                             GError **error);
/* A descriptor of its file for a stream; -1 on error. */
int storage_volume_open(Storage *storage, const char *pool_name, const char *name, gboolean write,
                        GError **error);

/* --- inside this folder --------------------------------------------------------------------------------- */

/* Brings a pool that an earlier daemon left active, or that is started with the daemon, into its state. */
void storage_pool_settle(Storage *storage, Pool *pool);
/* With modify held: what is in the folder now. */
gboolean storage_pool_scan(Pool *pool, GError **error);
