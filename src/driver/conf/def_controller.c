/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <controller>: see def_controller.h. */
#include "driver/conf/def_controller.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/fields.h"

#define XHCI_PORTS_MAX 15

ENUM_TABLE(controller_type, ControllerType, CONTROLLER_LAST, "ide", "fdc", "scsi", "sata", "virtio-serial",
           "ccid", "usb", "pci", "xenbus", "isa")
ENUM_TABLE(pci_model, PciModel, PCI_MODEL_LAST, "pci-root", "pcie-root", "pci-bridge", "dmi-to-pci-bridge",
           "pcie-to-pci-bridge", "pcie-root-port", "pcie-switch-upstream-port", "pcie-switch-downstream-port",
           "pci-expander-bus", "pcie-expander-bus")
ENUM_TABLE(pci_model_name, PciModelName, PCI_MODEL_NAME_LAST, "none", "pci-bridge", "i82801b11-bridge",
           "ioh3420", "x3130-upstream", "xio3130-downstream", "pxb", "pxb-pcie", "pcie-root-port",
           "spapr-pci-host-bridge", "pcie-pci-bridge")
ENUM_TABLE(scsi_model, ScsiModel, SCSI_MODEL_LAST, "auto", "buslogic", "lsilogic", "lsisas1068", "vmpvscsi",
           "ibmvscsi", "virtio-scsi", "lsisas1078", "virtio-transitional", "virtio-non-transitional",
           "ncr53c90", "dc390", "am53c974")
ENUM_TABLE(usb_model, UsbModel, USB_MODEL_LAST, "piix3-uhci", "piix4-uhci", "ehci", "ich9-ehci1",
           "ich9-uhci1", "ich9-uhci2", "ich9-uhci3", "vt82c686b-uhci", "pci-ohci", "nec-xhci", "qusb1",
           "qusb2", "qemu-xhci", "none")
ENUM_TABLE(ide_model, IdeModel, IDE_MODEL_LAST, "piix3", "piix4", "ich6")
ENUM_TABLE(vserial_model, VserialModel, VSERIAL_MODEL_LAST, "virtio", "virtio-transitional",
           "virtio-non-transitional")

/* The words of "model", by type; NULL: the type has no models. */
static const struct {
    int (*from_string)(const char *name);
    const char *(*to_string)(int model);
} models[CONTROLLER_LAST] = {
    [CONTROLLER_IDE] = {ide_model_from_string, (const char *(*)(int))ide_model_to_string},
    [CONTROLLER_SCSI] = {scsi_model_from_string, (const char *(*)(int))scsi_model_to_string},
    [CONTROLLER_VIRTIO_SERIAL] = {vserial_model_from_string, (const char *(*)(int))vserial_model_to_string},
    [CONTROLLER_USB] = {usb_model_from_string, (const char *(*)(int))usb_model_to_string},
    [CONTROLLER_PCI] = {pci_model_from_string, (const char *(*)(int))pci_model_to_string},
};

static const Field vserial_fields[] = {
    FIELD_INT(ControllerDef, ports, "ports", -1),
    FIELD_INT(ControllerDef, vectors, "vectors", -1),
    FIELD_END,
};
static const Field usb_fields[] = {FIELD_INT(ControllerDef, ports, "ports", -1), FIELD_END};
static const Field xenbus_fields[] = {
    FIELD_INT(ControllerDef, max_grant_frames, "maxGrantFrames", -1),
    FIELD_INT(ControllerDef, max_event_channels, "maxEventChannels", -1),
    FIELD_END,
};
static const Field *const type_fields[CONTROLLER_LAST] = {[CONTROLLER_VIRTIO_SERIAL] = vserial_fields,
                                                          [CONTROLLER_USB] = usb_fields,
                                                          [CONTROLLER_XENBUS] = xenbus_fields};

