/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ACPI registers; everything under one lock, callbacks outside of it. */
#include "vmm/isa/acpi_hw.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/arch/x86_64/layout.h"

enum { EVENT_POWER = 1, EVENT_SLOTS = 2, EVENT_CPUS = 4 };
enum { PRESENT = 1, INSERTED = 2, REMOVAL = 4, EJECT = 8 };
enum { SLEEP_ENABLE = 0x20 };

struct AcpiHw {
    Bus *bus;
    Irq *irq;
    AcpiHwHost host;
    BusRange range;
    pthread_mutex_t lock;
    uint32_t events;
    uint32_t slot, cpu; /* selected */
    uint8_t slots[ACPI_SLOTS_MAX], cpus[ACPI_CPUS_MAX];
    AcpiReport reports[ACPI_CPUS_MAX];
};

static uint64_t hw_read(void *opaque, uint64_t offset, unsigned len)
{
    AcpiHw *hw = opaque;
    uint64_t value = 0;

    (void)len;
    pthread_mutex_lock(&hw->lock);
    switch (offset) {
    case 0x00:
        value = hw->events;
        hw->events = 0;
        break;
    case 0x14:
        value = hw->slot < ACPI_SLOTS_MAX ? hw->slots[hw->slot] : 0;
        break;
    case 0x24:
        value = hw->cpu < ACPI_CPUS_MAX ? hw->cpus[hw->cpu] : 0;
        break;
    default:
        break;
    }
    pthread_mutex_unlock(&hw->lock);
    return value;
}

static void hw_write(void *opaque, uint64_t offset, uint64_t value, unsigned len)
{
    AcpiHw *hw = opaque;
    bool power_off = false, reset = false;
    int slot = -1, cpu = -1, reported = -1;

    (void)len;
    pthread_mutex_lock(&hw->lock);
    switch (offset) {
    case 0x04:
        power_off = (value & SLEEP_ENABLE) && (value >> 2 & 7) == ACPI_SLEEP_S5;
        break;
    case 0x06:
        reset = value == 1;
        break;
    case 0x10:
        hw->slot = (uint32_t)value;
        break;
    case 0x14:
        if (hw->slot < ACPI_SLOTS_MAX) {
            hw->slots[hw->slot] &= (uint8_t) ~(value & (INSERTED | REMOVAL));
            if (value & EJECT)
                slot = (int)hw->slot;
        }
        break;
    case 0x20:
        hw->cpu = (uint32_t)value;
        break;
    case 0x24:
        if (hw->cpu < ACPI_CPUS_MAX) {
            hw->cpus[hw->cpu] &= (uint8_t) ~(value & (INSERTED | REMOVAL));
            if (value & EJECT)
                cpu = (int)hw->cpu;
        }
        break;
    case 0x28:
        if (hw->cpu < ACPI_CPUS_MAX)
            hw->reports[hw->cpu].source = (uint32_t)value;
        break;
    case 0x2c:
        if (hw->cpu < ACPI_CPUS_MAX) {
            hw->reports[hw->cpu].status = (uint32_t)value;
            reported = (int)hw->cpu;
        }
        break;
    default:
        break;
    }
    pthread_mutex_unlock(&hw->lock);
    if (power_off)
        hw->host.power_off(hw->host.opaque);
    if (reset)
        hw->host.reset(hw->host.opaque);
    if (slot >= 0)
        hw->host.slot_ejected(hw->host.opaque, (unsigned)slot);
    if (cpu >= 0)
        hw->host.cpu_ejected(hw->host.opaque, (unsigned)cpu);
    if (reported >= 0)
        hw->host.cpu_reported(hw->host.opaque, (unsigned)reported);
}

static const BusOps hw_ops = {.read = hw_read, .write = hw_write};

int acpi_hw_new(Bus *bus, Irq *irq, const AcpiHwHost *host, AcpiHw **ret, Err *err)
{
    AcpiHw *hw = calloc(1, sizeof *hw);

    if (hw == NULL)
        return err_set(err, ENOMEM, "out of memory");
    pthread_mutex_init(&hw->lock, NULL);
    hw->bus = bus;
    hw->irq = irq;
    hw->host = *host;
    if (bus_add(bus, BUS_PIO, ACPI_PORT, 0x40, &hw_ops, hw, "ACPI", &hw->range) < 0) {
        acpi_hw_free(hw);
        return err_set(err, EEXIST, "ACPI registers: ports are taken");
    }
    *ret = hw;
    return 0;
}

void acpi_hw_free(AcpiHw *hw)
{
    if (hw == NULL)
        return;
    bus_remove(hw->bus, &hw->range);
    pthread_mutex_destroy(&hw->lock);
    free(hw);
}

void acpi_hw_reset(AcpiHw *hw)
{
    pthread_mutex_lock(&hw->lock);
    hw->events = 0;
    hw->slot = hw->cpu = 0;
    for (unsigned i = 0; i < ACPI_SLOTS_MAX; i++)
        hw->slots[i] &= PRESENT;
    for (unsigned i = 0; i < ACPI_CPUS_MAX; i++)
        hw->cpus[i] &= PRESENT;
    memset(hw->reports, 0, sizeof hw->reports);
    pthread_mutex_unlock(&hw->lock);
}

static void notify(AcpiHw *hw, uint32_t event)
{
    pthread_mutex_lock(&hw->lock);
    hw->events |= event;
    pthread_mutex_unlock(&hw->lock);
    irq_line_pulse(hw->irq, ACPI_GED_GSI);
}

void acpi_hw_power_button(AcpiHw *hw)
{
    notify(hw, EVENT_POWER);
}

static void set(AcpiHw *hw, uint8_t *state, bool present, bool tell, uint32_t event)
{
    pthread_mutex_lock(&hw->lock);
    *state = present ? (uint8_t)(PRESENT | (tell ? INSERTED : 0)) : 0;
    pthread_mutex_unlock(&hw->lock);
    if (tell)
        notify(hw, event);
}

static void ask(AcpiHw *hw, uint8_t *state, uint32_t event)
{
    pthread_mutex_lock(&hw->lock);
    *state |= REMOVAL;
    pthread_mutex_unlock(&hw->lock);
    notify(hw, event);
}

void acpi_hw_set_slot(AcpiHw *hw, unsigned slot, bool present, bool tell)
{
    if (slot < ACPI_SLOTS_MAX)
        set(hw, &hw->slots[slot], present, tell, EVENT_SLOTS);
}

void acpi_hw_ask_slot_removal(AcpiHw *hw, unsigned slot)
{
    if (slot < ACPI_SLOTS_MAX)
        ask(hw, &hw->slots[slot], EVENT_SLOTS);
}

void acpi_hw_set_cpu(AcpiHw *hw, unsigned cpu, bool present, bool tell)
{
    if (cpu < ACPI_CPUS_MAX)
        set(hw, &hw->cpus[cpu], present, tell, EVENT_CPUS);
}

void acpi_hw_ask_cpu_removal(AcpiHw *hw, unsigned cpu)
{
    if (cpu < ACPI_CPUS_MAX)
        ask(hw, &hw->cpus[cpu], EVENT_CPUS);
}

AcpiReport acpi_hw_cpu_report(AcpiHw *hw, unsigned cpu)
{
    AcpiReport report = {0};

    pthread_mutex_lock(&hw->lock);
    if (cpu < ACPI_CPUS_MAX)
        report = hw->reports[cpu];
    pthread_mutex_unlock(&hw->lock);
    return report;
}
