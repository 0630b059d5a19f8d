/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The image engine, point by point: images that qemu-img made (tests/data/storage, see its README), probing, two-phase
 * requests and waiting, threads, locks, corrupt metadata, resize, commit and rebase.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checked.h"
#include "lib/tap.h"
#include "unit/storage_mem.h"

#define DISK (1u << 20)

static Image *make(MemFile **ret_file, ImageCreateParams params, Image *backing)
{
    *ret_file = mem_file_new();
    params.format = IMAGE_FORMAT_QCOW2;
    params.size = params.size != 0 ? params.size : DISK;
    params.data_fd = -1;
    if (backing != NULL)
        params.backing_name = "base";
    mem_create(*ret_file, params);
    return mem_open(*ret_file, IMAGE_FORMAT_QCOW2, IMAGE_OPEN_UNMAP, backing);
}

/* ---- Stored images ---- */

/* What the script in tests/data/storage wrote: sector i holds bytes (i * 7 + 1) & 255 below 192 KiB, then zeros, and
 * 0xee at 300000..301000. */
static uint8_t expected(uint64_t at)
{
    return at < 196608 ? (uint8_t)(at / 512 * 7 + 1) : at >= 300000 && at < 301000 ? 0xee : 0;
}

static void test_stored(const char *name)
{
    const char *top = getenv("abs_top_srcdir");
    MemFile *f;
    Image *image;
    uint8_t *data = malloc(DISK);
    char path[512];
    bool same = true;

    snprintf(path, sizeof path, "%s/tests/data/storage/%s.qcow2.gz", top != NULL ? top : ".", name);
    f = mem_file_from_gz(path);
    ok(f != NULL, "%s: stored", name);
    if (f == NULL)
        return;
    image = mem_open(f, IMAGE_FORMAT_AUTO, 0, NULL);
    ok(image != NULL && image_format(image) == IMAGE_FORMAT_QCOW2, "%s: opens", name);
    ok(image != NULL && image_pread(image, data, DISK, 0) == 0, "%s: reads", name);
    for (uint64_t i = 0; i < DISK && same; i++)
        same = data[i] == expected(i);
    ok(same, "%s: holds what qemu-img wrote", name);
    ok(image_pwrite(image, "kite", 4, 1000) == 0 && image_pread(image, data, 3000, 0) == 0 &&
           memcmp(data + 1000, "kite", 4) == 0 && data[999] == expected(999) && data[1004] == expected(1004),
       "%s: a small write keeps what is around", name);
    ok(image_close(image) == 0 && mem_check(f, NULL) == 0, "%s: checks", name);
    mem_file_free(f);
    free(data);
}

/* ---- Probing ---- */

static void test_probe(void)
{
    uint8_t head[512] = "QFI\xfb";
    ImageProbe probe;
    MemFile *f;
    Image *image;

    image_probe(head, 4, &probe);
    ok(probe.format == IMAGE_FORMAT_RAW, "four bytes are raw");
    image_probe("conectix", 8, &probe);
    ok(probe.format == IMAGE_FORMAT_VPC, "vpc");
    image_probe("QED\0", 4, &probe);
    ok(probe.format == IMAGE_FORMAT_QED, "qed");
    image_probe("LUKS\xba\xbe\0\1", 8, &probe);
    ok(probe.format == IMAGE_FORMAT_LUKS && probe.encrypted, "luks");
    f = mem_file_new();
    mem_create(f, (ImageCreateParams){.format = IMAGE_FORMAT_QCOW2, .size = 12345678, .data_fd = -1,
                                      .backing_name = "/some/base.img", .backing_format = "raw"});
    image_probe(f->data, MIN(f->size, (uint64_t)IMAGE_PROBE_SIZE), &probe);
    ok(probe.format == IMAGE_FORMAT_QCOW2 && probe.virtual_size == 12345856 &&
           strcmp(probe.backing_name, "/some/base.img") == 0 && strcmp(probe.backing_format, "raw") == 0 &&
           probe.version == 3,
       "qcow2 with its backing file");
    image = mem_open(f, IMAGE_FORMAT_AUTO, IMAGE_OPEN_RDONLY, NULL);
    ok(image == NULL, "a backing file that nobody supplies is an error");
    mem_file_free(f);
}

