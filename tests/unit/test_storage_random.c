/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random operations on qcow2 images of every kind against a plain buffer, with a check by us and by qemu-img at the
 * end. KITE_TEST_SOAK=N multiplies the operations; KITE_TEST_SEED chooses the sequence.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "lib/tap.h"
#include "unit/storage_mem.h"

#define DISK (1u << 20)
#define MAX_SNAPSHOTS 3

typedef struct Config {
    const char *name;
    ImageCreateParams params;
    bool backing;
} Config;

static const Config configs[] = {
    {"plain", {.cluster_size = 65536}, false},
    {"4k", {.cluster_size = 4096}, false},
    {"4k-backing", {.cluster_size = 4096}, true},
    {"512", {.cluster_size = 512, .refcount_bits = 64}, false},
    {"512-backing", {.cluster_size = 512}, true},
    {"v2", {.cluster_size = 4096, .version = 2}, false},
    {"v2-backing", {.cluster_size = 16384, .version = 2}, true},
    {"lazy", {.cluster_size = 8192, .lazy_refcounts = true}, true},
    {"refcount8", {.cluster_size = 4096, .refcount_bits = 8}, false},
    {"refcount2", {.cluster_size = 4096, .refcount_bits = 2}, false},
    {"extended", {.cluster_size = 16384, .extended_l2 = true}, false},
    {"extended-backing", {.cluster_size = 65536, .extended_l2 = true}, true},
    {"preallocated", {.cluster_size = 4096, .preallocation = IMAGE_PREALLOC_METADATA}, false},
    {"luks", {.cluster_size = 4096, .passphrase = "secret", .passphrase_len = 6, .luks_iterations = 1000}, false},
    {"large", {.cluster_size = 1u << 18}, true},
};

typedef struct Run {
    const Config *config;
    MemFile *file, *base_file;
    Image *image;
    uint8_t *model, *buf, *saved[MAX_SNAPSHOTS];
    char names[MAX_SNAPSHOTS][16];
    unsigned n_snapshots, counter;
    uint64_t seed;
} Run;

static bool reopen(Run *r)
{
    Image *base = r->base_file != NULL ? mem_open(r->base_file, IMAGE_FORMAT_RAW, IMAGE_OPEN_RDONLY, NULL) : NULL;

    r->image = mem_open(r->file, IMAGE_FORMAT_QCOW2, IMAGE_OPEN_UNMAP, base);
    return r->image != NULL;
}

/* Discards must read as zeros where the format can say so. */
static bool discards(const Run *r)
{
    return r->config->params.version != 2 || r->base_file == NULL;
}

static int step(Run *r)
{
    uint64_t at = mem_random(&r->seed) % DISK, n = 1 + mem_random(&r->seed) % (mem_random(&r->seed) % 4 ? 9000 : 150000);
    uint64_t cluster = r->config->params.cluster_size, from, to;
    ImageSnapshot snapshot = {0};
    int ret = 0;
    Err err;

    if (mem_random(&r->seed) % 3 == 0) {
        at = ALIGN_DOWN(at, (uint64_t)4096);
        n = ALIGN_UP(n, (uint64_t)4096);
    }
    n = MIN(n, DISK - at);
    switch (mem_random(&r->seed) % 40) {
    case 0 ... 15:
        r->counter++;
        for (uint64_t i = 0; i < n; i++)
            r->buf[i] = (uint8_t)(r->counter + i);
        memcpy(r->model + at, r->buf, n);
        return image_pwrite(r->image, r->buf, n, at);
    case 16 ... 25:
        ret = image_pread(r->image, r->buf, n, at);
        return ret < 0 ? ret : memcmp(r->buf, r->model + at, n) == 0 ? 0 : -1000;
    case 26 ... 28:
        memset(r->model + at, 0, n);
        return image_write_zeroes(r->image, at, n, mem_random(&r->seed) & 1, NULL);
    case 29 ... 31:
        from = ALIGN_UP(at, cluster);
        to = at + n == DISK ? DISK : ALIGN_DOWN(at + n, cluster);
        if (discards(r) && from < to)
            memset(r->model + from, 0, to - from);
        return image_discard(r->image, at, n, NULL);
    case 32 ... 33:
        return image_flush(r->image);
    case 34 ... 35:
        ret = image_close(r->image);
        return ret < 0 ? ret : reopen(r) ? 0 : -1001;
    case 36 ... 37:
        if (r->n_snapshots == MAX_SNAPSHOTS)
            return 0;
        snprintf(r->names[r->n_snapshots], 16, "s%u", ++r->counter);
        memcpy(snapshot.name, r->names[r->n_snapshots], 16);
        ret = image_snapshot_create(r->image, &snapshot, &err);
        if (ret == 0)
            memcpy(r->saved[r->n_snapshots++], r->model, DISK);
        break;
    case 38:
        if (r->n_snapshots == 0)
            return 0;
        at %= r->n_snapshots;
        ret = image_snapshot_apply(r->image, r->names[at], &err);
        if (ret == 0)
            memcpy(r->model, r->saved[at], DISK);
        break;
    default:
        if (r->n_snapshots == 0)
            return 0;
        at %= r->n_snapshots;
        ret = image_snapshot_delete(r->image, r->names[at], &err);
        r->n_snapshots--;
        memcpy(r->saved[at], r->saved[r->n_snapshots], DISK);
        memcpy(r->names[at], r->names[r->n_snapshots], 16);
    }
    if (ret < 0)
        printf("# %s\n", err.text);
    return ret == -34 && r->config->params.refcount_bits == 2 ? 0 : ret; /* -ERANGE: as many as two bits count */
}

