/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Socket device (virtio 1.2, 5.10) served by the host's kernel: /dev/vhost-vsock moves the packets of the
 * receive and transmit queues, this file only tells it where they are. The event queue (5.10.6.7) stays here;
 * its one event, "the transport was reset", is for migration and is never sent.
 *
 *   activate     features, memory table, rings, kick and call descriptors, guest CID; VHOST_VSOCK_SET_RUNNING
 * 1 deactivate   RUNNING 0 (the kernel lets go of the rings), descriptors back
 *
 * The kernel checks what the guest writes into the rings; what it finds wrong it reports nowhere, the guest's
 * sockets then stand still until it resets the device.
 *
 * Properties: vhostfd (an open /dev/vhost-vsock), guest-cid (3 and up).
 *
 * Everything runs on dev->loop, which is the main loop.
 *
 * #syscalls:main ioctl
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/checked.h"
#include "vmm/log.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/virtqueue.h"

/* Behind ours: it has macros of the same names. */
#include <linux/vhost.h>

enum { Q_RX, Q_TX, Q_EVENT, QUEUES };
enum { VHOST_QUEUES = 2 };
enum { F_SEQPACKET = 1 };
enum { CID_FIRST = 3 }; /* 0 to 2 are reserved (5.10.4) */

typedef struct Vsock {
    VirtioDevice dev;
    int fd;
    uint64_t cid;
    uint64_t host_features;
    bool running; /* the kernel serves the queues */
    unsigned taken; /* queues whose kicks the kernel has */
    uint16_t next[VHOST_QUEUES]; /* where the kernel stopped in each available ring, while paused */
} Vsock;

static int call(Vsock *v, unsigned long request, void *argument, const char *name)
{
    int r = ioctl(v->fd, request, argument) < 0 ? -errno : 0;

    if (r < 0)
        log_error("vsock %s: %s: %s", v->dev.id, name, strerror(-r));
    return r;
}

#define CALL(v, request, argument) call(v, request, argument, #request)

static int set_memory(Vsock *v)
{
    unsigned count = memory_region_count(v->dev.memory);
    struct vhost_memory *table = calloc(1, sizeof *table + count * sizeof table->regions[0]);
    int r;

    if (table == NULL)
        return -ENOMEM;
    table->nregions = count;
    for (unsigned i = 0; i < count; i++) {
        const MemoryRegion *m = memory_region(v->dev.memory, i);

        table->regions[i] = (struct vhost_memory_region){
            .guest_phys_addr = m->gpa, .memory_size = m->size, .userspace_addr = (uintptr_t)m->host};
    }
    r = CALL(v, VHOST_SET_MEM_TABLE, table);
    free(table);
    return r;
}

static int set_ring(Vsock *v, unsigned index)
{
    Virtqueue *vq = virtio_queue(&v->dev, index);
    struct vhost_vring_state size = {.index = index, .num = virtqueue_size(vq)};
    struct vhost_vring_state base = {.index = index, .num = v->next[index]};
    struct vhost_vring_addr address = {.index = index,
                                       .desc_user_addr = (uintptr_t)virtqueue_desc_host(vq),
                                       .avail_user_addr = (uintptr_t)virtqueue_avail_host(vq),
                                       .used_user_addr = (uintptr_t)virtqueue_used_host(vq)};
    struct vhost_vring_file kick = {.index = index}, interrupt = {.index = index};
    int r;

    if (!virtqueue_ready(vq))
        return -EINVAL;
    kick.fd = virtio_take_kick_fd(&v->dev, index);
    if (kick.fd < 0)
        return kick.fd;
    v->taken = index + 1;
    interrupt.fd = virtio_call_fd(&v->dev, index);
    if ((r = CALL(v, VHOST_SET_VRING_NUM, &size)) < 0 || (r = CALL(v, VHOST_SET_VRING_BASE, &base)) < 0 ||
        (r = CALL(v, VHOST_SET_VRING_ADDR, &address)) < 0 || (r = CALL(v, VHOST_SET_VRING_KICK, &kick)) < 0)
        return r;
    /* A driver that gave the queue no vector polls: -1 is "no interrupt". */
    interrupt.fd = interrupt.fd < 0 ? -1 : interrupt.fd;
    return CALL(v, VHOST_SET_VRING_CALL, &interrupt);
}

static void stop(Vsock *v)
{
    int off = 0;

    if (v->running) {
        (void)CALL(v, VHOST_VSOCK_SET_RUNNING, &off);
        for (unsigned i = 0; i < VHOST_QUEUES; i++) {
            struct vhost_vring_state base = {.index = i};

            if (CALL(v, VHOST_GET_VRING_BASE, &base) == 0)
                v->next[i] = (uint16_t)base.num;
        }
    }
    v->running = false;
    for (unsigned i = 0; i < v->taken; i++)
        virtio_return_kick_fd(&v->dev, i);
    v->taken = 0;
}

