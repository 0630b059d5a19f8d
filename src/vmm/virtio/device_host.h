/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a device may ask of the machine it is in. The machine fills it; unit tests bring a small one of their
 * own (tests/lib/fake_guest.h does).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/loop.h"
#include "vmm/memory.h"
#include "common/stats_page.h"

struct Block;
struct NetBackend;
struct Chardev;

typedef struct DeviceHost DeviceHost;
struct DeviceHost {
    void *opaque;
    GuestMemory *memory;
    Loop *main_loop;

    /* Parts made before, by the name in the description; NULL when there is none. Main thread. A block node,
     * a net back end or a chardev has one user at most: the second claim gets NULL. */
    Loop *(*iothread)(DeviceHost *host, const char *id);
    /* A thread beside the main loop for devices with several queues and no iothread of the user's: the same one for the same
     * index, NULL when there are no more (as many as CPUs, the main thread counted). NULL member: none at all. */
    Loop *(*helper)(DeviceHost *host, unsigned index);
    struct Block *(*block)(DeviceHost *host, const char *node_name);
    struct NetBackend *(*netdev)(DeviceHost *host, const char *id);
    struct Chardev *(*chardev)(DeviceHost *host, const char *id);

    /* An event for the management side, with QEMU's name (BALLOON_CHANGE, VSERPORT_CHANGE, BLOCK_IO_ERROR, …)
     * and data (stolen, may be NULL). Any thread; never blocks. */
    void (*event)(DeviceHost *host, const char *name, json_t *data);
    /* Stops all vCPUs as `stop` does, with QEMU's run state ("io-error"). Any thread; returns before they
     * stopped. */
    void (*stop_vm)(DeviceHost *host, const char *run_state);
    /* Counters of this device in the shared statistics page; never NULL (a dummy when the page is full). */
    StatsBlock *(*stats_block)(DeviceHost *host, const char *id);
    StatsNet *(*stats_net)(DeviceHost *host, const char *id);
    StatsBalloon *(*stats_balloon)(DeviceHost *host);
    /* RAM was added (virtio-mem): KVM gets the new region. Main thread. */
    int (*memory_changed)(DeviceHost *host, Err *err);
};
