/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <hostdev>: see def_hostdev.h. */
#include "driver/conf/def_hostdev.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/fields.h"
#include "driver/conf/supported.h"

ENUM_TABLE(hostdev_mode, HostdevMode, HOSTDEV_MODE_LAST, "subsystem", "capabilities")
ENUM_TABLE(hostdev_type, HostdevType, HOSTDEV_LAST, "usb", "pci", "scsi", "scsi_host", "mdev")
ENUM_TABLE(hostdev_caps, HostdevCaps, HOSTDEV_CAPS_LAST, "storage", "misc", "net")
ENUM_TABLE(hostdev_driver, HostdevDriver, HOSTDEV_DRIVER_LAST, "default", "kvm", "vfio", "xen")
ENUM_TABLE(usb_guest_reset, UsbGuestReset, USB_GUEST_RESET_LAST, "default", "off", "uninitialized", "on")
ENUM_TABLE(mdev_model, MdevModel, MDEV_LAST, "vfio-pci", "vfio-ccw", "vfio-ap")

static const char *const caps_elements[HOSTDEV_CAPS_LAST] = {"block", "char", "interface"};

static const Field scsi_fields[] = {
    FIELD_ENUM(HostdevDef, sgio, "sgio", device_sgio),
    FIELD_YES_NO(HostdevDef, rawio, "rawio"),
    FIELD_END,
};
static const Field scsi_host_fields[] = {
    FIELD_ENUM(HostdevDef, vhost_model, "model", virtio_model),
    FIELD_END,
};
static const Field mdev_fields[] = {
    FIELD_ENUM_ALWAYS(HostdevDef, mdev_model, "model", mdev_model, FIELD_REQUIRED),
    FIELD_ON_OFF(HostdevDef, display, "display"),
    FIELD_ON_OFF(HostdevDef, ramfb, "ramfb"),
    FIELD_END,
};
/* Attributes of the element itself, by type. */
static const Field *const type_fields[HOSTDEV_LAST] = {
    [HOSTDEV_SCSI] = scsi_fields, [HOSTDEV_SCSI_HOST] = scsi_host_fields, [HOSTDEV_MDEV] = mdev_fields};

static const Field driver_fields[] = {FIELD_ENUM(HostdevDef, driver, "name", hostdev_driver), FIELD_END};
static const Field pci_source_fields[] = {
    FIELD_YES_NO(HostdevDef, write_filtering, "writeFiltering"),
    FIELD_END,
};
static const Field usb_source_fields[] = {
    FIELD_ENUM(HostdevDef, startup_policy, "startupPolicy", startup_policy),
    FIELD_END,
};
static const Field guest_reset_fields[] = {
    FIELD_ENUM(HostdevDef, guest_reset, "guestReset", usb_guest_reset),
    FIELD_END,
};
static const Field usb_address_fields[] = {
    FIELD_OF(HostdevDef, usb_bus, "bus", FIELD_KIND_UINT, .flags = FIELD_REQUIRED),
    FIELD_OF(HostdevDef, usb_device, "device", FIELD_KIND_UINT, .flags = FIELD_REQUIRED),
    FIELD_END,
};
static const Field adapter_fields[] = {FIELD_STR_REQUIRED(HostdevDef, scsi_adapter, "name"), FIELD_END};
static const Field wwpn_fields[] = {FIELD_STR_REQUIRED(HostdevDef, wwpn, "wwpn"), FIELD_END};
static const Field uuid_fields[] = {FIELD_STR(HostdevDef, uuid, "uuid"), FIELD_END};

/* --- reading --- */

static xmlNodePtr need(xmlNodePtr node, const char *child, const char *what, GError **error)
{
    xmlNodePtr found = xml_child(node, child);

    if (found == NULL)
        error_set(error, VIR_ERR_XML_ERROR, "%s must be specified for <hostdev>: <%s> is missing", what,
                  child);
    return found;
}

