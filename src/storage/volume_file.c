/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making, changing and removing volumes that are files. See volume_file.h. */
#define ERROR_FROM VIR_FROM_STORAGE
#define LOG_SOURCE "storage.volume"

#include "storage/volume_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "storage/probe_client.h"
#include "storage/volume_copy.h"
#include "storage/volume_tool.h"

enum { FILE_DEFAULT_MODE = 0600, CHAIN_MAX = 64 };

/* --- opening -------------------------------------------------------------------------------------------- */

typedef struct Chain {
    char *folder; /* of the image that names the next one */
    guint depth;
} Chain;

static void chain_free(Chain *chain)
{
    g_free(chain->folder);
    g_free(chain);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Chain, chain_free)

/* ImageOpener: the engine asks from the top of the chain to its bottom, so one note of the last folder is
 * enough. */
static int open_backing(void *opaque, ImageRef ref, const char *name, const char *format,
                        ImageOpenParams *ret, Err *err)
{
    Chain *chain = opaque;
    g_autofree char *path = name[0] == '/' ? g_strdup(name) : g_build_filename(chain->folder, name, NULL);
    g_autoptr(GError) error = NULL;
    ImageProbe probe;
    autofd fd = -1;

    if (ref != IMAGE_REF_BACKING)
        return err_set(err, ENOTSUP, "external data file '%s': such images are not opened", name);
    if (++chain->depth > CHAIN_MAX)
        return err_set(err, ELOOP, "more than %d images in the chain", CHAIN_MAX);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_set(err, errno, "cannot open backing file '%s': %s", path, g_strerror(errno));
    if (*format != '\0') {
        ret->format = image_format_from_name(format);
    } else {
        if (!probe_fd(fd, path, &probe, NULL, &error))
            return err_set(err, EIO, "%s", error->message);
        if (probe.backing_name[0] != '\0' || probe.data_file[0] != '\0')
            return err_set(err, EPERM, "backing file '%s' has no declared format, and refers to other files",
                           path);
        ret->format = probe.format == IMAGE_FORMAT_ISO ? IMAGE_FORMAT_RAW : probe.format;
    }
    g_free(chain->folder);
    chain->folder = g_path_get_dirname(path);
    ret->flags = IMAGE_OPEN_RDONLY;
    ret->opener = open_backing;
    ret->opener_opaque = chain;
    ret->fd = fd_steal(&fd);
    return 0;
}

Image *volume_image_open(const VolumeDef *volume, gboolean rdwr, GError **error)
{
    const char *path = volume->target.path;
    g_autoptr(Chain) chain = g_new0(Chain, 1);
    ImageOpenParams params;
    Image *image = NULL;
    Err err = {0};
    autofd fd = -1;

    image_open_params_init(&params);
    params.format = volume_format_to_image(volume->target.format);
    if (params.format == IMAGE_FORMAT_AUTO || volume->target.encryption != VOLUME_PLAIN) {
        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "volume '%s': %s images of format '%s' cannot be opened",
                  volume->name, volume->target.encryption != VOLUME_PLAIN ? "encrypted" : "plain",
                  volume_format_to_string(volume->target.format));
        return NULL;
    }
    fd = open(path, (rdwr ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        error_set_errno(error, errno, "cannot open volume '%s'", path);
        return NULL;
    }
    chain->folder = g_path_get_dirname(path);
    params.fd = fd;
    params.flags = rdwr ? 0 : IMAGE_OPEN_RDONLY;
    params.name = path;
    params.opener = open_backing;
    params.opener_opaque = chain;
    if (image_open(&params, &image, &err) < 0) {
        error_set(error, VIR_ERR_OPERATION_FAILED, "cannot open volume '%s': %s", path, err.text);
        return NULL;
    }
    fd_steal(&fd);
    return image;
}

/* --- creating ------------------------------------------------------------------------------------------- */

