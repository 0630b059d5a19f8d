/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <filesystem>: see def_filesystem.h. */
#include "driver/conf/def_filesystem.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "driver/conf/fields.h"
#include "driver/conf/supported.h"

ENUM_TABLE(fs_type, FsType, FS_TYPE_LAST, "mount", "block", "file", "template", "ram", "bind", "volume")
ENUM_TABLE(fs_driver, FsDriver, FS_DRIVER_LAST, "default", "path", "handle", "loop", "nbd", "ploop",
           "virtiofs")
ENUM_TABLE(fs_access, FsAccess, FS_ACCESS_LAST, "", "passthrough", "mapped", "squash")
ENUM_TABLE(fs_wrpolicy, FsWrpolicy, FS_WRPOLICY_LAST, "default", "immediate")
ENUM_TABLE(fs_multidevs, FsMultidevs, FS_MULTIDEVS_LAST, "default", "remap", "forbid", "warn")
ENUM_TABLE(fs_cache, FsCache, FS_CACHE_LAST, "default", "none", "always")
ENUM_TABLE(fs_sandbox, FsSandbox, FS_SANDBOX_LAST, "default", "namespace", "chroot")

static const Field filesystem_fields[] = {
    FIELD_ENUM_ALWAYS(FilesystemDef, type, "type", fs_type, 0),
    FIELD_OF(FilesystemDef, accessmode, "accessmode", FIELD_KIND_ENUM, FIELD_TABLE(fs_access)),
    FIELD_ENUM(FilesystemDef, model, "model", virtio_model),
    FIELD_OF(FilesystemDef, multidevs, "multidevs", FIELD_KIND_ENUM, FIELD_TABLE(fs_multidevs)),
    FIELD_END,
};
static const Field driver_fields[] = {
    FIELD_OF(FilesystemDef, driver, "type", FIELD_KIND_ENUM, FIELD_TABLE(fs_driver)),
    FIELD_ENUM(FilesystemDef, format, "format", storage_format),
    FIELD_OF(FilesystemDef, wrpolicy, "wrpolicy", FIELD_KIND_ENUM, FIELD_TABLE(fs_wrpolicy)),
    FIELD_U64(FilesystemDef, queue_size, "queue"),
    FIELDS_VIRTIO_OPTIONS(FilesystemDef, virtio),
    FIELD_END,
};
static const Field cache_fields[] = {FIELD_ENUM(FilesystemDef, cache, "mode", fs_cache), FIELD_END};
static const Field sandbox_fields[] = {FIELD_ENUM(FilesystemDef, sandbox, "mode", fs_sandbox), FIELD_END};
static const Field lock_fields[] = {
    FIELD_ON_OFF(FilesystemDef, posix_lock, "posix"),
    FIELD_ON_OFF(FilesystemDef, flock, "flock"),
    FIELD_END,
};
static const Field thread_pool_fields[] = {FIELD_INT(FilesystemDef, thread_pool_size, "size", -1), FIELD_END};
static const Field binary_fields[] = {
    FIELD_STR(FilesystemDef, binary, "path"),
    FIELD_ON_OFF(FilesystemDef, xattr, "xattr"),
    FIELD_ELEMENT("cache", cache_fields),
    FIELD_ELEMENT("sandbox", sandbox_fields),
    FIELD_ELEMENT("lock", lock_fields),
    FIELD_ELEMENT("thread_pool", thread_pool_fields),
    FIELD_END,
};
static const Field volume_fields[] = {
    FIELD_STR(FilesystemDef, pool, "pool"),
    FIELD_STR(FilesystemDef, volume, "volume"),
    FIELD_END,
};
static const Field target_fields[] = {FIELD_STR(FilesystemDef, target, "dir"), FIELD_END};

/* The attribute of <source> that names it, by type. */
static const char *const source_attributes[FS_TYPE_LAST] = {
    [FS_TYPE_MOUNT] = "dir", [FS_TYPE_BIND] = "dir",      [FS_TYPE_BLOCK] = "dev",
    [FS_TYPE_FILE] = "file", [FS_TYPE_TEMPLATE] = "name",
};

static void filesystem_init(DeviceInfo *dev)
{
    ((FilesystemDef *)dev)->thread_pool_size = -1;
}

