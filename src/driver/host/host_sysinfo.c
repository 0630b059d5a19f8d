/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <sysinfo type='smbios'> from the DMI strings the kernel shows below /sys/class/dmi/id. */
#include "common/error.h"
#include "common/xml.h"
#include "driver/host/host_private.h"

typedef struct Entry {
    const char *section, *name, *file;
} Entry;

/* In the order of libvirt's document; serials and the UUID are readable by root only. */
static const Entry entries[] = {
    {"bios", "vendor", "bios_vendor"},
    {"bios", "version", "bios_version"},
    {"bios", "date", "bios_date"},
    {"bios", "release", "bios_release"},
    {"system", "manufacturer", "sys_vendor"},
    {"system", "product", "product_name"},
    {"system", "version", "product_version"},
    {"system", "serial", "product_serial"},
    {"system", "uuid", "product_uuid"},
    {"system", "sku", "product_sku"},
    {"system", "family", "product_family"},
    {"baseBoard", "manufacturer", "board_vendor"},
    {"baseBoard", "product", "board_name"},
    {"baseBoard", "version", "board_version"},
    {"baseBoard", "serial", "board_serial"},
    {"baseBoard", "asset", "board_asset_tag"},
    {"chassis", "manufacturer", "chassis_vendor"},
    {"chassis", "version", "chassis_version"},
    {"chassis", "serial", "chassis_serial"},
    {"chassis", "asset", "chassis_asset_tag"},
};

char *host_sysinfo_xml(Host *host, GError **error)
{
    XmlWriter *w = xml_writer_new(0);
    const char *open = NULL;
    char *text;

    xml_open(w, "sysinfo");
    xml_attr(w, "type", "smbios");
    for (guint i = 0; i < G_N_ELEMENTS(entries); i++) {
        g_autofree char *value = host_read(host, "/sys/class/dmi/id/%s", entries[i].file);

        if (value == NULL || value[0] == '\0')
            continue;
        if (g_strcmp0(open, entries[i].section) != 0) {
            if (open != NULL)
                xml_close(w);
            open = entries[i].section;
            xml_open(w, open);
        }
        xml_open(w, "entry");
        xml_attr(w, "name", entries[i].name);
        xml_text(w, value);
        xml_close(w);
    }
    if (open != NULL)
        xml_close(w);
    xml_close(w);
    text = xml_writer_finish(w);
    if (open == NULL) {
        g_free(text);
        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Host SMBIOS information is not available");
        return NULL;
    }
    return text;
}
