/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qcow2: opening, the header's flags, and bringing cached metadata to the file in the order qcow2.h promises. */
#include "config.h"

#include "storage/qcow2.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"

#define SLICE_SIZE 4096u
#define DEFAULT_CACHE (1024u * 1024)

/* ---- Header flags ---- */

int qcow2_write_features(Qcow2 *q)
{
    uint8_t fields[24];

    if (q->h.version < 3)
        return 0;
    put_be64(fields, q->h.incompatible);
    put_be64(fields + 8, q->h.compatible);
    put_be64(fields + 16, q->h.autoclear);
    return host_file_pwrite(&q->image->file, fields, sizeof fields, QCOW2_AT_FEATURES);
}

int qcow2_corrupt(Qcow2 *q, const char *format, ...)
{
    Image *image = q->image;
    char text[256];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (!image->corrupt) {
        image_complain(image, EIO, "%s: image is corrupt: %s%s", image->name, text,
                       image->read_only ? "" : "; no more writes until it is repaired");
        image->corrupt = true;
        if (!image->read_only && q->h.version >= 3) {
            q->h.incompatible |= QCOW2_INCOMPAT_CORRUPT;
            if (qcow2_write_features(q) == 0)
                host_file_sync(&image->file);
        }
    }
    return -EIO;
}

int qcow2_switch(Qcow2 *q, const void *fields, size_t length, uint64_t at, const char *what)
{
    int ret = host_file_pwrite(&q->image->file, fields, length, at);

    if (ret == -ENOSPC)
        return ret; /* of a few bytes in one sector none were written */
    if (ret == 0)
        ret = qcow2_sync(q);
    return ret < 0 ? qcow2_corrupt(q, "cannot switch to %s: %s", what, strerror(-ret)) : 0;
}

int qcow2_mark_dirty(Qcow2 *q)
{
    int ret;

    if (q->h.version < 3 || q->marked_dirty)
        return 0;
    q->h.incompatible |= QCOW2_INCOMPAT_DIRTY;
    ret = qcow2_write_features(q);
    if (ret == 0)
        ret = host_file_sync(&q->image->file);
    if (ret == 0)
        q->marked_dirty = true;
    return ret;
}

int qcow2_clear_dirty(Qcow2 *q)
{
    int ret;

    if (!q->marked_dirty)
        return 0;
    q->h.incompatible &= ~QCOW2_INCOMPAT_DIRTY;
    ret = qcow2_write_features(q);
    if (ret == 0)
        q->marked_dirty = false;
    else
        q->h.incompatible |= QCOW2_INCOMPAT_DIRTY;
    return ret;
}

int qcow2_prepare_write(Qcow2 *q)
{
    int ret;

    if (q->prepared && (!qcow2_lazy(q) || q->marked_dirty))
        return 0;
    /* We know bitmaps, but do not keep them up to date: whoever does must see that. */
    if (q->h.version >= 3 && (q->h.autoclear & ~QCOW2_AUTOCLEAR_DATA_RAW) != 0) {
        q->h.autoclear &= QCOW2_AUTOCLEAR_DATA_RAW;
        ret = qcow2_write_features(q);
        if (ret == 0)
            ret = host_file_sync(&q->image->file);
        if (ret < 0)
            return ret;
    }
    if (qcow2_lazy(q)) {
        ret = qcow2_mark_dirty(q);
        if (ret < 0)
            return ret;
    }
    q->prepared = true;
    return 0;
}

int qcow2_write_header(Qcow2 *q, Err *err)
{
    cleanup_free uint8_t *buf = malloc(q->cluster_size);
    int ret;

    if (buf == NULL)
        return err_set(err, ENOMEM, "out of memory");
    ret = qcow2_header_build(&q->h, q->head, buf, q->cluster_size);
    if (ret < 0)
        return err_set(err, -ret, "%s: the header does not fit the first cluster (%llu bytes)", q->image->name,
                       (unsigned long long)q->cluster_size);
    ret = host_file_pwrite(&q->image->file, buf, q->cluster_size, 0);
    if (ret < 0)
        return err_set(err, -ret, "%s: cannot write the header: %s", q->image->name, strerror(-ret));
    memcpy(q->head, buf, q->cluster_size);
    /* Unknown extensions have moved. */
    ret = qcow2_header_parse(q->head, q->cluster_size, &q->h, err);
    return ret;
}

