/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest addresses as properties of -device, and the controllers. A bus's name follows from its controller's
 * alias:
 *
 *   pci  pci.0 (i440fx root), pcie.0 (q35 root), pci.N     usb  usb.0, usbN.0
 *   scsi scsiN.0      sata  ide.U (built into q35), sataN.U      virtio-serial  virtio-serialN.0      ccid
 * ccidN.0
 */
#include <string.h>

#include "driver/backend/qemu_args_priv.h"
#include "driver/conf/def_hub.h"

json_t *device_props(const char *driver)
{
    return json_pack("{s:s}", "driver", driver);
}

const ControllerDef *find_controller(const DomainDef *def, ControllerType type, guint index)
{
    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (controller->type == type && controller->index == (int)index)
            return controller;
    }
    return NULL;
}

static gboolean no_controller(const DeviceInfo *info, const char *type, guint index, GError **error)
{
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "device '%s' is at %s controller %u, which is not there",
                     info->alias, type, index);
}

static gboolean pci_address(const DomainDef *def, json_t *props, const DeviceInfo *info, GError **error)
{
    const PciAddress *pci = &info->address.u.pci;
    const ControllerDef *bus = find_controller(def, CONTROLLER_PCI, pci->bus);
    char addr[16];

    if (bus == NULL && pci->bus == 0) { /* the root of a definition without controllers */
        prop_str(props, "bus", os_def_is_q35(&def->os) ? "pcie.0" : "pci.0");
    } else if (bus == NULL) {
        return no_controller(info, "pci", pci->bus, error);
    } else if (controller_is_pci_model(bus, PCI_MODEL_PCIE_ROOT)) {
        prop_str(props, "bus", "pcie.0");
    } else if (controller_is_pci_model(bus, PCI_MODEL_PCI_ROOT)) {
        prop_str(props, "bus", "pci.0");
    } else {
        prop_str(props, "bus", bus->info.alias);
    }
    if (pci->multifunction == TRISTATE_YES)
        json_object_set_new(props, "multifunction", json_true());
    if (pci->function != 0)
        g_snprintf(addr, sizeof(addr), "0x%x.0x%x", pci->slot, pci->function);
    else
        g_snprintf(addr, sizeof(addr), "0x%x", pci->slot);
    prop_str(props, "addr", addr);
    return TRUE;
}

static gboolean usb_address(const DomainDef *def, json_t *props, const DeviceInfo *info, GError **error)
{
    const UsbAddress *usb = &info->address.u.usb;
    const ControllerDef *controller = find_controller(def, CONTROLLER_USB, usb->bus);
    g_autofree char *bus = NULL;
    GString *port;

    if (controller == NULL)
        return no_controller(info, "usb", usb->bus, error);
    bus = g_strdup_printf("%s.0", controller->info.alias);
    prop_str(props, "bus", bus);
    port = g_string_new(NULL);
    for (int i = 0; i < USB_PORT_DEPTH && usb->port[i] != 0; i++)
        g_string_append_printf(port, "%s%u", i ? "." : "", usb->port[i]);
    if (port->len > 0)
        prop_str(props, "port", port->str);
    g_string_free(port, TRUE);
    return TRUE;
}

static gboolean vserial_address(const DomainDef *def, json_t *props, const DeviceInfo *info, GError **error)
{
    const VirtioSerialAddress *vserial = &info->address.u.vserial;
    const ControllerDef *controller = find_controller(def, CONTROLLER_VIRTIO_SERIAL, vserial->controller);
    g_autofree char *bus = NULL;

    if (controller == NULL)
        return no_controller(info, "virtio-serial", vserial->controller, error);
    bus = g_strdup_printf("%s.%u", controller->info.alias, vserial->bus);
    prop_str(props, "bus", bus);
    prop_int(props, "nr", vserial->port);
    return TRUE;
}

