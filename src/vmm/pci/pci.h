/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PCI Express as the guest sees it (PCI 3.0, chapter 6; PCIe 3.0, chapter 7): one host bridge with ECAM and
 * the old configuration ports, devices on bus 0, root ports with one slot each for hot plug. Knows nothing of
 * virtio.
 *
 *   config space of a function   config[]   what a read gives
 *                                            wmask[]    bits the guest may change
 *                                            w1c[]      bits the guest clears by writing 1
 *
 * Threads: configuration accesses come from vCPU threads, one at a time (PciHost's lock); ops run under that
 * lock. Devices are added before the VM runs, or on the main thread through a root port.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/bus.h"
#include "vmm/irq.h"

#define PCI_CONFIG_SIZE 256 /* the extended space reads as zero: no device here has extended capabilities */
#define PCI_BARS 6
#define PCI_SLOTS 32
#define PCI_DEVFN(slot, function) (((slot) << 3) | (function))

typedef struct PciHost PciHost;
typedef struct PciBus PciBus;
typedef struct PciDevice PciDevice;
typedef struct PciMsix PciMsix;

typedef struct PciDeviceOps {
    /* After the generic part changed config[offset .. offset + len); old: what it was. May be NULL. */
    void (*config_write)(PciDevice *dev, unsigned offset, unsigned len);
    /* Before a read: bring config[] up to date. May be NULL. */
    void (*config_read)(PciDevice *dev, unsigned offset, unsigned len);
    /* Under the host's lock, after a BAR appeared (mapped) or went: ioeventfds follow. May be NULL. */
    void (*bar_mapped)(PciDevice *dev, unsigned bar, bool mapped);
    /* Main thread, vCPUs stopped: device state as after power-on. May be NULL. */
    void (*reset)(PciDevice *dev);
    /* Main thread: the VM pauses (false; vCPUs stand still already) or goes on. Devices begin running. May be NULL. */
    void (*set_running)(PciDevice *dev, bool running);
    /* Unplugged and drained: free. Main thread. */
    void (*free)(PciDevice *dev);
} PciDeviceOps;

typedef struct PciBar {
    PciDevice *dev;
    uint64_t size; /* 0: not there */
    bool io, is64, prefetch;
    uint64_t address; /* where it is mapped now; valid while mapped */
    bool mapped;
    const BusOps *ops;
    void *opaque;
    BusRange range;
} PciBar;

struct PciDevice {
    const PciDeviceOps *ops;
    const char *name;
    PciBus *bus;
    uint8_t devfn;
    uint8_t config[PCI_CONFIG_SIZE], wmask[PCI_CONFIG_SIZE], w1c[PCI_CONFIG_SIZE];
    uint8_t reset_config[PCI_CONFIG_SIZE]; /* as it was attached */
    PciBar bars[PCI_BARS];
    PciMsix *msix;
    uint8_t cap_end; /* next free byte for a capability */
    uint8_t last_cap;
    PciDevice *next; /* on its bus */
};

typedef struct PciIds {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint8_t revision;
    uint32_t class_code; /* 24 bits */
} PciIds;

/* Fills the header of an endpoint; dev is zeroed memory. */
void pci_device_init(PciDevice *dev, const PciDeviceOps *ops, const char *name, const PciIds *ids);
/* Room for a capability of len bytes (with its two bytes of header); returns its offset or -ENOSPC. */
int pci_add_capability(PciDevice *dev, uint8_t id, uint8_t len);
/* A BAR: size a power of two, at least 16 (I/O) or 4096. Before pci_attach(). */
void pci_bar_init(PciDevice *dev, unsigned index, uint64_t size, bool io, bool is64, bool prefetch,
                  const BusOps *ops, void *opaque, const char *name);
void pci_device_reset(PciDevice *dev);

uint32_t pci_device_id(const PciDevice *dev); /* bus << 8 | devfn, for MSI routing */

uint16_t pci_get16(const uint8_t *p);
uint32_t pci_get32(const uint8_t *p);
void pci_put16(uint8_t *p, uint16_t v);
void pci_put32(uint8_t *p, uint32_t v);

/* --- the host bridge
 * ------------------------------------------------------------------------------------------ */

typedef struct PciHostLayout {
    uint64_t ecam_base; /* 1 MiB a bus */
    unsigned buses;
    uint64_t mmio32_base, mmio32_size;
    uint64_t mmio64_base, mmio64_size;
    uint16_t io_base;
    uint32_t io_size;
} PciHostLayout;

int pci_host_new(Bus *bus, const PciHostLayout *layout, PciHost **ret, Err *err);
void pci_host_free(PciHost *host);
const PciHostLayout *pci_host_layout(const PciHost *host);
PciBus *pci_host_root(PciHost *host);
/* devfn < 0: the first free slot. -EBUSY when taken. BARs get addresses at pci_host_assign(). */
int pci_attach(PciBus *bus, PciDevice *dev, int devfn, Err *err);
void pci_detach(PciDevice *dev); /* removes its ranges; the caller frees it */
const char *pci_bus_name(const PciBus *bus); /* "pcie.0", or the port's above it */
PciDevice *pci_find(PciHost *host, uint8_t bus, uint8_t devfn);
/* Gives every BAR and bridge window an address and bus numbers, as firmware would, and switches decoding on.
 */
int pci_host_assign(PciHost *host, Err *err);
void pci_host_reset(PciHost *host);
/* The host's lock, recursive; device ops already hold it. */
void pci_host_lock(PciHost *host);
void pci_host_unlock(PciHost *host);

/* --- root ports (PCIe 3.0, 7.8) and bridges to conventional PCI (PCIe to PCI/PCI-X Bridge 1.0) -------------------- */

/*
 * A root port is a bridge on bus 0 with one slot below. Hot plug is told to the guest by ACPI (boot/acpi.c, isa/acpi_hw.c),
 * which needs no registers here: the port only has its windows and its bus.
 */
typedef struct PciPort PciPort;

typedef enum PciPortKind { PCI_PORT_ROOT, PCI_PORT_BRIDGE } PciPortKind;

/* slot_number: of a root port; else 0. */
int pci_port_new(PciBus *bus, const char *name, int devfn, PciPortKind kind, uint16_t slot_number, PciPort **ret, Err *err);
PciBus *pci_port_bus(PciPort *port);
PciDevice *pci_port_self(PciPort *port);
