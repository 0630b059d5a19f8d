/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The driver side of virtio in plain memory: makes rings, adds chains, kicks, reads the used ring. No KVM, no root, one
 * thread: the device's loop is the test's own, and fake_guest_kick() calls the device directly.
 *
 *    FakeGuest g;
 *    fake_guest_init(&g, 16 << 20);
 *    rng_create(props, &g.host, &dev, &err);
 *    fake_guest_start(&g, dev, VIRTIO_BIT(VIRTIO_F_VERSION_1));
 *    uint64_t buf = fake_guest_alloc(&g, 64);
 *    fake_guest_add(&g, 0, 1, (FakeBuffer[]){{buf, 64, true}});
 *    fake_guest_kick(&g, 0);
 *    ok(fake_guest_used(&g, 0, &head, &len), ...);
 *    fake_guest_stop(&g);    device reset and freed
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/virtio/device_host.h"
#include "vmm/virtio/virtio.h"

#define FAKE_QUEUES 32

typedef struct FakeBuffer {
    uint64_t gpa;
    uint32_t len;
    bool writable;
} FakeBuffer;

typedef struct FakeQueue {
    uint16_t size;
    uint64_t desc, avail, used;
    uint16_t next_desc, avail_idx, used_idx;
    unsigned interrupts; /* raised so far */
    int kick_fd, call_fd; /* made when vhost asks for them; 0: not yet */
    bool taken; /* vhost has the kicks */
    Loop *loop; /* where the device wants its kicks; NULL: the test's */
} FakeQueue;

typedef struct FakeGuest {
    DeviceHost host;
    GuestMemory *memory;
    Loop *loop;
    VirtioDevice *dev;
    FakeQueue queues[FAKE_QUEUES];
    uint64_t next_alloc;
    unsigned config_interrupts;
    bool needs_reset;
    char last_event[64]; /* name of the last event */
    char *last_event_data; /* its data as compact JSON, or NULL */
    unsigned events;
    char stopped[32]; /* run state given to stop_vm */
    struct Block *block;      /* what host.block() and so on hand out; the test sets them */
    struct NetBackend *netdev;
    struct Chardev *chardevs[8];
    StatsBlock stats_block;
    StatsNet stats_net;
    StatsBalloon stats_balloon;
} FakeGuest;

void fake_guest_init(FakeGuest *g, uint64_t memory_bytes);
void fake_guest_destroy(FakeGuest *g); /* stops first */

/* Negotiates, lays out every queue (size 0: the device's maximum) and activates. Returns activate's result. */
int fake_guest_start(FakeGuest *g, VirtioDevice *dev, uint64_t features);
int fake_guest_start_sized(FakeGuest *g, VirtioDevice *dev, uint64_t features, uint16_t size);
void fake_guest_reset(FakeGuest *g); /* the driver resets the device */
void fake_guest_stop(FakeGuest *g);  /* and frees it */

uint64_t fake_guest_alloc(FakeGuest *g, uint64_t len); /* guest-physical, 4 KiB aligned, zeroed */
void *fake_guest_host(FakeGuest *g, uint64_t gpa, uint64_t len);

/* Adds a chain and shows it to the device; returns its head. */
uint16_t fake_guest_add(FakeGuest *g, unsigned queue, unsigned count, const FakeBuffer *buffers);
uint16_t fake_guest_add_indirect(FakeGuest *g, unsigned queue, unsigned count, const FakeBuffer *buffers);
/* One raw descriptor, for tests of bad rings. flags: 1 next, 2 write, 4 indirect. */
void fake_guest_desc(FakeGuest *g, unsigned queue, uint16_t index, uint64_t addr, uint32_t len, uint16_t flags,
                     uint16_t next);
void fake_guest_show(FakeGuest *g, unsigned queue, uint16_t head);
void fake_guest_kick(FakeGuest *g, unsigned queue); /* of a queue that vhost has: into its descriptor */
/* Next used entry, if any. */
bool fake_guest_used(FakeGuest *g, unsigned queue, uint32_t *ret_head, uint32_t *ret_len);
/* Turns the loop until the queue has a used entry or ms passed. */
bool fake_guest_wait_used(FakeGuest *g, unsigned queue, unsigned ms);
