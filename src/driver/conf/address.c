/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guest addresses other than PCI: drives, virtio-serial ports, USB ports, dimm slots; implicit controllers.
 */
#include "driver/conf/address.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/def_chr.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_hostdev.h"
#include "driver/conf/def_hub.h"
#include "driver/conf/def_input.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/def_memory.h"
#include "driver/conf/def_redirdev.h"
#include "driver/conf/def_sound.h"

#define VIRTIO_SERIAL_PORTS_DEFAULT 31
#define VIRTIO_SERIAL_CONTROLLERS_MAX 32
#define USB_BUSES_MAX 256
#define USB_PORTS_MAX 127
#define USB_HUB_PORTS 8
#define SCSI_UNITS_NARROW 7

/* --- controllers -------------------------------------------------------------------------------------- */

ControllerDef *controller_find(const DomainDef *def, ControllerType type, int index)
{
    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (controller->type == type && controller->index == index)
            return controller;
    }
    return NULL;
}

ControllerDef *controller_add(DomainDef *def, ControllerType type, int index, int model)
{
    ControllerDef *controller = (ControllerDef *)device_def_new(DEVICE_CONTROLLER);

    controller->type = type;
    controller->index = index;
    controller->model = model;
    /* At the end, as libvirt does; sorted in when the definition is read again. */
    g_ptr_array_add(def->devices[DEVICE_CONTROLLER], controller);
    return controller;
}

ControllerDef *controller_ensure(DomainDef *def, ControllerType type, int index, int model)
{
    ControllerDef *controller = controller_find(def, type, index);

    return controller != NULL ? controller : controller_add(def, type, index, model);
}

/* --- virtio-serial ------------------------------------------------------------------------------------ */

gboolean address_is_virtio_serial(const DeviceInfo *dev)
{
    const ChrDef *chr = (const ChrDef *)dev;

    return (dev->kind == DEVICE_CONSOLE && chr->target.console == CONSOLE_TARGET_VIRTIO) ||
           (dev->kind == DEVICE_CHANNEL && chr->target.channel == CHANNEL_TARGET_VIRTIO);
}

/* A channel on port 0 has no port yet; port 0 is for consoles. */
static gboolean vserial_complete(const DeviceInfo *dev)
{
    return dev->address.type == ADDRESS_VIRTIO_SERIAL && dev->address.u.vserial.port != 0;
}

static guint vserial_ports(const ControllerDef *controller)
{
    return controller->ports > 0 ? (guint)controller->ports : VIRTIO_SERIAL_PORTS_DEFAULT;
}

static gboolean vserial_port_used(const DomainDef *def, const DeviceInfo *but, guint controller, guint port)
{
    static const DeviceKind kinds[] = {DEVICE_CONSOLE, DEVICE_CHANNEL};

    for (guint k = 0; k < G_N_ELEMENTS(kinds); k++) {
        DOMAIN_DEF_FOREACH(DeviceInfo, dev, def, kinds[k])
        {
            if (dev != but && address_is_virtio_serial(dev) && dev->address.type == ADDRESS_VIRTIO_SERIAL &&
                dev->address.u.vserial.controller == controller && dev->address.u.vserial.port == port &&
                (port != 0 || dev->kind == DEVICE_CONSOLE))
                return TRUE;
        }
    }
    return FALSE;
}

static int vserial_free_port(const DomainDef *def, const DeviceInfo *dev, const ControllerDef *controller,
                             guint first)
{
    for (guint port = first; port < vserial_ports(controller); port++) {
        if (!vserial_port_used(def, dev, (guint)controller->index, port))
            return (int)port;
    }
    return -1;
}

