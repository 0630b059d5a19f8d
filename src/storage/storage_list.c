/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The Storage object, finding and listing pools, reading about one. See storage_ops.h. */
#define ERROR_FROM VIR_FROM_STORAGE
#define LOG_SOURCE "storage"

#include <string.h>

#include "common/error.h"
#include "common/log.h"
#include "common/thread.h"
#include "common/uuid.h"
#include "storage/pool_persist.h"
#include "storage/storage_ops.h"

Storage *storage_new(const char *config_dir, const char *state_dir, const char *schema_dir,
                     StorageEventFunc func, gpointer data)
{
    Storage *storage = g_new0(Storage, 1);

    storage->config_dir = g_strdup(config_dir);
    storage->autostart_dir = g_build_filename(config_dir, "autostart", NULL);
    storage->state_dir = g_strdup(state_dir);
    if (schema_dir != NULL) {
        storage->pool_schema = g_build_filename(schema_dir, "storagepool.rng", NULL);
        storage->volume_schema = g_build_filename(schema_dir, "storagevol.rng", NULL);
    }
    storage->event_func = func;
    storage->event_data = data;
    lock_init(&storage->changes);
    lock_init(&storage->lock);
    g_cond_init(&storage->background_done);
    storage->by_uuid = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)pool_unref);
    storage->by_name = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)pool_unref);
    return storage;
}

void storage_free(Storage *storage)
{
    if (storage == NULL)
        return;
    lock_acquire(&storage->lock);
    while (storage->background > 0)
        lock_wait(&storage->lock, &storage->background_done, -1);
    lock_release(&storage->lock);
    g_hash_table_unref(storage->by_uuid);
    g_hash_table_unref(storage->by_name);
    lock_clear(&storage->changes);
    lock_clear(&storage->lock);
    g_cond_clear(&storage->background_done);
    g_free(storage->config_dir);
    g_free(storage->autostart_dir);
    g_free(storage->state_dir);
    g_free(storage->pool_schema);
    g_free(storage->volume_schema);
    g_free(storage);
}

guint storage_load(Storage *storage)
{
    return pool_persist_load(storage);
}

/* --- background ----------------------------------------------------------------------------------------- */

typedef struct BackgroundTask {
    Storage *storage;
    char *pool_name; /* refresh this one; NULL: settle all */
} BackgroundTask;

static void settle_all(Storage *storage)
{
    g_autoptr(GPtrArray) pools = storage_pools(storage);

    for (guint i = 0; i < pools->len; i++)
        storage_pool_settle(storage, g_ptr_array_index(pools, i));
}

static void refresh_one(Storage *storage, const char *name)
{
    g_autoptr(Pool) pool = storage_pool_by_name(storage, name);
    g_autoptr(GError) error = NULL;

    if (pool != NULL && !storage_pool_refresh(storage, pool, &error))
        log_debug("storage pool '%s' is not refreshed: %s", name, error->message);
}

static void task_end(BackgroundTask *task)
{
    Storage *storage = task->storage;

    g_free(task->pool_name);
    g_free(task);
    lock_acquire(&storage->lock);
    storage->background--;
    g_cond_broadcast(&storage->background_done);
    lock_release(&storage->lock);
}

static gpointer background_thread(gpointer data)
{
    BackgroundTask *task = data;
    Storage *storage = task->storage;

    if (task->pool_name != NULL)
        refresh_one(storage, task->pool_name);
    else
        settle_all(storage);
    task_end(task);
    return NULL;
}

static void run_in_background(Storage *storage, const char *pool_name)
{
    BackgroundTask *task = g_new0(BackgroundTask, 1);
    g_autoptr(GError) error = NULL;

    task->storage = storage;
    task->pool_name = g_strdup(pool_name);
    lock_acquire(&storage->lock);
    storage->background++;
    lock_release(&storage->lock);
    if (thread_detached("storage", background_thread, task, &error))
        return;
    /* The caller may be one that must not wait. Pools are looked at when they are asked about, too. */
    log_warning("storage pools are not looked at in the background: %s", error->message);
    task_end(task);
}

void storage_settle(Storage *storage)
{
    g_autoptr(GPtrArray) pools = storage_pools(storage);

    if (pools->len > 0)
        run_in_background(storage, NULL);
}

void storage_pool_refresh_later(Storage *storage, const char *pool_name)
{
    run_in_background(storage, pool_name);
}

/* --- finding -------------------------------------------------------------------------------------------- */

Pool *storage_find_by_uuid(Storage *storage, const guint8 uuid[16], const char *name, GError **error)
{
    Pool *pool = storage_pool_by_uuid(storage, uuid);
    char text[UUID_TEXT_SIZE];

    if (pool != NULL) {
        storage_pool_settle(storage, pool);
        return pool;
    }
    uuid_format(uuid, text);
    if (name != NULL)
        error_set(error, VIR_ERR_NO_STORAGE_POOL, "no storage pool with matching uuid '%s' (%s)", text, name);
    else
        error_set(error, VIR_ERR_NO_STORAGE_POOL, "no storage pool with matching uuid '%s'", text);
    return NULL;
}

Pool *storage_find_by_name(Storage *storage, const char *name, GError **error)
{
    Pool *pool = storage_pool_by_name(storage, name);

    if (pool != NULL)
        storage_pool_settle(storage, pool);
    else
        error_set(error, VIR_ERR_NO_STORAGE_POOL, "no storage pool with matching name '%s'", name);
    return pool;
}

