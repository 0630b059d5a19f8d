/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making images. Everything but the header is written first, so that a broken-off attempt is no image. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/image_lock.h"
#include "storage/qcow2.h"

#define DEFAULT_CLUSTER 65536u
#define FIRST_REFTABLE_MAX 65536u /* bytes; the table grows later */

void image_create_params_init(ImageCreateParams *params)
{
    *params = (ImageCreateParams){.format = IMAGE_FORMAT_QCOW2, .data_fd = -1};
}

static int prepare_raw_file(HostFile *file, uint64_t size, ImagePreallocation preallocation)
{
    int ret = file->block_device ? 0 : host_file_truncate(file, 0);

    if (ret == 0)
        ret = host_file_truncate(file, size);
    if (ret < 0 || size == 0 || preallocation == IMAGE_PREALLOC_OFF)
        return ret;
    ret = preallocation == IMAGE_PREALLOC_FULL ? -ENOTSUP : host_file_allocate(file, 0, size);
    if (ret == -ENOTSUP) {
        static const uint8_t zeros[256 * 1024];

        ret = 0;
        for (uint64_t at = 0; at < size && ret == 0; at += sizeof zeros)
            ret = host_file_pwrite(file, zeros, MIN(size - at, sizeof zeros), at);
    }
    return ret;
}

static int write_at_start(void *opaque, const void *buffer, size_t length, uint64_t offset)
{
    return host_file_pwrite(opaque, buffer, length, offset);
}

static int create_luks(HostFile *file, const ImageCreateParams *p, uint64_t size, Err *err)
{
    Luks *luks = NULL;
    int ret;

    if (p->passphrase == NULL)
        return err_set(err, ENOKEY, "a LUKS container needs a passphrase");
    if (!checked_add(size, luks_payload_offset(), &size) || size > INT64_MAX)
        return err_set(err, EFBIG, "size is too large");
    ret = prepare_raw_file(file, size, p->preallocation);
    if (ret < 0)
        return err_set(err, -ret, "cannot make a file of %llu bytes: %s", (unsigned long long)size, strerror(-ret));
    ret = luks_create(write_at_start, file, p->passphrase, p->passphrase_len, p->luks_iterations, &luks, err);
    luks_free(luks);
    return ret;
}

/* ---- qcow2 ---- */

/* Clusters in file order. */
typedef struct Layout {
    uint64_t cluster_size, l1_entries;
    uint64_t reftable_at, reftable_n, blocks_at, blocks_n, l1_at, l1_n, crypt_at, crypt_n, total;
} Layout;