static const Field driver_fields[] = {
    FIELD_UINT(ControllerDef, queues, "queues"),
    FIELD_UINT(ControllerDef, cmd_per_lun, "cmd_per_lun"),
    FIELD_UINT(ControllerDef, max_sectors, "max_sectors"),
    FIELD_ON_OFF(ControllerDef, ioeventfd, "ioeventfd"),
    FIELD_UINT(ControllerDef, iothread, "iothread"),
    FIELDS_VIRTIO_OPTIONS(ControllerDef, virtio),
    FIELD_END,
};
static const Field model_name_fields[] = {
    FIELD_OF(ControllerDef, pci_model_name, "name", FIELD_KIND_ENUM, FIELD_TABLE(pci_model_name)),
    FIELD_END,
};
static const Field target_fields[] = {
    FIELD_INT(ControllerDef, chassis_nr, "chassisNr", -1), FIELD_INT(ControllerDef, chassis, "chassis", -1),
    FIELD_INT_HEX(ControllerDef, port, "port", -1),        FIELD_INT(ControllerDef, bus_nr, "busNr", -1),
    FIELD_INT(ControllerDef, target_index, "index", -1),   FIELD_ON_OFF(ControllerDef, hotplug, "hotplug"),
    FIELD_INT_CHILD(ControllerDef, numa_node, "node", -1), FIELD_END,
};
static const Field pci_fields[] = {
    FIELD_ELEMENT("model", model_name_fields),
    FIELD_ELEMENT("target", target_fields),
    FIELD_END,
};

static void controller_init(DeviceInfo *dev)
{
    ControllerDef *def = (ControllerDef *)dev;

    def->index = def->model = def->ports = def->vectors = def->max_grant_frames = def->max_event_channels =
        -1;
    def->chassis_nr = def->chassis = def->port = def->bus_nr = def->numa_node = def->target_index = -1;
}

static gboolean parse_model(xmlNodePtr node, ControllerDef *def, GError **error)
{
    g_autofree char *model = xml_get_attr(node, "model");

    if (model == NULL)
        return TRUE;
    def->model = models[def->type].from_string != NULL ? models[def->type].from_string(model) : -1;
    return def->model >= 0 ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Unknown model type '%s' for controller of type '%s'",
                     model, controller_type_to_string(def->type));
}

static gboolean check_not_negative(int value, const char *name, GError **error)
{
    return value >= -1 ||
           error_set(error, VIR_ERR_XML_ERROR,
                     "Invalid value for attribute '%s' in element 'controller': '%d'. Expected "
                     "non-negative integer value",
                     name, value);
}

/* Companions of a USB 2 controller sit on fixed ports of it. */
static void default_master_port(ControllerDef *def)
{
    if (def->type != CONTROLLER_USB || def->info.usb_master || def->model < USB_MODEL_ICH9_UHCI1 ||
        def->model > USB_MODEL_ICH9_UHCI3)
        return;
    def->info.usb_master = TRUE;
    def->info.usb_master_startport = 2 * (guint)(def->model - USB_MODEL_ICH9_UHCI1);
}

static gboolean controller_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    ControllerDef *def = (ControllerDef *)dev;
    xmlNodePtr driver = xml_child(node, "driver");
    g_autofree char *index = xml_get_attr(node, "index");

    if (xml_count(node, "model") > 1 || xml_count(node, "target") > 1)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "Multiple <%s> elements in controller definition not allowed",
                         xml_count(node, "model") > 1 ? "model" : "target");
    if (!xml_attr_get_enum(node, "type", controller_type_from_string, XML_OPTIONAL, (int *)&def->type,
                           error) ||
        !xml_attr_get_int(node, "index", XML_OPTIONAL, &def->index, error) ||
        !parse_model(node, def, error) ||
        (driver != NULL && !fields_parse(driver_fields, driver, def, error)) ||
        (type_fields[def->type] != NULL && !fields_parse(type_fields[def->type], node, def, error)) ||
        (def->type == CONTROLLER_PCI && !fields_parse(pci_fields, node, def, error)))
        return FALSE;
    if (index != NULL && def->index < 0)
        return error_set(
            error, VIR_ERR_XML_ERROR,
            "Invalid value for attribute 'index' in element 'controller': '%s'. Expected non-negative "
            "integer value",
            index);
    if (!check_not_negative(def->ports, "ports", error) ||
        !check_not_negative(def->vectors, "vectors", error))
        return FALSE;
    if (controller_is_pci_root(def) && xml_child(node, "pcihole64") != NULL) {
        def->has_pcihole64 = TRUE;
        if (!xml_child_get_memory_kib(node, "pcihole64", XML_OPTIONAL, &def->pcihole64_kib, error))
            return FALSE;
    }
    if (!(def->type == CONTROLLER_USB && def->model == USB_MODEL_NONE) &&
        !device_info_parse(dev, node, ctx->flags, error))
        return FALSE;
    default_master_port(def);
    return TRUE;
}

