/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disk images: opening, closing, facts, and what all formats share. Data requests are in image_request.c. */
#include "config.h"

#include "storage/image.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/image_lock.h"
#include "storage/image_priv.h"

#define MAX_CHAIN_DEPTH 200

static __thread unsigned open_depth;

static const ImageFormatOps *const format_ops[IMAGE_FORMAT_LAST] = {
    [IMAGE_FORMAT_RAW] = &image_raw_ops,
    [IMAGE_FORMAT_ISO] = &image_raw_ops,
    [IMAGE_FORMAT_LUKS] = &image_raw_ops,
    [IMAGE_FORMAT_QCOW2] = &image_qcow2_ops,
};

int image_complain(Image *image, int errnum, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(image->last_error, sizeof image->last_error, format, ap);
    va_end(ap);
    return -errnum;
}

void image_open_params_init(ImageOpenParams *params)
{
    *params = (ImageOpenParams){.fd = -1, .data_fd = -1};
}

/* ---- Locks ---- */

static int set_locks(Image *image, bool read_only, Err *err)
{
    unsigned perms = IMAGE_PERM_READ, shared = IMAGE_PERM_READ | IMAGE_PERM_WRITE_UNCHANGED;
    int ret;

    if (!image->locks)
        return 0;
    if (!read_only)
        perms |= IMAGE_PERM_WRITE | IMAGE_PERM_RESIZE;
    if (image->flags & IMAGE_OPEN_SHARE_WRITE) {
        shared |= IMAGE_PERM_WRITE | IMAGE_PERM_RESIZE;
        perms &= ~(unsigned)IMAGE_PERM_RESIZE;
    }
    ret = image_lock_set(image->file.fd, perms, shared, &image->perms_held, &image->perms_unshared, image->name, err);
    if (ret == 0 && image->data.fd >= 0)
        ret = image_lock_set(image->data.fd, perms, shared, &image->data_held, &image->data_unshared, image->name,
                             err);
    return ret;
}

static void drop_locks(Image *image)
{
    if (image->file.fd >= 0 && image->locks)
        image_lock_set(image->file.fd, 0, IMAGE_PERM_ALL, &image->perms_held, &image->perms_unshared, "", NULL);
    if (image->data.fd >= 0 && image->locks)
        image_lock_set(image->data.fd, 0, IMAGE_PERM_ALL, &image->data_held, &image->data_unshared, "", NULL);
}

/* What an image holds beside descriptors and other images, and itself. */
static void free_parts(Image *image)
{
    luks_free(image->luks);
    pthread_mutex_destroy(&image->lock);
    pthread_mutex_destroy(&image->crypt_lock);
    pthread_cond_destroy(&image->changed);
    free(image->name);
    free(image);
}

/* ---- Opening ---- */

/* Gives descriptors back to the caller and frees the rest. */
static void open_failed(Image *image, const ImageOpenParams *params, bool own_data)
{
    drop_locks(image);
    if (image->state != NULL)
        image->ops->free(image);
    image->file.fd = -1;
    image->file.io = NULL;
    if (own_data || params->data_fd < 0)
        host_file_close(&image->data);
    if (image->backing != NULL && image->backing != params->backing)
        image_close(image->backing);
    free_parts(image);
}

static int open_data_file(Image *image, const ImageOpenParams *params, const char *name, Err *err)
{
    ImageOpenParams sub;
    int ret;

    if (params->data_fd >= 0)
        return host_file_open(&image->data, params->data_fd, NULL, NULL, err);
    if (params->flags & IMAGE_OPEN_NO_BACKING)
        return 0;
    if (params->opener == NULL)
        return err_set(err, ENOENT, "%s: needs its external data file '%s', which was not supplied", image->name,
                       name);
    image_open_params_init(&sub);
    ret = params->opener(params->opener_opaque, IMAGE_REF_DATA, name, "raw", &sub, err);
    if (ret < 0)
        return ret;
    return host_file_open(&image->data, sub.fd, sub.io, sub.io_opaque, err);
}

