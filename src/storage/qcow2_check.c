/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qcow2: check and repair. Everything that is reachable from the header is counted anew and compared with the counts in
 * the file. Too high: a leak. Too low, or a reference that cannot be: corruption. Repair makes the counts true, in
 * place where that is possible, else in a wholly new refcount table behind the end; then the COPIED flags.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/qcow2.h"

typedef struct Check {
    Qcow2 *q;
    ImageCheck *result;
    ImageRepair repair;
    void (*report)(void *opaque, const char *line);
    void *opaque;
    uint8_t *counts; /* what each cluster should have, `width` bytes each */
    unsigned width;
    uint64_t n; /* clusters of the file */
    uint64_t file_size;
    bool rebuild;       /* the refcount structures themselves are broken */
    uint64_t last_host; /* for fragmentation */
} Check;

__attribute__((format(printf, 2, 3))) static void say(Check *c, const char *format, ...)
{
    char line[256];
    va_list ap;

    if (c->report == NULL)
        return;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    c->report(c->opaque, line);
}

/* ---- Counts in memory, as narrow as they can be ---- */

static uint64_t count_get(const Check *c, uint64_t i)
{
    uint64_t v = 0;

    memcpy(&v, c->counts + i * c->width, c->width); /* little-endian host */
    return v;
}

static int count_up(Check *c, uint64_t i)
{
    uint64_t v = count_get(c, i) + 1;

    if (c->width < 8 && v >> (c->width * 8) != 0) {
        unsigned width = c->width * 2;
        uint8_t *wide = calloc(c->n, width);

        if (wide == NULL)
            return -ENOMEM;
        for (uint64_t k = 0; k < c->n; k++)
            memcpy(wide + k * width, c->counts + k * c->width, c->width);
        free(c->counts);
        c->counts = wide;
        c->width = width;
    }
    memcpy(c->counts + i * c->width, &v, c->width);
    return 0;
}

/* One reference to the clusters of a range. */
static int count_range(Check *c, uint64_t offset, uint64_t length, const char *what)
{
    uint64_t first = offset >> c->q->cluster_bits, end;
    int ret = 0;

    if (length == 0)
        return 0;
    end = ((offset + length - 1) >> c->q->cluster_bits) + 1;
    if (offset > QCOW2_MAX_OFFSET || length > QCOW2_MAX_OFFSET || end > c->n) {
        say(c, "ERROR %s at %llu reaches behind the end of the file", what, (unsigned long long)offset);
        c->result->corruptions++;
        return 0;
    }
    for (uint64_t i = first; i < end && ret == 0; i++)
        ret = count_up(c, i);
    c->result->image_end = MAX(c->result->image_end, end << c->q->cluster_bits);
    return ret;
}

/* ---- Walking ---- */

/* An entry nothing can be made of: with repair it becomes zeros (or nothing). True: changed. */
static bool bad_entry(Check *c, uint8_t *p, Qcow2Entry e, const char *what)
{
    Qcow2 *q = c->q;

    if (c->repair != IMAGE_REPAIR_ALL) {
        say(c, "ERROR L2 entry %llx: %s", (unsigned long long)e.entry, what);
        c->result->corruptions++;
        return false;
    }
    say(c, "Repairing L2 entry %llx: %s; its cluster reads as zeros now", (unsigned long long)e.entry, what);
    put_be64(p, q->h.version >= 3 && q->entry_size == 8 ? QCOW2_ZERO : 0);
    if (q->entry_size == 16)
        put_be64(p + 8, 0xffffffff00000000ull);
    c->result->corruptions_fixed++;
    return true;
}

static int count_packed(Check *c, Qcow2Entry e, bool active)
{
    uint64_t offset, length;

    qcow2_packed_place(c->q, e.entry, &offset, &length);
    if (active)
        c->result->compressed_clusters++;
    /* Sectors behind the end of the file are allowed as long as the cluster begins in it. */
    if (c->n > 0 && offset >> c->q->cluster_bits < c->n)
        length = MIN(length, (c->n << c->q->cluster_bits) - offset);
    return count_range(c, offset, length, "compressed cluster");
}