const char *controller_model_text(const ControllerDef *def)
{
    return def->model >= 0 && models[def->type].to_string != NULL ? models[def->type].to_string(def->model)
                                                                  : NULL;
}

gboolean controller_is_pci_model(const ControllerDef *def, PciModel model)
{
    return def->type == CONTROLLER_PCI && def->model == (int)model;
}

gboolean controller_is_pci_root(const ControllerDef *def)
{
    return controller_is_pci_model(def, PCI_MODEL_PCI_ROOT) ||
           controller_is_pci_model(def, PCI_MODEL_PCIE_ROOT);
}

static void controller_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const ControllerDef *def = (const ControllerDef *)dev;

    xml_open(w, "controller");
    xml_attr(w, "type", controller_type_to_string(def->type));
    if (def->index >= 0) /* in a status document that lacks it nobody gives one */
        xml_attr_printf(w, "index", "%d", def->index);
    xml_attr(w, "model", controller_model_text(def));
    if (type_fields[def->type] != NULL)
        fields_format(w, type_fields[def->type], def);
    if (def->type == CONTROLLER_PCI)
        fields_format(w, pci_fields, def);
    fields_format_element(w, "driver", driver_fields, def);
    device_info_format(w, dev, fmt->flags);
    if (def->has_pcihole64) {
        xml_open(w, "pcihole64");
        xml_attr(w, "unit", "KiB");
        xml_text_u64(w, def->pcihole64_kib);
        xml_close(w);
    }
    xml_close(w);
}

static gboolean controller_post_parse(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    ControllerDef *def = (ControllerDef *)dev;
    int highest = -1;

    if (def->type == CONTROLLER_PCI && def->model == PCI_MODEL_PCIE_EXPANDER_BUS && ctx->def != NULL &&
        !os_def_is_q35(&ctx->def->os))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "pcie-expander-bus controllers are not supported with machine type '%s'", ctx->def->os.machine);
    if (def->type == CONTROLLER_USB && def->model == USB_MODEL_DEFAULT)
        def->model = USB_MODEL_PIIX3_UHCI;
    if (def->type == CONTROLLER_SCSI && (def->model == SCSI_MODEL_DEFAULT || def->model == SCSI_MODEL_AUTO))
        def->model = SCSI_MODEL_LSILOGIC;
    if (def->index != -1)
        return TRUE;
    for (guint i = 0; ctx->def != NULL && i < domain_def_n(ctx->def, DEVICE_CONTROLLER); i++) {
        const ControllerDef *other = domain_def_get(ctx->def, DEVICE_CONTROLLER, i);

        if (other != def && other->type == def->type)
            highest = MAX(highest, other->index);
    }
    def->index = highest + 1;
    return TRUE;
}

static gboolean check_range(int value, int min, int max, const char *name, GError **error)
{
    return value == -1 || (value >= min && value <= max) ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "PCI controller %s '%d' out of range - must be %d-%d",
                     name, value, min, max);
}

