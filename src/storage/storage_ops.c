/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Life of pools: definition, start, scan, stop. See storage_ops.h; the locks are in pool.h. */
#define ERROR_FROM VIR_FROM_STORAGE
#define LOG_SOURCE "storage"

#include "storage/storage_ops.h"

#include <string.h>

#include "common/error.h"
#include "common/log.h"
#include "common/uuid.h"
#include "storage/pool_persist.h"

static PoolDef *copy_def(Pool *pool)
{
    LOCK_SCOPE(&pool->lock);

    return pool_def_copy(pool->def);
}

/* --- scan ----------------------------------------------------------------------------------------------- */

static GHashTable *known_volumes(Pool *pool)
{
    GHashTable *known =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)volume_def_unref);
    GHashTableIter iter;
    gpointer value;
    LOCK_SCOPE(&pool->lock);

    g_hash_table_iter_init(&iter, pool->volumes);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        VolumeDef *def = ((Volume *)value)->def;

        g_hash_table_insert(known, def->name, volume_def_ref(def));
    }
    return known;
}

gboolean storage_pool_scan(Pool *pool, GError **error)
{
    g_autoptr(PoolDef) def = copy_def(pool);
    g_autoptr(GHashTable) known = known_volumes(pool);
    g_autoptr(GHashTable) old = NULL;
    PoolScan scan = {.perms = STORAGE_PERMS_NONE};

    lock_assert_held(&pool->modify);
    scan.volumes = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, volume_free);
    if (!pool->ops->scan(def, known, &scan, error)) {
        g_hash_table_unref(scan.volumes);
        return FALSE;
    }
    lock_acquire(&pool->lock);
    old = pool->volumes; /* freed without the lock */
    pool->volumes = scan.volumes;
    pool->def->capacity = scan.capacity;
    pool->def->allocation = scan.allocation;
    pool->def->available = scan.available;
    pool->def->perms.mode = scan.perms.mode;
    pool->def->perms.owner = scan.perms.owner;
    pool->def->perms.group = scan.perms.group;
    lock_release(&pool->lock);
    return TRUE;
}

/* --- start and stop ------------------------------------------------------------------------------------- */

/* The pool is inactive from now on: its next definition comes into force; one without goes. */
static void become_inactive(Storage *storage, Pool *pool)
{
    gboolean remove;

    pool_persist_remove_state(storage, pool->name);
    lock_acquire(&pool->lock);
    pool->active = pool->starting = FALSE;
    g_hash_table_remove_all(pool->volumes);
    if (pool->new_def != NULL && pool->persistent) {
        pool_def_free(pool->def);
        pool->def = g_steal_pointer(&pool->new_def);
    }
    remove = pool->gone = !pool->persistent;
    lock_release(&pool->lock);
    if (remove)
        storage_remove(storage, pool);
}

/* With modify held and `starting` set; clears it. */
static gboolean start_pool(Storage *storage, Pool *pool, guint flags, GError **error)
{
    const guint build = VIR_STORAGE_POOL_CREATE_WITH_BUILD | VIR_STORAGE_POOL_CREATE_WITH_BUILD_OVERWRITE |
                        VIR_STORAGE_POOL_CREATE_WITH_BUILD_NO_OVERWRITE;
    g_autoptr(PoolDef) def = copy_def(pool);
    guint build_flags = 0;

    if (flags & VIR_STORAGE_POOL_CREATE_WITH_BUILD_OVERWRITE)
        build_flags |= VIR_STORAGE_POOL_BUILD_OVERWRITE;
    else if (flags & VIR_STORAGE_POOL_CREATE_WITH_BUILD_NO_OVERWRITE)
        build_flags |= VIR_STORAGE_POOL_BUILD_NO_OVERWRITE;
    if (((flags & build) != 0 && !pool->ops->build(def, build_flags, error)) ||
        !pool_persist_save_state(storage, def, error) || !storage_pool_scan(pool, error)) {
        become_inactive(storage, pool);
        return FALSE;
    }
    lock_acquire(&pool->lock);
    pool->active = TRUE;
    pool->starting = FALSE;
    lock_release(&pool->lock);
    return TRUE;
}

