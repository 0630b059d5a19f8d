/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Range dispatch: a sorted array a space behind a reader-writer lock. The lock is dropped before a handler
 * runs, so handlers may add and remove ranges; `users` keeps a removed range's owner alive (bus_drain()).
 */
#include "vmm/bus.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

typedef struct Space {
    BusRange **ranges;
    unsigned count, size;
} Space;

struct Bus {
    pthread_rwlock_t lock;
    Space spaces[2];
};

int bus_new(Bus **ret, Err *err)
{
    Bus *bus = calloc(1, sizeof *bus);

    if (bus == NULL)
        return err_set(err, ENOMEM, "out of memory");
    pthread_rwlock_init(&bus->lock, NULL);
    *ret = bus;
    return 0;
}

void bus_free(Bus *bus)
{
    if (bus == NULL)
        return;
    free(bus->spaces[BUS_PIO].ranges);
    free(bus->spaces[BUS_MMIO].ranges);
    pthread_rwlock_destroy(&bus->lock);
    free(bus);
}

/* First range whose end lies beyond address. */
static unsigned find(const Space *space, uint64_t address)
{
    unsigned low = 0, high = space->count;

    while (low < high) {
        unsigned mid = (low + high) / 2;
        const BusRange *range = space->ranges[mid];

        if (range->base + (range->size - 1) < address)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

int bus_add(Bus *bus, BusSpace space_id, uint64_t base, uint64_t size, const BusOps *ops, void *opaque,
            const char *name, BusRange *range)
{
    Space *space = &bus->spaces[space_id];
    unsigned at;
    int r = 0;

    if (size == 0 || base + (size - 1) < base || range->active)
        return -EINVAL;
    pthread_rwlock_wrlock(&bus->lock);
    at = find(space, base);
    if (at < space->count && space->ranges[at]->base <= base + (size - 1)) {
        r = -EEXIST;
    } else if (space->count == space->size) {
        unsigned grown = space->size ? space->size * 2 : 32;
        BusRange **ranges = realloc(space->ranges, grown * sizeof *ranges);

        if (ranges == NULL) {
            r = -ENOMEM;
        } else {
            space->ranges = ranges;
            space->size = grown;
        }
    }
    if (r == 0) {
        range->space = space_id;
        range->base = base;
        range->size = size;
        range->ops = ops;
        range->opaque = opaque;
        range->name = name;
        range->active = true;
        memmove(space->ranges + at + 1, space->ranges + at, (space->count - at) * sizeof *space->ranges);
        space->ranges[at] = range;
        space->count++;
    }
    pthread_rwlock_unlock(&bus->lock);
    return r;
}

void bus_remove(Bus *bus, BusRange *range)
{
    Space *space = &bus->spaces[range->space];

    pthread_rwlock_wrlock(&bus->lock);
    if (range->active) {
        unsigned at = find(space, range->base);

        memmove(space->ranges + at, space->ranges + at + 1, (space->count - at - 1) * sizeof *space->ranges);
        space->count--;
        range->active = false;
    }
    pthread_rwlock_unlock(&bus->lock);
}

void bus_drain(Bus *bus, BusRange *range)
{
    (void)bus;
    while (__atomic_load_n(&range->users, __ATOMIC_ACQUIRE) != 0)
        sched_yield();
}

static BusRange *acquire(Bus *bus, BusSpace space_id, uint64_t address, unsigned len, uint64_t *ret_offset)
{
    Space *space = &bus->spaces[space_id];
    BusRange *range = NULL;
    unsigned at;

    pthread_rwlock_rdlock(&bus->lock);
    at = find(space, address);
    if (at < space->count && space->ranges[at]->base <= address &&
        len <= space->ranges[at]->size - (address - space->ranges[at]->base)) {
        range = space->ranges[at];
        *ret_offset = address - range->base;
        __atomic_fetch_add(&range->users, 1, __ATOMIC_ACQUIRE);
    }
    pthread_rwlock_unlock(&bus->lock);
    return range;
}

static void release(BusRange *range)
{
    __atomic_fetch_sub(&range->users, 1, __ATOMIC_RELEASE);
}

bool bus_read(Bus *bus, BusSpace space, uint64_t address, void *data, unsigned len)
{
    uint64_t offset, value = UINT64_MAX;
    BusRange *range = acquire(bus, space, address, len, &offset);

    if (range != NULL) {
        value = range->ops->read ? range->ops->read(range->opaque, offset, len) : UINT64_MAX;
        release(range);
    }
    memcpy(data, &value, len); /* guest and host are little-endian */
    return range != NULL;
}

bool bus_write(Bus *bus, BusSpace space, uint64_t address, const void *data, unsigned len)
{
    uint64_t offset, value = 0;
    BusRange *range = acquire(bus, space, address, len, &offset);

    memcpy(&value, data, len);
    if (range != NULL) {
        if (range->ops->write)
            range->ops->write(range->opaque, offset, value, len);
        release(range);
    }
    return range != NULL;
}
