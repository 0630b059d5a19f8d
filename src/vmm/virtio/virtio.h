/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a virtio device is to the rest of the VMM (virtio 1.2, sections 2 and 3).
 *
 *   new ──> idle ──driver sets DRIVER_OK──> active ──status 0, reset, unplug──> idle ──> free
 *            ^                                 │
 *            └── reset ── broken <── virtio_device_fail() (guest's fault: NEEDS_RESET)
 *
 * The transport (virtio_pci.c) owns registers, negotiation, reset, the queues' addresses, MSI-X and kicks.
 * The device sees: features that were accepted, its queues once they are live, kicks, writes to its
 * configuration space.
 *
 * Threads: every op runs on dev->loop (the loop of the iothread that the user named, else the main loop); the
 * vCPU that caused it waits, so ops do not block. kick runs on the queue's loop: the same unless the device
 * moved the queue with virtio_queue_set_loop(). Everything below says "loop" for that thread and "any" for
 * every thread.
 *
 * A device file includes virtio.h, virtqueue.h, device_host.h, props.h, memory.h, loop.h, and block.h, net.h
 * or chardev.h. Never another device, machine.h, PCI or QMP. To add one: the file, a line in device_table.c,
 * a line in local.mk, test_<device>.c, fuzz_<device>.c.
 */
#pragma once

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/loop.h"
#include "vmm/memory.h"
#include "vmm/virtio/virtqueue.h"

/* Device types, virtio 1.2, 5 */
enum {
    VIRTIO_TYPE_NET = 1,
    VIRTIO_TYPE_BLOCK = 2,
    VIRTIO_TYPE_CONSOLE = 3,
    VIRTIO_TYPE_RNG = 4,
    VIRTIO_TYPE_BALLOON = 5,
    VIRTIO_TYPE_SCSI = 8,
    VIRTIO_TYPE_INPUT = 18,
    VIRTIO_TYPE_GPU = 16,
    VIRTIO_TYPE_VSOCK = 19,
    VIRTIO_TYPE_IOMMU = 23,
    VIRTIO_TYPE_MEM = 24,
    VIRTIO_TYPE_FS = 26,
};

/* Feature bits that belong to queues and transport, virtio 1.2, 6. The transport offers them for every
 * device. */
#define VIRTIO_BIT(n) (1ull << (n))
enum {
    VIRTIO_F_INDIRECT_DESC = 28,
    VIRTIO_F_EVENT_IDX = 29,
    VIRTIO_F_VERSION_1 = 32,
    VIRTIO_F_ACCESS_PLATFORM = 33,
    VIRTIO_F_RING_RESET = 40,
};

#define VIRTIO_QUEUES_MAX 256
#define VIRTIO_CONFIG_MAX 1024

typedef struct VirtioDeviceOps {
    const char *name; /* "virtio-rng": driver name in descriptions and device_add */
    uint16_t type; /* VIRTIO_TYPE_… */
    uint32_t pci_class; /* class code, 24 bits, e.g. 0x018000 */
    size_t state_size; /* of the device's struct, which begins with a VirtioDevice */

    /* The driver accepted features (dev->features) and set DRIVER_OK: queues are live. An error breaks the
     * device. */
    int (*activate)(VirtioDevice *dev);
    /* Reset or unplug of an active device: when it returns nothing of the device touches a queue or guest
     * memory any more. Requests in flight are waited for or forgotten. Counters and configuration stay. */
    void (*deactivate)(VirtioDevice *dev);
    /* The driver kicked this queue. Also called once after activate for every queue, because kicks may have
     * come early. */
    void (*kick)(VirtioDevice *dev, Virtqueue *vq);
    /* The driver wrote [offset, offset + len) of the configuration space; dev->config is unchanged, the
     * device takes what it accepts over with virtio_config_set(). NULL: read-only configuration. */
    void (*config_write)(VirtioDevice *dev, unsigned offset, const void *data, unsigned len);
    /* The VM pauses (false) or runs (true): a paused device touches neither queues nor guest memory. May be
     * NULL when the device only ever acts on kicks. */
    void (*set_running)(VirtioDevice *dev, bool running);
    /* What management reads and changes while the device lives (qom-get, qom-set, QEMU's names): -ENOENT, without a
     * text, for a name that is not known; value is borrowed. NULL: nothing. */
    int (*get_property)(VirtioDevice *dev, const char *name, json_t **ret, Err *err);
    int (*set_property)(VirtioDevice *dev, const char *name, json_t *value, Err *err);
    /* Guest RAM has a new region: vhost devices tell the kernel. May be NULL. */
    void (*memory_changed)(VirtioDevice *dev);
    /* Frees what the constructor made (not dev itself). Never active then. */
    void (*free)(VirtioDevice *dev);
} VirtioDeviceOps;

/* How a device reaches its transport; filled by the transport, or by fake_guest in tests. All: any thread. */
typedef struct VirtioTransportOps {
    void (*queue_interrupt)(void *transport, unsigned queue);
    void (*config_interrupt)(void *transport);
    /* Status bit DEVICE_NEEDS_RESET and a configuration interrupt. */
    void (*needs_reset)(void *transport);
    /* eventfds for vhost: the kick fd (ioeventfd, no longer watched by us while taken), the call fd (irqfd).
     */
    int (*take_kick_fd)(void *transport, unsigned queue);
    void (*return_kick_fd)(void *transport, unsigned queue);
    int (*call_fd)(void *transport, unsigned queue);
    /* Moves the queue's kicks to another loop; before activate returns. */
    int (*set_queue_loop)(void *transport, unsigned queue, Loop *loop);
} VirtioTransportOps;

struct VirtioDevice {
    const VirtioDeviceOps *ops;
    char *id; /* the user's alias, for logs and events */
    Loop *loop;
    GuestMemory *memory;
    struct DeviceHost *host;

    /* Set by the constructor, before the transport sees the device. */
    uint64_t offered; /* device feature bits; the transport adds its own */
    Virtqueue *queues;
    unsigned queue_count;

    /* Negotiated; valid while active. */
    uint64_t features;
    bool active;
    bool broken; /* virtio_device_fail() came; atomic */

    /* Configuration space; guarded by config_lock, read by vCPU threads. */
    pthread_mutex_t config_lock;
    uint8_t config[VIRTIO_CONFIG_MAX];
    unsigned config_len;
    uint8_t config_generation; /* changes with the bytes, so that a driver never puts old and new ones together (2.5) */

    const VirtioTransportOps *transport_ops;
    void *transport;
};

/*
 * Allocates ops->state_size zeroed bytes, initialises the VirtioDevice at their start, with queue_count
 * queues whose sizes are sizes[i] (powers of two up to VIRTQUEUE_SIZE_MAX). loop: what all ops run on.
 */
int virtio_device_new(const VirtioDeviceOps *ops, const char *id, struct DeviceHost *host, Loop *loop,
                      const uint16_t *sizes, unsigned queue_count, VirtioDevice **ret, Err *err);
/* Runs ops->free and frees all. NULL is fine. Loop thread or before/after the loop runs. */
void virtio_device_free(VirtioDevice *dev);

static inline bool virtio_has(const VirtioDevice *dev, unsigned bit)
{
    return (dev->features & VIRTIO_BIT(bit)) != 0;
}

static inline Virtqueue *virtio_queue(VirtioDevice *dev, unsigned index);

/* Puts bytes into the configuration space without telling the driver (constructor; config_write). Any thread.
 */
void virtio_config_set(VirtioDevice *dev, unsigned offset, const void *data, unsigned len);
/* The same, and a configuration change interrupt (live resize, link state). Any thread. */
void virtio_config_update(VirtioDevice *dev, unsigned offset, const void *data, unsigned len);
void virtio_config_get(VirtioDevice *dev, unsigned offset, void *data, unsigned len);
uint8_t virtio_config_generation(VirtioDevice *dev);

/* The guest broke the rules: NEEDS_RESET, one log line. The queues give nothing more until reset. Any thread.
 */
void virtio_device_fail(VirtioDevice *dev, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* vhost: see VirtioTransportOps. -ENOTSUP where the transport has no such fd. */
int virtio_take_kick_fd(VirtioDevice *dev, unsigned queue);
void virtio_return_kick_fd(VirtioDevice *dev, unsigned queue);
int virtio_call_fd(VirtioDevice *dev, unsigned queue);
int virtio_queue_set_loop(VirtioDevice *dev, unsigned queue, Loop *loop);

/* --- for the transport and fake_guest ----------------------------------------------------------------------
 */

/* Loop thread. Features already masked; rings are checked (in RAM, aligned) here: -EINVAL breaks the device.
 */
int virtio_device_activate(VirtioDevice *dev, uint64_t features);
void virtio_device_deactivate(VirtioDevice *dev); /* also forgets queue set-up and broken */
/* vCPU threads, before activation: what the driver programs. */
void virtio_queue_program(VirtioDevice *dev, unsigned queue, const VirtqueueSetup *setup);
uint16_t virtio_queue_size_max(const VirtioDevice *dev, unsigned queue);
size_t virtqueue_struct_size(void);

static inline Virtqueue *virtio_queue(VirtioDevice *dev, unsigned index)
{
    return index < dev->queue_count ? (Virtqueue *)((char *)dev->queues + index * virtqueue_struct_size())
                                    : NULL;
}