static gboolean check_build_flags(guint flags, guint overwrite, guint no_overwrite, GError **error)
{
    if ((flags & overwrite) && (flags & no_overwrite))
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "flags for building with and without overwriting are mutually exclusive");
    return TRUE;
}

static gboolean check_create_flags(guint flags, GError **error)
{
    return check_build_flags(flags, VIR_STORAGE_POOL_CREATE_WITH_BUILD_OVERWRITE,
                             VIR_STORAGE_POOL_CREATE_WITH_BUILD_NO_OVERWRITE, error);
}

/* For what only a stopped pool allows; state: "already" or "still" active, as libvirt words it. Sets
 * `starting`. */
static gboolean claim_inactive(Pool *pool, const char *state, gboolean starting, GError **error)
{
    LOCK_SCOPE(&pool->lock);

    if (pool->active)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "storage pool '%s' is %s active", pool->name,
                         state);
    if (!pool_check_quiet(pool, error))
        return FALSE;
    pool->starting = starting;
    return TRUE;
}

gboolean storage_pool_create(Storage *storage, Pool *pool, guint flags, GError **error)
{
    if (!check_create_flags(flags, error))
        return FALSE;
    LOCK_SCOPE(&pool->modify);
    if (!claim_inactive(pool, "already", TRUE, error) || !start_pool(storage, pool, flags, error))
        return FALSE;
    log_info("storage pool '%s' started", pool->name);
    storage_emit(storage, pool, VIR_STORAGE_POOL_EVENT_STARTED);
    return TRUE;
}

gboolean storage_pool_build(Storage *storage, Pool *pool, guint flags, GError **error)
{
    g_autoptr(PoolDef) def = NULL;
    gboolean ok;

    if (!check_build_flags(flags, VIR_STORAGE_POOL_BUILD_OVERWRITE, VIR_STORAGE_POOL_BUILD_NO_OVERWRITE,
                           error))
        return FALSE;
    LOCK_SCOPE(&pool->modify);
    if (!claim_inactive(pool, "already", TRUE, error))
        return FALSE;
    def = copy_def(pool);
    ok = pool->ops->build(def, flags, error);
    become_inactive(storage, pool); /* with what was defined meanwhile */
    if (ok)
        storage_emit(storage, pool, VIR_STORAGE_POOL_EVENT_CREATED);
    return ok;
}

gboolean storage_pool_destroy(Storage *storage, Pool *pool, GError **error)
{
    LOCK_SCOPE(&pool->modify);

    {
        LOCK_SCOPE(&pool->lock);

        if (!pool_check_active(pool, error) || !pool_check_quiet(pool, error))
            return FALSE;
    }
    become_inactive(storage, pool);
    log_info("storage pool '%s' stopped", pool->name);
    storage_emit(storage, pool, VIR_STORAGE_POOL_EVENT_STOPPED);
    return TRUE;
}

gboolean storage_pool_delete(Storage *storage, Pool *pool, GError **error)
{
    g_autoptr(PoolDef) def = NULL;
    LOCK_SCOPE(&pool->modify);

    if (!claim_inactive(pool, "still", FALSE, error))
        return FALSE;
    def = copy_def(pool);
    if (!pool->ops->remove(def, error))
        return FALSE;
    storage_emit(storage, pool, VIR_STORAGE_POOL_EVENT_DELETED);
    return TRUE;
}

gboolean storage_pool_refresh(Storage *storage, Pool *pool, GError **error)
{
    LOCK_SCOPE(&pool->modify);

    {
        LOCK_SCOPE(&pool->lock);

        if (!pool_check_active(pool, error) || !pool_check_quiet(pool, error))
            return FALSE;
    }
    if (!storage_pool_scan(pool, error)) {
        log_warning("storage pool '%s' is stopped: it cannot be read any more", pool->name);
        become_inactive(storage, pool);
        storage_emit(storage, pool, VIR_STORAGE_POOL_EVENT_STOPPED);
        return FALSE;
    }
    storage_emit_refresh(storage, pool);
    return TRUE;
}

