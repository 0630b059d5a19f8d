/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* AML encoding. Package lengths always take three bytes (20.2.4), so that they can be filled in at the end.
 */
#include "vmm/boot/aml.h"

#include <stdlib.h>
#include <string.h>

enum {
    OP_NAME = 0x08,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_METHOD = 0x14,
    OP_EXT = 0x5b,
    OP_LOCAL0 = 0x60,
    OP_ARG0 = 0x68,
    OP_NOTIFY = 0x86,
    OP_IF = 0xa0,
    OP_ELSE = 0xa1
};
enum { EXT_DEVICE = 0x82 };

void aml_free(Aml *aml)
{
    free(aml->data);
    memset(aml, 0, sizeof *aml);
}

void aml_bytes(Aml *aml, const void *data, size_t len)
{
    if (aml->failed)
        return;
    if (aml->len + len > aml->size) {
        size_t size = (aml->len + len) * 2 + 1024;
        uint8_t *grown = realloc(aml->data, size);

        if (grown == NULL) {
            aml->failed = true;
            return;
        }
        aml->data = grown;
        aml->size = size;
    }
    memcpy(aml->data + aml->len, data, len);
    aml->len += len;
}

void aml_byte(Aml *aml, uint8_t v)
{
    aml_bytes(aml, &v, 1);
}

/* --- names and values (20.2.2, 20.2.3)
 * ------------------------------------------------------------------------ */

void aml_name_string(Aml *aml, const char *path)
{
    unsigned segments = 1;

    if (*path == '\\') {
        aml_byte(aml, '\\');
        path++;
    }
    while (*path == '^') {
        aml_byte(aml, '^');
        path++;
    }
    for (const char *p = path; *p; p++)
        segments += *p == '.';
    if (segments == 2) {
        aml_byte(aml, 0x2e);
    } else if (segments > 2) {
        aml_byte(aml, 0x2f);
        aml_byte(aml, (uint8_t)segments);
    }
    for (unsigned i = 0; i < segments; i++) {
        size_t n = strcspn(path, ".");

        for (size_t j = 0; j < 4; j++)
            aml_byte(aml, j < n ? (uint8_t)path[j] : '_');
        path += n + (path[n] == '.');
    }
}

void aml_integer(Aml *aml, uint64_t v)
{
    if (v <= 1) {
        aml_byte(aml, (uint8_t)v);
    } else if (v <= 0xff) {
        aml_byte(aml, 0x0a);
        aml_bytes(aml, &v, 1);
    } else if (v <= 0xffff) {
        aml_byte(aml, 0x0b);
        aml_bytes(aml, &v, 2);
    } else if (v <= 0xffffffff) {
        aml_byte(aml, 0x0c);
        aml_bytes(aml, &v, 4);
    } else {
        aml_byte(aml, 0x0e);
        aml_bytes(aml, &v, 8);
    }
}

void aml_string(Aml *aml, const char *s)
{
    aml_byte(aml, 0x0d);
    aml_bytes(aml, s, strlen(s) + 1);
}

/* 19.3.4: three letters of five bits, four hex digits, big-endian */
void aml_eisa_id(Aml *aml, const char *id)
{
    uint32_t number = (uint32_t)strtoul(id + 3, NULL, 16);
    uint32_t v = (uint32_t)(id[0] - 0x40) << 26 | (uint32_t)(id[1] - 0x40) << 21 |
                 (uint32_t)(id[2] - 0x40) << 16 | number;

    v = __builtin_bswap32(v);
    aml_byte(aml, 0x0c);
    aml_bytes(aml, &v, 4);
}

/* --- objects with a length
 * ------------------------------------------------------------------------------------ */

static void open_object(Aml *aml)
{
    static const uint8_t room[3];

    if (aml->depth < sizeof aml->open / sizeof aml->open[0])
        aml->open[aml->depth++] = aml->len;
    else
        aml->failed = true;
    aml_bytes(aml, room, sizeof room);
}

void aml_end(Aml *aml)
{
    size_t at, len;

    if (aml->failed || aml->depth == 0) {
        aml->failed = true;
        return;
    }
    at = aml->open[--aml->depth];
    len = aml->len - at;
    aml->data[at] = (uint8_t)(0x80 | (len & 15));
    aml->data[at + 1] = (uint8_t)(len >> 4);
    aml->data[at + 2] = (uint8_t)(len >> 12);
}

void aml_begin_scope(Aml *aml, const char *path)
{
    aml_byte(aml, OP_SCOPE);
    open_object(aml);
    aml_name_string(aml, path);
}

void aml_begin_device(Aml *aml, const char *name)
{
    aml_byte(aml, OP_EXT);
    aml_byte(aml, EXT_DEVICE);
    open_object(aml);
    aml_name_string(aml, name);
}

void aml_begin_method(Aml *aml, const char *name, unsigned args, bool serialized)
{
    aml_byte(aml, OP_METHOD);
    open_object(aml);
    aml_name_string(aml, name);
    aml_byte(aml, (uint8_t)(args | (serialized ? 8 : 0)));
}

void aml_begin_if(Aml *aml)
{
    aml_byte(aml, OP_IF);
    open_object(aml);
}

void aml_begin_else(Aml *aml)
{
    aml_byte(aml, OP_ELSE);
    open_object(aml);
}

