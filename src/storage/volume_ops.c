/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changing volumes. A long job: it is announced under the pool's locks (`building`, `in_use`, Pool.jobs),
 * does its work without them, and puts its result in at the end. See storage_ops.h.
 */
#define ERROR_FROM VIR_FROM_STORAGE
#define LOG_SOURCE "storage.volume"

#include "common/error.h"
#include "common/log.h"
#include "storage/storage_ops.h"

/* --- tables of a pool, under its lock ------------------------------------------------------------------- */

/* Takes def. The table's key is the definition's name. */
static void put_def(Pool *pool, Volume *volume, VolumeDef *def)
{
    g_hash_table_steal(pool->volumes, volume->def->name);
    volume_def_unref(volume->def);
    volume->def = def;
    g_hash_table_insert(pool->volumes, def->name, volume);
}

/* libvirt keeps these by hand between two scans. */
static void account(Pool *pool, guint64 added, guint64 removed)
{
    PoolDef *def = pool->def;

    def->allocation = def->allocation + added - MIN(removed, def->allocation + added);
    def->available = def->available + removed - MIN(added, def->available + removed);
}

/* --- jobs ----------------------------------------------------------------------------------------------- */

typedef struct VolumeJob {
    Pool *pool;
    VolumeDef *def; /* as it was at the beginning */
} VolumeJob;

static void volume_job_clear(VolumeJob *job)
{
    pool_unref(job->pool);
    volume_def_unref(job->def);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VolumeJob, volume_job_clear)

static gboolean check_free(const Volume *volume, GError **error)
{
    if (volume->in_use > 0)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "volume '%s' is still in use.", volume->def->name);
    if (volume->building)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "volume '%s' is still being allocated.",
                         volume->def->name);
    return TRUE;
}

/* shared: others may use the volume too, it is only read. */
static gboolean job_begin(Storage *storage, const char *pool_name, const char *name, gboolean shared,
                          VolumeJob *job, GError **error)
{
    Volume *volume;

    job->pool = storage_find_by_name(storage, pool_name, error);
    if (job->pool == NULL)
        return FALSE;
    LOCK_SCOPE(&job->pool->modify);
    LOCK_SCOPE(&job->pool->lock);
    if (!pool_check_active(job->pool, error))
        return FALSE;
    volume = pool_find_volume(job->pool, name, error);
    if (volume == NULL)
        return FALSE;
    if (shared && volume->building)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "volume '%s' is still being allocated.", name);
    if (!shared && !check_free(volume, error))
        return FALSE;
    volume->in_use++;
    job->pool->jobs++;
    job->def = volume_def_ref(volume->def);
    return TRUE;
}

/* Takes fresh, which may be NULL: nothing new. */
static void job_end(VolumeJob *job, VolumeDef *fresh)
{
    LOCK_SCOPE(&job->pool->lock);
    Volume *volume = g_hash_table_lookup(job->pool->volumes, job->def->name);

    job->pool->jobs--;
    volume->in_use--; /* jobs > 0: nobody takes it out */
    if (fresh == NULL)
        return;
    account(job->pool, fresh->allocation, volume->def->allocation);
    put_def(job->pool, volume, fresh);
}

/* --- new volumes ---------------------------------------------------------------------------------------- */

static VolumeDef *parse(Storage *storage, const char *xml, guint parse_flags, guint flags, GError **error)
{
    const char *schema = (flags & VIR_STORAGE_VOL_CREATE_VALIDATE) ? storage->volume_schema : NULL;

    return volume_def_parse(xml, parse_flags, schema, error);
}

/* Takes the place in the pool: the volume is "building" from now on. The definition must not change any more.
 */
