/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The IOAPIC of a machine with split interrupt controllers: registers, edges and levels, masks, ends, routes in KVM. */
#include "lib/fake_machine.h"
#include "lib/tap.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/machine_internal.h"

enum { PIN = 5, VECTOR = 0x41, LEVEL = 1 << 15, REMOTE_IRR = 1 << 14, MASKED = 1 << 16, LOGICAL = 1 << 11 };

static void write_register(Machine *m, unsigned index, uint32_t value)
{
    fake_store(m, IOAPIC_ADDRESS, index, 4);
    fake_store(m, IOAPIC_ADDRESS + 0x10, value, 4);
}

static uint32_t read_register(Machine *m, unsigned index)
{
    fake_store(m, IOAPIC_ADDRESS, index, 4);
    return (uint32_t)fake_load(m, IOAPIC_ADDRESS + 0x10, 4);
}

static uint32_t pin(Machine *m)
{
    return read_register(m, 0x10 + 2 * PIN);
}

static void set_pin(Machine *m, uint32_t value)
{
    write_register(m, 0x10 + 2 * PIN, value);
}

/* How many messages came since the last call. */
static unsigned messages(void)
{
    static unsigned seen;
    unsigned n = fake_kvm.messages - seen;

    seen = fake_kvm.messages;
    return n;
}

static void test_registers(Machine *m)
{
    ok(read_register(m, 1) == (0x11 | 23 << 16), "version 0x11, 24 pins");
    write_register(m, 0, 0xffffffff);
    ok(read_register(m, 0) == 0x0f000000, "id");
    ok(pin(m) == MASKED, "pins begin masked");
    set_pin(m, UINT32_MAX & ~(uint32_t)LEVEL);
    ok(pin(m) == (0x1afff & ~(uint32_t)LEVEL), "states cannot be written");
    write_register(m, 0x11 + 2 * PIN, UINT32_MAX);
    ok(read_register(m, 0x11 + 2 * PIN) == 0xff000000, "destination");
    ok(read_register(m, 0x40) == 0 && read_register(m, 0xff) == 0, "nothing behind the last pin");
    write_register(m, 0xff, 1);
}

static void test_edges(Machine *m)
{
    write_register(m, 0x11 + 2 * PIN, 2u << 24);
    set_pin(m, VECTOR);
    irq_line_set(m->irq, PIN, true);
    ok(messages() == 1 && fake_kvm.message.address_lo == (LAPIC_ADDRESS | 2 << 12) && fake_kvm.message.data == VECTOR,
       "an edge is a message");
    irq_line_set(m->irq, PIN, true);
    ok(messages() == 0, "a line that stays high is none");
    irq_line_set(m->irq, PIN, false);
    ok(messages() == 0, "nor is its end");
    set_pin(m, VECTOR | MASKED);
    irq_line_pulse(m->irq, PIN);
    ok(messages() == 0, "masked: nothing");
    set_pin(m, VECTOR | LOGICAL);
    ok(messages() == 1 && (fake_kvm.message.address_lo & 4), "it comes when unmasked, to a logical destination");
    ok(fake_kvm.routes[PIN].u.msi.data == VECTOR, "KVM has the route");
}

static void test_levels(Machine *m)
{
    set_pin(m, VECTOR | LEVEL);
    irq_line_set(m->irq, PIN, true);
    ok(messages() == 1 && (fake_kvm.message.data & LEVEL) && (pin(m) & REMOTE_IRR), "a level is a message");
    irq_line_set(m->irq, PIN, false);
    irq_line_set(m->irq, PIN, true);
    ok(messages() == 0, "one at a time");
    ioapic_end_of_interrupt(m->ioapic, VECTOR + 1);
    ok(messages() == 0, "the end of another one means nothing");
    ioapic_end_of_interrupt(m->ioapic, VECTOR);
    ok(messages() == 1, "ended while high: again");
    irq_line_set(m->irq, PIN, false);
    ioapic_end_of_interrupt(m->ioapic, VECTOR);
    ok(messages() == 0 && !(pin(m) & REMOTE_IRR), "ended while low: over");
}

int main(void)
{
    MachineDesc *desc;
    Err err = {0};
    Machine *m = fake_machine("{\"memory\": {\"size\": 16777216}, \"split-irqchip\": true}", &desc, &err);

    ok(m != NULL, "machine %s", err.text);
    if (m == NULL)
        return done();
    test_registers(m);
    test_edges(m);
    test_levels(m);
    set_pin(m, VECTOR);
    ok(machine_reset(m, false, &err) == 0 && pin(m) == MASKED, "a reset masks all");
    fake_machine_free(m, desc);
    return done();
}
