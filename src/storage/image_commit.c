/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moving data between the layers of a chain: commit into the backing image, rebase onto another one. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/qcow2.h"

#define COPY_CHUNK (1024u * 1024)

static int copy_range(Image *from, Image *to, uint64_t offset, uint64_t length, uint8_t *buf)
{
    while (length > 0) {
        size_t n = (size_t)MIN(length, (uint64_t)COPY_CHUNK);
        int ret = image_pread(from, buf, n, offset);

        if (ret == 0)
            ret = image_pwrite(to, buf, n, offset);
        if (ret < 0)
            return ret;
        offset += n;
        length -= n;
    }
    return 0;
}

int image_commit(Image *image, bool empty, bool (*stop)(void *opaque), void *opaque, Err *err)
{
    Image *below = image->backing;
    cleanup_free uint8_t *buf = malloc(COPY_CHUNK);
    int ret = 0;

    if (buf == NULL)
        return err_set(err, ENOMEM, "out of memory");
    if (below == NULL)
        return err_set(err, ENOENT, "%s: there is no backing image to commit to", image->name);
    if (below->read_only)
        return err_set(err, EROFS, "%s: the backing image is open read only", image->name);
    if (image_is_busy(image))
        return err_set(err, EBUSY, "%s: requests are in flight", image->name);
    if (below->size < image->size) {
        ret = image_resize(below, image->size, IMAGE_PREALLOC_OFF, false, err);
        if (ret < 0)
            return ret;
    }
    for (uint64_t at = 0; at < image->size && ret == 0;) {
        ImageMapEntry e;

        if (stop != NULL && stop(opaque))
            return err_set(err, ECANCELED, "%s: commit was cancelled", image->name);
        ret = image_map_layer(image, at, MIN(image->size - at, (uint64_t)64 * COPY_CHUNK), &e);
        if (ret < 0)
            break;
        if (e.allocated && e.zero)
            ret = image_write_zeroes(below, at, e.length, true, NULL);
        else if (e.allocated)
            ret = copy_range(image, below, at, e.length, buf);
        at += e.length;
    }
    if (ret == 0)
        ret = image_flush(below);
    if (ret == 0 && empty && image->format == IMAGE_FORMAT_QCOW2 && !image->read_only) {
        Qcow2 *q = qcow2_of(image);

        pthread_mutex_lock(&image->lock);
        ret = qcow2_prepare_write(q);
        if (ret == 0)
            ret = qcow2_drop_clusters(q, 0, DIV_ROUND_UP(image->size, q->cluster_size), true);
        for (int i = 0; i < 2 && ret == 0; i++)
            ret = qcow2_write_back_sync(q);
        pthread_mutex_unlock(&image->lock);
    }
    return ret < 0 ? err_set(err, -ret, "%s: cannot commit: %s", image->name, strerror(-ret)) : 0;
}

/* ---- Rebase ---- */

static int check_names(Image *image, const char *name, const char *format, Err *err)
{
    if (image->format != IMAGE_FORMAT_QCOW2)
        return err_set(err, ENOTSUP, "%s: only qcow2 images have a backing file", image->name);
    if (image->read_only)
        return err_set(err, EROFS, "%s: open read only", image->name);
    if (image_is_busy(image))
        return err_set(err, EBUSY, "%s: requests are in flight", image->name);
    if (name != NULL && (strlen(name) > QCOW2_MAX_NAME || name[0] == 0))
        return err_set(err, EINVAL, "%s: a backing file's name has 1 to %u bytes", image->name, QCOW2_MAX_NAME);
    if (format != NULL && strlen(format) >= sizeof qcow2_of(image)->h.backing_format)
        return err_set(err, EINVAL, "%s: '%s' is no format", image->name, format);
    if (name != NULL && qcow2_of(image)->data_raw)
        return err_set(err, EINVAL, "%s: an image with a raw data file has no backing file", image->name);
    return 0;
}

