/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Crash safety of administration: resize, commit, rebase, compressed clusters, renaming, snapshots with VM state, repair.
 * Each is cut at every write to any of its files; then three disks are looked at: everything written arrived (killed),
 * nothing since the last sync did (power cut), or a random choice of it. The image must open, check without
 * corruption, and hold in each sector what was there before or what was to be there; and the operation, done
 * again from there, must succeed. Then the same with a disk that is full from some write on, and has room when the
 * operation is done again on the open image. Reads and writes by guests: test_storage_crash.c.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "lib/tap.h"
#include "unit/storage_mem.h"

#define SECTOR 512u
#define CLUSTER 4096u
#define DISK (256u * 1024)
#define BIG (3u * 1024 * 1024)
#define SECTORS (DISK / SECTOR)

typedef struct World World;

typedef struct Case {
    const char *name;
    int (*act)(World *w, Err *err); /* what is cut */
    bool layered; /* over a qcow2 image over nothing, else over a raw one */
    uint32_t cluster_size; /* 0: CLUSTER */
    uint64_t size_after; /* 0: DISK */
    bool to_zero; /* sectors may read as zeros afterwards, too */
    bool to_new; /* or as NEW_ID */
    bool lazy, extended, luks;
    bool alone; /* nothing below: all clusters are the top's */
    unsigned refcount_bits, version;
    unsigned stride; /* cuts get sparser: the next comes after 1 + n/stride; 0: 30 */
} Case;

#define NEW_ID 7777u

struct World {
    const Case *c;
    MemFile *top, *base, *another;
    Image *image;
};

static void fill(uint8_t *buf, uint64_t length, uint32_t id)
{
    for (uint64_t i = 0; i < length; i += 4)
        memcpy(buf + i, &id, 4);
}

/* What the guest sees of a sector of the world as it was made: every third cluster is the top's. */
static uint32_t id_of(uint64_t sector)
{
    return (sector * SECTOR / CLUSTER) % 3 == 1 ? 2000 + (uint32_t)sector : 1000 + (uint32_t)sector;
}

static bool open_world(World *w, unsigned base_flags)
{
    Image *base = mem_open(w->base, w->c->layered ? IMAGE_FORMAT_QCOW2 : IMAGE_FORMAT_RAW, base_flags, NULL);

    if (base != NULL && w->c->alone) {
        image_close(base);
        base = NULL;
    } else if (base == NULL) {
        return false;
    }
    w->image = mem_open(w->top, IMAGE_FORMAT_QCOW2, IMAGE_OPEN_UNMAP, base);
    if (w->image == NULL)
        image_close(base);
    return w->image != NULL;
}

static bool start(World *w, const Case *c)
{
    uint8_t buf[SECTOR];
    bool good = true;
    Image *base;

    *w = (World){.c = c, .top = mem_file_new(), .base = mem_file_new()};
    w->top->journal = w->base->journal = true;
    mem_create(w->base, (ImageCreateParams){.format = c->layered ? IMAGE_FORMAT_QCOW2 : IMAGE_FORMAT_RAW, .size = DISK,
                                            .cluster_size = c->layered ? CLUSTER : 0, .data_fd = -1});
    mem_create(w->top,
               (ImageCreateParams){.format = IMAGE_FORMAT_QCOW2, .size = DISK, .data_fd = -1, .lazy_refcounts = c->lazy,
                                   .extended_l2 = c->extended, .backing_name = c->alone ? NULL : "base",
                                   .cluster_size = c->cluster_size ? c->cluster_size : CLUSTER,
                                   .refcount_bits = c->refcount_bits, .version = c->version,
                                   .passphrase = c->luks ? "secret" : NULL, .passphrase_len = 6, .luks_iterations = 1,
                                   .backing_format = c->alone ? NULL : c->layered ? "qcow2" : "raw"});
    base = mem_open(w->base, c->layered ? IMAGE_FORMAT_QCOW2 : IMAGE_FORMAT_RAW, 0, NULL);
    for (uint64_t i = 0; i < SECTORS; i++) {
        fill(buf, SECTOR, 1000 + (uint32_t)i);
        good = good && image_pwrite(base, buf, SECTOR, i * SECTOR) == 0;
    }
    good = image_close(base) == 0 && good && open_world(w, IMAGE_OPEN_RDONLY);
    for (uint64_t i = 0; i < SECTORS && good; i++) {
        fill(buf, SECTOR, id_of(i));
        if (id_of(i) >= 2000 || c->alone)
            good = image_pwrite(w->image, buf, SECTOR, i * SECTOR) == 0;
    }
    good = good && image_close(w->image) == 0;
    mem_io.sync(w->top);
    mem_io.sync(w->base);
    w->image = NULL;
    return good;
}

