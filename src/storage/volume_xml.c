/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <volume> documents. See volume_xml.h. */
#define ERROR_FROM VIR_FROM_STORAGE

#include "storage/volume_xml.h"

#include <string.h>

#include "common/error.h"

ENUM_TABLE(volume_format, VolumeFormat, VOLUME_FORMAT_LAST, "none", "raw", "dir", "bochs", "cloop", "dmg",
           "iso", "vpc", "vdi", "fat", "vhd", "ploop", "cow", "qcow", "qcow2", "qed", "vmdk")

ENUM_TABLE_DECL(volume_type, virStorageVolType)
ENUM_TABLE(volume_type, virStorageVolType, VIR_STORAGE_VOL_PLOOP + 1, "file", "block", "dir", "network",
           "netdir", "ploop")

VolumeFormat volume_format_of_image(ImageFormat format)
{
    int value = volume_format_from_string(image_format_name(format));

    return value > VOLUME_FORMAT_NONE ? (VolumeFormat)value : VOLUME_FORMAT_RAW;
}

ImageFormat volume_format_to_image(VolumeFormat format)
{
    return format == VOLUME_FORMAT_ISO ? IMAGE_FORMAT_RAW
                                       : image_format_from_name(volume_format_to_string(format));
}

/* --- objects -------------------------------------------------------------------------------------------- */

VolumeTarget *volume_target_new(void)
{
    VolumeTarget *target = g_new0(VolumeTarget, 1);

    target->format = VOLUME_FORMAT_RAW;
    target->perms = STORAGE_PERMS_NONE;
    return target;
}

static void target_clear(VolumeTarget *target)
{
    g_free(target->path);
    g_free(target->perms.label);
    g_free(target->compat);
}

static void target_free(VolumeTarget *target)
{
    if (target == NULL)
        return;
    target_clear(target);
    g_free(target);
}

static void target_copy(VolumeTarget *to, const VolumeTarget *from)
{
    *to = *from;
    to->path = g_strdup(from->path);
    to->perms.label = g_strdup(from->perms.label);
    to->compat = g_strdup(from->compat);
}

VolumeDef *volume_def_new(const char *name)
{
    VolumeDef *def = g_new0(VolumeDef, 1);

    def->refs = 1;
    def->name = g_strdup(name);
    def->target.format = VOLUME_FORMAT_RAW;
    def->target.perms = STORAGE_PERMS_NONE;
    return def;
}

VolumeDef *volume_def_copy(const VolumeDef *def)
{
    VolumeDef *copy = g_new0(VolumeDef, 1);
    const gsize after = G_STRUCT_OFFSET(VolumeDef, refs) + sizeof(copy->refs);

    /* All but the count, which others are changing. */
    memcpy((char *)copy + after, (const char *)def + after, sizeof(*def) - after);
    copy->refs = 1;
    copy->name = g_strdup(def->name);
    copy->key = g_strdup(def->key);
    target_copy(&copy->target, &def->target);
    if (def->backing != NULL) {
        copy->backing = g_new0(VolumeTarget, 1);
        target_copy(copy->backing, def->backing);
    }
    return copy;
}

VolumeDef *volume_def_ref(VolumeDef *def)
{
    g_atomic_int_inc(&def->refs);
    return def;
}

void volume_def_unref(VolumeDef *def)
{
    if (def == NULL || !g_atomic_int_dec_and_test(&def->refs))
        return;
    g_free(def->name);
    g_free(def->key);
    target_clear(&def->target);
    target_free(def->backing);
    g_free(def);
}

void volume_def_set_backing(VolumeDef *def, VolumeTarget *backing)
{
    target_free(def->backing);
    def->backing = backing;
}

/* --- parsing -------------------------------------------------------------------------------------------- */

static char *child_text(xmlNodePtr node, const char *name)
{
    char *text = xml_get_child_text(node, name);

    if (text != NULL && *text == '\0')
        g_clear_pointer(&text, g_free);
    return text;
}

