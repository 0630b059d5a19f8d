/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qcow2: internal snapshots. A snapshot is a second L1 table; everything reachable from both is counted twice and has
 * no COPIED flag, so that the next write copies it. The header switches tables in one write; around the many changes of
 * counts and flags the dirty bit is set, so that a cut is repaired by counting anew.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/qcow2.h"

/* ---- Walking a tree ---- */

/* Counts all clusters of one L2 table up or down; going down, what becomes free is given back to the host. */
static int adjust_clusters(Qcow2 *q, uint64_t cluster, uint64_t n, int delta)
{
    int ret = qcow2_refcount_add(q, cluster, n, delta);

    for (uint64_t i = 0; i < n && ret == 0 && delta < 0; i++) {
        uint64_t count;

        ret = qcow2_refcount_get(q, cluster + i, &count);
        if (ret == 0 && count == 0)
            host_file_punch(&q->image->file, (cluster + i) << q->cluster_bits, q->cluster_size);
    }
    return ret;
}

static int adjust_entry(Qcow2 *q, uint64_t entry, int delta)
{
    uint64_t offset = entry & QCOW2_OFFSET_MASK, length;

    if (entry & QCOW2_COMPRESSED) {
        qcow2_packed_place(q, entry, &offset, &length);
        return adjust_clusters(q, offset >> q->cluster_bits,
                               ((offset + length - 1) >> q->cluster_bits) - (offset >> q->cluster_bits) + 1, delta);
    }
    return offset != 0 ? adjust_clusters(q, offset >> q->cluster_bits, 1, delta) : 0;
}

static int adjust_l2(Qcow2 *q, uint64_t table, int delta, uint8_t *buf)
{
    int ret = host_file_pread(&q->image->file, buf, q->cluster_size, table);

    for (uint64_t at = 0; at < q->cluster_size && ret == 0; at += q->entry_size)
        ret = adjust_entry(q, get_be64(buf + at), delta);
    if (ret == 0)
        ret = adjust_clusters(q, table >> q->cluster_bits, 1, delta);
    if (ret == 0 && delta < 0)
        meta_cache_drop(&q->l2, table, q->cluster_size);
    return ret;
}

/* Lock held, nothing dirty in the L2 cache. On failure counts may be too high, never too low. */
static int adjust_tree(Qcow2 *q, const uint64_t *l1, uint32_t n, int delta)
{
    cleanup_free uint8_t *buf = malloc(q->cluster_size);
    int ret = buf != NULL ? 0 : -ENOMEM;

    for (uint32_t i = 0; i < n && ret == 0; i++) {
        uint64_t table = l1[i] & QCOW2_OFFSET_MASK;

        if (table == 0)
            continue;
        if (table & (q->cluster_size - 1))
            return qcow2_corrupt(q, "L2 table %llu is not aligned", (unsigned long long)table);
        ret = adjust_l2(q, table, delta, buf);
        if (ret < 0 && delta > 0) /* undo the whole ones; the rest is a leak that the dirty bit will find */
            for (uint32_t j = 0; j < i; j++)
                if (l1[j] & QCOW2_OFFSET_MASK)
                    adjust_l2(q, l1[j] & QCOW2_OFFSET_MASK, -1, buf);
    }
    return ret;
}