static int create_file(const VolumeDef *volume, GError **error)
{
    const char *path = volume->target.path;
    const StoragePerms *perms = &volume->target.perms;
    mode_t mode = perms->mode >= 0 ? (mode_t)perms->mode : FILE_DEFAULT_MODE;
    autofd fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    int flags;

    if (fd < 0) {
        error_set_errno(error, errno, "Failed to create file '%s'", path);
        return -1;
    }
    if ((perms->owner >= 0 || perms->group >= 0) &&
        fchown(fd, (uid_t)perms->owner, (gid_t)perms->group) < 0) {
        error_set_errno(error, errno, "cannot chown '%s' to (%d, %d)", path, (int)perms->owner,
                        (int)perms->group);
        unlink(path);
        return -1;
    }
    if (fchmod(fd, mode) < 0) {
        error_set_errno(error, errno, "cannot set mode of '%s' to %04o", path, (guint)mode);
        unlink(path);
        return -1;
    }
    /* Only an empty file can be taken out of copy-on-write; file systems without it have nothing to switch
     * off. */
    if (volume->target.nocow && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0)
            log_debug("no nocow for '%s': %s", path, g_strerror(errno));
    }
    return fd_steal(&fd);
}

static gboolean write_zeros(int fd, guint64 offset, guint64 length, GError **error)
{
    const gsize step = 1 << 20;
    g_autofree char *zeros = g_malloc0(step);

    while (length > 0) {
        ssize_t n = pwrite(fd, zeros, MIN(length, step), (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set_errno(error, n < 0 ? errno : EIO, "cannot write zeros");
        offset += (guint64)n;
        length -= (guint64)n;
    }
    return TRUE;
}

/* Space for the first `length` bytes of a file that has its size already. */
gboolean volume_allocate(int fd, guint64 length, const char *path, GError **error)
{
    if (length == 0 || fallocate(fd, 0, 0, (off_t)length) == 0)
        return TRUE;
    if (errno != ENOSYS && errno != EOPNOTSUPP)
        return error_set_errno(error, errno, "cannot allocate %" G_GUINT64_FORMAT " bytes in file '%s'",
                               length, path);
    if (write_zeros(fd, 0, length, error))
        return TRUE;
    g_prefix_error(error, "cannot fill file '%s': ", path);
    return FALSE;
}

static gboolean create_raw(int fd, const VolumeDef *volume, guint flags, GError **error)
{
    const char *path = volume->target.path;

    if (flags & VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "metadata preallocation is not supported for raw volumes");
    if (volume->backing != NULL)
        return error_set(error, VIR_ERR_NO_SUPPORT, "backing storage not supported for raw volumes");
    if (ftruncate(fd, (off_t)volume->capacity) < 0)
        return error_set_errno(error, errno, "cannot extend file '%s'", path);
    return volume_allocate(fd, MIN(volume->allocation, volume->capacity), path, error);
}

/* The names that the header gets, and, where no capacity was said, the backing file's size. */
static gboolean use_backing(const PoolDef *pool, const VolumeDef *volume, ImageCreateParams *params,
                            GError **error)
{
    const char *name = volume->backing->path;
    g_autofree char *path = name[0] == '/' ? g_strdup(name) : g_build_filename(pool->path, name, NULL);
    g_autoptr(VolumeDef) base = NULL;
    Image *image;

    if (params->preallocation != IMAGE_PREALLOC_OFF)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "metadata preallocation conflicts with backing store");
    if (access(path, R_OK) < 0)
        return error_set_errno(error, errno, "inaccessible backing store volume %s", name);
    if (strlen(name) > IMAGE_NAME_MAX)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "the path of the backing store is longer than %d bytes", IMAGE_NAME_MAX);
    params->backing_name = name;
    params->backing_format = volume_format_to_string(volume->backing->format);
    if (volume->has_capacity)
        return TRUE;
    base = volume_def_new(name);
    base->target.path = g_steal_pointer(&path);
    base->target.format = volume->backing->format;
    image = volume_image_open(base, FALSE, error);
    if (image == NULL)
        return FALSE;
    params->size = image_size(image);
    image_close(image);
    return TRUE;
}

