/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PCI as the guest sees it: identification, BAR sizing and moving, MSI-X masking and pending bits, ports; and virtio-pci's
 * registers with the rng behind them. */
#include <string.h>
#include <unistd.h>

#include "lib/fake_machine.h"
#include "lib/tap.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/machine_internal.h"
#include "vmm/pci/msix.h"

static const char description[] =
    "{\"memory\": {\"size\": 16777216}, \"cpus\": {\"count\": 2},"
    " \"ports\": [{\"id\": \"pci.1\", \"addr\": \"2.0\"}, {\"id\": \"pci.2\", \"addr\": \"2.1\"}],"
    " \"devices\": [{\"driver\": \"virtio-rng-pci\", \"id\": \"rng0\", \"bus\": \"pcie.0\", \"addr\": \"1\"},"
    "               {\"driver\": \"virtio-rng-pci\", \"id\": \"rng1\", \"bus\": \"pci.2\"}]}";

#define MSI_ADDRESS 0xfee01000ull

static uint64_t at(unsigned bus, unsigned devfn, unsigned offset)
{
    return PCI_ECAM_BASE + ((uint64_t)bus << 20) + (devfn << 12) + offset;
}

static unsigned find_cap(Machine *m, unsigned devfn, uint8_t id)
{
    unsigned cap = (unsigned)fake_load(m, at(0, devfn, 0x34), 1);

    for (int i = 0; cap != 0 && i < 48; i++) {
        if (fake_load(m, at(0, devfn, cap), 1) == id)
            return cap;
        cap = (unsigned)fake_load(m, at(0, devfn, cap + 1), 1);
    }
    return 0;
}

static void test_identification(Machine *m)
{
    ok(fake_load(m, at(0, 8, 0), 4) == 0x10441af4, "the rng is a modern virtio device");
    ok(fake_load(m, at(0, 0x18, 0), 4) == 0xffffffff, "an empty slot reads as all ones");
    ok(fake_load(m, at(9, 0, 0), 4) == 0xffffffff, "so does a bus that is not there");
    ok((fake_load(m, at(0, 0x10, 0x0e), 1) & 0x80) != 0,
       "the first of two functions says that there are more");
    ok(fake_load(m, at(0, 8, 0x100), 4) == 0, "no extended capabilities");
    fake_out(m, 0xcf8, 0x80000800, 4);
    ok(fake_in(m, 0xcf8, 4) == 0x80000800 && fake_in(m, 0xcfc, 4) == 0x10441af4,
       "the old ports show the same");
    ok(fake_in(m, 0xcfe, 2) == 0x1044, "also a part of it");
    fake_out(m, 0xcf8, 0, 4);
    ok(fake_in(m, 0xcfc, 4) == 0xffffffff, "and nothing while they are not enabled");
    fake_store(m, at(0, 8, 0), 0x12345678, 4);
    fake_store(m, at(0, 8, 0x2c), 0, 4);
    ok(fake_load(m, at(0, 8, 0), 4) == 0x10441af4 && fake_load(m, at(0, 8, 0x2c), 4) == 0x11001af4,
       "identification cannot be written");
    ok(find_cap(m, 8, 0x11) && find_cap(m, 8, 0x10) && find_cap(m, 8, 9) && !find_cap(m, 8, 5),
       "capabilities");
}