static gboolean announce(Pool *pool, VolumeDef *def, virErrorNumber taken, GError **error)
{
    g_autoptr(PoolDef) pool_def = NULL;
    Volume *volume;
    LOCK_SCOPE(&pool->modify);

    {
        LOCK_SCOPE(&pool->lock);

        if (!pool_check_active(pool, error))
            return FALSE;
        if (g_hash_table_contains(pool->volumes, def->name))
            return taken == VIR_ERR_STORAGE_VOL_EXIST
                       ? error_set(error, taken, "'%s'", def->name)
                       : error_set(error, taken, "storage volume name '%s' already in use.", def->name);
        pool_def = pool_def_copy(pool->def);
    }
    g_clear_pointer(&def->key, g_free);
    if (!pool->ops->place(pool_def, def, error))
        return FALSE;
    LOCK_SCOPE(&pool->lock);
    volume = volume_new(volume_def_ref(def));
    volume->building = TRUE;
    g_hash_table_insert(pool->volumes, volume->def->name, volume);
    pool->jobs++;
    return TRUE;
}

static void withdraw(Pool *pool, const VolumeDef *def)
{
    LOCK_SCOPE(&pool->lock);

    pool->jobs--;
    g_hash_table_remove(pool->volumes, def->name);
}

/* The file is there: what it has become is in the pool from now on. Returns a reference. */
static VolumeDef *publish(Pool *pool, VolumeDef *def, GError **error)
{
    VolumeDef *fresh = pool->ops->refresh(def, error);
    Volume *volume;

    if (fresh == NULL) {
        pool->ops->unlink(def, NULL);
        withdraw(pool, def);
        return NULL;
    }
    LOCK_SCOPE(&pool->lock);
    volume = g_hash_table_lookup(pool->volumes, def->name);
    volume->building = FALSE;
    pool->jobs--;
    put_def(pool, volume, volume_def_ref(fresh));
    account(pool, fresh->allocation, 0);
    log_info("volume '%s' created in storage pool '%s'", fresh->name, pool->name);
    return fresh;
}

static PoolDef *copy_pool_def(Pool *pool)
{
    LOCK_SCOPE(&pool->lock);

    return pool_def_copy(pool->def);
}

VolumeDef *storage_volume_create(Storage *storage, Pool *pool, const char *xml, guint flags, GError **error)
{
    g_autoptr(VolumeDef) def = NULL;
    g_autoptr(PoolDef) pool_def = NULL;

    {
        LOCK_SCOPE(&pool->lock);

        if (!pool_check_active(pool, error))
            return NULL;
    }
    def = parse(storage, xml, VOLUME_PARSE_OPT_CAPACITY, flags, error);
    if (def == NULL || !announce(pool, def, VIR_ERR_STORAGE_VOL_EXIST, error))
        return NULL;
    pool_def = copy_pool_def(pool);
    if (!pool->ops->create(pool_def, def, flags, error)) {
        withdraw(pool, def);
        return NULL;
    }
    return publish(pool, def, error);
}

/* At least as large as the source; fully allocated unless something else is said. */
static void inherit_sizes(VolumeDef *def, const VolumeDef *source)
{
    def->capacity = MAX(def->capacity, source->capacity);
    def->has_capacity = TRUE;
    if (!def->has_allocation)
        def->allocation = def->capacity;
}

static VolumeDef *clone_into(Pool *pool, VolumeDef *def, const VolumeDef *source, guint flags, GError **error)
{
    g_autoptr(PoolDef) pool_def = copy_pool_def(pool);
    g_autoptr(VolumeDef) alone = NULL;

    if (!pool->ops->clone(pool_def, def, source, flags, error)) {
        withdraw(pool, def);
        return NULL;
    }
    alone = volume_def_copy(def);
    volume_def_set_backing(alone, NULL); /* a copy is complete */
    return publish(pool, alone, error);
}

VolumeDef *storage_volume_clone(Storage *storage, Pool *pool, const char *xml, const char *source_pool,
                                const char *source, guint flags, GError **error)
{
    g_auto(VolumeJob) job = {NULL, NULL};
    g_autoptr(VolumeDef) def = NULL, present = NULL;
    VolumeDef *made = NULL;

    {
        LOCK_SCOPE(&pool->lock);

        if (!pool_check_active(pool, error))
            return NULL;
    }
    if (!job_begin(storage, source_pool, source, TRUE, &job, error))
        return NULL;
    def = parse(storage, xml, VOLUME_PARSE_NO_CAPACITY, flags, error);
    present = def != NULL ? job.pool->ops->refresh(job.def, error) : NULL;
    if (present != NULL) {
        inherit_sizes(def, present);
        if (announce(pool, def, VIR_ERR_INTERNAL_ERROR, error))
            made = clone_into(pool, def, present, flags, error);
    }
    job_end(&job, NULL);
    return made;
}

