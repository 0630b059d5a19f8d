/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qcow2: counting references to host clusters, finding free ones, and giving them up in the right order. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/qcow2.h"

#define PENDING_LIMIT 8192 /* clusters' runs that may wait without anybody flushing */

uint64_t qcow2_refcount_read(const uint8_t *block, uint64_t index, uint32_t order)
{
    switch (order) {
    case 6:
        return get_be64(block + index * 8);
    case 5:
        return get_be32(block + index * 4);
    case 4:
        return get_be16(block + index * 2);
    case 3:
        return block[index];
    default:
        return (block[index >> (3 - order)] >> ((index << order) & 7)) & ((1u << (1u << order)) - 1);
    }
}

void qcow2_refcount_write(uint8_t *block, uint64_t index, uint32_t order, uint64_t count)
{
    unsigned shift, mask;

    switch (order) {
    case 6:
        put_be64(block + index * 8, count);
        return;
    case 5:
        put_be32(block + index * 4, (uint32_t)count);
        return;
    case 4:
        put_be16(block + index * 2, (uint16_t)count);
        return;
    case 3:
        block[index] = (uint8_t)count;
        return;
    default:
        shift = (index << order) & 7;
        mask = ((1u << (1u << order)) - 1) << shift;
        block[index >> (3 - order)] = (uint8_t)((block[index >> (3 - order)] & ~mask) | ((unsigned)count << shift));
        return;
    }
}

/* The slice that holds a cluster's count, and its index there. *ret_slot NULL: there is no block. */
static int count_slice(Qcow2 *q, uint64_t cluster, MetaSlot **ret_slot, uint64_t *ret_index)
{
    uint64_t table_index = cluster >> q->refblock_bits, block, at;
    uint32_t order = q->h.refcount_order;

    *ret_slot = NULL;
    if (table_index >= q->reftable_size || q->reftable[table_index] == 0)
        return 0;
    block = q->reftable[table_index];
    if (block & (q->cluster_size - 1))
        return qcow2_corrupt(q, "refcount block %llu is not aligned", (unsigned long long)block);
    at = (cluster & ((1ull << q->refblock_bits) - 1)) << order >> 3;
    at = ALIGN_DOWN(at, (uint64_t)q->rc.slice_size);
    *ret_index = (cluster & ((1ull << q->refblock_bits) - 1)) - ((at << 3) >> order);
    return meta_cache_get(&q->rc, block + at, ret_slot);
}

int qcow2_refcount_get(Qcow2 *q, uint64_t cluster, uint64_t *ret_count)
{
    MetaSlot *slot;
    uint64_t index;
    int ret = count_slice(q, cluster, &slot, &index);

    if (ret < 0)
        return ret;
    *ret_count = slot != NULL ? qcow2_refcount_read(slot->data, index, q->h.refcount_order) : 0;
    return 0;
}

/* ---- New blocks and a larger table ---- */