static gboolean parse_mode(xmlNodePtr node, const char *name, guint *ret, GError **error)
{
    g_autofree char *text = xml_get_attr(node, name);
    char *end = NULL;
    gulong value;

    if (text == NULL)
        return TRUE;
    value = strtoul(text, &end, 8);
    if (!g_ascii_isdigit(*text) || *end != '\0' || value > 0777)
        return error_set(error, VIR_ERR_XML_ERROR, "invalid %s: '%s'", name, text);
    *ret = (guint)value;
    return TRUE;
}

static gboolean parse_limit(xmlNodePtr node, const char *name, guint64 *ret, GError **error)
{
    xmlNodePtr child = xml_child(node, name);
    g_autofree char *text = child != NULL ? xml_get_text(child) : NULL;
    g_autofree char *unit = child != NULL ? xml_get_attr(child, "unit") : NULL;

    return child == NULL || xml_parse_scaled(text, unit, 1, ret, error);
}

static gboolean parse_source(xmlNodePtr node, FilesystemDef *def, GError **error)
{
    xmlNodePtr source = xml_child(node, "source");

    if (source != NULL) {
        def->socket = xml_get_attr(source, "socket");
        if (source_attributes[def->type] != NULL)
            def->source = xml_get_attr(source, source_attributes[def->type]);
        if (def->type == FS_TYPE_VOLUME && !fields_parse(volume_fields, source, def, error))
            return FALSE;
        if (def->type == FS_TYPE_RAM) {
            g_autofree char *usage = xml_get_attr(source, "usage");
            g_autofree char *units = xml_get_attr(source, "units");

            if (usage == NULL)
                return error_set(error, VIR_ERR_XML_ERROR, "missing 'usage' attribute for RAM filesystem");
            if (!xml_parse_scaled(usage, units, 1024, &def->usage, error))
                return FALSE;
        }
    }
    if (def->source == NULL && def->socket == NULL && source_attributes[def->type] != NULL)
        return error_set(error, VIR_ERR_NO_SOURCE, "%s", def->target != NULL ? def->target : "filesystem");
    return TRUE;
}

static gboolean filesystem_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    FilesystemDef *def = (FilesystemDef *)dev;
    xmlNodePtr driver = xml_child(node, "driver");
    xmlNodePtr binary = xml_child(node, "binary");
    xmlNodePtr target = xml_child(node, "target");

    if (!fields_parse(filesystem_fields, node, def, error) ||
        !parse_mode(node, "fmode", &def->fmode, error) || !parse_mode(node, "dmode", &def->dmode, error) ||
        (driver != NULL && !fields_parse(driver_fields, driver, def, error)) ||
        (target != NULL && !fields_parse(target_fields, target, def, error)) ||
        !parse_limit(node, "space_hard_limit", &def->space_hard_limit, error) ||
        !parse_limit(node, "space_soft_limit", &def->space_soft_limit, error) ||
        !parse_source(node, def, error))
        return FALSE;
    if (def->driver == FS_DRIVER_VIRTIOFS && binary != NULL &&
        !fields_parse(binary_fields, binary, def, error))
        return FALSE;
    def->readonly = xml_child(node, "readonly") != NULL;
    return device_info_parse(dev, node, ctx->flags, error);
}

static void format_limit(XmlWriter *w, const char *name, guint64 bytes)
{
    if (bytes == 0)
        return;
    xml_open(w, name);
    xml_attr(w, "unit", "bytes");
    xml_text_u64(w, bytes);
    xml_close(w);
}

static void format_source(XmlWriter *w, const FilesystemDef *def)
{
    xml_open(w, "source");
    if (def->type == FS_TYPE_VOLUME) {
        fields_format(w, volume_fields, def);
    } else if (def->type == FS_TYPE_RAM) {
        xml_attr_u64(w, "usage", def->usage / 1024);
        xml_attr(w, "units", "KiB");
    } else if (def->socket != NULL) {
        xml_attr(w, "socket", def->socket);
    } else {
        xml_attr(w, source_attributes[def->type], def->source);
    }
    xml_close(w);
}