static int count_l2_entry(Check *c, uint8_t *p, bool active, bool *ret_changed)
{
    Qcow2 *q = c->q;
    Qcow2Entry e = {.entry = get_be64(p), .bitmap = q->entry_size == 16 ? get_be64(p + 8) : 0};
    uint64_t offset = e.entry & QCOW2_OFFSET_MASK;
    bool data = false;

    if (e.entry == 0 && e.bitmap == 0)
        return 0;
    for (uint32_t sc = 0; sc < q->n_sc; sc++) {
        Qcow2Kind kind = qcow2_kind(q, e, sc);

        if (kind == QCOW2_INVALID) {
            *ret_changed |= bad_entry(c, p, e, "offset, flags or bitmap are invalid");
            return 0;
        }
        data |= kind == QCOW2_NORMAL || kind == QCOW2_PACKED;
    }
    if (active && data) {
        c->result->allocated_clusters++;
        if (c->last_host != 0 && offset != c->last_host && !(e.entry & QCOW2_COMPRESSED))
            c->result->fragmented_clusters++;
        c->last_host = e.entry & QCOW2_COMPRESSED ? 0 : offset + q->cluster_size;
        if (e.entry & QCOW2_COMPRESSED)
            c->result->fragmented_clusters++;
    }
    if (e.entry & QCOW2_COMPRESSED) {
        if (e.entry & QCOW2_COPIED) {
            say(c, "ERROR compressed cluster with the COPIED flag: %llx", (unsigned long long)e.entry);
            c->result->corruptions++;
        }
        return count_packed(c, e, active);
    }
    if (e.entry & QCOW2_L2_RESERVED) {
        say(c, "ERROR L2 entry %llx has reserved bits set", (unsigned long long)e.entry);
        c->result->corruptions++;
    }
    if (q->external) {
        return 0;
    }
    return offset != 0 ? count_range(c, offset, q->cluster_size, "data cluster") : 0;
}

static int count_l1(Check *c, uint64_t table_offset, uint32_t entries, bool active, const char *what)
{
    Qcow2 *q = c->q;
    cleanup_free uint8_t *l1 = NULL, *l2 = NULL;
    uint64_t bytes = (uint64_t)entries * 8;
    int ret;

    if (entries == 0)
        return 0;
    ret = count_range(c, table_offset, bytes, what);
    if (ret < 0)
        return ret;
    if (table_offset >= c->file_size || bytes > c->file_size - table_offset + q->cluster_size)
        return 0; /* said already */
    l1 = malloc(bytes);
    l2 = malloc(q->cluster_size);
    if (l1 == NULL || l2 == NULL)
        return -ENOMEM;
    ret = host_file_pread(&q->image->file, l1, bytes, table_offset);
    for (uint32_t i = 0; i < entries && ret == 0; i++) {
        uint64_t e = get_be64(l1 + (uint64_t)i * 8), offset = e & QCOW2_OFFSET_MASK;
        bool changed = false;

        if (e & QCOW2_L1_RESERVED) {
            say(c, "ERROR L1 entry %u has reserved bits set", i);
            c->result->corruptions++;
        }
        if (offset == 0)
            continue;
        if ((offset & (q->cluster_size - 1)) || offset >> q->cluster_bits >= c->n) {
            say(c, "ERROR L1 entry %u: L2 table at %llu %s", i, (unsigned long long)offset,
                offset & (q->cluster_size - 1) ? "is not aligned" : "lies behind the end of the file");
            c->result->corruptions++;
            continue;
        }
        ret = count_range(c, offset, q->cluster_size, "L2 table");
        if (ret == 0)
            ret = host_file_pread(&q->image->file, l2, q->cluster_size, offset);
        for (uint64_t at = 0; at < q->cluster_size && ret == 0; at += q->entry_size)
            ret = count_l2_entry(c, l2 + at, active, &changed);
        if (ret == 0 && changed)
            ret = host_file_pwrite(&q->image->file, l2, q->cluster_size, offset);
    }
    return ret;
}

