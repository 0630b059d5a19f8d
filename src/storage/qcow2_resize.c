/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qcow2: larger L1 tables, growing and shrinking the disk, preallocation. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/qcow2.h"

/* Lock held. A larger table in a new place; the header switches in one write. */
int qcow2_grow_l1(Qcow2 *q, uint64_t entries)
{
    uint64_t bytes, cluster, n, old_offset = q->h.l1_offset, old_bytes = (uint64_t)q->l1_size * 8;
    cleanup_free uint64_t *table = NULL;
    cleanup_free uint8_t *flags = NULL;
    void **retired;
    uint8_t fields[12];
    bool fresh;
    int ret;

    if (entries <= q->l1_size)
        return 0;
    if (entries * 8 > QCOW2_MAX_L1_BYTES)
        return -EFBIG;
    ret = qcow2_write_back_sync(q);
    if (ret < 0)
        return ret;
    n = DIV_ROUND_UP(entries * 8, q->cluster_size);
    bytes = n * q->cluster_size;
    table = calloc(1, bytes);
    flags = calloc(entries / 64 + 1, 1);
    retired = realloc(q->retired, sizeof *retired * (q->n_retired + 1));
    if (retired != NULL)
        q->retired = retired;
    if (table == NULL || flags == NULL || retired == NULL)
        return -ENOMEM;
    ret = qcow2_alloc_clusters(q, n, true, &cluster, NULL, &fresh);
    if (ret < 0)
        return ret;
    for (uint32_t i = 0; i < q->l1_size; i++)
        table[i] = __builtin_bswap64(q->l1[i]);
    ret = host_file_pwrite(&q->image->file, table, bytes, cluster << q->cluster_bits);
    if (ret == 0)
        ret = meta_cache_write(&q->rc);
    if (ret == 0)
        ret = qcow2_sync(q);
    if (ret < 0) {
        qcow2_free_later(q, cluster, n, false);
        return ret;
    }
    put_be32(fields, (uint32_t)entries);
    put_be64(fields + 4, cluster << q->cluster_bits);
    ret = qcow2_switch(q, fields, sizeof fields, QCOW2_AT_L1, "a larger L1 table");
    if (ret < 0) {
        qcow2_free_later(q, cluster, n, false);
        return ret;
    }
    for (uint32_t i = 0; i < q->l1_size; i++)
        table[i] = q->l1[i];
    q->retired[q->n_retired++] = q->l1;
    seq_begin(&q->seq);
    q->l1 = take_ptr(table);
    q->l1_size = (uint32_t)entries;
    seq_end(&q->seq);
    free(q->l1_dirty);
    q->l1_dirty = take_ptr(flags);
    q->h.l1_size = (uint32_t)entries;
    q->h.l1_offset = cluster << q->cluster_bits;
    meta_set_remove(&q->meta, old_offset >> q->cluster_bits, DIV_ROUND_UP(old_bytes, q->cluster_size));
    ret = meta_set_add(&q->meta, cluster, n, META_L1);
    if (ret == 0 && old_bytes > 0)
        ret = qcow2_free_later(q, old_offset >> q->cluster_bits, DIV_ROUND_UP(old_bytes, q->cluster_size), false);
    return ret;
}

int qcow2_preallocate(Qcow2 *q, uint64_t offset, uint64_t length, ImagePreallocation mode)
{
    Image *image = q->image;
    HostFile *file = image_data_file(image);
    uint64_t file_size, top = 0;
    int ret = host_file_size(file, &file_size);

    while (ret == 0 && length > 0) {
        ImageRequest request = {.resume = NULL, .image = image};

        request.epoch = image_epoch_enter(image);
        ret = qcow2_begin_write(image, offset, length, &request);
        if (ret < 0) {
            image_epoch_leave(image, request.epoch);
            break;
        }
        for (unsigned i = 0; i < request.n_extents && ret == 0; i++) {
            const ImageExtent *e = &request.extents[i];

            if (e->kind == IMAGE_EXTENT_FILL)
                ret = host_file_pwrite(file, e->buffer, e->length, e->offset);
            else if (mode == IMAGE_PREALLOC_FALLOC && !image->luks)
                ret = host_file_allocate(file, e->offset, e->length);
            if (e->kind == IMAGE_EXTENT_DATA &&
                (ret == -ENOTSUP || mode == IMAGE_PREALLOC_FULL || (ret == 0 && e->offset < file_size)))
                ret = host_file_zero(file, e->offset, e->length, mode == IMAGE_PREALLOC_METADATA);
            top = MAX(top, e->offset + e->length);
        }
        offset += request.length;
        length -= request.length;
        ret = image_end(&request, ret);
    }
    if (ret == 0)
        ret = host_file_size(file, &file_size);
    if (ret == 0 && top > file_size)
        ret = host_file_truncate(file, top);
    return ret;
}

/* What becomes visible by growing must read as zeros: the rest of the last cluster, and data of a larger image below. */
static int hide_old_data(Image *image, uint64_t old, uint64_t size)
{
    Qcow2 *q = qcow2_of(image);
    uint64_t stop = MIN(size, ALIGN_UP(old, q->cluster_size));

    if (image->backing != NULL && image->backing->size > old)
        stop = MAX(stop, MIN(size, image->backing->size));
    return stop > old ? image_write_zeroes(image, old, stop - old, true, NULL) : 0;
}

static int write_size(Qcow2 *q, uint64_t size)
{
    uint8_t field[8];
    int ret;

    put_be64(field, size);
    ret = host_file_pwrite(&q->image->file, field, sizeof field, QCOW2_AT_SIZE);
    if (ret == 0) {
        q->h.size = size;
        ret = qcow2_sync(q);
    }
    return ret;
}