static gboolean validate_pci(const ControllerDef *def, GError **error)
{
    if (def->model == PCI_MODEL_DEFAULT)
        return error_set(error, VIR_ERR_XML_ERROR, "PCI controller with index %d has no model", def->index);
    if (controller_is_pci_root(def) && def->info.address.type != ADDRESS_NONE)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "pci-root and pcie-root controllers should not have an address");
    if (controller_is_pci_root(def) && def->index != 0)
        return error_set(error, VIR_ERR_XML_ERROR, "pci-root and pcie-root controllers should have index 0");
    if (def->index > 255)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "PCI controller index %d too high, maximum is 255", def->index);
    if (def->pci_model_name == PCI_MODEL_NAME_SPAPR_PCI_HOST_BRIDGE || def->target_index != -1)
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "PCI controller model name 'spapr-pci-host-bridge' and target index are not supported on "
            "x86_64");
    if (def->numa_node >= 0 && def->index == 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "The PCI controller with index=0 can't be associated with a NUMA node");
    return check_range(def->chassis_nr, 1, 255, "chassisNr", error) &&
           check_range(def->chassis, 0, 255, "chassis", error) &&
           check_range(def->port, 0, 255, "port", error) && check_range(def->bus_nr, 1, 254, "busNr", error);
}

static gboolean is_virtio_scsi(const ControllerDef *def)
{
    return def->type == CONTROLLER_SCSI &&
           (def->model == SCSI_MODEL_VIRTIO_SCSI || def->model == SCSI_MODEL_VIRTIO_TRANSITIONAL ||
            def->model == SCSI_MODEL_VIRTIO_NON_TRANSITIONAL);
}

static gboolean validate_scsi(const ControllerDef *def, GError **error)
{
    switch (def->model) {
    case SCSI_MODEL_BUSLOGIC:
    case SCSI_MODEL_IBMVSCSI:
    case SCSI_MODEL_NCR53C90:
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "scsi controller model '%s' is not supported; supported are lsilogic, lsisas1068, vmpvscsi, "
            "virtio-scsi, lsisas1078, virtio-transitional, virtio-non-transitional, dc390, am53c974",
            scsi_model_to_string(def->model));
    default:
        return TRUE;
    }
}

/* There are those of the chipset only. */
static gboolean validate_ide(const ControllerDef *def, const OsDef *os, GError **error)
{
    if (!os_def_is_i440fx(os))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "IDE controllers are unsupported for machine type '%s'",
                         os->machine);
    return def->index == 0 ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Only a single IDE controller is supported for machine type '%s'",
                     os->machine);
}

static gboolean controller_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const ControllerDef *def = (const ControllerDef *)dev;

    if (!is_virtio_scsi(def) && (def->queues != 0 || def->cmd_per_lun != 0 || def->max_sectors != 0 ||
                                 def->ioeventfd != TRISTATE_ABSENT || def->iothread != 0))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "'%s' is only supported for 'virtio-scsi' controllers, not for one of type '%s'",
                         def->queues != 0        ? "queues"
                         : def->cmd_per_lun != 0 ? "cmd_per_lun"
                         : def->max_sectors != 0 ? "max_sectors"
                         : def->iothread != 0    ? "iothread"
                                                 : "ioeventfd",
                         controller_type_to_string(def->type));
    if (!is_virtio_scsi(def) && def->type != CONTROLLER_VIRTIO_SERIAL && virtio_options_given(&def->virtio))
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "iommu, ats, packed and page_per_vq driver options are only supported for virtio devices");
    switch (def->type) {
    case CONTROLLER_IDE:
        return ctx->def == NULL || validate_ide(def, &ctx->def->os, error);
    case CONTROLLER_PCI:
        return validate_pci(def, error);
    case CONTROLLER_SCSI:
        return validate_scsi(def, error);
    case CONTROLLER_USB:
        if (def->model == USB_MODEL_QUSB1 || def->model == USB_MODEL_QUSB2)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "USB controller model type 'qusb1' or 'qusb2' is not supported");
        if ((def->model == USB_MODEL_NEC_XHCI || def->model == USB_MODEL_QEMU_XHCI) &&
            def->ports > XHCI_PORTS_MAX)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "'%s' controller only supports up to '%u' ports",
                             usb_model_to_string(def->model), XHCI_PORTS_MAX);
        if (def->ports != -1 && def->model != USB_MODEL_NEC_XHCI && def->model != USB_MODEL_QEMU_XHCI)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "usb controller type '%s' doesn't support 'ports' with this QEMU binary",
                             usb_model_to_string(def->model));
        return TRUE;
    case CONTROLLER_XENBUS:
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Unsupported controller type: xenbus");
    case CONTROLLER_ISA:
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Unsupported controller type: isa");
    default:
        return TRUE;
    }
}

