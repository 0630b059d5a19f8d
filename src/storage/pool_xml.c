/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <pool> documents. See pool_xml.h. */
#define ERROR_FROM VIR_FROM_STORAGE

#include "storage/pool_xml.h"

#include <string.h>

#include "common/error.h"
#include "common/uuid.h"
#include "storage/pool.h"

ENUM_TABLE(pool_type, PoolType, POOL_TYPE_LAST, "dir", "fs", "netfs", "logical", "disk", "iscsi",
           "iscsi-direct", "scsi", "mpath", "rbd", "sheepdog", "gluster", "zfs", "vstorage")

void pool_def_free(PoolDef *def)
{
    if (def == NULL)
        return;
    g_free(def->name);
    g_free(def->path);
    g_free(def->perms.label);
    g_free(def->source_vendor);
    g_free(def->source_product);
    g_free(def->refresh_allocation);
    g_free(def);
}

PoolDef *pool_def_copy(const PoolDef *def)
{
    PoolDef *copy = g_memdup2(def, sizeof(*def));

    copy->name = g_strdup(def->name);
    copy->path = g_strdup(def->path);
    copy->perms.label = g_strdup(def->perms.label);
    copy->source_vendor = g_strdup(def->source_vendor);
    copy->source_product = g_strdup(def->source_product);
    copy->refresh_allocation = g_strdup(def->refresh_allocation);
    return copy;
}

char *storage_path_clean(const char *path)
{
    GString *out = g_string_new(NULL);

    for (const char *p = path; *p != '\0'; p++) {
        if (*p != '/' || out->len == 0 || out->str[out->len - 1] != '/')
            g_string_append_c(out, *p);
    }
    if (out->len > 1 && out->str[out->len - 1] == '/')
        g_string_truncate(out, out->len - 1);
    return g_string_free(out, FALSE);
}

/* --- permissions ---------------------------------------------------------------------------------------- */

/* A user or group number; -1 stands for "not said", as older libvirt printed it. */
static gboolean parse_id(xmlNodePtr perms, const char *name, gint64 *ret, GError **error)
{
    g_autofree char *text = xml_get_child_text(perms, name);
    char *end;
    gint64 value;

    *ret = -1;
    if (text == NULL)
        return TRUE;
    value = g_ascii_strtoll(text, &end, 10);
    if (end == text || *end != '\0' || value < -1 || value > G_MAXUINT32)
        return error_set(error, VIR_ERR_XML_ERROR, "malformed %s element", name);
    *ret = value == G_MAXUINT32 ? -1 : value;
    return TRUE;
}

gboolean storage_perms_parse(xmlNodePtr parent, StoragePerms *ret, GError **error)
{
    xmlNodePtr perms = xml_child(parent, "permissions");
    g_autofree char *mode = NULL;

    g_free(ret->label);
    *ret = STORAGE_PERMS_NONE;
    if (perms == NULL)
        return TRUE;
    mode = xml_get_child_text(perms, "mode");
    if (mode != NULL && *mode != '\0') {
        char *end;
        guint64 value = g_ascii_strtoull(mode, &end, 8);

        if (end == mode || *end != '\0' || strchr(mode, '-') != NULL || value > 0777)
            return error_set(error, VIR_ERR_XML_ERROR, "malformed octal mode");
        ret->mode = (int)value;
    }
    if (!parse_id(perms, "owner", &ret->owner, error) || !parse_id(perms, "group", &ret->group, error))
        return FALSE;
    ret->label = xml_get_child_text(perms, "label");
    return TRUE;
}

void storage_perms_format(XmlWriter *w, const StoragePerms *perms)
{
    if (perms->mode < 0 && perms->owner < 0 && perms->group < 0 && perms->label == NULL)
        return;
    xml_open(w, "permissions");
    if (perms->mode >= 0)
        xml_element_printf(w, "mode", "0%o", (guint)perms->mode);
    if (perms->owner >= 0)
        xml_element_u64(w, "owner", (guint64)perms->owner);
    if (perms->group >= 0)
        xml_element_u64(w, "group", (guint64)perms->group);
    xml_element_text(w, "label", perms->label);
    xml_close(w);
}

/* --- parsing -------------------------------------------------------------------------------------------- */

/* Child text; an empty one counts as absent. */
static char *child_text(xmlNodePtr node, const char *name)
{
    char *text = xml_get_child_text(node, name);

    if (text != NULL && *text == '\0')
        g_clear_pointer(&text, g_free);
    return text;
}

static gboolean parse_type(xmlNodePtr root, PoolDef *def, GError **error)
{
    int type = 0;

    if (!xml_attr_get_enum(root, "type", pool_type_from_string, XML_REQUIRED, &type, error))
        return FALSE;
    def->type = (PoolType)type;
    if (pool_ops_for_type(def->type) == NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "storage pools of type '%s' are not supported by this driver; 'dir' is",
                         pool_type_to_string(def->type));
    return TRUE;
}

static gboolean parse_identity(xmlNodePtr root, PoolDef *def, GError **error)
{
    g_autofree char *uuid = child_text(root, "uuid");

    def->name = child_text(root, "name");
    if (def->name == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "missing pool source name element");
    if (strchr(def->name, '/') != NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "name %s cannot contain '/'", def->name);
    if (strlen(def->name) > 240)
        return error_set(error, VIR_ERR_XML_ERROR, "name of storage pool is longer than 240 bytes");
    if (uuid == NULL)
        uuid_generate(def->uuid);
    else if (!uuid_parse(uuid, def->uuid))
        return error_set(error, VIR_ERR_XML_ERROR, "malformed uuid element");
    return TRUE;
}