/* The table is full: a new one, half as large again, behind everything, with blocks that count it and themselves. */
static int grow_table(Qcow2 *q, uint64_t need)
{
    uint64_t per_block = 1ull << q->refblock_bits, start = (uint64_t)q->reftable_size << q->refblock_bits;
    uint64_t entries_per_cluster = q->cluster_size / 8, entries, clusters, blocks, used;
    uint64_t old_offset = q->h.reftable_offset, old_clusters = q->h.reftable_clusters;
    cleanup_free uint64_t *table = NULL;
    cleanup_free uint8_t *buffer = NULL;
    uint8_t fields[12];
    int ret;

    start = MAX(start, ALIGN_UP(q->fresh_from, per_block));
    need = MAX(need + 1, (uint64_t)q->reftable_size + q->reftable_size / 2);
    for (blocks = 1;; blocks++) {
        entries = ALIGN_UP(MAX(need, (start >> q->refblock_bits) + blocks), entries_per_cluster);
        clusters = entries / entries_per_cluster;
        used = clusters + blocks;
        if (used <= blocks * per_block)
            break;
    }
    if (clusters * q->cluster_size > MAX(QCOW2_MAX_REFTABLE_BYTES, q->cluster_size) ||
        (start + used) * q->cluster_size > QCOW2_MAX_OFFSET)
        return -EFBIG;
    table = calloc(entries, 8);
    buffer = calloc(1, q->cluster_size);
    if (table == NULL || buffer == NULL)
        return -ENOMEM;
    memcpy(table, q->reftable, (size_t)q->reftable_size * 8);
    for (uint64_t b = 0; b < blocks; b++) {
        table[(start >> q->refblock_bits) + b] = (start + clusters + b) * q->cluster_size;
        memset(buffer, 0, q->cluster_size);
        for (uint64_t i = b * per_block; i < MIN(used, (b + 1) * per_block); i++)
            qcow2_refcount_write(buffer, i - b * per_block, q->h.refcount_order, 1);
        ret = host_file_pwrite(&q->image->file, buffer, q->cluster_size, (start + clusters + b) * q->cluster_size);
        if (ret < 0)
            return ret;
    }
    for (uint64_t c = 0; c < clusters; c++) {
        for (uint64_t i = 0; i < entries_per_cluster; i++)
            put_be64(buffer + i * 8, table[c * entries_per_cluster + i]);
        ret = host_file_pwrite(&q->image->file, buffer, q->cluster_size, (start + c) * q->cluster_size);
        if (ret < 0)
            return ret;
    }
    ret = meta_cache_write(&q->rc);
    if (ret == 0)
        ret = qcow2_sync(q);
    if (ret < 0)
        return ret;
    put_be64(fields, start * q->cluster_size);
    put_be32(fields + 8, (uint32_t)clusters);
    ret = qcow2_switch(q, fields, sizeof fields, QCOW2_AT_REFTABLE, "a larger refcount table");
    if (ret < 0)
        return ret;
    q->h.reftable_offset = start * q->cluster_size;
    q->h.reftable_clusters = (uint32_t)clusters;
    free(q->reftable);
    q->reftable = take_ptr(table);
    q->reftable_size = (uint32_t)entries;
    q->fresh_from = MAX(q->fresh_from, start + used);
    meta_set_remove(&q->meta, old_offset >> q->cluster_bits, old_clusters);
    ret = meta_set_add(&q->meta, start, clusters, META_REFTABLE);
    if (ret == 0)
        ret = meta_set_add(&q->meta, start + clusters, blocks, META_REFBLOCK);
    if (ret == 0)
        ret = qcow2_free_later(q, old_offset >> q->cluster_bits, old_clusters, false);
    return ret;
}

/* A block for the counts around `cluster`, placed at `cluster` itself (the whole range is free) and counting itself. */
static int add_block(Qcow2 *q, uint64_t cluster)
{
    uint64_t table_index = cluster >> q->refblock_bits, offset = cluster * q->cluster_size;
    cleanup_free uint8_t *block = NULL;
    uint8_t entry[8];
    int ret;

    if (meta_set_find(&q->meta, cluster) != META_NONE)
        return qcow2_corrupt(q, "metadata at %llu has no refcount", (unsigned long long)offset);
    block = calloc(1, q->cluster_size);
    if (block == NULL)
        return -ENOMEM;
    qcow2_refcount_write(block, cluster & ((1ull << q->refblock_bits) - 1), q->h.refcount_order, 1);
    ret = host_file_pwrite(&q->image->file, block, q->cluster_size, offset);
    if (ret == 0)
        ret = qcow2_sync(q);
    if (ret < 0)
        return ret;
    put_be64(entry, offset);
    ret = host_file_pwrite(&q->image->file, entry, sizeof entry, q->h.reftable_offset + table_index * 8);
    if (ret < 0)
        return ret;
    q->need_sync = true;
    q->reftable[table_index] = offset;
    q->fresh_from = MAX(q->fresh_from, cluster + 1);
    meta_cache_drop(&q->rc, offset, q->cluster_size);
    return meta_set_add(&q->meta, cluster, 1, META_REFBLOCK);
}

/*
 * A long run would never come together if each range put its block at its own beginning: blocks for n clusters (and for
 * themselves) behind them, in ranges where nothing is counted yet.
 */
