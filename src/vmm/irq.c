/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GSI routing and irqfds. GSIs 0..23 are lines to the IOAPIC, and not to the PICs, which the MADT
 * says are not there: nobody initialises or masks them; each unmasked MSI
 * vector has a GSI from 24 up, whose route holds its address and data. A vector is attached to its eventfd
 * with KVM_IRQFD while it is unmasked; detached, the eventfd just counts, which is exactly the pending bit.
 * KVM delivers a count that is already there when the irqfd is attached again.
 *
 * Guests read pending bits, and masks are theirs:
 * #syscalls:vcpu poll
 */
#include "vmm/irq.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/checked.h"
#include "vmm/kvm.h"
#include "vmm/log.h"

#define MSI_GSI_FIRST IRQ_LINES
#define MSI_GSI_MAX 2048
#define LINE_ROUTES IRQ_LINES

struct IrqMsi {
    Irq *irq;
    int fd;
    int gsi; /* -1: never routed yet */
    bool attached;
    bool stale; /* KVM's route is another */
    uint64_t address;
    uint32_t data, devid;
};

struct Irq {
    KvmVm *vm;
    pthread_mutex_t lock;
    IrqMsi *gsis[MSI_GSI_MAX]; /* index: gsi - MSI_GSI_FIRST */
    unsigned gsi_count; /* highest one in use + 1 */
    struct kvm_irq_routing *routing; /* room for all; grows */
    unsigned routing_size;
    bool routed; /* KVM has our table; atomic */
    struct {
        bool on;
        uint64_t address;
        uint32_t data;
    } lines[IRQ_LINES]; /* messages of lines, split controllers only */
    void (*line_changed)(void *opaque, unsigned line, bool level);
    void *line_opaque;
};

static struct kvm_irq_routing_entry message_route(unsigned gsi, uint64_t address, uint32_t data)
{
    return (struct kvm_irq_routing_entry){
        .gsi = gsi,
        .type = KVM_IRQ_ROUTING_MSI,
        .u.msi = {.address_lo = (uint32_t)address, .address_hi = (uint32_t)(address >> 32), .data = data},
    };
}

/* Under the lock: the whole table anew, as KVM wants it. */
static int push_routes(Irq *irq)
{
    unsigned need = LINE_ROUTES + irq->gsi_count, n = 0;
    int r;

    if (irq->routing_size < need) {
        unsigned size = need + 64;
        struct kvm_irq_routing *grown =
            realloc(irq->routing, sizeof *grown + size * sizeof grown->entries[0]);

        if (grown == NULL)
            return -ENOMEM;
        irq->routing = grown;
        irq->routing_size = size;
    }
    struct kvm_irq_routing_entry *e = irq->routing->entries;

    memset(irq->routing, 0, sizeof *irq->routing + need * sizeof *e);
    if (!irq->vm->split_irqchip) {
        for (unsigned i = 0; i < IRQ_LINES; i++) {
            e[n].gsi = i;
            e[n].type = KVM_IRQ_ROUTING_IRQCHIP;
            e[n].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
            /* The PIT's line 0 is wired to pin 2; the MADT tells the guest so. */
            e[n++].u.irqchip.pin = i == 0 ? 2 : i;
        }
    }
    for (unsigned i = 0; i < IRQ_LINES; i++) {
        if (irq->lines[i].on)
            e[n++] = message_route(i, irq->lines[i].address, irq->lines[i].data);
    }
    for (unsigned i = 0; i < irq->gsi_count; i++) {
        const IrqMsi *msi = irq->gsis[i];

        if (msi != NULL)
            e[n++] = message_route(MSI_GSI_FIRST + i, msi->address, msi->data);
    }
    irq->routing->nr = n;
    __atomic_store_n(&irq->routed, true, __ATOMIC_RELEASE);
    r = kvm_set_routing(irq->vm, irq->routing);
    for (unsigned i = 0; i < irq->gsi_count && r >= 0; i++) {
        if (irq->gsis[i] != NULL)
            irq->gsis[i]->stale = false;
    }
    return r;
}

int irq_new(KvmVm *vm, Irq **ret, Err *err)
{
    Irq *irq = calloc(1, sizeof *irq);

    if (irq == NULL)
        return err_set(err, ENOMEM, "out of memory");
    irq->vm = vm;
    pthread_mutex_init(&irq->lock, NULL);
    *ret = irq;
    return 0;
}

void irq_free(Irq *irq)
{
    if (irq == NULL)
        return;
    pthread_mutex_destroy(&irq->lock);
    free(irq->routing);
    free(irq);
}

/* Each change of the table has KVM wait for its readers: the first is made when there is something to route. */
static void route_lines(Irq *irq)
{
    int r = 0;

    pthread_mutex_lock(&irq->lock);
    if (!irq->routed)
        r = push_routes(irq);
    pthread_mutex_unlock(&irq->lock);
    if (r < 0)
        log_error("KVM_SET_GSI_ROUTING: %s", strerror(-r));
}