static int count_bitmaps(Check *c)
{
    Qcow2 *q = c->q;
    cleanup_free uint8_t *dir = NULL;
    int ret;

    if (!q->h.has_bitmaps || !(q->h.autoclear & QCOW2_AUTOCLEAR_BITMAPS))
        return 0;
    if (q->h.n_bitmaps > QCOW2_MAX_BITMAPS || q->h.bitmap_dir_size > 1024ull * QCOW2_MAX_BITMAPS ||
        !range_inside(q->h.bitmap_dir_offset, q->h.bitmap_dir_size, c->file_size)) {
        say(c, "ERROR the bitmap directory is misplaced");
        c->result->corruptions++;
        return 0;
    }
    ret = count_range(c, q->h.bitmap_dir_offset, q->h.bitmap_dir_size, "bitmap directory");
    dir = malloc(q->h.bitmap_dir_size + 1);
    if (dir == NULL)
        return -ENOMEM;
    if (ret == 0)
        ret = host_file_pread(&q->image->file, dir, q->h.bitmap_dir_size, q->h.bitmap_dir_offset);
    for (uint64_t at = 0; ret == 0 && at + 24 <= q->h.bitmap_dir_size;) {
        uint64_t table = get_be64(dir + at), bytes = get_be32(dir + at + 8) * 8ull;
        uint64_t len = ALIGN_UP(24ull + get_be16(dir + at + 18) + get_be32(dir + at + 20), (uint64_t)8);
        cleanup_free uint8_t *entries = NULL;

        at += len;
        if (!range_inside(table, bytes, c->file_size)) {
            say(c, "ERROR a bitmap table lies behind the end of the file");
            c->result->corruptions++;
            continue;
        }
        entries = malloc(bytes + 1);
        if (entries == NULL)
            return -ENOMEM;
        ret = count_range(c, table, bytes, "bitmap table");
        if (ret == 0)
            ret = host_file_pread(&q->image->file, entries, bytes, table);
        for (uint64_t i = 0; i < bytes && ret == 0; i += 8)
            if (get_be64(entries + i) & QCOW2_OFFSET_MASK)
                ret = count_range(c, get_be64(entries + i) & QCOW2_OFFSET_MASK, q->cluster_size, "bitmap data");
    }
    return ret;
}

/* Blocks that are no blocks make the whole structure worthless: it is built anew, and not counted. */
static int count_refcounts(Check *c)
{
    Qcow2 *q = c->q;
    int ret = count_range(c, q->h.reftable_offset, (uint64_t)q->h.reftable_clusters << q->cluster_bits,
                          "refcount table");

    if (q->reftable_odd) {
        say(c, "ERROR the refcount table has reserved bits set");
        c->result->corruptions++;
        c->rebuild = true;
    }
    for (uint32_t i = 0; i < q->reftable_size && ret == 0; i++) {
        uint64_t block = q->reftable[i];

        if (block == 0)
            continue;
        if ((block & (q->cluster_size - 1)) || block >> q->cluster_bits >= c->n) {
            say(c, "ERROR refcount block %u at %llu is misplaced", i, (unsigned long long)block);
            c->result->corruptions++;
            c->rebuild = true;
            continue;
        }
        ret = count_range(c, block, q->cluster_size, "refcount block");
        if (ret == 0 && count_get(c, block >> q->cluster_bits) != 1) {
            say(c, "ERROR refcount block %u at %llu has another use too", i, (unsigned long long)block);
            c->result->corruptions++;
            c->rebuild = true;
        }
    }
    return ret;
}

static int count_all(Check *c)
{
    Qcow2 *q = c->q;
    int ret = count_range(c, 0, q->cluster_size, "header");

    if (ret == 0)
        ret = count_l1(c, q->h.l1_offset, q->h.l1_size, true, "active L1 table");
    for (uint32_t i = 0; i < q->n_snapshots && ret == 0; i++)
        ret = count_l1(c, q->snapshots[i].l1_offset, q->snapshots[i].l1_size, false, "L1 table of a snapshot");
    if (ret == 0 && q->n_snapshots > 0)
        ret = count_range(c, q->h.snapshots_offset, q->snapshots_bytes, "snapshot table");
    if (ret == 0 && q->h.has_crypt)
        ret = count_range(c, q->h.crypt_offset, q->h.crypt_length, "encryption header");
    if (ret == 0)
        ret = count_bitmaps(c);
    if (ret == 0)
        ret = count_refcounts(c);
    return ret;
}

/* ---- Comparing ---- */

/* Makes counts true where a block holds them. */
/* Most of a file with a huge hole: looked at in one go. */
static bool nothing_counted(const Check *c, uint64_t first, uint64_t n)
{
    const uint8_t *counts = c->counts + first * c->width;
    size_t size = (size_t)(MIN(n, c->n - first) * c->width);

    return counts[0] == 0 && memcmp(counts, counts + 1, size - 1) == 0;
}