/* ---- Two phases ---- */

static unsigned resumed;

/* The caller's part: the data of a write. */
static int put(MemFile *f, ImageRequest *request)
{
    static uint8_t data[65536];

    for (unsigned i = 0; i < request->n_extents; i++) {
        struct iovec iov = {.iov_base = data, .iov_len = request->extents[i].length};

        mem_io.pwritev(f, &iov, 1, request->extents[i].offset);
    }
    return image_end(request, 0);
}

static void note_resume(ImageRequest *request)
{
    resumed++;
}

static void test_two_phase(void)
{
    ImageRequest a = {0}, b = {.resume = note_resume}, r = {0}, d = {.resume = note_resume};
    MemFile *f;
    Image *image = make(&f, (ImageCreateParams){0}, NULL);
    uint8_t buf[4096];

    ok(image_begin_read(image, 0, 4096, &r) == 0 && r.n_extents == 1 && r.extents[0].kind == IMAGE_EXTENT_ZERO,
       "an empty image reads as zeros");
    image_end(&r, 0);
    ok(image_begin_write(image, 8192, 4096, &a) == 0 && a.length == 4096, "a write allocates");
    ok(image_begin_write(image, 0, 4096, &b) == -EAGAIN && b.queued, "another one to the same cluster waits");
    ok(image_discard(image, 0, 65536, &d) == -EAGAIN, "so does a discard");
    image_cancel_wait(image, &d);
    ok(!d.queued, "which is withdrawn");
    ok(image_begin_read(image, 8192, 4096, &r) == 0 && r.extents[0].kind == IMAGE_EXTENT_ZERO,
       "a reader sees the old mapping");
    image_end(&r, 0);
    ok(put(f, &a) == 0 && resumed == 1, "the end of the first wakes the second");
    ok(image_begin_write(image, 0, 4096, &b) == 0 && b.n_extents == 1 && b.extents[0].kind == IMAGE_EXTENT_DATA,
       "which goes straight to the cluster");
    ok(image_begin_write(image, 4096, 4096, &a) == 0, "and so does a third at the same time");
    put(f, &b);
    put(f, &a);
    ok(image_begin_write(image, 65536, 100, &a) == 0 && image_end(&a, -EIO) == -EIO, "a failed write");
    ok(image_begin_read(image, 65536, 4096, &r) == 0 && r.extents[0].kind == IMAGE_EXTENT_ZERO, "leaves no mapping");
    ok(image_snapshot_create(image, &(ImageSnapshot){.name = "x"}, NULL) == -EBUSY,
       "a snapshot is refused while a request is in flight");
    image_end(&r, 0);
    ok(image_begin_write(image, DISK, 1, &a) == -EINVAL, "nothing is written behind the end");
    ok(image_pread(image, buf, sizeof buf, DISK - 1) == -EINVAL, "nor read");
    ok(image_close(image) == 0 && mem_check(f, NULL) == 0, "checks");
    mem_file_free(f);
}

/* ---- Threads ---- */

typedef struct Worker {
    Image *image;
    unsigned index;
    bool good;
} Worker;

#define N_WORKERS 4

