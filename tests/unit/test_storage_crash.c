/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Crash safety: a fixed sequence of operations is cut at each write to the host file in turn. Each time three disks are
 * looked at: everything written arrived (the process was killed), nothing since the last sync did, or a random choice
 * of it. Each must check without corruption (leaks allowed; a dirty image is repaired by opening it) and hold in each
 * sector what was flushed last or something newer. Then the same with a disk that is full from write N on and later
 * has room again. KITE_TEST_SOAK=N tries N choices a cut,
 * KITE_TEST_QEMU=1 also asks qemu-img about each disk that is not marked dirty.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "lib/tap.h"
#include "unit/storage_mem.h"

#define SECTOR 512u
#define DISK (512u * 1024)
#define SECTORS (DISK / SECTOR)
#define MAX_OLD 24

/* What a sector may hold after a cut: ids[0] was flushed, the others came later. */
typedef struct Sector {
    uint32_t ids[MAX_OLD];
    unsigned n;
} Sector;

typedef struct Config {
    const char *name;
    ImageCreateParams params;
    bool backing, snapshots;
} Config;

static const Config configs[] = {
    {"plain 4k", {.cluster_size = 4096}, false, false},
    {"backing 4k", {.cluster_size = 4096}, true, false},
    {"backing 64k", {.cluster_size = 65536}, true, false},
    {"lazy 4k", {.cluster_size = 4096, .lazy_refcounts = true}, true, false},
    {"snapshots 4k", {.cluster_size = 4096}, true, true},
    {"version 2", {.cluster_size = 4096, .version = 2}, true, false},
    {"512, 64-bit counts", {.cluster_size = 512, .refcount_bits = 64}, false, false},
    {"extended", {.cluster_size = 16384, .extended_l2 = true}, true, true},
};

typedef struct World {
    const Config *config;
    MemFile *file, *base;
    Image *image;
    Sector *sectors;
    uint32_t *saved;
    bool has_snapshot;
    uint32_t next;
    uint64_t seed;
    bool retry; /* full disk: room comes back */
} World;

static void add_id(World *w, uint64_t sector, uint32_t id)
{
    Sector *s = &w->sectors[sector];

    if (s->n < MAX_OLD)
        s->ids[s->n++] = id;
    else
        s->ids[MAX_OLD - 1] = id; /* the sequence flushes before that */
}

static uint32_t latest(const World *w, uint64_t sector)
{
    return w->sectors[sector].ids[w->sectors[sector].n - 1];
}

static void flushed(World *w)
{
    for (uint64_t i = 0; i < SECTORS; i++) {
        w->sectors[i].ids[0] = latest(w, i);
        w->sectors[i].n = 1;
    }
}

static bool open_world(World *w)
{
    Image *base = w->base != NULL ? mem_open(w->base, IMAGE_FORMAT_RAW, IMAGE_OPEN_RDONLY, NULL) : NULL;

    w->image = mem_open(w->file, IMAGE_FORMAT_QCOW2, IMAGE_OPEN_UNMAP, base);
    if (w->image == NULL && base != NULL)
        image_close(base);
    return w->image != NULL;
}

static int write_ids(World *w, uint64_t at, uint64_t n, uint32_t id)
{
    uint32_t *buf = malloc(n * SECTOR);
    int ret;

    for (uint64_t i = 0; i < n * SECTOR / 4; i++)
        buf[i] = id;
    for (uint64_t i = at; i < at + n; i++)
        add_id(w, i, id);
    ret = image_pwrite(w->image, buf, n * SECTOR, at * SECTOR);
    free(buf);
    return ret;
}

