/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qcow2: the table of internal snapshots in the file (qcow2 spec, "Snapshots") and in memory. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/qcow2.h"

#define ENTRY_FIXED 40u

void qcow2_snapshots_free(Qcow2 *q)
{
    for (uint32_t i = 0; i < q->n_snapshots; i++) {
        free(q->snapshots[i].id);
        free(q->snapshots[i].name);
        free(q->snapshots[i].extra);
    }
    free(q->snapshots);
    q->snapshots = NULL;
    q->n_snapshots = 0;
    q->snapshots_bytes = 0;
}

static int read_text(Qcow2 *q, uint64_t at, uint32_t len, char **ret_text)
{
    *ret_text = calloc(1, len + 1u);
    if (*ret_text == NULL)
        return -ENOMEM;
    return len > 0 ? host_file_pread(&q->image->file, *ret_text, len, at) : 0;
}

static int load_one(Qcow2 *q, uint64_t *at, Qcow2Snapshot *s)
{
    uint8_t fixed[ENTRY_FIXED];
    uint32_t id_len, name_len;
    int ret = host_file_pread(&q->image->file, fixed, sizeof fixed, *at);

    if (ret < 0)
        return ret;
    s->l1_offset = get_be64(fixed);
    s->l1_size = get_be32(fixed + 8);
    id_len = get_be16(fixed + 12);
    name_len = get_be16(fixed + 14);
    s->date_sec = get_be32(fixed + 16);
    s->date_nsec = get_be32(fixed + 20);
    s->vm_clock_nsec = get_be64(fixed + 24);
    s->vm_state_size = get_be32(fixed + 32);
    s->extra_size = get_be32(fixed + 36);
    s->disk_size = q->h.size;
    *at += ENTRY_FIXED;
    if (s->extra_size > QCOW2_MAX_SNAPSHOT_EXTRA || s->l1_size * 8ull > QCOW2_MAX_L1_BYTES ||
        (s->l1_offset & (q->cluster_size - 1)) || s->l1_offset >= QCOW2_MAX_OFFSET)
        return -EINVAL;
    if (s->extra_size > 0) {
        s->extra = malloc(s->extra_size);
        if (s->extra == NULL)
            return -ENOMEM;
        ret = host_file_pread(&q->image->file, s->extra, s->extra_size, *at);
        if (ret < 0)
            return ret;
        if (s->extra_size >= 8)
            s->vm_state_size = get_be64(s->extra);
        if (s->extra_size >= 16)
            s->disk_size = get_be64(s->extra + 8);
        *at += s->extra_size;
    }
    ret = read_text(q, *at, id_len, &s->id);
    *at += id_len;
    if (ret == 0)
        ret = read_text(q, *at, name_len, &s->name);
    *at = ALIGN_UP(*at + name_len, (uint64_t)8);
    return ret;
}

int qcow2_snapshots_load(Qcow2 *q, Err *err)
{
    uint64_t at = q->h.snapshots_offset, file_size;
    int ret = host_file_size(&q->image->file, &file_size);

    if (q->h.n_snapshots == 0)
        return 0;
    if (ret < 0 || !range_inside(at, (uint64_t)q->h.n_snapshots * ENTRY_FIXED, file_size))
        return err_set(err, EINVAL, "%s: the snapshot table lies behind the end of the file", q->image->name);
    q->snapshots = calloc(q->h.n_snapshots, sizeof *q->snapshots);
    if (q->snapshots == NULL)
        return err_set(err, ENOMEM, "out of memory");
    for (uint32_t i = 0; i < q->h.n_snapshots; i++) {
        q->n_snapshots++;
        ret = load_one(q, &at, &q->snapshots[i]);
        if (ret == 0 && at - q->h.snapshots_offset > QCOW2_MAX_SNAPSHOT_TABLE)
            ret = -EFBIG;
        if (ret < 0)
            return err_set(err, -ret, "%s: entry %u of the snapshot table is invalid: %s", q->image->name, i,
                           strerror(-ret));
    }
    q->snapshots_bytes = at - q->h.snapshots_offset;
    return 0;
}