static gboolean vserial_assign(DomainDef *def, DeviceInfo *dev, gboolean may_add, GError **error)
{
    guint first = dev->kind == DEVICE_CONSOLE ? 0 : 1;
    gboolean any = FALSE;
    int port = -1;
    ControllerDef *controller;

    if (dev->address.type == ADDRESS_VIRTIO_SERIAL) {
        controller = controller_find(def, CONTROLLER_VIRTIO_SERIAL, (int)dev->address.u.vserial.controller);
        if (controller == NULL)
            return error_set(error, VIR_ERR_XML_ERROR, "virtio-serial controller %u not available",
                             dev->address.u.vserial.controller);
        port = vserial_free_port(def, dev, controller, 1);
        if (port < 0)
            return error_set(error, VIR_ERR_XML_ERROR,
                             "Unable to find a free port on virtio-serial controller %u",
                             dev->address.u.vserial.controller);
        dev->address.u.vserial.bus = 0; /* there is no other */
        dev->address.u.vserial.port = (guint)port;
        return TRUE;
    }
    for (int i = 0; i < VIRTIO_SERIAL_CONTROLLERS_MAX; i++) {
        controller = controller_find(def, CONTROLLER_VIRTIO_SERIAL, i);
        if (controller == NULL && may_add)
            controller = controller_add(def, CONTROLLER_VIRTIO_SERIAL, i, -1);
        if (controller == NULL)
            continue;
        any = TRUE;
        port = vserial_free_port(def, dev, controller, first);
        if (port >= 0) {
            dev->address = (DeviceAddress){.type = ADDRESS_VIRTIO_SERIAL};
            dev->address.u.vserial.controller = (guint)i;
            dev->address.u.vserial.port = (guint)port;
            return TRUE;
        }
    }
    if (!any)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "no virtio-serial controllers are available");
    return error_set(error, VIR_ERR_XML_ERROR, "Unable to find a free virtio-serial port");
}

gboolean address_assign_virtio_serial(DomainDef *def, DeviceInfo *only, gboolean may_add, GError **error)
{
    static const DeviceKind kinds[] = {DEVICE_CONSOLE, DEVICE_CHANNEL};
    g_autoptr(GPtrArray) noted = NULL;
    gboolean ok = TRUE;

    if (only != NULL)
        return !address_is_virtio_serial(only) || vserial_complete(only) || vserial_assign(def, only, may_add, error);
    noted = g_ptr_array_new();
    for (guint k = 0; k < G_N_ELEMENTS(kinds) && ok; k++) {
        DOMAIN_DEF_FOREACH(DeviceInfo, dev, def, kinds[k])
        {
            if (!address_is_virtio_serial(dev) || vserial_complete(dev))
                continue;
            if (dev->kind == DEVICE_CONSOLE && dev->address.type == ADDRESS_NONE)
                g_ptr_array_add(noted, dev);
            ok = vserial_assign(def, dev, may_add, error);
            if (!ok)
                break;
        }
    }
    /* Consoles only keep their ports free: like libvirt, the definition does not say which one is whose. */
    for (guint i = 0; i < noted->len; i++)
        ((DeviceInfo *)g_ptr_array_index(noted, i))->address = (DeviceAddress){0};
    return ok;
}

/* --- USB ---------------------------------------------------------------------------------------------- */

static gboolean is_usb_device(const DeviceInfo *dev)
{
    switch (dev->kind) {
    case DEVICE_DISK:
        return ((const DiskDef *)dev)->bus == DISK_BUS_USB;
    case DEVICE_INPUT:
        return ((const InputDef *)dev)->bus == INPUT_BUS_USB;
    case DEVICE_INTERFACE:
        return ((const InterfaceDef *)dev)->model == INTERFACE_MODEL_USB_NET;
    case DEVICE_SERIAL:
        return ((const ChrDef *)dev)->target.serial == SERIAL_TARGET_USB;
    case DEVICE_HOSTDEV:
        return ((const HostdevDef *)dev)->mode == HOSTDEV_MODE_SUBSYSTEM &&
               ((const HostdevDef *)dev)->type == HOSTDEV_USB;
    case DEVICE_REDIRDEV:
        return ((const RedirdevDef *)dev)->bus == REDIRDEV_BUS_USB;
    case DEVICE_CONTROLLER:
        return ((const ControllerDef *)dev)->type == CONTROLLER_CCID;
    case DEVICE_SOUND:
        return ((const SoundDef *)dev)->model == SOUND_USB;
    default:
        return FALSE;
    }
}

