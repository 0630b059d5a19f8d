/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See vhost.h. The kernel checks what the guest writes into the rings; what it finds wrong it reports nowhere, the device
 * then stands still until the guest resets it.
 *
 * #syscalls ioctl write
 */
#include "vmm/virtio/vhost.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/checked.h"
#include "vmm/log.h"

/* Behind ours: it has macros of the same names. */
#include <linux/vhost.h>

/* What both sides must read alike. */
#define RING_FEATURES (VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_VERSION_1))

int vhost_ioctl(Vhost *v, unsigned long request, void *argument, const char *name)
{
    int r = ioctl(v->fd, request, argument) < 0 ? -errno : 0;

    if (r < 0)
        log_error("%s %s: %s: %s", v->dev->ops->name, v->dev->id, name, strerror(-r));
    return r;
}

int vhost_open(Vhost *v, int fd, Err *err)
{
    v->fd = -1;
    if (ioctl(fd, VHOST_SET_OWNER, NULL) < 0)
        return err_set(err, errno, "%s %s: the descriptor passed is no unused vhost device: %s", v->dev->ops->name,
                       v->dev->id, strerror(errno));
    if (ioctl(fd, VHOST_GET_FEATURES, &v->features) < 0)
        return err_set(err, errno, "%s %s: VHOST_GET_FEATURES: %s", v->dev->ops->name, v->dev->id, strerror(errno));
    v->fd = fd;
    return 0;
}

void vhost_disown(Vhost *v)
{
    if (v->fd >= 0)
        (void)ioctl(v->fd, VHOST_RESET_OWNER, NULL);
    v->fd = -1;
}

int vhost_set_memory(Vhost *v)
{
    unsigned count = memory_region_count(v->dev->memory);
    struct vhost_memory *table = calloc(1, sizeof *table + count * sizeof table->regions[0]);
    int r;

    if (table == NULL)
        return -ENOMEM;
    table->nregions = count;
    for (unsigned i = 0; i < count; i++) {
        const MemoryRegion *m = memory_region(v->dev->memory, i);

        table->regions[i] = (struct vhost_memory_region){
            .guest_phys_addr = m->gpa, .memory_size = m->size, .userspace_addr = (uintptr_t)m->host};
    }
    r = VHOST_CALL(v, VHOST_SET_MEM_TABLE, table);
    free(table);
    return r;
}

static int set_ring(Vhost *v, unsigned index)
{
    Virtqueue *vq = virtio_queue(v->dev, v->first + index);
    struct vhost_vring_state size = {.index = index, .num = virtqueue_size(vq)};
    struct vhost_vring_state base = {.index = index, .num = virtqueue_last_avail(vq)};
    struct vhost_vring_addr address = {.index = index,
                                       .desc_user_addr = (uintptr_t)virtqueue_desc_host(vq),
                                       .avail_user_addr = (uintptr_t)virtqueue_avail_host(vq),
                                       .used_user_addr = (uintptr_t)virtqueue_used_host(vq)};
    struct vhost_vring_file kick = {.index = index}, interrupt = {.index = index};
    int r;

    kick.fd = virtio_take_kick_fd(v->dev, v->first + index);
    if (kick.fd < 0)
        return kick.fd;
    v->taken = index + 1;
    interrupt.fd = virtio_call_fd(v->dev, v->first + index);
    /* A driver that gave the queue no vector polls: -1 is "no interrupt". */
    interrupt.fd = interrupt.fd < 0 ? -1 : interrupt.fd;
    if ((r = VHOST_CALL(v, VHOST_SET_VRING_NUM, &size)) < 0 || (r = VHOST_CALL(v, VHOST_SET_VRING_BASE, &base)) < 0 ||
        (r = VHOST_CALL(v, VHOST_SET_VRING_ADDR, &address)) < 0 ||
        (r = VHOST_CALL(v, VHOST_SET_VRING_KICK, &kick)) < 0)
        return r;
    return VHOST_CALL(v, VHOST_SET_VRING_CALL, &interrupt);
}

/* What the guest put there before the kernel listened. */
static void kick_all(Vhost *v)
{
    for (unsigned i = 0; i < v->count; i++) {
        int fd = virtio_take_kick_fd(v->dev, v->first + i);
        uint64_t one = 1;

        if (fd >= 0)
            (void)!write(fd, &one, sizeof one);
    }
}

static void give_back(Vhost *v)
{
    for (unsigned i = 0; i < v->taken; i++)
        virtio_return_kick_fd(v->dev, v->first + i);
    v->taken = 0;
}

int vhost_start(Vhost *v, uint64_t of_device)
{
    uint64_t features = v->dev->features & (RING_FEATURES | of_device);
    int r = 0;

    if (v->running)
        return 0;
    if (v->fd < 0 || (features & ~v->features) != 0)
        return -ENOTSUP; /* the driver would use rings that the kernel cannot read */
    for (unsigned i = 0; i < v->count; i++) {
        if (!virtqueue_ready(virtio_queue(v->dev, v->first + i)))
            return -EINVAL;
    }
    if ((r = VHOST_CALL(v, VHOST_SET_FEATURES, &features)) < 0 || (r = vhost_set_memory(v)) < 0)
        return r;
    for (unsigned i = 0; i < v->count && r == 0; i++)
        r = set_ring(v, i);
    if (r == 0)
        r = v->serve(v, true);
    if (r < 0) {
        (void)v->serve(v, false);
        give_back(v);
        return r;
    }
    v->running = true;
    kick_all(v);
    return 0;
}

void vhost_stop(Vhost *v)
{
    if (!v->running)
        return;
    v->running = false;
    (void)v->serve(v, false);
    for (unsigned i = 0; i < v->count; i++) {
        struct vhost_vring_state base = {.index = i};
        Virtqueue *vq = virtio_queue(v->dev, v->first + i);

        if (VHOST_CALL(v, VHOST_GET_VRING_BASE, &base) == 0)
            virtqueue_set_last_avail(vq, (uint16_t)base.num);
        (void)virtqueue_resync_used(vq);
    }
    give_back(v);
}
