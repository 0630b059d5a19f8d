/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <os>: see os_def.h. */
#include "driver/conf/os_def.h"

#include <string.h>

#include "common/error.h"

#define BOOTMENU_TIMEOUT_MAX 65535
#define REBOOT_TIMEOUT_MAX 65535

ENUM_TABLE(boot_device, BootDevice, BOOT_LAST, "fd", "cdrom", "hd", "network")
ENUM_TABLE(firmware, Firmware, FIRMWARE_LAST, "none", "bios", "efi")
ENUM_TABLE(firmware_feature, FirmwareFeature, FIRMWARE_FEATURE_LAST, "enrolled-keys", "secure-boot")
ENUM_TABLE(loader_type, LoaderType, LOADER_LAST, "none", "rom", "pflash")
ENUM_TABLE(smbios_mode, SmbiosMode, SMBIOS_LAST, "none", "emulate", "host", "sysinfo")

void os_def_clear(OsDef *os)
{
    g_free(os->type);
    g_free(os->arch);
    g_free(os->machine);
    g_free(os->loader.path);
    g_free(os->loader.nvram_template);
    g_free(os->loader.nvram_type);
    g_free(os->loader.nvram_path);
    g_free(os->kernel);
    g_free(os->initrd);
    g_free(os->cmdline);
    g_free(os->dtb);
    g_free(os->root);
    g_free(os->slic_table);
    memset(os, 0, sizeof(*os));
}

/* "q35" or "pc-q35-7.2". */
gboolean os_def_is_q35(const OsDef *os)
{
    return os->machine != NULL &&
           (strcmp(os->machine, "q35") == 0 || g_str_has_prefix(os->machine, "pc-q35-"));
}

gboolean os_def_is_i440fx(const OsDef *os)
{
    return os->machine != NULL &&
           (strcmp(os->machine, "pc") == 0 || g_str_has_prefix(os->machine, "pc-0.") ||
            g_str_has_prefix(os->machine, "pc-1.") || g_str_has_prefix(os->machine, "pc-i440") ||
            g_str_has_prefix(os->machine, "rhel"));
}

/* --- parse -------------------------------------------------------------------------------------------- */

/* Child text, NULL when absent or empty, as XPath's string() gives it. */
static char *child_string(xmlNodePtr node, const char *name)
{
    g_autofree char *text = xml_get_child_text(node, name);

    return text != NULL && *text != '\0' ? g_steal_pointer(&text) : NULL;
}

static gboolean parse_loader(LoaderDef *loader, xmlNodePtr node, GError **error)
{
    int type = LOADER_NONE;

    if (node == NULL)
        return TRUE;
    loader->given = TRUE;
    if (!xml_attr_get_yes_no(node, "readonly", XML_OPTIONAL, &loader->readonly, error) ||
        !xml_attr_get_enum(node, "type", loader_type_from_string, XML_NONZERO, &type, error) ||
        !xml_attr_get_yes_no(node, "secure", XML_OPTIONAL, &loader->secure, error) ||
        !xml_attr_get_yes_no(node, "stateless", XML_OPTIONAL, &loader->stateless, error))
        return FALSE;
    loader->type = type;
    loader->path = xml_get_text(node);
    if (loader->path != NULL && *loader->path == '\0')
        g_clear_pointer(&loader->path, g_free);
    return TRUE;
}

static gboolean parse_nvram(LoaderDef *loader, xmlNodePtr node, GError **error)
{
    xmlNodePtr source = xml_child(node, "source");

    if (node == NULL)
        return TRUE;
    loader->given = TRUE;
    loader->nvram_given = TRUE;
    loader->nvram_template = xml_get_attr(node, "template");
    loader->nvram_type = xml_get_attr(node, "type");
    if (loader->nvram_type == NULL) {
        loader->nvram_path = xml_get_text(node);
        if (loader->nvram_path != NULL && *loader->nvram_path == '\0')
            g_clear_pointer(&loader->nvram_path, g_free);
        return TRUE;
    }
    if (strcmp(loader->nvram_type, "file") == 0)
        loader->nvram_path = xml_get_attr(source, "file");
    else if (strcmp(loader->nvram_type, "block") == 0)
        loader->nvram_path = xml_get_attr(source, "dev");
    else
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "element 'nvram': source type '%s' is not supported; supported are file, block",
                         loader->nvram_type);
    if (loader->nvram_path == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "missing source file of element 'nvram'");
    return TRUE;
}