static size_t entry_size(const Qcow2Snapshot *s)
{
    return ALIGN_UP(ENTRY_FIXED + MAX(s->extra_size, 16u) + strlen(s->id) + strlen(s->name), (size_t)8);
}

static void format_entry(const Qcow2Snapshot *s, uint8_t *p)
{
    uint32_t extra = MAX(s->extra_size, 16u);

    put_be64(p, s->l1_offset);
    put_be32(p + 8, s->l1_size);
    put_be16(p + 12, (uint16_t)strlen(s->id));
    put_be16(p + 14, (uint16_t)strlen(s->name));
    put_be32(p + 16, s->date_sec);
    put_be32(p + 20, s->date_nsec);
    put_be64(p + 24, s->vm_clock_nsec);
    put_be32(p + 32, (uint32_t)MIN(s->vm_state_size, (uint64_t)UINT32_MAX));
    put_be32(p + 36, extra);
    if (s->extra != NULL)
        memcpy(p + ENTRY_FIXED, s->extra, s->extra_size);
    put_be64(p + ENTRY_FIXED, s->vm_state_size);
    put_be64(p + ENTRY_FIXED + 8, s->disk_size);
    memcpy(p + ENTRY_FIXED + extra, s->id, strlen(s->id));
    memcpy(p + ENTRY_FIXED + extra + strlen(s->id), s->name, strlen(s->name));
}

int qcow2_snapshots_write(Qcow2 *q, const Qcow2Snapshot *list, uint32_t n)
{
    uint64_t bytes = 0, cluster = 0, clusters, old = q->h.snapshots_offset, old_bytes = q->snapshots_bytes;
    cleanup_free uint8_t *buf = NULL;
    uint8_t fields[12];
    bool fresh;
    int ret = 0;

    for (uint32_t i = 0; i < n; i++)
        bytes += entry_size(&list[i]);
    if (bytes > QCOW2_MAX_SNAPSHOT_TABLE)
        return -EFBIG;
    clusters = DIV_ROUND_UP(bytes, q->cluster_size);
    if (n > 0) {
        uint8_t *p;

        p = buf = calloc(clusters, q->cluster_size);
        if (buf == NULL)
            return -ENOMEM;
        for (uint32_t i = 0; i < n; i++) {
            format_entry(&list[i], p);
            p += entry_size(&list[i]);
        }
        ret = qcow2_alloc_clusters(q, clusters, true, &cluster, NULL, &fresh);
        if (ret < 0)
            return ret;
        ret = host_file_pwrite(&q->image->file, buf, clusters * q->cluster_size, cluster << q->cluster_bits);
    }
    if (ret == 0)
        ret = meta_cache_write(&q->rc);
    if (ret == 0)
        ret = qcow2_write_back(q);
    if (ret == 0)
        ret = qcow2_sync(q);
    if (ret < 0) {
        if (n > 0)
            qcow2_refcount_add(q, cluster, clusters, -1);
        return ret;
    }
    put_be32(fields, n);
    put_be64(fields + 4, n > 0 ? cluster << q->cluster_bits : 0);
    ret = qcow2_switch(q, fields, sizeof fields, QCOW2_AT_SNAPSHOTS, "a new snapshot table");
    if (ret < 0) {
        if (n > 0)
            qcow2_refcount_add(q, cluster, clusters, -1);
        return ret;
    }
    q->h.n_snapshots = n;
    q->h.snapshots_offset = n > 0 ? cluster << q->cluster_bits : 0;
    q->snapshots_bytes = bytes;
    if (old_bytes > 0)
        qcow2_refcount_add(q, old >> q->cluster_bits, DIV_ROUND_UP(old_bytes, q->cluster_size), -1);
    return 0;
}