/* ---- Writing back ---- */

int qcow2_sync(Qcow2 *q)
{
    int ret = 0;

    if (q->external && (q->image->data.fd >= 0 || q->image->data.io != NULL))
        ret = host_file_sync(&q->image->data);
    return ret < 0 ? ret : host_file_sync(&q->image->file);
}

static int sync_needed(Qcow2 *q)
{
    int ret;

    if (!q->need_sync)
        return 0;
    ret = qcow2_sync(q);
    if (ret == 0)
        q->need_sync = false;
    return ret;
}

static int write_l1(Qcow2 *q)
{
    uint32_t n = q->l1_size;

    for (uint32_t s = 0; s * 64 < n; s++) {
        uint8_t sector[512];
        uint32_t k = MIN(n - s * 64, 64u);
        int ret;

        if (!q->l1_dirty[s])
            continue;
        for (uint32_t i = 0; i < k; i++)
            put_be64(sector + i * 8, q->l1[s * 64 + i]);
        ret = host_file_pwrite(&q->image->file, sector, (size_t)k * 8, q->h.l1_offset + (uint64_t)s * 512);
        if (ret < 0)
            return ret;
        q->l1_dirty[s] = 0;
    }
    q->l1_is_dirty = false;
    return 0;
}

int qcow2_write_back(Qcow2 *q)
{
    int ret = 0;

    if (!qcow2_lazy(q) && q->rc.n_dirty > 0) {
        ret = meta_cache_write(&q->rc);
        q->need_sync = true;
    }
    if (ret == 0 && q->l2.n_dirty > 0) {
        ret = sync_needed(q);
        if (ret == 0)
            ret = meta_cache_write(&q->l2);
        q->need_sync = true; /* L1 entries rely on L2 tables */
    }
    if (ret == 0 && q->l1_is_dirty) {
        ret = sync_needed(q);
        if (ret == 0)
            ret = write_l1(q);
    }
    if (ret == 0)
        q->pending_written = q->pending_tail;
    return ret;
}

static int make_l2_clean(void *opaque)
{
    return qcow2_write_back(opaque);
}

static int make_rc_clean(void *opaque)
{
    Qcow2 *q = opaque;
    int ret = meta_cache_write(&q->rc);

    q->need_sync = true;
    return ret;
}

int qcow2_write_back_sync(Qcow2 *q)
{
    int ret = qcow2_write_back(q);

    if (ret == 0)
        ret = qcow2_sync(q);
    if (ret < 0)
        return ret;
    q->need_sync = q->l2.n_dirty > 0 && q->need_sync;
    q->pending_safe = q->pending_written;
    return qcow2_process_pending(q);
}

/* Guest flush: other threads may go on while the disk is waited for. */
static int qcow2_flush(Image *image)
{
    Qcow2 *q = qcow2_of(image);
    uint64_t written;
    int ret;

    pthread_mutex_lock(&image->lock);
    ret = image->corrupt ? -EIO : qcow2_write_back(q);
    written = q->pending_written;
    pthread_mutex_unlock(&image->lock);
    if (ret == 0)
        ret = qcow2_sync(q);
    if (ret == 0 && written != 0) {
        pthread_mutex_lock(&image->lock);
        q->pending_safe = MAX(q->pending_safe, written);
        ret = qcow2_process_pending(q);
        pthread_mutex_unlock(&image->lock);
    }
    return ret;
}

static int qcow2_finish(Image *image)
{
    Qcow2 *q = qcow2_of(image);
    int ret = 0, r;

    pthread_mutex_lock(&image->lock);
    if (image->corrupt) {
        ret = -EIO;
        goto out;
    }
    if (q->prepared) {
        if (q->pack_cluster != 0) {
            q->pack_cluster = 0;
            q->pack_used = 0;
        }
        ret = qcow2_write_back_sync(q);
        if (ret == 0)
            ret = qcow2_write_back_sync(q); /* what became free was in the epoch before */
        if (ret == 0 && q->rc.n_dirty > 0)
            ret = meta_cache_write(&q->rc);
        if (ret == 0 && q->miscounted)
            (void)qcow2_recount(q);
        if (ret == 0 && q->marked_dirty && !q->miscounted) {
            ret = host_file_sync(&image->file);
            if (ret == 0)
                ret = qcow2_clear_dirty(q);
        }
    }
    r = qcow2_sync(q);
    if (ret == 0)
        ret = r;
    if (ret == 0)
        q->prepared = false;
out:
    pthread_mutex_unlock(&image->lock);
    return ret;
}