static guint usb_controller_ports(const ControllerDef *controller)
{
    switch (controller->model) {
    case USB_MODEL_DEFAULT:
    case USB_MODEL_PIIX3_UHCI:
    case USB_MODEL_PIIX4_UHCI:
    case USB_MODEL_VT82C686B_UHCI:
        return 2;
    case USB_MODEL_EHCI:
    case USB_MODEL_ICH9_EHCI1:
        return 6;
    case USB_MODEL_PCI_OHCI:
        return 3;
    case USB_MODEL_NEC_XHCI:
    case USB_MODEL_QEMU_XHCI:
        return controller->ports > 0 ? MIN((guint)controller->ports, USB_PORTS_MAX) : 4;
    default:
        return 0;
    }
}

/* Ports of a bus: the most any of its controllers (companions count nothing) has. */
static guint usb_bus_ports(const DomainDef *def, guint bus)
{
    guint ports = 0;

    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (controller->type == CONTROLLER_USB && controller->index == (int)bus)
            ports = MAX(ports, usb_controller_ports(controller));
    }
    return ports;
}

typedef struct UsbQuery {
    guint bus;
    const guint *path; /* USB_PORT_DEPTH numbers, 0 ends */
    DeviceInfo *found;
} UsbQuery;

static gboolean usb_path_is(DeviceInfo *dev, gpointer data)
{
    UsbQuery *query = data;

    if (dev->address.type == ADDRESS_USB && dev->address.u.usb.bus == query->bus &&
        memcmp(dev->address.u.usb.port, query->path, sizeof(guint) * USB_PORT_DEPTH) == 0) {
        query->found = dev;
        return FALSE;
    }
    return TRUE;
}

static DeviceInfo *usb_device_at(const DomainDef *def, guint bus, const guint path[USB_PORT_DEPTH])
{
    UsbQuery query = {.bus = bus, .path = path};

    domain_def_visit(def, usb_path_is, &query);
    return query.found;
}

/* A free port below the hub (or root, level 0) that path[0..level) leads to, breadth first on each level. */
static gboolean usb_free_port(const DomainDef *def, guint bus, guint ports, guint path[USB_PORT_DEPTH],
                              guint level)
{
    for (guint port = 1; port <= ports; port++) {
        path[level] = port;
        if (usb_device_at(def, bus, path) == NULL)
            return TRUE;
    }
    if (level + 1 >= USB_PORT_DEPTH) {
        path[level] = 0;
        return FALSE;
    }
    for (guint port = 1; port <= ports; port++) {
        DeviceInfo *dev;

        path[level] = port;
        dev = usb_device_at(def, bus, path);
        if (dev != NULL && dev->kind == DEVICE_HUB && usb_free_port(def, bus, USB_HUB_PORTS, path, level + 1))
            return TRUE;
    }
    path[level] = 0;
    return FALSE;
}

static gboolean usb_assign(DomainDef *def, DeviceInfo *dev, GError **error)
{
    gboolean fixed_bus = dev->address.type == ADDRESS_USB;
    guint wanted = fixed_bus ? dev->address.u.usb.bus : 0;

    if (fixed_bus && controller_find(def, CONTROLLER_USB, (int)wanted) == NULL)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "USB bus %u requested but no controller with that index is present", wanted);
    for (guint bus = wanted; bus < (fixed_bus ? wanted + 1 : USB_BUSES_MAX); bus++) {
        guint path[USB_PORT_DEPTH] = {0};
        guint ports = usb_bus_ports(def, bus);

        if (ports == 0 || !usb_free_port(def, bus, ports, path, 0))
            continue;
        dev->address = (DeviceAddress){.type = ADDRESS_USB};
        dev->address.u.usb.bus = bus;
        memcpy(dev->address.u.usb.port, path, sizeof(path));
        return TRUE;
    }
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "No free USB ports");
}