static void test_bars(Machine *m)
{
    uint64_t was = fake_load(m, at(0, 8, 0x10), 4), moved = was + 0x10000;

    ok(was >= PCI_MMIO32_BASE && was % 0x8000 == 0 && (fake_load(m, at(0, 8, 4), 2) & 2),
       "BAR 0 is placed and decoded");
    ok(fake_load(m, was + 0x12, 2) == 1, "its registers answer");
    fake_store(m, at(0, 8, 4), 0, 2);
    fake_store(m, at(0, 8, 0x10), 0xffffffff, 4);
    ok(fake_load(m, at(0, 8, 0x10), 4) == 0xffff8000, "sizing: 32 KiB of 32-bit memory");
    for (unsigned i = 1; i < 6; i++) {
        fake_store(m, at(0, 8, 0x10 + 4 * i), 0xffffffff, 4);
        if (fake_load(m, at(0, 8, 0x10 + 4 * i), 4) != 0)
            ok(false, "BAR %u is not there", i);
    }
    fake_store(m, at(0, 8, 0x30), 0xfffff800, 4);
    ok(fake_load(m, at(0, 8, 0x30), 4) == 0, "no other BARs, no ROM");
    ok(fake_load(m, was + 0x12, 2) == 0xffff, "without decoding the place is empty");
    fake_store(m, at(0, 8, 0x10), moved, 4);
    fake_store(m, at(0, 8, 4), 6, 2);
    ok(fake_load(m, moved + 0x12, 2) == 1 && fake_load(m, was + 0x12, 2) == 0xffff, "it moves");
    fake_store(m, at(0, 8, 0x10), 0x1000, 4); /* over RAM */
    ok(fake_load(m, 0x1012, 2) == 0xffff, "but not out of the windows");
    fake_store(m, at(0, 8, 0x10), IOAPIC_ADDRESS, 4);
    fake_store(m, at(0, 8, 0x10), fake_load(m, at(0, 0x11, 0x20), 2) << 16 & 0xfff00000, 4);
    fake_store(m, at(0, 8, 0x10), was, 4);
    ok(fake_load(m, was + 0x12, 2) == 1, "and back");
}

static void test_msix(Machine *m)
{
    unsigned cap = find_cap(m, 8, 0x11);
    uint64_t bar = fake_load(m, at(0, 8, 0x10), 4), table = bar + (fake_load(m, at(0, 8, cap + 4),
        4) & ~7ull),
             pba = bar + (fake_load(m, at(0, 8, cap + 8), 4) & ~7ull);
    PciDevice *pci = virtio_pci_device(m->devices[0].transport);
    int gsi;

    ok((fake_load(m, at(0, 8, cap + 2), 2) & 0x7ff) == 1,
       "MSI-X: two vectors, for the queue and the configuration");
    ok(fake_load(m, table + 12, 4) == 1 && fake_load(m, table + 28, 4) == 1, "masked after reset");
    fake_store(m, table, MSI_ADDRESS, 4);
    fake_store(m, table + 4, 0, 4);
    fake_store(m, table + 8, 0x41, 4);
    pci_msix_raise(pci->msix, 0);
    ok(fake_load(m, pba, 8) == 1, "raised while masked: pending");
    fake_store(m, table + 12, 0, 4);
    ok(fake_kvm_gsi_of(MSI_ADDRESS, 0x41) < 0, "unmasking alone routes nothing while MSI-X is off");
    fake_store(m, at(0, 8, cap + 2), 0x8000, 2);
    gsi = fake_kvm_gsi_of(MSI_ADDRESS, 0x41);
    ok(gsi >= 24 && fake_kvm.irqfds[gsi] == pci_msix_fd(pci->msix, 0), "enabled: GSI %d has its descriptor",
       gsi);
    ok(fake_load(m, pba, 8) == 0, "and nothing is pending: KVM takes what is in it");
    fake_store(m, at(0, 8, cap + 2), 0xc000, 2);
    ok(fake_kvm.irqfds[gsi] == -1, "masked as a whole: detached");
    fake_store(m, at(0, 8, cap + 2), 0x8000, 2);
    fake_store(m, table + 8, 0x42, 4);
    ok(fake_kvm_gsi_of(MSI_ADDRESS, 0x42) == gsi && fake_kvm_gsi_of(MSI_ADDRESS, 0x41) < 0,
       "a new vector number is routed");
    fake_store(m, at(0, 8, cap + 2), 0xc000, 2);
    fake_store(m, table + 8, 0x43, 4);
    fake_store(m, at(0, 8, cap + 2), 0x8000, 2);
    ok(fake_kvm_gsi_of(MSI_ADDRESS, 0x43) == gsi && fake_kvm_gsi_of(MSI_ADDRESS, 0x42) < 0,
       "also one that was written while all were masked");
    fake_store(m, table + 12, 1, 4);
    fake_store(m, table + 8, 0x44, 4);
    fake_store(m, table + 12, 1, 4);
    fake_store(m, table + 12, 0, 4);
    ok(fake_kvm_gsi_of(MSI_ADDRESS, 0x44) == gsi && fake_kvm_gsi_of(MSI_ADDRESS, 0x43) < 0,
       "and one that was masked once more before it was unmasked");
    fake_store(m, table + 12, 0xffffffff, 4);
    ok(fake_load(m, table + 12, 4) == 1 && fake_kvm.irqfds[gsi] == -1,
       "reserved bits of the control word stay 0");
    fake_store(m, table + 1, 0xff, 1);
    fake_store(m, table + 2, 0xffff, 2);
    ok(fake_load(m, table, 4) == MSI_ADDRESS, "parts of a field cannot be written");
    fake_store(m, table + 32, 0xffffffff, 4);
    ok(fake_load(m, table + 32, 8) == 0, "behind the table there is nothing");
    fake_store(m, pba, 0xffffffff, 4);
    ok(fake_load(m, pba, 4) <= 3, "pending bits cannot be written");
}