static gboolean parse_usb_id(xmlNodePtr node, XmlGetFlags flags, guint *ret, GError **error)
{
    guint64 value = 0;

    if (!xml_attr_get_hex(node, "id", XML_REQUIRED | flags, &value, error))
        return FALSE;
    if (value > G_MAXUINT16)
        return error_set(error, VIR_ERR_XML_ERROR, "invalid usb %s id 0x%" G_GINT64_MODIFIER "x in <hostdev>",
                         (const char *)node->name, value);
    *ret = (guint)value;
    return TRUE;
}

static gboolean parse_usb(xmlNodePtr source, HostdevDef *def, GError **error)
{
    xmlNodePtr address = xml_child(source, "address");
    xmlNodePtr vendor = xml_child(source, "vendor");
    xmlNodePtr product = xml_child(source, "product");
    Tristate automatic = TRISTATE_ABSENT;

    if (!fields_parse(usb_source_fields, source, def, error) ||
        !fields_parse(guest_reset_fields, source, def, error) ||
        !xml_attr_get_yes_no(source, "autoAddress", XML_OPTIONAL, &automatic, error))
        return FALSE;
    def->auto_address = automatic == TRISTATE_YES;
    if ((vendor == NULL) != (product == NULL))
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "missing %s", vendor == NULL ? "vendor" : "product");
    if (vendor != NULL) {
        def->has_usb_id = TRUE;
        if (!parse_usb_id(vendor, XML_NONZERO, &def->usb_vendor, error) ||
            !parse_usb_id(product, XML_OPTIONAL, &def->usb_product, error))
            return FALSE;
    } else if (address == NULL) {
        return error_set(error, VIR_ERR_XML_ERROR, "missing vendor and address in <hostdev> of type usb");
    }
    return address == NULL || fields_parse(usb_address_fields, address, def, error);
}

