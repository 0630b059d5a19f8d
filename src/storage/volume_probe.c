/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What files are as volumes: sizes, formats, permissions, times. See volume_file.h. */
#define ERROR_FROM VIR_FROM_STORAGE
#define LOG_SOURCE "storage.volume"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/slow_file.h"
#include "storage/probe_client.h"
#include "storage/volume_file.h"

/* -errno; waits neither for the other end of a FIFO nor for a file server that is gone. */
static int open_file(const char *path, struct stat *ret_st)
{
    return slow_file_open_data(path, O_RDONLY | O_NONBLOCK, ret_st, 0);
}

static void fill_target(VolumeTarget *target, const struct stat *st)
{
    target->perms.mode = st->st_mode & 0777;
    target->perms.owner = st->st_uid;
    target->perms.group = st->st_gid;
    target->has_times = TRUE;
    target->atime = st->st_atim;
    target->mtime = st->st_mtim;
    target->ctime = st->st_ctim;
}

static void fill_sizes(VolumeDef *def, int fd, const struct stat *st)
{
    off_t end;

    if (S_ISREG(st->st_mode)) {
        def->allocation = (guint64)st->st_blocks * 512;
        def->physical = (guint64)st->st_size;
    } else if (S_ISBLK(st->st_mode)) {
        end = lseek(fd, 0, SEEK_END);
        def->physical = def->allocation = end > 0 ? (guint64)end : 0;
    } else {
        def->physical = def->allocation = 0;
    }
    def->capacity = def->physical;
}

static gboolean same_file(const VolumeDef *known, const struct stat *st)
{
    return known->target.has_times && known->seen_dev == st->st_dev && known->seen_ino == st->st_ino &&
           known->seen_size == (guint64)st->st_size && known->target.mtime.tv_sec == st->st_mtim.tv_sec &&
           known->target.mtime.tv_nsec == st->st_mtim.tv_nsec &&
           known->target.ctime.tv_sec == st->st_ctim.tv_sec &&
           known->target.ctime.tv_nsec == st->st_ctim.tv_nsec;
}

/* --- headers -------------------------------------------------------------------------------------------- */

static gboolean is_protocol(const char *name)
{
    const char *colon = strchr(name, ':'), *slash = strchr(name, '/');

    return colon != NULL && (slash == NULL || colon < slash);
}

/* As far as it is there: its size does not matter to who only wants to know its name. */
static void look_at_backing(VolumeTarget *backing, gboolean declared)
{
    ImageProbe probe;
    struct stat st;
    autofd fd = open_file(backing->path, &st);

    if (fd < 0)
        return;
    fill_target(backing, &st);
    if (!declared && !S_ISDIR(st.st_mode) && probe_fd(fd, backing->path, &probe, NULL, NULL))
        backing->format = volume_format_of_image(probe.format);
}

static void fill_backing(VolumeDef *def, const ImageProbe *probe)
{
    VolumeTarget *backing;
    int format;

    if (probe->backing_name[0] == '\0')
        return;
    backing = volume_target_new();
    if (is_protocol(probe->backing_name)) {
        backing->path = g_strdup(probe->backing_name);
    } else if (probe->backing_name[0] == '/') {
        backing->path = storage_path_clean(probe->backing_name);
    } else {
        g_autofree char *folder = g_path_get_dirname(def->target.path);

        backing->path = g_build_filename(folder, probe->backing_name, NULL);
    }
    format = volume_format_from_string(probe->backing_format);
    if (format > VOLUME_FORMAT_NONE)
        backing->format = (VolumeFormat)format;
    if (!is_protocol(probe->backing_name))
        look_at_backing(backing, format > VOLUME_FORMAT_NONE);
    volume_def_set_backing(def, backing);
}

