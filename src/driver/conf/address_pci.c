/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PCI addresses of a definition.
 *
 * Buses are the pci controllers; a bus says what may plug into it (can_hold) and which slots it has. Places
 * that the XML gives are reserved first, then those that the machine's chipset fixes (i440fx: slot 1 is the
 * PIIX3, slot 2 the first VGA; q35: 1f.0/2/3 the ICH9, 1 the first VGA, 1b sound, 1d and 1a USB2). Everything
 * else takes the first free place in a fixed order of kinds.
 *
 * The whole is done twice. The first round works on a copy of the addresses and may grow buses:
 * pcie-root-ports on q35 (eight share a slot of the root bus), pci-bridges on i440fx, pcie-root-port +
 * pcie-to-pci-bridge for a conventional device on q35; the controllers for the new buses are then added to
 * the definition. The second round gives the addresses. One spare place is kept for a later hotplug, as
 * libvirt does.
 */
#include "driver/conf/address.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_hostdev.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/def_sound.h"
#include "driver/conf/def_video.h"

#define SLOTS 32
#define BUSES_MAX 256

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
} Plug;

typedef struct Slot {
    guint8 functions; /* bit a function in use */
    gboolean aggregate;
} Slot;

typedef struct Bus {
    gboolean known;
    PciModel model;
    guint can_hold;
    guint min_slot, max_slot;
    Slot slot[SLOTS];
} Bus;

typedef struct Buses {
    DomainDef *def;
    const DomainDefEnv *env;
    GArray *bus; /* Bus */
    gboolean may_grow;
    gboolean pcie; /* the root bus is pcie-root */
} Buses;

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

static Bus *bus_at(const Buses *buses, guint i)
{
    return &g_array_index(buses->bus, Bus, i);
}

static void bus_set_model(Bus *bus, PciModel model)
{
    bus->known = TRUE;
    bus->model = model;
    bus->can_hold = model_facts[model].can_hold;
    bus->min_slot = model_facts[model].min_slot;
    bus->max_slot = model_facts[model].max_slot;
}

/* --- what a device is --------------------------------------------------------------------------------- */