static void stop(World *w)
{
    mem_file_free(w->top);
    mem_file_free(w->base);
    mem_file_free(w->another);
}

/* --- what is done --- */

static int grow(World *w, Err *err)
{
    return image_resize(w->image, BIG, IMAGE_PREALLOC_OFF, false, err);
}

static int shrink(World *w, Err *err)
{
    return image_resize(w->image, DISK / 4, IMAGE_PREALLOC_OFF, true, err);
}

static int commit(World *w, Err *err)
{
    return image_commit(w->image, false, NULL, NULL, err);
}

static int commit_and_empty(World *w, Err *err)
{
    return image_commit(w->image, true, NULL, NULL, err);
}

static int rebase_to_nothing(World *w, Err *err)
{
    return image_rebase(w->image, NULL, NULL, NULL, err);
}

/* Onto one that is all NEW_ID, but shorter: what is not the top's has to be copied. */
static int rebase_to_another(World *w, Err *err)
{
    ImageInfo info;
    Image *image;
    uint8_t buf[DISK / 2];
    MemFile *file;
    int ret = image_get_info(w->image, &info);

    if (ret < 0 || strcmp(info.backing_name, "another") == 0)
        return ret; /* done in the attempt before, and what is below is not what is named */
    mem_file_free(w->another); /* of an attempt that failed */
    w->another = file = mem_file_new();
    fill(buf, sizeof buf, NEW_ID);
    mem_io.pwritev(file, &(struct iovec){buf, sizeof buf}, 1, 0);
    image = mem_open(file, IMAGE_FORMAT_RAW, IMAGE_OPEN_RDONLY, NULL);
    ret = image_rebase(w->image, image, "another", "raw", err);
    if (ret < 0)
        image_close(image);
    return ret;
}

static int grow_with_tables(World *w, Err *err)
{
    return image_resize(w->image, BIG, IMAGE_PREALLOC_METADATA, false, err);
}

static int rename_backing(World *w, Err *err)
{
    return image_set_backing_name(w->image, "a-longer-name-than-before", "raw", err);
}

static int discard_all(World *w, Err *err)
{
    (void)err;
    return image_write_zeroes(w->image, 0, DISK, true, NULL);
}

/* Only clusters that were never written: those of the base. */
static int compress(World *w, Err *err)
{
    uint8_t buf[CLUSTER];
    int ret = 0;

    (void)err;
    fill(buf, sizeof buf, NEW_ID);
    for (uint64_t at = 0; at < DISK && ret == 0; at += CLUSTER) {
        ImageMapEntry e;

        ret = image_map_layer(w->image, at, CLUSTER, &e);
        if (ret == 0 && !e.allocated)
            ret = image_write_compressed(w->image, buf, at);
    }
    return ret;
}

/* Compressed clusters are written over, zeroed and discarded, in whole and in part. */
static int change_compressed(World *w, Err *err)
{
    uint8_t buf[CLUSTER];
    int ret = compress(w, err);

    fill(buf, sizeof buf, NEW_ID);
    for (uint64_t at = 0; at + 7 * CLUSTER <= DISK && ret == 0; at += 12 * CLUSTER) {
        ret = image_pwrite(w->image, buf, SECTOR, at + SECTOR);
        if (ret == 0)
            ret = image_pwrite(w->image, buf, CLUSTER, at + 2 * CLUSTER);
        if (ret == 0)
            ret = image_write_zeroes(w->image, at + 3 * CLUSTER, CLUSTER + SECTOR, true, NULL);
        if (ret == 0)
            ret = image_discard(w->image, at + 6 * CLUSTER, CLUSTER, NULL);
    }
    return ret;
}

