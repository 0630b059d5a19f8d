/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qcow2: from guest clusters to host clusters, for reading with no lock while the L2 slice is cached. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "storage/qcow2.h"

#define BATCH 64u

Qcow2Kind qcow2_kind(const Qcow2 *q, Qcow2Entry e, uint32_t sc)
{
    uint64_t offset = e.entry & QCOW2_OFFSET_MASK;
    bool placed = offset != 0 || (q->external && (e.entry & QCOW2_COPIED));

    if (e.entry & QCOW2_COMPRESSED)
        return q->external ? QCOW2_INVALID : QCOW2_PACKED;
    if (offset & (q->cluster_size - 1))
        return QCOW2_INVALID;
    if (q->entry_size == 16) {
        bool allocated = e.bitmap >> sc & 1, zero = e.bitmap >> (sc + 32) & 1;

        if (zero)
            return allocated ? QCOW2_INVALID : placed ? QCOW2_ZERO_ALLOC : QCOW2_ZERO_PLAIN;
        if (allocated)
            return placed ? QCOW2_NORMAL : QCOW2_INVALID;
        return placed ? QCOW2_UNALLOCATED_ALLOC : QCOW2_UNALLOCATED;
    }
    if (e.entry & QCOW2_ZERO) {
        if (q->h.version < 3)
            return QCOW2_INVALID;
        return placed ? QCOW2_ZERO_ALLOC : QCOW2_ZERO_PLAIN;
    }
    return placed ? QCOW2_NORMAL : QCOW2_UNALLOCATED;
}

/* ---- Lookup ---- */

static void copy_entries(const Qcow2 *q, const uint8_t *slice, uint32_t index, unsigned n, Qcow2Entry *ret)
{
    const uint64_t *p = (const uint64_t *)(const void *)(slice + (size_t)index * q->entry_size);

    for (unsigned i = 0; i < n; i++) {
        ret[i].entry = __builtin_bswap64(__atomic_load_n(p++, __ATOMIC_RELAXED));
        ret[i].bitmap = q->entry_size == 16 ? __builtin_bswap64(__atomic_load_n(p++, __ATOMIC_RELAXED)) : 0;
    }
}

/* True: *ret_n entries (0 when the slice is not cached); false: a writer was busy all the time. */
static bool lookup_cached(Qcow2 *q, uint64_t guest_cluster, unsigned want, Qcow2Entry *ret, unsigned *ret_n)
{
    uint32_t index = (uint32_t)(guest_cluster & ((1ull << q->l2_bits) - 1));
    uint32_t in_slice = index & (q->slice_entries - 1);
    uint64_t l1_index = guest_cluster >> q->l2_bits;

    for (int tries = 0; tries < 64; tries++) {
        uint32_t seq = atomic_load_explicit(&q->seq, memory_order_acquire);
        unsigned n = 0;

        if (seq & 1)
            continue;
        if (l1_index >= q->l1_size) {
            n = want;
            memset(ret, 0, sizeof *ret * n);
        } else {
            uint64_t table = __atomic_load_n(&q->l1[l1_index], __ATOMIC_RELAXED) & QCOW2_OFFSET_MASK;

            if (table == 0) {
                n = (unsigned)MIN((uint64_t)want, (1ull << q->l2_bits) - index);
                memset(ret, 0, sizeof *ret * n);
            } else {
                uint64_t key = table + (uint64_t)(index - in_slice) * q->entry_size;
                MetaSlot *slot = meta_cache_find(&q->l2, key);

                if (slot != NULL) {
                    n = MIN(want, q->slice_entries - in_slice);
                    copy_entries(q, __atomic_load_n(&slot->data, __ATOMIC_ACQUIRE), in_slice, n, ret);
                }
            }
        }
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&q->seq, memory_order_relaxed) == seq) {
            *ret_n = n;
            return true;
        }
    }
    return false;
}