gboolean device_finish(const DomainDef *def, json_t *props, const DeviceInfo *info, GError **error)
{
    gboolean ok = TRUE;

    prop_str(props, "id", info->alias);
    switch (info->address.type) {
    case ADDRESS_PCI:
        ok = pci_address(def, props, info, error);
        break;
    case ADDRESS_USB:
        ok = usb_address(def, props, info, error);
        break;
    case ADDRESS_VIRTIO_SERIAL:
        ok = vserial_address(def, props, info, error);
        break;
    case ADDRESS_ISA:
        prop_uint(props, "iobase", info->address.u.isa.iobase);
        prop_uint(props, "irq", info->address.u.isa.irq);
        break;
    case ADDRESS_DIMM:
        prop_int(props, "slot", info->address.u.dimm.slot);
        prop_uint(props, "addr", info->address.u.dimm.base);
        break;
    default:
        break; /* drives say theirs themselves; the rest has none */
    }
    prop_uint(props, "bootindex", info->effective_boot_index);
    if (info->rom_enabled == TRISTATE_NO)
        prop_str(props, "romfile", "");
    else
        prop_str(props, "romfile", info->rom_file);
    if (info->rom_bar != TRISTATE_ABSENT)
        prop_int(props, "rombar", info->rom_bar == TRISTATE_YES);
    prop_uint(props, "acpi-index", info->acpi_index);
    return ok;
}

char *virtio_driver(const char *stem, VirtioModel model, const DeviceInfo *info)
{
    const char *kind = model == VIRTIO_MODEL_TRANSITIONAL       ? "-transitional"
                       : model == VIRTIO_MODEL_NON_TRANSITIONAL ? "-non-transitional"
                                                                : "";

    return g_strconcat(stem, "-pci", kind, NULL);
}

void virtio_props(json_t *props, const VirtioOptions *options)
{
    prop_bool(props, "iommu_platform", options->iommu);
    prop_bool(props, "ats", options->ats);
    prop_bool(props, "packed", options->packed);
    prop_bool(props, "page-per-vq", options->page_per_vq);
}

/* --- controllers --- */

static const char *const usb_drivers[] = {
    [USB_MODEL_PIIX3_UHCI] = "piix3-usb-uhci",
    [USB_MODEL_PIIX4_UHCI] = "piix4-usb-uhci",
    [USB_MODEL_EHCI] = "usb-ehci",
    [USB_MODEL_ICH9_EHCI1] = "ich9-usb-ehci1",
    [USB_MODEL_ICH9_UHCI1] = "ich9-usb-uhci1",
    [USB_MODEL_ICH9_UHCI2] = "ich9-usb-uhci2",
    [USB_MODEL_ICH9_UHCI3] = "ich9-usb-uhci3",
    [USB_MODEL_VT82C686B_UHCI] = "vt82c686b-usb-uhci",
    [USB_MODEL_PCI_OHCI] = "pci-ohci",
    [USB_MODEL_NEC_XHCI] = "nec-usb-xhci",
    [USB_MODEL_QEMU_XHCI] = "qemu-xhci",
};

static json_t *usb_controller(const DomainDef *def, const ControllerDef *controller, GError **error)
{
    gboolean xhci = controller->model == USB_MODEL_NEC_XHCI || controller->model == USB_MODEL_QEMU_XHCI;
    int model = controller->model == USB_MODEL_DEFAULT ? (int)USB_MODEL_PIIX3_UHCI : controller->model;
    const char *driver = model >= 0 && model < (int)G_N_ELEMENTS(usb_drivers) ? usb_drivers[model] : NULL;
    json_t *props;

    if (driver == NULL) {
        args_unsupported(error, "USB controller model '%s' is not supported",
                         controller_model_text(controller));
        return NULL;
    }
    props = device_props(driver);
    if (controller->ports > 0 && xhci) {
        prop_int(props, "p2", controller->ports);
        prop_int(props, "p3", controller->ports);
    }
    if (controller->info.usb_master) {
        const ControllerDef *master = NULL;

        DOMAIN_DEF_FOREACH(ControllerDef, other, def, DEVICE_CONTROLLER)
        {
            if (other->type == CONTROLLER_USB && other->index == controller->index && !other->info.usb_master)
                master = other;
        }
        if (master != NULL) {
            g_autofree char *bus = g_strdup_printf("%s.0", master->info.alias);

            prop_str(props, "masterbus", bus);
            prop_int(props, "firstport", controller->info.usb_master_startport);
        }
        /* Companions share the master's name; only the master is found by it. */
        if (!device_finish(def, props, &controller->info, error)) {
            json_decref(props);
            return NULL;
        }
        if (master != NULL)
            json_object_del(props, "id");
        return props;
    }
    return props;
}

