/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PCI transport: interrupts, kicks, activation and reset, and the window onto the BAR in configuration space (virtio 1.2,
 * 4.1.4.9). The registers are in virtio_pci_regs.c.
 *
 * Who guards what: `lock` all registers. Vector numbers and status are also read without it on other threads,
 * so they are atomic. The device's loop never takes `lock`: a vCPU holds it while it waits for the loop.
 */
#include "vmm/virtio/virtio_pci_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/checked.h"
#include "vmm/log.h"

enum { CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_PCI_CFG };

/* --- interrupts: any thread
 * ----------------------------------------------------------------------------------- */

static void queue_interrupt(void *transport, unsigned queue)
{
    VirtioPci *vp = transport;
    uint16_t vector = ATOMIC_GET(vp->vectors[queue]);

    __atomic_fetch_or(&vp->isr, 1, __ATOMIC_ACQ_REL);
    if (vector != NO_VECTOR)
        pci_msix_raise(vp->pci.msix, vector);
}

static void config_interrupt(void *transport)
{
    VirtioPci *vp = transport;
    uint16_t vector = ATOMIC_GET(vp->config_vector);

    if (!(ATOMIC_GET(vp->status) & STATUS_DRIVER_OK))
        return;
    __atomic_fetch_or(&vp->isr, 2, __ATOMIC_ACQ_REL);
    if (vector != NO_VECTOR)
        pci_msix_raise(vp->pci.msix, vector);
}

static void needs_reset(void *transport)
{
    VirtioPci *vp = transport;

    __atomic_fetch_or(&vp->status, STATUS_NEEDS_RESET, __ATOMIC_ACQ_REL);
    config_interrupt(vp);
}

/* --- kicks: the queue's loop
 * ---------------------------------------------------------------------------------- */

/* Edge triggered: each kick is one more write, so the descriptor need not be read. */
static void kick_ready(void *opaque, uint32_t events)
{
    Kick *kick = opaque;
    VirtioDevice *dev = kick->vp->dev;

    (void)events;
    if (dev->active && dev->ops->kick)
        dev->ops->kick(dev, virtio_queue(dev, kick->queue));
}

static void watch_kick(void *opaque)
{
    Kick *kick = opaque;

    if (!kick->watch.active && !kick->taken)
        (void)loop_watch(kick->loop, &kick->watch, kick->fd, EPOLLIN | EPOLLET, kick_ready, kick);
}

static void unwatch_kick(void *opaque)
{
    loop_unwatch(&((Kick *)opaque)->watch);
}

static void watch_all(VirtioPci *vp, bool watch)
{
    for (unsigned i = 0; i < vp->dev->queue_count; i++) {
        Kick *kick = &vp->kicks[i];

        if (watch && virtqueue_ready(virtio_queue(vp->dev, i)))
            loop_call(kick->loop, watch_kick, kick);
        else if (!watch)
            loop_call(kick->loop, unwatch_kick, kick);
    }
}

static int take_kick_fd(void *transport, unsigned queue)
{
    VirtioPci *vp = transport;
    Kick *kick = &vp->kicks[queue];

    kick->taken = true;
    loop_call(kick->loop, unwatch_kick, kick);
    return kick->fd;
}

static void return_kick_fd(void *transport, unsigned queue)
{
    VirtioPci *vp = transport;

    vp->kicks[queue].taken = false;
    if (ATOMIC_GET(vp->running) && vp->dev->active)
        loop_call(vp->kicks[queue].loop, watch_kick, &vp->kicks[queue]);
}

static int call_fd(void *transport, unsigned queue)
{
    VirtioPci *vp = transport;

    return pci_msix_fd(vp->pci.msix, ATOMIC_GET(vp->vectors[queue]));
}

static int set_queue_loop(void *transport, unsigned queue, Loop *loop)
{
    VirtioPci *vp = transport;

    if (queue >= vp->dev->queue_count || vp->kicks[queue].watch.active)
        return -EINVAL;
    vp->kicks[queue].loop = loop;
    return 0;
}

static const VirtioTransportOps transport_ops = {
    .queue_interrupt = queue_interrupt,
    .config_interrupt = config_interrupt,
    .needs_reset = needs_reset,
    .take_kick_fd = take_kick_fd,
    .return_kick_fd = return_kick_fd,
    .call_fd = call_fd,
    .set_queue_loop = set_queue_loop,
};