static gboolean usb_wanted(const DeviceInfo *dev)
{
    return is_usb_device(dev) && (dev->address.type == ADDRESS_NONE ||
                                  (dev->address.type == ADDRESS_USB && dev->address.u.usb.port[0] == 0));
}

typedef struct UsbPortCheck {
    const DomainDef *def;
    GError **error;
} UsbPortCheck;

/* Hubs are added while the ports of all controllers do not suffice for the devices, by libvirt's count. */
static gboolean usb_add_hubs(DomainDef *def, GError **error)
{
    static const DeviceKind kinds[] = {DEVICE_DISK,    DEVICE_INPUT,    DEVICE_INTERFACE,  DEVICE_SERIAL,
                                       DEVICE_HOSTDEV, DEVICE_REDIRDEV, DEVICE_CONTROLLER, DEVICE_SOUND};
    guint available = 0, needed = 0, hubs = 0;
    gboolean any = FALSE;

    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (controller->type != CONTROLLER_USB)
            continue;
        any |= controller->model != USB_MODEL_NONE;
        available += usb_controller_ports(controller);
    }
    DOMAIN_DEF_FOREACH(HubDef, hub, def, DEVICE_HUB)
    {
        if (hub->type == HUB_USB)
            available += USB_HUB_PORTS;
    }
    for (guint k = 0; k < G_N_ELEMENTS(kinds); k++) {
        DOMAIN_DEF_FOREACH(DeviceInfo, dev, def, kinds[k])
        needed += is_usb_device(dev) ? 1 : 0;
    }
    needed += domain_def_n(def, DEVICE_HUB);
    if (needed > 0 && !any)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "USB is disabled for this domain, but USB devices are present in the domain XML");
    if (needed > available)
        hubs = (needed - available + 1 + USB_HUB_PORTS - 2) / (USB_HUB_PORTS - 1);
    while (hubs-- > 0) {
        HubDef *hub = (HubDef *)device_def_new(DEVICE_HUB);

        hub->type = HUB_USB;
        domain_def_insert(def, &hub->info);
    }
    return TRUE;
}

/* A port that was asked for: on a root that has it, or below a hub. */
static gboolean usb_port_exists(DeviceInfo *dev, gpointer data)
{
    UsbPortCheck *check = data;
    const guint *port = dev->address.u.usb.port;
    guint bus = dev->address.u.usb.bus, path[USB_PORT_DEPTH] = {0};
    guint ports = usb_bus_ports(check->def, bus);

    if (dev->address.type == ADDRESS_USB && port[0] != 0 && is_usb_device(dev) &&
        controller_find(check->def, CONTROLLER_USB, (int)MIN(bus, G_MAXINT)) == NULL)
        return error_set(check->error, VIR_ERR_XML_ERROR, "Missing USB bus %u", bus);
    if (dev->address.type != ADDRESS_USB || port[0] == 0 || (!is_usb_device(dev) && dev->kind != DEVICE_HUB) ||
        ports == 0)
        return TRUE;
    for (guint level = 0; level < USB_PORT_DEPTH && port[level] != 0; level++) {
        const DeviceInfo *hub;

        if (port[level] > ports)
            return error_set(check->error, VIR_ERR_XML_ERROR, "requested USB port %u not present on USB bus %u",
                             port[level], bus);
        path[level] = port[level];
        if (level + 1 == USB_PORT_DEPTH || port[level + 1] == 0)
            break;
        hub = usb_device_at(check->def, bus, path);
        if (hub == NULL || hub->kind != DEVICE_HUB)
            return error_set(check->error, VIR_ERR_XML_ERROR, "there is no hub at port %u in USB address bus: %u",
                             port[level], bus);
        ports = USB_HUB_PORTS;
    }
    return TRUE;
}

