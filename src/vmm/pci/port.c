/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Root port: a PCI-to-PCI bridge (PCI-to-PCI Bridge 1.2, 3.2) with a PCI Express capability and one slot. And the bridge
 * from PCI Express to conventional PCI, which has the same registers and 32 slots. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/pci/pci_internal.h"

struct PciPort {
    PciDevice dev;
    PciBus bus;
    char name[64];
};

static void port_free(PciDevice *dev)
{
    PciPort *port = (PciPort *)dev;
    PciHost *host = port->bus.host;

    while (port->bus.devices != NULL) {
        PciDevice *below = port->bus.devices;

        pci_detach(below);
        if (below->ops->free)
            below->ops->free(below);
    }
    for (PciBus **at = &host->buses; *at != NULL; at = &(*at)->next) {
        if (*at == &port->bus) {
            *at = port->bus.next;
            break;
        }
    }
    free(port);
}

static const PciDeviceOps port_ops = {.free = port_free};

int pci_port_new(PciBus *bus, const char *name, int devfn, PciPortKind kind, uint16_t slot_number, PciPort **ret, Err *err)
{
    static const PciIds ids[] = {
        [PCI_PORT_ROOT] = {.vendor = 0x1b36, .device = 0x000c, .class_code = 0x060400},
        [PCI_PORT_BRIDGE] = {.vendor = 0x1b36, .device = 0x000e, .class_code = 0x060400},
    };
    PciHost *host = bus->host;
    PciPort *port = calloc(1, sizeof *port);
    uint8_t *w;
    int r;

    if (port == NULL)
        return err_set(err, ENOMEM, "out of memory");
    strncpy(port->name, name, sizeof port->name - 1);
    pci_device_init(&port->dev, &port_ops, port->name, &ids[kind]);
    /* Type 1 header: what an endpoint has as subsystem ids is upper halves of windows here. */
    port->dev.config[PCI_HEADER_TYPE] = 1;
    memset(port->dev.config + PCI_SUBSYSTEM_VENDOR, 0, 4);
    w = port->dev.wmask;
    memset(w + 0x18, 0xff, 3);
    w[PCI_IO_BASE] = w[PCI_IO_BASE + 1] = 0xf0;
    port->dev.config[PCI_IO_BASE] = port->dev.config[PCI_IO_BASE + 1] = 0x01;
    pci_put16(w + PCI_MEM_BASE, 0xfff0);
    pci_put16(w + PCI_MEM_BASE + 2, 0xfff0);
    pci_put16(w + PCI_PREF_BASE, 0xfff0);
    pci_put16(w + PCI_PREF_BASE + 2, 0xfff0);
    pci_put16(port->dev.config + PCI_PREF_BASE, 1);
    pci_put16(port->dev.config + PCI_PREF_BASE + 2, 1);
    pci_put32(w + PCI_PREF_BASE_UPPER, UINT32_MAX);
    pci_put32(w + PCI_PREF_LIMIT_UPPER, UINT32_MAX);
    pci_put16(w + PCI_BRIDGE_CONTROL, 0x0043);
    pci_add_express(&port->dev, kind == PCI_PORT_ROOT ? PCIE_ROOT_PORT : PCIE_TO_PCI, slot_number);
    port->bus.host = host;
    port->bus.bridge = &port->dev;
    port->bus.slots = kind == PCI_PORT_ROOT ? 1 : 32;
    r = pci_attach(bus, &port->dev, devfn, err);
    if (r < 0) {
        free(port);
        return r;
    }
    pci_host_lock(host);
    port->bus.next = host->buses->next;
    host->buses->next = &port->bus;
    pci_host_unlock(host);
    *ret = port;
    return 0;
}

PciBus *pci_bus_below(const PciDevice *dev)
{
    return dev->ops == &port_ops ? &((PciPort *)(uintptr_t)dev)->bus : NULL;
}

PciBus *pci_port_bus(PciPort *port)
{
    return &port->bus;
}

PciDevice *pci_port_self(PciPort *port)
{
    return &port->dev;
}