static gboolean parse_target(xmlNodePtr root, PoolDef *def, GError **error)
{
    xmlNodePtr target = xml_child(root, "target");
    g_autofree char *path = child_text(target, "path");

    if (path == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "missing storage pool target path");
    if (path[0] != '/')
        return error_set(error, VIR_ERR_XML_ERROR, "storage pool target path '%s' is not absolute", path);
    def->path = storage_path_clean(path);
    return storage_perms_parse(target, &def->perms, error);
}

static gboolean parse_options(xmlNodePtr root, PoolDef *def, GError **error)
{
    xmlNodePtr cow = xml_child(xml_child(root, "features"), "cow");
    xmlNodePtr source = xml_child(root, "source"), refresh = xml_child(xml_child(root, "refresh"), "volume");

    if (cow != NULL && !xml_attr_get_yes_no(cow, "state", XML_OPTIONAL, &def->cow, error))
        return FALSE;
    def->source_vendor = xml_get_attr(xml_child(source, "vendor"), "name");
    def->source_product = xml_get_attr(xml_child(source, "product"), "name");
    def->refresh_allocation = xml_get_attr(refresh, "allocation");
    if (def->refresh_allocation != NULL && !g_str_equal(def->refresh_allocation, "default") &&
        !g_str_equal(def->refresh_allocation, "capacity"))
        return error_set(error, VIR_ERR_XML_ERROR, "unknown storage pool volume refresh allocation type %s",
                         def->refresh_allocation);
    return TRUE;
}

static PoolDef *parse_node(xmlNodePtr root, GError **error)
{
    g_autoptr(PoolDef) def = g_new0(PoolDef, 1);

    def->perms = STORAGE_PERMS_NONE;
    if (!parse_type(root, def, error) || !parse_identity(root, def, error) ||
        !parse_target(root, def, error) || !parse_options(root, def, error))
        return NULL;
    return g_steal_pointer(&def);
}

PoolDef *pool_def_parse(const char *xml, const char *schema_path, GError **error)
{
    g_autoptr(xmlDoc) doc = xml_parse(xml, "(storage_pool_definition)", "pool", error);

    if (doc == NULL || (schema_path != NULL && !xml_validate_rng(schema_path, doc, error)))
        return NULL;
    return parse_node(xmlDocGetRootElement(doc), error);
}

PoolDef *pool_def_parse_state(const char *xml, GError **error)
{
    g_autoptr(xmlDoc) doc = xml_parse(xml, "(storage_pool_state)", "poolstate", error);
    xmlNodePtr pool;

    if (doc == NULL)
        return NULL;
    pool = xml_child(xmlDocGetRootElement(doc), "pool");
    if (pool == NULL) {
        error_set(error, VIR_ERR_INTERNAL_ERROR, "Could not find any 'pool' element in state file");
        return NULL;
    }
    return parse_node(pool, error);
}

/* --- formatting ----------------------------------------------------------------------------------------- */

static void format_size(XmlWriter *w, const char *name, guint64 bytes)
{
    xml_open(w, name);
    xml_attr(w, "unit", "bytes");
    xml_text_printf(w, "%" G_GUINT64_FORMAT, bytes);
    xml_close(w);
}

static void format_source(XmlWriter *w, const PoolDef *def)
{
    if (def->source_vendor == NULL && def->source_product == NULL) {
        /* libvirt writes the two tags of an empty source apart, and clients compare texts. */
        xml_raw_indented(w, "<source>\n</source>\n");
        return;
    }
    xml_open(w, "source");
    if (def->source_vendor != NULL) {
        xml_open(w, "vendor");
        xml_attr(w, "name", def->source_vendor);
        xml_close(w);
    }
    if (def->source_product != NULL) {
        xml_open(w, "product");
        xml_attr(w, "name", def->source_product);
        xml_close(w);
    }
    xml_close(w);
}

static void format_pool(XmlWriter *w, const PoolDef *def)
{
    char uuid[UUID_TEXT_SIZE];

    uuid_format(def->uuid, uuid);
    xml_open(w, "pool");
    xml_attr(w, "type", pool_type_to_string(def->type));
    xml_element_text(w, "name", def->name);
    xml_element_text(w, "uuid", uuid);
    format_size(w, "capacity", def->capacity);
    format_size(w, "allocation", def->allocation);
    format_size(w, "available", def->available);
    if (def->cow != TRISTATE_ABSENT) {
        xml_open(w, "features");
        xml_open(w, "cow");
        xml_attr(w, "state", tristate_yes_no(def->cow));
        xml_close(w);
        xml_close(w);
    }
    format_source(w, def);
    xml_open(w, "target");
    xml_element_text(w, "path", def->path);
    storage_perms_format(w, &def->perms);
    xml_close(w);
    if (def->refresh_allocation != NULL) {
        xml_open(w, "refresh");
        xml_open(w, "volume");
        xml_attr(w, "allocation", def->refresh_allocation);
        xml_close(w);
        xml_close(w);
    }
    xml_close(w);
}

char *pool_def_format(const PoolDef *def)
{
    XmlWriter *w = xml_writer_new(0);

    format_pool(w, def);
    return xml_writer_finish(w);
}

char *pool_def_format_state(const PoolDef *def)
{
    XmlWriter *w = xml_writer_new(0);

    xml_open(w, "poolstate");
    format_pool(w, def);
    xml_close(w);
    return xml_writer_finish(w);
}
