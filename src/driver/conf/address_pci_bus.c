/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Buses and slots: what can be plugged where, places that are taken, and new buses where none is free. */
#include "common/error.h"
#include "driver/conf/address_pci_priv.h"

static const struct {
    guint can_hold;
    guint min_slot, max_slot;
    guint plugs_as;
} model_facts[PCI_MODEL_LAST] = {
    [PCI_MODEL_PCI_ROOT] = {PLUG_AUTO | PLUG_PCI | PLUG_PCI_BRIDGE | PLUG_PCI_EXPANDER, 1, 31, 0},
    [PCI_MODEL_PCIE_ROOT] = {PLUG_PCIE | PLUG_ROOT_PORT | PLUG_DMI_BRIDGE | PLUG_PCIE_EXPANDER, 1, 31, 0},
    [PCI_MODEL_PCI_BRIDGE] = {PLUG_AUTO | PLUG_PCI | PLUG_PCI_BRIDGE, 1, 31, PLUG_PCI_BRIDGE},
    [PCI_MODEL_DMI_TO_PCI_BRIDGE] = {PLUG_PCI | PLUG_PCI_BRIDGE, 0, 31, PLUG_DMI_BRIDGE},
    [PCI_MODEL_PCIE_TO_PCI_BRIDGE] = {PLUG_AUTO | PLUG_PCI | PLUG_PCI_BRIDGE, 1, 31, PLUG_PCIE_TO_PCI},
    [PCI_MODEL_PCIE_ROOT_PORT] = {PLUG_AUTO | PLUG_PCIE | PLUG_UPSTREAM_PORT | PLUG_PCIE_TO_PCI, 0, 0,
                                  PLUG_ROOT_PORT | PLUG_AGGREGATE},
    [PCI_MODEL_PCIE_SWITCH_UPSTREAM_PORT] = {PLUG_DOWNSTREAM_PORT, 0, 31, PLUG_UPSTREAM_PORT},
    [PCI_MODEL_PCIE_SWITCH_DOWNSTREAM_PORT] = {PLUG_AUTO | PLUG_PCIE | PLUG_UPSTREAM_PORT | PLUG_PCIE_TO_PCI,
                                               0, 0, PLUG_DOWNSTREAM_PORT},
    [PCI_MODEL_PCI_EXPANDER_BUS] = {PLUG_AUTO | PLUG_PCI | PLUG_PCI_BRIDGE, 0, 31, PLUG_PCI_EXPANDER},
    [PCI_MODEL_PCIE_EXPANDER_BUS] = {PLUG_ROOT_PORT | PLUG_DMI_BRIDGE, 0, 31, PLUG_PCIE_EXPANDER},
};

PciBus *pci_bus_at(const PciBuses *buses, guint i)
{
    return &g_array_index(buses->bus, PciBus, i);
}

void pci_bus_set_model(PciBus *bus, PciModel model)
{
    bus->known = TRUE;
    bus->model = model;
    bus->can_hold = model_facts[model].can_hold;
    bus->min_slot = model_facts[model].min_slot;
    bus->max_slot = model_facts[model].max_slot;
}

/* --- what a device is --------------------------------------------------------------------------------- */

guint pci_plug_of(const PciBuses *buses, const DeviceInfo *dev)
{
    const DeviceDefOps *ops = device_def_ops(dev->kind);
    guint connect, plug;

    if (dev->kind == DEVICE_CONTROLLER) {
        const ControllerDef *controller = (const ControllerDef *)dev;

        if (controller->type == CONTROLLER_PCI)
            return controller->model >= 0 ? model_facts[controller->model].plugs_as : 0;
    }
    connect = ops->pci_connect != NULL ? ops->pci_connect(dev, buses->def) : PCI_CONNECT_NONE;
    if ((connect & (PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_EXPRESS)) == 0)
        return 0;
    plug = PLUG_AUTO | (buses->pcie && (connect & PCI_CONNECT_EXPRESS) ? PLUG_PCIE : PLUG_PCI);
    if ((connect & PCI_CONNECT_INTEGRATED) && dev->kind == DEVICE_IOMMU)
        plug |= PLUG_INTEGRATED;
    return plug;
}

