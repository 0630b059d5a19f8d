/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that a definition names, looked at before QEMU does: so that the error can say which part of a path
 * is in the way, and what to do. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/slow_file.h"
#include "driver/backend/disk_chain.h"
#include "driver/backend/qemu_host.h"
#include "driver/conf/def_rng.h"

/* The first part of path that does not exist or cannot be passed, as words for an error. Caller frees; ""
 * when the file itself is it. */
static char *obstacle(const char *path, int errnum)
{
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        g_autofree char *part = g_strndup(path, (gsize)(slash - path));
        struct stat st;

        if (stat(part, &st) < 0)
            return g_strdup_printf(" (folder '%s': %s)", part, g_strerror(errno));
        if (!S_ISDIR(st.st_mode))
            return g_strdup_printf(" ('%s' is no folder)", part);
        if (errnum == EACCES && access(part, X_OK) < 0)
            return g_strdup_printf(" (folder '%s' may not be searched: chmod a+x '%s')", part, part);
    }
    return g_strdup("");
}

/* What is looked at: "storage file" or another word for it, and for a backing image the one it belongs to. */
typedef struct File {
    const char *what, *path, *owner;
} File;

static gboolean fail(const File *file, int errnum, GError **error)
{
    g_autofree char *where = errnum == ETIMEDOUT      ? g_strdup(" (its file system does not answer)")
                             : file->path[0] == '/' ? obstacle(file->path, errnum)
                                                    : g_strdup(" (the path must be absolute)");

    return error_set_errno(error, errnum, "Cannot access %s '%s'%s%s%s%s (as uid:%u, gid:%u)", file->what, file->path,
                           file->owner != NULL ? " of storage file '" : "", file->owner != NULL ? file->owner : "",
                           file->owner != NULL ? "'" : "", where, (unsigned)geteuid(), (unsigned)getegid());
}

/* Whether the VM's user may open the file in that mode, by permission bits: a hint, since ACLs and
 * capabilities may say otherwise, so only a clear "no" counts. */
static gboolean user_may(const BackendConfig *config, const struct stat *st, gboolean write)
{
    mode_t want = write ? 6 : 4;
    mode_t got;

    if (config->user == (uid_t)-1 || config->user == 0)
        return TRUE;
    got = st->st_uid == config->user    ? st->st_mode >> 6
          : st->st_gid == config->group ? st->st_mode >> 3
                                        : st->st_mode;
    return (got & want) == want;
}

static gboolean check(const BackendConfig *config, const File *file, gboolean write, GError **error)
{
    struct stat st;
    int fd = slow_file_open(file->path, (write ? O_RDWR : O_RDONLY) | O_NONBLOCK, &st, 0);

    if (fd < 0)
        return fail(file, -fd, error);
    close(fd);
    if (S_ISDIR(st.st_mode))
        return fail(file, EISDIR, error);
    if (user_may(config, &st, write))
        return TRUE;
    return error_set_errno(
        error, EACCES,
        "Cannot access %s '%s' (as uid:%u, gid:%u): it belongs to uid:%u, gid:%u with mode %04o; "
        "chown or chmod it",
        file->what, file->path, (unsigned)config->user, (unsigned)config->group, (unsigned)st.st_uid,
        (unsigned)st.st_gid, (unsigned)(st.st_mode & 07777));
}

static gboolean check_folder(const char *path, GError **error)
{
    const File folder = {"storage folder", path, NULL};
    struct stat st;
    int fd = slow_file_open(path, O_PATH, &st, 0);

    if (fd < 0)
        return fail(&folder, -fd, error);
    close(fd);
    return S_ISDIR(st.st_mode) || fail(&folder, ENOTDIR, error);
}

static gboolean check_image(const BackendConfig *config, const DiskDef *disk, const StorageSource *source,
                            GError **error)
{
    gboolean top = source == disk->source;
    const File file = {top ? "storage file" : "backing file", source->path, top ? NULL : disk->source->path};

    if (source->type == STORAGE_TYPE_DIR)
        return check_folder(source->path, error);
    if ((source->type != STORAGE_TYPE_FILE && source->type != STORAGE_TYPE_BLOCK) || source->fdgroup != NULL)
        return TRUE;
    return check(config, &file, top && !disk->readonly && disk->device != DISK_DEVICE_CDROM, error);
}

/* Every layer in turn, those included that only the image above them names. */
static gboolean check_chain(const BackendConfig *config, const DiskDef *disk, GError **error)
{
    guint depth = 0;

    for (StorageSource *s = disk->source; s != NULL && s->type != STORAGE_TYPE_NONE; s = s->backing) {
        if (++depth > DISK_CHAIN_MAX && s->detected)
            return error_set(error, VIR_ERR_INTERNAL_ERROR,
                             "backing store for %s is self-referential or too deeply nested", s->path);
        if (depth > DISK_CHAIN_MAX)
            return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                             "backing chains more than %d layers deep are not supported for disk '%s'", DISK_CHAIN_MAX,
                             disk->target);
        if (!check_image(config, disk, s, error) || !disk_chain_next(disk, s, error))
            return FALSE;
    }
    return TRUE;
}

/* A removable drive whose medium may be missing starts empty. */
static gboolean may_be_missing(const DiskDef *disk)
{
    return disk->startup_policy == STARTUP_POLICY_OPTIONAL && disk_is_removable_media(disk);
}

static gboolean check_disk(const BackendConfig *config, DiskDef *disk, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (storage_source_is_empty(disk->source) || check_chain(config, disk, &local))
        return TRUE;
    if (may_be_missing(disk)) {
        g_clear_pointer(&disk->source, storage_source_free);
        disk->source = storage_source_new(STORAGE_TYPE_FILE);
        return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&local));
    return FALSE;
}

gboolean qemu_check_device_files(const BackendConfig *config, DeviceInfo *dev, GError **error)
{
    const RngDef *rng = (const RngDef *)dev;

    if (dev->kind == DEVICE_DISK)
        return check_disk(config, (DiskDef *)dev, error);
    if (dev->kind == DEVICE_RNG && rng->backend == RNG_BACKEND_RANDOM && rng->file != NULL)
        return check(config, &(File){"source of random numbers", rng->file, NULL}, FALSE, error);
    return TRUE;
}

gboolean qemu_check_files(const BackendConfig *config, DomainDef *live, GError **error)
{
    const OsDef *os = &live->os;
    const struct {
        const char *what, *path;
        gboolean write;
    } files[] = {
        {"kernel", os->kernel, FALSE},
        {"initrd", os->initrd, FALSE},
        {"dtb", os->dtb, FALSE},
        {"loader", os->loader.path && os->loader.path[0] == '/' ? os->loader.path : NULL,
         os->loader.readonly == TRISTATE_NO && os->loader.type == LOADER_PFLASH},
        {"nvram", os->loader.nvram_path, TRUE},
        {"ACPI table", os->slic_table, FALSE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        const File file = {files[i].what, files[i].path, NULL};

        if (files[i].path != NULL && !check(config, &file, files[i].write, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(DiskDef, disk, live, DEVICE_DISK)
    {
        if (!qemu_check_device_files(config, &disk->info, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(RngDef, rng, live, DEVICE_RNG)
    {
        if (!qemu_check_device_files(config, &rng->info, error))
            return FALSE;
    }
    return TRUE;
}