static int open_backing(Image *image, const ImageOpenParams *params, const ImageInfo *info, Err *err)
{
    ImageOpenParams sub;
    int ret;

    if (params->backing != NULL) {
        image->backing = params->backing;
        return 0;
    }
    if (!image->names_backing || (params->flags & IMAGE_OPEN_NO_BACKING))
        return 0;
    if (params->opener == NULL)
        return err_set(err, ENOENT, "%s: needs its backing file '%s', which was not supplied", image->name,
                       info->backing_name);
    if (open_depth >= MAX_CHAIN_DEPTH)
        return err_set(err, ELOOP, "%s: the backing chain is deeper than %d images", image->name, MAX_CHAIN_DEPTH);
    image_open_params_init(&sub);
    ret = params->opener(params->opener_opaque, IMAGE_REF_BACKING, info->backing_name, info->backing_format, &sub,
                         err);
    if (ret < 0)
        return ret;
    sub.flags |= IMAGE_OPEN_RDONLY;
    if (sub.opener == NULL) {
        sub.opener = params->opener;
        sub.opener_opaque = params->opener_opaque;
    }
    open_depth++;
    ret = image_open(&sub, &image->backing, err);
    open_depth--;
    if (ret < 0 && sub.fd >= 0)
        close(sub.fd);
    return ret;
}

static ImageFormat probe_format(HostFile *file)
{
    cleanup_free uint8_t *head = calloc(1, IMAGE_PROBE_SIZE);
    cleanup_free ImageProbe *probe = malloc(sizeof *probe);

    if (head == NULL || probe == NULL || host_file_pread(file, head, IMAGE_PROBE_SIZE, 0) < 0)
        return IMAGE_FORMAT_RAW;
    image_probe(head, IMAGE_PROBE_SIZE, probe);
    return probe->format;
}

int image_open(const ImageOpenParams *params, Image **ret_image, Err *err)
{
    Image *image = calloc(1, sizeof *image);
    cleanup_free ImageInfo *info = calloc(1, sizeof *info);
    bool own_data = false;
    int ret;

    if (image == NULL || info == NULL) {
        free(image);
        return err_set(err, ENOMEM, "out of memory");
    }
    image->name = strdup(params->name != NULL ? params->name : "image");
    image->flags = params->flags;
    image->read_only = params->flags & IMAGE_OPEN_RDONLY;
    image->file.fd = image->data.fd = -1;
    image->locks = !(params->flags & IMAGE_OPEN_NO_LOCK) && params->io == NULL;
    pthread_mutex_init(&image->lock, NULL);
    pthread_mutex_init(&image->crypt_lock, NULL);
    pthread_cond_init(&image->changed, NULL);

    ret = image->name == NULL ? err_set(err, ENOMEM, "out of memory")
                              : host_file_open(&image->file, params->fd, params->io, params->io_opaque, err);
    if (ret < 0)
        goto fail;
    if ((params->flags & IMAGE_OPEN_NO_LOCK) && !image->read_only && params->io == NULL) {
        ret = err_set(err, EINVAL, "%s: an image is opened for writing only with its locks", image->name);
        goto fail;
    }
    ret = set_locks(image, image->read_only, err);
    if (ret < 0)
        goto fail;
    image->format = params->format == IMAGE_FORMAT_AUTO ? probe_format(&image->file) : params->format;
    if (image->format >= IMAGE_FORMAT_LAST || format_ops[image->format] == NULL) {
        ret = err_set(err, EMEDIUMTYPE, "%s: format %s cannot be opened here, only raw, qcow2 and luks", image->name,
                      image_format_name(image->format) ?: "?");
        goto fail;
    }
    image->ops = format_ops[image->format];
    image->file.no_sync = params->flags & IMAGE_OPEN_NO_SYNC;
    ret = image->ops->open(image, params, err);
    if (ret < 0)
        goto fail;
    ret = image->ops->info(image, info);
    if (ret < 0) {
        err_set(err, -ret, "%s: %s", image->name, strerror(-ret));
        goto fail;
    }
    if (info->external_data) {
        ret = open_data_file(image, params, info->data_file, err);
        own_data = ret == 0 && params->data_fd < 0;
        if (ret < 0)
            goto fail;
        image->data.no_sync = image->file.no_sync;
        ret = set_locks(image, image->read_only, err);
        if (ret < 0)
            goto fail;
    }
    ret = open_backing(image, params, info, err);
    if (ret < 0)
        goto fail;
    if (image->ops->opened != NULL) {
        ret = image->ops->opened(image, err);
        if (ret < 0)
            goto fail;
    }
    *ret_image = image;
    return 0;
fail:
    open_failed(image, params, own_data);
    return ret;
}