static void run(const Config *config, unsigned steps, uint64_t seed)
{
    Run r = {.config = config, .seed = seed, .file = mem_file_new()};
    ImageCreateParams params = config->params;
    uint64_t corruptions, leaks = 0;
    int ret = 0;
    unsigned i;

    r.model = calloc(1, DISK);
    r.buf = malloc(DISK);
    for (i = 0; i < MAX_SNAPSHOTS; i++)
        r.saved[i] = malloc(DISK);
    params.format = IMAGE_FORMAT_QCOW2;
    params.size = DISK;
    params.data_fd = -1;
    if (config->backing) {
        /* Smaller than the overlay: what is behind it reads as zeros. */
        uint64_t size = DISK * 3 / 4;

        r.base_file = mem_file_new();
        mem_io.truncate(r.base_file, size);
        for (uint64_t k = 0; k < size; k++)
            r.base_file->data[k] = r.model[k] = (uint8_t)(k / 512 + k % 251);
        params.backing_name = "base";
        params.backing_format = "raw";
    }
    mem_create(r.file, params);
    ok(reopen(&r), "%s: opens", config->name);
    for (i = 0; i < steps && ret == 0; i++)
        ret = step(&r);
    if (ret == 0)
        ret = image_pread(r.image, r.buf, DISK, 0);
    ok(ret == 0, "%s: %u of %u operations with seed %llu (%d)", config->name, i, steps, (unsigned long long)seed, ret);
    ok(memcmp(r.buf, r.model, DISK) == 0, "%s: content is right", config->name);
    ok(image_close(r.image) == 0, "%s: closes", config->name);
    corruptions = mem_check(r.file, &leaks);
    ok(corruptions == 0 && leaks == 0, "%s: check finds %llu errors, %llu leaks", config->name,
       (unsigned long long)corruptions, (unsigned long long)leaks);
    ok(qemu_img_is_content(r.file, config->name, config->params.passphrase != NULL), "%s: qemu-img check", config->name);
    mem_file_free(r.file);
    mem_file_free(r.base_file);
    free(r.model);
    free(r.buf);
    for (i = 0; i < MAX_SNAPSHOTS; i++)
        free(r.saved[i]);
}

int main(void)
{
    const char *soak = getenv("KITE_TEST_SOAK"), *seed = getenv("KITE_TEST_SEED");

    for (size_t i = 0; i < ARRAY_LEN(configs); i++)
        run(&configs[i], 150 * (soak != NULL ? (unsigned)atoi(soak) : 1),
            seed != NULL ? strtoull(seed, NULL, 0) : 0x9e3779b97f4a7c15ull + i);
    return done();
}
