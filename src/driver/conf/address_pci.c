/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PCI addresses of a definition.
 *
 * Buses are the pci controllers; a bus says what may plug into it (can_hold) and which slots it has. Places
 * that the XML gives are reserved first, then those that the machine's chipset fixes (address_pci_chipset.c). Everything
 * else takes the first free place (address_pci_bus.c) in a fixed order of kinds.
 *
 * The whole is done twice. The first round works on a copy of the addresses and may grow buses:
 * pcie-root-ports on q35 (eight share a slot of the root bus), pci-bridges on i440fx, pcie-root-port +
 * pcie-to-pci-bridge for a conventional device on q35; the controllers for the new buses are then added to
 * the definition. The second round gives the addresses. One spare place is kept for a later hotplug, as
 * libvirt does.
 */
#include "common/error.h"
#include "driver/conf/address_pci_priv.h"

/* --- everything else ---------------------------------------------------------------------------------- */

static gboolean is_usb2(const ControllerDef *controller)
{
    return controller->type == CONTROLLER_USB &&
           (controller->model == USB_MODEL_ICH9_EHCI1 || controller->model == USB_MODEL_ICH9_UHCI1 ||
            controller->model == USB_MODEL_ICH9_UHCI2 || controller->model == USB_MODEL_ICH9_UHCI3);
}

/* The functions of one USB2 controller share a slot: EHCI is function 7, its companions 0, 1, 2. */
static gboolean place_usb2(PciBuses *buses, ControllerDef *controller, GError **error)
{
    guint plug = pci_plug_of(buses, &controller->info);
    guint function = controller->model == USB_MODEL_ICH9_EHCI1   ? 7
                     : controller->model == USB_MODEL_ICH9_UHCI2 ? 1
                     : controller->model == USB_MODEL_ICH9_UHCI3 ? 2
                                                                 : 0;
    Tristate multifunction = function == 0 ? TRISTATE_YES : TRISTATE_ABSENT;
    gboolean found = FALSE;
    PciAddress address = {0};

    DOMAIN_DEF_FOREACH(ControllerDef, other, buses->def, DEVICE_CONTROLLER)
    {
        if (is_usb2(other) && other->index == controller->index && pci_address_present(&other->info)) {
            address = other->info.address.u.pci;
            found = TRUE;
            break;
        }
    }
    if (!found) {
        if (!pci_place(buses, &controller->info, plug, (int)function, error))
            return FALSE;
    } else {
        address.function = function;
        if (!pci_reserve(buses, &address, plug, TRUE, error))
            return FALSE;
        controller->info.address.type = ADDRESS_PCI;
        controller->info.address.u.pci = address;
    }
    controller->info.address.u.pci.multifunction = multifunction;
    return TRUE;
}

static gboolean place_device(PciBuses *buses, DeviceInfo *dev, GError **error)
{
    guint plug;

    if (!pci_address_wanted(dev))
        return TRUE;
    plug = pci_plug_of(buses, dev);
    if (plug == 0)
        return TRUE;
    if (dev->kind == DEVICE_CONTROLLER && is_usb2((ControllerDef *)dev))
        return place_usb2(buses, (ControllerDef *)dev, error);
    return pci_place(buses, dev, plug, -1, error);
}

