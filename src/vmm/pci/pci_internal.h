/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Insides of the PCI hierarchy, for the files of this folder only. */
#pragma once

#include <pthread.h>

#include "vmm/pci/pci.h"

/* Offsets in the header (PCI 3.0, 6.1; PCI-to-PCI Bridge 1.2, 3.2) */
enum {
    PCI_VENDOR = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS = 0x09,
    PCI_CACHE_LINE = 0x0c,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_PRIMARY_BUS = 0x18,
    PCI_SECONDARY_BUS = 0x19,
    PCI_SUBORDINATE_BUS = 0x1a,
    PCI_IO_BASE = 0x1c,
    PCI_MEM_BASE = 0x20,
    PCI_PREF_BASE = 0x24,
    PCI_PREF_BASE_UPPER = 0x28,
    PCI_PREF_LIMIT_UPPER = 0x2c,
    PCI_SUBSYSTEM_VENDOR = 0x2c,
    PCI_SUBSYSTEM = 0x2e,
    PCI_CAP_POINTER = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_BRIDGE_CONTROL = 0x3e,
};

enum { PCI_COMMAND_IO = 1, PCI_COMMAND_MEMORY = 2, PCI_COMMAND_MASTER = 4 };
enum { PCI_CAP_MSI = 0x05, PCI_CAP_VENDOR = 0x09, PCI_CAP_EXPRESS = 0x10, PCI_CAP_MSIX = 0x11 };
/* PCI Express device/port types (PCIe 3.0, 7.8.2) */
enum { PCIE_ENDPOINT = 0, PCIE_ROOT_PORT = 4, PCIE_TO_PCI = 7, PCIE_INTEGRATED_ENDPOINT = 9 };

struct PciBus {
    PciHost *host;
    PciDevice *bridge; /* the root port above; NULL for bus 0 */
    PciDevice *devices;
    unsigned slots;
    PciBus *next; /* all buses of the host */
};

struct PciHost {
    Bus *bus;
    PciHostLayout layout;
    pthread_mutex_t lock; /* recursive; all configuration accesses */
    PciBus root;
    PciBus *buses; /* &root first */
    uint32_t config_address; /* port 0xcf8 */
    BusRange ecam_range, address_range, data_range;
    PciDevice bridge_dev; /* the host bridge's own function, 00:00.0 */
};

uint8_t pci_bus_number(const PciBus *bus);
/* The bus below, when it is a bridge. */
PciBus *pci_bus_below(const PciDevice *dev);
/* PCI Express capability of the given type; slot number for root ports, 0 otherwise. */
void pci_add_express(PciDevice *dev, unsigned type, uint16_t slot_number);
/* Re-reads command and BARs of a device and moves its ranges. Under the lock. */
void pci_update_bars(PciDevice *dev);