void aml_begin_package(Aml *aml, uint8_t count)
{
    aml_byte(aml, OP_PACKAGE);
    open_object(aml);
    aml_byte(aml, count);
}

void aml_name(Aml *aml, const char *name)
{
    aml_byte(aml, OP_NAME);
    aml_name_string(aml, name);
}

void aml_name_integer(Aml *aml, const char *name, uint64_t v)
{
    aml_name(aml, name);
    aml_integer(aml, v);
}

/* A Buffer whose length is a word, filled in at the end. */
void aml_begin_resources(Aml *aml, const char *name)
{
    static const uint8_t word[3] = {0x0b, 0, 0};

    aml_name(aml, name);
    aml_byte(aml, OP_BUFFER);
    open_object(aml);
    aml_bytes(aml, word, sizeof word);
}

void aml_end_resources(Aml *aml)
{
    size_t start, len;

    aml_byte(aml, 0x79); /* end tag, no checksum */
    aml_byte(aml, 0);
    if (aml->failed || aml->depth == 0)
        return;
    start = aml->open[aml->depth - 1] + 3;
    len = aml->len - start - 3;
    aml->data[start + 1] = (uint8_t)len;
    aml->data[start + 2] = (uint8_t)(len >> 8);
    aml_end(aml);
}

/* --- terms
 * ---------------------------------------------------------------------------------------------------- */

void aml_op(Aml *aml, uint8_t op)
{
    aml_byte(aml, op);
}

void aml_local(Aml *aml, unsigned n)
{
    aml_byte(aml, (uint8_t)(OP_LOCAL0 + n));
}

void aml_arg(Aml *aml, unsigned n)
{
    aml_byte(aml, (uint8_t)(OP_ARG0 + n));
}

void aml_store_integer(Aml *aml, uint64_t v, const char *to)
{
    aml_op(aml, AML_STORE);
    aml_integer(aml, v);
    aml_name_string(aml, to);
}

void aml_store_arg(Aml *aml, unsigned arg, const char *to)
{
    aml_op(aml, AML_STORE);
    aml_arg(aml, arg);
    aml_name_string(aml, to);
}

void aml_store_to_local(Aml *aml, const char *from, unsigned local)
{
    aml_op(aml, AML_STORE);
    aml_name_string(aml, from);
    aml_local(aml, local);
}

void aml_notify(Aml *aml, const char *path, uint64_t value)
{
    aml_op(aml, OP_NOTIFY);
    aml_name_string(aml, path);
    aml_integer(aml, value);
}

void aml_begin_if_local_bit(Aml *aml, unsigned local, uint64_t mask)
{
    aml_begin_if(aml);
    aml_op(aml, AML_AND);
    aml_local(aml, local);
    aml_integer(aml, mask);
    aml_byte(aml, 0); /* result is not kept */
}

/* --- resources (6.4.2, 6.4.3)
 * --------------------------------------------------------------------------------- */

void aml_io(Aml *aml, uint16_t base, uint8_t len)
{
    uint8_t d[8] = {0x47, 1,  (uint8_t)base, (uint8_t)(base >> 8), (uint8_t)base, (uint8_t)(base >> 8),
                    1,    len};

    aml_bytes(aml, d, sizeof d);
}

void aml_interrupt(Aml *aml, uint32_t gsi, bool edge)
{
    uint8_t d[9] = {0x89, 6, 0, (uint8_t)(1 | (edge ? 2 : 0)), 1};

    memcpy(d + 5, &gsi, 4);
    aml_bytes(aml, d, sizeof d);
}

void aml_memory32(Aml *aml, uint32_t base, uint32_t len)
{
    uint8_t d[12] = {0x86, 9, 0, 1};

    memcpy(d + 4, &base, 4);
    memcpy(d + 8, &len, 4);
    aml_bytes(aml, d, sizeof d);
}

/* Address space descriptors: fixed minimum and maximum, no translation. width: bytes of each number. */
static void window(Aml *aml, uint8_t tag, unsigned width, uint8_t kind, uint8_t type_flags, uint64_t first,
                   uint64_t last)
{
    uint16_t body = (uint16_t)(3 + 5 * width);
    uint64_t zero = 0, len = last - first + 1;

    aml_byte(aml, tag);
    aml_bytes(aml, &body, 2);
    aml_byte(aml, kind);
    aml_byte(aml, 0x0c); /* producer, positive decode, minimum and maximum fixed */
    aml_byte(aml, type_flags);
    aml_bytes(aml, &zero, width);
    aml_bytes(aml, &first, width);
    aml_bytes(aml, &last, width);
    aml_bytes(aml, &zero, width);
    aml_bytes(aml, &len, width);
}

void aml_bus_range(Aml *aml, uint16_t first, uint16_t last)
{
    window(aml, 0x88, 2, 2, 0, first, last);
}

void aml_io_window(Aml *aml, uint16_t first, uint16_t last)
{
    window(aml, 0x88, 2, 1, 3, first, last);
}

void aml_memory32_window(Aml *aml, uint32_t first, uint32_t last)
{
    window(aml, 0x87, 4, 0, 1, first, last);
}

void aml_memory64_window(Aml *aml, uint64_t first, uint64_t last)
{
    window(aml, 0x8a, 8, 0, 7, first, last);
}