/* Each has every fourth 2 KiB: all work in the same clusters. */
static void *work(void *opaque)
{
    Worker *w = opaque;
    uint64_t seed = 88172645463325252ull + w->index, units = DISK / 2048 / N_WORKERS;
    uint8_t *state = calloc(1, units), buf[2048];

    w->good = true;
    for (unsigned i = 0; i < 3000 && w->good; i++) {
        uint64_t unit = mem_random(&seed) % units, at = (unit * N_WORKERS + w->index) * 2048;

        switch (mem_random(&seed) % 8) {
        case 0 ... 3:
            state[unit] = (uint8_t)(i + 1);
            memset(buf, state[unit], sizeof buf);
            w->good = image_pwrite(w->image, buf, sizeof buf, at) == 0;
            break;
        case 4:
            state[unit] = 0;
            w->good = image_write_zeroes(w->image, at, sizeof buf, true, NULL) == 0;
            break;
        case 5:
            if (i % 16 == 0)
                w->good = image_flush(w->image) == 0;
            break;
        default:
            w->good = image_pread(w->image, buf, sizeof buf, at) == 0 && buf[0] == state[unit] &&
                      memcmp(buf, buf + 1, sizeof buf - 1) == 0;
        }
    }
    for (uint64_t unit = 0; unit < units && w->good; unit++)
        w->good = image_pread(w->image, buf, sizeof buf, (unit * N_WORKERS + w->index) * 2048) == 0 &&
                  buf[0] == state[unit] && memcmp(buf, buf + 1, sizeof buf - 1) == 0;
    free(state);
    return NULL;
}

static void test_threads(const char *name, ImageCreateParams params)
{
    Worker workers[N_WORKERS];
    pthread_t threads[N_WORKERS];
    MemFile *f;
    Image *image = make(&f, params, NULL);
    bool good = true;

    for (unsigned i = 0; i < N_WORKERS; i++) {
        workers[i] = (Worker){.image = image, .index = i};
        pthread_create(&threads[i], NULL, work, &workers[i]);
    }
    for (unsigned i = 0; i < N_WORKERS; i++) {
        pthread_join(threads[i], NULL);
        good = good && workers[i].good;
    }
    ok(good, "%s: four threads in the same clusters", name);
    ok(image_close(image) == 0 && mem_check(f, NULL) == 0, "%s: checks", name);
    mem_file_free(f);
}

/* ---- Locks ---- */

