/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all devices share: alias, boot order, ROM, guest address; and the virtio driver options. */
#include "driver/conf/device_info.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/device_def.h"

ENUM_TABLE(address_type, AddressType, ADDRESS_LAST, "none", "pci", "drive", "virtio-serial", "ccid", "usb",
           "spapr-vio", "virtio-s390", "ccw", "virtio-mmio", "isa", "dimm", "unassigned")

#define USER_ALIAS_PREFIX "ua-"
#define USER_ALIAS_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
#define LOADPARM_MAX 8

void device_info_clear(DeviceInfo *info)
{
    g_clear_pointer(&info->alias, g_free);
    g_clear_pointer(&info->rom_file, g_free);
    g_clear_pointer(&info->loadparm, g_free);
}

gboolean device_alias_is_user(const char *alias)
{
    return g_str_has_prefix(alias, USER_ALIAS_PREFIX) && strspn(alias, USER_ALIAS_CHARS) == strlen(alias);
}

static gboolean may_boot(DeviceKind kind)
{
    return kind == DEVICE_DISK || kind == DEVICE_FILESYSTEM || kind == DEVICE_INTERFACE ||
           kind == DEVICE_HOSTDEV || kind == DEVICE_REDIRDEV;
}

static gboolean may_have_rom(DeviceKind kind)
{
    return kind == DEVICE_INTERFACE || kind == DEVICE_HOSTDEV;
}

/* --- addresses ---------------------------------------------------------------------------------------- */

static gboolean hex_uint(xmlNodePtr node, const char *name, guint max, guint *ret, GError **error)
{
    guint64 value = *ret;

    if (!xml_attr_get_hex(node, name, XML_OPTIONAL, &value, error))
        return FALSE;
    if (value > max)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "Invalid PCI address %s='0x%" G_GINT64_MODIFIER "x', must be <= 0x%X", name, value,
                         max);
    *ret = (guint)value;
    return TRUE;
}

gboolean pci_address_parse(PciAddress *address, xmlNodePtr node, GError **error)
{
    *address = (PciAddress){0};
    if (!hex_uint(node, "domain", 0xffff, &address->domain, error) ||
        !hex_uint(node, "bus", 0xff, &address->bus, error) ||
        !hex_uint(node, "slot", 0x1f, &address->slot, error) ||
        !hex_uint(node, "function", 7, &address->function, error) ||
        !xml_attr_get_on_off(node, "multifunction", XML_OPTIONAL, &address->multifunction, error))
        return FALSE;
    if (xml_child(node, "zpci") != NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "<zpci> in a PCI address is not supported on x86");
    /* All zero is libvirt's way to say "somewhere". */
    address->given = (address->domain | address->bus | address->slot) != 0;
    return TRUE;
}

void pci_address_attrs(XmlWriter *w, const PciAddress *address)
{
    xml_attr_hex(w, "domain", address->domain, 4);
    xml_attr_hex(w, "bus", address->bus, 2);
    xml_attr_hex(w, "slot", address->slot, 2);
    xml_attr_hex(w, "function", address->function, 1);
}

char *pci_address_text(const PciAddress *address)
{
    return g_strdup_printf("%04x:%02x:%02x.%x", address->domain, address->bus, address->slot,
                           address->function);
}

static gboolean usb_address_parse(UsbAddress *usb, xmlNodePtr node, GError **error)
{
    g_autofree char *port = xml_get_attr(node, "port");
    g_auto(GStrv) parts = NULL;

    if (!xml_attr_get_uint(node, "bus", XML_OPTIONAL, &usb->bus, error))
        return FALSE;
    if (port == NULL)
        return TRUE;
    parts = g_strsplit(port, ".", -1);
    if (g_strv_length(parts) > USB_PORT_DEPTH || parts[0] == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Cannot parse <address> 'port' attribute '%s'", port);
    for (guint i = 0; parts[i] != NULL; i++) {
        guint64 value;

        if (!g_ascii_string_to_unsigned(parts[i], 10, 0, 255, &value, NULL))
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "Cannot parse <address> 'port' attribute '%s'", port);
        usb->port[i] = (guint)value;
    }
    return TRUE;
}