static gboolean parse_size(xmlNodePtr root, const char *name, gboolean *ret_found, guint64 *ret,
                           GError **error)
{
    xmlNodePtr node = xml_child(root, name);
    g_autofree char *text = child_text(root, name);
    g_autofree char *unit = xml_get_attr(node, "unit");
    g_autoptr(GError) cause = NULL;

    *ret_found = text != NULL;
    if (text == NULL)
        return TRUE;
    if (!xml_parse_scaled(text, unit, 1, ret, &cause)) {
        if (error_is(cause, VIR_ERR_XML_ERROR))
            return error_set(error, VIR_ERR_XML_ERROR, "malformed %s element", name);
        return error_set(error, error_number(cause), "%s", cause->message);
    }
    if (*ret > G_MAXINT64)
        return error_set(error, VIR_ERR_OVERFLOW, "value too large: %s%s", text, unit != NULL ? unit : "");
    return TRUE;
}

static gboolean parse_format(xmlNodePtr parent, VolumeFormat *ret, GError **error)
{
    g_autofree char *name = xml_get_attr(xml_child(parent, "format"), "type");
    int format;

    *ret = VOLUME_FORMAT_RAW;
    if (name == NULL || *name == '\0')
        return TRUE;
    format = volume_format_from_string(name);
    if (format <= VOLUME_FORMAT_NONE)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown volume format type %s", name);
    *ret = (VolumeFormat)format;
    return TRUE;
}

static gboolean parse_backing(xmlNodePtr root, VolumeDef *def, GError **error)
{
    xmlNodePtr node = xml_child(root, "backingStore");
    g_autofree char *path = child_text(node, "path");

    if (path == NULL)
        return TRUE;
    def->backing = volume_target_new();
    def->backing->path = g_steal_pointer(&path);
    return parse_format(node, &def->backing->format, error) &&
           storage_perms_parse(node, &def->backing->perms, error);
}

static gboolean check_compat(const char *compat, GError **error)
{
    guint major, minor;
    int end = 0;

    if (compat == NULL || (sscanf(compat, "%3u.%3u%n", &major, &minor, &end) == 2 && compat[end] == '\0'))
        return TRUE;
    return error_set(error, VIR_ERR_XML_ERROR, "forbidden characters in 'compat' attribute");
}

static gboolean parse_features(xmlNodePtr target, VolumeTarget *ret, GError **error)
{
    xmlNodePtr features = xml_child(target, "features");

    if (features == NULL)
        return TRUE;
    ret->has_features = TRUE;
    if (ret->compat == NULL)
        ret->compat = g_strdup("1.1");
    XML_FOREACH(node, features, NULL)
    {
        if (xml_is(node, "lazy_refcounts"))
            ret->lazy_refcounts = TRUE;
        else if (xml_is(node, "extended_l2"))
            ret->extended_l2 = TRUE;
        else
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unsupported feature %s",
                             (const char *)node->name);
    }
    return TRUE;
}

static gboolean parse_encryption(xmlNodePtr target, VolumeTarget *ret, GError **error)
{
    xmlNodePtr node = xml_child(target, "encryption");
    g_autofree char *format = xml_get_attr(node, "format");

    if (node == NULL)
        return TRUE;
    if (format == NULL)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "Missing required attribute 'format' in element 'encryption'");
    ret->encryption = g_str_equal(format, "luks") ? VOLUME_LUKS : VOLUME_QCOW_AES;
    return TRUE;
}

static gboolean parse_target(xmlNodePtr root, VolumeDef *def, GError **error)
{
    xmlNodePtr node = xml_child(root, "target");
    VolumeTarget *target = &def->target;
    gboolean found;

    if (node == NULL)
        return TRUE;
    target->path = child_text(node, "path");
    target->compat = child_text(node, "compat");
    target->nocow = xml_child(node, "nocow") != NULL;
    return parse_format(node, &target->format, error) && storage_perms_parse(node, &target->perms, error) &&
           parse_encryption(node, target, error) && check_compat(target->compat, error) &&
           parse_size(node, "clusterSize", &found, &target->cluster_size, error) &&
           parse_features(node, target, error);
}

static gboolean parse_sizes(xmlNodePtr root, VolumeDef *def, guint flags, GError **error)
{
    if (!parse_size(root, "capacity", &def->has_capacity, &def->capacity, error) ||
        !parse_size(root, "allocation", &def->has_allocation, &def->allocation, error))
        return FALSE;
    if (!def->has_capacity && !(flags & VOLUME_PARSE_NO_CAPACITY) &&
        !((flags & VOLUME_PARSE_OPT_CAPACITY) && def->backing != NULL))
        return error_set(error, VIR_ERR_XML_ERROR, "missing capacity element");
    if (!def->has_allocation)
        def->allocation = def->capacity;
    return TRUE;
}

