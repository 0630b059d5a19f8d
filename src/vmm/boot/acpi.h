/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ACPI tables of the machine (ACPI 6.4; PCI Firmware 3.3 for MCFG and _OSC): hardware-reduced, with a Generic
 * Event Device for power button and hot plug. Pure: what is described goes in, bytes come out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define ACPI_NODES_MAX 16

typedef struct AcpiNode {
    uint64_t memory[4][2]; /* base, size; size 0 ends the list */
} AcpiNode;

typedef struct AcpiConfig {
    unsigned cpus, cpus_max; /* present at boot; ever */
    const uint32_t *apic_ids; /* cpus_max */
    const bool *cpu_present; /* cpus_max; NULL: the first cpus. Which ones the MADT enables */
    const uint8_t *cpu_nodes; /* cpus_max; NULL without NUMA */
    unsigned nodes; /* 0: no SRAT */
    AcpiNode node[ACPI_NODES_MAX];
    uint8_t distance[ACPI_NODES_MAX][ACPI_NODES_MAX]; /* 0: 10 on the diagonal, 20 elsewhere */
    uint64_t growth_base, growth_size; /* memory that may appear (virtio-mem), of the last node; size 0: none */
    uint64_t ecam_base;
    unsigned buses;
    uint64_t mmio32_base, mmio32_size, mmio64_base, mmio64_size;
    uint16_t io_base;
    uint32_t io_size;
    unsigned slots; /* hot-plug slots; slot i is device 0 below the port slot_devfn[i] */
    unsigned root_slots; /* those that follow: slot_devfn[i] on the root bus itself */
    const uint8_t *slot_devfn; /* slots + root_slots */
    unsigned serial_mask; /* bit i: COM(i+1) is there */
    bool pvpanic, rtc;
} AcpiConfig;

/* All tables at guest-physical address, RSDP first. free() *ret. */
int acpi_build(const AcpiConfig *config, uint64_t address, uint8_t **ret, size_t *ret_len, Err *err);
