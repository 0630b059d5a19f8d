/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compressed dumps (makedumpfile, "kdump-compressed format", header version 6), in the flattened form: the file is a list
 * of pieces, each with the offset that it has in the real file, so that nothing is ever written backwards.
 *
 *   block 0        header
 *   block 1 ...    sub-header, notes
 *   then           which pages there are: the bitmap twice
 *   then           a descriptor a page, then the pages; those of zeros share the first
 *
 * #syscalls:main write
 */
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/checked.h"
#include "vmm/dump.h"

enum { PAGE = 4096, FLAT_HEADER = 4096, DESCRIPTORS = 4096, COMPRESSED_ZLIB = 1, LEVEL = 1 };

typedef struct FlatHeader {
    char signature[16];
    uint64_t type, version; /* big-endian */
} FlatHeader;

typedef struct FlatPiece {
    uint64_t offset, size; /* big-endian; both all ones: the end */
} FlatPiece;

typedef struct KdumpHeader {
    char signature[8];
    uint32_t version;
    char system[4][65], machine[65], domain[65]; /* utsname */
    char timestamp[22];
    uint32_t status, block_size, sub_header_blocks, bitmap_blocks, max_page, ram_blocks, device_blocks, written_blocks,
        current_cpu, cpus;
} __attribute__((packed)) KdumpHeader;
_Static_assert(sizeof(KdumpHeader) == 464, "as in the format");

typedef struct KdumpSubHeader {
    uint64_t phys_base;
    uint32_t level, split;
    uint64_t start_page, end_page, vmcoreinfo_offset, vmcoreinfo_size, notes_offset, notes_size, eraseinfo_offset,
        eraseinfo_size, start_page_64, end_page_64, max_page_64;
} __attribute__((packed)) KdumpSubHeader;

typedef struct PageDescriptor {
    uint64_t offset;
    uint32_t size, flags;
    uint64_t page_flags;
} PageDescriptor;

typedef struct Kdump {
    int fd;
    const DumpSource *source;
    uint64_t pages, max_page; /* that there are; the highest and one */
    uint64_t descriptors_at, data_at; /* where the next ones go */
    PageDescriptor zero; /* of all pages of zeros */
    PageDescriptor list[DESCRIPTORS];
    unsigned listed;
    uint8_t packed[8192];
    Err *err;
} Kdump;

static int put(Kdump *k, uint64_t offset, const void *data, size_t size)
{
    const FlatPiece piece = {htobe64(offset), htobe64(size)};
    int r = dump_write(k->fd, &piece, sizeof piece, k->err);

    return r < 0 ? r : dump_write(k->fd, data, size, k->err);
}

static uint64_t bitmap_bytes(const Kdump *k)
{
    return ALIGN_UP((k->max_page + 7) / 8, (uint64_t)PAGE);
}

static int put_bitmap(Kdump *k, uint64_t at)
{
    uint64_t size = bitmap_bytes(k);
    uint8_t *bits = calloc(1, size);
    int r;

    if (bits == NULL)
        return err_set(k->err, ENOMEM, "dump: out of memory");
    for (unsigned i = 0; i < memory_region_count(k->source->memory); i++) {
        const MemoryRegion *region = memory_region(k->source->memory, i);

        for (uint64_t page = region->gpa / PAGE; page < (region->gpa + region->size) / PAGE; page++)
            bits[page / 8] |= (uint8_t)(1u << page % 8);
    }
    r = put(k, at, bits, size);
    if (r == 0)
        r = put(k, at + size, bits, size);
    free(bits);
    return r;
}