static gboolean fill_features(const VolumeTarget *target, ImageCreateParams *params, GError **error)
{
    params->version = target->compat == NULL || g_str_equal(target->compat, "0.10") ? 2 : 3;
    if (params->version == 2 && target->lazy_refcounts)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "lazy_refcounts not supported with compat level %s",
                         target->compat != NULL ? target->compat : "0.10");
    if (params->version == 2 && target->extended_l2)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "'extended_l2' not supported with compat level %s",
                         target->compat != NULL ? target->compat : "0.10");
    if (target->cluster_size > G_MAXUINT32)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "cluster size %" G_GUINT64_FORMAT " is too large",
                         target->cluster_size);
    params->cluster_size = (guint32)target->cluster_size;
    params->lazy_refcounts = target->lazy_refcounts;
    params->extended_l2 = target->extended_l2;
    return TRUE;
}

static gboolean create_qcow2(int fd, const PoolDef *pool, const VolumeDef *volume, guint flags,
                             GError **error)
{
    ImageCreateParams params;
    Err err = {0};

    image_create_params_init(&params);
    params.format = IMAGE_FORMAT_QCOW2;
    params.size = volume->capacity;
    if (flags & VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA)
        params.preallocation =
            volume->capacity > volume->allocation ? IMAGE_PREALLOC_METADATA : IMAGE_PREALLOC_FALLOC;
    if (!fill_features(&volume->target, &params, error) ||
        (volume->backing != NULL && !use_backing(pool, volume, &params, error)))
        return FALSE;
    if (image_create(fd, &params, &err) < 0)
        return error_set(error, VIR_ERR_OPERATION_FAILED, "cannot create volume '%s': %s",
                         volume->target.path, err.text);
    return TRUE;
}

static gboolean create_by_tool(const PoolDef *pool, const VolumeDef *volume, guint flags, GError **error)
{
    const char *name = volume->backing != NULL ? volume->backing->path : NULL;
    g_autofree char *path =
        name == NULL || name[0] == '/' ? g_strdup(name) : g_build_filename(pool->path, name, NULL);

    if (flags & VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "metadata preallocation is not supported for %s volumes",
                         volume_format_to_string(volume->target.format));
    if (path != NULL && access(path, R_OK) < 0)
        return error_set_errno(error, errno, "inaccessible backing store volume %s", name);
    return volume_tool_create(volume, path, error);
}

static gboolean create_folder(const VolumeDef *volume, GError **error)
{
    const char *path = volume->target.path;
    const StoragePerms *perms = &volume->target.perms;
    mode_t mode = perms->mode >= 0 ? (mode_t)perms->mode : FILE_DEFAULT_MODE;
    gboolean ok;

    if (volume->backing != NULL)
        return error_set(error, VIR_ERR_NO_SUPPORT, "backing storage not supported for directories volumes");
    if (mkdir(path, mode) < 0)
        return error_set_errno(error, errno, "failed to create directory '%s'", path);
    ok = (perms->owner < 0 && perms->group < 0) || chown(path, (uid_t)perms->owner, (gid_t)perms->group) == 0;
    if (ok && chmod(path, mode) == 0)
        return TRUE;
    error_set_errno(error, errno, "cannot set owner and mode of '%s'", path);
    rmdir(path);
    return FALSE;
}

static gboolean check_creatable(const VolumeDef *volume, GError **error)
{
    VolumeFormat format = volume->target.format;

    if (volume->target.encryption != VOLUME_PLAIN)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "volume '%s': encrypted volumes cannot be created, there are no secrets here",
                         volume->name);
    if (format != VOLUME_FORMAT_RAW && format != VOLUME_FORMAT_QCOW2 && format != VOLUME_FORMAT_DIR &&
        !volume_tool_knows(format))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "volume '%s': volumes of format '%s' cannot be created", volume->name,
                         volume_format_to_string(format));
    return TRUE;
}

static gboolean sync_file(int fd, const char *path, GError **error)
{
    return fsync(fd) == 0 || error_set_errno(error, errno, "cannot sync data to file '%s'", path);
}

