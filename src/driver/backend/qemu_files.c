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

static gboolean fail(const char *what, const char *path, int errnum, GError **error)
{
    g_autofree char *where =
        path[0] == '/' ? obstacle(path, errnum) : g_strdup(" (the path must be absolute)");

    return error_set_errno(error, errnum, "Cannot access %s '%s'%s (as uid:%u, gid:%u)", what, path, where,
                           (unsigned)geteuid(), (unsigned)getegid());
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

static gboolean check(const BackendConfig *config, const char *what, const char *path, gboolean write,
                      GError **error)
{
    int fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    gboolean ok;

    if (fd < 0)
        return fail(what, path, errno, error);
    if (fstat(fd, &st) < 0)
        ok = fail(what, path, errno, error);
    else if (S_ISDIR(st.st_mode))
        ok = fail(what, path, EISDIR, error);
    else if (!user_may(config, &st, write))
        ok = error_set_errno(
            error, EACCES,
            "Cannot access %s '%s' (as uid:%u, gid:%u): it belongs to uid:%u, gid:%u with mode %04o; "
            "chown or chmod it",
            what, path, (unsigned)config->user, (unsigned)config->group, (unsigned)st.st_uid,
            (unsigned)st.st_gid, (unsigned)(st.st_mode & 07777));
    else
        ok = TRUE;
    close(fd);
    return ok;
}

static gboolean check_image(const BackendConfig *config, const DiskDef *disk, const StorageSource *source,
                            gboolean write, GError **error)
{
    if (source->type == STORAGE_TYPE_DIR) {
        struct stat st;

        if (stat(source->path, &st) < 0)
            return fail("storage folder", source->path, errno, error);
        return S_ISDIR(st.st_mode) ? TRUE : fail("storage folder", source->path, ENOTDIR, error);
    }
    if (source->type != STORAGE_TYPE_FILE && source->type != STORAGE_TYPE_BLOCK)
        return TRUE;
    return check(config, "storage file", source->path, write, error);
}

/* A removable drive whose medium may be missing starts empty. */
static gboolean may_be_missing(const DiskDef *disk)
{
    return disk->startup_policy == STARTUP_POLICY_OPTIONAL && disk_is_removable_media(disk);
}

static gboolean check_disk(const BackendConfig *config, DiskDef *disk, GError **error)
{
    gboolean top = TRUE;

    if (storage_source_is_empty(disk->source))
        return TRUE;
    for (const StorageSource *s = disk->source; s != NULL && s->type != STORAGE_TYPE_NONE; s = s->backing) {
        g_autoptr(GError) local = NULL;
        gboolean write = top && !disk->readonly && disk->device != DISK_DEVICE_CDROM;

        if (!check_image(config, disk, s, write, &local)) {
            if (may_be_missing(disk)) {
                g_clear_pointer(&disk->source, storage_source_free);
                disk->source = storage_source_new(STORAGE_TYPE_FILE);
                return TRUE;
            }
            g_propagate_error(error, g_steal_pointer(&local));
            return FALSE;
        }
        top = FALSE;
    }
    return TRUE;
}

gboolean qemu_check_device_files(const BackendConfig *config, DeviceInfo *dev, GError **error)
{
    const RngDef *rng = (const RngDef *)dev;

    if (dev->kind == DEVICE_DISK)
        return check_disk(config, (DiskDef *)dev, error);
    if (dev->kind == DEVICE_RNG && rng->backend == RNG_BACKEND_RANDOM && rng->file != NULL)
        return check(config, "source of random numbers", rng->file, FALSE, error);
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
        if (files[i].path != NULL && !check(config, files[i].what, files[i].path, files[i].write, error))
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