/* libvirt: type and index. */
static gboolean controller_matches(const DeviceInfo *dev, const DeviceInfo *wanted_dev)
{
    const ControllerDef *def = (const ControllerDef *)dev;
    const ControllerDef *wanted = (const ControllerDef *)wanted_dev;

    return def->type == wanted->type && (wanted->index == -1 || def->index == wanted->index);
}

static guint pci_controller_connect(const ControllerDef *def)
{
    switch (def->model) {
    case PCI_MODEL_PCI_BRIDGE:
        return PCI_CONNECT_CONVENTIONAL;
    case PCI_MODEL_PCI_EXPANDER_BUS:
        return PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_INTEGRATED;
    case PCI_MODEL_PCIE_ROOT_PORT:
        return PCI_CONNECT_EXPRESS | PCI_CONNECT_INTEGRATED | PCI_CONNECT_AGGREGATE;
    case PCI_MODEL_DMI_TO_PCI_BRIDGE:
    case PCI_MODEL_PCIE_EXPANDER_BUS:
        return PCI_CONNECT_EXPRESS | PCI_CONNECT_INTEGRATED;
    case PCI_MODEL_PCIE_TO_PCI_BRIDGE:
    case PCI_MODEL_PCIE_SWITCH_UPSTREAM_PORT:
    case PCI_MODEL_PCIE_SWITCH_DOWNSTREAM_PORT:
        return PCI_CONNECT_EXPRESS;
    default:
        return PCI_CONNECT_NONE;
    }
}

static guint usb_controller_connect(const ControllerDef *def)
{
    switch (def->model) {
    case USB_MODEL_NONE:
        return PCI_CONNECT_NONE;
    case USB_MODEL_NEC_XHCI:
    case USB_MODEL_QEMU_XHCI:
        return PCI_CONNECT_EXPRESS | PCI_CONNECT_HOTPLUG;
    case USB_MODEL_ICH9_EHCI1:
    case USB_MODEL_ICH9_UHCI1:
    case USB_MODEL_ICH9_UHCI2:
    case USB_MODEL_ICH9_UHCI3:
        return PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_INTEGRATED | PCI_CONNECT_AGGREGATE;
    default:
        return PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_HOTPLUG;
    }
}

static guint controller_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    const ControllerDef *def = (const ControllerDef *)dev;

    (void)domain;
    switch (def->type) {
    case CONTROLLER_PCI:
        return pci_controller_connect(def);
    case CONTROLLER_USB:
        return usb_controller_connect(def);
    case CONTROLLER_VIRTIO_SERIAL:
        return (def->model == VSERIAL_MODEL_TRANSITIONAL ? PCI_CONNECT_CONVENTIONAL : PCI_CONNECT_EXPRESS) |
               PCI_CONNECT_HOTPLUG;
    case CONTROLLER_SCSI:
        return (def->model == SCSI_MODEL_VIRTIO_SCSI || def->model == SCSI_MODEL_VIRTIO_NON_TRANSITIONAL
                    ? PCI_CONNECT_EXPRESS
                    : PCI_CONNECT_CONVENTIONAL) |
               PCI_CONNECT_HOTPLUG;
    case CONTROLLER_SATA:
    case CONTROLLER_IDE:
        return PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_INTEGRATED;
    default:
        return PCI_CONNECT_NONE;
    }
}

const DeviceDefOps controller_def_ops = {
    .kind = DEVICE_CONTROLLER,
    .size = sizeof(ControllerDef),
    .init = controller_init,
    .parse = controller_parse,
    .format = controller_format,
    .post_parse = controller_post_parse,
    .validate = controller_validate,
    .matches = controller_matches,
    .pci_connect = controller_pci_connect,
};