static gboolean usb_check_ports(DomainDef *def, GError **error)
{
    UsbPortCheck check = {.def = def, .error = error};

    return domain_def_visit(def, usb_port_exists, &check);
}

gboolean address_assign_usb(DomainDef *def, DeviceInfo *only, gboolean not_new, GError **error)
{
    static const DeviceKind kinds[] = {DEVICE_HOSTDEV, DEVICE_DISK,     DEVICE_CONTROLLER, DEVICE_INPUT,
                                       DEVICE_SERIAL,  DEVICE_REDIRDEV, DEVICE_SOUND,      DEVICE_INTERFACE};

    if (only != NULL)
        return !usb_wanted(only) || usb_assign(def, only, error);
    for (guint k = 0; not_new && k < G_N_ELEMENTS(kinds); k++) {
        DOMAIN_DEF_FOREACH(DeviceInfo, dev, def, kinds[k])
        {
            if (usb_wanted(dev))
                return TRUE;
        }
    }
    if (!usb_check_ports(def, error) || !usb_add_hubs(def, error))
        return FALSE;
    DOMAIN_DEF_FOREACH(HubDef, hub, def, DEVICE_HUB)
    {
        if ((hub->info.address.type == ADDRESS_NONE ||
             (hub->info.address.type == ADDRESS_USB && hub->info.address.u.usb.port[0] == 0)) &&
            !usb_assign(def, &hub->info, error))
            return FALSE;
    }
    for (guint k = 0; k < G_N_ELEMENTS(kinds); k++) {
        DOMAIN_DEF_FOREACH(DeviceInfo, dev, def, kinds[k])
        {
            if (usb_wanted(dev) && !usb_assign(def, dev, error))
                return FALSE;
        }
    }
    return TRUE;
}

/* --- dimm slots --------------------------------------------------------------------------------------- */

static gboolean dimm_slot_used(const DomainDef *def, guint slot)
{
    DOMAIN_DEF_FOREACH(MemoryDef, memory, def, DEVICE_MEMORY)
    {
        if (memory->info.address.type == ADDRESS_DIMM && memory->info.address.u.dimm.slot == slot)
            return TRUE;
    }
    return FALSE;
}

static gboolean dimm_assign(DomainDef *def, MemoryDef *memory, GError **error)
{
    if ((memory->model != MEMORY_MODEL_DIMM && memory->model != MEMORY_MODEL_NVDIMM) ||
        memory->info.address.type == ADDRESS_DIMM)
        return TRUE;
    for (guint slot = 0; slot < def->memory_slots; slot++) {
        if (dimm_slot_used(def, slot))
            continue;
        memory->info.address = (DeviceAddress){.type = ADDRESS_DIMM};
        memory->info.address.u.dimm.slot = slot;
        return TRUE;
    }
    return error_set(error, VIR_ERR_OPERATION_INVALID, "no more memory slots: maxMemory has slots='%u'",
                     def->memory_slots);
}

gboolean address_assign_dimm(DomainDef *def, DeviceInfo *only, GError **error)
{
    if (!domain_def_has_memory_hotplug(def))
        return TRUE;
    if (only != NULL)
        return only->kind != DEVICE_MEMORY || dimm_assign(def, (MemoryDef *)only, error);
    DOMAIN_DEF_FOREACH(MemoryDef, memory, def, DEVICE_MEMORY)
    {
        if (!dimm_assign(def, memory, error))
            return FALSE;
    }
    return TRUE;
}

/* --- drives ------------------------------------------------------------------------------------------- */