static gboolean parse_firmware(OsDef *os, xmlNodePtr node, GError **error)
{
    int firmware = FIRMWARE_NONE;

    if (!xml_attr_get_enum(node, "firmware", firmware_from_string, XML_NONZERO, &firmware, error))
        return FALSE;
    os->firmware = firmware;
    XML_FOREACH(child, xml_child(node, "firmware"), "feature")
    {
        int feature = 0;
        Tristate enabled = TRISTATE_ABSENT;

        if (!xml_attr_get_enum(child, "name", firmware_feature_from_string, XML_REQUIRED, &feature, error) ||
            !xml_attr_get_yes_no(child, "enabled", XML_REQUIRED, &enabled, error))
            return FALSE;
        os->firmware_features_given = TRUE;
        os->firmware_features[feature] = enabled;
    }
    return TRUE;
}

static gboolean parse_boot(OsDef *os, xmlNodePtr node, GError **error)
{
    xmlNodePtr menu = xml_child(node, "bootmenu"), bios = xml_child(node, "bios");

    XML_FOREACH(child, node, "boot")
    {
        int device = 0;

        if (os->n_boot == BOOT_LAST)
            break;
        if (!xml_attr_get_enum(child, "dev", boot_device_from_string, XML_REQUIRED, &device, error))
            return FALSE;
        os->boot[os->n_boot++] = device;
    }
    if (menu != NULL) {
        g_autofree char *timeout = xml_get_attr(menu, "timeout");

        if (!xml_attr_get_yes_no(menu, "enable", XML_OPTIONAL, &os->bootmenu, error))
            return FALSE;
        if (timeout != NULL && os->bootmenu == TRISTATE_YES) {
            if (!xml_attr_get_uint(menu, "timeout", XML_OPTIONAL, &os->bootmenu_timeout, error))
                return FALSE;
            if (os->bootmenu_timeout > BOOTMENU_TIMEOUT_MAX)
                return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "invalid value for boot menu timeout, must be in range [0,%d]",
                                 BOOTMENU_TIMEOUT_MAX);
            os->bootmenu_timeout_set = TRUE;
        }
    }
    if (bios != NULL) {
        g_autofree char *timeout = xml_get_attr(bios, "rebootTimeout");

        if (!xml_attr_get_yes_no(bios, "useserial", XML_OPTIONAL, &os->bios_useserial, error) ||
            !xml_attr_get_int(bios, "rebootTimeout", XML_OPTIONAL, &os->bios_reboot_timeout, error))
            return FALSE;
        os->bios_reboot_timeout_set = timeout != NULL;
        if (os->bios_reboot_timeout < -1 || os->bios_reboot_timeout > REBOOT_TIMEOUT_MAX)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "invalid value for rebootTimeout, must be in range [-1,%d]", REBOOT_TIMEOUT_MAX);
    }
    return TRUE;
}

gboolean os_def_parse(OsDef *os, xmlNodePtr domain, GError **error)
{
    xmlNodePtr node = xml_child(domain, "os"), type = xml_child(node, "type"),
               smbios = xml_child(node, "smbios");
    xmlNodePtr acpi = xml_child(node, "acpi"), table = xml_child(acpi, "table");
    int mode = SMBIOS_NONE;

    os->type = xml_get_text(type);
    os->arch = xml_get_attr(type, "arch");
    os->machine = xml_get_attr(type, "machine");
    if (node == NULL)
        return TRUE;
    if (!parse_firmware(os, node, error) || !parse_loader(&os->loader, xml_child(node, "loader"), error) ||
        !parse_nvram(&os->loader, xml_child(node, "nvram"), error))
        return FALSE;
    os->kernel = child_string(node, "kernel");
    os->initrd = child_string(node, "initrd");
    os->cmdline = child_string(node, "cmdline");
    os->dtb = child_string(node, "dtb");
    os->root = child_string(node, "root");
    if (table != NULL) {
        g_autofree char *table_type = xml_get_attr(table, "type");

        if (g_strcmp0(table_type, "slic") != 0)
            return error_set(error, VIR_ERR_XML_ERROR, "Unknown acpi table type: %s",
                             table_type != NULL ? table_type : "");
        os->slic_table = xml_get_text(table);
    }
    if (smbios != NULL) {
        if (!xml_attr_get_word(smbios, "mode", smbios_mode_from_string, XML_REQUIRED | XML_NONZERO,
                               "unknown smbios mode", &mode, error))
            return FALSE;
        os->smbios = mode;
    }
    return parse_boot(os, node, error);
}