static guint device_plug(const Buses *buses, const DeviceInfo *dev)
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
static gboolean bus_accepts(const Buses *buses, guint n, guint plug, gboolean from_xml)
{
    guint can_hold = bus_at(buses, n)->can_hold;

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
static gboolean grow(Buses *buses, guint *wanted, guint plug, GError **error)
{
    PciModel model;
    guint first = buses->bus->len;
    gboolean new_topology = FALSE;

    if (plug & PLUG_PCI) {
        model = PCI_MODEL_PCI_BRIDGE;
        new_topology = TRUE;
        for (guint i = 0; i < first; i++)
            new_topology = new_topology && (bus_at(buses, i)->can_hold & PLUG_PCI_BRIDGE) == 0;
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
    if (*wanted >= BUSES_MAX)
        return error_set(error, VIR_ERR_XML_ERROR, "PCI bus %u is beyond the limit of %u buses", *wanted,
                         BUSES_MAX);
    g_array_set_size(buses->bus, *wanted + 1);
    if (new_topology) {
        /* Only the bridge may take the port, so that no other device gets in first. */
        bus_set_model(bus_at(buses, first), PCI_MODEL_PCIE_ROOT_PORT);
        bus_at(buses, first)->can_hold = PLUG_PCIE_TO_PCI;
        bus_set_model(bus_at(buses, first + 1), PCI_MODEL_PCIE_TO_PCI_BRIDGE);
        first += 2;
    }
    for (; first < buses->bus->len; first++)
        bus_set_model(bus_at(buses, first), model);
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

static gboolean reserve(Buses *buses, const PciAddress *address, guint plug, gboolean from_xml,
                        GError **error)
{
    static const char invalid[] = "Invalid PCI address";
    guint number = address->bus;
    Bus *bus;
    Slot *slot;

    if (address->domain != 0)
        return address_error(error, VIR_ERR_XML_ERROR, invalid, address, ". Only PCI domain 0 is available");
    if (number >= buses->bus->len) {
        if (!buses->may_grow || number >= BUSES_MAX)
            return address_error(error, VIR_ERR_XML_ERROR, invalid, address,
                                 ". Only PCI buses up to %u are available", buses->bus->len - 1);
        if (!grow(buses, &number, plug, error))
            return FALSE;
    }
    bus = bus_at(buses, address->bus);
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

static gboolean slot_is_used(const Buses *buses, guint bus, guint slot)
{
    return bus_at(buses, bus)->slot[slot].functions != 0;
}

/* A free place on one bus; function -1: 0, or in a shared slot any. */
static gboolean free_place_on(const Buses *buses, guint number, guint plug, int function, PciAddress *ret)
{
    const Bus *bus = bus_at(buses, number);

    if (!bus_accepts(buses, number, plug, FALSE))
        return FALSE;
    for (guint s = bus->min_slot; s <= bus->max_slot; s++) {
        const Slot *slot = &bus->slot[s];
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

static gboolean find_free(Buses *buses, guint plug, int function, PciAddress *ret, GError **error)
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
                        .slot = bus_at(buses, number)->min_slot,
                        .function = function < 0 ? 0 : (guint)function,
                        .given = TRUE};
    return TRUE;
}

/* The next free place for dev; in the growing round only reserved, else also written into dev. */
static gboolean place(Buses *buses, DeviceInfo *dev, guint plug, int function, GError **error)
{
    PciAddress address;

    if (!find_free(buses, plug, function, &address, error) || !reserve(buses, &address, plug, FALSE, error))
        return FALSE;
    if (dev != NULL) {
        address.multifunction =
            dev->address.type == ADDRESS_PCI ? dev->address.u.pci.multifunction : TRISTATE_ABSENT;
        dev->address.type = ADDRESS_PCI;
        dev->address.u.pci = address;
    }
    return TRUE;
}

static gboolean place_fixed(Buses *buses, DeviceInfo *dev, guint slot, guint function, guint plug,
                            GError **error)
{
    PciAddress address = {.slot = slot, .function = function, .given = TRUE};

    if (!reserve(buses, &address, plug, TRUE, error))
        return FALSE;
    if (dev != NULL) {
        dev->address.type = ADDRESS_PCI;
        dev->address.u.pci = address;
    }
    return TRUE;
}

/* --- chipsets ----------------------------------------------------------------------------------------- */

/* Integrated at a fixed place: NULL when the XML says another one. */
static gboolean check_fixed(DeviceInfo *dev, guint slot, guint function, const char *what, GError **error)
{
    PciAddress fixed = {.slot = slot, .function = function, .given = TRUE};

    if (!pci_address_present(dev)) {
        dev->address.type = ADDRESS_PCI;
        dev->address.u.pci = fixed;
        return TRUE;
    }
    if (dev->address.u.pci.bus != 0 || dev->address.u.pci.slot != slot ||
        dev->address.u.pci.function != function)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "%s must have PCI address 0:0:%x.%u", what, slot,
                         function);
    return TRUE;
}

/* Where the machine has a controller on its chipset; FALSE when it is an ordinary one. */
static gboolean is_integrated(const DomainDef *def, const ControllerDef *controller, guint *ret_slot,
                              guint *ret_function, const char **ret_what)
{
    if (controller->index != 0)
        return FALSE;
    if (os_def_is_i440fx(&def->os) && controller->type == CONTROLLER_IDE) {
        *ret_slot = 1;
        *ret_function = 1;
        *ret_what = "Primary IDE controller";
        return TRUE;
    }
    if (os_def_is_i440fx(&def->os) && controller->type == CONTROLLER_USB &&
        (controller->model == USB_MODEL_PIIX3_UHCI || controller->model == USB_MODEL_DEFAULT)) {
        *ret_slot = 1;
        *ret_function = 2;
        *ret_what = "PIIX3 USB controller at index 0";
        return TRUE;
    }
    if (os_def_is_q35(&def->os) && controller->type == CONTROLLER_SATA) {
        *ret_slot = 0x1f;
        *ret_function = 2;
        *ret_what = "Primary SATA controller";
        return TRUE;
    }
    return FALSE;
}

static gboolean place_integrated(Buses *buses, GError **error)
{
    gboolean q35 = os_def_is_q35(&buses->def->os);

    DOMAIN_DEF_FOREACH(ControllerDef, controller, buses->def, DEVICE_CONTROLLER)
    {
        guint slot, function;
        const char *what;

        if (!is_integrated(buses->def, controller, &slot, &function, &what))
            continue;
        if (!check_fixed(&controller->info, slot, function, what, error))
            return FALSE;
        if (!q35 && !reserve(buses, &controller->info.address.u.pci, 0, TRUE, error))
            return FALSE;
        /* On q35 a place that the XML gave was reserved with all others. */
        if (q35 && !(bus_at(buses, 0)->slot[slot].functions & (1u << function)) &&
            !reserve(buses, &controller->info.address.u.pci, 0, TRUE, error))
            return FALSE;
    }
    if (q35)
        return place_fixed(buses, NULL, 0x1f, 0, 0, error) && place_fixed(buses, NULL, 0x1f, 3, 0, error);
    return place_fixed(buses, NULL, 1, 0, 0, error) && place_fixed(buses, NULL, 1, 3, 0, error);
}

/* Places of q35's own devices that are only preferred. */
static gboolean place_preferred_q35(Buses *buses, GError **error)
{
    DOMAIN_DEF_FOREACH(ControllerDef, controller, buses->def, DEVICE_CONTROLLER)
    {
        if (controller->info.address.type != ADDRESS_NONE)
            continue;
        if (controller->type == CONTROLLER_USB && controller->model == USB_MODEL_ICH9_UHCI1) {
            guint slot = !slot_is_used(buses, 0, 0x1d) ? 0x1d : !slot_is_used(buses, 0, 0x1a) ? 0x1a : 0;

            if (slot == 0)
                continue;
            if (!place_fixed(buses, &controller->info, slot, 0, 0, error))
                return FALSE;
            controller->info.address.u.pci.multifunction = TRISTATE_YES;
        } else if (controller->type == CONTROLLER_PCI && controller->model == PCI_MODEL_DMI_TO_PCI_BRIDGE &&
                   !slot_is_used(buses, 0, 0x1e)) {
            if (!place_fixed(buses, &controller->info, 0x1e, 0, 0, error))
                return FALSE;
        }
    }
    return TRUE;
}

static gboolean place_sound_q35(Buses *buses, GError **error)
{
    if (slot_is_used(buses, 0, 0x1b))
        return TRUE;
    DOMAIN_DEF_FOREACH(SoundDef, sound, buses->def, DEVICE_SOUND)
    {
        if (sound->model == SOUND_ICH9 && pci_address_wanted(&sound->info))
            return place_fixed(buses, &sound->info, 0x1b, 0, 0, error);
    }
    return TRUE;
}

static gboolean place_primary_video(Buses *buses, guint slot, GError **error)
{
    VideoDef *video = domain_def_get(buses->def, DEVICE_VIDEO, 0);

    if (video == NULL || video->model == VIDEO_NONE || video->model == VIDEO_RAMFB ||
        !pci_address_wanted(&video->info))
        return TRUE;
    if (slot_is_used(buses, 0, slot))
        return place(buses, &video->info, device_plug(buses, &video->info), -1, error);
    return place_fixed(buses, &video->info, slot, 0, 0, error);
}

static gboolean place_chipset(Buses *buses, GError **error)
{
    gboolean q35 = os_def_is_q35(&buses->def->os);

    if (!q35 && !os_def_is_i440fx(&buses->def->os))
        return TRUE;
    return place_integrated(buses, error) && (!q35 || place_preferred_q35(buses, error)) &&
           place_primary_video(buses, q35 ? 1 : 2, error) && (!q35 || place_sound_q35(buses, error));
}

/* --- everything else ---------------------------------------------------------------------------------- */

static gboolean is_usb2(const ControllerDef *controller)
{
    return controller->type == CONTROLLER_USB &&
           (controller->model == USB_MODEL_ICH9_EHCI1 || controller->model == USB_MODEL_ICH9_UHCI1 ||
            controller->model == USB_MODEL_ICH9_UHCI2 || controller->model == USB_MODEL_ICH9_UHCI3);
}

/* The functions of one USB2 controller share a slot: EHCI is function 7, its companions 0, 1, 2. */
static gboolean place_usb2(Buses *buses, ControllerDef *controller, GError **error)
{
    guint plug = device_plug(buses, &controller->info);
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
        if (!place(buses, &controller->info, plug, (int)function, error))
            return FALSE;
    } else {
        address.function = function;
        if (!reserve(buses, &address, plug, TRUE, error))
            return FALSE;
        controller->info.address.type = ADDRESS_PCI;
        controller->info.address.u.pci = address;
    }
    controller->info.address.u.pci.multifunction = multifunction;
    return TRUE;
}

static gboolean place_device(Buses *buses, DeviceInfo *dev, GError **error)
{
    guint plug;

    if (!pci_address_wanted(dev))
        return TRUE;
    plug = device_plug(buses, dev);
    if (plug == 0)
        return TRUE;
    if (dev->kind == DEVICE_CONTROLLER && is_usb2((ControllerDef *)dev))
        return place_usb2(buses, (ControllerDef *)dev, error);
    return place(buses, dev, plug, -1, error);
}

static gboolean place_controllers(Buses *buses, gboolean pci, GError **error)
{
    DOMAIN_DEF_FOREACH(ControllerDef, controller, buses->def, DEVICE_CONTROLLER)
    {
        if ((controller->type == CONTROLLER_PCI) == pci && !place_device(buses, &controller->info, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean place_all(Buses *buses, GError **error)
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
    Buses *buses;
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
        is_integrated(ctx->buses->def, (ControllerDef *)dev, &slot, &function, &what))
        return TRUE;
    plug = device_plug(ctx->buses, dev);
    return reserve(ctx->buses, &dev->address.u.pci, plug, TRUE, ctx->error);
}

static void buses_clear(Buses *buses)
{
    g_clear_pointer(&buses->bus, g_array_unref);
}

static gboolean buses_init(Buses *buses, DomainDef *def, const DomainDefEnv *env, gboolean may_grow,
                           GError **error)
{
    CollectContext ctx = {buses, error};
    guint count = 0;

    *buses = (Buses){.def = def, .env = env, .may_grow = may_grow};
    buses->bus = g_array_new(FALSE, TRUE, sizeof(Bus));
    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (controller->type == CONTROLLER_PCI) {
            if (controller->index >= BUSES_MAX)
                return error_set(error, VIR_ERR_XML_ERROR,
                                 "index %d of a pci controller is beyond the limit of %u", controller->index,
                                 BUSES_MAX - 1);
            count = MAX(count, (guint)controller->index + 1);
        }
    }
    g_array_set_size(buses->bus, count);
    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (controller->type == CONTROLLER_PCI && controller->model >= 0) {
            bus_set_model(bus_at(buses, (guint)controller->index), controller->model);
            buses->pcie |= controller->model == PCI_MODEL_PCIE_ROOT;
        }
    }
    for (guint i = 0; i < count; i++) {
        if (!bus_at(buses, i)->known)
            bus_set_model(bus_at(buses, i), i == 0        ? PCI_MODEL_PCI_ROOT
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
static gboolean keep_spare(Buses *buses, guint plug, GError **error)
{
    return place(buses, NULL, plug | PLUG_AUTO, -1, error);
}

static gboolean all_buses_full(const Buses *buses)
{
    for (guint i = 0; i < buses->bus->len; i++) {
        const Bus *bus = bus_at(buses, i);

        for (guint s = bus->min_slot; s <= bus->max_slot; s++) {
            if (bus->slot[s].functions == 0)
                return FALSE;
        }
    }
    return TRUE;
}

/* First round: how many buses are needed. Controllers for new ones join the definition. */
static gboolean add_buses(Buses *buses, guint first_count, GError **error)
{
    DomainDef *def = buses->def;

    if (!place_chipset(buses, error))
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
        controller = controller_add(def, CONTROLLER_PCI, (int)i, bus_at(buses, i)->model);
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
    guint8 used[BUSES_MAX][SLOTS];
} MultiContext;

static gboolean note_functions(DeviceInfo *dev, gpointer data)
{
    MultiContext *ctx = data;

    if (pci_address_present(dev) && dev->address.u.pci.function != 0 && dev->address.u.pci.bus < BUSES_MAX)
        ctx->used[dev->address.u.pci.bus][dev->address.u.pci.slot] = 1;
    return TRUE;
}

/* Function 0 of a slot with several must say so. */
static gboolean set_multifunction(DeviceInfo *dev, gpointer data)
{
    MultiContext *ctx = data;

    if (pci_address_present(dev) && dev->address.u.pci.function == 0 && dev->address.u.pci.bus < BUSES_MAX &&
        ctx->used[dev->address.u.pci.bus][dev->address.u.pci.slot] &&
        dev->address.u.pci.multifunction == TRISTATE_ABSENT)
        dev->address.u.pci.multifunction = TRISTATE_YES;
    return TRUE;
}

static PciModelName default_model_name(const Buses *buses, PciModel model)
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

static gboolean fill_options(const Buses *buses, ControllerDef *controller, GError **error)
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

static gboolean finish(Buses *buses, GError **error)
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
    Buses buses;
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
    Buses buses;
    gboolean ok;

    if (controller_find(def, CONTROLLER_PCI, 0) == NULL)
        return TRUE;
    if (!first_round(def, env, error))
        return FALSE;
    ok = buses_init(&buses, def, env, FALSE, error) && place_chipset(&buses, error) &&
         place_all(&buses, error) && finish(&buses, error);
    buses_clear(&buses);
    return ok;
}

gboolean address_assign_pci_device(DomainDef *def, DeviceInfo *dev, const DomainDefEnv *env, GError **error)
{
    Buses buses;
    guint plug;
    gboolean ok;

    if (controller_find(def, CONTROLLER_PCI, 0) == NULL)
        return TRUE;
    ok = buses_init(&buses, def, env, FALSE, error) && place_chipset(&buses, error);
    if (ok) {
        plug = device_plug(&buses, dev);
        if (plug != 0 && pci_address_wanted(dev))
            ok = place(&buses, dev, plug, -1, error);
        else if (pci_address_present(dev))
            ok = reserve(&buses, &dev->address.u.pci, plug, TRUE, error);
    }
    buses_clear(&buses);
    return ok;
}