void irq_set_line_handler(Irq *irq, void (*changed)(void *opaque, unsigned line, bool level), void *opaque)
{
    irq->line_changed = changed;
    irq->line_opaque = opaque;
}

void irq_line_route(Irq *irq, unsigned line, bool on, uint64_t address, uint32_t data)
{
    bool same;

    if (line >= IRQ_LINES)
        return;
    pthread_mutex_lock(&irq->lock);
    same = irq->lines[line].on == on &&
           (!on || (irq->lines[line].address == address && irq->lines[line].data == data));
    irq->lines[line].on = on;
    irq->lines[line].address = address;
    irq->lines[line].data = data;
    if (!same && push_routes(irq) < 0)
        log_error("cannot route interrupt line %u", line);
    pthread_mutex_unlock(&irq->lock);
}

void irq_message(Irq *irq, uint64_t address, uint32_t data)
{
    struct kvm_msi msi = {.address_lo = (uint32_t)address, .address_hi = (uint32_t)(address >> 32), .data = data};

    (void)kvm_signal_msi(irq->vm, &msi);
}

void irq_line_set(Irq *irq, unsigned gsi, bool level)
{
    if (irq->line_changed != NULL) {
        irq->line_changed(irq->line_opaque, gsi, level);
        return;
    }
    if (!__atomic_load_n(&irq->routed, __ATOMIC_ACQUIRE)) {
        if (!level)
            return;
        route_lines(irq);
    }
    (void)kvm_irq_line(irq->vm, gsi, level);
}

void irq_line_pulse(Irq *irq, unsigned gsi)
{
    irq_line_set(irq, gsi, true);
    irq_line_set(irq, gsi, false);
}

int irq_msi_new(Irq *irq, IrqMsi **ret, Err *err)
{
    IrqMsi *msi = calloc(1, sizeof *msi);

    if (msi == NULL)
        return err_set(err, ENOMEM, "out of memory");
    msi->irq = irq;
    msi->gsi = -1;
    msi->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (msi->fd < 0) {
        free(msi);
        return err_set(err, errno, "cannot make an interrupt descriptor: %s", strerror(errno));
    }
    *ret = msi;
    return 0;
}

static void detach(IrqMsi *msi)
{
    if (msi->attached)
        (void)kvm_irqfd(msi->irq->vm, msi->fd, (unsigned)msi->gsi, false);
    msi->attached = false;
}

void irq_msi_free(IrqMsi *msi)
{
    Irq *irq;

    if (msi == NULL)
        return;
    irq = msi->irq;
    pthread_mutex_lock(&irq->lock);
    detach(msi);
    if (msi->gsi >= 0) {
        irq->gsis[msi->gsi - MSI_GSI_FIRST] = NULL;
        (void)push_routes(irq);
    }
    pthread_mutex_unlock(&irq->lock);
    close(msi->fd);
    free(msi);
}

static int take_gsi(IrqMsi *msi)
{
    Irq *irq = msi->irq;

    for (unsigned i = 0; i < MSI_GSI_MAX; i++) {
        if (irq->gsis[i] == NULL) {
            irq->gsis[i] = msi;
            irq->gsi_count = MAX(irq->gsi_count, i + 1);
            msi->gsi = (int)(MSI_GSI_FIRST + i);
            return 0;
        }
    }
    return -ENOSPC;
}

int irq_msi_set(IrqMsi *msi, uint64_t address, uint32_t data, bool masked, uint32_t pci_devid)
{
    Irq *irq = msi->irq;
    int r = 0;

    pthread_mutex_lock(&irq->lock);
    msi->stale |= msi->address != address || msi->data != data || msi->gsi < 0;
    msi->address = address;
    msi->data = data;
    msi->devid = pci_devid;
    if (masked) {
        detach(msi);
    } else {
        if (msi->gsi < 0)
            r = take_gsi(msi);
        if (r == 0 && msi->stale)
            r = push_routes(irq);
        if (r >= 0 && !msi->attached) {
            r = kvm_irqfd(irq->vm, msi->fd, (unsigned)msi->gsi, true);
            msi->attached = r >= 0;
        }
    }
    pthread_mutex_unlock(&irq->lock);
    return r < 0 ? r : 0;
}

void irq_msi_raise(IrqMsi *msi)
{
    uint64_t one = 1;

    while (write(msi->fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void irq_msi_clear(IrqMsi *msi)
{
    uint64_t count;

    while (!msi->attached && read(msi->fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
}

bool irq_msi_pending(const IrqMsi *msi)
{
    struct pollfd poll_fd = {.fd = msi->fd, .events = POLLIN};

    return !msi->attached && poll(&poll_fd, 1, 0) > 0;
}

int irq_msi_fd(const IrqMsi *msi)
{
    return msi->fd;
}
