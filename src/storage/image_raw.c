/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Raw images, and raw images inside a LUKS container: the guest's bytes stand where they are in the file. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "storage/image_priv.h"

static int luks_read(void *opaque, void *buffer, size_t length, uint64_t offset)
{
    return host_file_pread(opaque, buffer, length, offset);
}

static int raw_open(Image *image, const ImageOpenParams *params, Err *err)
{
    uint64_t size;
    int ret = host_file_size(&image->file, &size);

    if (ret < 0)
        return err_set(err, -ret, "%s: cannot tell the size: %s", image->name, strerror(-ret));
    if (image->format == IMAGE_FORMAT_LUKS) {
        if (params->flags & IMAGE_OPEN_NO_BACKING && params->passphrase == NULL) {
            image->size = size > luks_payload_offset() ? size - luks_payload_offset() : 0;
            return 0;
        }
        ret = luks_open(luks_read, &image->file, params->passphrase, params->passphrase_len, &image->luks,
                        &image->raw_base, err);
        if (ret < 0)
            return err != NULL ? err_prefix(err, "%s", image->name) : ret;
        image->luks_shift = image->raw_base;
        if (size < image->raw_base)
            return err_set(err, EINVAL, "%s: the LUKS container is cut off before its payload", image->name);
    } else {
        image->raw_base = params->raw_offset;
        image->raw_window = params->raw_size != 0;
        if (image->raw_base > size)
            return err_set(err, EINVAL, "%s: offset %llu lies behind the end of the file", image->name,
                           (unsigned long long)image->raw_base);
    }
    size -= image->raw_base;
    if (image->raw_window) {
        if (params->raw_size > size)
            return err_set(err, EINVAL, "%s: the window is larger than the file", image->name);
        size = params->raw_size;
    }
    /* As a disk it has whole sectors; reads beyond the end of the file give zeros. */
    image->size = image->raw_window || image->file.block_device ? size : ALIGN_UP(size, (uint64_t)512);
    return 0;
}

static int raw_append_read(Image *image, uint64_t offset, uint64_t length, ImageRequest *request)
{
    if (image->luks != NULL)
        image_request_add_indirect(request, image, image->raw_base + offset, length, offset);
    else
        image_request_add(request, IMAGE_EXTENT_DATA, &image->file, image->raw_base + offset, length, 0);
    return 0;
}

static int raw_begin_write(Image *image, uint64_t offset, uint64_t length, ImageRequest *request)
{
    image_request_add(request, IMAGE_EXTENT_DATA, &image->file, image->raw_base + offset, length, 0);
    return 0;
}

static int raw_end_write(Image *image, ImageRequest *request, int status)
{
    return status;
}

static int raw_read_indirect(Image *image, const ImageExtent *extent, uint64_t skip, void *buffer, size_t length)
{
    return luks_read_range(image, &image->file, extent->offset + skip, extent->private_offset + skip, buffer, length);
}

static int raw_discard(Image *image, uint64_t offset, uint64_t length, ImageRequest *wait)
{
    /* A hole in an encrypted payload would read as noise. */
    if ((image->flags & IMAGE_OPEN_UNMAP) && image->luks == NULL)
        host_file_punch(&image->file, image->raw_base + offset, length);
    return 0;
}

static int raw_write_zeroes(Image *image, uint64_t offset, uint64_t length, bool unmap, ImageRequest *wait)
{
    static const uint8_t zeros[64 * 1024];

    if (image->luks == NULL)
        return host_file_zero(&image->file, image->raw_base + offset, length,
                              unmap && (image->flags & IMAGE_OPEN_UNMAP));
    while (length > 0) {
        size_t n = (size_t)MIN(length, (uint64_t)sizeof zeros);
        int ret = image_pwrite(image, zeros, n, offset);

        if (ret < 0)
            return ret;
        offset += n;
        length -= n;
    }
    return 0;
}

static int raw_flush(Image *image)
{
    return host_file_sync(&image->file);
}

static int raw_map(Image *image, uint64_t offset, uint64_t length, ImageMapEntry *ret)
{
    uint64_t at = image->raw_base + offset, end;
    off_t data, hole;

    ret->allocated = true;
    ret->data = true;
    ret->has_host_offset = image->luks == NULL;
    ret->host_offset = at;
    if (image->file.fd < 0 || image->file.block_device || image->luks != NULL)
        return 0;
    data = lseek(image->file.fd, (off_t)at, SEEK_DATA);
    if (data < 0 && errno != ENXIO)
        return 0;
    if (data < 0 || (uint64_t)data > at) {
        end = data < 0 ? at + length : (uint64_t)data;
        ret->data = false;
        ret->zero = true;
    } else {
        hole = lseek(image->file.fd, (off_t)at, SEEK_HOLE);
        end = hole < 0 ? at + length : (uint64_t)hole;
    }
    ret->length = MIN(length, MAX(end - at, (uint64_t)1));
    return 0;
}

static int raw_info(Image *image, ImageInfo *ret)
{
    ret->encrypted = image->format == IMAGE_FORMAT_LUKS;
    return 0;
}

static int raw_resize(Image *image, uint64_t size, ImagePreallocation preallocation, bool shrink, Err *err)
{
    uint64_t old = image->size, end = image->raw_base + size;
    int ret;

    if (image->raw_window)
        return err_set(err, ENOTSUP, "%s: a window of a file cannot be resized", image->name);
    if (preallocation == IMAGE_PREALLOC_METADATA)
        return err_set(err, EINVAL, "%s: raw images have no metadata to preallocate", image->name);
    if (image->file.block_device) {
        uint64_t have;

        ret = host_file_size(&image->file, &have);
        if (ret < 0 || end > have)
            return err_set(err, ret < 0 ? -ret : ENOSPC, "%s: the block device is smaller than that", image->name);
    } else {
        ret = host_file_truncate(&image->file, end);
        if (ret == 0 && size > old && preallocation != IMAGE_PREALLOC_OFF) {
            ret = host_file_allocate(&image->file, image->raw_base + old, size - old);
            if (ret == -ENOTSUP)
                ret = host_file_zero(&image->file, image->raw_base + old, size - old, false);
        }
        if (ret < 0) {
            host_file_truncate(&image->file, image->raw_base + old);
            return err_set(err, -ret, "%s: cannot resize: %s", image->name, strerror(-ret));
        }
    }
    image->size = size;
    return 0;
}

/* Where O_DIRECT takes whole blocks only, the last one went beyond the end of the disk. */
static int cut_last_block(Image *image)
{
    uint64_t end = image->raw_base + image->size, size;
    int ret;

    if (!image->file.direct || image->file.block_device || image->raw_window)
        return 0;
    ret = host_file_size(&image->file, &size);
    return ret == 0 && size > end && size == ALIGN_UP(end, (uint64_t)image->file.align)
               ? host_file_truncate(&image->file, end)
               : ret;
}

static int raw_finish(Image *image)
{
    int ret = cut_last_block(image);

    return ret < 0 ? ret : host_file_sync(&image->file);
}

static void raw_free(Image *image)
{
}

const ImageFormatOps image_raw_ops = {
    .open = raw_open,
    .finish = raw_finish,
    .free = raw_free,
    .append_read = raw_append_read,
    .begin_write = raw_begin_write,
    .end_write = raw_end_write,
    .read_indirect = raw_read_indirect,
    .discard = raw_discard,
    .write_zeroes = raw_write_zeroes,
    .flush = raw_flush,
    .map = raw_map,
    .info = raw_info,
    .resize = raw_resize,
};