static Image *open_path(const char *path, unsigned flags, int *ret_error)
{
    ImageOpenParams p;
    Image *image = NULL;

    image_open_params_init(&p);
    p.fd = open(path, (flags & IMAGE_OPEN_RDONLY ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    p.flags = flags;
    *ret_error = image_open(&p, &image, NULL);
    if (image == NULL)
        close(p.fd);
    return image;
}

static void test_locks(void)
{
    char path[] = "storage-lock-XXXXXX";
    int fd = mkstemp(path), ret;
    ImageCreateParams params;
    Image *a, *b;

    image_create_params_init(&params);
    params.size = DISK;
    ok(image_create(fd, &params, NULL) == 0, "create in a file");
    close(fd);
    a = open_path(path, 0, &ret);
    ok(a != NULL, "open for writing");
    b = open_path(path, 0, &ret);
    ok(b == NULL && ret == -EAGAIN, "a second writer is refused");
    b = open_path(path, IMAGE_OPEN_RDONLY, &ret);
    ok(b == NULL && ret == -EAGAIN, "so is a reader");
    fd = open(path, O_RDWR | O_CLOEXEC);
    ok(image_create(fd, &params, NULL) == -EAGAIN, "and whoever would make a new one of it");
    close(fd);
    b = open_path(path, IMAGE_OPEN_RDONLY | IMAGE_OPEN_NO_LOCK, &ret);
    ok(b != NULL, "unless it takes no locks");
    image_close(b);
    if (system("command -v qemu-img >/dev/null 2>&1") == 0) {
        char command[128];

        snprintf(command, sizeof command, "qemu-img info %s >/dev/null 2>&1", path);
        ok(system(command) != 0, "qemu-img sees the lock");
        image_close(a);
        ok(system(command) == 0, "and that it is gone");
    } else {
        image_close(a);
    }
    a = open_path(path, IMAGE_OPEN_RDONLY, &ret);
    b = open_path(path, IMAGE_OPEN_RDONLY, &ret);
    ok(a != NULL && b != NULL, "two readers are fine");
    ok(image_set_read_only(a, false, NULL) == -EAGAIN, "neither becomes a writer");
    image_close(b);
    image_close(a);
    unlink(path);
}

/* ---- O_DIRECT ---- */

typedef struct Half {
    Image *image;
    uint64_t offset;
    bool good;
} Half;

/* Half a sector, again and again, read back each time. */
static void *write_half(void *opaque)
{
    Half *h = opaque;

    h->good = true;
    for (unsigned i = 0; i < 200 && h->good; i++) {
        uint8_t buf[256], got[256];

        memset(buf, (int)i, sizeof buf);
        h->good = image_pwrite(h->image, buf, sizeof buf, h->offset) == 0 &&
                  image_pread(h->image, got, sizeof got, h->offset) == 0 && memcmp(buf, got, sizeof buf) == 0;
    }
    return NULL;
}

/* What is no whole block goes by way of a copy, which must neither undo what others write beside it nor make the file
 * longer. */
static void test_direct(void)
{
    char path[] = "storage-direct-XXXXXX";
    int fd = mkstemp(path), ret;
    pthread_t threads[2];
    ImageOpenParams p;
    struct stat st;
    Half halves[2];

    image_open_params_init(&p);
    p.fd = open(path, O_RDWR | O_CLOEXEC | O_DIRECT);
    p.format = IMAGE_FORMAT_RAW;
    if (p.fd < 0 || pwrite(fd, &st, 1, 5119) != 1 || fsync(fd) < 0 || image_open(&p, &halves[0].image, NULL) < 0) {
        printf("# no O_DIRECT here\n");
        close(p.fd);
    } else {
        ok(image_direct_align(halves[0].image) >= 512, "O_DIRECT asks for whole blocks");
        halves[1].image = halves[0].image;
        halves[0].offset = 4608;
        halves[1].offset = 4864;
        for (unsigned i = 0; i < 2; i++)
            pthread_create(&threads[i], NULL, write_half, &halves[i]);
        for (unsigned i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        ok(halves[0].good && halves[1].good, "two writers of one block both stay");
        ret = image_close(halves[0].image);
        ok(ret == 0 && fstat(fd, &st) == 0 && st.st_size == 5120, "the file is as long as the disk");
    }
    close(fd);
    unlink(path);
}

/* ---- Corruption ---- */

static void test_corrupt(void)
{
    MemFile *f;
    Image *image = make(&f, (ImageCreateParams){0}, NULL);
    ImageCheck check;
    uint8_t buf[512] = {1};
    uint64_t l1, l2;

    image_pwrite(image, buf, sizeof buf, 0);
    image_close(image);
    memcpy(&l1, f->data + 40, 8);
    l1 = __builtin_bswap64(l1);
    memcpy(&l2, f->data + l1, 8);
    l2 = __builtin_bswap64(l2) & 0x00fffffffffffe00ull;
    /* Guest cluster 0 is mapped to the L1 table. */
    l1 = __builtin_bswap64(l1 | 1ull << 63);
    memcpy(f->data + l2, &l1, 8);
    image = mem_open(f, IMAGE_FORMAT_QCOW2, 0, NULL);
    ok(image_pwrite(image, buf, sizeof buf, 0) == -EIO && image_is_corrupt(image), "metadata is not overwritten");
    ok(image_pwrite(image, buf, sizeof buf, 65536) == -EIO, "no more writes");
    image_close(image);
    ok(mem_open(f, IMAGE_FORMAT_QCOW2, 0, NULL) == NULL, "a corrupt image does not open for writing");
    image = mem_open(f, IMAGE_FORMAT_QCOW2, IMAGE_OPEN_RDONLY, NULL);
    ok(image != NULL, "but for reading");
    image_close(image);
    image = mem_open(f, IMAGE_FORMAT_QCOW2, IMAGE_OPEN_CHECK, NULL);
    ok(image_check(image, IMAGE_REPAIR_ALL, NULL, NULL, &check, NULL) == 0 && check.corruptions_fixed > 0 &&
           check.corruptions == 0 && !image_is_corrupt(image),
       "repair");
    image_close(image);
    ok(mem_check(f, NULL) == 0, "checks");

    /* A refcount table that points nowhere. */
    memset(f->data + 65536, 0x5a, 8);
    ok(mem_check(f, NULL) > 0, "a broken refcount table is found");
    image = mem_open(f, IMAGE_FORMAT_QCOW2, IMAGE_OPEN_CHECK, NULL);
    ok(image_check(image, IMAGE_REPAIR_ALL, NULL, NULL, &check, NULL) == 0 && check.corruptions == 0, "and built anew");
    image_close(image);
    ok(mem_check(f, NULL) == 0 && qemu_img_is_content(f, "rebuilt", false), "checks");

    memcpy(&l1, f->data + 48, 8);
    f->data[__builtin_bswap64(l1) + 15] |= 1;
    ok(mem_check(f, NULL) == 1, "reserved bits in the refcount table are found");
    image = mem_open(f, IMAGE_FORMAT_QCOW2, IMAGE_OPEN_CHECK, NULL);
    ok(image_check(image, IMAGE_REPAIR_ALL, NULL, NULL, &check, NULL) == 0 && check.corruptions_fixed > 0, "and cleared");
    image_close(image);
    ok(mem_check(f, NULL) == 0, "checks");
    mem_file_free(f);
}

/* ---- Resize, commit, rebase, VM state ---- */

static void test_layers(void)
{
    MemFile *base_file = mem_file_new(), *top_file, *new_file = mem_file_new();
    uint8_t *model = calloc(1, 2 * DISK), *buf = malloc(2 * DISK);
    ImageMapEntry e;
    Image *base, *top, *other;

    mem_create(base_file, (ImageCreateParams){.format = IMAGE_FORMAT_QCOW2, .size = DISK / 2, .data_fd = -1});
    base = mem_open(base_file, IMAGE_FORMAT_QCOW2, 0, NULL);
    for (unsigned i = 0; i < DISK / 2; i++)
        model[i] = (uint8_t)(i / 1000);
    image_pwrite(base, model, DISK / 2, 0);
    top = make(&top_file, (ImageCreateParams){0}, base);
    memset(model + 70000, 9, 1000);
    image_pwrite(top, model + 70000, 1000, 70000);
    memset(model + 131072, 0, 65536);
    image_write_zeroes(top, 131072, 65536, true, NULL);
    memset(model + 900000, 7, 10);
    image_pwrite(top, model + 900000, 10, 900000);
    ok(image_map(top, 0, DISK, &e) == 0 && e.depth == 1 && e.length == 65536 && e.data, "map: first from below");
    ok(image_map(top, 65536, DISK - 65536, &e) == 0 && e.depth == 0 && e.length == 65536 && e.data, "map: then here");
    ok(image_map(top, 131072, 65536, &e) == 0 && e.zero && e.depth == 0 && e.length == 65536, "map: then zeros");
    ok(image_resize(top, 2 * DISK, IMAGE_PREALLOC_OFF, false, NULL) == 0 && image_size(top) == 2 * DISK, "grows");
    ok(image_resize(top, DISK, IMAGE_PREALLOC_OFF, false, NULL) == -EINVAL, "does not shrink by accident");
    ok(image_pread(top, buf, 2 * DISK, 0) == 0 && memcmp(buf, model, 2 * DISK) == 0, "reads the same");

    ok(image_commit(top, true, NULL, NULL, NULL) == 0, "commits");
    ok(image_size(base) == 2 * DISK && image_pread(base, buf, 2 * DISK, 0) == 0 && memcmp(buf, model, 2 * DISK) == 0,
       "the base holds everything");
    ok(image_map_layer(top, 0, 2 * DISK, &e) == 0 && !e.allocated && e.length == 2 * DISK, "the overlay nothing");

    mem_create(new_file, (ImageCreateParams){.format = IMAGE_FORMAT_QCOW2, .size = DISK, .data_fd = -1});
    other = mem_open(new_file, IMAGE_FORMAT_QCOW2, 0, NULL);
    memset(buf, 0x33, DISK);
    image_pwrite(other, buf, DISK, 0);
    ok(image_rebase(top, other, "new", "qcow2", NULL) == 0, "rebases");
    ok(image_pread(top, buf, 2 * DISK, 0) == 0 && memcmp(buf, model, 2 * DISK) == 0, "reads the same over another base");
    ok(image_rebase(top, NULL, NULL, NULL, NULL) == 0, "flattens");
    ok(image_pread(top, buf, 2 * DISK, 0) == 0 && memcmp(buf, model, 2 * DISK) == 0, "reads the same alone");

    ok(image_vmstate_pwrite(top, model, 100000, 50) == 0, "VM state is written");
    ok(image_snapshot_create(top, &(ImageSnapshot){.name = "vm", .vm_state_size = 100050}, NULL) == 0, "snapshot");
    memset(buf, 1, 100000);
    ok(image_pwrite(top, buf, 100000, 0) == 0 && image_snapshot_apply(top, "vm", NULL) == 0, "changed and reverted");
    ok(image_vmstate_pread(top, buf, 100000, 50) == 0 && memcmp(buf, model, 100000) == 0, "VM state is back");
    ok(image_pread(top, buf, 2 * DISK, 0) == 0 && memcmp(buf, model, 2 * DISK) == 0, "so is the disk");
    ok(image_snapshot_delete(top, "vm", NULL) == 0 && image_snapshot_apply(top, "vm", NULL) == -ENOENT, "deleted");
    ok(image_resize(top, DISK / 4 + 512, IMAGE_PREALLOC_OFF, true, NULL) == 0 &&
           image_resize(top, DISK, IMAGE_PREALLOC_OFF, false, NULL) == 0,
       "shrinks and grows");
    memset(model + DISK / 4 + 512, 0, DISK);
    ok(image_pread(top, buf, DISK, 0) == 0 && memcmp(buf, model, DISK) == 0, "what was cut off reads as zeros");
    ok(image_close(top) == 0 && mem_check(top_file, NULL) == 0 && mem_check(base_file, NULL) == 0, "checks");
    ok(qemu_img_is_content(top_file, "layers", false), "qemu-img check");
    mem_file_free(base_file);
    mem_file_free(top_file);
    mem_file_free(new_file);
    free(model);
    free(buf);
}

/* Places of compressed clusters are given up and used again. */
static void test_packed_again(const char *name, bool zstd)
{
    uint8_t a[4096], b[4096], seen[4096];
    MemFile *f;
    Image *image = make(&f, (ImageCreateParams){.cluster_size = 4096, .zstd = zstd}, NULL);
    bool good = true;

    memset(a, 1, sizeof a);
    memset(b, 2, sizeof b);
    for (uint64_t at = 0; at + 3 * sizeof a <= DISK / 2 && good; at += 3 * sizeof a) {
        good = image_write_compressed(image, a, at) == 0 && image_pread(image, seen, sizeof seen, at) == 0 &&
               memcmp(a, seen, sizeof a) == 0;
        /* Written over: its place is free after the flush, and taken by somebody else. */
        good = good && image_pwrite(image, b, sizeof b, at) == 0 && image_flush(image) == 0 && image_flush(image) == 0 &&
               image_pwrite(image, b, sizeof b, DISK / 2 + at) == 0 &&
               image_write_compressed(image, a, at + sizeof a) == 0 &&
               image_pwrite(image, a, sizeof a, at + sizeof a) == 0 && image_flush(image) == 0 &&
               image_flush(image) == 0 && image_write_compressed(image, b, at + 2 * sizeof a) == 0 &&
               image_pread(image, seen, sizeof seen, at + 2 * sizeof a) == 0 && memcmp(b, seen, sizeof b) == 0 &&
               image_pread(image, seen, sizeof seen, DISK / 2 + at) == 0 && memcmp(b, seen, sizeof b) == 0;
    }
    ok(good, "%s: compressed clusters in place of others", name);
    ok(image_close(image) == 0 && mem_check(f, NULL) == 0, "%s: checks", name);
    mem_file_free(f);
}

/* Version 2 has no zero clusters: what read as zeros over the old backing image is written when the new one holds data. */
static void test_rebase_v2(void)
{
    MemFile *old_file, *new_file, *f;
    Image *old = make(&old_file, (ImageCreateParams){0}, NULL), *new = make(&new_file, (ImageCreateParams){0}, NULL), *top;
    uint8_t buf[4096] = {1}, seen[4096];

    for (uint64_t at = 0; at < DISK; at += sizeof buf)
        image_pwrite(new, buf, sizeof buf, at);
    top = make(&f, (ImageCreateParams){.version = 2, .cluster_size = 4096}, old);
    ok(image_rebase(top, new, "new", "qcow2", NULL) == 0, "an image of version 2 gets another backing image");
    memset(buf, 0, sizeof buf);
    for (uint64_t at = 0; at < DISK && buf[0] == 0; at += sizeof seen)
        buf[0] = (uint8_t)(image_pread(top, seen, sizeof seen, at) < 0 || memcmp(seen, buf, sizeof seen) != 0);
    ok(buf[0] == 0, "and reads as before");
    ok(image_close(top) == 0 && mem_check(f, NULL) == 0, "checks");
    mem_file_free(f);
    mem_file_free(old_file);
    mem_file_free(new_file);
}

/* Who must not wait for the disk is told so, and is served where nothing has to be read. */
static void test_no_wait(void)
{
    MemFile *f = mem_file_new(), *base = mem_file_new();
    ImageRequest r = {0}, n = {.no_wait = true};
    uint8_t buf[512] = {1};
    Image *image;

    mem_io.truncate(base, DISK);
    mem_create(f, (ImageCreateParams){.format = IMAGE_FORMAT_QCOW2, .size = DISK, .data_fd = -1, .backing_name = "base",
                                      .backing_format = "raw"});
    image = mem_open(f, IMAGE_FORMAT_QCOW2, 0, mem_open(base, IMAGE_FORMAT_RAW, IMAGE_OPEN_RDONLY, NULL));
    ok(image_pwrite(image, buf, sizeof buf, 0) == 0 && image_close(image) == 0, "an image with one cluster");
    image = mem_open(f, IMAGE_FORMAT_QCOW2, 0, mem_open(base, IMAGE_FORMAT_RAW, IMAGE_OPEN_RDONLY, NULL));
    ok(image_begin_read(image, 0, 512, &n) == -EINPROGRESS, "a table that is not in memory is not waited for");
    ok(image_begin_write(image, 0, 512, &n) == -EINPROGRESS, "nor for a write");
    ok(image_begin_read(image, 0, 512, &r) == 0 && image_end(&r, 0) == 0, "whoever may wait reads it");
    ok(image_begin_read(image, 0, 512, &n) == 0 && image_end(&n, 0) == 0, "then it is there for all");
    ok(image_begin_write(image, 0, 512, &r) == 0 && image_end(&r, 0) == 0, "the first write prepares the image");
    ok(image_begin_write(image, 0, 512, &n) == 0 && image_end(&n, 0) == 0, "in place nothing is waited for");
    ok(image_begin_write(image, 65536, 512, &n) == -EINPROGRESS, "what must be copied up is not waited for");
    ok(image_begin_write(image, 65536, 65536, &n) == 0 && image_end(&n, -EIO) == -EIO, "a whole cluster is not copied");
    ok(image_begin_write(image, 65536, 512, &r) == 0 && image_end(&r, -EIO) == -EIO, "whoever may wait copies");
    ok(image_close(image) == 0 && mem_check(f, NULL) == 0, "nothing is left behind");
    mem_file_free(f);
    mem_file_free(base);
}

int main(void)
{
    static const char *const stored[] = {"zlib", "zstd", "zlib4k", "v2", "extended", "snapshot"};

    for (size_t i = 0; i < ARRAY_LEN(stored); i++)
        test_stored(stored[i]);
    test_probe();
    test_two_phase();
    test_threads("plain", (ImageCreateParams){0});
    test_threads("extended", (ImageCreateParams){.extended_l2 = true});
    test_threads("4k", (ImageCreateParams){.cluster_size = 4096});
    test_locks();
    test_direct();
    test_corrupt();
    test_layers();
    test_packed_again("zlib", false);
    test_packed_again("zstd", true);
    test_rebase_v2();
    test_no_wait();
    return done();
}
