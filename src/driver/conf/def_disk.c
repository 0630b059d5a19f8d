/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <disk>: see def_disk.h. Its rules stand in disk_validate.c. */
#include "driver/conf/def_disk.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/disk_validate.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/fields.h"

ENUM_TABLE(disk_device, DiskDevice, DISK_DEVICE_LAST, "disk", "cdrom", "floppy", "lun")
ENUM_TABLE(disk_bus, DiskBus, DISK_BUS_LAST, "none", "ide", "fdc", "scsi", "virtio", "xen", "usb", "uml",
           "sata", "sd")
ENUM_TABLE(disk_cache, DiskCache, DISK_CACHE_LAST, "default", "none", "writethrough", "writeback",
           "directsync", "unsafe")
ENUM_TABLE(disk_error_policy, DiskErrorPolicy, DISK_ERROR_LAST, "default", "stop", "report", "ignore",
           "enospace")
ENUM_TABLE(disk_io, DiskIo, DISK_IO_LAST, "default", "native", "threads", "io_uring")
ENUM_TABLE(disk_discard, DiskDiscard, DISK_DISCARD_LAST, "default", "unmap", "ignore")
ENUM_TABLE(disk_detect_zeroes, DiskDetectZeroes, DISK_DETECT_ZEROES_LAST, "default", "off", "on", "unmap")
ENUM_TABLE(disk_tray, DiskTray, DISK_TRAY_LAST, "closed", "open")
ENUM_TABLE(disk_snapshot, DiskSnapshot, DISK_SNAPSHOT_LAST, "default", "no", "internal", "external", "manual")
ENUM_TABLE(geometry_trans, GeometryTrans, GEOMETRY_TRANS_LAST, "default", "none", "auto", "lba")
ENUM_TABLE(device_sgio, DeviceSgio, SGIO_LAST, "default", "filtered", "unfiltered")
ENUM_TABLE(mirror_job, MirrorJob, MIRROR_JOB_LAST, "", "copy", "active-commit")
ENUM_TABLE(mirror_state, MirrorState, MIRROR_STATE_LAST, "none", "yes", "abort", "pivot")