static int grow(Image *image, uint64_t size, ImagePreallocation preallocation, Err *err)
{
    Qcow2 *q = qcow2_of(image);
    uint64_t old = image->size;
    int ret;

    pthread_mutex_lock(&image->lock);
    ret = qcow2_prepare_write(q);
    if (ret == 0)
        ret = qcow2_grow_l1(q, qcow2_l1_entries_for(q, size));
    if (ret == 0) /* left over from a shrinking that was cut off, or VM state */
        ret = qcow2_drop_clusters(q, DIV_ROUND_UP(old, q->cluster_size),
                                  DIV_ROUND_UP(size, q->cluster_size) - DIV_ROUND_UP(old, q->cluster_size), true);
    pthread_mutex_unlock(&image->lock);
    if (ret < 0)
        return err_set(err, -ret, "%s: cannot enlarge the L1 table: %s", image->name, strerror(-ret));
    if (q->external && (image->data.fd >= 0 || image->data.io != NULL)) {
        ret = host_file_truncate(&image->data, size);
        if (ret < 0)
            return err_set(err, -ret, "%s: cannot enlarge the data file: %s", image->name, strerror(-ret));
    }
    image->size = size;
    ret = hide_old_data(image, old, size);
    if (ret == 0 && preallocation != IMAGE_PREALLOC_OFF)
        ret = qcow2_preallocate(q, old, size - old, preallocation);
    pthread_mutex_lock(&image->lock);
    if (ret == 0)
        ret = qcow2_write_back_sync(q);
    if (ret == 0)
        ret = write_size(q, size);
    pthread_mutex_unlock(&image->lock);
    if (ret < 0) {
        image->size = old;
        return err_set(err, -ret, "%s: cannot grow to %llu bytes: %s", image->name, (unsigned long long)size,
                       strerror(-ret));
    }
    return 0;
}

/* Lock held: L2 tables that describe nothing of the disk any more. */
static int drop_tables(Qcow2 *q, uint64_t from)
{
    int ret = 0;

    for (uint32_t i = (uint32_t)from; i < q->l1_size && ret == 0; i++) {
        uint64_t table = q->l1[i] & QCOW2_OFFSET_MASK;

        if (table == 0)
            continue;
        meta_cache_drop(&q->l2, table, q->cluster_size);
        meta_set_remove(&q->meta, table >> q->cluster_bits, 1);
        qcow2_set_l1(q, i, 0);
        ret = qcow2_free_later(q, table >> q->cluster_bits, 1, false);
    }
    return ret;
}

static int shrink_to(Image *image, uint64_t size, Err *err)
{
    Qcow2 *q = qcow2_of(image);
    /* To the end of the tables: VM state that was left behind the disk goes too. */
    uint64_t first = DIV_ROUND_UP(size, q->cluster_size), end = (uint64_t)q->l1_size << q->l2_bits;
    uint64_t file_size, used;
    int ret;

    if (q->n_snapshots > 0)
        return err_set(err, ENOTSUP, "%s: an image with internal snapshots cannot shrink", image->name);
    /* The smaller size first: from then on nobody expects what is dropped. */
    pthread_mutex_lock(&image->lock);
    ret = qcow2_prepare_write(q);
    if (ret == 0)
        ret = qcow2_write_back_sync(q);
    if (ret == 0)
        ret = write_size(q, size);
    if (ret == 0) {
        image->size = size;
        ret = qcow2_drop_clusters(q, first, end - first, true);
    }
    if (ret == 0)
        ret = qcow2_write_back_sync(q);
    if (ret == 0)
        ret = drop_tables(q, qcow2_l1_entries_for(q, size));
    for (int i = 0; i < 3 && ret == 0; i++)
        ret = qcow2_write_back_sync(q);
    /* Give the end of the file back when nothing is there any more. */
    if (ret == 0 && host_file_size(&image->file, &file_size) == 0 && !image->file.block_device) {
        uint64_t count = 0;

        for (used = MIN(DIV_ROUND_UP(file_size, q->cluster_size), q->fresh_from); used > 1; used--)
            if (qcow2_refcount_get(q, used - 1, &count) < 0 || count > 0)
                break;
        if (used << q->cluster_bits < file_size && host_file_truncate(&image->file, used << q->cluster_bits) == 0)
            q->fresh_from = used;
    }
    if (ret == 0 && q->external && (image->data.fd >= 0 || image->data.io != NULL))
        ret = host_file_truncate(&image->data, size);
    pthread_mutex_unlock(&image->lock);
    if (ret < 0)
        return err_set(err, -ret, "%s: cannot shrink to %llu bytes: %s", image->name, (unsigned long long)size,
                       strerror(-ret));
    return 0;
}

int qcow2_resize(Image *image, uint64_t size, ImagePreallocation preallocation, bool shrink, Err *err)
{
    Qcow2 *q = qcow2_of(image);

    if (image->corrupt)
        return err_set(err, EIO, "%s: the image is corrupt: repair it first", image->name);
    if (size == image->size)
        return 0;
    if (q->h.version < 3 && q->n_snapshots > 0)
        return err_set(err, ENOTSUP, "%s: a version 2 image with snapshots cannot be resized", image->name);
    if (preallocation != IMAGE_PREALLOC_OFF && image->names_backing)
        return err_set(err, EINVAL, "%s: preallocation would hide the backing image", image->name);
    return size > image->size ? grow(image, size, preallocation, err) : shrink_to(image, size, err);
}
