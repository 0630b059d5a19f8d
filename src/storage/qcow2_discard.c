/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qcow2: discarding and zeroing by changing L2 entries; only ragged edges are written. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/qcow2.h"

#define BATCH 64u
#define ALL_ZERO 0xffffffff00000000ull

typedef enum ChangeMode {
    CHANGE_DISCARD,    /* free; reads as zeros (or what a version 2 image can say) */
    CHANGE_ZERO,       /* reads as zeros, keeps its place */
    CHANGE_ZERO_UNMAP, /* reads as zeros, place may go */
    CHANGE_DROP,       /* free; what is below shows through */
} ChangeMode;

static bool has_below(const Qcow2 *q)
{
    return q->image->backing != NULL || q->image->names_backing || q->below_later;
}

/* What becomes of one entry; [from, to) are its subclusters (always all without extended L2). */
static Qcow2Entry changed(const Qcow2 *q, Qcow2Entry e, uint32_t from, uint32_t to, ChangeMode mode)
{
    Qcow2Entry zero = q->entry_size == 16 ? (Qcow2Entry){.bitmap = ALL_ZERO} : (Qcow2Entry){.entry = QCOW2_ZERO};
    bool occupied = e.entry & (QCOW2_OFFSET_MASK | QCOW2_COMPRESSED) || (q->external && (e.entry & QCOW2_COPIED));
    bool whole = from == 0 && to == q->n_sc;
    uint64_t bits;

    if (mode == CHANGE_DROP)
        return (Qcow2Entry){0};
    if (!occupied && !has_below(q) && e.bitmap == 0 && e.entry == 0)
        return e; /* reads as zeros already */
    if (q->h.version < 3)
        return (Qcow2Entry){0}; /* only asked for where nothing is below */
    if (q->data_raw)
        return (Qcow2Entry){.entry = e.entry & ~QCOW2_ZERO, .bitmap = e.bitmap}; /* the data file is zeroed */
    if (whole && (mode == CHANGE_DISCARD || mode == CHANGE_ZERO_UNMAP || (e.entry & QCOW2_COMPRESSED) ||
                  !(e.entry & QCOW2_COPIED)))
        return zero;
    if (q->entry_size == 8) {
        e.entry |= QCOW2_ZERO;
        return e;
    }
    bits = ((1ull << to) - 1) & ~((1ull << from) - 1);
    e.bitmap = (e.bitmap & ~bits) | bits << 32;
    if (e.bitmap == ALL_ZERO && mode == CHANGE_ZERO_UNMAP)
        return zero;
    return e;
}

static bool same_place(const Qcow2 *q, Qcow2Entry a, Qcow2Entry b)
{
    uint64_t mask = QCOW2_OFFSET_MASK | QCOW2_COMPRESSED;

    if ((a.entry | b.entry) & QCOW2_COMPRESSED)
        return a.entry == b.entry;
    return (a.entry & mask) == (b.entry & mask);
}

/* Lock held: the clusters from `cluster` on, as far as one slice goes; [first_sc, end_sc) count from its start. */
static int change_batch(Qcow2 *q, uint64_t cluster, unsigned n, uint32_t first_sc, uint32_t end_sc, ChangeMode mode,
                        unsigned *ret_n)
{
    bool unmap = q->image->flags & IMAGE_OPEN_UNMAP, any = false;
    Qcow2Entry old[BATCH], new[BATCH];
    int ret = qcow2_lookup_locked(q, cluster, MIN(n, BATCH), old, &n);

    if (ret < 0)
        return ret;
    *ret_n = n;
    for (unsigned i = 0; i < n; i++) {
        uint32_t base = i * q->n_sc;

        new[i] = changed(q, old[i], first_sc > base ? first_sc - base : 0, MIN(end_sc - base, q->n_sc), mode);
        any |= new[i].entry != old[i].entry || new[i].bitmap != old[i].bitmap;
    }
    if (!any)
        return 0;
    ret = qcow2_l2_own(q, cluster);
    if (ret == 0) /* copying the table has cleared nothing, but reading again is the safe order */
        ret = qcow2_set_entries(q, cluster, n, new);
    for (unsigned i = 0; i < n && ret == 0; i++)
        if (!same_place(q, old[i], new[i]))
            ret = qcow2_free_entry(q, old[i], unmap);
    return ret;
}

static int change_range(Qcow2 *q, uint64_t offset, uint64_t length, ChangeMode mode, ImageRequest *wait)
{
    uint64_t end = offset + length;
    int ret = 0;

    pthread_mutex_lock(&q->image->lock);
    ret = qcow2_wait_range(q, offset >> q->cluster_bits,
                           ((end - 1) >> q->cluster_bits) - (offset >> q->cluster_bits) + 1, wait);
    if (ret == 0)
        ret = q->image->corrupt ? -EIO : qcow2_prepare_write(q);
    while (ret == 0 && offset < end) {
        uint64_t cluster = offset >> q->cluster_bits, start = cluster << q->cluster_bits;
        uint64_t left = DIV_ROUND_UP(end - start, q->cluster_size);
        unsigned n = (unsigned)MIN(left, (uint64_t)BATCH);
        uint64_t l1 = cluster >> q->l2_bits;

        if (mode != CHANGE_ZERO && !has_below(q) &&
            (l1 >= q->l1_size || (q->l1[l1] & QCOW2_OFFSET_MASK) == 0)) {
            offset = (l1 + 1) << (q->l2_bits + q->cluster_bits); /* no table: nothing to free */
            continue;
        }
        ret = change_batch(q, cluster, n, (uint32_t)((offset - start) >> q->sc_bits),
                           (uint32_t)MIN((end - start) >> q->sc_bits, (uint64_t)BATCH * 32), mode, &n);
        offset = start + ((uint64_t)n << q->cluster_bits);
    }
    pthread_mutex_unlock(&q->image->lock);
    return ret;
}