static gboolean parse_scsi(xmlNodePtr source, HostdevDef *def, GError **error)
{
    g_autofree char *protocol = xml_get_attr(source, "protocol");
    xmlNodePtr node;

    if (g_strcmp0(protocol, "iscsi") == 0) {
        def->iscsi = storage_source_new(STORAGE_TYPE_NETWORK);
        if (!storage_source_parse(source, def->iscsi, DOMAIN_DEF_PARSE_INACTIVE, error))
            return FALSE;
        return (def->iscsi->hosts != NULL && def->iscsi->hosts->len == 1) ||
               error_set(error, VIR_ERR_XML_ERROR, "iscsi <hostdev> needs exactly one <host>");
    }
    if (protocol != NULL && strcmp(protocol, "adapter") != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Unknown SCSI subsystem protocol '%s'", protocol);
    node = need(source, "adapter", "scsi adapter", error);
    if (node == NULL || !fields_parse(adapter_fields, node, def, error))
        return FALSE;
    node = need(source, "address", "scsi address", error);
    return node != NULL && xml_attr_get_uint(node, "bus", XML_REQUIRED, &def->scsi_bus, error) &&
           xml_attr_get_uint(node, "target", XML_REQUIRED, &def->scsi_target, error) &&
           xml_attr_get_u64(node, "unit", XML_REQUIRED, &def->scsi_unit, error);
}

static gboolean parse_scsi_host(xmlNodePtr source, HostdevDef *def, GError **error)
{
    g_autofree char *protocol = xml_get_attr(source, "protocol");

    if (g_strcmp0(protocol, "vhost") != 0)
        return error_set(error, VIR_ERR_XML_ERROR, "scsi_host <hostdev>: protocol must be 'vhost', not '%s'",
                         protocol != NULL ? protocol : "");
    if (!fields_parse(wwpn_fields, source, def, error))
        return FALSE;
    return g_str_has_prefix(def->wwpn, "naa.") ||
           error_set(error, VIR_ERR_XML_ERROR, "malformed 'wwpn' value: '%s', it must begin with 'naa.'",
                     def->wwpn);
}

static gboolean parse_mdev(xmlNodePtr source, HostdevDef *def, GError **error)
{
    xmlNodePtr address = need(source, "address", "mdev uuid", error);
    guint8 uuid[16];
    char text[UUID_TEXT_SIZE];

    if (address == NULL || !fields_parse(uuid_fields, address, def, error))
        return FALSE;
    if (def->uuid == NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Missing 'uuid' attribute for element <address>");
    if (!uuid_parse(def->uuid, uuid))
        return error_set(error, VIR_ERR_XML_ERROR, "Cannot parse uuid attribute of element <address>: '%s'",
                         def->uuid);
    uuid_format(uuid, text);
    g_free(def->uuid);
    def->uuid = g_strdup(text);
    return TRUE;
}

gboolean hostdev_parse_source(xmlNodePtr node, HostdevDef *def, GError **error)
{
    xmlNodePtr source = need(node, "source", "source", error);
    xmlNodePtr driver = xml_child(node, "driver");
    xmlNodePtr address;

    if (source == NULL)
        return FALSE;
    switch (def->type) {
    case HOSTDEV_USB:
        return parse_usb(source, def, error);
    case HOSTDEV_PCI:
        address = need(source, "address", "pci address", error);
        return address != NULL && fields_parse(pci_source_fields, source, def, error) &&
               pci_address_parse(&def->pci, address, error) &&
               (driver == NULL || fields_parse(driver_fields, driver, def, error));
    case HOSTDEV_SCSI:
        return parse_scsi(source, def, error);
    case HOSTDEV_SCSI_HOST:
        return parse_scsi_host(source, def, error);
    case HOSTDEV_MDEV:
        return parse_mdev(source, def, error);
    case HOSTDEV_LAST:
        break;
    }
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "hostdev type %d", (int)def->type);
}

static gboolean parse_caps(xmlNodePtr node, HostdevDef *def, GError **error)
{
    xmlNodePtr source = need(node, "source", "source", error);

    if (source == NULL)
        return FALSE;
    def->caps_source = xml_get_child_text(source, caps_elements[def->caps]);
    if (def->caps_source == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "Missing <%s> element in hostdev storage device",
                         caps_elements[def->caps]);
    return def->caps != HOSTDEV_CAPS_NET || net_ip_info_parse(node, &def->caps_ip, error);
}

static gboolean hostdev_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    HostdevDef *def = (HostdevDef *)dev;
    Tristate managed = TRISTATE_ABSENT;

    if (!xml_attr_get_word(node, "mode", hostdev_mode_from_string, XML_OPTIONAL, "unknown hostdev mode",
                           (int *)&def->mode, error))
        return FALSE;
    if (def->mode == HOSTDEV_MODE_CAPABILITIES) {
        if (!xml_attr_get_word(node, "type", hostdev_caps_from_string, XML_REQUIRED,
                               "unknown host device source address type", (int *)&def->caps, error) ||
            !parse_caps(node, def, error))
            return FALSE;
    } else {
        if (!xml_attr_get_word(node, "type", hostdev_type_from_string, XML_REQUIRED,
                               "unknown host device source address type", (int *)&def->type, error) ||
            !xml_attr_get_yes_no(node, "managed", XML_OPTIONAL, &managed, error) ||
            (type_fields[def->type] != NULL && !fields_parse(type_fields[def->type], node, def, error)) ||
            !hostdev_parse_source(node, def, error))
            return FALSE;
        def->managed = managed == TRISTATE_YES;
        def->readonly = def->type == HOSTDEV_SCSI && xml_child(node, "readonly") != NULL;
        def->shareable = def->type == HOSTDEV_SCSI && xml_child(node, "shareable") != NULL;
    }
    return net_teaming_parse(node, &def->teaming, error) && device_info_parse(dev, node, ctx->flags, error);
}

/* --- writing --- */

static void format_pci(XmlWriter *w, const HostdevDef *def, gboolean with_type)
{
    fields_format_element(w, "driver", driver_fields, def);
    xml_open(w, "source");
    fields_format(w, pci_source_fields, def);
    xml_open(w, "address");
    if (with_type)
        xml_attr(w, "type", "pci");
    pci_address_attrs(w, &def->pci);
    xml_close(w);
    xml_close(w);
}