static int add_blocks_behind(Qcow2 *q, uint64_t n)
{
    uint64_t per_block = 1ull << q->refblock_bits, start, blocks, first, last = q->reftable_size;
    cleanup_free uint8_t *buf = NULL;
    int ret;

    for (blocks = 1; n + blocks > blocks * per_block;)
        blocks++;
    do {
        while (last > 0 && q->reftable[last - 1] == 0)
            last--;
        start = MAX(last << q->refblock_bits, ALIGN_UP(q->fresh_from, per_block));
        first = start >> q->refblock_bits;
        if (first + blocks <= q->reftable_size)
            break;
        ret = grow_table(q, first + 2 * blocks + 1);
        if (ret < 0)
            return ret;
        last = q->reftable_size;
    } while (true);
    if ((start + n + blocks) << q->cluster_bits > QCOW2_MAX_OFFSET)
        return -EFBIG;
    buf = calloc(blocks, q->cluster_size);
    if (buf == NULL)
        return -ENOMEM;
    for (uint64_t i = n; i < n + blocks; i++)
        qcow2_refcount_write(buf + (i >> q->refblock_bits) * q->cluster_size, i & (per_block - 1),
                             q->h.refcount_order, 1);
    ret = host_file_pwrite(&q->image->file, buf, blocks * q->cluster_size, (start + n) << q->cluster_bits);
    if (ret == 0)
        ret = qcow2_sync(q);
    if (ret < 0)
        return ret;
    for (uint64_t i = 0; i < blocks; i++)
        put_be64(buf + i * 8, (start + n + i) << q->cluster_bits);
    ret = host_file_pwrite(&q->image->file, buf, blocks * 8, q->h.reftable_offset + first * 8);
    if (ret < 0)
        return ret;
    q->need_sync = true;
    for (uint64_t i = 0; i < blocks; i++)
        q->reftable[first + i] = (start + n + i) << q->cluster_bits;
    meta_cache_drop(&q->rc, (start + n) << q->cluster_bits, blocks * q->cluster_size);
    return meta_set_add(&q->meta, start + n, blocks, META_REFBLOCK);
}

static int ensure_block(Qcow2 *q, uint64_t cluster, bool *ret_new)
{
    uint64_t table_index = cluster >> q->refblock_bits;
    int ret;

    *ret_new = false;
    if (table_index < q->reftable_size && q->reftable[table_index] != 0)
        return 0;
    *ret_new = true;
    if (table_index >= q->reftable_size) {
        ret = grow_table(q, table_index);
        if (ret < 0 || q->reftable[table_index] != 0)
            return ret;
    }
    return add_block(q, cluster);
}

/* ---- Changing ---- */

int qcow2_refcount_set(Qcow2 *q, uint64_t cluster, uint64_t count)
{
    MetaSlot *slot;
    uint64_t index;
    int ret = count_slice(q, cluster, &slot, &index);

    if (ret < 0)
        return ret;
    if (slot == NULL)
        return qcow2_corrupt(q, "cluster %llu is in use but has no refcount block", (unsigned long long)cluster);
    qcow2_refcount_write(slot->data, index, q->h.refcount_order, count);
    meta_cache_dirty(&q->rc, slot);
    return 0;
}

int qcow2_refcount_add(Qcow2 *q, uint64_t cluster, uint64_t n, int delta)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t count;
        int ret = qcow2_refcount_get(q, cluster + i, &count);

        if (ret < 0)
            return ret;
        if (delta < 0 && count == 0)
            return qcow2_corrupt(q, "cluster %llu is given up but was not in use", (unsigned long long)(cluster + i));
        if (delta > 0 && count == q->max_refcount)
            return -ERANGE;
        count += (uint64_t)(int64_t)delta;
        ret = qcow2_refcount_set(q, cluster + i, count);
        if (ret < 0)
            return ret;
        if (count == 0)
            q->free_hint = MIN(q->free_hint, cluster + i);
    }
    return 0;
}

/* ---- Finding ---- */

/* The next run of free clusters from `from` on, at most n. Clusters without a block count as free. */
static int find_run(Qcow2 *q, uint64_t from, uint64_t n, uint64_t *ret_start, uint64_t *ret_n)
{
    uint64_t limit = QCOW2_MAX_OFFSET >> q->cluster_bits, start = from, run = 0, i = from;

    while (run < n) {
        MetaSlot *slot;
        uint64_t index, in_slice;
        int ret;

        if (i >= limit)
            return -EFBIG;
        ret = count_slice(q, i, &slot, &index);
        if (ret < 0)
            return ret;
        if (slot == NULL) {
            uint64_t end = ALIGN_UP(i + 1, 1ull << q->refblock_bits);

            run += end - i;
            i = end;
            continue;
        }
        in_slice = ((uint64_t)q->rc.slice_size << 3) >> q->h.refcount_order;
        for (; index < in_slice && run < n; index++, i++) {
            if (qcow2_refcount_read(slot->data, index, q->h.refcount_order) == 0) {
                run++;
            } else if (run > 0) {
                *ret_start = start;
                *ret_n = run;
                return 0;
            } else {
                start = i + 1;
            }
        }
    }
    *ret_start = start;
    *ret_n = MIN(run, n);
    return 0;
}

