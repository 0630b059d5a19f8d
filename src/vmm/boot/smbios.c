/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SMBIOS structures (DSP0134 3.0, chapter 7): 0 firmware, 1 system, 2 board, 3 chassis, 4 processors, 11 OEM strings,
 * 16, 17, 19 memory, 32 boot status, 127 end.
 */
#include "vmm/boot/smbios.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"

#define ENTRY_SIZE 32u /* 24 bytes, padded so that the table starts on 16 */
#define STRINGS_MAX 16u
#define DIMM_MAX (16ull << 30) /* RAM is shown as modules of at most this size */

typedef struct Build {
    uint8_t *data;
    size_t len, size, start;
    bool failed;
    const char *strings[STRINGS_MAX];
    unsigned string_count;
} Build;

static void put(Build *b, uint64_t value, unsigned len)
{
    if (b->len + len > b->size) {
        b->failed = true;
        return;
    }
    memcpy(b->data + b->len, &value, len);
    b->len += len;
}

/* 6.1.3: texts follow their structure and are counted from 1; 0 is none. */
static void put_text(Build *b, const char *text)
{
    if (text == NULL || text[0] == '\0' || b->string_count == STRINGS_MAX) {
        put(b, 0, 1);
        return;
    }
    b->strings[b->string_count++] = text;
    put(b, b->string_count, 1);
}

static void begin(Build *b, unsigned type, unsigned handle)
{
    b->start = b->len;
    b->string_count = 0;
    put(b, type, 1);
    put(b, 0, 1);
    put(b, handle, 2);
}

static void end(Build *b)
{
    if (b->failed)
        return;
    b->data[b->start + 1] = (uint8_t)(b->len - b->start);
    for (unsigned i = 0; i < b->string_count; i++) {
        size_t n = strlen(b->strings[i]) + 1;

        if (b->len + n + 2 > b->size) {
            b->failed = true;
            return;
        }
        memcpy(b->data + b->len, b->strings[i], n);
        b->len += n;
    }
    put(b, 0, b->string_count > 0 ? 1 : 2);
}

static const char *text(const SmbiosConfig *c, SmbiosText which, const char *otherwise)
{
    return c->texts[which] ? c->texts[which] : otherwise;
}

/* 7.2.1: the first three fields are little-endian. */
static void put_uuid(Build *b, const char *uuid)
{
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    uint8_t bytes[16] = {0};
    unsigned n = 0;

    for (const char *at = uuid ? uuid : ""; *at != '\0' && n < 16;) {
        unsigned v;

        if (*at == '-') {
            at++;
            continue;
        }
        if (sscanf(at, "%2x", &v) != 1 || at[1] == '\0')
            break;
        bytes[n++] = (uint8_t)v;
        at += 2;
    }
    if (n < 16)
        memset(bytes, 0, sizeof bytes); /* not present */
    for (unsigned i = 0; i < 16; i++)
        put(b, bytes[order[i]], 1);
}