/* The slice of an existing table; *ret_slot NULL when there is none. */
static int load_slice(Qcow2 *q, uint64_t guest_cluster, MetaSlot **ret_slot, uint32_t *ret_index)
{
    uint32_t index = (uint32_t)(guest_cluster & ((1ull << q->l2_bits) - 1));
    uint64_t l1_index = guest_cluster >> q->l2_bits, table;
    MetaKind kind;

    *ret_index = index & (q->slice_entries - 1);
    *ret_slot = NULL;
    if (l1_index >= q->l1_size)
        return 0;
    table = q->l1[l1_index] & QCOW2_OFFSET_MASK;
    if (table == 0)
        return 0;
    if (table & (q->cluster_size - 1))
        return qcow2_corrupt(q, "L2 table %llu is not aligned", (unsigned long long)table);
    kind = q->meta.table != NULL ? meta_set_find(&q->meta, table >> q->cluster_bits) : META_L2;
    if (kind != META_L2 && !q->image->corrupt)
        return qcow2_corrupt(q, "the cluster of L2 table %llu has another use too", (unsigned long long)table);
    return meta_cache_get(&q->l2, table + (uint64_t)(index - *ret_index) * q->entry_size, ret_slot);
}

int qcow2_lookup_locked(Qcow2 *q, uint64_t guest_cluster, unsigned want, Qcow2Entry *ret, unsigned *ret_n)
{
    MetaSlot *slot;
    uint32_t index;
    int r = load_slice(q, guest_cluster, &slot, &index);

    if (r < 0)
        return r;
    *ret_n = MIN(want, q->slice_entries - index);
    if (slot != NULL)
        copy_entries(q, slot->data, index, *ret_n, ret);
    else
        memset(ret, 0, sizeof *ret * *ret_n);
    return 0;
}

int qcow2_lookup(Qcow2 *q, uint64_t guest_cluster, unsigned want, Qcow2Entry *ret, unsigned *ret_n)
{
    int r;

    if (lookup_cached(q, guest_cluster, want, ret, ret_n) && *ret_n > 0)
        return 0;
    r = image_lock_request(q->image);
    if (r < 0)
        return r;
    r = qcow2_lookup_locked(q, guest_cluster, want, ret, ret_n);
    pthread_mutex_unlock(&q->image->lock);
    return r;
}

/* ---- Changing entries ---- */

void qcow2_set_l1(Qcow2 *q, uint32_t index, uint64_t value)
{
    seq_begin(&q->seq);
    __atomic_store_n(&q->l1[index], value, __ATOMIC_RELAXED);
    seq_end(&q->seq);
    q->l1_dirty[index / 64] = 1;
    q->l1_is_dirty = true;
}

/* The new table's bytes on disk: a copy of the old one with nothing marked as our own, or zeros. */
static int fill_table(Qcow2 *q, uint64_t old, uint64_t offset)
{
    uint8_t *buffer;
    int ret = 0;

    if (old == 0) {
        /* The file must reach behind the table, and a reused cluster holds rubbish. */
        return host_file_zero(&q->image->file, offset, q->cluster_size, false);
    }
    buffer = malloc(q->cluster_size);
    if (buffer == NULL)
        return -ENOMEM;
    ret = host_file_pread(&q->image->file, buffer, q->cluster_size, old);
    for (uint64_t at = 0; ret == 0 && at < q->cluster_size; at += q->l2.slice_size) {
        MetaSlot *slot = meta_cache_find(&q->l2, old + at);

        if (slot != NULL)
            memcpy(buffer + at, slot->data, q->l2.slice_size);
    }
    if (ret == 0)
        ret = host_file_pwrite(&q->image->file, buffer, q->cluster_size, offset);
    free(buffer);
    return ret;
}