/* --- format ------------------------------------------------------------------------------------------- */

static void format_loader(XmlWriter *w, const LoaderDef *loader)
{
    if (!loader->given)
        return;
    if (loader->path != NULL || loader->readonly != TRISTATE_ABSENT || loader->secure != TRISTATE_ABSENT ||
        loader->type != LOADER_NONE || loader->stateless != TRISTATE_ABSENT) {
        xml_open(w, "loader");
        xml_attr(w, "readonly", tristate_yes_no(loader->readonly));
        xml_attr(w, "secure", tristate_yes_no(loader->secure));
        if (loader->type != LOADER_NONE)
            xml_attr(w, "type", loader_type_to_string(loader->type));
        xml_attr(w, "stateless", tristate_yes_no(loader->stateless));
        if (loader->path != NULL)
            xml_text(w, loader->path);
        xml_close(w);
    }
    if (loader->nvram_template == NULL && loader->nvram_path == NULL)
        return;
    xml_open(w, "nvram");
    xml_attr(w, "template", loader->nvram_template);
    if (loader->nvram_type != NULL) {
        xml_attr(w, "type", loader->nvram_type);
        xml_open(w, "source");
        xml_attr(w, strcmp(loader->nvram_type, "block") == 0 ? "dev" : "file", loader->nvram_path);
        xml_close(w);
    } else if (loader->nvram_path != NULL) {
        xml_text(w, loader->nvram_path);
    }
    xml_close(w);
}

static void format_boot(XmlWriter *w, const OsDef *os)
{
    for (guint i = 0; i < os->n_boot; i++) {
        xml_open(w, "boot");
        xml_attr(w, "dev", boot_device_to_string(os->boot[i]));
        xml_close(w);
    }
    if (os->bootmenu != TRISTATE_ABSENT) {
        xml_open(w, "bootmenu");
        xml_attr(w, "enable", tristate_yes_no(os->bootmenu));
        if (os->bootmenu_timeout_set)
            xml_attr_u64(w, "timeout", os->bootmenu_timeout);
        xml_close(w);
    }
    if (os->bios_useserial != TRISTATE_ABSENT || os->bios_reboot_timeout_set) {
        xml_open(w, "bios");
        xml_attr(w, "useserial", tristate_yes_no(os->bios_useserial));
        if (os->bios_reboot_timeout_set)
            xml_attr_printf(w, "rebootTimeout", "%d", os->bios_reboot_timeout);
        xml_close(w);
    }
}

void os_def_format(XmlWriter *w, const OsDef *os)
{
    xml_open(w, "os");
    if (os->firmware != FIRMWARE_NONE)
        xml_attr(w, "firmware", firmware_to_string(os->firmware));
    xml_open(w, "type");
    xml_attr(w, "arch", os->arch);
    xml_attr(w, "machine", os->machine);
    xml_text(w, os->type != NULL ? os->type : "hvm");
    xml_close(w);
    if (os->firmware_features_given) {
        xml_open(w, "firmware");
        for (int i = 0; i < FIRMWARE_FEATURE_LAST; i++) {
            if (os->firmware_features[i] == TRISTATE_ABSENT)
                continue;
            xml_open(w, "feature");
            xml_attr(w, "enabled", tristate_yes_no(os->firmware_features[i]));
            xml_attr(w, "name", firmware_feature_to_string(i));
            xml_close(w);
        }
        xml_close(w);
    }
    format_loader(w, &os->loader);
    xml_element_text(w, "kernel", os->kernel);
    xml_element_text(w, "initrd", os->initrd);
    xml_element_text(w, "cmdline", os->cmdline);
    xml_element_text(w, "dtb", os->dtb);
    xml_element_text(w, "root", os->root);
    if (os->slic_table != NULL) {
        xml_open(w, "acpi");
        xml_open(w, "table");
        xml_attr(w, "type", "slic");
        xml_text(w, os->slic_table);
        xml_close(w);
        xml_close(w);
    }
    format_boot(w, os);
    if (os->smbios != SMBIOS_NONE) {
        xml_open(w, "smbios");
        xml_attr(w, "mode", smbios_mode_to_string(os->smbios));
        xml_close(w);
    }
    xml_close(w);
}
