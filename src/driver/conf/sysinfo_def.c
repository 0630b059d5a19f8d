/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <sysinfo type='smbios'> and type='fwcfg': see os_def.h. */
#include <string.h>

#include "common/error.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/os_def.h"

#define ENTRY_NAMES_MAX 8

/* Blocks and their entries in the order libvirt writes them. */
static const struct {
    const char *block;
    const char *names[ENTRY_NAMES_MAX];
} blocks[] = {
    {"bios", {"vendor", "version", "date", "release"}},
    {"system", {"manufacturer", "product", "version", "serial", "uuid", "sku", "family"}},
    {"baseBoard", {"manufacturer", "product", "version", "serial", "asset", "location"}},
    {"chassis", {"manufacturer", "version", "serial", "asset", "sku"}},
};

static void entry_clear(gpointer data)
{
    SysinfoEntry *entry = data;

    g_free(entry->block);
    g_free(entry->name);
    g_free(entry->value);
    g_free(entry->file);
}

SysinfoDef *sysinfo_def_new(gboolean fwcfg)
{
    SysinfoDef *sysinfo = g_new0(SysinfoDef, 1);

    sysinfo->fwcfg = fwcfg;
    sysinfo->entries = g_array_new(FALSE, TRUE, sizeof(SysinfoEntry));
    g_array_set_clear_func(sysinfo->entries, entry_clear);
    return sysinfo;
}

void sysinfo_def_free(SysinfoDef *sysinfo)
{
    if (sysinfo == NULL)
        return;
    g_array_unref(sysinfo->entries);
    g_free(sysinfo);
}

const char *sysinfo_def_get(const SysinfoDef *sysinfo, const char *block, const char *name)
{
    for (guint i = 0; i < sysinfo->entries->len; i++) {
        const SysinfoEntry *entry = &g_array_index(sysinfo->entries, SysinfoEntry, i);

        if (g_strcmp0(entry->block, block) == 0 && g_strcmp0(entry->name, name) == 0)
            return entry->value;
    }
    return NULL;
}

static void add(SysinfoDef *sysinfo, const char *block, guint index, const char *name, char *value,
                char *file)
{
    SysinfoEntry entry = {
        .block = g_strdup(block), .index = index, .name = g_strdup(name), .value = value, .file = file};

    g_array_append_val(sysinfo->entries, entry);
}

/* The first entry of a name below a block's node. */
static char *find_entry(xmlNodePtr node, const char *name)
{
    XML_FOREACH(child, node, "entry")
    {
        g_autofree char *this_name = xml_get_attr(child, "name");

        if (g_strcmp0(this_name, name) == 0) {
            g_autofree char *text = xml_get_text(child);

            return *text != '\0' ? g_steal_pointer(&text) : NULL;
        }
    }
    return NULL;
}

/* A date of SMBIOS type 0: mm/dd/yy or mm/dd/yyyy. */
static gboolean bios_date_is_valid(const char *date)
{
    int month, day, year, used = 0;

    if (sscanf(date, "%d/%d/%d%n", &month, &day, &year, &used) != 3 || date[used] != '\0')
        return FALSE;
    return month >= 1 && month <= 12 && day >= 1 && day <= 31 && (year < 100 ? year >= 0 : year >= 1900);
}

static gboolean check_entry(const char *block, const char *name, char **value, const guint8 *domain_uuid,
                            gboolean *ret_uuid_is_used, GError **error)
{
    if (strcmp(block, "bios") == 0 && strcmp(name, "date") == 0 && !bios_date_is_valid(*value))
        return error_set(error, VIR_ERR_XML_DETAIL,
                         "Invalid BIOS 'date' format '%s': expected mm/dd/yy or mm/dd/yyyy", *value);
    if (strcmp(block, "system") == 0 && strcmp(name, "uuid") == 0) {
        guint8 uuid[16];
        char text[UUID_TEXT_SIZE];

        if (!uuid_parse(*value, uuid))
            return error_set(error, VIR_ERR_XML_DETAIL, "malformed <sysinfo> uuid element '%s'", *value);
        if (domain_uuid != NULL && memcmp(uuid, domain_uuid, sizeof(uuid)) != 0)
            return error_set(error, VIR_ERR_XML_DETAIL, "UUID mismatch between <uuid> and <sysinfo>");
        if (ret_uuid_is_used != NULL)
            *ret_uuid_is_used = TRUE;
        uuid_format(uuid, text);
        g_free(*value);
        *value = g_strdup(text);
    }
    return TRUE;
}