static void format_usb_id(XmlWriter *w, const char *name, guint id)
{
    xml_open(w, name);
    xml_attr_hex(w, "id", id, 4);
    xml_close(w);
}

static void format_usb(XmlWriter *w, const HostdevDef *def, gboolean with_type, guint flags)
{
    xml_open(w, "source");
    fields_format(w, usb_source_fields, def);
    if (def->auto_address && (flags & DOMAIN_DEF_FORMAT_MIGRATABLE))
        xml_attr(w, "autoAddress", "yes");
    if (def->missing && !(flags & DOMAIN_DEF_FORMAT_INACTIVE))
        xml_attr(w, "missing", "yes");
    fields_format(w, guest_reset_fields, def);
    if (def->has_usb_id) {
        format_usb_id(w, "vendor", def->usb_vendor);
        format_usb_id(w, "product", def->usb_product);
    }
    if (def->usb_bus != 0 || def->usb_device != 0) {
        xml_open(w, "address");
        if (with_type)
            xml_attr(w, "type", "usb");
        xml_attr_u64(w, "bus", def->usb_bus);
        xml_attr_u64(w, "device", def->usb_device);
        xml_close(w);
    }
    xml_close(w);
}

/* In libvirt's order here: host, auth, initiator. */
static void format_iscsi(XmlWriter *w, const StorageSource *iscsi)
{
    const StorageHost *host = g_ptr_array_index(iscsi->hosts, 0);

    xml_open(w, "source");
    xml_attr(w, "protocol", "iscsi");
    xml_attr(w, "name", iscsi->path);
    xml_open(w, "host");
    xml_attr(w, "name", host->name);
    if (host->port != 0)
        xml_attr_u64(w, "port", host->port);
    xml_close(w);
    if (iscsi->auth != NULL)
        storage_auth_format(w, iscsi->auth);
    if (iscsi->initiator_iqn != NULL) {
        xml_open(w, "initiator");
        xml_open(w, "iqn");
        xml_attr(w, "name", iscsi->initiator_iqn);
        xml_close(w);
        xml_close(w);
    }
    xml_close(w);
}

static void format_scsi(XmlWriter *w, const HostdevDef *def, gboolean with_type)
{
    if (def->iscsi != NULL) {
        format_iscsi(w, def->iscsi);
        return;
    }
    xml_open(w, "source");
    fields_format_element(w, "adapter", adapter_fields, def);
    xml_open(w, "address");
    if (with_type)
        xml_attr(w, "type", "scsi");
    xml_attr_u64(w, "bus", def->scsi_bus);
    xml_attr_u64(w, "target", def->scsi_target);
    xml_attr_u64(w, "unit", def->scsi_unit);
    xml_close(w);
    xml_close(w);
}

void hostdev_format_source(XmlWriter *w, const HostdevDef *def, gboolean with_type, guint flags)
{
    switch (def->type) {
    case HOSTDEV_USB:
        format_usb(w, def, with_type, flags);
        break;
    case HOSTDEV_PCI:
        format_pci(w, def, with_type);
        break;
    case HOSTDEV_SCSI:
        format_scsi(w, def, with_type);
        break;
    case HOSTDEV_SCSI_HOST:
        xml_open(w, "source");
        xml_attr(w, "protocol", "vhost");
        xml_attr(w, "wwpn", def->wwpn);
        xml_close(w);
        break;
    case HOSTDEV_MDEV:
        xml_open(w, "source");
        fields_format_element(w, "address", uuid_fields, def);
        xml_close(w);
        break;
    case HOSTDEV_LAST:
        break;
    }
}