void storage_pool_settle(Storage *storage, Pool *pool)
{
    g_autoptr(GError) error = NULL;
    gboolean unsettled, active;
    gboolean ok;

    lock_acquire(&pool->lock);
    unsettled = pool->unsettled;
    lock_release(&pool->lock);
    if (!unsettled)
        return;
    LOCK_SCOPE(&pool->modify);
    lock_acquire(&pool->lock);
    unsettled = pool->unsettled;
    active = pool->active;
    pool->starting = unsettled && !active;
    lock_release(&pool->lock);
    if (!unsettled)
        return;
    ok = active ? storage_pool_scan(pool, &error) : start_pool(storage, pool, 0, &error);
    if (!ok) {
        log_error("storage pool '%s' is not %s: %s", pool->name, active ? "active any more" : "started",
                  error->message);
        if (active)
            become_inactive(storage, pool);
    }
    lock_acquire(&pool->lock);
    pool->unsettled = FALSE;
    lock_release(&pool->lock);
}

/* --- definitions ---------------------------------------------------------------------------------------- */

/* With Storage.changes held. *ret: the pool of that name and uuid, or NULL when both are new. */
static gboolean find_duplicate(Storage *storage, const PoolDef *def, gboolean to_start, Pool **ret,
                               GError **error)
{
    g_autoptr(GPtrArray) pools = storage_pools(storage);
    g_autoptr(Pool) same = storage_pool_by_uuid(storage, def->uuid);
    g_autoptr(Pool) named = storage_pool_by_name(storage, def->name);
    char uuid[UUID_TEXT_SIZE];

    lock_assert_held(&storage->changes);
    for (guint i = 0; i < pools->len; i++) {
        Pool *pool = g_ptr_array_index(pools, i);
        LOCK_SCOPE(&pool->lock);

        if (!g_str_equal(pool->name, def->name) && pool->def->type == def->type &&
            g_str_equal(pool->def->path, def->path))
            return error_set(error, VIR_ERR_OPERATION_FAILED, "Storage source conflict with pool: '%s'",
                             pool->name);
    }
    if (same == NULL && named != NULL) {
        uuid_format(named->uuid, uuid);
        return error_set(error, VIR_ERR_OPERATION_FAILED, "pool '%s' already exists with uuid %s", def->name,
                         uuid);
    }
    if (same != NULL && same != named) {
        uuid_format(same->uuid, uuid);
        return error_set(error, VIR_ERR_OPERATION_FAILED, "pool '%s' is already defined with uuid %s",
                         same->name, uuid);
    }
    if (same != NULL && to_start) {
        LOCK_SCOPE(&same->lock);

        if (same->active)
            return error_set(error, VIR_ERR_OPERATION_INVALID, "pool is already active as '%s'", same->name);
        if (same->starting)
            return error_set(error, VIR_ERR_OPERATION_INVALID, "pool '%s' is starting up", same->name);
    }
    *ret = g_steal_pointer(&same);
    return TRUE;
}

static gboolean check_name(const char *name, GError **error)
{
    if (strchr(name, '\n') == NULL)
        return TRUE;
    return error_set(error, VIR_ERR_XML_DETAIL, "invalid char in name: \\n");
}