gboolean volume_file_create(const PoolDef *pool, const VolumeDef *volume, guint flags, GError **error)
{
    const char *path = volume->target.path;
    autofd fd = -1;
    gboolean ok;

    if (!check_creatable(volume, error))
        return FALSE;
    if (volume->target.format == VOLUME_FORMAT_DIR)
        return create_folder(volume, error);
    fd = create_file(volume, error);
    if (fd < 0)
        return FALSE;
    if (volume->target.format == VOLUME_FORMAT_RAW)
        ok = create_raw(fd, volume, flags, error);
    else if (volume->target.format == VOLUME_FORMAT_QCOW2)
        ok = create_qcow2(fd, pool, volume, flags, error);
    else
        ok = create_by_tool(pool, volume, flags, error);
    if (ok && sync_file(fd, path, error))
        return TRUE;
    unlink(path);
    return FALSE;
}

/* --- from another volume -------------------------------------------------------------------------------- */

static gboolean reflink(int fd, const VolumeDef *volume, const VolumeDef *source, GError **error)
{
    autofd from = open(source->target.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (from < 0)
        return error_set_errno(error, errno, "could not open input path '%s'", source->target.path);
    if (ioctl(fd, FICLONE, from) < 0)
        return error_set_errno(error, errno, "failed to clone files from '%s'", source->target.path);
    if (ftruncate(fd, (off_t)volume->capacity) < 0)
        return error_set_errno(error, errno, "cannot extend file '%s'", volume->target.path);
    return TRUE;
}

static gboolean check_clone(const VolumeDef *volume, const VolumeDef *source, guint flags, GError **error)
{
    gboolean raw = volume->target.format == VOLUME_FORMAT_RAW && source->target.format == VOLUME_FORMAT_RAW;

    if (!check_creatable(volume, error))
        return FALSE;
    if (volume->target.format == VOLUME_FORMAT_DIR || source->target.format == VOLUME_FORMAT_DIR)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot copy from volume to a directory volume");
    if ((flags & VIR_STORAGE_VOL_CREATE_REFLINK) && !raw)
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "volume '%s': only raw volumes can share blocks (reflink)", volume->name);
    if (volume->backing != NULL && source->backing != NULL &&
        g_strcmp0(volume->backing->path, source->backing->path) != 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "a different backing store cannot be specified.");
    return TRUE;
}

static gboolean fill_clone(int fd, const PoolDef *pool, const VolumeDef *volume, const VolumeDef *source,
                           guint flags, GError **error)
{
    g_autoptr(VolumeDef) bare = NULL;
    gboolean sparse = volume->allocation < source->capacity;

    if (volume_tool_knows(volume->target.format) || volume_tool_knows(source->target.format))
        return volume_tool_convert(volume, source, error);
    if (volume->target.format == VOLUME_FORMAT_RAW) {
        if (flags & VIR_STORAGE_VOL_CREATE_REFLINK)
            return reflink(fd, volume, source, error);
        bare = volume_def_copy(volume);
        if (sparse)
            bare->allocation = 0; /* what the source leaves out stays out */
        return create_raw(fd, bare, flags, error) && volume_copy(volume, source, sparse, error);
    }
    /* As qemu-img's convert does it: the copy stands on its own. */
    bare = volume_def_copy(volume);
    volume_def_set_backing(bare, NULL);
    return create_qcow2(fd, pool, bare, flags, error) && volume_copy(bare, source, TRUE, error);
}

gboolean volume_file_clone(const PoolDef *pool, const VolumeDef *volume, const VolumeDef *source, guint flags,
                           GError **error)
{
    const char *path = volume->target.path;
    autofd fd = -1;

    if (!check_clone(volume, source, flags, error))
        return FALSE;
    fd = create_file(volume, error);
    if (fd < 0)
        return FALSE;
    if (fill_clone(fd, pool, volume, source, flags, error) && sync_file(fd, path, error))
        return TRUE;
    unlink(path);
    return FALSE;
}

