/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding volumes and reading about them. See storage_ops.h. */
#define ERROR_FROM VIR_FROM_STORAGE

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "storage/storage_ops.h"

VolumeDef *storage_volume_by_name(Pool *pool, const char *name, GError **error)
{
    LOCK_SCOPE(&pool->lock);
    Volume *volume;

    if (!pool_check_active(pool, error))
        return NULL;
    volume = pool_find_volume(pool, name, error);
    return volume != NULL ? volume_def_ref(volume->def) : NULL;
}

VolumeDef *storage_volume_find(Storage *storage, const char *pool_name, const char *name, Pool **ret_pool,
                               GError **error)
{
    g_autoptr(Pool) pool = storage_find_by_name(storage, pool_name, error);
    VolumeDef *def = pool != NULL ? storage_volume_by_name(pool, name, error) : NULL;

    if (def != NULL && ret_pool != NULL)
        *ret_pool = g_steal_pointer(&pool);
    return def;
}

static VolumeDef *in_folder(Storage *storage, const char *folder, const char *name, Pool **ret_pool)
{
    g_autoptr(Pool) pool = storage_find_by_target_path(storage, folder, NULL);
    VolumeDef *def = pool != NULL ? storage_volume_by_name(pool, name, NULL) : NULL;

    if (def != NULL)
        *ret_pool = g_steal_pointer(&pool);
    return def;
}

static VolumeDef *at_path(Storage *storage, const char *path, Pool **ret_pool)
{
    g_autofree char *folder = g_path_get_dirname(path), *name = g_path_get_basename(path);
    char *resolved;
    VolumeDef *def;

    if (path[0] != '/')
        return NULL;
    def = in_folder(storage, folder, name, ret_pool);
    if (def != NULL)
        return def;
    /* Through links in the way there. */
    resolved = realpath(folder, NULL);
    if (resolved == NULL)
        return NULL;
    def = g_str_equal(resolved, folder) ? NULL : in_folder(storage, resolved, name, ret_pool);
    free(resolved);
    return def;
}

VolumeDef *storage_volume_by_path(Storage *storage, const char *path, Pool **ret_pool, GError **error)
{
    g_autofree char *clean = storage_path_clean(path);
    VolumeDef *def = at_path(storage, clean, ret_pool);

    if (def != NULL)
        return def;
    if (g_str_equal(path, clean))
        error_set(error, VIR_ERR_NO_STORAGE_VOL, "no storage vol with matching path '%s'", path);
    else
        error_set(error, VIR_ERR_NO_STORAGE_VOL, "no storage vol with matching path '%s' (%s)", path, clean);
    return NULL;
}

VolumeDef *storage_volume_by_key(Storage *storage, const char *key, Pool **ret_pool, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(key), *name = g_path_get_basename(key);
    g_autoptr(Pool) pool = NULL;
    g_autoptr(VolumeDef) def = key[0] == '/' ? in_folder(storage, folder, name, &pool) : NULL;

    if (def == NULL || g_strcmp0(def->key, key) != 0) {
        error_set(error, VIR_ERR_NO_STORAGE_VOL, "no storage vol with matching key %s", key);
        return NULL;
    }
    *ret_pool = g_steal_pointer(&pool);
    return g_steal_pointer(&def);
}

VolumeDef *storage_volume_refreshed(Storage *storage, const char *pool_name, const char *name, GError **error)
{
    g_autoptr(Pool) pool = NULL;
    g_autoptr(VolumeDef) def = storage_volume_find(storage, pool_name, name, &pool, error);
    VolumeDef *fresh;
    Volume *volume;

    if (def == NULL)
        return NULL;
    fresh = pool->ops->refresh(def, error);
    if (fresh == NULL)
        return NULL;
    LOCK_SCOPE(&pool->lock);
    volume = g_hash_table_lookup(pool->volumes, name);
    /* Only where nothing else was found out meanwhile. The table's key is the definition's name. */
    if (volume != NULL && volume->def == def && !volume->building) {
        g_hash_table_steal(pool->volumes, name);
        volume_def_unref(volume->def);
        volume->def = volume_def_ref(fresh);
        g_hash_table_insert(pool->volumes, fresh->name, volume);
    }
    return fresh;
}

int storage_volume_open(Storage *storage, const char *pool_name, const char *name, gboolean write,
                        GError **error)
{
    g_autoptr(Pool) pool = NULL;
    g_autoptr(VolumeDef) def = storage_volume_find(storage, pool_name, name, &pool, error);
    struct stat st;
    autofd fd = -1;

    if (def == NULL)
        return -1;
    {
        LOCK_SCOPE(&pool->lock);
        Volume *volume = pool_find_volume(pool, name, error);

        if (volume == NULL)
            return -1;
        if (write && volume->in_use > 0) {
            error_set(error, VIR_ERR_OPERATION_INVALID, "volume '%s' is still in use.", name);
            return -1;
        }
        if (volume->building) {
            error_set(error, VIR_ERR_OPERATION_INVALID, "volume '%s' is still being allocated.", name);
            return -1;
        }
    }
    fd = open(def->target.path, (write ? O_WRONLY : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0) {
        error_set_errno(error, errno, "Unable to open stream for '%s'", def->target.path);
        return -1;
    }
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        error_set(error, VIR_ERR_OPERATION_INVALID, "volume '%s' is neither a file nor a block device", name);
        return -1;
    }
    return fd_steal(&fd);
}