gboolean storage_pool_define(Storage *storage, const char *xml, guint flags, Pool **ret_pool, GError **error)
{
    const char *schema = (flags & VIR_STORAGE_POOL_DEFINE_VALIDATE) ? storage->pool_schema : NULL;
    g_autoptr(PoolDef) def = pool_def_parse(xml, schema, error);
    g_autoptr(Pool) pool = NULL;

    if (def == NULL || !check_name(def->name, error))
        return FALSE;
    LOCK_SCOPE(&storage->changes);
    if (!find_duplicate(storage, def, FALSE, &pool, error) || !pool_persist_save(storage, def, error))
        return FALSE;
    if (pool == NULL) {
        pool = pool_new(g_steal_pointer(&def));
        pool->persistent = TRUE;
        storage_insert(storage, pool);
    } else {
        LOCK_SCOPE(&pool->lock);
        PoolDef **slot = pool->active || pool->starting ? &pool->new_def : &pool->def;

        pool->persistent = TRUE;
        pool_def_free(*slot);
        *slot = g_steal_pointer(&def);
    }
    log_info("storage pool '%s' defined", pool->name);
    storage_emit(storage, pool, VIR_STORAGE_POOL_EVENT_DEFINED);
    *ret_pool = g_steal_pointer(&pool);
    return TRUE;
}

/* The live definition of a persistent pool that is off becomes the given one; its own waits for its end. */
static gboolean take_live_def(Pool *pool, PoolDef *def, GError **error)
{
    LOCK_SCOPE(&pool->lock);

    if (pool->active || pool->starting) { /* somebody was faster */
        pool_def_free(def);
        return error_set(error, VIR_ERR_OPERATION_INVALID, "pool '%s' is starting up", pool->name);
    }
    if (pool->new_def == NULL && pool->persistent)
        pool->new_def = g_steal_pointer(&pool->def);
    pool_def_free(pool->def);
    pool->def = def;
    pool->starting = TRUE;
    return TRUE;
}

gboolean storage_pool_create_xml(Storage *storage, const char *xml, guint flags, Pool **ret_pool,
                                 GError **error)
{
    g_autoptr(PoolDef) def = NULL;
    g_autoptr(Pool) pool = NULL;

    if (!check_create_flags(flags, error))
        return FALSE;
    def = pool_def_parse(xml, NULL, error);
    if (def == NULL || !check_name(def->name, error))
        return FALSE;
    lock_acquire(&storage->changes);
    if (!find_duplicate(storage, def, TRUE, &pool, error)) {
        lock_release(&storage->changes);
        return FALSE;
    }
    if (pool != NULL) {
        if (!take_live_def(pool, g_steal_pointer(&def), error)) {
            lock_release(&storage->changes);
            return FALSE;
        }
    } else {
        pool = pool_new(g_steal_pointer(&def));
        pool->starting = TRUE;
        storage_insert(storage, pool);
    }
    lock_release(&storage->changes);

    LOCK_SCOPE(&pool->modify);
    if (!start_pool(storage, pool, flags, error))
        return FALSE;
    log_info("storage pool '%s' created", pool->name);
    storage_emit(storage, pool, VIR_STORAGE_POOL_EVENT_STARTED);
    *ret_pool = g_steal_pointer(&pool);
    return TRUE;
}

gboolean storage_pool_undefine(Storage *storage, Pool *pool, GError **error)
{
    LOCK_SCOPE(&storage->changes);
    LOCK_SCOPE(&pool->modify);

    if (!claim_inactive(pool, "still", FALSE, error) || !pool_persist_remove(storage, pool->name, error))
        return FALSE;
    lock_acquire(&pool->lock);
    pool->gone = TRUE;
    lock_release(&pool->lock);
    storage_remove(storage, pool);
    log_info("storage pool '%s' undefined", pool->name);
    storage_emit(storage, pool, VIR_STORAGE_POOL_EVENT_UNDEFINED);
    return TRUE;
}

gboolean storage_pool_set_autostart(Storage *storage, Pool *pool, gboolean autostart, GError **error)
{
    LOCK_SCOPE(&storage->changes);
    gboolean persistent, gone;

    lock_acquire(&pool->lock);
    persistent = pool->persistent;
    gone = pool->gone;
    lock_release(&pool->lock);
    if (!persistent || gone)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "pool has no config file");
    if (!pool_persist_set_autostart(storage, pool->name, autostart, error))
        return FALSE;
    lock_acquire(&pool->lock);
    pool->autostart = autostart;
    lock_release(&pool->lock);
    return TRUE;
}
