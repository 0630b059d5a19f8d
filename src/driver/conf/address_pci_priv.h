/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared by address_pci*.c: the buses of a definition while its PCI addresses are given. Nobody else includes this.
 * Functions that return gboolean set VIR_ERR_XML_ERROR where the XML is at fault, else VIR_ERR_INTERNAL_ERROR.
 */
#pragma once

#include "driver/conf/address.h"
#include "driver/conf/def_controller.h"

#define PCI_SLOTS 32
#define PCI_BUSES_MAX 256

/* What wants to be plugged in, and what a bus can hold. */
typedef enum {
    PLUG_PCI = 1 << 0,
    PLUG_PCIE = 1 << 1,
    PLUG_ROOT_PORT = 1 << 2,
    PLUG_UPSTREAM_PORT = 1 << 3,
    PLUG_DOWNSTREAM_PORT = 1 << 4,
    PLUG_DMI_BRIDGE = 1 << 5,
    PLUG_PCIE_TO_PCI = 1 << 6,
    PLUG_PCI_BRIDGE = 1 << 7,
    PLUG_PCI_EXPANDER = 1 << 8,
    PLUG_PCIE_EXPANDER = 1 << 9,
    PLUG_TYPES = (1 << 10) - 1,
    PLUG_AUTO = 1 << 10, /* of a bus: may be chosen by us; of a device: wants such a bus */
    PLUG_AGGREGATE = 1 << 11, /* device: may share a slot */
    PLUG_INTEGRATED = 1 << 12 /* device: on the root bus only */
} PciPlug;

typedef struct PciSlot {
    guint8 functions; /* bit a function in use */
    gboolean aggregate;
} PciSlot;

typedef struct PciBus {
    gboolean known;
    PciModel model;
    guint can_hold;
    guint min_slot, max_slot;
    PciSlot slot[PCI_SLOTS];
} PciBus;

typedef struct PciBuses {
    DomainDef *def;
    const DomainDefEnv *env;
    GArray *bus; /* Bus */
    gboolean may_grow;
    gboolean pcie; /* the root bus is pcie-root */
} PciBuses;

/* --- address_pci_bus.c --- */
PciBus *pci_bus_at(const PciBuses *buses, guint i);
/* What the bus can hold from now on. */
void pci_bus_set_model(PciBus *bus, PciModel model);
/* How dev plugs in; 0: it is no PCI device. */
guint pci_plug_of(const PciBuses *buses, const DeviceInfo *dev);
gboolean pci_slot_is_used(const PciBuses *buses, guint bus, guint slot);
/* Takes a place, checked against what its bus can hold (plug 0: unchecked). from_xml: the user chose it, which allows
 * more. */
gboolean pci_reserve(PciBuses *buses, const PciAddress *address, guint plug, gboolean from_xml, GError **error);
/* The first free place; function -1: 0, or in a shared slot any. dev gets the address (NULL: it is only taken). */
gboolean pci_place(PciBuses *buses, DeviceInfo *dev, guint plug, int function, GError **error);
/* That place on the root bus. */
gboolean pci_place_fixed(PciBuses *buses, DeviceInfo *dev, guint slot, guint function, guint plug, GError **error);

/* --- address_pci_chipset.c --- */
/* Where the machine has this controller on its chipset; FALSE when it is an ordinary one. */
gboolean pci_chipset_has(const DomainDef *def, const ControllerDef *controller, guint *ret_slot, guint *ret_function,
                         const char **ret_what);
/* All that the chipset fixes or prefers. */
gboolean pci_place_chipset(PciBuses *buses, GError **error);