static json_t *scsi_controller(const ControllerDef *controller, GError **error)
{
    static const struct {
        int model;
        const char *driver;
    } others[] = {
        {SCSI_MODEL_LSILOGIC, "lsi53c895a"}, {SCSI_MODEL_LSISAS1068, "mptsas1068"},
        {SCSI_MODEL_LSISAS1078, "megasas"},  {SCSI_MODEL_VMPVSCSI, "pvscsi"},
        {SCSI_MODEL_DC390, "dc390"},         {SCSI_MODEL_AM53C974, "am53c974"},
    };
    VirtioModel virtio = controller->model == SCSI_MODEL_VIRTIO_TRANSITIONAL ? VIRTIO_MODEL_TRANSITIONAL
                         : controller->model == SCSI_MODEL_VIRTIO_NON_TRANSITIONAL
                             ? VIRTIO_MODEL_NON_TRANSITIONAL
                             : VIRTIO_MODEL_VIRTIO;
    g_autofree char *driver = NULL;
    json_t *props;

    for (gsize i = 0; i < G_N_ELEMENTS(others); i++) {
        if (controller->model == others[i].model)
            return device_props(others[i].driver);
    }
    if (controller->model != SCSI_MODEL_VIRTIO_SCSI && virtio == VIRTIO_MODEL_VIRTIO) {
        args_unsupported(error, "SCSI controller model '%s' is not supported",
                         controller_model_text(controller) ? controller_model_text(controller) : "(none)");
        return NULL;
    }
    driver = virtio_driver("virtio-scsi", virtio, &controller->info);
    props = device_props(driver);
    virtio_props(props, &controller->virtio);
    if (controller->iothread != 0) {
        g_autofree char *thread = g_strdup_printf("iothread%u", controller->iothread);

        prop_str(props, "iothread", thread);
    }
    prop_bool(props, "ioeventfd", controller->ioeventfd);
    prop_uint(props, "num_queues", controller->queues);
    prop_uint(props, "cmd_per_lun", controller->cmd_per_lun);
    prop_uint(props, "max_sectors", controller->max_sectors);
    return props;
}

static json_t *pci_controller(const ControllerDef *controller, GError **error)
{
    static const struct {
        PciModel model;
        const char *driver; /* when <model name> says nothing else */
    } defaults[] = {
        {PCI_MODEL_PCI_BRIDGE, "pci-bridge"},
        {PCI_MODEL_DMI_TO_PCI_BRIDGE, "i82801b11-bridge"},
        {PCI_MODEL_PCIE_TO_PCI_BRIDGE, "pcie-pci-bridge"},
        {PCI_MODEL_PCIE_ROOT_PORT, "pcie-root-port"},
        {PCI_MODEL_PCIE_SWITCH_UPSTREAM_PORT, "x3130-upstream"},
        {PCI_MODEL_PCIE_SWITCH_DOWNSTREAM_PORT, "xio3130-downstream"},
        {PCI_MODEL_PCI_EXPANDER_BUS, "pxb"},
        {PCI_MODEL_PCIE_EXPANDER_BUS, "pxb-pcie"},
    };
    const char *driver = NULL;
    json_t *props;

    for (gsize i = 0; i < G_N_ELEMENTS(defaults); i++) {
        if ((int)defaults[i].model == controller->model)
            driver = defaults[i].driver;
    }
    if (driver == NULL) {
        args_unsupported(error, "PCI controller model '%s' is not supported",
                         controller_model_text(controller));
        return NULL;
    }
    if (controller->pci_model_name == PCI_MODEL_NAME_IOH3420)
        driver = "ioh3420";
    props = device_props(driver);
    if (controller->chassis_nr >= 0)
        prop_int(props, "chassis_nr", controller->chassis_nr);
    if (controller->port >= 0)
        prop_int(props, "port", controller->port);
    if (controller->chassis >= 0)
        prop_int(props, "chassis", controller->chassis);
    if (controller->bus_nr >= 0)
        prop_int(props, "bus_nr", controller->bus_nr);
    if (controller->numa_node >= 0)
        prop_int(props, "numa_node", controller->numa_node);
    if (controller->hotplug != TRISTATE_ABSENT && controller->model == PCI_MODEL_PCI_BRIDGE)
        prop_onoff(props, "shpc", controller->hotplug);
    else
        prop_bool(props, "hotplug", controller->hotplug);
    return props;
}