int image_close(Image *image)
{
    int ret = 0;

    while (image != NULL) {
        Image *backing = image->backing;
        int r = image->read_only ? 0 : image->ops->finish(image);

        if (ret == 0)
            ret = r;
        image->ops->free(image);
        drop_locks(image);
        host_file_close(&image->file);
        host_file_close(&image->data);
        free_parts(image);
        image = backing;
    }
    return ret;
}

/* ---- Facts ---- */

int image_get_info(Image *image, ImageInfo *ret)
{
    struct stat st;
    int r;

    memset(ret, 0, sizeof *ret);
    ret->format = image->format;
    ret->virtual_size = image->size;
    ret->read_only = image->read_only;
    ret->corrupt = image->corrupt;
    ret->encrypted = image->luks != NULL;
    r = host_file_size(&image->file, &ret->file_size);
    if (r < 0)
        return r;
    ret->allocated_size = ret->high_offset = ret->file_size;
    if (image->file.fd >= 0 && fstat(image->file.fd, &st) == 0 && S_ISREG(st.st_mode))
        ret->allocated_size = (uint64_t)st.st_blocks * 512;
    for (Image *below = image->backing; below != NULL; below = below->backing)
        ret->depth++;
    return image->ops->info(image, ret);
}

uint64_t image_size(const Image *image)
{
    return image->size;
}

uint64_t image_write_end(const Image *image)
{
    return image->file.write_end;
}

ImageFormat image_format(const Image *image)
{
    return image->format;
}

Image *image_backing(Image *image)
{
    return image->backing;
}

int image_fd(const Image *image)
{
    return image->file.fd;
}

uint32_t image_direct_align(const Image *image)
{
    uint32_t align = 0;

    for (; image != NULL; image = image->backing) {
        if (image->file.direct)
            align = MAX(align, image->file.align);
        if (image->data.fd >= 0 && image->data.direct)
            align = MAX(align, image->data.align);
    }
    return align;
}

bool image_is_read_only(const Image *image)
{
    return image->read_only;
}

bool image_is_corrupt(const Image *image)
{
    return image->corrupt;
}

bool image_is_direct(const Image *image)
{
    return image->luks == NULL && image->file.io == NULL;
}

const char *image_last_error(Image *image)
{
    return image->last_error;
}

/* ---- Administration that is the same for all formats ---- */

int image_set_read_only(Image *image, bool read_only, Err *err)
{
    int ret;

    if (image->read_only == read_only)
        return 0;
    if (image_is_busy(image))
        return err_set(err, EBUSY, "%s: requests are in flight", image->name);
    if (read_only) {
        ret = image->ops->finish(image);
        if (ret < 0)
            return err_set(err, -ret, "%s: cannot write metadata back: %s", image->name, strerror(-ret));
        image->read_only = true;
        return set_locks(image, true, err);
    }
    if (image->corrupt)
        return err_set(err, EROFS, "%s: the image is corrupt: repair it first", image->name);
    ret = set_locks(image, false, err);
    if (ret == 0)
        image->read_only = false;
    return ret;
}

int image_replace_backing(Image *image, Image *backing, Image **ret_old)
{
    if (image_is_busy(image))
        return -EBUSY;
    if (ret_old != NULL)
        *ret_old = image->backing;
    else
        image_close(image->backing);
    image->backing = backing;
    return 0;
}

int image_resize(Image *image, uint64_t size, ImagePreallocation preallocation, bool shrink, Err *err)
{
    if (image->read_only)
        return err_set(err, EROFS, "%s: open read only", image->name);
    if (image_is_busy(image))
        return err_set(err, EBUSY, "%s: requests are in flight", image->name);
    if (size > INT64_MAX - 511)
        return err_set(err, EFBIG, "%s: size %llu is too large", image->name, (unsigned long long)size);
    size = ALIGN_UP(size, (uint64_t)512);
    if (size < image->size && !shrink)
        return err_set(err, EINVAL, "%s: new size %llu is smaller than %llu: data would be lost", image->name,
                       (unsigned long long)size, (unsigned long long)image->size);
    return image->ops->resize(image, size, preallocation, shrink, err);
}