static const Field disk_attributes[] = {
    FIELD_ENUM_ALWAYS(DiskDef, device, "device", disk_device, 0),
    FIELD_ENUM(DiskDef, model, "model", virtio_model),
    FIELD_YES_NO(DiskDef, rawio, "rawio"),
    FIELD_ENUM(DiskDef, sgio, "sgio", device_sgio),
    FIELD_END,
};
/* cache='default' is a word that clients write, and means what its absence means. */
static const Field driver_fields[] = {
    FIELD_STR(DiskDef, driver_name, "name"),
    FIELD_OF(DiskDef, cache, "cache", FIELD_KIND_ENUM, FIELD_TABLE(disk_cache)),
    FIELD_ENUM(DiskDef, error_policy, "error_policy", disk_error_policy),
    FIELD_ENUM(DiskDef, rerror_policy, "rerror_policy", disk_error_policy),
    FIELD_ENUM(DiskDef, io, "io", disk_io),
    FIELD_ON_OFF(DiskDef, ioeventfd, "ioeventfd"),
    FIELD_ON_OFF(DiskDef, event_idx, "event_idx"),
    FIELD_ON_OFF(DiskDef, copy_on_read, "copy_on_read"),
    FIELD_ENUM(DiskDef, discard, "discard", disk_discard),
    FIELD_OF(DiskDef, iothread, "iothread", FIELD_KIND_UINT, .flags = FIELD_NONZERO),
    FIELD_ENUM(DiskDef, detect_zeroes, "detect_zeroes", disk_detect_zeroes),
    FIELD_UINT(DiskDef, queues, "queues"),
    FIELD_UINT(DiskDef, queue_size, "queue_size"),
    FIELDS_VIRTIO_OPTIONS(DiskDef, virtio),
    FIELD_END,
};
static const Field geometry_fields[] = {
    FIELD_UINT(DiskDef, cyls, "cyls"),
    FIELD_UINT(DiskDef, heads, "heads"),
    FIELD_UINT(DiskDef, secs, "secs"),
    FIELD_ENUM(DiskDef, trans, "trans", geometry_trans),
    FIELD_END,
};
static const Field blockio_fields[] = {
    FIELD_UINT(DiskDef, logical_block_size, "logical_block_size"),
    FIELD_UINT(DiskDef, physical_block_size, "physical_block_size"),
    FIELD_END,
};
static const Field backend_fields[] = {FIELD_STR(DiskDef, backend_domain, "name"), FIELD_END};
static const Field target_fields[] = {
    FIELD_STR(DiskDef, target, "dev"),
    FIELD_ENUM(DiskDef, bus, "bus", disk_bus),
    FIELD_OF(DiskDef, tray, "tray", FIELD_KIND_ENUM, FIELD_TABLE(disk_tray)),
    FIELD_ON_OFF(DiskDef, removable, "removable"),
    FIELD_UINT(DiskDef, rotation_rate, "rotation_rate"),
    FIELD_END,
};
#define LIMIT(name) FIELD_U64_CHILD(DiskIotune, name, #name)
static const Field iotune_fields[] = {
    LIMIT(total_bytes_sec),
    LIMIT(read_bytes_sec),
    LIMIT(write_bytes_sec),
    LIMIT(total_iops_sec),
    LIMIT(read_iops_sec),
    LIMIT(write_iops_sec),
    LIMIT(total_bytes_sec_max),
    LIMIT(read_bytes_sec_max),
    LIMIT(write_bytes_sec_max),
    LIMIT(total_iops_sec_max),
    LIMIT(read_iops_sec_max),
    LIMIT(write_iops_sec_max),
    LIMIT(size_iops_sec),
    FIELD_STR_CHILD(DiskIotune, group_name, "group_name"),
    LIMIT(total_bytes_sec_max_length),
    LIMIT(read_bytes_sec_max_length),
    LIMIT(write_bytes_sec_max_length),
    LIMIT(total_iops_sec_max_length),
    LIMIT(read_iops_sec_max_length),
    LIMIT(write_iops_sec_max_length),
    FIELD_END,
};
static const Field transient_fields[] = {
    FIELD_YES_NO(DiskDef, transient_share_backing, "shareBacking"),
    FIELD_END,
};
static const Field tail_fields[] = {
    FIELD_FLAG(DiskDef, readonly, "readonly"),
    FIELD_FLAG(DiskDef, shareable, "shareable"),
    FIELD_ELEMENT_PRESENT(DiskDef, transient, "transient", transient_fields),
    FIELD_STR_CHILD(DiskDef, serial, "serial"),
    FIELD_STR_CHILD(DiskDef, wwn, "wwn"),
    FIELD_STR_CHILD(DiskDef, vendor, "vendor"),
    FIELD_STR_CHILD(DiskDef, product, "product"),
    FIELD_END,
};
/* All children that are read as their tables say. */
static const Field child_fields[] = {
    FIELD_ELEMENT("driver", driver_fields),     FIELD_ELEMENT("backenddomain", backend_fields),
    FIELD_ELEMENT("geometry", geometry_fields), FIELD_ELEMENT("blockio", blockio_fields),
    FIELD_ELEMENT("target", target_fields),     FIELD_END,
};

static void disk_init(DeviceInfo *dev)
{
    ((DiskDef *)dev)->source = storage_source_new(STORAGE_TYPE_FILE);
}

/* --- reading --- */

