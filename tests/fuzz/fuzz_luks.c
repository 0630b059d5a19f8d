/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LUKS headers. A container that is right, once raw and once inside qcow2, is changed by the fuzzer's bytes: the first
 * chooses which, the next LUKS_HEADER_SIZE are XORed into the LUKS header, the rest into the file's beginning; no bytes
 * at all leave it right. It is opened with the right passphrase, read and written. Counts of rounds are
 * brought down, for their cost is known and no fault.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "storage/image_priv.h"
#include "unit/storage_mem.h"

#define PASSPHRASE "kite"
#define ROUNDS 1000u
#define DISK 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where the file's LUKS header begins; SIZE_MAX: nowhere. */
static size_t find_header(const MemFile *f)
{
    for (size_t at = 0; at + LUKS_HEADER_SIZE <= f->size; at += LUKS_SECTOR)
        if (memcmp(f->data + at, "LUKS\xba\xbe", 6) == 0)
            return at;
    return SIZE_MAX;
}

static MemFile *make(ImageFormat format)
{
    ImageCreateParams p;
    MemFile *f = mem_file_new();

    image_create_params_init(&p);
    p.format = format;
    p.size = DISK;
    p.passphrase = PASSPHRASE;
    p.passphrase_len = strlen(PASSPHRASE);
    p.luks_iterations = ROUNDS;
    p.data_fd = -1;
    mem_create(f, p);
    return f;
}

static void limit_rounds(uint8_t *p)
{
    if (get_be32(p) > ROUNDS)
        put_be32(p, get_be32(p) % ROUNDS);
}

static void spoil(uint8_t *to, size_t room, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < MIN(room, size); i++)
        to[i] ^= data[i];
}

static Image *open_image(MemFile *f, ImageFormat format)
{
    ImageOpenParams p;
    Image *image = NULL;

    image_open_params_init(&p);
    p.io = &mem_io;
    p.io_opaque = f;
    p.format = format;
    p.flags = IMAGE_OPEN_NO_BACKING;
    p.passphrase = PASSPHRASE;
    p.passphrase_len = strlen(PASSPHRASE);
    return image_open(&p, &image, NULL) == 0 ? image : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ImageFormat formats[] = {IMAGE_FORMAT_LUKS, IMAGE_FORMAT_QCOW2};
    static MemFile *whole[2];
    static uint8_t buf[8192];
    unsigned which = size > 0 ? data[0] & 1 : 0;
    MemFile *f;
    Image *image;
    size_t at;

    if (whole[which] == NULL)
        whole[which] = make(formats[which]);
    f = mem_file_copy(whole[which]);
    at = find_header(f);
    if (size > 1)
        spoil(f->data + at, LUKS_HEADER_SIZE, data + 1, size - 1);
    if (size > 1 + LUKS_HEADER_SIZE)
        spoil(f->data, f->size, data + 1 + LUKS_HEADER_SIZE, size - 1 - LUKS_HEADER_SIZE);
    limit_rounds(f->data + at + 164);
    for (unsigned slot = 0; slot < 8; slot++)
        limit_rounds(f->data + at + 208 + 48 * slot + 4);
    image = open_image(f, formats[which]);
    if (image != NULL) {
        uint64_t length = MIN(image_size(image), (uint64_t)sizeof buf);

        image_pread(image, buf, length, 0);
        image_pwrite(image, buf, length > 700 ? 700 : length, length > 1000 ? 300 : 0);
        image_close(image);
    }
    mem_file_free(f);
    return 0;
}