static gboolean place_controllers(PciBuses *buses, gboolean pci, GError **error)
{
    DOMAIN_DEF_FOREACH(ControllerDef, controller, buses->def, DEVICE_CONTROLLER)
    {
        if ((controller->type == CONTROLLER_PCI) == pci && !place_device(buses, &controller->info, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean place_all(PciBuses *buses, GError **error)
{
    /* The order decides who gets which slot. */
    static const DeviceKind before[] = {DEVICE_FILESYSTEM, DEVICE_INTERFACE, DEVICE_SOUND};
    static const DeviceKind after[] = {DEVICE_DISK,     DEVICE_HOSTDEV, DEVICE_MEMBALLOON, DEVICE_RNG,
                                       DEVICE_WATCHDOG, DEVICE_VIDEO,   DEVICE_SHMEM,      DEVICE_INPUT,
                                       DEVICE_SERIAL,   DEVICE_IOMMU,   DEVICE_VSOCK,      DEVICE_MEMORY,
                                       DEVICE_CRYPTO};

    if (!place_controllers(buses, TRUE, error))
        return FALSE;
    for (guint k = 0; k < G_N_ELEMENTS(before); k++) {
        DOMAIN_DEF_FOREACH(DeviceInfo, dev, buses->def, before[k])
        {
            if (!place_device(buses, dev, error))
                return FALSE;
        }
    }
    if (!place_controllers(buses, FALSE, error))
        return FALSE;
    for (guint k = 0; k < G_N_ELEMENTS(after); k++) {
        DOMAIN_DEF_FOREACH(DeviceInfo, dev, buses->def, after[k])
        {
            if (!place_device(buses, dev, error))
                return FALSE;
        }
    }
    return TRUE;
}

/* --- the set of buses --------------------------------------------------------------------------------- */

typedef struct CollectContext {
    PciBuses *buses;
    GError **error;
} CollectContext;

static gboolean collect(DeviceInfo *dev, gpointer data)
{
    CollectContext *ctx = data;
    guint plug, slot, function;
    const char *what;

    if (!pci_address_present(dev) || dev->kind == DEVICE_CONSOLE)
        return TRUE;
    /* Those of the PIIX3 are reserved by place_integrated(). */
    if (dev->kind == DEVICE_CONTROLLER && os_def_is_i440fx(&ctx->buses->def->os) &&
        pci_chipset_has(ctx->buses->def, (ControllerDef *)dev, &slot, &function, &what))
        return TRUE;
    plug = pci_plug_of(ctx->buses, dev);
    return pci_reserve(ctx->buses, &dev->address.u.pci, plug, TRUE, ctx->error);
}

static void buses_clear(PciBuses *buses)
{
    g_clear_pointer(&buses->bus, g_array_unref);
}

static gboolean buses_init(PciBuses *buses, DomainDef *def, const DomainDefEnv *env, gboolean may_grow,
                           GError **error)
{
    CollectContext ctx = {buses, error};
    guint count = 0;

    *buses = (PciBuses){.def = def, .env = env, .may_grow = may_grow};
    buses->bus = g_array_new(FALSE, TRUE, sizeof(PciBus));
    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (controller->type == CONTROLLER_PCI) {
            if (controller->index >= PCI_BUSES_MAX)
                return error_set(error, VIR_ERR_XML_ERROR,
                                 "index %d of a pci controller is beyond the limit of %u", controller->index,
                                 PCI_BUSES_MAX - 1);
            count = MAX(count, (guint)controller->index + 1);
        }
    }
    g_array_set_size(buses->bus, count);
    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (controller->type == CONTROLLER_PCI && controller->model >= 0) {
            pci_bus_set_model(pci_bus_at(buses, (guint)controller->index), controller->model);
            buses->pcie |= controller->model == PCI_MODEL_PCIE_ROOT;
        }
    }
    for (guint i = 0; i < count; i++) {
        if (!pci_bus_at(buses, i)->known)
            pci_bus_set_model(pci_bus_at(buses, i), i == 0        ? PCI_MODEL_PCI_ROOT
                                            : buses->pcie ? PCI_MODEL_PCIE_ROOT_PORT
                                                          : PCI_MODEL_PCI_BRIDGE);
    }
    return count == 0 || domain_def_visit(def, collect, &ctx);
}

typedef struct SavedAddress {
    DeviceInfo *dev;
    DeviceAddress address;
} SavedAddress;

static gboolean save_address(DeviceInfo *dev, gpointer data)
{
    SavedAddress saved = {dev, dev->address};

    g_array_append_val((GArray *)data, saved);
    return TRUE;
}

/* A spare place for something that is plugged in later. */
static gboolean keep_spare(PciBuses *buses, guint plug, GError **error)
{
    return pci_place(buses, NULL, plug | PLUG_AUTO, -1, error);
}

static gboolean all_buses_full(const PciBuses *buses)
{
    for (guint i = 0; i < buses->bus->len; i++) {
        const PciBus *bus = pci_bus_at(buses, i);

        for (guint s = bus->min_slot; s <= bus->max_slot; s++) {
            if (bus->slot[s].functions == 0)
                return FALSE;
        }
    }
    return TRUE;
}

/* First round: how many buses are needed. Controllers for new ones join the definition. */
static gboolean add_buses(PciBuses *buses, guint first_count, GError **error)
{
    DomainDef *def = buses->def;

    if (!pci_place_chipset(buses, error))
        return FALSE;
    if (!buses->pcie && !all_buses_full(buses) && !keep_spare(buses, PLUG_PCI, error))
        return FALSE;
    if (!place_all(buses, error))
        return FALSE;
    if (first_count <= 1 && buses->bus->len > first_count && buses->pcie &&
        !keep_spare(buses, PLUG_PCIE, error))
        return FALSE;
    for (guint i = 1; i < buses->bus->len; i++) {
        ControllerDef *controller = controller_find(def, CONTROLLER_PCI, (int)i);

        if (controller != NULL)
            continue;
        controller = controller_add(def, CONTROLLER_PCI, (int)i, pci_bus_at(buses, i)->model);
        if (!place_device(buses, &controller->info, error))
            return FALSE;
        /* Its final address comes in the second round. */
        controller->info.address = (DeviceAddress){0};
    }
    return TRUE;
}

/* --- finish ------------------------------------------------------------------------------------------- */

typedef struct MultiContext {
    DomainDef *def;
    guint8 used[PCI_BUSES_MAX][PCI_SLOTS];
} MultiContext;

static gboolean note_functions(DeviceInfo *dev, gpointer data)
{
    MultiContext *ctx = data;

    if (pci_address_present(dev) && dev->address.u.pci.function != 0 && dev->address.u.pci.bus < PCI_BUSES_MAX)
        ctx->used[dev->address.u.pci.bus][dev->address.u.pci.slot] = 1;
    return TRUE;
}

/* Function 0 of a slot with several must say so. */
static gboolean set_multifunction(DeviceInfo *dev, gpointer data)
{
    MultiContext *ctx = data;

    if (pci_address_present(dev) && dev->address.u.pci.function == 0 && dev->address.u.pci.bus < PCI_BUSES_MAX &&
        ctx->used[dev->address.u.pci.bus][dev->address.u.pci.slot] &&
        dev->address.u.pci.multifunction == TRISTATE_ABSENT)
        dev->address.u.pci.multifunction = TRISTATE_YES;
    return TRUE;
}

static PciModelName default_model_name(const PciBuses *buses, PciModel model)
{
    const DomainDefEnv *env = buses->env;

    switch (model) {
    case PCI_MODEL_PCI_BRIDGE:
        return PCI_MODEL_NAME_PCI_BRIDGE;
    case PCI_MODEL_DMI_TO_PCI_BRIDGE:
        return PCI_MODEL_NAME_I82801B11_BRIDGE;
    case PCI_MODEL_PCIE_TO_PCI_BRIDGE:
        return PCI_MODEL_NAME_PCIE_PCI_BRIDGE;
    case PCI_MODEL_PCIE_ROOT_PORT:
        return env->has_device != NULL && !env->has_device(env, buses->def, "pcie-root-port")
                   ? PCI_MODEL_NAME_IOH3420
                   : PCI_MODEL_NAME_PCIE_ROOT_PORT;
    case PCI_MODEL_PCIE_SWITCH_UPSTREAM_PORT:
        return PCI_MODEL_NAME_X3130_UPSTREAM;
    case PCI_MODEL_PCIE_SWITCH_DOWNSTREAM_PORT:
        return PCI_MODEL_NAME_XIO3130_DOWNSTREAM;
    case PCI_MODEL_PCI_EXPANDER_BUS:
        return PCI_MODEL_NAME_PXB;
    case PCI_MODEL_PCIE_EXPANDER_BUS:
        return PCI_MODEL_NAME_PXB_PCIE;
    default:
        return PCI_MODEL_NAME_NONE;
    }
}

/* Expander buses are numbered downwards from 254, with room for the buses behind them. */
static int next_expander_number(const DomainDef *def)
{
    int lowest = 256;

    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (controller->type == CONTROLLER_PCI && controller->bus_nr != -1)
            lowest = MIN(lowest, controller->bus_nr);
    }
    return lowest > 2 ? lowest - 2 : -1;
}

static gboolean fill_options(const PciBuses *buses, ControllerDef *controller, GError **error)
{
    const PciAddress *address = &controller->info.address.u.pci;

    if (controller->pci_model_name == PCI_MODEL_NAME_NONE)
        controller->pci_model_name = default_model_name(buses, controller->model);
    switch (controller->model) {
    case PCI_MODEL_PCI_BRIDGE:
        if (controller->chassis_nr == -1)
            controller->chassis_nr = controller->index;
        if ((guint)controller->index <= address->bus)
            return error_set(
                error, VIR_ERR_CONFIG_UNSUPPORTED,
                "PCI controller at index %d (0x%02x) has bus='0x%02x', but index must be larger than bus",
                controller->index, controller->index, address->bus);
        break;
    case PCI_MODEL_PCIE_ROOT_PORT:
    case PCI_MODEL_PCIE_SWITCH_DOWNSTREAM_PORT:
        if (controller->chassis == -1)
            controller->chassis = controller->index;
        if (controller->port == -1)
            controller->port = controller->model == PCI_MODEL_PCIE_ROOT_PORT
                                   ? (int)((address->slot << 3) + address->function)
                                   : (int)address->slot;
        break;
    case PCI_MODEL_PCI_EXPANDER_BUS:
    case PCI_MODEL_PCIE_EXPANDER_BUS:
        if (controller->bus_nr == -1)
            controller->bus_nr = next_expander_number(buses->def);
        if (controller->bus_nr == -1)
            return error_set(
                error, VIR_ERR_CONFIG_UNSUPPORTED,
                "No free busNr lower than current lowest busNr is available to auto-assign to bus %u. "
                "Must be manually assigned",
                address->bus);
        break;
    default:
        break;
    }
    return TRUE;
}

static gboolean finish(PciBuses *buses, GError **error)
{
    g_autofree MultiContext *multi = g_new0(MultiContext, 1);

    multi->def = buses->def;
    domain_def_visit(buses->def, note_functions, multi);
    domain_def_visit(buses->def, set_multifunction, multi);
    DOMAIN_DEF_FOREACH(ControllerDef, controller, buses->def, DEVICE_CONTROLLER)
    {
        if (controller->type == CONTROLLER_PCI && !fill_options(buses, controller, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean first_round(DomainDef *def, const DomainDefEnv *env, GError **error)
{
    g_autoptr(GArray) saved = g_array_new(FALSE, FALSE, sizeof(SavedAddress));
    PciBuses buses;
    gboolean ok;

    domain_def_visit(def, save_address, saved);
    ok = buses_init(&buses, def, env, TRUE, error);
    if (ok && buses.bus->len > 0)
        ok = add_buses(&buses, buses.bus->len, error);
    buses_clear(&buses);
    for (guint i = 0; i < saved->len; i++) {
        const SavedAddress *s = &g_array_index(saved, SavedAddress, i);

        s->dev->address = s->address;
    }
    return ok;
}

gboolean address_assign_pci(DomainDef *def, const DomainDefEnv *env, GError **error)
{
    PciBuses buses;
    gboolean ok;

    if (controller_find(def, CONTROLLER_PCI, 0) == NULL)
        return TRUE;
    if (!first_round(def, env, error))
        return FALSE;
    ok = buses_init(&buses, def, env, FALSE, error) && pci_place_chipset(&buses, error) &&
         place_all(&buses, error) && finish(&buses, error);
    buses_clear(&buses);
    return ok;
}

gboolean address_assign_pci_device(DomainDef *def, DeviceInfo *dev, const DomainDefEnv *env, GError **error)
{
    PciBuses buses;
    guint plug;
    gboolean ok;

    if (controller_find(def, CONTROLLER_PCI, 0) == NULL)
        return TRUE;
    ok = buses_init(&buses, def, env, FALSE, error) && pci_place_chipset(&buses, error);
    if (ok) {
        plug = pci_plug_of(&buses, dev);
        if (plug != 0 && pci_address_wanted(dev))
            ok = pci_place(&buses, dev, plug, -1, error);
        else if (pci_address_present(dev))
            ok = pci_reserve(&buses, &dev->address.u.pci, plug, TRUE, error);
    }
    buses_clear(&buses);
    return ok;
}