static int fill_header(const ImageCreateParams *p, uint64_t size, Qcow2Header *h, Err *err)
{
    uint32_t cluster = p->cluster_size != 0 ? p->cluster_size : DEFAULT_CLUSTER;
    unsigned bits = p->refcount_bits != 0 ? p->refcount_bits : 16;

    memset(h, 0, sizeof *h);
    h->version = p->version != 0 ? p->version : 3;
    if (h->version != 2 && h->version != 3)
        return err_set(err, EINVAL, "qcow2 version %u does not exist, only 2 and 3", h->version);
    if ((cluster & (cluster - 1)) || cluster < 512 || cluster > (2u << 20))
        return err_set(err, EINVAL, "cluster size %u must be a power of two from 512 to 2097152", cluster);
    if ((bits & (bits - 1)) || bits > 64)
        return err_set(err, EINVAL, "refcounts of %u bits: must be a power of two up to 64", bits);
    if (h->version == 2 && (bits != 16 || p->lazy_refcounts || p->extended_l2 || p->zstd || p->data_file != NULL))
        return err_set(err, EINVAL, "version 2 knows no refcount widths, lazy refcounts, extended L2 entries, zstd or "
                                    "data files: use version 3");
    if (p->extended_l2 && cluster < 16384)
        return err_set(err, EINVAL, "extended L2 entries need clusters of 16 KiB or more");
    if (p->backing_name == NULL && p->backing_format != NULL)
        return err_set(err, EINVAL, "a backing format without a backing file");
    if (p->backing_name != NULL && (strlen(p->backing_name) > QCOW2_MAX_NAME || p->backing_name[0] == 0))
        return err_set(err, EINVAL, "the backing file's name must have 1 to %u bytes", QCOW2_MAX_NAME);
    if (p->data_file_raw && (p->data_file == NULL || p->backing_name != NULL))
        return err_set(err, EINVAL, "a raw data file needs a data file and no backing file");
    if (p->data_file != NULL && (strlen(p->data_file) > QCOW2_MAX_NAME || p->data_fd < 0))
        return err_set(err, EINVAL, "the data file needs a short name and an open descriptor");
    if (p->preallocation != IMAGE_PREALLOC_OFF && p->backing_name != NULL)
        return err_set(err, EINVAL, "preallocation would hide the backing file");
    h->cluster_bits = (uint32_t)__builtin_ctz(cluster);
    h->refcount_order = (uint32_t)__builtin_ctz(bits);
    h->header_length = h->version == 2 ? QCOW2_V2_HEADER : QCOW2_V3_HEADER;
    h->size = size;
    if (p->lazy_refcounts)
        h->compatible |= QCOW2_COMPAT_LAZY;
    if (p->extended_l2)
        h->incompatible |= QCOW2_INCOMPAT_EXTENDED_L2;
    if (p->zstd) {
        h->incompatible |= QCOW2_INCOMPAT_COMPRESSION;
        h->compression = 1;
    }
    if (p->data_file != NULL) {
        h->incompatible |= QCOW2_INCOMPAT_DATA_FILE;
        snprintf(h->data_file, sizeof h->data_file, "%s", p->data_file);
        if (p->data_file_raw)
            h->autoclear |= QCOW2_AUTOCLEAR_DATA_RAW;
    }
    if (p->backing_name != NULL)
        snprintf(h->backing_name, sizeof h->backing_name, "%s", p->backing_name);
    if (p->backing_format != NULL)
        snprintf(h->backing_format, sizeof h->backing_format, "%s", p->backing_format);
    if (p->passphrase != NULL) {
        h->crypt_method = QCOW2_CRYPT_LUKS;
        h->has_crypt = true;
    }
    return 0;
}

static uint64_t full_clusters(const Qcow2Header *h, uint64_t cluster)
{
    uint64_t data = DIV_ROUND_UP(h->size, cluster), per_table = cluster / (h->incompatible & 16 ? 16 : 8);

    return (h->incompatible & QCOW2_INCOMPAT_DATA_FILE ? 0 : data) + DIV_ROUND_UP(data, per_table);
}

static int make_layout(Qcow2Header *h, Layout *l, Err *err)
{
    uint64_t cluster = 1ull << h->cluster_bits, per_block = cluster * 8 >> h->refcount_order, want;
    uint64_t per_table = cluster / (h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2 ? 16 : 8);

    memset(l, 0, sizeof *l);
    l->cluster_size = cluster;
    l->l1_entries = DIV_ROUND_UP(DIV_ROUND_UP(h->size, cluster), per_table);
    if (l->l1_entries * 8 > QCOW2_MAX_L1_BYTES)
        return err_set(err, EFBIG, "size %llu is too large for clusters of %llu bytes: use larger clusters",
                       (unsigned long long)h->size, (unsigned long long)cluster);
    l->l1_n = MAX(DIV_ROUND_UP(l->l1_entries * 8, cluster), (uint64_t)1);
    l->crypt_n = h->has_crypt ? DIV_ROUND_UP(luks_payload_offset(), cluster) : 0;
    want = DIV_ROUND_UP(full_clusters(h, cluster) + l->l1_n + l->crypt_n + 64, per_block) * 8;
    want = MAX(MIN(want, (uint64_t)FIRST_REFTABLE_MAX), cluster);
    for (l->blocks_n = 1;; l->blocks_n++) {
        l->reftable_n = DIV_ROUND_UP(MAX(want, l->blocks_n * 8), cluster);
        l->total = 1 + l->reftable_n + l->blocks_n + l->l1_n + l->crypt_n;
        if (l->total <= l->blocks_n * per_block)
            break;
    }
    l->reftable_at = 1;
    l->blocks_at = l->reftable_at + l->reftable_n;
    l->l1_at = l->blocks_at + l->blocks_n;
    l->crypt_at = l->l1_at + l->l1_n;
    h->l1_size = (uint32_t)l->l1_entries;
    h->l1_offset = l->l1_at * cluster;
    h->reftable_offset = l->reftable_at * cluster;
    h->reftable_clusters = (uint32_t)l->reftable_n;
    if (h->has_crypt) {
        h->crypt_offset = l->crypt_at * cluster;
        h->crypt_length = luks_payload_offset();
    }
    return 0;
}

