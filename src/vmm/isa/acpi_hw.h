/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registers behind our ACPI tables (boot/acpi.c): sleep and reset (ACPI 6.4, 4.8.3.7, 4.8.3.6), the
 * events of the Generic Event Device (5.6.9), and hot plug of PCI slots and CPUs.
 *
 *   port 0x600  u32 r   events since the last read: bit 0 power button, 1 PCI slots, 2 CPUs
 *        0x604  u8  rw  sleep control     0x605 u8 sleep status     0x606 u8 w  1: reset
 *        0x610  u32 w   slot select       0x614 u32 slot: r bit 0 present, 1 inserted, 2 removal asked;
 *                                                     w bit 1, 2 seen, bit 3 eject
 *        0x620  u32 w   CPU select        0x624 u32 CPU: the same
 *        0x628  u32 w   _OST's source event (6.3.5) of that CPU      0x62c u32 w its status code, which reports both
 */
#pragma once

#include <stdbool.h>

#include "common/err.h"
#include "vmm/bus.h"
#include "vmm/irq.h"

#define ACPI_SLOTS_MAX 128
#define ACPI_CPUS_MAX 256
#define ACPI_SLEEP_S5 5

typedef struct AcpiHwHost {
    /* vCPU threads. */
    void (*power_off)(void *opaque);
    void (*reset)(void *opaque);
    void (*slot_ejected)(void *opaque, unsigned slot);
    void (*cpu_ejected)(void *opaque, unsigned cpu);
    void (*cpu_reported)(void *opaque, unsigned cpu); /* acpi_hw_cpu_report() has what */
    void *opaque;
} AcpiHwHost;

/* What the guest's _OST said last of a CPU (6.3.5): the notification it is about (or 0x103, 0x200: of its own accord),
 * and how that went (0: well; 0x80 and more by source). */
typedef struct AcpiReport {
    uint32_t source, status;
} AcpiReport;

typedef struct AcpiHw AcpiHw;

int acpi_hw_new(Bus *bus, Irq *irq, const AcpiHwHost *host, AcpiHw **ret, Err *err);
void acpi_hw_free(AcpiHw *hw);
void acpi_hw_reset(AcpiHw *hw);
/* Any thread. */
void acpi_hw_power_button(AcpiHw *hw);
void acpi_hw_set_slot(AcpiHw *hw, unsigned slot, bool present, bool notify);
void acpi_hw_ask_slot_removal(AcpiHw *hw, unsigned slot);
void acpi_hw_set_cpu(AcpiHw *hw, unsigned cpu, bool present, bool notify);
void acpi_hw_ask_cpu_removal(AcpiHw *hw, unsigned cpu);
AcpiReport acpi_hw_cpu_report(AcpiHw *hw, unsigned cpu);