static int compare_block(Check *c, uint32_t index, uint8_t *buf)
{
    Qcow2 *q = c->q;
    uint64_t per_block = 1ull << q->refblock_bits, base = (uint64_t)index << q->refblock_bits, block = 0;
    bool changed = false;
    int ret = 0;

    if (index < q->reftable_size)
        block = q->reftable[index];
    if (block & (q->cluster_size - 1) || block >> q->cluster_bits >= c->n)
        block = 0;
    if (block == 0 && (base >= c->n || nothing_counted(c, base, per_block)))
        return 0;
    if (block != 0)
        ret = host_file_pread(&q->image->file, buf, q->cluster_size, block);
    else
        memset(buf, 0, q->cluster_size);
    if (ret < 0)
        return ret;
    for (uint64_t i = 0; i < per_block; i++) {
        uint64_t have = qcow2_refcount_read(buf, i, q->h.refcount_order);
        uint64_t want = base + i < c->n ? count_get(c, base + i) : 0;
        bool leak = have > want;

        if (have == want)
            continue;
        say(c, "%s cluster %llu refcount=%llu reference=%llu", leak ? "Leaked" : "ERROR", (unsigned long long)(base + i),
            (unsigned long long)have, (unsigned long long)want);
        if (c->repair == IMAGE_REPAIR_ALL && (block == 0 || want > q->max_refcount))
            c->rebuild = true;
        if (block != 0 && want <= q->max_refcount && c->repair >= (leak ? IMAGE_REPAIR_LEAKS : IMAGE_REPAIR_ALL)) {
            qcow2_refcount_write(buf, i, q->h.refcount_order, want);
            changed = true;
            *(leak ? &c->result->leaks_fixed : &c->result->corruptions_fixed) += 1;
        } else {
            *(leak ? &c->result->leaks : &c->result->corruptions) += 1;
        }
    }
    return changed ? host_file_pwrite(&q->image->file, buf, q->cluster_size, block) : 0;
}

static int compare(Check *c)
{
    Qcow2 *q = c->q;
    uint64_t blocks = MAX((uint64_t)q->reftable_size, DIV_ROUND_UP(c->n, 1ull << q->refblock_bits));
    cleanup_free uint8_t *buf = malloc(q->cluster_size);
    int ret = buf != NULL ? 0 : -ENOMEM;

    for (uint64_t i = 0; i < blocks && ret == 0; i++)
        ret = compare_block(c, (uint32_t)i, buf);
    return ret;
}

/* New refcount table and blocks behind the end of the file, then the header. */
static int rebuild(Check *c)
{
    Qcow2 *q = c->q;
    uint64_t per_block = 1ull << q->refblock_bits, per_cluster = q->cluster_size / 8, blocks, tables, total;
    cleanup_free uint8_t *buf = malloc(q->cluster_size);
    uint8_t fields[12];
    int ret = 0;

    if (buf == NULL)
        return -ENOMEM;
    /* The old structures are garbage now. */
    for (uint64_t i = 0; i < q->h.reftable_clusters; i++) {
        uint64_t at = (q->h.reftable_offset >> q->cluster_bits) + i;

        if (at < c->n && count_get(c, at) > 0) {
            uint64_t v = count_get(c, at) - 1;

            memcpy(c->counts + at * c->width, &v, c->width);
        }
    }
    for (uint32_t i = 0; i < q->reftable_size; i++) {
        uint64_t at = q->reftable[i] >> q->cluster_bits;

        if (q->reftable[i] != 0 && !(q->reftable[i] & (q->cluster_size - 1)) && at < c->n && count_get(c, at) > 0) {
            uint64_t v = count_get(c, at) - 1;

            memcpy(c->counts + at * c->width, &v, c->width);
        }
    }
    for (blocks = 1;; blocks++) {
        tables = DIV_ROUND_UP(blocks, per_cluster);
        total = c->n + tables + blocks;
        if (total <= blocks * per_block)
            break;
    }
    if (tables * q->cluster_size > MAX(QCOW2_MAX_REFTABLE_BYTES, q->cluster_size))
        return -EFBIG;
    for (uint64_t b = 0; b < blocks && ret == 0; b++) {
        memset(buf, 0, q->cluster_size);
        for (uint64_t i = b * per_block; i < MIN(total, (b + 1) * per_block); i++) {
            uint64_t want = i < c->n ? count_get(c, i) : 1;

            if (want > q->max_refcount)
                return -ERANGE;
            qcow2_refcount_write(buf, i - b * per_block, q->h.refcount_order, want);
        }
        ret = host_file_pwrite(&q->image->file, buf, q->cluster_size, (c->n + tables + b) << q->cluster_bits);
    }
    for (uint64_t t = 0; t < tables && ret == 0; t++) {
        memset(buf, 0, q->cluster_size);
        for (uint64_t i = 0; i < per_cluster && t * per_cluster + i < blocks; i++)
            put_be64(buf + i * 8, (c->n + tables + t * per_cluster + i) << q->cluster_bits);
        ret = host_file_pwrite(&q->image->file, buf, q->cluster_size, (c->n + t) << q->cluster_bits);
    }
    if (ret == 0)
        ret = host_file_sync(&q->image->file);
    put_be64(fields, c->n << q->cluster_bits);
    put_be32(fields + 8, (uint32_t)tables);
    if (ret == 0)
        ret = host_file_pwrite(&q->image->file, fields, sizeof fields, QCOW2_AT_REFTABLE);
    if (ret == 0)
        ret = host_file_sync(&q->image->file);
    say(c, "The refcounts were built anew at %llu", (unsigned long long)(c->n << q->cluster_bits));
    return ret;
}