/* ---- Opening ---- */

uint64_t qcow2_l1_entries_for(const Qcow2 *q, uint64_t size)
{
    return (size >> (q->cluster_bits + q->l2_bits)) +
           ((size & ((1ull << (q->cluster_bits + q->l2_bits)) - 1)) != 0);
}

static void derive_geometry(Qcow2 *q)
{
    q->cluster_bits = q->h.cluster_bits;
    q->cluster_size = 1ull << q->cluster_bits;
    q->entry_size = q->h.incompatible & QCOW2_INCOMPAT_EXTENDED_L2 ? 16 : 8;
    q->n_sc = q->entry_size == 16 ? 32 : 1;
    q->sc_bits = q->entry_size == 16 ? q->cluster_bits - 5 : q->cluster_bits;
    q->l2_bits = q->cluster_bits - (q->entry_size == 16 ? 4 : 3);
    q->slice_entries = (uint32_t)MIN(q->cluster_size, (uint64_t)SLICE_SIZE) / q->entry_size;
    q->refblock_bits = q->cluster_bits + 3 - q->h.refcount_order;
    q->max_refcount = q->h.refcount_order == 6 ? UINT64_MAX : (1ull << (1u << q->h.refcount_order)) - 1;
    q->external = q->h.incompatible & QCOW2_INCOMPAT_DATA_FILE;
    q->data_raw = q->external && (q->h.autoclear & QCOW2_AUTOCLEAR_DATA_RAW);
}

/* A table of 64-bit numbers; what the file is too short for reads as zeros, but most of it must be there. */
static int load_table(Qcow2 *q, uint64_t offset, uint64_t entries, const char *what, uint64_t **ret_table, Err *err)
{
    uint64_t *table, file_size, bytes = entries * 8;
    int ret = host_file_size(&q->image->file, &file_size);

    if (ret < 0)
        return err_set(err, -ret, "%s: cannot tell the size: %s", q->image->name, strerror(-ret));
    if (offset > file_size || bytes > file_size - offset + q->cluster_size)
        return err_set(err, EINVAL, "%s: the %s lies behind the end of the file", q->image->name, what);
    table = calloc(MAX(entries, (uint64_t)1), 8);
    if (table == NULL)
        return err_set(err, ENOMEM, "out of memory");
    if (bytes > 0)
        ret = host_file_pread(&q->image->file, table, bytes, offset);
    if (ret < 0) {
        free(table);
        return err_set(err, -ret, "%s: cannot read the %s: %s", q->image->name, what, strerror(-ret));
    }
    for (uint64_t i = 0; i < entries; i++)
        table[i] = __builtin_bswap64(table[i]);
    *ret_table = table;
    return 0;
}

static void free_tables(Qcow2 *q)
{
    free(q->l1);
    q->l1 = NULL;
    free(q->l1_dirty);
    q->l1_dirty = NULL;
    free(q->reftable);
    q->reftable = NULL;
    for (unsigned i = 0; i < q->n_retired; i++)
        free(q->retired[i]);
    free(q->retired);
    q->retired = NULL;
    q->n_retired = 0;
    qcow2_snapshots_free(q);
    meta_set_free(&q->meta);
    meta_cache_free(&q->l2);
    meta_cache_free(&q->rc);
}

static int init_caches(Qcow2 *q, size_t bytes)
{
    uint32_t slice = (uint32_t)MIN(q->cluster_size, (uint64_t)SLICE_SIZE);
    int ret;

    if (bytes == 0)
        bytes = DEFAULT_CACHE;
    ret = meta_cache_init(&q->l2, &q->image->file, slice, bytes * 3 / 4);
    if (ret == 0)
        ret = meta_cache_init(&q->rc, &q->image->file, slice, bytes / 4);
    q->l2.seq = &q->seq;
    q->l2.make_clean = make_l2_clean;
    q->rc.make_clean = make_rc_clean;
    q->l2.opaque = q->rc.opaque = q;
    return ret;
}