static int start(Vsock *v)
{
    uint64_t features = v->dev.features & v->host_features;
    uint64_t ring = VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);
    int on = 1, r = 0;

    if (v->dev.features & ring & ~v->host_features)
        return -ENOTSUP; /* the driver would use rings that the kernel cannot read */
    if ((r = CALL(v, VHOST_SET_FEATURES, &features)) < 0 || (r = set_memory(v)) < 0)
        return r;
    for (unsigned i = 0; i < VHOST_QUEUES && r == 0; i++)
        r = set_ring(v, i);
    if (r == 0)
        r = CALL(v, VHOST_VSOCK_SET_GUEST_CID, &v->cid);
    if (r == 0)
        r = CALL(v, VHOST_VSOCK_SET_RUNNING, &on);
    v->running = r == 0;
    if (r < 0)
        stop(v);
    return r;
}

static int vsock_activate(VirtioDevice *dev)
{
    Vsock *v = (Vsock *)dev;

    memset(v->next, 0, sizeof v->next);
    return start(v);
}

static void vsock_deactivate(VirtioDevice *dev)
{
    stop((Vsock *)dev);
}

/* Kicks of the two data queues go to the kernel; the event queue's buffers stay where they are. */
static void vsock_kick(VirtioDevice *dev, Virtqueue *vq)
{
    (void)dev;
    (void)vq;
}

static void vsock_set_running(VirtioDevice *dev, bool running)
{
    Vsock *v = (Vsock *)dev;

    if (!running)
        stop(v);
    else if (!v->running && start(v) < 0)
        virtio_device_fail(dev, "the host's kernel does not go on with it");
}

static void vsock_memory_changed(VirtioDevice *dev)
{
    (void)set_memory((Vsock *)dev);
}

static int vsock_get_property(VirtioDevice *dev, const char *name, json_t **ret, Err *err)
{
    (void)err;
    if (strcmp(name, "guest-cid") != 0)
        return -ENOENT;
    *ret = json_integer((json_int_t)((Vsock *)dev)->cid);
    return 0;
}

static void vsock_free(VirtioDevice *dev)
{
    Vsock *v = (Vsock *)dev;

    if (v->fd >= 0)
        close(v->fd);
}

static const VirtioDeviceOps vsock_ops = {
    .name = "vhost-vsock",
    .type = VIRTIO_TYPE_VSOCK,
    .pci_class = 0x028000,
    .state_size = sizeof(Vsock),
    .activate = vsock_activate,
    .deactivate = vsock_deactivate,
    .kick = vsock_kick,
    .set_running = vsock_set_running,
    .get_property = vsock_get_property,
    .memory_changed = vsock_memory_changed,
    .free = vsock_free,
};

/* The CID is set here already, so that one in use is refused before the guest runs. */
static int open_host(Vsock *v, Err *err)
{
    if (ioctl(v->fd, VHOST_SET_OWNER, NULL) < 0)
        return err_set(err, errno, "vhost-vsock %s: the descriptor passed is no unused /dev/vhost-vsock: %s",
                       v->dev.id, strerror(errno));
    if (ioctl(v->fd, VHOST_GET_FEATURES, &v->host_features) < 0)
        return err_set(err, errno, "vhost-vsock %s: VHOST_GET_FEATURES: %s", v->dev.id, strerror(errno));
    if (ioctl(v->fd, VHOST_VSOCK_SET_GUEST_CID, &v->cid) < 0)
        return err_set(err, errno, "vhost-vsock %s: unable to set guest cid %" PRIu64 ": %s", v->dev.id,
                       v->cid, errno == EADDRINUSE ? "another VM has it" : strerror(errno));
    return 0;
}

int vsock_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err)
{
    static const uint16_t sizes[QUEUES] = {128, 128, 128};
    VirtioDevice *dev;
    uint64_t cid, wire;
    Vsock *v;
    int fd, r;

    if ((r = props_uint(props, "guest-cid", CID_FIRST, UINT32_MAX - 1, 0, &cid, err)) < 0)
        return r;
    if (cid == 0)
        return err_set(err, EINVAL, "vhost-vsock %s: guest-cid property must be greater than 2",
                       props_id(props));
    if ((r = props_fd(props, "vhostfd", &fd, err)) < 0)
        return r;
    if (fd < 0)
        return err_set(err, EINVAL, "vhost-vsock %s: property 'vhostfd' is missing", props_id(props));
    r = virtio_device_new(&vsock_ops, props_id(props), host, host->main_loop, sizes, QUEUES, &dev, err);
    if (r < 0) {
        close(fd);
        return r;
    }
    v = (Vsock *)dev;
    v->fd = fd;
    v->cid = cid;
    r = open_host(v, err);
    if (r < 0) {
        virtio_device_free(dev);
        return r;
    }
    dev->offered = v->host_features & VIRTIO_BIT(F_SEQPACKET);
    wire = htole64(cid);
    virtio_config_set(dev, 0, &wire, sizeof wire);
    *ret = dev;
    return 0;
}