/* ---- COPIED flags ---- */

static bool flag_differs(Check *c, uint64_t entry, uint64_t offset)
{
    uint64_t cluster = offset >> c->q->cluster_bits;

    return cluster < c->n && ((entry & QCOW2_COPIED) != 0) != (count_get(c, cluster) == 1);
}

static int check_copied(Check *c)
{
    Qcow2 *q = c->q;
    bool fix = c->repair == IMAGE_REPAIR_ALL;
    cleanup_free uint8_t *l1 = malloc((size_t)q->h.l1_size * 8 + 8), *l2 = malloc(q->cluster_size);
    int ret = l1 != NULL && l2 != NULL ? 0 : -ENOMEM;
    bool l1_changed = false;

    if (ret == 0 && q->h.l1_size > 0)
        ret = host_file_pread(&q->image->file, l1, (size_t)q->h.l1_size * 8, q->h.l1_offset);
    for (uint32_t i = 0; i < q->h.l1_size && ret == 0; i++) {
        uint64_t e = get_be64(l1 + (uint64_t)i * 8), table = e & QCOW2_OFFSET_MASK;
        bool changed = false;

        if (table == 0 || (table & (q->cluster_size - 1)) || table >> q->cluster_bits >= c->n)
            continue;
        if (flag_differs(c, e, table)) {
            say(c, "%s COPIED flag of L2 table %u", fix ? "Repairing" : "ERROR", i);
            put_be64(l1 + (uint64_t)i * 8, e ^ QCOW2_COPIED);
            l1_changed = fix;
            *(fix ? &c->result->corruptions_fixed : &c->result->corruptions) += 1;
        }
        ret = host_file_pread(&q->image->file, l2, q->cluster_size, table);
        for (uint64_t at = 0; at < q->cluster_size && ret == 0; at += q->entry_size) {
            uint64_t entry = get_be64(l2 + at), offset = entry & QCOW2_OFFSET_MASK;

            if ((entry & QCOW2_COMPRESSED) || offset == 0 || q->external || (offset & (q->cluster_size - 1)) ||
                !flag_differs(c, entry, offset))
                continue;
            say(c, "%s COPIED flag of data cluster %llx", fix ? "Repairing" : "ERROR", (unsigned long long)entry);
            put_be64(l2 + at, entry ^ QCOW2_COPIED);
            changed = fix;
            *(fix ? &c->result->corruptions_fixed : &c->result->corruptions) += 1;
        }
        if (ret == 0 && changed)
            ret = host_file_pwrite(&q->image->file, l2, q->cluster_size, table);
    }
    if (ret == 0 && l1_changed)
        ret = host_file_pwrite(&q->image->file, l1, (size_t)q->h.l1_size * 8, q->h.l1_offset);
    return ret;
}

/* ---- Once through ---- */