static gboolean parse_source(DiskDef *def, xmlNodePtr node, guint flags, GError **error)
{
    xmlNodePtr source = xml_child(node, "source");
    xmlNodePtr auth = xml_child(node, "auth");
    xmlNodePtr encryption = xml_child(node, "encryption");

    if (source != NULL) {
        if (!xml_attr_get_enum(node, "type", storage_type_from_string, XML_NONZERO, (int *)&def->source->type,
                               error) ||
            !storage_source_parse(source, def->source, flags, error) ||
            !xml_attr_get_enum(source, "startupPolicy", startup_policy_from_string, XML_NONZERO,
                               (int *)&def->startup_policy, error))
            return FALSE;
    } else {
        int type = STORAGE_TYPE_FILE; /* an empty drive is of type file, but the word must be right */

        if (!xml_attr_get_enum(node, "type", storage_type_from_string, XML_NONZERO, &type, error))
            return FALSE;
    }
    if (auth != NULL) {
        if (def->source->auth != NULL)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "an <auth> definition already found for disk source");
        def->source->auth = storage_auth_parse(auth, error);
        def->auth_in_disk = TRUE;
        if (def->source->auth == NULL)
            return FALSE;
    }
    if (encryption != NULL) {
        if (def->source->encryption != NULL)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "an <encryption> definition already found for disk source");
        def->source->encryption = storage_encryption_parse(encryption, error);
        def->encryption_in_disk = TRUE;
        if (def->source->encryption == NULL)
            return FALSE;
    }
    return storage_backing_parse(node, def->source, flags, error);
}

static gboolean parse_mirror(DiskDef *def, xmlNodePtr node, guint flags, GError **error)
{
    g_autofree char *type = xml_get_attr(node, "type");
    xmlNodePtr format = xml_child(node, "format");
    xmlNodePtr source = xml_child(node, "source");
    int value = STORAGE_TYPE_FILE;

    def->mirror_job = MIRROR_JOB_COPY;
    if (!xml_attr_get_enum(node, "job", mirror_job_from_string, XML_NONZERO, (int *)&def->mirror_job,
                           error) ||
        !xml_attr_get_enum(node, "type", storage_type_from_string, XML_NONZERO, &value, error) ||
        !xml_attr_get_enum(node, "ready", mirror_state_from_string, XML_OPTIONAL, (int *)&def->mirror_state,
                           error))
        return FALSE;
    def->mirror = storage_source_new(value);
    if (type == NULL) { /* as it was written before 2014 */
        g_autofree char *old_format = xml_get_attr(node, "format");

        def->mirror->path = xml_get_attr(node, "file");
        def->mirror->format = MAX(storage_format_from_string(old_format), 0);
        return def->mirror->path != NULL || error_set(error, VIR_ERR_XML_ERROR, "mirror requires file name");
    }
    if (source == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "mirror requires source element");
    return (format == NULL || storage_format_parse(format, def->mirror, error)) &&
           storage_source_parse(source, def->mirror, flags, error) &&
           storage_backing_parse(node, def->mirror, flags, error);
}

static gboolean disk_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    DiskDef *def = (DiskDef *)dev;
    xmlNodePtr driver = xml_child(node, "driver");
    xmlNodePtr iotune = xml_child(node, "iotune");
    xmlNodePtr mirror = xml_child(node, "mirror");

    if (!parse_source(def, node, ctx->flags, error) || !fields_parse(disk_attributes, node, def, error) ||
        !xml_attr_get_enum(node, "snapshot", disk_snapshot_from_string, XML_NONZERO, (int *)&def->snapshot,
                           error) ||
        !fields_parse(child_fields, node, def, error) || !fields_parse(tail_fields, node, def, error))
        return FALSE;
    /* <driver type> and its cache of metadata belong to the image. */
    if (driver != NULL && !storage_format_parse(driver, def->source, error))
        return FALSE;
    if (driver != NULL && !disk_iothreads_parse(driver, &def->iothreads, error))
        return FALSE;
    if (iotune != NULL && !fields_parse(iotune_fields, iotune, &def->iotune, error))
        return FALSE;
    if (mirror != NULL && !(ctx->flags & DOMAIN_DEF_PARSE_INACTIVE) &&
        !parse_mirror(def, mirror, ctx->flags, error))
        return FALSE;
    return device_info_parse(dev, node, ctx->flags, error);
}

/* --- writing --- */

