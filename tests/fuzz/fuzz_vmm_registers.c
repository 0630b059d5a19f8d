/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every register a guest can reach on a machine with ports, a bridge, an rng on each bus, a watchdog and a serial port:
 * PCI configuration and MSI-X, virtio-pci, ACPI, IOAPIC, serial, RTC, keyboard controller, debug port, pvpanic. The
 * input is a list of accesses, 8 bytes each:  kind  select  offset(2)  value(4).
 */
#include <stdint.h>
#include <string.h>

#include "lib/fake_machine.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/machine_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char description[] =
    "{\"memory\": {\"size\": 4194304}, \"cpus\": {\"count\": 1, \"max\": 3}, \"on-panic\": \"reset\","
    " \"split-irqchip\": true,"
    " \"chardevs\": [{\"id\": \"c0\"}], \"serials\": [\"c0\"],"
    " \"ports\": [{\"id\": \"pci.1\", \"addr\": \"1.0\"}, {\"id\": \"pci.2\", \"addr\": \"2.0\"},"
    "             {\"id\": \"pci.3\", \"driver\": \"pcie-pci-bridge\", \"bus\": \"pci.2\"}],"
    " \"devices\": [{\"driver\": \"virtio-rng-pci\", \"id\": \"rng0\", \"bus\": \"pcie.0\"},"
    "               {\"driver\": \"virtio-rng-pci\", \"id\": \"rng1\", \"bus\": \"pci.1\"},"
    "               {\"driver\": \"i6300esb\", \"id\": \"watchdog0\", \"bus\": \"pci.3\"}]}";

enum { PIO, ECAM, BAR, RAM, RAW, TURN, CONTROLLER, KINDS };
enum { ACCESSES_MAX = 400 };

/* Where a device's registers are now, wherever the guest has moved them. */
static uint64_t bar_address(Machine *m, unsigned device)
{
    PciDevice *pci = device < m->device_count ? m->devices[device].pci : NULL;

    for (unsigned i = 0; pci != NULL && i < PCI_BARS; i++) {
        if (pci->bars[i].mapped)
            return pci->bars[i].address;
    }
    return PCI_MMIO32_BASE;
}

static void one(Machine *m, const uint8_t *d)
{
    unsigned len = 1u << (d[0] >> 4 & 3);
    bool write = d[0] & 0x80;
    uint16_t offset;
    uint32_t value;
    uint64_t address;

    memcpy(&offset, d + 2, 2);
    memcpy(&value, d + 4, 4);
    switch ((d[0] & 15) % KINDS) {
    case PIO:
        len = len > 4 ? 4 : len;
        if (write)
            fake_out(m, offset, value, len);
        else
            (void)fake_in(m, offset, len);
        return;
    case ECAM:
        address = PCI_ECAM_BASE + ((uint64_t)(d[1] >> 6) << 20) + ((d[1] & 0x3fu) << 12) + (offset & 0xfff);
        break;
    case BAR:
        address = bar_address(m, d[1] & 3) + (offset & 0x7fff);
        break;
    case RAM:
        (void)memory_write(m->memory, 0x10000 + offset, &value, 4);
        return;
    case CONTROLLER:
        address = IOAPIC_ADDRESS + (offset & 0x10);
        break;
    case RAW:
        address = (uint64_t)d[1] << 24 | offset;
        break;
    default:
        fake_settle(m);
        return;
    }
    if (write)
        fake_store(m, address, value, len);
    else
        (void)fake_load(m, address, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    MachineDesc *desc = NULL;
    Err err = {0};
    Machine *m = fake_machine(description, &desc, &err);

    if (m == NULL)
        __builtin_trap();
    for (size_t i = 0; i + 8 <= size && i < 8 * ACCESSES_MAX; i += 8)
        one(m, data + i);
    fake_settle(m);
    fake_machine_free(m, desc);
    return 0;
}
