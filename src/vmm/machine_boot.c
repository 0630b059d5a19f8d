/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What firmware would leave behind: ACPI tables, the kernel in memory, the boot CPU at its entry. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/machine_internal.h"

static int load_acpi(Machine *m, Err *err)
{
    const PciHostLayout *pci = pci_host_layout(m->pci);
    uint8_t slot_devfn[ACPI_SLOTS_MAX];
    AcpiConfig config = {
        .cpus = m->desc->cpus,
        .cpus_max = m->desc->cpus_max,
        .apic_ids = m->apic_ids,
        .cpu_nodes = m->desc->cpu_node,
        .nodes = m->desc->nodes,
        .ecam_base = pci->ecam_base,
        .buses = pci->buses,
        .mmio32_base = pci->mmio32_base,
        .mmio32_size = pci->mmio32_size,
        .mmio64_base = pci->mmio64_base,
        .mmio64_size = pci->mmio64_size,
        .io_base = pci->io_base,
        .io_size = pci->io_size,
        .slots = m->port_count,
        .slot_devfn = slot_devfn,
        .pvpanic = m->desc->pvpanic,
        .rtc = true,
    };
    uint8_t *tables;
    size_t len;
    int r;

    for (unsigned i = 0; i < m->port_count; i++)
        slot_devfn[i] = m->ports[i].devfn;
    for (unsigned i = 0; i < SERIAL_PORTS; i++)
        config.serial_mask |= m->serials[i] ? 1u << i : 0;
    memcpy(config.node, m->desc->node, sizeof config.node);
    memcpy(config.distance, m->desc->distance, sizeof config.distance);
    if (m->desc->memory.high_reserve > 0) {
        config.growth_base = memory_high_end(m->memory);
        config.growth_size = m->desc->memory.high_reserve;
    }
    if (config.growth_size > 0 && config.nodes == 0) {
        /* Memory to come is told by a table of nodes: then there is one. */
        config.nodes = 1;
        config.node[0].memory[0][1] = MIN(memory_size(m->memory), MEMORY_LOW_MAX);
        config.node[0].memory[1][0] = MEMORY_HIGH_BASE;
        config.node[0].memory[1][1] = memory_high_end(m->memory) - MEMORY_HIGH_BASE;
    }
    r = acpi_build(&config, ACPI_ADDRESS, &tables, &len, err);
    if (r < 0)
        return r;
    if (len > ACPI_END - ACPI_ADDRESS || memory_write(m->memory, ACPI_ADDRESS, tables, len) < 0)
        r = err_set(err, ENOSPC, "the ACPI tables of %zu bytes do not fit below 1 MiB", len);
    free(tables);
    return r;
}

int machine_load_boot(Machine *m, Err *err)
{
    BootEntry entry;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    int r;

    if ((r = load_acpi(m, err)) < 0 ||
        (r = linux_load(&m->kernel, m->memory, ACPI_ADDRESS, &entry, err)) < 0 ||
        (r = vcpu_get_reset_sregs(m->vcpus[0], &sregs, err)) < 0 ||
        (r = regs_boot(&entry, m->memory, &regs, &sregs, err)) < 0)
        return r;
    return vcpu_set_boot(m->vcpus[0], &regs, &sregs, err);
}
