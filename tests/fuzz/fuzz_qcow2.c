/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image file of the fuzzer's making: probed, opened, mapped, read, checked; then, in a copy, repaired and written.
 * Nothing may crash, run out of bounds or run for ever; whether it works is not asked.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "unit/storage_mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Image *open_quietly(MemFile *f, unsigned flags)
{
    ImageOpenParams p;
    Image *image = NULL;

    image_open_params_init(&p);
    p.io = &mem_io;
    p.io_opaque = f;
    p.format = IMAGE_FORMAT_QCOW2;
    p.flags = flags;
    p.cache_size = 65536;
    return image_open(&p, &image, NULL) == 0 ? image : NULL;
}

static void look(Image *image, uint8_t *buf)
{
    ImageCheck check;
    ImageInfo info;
    ImageMapEntry e;
    uint64_t at = 0;

    image_get_info(image, &info);
    for (int i = 0; i < 64 && at < image_size(image); i++) {
        if (image_map(image, at, image_size(image) - at, &e) < 0)
            break;
        image_pread(image, buf, MIN(e.length, (uint64_t)65536), at);
        at += e.length;
    }
    image_check(image, IMAGE_REPAIR_NONE, NULL, NULL, &check, NULL);
}

static void change(Image *image, uint8_t *buf)
{
    uint64_t size = MIN(image_size(image), (uint64_t)1 << 20);
    ImageCheck check;

    if (image_check(image, IMAGE_REPAIR_ALL, NULL, NULL, &check, NULL) < 0)
        return;
    for (uint64_t at = 0; at + 4096 <= size; at += size / 5 + 4096)
        image_pwrite(image, buf, 4096, at + 100 + 3000 <= size ? at + 100 : at);
    image_snapshot_create(image, &(ImageSnapshot){.name = "fuzz"}, NULL);
    if (size >= 4096)
        image_write_zeroes(image, size / 4, size / 4, true, NULL);
    image_discard(image, 0, size, NULL);
    image_snapshot_apply(image, "fuzz", NULL);
    image_snapshot_delete(image, "fuzz", NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t buf[65536];
    MemFile *f = mem_file_new();
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    ImageProbe probe;
    Image *image;

    image_probe(data, size, &probe);
    if (size > 0 && size < 4u << 20)
        mem_io.pwritev(f, &iov, 1, 0);
    image = open_quietly(f, IMAGE_OPEN_RDONLY | IMAGE_OPEN_NO_BACKING | IMAGE_OPEN_CHECK);
    if (image != NULL) {
        look(image, buf);
        image_close(image);
        image = open_quietly(f, IMAGE_OPEN_NO_BACKING | IMAGE_OPEN_CHECK);
        if (image != NULL) {
            change(image, buf);
            image_close(image);
        }
    }
    mem_file_free(f);
    return 0;
}