static gboolean parse_volume(xmlNodePtr root, VolumeDef *def, guint flags, GError **error)
{
    g_autofree char *type = xml_get_attr(root, "type");
    int value = VIR_STORAGE_VOL_FILE;

    def->name = child_text(root, "name");
    if (def->name == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "missing volume name element");
    if (type != NULL && *type != '\0')
        value = volume_type_from_string(type);
    if (value < 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown volume type '%s'", type);
    def->type = (virStorageVolType)value;
    return parse_backing(root, def, error) && parse_sizes(root, def, flags, error) &&
           parse_target(root, def, error);
}

VolumeDef *volume_def_parse(const char *xml, guint flags, const char *schema_path, GError **error)
{
    g_autoptr(xmlDoc) doc = xml_parse(xml, "(storage_volume_definition)", "volume", error);
    g_autoptr(VolumeDef) def = NULL;

    if (doc == NULL || (schema_path != NULL && !xml_validate_rng(schema_path, doc, error)))
        return NULL;
    def = volume_def_new(NULL);
    if (!parse_volume(xmlDocGetRootElement(doc), def, flags, error))
        return NULL;
    return g_steal_pointer(&def);
}

/* --- formatting ----------------------------------------------------------------------------------------- */

static void format_size(XmlWriter *w, const char *name, const char *unit, guint64 bytes)
{
    xml_open(w, name);
    xml_attr(w, "unit", unit);
    xml_text_printf(w, "%" G_GUINT64_FORMAT, bytes);
    xml_close(w);
}

static void format_time(XmlWriter *w, const char *name, const struct timespec *time)
{
    if (time->tv_nsec != 0)
        xml_element_printf(w, name, "%lld.%09ld", (long long)time->tv_sec, time->tv_nsec);
    else
        xml_element_printf(w, name, "%lld", (long long)time->tv_sec);
}

static void format_features(XmlWriter *w, const VolumeTarget *target)
{
    if (!target->has_features)
        return;
    xml_open(w, "features");
    if (target->lazy_refcounts)
        xml_element_empty(w, "lazy_refcounts");
    if (target->extended_l2)
        xml_element_empty(w, "extended_l2");
    xml_close(w);
}

static void format_target(XmlWriter *w, const char *name, const VolumeTarget *target)
{
    static const struct timespec unknown;

    xml_open(w, name);
    xml_element_text(w, "path", target->path);
    xml_open(w, "format");
    xml_attr(w, "type", volume_format_to_string(target->format));
    xml_close(w);
    storage_perms_format(w, &target->perms);
    if (target->has_times) {
        xml_open(w, "timestamps");
        format_time(w, "atime", &target->atime);
        format_time(w, "mtime", &target->mtime);
        format_time(w, "ctime", &target->ctime);
        format_time(w, "btime", &unknown);
        xml_close(w);
    }
    if (target->encryption != VOLUME_PLAIN) {
        /* libvirt writes the two tags of an encryption without secret apart. */
        xml_raw_indented(w, target->encryption == VOLUME_LUKS
                                ? "<encryption format='luks'>\n</encryption>\n"
                                : "<encryption format='qcow'>\n</encryption>\n");
    }
    xml_element_text(w, "compat", target->compat);
    if (target->cluster_size > 0)
        format_size(w, "clusterSize", "B", target->cluster_size);
    format_features(w, target);
    xml_close(w);
}

char *volume_def_format(const VolumeDef *def)
{
    XmlWriter *w = xml_writer_new(0);

    xml_open(w, "volume");
    xml_attr(w, "type", volume_type_to_string(def->type));
    xml_element_text(w, "name", def->name);
    xml_element_text(w, "key", def->key);
    format_size(w, "capacity", "bytes", def->capacity);
    format_size(w, "allocation", "bytes", def->allocation);
    if (def->physical != 0)
        format_size(w, "physical", "bytes", def->physical);
    format_target(w, "target", &def->target);
    if (def->backing != NULL)
        format_target(w, "backingStore", def->backing);
    xml_close(w);
    return xml_writer_finish(w);
}