static void fill_from_header(VolumeDef *def, const ImageProbe *probe)
{
    VolumeTarget *target = &def->target;

    target->format = volume_format_of_image(probe->format);
    if (probe->virtual_size > 0)
        def->capacity = probe->virtual_size;
    target->encryption = !probe->encrypted ? VOLUME_PLAIN : probe->luks ? VOLUME_LUKS : VOLUME_QCOW_AES;
    target->cluster_size = probe->cluster_size;
    if (probe->format == IMAGE_FORMAT_QCOW2 && probe->version >= 3) {
        target->compat = g_strdup("1.1");
        target->has_features = TRUE;
        target->lazy_refcounts = probe->lazy_refcounts;
        target->extended_l2 = probe->extended_l2;
    }
    fill_backing(def, probe);
}

static void note_seen(VolumeDef *def, const struct stat *st)
{
    def->seen_dev = st->st_dev;
    def->seen_ino = st->st_ino;
    def->seen_size = (guint64)st->st_size;
}

VolumeDef *volume_file_probe(const char *name, const char *path, const VolumeDef *known)
{
    g_autoptr(VolumeDef) def = NULL;
    g_autoptr(GError) error = NULL;
    ImageProbe probe;
    struct stat st;
    autofd fd = -1;

    if (known != NULL && stat(path, &st) == 0 && S_ISREG(st.st_mode) && same_file(known, &st)) {
        def = volume_def_copy(known);
        fill_target(&def->target, &st);
        def->allocation = (guint64)st.st_blocks * 512;
        return g_steal_pointer(&def);
    }
    fd = open_file(path, &st);
    if (fd < 0) {
        log_debug("'%s' is no volume: %s", path, g_strerror(-fd));
        return NULL;
    }
    def = volume_def_new(name);
    def->target.path = g_strdup(path);
    def->key = g_strdup(path);
    def->type = VIR_STORAGE_VOL_FILE;
    fill_sizes(def, fd, &st);
    fill_target(&def->target, &st);
    if (S_ISDIR(st.st_mode)) {
        def->type = VIR_STORAGE_VOL_DIR;
        def->target.format = VOLUME_FORMAT_DIR;
    } else if (!probe_fd(fd, path, &probe, NULL, &error)) {
        log_warning("ignoring '%s': %s", path, error->message);
        return NULL;
    } else {
        fill_from_header(def, &probe);
        note_seen(def, &st);
    }
    return g_steal_pointer(&def);
}

/* --- figures of a known volume -------------------------------------------------------------------------- */

/* The format stays what it is; a raw disk is as large as its file whatever a guest wrote into it. */
VolumeDef *volume_file_refresh(const VolumeDef *volume, GError **error)
{
    const char *path = volume->target.path;
    g_autoptr(VolumeDef) def = NULL;
    ImageProbe probe;
    struct stat st;
    autofd fd = open_file(path, &st);
    guint64 capacity = volume->capacity;
    gboolean unchanged;

    if (fd == -ENOENT) {
        error_set(error, VIR_ERR_NO_STORAGE_VOL, "no storage vol with matching path '%s'", path);
        return NULL;
    }
    if (fd < 0) {
        error_set_errno(error, -fd, "cannot open volume '%s'", path);
        return NULL;
    }
    unchanged = same_file(volume, &st);
    def = volume_def_copy(volume);
    fill_sizes(def, fd, &st);
    fill_target(&def->target, &st);
    if (def->backing != NULL && def->backing->path[0] == '/')
        look_at_backing(def->backing, TRUE);
    if (S_ISDIR(st.st_mode) ||
        (def->target.format == VOLUME_FORMAT_RAW && def->target.encryption == VOLUME_PLAIN))
        return g_steal_pointer(&def);
    if (unchanged) {
        def->capacity = capacity;
        return g_steal_pointer(&def);
    }
    if (!probe_fd(fd, path, &probe, NULL, error))
        return NULL;
    if (volume_format_of_image(probe.format) == def->target.format && probe.virtual_size > 0)
        def->capacity = probe.virtual_size;
    note_seen(def, &st);
    return g_steal_pointer(&def);
}