static void test_rng(Machine *m)
{
    uint64_t bar = fake_load(m, at(0, 8, 0x10), 4), desc = 0x10000, avail = 0x11000, used = 0x12000,
        buffer = 0x13000;
    struct {
        uint64_t address;
        uint32_t len;
        uint16_t flags, next;
    } d = {.address = buffer, .len = 64, .flags = 2};
    uint16_t ring[5] = {0, 1};
    uint8_t bytes[128] = {0}, zero[64] = {0};
    uint16_t done_index = 0;

    fake_store(m, bar + 0x14, 0, 1);
    fake_store(m, bar + 0x14, 3, 1);
    fake_store(m, bar + 0x08, 0, 4);
    fake_store(m, bar + 0x0c, 1u << 5, 4); /* never offered */
    fake_store(m, bar + 0x14, 0x0b, 1);
    ok(!(fake_load(m, bar + 0x14, 1) & 8), "features that were not offered are refused");
    fake_store(m, bar + 0x0c, 0, 4);
    fake_store(m, bar + 0x14, 0x0b, 1);
    ok(!(fake_load(m, bar + 0x14, 1) & 8), "a legacy driver is refused");
    fake_store(m, bar + 0x08, 1, 4);
    fake_store(m, bar + 0x0c, 1, 4);
    fake_store(m, bar + 0x14, 0x0b, 1);
    ok(fake_load(m, bar + 0x14, 1) & 8, "VERSION_1 is taken");
    fake_store(m, bar + 0x16, 7, 2);
    ok(fake_load(m, bar + 0x18, 2) == 0, "a queue that does not exist has size 0");
    fake_store(m, bar + 0x1c, 1, 2);
    fake_store(m, bar + 0x16, 0, 2);
    fake_store(m, bar + 0x18, 3, 2);
    ok(fake_load(m, bar + 0x18, 2) != 3, "a size that is no power of two is not taken");
    fake_store(m, bar + 0x18, 8, 2);
    fake_store(m, bar + 0x20, desc, 8);
    fake_store(m, bar + 0x28, avail, 4);
    fake_store(m, bar + 0x30, used, 4);
    fake_store(m, bar + 0x1a, 99, 2);
    ok(fake_load(m, bar + 0x1a, 2) == 0xffff, "a vector that does not exist is not taken");
    fake_store(m, bar + 0x1c, 1, 2);
    memory_write(m->memory, desc, &d, sizeof d);
    memory_write(m->memory, avail, ring, sizeof ring);
    fake_store(m, bar + 0x14, 0x0f, 1);
    fake_store(m, bar + 0x3000, 0, 2);
    fake_settle(m);
    memory_read(m->memory, buffer, bytes, sizeof bytes);
    memory_read(m->memory, used + 2, &done_index, 2);
    ok(done_index == 1 && memcmp(bytes, zero, 64) != 0 && memcmp(bytes + 64, zero, 64) == 0,
       "the rng fills a buffer");
    ok(fake_load(m, bar + 0x1000, 1) == 1 && fake_load(m, bar + 0x1000, 1) == 0, "ISR reads once");
    fake_store(m, at(0, 8, 4), 0x0002, 2); /* memory, no bus master */
    ring[1] = 2;
    memory_write(m->memory, avail, ring, sizeof ring);
    fake_store(m, bar + 0x3000, 0, 2);
    fake_settle(m);
    memory_read(m->memory, used + 2, &done_index, 2);
    ok(done_index == 1, "a device that is no bus master leaves the guest's memory alone");
    fake_store(m, at(0, 8, 4), 0x0006, 2);
    fake_settle(m);
    memory_read(m->memory, used + 2, &done_index, 2);
    ok(done_index == 2, "and goes on when it is one again");
    d.address = 1ull << 40; /* outside of memory */
    memory_write(m->memory, desc, &d, sizeof d);
    ring[1] = 3;
    memory_write(m->memory, avail, ring, sizeof ring);
    fake_store(m, bar + 0x3000, 0, 2);
    fake_settle(m);
    ok(fake_load(m, bar + 0x14, 1) & 0x40, "a buffer outside of memory: the device needs a reset");
    fake_store(m, bar + 0x14, 0, 1);
    ok(fake_load(m, bar + 0x14, 1) == 0, "and gets it");
}

