/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qcow2: writing. A write to clusters that are ours alone goes straight to them. One that needs clusters (or
 * subclusters) gets them in begin, together with what must be copied around it, and is linked into the L2 table in end,
 * after its data was written; until then readers see the old mapping, and other writers to these clusters wait.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/qcow2.h"

#define BATCH 64u
#define MAX_RUN 512u
#define READ_ACROSS (16u * 1024) /* a gap that is read along, to read once */
#define FILL_BY_ZEROING (64u * 1024) /* longer edges of zeros are not written but zeroed */

/* ---- In place ---- */

/* All subclusters that [start, end) of one cluster touches can be overwritten where they are. */
static bool is_in_place(const Qcow2 *q, Qcow2Entry e, uint64_t start, uint64_t end)
{
    if (!(e.entry & QCOW2_COPIED) || (e.entry & QCOW2_COMPRESSED))
        return false;
    for (uint64_t sc = start >> q->sc_bits; sc <= (end - 1) >> q->sc_bits; sc++)
        if (qcow2_kind(q, e, (uint32_t)sc) != QCOW2_NORMAL)
            return false;
    return true;
}

/* Extents for as much of the range as is in place: 0, or 1 when not even its beginning is. */
static int write_in_place(Qcow2 *q, uint64_t offset, uint64_t length, ImageRequest *request, bool locked)
{
    uint64_t first = offset >> q->cluster_bits, end = offset + length, mask = q->cluster_size - 1;
    HostFile *file = image_data_file(q->image);
    Qcow2Entry entries[BATCH];
    unsigned n, want = (unsigned)MIN(((end - 1) >> q->cluster_bits) - first + 1, (uint64_t)BATCH);
    int ret = locked ? qcow2_lookup_locked(q, first, want, entries, &n) : qcow2_lookup(q, first, want, entries, &n);

    if (ret < 0)
        return ret;
    for (unsigned i = 0; i < n && offset < end; i++) {
        uint64_t stop = MIN(end, (offset | mask) + 1), host = qcow2_host_offset(q, entries[i]);

        if (!is_in_place(q, entries[i], offset & mask, ((stop - 1) & mask) + 1))
            break;
        if (!q->external && meta_set_find(&q->meta, host >> q->cluster_bits) != META_NONE)
            return qcow2_corrupt(q, "guest offset %llu is mapped to metadata at %llu", (unsigned long long)offset,
                                 (unsigned long long)host);
        if (!image_request_add(request, IMAGE_EXTENT_DATA, file, host + (offset & mask), stop - offset, 0))
            break;
        offset = stop;
    }
    return request->length > 0 ? 0 : 1;
}

/* ---- Waiting for others ---- */

static Qcow2Alloc *find_alloc(Qcow2 *q, uint64_t guest_cluster, uint64_t n)
{
    for (Qcow2Alloc *a = q->allocs; a != NULL; a = a->next)
        if (guest_cluster < a->guest_cluster + a->n && a->guest_cluster < guest_cluster + n)
            return a;
    return NULL;
}

int qcow2_wait_range(Qcow2 *q, uint64_t guest_cluster, uint64_t n, ImageRequest *wait)
{
    Qcow2Alloc *a;

    while ((a = find_alloc(q, guest_cluster, n)) != NULL) {
        int ret = image_wait_for(q->image, wait, a);

        if (ret < 0)
            return ret;
    }
    return 0;
}

/* ---- Copying up ---- */

static bool range_reads_zero(Image *image, uint64_t offset, uint64_t length)
{
    while (length > 0) {
        ImageRequest r = {.image = image};

        if (image->ops->append_read(image, offset, length, &r) < 0 || r.length == 0)
            return false;
        for (unsigned i = 0; i < r.n_extents; i++)
            if (r.extents[i].kind != IMAGE_EXTENT_ZERO)
                return false;
        offset += r.length;
        length -= r.length;
    }
    return true;
}

/* What [offset, offset + length) must hold in the new cluster at `host`: nothing to do, or a FILL extent. */
static int fill_edge(Qcow2 *q, uint64_t offset, uint64_t length, uint64_t host, bool fresh, void **ret_buffer)
{
    Image *image = q->image;
    bool zero;
    int ret;

    if (length == 0)
        return 0;
    zero = range_reads_zero(image, offset, length);
    if (zero && fresh && image->luks == NULL)
        return 0;
    if (zero && length > FILL_BY_ZEROING && image->luks == NULL)
        return host_file_zero(image_data_file(image), host, length, true);
    if (posix_memalign(ret_buffer, 4096, ALIGN_UP(length, (uint64_t)512)) != 0) {
        *ret_buffer = NULL;
        return -ENOMEM;
    }
    if (zero) {
        memset(*ret_buffer, 0, length);
    } else {
        struct iovec iov = {.iov_base = *ret_buffer, .iov_len = length};

        ret = image_read_any(image, &iov, 1, offset);
        if (ret < 0)
            return ret;
    }
    if (image->luks != NULL)
        luks_encrypt(image->luks, host, *ret_buffer, length);
    return 0;
}