static int put_headers(Kdump *k)
{
    KdumpHeader head = {.version = 6,
                        .machine = "x86_64",
                        .status = COMPRESSED_ZLIB,
                        .block_size = PAGE,
                        .max_page = (uint32_t)MIN(k->max_page, (uint64_t)UINT32_MAX),
                        .cpus = k->source->cpu_count};
    KdumpSubHeader sub = {.level = LEVEL, .notes_offset = PAGE + sizeof sub, .max_page_64 = k->max_page};
    uint64_t bitmap_at;
    size_t notes_size;
    void *notes;
    int r = dump_notes(k->source, &notes, &notes_size, k->err);

    if (r < 0)
        return r;
    memcpy(head.signature, "KDUMP   ", sizeof head.signature);
    sub.notes_size = notes_size;
    head.sub_header_blocks = (uint32_t)((sizeof sub + notes_size + PAGE - 1) / PAGE);
    head.bitmap_blocks = (uint32_t)(2 * bitmap_bytes(k) / PAGE);
    bitmap_at = (1 + (uint64_t)head.sub_header_blocks) * PAGE;
    k->descriptors_at = bitmap_at + 2 * bitmap_bytes(k);
    k->data_at = k->descriptors_at + k->pages * sizeof(PageDescriptor);
    if ((r = put(k, 0, &head, sizeof head)) == 0 && (r = put(k, PAGE, &sub, sizeof sub)) == 0)
        r = put(k, sub.notes_offset, notes, notes_size);
    free(notes);
    return r < 0 ? r : put_bitmap(k, bitmap_at);
}

static int put_descriptors(Kdump *k)
{
    size_t size = k->listed * sizeof k->list[0];
    int r = size > 0 ? put(k, k->descriptors_at, k->list, size) : 0;

    k->descriptors_at += size;
    k->listed = 0;
    return r;
}

static int put_page(Kdump *k, const uint8_t *page)
{
    static const uint8_t zeros[PAGE];
    bool zero = memcmp(page, zeros, PAGE) == 0;
    PageDescriptor d = {.offset = k->data_at, .size = PAGE};
    uLongf packed = sizeof k->packed;
    const uint8_t *data = page;
    int r = 0;

    if (zero && k->zero.offset != 0) {
        d = k->zero;
    } else {
        if (!zero && compress2(k->packed, &packed, page, PAGE, Z_BEST_SPEED) == Z_OK && packed < PAGE) {
            d.size = (uint32_t)packed;
            d.flags = COMPRESSED_ZLIB;
            data = k->packed;
        }
        r = put(k, d.offset, data, d.size);
        k->data_at += d.size;
        if (zero)
            k->zero = d;
    }
    k->list[k->listed++] = d;
    return r == 0 && k->listed == DESCRIPTORS ? put_descriptors(k) : r;
}

static int put_pages(Kdump *k)
{
    int r = 0;

    for (unsigned i = 0; i < memory_region_count(k->source->memory) && r == 0; i++) {
        const MemoryRegion *region = memory_region(k->source->memory, i);

        for (uint64_t at = 0; at < region->size && r == 0; at += PAGE)
            r = put_page(k, region->host + at);
    }
    return r < 0 ? r : put_descriptors(k);
}

int dump_kdump_zlib(int fd, const DumpSource *source, Err *err)
{
    const FlatPiece end = {UINT64_MAX, UINT64_MAX};
    FlatHeader flat = {.signature = "makedumpfile", .type = htobe64(1), .version = htobe64(1)};
    uint8_t block[FLAT_HEADER] = {0};
    Kdump *k = calloc(1, sizeof *k);
    int r;

    if (k == NULL)
        return err_set(err, ENOMEM, "dump: out of memory");
    k->fd = fd;
    k->source = source;
    k->err = err;
    for (unsigned i = 0; i < memory_region_count(source->memory); i++) {
        const MemoryRegion *region = memory_region(source->memory, i);

        k->pages += region->size / PAGE;
        k->max_page = MAX(k->max_page, (region->gpa + region->size) / PAGE);
    }
    memcpy(block, &flat, sizeof flat);
    if ((r = dump_write(fd, block, sizeof block, err)) == 0 && (r = put_headers(k)) == 0 && (r = put_pages(k)) == 0)
        r = dump_write(fd, &end, sizeof end, err);
    free(k);
    return r;
}