static void test_ports(Machine *m)
{
    unsigned bus = (unsigned)fake_load(m, at(0, 0x11, 0x19), 1);
    uint64_t window = fake_load(m, at(0, 0x11, 0x20), 2) << 16, bar;

    ok((fake_load(m, at(0, 0x11, 0x0e), 1) & 0x7f) == 1 && bus == 2, "the second port leads to bus %u", bus);
    ok(fake_load(m, at(bus, 0, 0), 4) == 0x10441af4, "where the other rng is");
    bar = fake_load(m, at(bus, 0, 0x10), 4);
    ok(bar >= window && bar < window + (2 << 20) && fake_load(m, bar + 0x12, 2) == 1,
       "inside the port's window");
    ok(fake_load(m, at(1, 0, 0), 4) == 0xffffffff, "the first port's slot is empty");
    fake_store(m, at(0, 0x11, 0x19), 5, 1);
    ok(fake_load(m, at(bus, 0, 0), 4) == 0xffffffff && fake_load(m, at(5, 0, 0), 4) == 0x10441af4,
       "buses are renumbered");
    fake_store(m, at(0, 0x11, 0x19), bus, 1);
}

static void test_hotplug(Machine *m)
{
    Err err = {0};
    json_t *add = json_pack("{s:s, s:s, s:s}", "driver", "virtio-rng-pci", "id", "hot", "bus", "pci.1");
    unsigned pulses = fake_kvm.line_edges[ACPI_GED_GSI];

    ok(machine_device_add(m, add, &err) == 0 && fake_kvm.line_edges[ACPI_GED_GSI] == pulses + 1,
       "device_add tells the guest");
    ok(fake_in(m, ACPI_PORT, 4) == 2 && fake_in(m, ACPI_PORT, 4) == 0, "event: slots, once");
    fake_out(m, ACPI_PORT + 0x10, 0, 4);
    ok(fake_in(m, ACPI_PORT + 0x14, 4) == 3, "slot 0: present and new");
    fake_out(m, ACPI_PORT + 0x14, 2, 4);
    ok(fake_in(m, ACPI_PORT + 0x14, 4) == 1, "seen");
    ok(fake_load(m, at(1, 0, 0), 4) == 0x10441af4, "the function is there");
    ok(machine_device_add(m, add, &err) < 0, "the same id again: %s", err.text);
    ok(machine_device_del(m, "hot", &err) == 0 && fake_in(m, ACPI_PORT, 4) == 2 && fake_in(m,
       ACPI_PORT + 0x14, 4) == 5,
       "device_del asks the guest");
    fake_out(m, ACPI_PORT + 0x14, 4, 4);
    fake_out(m, ACPI_PORT + 0x14, 8, 4);
    fake_settle(m);
    ok(machine_device(m, "hot") == NULL && fake_load(m, at(1, 0, 0), 4) == 0xffffffff && fake_in(m,
       ACPI_PORT + 0x14, 4) == 0,
       "ejected: it is gone");
    fake_out(m, ACPI_PORT + 0x10, 0xffffffff, 4);
    fake_out(m, ACPI_PORT + 0x14, 0xffffffff, 4);
    fake_out(m, ACPI_PORT + 0x20, 0xffffffff, 4);
    fake_out(m, ACPI_PORT + 0x24, 0xffffffff, 4);
    ok(fake_in(m, ACPI_PORT + 0x14, 4) == 0, "slots that do not exist are nothing");
    json_decref(add);
}

