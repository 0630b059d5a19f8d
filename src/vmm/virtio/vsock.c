/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Socket device (virtio 1.2, 5.10) served by the host's kernel: /dev/vhost-vsock moves the packets of the
 * receive and transmit queues, this file only tells it where they are. The event queue (5.10.6.7) stays here;
 * its one event, "the transport was reset", is for migration and is never sent.
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

#include "vmm/virtio/devices.h"
#include "vmm/virtio/vhost.h"
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
    Vhost vhost;
} Vsock;

static int serve(Vhost *vhost, bool on)
{
    int running = on;

    return VHOST_CALL(vhost, VHOST_VSOCK_SET_RUNNING, &running);
}

static int start(Vsock *v)
{
    return vhost_start(&v->vhost, VIRTIO_BIT(F_SEQPACKET));
}

static int vsock_activate(VirtioDevice *dev)
{
    return start((Vsock *)dev);
}

static void vsock_deactivate(VirtioDevice *dev)
{
    vhost_stop(&((Vsock *)dev)->vhost);
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
        vhost_stop(&v->vhost);
    else if (start(v) < 0)
        virtio_device_fail(dev, "the host's kernel does not go on with it");
}

static void vsock_memory_changed(VirtioDevice *dev)
{
    (void)vhost_set_memory(&((Vsock *)dev)->vhost);
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
    int r;

    v->vhost = (Vhost){.dev = &v->dev, .count = VHOST_QUEUES, .serve = serve};
    if ((r = vhost_open(&v->vhost, v->fd, err)) < 0)
        return r;
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
    dev->offered = v->vhost.features & VIRTIO_BIT(F_SEQPACKET);
    wire = htole64(cid);
    virtio_config_set(dev, 0, &wire, sizeof wire);
    *ret = dev;
    return 0;
}