static int load_tables(Qcow2 *q, Err *err)
{
    uint64_t *table, file_size, need = qcow2_l1_entries_for(q, q->h.size);
    int ret;

    if (need * 8 > QCOW2_MAX_L1_BYTES)
        return err_set(err, EFBIG, "%s: virtual size %llu is too large for its cluster size", q->image->name,
                       (unsigned long long)q->h.size);
    if (q->h.l1_size < need)
        return err_set(err, EINVAL, "%s: the L1 table is too small for the virtual size", q->image->name);
    ret = load_table(q, q->h.l1_offset, q->h.l1_size, "L1 table", &table, err);
    if (ret < 0)
        return ret;
    q->l1 = table;
    q->l1_size = q->h.l1_size;
    q->l1_dirty = calloc(q->h.l1_size / 64 + 1, 1);
    q->reftable_size = (uint32_t)((uint64_t)q->h.reftable_clusters << q->cluster_bits >> 3);
    ret = load_table(q, q->h.reftable_offset, q->reftable_size, "refcount table", &q->reftable, err);
    if (ret < 0)
        return ret;
    if (q->l1_dirty == NULL)
        return err_set(err, ENOMEM, "out of memory");
    q->reftable_odd = false;
    for (uint32_t i = 0; i < q->reftable_size; i++) {
        q->reftable_odd |= (q->reftable[i] & QCOW2_REFTABLE_RESERVED) != 0;
        q->reftable[i] &= ~QCOW2_REFTABLE_RESERVED;
    }
    ret = host_file_size(&q->image->file, &file_size);
    if (ret < 0)
        return err_set(err, -ret, "%s: cannot tell the size: %s", q->image->name, strerror(-ret));
    q->fresh_from = q->image->file.block_device ? UINT64_MAX >> q->cluster_bits
                                                : (file_size + q->cluster_size - 1) >> q->cluster_bits;
    q->free_hint = 0;
    return qcow2_snapshots_load(q, err);
}

int qcow2_load_meta_set(Qcow2 *q)
{
    uint64_t mask = q->cluster_size - 1;
    int ret = meta_set_add(&q->meta, 0, 1, META_HEADER);

#define ADD(offset, bytes, kind)                                                                             \
    do {                                                                                                     \
        if (ret == 0)                                                                                        \
            ret = meta_set_add(&q->meta, (offset) >> q->cluster_bits, ((bytes) + mask) >> q->cluster_bits,    \
                               kind);                                                                        \
    } while (0)

    ADD(q->h.l1_offset, (uint64_t)q->l1_size * 8, META_L1);
    ADD(q->h.reftable_offset, (uint64_t)q->h.reftable_clusters << q->cluster_bits, META_REFTABLE);
    for (uint32_t i = 0; i < q->reftable_size; i++)
        if (q->reftable[i] != 0)
            ADD(q->reftable[i], q->cluster_size, META_REFBLOCK);
    for (uint32_t i = 0; i < q->l1_size; i++)
        if (q->l1[i] & QCOW2_OFFSET_MASK)
            ADD(q->l1[i] & QCOW2_OFFSET_MASK, q->cluster_size, META_L2);
    if (q->n_snapshots > 0)
        ADD(q->h.snapshots_offset, q->snapshots_bytes, META_SNAPSHOTS);
    for (uint32_t i = 0; i < q->n_snapshots; i++)
        ADD(q->snapshots[i].l1_offset, (uint64_t)q->snapshots[i].l1_size * 8, META_SNAPSHOT_L1);
    if (q->h.has_crypt)
        ADD(q->h.crypt_offset, q->h.crypt_length, META_CRYPT);
    if (q->h.has_bitmaps && (q->h.autoclear & QCOW2_AUTOCLEAR_BITMAPS) && q->h.bitmap_dir_size <= (64u << 20))
        ADD(q->h.bitmap_dir_offset, q->h.bitmap_dir_size, META_BITMAPS);
#undef ADD
    return ret;
}

static int crypt_read(void *opaque, void *buffer, size_t length, uint64_t offset)
{
    Qcow2 *q = opaque;

    if (!range_inside(offset, length, q->h.crypt_length))
        return -EINVAL;
    return host_file_pread(&q->image->file, buffer, length, q->h.crypt_offset + offset);
}