/*
 * Both edges of a small write between them by one read across the gap, into one buffer (a->fill[0]); *ret_second is where
 * the second one begins. 1: not worth it, or not possible; each is to be filled by itself.
 */
static int fill_both(Qcow2 *q, uint64_t start, uint64_t data, uint64_t data_end, uint64_t end, void **ret_buffer,
                     void **ret_second)
{
    struct iovec iov;

    if (q->image->luks != NULL || data == start || data_end == end || data_end - data > READ_ACROSS ||
        (data_end - start) % 4096 != 0 || range_reads_zero(q->image, start, data - start) ||
        range_reads_zero(q->image, data_end, end - data_end))
        return 1;
    if (posix_memalign(ret_buffer, 4096, ALIGN_UP(end - start, (uint64_t)512)) != 0) {
        *ret_buffer = NULL;
        return -ENOMEM;
    }
    iov = (struct iovec){.iov_base = *ret_buffer, .iov_len = end - start};
    *ret_second = (char *)*ret_buffer + (data_end - start);
    return image_read_any(q->image, &iov, 1, start);
}

/* ---- Allocating ---- */

/* First and last subcluster (of `e`) with data in it; false when there is none. */
static bool allocated_span(const Qcow2 *q, Qcow2Entry e, uint32_t *ret_first, uint32_t *ret_end)
{
    uint32_t bits = (uint32_t)e.bitmap;

    if (e.entry & QCOW2_COMPRESSED) {
        *ret_first = 0;
        *ret_end = q->n_sc;
        return true;
    }
    if (q->n_sc == 1 || (e.entry & QCOW2_OFFSET_MASK) == 0 || bits == 0)
        return false;
    *ret_first = (uint32_t)__builtin_ctz(bits);
    *ret_end = 32 - (uint32_t)__builtin_clz(bits);
    return true;
}

/*
 * Which subclusters of the run must be written for the write of [start, end) (bytes from the run's first cluster), as
 * [a->first_sc, a->end_sc): those it touches, unless they are there already; and, when the run moves to new clusters,
 * all that have data in the old ones.
 */
static void choose_subclusters(const Qcow2 *q, Qcow2Alloc *a, const Qcow2Entry *old, uint64_t start, uint64_t end)
{
    Qcow2Entry last = old[a->n - 1];
    uint32_t first, stop, base = (uint32_t)(a->n - 1) * q->n_sc;

    a->first_sc = (uint32_t)(start >> q->sc_bits);
    a->end_sc = (uint32_t)((end - 1) >> q->sc_bits) + 1;
    if (!a->fresh_clusters)
        return;
    if (allocated_span(q, old[0], &first, &stop))
        a->first_sc = MIN(a->first_sc, first);
    if (allocated_span(q, last, &first, &stop))
        a->end_sc = MAX(a->end_sc, base + stop);
}

/* Lock held. Reserves what the beginning of the range needs. 1: things changed, look again. */
static int reserve(Qcow2 *q, uint64_t offset, uint64_t length, ImageRequest *request, Qcow2Alloc **ret_alloc,
                   Qcow2Entry *ret_first, Qcow2Entry *ret_last, bool *ret_fresh)
{
    uint64_t first = offset >> q->cluster_bits, last = (offset + length - 1) >> q->cluster_bits;
    uint64_t n = MIN(last - first + 1, (uint64_t)MAX_RUN), host = 0, got;
    cleanup_free Qcow2Entry *old = malloc(sizeof *old * MAX_RUN);
    cleanup_free Qcow2Alloc *a = calloc(1, sizeof *a);
    Qcow2Alloc *other = find_alloc(q, first, 1);
    unsigned have;
    int ret;

    if (old == NULL || a == NULL)
        return -ENOMEM;
    if (other != NULL) {
        ret = image_wait_for(q->image, request, other);
        return ret < 0 ? ret : 1;
    }
    for (Qcow2Alloc *o = q->allocs; o != NULL; o = o->next)
        if (o->guest_cluster > first)
            n = MIN(n, o->guest_cluster - first);
    ret = qcow2_l2_own(q, first);
    if (ret == 0)
        ret = qcow2_lookup_locked(q, first, (unsigned)n, old, &have);
    if (ret < 0)
        return ret;
    n = have;
    *ret_fresh = false;
    for (uint64_t i = 0; i < n; i++) {
        bool placed = (old[i].entry & (QCOW2_COPIED | QCOW2_COMPRESSED)) == QCOW2_COPIED &&
                      ((old[i].entry & QCOW2_OFFSET_MASK) != 0 || q->external);

        for (uint32_t sc = 0; sc < q->n_sc; sc++)
            if (qcow2_kind(q, old[i], sc) == QCOW2_INVALID)
                return qcow2_corrupt(q, "L2 entry %llx of guest cluster %llu is invalid",
                                     (unsigned long long)old[i].entry, (unsigned long long)(first + i));
        if (i == 0 && placed) {
            n = 1; /* into the cluster that is reserved for it */
            host = qcow2_host_offset(q, old[0]);
            if (!q->external && meta_set_find(&q->meta, host >> q->cluster_bits) != META_NONE)
                return qcow2_corrupt(q, "guest cluster %llu is mapped to metadata", (unsigned long long)first);
            break;
        }
        if (placed)
            n = i;
        a->fresh_clusters = true;
    }
    if (a->fresh_clusters && q->external) {
        host = first << q->cluster_bits;
    } else if (a->fresh_clusters) {
        ret = qcow2_alloc_clusters(q, n, false, &host, &got, ret_fresh);
        if (ret < 0)
            return ret;
        host <<= q->cluster_bits;
        n = got;
    }
    a->guest_cluster = first;
    a->n = n;
    a->host_offset = host;
    choose_subclusters(q, a, old, offset & (q->cluster_size - 1),
                       MIN(offset + length, (first + n) << q->cluster_bits) - (first << q->cluster_bits));
    *ret_first = old[0];
    *ret_last = old[n - 1];
    a->next = q->allocs;
    q->allocs = a;
    *ret_alloc = take_ptr(a);
    return 0;
}