int qcow2_drop_clusters(Qcow2 *q, uint64_t guest_cluster, uint64_t n, bool unmap)
{
    int ret = 0;

    while (ret == 0 && n > 0) {
        unsigned done = (unsigned)MIN(n, (uint64_t)BATCH);
        uint64_t l1 = guest_cluster >> q->l2_bits;

        if (l1 >= q->l1_size || (q->l1[l1] & QCOW2_OFFSET_MASK) == 0) {
            uint64_t skip = ((l1 + 1) << q->l2_bits) - guest_cluster;

            if (skip >= n)
                return 0;
            guest_cluster += skip;
            n -= skip;
            continue;
        }
        ret = change_batch(q, guest_cluster, done, 0, done * q->n_sc, CHANGE_DROP, &done);
        guest_cluster += done;
        n -= done;
    }
    return ret;
}

/* Bytes of zeros, unless the range reads so already and will whatever is to lie below. The caller has waited for its own
 * thread's allocations. */
static int write_zero_bytes(Image *image, uint64_t offset, uint64_t length)
{
    static const uint8_t zeros[64 * 1024];

    while (length > 0) {
        uint64_t n = MIN(length, (uint64_t)sizeof zeros);
        ImageMapEntry e;
        int ret = offset < image->size ? image_map(image, offset, MIN(n, image->size - offset), &e) : -EINVAL;

        if (ret == 0 && e.zero && !qcow2_of(image)->data_raw && !qcow2_of(image)->below_later) {
            n = MIN(n, e.length);
        } else {
            struct iovec iov = {.iov_base = (void *)(uintptr_t)zeros};

            if (ret == 0)
                n = MIN(n, e.length);
            iov.iov_len = n;
            /* Encrypted: whole sectors, a ragged one is read first. */
            ret = image->luks != NULL ? image_pwritev(image, &iov, 1, offset) : image_write_any(image, &iov, 1, offset);
            if (ret < 0)
                return ret;
        }
        offset += n;
        length -= n;
    }
    return 0;
}

static int wait_for_range(Qcow2 *q, uint64_t offset, uint64_t length, ImageRequest *wait)
{
    uint64_t first = offset >> q->cluster_bits;
    int ret;

    pthread_mutex_lock(&q->image->lock);
    ret = qcow2_wait_range(q, first, ((offset + length - 1) >> q->cluster_bits) - first + 1, wait);
    pthread_mutex_unlock(&q->image->lock);
    return ret;
}

/* Extended L2: a compressed cluster cannot be zeroed in part by its bitmap. */
static bool edge_is_packed(Qcow2 *q, uint64_t offset)
{
    Qcow2Entry e;
    unsigned n;

    return q->n_sc > 1 && (offset & (q->cluster_size - 1)) != 0 &&
           qcow2_lookup(q, offset >> q->cluster_bits, 1, &e, &n) == 0 && (e.entry & QCOW2_COMPRESSED);
}

int qcow2_write_zeroes(Image *image, uint64_t offset, uint64_t length, bool unmap, ImageRequest *wait)
{
    Qcow2 *q = qcow2_of(image);
    uint64_t end = offset + length, start, stop, unit = 1ull << q->sc_bits;
    int ret;

    ret = wait_for_range(q, offset, length, wait);
    if (ret < 0)
        return ret;
    if (q->h.version < 3 && has_below(q))
        return write_zero_bytes(image, offset, length);
    start = ALIGN_UP(offset, unit);
    /* What lies behind the end of the disk belongs to nobody. */
    stop = end == image->size ? ALIGN_UP(end, unit) : ALIGN_DOWN(end, unit);
    if (edge_is_packed(q, start))
        start = ALIGN_UP(offset, q->cluster_size);
    if (stop > start && edge_is_packed(q, stop))
        stop = ALIGN_DOWN(stop, q->cluster_size);
    if (start >= stop)
        return write_zero_bytes(image, offset, length);
    if (start > offset) {
        ret = write_zero_bytes(image, offset, start - offset);
        if (ret < 0)
            return ret;
    }
    if (end > stop) {
        ret = write_zero_bytes(image, stop, end - stop);
        if (ret < 0)
            return ret;
    }
    if (q->data_raw) {
        ret = host_file_zero(image_data_file(image), start, MIN(stop, end) - start, unmap);
        if (ret < 0)
            return ret;
    }
    return change_range(q, start, stop - start, unmap ? CHANGE_ZERO_UNMAP : CHANGE_ZERO, wait);
}

int qcow2_discard(Image *image, uint64_t offset, uint64_t length, ImageRequest *wait)
{
    Qcow2 *q = qcow2_of(image);
    uint64_t end = offset + length, start = ALIGN_UP(offset, q->cluster_size);
    int ret;

    if (end != image->size)
        end = ALIGN_DOWN(end, q->cluster_size);
    if (start >= end)
        return 0;
    /* Version 2 cannot say "zeros", and what is below may not come back. */
    if (q->h.version < 3 && has_below(q))
        return 0;
    if (q->data_raw) {
        ret = wait_for_range(q, start, end - start, wait);
        if (ret == 0)
            ret = host_file_zero(image_data_file(image), start, end - start, image->flags & IMAGE_OPEN_UNMAP);
        if (ret < 0)
            return ret;
    }
    return change_range(q, start, ALIGN_UP(end, q->cluster_size) - start, CHANGE_DISCARD, wait);
}