static int qcow2_open(Image *image, const ImageOpenParams *params, Err *err)
{
    Qcow2 *q = calloc(1, sizeof *q);
    cleanup_free uint8_t *start = calloc(1, 512);
    uint32_t bits;
    int ret;

    if (q == NULL || start == NULL) {
        free(q);
        return err_set(err, ENOMEM, "out of memory");
    }
    q->image = image;
    pthread_mutex_init(&q->unpack_lock, NULL);
    image->state = q;
    ret = host_file_pread(&image->file, start, 512, 0);
    if (ret < 0)
        return err_set(err, -ret, "%s: cannot read the header: %s", image->name, strerror(-ret));
    bits = get_be32(start + 20);
    bits = bits < QCOW2_MIN_CLUSTER_BITS || bits > QCOW2_MAX_CLUSTER_BITS ? QCOW2_MIN_CLUSTER_BITS : bits;
    q->head = calloc(1, 1ull << bits);
    if (q->head == NULL)
        return err_set(err, ENOMEM, "out of memory");
    ret = host_file_pread(&image->file, q->head, 1ull << bits, 0);
    if (ret < 0)
        return err_set(err, -ret, "%s: cannot read the header: %s", image->name, strerror(-ret));
    ret = qcow2_header_parse(q->head, 1ull << bits, &q->h, err);
    if (ret < 0)
        return err != NULL ? err_prefix(err, "%s", image->name) : ret;
    derive_geometry(q);
    image->size = q->h.size;
    image->names_backing = q->h.backing_name[0] != 0;
    if (q->h.incompatible & QCOW2_INCOMPAT_CORRUPT) {
        if (!image->read_only && !(params->flags & IMAGE_OPEN_CHECK))
            return err_set(err, EROFS, "%s: the image is marked corrupt: repair it (kite-image check -r all)",
                           image->name);
        image->corrupt = true;
        image_complain(image, EIO, "%s: the image is marked corrupt", image->name);
    }
    if (q->h.crypt_method == QCOW2_CRYPT_AES)
        return err_set(err, ENOTSUP, "%s: qcow2's old AES encryption is not supported: convert the image with LUKS",
                       image->name);
    if (q->h.crypt_method == QCOW2_CRYPT_LUKS &&
        !((params->flags & (IMAGE_OPEN_NO_BACKING | IMAGE_OPEN_CHECK)) && params->passphrase == NULL)) {
        uint64_t payload;

        ret = luks_open(crypt_read, q, params->passphrase, params->passphrase_len, &image->luks, &payload, err);
        if (ret < 0)
            return err != NULL ? err_prefix(err, "%s", image->name) : ret;
    }
    ret = init_caches(q, params->cache_size);
    if (ret < 0)
        return err_set(err, -ret, "out of memory");
    ret = load_tables(q, err);
    if (ret < 0)
        return ret;
    if (!image->read_only) {
        ret = qcow2_load_meta_set(q);
        if (ret < 0)
            return err_set(err, -ret, "out of memory");
    }
    return 0;
}

/* The image was not closed after lazy refcounts or a snapshot: count again before anything is allocated. */
static int qcow2_opened(Image *image, Err *err)
{
    Qcow2 *q = qcow2_of(image);
    ImageCheck check;
    int ret;

    if (!(q->h.incompatible & QCOW2_INCOMPAT_DIRTY) || image->read_only || (image->flags & IMAGE_OPEN_CHECK))
        return 0;
    ret = image_check(image, IMAGE_REPAIR_ALL, NULL, NULL, &check, err);
    if (ret < 0)
        return ret;
    if (check.corruptions > 0 || check.check_errors > 0)
        return err_set(err, EIO, "%s: the image was not closed and could not be repaired (%llu errors left)",
                       image->name, (unsigned long long)(check.corruptions + check.check_errors));
    return 0;
}