static void hostdev_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const HostdevDef *def = (const HostdevDef *)dev;

    xml_open(w, "hostdev");
    xml_attr(w, "mode", hostdev_mode_to_string(def->mode));
    if (def->mode == HOSTDEV_MODE_CAPABILITIES) {
        xml_attr(w, "type", hostdev_caps_to_string(def->caps));
        xml_open(w, "source");
        xml_element_text(w, caps_elements[def->caps], def->caps_source);
        xml_close(w);
        net_ip_info_format(w, &def->caps_ip);
    } else {
        xml_attr(w, "type", hostdev_type_to_string(def->type));
        xml_attr(w, "managed", def->managed ? "yes" : "no");
        if (type_fields[def->type] != NULL)
            fields_format(w, type_fields[def->type], def);
        hostdev_format_source(w, def, FALSE, fmt->flags);
    }
    net_teaming_format(w, &def->teaming);
    if (def->readonly)
        xml_element_empty(w, "readonly");
    if (def->shareable)
        xml_element_empty(w, "shareable");
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

/* --- the rest --- */

static gboolean hostdev_post_parse(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    HostdevDef *def = (HostdevDef *)dev;

    (void)ctx;
    if (def->mode == HOSTDEV_MODE_SUBSYSTEM && def->type == HOSTDEV_SCSI && def->iscsi != NULL)
        storage_source_add_unit(def->iscsi);
    if (def->mode == HOSTDEV_MODE_SUBSYSTEM && def->type == HOSTDEV_MDEV &&
        def->mdev_model == MDEV_VFIO_PCI && def->display == TRISTATE_ABSENT)
        def->display = TRISTATE_NO;
    if (def->mode == HOSTDEV_MODE_SUBSYSTEM && def->type == HOSTDEV_MDEV && def->mdev_model == MDEV_VFIO_PCI &&
        dev->address.type != ADDRESS_NONE && dev->address.type != ADDRESS_PCI)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "Unsupported address type '%s' with mediated device model '%s'",
                         address_type_to_string(dev->address.type), mdev_model_to_string(def->mdev_model));
    return TRUE;
}

static gboolean hostdev_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const HostdevDef *def = (const HostdevDef *)dev;
    AddressType address = dev->address.type;

    if (!supported_check(SUPPORTED_HOSTDEV_MODE, hostdev_mode_to_string(def->mode), "hostdev mode", error))
        return FALSE;
    if (def->driver == HOSTDEV_DRIVER_KVM || def->driver == HOSTDEV_DRIVER_XEN)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "hostdev driver name '%s' is not supported; supported is vfio",
                         hostdev_driver_to_string(def->driver));
    if (def->type == HOSTDEV_MDEV && def->mdev_model != MDEV_VFIO_PCI)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "hostdev mdev model '%s' is not supported on x86_64; supported is vfio-pci",
                         mdev_model_to_string(def->mdev_model));
    if (def->ramfb == TRISTATE_YES && def->display != TRISTATE_YES)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "hostdev attribute ramfb='on' requires display='on'");
    if (def->display == TRISTATE_YES && ctx->def != NULL && domain_def_n(ctx->def, DEVICE_GRAPHICS) == 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "graphics device is needed for attribute value 'display=on' in <hostdev>");
    if (def->type == HOSTDEV_SCSI_HOST && dev->effective_boot_index > 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "booting from assigned devices is not supported by vhost SCSI devices");
    if (def->sgio == SGIO_UNFILTERED)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unfiltered sgio is no longer supported");
    if (def->teaming.type != TEAMING_NONE && def->type != HOSTDEV_PCI)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "teaming is not supported for hostdev of type '%s'",
                         hostdev_type_to_string(def->type));
    if (address != ADDRESS_NONE && address != ADDRESS_UNASSIGNED &&
        ((def->type == HOSTDEV_SCSI && address != ADDRESS_DRIVE) ||
         (def->type == HOSTDEV_USB && address != ADDRESS_USB) ||
         (def->type == HOSTDEV_PCI && address != ADDRESS_PCI)))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "Invalid address type '%s' for hostdev of type '%s'",
                         address_type_to_string(address), hostdev_type_to_string(def->type));
    return TRUE;
}

