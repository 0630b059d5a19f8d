/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Host files in memory: see storage_mem.h. */
#include "config.h"

#include "unit/storage_mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <zlib.h>

#include "common/checked.h"
#include "common/iov.h"
#include "storage/host_file.h"

#define LIMIT (256u << 20) /* nothing in a test is larger */

static int make_room(uint8_t **data, uint64_t *room, uint64_t size)
{
    uint64_t want = MAX(*room, (uint64_t)65536);
    uint8_t *p;

    if (size > LIMIT)
        return -EFBIG;
    while (want < size)
        want *= 2;
    if (want == *room)
        return 0;
    p = realloc(*data, want);
    if (p == NULL)
        return -ENOMEM;
    memset(p + *room, 0, want - *room);
    *data = p;
    *room = want;
    return 0;
}

static int apply(uint8_t **data, uint64_t *size, uint64_t *room, const MemWrite *w)
{
    int ret;

    if (w->length == UINT64_MAX) {
        ret = make_room(data, room, w->offset);
        if (ret == 0 && w->offset < *size)
            memset(*data + w->offset, 0, *size - w->offset);
        if (ret == 0)
            *size = w->offset;
        return ret;
    }
    ret = make_room(data, room, w->offset + w->length);
    if (ret < 0)
        return ret;
    if (w->data != NULL)
        memcpy(*data + w->offset, w->data, w->length);
    else
        memset(*data + w->offset, 0, w->length);
    *size = MAX(*size, w->offset + w->length);
    return 0;
}

static int change(MemFile *f, uint64_t offset, uint64_t length, uint8_t *data)
{
    MemWrite w = {.offset = offset, .length = length, .data = data};
    int ret = 0;

    pthread_mutex_lock(&f->lock);
    if (f->allow == 0) {
        ret = -f->fail_with;
    } else {
        if (f->allow > 0)
            f->allow--;
        f->n_changes++;
        ret = apply(&f->data, &f->size, &f->room, &w);
    }
    if (ret == 0 && f->journal) {
        if (f->n_unsynced == f->room_unsynced) {
            f->room_unsynced = f->room_unsynced * 2 + 16;
            f->unsynced = realloc(f->unsynced, f->room_unsynced * sizeof *f->unsynced);
        }
        f->unsynced[f->n_unsynced++] = w;
        data = NULL;
    }
    pthread_mutex_unlock(&f->lock);
    free(data);
    return ret;
}

static int mem_preadv(void *opaque, const struct iovec *iov, int n_iov, uint64_t offset)
{
    MemFile *f = opaque;
    uint64_t length = iov_length(iov, (unsigned)n_iov), have;

    pthread_mutex_lock(&f->lock);
    have = offset >= f->size ? 0 : MIN(length, f->size - offset);
    if (have > 0)
        iov_from_buffer(iov, (unsigned)n_iov, 0, f->data + offset, have);
    iov_fill(iov, (unsigned)n_iov, have, 0, length - have);
    pthread_mutex_unlock(&f->lock);
    return 0;
}

static int mem_pwritev(void *opaque, const struct iovec *iov, int n_iov, uint64_t offset)
{
    uint64_t length = iov_length(iov, (unsigned)n_iov);
    uint8_t *copy = malloc(length + 1);

    iov_to_buffer(iov, (unsigned)n_iov, 0, copy, length);
    return change(opaque, offset, length, copy);
}

static void forget_unsynced(MemFile *f)
{
    for (unsigned i = 0; i < f->n_unsynced; i++)
        free(f->unsynced[i].data);
    f->n_unsynced = 0;
}

static int mem_sync(void *opaque)
{
    MemFile *f = opaque;
    int ret = 0;

    pthread_mutex_lock(&f->lock);
    if (f->allow == 0 && f->fail_with != ENOSPC) { /* a full disk syncs what it took */
        ret = -f->fail_with;
    } else if (f->journal) {
        for (unsigned i = 0; i < f->n_unsynced; i++)
            apply(&f->durable, &f->durable_size, &f->durable_room, &f->unsynced[i]);
        forget_unsynced(f);
    }
    f->n_syncs++;
    pthread_mutex_unlock(&f->lock);
    return ret;
}

static int mem_zero(void *opaque, uint64_t offset, uint64_t length, bool unmap)
{
    MemFile *f = opaque;

    if (unmap && offset >= f->size)
        return 0;
    return change(f, offset, length, NULL);
}

static int mem_truncate(void *opaque, uint64_t size)
{
    return change(opaque, size, UINT64_MAX, NULL);
}

static int mem_size(void *opaque, uint64_t *ret_size)
{
    *ret_size = ((MemFile *)opaque)->size;
    return 0;
}

const ImageIo mem_io = {
    .preadv = mem_preadv,
    .pwritev = mem_pwritev,
    .sync = mem_sync,
    .zero = mem_zero,
    .truncate = mem_truncate,
    .size = mem_size,
};

MemFile *mem_file_new(void)
{
    MemFile *f = calloc(1, sizeof *f);

    pthread_mutex_init(&f->lock, NULL);
    f->allow = -1;
    f->fail_with = EIO;
    return f;
}