static void format_driver(XmlWriter *w, const DiskDef *def)
{
    const StorageSource *source = def->source;

    if (!fields_any(driver_fields, def) && source->format == STORAGE_FORMAT_NONE &&
        source->metadata_cache == 0 && def->iothreads == NULL)
        return;
    xml_open(w, "driver");
    xml_attr(w, "name", def->driver_name);
    if (source->format != STORAGE_FORMAT_NONE)
        xml_attr(w, "type", storage_format_to_string(source->format));
    fields_format(w, driver_fields + 1, def); /* after the name */
    storage_metadata_cache_format(w, source);
    disk_iothreads_format(w, def->iothreads);
    xml_close(w);
}

static void format_geometry(XmlWriter *w, const DiskDef *def)
{
    if (def->cyls > 0 && def->heads > 0 && def->secs > 0)
        fields_format_element(w, "geometry", geometry_fields, def);
}

static void format_mirror(XmlWriter *w, const DiskDef *def, guint flags)
{
    static const StorageSourceFormat how = {.element = "source", .with_index = TRUE};
    const StorageSource *mirror = def->mirror;

    if (mirror == NULL || (flags & DOMAIN_DEF_FORMAT_INACTIVE))
        return;
    xml_open(w, "mirror");
    xml_attr(w, "type", storage_type_to_string(mirror->type));
    if (mirror->type == STORAGE_TYPE_FILE && def->mirror_job == MIRROR_JOB_COPY) {
        xml_attr(w, "file", mirror->path);
        if (mirror->format != STORAGE_FORMAT_NONE)
            xml_attr(w, "format", storage_format_to_string(mirror->format));
    }
    if (def->mirror_job != MIRROR_JOB_NONE)
        xml_attr(w, "job", mirror_job_to_string(def->mirror_job));
    if (def->mirror_state != MIRROR_STATE_NONE)
        xml_attr(w, "ready", mirror_state_to_string(def->mirror_state));
    if (mirror->format != STORAGE_FORMAT_NONE || mirror->metadata_cache != 0)
        storage_format_format(w, mirror);
    storage_source_format(w, mirror, &how, flags);
    storage_backing_format(w, mirror, flags);
    xml_close(w);
}

static void format_target(XmlWriter *w, const DiskDef *def)
{
    xml_open(w, "target");
    xml_attr(w, "dev", def->target);
    if (def->bus != DISK_BUS_NONE)
        xml_attr(w, "bus", disk_bus_to_string(def->bus));
    if (disk_is_removable_media(def) && def->tray != DISK_TRAY_CLOSED)
        xml_attr(w, "tray", disk_tray_to_string(def->tray));
    if (def->bus == DISK_BUS_USB)
        xml_attr(w, "removable", tristate_on_off(def->removable));
    if (def->rotation_rate != 0)
        xml_attr_u64(w, "rotation_rate", def->rotation_rate);
    xml_close(w);
}

static void disk_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const DiskDef *def = (const DiskDef *)dev;
    const StorageSourceFormat how = {.element = "source",
                                     .policy = def->startup_policy,
                                     .with_index = TRUE,
                                     .skip_auth = def->auth_in_disk,
                                     .skip_encryption = def->encryption_in_disk};

    xml_open(w, "disk");
    xml_attr(w, "type", storage_type_to_string(def->source->type));
    fields_format(w, disk_attributes, def);
    if (def->snapshot != DISK_SNAPSHOT_DEFAULT && !(def->snapshot == DISK_SNAPSHOT_NO && def->readonly))
        xml_attr(w, "snapshot", disk_snapshot_to_string(def->snapshot));
    format_driver(w, def);
    if (def->source->auth != NULL && def->auth_in_disk)
        storage_auth_format(w, def->source->auth);
    storage_source_format(w, def->source, &how, fmt->flags);
    storage_backing_format(w, def->source, fmt->flags);
    fields_format_element(w, "backenddomain", backend_fields, def);
    format_geometry(w, def);
    fields_format_element(w, "blockio", blockio_fields, def);
    format_mirror(w, def, fmt->flags);
    format_target(w, def);
    fields_format_element(w, "iotune", iotune_fields, &def->iotune);
    fields_format(w, tail_fields, def);
    if (def->source->encryption != NULL && def->encryption_in_disk)
        storage_encryption_format(w, def->source->encryption);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