/* Lock held: COPIED exactly where the count is one, in the active tree. */
static int refresh_copied(Qcow2 *q)
{
    cleanup_free uint8_t *buf = malloc(q->cluster_size);

    if (buf == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < q->l1_size; i++) {
        uint64_t table = q->l1[i] & QCOW2_OFFSET_MASK, count;
        bool changed = false;
        int ret;

        if (table == 0)
            continue;
        ret = qcow2_refcount_get(q, table >> q->cluster_bits, &count);
        if (ret == 0)
            ret = host_file_pread(&q->image->file, buf, q->cluster_size, table);
        if (ret < 0)
            return ret;
        if ((q->l1[i] & QCOW2_COPIED) != (count == 1 ? QCOW2_COPIED : 0))
            qcow2_set_l1(q, i, table | (count == 1 ? QCOW2_COPIED : 0));
        for (uint64_t at = 0; at < q->cluster_size; at += q->entry_size) {
            uint64_t e = get_be64(buf + at), want = e & ~QCOW2_COPIED;

            if ((e & QCOW2_COMPRESSED) || (e & QCOW2_OFFSET_MASK) == 0)
                continue;
            ret = qcow2_refcount_get(q, (e & QCOW2_OFFSET_MASK) >> q->cluster_bits, &count);
            if (ret < 0)
                return ret;
            if (count == 1)
                want |= QCOW2_COPIED;
            if (want != e) {
                put_be64(buf + at, want);
                changed = true;
            }
        }
        if (!changed)
            continue;
        /* Flags may only be cleared after the counts went up, and set after they went down. */
        ret = meta_cache_write(&q->rc);
        if (ret == 0)
            ret = host_file_pwrite(&q->image->file, buf, q->cluster_size, table);
        if (ret < 0)
            return ret;
        meta_cache_drop(&q->l2, table, q->cluster_size);
    }
    return 0;
}

/* ---- Operations ---- */

int qcow2_recount(Qcow2 *q)
{
    ImageCheck check = {0};
    Err ignored;
    int ret = qcow2_write_back_sync(q);

    if (ret == 0)
        ret = qcow2_check(q->image, IMAGE_REPAIR_ALL, NULL, NULL, &check, &ignored);
    if (ret == 0)
        q->miscounted = check.corruptions + check.leaks + check.check_errors > 0;
    return ret;
}

/* Ready for surgery: alone, everything on disk, dirty bit set. Takes the lock on success. */
static int begin(Image *image, Err *err)
{
    Qcow2 *q;
    int ret;

    if (image->format != IMAGE_FORMAT_QCOW2)
        return err_set(err, ENOTSUP, "%s: only qcow2 images have internal snapshots", image->name);
    q = qcow2_of(image);
    if (q->external)
        return err_set(err, ENOTSUP, "%s: an image with a data file has no internal snapshots", image->name);
    if (image->read_only)
        return err_set(err, EROFS, "%s: open read only", image->name);
    if (image_is_busy(image))
        return err_set(err, EBUSY, "%s: requests are in flight", image->name);
    if (image->corrupt)
        return err_set(err, EIO, "%s: the image is corrupt: repair it first", image->name);
    pthread_mutex_lock(&image->lock);
    ret = qcow2_prepare_write(q);
    if (ret == 0 && q->miscounted)
        ret = qcow2_recount(q);
    for (int i = 0; i < 2 && ret == 0; i++)
        ret = qcow2_write_back_sync(q);
    if (ret == 0)
        ret = qcow2_mark_dirty(q);
    if (ret < 0) {
        pthread_mutex_unlock(&image->lock);
        return err_set(err, -ret, "%s: cannot write metadata back: %s", image->name, strerror(-ret));
    }
    return 0;
}

/* Counts and flags to disk; the dirty bit goes when all went well (else the next opener counts anew). */
static int end(Image *image, int status, const char *what, Err *err)
{
    Qcow2 *q = qcow2_of(image);
    int ret = status, r;

    if (ret == 0)
        ret = refresh_copied(q);
    if (ret == 0)
        ret = meta_cache_write(&q->rc);
    if (ret == 0)
        ret = qcow2_write_back_sync(q);
    if (ret == 0 && !qcow2_lazy(q))
        ret = qcow2_clear_dirty(q);
    meta_set_free(&q->meta);
    r = qcow2_load_meta_set(q);
    if (ret == 0)
        ret = r;
    pthread_mutex_unlock(&image->lock);
    if (ret < 0) {
        /* Half-done counts are too high at worst. As long as they are the dirty bit stays, so that the next opener looks. */
        pthread_mutex_lock(&image->lock);
        q->miscounted = true;
        if (!image->corrupt)
            (void)qcow2_recount(q);
        pthread_mutex_unlock(&image->lock);
        return err_set(err, -ret, "%s: cannot %s: %s", image->name, what, strerror(-ret));
    }
    return 0;
}

