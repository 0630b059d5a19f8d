/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Registers: an index at 0, its data at 0x10 (82093AA datasheet, 3.0): 0 id, 1 version, 2 arbitration, and from 0x10 two
 * words a pin: vector 7:0, delivery mode 10:8, logical 11, active low 13, remote IRR 14, level 15, masked 16; and in the
 * second word the destination, 31:24.
 *
 * The message of a pin is also its route in KVM: that is how KVM knows which vectors' ends it has to tell us (api.rst,
 * KVM_CAP_SPLIT_IRQCHIP).
 */
#include "vmm/isa/ioapic.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/arch/x86_64/layout.h"

enum { INDEX = 0x00, DATA = 0x10, SIZE = 0x1000 };
enum { REG_ID, REG_VERSION, REG_ARBITRATION, REG_PINS = 0x10 };
enum { PIN_LOGICAL = 1 << 11, PIN_REMOTE_IRR = 1 << 14, PIN_LEVEL = 1 << 15, PIN_MASKED = 1 << 16 };
enum { PIN_WRITABLE = 0x1afff, PIN_AFTER_RESET = PIN_MASKED };
enum { VERSION = 0x11 };
enum { MSI_LOGICAL = 1 << 2, MSI_LEVEL = 1 << 15, MSI_ASSERT = 1 << 14 };

typedef struct Pin {
    uint32_t low, high;
    bool level; /* of the line */
    bool pending; /* an edge that came while masked */
} Pin;

struct Ioapic {
    Bus *bus;
    Irq *irq;
    BusRange range;
    pthread_mutex_t lock;
    uint32_t id;
    uint8_t index;
    Pin pins[IRQ_LINES];
};

static uint64_t address_of(const Pin *p)
{
    return LAPIC_ADDRESS | (uint64_t)(p->high >> 24) << 12 | (p->low & PIN_LOGICAL ? MSI_LOGICAL : 0);
}

static uint32_t data_of(const Pin *p)
{
    return (p->low & 0x7ff) | (p->low & PIN_LEVEL ? MSI_LEVEL | MSI_ASSERT : 0);
}

/* Under the lock: sends what waits, if it may. */
static void serve(Ioapic *a, Pin *p)
{
    if (p->low & PIN_MASKED)
        return;
    if (p->low & PIN_LEVEL) {
        if (!p->level || (p->low & PIN_REMOTE_IRR))
            return;
        p->low |= PIN_REMOTE_IRR;
    } else if (!p->pending) {
        return;
    }
    p->pending = false;
    irq_message(a->irq, address_of(p), data_of(p));
}

static void line_changed(void *opaque, unsigned line, bool level)
{
    Ioapic *a = opaque;
    Pin *p = &a->pins[line];

    pthread_mutex_lock(&a->lock);
    p->pending |= level && !p->level;
    p->level = level;
    serve(a, p);
    pthread_mutex_unlock(&a->lock);
}

void ioapic_end_of_interrupt(Ioapic *a, uint8_t vector)
{
    pthread_mutex_lock(&a->lock);
    for (unsigned i = 0; i < IRQ_LINES; i++) {
        Pin *p = &a->pins[i];

        if ((p->low & (PIN_LEVEL | PIN_REMOTE_IRR)) == (PIN_LEVEL | PIN_REMOTE_IRR) && (p->low & 0xff) == vector) {
            p->low &= ~(uint32_t)PIN_REMOTE_IRR;
            serve(a, p);
        }
    }
    pthread_mutex_unlock(&a->lock);
}

static uint32_t read_register(const Ioapic *a)
{
    unsigned pin = (a->index - REG_PINS) / 2u;

    switch (a->index) {
    case REG_ID:
    case REG_ARBITRATION:
        return a->id;
    case REG_VERSION:
        return VERSION | (IRQ_LINES - 1) << 16;
    default:
        if (a->index < REG_PINS || pin >= IRQ_LINES)
            return 0;
        return a->index & 1 ? a->pins[pin].high : a->pins[pin].low;
    }
}

static void write_register(Ioapic *a, uint32_t value)
{
    unsigned number = (a->index - REG_PINS) / 2u;
    Pin *p;

    if (a->index == REG_ID)
        a->id = value & 0x0f000000;
    if (a->index < REG_PINS || number >= IRQ_LINES)
        return;
    p = &a->pins[number];
    if (a->index & 1) {
        p->high = value & 0xff000000;
    } else {
        p->low = (value & PIN_WRITABLE) | (p->low & ~(uint32_t)PIN_WRITABLE);
        if (!(p->low & PIN_LEVEL))
            p->low &= ~(uint32_t)PIN_REMOTE_IRR;
    }
    irq_line_route(a->irq, number, !(p->low & PIN_MASKED), address_of(p), data_of(p));
    serve(a, p);
}

static uint64_t registers_read(void *opaque, uint64_t offset, unsigned len)
{
    Ioapic *a = opaque;
    uint64_t value = 0;

    (void)len;
    pthread_mutex_lock(&a->lock);
    if (offset == INDEX)
        value = a->index;
    else if (offset == DATA)
        value = read_register(a);
    pthread_mutex_unlock(&a->lock);
    return value;
}

static void registers_write(void *opaque, uint64_t offset, uint64_t value, unsigned len)
{
    Ioapic *a = opaque;

    (void)len;
    pthread_mutex_lock(&a->lock);
    if (offset == INDEX)
        a->index = (uint8_t)value;
    else if (offset == DATA)
        write_register(a, (uint32_t)value);
    pthread_mutex_unlock(&a->lock);
}

static const BusOps registers = {.read = registers_read, .write = registers_write};

void ioapic_reset(Ioapic *a)
{
    if (a == NULL)
        return;
    pthread_mutex_lock(&a->lock);
    a->id = 0;
    a->index = 0;
    for (unsigned i = 0; i < IRQ_LINES; i++) {
        a->pins[i] = (Pin){.low = PIN_AFTER_RESET, .level = a->pins[i].level};
        irq_line_route(a->irq, i, false, 0, 0);
    }
    pthread_mutex_unlock(&a->lock);
}

int ioapic_new(Bus *bus, Irq *irq, Ioapic **ret, Err *err)
{
    Ioapic *a = calloc(1, sizeof *a);

    if (a == NULL)
        return err_set(err, ENOMEM, "out of memory");
    a->bus = bus;
    a->irq = irq;
    pthread_mutex_init(&a->lock, NULL);
    ioapic_reset(a);
    if (bus_add(bus, BUS_MMIO, IOAPIC_ADDRESS, SIZE, &registers, a, "IOAPIC", &a->range) < 0) {
        ioapic_free(a);
        return err_set(err, EEXIST, "the IOAPIC's place is taken");
    }
    irq_set_line_handler(irq, line_changed, a);
    *ret = a;
    return 0;
}

void ioapic_free(Ioapic *a)
{
    if (a == NULL)
        return;
    irq_set_line_handler(a->irq, NULL, NULL);
    bus_remove(a->bus, &a->range);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