int qcow2_l2_own(Qcow2 *q, uint64_t guest_cluster)
{
    uint64_t l1_index = guest_cluster >> q->l2_bits, old, cluster, offset;
    bool fresh;
    int ret;

    if (l1_index >= q->l1_size)
        return -EINVAL;
    old = q->l1[l1_index];
    if ((old & QCOW2_OFFSET_MASK) != 0 && (old & QCOW2_COPIED))
        return 0;
    old &= QCOW2_OFFSET_MASK;
    if (old & (q->cluster_size - 1))
        return qcow2_corrupt(q, "L2 table %llu is not aligned", (unsigned long long)old);
    ret = qcow2_alloc_clusters(q, 1, true, &cluster, NULL, &fresh);
    if (ret < 0)
        return ret;
    offset = cluster << q->cluster_bits;
    ret = fill_table(q, old, offset);
    q->need_sync = true;
    if (ret == 0)
        ret = meta_set_add(&q->meta, cluster, 1, META_L2);
    if (ret < 0) {
        qcow2_free_later(q, cluster, 1, false);
        return ret;
    }
    meta_cache_drop(&q->l2, offset, q->cluster_size);
    qcow2_set_l1(q, (uint32_t)l1_index, offset | QCOW2_COPIED);
    if (old != 0) {
        meta_set_remove(&q->meta, old >> q->cluster_bits, 1);
        return qcow2_free_later(q, old >> q->cluster_bits, 1, false);
    }
    return 0;
}

int qcow2_set_entries(Qcow2 *q, uint64_t guest_cluster, unsigned n, const Qcow2Entry *entries)
{
    MetaSlot *slot;
    uint32_t index;
    uint64_t *p;
    int ret = load_slice(q, guest_cluster, &slot, &index);

    if (ret < 0)
        return ret;
    if (slot == NULL || index + n > q->slice_entries)
        return -EINVAL;
    p = (uint64_t *)(void *)(slot->data + (size_t)index * q->entry_size);
    seq_begin(&q->seq);
    for (unsigned i = 0; i < n; i++) {
        __atomic_store_n(p++, __builtin_bswap64(entries[i].entry), __ATOMIC_RELAXED);
        if (q->entry_size == 16)
            __atomic_store_n(p++, __builtin_bswap64(entries[i].bitmap), __ATOMIC_RELAXED);
    }
    seq_end(&q->seq);
    meta_cache_dirty(&q->l2, slot);
    return 0;
}

/* ---- Reading ---- */

/* What this layer does not decide: the layer below, zeros behind its end. */
static int append_below(Image *image, uint64_t offset, uint64_t length, ImageRequest *request)
{
    Image *below = image->backing;
    uint64_t before = request->length, n;
    int ret;

    if (below == NULL) {
        if (image->names_backing)
            return -ENODEV; /* opened without it */
        image_request_add(request, IMAGE_EXTENT_ZERO, NULL, 0, length, 0);
        return 0;
    }
    if (offset < below->size) {
        n = MIN(length, below->size - offset);
        ret = below->ops->append_read(below, offset, n, request);
        if (ret < 0 || request->length - before < n)
            return ret;
        length -= n;
    }
    if (length > 0)
        image_request_add(request, IMAGE_EXTENT_ZERO, NULL, 0, length, 0);
    return 0;
}