int image_set_backing_name(Image *image, const char *name, const char *format, Err *err)
{
    int ret = check_names(image, name, format, err);
    cleanup_free Qcow2Header *before = NULL;
    Qcow2 *q = image->state;

    if (ret < 0)
        return ret;
    before = malloc(sizeof *before);
    if (before == NULL)
        return err_set(err, ENOMEM, "out of memory");
    pthread_mutex_lock(&image->lock);
    *before = q->h;
    ret = qcow2_write_back_sync(q);
    if (ret < 0) {
        err_set(err, -ret, "%s: cannot write metadata back: %s", image->name, strerror(-ret));
    } else {
        memset(q->h.backing_name, 0, sizeof q->h.backing_name);
        memset(q->h.backing_format, 0, sizeof q->h.backing_format);
        if (name != NULL) {
            snprintf(q->h.backing_name, sizeof q->h.backing_name, "%s", name);
            snprintf(q->h.backing_format, sizeof q->h.backing_format, "%s", format != NULL ? format : "");
        }
        ret = qcow2_write_header(q, err);
        if (ret == 0 && (ret = host_file_sync(&image->file)) < 0)
            err_set(err, -ret, "%s: cannot write the header: %s", image->name, strerror(-ret));
        if (ret < 0)
            q->h = *before;
        else
            image->names_backing = name != NULL;
    }
    pthread_mutex_unlock(&image->lock);
    return ret;
}

static bool is_zero(const uint8_t *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Reads from a layer that may be absent or too short. */
static int read_layer(Image *layer, uint8_t *buf, size_t n, uint64_t at)
{
    size_t have = layer == NULL || at >= layer->size ? 0 : (size_t)MIN(layer->size - at, (uint64_t)n);

    memset(buf + have, 0, n - have);
    return have > 0 ? image_pread(layer, buf, have, at) : 0;
}

static int keep_differences(Image *image, Image *new_backing, uint64_t at, uint64_t length, uint8_t *old, uint8_t *new)
{
    Qcow2 *q = qcow2_of(image);

    while (length > 0) {
        /* A cluster at a time: that is what one write makes ours anyway. */
        size_t n = (size_t)MIN(length, q->cluster_size - (at & (q->cluster_size - 1)));
        int ret = read_layer(image->backing, old, n, at);

        if (ret == 0)
            ret = read_layer(new_backing, new, n, at);
        if (ret == 0 && memcmp(old, new, n) != 0)
            ret = is_zero(old, n) ? image_write_zeroes(image, at, n, true, NULL) : image_pwrite(image, old, n, at);
        if (ret < 0)
            return ret;
        at += n;
        length -= n;
    }
    return 0;
}

int image_rebase(Image *image, Image *new_backing, const char *name, const char *format, Err *err)
{
    cleanup_free uint8_t *old = NULL, *new = NULL;
    int ret = check_names(image, name, format, err);

    if (ret < 0)
        return ret;
    if (image->names_backing && image->backing == NULL)
        return err_set(err, ENODEV, "%s: opened without its backing image: only the name can be changed", image->name);
    old = malloc(qcow2_of(image)->cluster_size);
    new = malloc(qcow2_of(image)->cluster_size);
    if (old == NULL || new == NULL)
        return err_set(err, ENOMEM, "out of memory");
    qcow2_of(image)->below_later = new_backing != NULL;
    for (uint64_t at = 0; at < image->size && ret == 0;) {
        ImageMapEntry e;

        ret = image_map_layer(image, at, image->size - at, &e);
        if (ret == 0 && !e.allocated)
            ret = keep_differences(image, new_backing, at, e.length, old, new);
        at += e.length;
    }
    qcow2_of(image)->below_later = false;
    if (ret == 0)
        ret = image_flush(image);
    if (ret < 0)
        return err_set(err, -ret, "%s: cannot copy from the old backing image: %s", image->name, strerror(-ret));
    ret = image_set_backing_name(image, name, format, err);
    if (ret < 0)
        return ret;
    image_close(image->backing);
    image->backing = new_backing;
    return 0;
}
