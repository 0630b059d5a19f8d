/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Registers of the PCI transport, on vCPU threads, under the lock. Layout: virtio 1.2, 4.1.4.3 (common), 4.1.4.4 (notify),
 * 4.1.4.5 (ISR).
 */
#include <unistd.h>

#include "common/checked.h"
#include "vmm/virtio/virtio_pci_internal.h"

#define TRANSPORT_FEATURES                                                                                   \
    (VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))

static uint64_t offered(const VirtioPci *vp)
{
    return vp->dev->offered | TRANSPORT_FEATURES;
}

static void write_status(VirtioPci *vp, uint8_t value)
{
    uint8_t old = ATOMIC_GET(vp->status);

    if (value == 0) {
        virtio_pci_stop(vp);
        return;
    }
    value |= old & STATUS_NEEDS_RESET;
    /* 2.2.2: features that were not offered, or a legacy driver, are refused by leaving FEATURES_OK clear. */
    if ((value & STATUS_FEATURES_OK) && !(old & STATUS_FEATURES_OK) &&
        ((vp->driver_features & ~offered(vp)) != 0 ||
         !(vp->driver_features & VIRTIO_BIT(VIRTIO_F_VERSION_1))))
        value &= (uint8_t)~STATUS_FEATURES_OK;
    if (!(value & STATUS_FEATURES_OK))
        value &= (uint8_t)~STATUS_DRIVER_OK;
    ATOMIC_SET(vp->status, value);
    /* It may have failed since `old` was read. */
    if (ATOMIC_GET(vp->dev->broken))
        __atomic_fetch_or(&vp->status, STATUS_NEEDS_RESET, __ATOMIC_ACQ_REL);
    if ((value & STATUS_DRIVER_OK) && !(old & STATUS_DRIVER_OK) && !vp->activated)
        virtio_pci_start(vp);
}

static uint64_t common_field(VirtioPci *vp, unsigned offset)
{
    bool have = vp->queue_select < vp->dev->queue_count;
    const VirtqueueSetup *s = have ? &vp->setup[vp->queue_select] : NULL;

    switch (offset) {
    case 0x00:
        return vp->device_select;
    case 0x04:
        return vp->device_select < 2 ? (uint32_t)(offered(vp) >> (32 * vp->device_select)) : 0;
    case 0x08:
        return vp->driver_select;
    case 0x0c:
        return vp->driver_select < 2 ? (uint32_t)(vp->driver_features >> (32 * vp->driver_select)) : 0;
    case 0x10:
        return ATOMIC_GET(vp->config_vector);
    case 0x12:
        return vp->dev->queue_count;
    case 0x14:
        return ATOMIC_GET(vp->status);
    case 0x15:
        return virtio_config_generation(vp->dev);
    case 0x16:
        return vp->queue_select;
    case 0x18:
        return have ? s->size : 0;
    case 0x1a:
        return have ? ATOMIC_GET(vp->vectors[vp->queue_select]) : NO_VECTOR;
    case 0x1c:
        return have ? s->enabled : 0;
    case 0x1e:
        return vp->queue_select;
    case 0x20:
        return have ? s->desc : 0;
    case 0x24:
        return have ? s->desc >> 32 : 0;
    case 0x28:
        return have ? s->avail : 0;
    case 0x2c:
        return have ? s->avail >> 32 : 0;
    case 0x30:
        return have ? s->used : 0;
    case 0x34:
        return have ? s->used >> 32 : 0;
    default:
        return 0;
    }
}

static void set_half(uint64_t *field, bool high, uint64_t value, unsigned len)
{
    if (len == 8)
        *field = value;
    else if (high)
        *field = (*field & UINT32_MAX) | value << 32;
    else
        *field = (*field & ~(uint64_t)UINT32_MAX) | (uint32_t)value;
}