/* ISA and dimm numbers are hexadecimal with or without 0x. */
static gboolean base16(xmlNodePtr node, const char *name, guint64 max, guint64 *ret, GError **error)
{
    g_autofree char *text = xml_get_attr(node, name);
    const char *digits = text;
    char *end;

    if (text == NULL)
        return TRUE;
    if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
        digits += 2;
    *ret = g_ascii_strtoull(digits, &end, 16);
    if (!g_ascii_isxdigit(*digits) || *end != '\0' || *ret > max)
        return error_set(
            error, VIR_ERR_XML_ERROR,
            "Invalid value for attribute '%s' in element 'address': '%s'. Expected hexadecimal number", name,
            text);
    return TRUE;
}

gboolean device_address_parse(DeviceAddress *address, xmlNodePtr node, GError **error)
{
    g_autofree char *type_text = xml_get_attr(node, "type");
    int type = address_type_from_string(type_text);
    guint64 a = 0, b = 0;

    if (type_text == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "No type specified for device address");
    if (type <= ADDRESS_NONE)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown address type '%s'", type_text);
    *address = (DeviceAddress){.type = type};
    switch (address->type) {
    case ADDRESS_PCI:
        return pci_address_parse(&address->u.pci, node, error);
    case ADDRESS_DRIVE:
        return xml_attr_get_uint(node, "controller", XML_OPTIONAL, &address->u.drive.controller, error) &&
               xml_attr_get_uint(node, "bus", XML_OPTIONAL, &address->u.drive.bus, error) &&
               xml_attr_get_uint(node, "target", XML_OPTIONAL, &address->u.drive.target, error) &&
               xml_attr_get_uint(node, "unit", XML_OPTIONAL, &address->u.drive.unit, error);
    case ADDRESS_VIRTIO_SERIAL:
        return xml_attr_get_uint(node, "controller", XML_OPTIONAL, &address->u.vserial.controller, error) &&
               xml_attr_get_uint(node, "bus", XML_OPTIONAL, &address->u.vserial.bus, error) &&
               xml_attr_get_uint(node, "port", XML_OPTIONAL, &address->u.vserial.port, error);
    case ADDRESS_CCID:
        return xml_attr_get_uint(node, "controller", XML_OPTIONAL, &address->u.ccid.controller, error) &&
               xml_attr_get_uint(node, "slot", XML_OPTIONAL, &address->u.ccid.slot, error);
    case ADDRESS_USB:
        return usb_address_parse(&address->u.usb, node, error);
    case ADDRESS_SPAPR_VIO:
        return base16(node, "reg", G_MAXUINT64, &address->u.spapr_reg, error);
    case ADDRESS_ISA:
        if (!base16(node, "iobase", G_MAXUINT, &a, error) || !base16(node, "irq", G_MAXUINT, &b, error))
            return FALSE;
        address->u.isa.iobase = (guint)a;
        address->u.isa.irq = (guint)b;
        return TRUE;
    case ADDRESS_DIMM:
        return xml_attr_get_uint(node, "slot", XML_REQUIRED, &address->u.dimm.slot, error) &&
               base16(node, "base", G_MAXUINT64, &address->u.dimm.base, error);
    case ADDRESS_VIRTIO_S390:
        return error_set(error, VIR_ERR_XML_ERROR, "virtio-s390 bus doesn't have an address");
    case ADDRESS_NONE:
    case ADDRESS_CCW:
    case ADDRESS_VIRTIO_MMIO:
    case ADDRESS_UNASSIGNED:
    case ADDRESS_LAST:
        break;
    }
    return TRUE;
}

static void usb_port_attr(XmlWriter *w, const guint port[USB_PORT_DEPTH])
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < USB_PORT_DEPTH && port[i] != 0; i++)
        g_string_append_printf(text, "%s%u", i > 0 ? "." : "", port[i]);
    if (text->len > 0)
        xml_attr(w, "port", text->str);
}