int qcow2_alloc_clusters(Qcow2 *q, uint64_t n, bool exact, uint64_t *ret_cluster, uint64_t *ret_n, bool *ret_fresh)
{
    uint64_t start, run, from, first;
    int ret;

    if (q->pending_tail - q->pending_head > PENDING_LIMIT) {
        ret = qcow2_write_back_sync(q);
        if (ret < 0)
            return ret;
    } else if (q->pending_head < q->pending_safe) {
        ret = qcow2_process_pending(q);
        if (ret < 0)
            return ret;
    }
again:
    first = UINT64_MAX;
    for (from = q->free_hint;; from = start + run) {
        ret = find_run(q, from, n, &start, &run);
        if (ret < 0)
            return ret;
        first = MIN(first, start);
        if (run == n || !exact)
            break;
    }
    for (uint64_t c = start; c < start + run; c = ALIGN_UP(c + 1, 1ull << q->refblock_bits)) {
        bool added = false;

        if (exact && n > 1 && (c >> q->refblock_bits >= q->reftable_size || q->reftable[c >> q->refblock_bits] == 0)) {
            ret = add_blocks_behind(q, n);
            added = true;
        } else {
            ret = ensure_block(q, c, &added);
        }
        if (ret < 0)
            return ret;
        if (added)
            goto again;
    }
    for (uint64_t i = 0; i < run; i++)
        if (meta_set_find(&q->meta, start + i) != META_NONE)
            return qcow2_corrupt(q, "cluster %llu holds metadata but counts as free",
                                 (unsigned long long)(start + i));
    for (uint64_t i = 0; i < run; i++) {
        ret = qcow2_refcount_set(q, start + i, 1);
        if (ret < 0)
            return ret;
    }
    q->free_hint = first == start ? start + run : first;
    *ret_fresh = start >= q->fresh_from;
    q->fresh_from = MAX(q->fresh_from, start + run);
    *ret_cluster = start;
    if (ret_n != NULL)
        *ret_n = run;
    return 0;
}

/* ---- Giving up ---- */

int qcow2_free_later(Qcow2 *q, uint64_t cluster, uint64_t n, bool unmap)
{
    Qcow2Pending *last;

    if (q->pending_tail > q->pending_written) {
        last = &q->pending[(q->pending_tail - 1) % q->pending_room];
        if (last->cluster + last->n == cluster && last->unmap == unmap && last->epoch == q->image->epoch) {
            last->n += n;
            return 0;
        }
    }
    if (q->pending_tail - q->pending_head == q->pending_room) {
        uint64_t room = MAX(q->pending_room * 2, (uint64_t)64), have = q->pending_tail - q->pending_head;
        Qcow2Pending *ring = malloc(room * sizeof *ring);

        if (ring == NULL)
            return -ENOMEM;
        for (uint64_t i = 0; i < have; i++)
            ring[(q->pending_head + i) % room] = q->pending[(q->pending_head + i) % q->pending_room];
        free(q->pending);
        q->pending = ring;
        q->pending_room = room;
    }
    q->pending[q->pending_tail++ % q->pending_room] =
        (Qcow2Pending){.cluster = cluster, .n = n, .epoch = q->image->epoch, .unmap = unmap};
    return 0;
}

int qcow2_process_pending(Qcow2 *q)
{
    if (q->pending_head == q->pending_safe)
        return 0;
    image_epoch_advance(q->image);
    image_epoch_advance(q->image);
    while (q->pending_head < q->pending_safe) {
        Qcow2Pending p = q->pending[q->pending_head % q->pending_room];
        int ret;

        if ((int32_t)(q->image->epoch - p.epoch) < 2)
            return 0;
        q->pending_head++;
        ret = qcow2_refcount_add(q, p.cluster, p.n, -1);
        if (ret < 0)
            return ret;
        for (uint64_t i = 0; p.unmap && i < p.n;) {
            uint64_t count = 1, k = i;

            while (k < p.n && (ret = qcow2_refcount_get(q, p.cluster + k, &count)) == 0 && count == 0)
                k++;
            if (ret < 0)
                return ret;
            if (k > i)
                host_file_punch(&q->image->file, (p.cluster + i) << q->cluster_bits, (k - i) << q->cluster_bits);
            i = k + 1;
        }
    }
    return 0;
}