static void put_machine(Build *b, const SmbiosConfig *c)
{
    begin(b, 0, 0x000);
    put_text(b, text(c, SMBIOS_BIOS_VENDOR, "Kite"));
    put_text(b, text(c, SMBIOS_BIOS_VERSION, "1"));
    put(b, 0xe800, 2); /* where firmware would start */
    put_text(b, text(c, SMBIOS_BIOS_DATE, "01/01/2026"));
    put(b, 0, 1);
    put(b, 1 << 3, 8); /* no characteristics to tell */
    put(b, 0x1401, 2); /* ACPI; a virtual machine, targeted content */
    put(b, 0xffffffff, 4); /* no release numbers */
    end(b);

    begin(b, 1, 0x100);
    put_text(b, text(c, SMBIOS_SYSTEM_MANUFACTURER, "Kite"));
    put_text(b, text(c, SMBIOS_SYSTEM_PRODUCT, "Kite Virtual Machine"));
    put_text(b, text(c, SMBIOS_SYSTEM_VERSION, NULL));
    put_text(b, text(c, SMBIOS_SYSTEM_SERIAL, NULL));
    put_uuid(b, c->uuid);
    put(b, 6, 1); /* woken by the power switch */
    put_text(b, text(c, SMBIOS_SYSTEM_SKU, NULL));
    put_text(b, text(c, SMBIOS_SYSTEM_FAMILY, NULL));
    end(b);

    if (c->texts[SMBIOS_BOARD_MANUFACTURER] || c->texts[SMBIOS_BOARD_PRODUCT] || c->texts[SMBIOS_BOARD_SERIAL]) {
        begin(b, 2, 0x200);
        put_text(b, text(c, SMBIOS_BOARD_MANUFACTURER, "Kite"));
        put_text(b, text(c, SMBIOS_BOARD_PRODUCT, NULL));
        put_text(b, text(c, SMBIOS_BOARD_VERSION, NULL));
        put_text(b, text(c, SMBIOS_BOARD_SERIAL, NULL));
        put_text(b, text(c, SMBIOS_BOARD_ASSET, NULL));
        put(b, 1, 1); /* hosts the machine */
        put(b, 0, 1);
        put(b, 0x300, 2);
        put(b, 10, 1); /* motherboard */
        put(b, 0, 1);
        end(b);
    }

    begin(b, 3, 0x300);
    put_text(b, text(c, SMBIOS_CHASSIS_MANUFACTURER, "Kite"));
    put(b, 1, 1); /* other */
    put_text(b, text(c, SMBIOS_CHASSIS_VERSION, NULL));
    put_text(b, text(c, SMBIOS_CHASSIS_SERIAL, NULL));
    put_text(b, text(c, SMBIOS_CHASSIS_ASSET, NULL));
    put(b, 0x03030303, 4); /* states: safe; security none: 3 as well */
    put(b, 0, 4);
    put(b, 0, 4);
    put_text(b, text(c, SMBIOS_CHASSIS_SKU, NULL));
    end(b);
}

static void put_processors(Build *b, const SmbiosConfig *c)
{
    unsigned per_socket = MAX(c->cores * c->threads, 1u);

    for (unsigned i = 0; i < c->sockets; i++) {
        bool there = i * per_socket < c->cpus;
        char name[32];

        snprintf(name, sizeof name, "CPU %u", i);
        begin(b, 4, 0x400 + i);
        put_text(b, name);
        put(b, 3, 1); /* central processor */
        put(b, 1, 1); /* family: other */
        put_text(b, "Kite");
        put(b, 0, 8); /* the guest asks CPUID itself */
        put(b, 0, 1);
        put(b, 0, 1);
        put(b, 0, 2);
        put(b, 2000, 2); /* speeds, which Linux shows only */
        put(b, 2000, 2);
        put(b, there ? 0x41 : 0, 1);
        put(b, 1, 1);
        put(b, 0xffffffffffff, 6); /* no cache structures */
        put(b, 0, 3);
        put(b, MIN(c->cores, 255u), 1);
        put(b, there ? MIN(c->cores, 255u) : 0, 1);
        put(b, MIN(per_socket, 255u), 1);
        put(b, 0x04 | (c->cores > 1 ? 0x08 : 0) | (c->threads > 1 ? 0x10 : 0), 2); /* 64 bits, cores, threads */
        put(b, 1, 2);
        put(b, c->cores, 2);
        put(b, there ? c->cores : 0, 2);
        put(b, per_socket, 2);
        end(b);
    }
}

static void put_range(Build *b, unsigned handle, uint64_t start, uint64_t size, unsigned width)
{
    begin(b, 19, handle);
    put(b, 0xffffffff, 4); /* in bytes, below */
    put(b, 0xffffffff, 4);
    put(b, 0x1000, 2);
    put(b, width, 1);
    put(b, start, 8);
    put(b, start + size - 1, 8);
    end(b);
}