int qcow2_append_read(Image *image, uint64_t offset, uint64_t length, ImageRequest *request)
{
    Qcow2 *q = qcow2_of(image);
    HostFile *file = image_data_file(image);
    uint64_t end = offset + length, cluster_mask = q->cluster_size - 1;

    while (offset < end) {
        uint64_t first = offset >> q->cluster_bits, last = (end - 1) >> q->cluster_bits;
        Qcow2Entry entries[BATCH];
        unsigned n;
        int ret = qcow2_lookup(q, first, (unsigned)MIN(last - first + 1, (uint64_t)BATCH), entries, &n);

        if (ret < 0)
            return ret;
        for (uint64_t batch_end = MIN(end, (first + n) << q->cluster_bits); offset < batch_end;) {
            Qcow2Entry e = entries[(offset >> q->cluster_bits) - first];
            uint32_t sc = (uint32_t)((offset & cluster_mask) >> q->sc_bits);
            uint64_t stop = MIN(end, ((offset >> q->sc_bits) + 1) << q->sc_bits), part, before = request->length;
            Qcow2Kind kind = qcow2_kind(q, e, sc);
            bool full = false;

            if (kind == QCOW2_PACKED)
                stop = MIN(end, (offset | cluster_mask) + 1);
            part = stop - offset;
            switch (kind) {
            case QCOW2_NORMAL:
                full = image->luks != NULL
                           ? !image_request_add_indirect(request, image, qcow2_host_offset(q, e) +
                                                         (offset & cluster_mask), part, 0)
                           : !image_request_add(request, IMAGE_EXTENT_DATA, file,
                                                qcow2_host_offset(q, e) + (offset & cluster_mask), part, 0);
                break;
            case QCOW2_ZERO_PLAIN:
            case QCOW2_ZERO_ALLOC:
                full = !image_request_add(request, IMAGE_EXTENT_ZERO, NULL, 0, part, 0);
                break;
            case QCOW2_PACKED:
                full = !image_request_add_indirect(request, image, e.entry, part, offset & cluster_mask);
                break;
            case QCOW2_UNALLOCATED:
            case QCOW2_UNALLOCATED_ALLOC:
                /* Whole unallocated stretches go down in one piece. */
                while (stop < batch_end) {
                    uint32_t next = (uint32_t)((stop & cluster_mask) >> q->sc_bits);
                    Qcow2Kind k = qcow2_kind(q, entries[(stop >> q->cluster_bits) - first], next);

                    if (k != QCOW2_UNALLOCATED && k != QCOW2_UNALLOCATED_ALLOC)
                        break;
                    stop = MIN(batch_end, stop + (1ull << q->sc_bits));
                }
                part = stop - offset;
                ret = append_below(image, offset, part, request);
                if (ret < 0)
                    return ret;
                full = request->length - before < part;
                break;
            case QCOW2_INVALID:
                return qcow2_corrupt(q, "L2 entry %llx of guest offset %llu is invalid", (unsigned long long)e.entry,
                                     (unsigned long long)offset);
            }
            if (full)
                return 0;
            offset = stop;
        }
    }
    return 0;
}

/* ---- Map ---- */

int qcow2_map(Image *image, uint64_t offset, uint64_t length, ImageMapEntry *ret)
{
    Qcow2 *q = qcow2_of(image);
    uint64_t at = offset, end = offset + length;
    Qcow2Kind first = QCOW2_INVALID;

    while (at < end) {
        uint64_t cluster = at >> q->cluster_bits;
        Qcow2Entry entries[BATCH];
        unsigned n;
        int r = qcow2_lookup(q, cluster, (unsigned)MIN(((end - 1) >> q->cluster_bits) - cluster + 1, (uint64_t)BATCH),
                             entries, &n);

        if (r < 0)
            return r;
        for (uint64_t batch_end = MIN(end, (cluster + n) << q->cluster_bits); at < batch_end;) {
            Qcow2Entry e = entries[(at >> q->cluster_bits) - cluster];
            Qcow2Kind kind = qcow2_kind(q, e, (uint32_t)((at & (q->cluster_size - 1)) >> q->sc_bits));
            bool placed = kind == QCOW2_NORMAL || kind == QCOW2_ZERO_ALLOC;
            uint64_t host = qcow2_host_offset(q, e) + (at & (q->cluster_size - 1));

            if (kind == QCOW2_INVALID)
                return qcow2_corrupt(q, "L2 entry %llx of guest offset %llu is invalid", (unsigned long long)e.entry,
                                     (unsigned long long)at);
            if (kind == QCOW2_UNALLOCATED_ALLOC)
                kind = QCOW2_UNALLOCATED;
            if (at == offset) {
                first = kind;
                ret->allocated = kind != QCOW2_UNALLOCATED;
                ret->zero = kind == QCOW2_ZERO_PLAIN || kind == QCOW2_ZERO_ALLOC;
                ret->data = kind == QCOW2_NORMAL || kind == QCOW2_PACKED;
                ret->compressed = kind == QCOW2_PACKED;
                ret->has_host_offset = placed && image->luks == NULL;
                ret->host_offset = ret->has_host_offset ? host : 0;
            } else if (kind != first || (ret->has_host_offset && host != ret->host_offset + (at - offset))) {
                ret->length = at - offset;
                return 0;
            }
            at = MIN(end, ((at >> q->sc_bits) + 1) << q->sc_bits);
        }
    }
    ret->length = end - offset;
    return 0;
}