/* --- activation and reset: the device's loop
 * ------------------------------------------------------------------ */

static void first_kick(void *opaque)
{
    Kick *kick = opaque;
    VirtioDevice *dev = kick->vp->dev;

    if (dev->active && !kick->taken && dev->ops->kick)
        dev->ops->kick(dev, virtio_queue(dev, kick->queue));
}

static void do_activate(void *opaque)
{
    VirtioPci *vp = opaque;

    if (virtio_device_activate(vp->dev, vp->driver_features) < 0)
        return;
    for (unsigned i = 0; i < vp->dev->queue_count; i++) {
        Kick *kick = &vp->kicks[i];
        uint64_t one = 1;

        if (!virtqueue_ready(virtio_queue(vp->dev, i)))
            continue;
        if (!ATOMIC_GET(vp->running)) {
            /* Paused meanwhile: the kick waits in the descriptor. */
            (void)!write(kick->fd, &one, sizeof one);
            continue;
        }
        loop_call(kick->loop, watch_kick, kick);
        loop_call(kick->loop, first_kick, kick);
    }
}

static void do_deactivate(void *opaque)
{
    VirtioPci *vp = opaque;

    watch_all(vp, false);
    virtio_device_deactivate(vp->dev);
    for (unsigned i = 0; i < vp->dev->queue_count; i++) {
        uint64_t count;

        vp->kicks[i].loop = vp->dev->loop;
        vp->kicks[i].taken = false;
        (void)!read(vp->kicks[i].fd, &count, sizeof count);
    }
}

static void do_set_running(void *opaque)
{
    VirtioPci *vp = opaque;

    if (vp->dev->active) {
        if (ATOMIC_GET(vp->running)) {
            if (vp->dev->ops->set_running)
                vp->dev->ops->set_running(vp->dev, true);
            watch_all(vp, true);
        } else {
            watch_all(vp, false);
            if (vp->dev->ops->set_running)
                vp->dev->ops->set_running(vp->dev, false);
        }
    }
}

static void update_running(VirtioPci *vp)
{
    bool running = vp->vm_running && vp->master;

    if (ATOMIC_GET(vp->running) == running)
        return;
    ATOMIC_SET(vp->running, running);
    loop_call(vp->dev->loop, do_set_running, vp);
}

static void pci_set_running(PciDevice *pci, bool running)
{
    VirtioPci *vp = (VirtioPci *)pci;

    vp->vm_running = running;
    update_running(vp);
}

/* A kernel that starts another one in its place (kexec) takes bus mastering from devices: buffers that are still in their
 * queues are the new kernel's memory by then. */
static void watch_master(VirtioPci *vp, unsigned offset, unsigned len)
{
    if (offset > PCI_COMMAND || offset + len <= PCI_COMMAND)
        return;
    vp->master = pci_get16(vp->pci.config + PCI_COMMAND) & PCI_COMMAND_MASTER;
    update_running(vp);
}

/* Under the lock. An ioeventfd for each queue that lives, where it is kicked: each costs KVM a wait for all vCPUs, so
 * those that nobody uses have none. */
static void bind_kicks(VirtioPci *vp)
{
    for (unsigned i = 0; i < vp->dev->queue_count && vp->vm != NULL; i++) {
        Kick *kick = &vp->kicks[i];
        uint64_t at = vp->bar + BAR_NOTIFY + NOTIFY_MULTIPLIER * i;
        bool wanted = vp->bar != 0 && vp->activated && vp->setup[i].enabled;

        if (kick->bound && (!wanted || kick->bound_at != at)) {
            (void)kvm_ioeventfd(vp->vm, false, kick->bound_at, vp->notify_len, kick->fd, false);
            kick->bound = false;
        }
        if (wanted && !kick->bound) {
            kick->bound_at = at;
            kick->bound = kvm_ioeventfd(vp->vm, false, at, vp->notify_len, kick->fd, true) >= 0;
        }
    }
}