static void put_memory(Build *b, const SmbiosConfig *c)
{
    uint64_t total = c->low_memory + c->high_memory;
    unsigned modules = (unsigned)MIN(DIV_ROUND_UP(total, DIMM_MAX), 64u);

    modules = MAX(modules, 1u);
    begin(b, 16, 0x1000);
    put(b, 1, 1);
    put(b, 3, 1); /* system memory */
    put(b, 6, 1); /* errors that need no correction: multi-bit ECC */
    put(b, 0x80000000, 4);
    put(b, 0xfffe, 2);
    put(b, modules, 2);
    put(b, total, 8);
    end(b);
    for (unsigned i = 0; i < modules; i++) {
        uint64_t size = i + 1 < modules ? DIMM_MAX : total - i * DIMM_MAX, mib = size >> 20;
        char name[32];

        snprintf(name, sizeof name, "DIMM %u", i);
        begin(b, 17, 0x1100 + i);
        put(b, 0x1000, 2);
        put(b, 0xfffe, 2);
        put(b, 0xffff, 2); /* widths: not known */
        put(b, 0xffff, 2);
        put(b, mib < 0x7fff ? mib : 0x7fff, 2);
        put(b, 9, 1); /* DIMM */
        put(b, 0, 1);
        put_text(b, name);
        put(b, 0, 1);
        put(b, 7, 1); /* RAM */
        put(b, 2, 2); /* other */
        put(b, 0, 2);
        put_text(b, "Kite");
        put(b, 0, 3);
        put(b, 0, 1);
        put(b, mib < 0x7fff ? 0 : MIN(mib, 0x7fffffffu), 4);
        put(b, 0, 2);
        put(b, 0, 6);
        end(b);
    }
    put_range(b, 0x1300, 0, c->low_memory, modules);
    if (c->high_memory > 0)
        put_range(b, 0x1301, 4ull << 30, c->high_memory, modules);
}

static uint8_t checksum(const uint8_t *data, size_t len)
{
    uint8_t sum = 0;

    while (len-- > 0)
        sum = (uint8_t)(sum + *data++);
    return (uint8_t)-sum;
}

int smbios_build(const SmbiosConfig *c, uint64_t address, size_t max, uint8_t **ret, size_t *ret_len, Err *err)
{
    Build b = {.data = calloc(1, max), .len = ENTRY_SIZE, .size = max};
    uint32_t table_len;
    uint64_t table = address + ENTRY_SIZE;

    if (b.data == NULL)
        return err_set(err, ENOMEM, "out of memory");
    put_machine(&b, c);
    put_processors(&b, c);
    if (c->oem_count > 0) {
        begin(&b, 11, 0xb00);
        put(&b, MIN(c->oem_count, STRINGS_MAX), 1);
        for (unsigned i = 0; i < MIN(c->oem_count, STRINGS_MAX); i++)
            b.strings[b.string_count++] = c->oem[i];
        end(&b);
    }
    put_memory(&b, c);
    begin(&b, 32, 0x2000);
    put(&b, 0, 6);
    put(&b, 0, 1); /* no errors */
    end(&b);
    begin(&b, 127, 0x7f00);
    end(&b);
    if (b.failed) {
        free(b.data);
        return err_set(err, E2BIG, "the SMBIOS tables do not fit into %zu bytes; use shorter texts or fewer sockets", max);
    }
    table_len = (uint32_t)(b.len - ENTRY_SIZE);
    /* 5.2.2: the 64-bit entry point */
    memcpy(b.data, "_SM3_", 5);
    b.data[6] = 24;
    b.data[7] = 3;
    b.data[10] = 1;
    memcpy(b.data + 12, &table_len, 4);
    memcpy(b.data + 16, &table, 8);
    b.data[5] = checksum(b.data, 24);
    *ret = b.data;
    *ret_len = b.len;
    return 0;
}