void device_address_format(XmlWriter *w, const DeviceAddress *address)
{
    if (address->type == ADDRESS_NONE || address->type == ADDRESS_VIRTIO_S390)
        return;
    xml_open(w, "address");
    xml_attr(w, "type", address_type_to_string(address->type));
    switch (address->type) {
    case ADDRESS_PCI:
        if (address->u.pci.given)
            pci_address_attrs(w, &address->u.pci);
        xml_attr(w, "multifunction", tristate_on_off(address->u.pci.multifunction));
        break;
    case ADDRESS_DRIVE:
        xml_attr_u64(w, "controller", address->u.drive.controller);
        xml_attr_u64(w, "bus", address->u.drive.bus);
        xml_attr_u64(w, "target", address->u.drive.target);
        xml_attr_u64(w, "unit", address->u.drive.unit);
        break;
    case ADDRESS_VIRTIO_SERIAL:
        xml_attr_u64(w, "controller", address->u.vserial.controller);
        xml_attr_u64(w, "bus", address->u.vserial.bus);
        xml_attr_u64(w, "port", address->u.vserial.port);
        break;
    case ADDRESS_CCID:
        xml_attr_u64(w, "controller", address->u.ccid.controller);
        xml_attr_u64(w, "slot", address->u.ccid.slot);
        break;
    case ADDRESS_USB:
        xml_attr_u64(w, "bus", address->u.usb.bus);
        usb_port_attr(w, address->u.usb.port);
        break;
    case ADDRESS_SPAPR_VIO:
        xml_attr_hex(w, "reg", address->u.spapr_reg, 8);
        break;
    case ADDRESS_ISA:
        if (address->u.isa.iobase > 0)
            xml_attr_hex(w, "iobase", address->u.isa.iobase, 1);
        if (address->u.isa.irq > 0)
            xml_attr_hex(w, "irq", address->u.isa.irq, 1);
        break;
    case ADDRESS_DIMM:
        xml_attr_u64(w, "slot", address->u.dimm.slot);
        if (address->u.dimm.base != 0)
            xml_attr_hex(w, "base", address->u.dimm.base, 1);
        break;
    default:
        break;
    }
    xml_close(w);
}

gboolean device_address_equal(const DeviceAddress *a, const DeviceAddress *b)
{
    if (a->type != b->type)
        return FALSE;
    switch (a->type) {
    case ADDRESS_PCI:
        return a->u.pci.domain == b->u.pci.domain && a->u.pci.bus == b->u.pci.bus &&
               a->u.pci.slot == b->u.pci.slot && a->u.pci.function == b->u.pci.function;
    case ADDRESS_DRIVE:
        return memcmp(&a->u.drive, &b->u.drive, sizeof(a->u.drive)) == 0;
    case ADDRESS_VIRTIO_SERIAL:
        return memcmp(&a->u.vserial, &b->u.vserial, sizeof(a->u.vserial)) == 0;
    case ADDRESS_CCID:
        return memcmp(&a->u.ccid, &b->u.ccid, sizeof(a->u.ccid)) == 0;
    case ADDRESS_USB:
        return memcmp(&a->u.usb, &b->u.usb, sizeof(a->u.usb)) == 0;
    case ADDRESS_SPAPR_VIO:
        return a->u.spapr_reg == b->u.spapr_reg;
    case ADDRESS_ISA:
        return a->u.isa.iobase == b->u.isa.iobase;
    case ADDRESS_DIMM:
        return a->u.dimm.slot == b->u.dimm.slot && a->u.dimm.base == b->u.dimm.base;
    default:
        return TRUE;
    }
}

gboolean pci_address_wanted(const DeviceInfo *info)
{
    return info->address.type == ADDRESS_NONE ||
           (info->address.type == ADDRESS_PCI && !info->address.u.pci.given);
}

gboolean pci_address_present(const DeviceInfo *info)
{
    return info->address.type == ADDRESS_PCI && info->address.u.pci.given;
}

/* --- the device's shared children --------------------------------------------------------------------- */

static gboolean boot_parse(DeviceInfo *info, xmlNodePtr node, GError **error)
{
    g_autofree char *loadparm = xml_get_attr(node, "loadparm");

    if (!xml_attr_get_uint(node, "order", XML_REQUIRED | XML_NONZERO, &info->boot_index, error))
        return FALSE;
    info->effective_boot_index = info->boot_index;
    if (loadparm == NULL)
        return TRUE;
    if (*loadparm == '\0' || strlen(loadparm) > LOADPARM_MAX)
        return error_set(error, VIR_ERR_XML_ERROR, "loadparm value '%s' must be between 1 and %d characters",
                         loadparm, LOADPARM_MAX);
    info->loadparm = g_ascii_strup(loadparm, -1);
    return TRUE;
}

static gboolean rom_parse(DeviceInfo *info, xmlNodePtr node, GError **error)
{
    if (!xml_attr_get_yes_no(node, "enabled", XML_OPTIONAL, &info->rom_enabled, error) ||
        !xml_attr_get_on_off(node, "bar", XML_OPTIONAL, &info->rom_bar, error))
        return FALSE;
    info->rom_file = xml_get_attr(node, "file");
    if (info->rom_enabled == TRISTATE_NO && (info->rom_bar != TRISTATE_ABSENT || info->rom_file != NULL))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "ROM tuning is not supported when ROM is disabled");
    return TRUE;
}