int qcow2_reload(Qcow2 *q, Err *err)
{
    int ret;

    free_tables(q);
    q->pending_head = q->pending_safe = q->pending_written = q->pending_tail;
    q->l1_is_dirty = q->need_sync = false;
    q->prepared = false;
    ret = host_file_pread(&q->image->file, q->head, q->cluster_size, 0);
    if (ret < 0)
        return err_set(err, -ret, "%s: cannot read the header: %s", q->image->name, strerror(-ret));
    ret = qcow2_header_parse(q->head, q->cluster_size, &q->h, err);
    if (ret == 0 && (ret = init_caches(q, 0)) < 0)
        err_set(err, -ret, "out of memory");
    if (ret == 0)
        ret = load_tables(q, err);
    if (ret == 0 && !q->image->read_only && (ret = qcow2_load_meta_set(q)) < 0)
        err_set(err, -ret, "out of memory");
    q->image->corrupt = q->h.incompatible & QCOW2_INCOMPAT_CORRUPT;
    q->marked_dirty = q->h.incompatible & QCOW2_INCOMPAT_DIRTY;
    q->image->size = q->h.size;
    return ret;
}

static void qcow2_free(Image *image)
{
    Qcow2 *q = qcow2_of(image);

    free_tables(q);
    free(q->pending);
    free(q->head);
    free(q->unpacked);
    free(q->packed);
    pthread_mutex_destroy(&q->unpack_lock);
    free(q);
    image->state = NULL;
}

static int qcow2_info(Image *image, ImageInfo *ret)
{
    Qcow2 *q = qcow2_of(image);

    pthread_mutex_lock(&image->lock);
    ret->cluster_size = (uint32_t)q->cluster_size;
    ret->version = q->h.version;
    ret->refcount_bits = 1u << q->h.refcount_order;
    ret->dirty = q->h.incompatible & QCOW2_INCOMPAT_DIRTY;
    ret->corrupt = image->corrupt;
    ret->lazy_refcounts = qcow2_lazy(q);
    ret->extended_l2 = q->entry_size == 16;
    ret->encrypted = q->h.crypt_method != QCOW2_CRYPT_NONE;
    ret->zstd = q->h.compression == 1;
    ret->external_data = q->external;
    ret->external_data_raw = q->data_raw;
    ret->has_bitmaps = q->h.has_bitmaps && (q->h.autoclear & QCOW2_AUTOCLEAR_BITMAPS);
    ret->n_snapshots = q->n_snapshots;
    if (image->file.block_device)
        ret->high_offset = image->file.write_end;
    else
        ret->high_offset = MIN(MAX(ret->file_size, q->fresh_from << q->cluster_bits),
                               ALIGN_UP(ret->file_size, q->cluster_size));
    memcpy(ret->backing_name, q->h.backing_name, sizeof ret->backing_name);
    memcpy(ret->backing_format, q->h.backing_format, sizeof ret->backing_format);
    memcpy(ret->data_file, q->h.data_file, sizeof ret->data_file);
    pthread_mutex_unlock(&image->lock);
    return 0;
}

int image_set_cache_size(Image *image, size_t bytes)
{
    Qcow2 *q = qcow2_of(image);
    int ret;

    if (image->format != IMAGE_FORMAT_QCOW2)
        return 0;
    if (image_is_busy(image))
        return -EBUSY;
    ret = image->read_only || image->corrupt ? 0 : qcow2_write_back_sync(q);
    if (ret == 0 && q->rc.n_dirty > 0)
        ret = meta_cache_write(&q->rc);
    if (ret < 0)
        return ret;
    meta_cache_free(&q->l2);
    meta_cache_free(&q->rc);
    return init_caches(q, bytes);
}

static int qcow2_read_indirect(Image *image, const ImageExtent *extent, uint64_t skip, void *buffer, size_t length)
{
    Qcow2 *q = qcow2_of(image);

    if (extent->offset & QCOW2_COMPRESSED)
        return qcow2_unpack(q, extent->offset, extent->private_offset + skip, buffer, length);
    return luks_read_range(image, image_data_file(image), extent->offset + skip, extent->offset + skip, buffer, length);
}

const ImageFormatOps image_qcow2_ops = {
    .open = qcow2_open,
    .opened = qcow2_opened,
    .finish = qcow2_finish,
    .free = qcow2_free,
    .append_read = qcow2_append_read,
    .begin_write = qcow2_begin_write,
    .end_write = qcow2_end_write,
    .read_indirect = qcow2_read_indirect,
    .discard = qcow2_discard,
    .write_zeroes = qcow2_write_zeroes,
    .flush = qcow2_flush,
    .map = qcow2_map,
    .info = qcow2_info,
    .resize = qcow2_resize,
};
