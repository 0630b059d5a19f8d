/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pool objects and their list. See pool.h for the locks. */
#define ERROR_FROM VIR_FROM_STORAGE

#include "storage/pool.h"

#include <string.h>

#include "common/error.h"
#include "common/uuid.h"

Volume *volume_new(VolumeDef *def)
{
    Volume *volume = g_new0(Volume, 1);

    volume->def = def;
    return volume;
}

void volume_free(gpointer data)
{
    Volume *volume = data;

    volume_def_unref(volume->def);
    g_free(volume);
}

Pool *pool_new(PoolDef *def)
{
    Pool *pool = g_new0(Pool, 1);

    pool->refs = 1;
    pool->ops = pool_ops_for_type(def->type);
    pool->name = g_strdup(def->name);
    memcpy(pool->uuid, def->uuid, sizeof(pool->uuid));
    lock_init(&pool->modify);
    lock_init(&pool->lock);
    pool->def = def;
    pool->volumes = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, volume_free);
    return pool;
}

Pool *pool_ref(Pool *pool)
{
    g_atomic_int_inc(&pool->refs);
    return pool;
}

void pool_unref(Pool *pool)
{
    if (pool == NULL || !g_atomic_int_dec_and_test(&pool->refs))
        return;
    g_free(pool->name);
    lock_clear(&pool->modify);
    lock_clear(&pool->lock);
    pool_def_free(pool->def);
    pool_def_free(pool->new_def);
    g_hash_table_unref(pool->volumes);
    g_free(pool);
}

gboolean pool_check_active(Pool *pool, GError **error)
{
    lock_assert_held(&pool->lock);
    if (pool->active)
        return TRUE;
    return error_set(error, VIR_ERR_OPERATION_INVALID, "storage pool '%s' is not active", pool->name);
}

gboolean pool_check_quiet(Pool *pool, GError **error)
{
    lock_assert_held(&pool->lock);
    if (pool->gone)
        return error_set(error, VIR_ERR_NO_STORAGE_POOL, "no storage pool with matching name '%s'",
                         pool->name);
    if (pool->starting)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "storage pool '%s' is starting up", pool->name);
    if (pool->jobs > 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "pool '%s' has asynchronous jobs running.",
                         pool->name);
    return TRUE;
}

Volume *pool_find_volume(Pool *pool, const char *name, GError **error)
{
    Volume *volume;

    lock_assert_held(&pool->lock);
    volume = g_hash_table_lookup(pool->volumes, name);
    if (volume == NULL)
        error_set(error, VIR_ERR_NO_STORAGE_VOL, "no storage vol with matching name '%s'", name);
    return volume;
}

/* --- list ----------------------------------------------------------------------------------------------- */

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp((*(Pool *const *)a)->name, (*(Pool *const *)b)->name);
}

GPtrArray *storage_pools(Storage *storage)
{
    GPtrArray *pools = g_ptr_array_new_with_free_func((GDestroyNotify)pool_unref);
    GHashTableIter iter;
    gpointer pool;

    lock_acquire(&storage->lock);
    g_hash_table_iter_init(&iter, storage->by_name);
    while (g_hash_table_iter_next(&iter, NULL, &pool))
        g_ptr_array_add(pools, pool_ref(pool));
    lock_release(&storage->lock);
    g_ptr_array_sort(pools, by_name);
    return pools;
}

Pool *storage_pool_by_name(Storage *storage, const char *name)
{
    LOCK_SCOPE(&storage->lock);
    Pool *pool = g_hash_table_lookup(storage->by_name, name);

    return pool != NULL ? pool_ref(pool) : NULL;
}

Pool *storage_pool_by_uuid(Storage *storage, const guint8 uuid[16])
{
    char text[UUID_TEXT_SIZE];
    LOCK_SCOPE(&storage->lock);
    Pool *pool;

    uuid_format(uuid, text);
    pool = g_hash_table_lookup(storage->by_uuid, text);
    return pool != NULL ? pool_ref(pool) : NULL;
}

void storage_insert(Storage *storage, Pool *pool)
{
    char text[UUID_TEXT_SIZE];
    LOCK_SCOPE(&storage->lock);

    uuid_format(pool->uuid, text);
    g_hash_table_insert(storage->by_uuid, g_strdup(text), pool_ref(pool));
    g_hash_table_insert(storage->by_name, g_strdup(pool->name), pool_ref(pool));
}

void storage_remove(Storage *storage, Pool *pool)
{
    char text[UUID_TEXT_SIZE];
    LOCK_SCOPE(&storage->lock);

    uuid_format(pool->uuid, text);
    if (g_hash_table_lookup(storage->by_uuid, text) == pool)
        g_hash_table_remove(storage->by_uuid, text);
    if (g_hash_table_lookup(storage->by_name, pool->name) == pool)
        g_hash_table_remove(storage->by_name, pool->name);
}

static void emit(Storage *storage, const StorageEvent *event)
{
    if (storage->event_func != NULL)
        storage->event_func(event, storage->event_data);
}

void storage_emit(Storage *storage, const Pool *pool, int lifecycle_event)
{
    emit(storage, &(StorageEvent){.name = pool->name, .uuid = pool->uuid, .event = lifecycle_event});
}

void storage_emit_refresh(Storage *storage, const Pool *pool)
{
    emit(storage, &(StorageEvent){.name = pool->name, .uuid = pool->uuid, .is_refresh = TRUE});
}