static gboolean same_pci(const PciAddress *a, const PciAddress *b)
{
    return a->domain == b->domain && a->bus == b->bus && a->slot == b->slot && a->function == b->function;
}

/* libvirt: the same device of the host. */
static gboolean hostdev_matches(const DeviceInfo *dev, const DeviceInfo *wanted_dev)
{
    const HostdevDef *def = (const HostdevDef *)dev;
    const HostdevDef *wanted = (const HostdevDef *)wanted_dev;

    if (def->mode != wanted->mode)
        return FALSE;
    if (def->mode == HOSTDEV_MODE_CAPABILITIES)
        return def->caps == wanted->caps && g_strcmp0(def->caps_source, wanted->caps_source) == 0;
    if (def->type != wanted->type)
        return FALSE;
    switch (def->type) {
    case HOSTDEV_USB:
        if (wanted->usb_bus != 0 && wanted->usb_device != 0)
            return def->usb_bus == wanted->usb_bus && def->usb_device == wanted->usb_device;
        return def->has_usb_id == wanted->has_usb_id && def->usb_vendor == wanted->usb_vendor &&
               def->usb_product == wanted->usb_product;
    case HOSTDEV_PCI:
        return same_pci(&def->pci, &wanted->pci);
    case HOSTDEV_SCSI:
        if (def->iscsi != NULL || wanted->iscsi != NULL)
            return def->iscsi != NULL && wanted->iscsi != NULL &&
                   storage_source_same(def->iscsi, wanted->iscsi);
        return g_strcmp0(def->scsi_adapter, wanted->scsi_adapter) == 0 && def->scsi_bus == wanted->scsi_bus &&
               def->scsi_target == wanted->scsi_target && def->scsi_unit == wanted->scsi_unit;
    case HOSTDEV_SCSI_HOST:
        return g_strcmp0(def->wwpn, wanted->wwpn) == 0;
    case HOSTDEV_MDEV:
        return g_strcmp0(def->uuid, wanted->uuid) == 0;
    case HOSTDEV_LAST:
        break;
    }
    return FALSE;
}

void hostdev_clear_source(HostdevDef *def)
{
    g_clear_pointer(&def->caps_source, g_free);
    net_ip_info_clear(&def->caps_ip);
    g_clear_pointer(&def->scsi_adapter, g_free);
    g_clear_pointer(&def->iscsi, storage_source_free);
    g_clear_pointer(&def->host_path, g_free);
    g_clear_pointer(&def->wwpn, g_free);
    g_clear_pointer(&def->uuid, g_free);
}

static void hostdev_clear(DeviceInfo *dev)
{
    HostdevDef *def = (HostdevDef *)dev;

    hostdev_clear_source(def);
    g_free(def->teaming.persistent);
}

static guint hostdev_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    const HostdevDef *def = (const HostdevDef *)dev;

    (void)domain;
    if (def->mode != HOSTDEV_MODE_SUBSYSTEM || dev->address.type == ADDRESS_UNASSIGNED)
        return PCI_CONNECT_NONE;
    switch (def->type) {
    case HOSTDEV_PCI:
    case HOSTDEV_MDEV:
        return PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_EXPRESS | PCI_CONNECT_HOTPLUG;
    case HOSTDEV_SCSI_HOST:
        return (def->vhost_model == VIRTIO_MODEL_TRANSITIONAL ? PCI_CONNECT_CONVENTIONAL
                                                              : PCI_CONNECT_EXPRESS) |
               PCI_CONNECT_HOTPLUG;
    default:
        return PCI_CONNECT_NONE;
    }
}

const DeviceDefOps hostdev_def_ops = {
    .kind = DEVICE_HOSTDEV,
    .size = sizeof(HostdevDef),
    .parse = hostdev_parse,
    .format = hostdev_format,
    .post_parse = hostdev_post_parse,
    .validate = hostdev_validate,
    .matches = hostdev_matches,
    .clear = hostdev_clear,
    .pci_connect = hostdev_pci_connect,
};