static void write_queue(VirtioPci *vp, unsigned offset, uint64_t value, unsigned len)
{
    VirtqueueSetup *s;

    if (vp->queue_select >= vp->dev->queue_count)
        return;
    s = &vp->setup[vp->queue_select];
    if (offset == 0x1a) {
        ATOMIC_SET(vp->vectors[vp->queue_select],
                   value < pci_msix_vectors(vp->pci.msix) ? (uint16_t)value : NO_VECTOR);
        return;
    }
    /* The rest is fixed once the queue lives (4.1.4.3.2). */
    if (vp->activated || s->enabled)
        return;
    switch (offset) {
    case 0x18:
        if (value != 0 && value <= virtio_queue_size_max(vp->dev, vp->queue_select) &&
            (value & (value - 1)) == 0)
            s->size = (uint16_t)value;
        break;
    case 0x1c:
        s->enabled = value == 1;
        break;
    case 0x20:
    case 0x24:
        set_half(&s->desc, offset & 4, value, len);
        break;
    case 0x28:
    case 0x2c:
        set_half(&s->avail, offset & 4, value, len);
        break;
    case 0x30:
    case 0x34:
        set_half(&s->used, offset & 4, value, len);
        break;
    default:
        break;
    }
}

static void common_write(VirtioPci *vp, unsigned offset, uint64_t value, unsigned len)
{
    switch (offset) {
    case 0x00:
        vp->device_select = (uint32_t)value;
        break;
    case 0x08:
        vp->driver_select = (uint32_t)value;
        break;
    case 0x0c:
        if (vp->driver_select < 2 && !(ATOMIC_GET(vp->status) & STATUS_FEATURES_OK))
            set_half(&vp->driver_features, vp->driver_select == 1, (uint32_t)value, 4);
        break;
    case 0x10:
        ATOMIC_SET(vp->config_vector, value < pci_msix_vectors(vp->pci.msix) ? (uint16_t)value : NO_VECTOR);
        break;
    case 0x14:
        write_status(vp, (uint8_t)value);
        break;
    case 0x16:
        vp->queue_select = (uint16_t)value;
        break;
    default:
        write_queue(vp, offset, value, len);
        break;
    }
}

typedef struct ConfigWrite {
    VirtioPci *vp;
    unsigned offset, len;
    uint64_t value;
} ConfigWrite;

static void do_config_write(void *opaque)
{
    ConfigWrite *w = opaque;

    w->vp->dev->ops->config_write(w->vp->dev, w->offset, &w->value, w->len);
}

uint64_t virtio_pci_read(void *opaque, uint64_t offset, unsigned len)
{
    VirtioPci *vp = opaque;
    uint64_t value = 0;

    if (offset >= BAR_PBA)
        return pci_msix_pba_read(vp->pci.msix, offset - BAR_PBA, len);
    if (offset >= BAR_MSIX)
        return pci_msix_read(vp->pci.msix, offset - BAR_MSIX, len);
    if (offset >= BAR_NOTIFY)
        return 0;
    if (offset >= BAR_DEVICE) {
        virtio_config_get(vp->dev, (unsigned)offset - BAR_DEVICE, &value, len);
        return value;
    }
    if (offset >= BAR_ISR)
        return offset == BAR_ISR ? __atomic_exchange_n(&vp->isr, 0, __ATOMIC_ACQ_REL) : 0;
    pthread_mutex_lock(&vp->lock);
    value = common_field(vp, (unsigned)offset);
    pthread_mutex_unlock(&vp->lock);
    return value;
}

void virtio_pci_write(void *opaque, uint64_t offset, uint64_t value, unsigned len)
{
    VirtioPci *vp = opaque;

    if (offset >= BAR_PBA)
        return;
    if (offset >= BAR_MSIX) {
        pci_msix_write(vp->pci.msix, offset - BAR_MSIX, value, len);
        return;
    }
    if (offset >= BAR_NOTIFY) {
        uint64_t queue = (offset - BAR_NOTIFY) / NOTIFY_MULTIPLIER, one = 1;

        /* Only when no ioeventfd took it. */
        if (queue < vp->dev->queue_count)
            (void)!write(vp->kicks[queue].fd, &one, sizeof one);
        return;
    }
    pthread_mutex_lock(&vp->lock);
    if (offset >= BAR_DEVICE) {
        ConfigWrite w = {.vp = vp, .offset = (unsigned)offset - BAR_DEVICE, .len = len, .value = value};

        if (vp->dev->ops->config_write && range_inside(w.offset, len, vp->dev->config_len))
            loop_call(vp->dev->loop, do_config_write, &w);
    } else if (offset < BAR_ISR) {
        common_write(vp, (unsigned)offset, value, len);
    }
    pthread_mutex_unlock(&vp->lock);
}

const BusOps virtio_pci_bar_ops = {.read = virtio_pci_read, .write = virtio_pci_write};