/* A disk's place on its controller follows from its target: sdb is unit 1 of controller 0. */
gboolean address_from_disk_target(DeviceInfo *dev, GError **error)
{
    DiskDef *disk = (DiskDef *)dev;
    DriveAddress drive = {0};
    guint index = 0;

    /* Without a target it has no place; validation says so. */
    if (dev->address.type != ADDRESS_NONE || disk->target == NULL)
        return TRUE;
    if (!disk_name_to_index(disk->target, &index))
        return error_set(error, VIR_ERR_XML_ERROR, "Unknown disk name '%s' and no address specified",
                         disk->target);
    if (disk->bus != DISK_BUS_SCSI && disk->bus != DISK_BUS_IDE && disk->bus != DISK_BUS_SATA &&
        disk->bus != DISK_BUS_FDC)
        return TRUE;
    switch (disk->bus) {
    case DISK_BUS_SCSI:
        drive.controller = index / SCSI_UNITS_NARROW;
        drive.unit = index % SCSI_UNITS_NARROW;
        break;
    case DISK_BUS_IDE:
        drive.controller = index / 4;
        drive.bus = index % 4 / 2;
        drive.unit = index % 2;
        break;
    case DISK_BUS_SATA:
        drive.controller = index / 6;
        drive.unit = index % 6;
        break;
    default:
        drive.controller = index / 2;
        drive.unit = index % 2;
    }
    dev->address.type = ADDRESS_DRIVE;
    dev->address.u.drive = drive;
    return TRUE;
}

static gboolean scsi_unit_used(const DomainDef *def, const DriveAddress *drive)
{
    static const DeviceKind kinds[] = {DEVICE_DISK, DEVICE_HOSTDEV};

    for (guint k = 0; k < G_N_ELEMENTS(kinds); k++) {
        DOMAIN_DEF_FOREACH(DeviceInfo, dev, def, kinds[k])
        {
            if (dev->address.type == ADDRESS_DRIVE &&
                memcmp(&dev->address.u.drive, drive, sizeof(*drive)) == 0 &&
                (dev->kind == DEVICE_HOSTDEV || ((DiskDef *)dev)->bus == DISK_BUS_SCSI))
                return TRUE;
        }
    }
    return FALSE;
}

void address_for_scsi_hostdev(const DomainDef *def, DeviceInfo *dev)
{
    const HostdevDef *hostdev = (const HostdevDef *)dev;
    DriveAddress drive = {0};

    if (hostdev->mode != HOSTDEV_MODE_SUBSYSTEM || hostdev->type != HOSTDEV_SCSI ||
        dev->address.type != ADDRESS_NONE || def == NULL)
        return;
    while (scsi_unit_used(def, &drive)) {
        if (++drive.unit == SCSI_UNITS_NARROW) {
            drive.unit = 0;
            drive.controller++;
        }
    }
    dev->address.type = ADDRESS_DRIVE;
    dev->address.u.drive = drive;
}

/* --- all ---------------------------------------------------------------------------------------------- */

gboolean domain_def_assign_addresses(DomainDef *def, const DomainDefEnv *env, GError **error)
{
    return address_assign_all(def, env != NULL ? env : &domain_def_env_default, FALSE, error);
}

gboolean address_assign_all(DomainDef *def, const DomainDefEnv *env, gboolean not_new, GError **error)
{
    return address_assign_virtio_serial(def, NULL, TRUE, error) && address_assign_pci(def, env, error) &&
           address_assign_usb(def, NULL, not_new, error) && address_assign_dimm(def, NULL, error);
}

gboolean domain_def_assign_device_address(DomainDef *def, DeviceInfo *dev, const DomainDefEnv *env,
                                          GError **error)
{
    if (env == NULL)
        env = &domain_def_env_default;
    if (dev->kind == DEVICE_DISK && !address_from_disk_target(dev, error))
        return FALSE;
    if (dev->kind == DEVICE_HOSTDEV)
        address_for_scsi_hostdev(def, dev);
    return address_assign_virtio_serial(def, dev, FALSE, error) &&
           address_assign_pci_device(def, dev, env, error) && address_assign_usb(def, dev, FALSE, error) &&
           address_assign_dimm(def, dev, error);
}