static int pass(Check *c)
{
    Qcow2 *q = c->q;
    int ret = host_file_size(&q->image->file, &c->file_size);

    if (ret < 0)
        return ret;
    memset(c->result, 0, sizeof *c->result);
    c->rebuild = false;
    c->last_host = 0;
    c->n = DIV_ROUND_UP(c->file_size, q->cluster_size);
    if (q->image->file.block_device) {
        /* Only as far as something counts as used. */
        uint64_t top = 0;

        for (uint32_t i = 0; i < q->reftable_size; i++)
            if (q->reftable[i] != 0)
                top = (uint64_t)(i + 1) << q->refblock_bits;
        c->n = MIN(c->n, top);
    }
    c->width = 1;
    c->counts = calloc(c->n + 1, 1);
    if (c->counts == NULL)
        return -ENOMEM;
    c->result->total_clusters = DIV_ROUND_UP(q->h.size, q->cluster_size);
    ret = count_all(c);
    if (ret == 0)
        ret = compare(c);
    if (ret == 0 && c->repair == IMAGE_REPAIR_ALL && c->rebuild)
        ret = rebuild(c);
    if (ret == 0)
        ret = check_copied(c);
    free(c->counts);
    c->counts = NULL;
    return ret;
}

int qcow2_check(Image *image, ImageRepair repair, void (*report)(void *opaque, const char *line), void *opaque,
                ImageCheck *ret, Err *err)
{
    Qcow2 *q = qcow2_of(image);
    Check c = {.q = q, .result = ret, .repair = repair, .report = report, .opaque = opaque};
    uint64_t fixed, leaks_fixed;
    int r = pass(&c);

    if (r < 0)
        return err_set(err, -r, "%s: cannot check: %s", image->name, strerror(-r));
    if (repair == IMAGE_REPAIR_NONE)
        return 0;
    /* What a repair has changed (perhaps the refcount table) is looked at once more, with nothing cached. */
    r = host_file_sync(&image->file);
    if (r == 0)
        r = qcow2_reload(q, err);
    if (r < 0)
        return r;
    fixed = ret->corruptions_fixed;
    leaks_fixed = ret->leaks_fixed;
    if (fixed > 0 || c.rebuild || ret->corruptions > 0) {
        uint64_t before = ret->corruptions;

        /* Leaks may be left by a rebuild; flags may follow from counts. */
        c.report = NULL;
        r = pass(&c);
        if (r == 0 && (ret->corruptions_fixed > 0 || ret->leaks_fixed > 0)) {
            leaks_fixed += ret->leaks_fixed;
            r = qcow2_reload(q, err);
            if (r == 0)
                r = pass(&c);
        }
        if (r < 0)
            return err_set(err, -r, "%s: cannot check: %s", image->name, strerror(-r));
        fixed += before > ret->corruptions ? before - ret->corruptions : 0;
    }
    ret->corruptions_fixed = fixed;
    ret->leaks_fixed = leaks_fixed;
    if (ret->corruptions == 0 && ret->check_errors == 0 && repair == IMAGE_REPAIR_ALL &&
        (q->h.incompatible & (QCOW2_INCOMPAT_DIRTY | QCOW2_INCOMPAT_CORRUPT))) {
        q->h.incompatible &= ~(QCOW2_INCOMPAT_DIRTY | QCOW2_INCOMPAT_CORRUPT);
        r = qcow2_write_features(q);
        if (r == 0)
            r = host_file_sync(&image->file);
        if (r < 0)
            return err_set(err, -r, "%s: cannot clear the dirty mark: %s", image->name, strerror(-r));
        q->marked_dirty = false;
        image->corrupt = false;
        image->last_error[0] = 0;
    }
    return 0;
}

int image_check(Image *image, ImageRepair repair, void (*report)(void *opaque, const char *line), void *opaque,
                ImageCheck *ret, Err *err)
{
    Qcow2 *q = qcow2_of(image);
    int r = 0;

    memset(ret, 0, sizeof *ret);
    if (image->format != IMAGE_FORMAT_QCOW2)
        return err_set(err, ENOTSUP, "%s: images of format %s cannot be checked", image->name,
                       image_format_name(image->format));
    if (repair != IMAGE_REPAIR_NONE && image->read_only)
        return err_set(err, EROFS, "%s: open read only", image->name);
    if (image_is_busy(image))
        return err_set(err, EBUSY, "%s: requests are in flight", image->name);
    pthread_mutex_lock(&image->lock);
    if (!image->read_only && !image->corrupt && q->prepared) {
        for (int i = 0; i < 2 && r == 0; i++)
            r = qcow2_write_back_sync(q);
        if (r == 0)
            r = meta_cache_write(&q->rc);
    }
    r = r < 0 ? err_set(err, -r, "%s: cannot write metadata back: %s", image->name, strerror(-r))
              : qcow2_check(image, repair, report, opaque, ret, err);
    pthread_mutex_unlock(&image->lock);
    return r;
}