gboolean device_info_parse(DeviceInfo *info, xmlNodePtr node, guint parse_flags, GError **error)
{
    XML_FOREACH(child, node, NULL)
    {
        if (xml_is(child, "alias") && info->alias == NULL) {
            g_autofree char *alias = xml_get_attr(child, "name");

            if (alias != NULL && *alias != '\0' &&
                (!(parse_flags & DOMAIN_DEF_PARSE_INACTIVE) || device_alias_is_user(alias)))
                info->alias = g_steal_pointer(&alias);
        } else if (xml_is(child, "master")) {
            info->usb_master = TRUE;
            if (!xml_attr_get_uint(child, "startport", XML_OPTIONAL, &info->usb_master_startport, error))
                return FALSE;
        } else if (xml_is(child, "boot") && may_boot(info->kind)) {
            if (!boot_parse(info, child, error))
                return FALSE;
        } else if (xml_is(child, "rom") && may_have_rom(info->kind)) {
            if (!rom_parse(info, child, error))
                return FALSE;
        } else if (xml_is(child, "acpi")) {
            if (!xml_attr_get_uint(child, "index", XML_NONZERO, &info->acpi_index, error))
                return FALSE;
        } else if (xml_is(child, "address") && info->address.type == ADDRESS_NONE) {
            if (!device_address_parse(&info->address, child, error))
                return FALSE;
        }
    }
    return TRUE;
}

void device_info_format(XmlWriter *w, const DeviceInfo *info, guint format_flags)
{
    gboolean own_alias = !(format_flags & DOMAIN_DEF_FORMAT_INACTIVE);

    if (info->boot_index > 0 && !(format_flags & DEVICE_INFO_FORMAT_NO_BOOT)) {
        xml_open(w, "boot");
        xml_attr_u64(w, "order", info->boot_index);
        xml_attr(w, "loadparm", info->loadparm);
        xml_close(w);
    }
    if ((format_flags & DEVICE_INFO_FORMAT_NO_OWN_ALIAS) && !(format_flags & DOMAIN_DEF_FORMAT_STATUS))
        own_alias = FALSE;
    if (info->alias != NULL && (own_alias || device_alias_is_user(info->alias))) {
        xml_open(w, "alias");
        xml_attr(w, "name", info->alias);
        xml_close(w);
    }
    if (info->usb_master) {
        xml_open(w, "master");
        xml_attr_u64(w, "startport", info->usb_master_startport);
        xml_close(w);
    }
    if (info->rom_enabled != TRISTATE_ABSENT || info->rom_bar != TRISTATE_ABSENT || info->rom_file != NULL) {
        xml_open(w, "rom");
        xml_attr(w, "enabled", tristate_yes_no(info->rom_enabled));
        xml_attr(w, "bar", tristate_on_off(info->rom_bar));
        xml_attr(w, "file", info->rom_file);
        xml_close(w);
    }
    if (info->acpi_index != 0) {
        xml_open(w, "acpi");
        xml_attr_u64(w, "index", info->acpi_index);
        xml_close(w);
    }
    if (!(format_flags & DEVICE_INFO_FORMAT_NO_ADDRESS))
        device_address_format(w, &info->address);
}

/* --- virtio options ----------------------------------------------------------------------------------- */

gboolean virtio_options_parse(VirtioOptions *options, xmlNodePtr driver, GError **error)
{
    return driver == NULL ||
           (xml_attr_get_on_off(driver, "iommu", XML_OPTIONAL, &options->iommu, error) &&
            xml_attr_get_on_off(driver, "ats", XML_OPTIONAL, &options->ats, error) &&
            xml_attr_get_on_off(driver, "packed", XML_OPTIONAL, &options->packed, error) &&
            xml_attr_get_on_off(driver, "page_per_vq", XML_OPTIONAL, &options->page_per_vq, error));
}

gboolean virtio_options_given(const VirtioOptions *options)
{
    return options->iommu != TRISTATE_ABSENT || options->ats != TRISTATE_ABSENT ||
           options->packed != TRISTATE_ABSENT || options->page_per_vq != TRISTATE_ABSENT;
}