static int write_tables(HostFile *file, const Qcow2Header *h, const Layout *l)
{
    uint64_t per_block = l->cluster_size * 8 >> h->refcount_order, cluster = l->cluster_size;
    cleanup_free uint8_t *buf = malloc(cluster);
    int ret = 0;

    if (buf == NULL)
        return -ENOMEM;
    for (uint64_t c = 1; c < l->total && ret == 0; c++) {
        memset(buf, 0, cluster);
        if (c >= l->reftable_at && c < l->reftable_at + l->reftable_n) {
            uint64_t base = (c - l->reftable_at) * (cluster / 8);

            for (uint64_t i = 0; i < cluster / 8 && base + i < l->blocks_n; i++)
                put_be64(buf + i * 8, (l->blocks_at + base + i) * cluster);
        } else if (c >= l->blocks_at && c < l->blocks_at + l->blocks_n) {
            uint64_t base = (c - l->blocks_at) * per_block;

            for (uint64_t i = 0; i < per_block && base + i < l->total; i++)
                qcow2_refcount_write(buf, i, h->refcount_order, 1);
        }
        ret = host_file_pwrite(file, buf, cluster, c * cluster);
    }
    return ret;
}

typedef struct CryptPlace {
    HostFile *file;
    uint64_t offset;
} CryptPlace;

static int write_crypt(void *opaque, const void *buffer, size_t length, uint64_t offset)
{
    CryptPlace *place = opaque;

    return host_file_pwrite(place->file, buffer, length, place->offset + offset);
}

/* The finished image is opened once more, to give everything its place. */
static int preallocate(int fd, const ImageCreateParams *p, Err *err)
{
    ImageOpenParams params;
    Image *image;
    int ret, r;

    image_open_params_init(&params);
    params.format = IMAGE_FORMAT_QCOW2;
    params.flags = IMAGE_OPEN_NO_SYNC;
    params.io = p->io;
    params.io_opaque = p->io_opaque;
    params.passphrase = p->passphrase;
    params.passphrase_len = p->passphrase_len;
    params.fd = p->io != NULL ? -1 : dup(fd);
    if (p->data_fd >= 0)
        params.data_fd = dup(p->data_fd);
    ret = image_open(&params, &image, err);
    if (ret < 0) {
        if (params.fd >= 0)
            close(params.fd);
        if (params.data_fd >= 0)
            close(params.data_fd);
        return ret;
    }
    ret = qcow2_preallocate(qcow2_of(image), 0, image->size, p->preallocation);
    r = image_close(image);
    if (ret == 0)
        ret = r;
    return ret < 0 ? err_set(err, -ret, "cannot preallocate: %s", strerror(-ret)) : 0;
}

static int create_qcow2(HostFile *file, int fd, const ImageCreateParams *p, uint64_t size, Err *err)
{
    cleanup_free Qcow2Header *h = malloc(sizeof *h);
    cleanup_free uint8_t *head = NULL;
    Luks *luks = NULL;
    Layout l;
    int ret;

    if (h == NULL)
        return err_set(err, ENOMEM, "out of memory");
    ret = fill_header(p, size, h, err);
    if (ret == 0)
        ret = make_layout(h, &l, err);
    if (ret < 0)
        return ret;
    head = malloc(l.cluster_size);
    if (head == NULL)
        return err_set(err, ENOMEM, "out of memory");
    ret = qcow2_header_build(h, NULL, head, l.cluster_size);
    if (ret < 0)
        return err_set(err, -ret, "the names do not fit the first cluster of %llu bytes",
                       (unsigned long long)l.cluster_size);
    ret = file->block_device ? host_file_zero(file, 0, 4096, false) : host_file_truncate(file, 0);
    if (ret == 0)
        ret = write_tables(file, h, &l);
    if (ret == 0 && h->has_crypt) {
        CryptPlace place = {.file = file, .offset = h->crypt_offset};

        ret = luks_create(write_crypt, &place, p->passphrase, p->passphrase_len, p->luks_iterations, &luks, err);
        luks_free(luks);
        if (ret < 0)
            return ret;
    }
    if (ret == 0 && p->data_file != NULL) {
        HostFile data;

        ret = host_file_open(&data, p->data_fd, NULL, NULL, err);
        if (ret < 0)
            return ret;
        ret = prepare_raw_file(&data, size, IMAGE_PREALLOC_OFF);
    }
    if (ret == 0)
        ret = host_file_pwrite(file, head, l.cluster_size, 0);
    if (ret < 0)
        return err_set(err, -ret, "cannot write the new image: %s", strerror(-ret));
    return p->preallocation != IMAGE_PREALLOC_OFF && size > 0 ? preallocate(fd, p, err) : 0;
}