static int snapshots(World *w, Err *err)
{
    const ImageSnapshot one = {.name = "one", .vm_state_size = 20000}, two = {.name = "two"};
    uint8_t state[20000] = {1};
    ImageSnapshot *list;
    unsigned n;
    int ret = image_snapshot_list(w->image, &list, &n, err);

    if (ret < 0)
        return ret;
    for (unsigned i = 0; i < n && ret == 0; i++) /* of the attempt before */
        ret = image_snapshot_delete(w->image, list[i].id, err);
    free(list);
    if (ret == 0)
        ret = image_vmstate_pwrite(w->image, state, sizeof state, 0);
    if (ret == 0)
        ret = image_snapshot_create(w->image, &one, err);
    if (ret == 0)
        ret = image_snapshot_create(w->image, &two, err);
    if (ret == 0)
        ret = discard_all(w, err);
    if (ret == 0)
        ret = image_snapshot_apply(w->image, "one", err);
    if (ret == 0)
        ret = image_vmstate_pread(w->image, state, sizeof state, 0);
    if (ret == 0)
        ret = image_snapshot_delete(w->image, "one", err);
    if (ret == 0)
        ret = image_snapshot_delete(w->image, "two", err);
    return ret;
}

static int repair(World *w, Err *err)
{
    ImageCheck check;

    return image_check(w->image, IMAGE_REPAIR_ALL, NULL, NULL, &check, err);
}

/* --- after a cut --- */

static bool sectors_are_right(const World *w, const char *how)
{
    uint64_t size = image_size(w->image), after = w->c->size_after ? w->c->size_after : DISK;
    uint64_t seen = MIN(size, (uint64_t)DISK);
    uint8_t *data = malloc(seen), wanted[SECTOR], rest[16 * CLUSTER];
    bool good = size == DISK || size == after;

    if (!good)
        printf("# %s: the size is %llu\n", how, (unsigned long long)size);
    good = good && image_pread(w->image, data, seen, 0) == 0;
    for (uint64_t i = 0; i < seen / SECTOR && good; i++) {
        const uint32_t ids[] = {id_of(i), w->c->to_zero ? 0 : id_of(i), w->c->to_new ? NEW_ID : id_of(i)};

        good = false;
        for (size_t k = 0; k < ARRAY_LEN(ids) && !good; k++) {
            fill(wanted, SECTOR, ids[k]);
            good = memcmp(data + i * SECTOR, wanted, SECTOR) == 0;
        }
        if (!good)
            printf("# %s: sector %u is neither old nor new\n", how, (unsigned)i);
    }
    free(data);
    for (uint64_t at = DISK; at < size && good; at += sizeof rest) {
        memset(rest, 1, sizeof rest);
        good = image_pread(w->image, rest, sizeof rest, at) == 0 && rest[0] == 0 &&
               memcmp(rest, rest + 1, sizeof rest - 1) == 0;
    }
    return good;
}

static bool is_sound(MemFile *file, const char *how)
{
    /* Opening it for writing repairs what is marked dirty. */
    uint64_t problems = mem_check(file, NULL);

    if (problems != 0)
        printf("# %s: corrupt\n", how);
    return problems == 0;
}

static bool survives(const World *w, uint64_t keep, const char *how)
{
    World after = *w;
    bool good;
    Err err = {0};

    after.another = NULL;
    after.top = mem_file_after_cut(w->top, keep);
    after.base = mem_file_after_cut(w->base, keep);
    good = open_world(&after, 0);
    if (!good) {
        printf("# %s: does not open\n", how);
    } else {
        good = sectors_are_right(&after, how);
        if (good && after.c->act(&after, &err) < 0) {
            printf("# %s: cannot be done again: %s\n", how, err.text);
            good = false;
        }
        good = sectors_are_right(&after, how) && good;
        good = image_close(after.image) == 0 && good;
        good = good && is_sound(after.top, how) && (!w->c->layered || is_sound(after.base, how));
    }
    stop(&after);
    return good;
}

/* The cut counts the writes to both files: at first all go to one, so each in turn gets the limit. */
/* The disk is full from some write on, then there is room, and the operation is done again on the open image. */
static void fill_everywhere(const Case *c)
{
    uint64_t fills = 0;
    bool good = true;

    for (unsigned file = 0; file < 2 && good; file++) {
        bool more = true;

        for (uint64_t n = 0; more && good; n += 1 + n / MIN(10u, c->stride ?: 10)) {
            World w;
            Err err = {0};

            good = start(&w, c);
            w.top->fail_with = w.base->fail_with = ENOSPC;
            (file == 0 ? w.top : w.base)->allow = (int64_t)n;
            good = good && open_world(&w, 0);
            if (good) {
                more = c->act(&w, &err) < 0;
                w.top->allow = w.base->allow = -1;
                if (more && c->act(&w, &err) < 0) {
                    printf("# cannot be done again: %s\n", err.text);
                    good = false;
                }
                good = sectors_are_right(&w, "full") && good;
                good = image_close(w.image) == 0 && good;
                good = good && is_sound(w.top, "full") && (!c->layered || is_sound(w.base, "full"));
            }
            if (!good)
                printf("# the %s was full after %llu writes\n", file == 0 ? "image" : "base", (unsigned long long)n);
            stop(&w);
            fills++;
        }
    }
    ok(good, "%s: survives %llu full disks", c->name, (unsigned long long)fills);
}