/* An i440fx by name: its root bus takes hot plugs. Its slots follow the ports'. */
static void test_root_hotplug(void)
{
    static const char text[] =
        "{\"memory\": {\"size\": 16777216}, \"root-hotplug\": true,"
        " \"ports\": [{\"id\": \"pci.1\", \"addr\": \"2.0\"}],"
        " \"devices\": [{\"driver\": \"virtio-rng-pci\", \"id\": \"cold\", \"bus\": \"pcie.0\", \"addr\": \"1\"}]}";
    MachineDesc *desc = NULL;
    Err err = {0};
    Machine *m = fake_machine(text, &desc, &err);
    json_t *add = json_pack("{s:s, s:s, s:s, s:s}", "driver", "virtio-rng-pci", "id", "hot", "bus", "pcie.0", "addr", "5");
    unsigned pulses = fake_kvm.line_edges[ACPI_GED_GSI];

    ok(m != NULL, "a machine whose root bus takes hot plugs %s", err.text);
    ok(m->root_slot_count == 30, "31 places, of which a port has one");
    ok(machine_device_add(m, add, &err) == 0 && fake_kvm.line_edges[ACPI_GED_GSI] == pulses + 1, "device_add there %s",
       err.text);
    fake_out(m, ACPI_PORT + 0x10, 4, 4); /* 1, 3, 4, 5 behind the port's */
    ok(fake_in(m, ACPI_PORT, 4) == 2 && fake_in(m, ACPI_PORT + 0x14, 4) == 3, "its place: present and new");
    ok(fake_load(m, at(0, 5 << 3, 0), 4) == 0x10441af4, "the function is there");
    fake_out(m, ACPI_PORT + 0x14, 2, 4);
    ok(machine_device_del(m, "hot", &err) == 0 && fake_in(m, ACPI_PORT + 0x14, 4) == 5, "device_del asks the guest");
    fake_out(m, ACPI_PORT + 0x14, 8, 4);
    fake_settle(m);
    ok(machine_device(m, "hot") == NULL && fake_load(m, at(0, 5 << 3, 0), 4) == 0xffffffff, "ejected: it is gone");
    fake_out(m, ACPI_PORT + 0x10, 1, 4);
    ok(fake_in(m, ACPI_PORT + 0x14, 4) == 1 && machine_device_del(m, "cold", &err) == 0,
       "what was there at the start can go");
    fake_out(m, ACPI_PORT + 0x14, 8, 4);
    fake_settle(m);
    ok(machine_device(m, "cold") == NULL && machine_device(m, "hot") == NULL, "too");
    json_decref(add);
    fake_machine_free(m, desc);
}

int main(void)
{
    MachineDesc *desc = NULL;
    Err err = {0};
    Machine *m = fake_machine(description, &desc, &err);

    ok(m != NULL, "a machine with two ports and two rngs %s", err.text);
    if (m == NULL)
        return done();
    test_identification(m);
    test_bars(m);
    test_msix(m);
    test_rng(m);
    test_ports(m);
    test_hotplug(m);
    ok(machine_reset(m, false, &err) == 0, "reset");
    ok(fake_load(m, fake_load(m, at(0, 8, 0x10), 4) + 0x14, 1) == 0,
       "after which devices are as at the start");
    fake_machine_free(m, desc);
    test_root_hotplug();
    return done();
}
