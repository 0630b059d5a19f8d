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
    bool cpu_present[DESC_CPUS_MAX];
    AcpiConfig config = {
        .cpus = m->desc->cpus,
        .cpus_max = m->desc->cpus_max,
        .apic_ids = m->apic_ids,
        .cpu_present = cpu_present,
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
        .root_slots = m->root_slot_count,
        .slot_devfn = slot_devfn,
        .pvpanic = m->desc->pvpanic,
        .rtc = true,
    };
    uint8_t *tables;
    size_t len;
    int r;

    for (unsigned i = 0; i < m->vcpu_count; i++)
        cpu_present[i] = machine_cpu_plugged(m, i);
    for (unsigned i = 0; i < m->port_count; i++)
        slot_devfn[i] = m->ports[i].devfn;
    for (unsigned i = 0; i < m->root_slot_count; i++)
        slot_devfn[m->port_count + i] = PCI_DEVFN(m->root_slots[i], 0);
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

static int load_smbios(Machine *m, Err *err)
{
    const CpuTopology *t = &m->desc->topology;
    uint64_t total = memory_size(m->memory);
    SmbiosConfig config = {
        .uuid = m->desc->uuid,
        .oem_count = m->desc->smbios_oem_count,
        .low_memory = MIN(total, MEMORY_LOW_MAX),
        .high_memory = total - MIN(total, MEMORY_LOW_MAX),
        .sockets = t->sockets,
        .cores = t->dies * t->cores,
        .threads = t->threads,
        .cpus = m->desc->cpus,
    };
    uint8_t *tables;
    size_t len;
    int r;

    memcpy(config.texts, m->desc->smbios_texts, sizeof config.texts);
    memcpy(config.oem, m->desc->smbios_oem, sizeof config.oem);
    r = smbios_build(&config, SMBIOS_ADDRESS, SMBIOS_END - SMBIOS_ADDRESS, &tables, &len, err);
    if (r < 0)
        return r;
    r = memory_write(m->memory, SMBIOS_ADDRESS, tables, len);
    free(tables);
    return r < 0 ? err_set(err, ENOSPC, "guest memory is too small for the SMBIOS tables") : 0;
}

/*
 * Linux with hardware-reduced ACPI takes it for an EFI machine and reboots by EFI, which is not there, and then the BIOS's
 * way: a jump to f000:fff0 in real mode (arch/x86/kernel/reboot.c). What lies there uses our reset register.
 */
static int load_reset_vector(Machine *m, Err *err)
{
    static const uint8_t code[] = {
        0xba, (ACPI_PORT + 6) & 0xff, (ACPI_PORT + 6) >> 8, /* mov dx, reset register */
        0xb0, 0x01, /* mov al, 1 */
        0xee, /* out dx, al */
        0xf4, /* hlt */
        0xeb, 0xfd, /* jmp back to it */
    };

    if (memory_write(m->memory, RESET_VECTOR, code, sizeof code) < 0)
        return err_set(err, ENOSPC, "guest memory is too small for the reset vector");
    return 0;
}

int machine_load_boot(Machine *m, Err *err)
{
    BootEntry entry;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    int r;

    if ((r = load_acpi(m, err)) < 0 || (r = load_smbios(m, err)) < 0 ||
        (r = load_reset_vector(m, err)) < 0 ||
        (r = linux_load(&m->kernel, m->memory, ACPI_ADDRESS, &entry, err)) < 0 ||
        (r = vcpu_get_reset_sregs(m->vcpus[0], &sregs, err)) < 0 ||
        (r = regs_boot(&entry, m->memory, &regs, &sregs, err)) < 0)
        return r;
    return vcpu_set_boot(m->vcpus[0], &regs, &sregs, err);
}
