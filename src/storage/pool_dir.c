/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pools of type "dir": a folder whose files are the volumes. Folders below it are volumes too (of type
 * "dir"), nothing deeper is looked at. A scan costs one stat a file; headers are read only of files that
 * changed.
 */
#define ERROR_FROM VIR_FROM_STORAGE
#define LOG_SOURCE "storage.dir"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "storage/pool.h"
#include "storage/volume_file.h"

enum { DIR_DEFAULT_MODE = 0711 };

/* --- the folder ----------------------------------------------------------------------------------------- */

/* Copy-on-write of the file system (btrfs); where there is none, asking for it to be off is already true. */
static gboolean set_cow(const char *path, Tristate cow, GError **error)
{
    autofd fd = -1;
    int flags;

    if (cow == TRISTATE_ABSENT)
        return TRUE;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd < 0)
        return error_set_errno(error, errno, "unable to open '%s'", path);
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
        return cow == TRISTATE_NO || error_set_errno(error, errno, "Failed to get fs flags of '%s'", path);
    flags = cow == TRISTATE_NO ? flags | FS_NOCOW_FL : flags & ~FS_NOCOW_FL;
    if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 && cow == TRISTATE_YES)
        return error_set_errno(error, errno, "Failed to set fs flags of '%s'", path);
    return TRUE;
}

static gboolean dir_build(const PoolDef *def, guint flags, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(def->path);
    int mode = def->perms.mode;

    if (g_mkdir_with_parents(parent, 0777) < 0)
        return error_set_errno(error, errno, "cannot create path '%s'", parent);
    if (mkdir(def->path, DIR_DEFAULT_MODE) == 0)
        mode = mode < 0 ? DIR_DEFAULT_MODE : mode;
    else if (errno != EEXIST || !g_file_test(def->path, G_FILE_TEST_IS_DIR))
        return error_set_errno(error, errno, "failed to create directory '%s'", def->path);
    if ((def->perms.owner >= 0 || def->perms.group >= 0) &&
        chown(def->path, (uid_t)def->perms.owner, (gid_t)def->perms.group) < 0)
        return error_set_errno(error, errno, "cannot chown '%s' to (%d, %d)", def->path,
                               (int)def->perms.owner, (int)def->perms.group);
    if (mode >= 0 && chmod(def->path, (mode_t)mode) < 0)
        return error_set_errno(error, errno, "cannot set mode of '%s' to %04o", def->path, (guint)mode);
    if (!set_cow(def->path, def->cow, error))
        return FALSE;
    if (flags != 0)
        return error_set(error, VIR_ERR_OPERATION_INVALID,
                         "No source device specified when formatting pool '%s'", def->name);
    return TRUE;
}

static gboolean dir_remove(const PoolDef *def, GError **error)
{
    if (rmdir(def->path) < 0)
        return error_set_errno(error, errno, "failed to remove pool '%s'", def->path);
    return TRUE;
}

/* --- scan ----------------------------------------------------------------------------------------------- */

static gboolean usable_name(const char *name, const char *folder)
{
    if (g_str_equal(name, ".") || g_str_equal(name, ".."))
        return FALSE;
    for (const guchar *p = (const guchar *)name; *p != '\0'; p++) {
        if (*p < ' ' || *p == 127) {
            log_warning("ignoring a file with control characters in its name below '%s'", folder);
            return FALSE;
        }
    }
    if (!g_utf8_validate(name, -1, NULL)) {
        log_warning("ignoring a file whose name is not UTF-8 below '%s'", folder);
        return FALSE;
    }
    return TRUE;
}

static gboolean scan_sizes(const PoolDef *def, int fd, PoolScan *ret, GError **error)
{
    struct statvfs fs;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_set_errno(error, errno, "cannot stat path '%s'", def->path);
    if (fstatvfs(fd, &fs) < 0)
        return error_set_errno(error, errno, "cannot statvfs path '%s'", def->path);
    ret->capacity = (guint64)fs.f_frsize * fs.f_blocks;
    ret->available = (guint64)fs.f_frsize * fs.f_bfree;
    ret->allocation = ret->capacity - ret->available;
    ret->perms.mode = st.st_mode & 0777;
    ret->perms.owner = st.st_uid;
    ret->perms.group = st.st_gid;
    return TRUE;
}

static gboolean dir_scan(const PoolDef *def, GHashTable *known, PoolScan *ret, GError **error)
{
    DIR *dir = opendir(def->path);
    struct dirent *entry;
    gboolean ok;

    if (dir == NULL)
        return error_set_errno(error, errno, "cannot open directory '%s'", def->path);
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        g_autofree char *path = NULL;
        VolumeDef *volume;

        if (!usable_name(entry->d_name, def->path))
            continue;
        path = g_strdup_printf("%s/%s", g_str_equal(def->path, "/") ? "" : def->path, entry->d_name);
        volume = volume_file_probe(entry->d_name, path,
                                   known != NULL ? g_hash_table_lookup(known, entry->d_name) : NULL);
        if (volume != NULL)
            g_hash_table_replace(ret->volumes, volume->name, volume_new(volume));
    }
    ok = errno == 0 ? scan_sizes(def, dirfd(dir), ret, error)
                    : error_set_errno(error, errno, "Unable to read directory '%s'", def->path);
    closedir(dir);
    return ok;
}

/* --- volumes -------------------------------------------------------------------------------------------- */

static gboolean dir_place(const PoolDef *def, VolumeDef *volume, GError **error)
{
    const char *name = volume->name;
    struct stat st;

    volume->type = volume->target.format == VOLUME_FORMAT_DIR ? VIR_STORAGE_VOL_DIR : VIR_STORAGE_VOL_FILE;
    if (strchr(name, '/') != NULL)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "volume name '%s' cannot contain '/'", name);
    if (g_str_equal(name, ".") || g_str_equal(name, "..") || strlen(name) > 255 ||
        !usable_name(name, def->path))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "volume name '%s' cannot be the name of a file",
                         name);
    g_free(volume->target.path);
    volume->target.path = g_strdup_printf("%s/%s", g_str_equal(def->path, "/") ? "" : def->path, name);
    if (lstat(volume->target.path, &st) == 0)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "volume target path '%s' already exists",
                         volume->target.path);
    g_free(volume->key);
    volume->key = g_strdup(volume->target.path);
    return TRUE;
}

static VolumeDef *dir_probe(const VolumeDef *volume)
{
    return volume_file_probe(volume->name, volume->target.path, NULL);
}

const PoolOps pool_dir_ops = {
    .type = POOL_TYPE_DIR,
    .build = dir_build,
    .remove = dir_remove,
    .scan = dir_scan,
    .place = dir_place,
    .create = volume_file_create,
    .clone = volume_file_clone,
    .probe = dir_probe,
    .refresh = volume_file_refresh,
    .unlink = volume_file_unlink,
    .resize = volume_file_resize,
    .wipe = volume_file_wipe,
};