void mem_file_free(MemFile *f)
{
    if (f == NULL)
        return;
    forget_unsynced(f);
    free(f->unsynced);
    free(f->data);
    free(f->durable);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

MemFile *mem_file_copy(MemFile *from)
{
    MemFile *f = mem_file_new();

    make_room(&f->data, &f->room, from->size);
    if (from->size > 0)
        memcpy(f->data, from->data, from->size);
    f->size = from->size;
    return f;
}

MemFile *mem_file_after_cut(MemFile *from, uint64_t keep)
{
    MemFile *f = mem_file_new();
    uint64_t state = keep | 1;

    make_room(&f->data, &f->room, from->durable_size);
    if (from->durable_size > 0)
        memcpy(f->data, from->durable, from->durable_size);
    f->size = from->durable_size;
    for (unsigned i = 0; i < from->n_unsynced; i++)
        if (keep == UINT64_MAX || (keep != 0 && mem_random(&state) >> 20 & 1))
            apply(&f->data, &f->size, &f->room, &from->unsynced[i]);
    return f;
}

MemFile *mem_file_from_gz(const char *path)
{
    gzFile gz = gzopen(path, "rb");
    MemFile *f = mem_file_new();
    uint8_t buf[65536];
    int n;

    if (gz == NULL) {
        mem_file_free(f);
        return NULL;
    }
    while ((n = gzread(gz, buf, sizeof buf)) > 0) {
        MemWrite w = {.offset = f->size, .length = (uint64_t)n, .data = buf};

        apply(&f->data, &f->size, &f->room, &w);
    }
    gzclose(gz);
    return f;
}

int mem_file_save(const MemFile *f, const char *path)
{
    FILE *out = fopen(path, "wb");
    int ret = out != NULL && fwrite(f->data, 1, f->size, out) == f->size ? 0 : -EIO;

    if (out != NULL)
        fclose(out);
    return ret;
}

Image *mem_open(MemFile *f, ImageFormat format, unsigned flags, Image *backing)
{
    ImageOpenParams p;
    Image *image;
    Err err;

    image_open_params_init(&p);
    p.io = &mem_io;
    p.io_opaque = f;
    p.format = format;
    p.flags = flags;
    p.backing = backing;
    p.cache_size = 32768; /* small: everything gets evicted */
    p.passphrase = "secret";
    p.passphrase_len = 6;
    if (image_open(&p, &image, &err) < 0) {
        printf("# open: %s\n", err.text);
        return NULL;
    }
    return image;
}

void mem_create(MemFile *f, ImageCreateParams params)
{
    Err err;

    params.io = &mem_io;
    params.io_opaque = f;
    if (image_create(-1, &params, &err) < 0) {
        printf("Bail out! create: %s\n", err.text);
        exit(1);
    }
}

static void print_finding(void *opaque, const char *line)
{
    printf("# check: %s\n", line);
}

uint64_t mem_check(MemFile *f, uint64_t *ret_leaks)
{
    Image *image = mem_open(f, IMAGE_FORMAT_QCOW2, IMAGE_OPEN_RDONLY | IMAGE_OPEN_NO_BACKING | IMAGE_OPEN_CHECK, NULL);
    ImageCheck check = {0};
    Err err = {0};
    int ret;

    if (image == NULL)
        return UINT64_MAX;
    ret = image_check(image, IMAGE_REPAIR_NONE, NULL, NULL, &check, &err);
    if (ret == 0 && check.corruptions > 0)
        image_check(image, IMAGE_REPAIR_NONE, print_finding, NULL, &check, &err);
    image_close(image);
    if (ret < 0)
        printf("# check: %s\n", err.text);
    if (ret_leaks != NULL)
        *ret_leaks = check.leaks;
    return ret < 0 ? UINT64_MAX : check.corruptions + check.check_errors;
}

int qemu_img_check(const MemFile *f, const char *name, bool luks)
{
    char path[128], command[768];
    int status;

    if (system("command -v qemu-img >/dev/null 2>&1") != 0)
        return 0;
    snprintf(path, sizeof path, "%s.tmp.qcow2", name);
    if (mem_file_save(f, path) < 0)
        return -1;
    snprintf(command, sizeof command,
             "qemu-img check --object secret,id=s,data=secret 'json:{\"driver\":\"qcow2\",\"backing\":null,%s"
             "\"file\":{\"driver\":\"file\",\"filename\":\"%s\"}}' >%s.log 2>&1",
             luks ? "\"encrypt\":{\"format\":\"luks\",\"key-secret\":\"s\"}," : "", path, path);
    status = system(command);
    snprintf(command, sizeof command, "%s.log", path);
    if (status == 0 || WEXITSTATUS(status) == 3) {
        remove(path);
        remove(command);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool qemu_img_is_content(const MemFile *f, const char *name, bool luks)
{
    int status = qemu_img_check(f, name, luks);

    if (status != 0)
        printf("# qemu-img check %s: status %d\n", name, status);
    return status == 0;
}