void virtio_pci_stop(VirtioPci *vp)
{
    loop_call(vp->dev->loop, do_deactivate, vp);
    vp->activated = false;
    bind_kicks(vp);
    vp->device_select = vp->driver_select = 0;
    vp->driver_features = 0;
    vp->queue_select = 0;
    ATOMIC_SET(vp->config_vector, NO_VECTOR);
    ATOMIC_SET(vp->isr, 0);
    for (unsigned i = 0; i < vp->dev->queue_count; i++) {
        ATOMIC_SET(vp->vectors[i], NO_VECTOR);
        vp->setup[i] = (VirtqueueSetup){.size = virtio_queue_size_max(vp->dev, i)};
    }
    ATOMIC_SET(vp->status, 0);
}

void virtio_pci_start(VirtioPci *vp)
{
    vp->activated = true;
    for (unsigned i = 0; i < vp->dev->queue_count; i++)
        virtio_queue_program(vp->dev, i, &vp->setup[i]);
    bind_kicks(vp);
    loop_call(vp->dev->loop, do_activate, vp);
}

/* --- PCI side: under the host's lock
 * -------------------------------------------------------------------------- */

static void bar_mapped(PciDevice *pci, unsigned bar, bool mapped)
{
    VirtioPci *vp = (VirtioPci *)pci;

    pthread_mutex_lock(&vp->lock);
    vp->bar = mapped ? pci->bars[bar].address : 0;
    bind_kicks(vp);
    pthread_mutex_unlock(&vp->lock);
}

/* The PCI_CFG capability is a window onto the BAR (4.1.4.9): cap.offset says where, pci_cfg_data moves the
 * bytes. */
static bool cfg_window(VirtioPci *vp, unsigned offset, uint32_t *ret_at, unsigned *ret_len)
{
    const uint8_t *c = vp->pci.config + vp->cfg_cap;
    uint32_t at = pci_get32(c + 8), len = pci_get32(c + 12);

    if (offset != vp->cfg_cap + 16 || c[4] != 0 || (len != 1 && len != 2 && len != 4) || at % len != 0 ||
        !range_inside(at, len, BAR_SIZE))
        return false;
    *ret_at = at;
    *ret_len = len;
    return true;
}

static void pci_config_read(PciDevice *pci, unsigned offset, unsigned len)
{
    VirtioPci *vp = (VirtioPci *)pci;
    uint32_t at;
    unsigned n;

    (void)len;
    if (cfg_window(vp, offset, &at, &n))
        pci_put32(pci->config + vp->cfg_cap + 16, (uint32_t)virtio_pci_read(vp, at, n));
}

static void pci_config_write(PciDevice *pci, unsigned offset, unsigned len)
{
    VirtioPci *vp = (VirtioPci *)pci;
    uint32_t at;
    unsigned n;

    watch_master(vp, offset, len);
    if (cfg_window(vp, offset, &at, &n)) {
        uint32_t value = pci_get32(pci->config + vp->cfg_cap + 16);

        virtio_pci_write(vp, at, n == 4 ? value : value & ((1u << (8 * n)) - 1), n);
    }
}

static void pci_reset(PciDevice *pci)
{
    VirtioPci *vp = (VirtioPci *)pci;

    pthread_mutex_lock(&vp->lock);
    virtio_pci_stop(vp);
    pthread_mutex_unlock(&vp->lock);
    vp->master = true; /* as firmware leaves it */
    update_running(vp);
}

static void do_free_device(void *opaque)
{
    virtio_device_free(opaque);
}

static void pci_free(PciDevice *pci)
{
    VirtioPci *vp = (VirtioPci *)pci;
    VirtioDevice *dev = vp->dev;

    if (dev != NULL) {
        if (vp->kicks != NULL && vp->setup != NULL)
            pci_reset(pci);
        for (unsigned i = 0; vp->kicks != NULL && i < dev->queue_count; i++) {
            if (vp->kicks[i].fd >= 0)
                close(vp->kicks[i].fd);
        }
        loop_call(dev->loop, do_free_device, dev);
    }
    pci_msix_free(pci);
    pthread_mutex_destroy(&vp->lock);
    free(vp->kicks);
    free(vp->setup);
    free(vp->vectors);
    free(vp);
}

static const PciDeviceOps pci_ops = {
    .config_read = pci_config_read,
    .config_write = pci_config_write,
    .bar_mapped = bar_mapped,
    .reset = pci_reset,
    .set_running = pci_set_running,
    .free = pci_free,
};

