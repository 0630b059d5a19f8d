/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Port and MMIO ranges -> device. Accesses come from vCPU threads, several at once: a device's handlers lock
 * what they share. Ranges may be added and removed on any thread, also from inside a handler (a BAR that
 * moves).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

typedef enum BusSpace { BUS_PIO, BUS_MMIO } BusSpace;

/* offset counts from the range's base; len is 1, 2, 4 or 8 and the access lies inside the range. */
typedef struct BusOps {
    uint64_t (*read)(void *opaque, uint64_t offset, unsigned len);
    void (*write)(void *opaque, uint64_t offset, uint64_t value, unsigned len);
} BusOps;

/* Embedded in the device; filled by bus_add(). */
typedef struct BusRange {
    BusSpace space;
    uint64_t base, size;
    const BusOps *ops;
    void *opaque;
    const char *name; /* for the log */
    unsigned users; /* handlers running right now */
    bool active;
} BusRange;

typedef struct Bus Bus;

int bus_new(Bus **ret, Err *err);
void bus_free(Bus *bus);

/* -EEXIST when it overlaps another range. */
int bus_add(Bus *bus, BusSpace space, uint64_t base, uint64_t size, const BusOps *ops, void *opaque,
            const char *name, BusRange *range);
void bus_remove(Bus *bus, BusRange *range);
/* After bus_remove() and before the range's memory goes: waits until no vCPU is in its handlers. Not from a
 * handler. */
void bus_drain(Bus *bus, BusRange *range);

/* One guest access. Unclaimed reads give all ones, unclaimed writes are dropped; false says it was unclaimed.
 */
bool bus_read(Bus *bus, BusSpace space, uint64_t address, void *data, unsigned len);
bool bus_write(Bus *bus, BusSpace space, uint64_t address, const void *data, unsigned len);