static const char *plug_text(guint plug)
{
    static const struct {
        guint plug;
        const char *text;
    } texts[] = {
        {PLUG_PCI, "standard PCI device"},
        {PLUG_PCIE, "PCI Express device"},
        {PLUG_ROOT_PORT, "pcie-root-port"},
        {PLUG_UPSTREAM_PORT, "pcie-switch-upstream-port"},
        {PLUG_DOWNSTREAM_PORT, "pcie-switch-downstream-port"},
        {PLUG_DMI_BRIDGE, "dmi-to-pci-bridge"},
        {PLUG_PCIE_TO_PCI, "pcie-to-pci-bridge"},
        {PLUG_PCI_BRIDGE, "pci-bridge"},
        {PLUG_PCI_EXPANDER, "pci-expander-bus"},
        {PLUG_PCIE_EXPANDER, "pcie-expander-bus"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (plug & texts[i].plug)
            return texts[i].text;
    }
    return "PCI device";
}

/* --- reserving ---------------------------------------------------------------------------------------- */

/* Whether bus number n accepts the device. from_xml: the user chose the place, which allows more. */
static gboolean bus_accepts(const PciBuses *buses, guint n, guint plug, gboolean from_xml)
{
    guint can_hold = pci_bus_at(buses, n)->can_hold;

    if (plug & PLUG_INTEGRATED) {
        if (n != 0)
            return FALSE;
        can_hold |= PLUG_AUTO;
    }
    if (from_xml) {
        if (can_hold & (PLUG_PCI | PLUG_PCIE))
            can_hold |= PLUG_PCI | PLUG_PCIE;
        if (plug & PLUG_PCI_BRIDGE)
            plug |= PLUG_PCI;
    } else if ((plug & PLUG_AUTO) && !(can_hold & PLUG_AUTO)) {
        return FALSE;
    }
    return (plug & can_hold & PLUG_TYPES) != 0;
}

/* New buses up to number "wanted", so that something that plugs in as "plug" finds a place there. The number
 * may become larger by one for a bridge in between. */
static gboolean grow(PciBuses *buses, guint *wanted, guint plug, GError **error)
{
    PciModel model;
    guint first = buses->bus->len;
    gboolean new_topology = FALSE;

    if (plug & PLUG_PCI) {
        model = PCI_MODEL_PCI_BRIDGE;
        new_topology = TRUE;
        for (guint i = 0; i < first; i++)
            new_topology = new_topology && (pci_bus_at(buses, i)->can_hold & PLUG_PCI_BRIDGE) == 0;
        if (new_topology && *wanted == first)
            (*wanted)++;
    } else if (plug & (PLUG_PCIE | PLUG_UPSTREAM_PORT)) {
        model = PCI_MODEL_PCIE_ROOT_PORT;
    } else {
        return error_set(
            error, VIR_ERR_INTERNAL_ERROR,
            "a PCI slot is needed to connect a PCI controller model='%s', but none is available, and it "
            "cannot be automatically added",
            plug_text(plug));
    }
    if (*wanted >= PCI_BUSES_MAX)
        return error_set(error, VIR_ERR_XML_ERROR, "PCI bus %u is beyond the limit of %u buses", *wanted,
                         PCI_BUSES_MAX);
    g_array_set_size(buses->bus, *wanted + 1);
    if (new_topology) {
        /* Only the bridge may take the port, so that no other device gets in first. */
        pci_bus_set_model(pci_bus_at(buses, first), PCI_MODEL_PCIE_ROOT_PORT);
        pci_bus_at(buses, first)->can_hold = PLUG_PCIE_TO_PCI;
        pci_bus_set_model(pci_bus_at(buses, first + 1), PCI_MODEL_PCIE_TO_PCI_BRIDGE);
        first += 2;
    }
    for (; first < buses->bus->len; first++)
        pci_bus_set_model(pci_bus_at(buses, first), model);
    return TRUE;
}

/* "<head> 0000:00:05.0<tail>": the address becomes text only when there is something to say about it. */
static gboolean address_error(GError **error, virErrorNumber number, const char *head,
                              const PciAddress *address, const char *tail, ...) G_GNUC_PRINTF(5, 6);
static gboolean address_error(GError **error, virErrorNumber number, const char *head,
                              const PciAddress *address, const char *tail, ...)
{
    g_autofree char *text = pci_address_text(address);
    g_autofree char *rest = NULL;
    va_list args;

    va_start(args, tail);
    rest = g_strdup_vprintf(tail, args);
    va_end(args);
    return error_set(error, number, "%s %s%s", head, text, rest);
}

gboolean pci_reserve(PciBuses *buses, const PciAddress *address, guint plug, gboolean from_xml,
                        GError **error)
{
    static const char invalid[] = "Invalid PCI address";
    guint number = address->bus;
    PciBus *bus;
    PciSlot *slot;

    if (address->domain != 0)
        return address_error(error, VIR_ERR_XML_ERROR, invalid, address, ". Only PCI domain 0 is available");
    if (number >= buses->bus->len) {
        if (!buses->may_grow || number >= PCI_BUSES_MAX)
            return address_error(error, VIR_ERR_XML_ERROR, invalid, address,
                                 ". Only PCI buses up to %u are available", buses->bus->len - 1);
        if (!grow(buses, &number, plug, error))
            return FALSE;
    }
    bus = pci_bus_at(buses, address->bus);
    if (plug != 0 && !bus_accepts(buses, address->bus, plug, from_xml))
        return address_error(
            error, from_xml ? VIR_ERR_XML_ERROR : VIR_ERR_INTERNAL_ERROR, "The device at PCI address",
            address,
            " cannot be plugged into the PCI controller with index='%u'. It requires a controller "
            "that accepts a %s.",
            address->bus, plug_text(plug));
    if (address->slot < bus->min_slot || address->slot > bus->max_slot)
        return address_error(error, VIR_ERR_XML_ERROR, invalid, address, ". slot must be %s %u",
                             address->slot < bus->min_slot ? ">=" : "<=",
                             address->slot < bus->min_slot ? bus->min_slot : bus->max_slot);
    slot = &bus->slot[address->slot];
    if (slot->functions & (1u << address->function))
        return address_error(error, VIR_ERR_XML_ERROR, "Attempted double use of PCI Address", address, "%s",
                             "");
    if (slot->functions == 0)
        slot->aggregate = (plug & PLUG_AGGREGATE) != 0;
    else if (!(plug & PLUG_AGGREGATE))
        slot->aggregate = FALSE;
    slot->functions |= (guint8)(1u << address->function);
    return TRUE;
}

gboolean pci_slot_is_used(const PciBuses *buses, guint bus, guint slot)
{
    return pci_bus_at(buses, bus)->slot[slot].functions != 0;
}

/* A free place on one bus; function -1: 0, or in a shared slot any. */
static gboolean free_place_on(const PciBuses *buses, guint number, guint plug, int function, PciAddress *ret)
{
    const PciBus *bus = pci_bus_at(buses, number);

    if (!bus_accepts(buses, number, plug, FALSE))
        return FALSE;
    for (guint s = bus->min_slot; s <= bus->max_slot; s++) {
        const PciSlot *slot = &bus->slot[s];
        guint first = function < 0 ? 0 : (guint)function, last = function < 0 ? 7 : (guint)function;

        *ret = (PciAddress){.bus = number, .slot = s, .function = first, .given = TRUE};
        if (slot->functions == 0)
            return TRUE;
        if (!(plug & PLUG_AGGREGATE) || !slot->aggregate)
            continue;
        for (guint f = first; f <= last; f++) {
            ret->function = f;
            if (!(slot->functions & (1u << f)))
                return TRUE;
        }
    }
    return FALSE;
}

static gboolean find_free(PciBuses *buses, guint plug, int function, PciAddress *ret, GError **error)
{
    guint number = buses->bus->len;

    for (guint i = 0; i < buses->bus->len; i++) {
        if (free_place_on(buses, i, plug, function, ret))
            return TRUE;
    }
    if (!buses->may_grow)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "No more available PCI slots");
    if (!grow(buses, &number, plug, error))
        return FALSE;
    *ret = (PciAddress){.bus = number,
                        .slot = pci_bus_at(buses, number)->min_slot,
                        .function = function < 0 ? 0 : (guint)function,
                        .given = TRUE};
    return TRUE;
}

gboolean pci_place(PciBuses *buses, DeviceInfo *dev, guint plug, int function, GError **error)
{
    PciAddress address;

    if (!find_free(buses, plug, function, &address, error) || !pci_reserve(buses, &address, plug, FALSE, error))
        return FALSE;
    if (dev != NULL) {
        address.multifunction =
            dev->address.type == ADDRESS_PCI ? dev->address.u.pci.multifunction : TRISTATE_ABSENT;
        dev->address.type = ADDRESS_PCI;
        dev->address.u.pci = address;
    }
    return TRUE;
}

gboolean pci_place_fixed(PciBuses *buses, DeviceInfo *dev, guint slot, guint function, guint plug,
                            GError **error)
{
    PciAddress address = {.slot = slot, .function = function, .given = TRUE};

    if (!pci_reserve(buses, &address, plug, TRUE, error))
        return FALSE;
    if (dev != NULL) {
        dev->address.type = ADDRESS_PCI;
        dev->address.u.pci = address;
    }
    return TRUE;
}