static Pool *active_with_path(Storage *storage, const char *path)
{
    g_autoptr(GPtrArray) pools = storage_pools(storage);

    for (guint i = 0; i < pools->len; i++) {
        Pool *pool = g_ptr_array_index(pools, i);
        gboolean found;

        lock_acquire(&pool->lock);
        found = (pool->active || pool->unsettled) && g_str_equal(pool->def->path, path);
        lock_release(&pool->lock);
        if (!found)
            continue;
        storage_pool_settle(storage, pool);
        lock_acquire(&pool->lock);
        found = pool->active;
        lock_release(&pool->lock);
        if (found)
            return pool_ref(pool);
    }
    return NULL;
}

Pool *storage_find_by_target_path(Storage *storage, const char *path, GError **error)
{
    g_autofree char *clean = storage_path_clean(path);
    Pool *pool = active_with_path(storage, clean);

    if (pool != NULL)
        return pool;
    if (g_str_equal(clean, path))
        error_set(error, VIR_ERR_NO_STORAGE_POOL, "no storage pool with matching target path '%s'", path);
    else
        error_set(error, VIR_ERR_NO_STORAGE_POOL, "no storage pool with matching target path '%s' (%s)", path,
                  clean);
    return NULL;
}

/* A group of filter bits of which none or some are set. */
static gboolean matches(guint flags, guint yes_flag, guint no_flag, gboolean value)
{
    return (flags & (yes_flag | no_flag)) == 0 || (flags & (value ? yes_flag : no_flag)) != 0;
}

static gboolean matches_type(guint flags, PoolType type)
{
    const guint types = VIR_CONNECT_LIST_STORAGE_POOLS_DIR | VIR_CONNECT_LIST_STORAGE_POOLS_FS |
                        VIR_CONNECT_LIST_STORAGE_POOLS_NETFS | VIR_CONNECT_LIST_STORAGE_POOLS_LOGICAL |
                        VIR_CONNECT_LIST_STORAGE_POOLS_DISK | VIR_CONNECT_LIST_STORAGE_POOLS_ISCSI |
                        VIR_CONNECT_LIST_STORAGE_POOLS_SCSI | VIR_CONNECT_LIST_STORAGE_POOLS_MPATH |
                        VIR_CONNECT_LIST_STORAGE_POOLS_RBD | VIR_CONNECT_LIST_STORAGE_POOLS_SHEEPDOG |
                        VIR_CONNECT_LIST_STORAGE_POOLS_GLUSTER | VIR_CONNECT_LIST_STORAGE_POOLS_ZFS |
                        VIR_CONNECT_LIST_STORAGE_POOLS_VSTORAGE | VIR_CONNECT_LIST_STORAGE_POOLS_ISCSI_DIRECT;
    static const guint flag_of[POOL_TYPE_LAST] = {
        [POOL_TYPE_DIR] = VIR_CONNECT_LIST_STORAGE_POOLS_DIR,
    };

    return (flags & types) == 0 || (flags & flag_of[type]) != 0;
}

GPtrArray *storage_collect(Storage *storage, guint flags)
{
    g_autoptr(GPtrArray) pools = storage_pools(storage);
    GPtrArray *chosen = g_ptr_array_new_with_free_func((GDestroyNotify)pool_unref);

    for (guint i = 0; i < pools->len; i++) {
        Pool *pool = g_ptr_array_index(pools, i);
        PoolInfo info;

        storage_pool_settle(storage, pool);
        storage_pool_get_info(pool, &info);
        if (matches(flags, VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE, VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE,
                    info.active) &&
            matches(flags, VIR_CONNECT_LIST_STORAGE_POOLS_PERSISTENT,
                    VIR_CONNECT_LIST_STORAGE_POOLS_TRANSIENT, info.persistent) &&
            matches(flags, VIR_CONNECT_LIST_STORAGE_POOLS_AUTOSTART,
                    VIR_CONNECT_LIST_STORAGE_POOLS_NO_AUTOSTART, info.autostart) &&
            matches_type(flags, pool->ops->type))
            g_ptr_array_add(chosen, pool_ref(pool));
    }
    return chosen;
}

/* --- reading -------------------------------------------------------------------------------------------- */

void storage_pool_get_info(Pool *pool, PoolInfo *ret)
{
    LOCK_SCOPE(&pool->lock);

    *ret = (PoolInfo){
        .active = pool->active,
        .persistent = pool->persistent,
        .autostart = pool->autostart,
        .capacity = pool->def->capacity,
        .allocation = pool->def->allocation,
        .available = pool->def->available,
    };
}

char *storage_pool_xml(Pool *pool, gboolean inactive)
{
    LOCK_SCOPE(&pool->lock);

    return pool_def_format(inactive && pool->new_def != NULL ? pool->new_def : pool->def);
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp((*(VolumeDef *const *)a)->name, (*(VolumeDef *const *)b)->name);
}

GPtrArray *storage_pool_volumes(Pool *pool, GError **error)
{
    g_autoptr(GPtrArray) volumes = g_ptr_array_new_with_free_func((GDestroyNotify)volume_def_unref);
    GHashTableIter iter;
    gpointer value;
    gboolean active;

    lock_acquire(&pool->lock);
    active = pool_check_active(pool, error);
    g_hash_table_iter_init(&iter, pool->volumes);
    while (active && g_hash_table_iter_next(&iter, NULL, &value))
        g_ptr_array_add(volumes, volume_def_ref(((Volume *)value)->def));
    lock_release(&pool->lock);
    if (!active)
        return NULL;
    g_ptr_array_sort(volumes, by_name);
    return g_steal_pointer(&volumes);
}