static void filesystem_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const FilesystemDef *def = (const FilesystemDef *)dev;

    xml_open(w, "filesystem");
    fields_format(w, filesystem_fields, def);
    if (def->fmode != 0)
        xml_attr_printf(w, "fmode", "%04o", def->fmode);
    if (def->dmode != 0)
        xml_attr_printf(w, "dmode", "%04o", def->dmode);
    fields_format_element(w, "driver", driver_fields, def);
    if (def->driver == FS_DRIVER_VIRTIOFS)
        fields_format_element(w, "binary", binary_fields, def);
    format_source(w, def);
    fields_format_element(w, "target", target_fields, def);
    if (def->readonly)
        xml_element_empty(w, "readonly");
    device_info_format(w, dev, fmt->flags);
    format_limit(w, "space_hard_limit", def->space_hard_limit);
    format_limit(w, "space_soft_limit", def->space_soft_limit);
    xml_close(w);
}

static gboolean filesystem_post_parse(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    FilesystemDef *def = (FilesystemDef *)dev;

    (void)ctx;
    (void)error;
    if (def->accessmode == FS_ACCESS_DEFAULT && def->socket == NULL)
        def->accessmode = FS_ACCESS_PASSTHROUGH;
    return TRUE;
}

static gboolean validate_virtiofs(const FilesystemDef *def, GError **error)
{
    if (def->readonly)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "virtiofs does not yet support read-only mode");
    if (def->accessmode != FS_ACCESS_PASSTHROUGH && def->accessmode != FS_ACCESS_DEFAULT)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "virtiofs only supports passthrough accessmode");
    if (def->wrpolicy != FS_WRPOLICY_DEFAULT)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "virtiofs does not support wrpolicy");
    if (def->fmode != 0 || def->dmode != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "virtiofs is not supported with fmode/dmode");
    if (def->model != VIRTIO_MODEL_DEFAULT && def->model != VIRTIO_MODEL_VIRTIO &&
        def->model != VIRTIO_MODEL_NON_TRANSITIONAL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "virtiofs does not support model '%s'",
                         virtio_model_to_string(def->model));
    if (def->multidevs != FS_MULTIDEVS_DEFAULT)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "virtiofs does not support multidevs");
    if ((def->queue_size & (def->queue_size - 1)) != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "the queue size of virtiofs must be a power of two");
    return TRUE;
}

static gboolean filesystem_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const FilesystemDef *def = (const FilesystemDef *)dev;

    (void)ctx;
    if (def->type != FS_TYPE_MOUNT)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "unsupported filesystem type '%s'; supported is mount",
                         fs_type_to_string(def->type));
    if (def->driver != FS_DRIVER_DEFAULT &&
        !supported_check(SUPPORTED_FILESYSTEM_DRIVER, fs_driver_to_string(def->driver),
                         "filesystem driver type", error))
        return FALSE;
    if (def->target == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "filesystem of source '%s' has no <target dir=…>",
                         def->source != NULL ? def->source : "");
    if (def->driver == FS_DRIVER_VIRTIOFS)
        return validate_virtiofs(def, error);
    if (def->socket != NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "filesystem source socket is only supported with virtiofs");
    if ((def->fmode != 0 || def->dmode != 0) && def->accessmode != FS_ACCESS_MAPPED)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "fmode and dmode must be used with accessmode=mapped");
    if (def->space_hard_limit != 0 || def->space_soft_limit != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "limits of space are not supported for a filesystem");
    return TRUE;
}

static gboolean filesystem_matches(const DeviceInfo *dev, const DeviceInfo *wanted)
{
    return g_strcmp0(((const FilesystemDef *)dev)->target, ((const FilesystemDef *)wanted)->target) == 0;
}

static void filesystem_clear(DeviceInfo *dev)
{
    FilesystemDef *def = (FilesystemDef *)dev;

    fields_clear(binary_fields, def);
    fields_clear(volume_fields, def);
    fields_clear(target_fields, def);
    g_free(def->source);
    g_free(def->socket);
}

static guint filesystem_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    (void)domain;
    return (((const FilesystemDef *)dev)->model == VIRTIO_MODEL_TRANSITIONAL ? PCI_CONNECT_CONVENTIONAL
                                                                             : PCI_CONNECT_EXPRESS) |
           PCI_CONNECT_HOTPLUG;
}

const DeviceDefOps filesystem_def_ops = {
    .kind = DEVICE_FILESYSTEM,
    .size = sizeof(FilesystemDef),
    .init = filesystem_init,
    .parse = filesystem_parse,
    .format = filesystem_format,
    .post_parse = filesystem_post_parse,
    .validate = filesystem_validate,
    .matches = filesystem_matches,
    .clear = filesystem_clear,
    .pci_connect = filesystem_pci_connect,
};