/* 4.1.4: struct virtio_pci_cap */
static unsigned add_cap(PciDevice *pci, uint8_t type, uint8_t len, uint32_t offset, uint32_t length)
{
    int at = pci_add_capability(pci, PCI_CAP_VENDOR, len);
    uint8_t *c = pci->config + at;

    if (at < 0)
        return 0;
    c[2] = len;
    c[3] = type;
    c[4] = 0; /* BAR 0 */
    pci_put32(c + 8, offset);
    pci_put32(c + 12, length);
    return (unsigned)at;
}

int virtio_pci_new(VirtioDevice *dev, KvmVm *vm, Irq *irq, bool integrated, VirtioPci **ret, Err *err)
{
    PciIds ids = {
        .vendor = 0x1af4,
        .device = (uint16_t)(0x1040 + dev->ops->type),
        .subsystem_vendor = 0x1af4,
        .subsystem = 0x1100,
        .revision = 1,
        .class_code = dev->ops->pci_class,
    };
    VirtioPci *vp = calloc(1, sizeof *vp);
    unsigned n = dev->queue_count, at;
    int r = -ENOMEM;

    if (vp == NULL)
        return err_set(err, ENOMEM, "out of memory");
    pthread_mutex_init(&vp->lock, NULL);
    vp->vm = vm;
    vp->config_vector = NO_VECTOR;
    vp->vm_running = vp->master = vp->running = true;
    vp->setup = calloc(n ? n : 1, sizeof *vp->setup);
    vp->vectors = calloc(n ? n : 1, sizeof *vp->vectors);
    vp->kicks = calloc(n ? n : 1, sizeof *vp->kicks);
    vp->notify_len = vm != NULL && kvm_capability(vm, KVM_CAP_IOEVENTFD_ANY_LENGTH) > 0 ? 0 : 2;
    pci_device_init(&vp->pci, &pci_ops, dev->id, &ids);
    if (vp->setup == NULL || vp->vectors == NULL || vp->kicks == NULL) {
        err_set(err, ENOMEM, "out of memory");
        goto fail;
    }
    for (unsigned i = 0; i < n; i++) {
        vp->setup[i].size = virtio_queue_size_max(dev, i);
        vp->vectors[i] = NO_VECTOR;
        vp->kicks[i] =
            (Kick){.vp = vp, .queue = i, .loop = dev->loop, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
        if (vp->kicks[i].fd < 0) {
            r = err_set(err, errno, "%s: cannot make a kick descriptor: %s", dev->id, strerror(errno));
            for (unsigned j = 0; j < i; j++)
                close(vp->kicks[j].fd);
            goto fail;
        }
    }
    pci_bar_init(&vp->pci, 0, BAR_SIZE, false, false, false, &virtio_pci_bar_ops, vp, dev->id);
    pci_add_express(&vp->pci, integrated ? PCIE_INTEGRATED_ENDPOINT : PCIE_ENDPOINT, 0);
    r = pci_msix_init(&vp->pci, irq, n + 1, 0, BAR_MSIX, BAR_PBA, err);
    if (r < 0) {
        for (unsigned j = 0; j < n; j++)
            close(vp->kicks[j].fd);
        goto fail;
    }
    add_cap(&vp->pci, CAP_COMMON, 16, BAR_COMMON, 0x38);
    add_cap(&vp->pci, CAP_ISR, 16, BAR_ISR, 1);
    add_cap(&vp->pci, CAP_DEVICE, 16, BAR_DEVICE, VIRTIO_CONFIG_MAX);
    at = add_cap(&vp->pci, CAP_NOTIFY, 20, BAR_NOTIFY, NOTIFY_MULTIPLIER * (n ? n : 1));
    pci_put32(vp->pci.config + at + 16, NOTIFY_MULTIPLIER);
    vp->cfg_cap = at = add_cap(&vp->pci, CAP_PCI_CFG, 20, 0, 0);
    vp->pci.wmask[at + 4] = 0xff;
    memset(vp->pci.wmask + at + 8, 0xff, 12);
    vp->dev = dev;
    dev->transport_ops = &transport_ops;
    dev->transport = vp;
    *ret = vp;
    return 0;
fail:
    free(vp->kicks);
    free(vp->setup);
    free(vp->vectors);
    pthread_mutex_destroy(&vp->lock);
    free(vp);
    return r;
}

PciDevice *virtio_pci_device(VirtioPci *vp)
{
    return &vp->pci;
}

VirtioDevice *virtio_pci_virtio(VirtioPci *vp)
{
    return vp->dev;
}