/* --- defaults --- */

static DiskBus default_bus(const DiskDef *def)
{
    if (def->device == DISK_DEVICE_FLOPPY)
        return DISK_BUS_FDC;
    if (def->target == NULL)
        return DISK_BUS_IDE;
    if (g_str_has_prefix(def->target, "sd"))
        return DISK_BUS_SCSI;
    if (g_str_has_prefix(def->target, "vd"))
        return DISK_BUS_VIRTIO;
    if (g_str_has_prefix(def->target, "xvd"))
        return DISK_BUS_XEN;
    if (g_str_has_prefix(def->target, "ubd"))
        return DISK_BUS_UML;
    return DISK_BUS_IDE;
}

/* A disk of a throttling group without limits of its own has the group's. */
static void expand_group(DiskDef *def, const DomainDef *domain)
{
    if (domain == NULL || def->iotune.group_name == NULL || disk_iotune_is_set(&def->iotune))
        return;
    DOMAIN_DEF_FOREACH(DiskDef, other, domain, DEVICE_DISK)
    {
        if (other != def && g_strcmp0(other->iotune.group_name, def->iotune.group_name) == 0 &&
            disk_iotune_is_set(&other->iotune)) {
            char *name = def->iotune.group_name;

            def->iotune = other->iotune;
            def->iotune.group_name = name;
            return;
        }
    }
}

/* The format of an image that does not say it: as libvirt, raw; for new definitions the environment may look.
 */
static gboolean choose_format(DiskDef *def, const DeviceContext *ctx, GError **error)
{
    StorageSource *source = def->source;
    const DomainDefEnv *env = ctx->env;

    if (source->format != STORAGE_FORMAT_NONE || source->type == STORAGE_TYPE_VOLUME)
        return TRUE;
    if (source->type == STORAGE_TYPE_DIR) {
        source->format = STORAGE_FORMAT_FAT;
        return TRUE;
    }
    if (env->probe_disk_format != NULL && (ctx->flags & DOMAIN_DEF_PARSE_ABI_UPDATE) &&
        source->path != NULL && (source->type == STORAGE_TYPE_FILE || source->type == STORAGE_TYPE_BLOCK) &&
        !disk_is_removable_media(def)) {
        g_autoptr(GError) local = NULL;
        g_autofree char *format = env->probe_disk_format(env, source->path, &local);

        if (local != NULL) {
            g_propagate_error(error, g_steal_pointer(&local));
            return FALSE;
        }
        source->format = MAX(storage_format_from_string(format), 0);
    }
    if (source->format == STORAGE_FORMAT_NONE)
        source->format = STORAGE_FORMAT_RAW;
    return TRUE;
}

static gboolean disk_post_parse(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    DiskDef *def = (DiskDef *)dev;

    if (def->device == DISK_DEVICE_CDROM)
        def->readonly = TRUE;
    if (def->bus == DISK_BUS_NONE)
        def->bus = default_bus(def);
    if (def->snapshot == DISK_SNAPSHOT_DEFAULT &&
        (def->readonly || def->source->type == STORAGE_TYPE_VHOSTUSER))
        def->snapshot = DISK_SNAPSHOT_NO;
    if (def->source->type == STORAGE_TYPE_NVME && def->source->nvme_managed == TRISTATE_ABSENT)
        def->source->nvme_managed = TRISTATE_YES;
    storage_source_add_unit(def->source);
    if (def->driver_name == NULL)
        def->driver_name = g_strdup("qemu");
    for (StorageSource *s = def->source; s != NULL; s = s->backing) {
        if (s->encryption != NULL && s->encryption->engine == ENCRYPTION_ENGINE_DEFAULT)
            s->encryption->engine = ENCRYPTION_ENGINE_QEMU;
    }
    if (def->mirror != NULL && def->mirror->format == STORAGE_FORMAT_NONE)
        def->mirror->format = STORAGE_FORMAT_RAW;
    expand_group(def, ctx->def);
    return choose_format(def, ctx, error);
}