static void add_fill(ImageRequest *request, HostFile *file, uint64_t host, uint64_t length, void *buffer)
{
    if (buffer != NULL)
        request->extents[request->n_extents++] = (ImageExtent){
            .kind = IMAGE_EXTENT_FILL, .fd = file->fd, .offset = host, .length = length, .buffer = buffer};
}

/* No clusters are there for the beginning of the range, or not ours alone. May they be taken on a thread that must not wait?
 * Yes where nothing has to be copied around the write, for then there is next to nothing to read. */
static bool begins_at_once(Qcow2 *q, uint64_t offset, uint64_t length)
{
    uint64_t mask = q->cluster_size - 1, first = offset >> q->cluster_bits, last = (offset + length - 1) >> q->cluster_bits;
    Qcow2Entry ends[2];
    unsigned n;

    if (q->image->backing != NULL && ((offset | length) & mask) != 0)
        return false;
    if (qcow2_lookup(q, first, 1, &ends[0], &n) < 0 || qcow2_lookup(q, last, 1, &ends[1], &n) < 0)
        return false;
    return q->n_sc == 1 && (ends[0].entry & (QCOW2_COMPRESSED | QCOW2_OFFSET_MASK)) == 0 &&
           (ends[1].entry & (QCOW2_COMPRESSED | QCOW2_OFFSET_MASK)) == 0;
}

int qcow2_begin_write(Image *image, uint64_t offset, uint64_t length, ImageRequest *request)
{
    Qcow2 *q = qcow2_of(image);
    HostFile *file = image_data_file(image);
    uint64_t run_start, data_end, edge_start, edge_end;
    Qcow2Entry old_first = {0}, old_last = {0};
    Qcow2Alloc *a = NULL;
    void *second = NULL; /* what is copied behind the data */
    bool fresh = false;
    int ret = 1;

    if (q->prepared)
        ret = write_in_place(q, offset, length, request, false);
    if (ret != 1)
        return ret;
    if (host_file_no_wait() && !begins_at_once(q, offset, length))
        return -EINPROGRESS;
    ret = image_lock_request(image);
    if (ret < 0)
        return ret;
    host_file_set_no_wait(false); /* what is left is short; image_begin_write() sets it again */
    do {
        ret = image->corrupt ? -EIO : qcow2_prepare_write(q);
        if (ret == 0)
            ret = write_in_place(q, offset, length, request, true);
        if (ret != 1) {
            pthread_mutex_unlock(&image->lock);
            return ret;
        }
        ret = reserve(q, offset, length, request, &a, &old_first, &old_last, &fresh);
    } while (ret == 1);
    pthread_mutex_unlock(&image->lock);
    if (ret < 0)
        return ret;

    request->alloc = a;
    run_start = a->guest_cluster << q->cluster_bits;
    data_end = MIN(offset + length, run_start + (a->n << q->cluster_bits));
    edge_start = run_start + ((uint64_t)a->first_sc << q->sc_bits);
    edge_end = run_start + ((uint64_t)a->end_sc << q->sc_bits);
    if (!a->fresh_clusters && q->n_sc > 1) {
        /* A subcluster that has data keeps it: nothing to copy around the write. */
        if (qcow2_kind(q, old_first, (uint32_t)((offset - run_start) >> q->sc_bits)) == QCOW2_NORMAL)
            edge_start = offset;
        if (qcow2_kind(q, old_last, (uint32_t)((data_end - 1 - run_start) >> q->sc_bits)) == QCOW2_NORMAL)
            edge_end = data_end;
    }
    ret = fill_both(q, edge_start, offset, data_end, edge_end, &a->fill[0], &second);
    if (ret == 1) {
        ret = fill_edge(q, edge_start, offset - edge_start, a->host_offset + (edge_start - run_start), fresh,
                        &a->fill[0]);
        if (ret == 0)
            ret = fill_edge(q, data_end, edge_end - data_end, a->host_offset + (data_end - run_start), fresh,
                            &a->fill[1]);
        second = a->fill[1];
    }
    if (ret < 0) {
        qcow2_end_write(image, request, ret);
        return ret;
    }
    add_fill(request, file, a->host_offset + (edge_start - run_start), offset - edge_start, a->fill[0]);
    image_request_add(request, IMAGE_EXTENT_DATA, file, a->host_offset + (offset - run_start), data_end - offset, 0);
    add_fill(request, file, a->host_offset + (data_end - run_start), edge_end - data_end, second);
    return 0;
}