/* --- existing volumes ----------------------------------------------------------------------------------- */

gboolean storage_volume_delete(Storage *storage, const char *pool_name, const char *name, GError **error)
{
    g_autoptr(Pool) pool = storage_find_by_name(storage, pool_name, error);
    g_autoptr(VolumeDef) def = NULL;

    if (pool == NULL)
        return FALSE;
    LOCK_SCOPE(&pool->modify); /* nobody begins to use it meanwhile */
    {
        LOCK_SCOPE(&pool->lock);
        Volume *volume = pool_check_active(pool, error) ? pool_find_volume(pool, name, error) : NULL;

        if (volume == NULL || !check_free(volume, error))
            return FALSE;
        def = volume_def_ref(volume->def);
    }
    if (!pool->ops->unlink(def, error))
        return FALSE;
    LOCK_SCOPE(&pool->lock);
    account(pool, 0, def->allocation);
    g_hash_table_remove(pool->volumes, name);
    log_info("volume '%s' deleted from storage pool '%s'", name, pool->name);
    return TRUE;
}

static gboolean new_capacity(Pool *pool, const VolumeDef *def, guint64 asked, guint flags, guint64 *ret,
                             GError **error)
{
    guint64 capacity = asked, available;

    lock_acquire(&pool->lock);
    available = pool->def->available;
    lock_release(&pool->lock);
    if (flags & VIR_STORAGE_VOL_RESIZE_DELTA) {
        if (flags & VIR_STORAGE_VOL_RESIZE_SHRINK)
            capacity = def->capacity - MIN(asked, def->capacity);
        else if (__builtin_add_overflow(def->capacity, asked, &capacity))
            capacity = G_MAXUINT64;
    }
    if (capacity > G_MAXINT64)
        return error_set(error, VIR_ERR_OVERFLOW, "a volume cannot have %" G_GUINT64_FORMAT " bytes",
                         capacity);
    if (capacity < def->allocation)
        return error_set(error, VIR_ERR_INVALID_ARG, "can't shrink capacity below existing allocation");
    if (capacity < def->capacity && !(flags & VIR_STORAGE_VOL_RESIZE_SHRINK))
        return error_set(
            error, VIR_ERR_INVALID_ARG,
            "Can't shrink capacity below current capacity unless shrink flag explicitly specified");
    if ((flags & VIR_STORAGE_VOL_RESIZE_ALLOCATE) && capacity - def->allocation > available)
        return error_set(error, VIR_ERR_OPERATION_FAILED, "Not enough space left in storage pool");
    *ret = capacity;
    return TRUE;
}

gboolean storage_volume_resize(Storage *storage, const char *pool_name, const char *name, guint64 capacity,
                               guint flags, GError **error)
{
    g_auto(VolumeJob) job = {NULL, NULL};
    VolumeDef *fresh = NULL;
    guint64 size = 0;
    gboolean ok;

    if (!job_begin(storage, pool_name, name, FALSE, &job, error))
        return FALSE;
    ok = new_capacity(job.pool, job.def, capacity, flags, &size, error) &&
         job.pool->ops->resize(job.def, size, flags, error);
    if (ok)
        fresh = job.pool->ops->refresh(job.def, NULL);
    job_end(&job, fresh);
    return ok;
}

gboolean storage_volume_wipe(Storage *storage, const char *pool_name, const char *name, guint algorithm,
                             GError **error)
{
    g_auto(VolumeJob) job = {NULL, NULL};
    gboolean ok;

    if (algorithm >= VIR_STORAGE_VOL_WIPE_ALG_TRIM + 1)
        return error_set(error, VIR_ERR_INVALID_ARG, "wiping algorithm %u not supported", algorithm);
    if (!job_begin(storage, pool_name, name, FALSE, &job, error))
        return FALSE;
    ok = job.pool->ops->wipe(job.def, algorithm, error);
    /* Its header is gone: it is a raw volume now. */
    job_end(&job, ok ? job.pool->ops->probe(job.def) : NULL);
    return ok;
}