static gboolean parse_smbios(SysinfoDef *sysinfo, xmlNodePtr node, const guint8 *domain_uuid,
                             gboolean *ret_uuid_is_used, GError **error)
{
    for (guint b = 0; b < G_N_ELEMENTS(blocks); b++) {
        guint index = 0;

        XML_FOREACH(block, node, blocks[b].block)
        {
            for (guint i = 0; i < ENTRY_NAMES_MAX && blocks[b].names[i] != NULL; i++) {
                g_autofree char *value = find_entry(block, blocks[b].names[i]);

                if (value == NULL)
                    continue;
                if (!check_entry(blocks[b].block, blocks[b].names[i], &value, domain_uuid, ret_uuid_is_used,
                                 error))
                    return FALSE;
                add(sysinfo, blocks[b].block, index, blocks[b].names[i], g_steal_pointer(&value), NULL);
            }
            index++;
            if (strcmp(blocks[b].block, "baseBoard") != 0)
                break;
        }
    }
    XML_FOREACH(entry, xml_child(node, "oemStrings"), "entry")
    add(sysinfo, "oemStrings", 0, NULL, xml_get_text(entry), NULL);
    return TRUE;
}

static gboolean parse_fwcfg(SysinfoDef *sysinfo, xmlNodePtr node, GError **error)
{
    XML_FOREACH(entry, node, "entry")
    {
        g_autofree char *name = xml_get_attr(entry, "name");
        g_autofree char *file = xml_get_attr(entry, "file");
        g_autofree char *value = xml_get_text(entry);

        if (name == NULL || *name == '\0')
            return error_set(error, VIR_ERR_XML_ERROR, "Firmware entry is missing 'name' attribute");
        if (file == NULL && *value == '\0')
            return error_set(error, VIR_ERR_XML_ERROR,
                             "Firmware entry '%s' must have either value or 'file' attribute", name);
        if (*value == '\0')
            g_clear_pointer(&value, g_free);
        add(sysinfo, "entry", 0, name, g_steal_pointer(&value), g_steal_pointer(&file));
    }
    return TRUE;
}

SysinfoDef *sysinfo_def_parse(xmlNodePtr node, const guint8 *domain_uuid, gboolean *ret_uuid_is_used,
                              GError **error)
{
    g_autofree char *type = xml_get_attr(node, "type");
    SysinfoDef *sysinfo;
    gboolean ok;

    if (type == NULL) {
        error_set(error, VIR_ERR_XML_ERROR, "Missing required attribute 'type' in element 'sysinfo'");
        return NULL;
    }
    if (strcmp(type, "smbios") != 0 && strcmp(type, "fwcfg") != 0) {
        error_set(error, VIR_ERR_XML_ERROR, "Invalid value for attribute 'type' in element 'sysinfo': '%s'.",
                  type);
        return NULL;
    }
    sysinfo = sysinfo_def_new(strcmp(type, "fwcfg") == 0);
    ok = sysinfo->fwcfg ? parse_fwcfg(sysinfo, node, error)
                        : parse_smbios(sysinfo, node, domain_uuid, ret_uuid_is_used, error);
    if (!ok) {
        sysinfo_def_free(sysinfo);
        return NULL;
    }
    return sysinfo;
}

void sysinfo_def_format(XmlWriter *w, const SysinfoDef *sysinfo)
{
    const SysinfoEntry *last = NULL;

    xml_open(w, "sysinfo");
    xml_attr(w, "type", sysinfo->fwcfg ? "fwcfg" : "smbios");
    for (guint i = 0; i < sysinfo->entries->len; i++) {
        const SysinfoEntry *entry = &g_array_index(sysinfo->entries, SysinfoEntry, i);

        if (!sysinfo->fwcfg &&
            (last == NULL || strcmp(last->block, entry->block) != 0 || last->index != entry->index)) {
            if (last != NULL)
                xml_close(w);
            xml_open(w, entry->block);
        }
        last = entry;
        xml_open(w, "entry");
        xml_attr(w, "name", entry->name);
        if (entry->file != NULL)
            xml_attr(w, "file", entry->file);
        else if (entry->value != NULL)
            xml_text(w, entry->value);
        xml_close(w);
    }
    if (last != NULL && !sysinfo->fwcfg)
        xml_close(w);
    xml_close(w);
}