/* --- removing, resizing, wiping ------------------------------------------------------------------------- */

gboolean volume_file_unlink(const VolumeDef *volume, GError **error)
{
    const char *path = volume->target.path;

    /* Gone already: just what was wanted. */
    if ((volume->type == VIR_STORAGE_VOL_DIR ? rmdir(path) : unlink(path)) == 0 || errno == ENOENT)
        return TRUE;
    return error_set_errno(error, errno,
                           volume->type == VIR_STORAGE_VOL_DIR ? "cannot remove directory '%s'"
                                                               : "cannot unlink file '%s'",
                           path);
}

static gboolean resize_raw(const VolumeDef *volume, guint64 capacity, gboolean allocate, GError **error)
{
    const char *path = volume->target.path;
    autofd fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return error_set_errno(error, errno, "Unable to open '%s'", path);
    if (ftruncate(fd, (off_t)capacity) < 0)
        return error_set_errno(error, errno, "Failed to truncate file '%s'", path);
    if (allocate && capacity > volume->capacity &&
        fallocate(fd, 0, (off_t)volume->capacity, (off_t)(capacity - volume->capacity)) < 0) {
        if (errno != ENOSYS && errno != EOPNOTSUPP)
            return error_set_errno(error, errno, "Failed to pre-allocate space for file '%s'", path);
        if (!write_zeros(fd, volume->capacity, capacity - volume->capacity, error))
            return FALSE;
    }
    return sync_file(fd, path, error);
}

gboolean volume_file_resize(const VolumeDef *volume, guint64 capacity, guint flags, GError **error)
{
    gboolean allocate = (flags & VIR_STORAGE_VOL_RESIZE_ALLOCATE) != 0;
    Image *image;
    Err err = {0};
    int rc;

    if (volume->target.format == VOLUME_FORMAT_RAW && volume->target.encryption == VOLUME_PLAIN)
        return resize_raw(volume, capacity, allocate, error);
    if (allocate)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                         "preallocate is only supported for raw type volume");
    if (volume->target.format != VOLUME_FORMAT_QCOW2)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "volumes of format '%s' cannot be resized",
                         volume_format_to_string(volume->target.format));
    image = volume_image_open(volume, TRUE, error);
    if (image == NULL)
        return FALSE;
    rc = image_resize(image, capacity, IMAGE_PREALLOC_OFF, capacity < volume->capacity, &err);
    if (rc < 0) {
        image_close(image);
        return error_set(error, VIR_ERR_OPERATION_FAILED, "cannot resize volume '%s': %s",
                         volume->target.path, err.text);
    }
    rc = image_close(image);
    return rc == 0 || error_set_errno(error, -rc, "cannot resize volume '%s'", volume->target.path);
}

gboolean volume_file_wipe(const VolumeDef *volume, guint algorithm, GError **error)
{
    const char *path = volume->target.path;
    struct stat st;
    autofd fd = -1;

    if (algorithm == VIR_STORAGE_VOL_WIPE_ALG_TRIM)
        return error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "'trim' algorithm not supported");
    if (algorithm != VIR_STORAGE_VOL_WIPE_ALG_ZERO)
        return error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED,
                         "wiping algorithm %u is not supported; volumes are wiped with zeros", algorithm);
    fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_set_errno(error, errno, "Failed to open storage volume with path '%s'", path);
    if (fstat(fd, &st) < 0)
        return error_set_errno(error, errno, "Failed to stat storage volume with path '%s'", path);
    if (S_ISREG(st.st_mode) && st.st_blocks < st.st_size / 512) {
        /* Sparse: stays so. */
        if (ftruncate(fd, 0) < 0 || ftruncate(fd, st.st_size) < 0)
            return error_set_errno(error, errno, "Failed to truncate volume with path '%s'", path);
    } else {
        guint64 length = S_ISREG(st.st_mode) ? (guint64)st.st_size : volume->allocation;

        if (!write_zeros(fd, 0, length, error))
            return FALSE;
    }
    return sync_file(fd, path, error);
}