/* One operation; the model knows what it may have done before it is done. */
static int step(World *w, unsigned i)
{
    uint64_t at = mem_random(&w->seed) % SECTORS, n = 1 + mem_random(&w->seed) % (i % 3 ? 20 : 120);
    uint64_t per_cluster = w->config->params.cluster_size / SECTOR, from, to;
    unsigned what = mem_random(&w->seed) % 16;
    ImageSnapshot snapshot = {.name = "s"};
    int ret = 0;
    Err err;

    n = MIN(n, SECTORS - at);
    if (w->config->snapshots && i % 12 == 5) {
        if (!w->has_snapshot) {
            ret = image_snapshot_create(w->image, &snapshot, &err);
            if (ret == 0) {
                w->has_snapshot = true;
                flushed(w);
                for (uint64_t k = 0; k < SECTORS; k++)
                    w->saved[k] = latest(w, k);
            }
        } else if (i % 24 == 5) {
            for (uint64_t k = 0; k < SECTORS; k++)
                add_id(w, k, w->saved[k]);
            ret = image_snapshot_apply(w->image, "s", &err);
            if (ret == 0)
                flushed(w);
        } else {
            ret = image_snapshot_delete(w->image, "s", &err);
            if (ret == 0)
                w->has_snapshot = false;
        }
        return ret;
    }
    if (i % 6 == 4)
        what = 15;
    switch (what) {
    case 0 ... 8:
        return write_ids(w, at, n, w->next++);
    case 9 ... 11:
        for (uint64_t k = at; k < at + n; k++)
            add_id(w, k, 0);
        return image_write_zeroes(w->image, at * SECTOR, n * SECTOR, what & 1, NULL);
    case 12 ... 13:
        from = ALIGN_UP(at, per_cluster);
        to = at + n == SECTORS ? SECTORS : ALIGN_DOWN(at + n, per_cluster);
        if (w->config->params.version != 2 || !w->config->backing)
            for (uint64_t k = from; k < to; k++)
                add_id(w, k, 0);
        return image_discard(w->image, at * SECTOR, n * SECTOR, NULL);
    default:
        ret = image_flush(w->image);
        if (ret == 0)
            flushed(w);
        return ret;
    }
}

static void start(World *w, const Config *config)
{
    ImageCreateParams params = config->params;

    *w = (World){.config = config, .seed = 0x2545f4914f6cdd1dull, .next = 1000000};
    w->sectors = calloc(SECTORS, sizeof *w->sectors);
    w->saved = calloc(SECTORS, sizeof *w->saved);
    w->file = mem_file_new();
    params.format = IMAGE_FORMAT_QCOW2;
    params.size = DISK;
    params.data_fd = -1;
    if (config->backing) {
        w->base = mem_file_new();
        mem_io.truncate(w->base, DISK);
        params.backing_name = "base";
        params.backing_format = "raw";
    }
    for (uint64_t i = 0; i < SECTORS; i++) {
        w->sectors[i].n = 1;
        if (w->base != NULL) {
            w->sectors[i].ids[0] = (uint32_t)i + 1;
            for (unsigned k = 0; k < SECTOR / 4; k++)
                memcpy(w->base->data + i * SECTOR + k * 4, &w->sectors[i].ids[0], 4);
        }
    }
    w->file->journal = true;
    mem_create(w->file, params);
    mem_io.sync(w->file);
}

static void stop(World *w)
{
    mem_file_free(w->file);
    mem_file_free(w->base);
    free(w->sectors);
    free(w->saved);
}

static bool sector_is(const uint8_t *p, uint32_t id)
{
    for (unsigned i = 0; i < SECTOR; i += 4)
        if (memcmp(p + i, &id, 4) != 0)
            return false;
    return true;
}

/* Looks at one disk that a cut may have left. */
static bool survives(World *w, uint64_t keep, const char *how)
{
    World after = *w;
    uint8_t *data = malloc(DISK);
    Image *look;
    ImageCheck check;
    bool good = false;
    int ret;

    after.file = mem_file_after_cut(w->file, keep);
    if (getenv("KITE_TEST_QEMU") != NULL && !(w->config->params.version != 2 && (after.file->data[79] & 1))) {
        int status = qemu_img_check(after.file, "cut", false);

        if (status != 0 && status != 3) {
            printf("# %s: qemu-img check says %d\n", how, status);
            goto out;
        }
    }
    /* Not even a dirty image may have counts that repair cannot make right. */
    if (!open_world(&after)) {
        printf("# %s: does not open\n", how);
        goto out;
    }
    ret = image_pread(after.image, data, DISK, 0);
    good = ret == 0;
    for (uint64_t i = 0; i < SECTORS && good; i++) {
        bool known = false;

        for (unsigned k = 0; k < w->sectors[i].n && !known; k++)
            known = sector_is(data + i * SECTOR, w->sectors[i].ids[k]);
        if (!known) {
            uint32_t id;

            memcpy(&id, data + i * SECTOR, 4);
            printf("# %s: sector %u holds %u, not one of %u from %u to %u\n", how, (unsigned)i, id, w->sectors[i].n,
                   w->sectors[i].ids[0], latest(w, i));
            good = false;
        }
    }
    /* And it goes on from there. */
    if (good)
        good = image_pwrite(after.image, data, DISK / 4, 0) == 0;
    ret = image_close(after.image);
    look = mem_open(after.file, IMAGE_FORMAT_QCOW2, IMAGE_OPEN_RDONLY | IMAGE_OPEN_NO_BACKING | IMAGE_OPEN_CHECK, NULL);
    if (ret < 0 || look == NULL || image_check(look, IMAGE_REPAIR_NONE, NULL, NULL, &check, NULL) < 0 ||
        check.corruptions + check.check_errors > 0) {
        printf("# %s: corrupt afterwards (%d)\n", how, ret);
        mem_check(after.file, NULL);
        good = false;
    }
    image_close(look);
out:
    mem_file_free(after.file);
    free(data);
    return good;
}

