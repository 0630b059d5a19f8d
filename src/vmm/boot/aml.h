/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing AML (ACPI 6.4, chapter 20). A growing buffer; objects with a length are opened with aml_begin…()
 * and closed with aml_end(). Names are given as in ASL: four characters a segment, '\' and '.' where needed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Aml {
    uint8_t *data;
    size_t len, size;
    bool failed; /* out of memory: the rest is dropped */
    size_t open[16]; /* where the lengths of open objects are */
    unsigned depth;
} Aml;

void aml_free(Aml *aml);
void aml_byte(Aml *aml, uint8_t v);
void aml_bytes(Aml *aml, const void *data, size_t len);
void aml_name_string(Aml *aml, const char *path);
void aml_integer(Aml *aml, uint64_t v);
void aml_string(Aml *aml, const char *s);
void aml_eisa_id(Aml *aml, const char *id); /* "PNP0A08" as an integer */

void aml_begin_scope(Aml *aml, const char *path);
void aml_begin_device(Aml *aml, const char *name);
void aml_begin_method(Aml *aml, const char *name, unsigned args, bool serialized);
void aml_begin_if(Aml *aml); /* the predicate follows */
void aml_begin_else(Aml *aml);
void aml_begin_package(Aml *aml, uint8_t count);
void aml_end(Aml *aml);

void aml_name(Aml *aml, const char *name); /* Name (name, …): the object follows */
void aml_name_integer(Aml *aml, const char *name, uint64_t v);
/* Name (name, ResourceTemplate): descriptors go between the two. */
void aml_begin_resources(Aml *aml, const char *name);
void aml_end_resources(Aml *aml);

void aml_op(Aml *aml, uint8_t op);
void aml_local(Aml *aml, unsigned n);
void aml_arg(Aml *aml, unsigned n);
/* Store (Local, name) and the like */
void aml_store_integer(Aml *aml, uint64_t v, const char *to);
void aml_store_arg(Aml *aml, unsigned arg, const char *to);
void aml_store_to_local(Aml *aml, const char *from, unsigned local);
void aml_notify(Aml *aml, const char *path, uint64_t value);
/* If (Local & mask) { … }: closed with aml_end() */
void aml_begin_if_local_bit(Aml *aml, unsigned local, uint64_t mask);

/* Resource descriptors (6.4) */
void aml_io(Aml *aml, uint16_t base, uint8_t len);
void aml_interrupt(Aml *aml, uint32_t gsi, bool edge);
void aml_memory32(Aml *aml, uint32_t base, uint32_t len);
void aml_bus_range(Aml *aml, uint16_t first, uint16_t last);
void aml_io_window(Aml *aml, uint16_t first, uint16_t last);
void aml_memory32_window(Aml *aml, uint32_t first, uint32_t last);
void aml_memory64_window(Aml *aml, uint64_t first, uint64_t last);

enum {
    AML_ZERO = 0x00,
    AML_ONE = 0x01,
    AML_STORE = 0x70,
    AML_AND = 0x7b,
    AML_OR = 0x7d,
    AML_LEQUAL = 0x93,
    AML_RETURN = 0xa4,
};