/* --- the rest --- */

/* libvirt finds a disk by its target; an XML without one by its source. */
static gboolean disk_matches(const DeviceInfo *dev, const DeviceInfo *wanted_dev)
{
    const DiskDef *def = (const DiskDef *)dev;
    const DiskDef *wanted = (const DiskDef *)wanted_dev;

    if (wanted->target != NULL)
        return g_strcmp0(def->target, wanted->target) == 0;
    return !storage_source_is_empty(wanted->source) && storage_source_same(def->source, wanted->source);
}

static void disk_clear(DeviceInfo *dev)
{
    DiskDef *def = (DiskDef *)dev;

    fields_clear(child_fields, def);
    fields_clear(tail_fields, def);
    disk_iotune_clear(&def->iotune);
    g_clear_pointer(&def->iothreads, g_ptr_array_unref);
    storage_source_free(def->source);
    storage_source_free(def->mirror);
}

gboolean disk_uses_iothread(const DiskDef *def, guint id)
{
    gboolean uses = def->iothread == id;

    for (guint i = 0; def->iothreads != NULL && i < def->iothreads->len; i++)
        uses |= ((const DiskIothread *)g_ptr_array_index(def->iothreads, i))->id == id;
    return uses;
}

static guint disk_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    const DiskDef *def = (const DiskDef *)dev;

    (void)domain;
    if (def->bus != DISK_BUS_VIRTIO)
        return PCI_CONNECT_NONE;
    return (def->model == VIRTIO_MODEL_TRANSITIONAL ? PCI_CONNECT_CONVENTIONAL : PCI_CONNECT_EXPRESS) |
           PCI_CONNECT_HOTPLUG;
}

gboolean disk_is_removable_media(const DiskDef *def)
{
    return def->device == DISK_DEVICE_CDROM || def->device == DISK_DEVICE_FLOPPY;
}

gboolean disk_name_to_index(const char *name, guint *ret_index)
{
    static const char *const prefixes[] = {"xvd", "ubd", "vd", "sd", "hd", "fd"};
    guint index = 0;

    for (gsize i = 0; name != NULL && i < G_N_ELEMENTS(prefixes); i++) {
        const char *p = name;

        if (!g_str_has_prefix(name, prefixes[i]))
            continue;
        for (p += strlen(prefixes[i]); g_ascii_islower(*p) && index < 1000000; p++)
            index = index * 26 + (guint)(*p - 'a') + 1;
        if (index == 0)
            return FALSE;
        while (g_ascii_isdigit(*p)) /* a partition, as in vda1 */
            p++;
        if (*p != '\0')
            return FALSE;
        *ret_index = index - 1;
        return TRUE;
    }
    return FALSE;
}

char *disk_index_to_name(const char *prefix, guint index)
{
    char letters[8];
    gsize at = sizeof(letters) - 1;

    letters[at] = '\0';
    for (guint64 rest = (guint64)index + 1; rest > 0; rest = (rest - 1) / 26)
        letters[--at] = (char)('a' + (rest - 1) % 26);
    return g_strconcat(prefix, letters + at, NULL);
}

void disk_iotune_clear(DiskIotune *iotune)
{
    fields_clear(iotune_fields, iotune);
    memset(iotune, 0, sizeof(*iotune));
}

gboolean disk_iotune_is_set(const DiskIotune *iotune)
{
    DiskIotune limits = *iotune;

    limits.group_name = NULL;
    return fields_any(iotune_fields, &limits);
}

const DeviceDefOps disk_def_ops = {
    .kind = DEVICE_DISK,
    .size = sizeof(DiskDef),
    .init = disk_init,
    .parse = disk_parse,
    .format = disk_format,
    .post_parse = disk_post_parse,
    .validate = disk_validate,
    .matches = disk_matches,
    .clear = disk_clear,
    .pci_connect = disk_pci_connect,
};