static void cut_everywhere(const Case *c)
{
    uint64_t cuts = 0;
    bool good = true;

    for (unsigned file = 0; file < 2 && good; file++) {
        bool more = true;

        for (uint64_t n = 0; more && good; n += 1 + n / (c->stride ?: 30)) {
            World w;
            Err err = {0};
            int ret;

            good = start(&w, c);
            (file == 0 ? w.top : w.base)->allow = (int64_t)n;
            good = good && open_world(&w, 0);
            if (good) {
                ret = c->act(&w, &err);
                if (image_close(w.image) < 0 && ret == 0)
                    ret = -EIO;
                more = ret < 0;
                good = survives(&w, UINT64_MAX, "killed") && survives(&w, 0, "power cut") &&
                       survives(&w, 0x9e3779b97f4a7c15ull * (n + 1), "power cut, reordered");
            }
            if (!good)
                printf("# cut after %llu writes to the %s\n", (unsigned long long)n, file == 0 ? "image" : "base");
            stop(&w);
            cuts++;
        }
    }
    ok(good, "%s: survives %llu cuts", c->name, (unsigned long long)cuts);
}

int main(void)
{
    static const Case cases[] = {
        {.name = "grow", .act = grow, .size_after = BIG},
        {.name = "grow, small clusters", .act = grow, .cluster_size = 512, .size_after = BIG},
        {.name = "shrink", .act = shrink, .size_after = DISK / 4},
        {.name = "commit to raw", .act = commit},
        {.name = "commit to qcow2", .act = commit, .layered = true},
        {.name = "commit and empty", .act = commit_and_empty, .layered = true},
        {.name = "commit and empty, lazy counts", .act = commit_and_empty, .layered = true, .lazy = true},
        {.name = "rebase to nothing", .act = rebase_to_nothing},
        {.name = "rename the backing image", .act = rename_backing},
        {.name = "zero and discard", .act = discard_all, .to_zero = true},
        {.name = "zero and discard, subclusters", .act = discard_all, .to_zero = true, .cluster_size = 16384,
         .extended = true},
        {.name = "compressed clusters", .act = compress, .to_new = true},
        {.name = "snapshots with VM state", .act = snapshots, .to_zero = true},
        {.name = "repair", .act = repair, .lazy = true},
        {.name = "rebase to another", .act = rebase_to_another},
        {.name = "rebase to another, version 2", .act = rebase_to_another, .version = 2},
        {.name = "rebase to another, subclusters", .act = rebase_to_another, .cluster_size = 16384, .extended = true},
        {.name = "grow with preallocation and a larger table of counts", .act = grow_with_tables, .alone = true,
         .cluster_size = 512, .refcount_bits = 64, .size_after = BIG, .stride = 6},
        {.name = "grow with preallocation, subclusters", .act = grow_with_tables, .alone = true, .cluster_size = 16384,
         .extended = true, .size_after = BIG},
        {.name = "compressed clusters written over", .act = change_compressed, .to_zero = true, .to_new = true},
        {.name = "compressed clusters written over, lazy counts", .act = change_compressed, .to_zero = true,
         .to_new = true, .lazy = true},
        {.name = "snapshots, lazy counts", .act = snapshots, .to_zero = true, .lazy = true},
        {.name = "snapshots, subclusters", .act = snapshots, .to_zero = true, .cluster_size = 16384, .extended = true},
        {.name = "snapshots, 64-bit counts and small clusters", .act = snapshots, .to_zero = true, .cluster_size = 512,
         .refcount_bits = 64},
        {.name = "rebase to another, LUKS", .act = rebase_to_another, .luks = true, .stride = 4},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cut_everywhere(&cases[i]);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        fill_everywhere(&cases[i]);
    return done();
}
