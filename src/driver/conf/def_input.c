/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <input>: see def_input.h. */
#include "driver/conf/def_input.h"

#include "common/error.h"
#include "driver/conf/fields.h"
#include "driver/conf/supported.h"

ENUM_TABLE(input_type, InputType, INPUT_LAST, "mouse", "tablet", "keyboard", "passthrough", "evdev")
ENUM_TABLE(input_bus, InputBus, INPUT_BUS_LAST, "ps2", "usb", "xen", "parallels", "virtio", "none")
ENUM_TABLE(input_grab, InputGrab, INPUT_GRAB_LAST, "default", "all")
ENUM_TABLE(input_grab_toggle, InputGrabToggle, GRAB_TOGGLE_LAST, "default", "ctrl-ctrl", "alt-alt",
           "shift-shift", "meta-meta", "scrolllock", "ctrl-scrolllock")

static const Field model_fields[] = {
    FIELD_ENUM(InputDef, model, "model", virtio_model, .unknown = "unknown input model"), FIELD_END};
static const Field driver_fields[] = {FIELDS_VIRTIO_OPTIONS(InputDef, virtio), FIELD_END};
static const Field passthrough_fields[] = {FIELD_STR(InputDef, evdev, "evdev"), FIELD_END};
static const Field evdev_fields[] = {
    FIELD_STR(InputDef, evdev, "dev"),
    FIELD_ENUM(InputDef, grab, "grab", input_grab),
    FIELD_ENUM(InputDef, grab_toggle, "grabToggle", input_grab_toggle),
    FIELD_ON_OFF(InputDef, repeat, "repeat"),
    FIELD_END,
};

static const Field *source_fields(const InputDef *def)
{
    switch (def->type) {
    case INPUT_PASSTHROUGH:
        return passthrough_fields;
    case INPUT_EVDEV:
        return evdev_fields;
    default:
        return NULL;
    }
}

static InputBus default_bus(InputType type)
{
    switch (type) {
    case INPUT_MOUSE:
    case INPUT_KEYBOARD:
        return INPUT_BUS_PS2;
    case INPUT_PASSTHROUGH:
        return INPUT_BUS_VIRTIO;
    case INPUT_EVDEV:
        return INPUT_BUS_NONE;
    default:
        return INPUT_BUS_USB;
    }
}

static gboolean input_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    InputDef *def = (InputDef *)dev;
    xmlNodePtr source = xml_child(node, "source");
    g_autofree char *type = xml_get_attr(node, "type");
    g_autofree char *bus = xml_get_attr(node, "bus");

    if (type == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "missing input device type");
    if (input_type_from_string(type) < 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown input device type '%s'", type);
    def->type = input_type_from_string(type);
    def->bus = bus != NULL ? (InputBus)input_bus_from_string(bus) : default_bus(def->type);
    if (def->bus == INPUT_BUS_DEFAULT)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown input bus type '%s'", bus);
    if (!fields_parse(model_fields, node, def, error) ||
        !virtio_options_parse(&def->virtio, xml_child(node, "driver"), error) ||
        (source != NULL && source_fields(def) != NULL &&
         !fields_parse(source_fields(def), source, def, error)))
        return FALSE;
    if (source_fields(def) != NULL && def->evdev == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "Missing evdev path for input device");
    return device_info_parse(dev, node, ctx->flags, error);
}

static void input_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const InputDef *def = (const InputDef *)dev;

    if ((fmt->flags & DOMAIN_DEF_FORMAT_MIGRATABLE) && def->type == INPUT_KEYBOARD &&
        def->bus == INPUT_BUS_PS2)
        return;
    xml_open(w, "input");
    xml_attr(w, "type", input_type_to_string(def->type));
    if (def->bus != INPUT_BUS_NONE)
        xml_attr(w, "bus", input_bus_to_string(def->bus));
    fields_format(w, model_fields, def);
    fields_format_element(w, "driver", driver_fields, def);
    if (source_fields(def) != NULL)
        fields_format_element(w, "source", source_fields(def), def);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

static gboolean input_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const InputDef *def = (const InputDef *)dev;
    AddressType address = dev->address.type;

    (void)ctx;
    if (!supported_check(SUPPORTED_INPUT_BUS, input_bus_to_string(def->bus), "input bus", error))
        return FALSE;
    if (def->bus == INPUT_BUS_PS2 && def->type != INPUT_MOUSE && def->type != INPUT_KEYBOARD)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "ps2 bus does not support %s input device",
                         input_type_to_string(def->type));
    if ((def->bus == INPUT_BUS_NONE) != (def->type == INPUT_EVDEV))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "input of type '%s' can not be on bus '%s'",
                         input_type_to_string(def->type), input_bus_to_string(def->bus));
    if (def->type == INPUT_PASSTHROUGH && def->bus != INPUT_BUS_VIRTIO)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "input type 'passthrough' is only supported on bus virtio");
    if (def->bus != INPUT_BUS_VIRTIO && def->model != VIRTIO_MODEL_DEFAULT)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "only USB and virtio inputs have a model: '%s' is not possible on bus '%s'",
                         virtio_model_to_string(def->model), input_bus_to_string(def->bus));
    if (def->bus == INPUT_BUS_VIRTIO &&
        (def->model == VIRTIO_MODEL_TRANSITIONAL || def->model == VIRTIO_MODEL_NON_TRANSITIONAL) &&
        def->type != INPUT_PASSTHROUGH)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "virtio (non-)transitional models are not supported for input type=%s",
                         input_type_to_string(def->type));
    if (def->bus != INPUT_BUS_VIRTIO && virtio_options_given(&def->virtio))
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "iommu, ats, packed and page_per_vq driver options are only supported for virtio devices");
    if (def->bus == INPUT_BUS_USB && address != ADDRESS_NONE && address != ADDRESS_USB)
        return error_set(error, VIR_ERR_XML_ERROR, "Invalid address for a USB device");
    if (def->bus == INPUT_BUS_VIRTIO && address == ADDRESS_USB)
        return error_set(error, VIR_ERR_XML_ERROR, "Invalid address for a virtio input device");
    return TRUE;
}

/* libvirt: type and bus, and the host device of those that have one. */
static gboolean input_matches(const DeviceInfo *dev, const DeviceInfo *wanted_dev)
{
    const InputDef *def = (const InputDef *)dev;
    const InputDef *wanted = (const InputDef *)wanted_dev;

    return def->type == wanted->type && def->bus == wanted->bus && def->model == wanted->model &&
           g_strcmp0(def->evdev, wanted->evdev) == 0;
}

static void input_clear(DeviceInfo *dev)
{
    g_free(((InputDef *)dev)->evdev);
}

static guint input_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    const InputDef *def = (const InputDef *)dev;

    (void)domain;
    if (def->bus != INPUT_BUS_VIRTIO)
        return PCI_CONNECT_NONE;
    return (def->model == VIRTIO_MODEL_TRANSITIONAL ? PCI_CONNECT_CONVENTIONAL : PCI_CONNECT_EXPRESS) |
           PCI_CONNECT_HOTPLUG;
}

gboolean input_is_builtin(const InputDef *def)
{
    return def->bus == INPUT_BUS_PS2;
}

const DeviceDefOps input_def_ops = {
    .kind = DEVICE_INPUT,
    .size = sizeof(InputDef),
    .parse = input_parse,
    .format = input_format,
    .validate = input_validate,
    .matches = input_matches,
    .match_by_address = TRUE,
    .clear = input_clear,
    .pci_connect = input_pci_connect,
};
