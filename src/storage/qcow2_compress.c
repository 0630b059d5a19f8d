/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qcow2: compressed clusters (raw deflate with a 4 KiB window, or zstd). The last unpacked one is kept. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/qcow2.h"

static unsigned offset_bits(const Qcow2 *q)
{
    return 62 - (q->cluster_bits - 8);
}

void qcow2_packed_place(const Qcow2 *q, uint64_t entry, uint64_t *ret_offset, uint64_t *ret_length)
{
    unsigned x = offset_bits(q);
    uint64_t offset = entry & ((1ull << x) - 1) & (QCOW2_MAX_OFFSET - 1);
    uint64_t sectors = ((entry & ~(QCOW2_COPIED | QCOW2_COMPRESSED)) >> x) + 1;

    *ret_offset = offset;
    *ret_length = sectors * 512 - (offset & 511);
}

static int inflate_cluster(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)in, .avail_in = (uInt)in_len, .next_out = out,
                  .avail_out = (uInt)out_len};
    int ret;

    if (inflateInit2(&z, -12) != Z_OK)
        return -ENOMEM;
    ret = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return (ret == Z_STREAM_END || ret == Z_BUF_ERROR) && z.avail_out == 0 ? 0 : -EIO;
}

static int unzstd_cluster(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer i = {.src = in, .size = in_len};
    ZSTD_outBuffer o = {.dst = out, .size = out_len};
    int ret = 0;

    if (stream == NULL)
        return -ENOMEM;
    while (o.pos < o.size) {
        size_t before_in = i.pos, before_out = o.pos, r = ZSTD_decompressStream(stream, &o, &i);

        if (ZSTD_isError(r) || (i.pos == before_in && o.pos == before_out)) {
            ret = -EIO;
            break;
        }
    }
    ZSTD_freeDStream(stream);
    return ret;
}

int qcow2_unpack(Qcow2 *q, uint64_t entry, uint64_t skip, void *buffer, size_t length)
{
    uint64_t offset, packed_len;
    int ret = 0;

    pthread_mutex_lock(&q->unpack_lock);
    if (q->unpacked == NULL) {
        q->unpacked = malloc(q->cluster_size);
        q->packed = malloc(q->cluster_size * 2 + 512);
    }
    if (q->unpacked == NULL || q->packed == NULL) {
        ret = -ENOMEM;
    } else if (q->unpacked_entry != entry) {
        q->unpacked_entry = 0;
        qcow2_packed_place(q, entry, &offset, &packed_len);
        packed_len = MIN(packed_len, q->cluster_size * 2);
        ret = host_file_pread(&q->image->file, q->packed, packed_len, offset);
        if (ret == 0)
            ret = q->h.compression == 1 ? unzstd_cluster(q->packed, packed_len, q->unpacked, q->cluster_size)
                                        : inflate_cluster(q->packed, packed_len, q->unpacked, q->cluster_size);
        if (ret == 0)
            q->unpacked_entry = entry;
    }
    if (ret == 0)
        memcpy(buffer, q->unpacked + skip, length);
    pthread_mutex_unlock(&q->unpack_lock);
    return ret;
}

/* ---- Writing ---- */

/* Packed bytes, or 0 when packing does not make it smaller. */
static size_t pack_cluster(const Qcow2 *q, const void *in, uint8_t *out, size_t out_len)
{
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)in, .avail_in = (uInt)q->cluster_size, .next_out = out,
                  .avail_out = (uInt)out_len};
    int ret;

    if (q->h.compression == 1) {
        size_t n = ZSTD_compress(out, out_len, in, q->cluster_size, ZSTD_CLEVEL_DEFAULT);

        return ZSTD_isError(n) ? 0 : n;
    }
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    ret = deflate(&z, Z_FINISH);
    deflateEnd(&z);
    return ret == Z_STREAM_END ? out_len - z.avail_out : 0;
}

/* Lock held: room for n bytes, in the cluster being filled and perhaps the next. Counts the reference. */
static int place_packed(Qcow2 *q, size_t n, uint64_t *ret_offset)
{
    uint64_t size = q->cluster_size, cluster;
    bool fresh;
    int ret;

    if (q->pack_cluster != 0 && q->pack_used + n <= size) {
        ret = qcow2_refcount_add(q, q->pack_cluster, 1, 1);
        if (ret == 0) {
            *ret_offset = (q->pack_cluster << q->cluster_bits) + q->pack_used;
            q->pack_used += n;
            return 0;
        }
        if (ret != -ERANGE)
            return ret;
        q->pack_cluster = 0;
    }
    ret = qcow2_alloc_clusters(q, 1, true, &cluster, NULL, &fresh);
    if (ret < 0)
        return ret;
    if (q->pack_cluster != 0 && cluster == q->pack_cluster + 1 && q->pack_used < size) {
        ret = qcow2_refcount_add(q, q->pack_cluster, 1, 1);
        if (ret == 0) {
            *ret_offset = (q->pack_cluster << q->cluster_bits) + q->pack_used;
            q->pack_used = q->pack_used + n - size;
            q->pack_cluster = cluster;
            return 0;
        }
        if (ret != -ERANGE)
            return ret;
    }
    q->pack_cluster = cluster;
    q->pack_used = n;
    *ret_offset = cluster << q->cluster_bits;
    return 0;
}

int image_write_compressed(Image *image, const void *cluster, uint64_t offset)
{
    Qcow2 *q = qcow2_of(image);
    cleanup_free uint8_t *out = NULL;
    uint64_t place;
    Qcow2Entry e;
    unsigned got;
    size_t n;
    int ret;

    if (image->format != IMAGE_FORMAT_QCOW2 || q->external || image->luks != NULL)
        return -ENOTSUP;
    if ((offset & (q->cluster_size - 1)) != 0 || offset >= image->size)
        return -EINVAL;
    if (image->read_only)
        return -EROFS;
    out = malloc(q->cluster_size);
    if (out == NULL)
        return -ENOMEM;
    n = pack_cluster(q, cluster, out, q->cluster_size - 1);
    if (n == 0 || n >= q->cluster_size)
        return image_pwrite(image, cluster, MIN(q->cluster_size, image->size - offset), offset);
    pthread_mutex_lock(&image->lock);
    ret = image->corrupt ? -EIO : qcow2_prepare_write(q);
    if (ret == 0)
        ret = qcow2_wait_range(q, offset >> q->cluster_bits, 1, NULL);
    if (ret == 0)
        ret = qcow2_l2_own(q, offset >> q->cluster_bits);
    if (ret == 0)
        ret = qcow2_lookup_locked(q, offset >> q->cluster_bits, 1, &e, &got);
    if (ret == 0 && (e.entry & (QCOW2_OFFSET_MASK | QCOW2_COMPRESSED)) != 0)
        ret = -EEXIST;
    if (ret == 0)
        ret = place_packed(q, n, &place);
    if (ret == 0 && (place + n) >> offset_bits(q) != 0)
        ret = -EFBIG;
    if (ret == 0)
        ret = host_file_pwrite(&image->file, out, n, place);
    if (ret == 0) {
        uint64_t sectors = ((place + n - 1) >> 9) - (place >> 9);

        q->need_sync = true;
        e = (Qcow2Entry){.entry = QCOW2_COMPRESSED | sectors << offset_bits(q) | place};
        ret = qcow2_set_entries(q, offset >> q->cluster_bits, 1, &e);
    }
    pthread_mutex_unlock(&image->lock);
    return ret;
}