/* ---- Linking ---- */

int qcow2_free_entry(Qcow2 *q, Qcow2Entry e, bool unmap)
{
    uint64_t offset, length;

    if (q->external)
        return 0;
    if (e.entry & QCOW2_COMPRESSED) {
        qcow2_packed_place(q, e.entry, &offset, &length);
        pthread_mutex_lock(&q->unpack_lock);
        q->unpacked_entry = 0;
        pthread_mutex_unlock(&q->unpack_lock);
        q->pack_cluster = 0; /* may become free, and somebody else's: nothing is added to it */
        if (length == 0)
            return 0;
        return qcow2_free_later(q, offset >> q->cluster_bits,
                                ((offset + length - 1) >> q->cluster_bits) - (offset >> q->cluster_bits) + 1, unmap);
    }
    offset = qcow2_host_offset(q, e);
    return offset != 0 ? qcow2_free_later(q, offset >> q->cluster_bits, 1, unmap) : 0;
}

static Qcow2Entry linked_entry(const Qcow2 *q, const Qcow2Alloc *a, unsigned i, Qcow2Entry old)
{
    Qcow2Entry e = {.entry = (a->host_offset + ((uint64_t)i << q->cluster_bits)) | QCOW2_COPIED};
    uint32_t base = i * q->n_sc, from, to;
    uint64_t bits;

    if (q->n_sc == 1)
        return e;
    from = MAX(a->first_sc, base) - base;
    to = MIN(a->end_sc, base + 32) - base;
    bits = to > from ? (((1ull << to) - 1) & ~((1ull << from) - 1)) : 0;
    e.bitmap = old.entry & QCOW2_COMPRESSED ? 0 : old.bitmap;
    e.bitmap = (e.bitmap & ~(bits << 32)) | bits;
    return e;
}

static int link_run(Qcow2 *q, const Qcow2Alloc *a)
{
    cleanup_free Qcow2Entry *old = malloc(sizeof *old * a->n), *new = malloc(sizeof *new * a->n);
    unsigned n;
    int ret;

    if (old == NULL || new == NULL)
        return -ENOMEM;
    q->need_sync = true; /* the data and what was copied up */
    ret = qcow2_lookup_locked(q, a->guest_cluster, (unsigned)a->n, old, &n);
    if (ret < 0)
        return ret;
    for (unsigned i = 0; i < n; i++)
        new[i] = linked_entry(q, a, i, old[i]);
    ret = qcow2_set_entries(q, a->guest_cluster, n, new);
    if (ret < 0)
        return ret;
    /* Linked: what cannot be noted for freeing now is a leak and no error of this write. */
    for (unsigned i = 0; i < n && a->fresh_clusters; i++)
        qcow2_free_entry(q, old[i], false);
    return 0;
}

int qcow2_end_write(Image *image, ImageRequest *request, int status)
{
    Qcow2 *q = qcow2_of(image);
    Qcow2Alloc *a = request->alloc;
    int ret = status;

    pthread_mutex_lock(&image->lock);
    if (ret == 0)
        ret = image->corrupt ? -EIO : link_run(q, a);
    if (ret < 0 && a->fresh_clusters && !q->external)
        qcow2_free_later(q, a->host_offset >> q->cluster_bits, a->n, false);
    for (Qcow2Alloc **link = &q->allocs; *link != NULL; link = &(*link)->next)
        if (*link == a) {
            *link = a->next;
            break;
        }
    request->alloc = NULL;
    image_wake(image, a);
    pthread_mutex_unlock(&image->lock);
    free(a->fill[0]);
    free(a->fill[1]);
    free(a);
    return ret;
}