static json_t *vserial_controller(const ControllerDef *controller)
{
    VirtioModel virtio = controller->model == VSERIAL_MODEL_TRANSITIONAL       ? VIRTIO_MODEL_TRANSITIONAL
                         : controller->model == VSERIAL_MODEL_NON_TRANSITIONAL ? VIRTIO_MODEL_NON_TRANSITIONAL
                                                                               : VIRTIO_MODEL_VIRTIO;
    g_autofree char *driver = virtio_driver("virtio-serial", virtio, &controller->info);
    json_t *props = device_props(driver);

    if (controller->ports >= 0)
        prop_int(props, "max_ports", controller->ports);
    if (controller->vectors >= 0)
        prop_int(props, "vectors", controller->vectors);
    virtio_props(props, &controller->virtio);
    return props;
}

/* Controllers that the machine has of itself. */
static gboolean is_builtin(const DomainDef *def, const ControllerDef *controller)
{
    switch (controller->type) {
    case CONTROLLER_PCI:
        return controller_is_pci_root(controller);
    case CONTROLLER_IDE:
        return TRUE; /* only i440fx has one, index 0 */
    case CONTROLLER_SATA:
        return controller->index == 0 && os_def_is_q35(&def->os);
    case CONTROLLER_FDC:
        return !os_def_is_q35(&def->os);
    case CONTROLLER_USB:
        return controller->model == USB_MODEL_NONE;
    case CONTROLLER_ISA:
    case CONTROLLER_XENBUS:
        return TRUE;
    default:
        return FALSE;
    }
}

json_t *qemu_controller_device(const DomainDef *def, const ControllerDef *controller, GError **error)
{
    json_t *props = NULL;

    switch (controller->type) {
    case CONTROLLER_SCSI:
        props = scsi_controller(controller, error);
        break;
    case CONTROLLER_SATA:
        props = device_props("ahci");
        break;
    case CONTROLLER_FDC:
        props = device_props("isa-fdc");
        break;
    case CONTROLLER_VIRTIO_SERIAL:
        props = vserial_controller(controller);
        break;
    case CONTROLLER_CCID:
        props = device_props("usb-ccid");
        break;
    case CONTROLLER_USB:
        props = usb_controller(def, controller, error);
        if (props != NULL && controller->info.usb_master)
            return props; /* complete */
        break;
    case CONTROLLER_PCI:
        props = pci_controller(controller, error);
        break;
    default:
        args_unsupported(error, "controller type '%s' is not supported",
                         controller_type_to_string(controller->type));
        break;
    }
    if (props != NULL && !device_finish(def, props, &controller->info, error)) {
        json_decref(props);
        return NULL;
    }
    return props;
}

gboolean args_controllers(QemuBuilder *b, GError **error)
{
    /* Buses before what stands on them: pci, then usb masters before their companions, then the rest. */
    static const ControllerType order[] = {
        CONTROLLER_PCI,  CONTROLLER_USB, CONTROLLER_SCSI, CONTROLLER_SATA,   CONTROLLER_VIRTIO_SERIAL,
        CONTROLLER_CCID, CONTROLLER_IDE, CONTROLLER_FDC,  CONTROLLER_XENBUS, CONTROLLER_ISA};

    for (gsize k = 0; k < G_N_ELEMENTS(order); k++) {
        for (int companions = 0; companions <= (order[k] == CONTROLLER_USB); companions++) {
            DOMAIN_DEF_FOREACH(ControllerDef, controller, b->def, DEVICE_CONTROLLER)
            {
                json_t *props;

                if (controller->type != order[k] || controller->info.usb_master != companions)
                    continue;
                if (controller_is_pci_root(controller) && controller->has_pcihole64)
                    args_add(b, "-global", "%s.pci-hole64-size=%" G_GUINT64_FORMAT "K",
                             os_def_is_q35(&b->def->os) ? "q35-pcihost" : "i440FX-pcihost",
                             controller->pcihole64_kib);
                if (controller->type == CONTROLLER_IDE && controller->index != 0)
                    return args_unsupported(error, "only one IDE controller is supported");
                if (is_builtin(b->def, controller))
                    continue;
                props = qemu_controller_device(b->def, controller, error);
                if (props == NULL)
                    return FALSE;
                if (!args_require_device(b, json_string_value(json_object_get(props, "driver")),
                                         "<controller>", error)) {
                    json_decref(props);
                    return FALSE;
                }
                args_add_json(b, "-device", props);
            }
        }
    }
    DOMAIN_DEF_FOREACH(HubDef, hub, b->def, DEVICE_HUB)
    {
        json_t *props = device_props("usb-hub");

        if (!device_finish(b->def, props, &hub->info, error)) {
            json_decref(props);
            return FALSE;
        }
        args_add_json(b, "-device", props);
    }
    return TRUE;
}