static int create_raw(HostFile *file, const ImageCreateParams *p, Err *err)
{
    int ret;

    if (p->backing_name != NULL || p->preallocation == IMAGE_PREALLOC_METADATA)
        return err_set(err, EINVAL, "raw images have no backing file and no metadata");
    ret = prepare_raw_file(file, p->size, p->preallocation);
    return ret < 0 ? err_set(err, -ret, "cannot make a file of %llu bytes: %s", (unsigned long long)p->size, strerror(-ret))
                   : 0;
}

/* The locks of whoever makes an image, over what nobody has open. */
typedef struct CreateLock {
    int fd;
    unsigned held, unshared;
} CreateLock;

static int take_lock(CreateLock *lock, int fd, const char *what, Err *err)
{
    *lock = (CreateLock){.fd = fd};
    return fd < 0 ? 0 : image_lock_set(fd, IMAGE_PERM_ALL, 0, &lock->held, &lock->unshared, what, err);
}

static void drop_lock(CreateLock *lock)
{
    if (lock->fd >= 0)
        image_lock_set(lock->fd, 0, IMAGE_PERM_ALL, &lock->held, &lock->unshared, "", NULL);
}

int image_create(int fd, const ImageCreateParams *params, Err *err)
{
    uint64_t size = ALIGN_UP(MIN(params->size, (uint64_t)INT64_MAX - 511), (uint64_t)512);
    CreateLock lock, data_lock = {.fd = -1};
    HostFile file;
    int ret;

    if (params->size > INT64_MAX - 511)
        return err_set(err, EFBIG, "size %llu is too large", (unsigned long long)params->size);
    ret = host_file_open(&file, fd, params->io, params->io_opaque, err);
    if (ret < 0 || (ret = take_lock(&lock, file.fd, "the file", err)) < 0)
        return ret;
    if (params->data_file != NULL)
        ret = take_lock(&data_lock, params->data_fd, "the data file", err);
    if (ret == 0) {
        switch (params->format) {
        case IMAGE_FORMAT_RAW:
            ret = create_raw(&file, params, err);
            break;
        case IMAGE_FORMAT_LUKS:
            ret = create_luks(&file, params, size, err);
            break;
        case IMAGE_FORMAT_QCOW2:
            ret = create_qcow2(&file, fd, params, size, err);
            break;
        default:
            ret = err_set(err, ENOTSUP, "images of format %s cannot be made here",
                          image_format_name(params->format) ?: "?");
        }
    }
    drop_lock(&data_lock);
    drop_lock(&lock);
    return ret;
}

int image_measure(const ImageCreateParams *params, uint64_t *ret_full, uint64_t *ret_initial, Err *err)
{
    uint64_t size = ALIGN_UP(MIN(params->size, (uint64_t)INT64_MAX - 511), (uint64_t)512), clusters, per_block;
    cleanup_free Qcow2Header *h = malloc(sizeof *h);
    Layout l;
    int ret;

    if (h == NULL)
        return err_set(err, ENOMEM, "out of memory");
    if (params->format != IMAGE_FORMAT_QCOW2) {
        *ret_full = size + (params->format == IMAGE_FORMAT_LUKS ? luks_payload_offset() : 0);
        *ret_initial = *ret_full;
        return 0;
    }
    ret = fill_header(params, size, h, err);
    if (ret == 0)
        ret = make_layout(h, &l, err);
    if (ret < 0)
        return ret;
    per_block = l.cluster_size * 8 >> h->refcount_order;
    clusters = l.total + full_clusters(h, l.cluster_size);
    clusters += DIV_ROUND_UP(clusters, per_block) + DIV_ROUND_UP(clusters / per_block * 8, l.cluster_size);
    *ret_initial = l.total * l.cluster_size;
    *ret_full = clusters * l.cluster_size;
    return 0;
}