static void cut_everywhere(const Config *config, unsigned choices)
{
    uint64_t n = 0, cuts = 0;
    bool more = true, good = true;
    const unsigned steps = 30;

    /* Every cut at first, then ever larger strides: the end of the sequence repeats its beginning. */
    for (; more && good; n += 1 + n / 40) {
        World w;
        unsigned i;
        int ret = 0;

        start(&w, config);
        w.file->allow = (int64_t)n;
        if (!open_world(&w)) {
            good = false;
        } else {
            for (i = 0; i < steps && ret == 0; i++)
                ret = step(&w, i);
            if (ret == 0) {
                ret = image_close(w.image);
            } else {
                image_close(w.image);
            }
            more = ret != 0;
            good = survives(&w, UINT64_MAX, "killed") && survives(&w, 0, "power cut");
            for (unsigned k = 0; k < choices && good; k++)
                good = survives(&w, 0x9e3779b97f4a7c15ull * (n * 64 + k + 1), "power cut, reordered");
        }
        if (!good)
            printf("# cut after %llu writes\n", (unsigned long long)n);
        stop(&w);
        cuts++;
    }
    ok(good, "%s: survives %llu cuts", config->name, (unsigned long long)cuts);
}

/* Full from write N on; after each failure there is room for some more writes, and the operation is tried again. */
static void fill_disk(const Config *config)
{
    bool good = true;
    uint64_t leaks;

    for (uint64_t n = 0; n < 60 && good; n += 3) {
        uint8_t *data = malloc(DISK);
        uint64_t state;
        World w;
        int ret = 0;

        start(&w, config);
        w.file->fail_with = ENOSPC;
        w.file->allow = (int64_t)n;
        good = open_world(&w);
        for (unsigned i = 0; i < 30 && good; i++) {
            for (int tries = 0; tries < 50; tries++) {
                state = w.seed;
                ret = step(&w, i);
                if (ret != -ENOSPC)
                    break;
                w.seed = state;
                w.next--;
                w.file->allow = (int64_t)(1 + n % 7 + (uint64_t)tries);
            }
            if (ret == -EIO && image_is_corrupt(w.image))
                printf("# %s\n", image_last_error(w.image));
            good = ret == 0;
        }
        w.file->allow = -1;
        if (good)
            good = image_pread(w.image, data, DISK, 0) == 0;
        for (uint64_t i = 0; i < SECTORS && good; i++)
            good = sector_is(data + i * SECTOR, latest(&w, i));
        if (w.image != NULL && image_close(w.image) < 0)
            good = false;
        if (good)
            good = mem_check(w.file, &leaks) == 0;
        if (!good)
            printf("# full after %llu writes: %d\n", (unsigned long long)n, ret);
        stop(&w);
        free(data);
    }
    ok(good, "%s: survives a full disk", config->name);
}

int main(void)
{
    const char *soak = getenv("KITE_TEST_SOAK");

    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        cut_everywhere(&configs[i], soak != NULL ? (unsigned)atoi(soak) : 1);
        if (!configs[i].snapshots)
            fill_disk(&configs[i]);
    }
    return done();
}