static Qcow2Snapshot *find(Qcow2 *q, const char *id_or_name)
{
    for (uint32_t i = 0; i < q->n_snapshots; i++)
        if (strcmp(q->snapshots[i].id, id_or_name) == 0)
            return &q->snapshots[i];
    for (uint32_t i = 0; i < q->n_snapshots; i++)
        if (strcmp(q->snapshots[i].name, id_or_name) == 0)
            return &q->snapshots[i];
    return NULL;
}

static int load_l1(Qcow2 *q, const Qcow2Snapshot *s, uint32_t room, uint64_t **ret_l1)
{
    uint64_t *l1 = calloc(MAX(room, s->l1_size) + 1u, 8);
    int ret = l1 == NULL ? -ENOMEM : s->l1_size > 0
                  ? host_file_pread(&q->image->file, l1, (size_t)s->l1_size * 8, s->l1_offset) : 0;

    if (ret < 0) {
        free(l1);
        return ret;
    }
    for (uint32_t i = 0; i < s->l1_size; i++)
        l1[i] = __builtin_bswap64(l1[i]) & QCOW2_OFFSET_MASK;
    *ret_l1 = l1;
    return 0;
}

/* A copy of an L1 table in clusters of its own. */
static int store_l1(Qcow2 *q, const uint64_t *l1, uint32_t n, uint64_t *ret_offset)
{
    uint64_t clusters = MAX(DIV_ROUND_UP((uint64_t)n * 8, q->cluster_size), (uint64_t)1), cluster;
    cleanup_free uint64_t *buf = calloc(clusters, q->cluster_size);
    bool fresh;
    int ret;

    if (buf == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        buf[i] = __builtin_bswap64(l1[i] & QCOW2_OFFSET_MASK);
    ret = qcow2_alloc_clusters(q, clusters, true, &cluster, NULL, &fresh);
    if (ret < 0)
        return ret;
    *ret_offset = cluster << q->cluster_bits;
    ret = host_file_pwrite(&q->image->file, buf, clusters * q->cluster_size, *ret_offset);
    if (ret < 0)
        qcow2_refcount_add(q, cluster, clusters, -1);
    return ret;
}

static int drop_l1(Qcow2 *q, uint64_t offset, uint32_t n)
{
    return n == 0 && offset == 0
               ? 0
               : qcow2_refcount_add(q, offset >> q->cluster_bits,
                                    MAX(DIV_ROUND_UP((uint64_t)n * 8, q->cluster_size), (uint64_t)1), -1);
}

uint64_t qcow2_vmstate_start(const Qcow2 *q)
{
    return qcow2_l1_entries_for(q, q->h.size) << (q->l2_bits + q->cluster_bits);
}

static int create(Qcow2 *q, const ImageSnapshot *want)
{
    Qcow2Snapshot *list = realloc(q->snapshots, sizeof *list * (q->n_snapshots + 1u)), *s;
    unsigned long next = 1;
    char id[24];
    int ret;

    if (list == NULL)
        return -ENOMEM;
    q->snapshots = list;
    if (q->n_snapshots >= QCOW2_MAX_SNAPSHOTS)
        return -EFBIG;
    for (uint32_t i = 0; i < q->n_snapshots; i++)
        next = MAX(next, strtoul(list[i].id, NULL, 10) + 1);
    snprintf(id, sizeof id, "%lu", next);
    s = &list[q->n_snapshots];
    *s = (Qcow2Snapshot){.l1_size = q->l1_size,
                         .disk_size = q->h.size,
                         .vm_state_size = want->vm_state_size,
                         .vm_clock_nsec = want->vm_clock_nsec,
                         .date_sec = (uint32_t)want->date_sec,
                         .date_nsec = want->date_nsec,
                         .id = strdup(id),
                         .name = strdup(want->name)};
    ret = s->id == NULL || s->name == NULL ? -ENOMEM : store_l1(q, q->l1, q->l1_size, &s->l1_offset);
    if (ret == 0)
        ret = adjust_tree(q, q->l1, q->l1_size, 1);
    /* The counts first, then the flags, then the name: what is counted twice is never written in place. */
    if (ret == 0)
        ret = refresh_copied(q);
    if (ret == 0)
        ret = qcow2_snapshots_write(q, list, q->n_snapshots + 1);
    if (ret < 0) {
        free(s->id);
        free(s->name);
        return ret;
    }
    q->n_snapshots++;
    return 0;
}

int image_snapshot_create(Image *image, const ImageSnapshot *snapshot, Err *err)
{
    Qcow2 *q = qcow2_of(image);
    int ret = begin(image, err);

    if (ret < 0)
        return ret;
    ret = create(q, snapshot);
    ret = end(image, ret, "create the snapshot", err);
    if (ret == 0 && snapshot->vm_state_size > 0) {
        pthread_mutex_lock(&image->lock); /* the state belongs to the snapshot now */
        ret = qcow2_drop_clusters(q, qcow2_vmstate_start(q) >> q->cluster_bits,
                                  DIV_ROUND_UP(snapshot->vm_state_size, q->cluster_size), false);
        if (ret == 0)
            ret = qcow2_write_back_sync(q);
        pthread_mutex_unlock(&image->lock);
        if (ret < 0)
            return err_set(err, -ret, "%s: cannot drop the VM state: %s", image->name, strerror(-ret));
    }
    return ret;
}

static int apply(Qcow2 *q, const Qcow2Snapshot *s)
{
    uint32_t n = (uint32_t)MAX((uint64_t)s->l1_size, qcow2_l1_entries_for(q, s->disk_size)), old_n = q->l1_size;
    uint64_t old_offset = q->h.l1_offset, offset;
    cleanup_free uint64_t *l1 = NULL, *old = NULL;
    cleanup_free uint8_t *flags = calloc(n / 64 + 1, 1);
    uint8_t fields[24];
    int ret;

    if (n * 8ull > QCOW2_MAX_L1_BYTES || s->disk_size > INT64_MAX)
        return -EFBIG;
    ret = flags == NULL ? -ENOMEM : load_l1(q, s, n, &l1);
    if (ret == 0)
        ret = adjust_tree(q, l1, s->l1_size, 1);
    if (ret == 0)
        ret = store_l1(q, l1, n, &offset);
    if (ret == 0)
        ret = meta_cache_write(&q->rc);
    if (ret == 0)
        ret = qcow2_sync(q);
    if (ret < 0)
        return ret;
    put_be64(fields, s->disk_size);
    put_be32(fields + 8, q->h.crypt_method);
    put_be32(fields + 12, n);
    put_be64(fields + 16, offset);
    ret = qcow2_switch(q, fields, sizeof fields, QCOW2_AT_SIZE, "the snapshot's L1 table");
    if (ret < 0)
        return ret;
    old = q->l1;
    seq_begin(&q->seq);
    q->l1 = take_ptr(l1);
    q->l1_size = n;
    seq_end(&q->seq);
    free(q->l1_dirty);
    q->l1_dirty = take_ptr(flags);
    q->h.l1_size = n;
    q->h.l1_offset = offset;
    q->h.size = s->disk_size;
    q->image->size = s->disk_size;
    ret = adjust_tree(q, old, old_n, -1);
    if (ret == 0)
        ret = drop_l1(q, old_offset, old_n);
    return ret;
}

/* begin() for an operation on a snapshot that there is. */
static int begin_with(Image *image, const char *id_or_name, Qcow2Snapshot **ret_snapshot, Err *err)
{
    int ret = begin(image, err);

    if (ret < 0)
        return ret;
    *ret_snapshot = find(qcow2_of(image), id_or_name);
    if (*ret_snapshot != NULL)
        return 0;
    end(image, 0, "", NULL);
    return err_set(err, ENOENT, "%s: there is no snapshot '%s'", image->name, id_or_name);
}

int image_snapshot_apply(Image *image, const char *id_or_name, Err *err)
{
    Qcow2 *q = qcow2_of(image);
    Qcow2Snapshot *s;
    int ret = begin_with(image, id_or_name, &s, err);

    if (ret < 0)
        return ret;
    ret = apply(q, s);
    return end(image, ret, "apply the snapshot", err);
}

int image_snapshot_delete(Image *image, const char *id_or_name, Err *err)
{
    Qcow2 *q = qcow2_of(image);
    cleanup_free uint64_t *l1 = NULL;
    Qcow2Snapshot *s, gone;
    int ret = begin_with(image, id_or_name, &s, err);

    if (ret < 0)
        return ret;
    gone = *s;
    ret = load_l1(q, s, 0, &l1);
    if (ret == 0) {
        uint32_t at = (uint32_t)(s - q->snapshots);

        memmove(s, s + 1, sizeof *s * (q->n_snapshots - at - 1));
        ret = qcow2_snapshots_write(q, q->snapshots, q->n_snapshots - 1);
        if (ret < 0) {
            memmove(s + 1, s, sizeof *s * (q->n_snapshots - at - 1));
            *s = gone;
        } else {
            q->n_snapshots--;
            ret = adjust_tree(q, l1, gone.l1_size, -1);
            if (ret == 0)
                ret = drop_l1(q, gone.l1_offset, gone.l1_size);
            free(gone.id);
            free(gone.name);
            free(gone.extra);
        }
    }
    return end(image, ret, "delete the snapshot", err);
}

int image_snapshot_list(Image *image, ImageSnapshot **ret_list, unsigned *ret_count, Err *err)
{
    Qcow2 *q = qcow2_of(image);
    ImageSnapshot *list;

    *ret_list = NULL;
    *ret_count = 0;
    if (image->format != IMAGE_FORMAT_QCOW2)
        return 0;
    pthread_mutex_lock(&image->lock);
    list = calloc(q->n_snapshots + 1u, sizeof *list);
    for (uint32_t i = 0; list != NULL && i < q->n_snapshots; i++) {
        const Qcow2Snapshot *s = &q->snapshots[i];

        snprintf(list[i].id, sizeof list[i].id, "%s", s->id);
        snprintf(list[i].name, sizeof list[i].name, "%s", s->name);
        list[i].vm_state_size = s->vm_state_size;
        list[i].date_sec = s->date_sec;
        list[i].date_nsec = s->date_nsec;
        list[i].vm_clock_nsec = s->vm_clock_nsec;
        list[i].disk_size = s->disk_size;
    }
    *ret_count = list != NULL ? q->n_snapshots : 0;
    pthread_mutex_unlock(&image->lock);
    if (list == NULL)
        return err_set(err, ENOMEM, "out of memory");
    *ret_list = list;
    return 0;
}

/* ---- VM state: guest clusters behind the disk ---- */

int image_vmstate_pwrite(Image *image, const void *buffer, size_t length, uint64_t offset)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = length};
    Qcow2 *q = qcow2_of(image);
    uint64_t start;
    int ret;

    if (image->format != IMAGE_FORMAT_QCOW2 || q->external)
        return -ENOTSUP;
    if (image->read_only)
        return -EROFS;
    pthread_mutex_lock(&image->lock);
    start = qcow2_vmstate_start(q);
    ret = qcow2_prepare_write(q);
    if (ret == 0)
        ret = qcow2_grow_l1(q, qcow2_l1_entries_for(q, start + offset + length));
    pthread_mutex_unlock(&image->lock);
    return ret < 0 ? ret : image_write_any(image, &iov, 1, start + offset);
}

int image_vmstate_pread(Image *image, void *buffer, size_t length, uint64_t offset)
{
    struct iovec iov = {.iov_base = buffer, .iov_len = length};
    Qcow2 *q = qcow2_of(image);

    if (image->format != IMAGE_FORMAT_QCOW2 || q->external)
        return -ENOTSUP;
    return image_read_any(image, &iov, 1, qcow2_vmstate_start(q) + offset);
}
