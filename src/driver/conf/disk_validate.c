/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules of <disk>: libvirt's common ones and those of its QEMU driver, with its error codes. */
#include "driver/conf/disk_validate.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/supported.h"

#define VENDOR_MAX 8 /* SCSI INQUIRY */
#define PRODUCT_MAX 16
#define SERIAL_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_ .+"

static gboolean check_pair(guint64 total, guint64 part, guint64 other, const char *name, GError **error)
{
    return total == 0 || (part == 0 && other == 0) ||
           error_set(error, VIR_ERR_XML_ERROR, "total and read/write %s cannot be set at the same time",
                     name);
}

static gboolean check_burst(guint64 burst, guint64 limit, guint64 length, const char *name, GError **error)
{
    if (length != 0 && burst == 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s_max_length requires %s_max", name, name);
    if (burst != 0 && limit == 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "value '%s' must be set if '%s_max' is set", name,
                         name);
    return burst == 0 || burst >= limit ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "value '%s_max' cannot be smaller than '%s'", name,
                     name);
}

gboolean disk_iotune_validate(const DiskIotune *t, GError **error)
{
#define BURST(name) check_burst(t->name##_max, t->name, t->name##_max_length, #name, error)
    return check_pair(t->total_bytes_sec, t->read_bytes_sec, t->write_bytes_sec, "bytes_sec", error) &&
           check_pair(t->total_iops_sec, t->read_iops_sec, t->write_iops_sec, "iops_sec", error) &&
           check_pair(t->total_bytes_sec_max, t->read_bytes_sec_max, t->write_bytes_sec_max, "bytes_sec_max",
                      error) &&
           check_pair(t->total_iops_sec_max, t->read_iops_sec_max, t->write_iops_sec_max, "iops_sec_max",
                      error) &&
           BURST(total_bytes_sec) && BURST(read_bytes_sec) && BURST(write_bytes_sec) &&
           BURST(total_iops_sec) && BURST(read_iops_sec) && BURST(write_iops_sec);
#undef BURST
}

static gboolean check_target(const DiskDef *def, GError **error)
{
    const char *target = def->target;
    gboolean hard = !disk_is_removable_media(def);

    if (target == NULL) {
        g_autofree char *source = storage_source_describe(def->source);

        return error_set(error, VIR_ERR_NO_TARGET, "%s",
                         source != NULL ? source : "disk has no <target dev=…>");
    }
    if (hard && !g_str_has_prefix(target, "hd") && !g_str_has_prefix(target, "sd") &&
        !g_str_has_prefix(target, "vd") && !g_str_has_prefix(target, "xvd") &&
        !g_str_has_prefix(target, "ubd"))
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Invalid harddisk device name: %s", target);
    if (def->device == DISK_DEVICE_FLOPPY && !g_str_has_prefix(target, "fd"))
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Invalid floppy device name: %s", target);
    if (def->device == DISK_DEVICE_DISK && storage_source_is_empty(def->source))
        return error_set(error, VIR_ERR_NO_SOURCE, "%s", target);
    return TRUE;
}

/* "vdb1": a target names a whole disk. */
static gboolean check_partition(const DiskDef *def, GError **error)
{
    return !g_ascii_isdigit(def->target[strlen(def->target) - 1]) || def->device == DISK_DEVICE_FLOPPY ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                     "invalid disk target '%s', partitions can't appear in disk targets", def->target);
}

/* Formats that a definition may name and QEMU cannot read, of the image and all that it names below. */
static gboolean check_formats(const DiskDef *def, GError **error)
{
    for (const StorageSource *s = def->source; s != NULL; s = s->backing) {
        if (s->format == STORAGE_FORMAT_COW)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "'cow' storage format is not supported");
        if (s->format == STORAGE_FORMAT_DIR)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "'directory' storage format is not directly supported by QEMU, use 'dir' disk type "
                             "instead");
        if (s->format == STORAGE_FORMAT_ISO)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "storage format 'iso' is not directly supported by QEMU, use 'raw' instead");
        if (s->encryption == NULL || s->encryption->engine == ENCRYPTION_ENGINE_LIBRBD)
            continue;
        if (s->encryption->format == ENCRYPTION_DEFAULT || s->encryption->format == ENCRYPTION_QCOW)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "old qcow/qcow2 encryption is not supported");
        if (s->format != STORAGE_FORMAT_QCOW2 && s->format != STORAGE_FORMAT_RAW && s->format != STORAGE_FORMAT_NONE)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "encryption is supported only with 'raw' and 'qcow2' image format");
    }
    return !def->shareable || def->readonly || def->source->format == STORAGE_FORMAT_RAW ||
           def->source->format == STORAGE_FORMAT_NONE ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                     "shared access for disk '%s' requires use of supported storage format", def->target);
}

static gboolean check_lun(const DiskDef *def, GError **error)
{
    const StorageSource *source = def->source;

    if (def->device != DISK_DEVICE_LUN) {
        if (source->pr_managed != TRISTATE_ABSENT)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "<reservations/> allowed only for lun devices");
        if (def->rawio != TRISTATE_ABSENT)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "rawio can be used only with device='lun'");
        if (def->sgio != SGIO_DEFAULT)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "sgio can be used only with device='lun'");
        return TRUE;
    }
    if (def->sgio == SGIO_UNFILTERED)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unfiltered sgio is no longer supported");
    if (source->type == STORAGE_TYPE_NETWORK && source->protocol != STORAGE_PROTOCOL_ISCSI)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "disk device='lun' is not supported for protocol='%s'",
                         storage_protocol_to_string(source->protocol));
    if (source->type != STORAGE_TYPE_NETWORK && source->type != STORAGE_TYPE_BLOCK &&
        source->type != STORAGE_TYPE_VOLUME)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "disk device='lun' is only valid for block type disk source");
    if (source->format != STORAGE_FORMAT_RAW && source->format != STORAGE_FORMAT_NONE)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "disk device 'lun' must use 'raw' format");
    if (source->has_slice)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "disk device 'lun' doesn't support storage slice");
    if (source->encryption != NULL && source->encryption->format != ENCRYPTION_DEFAULT)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "disk device 'lun' doesn't support encryption");
    if (def->bus != DISK_BUS_SCSI && def->bus != DISK_BUS_VIRTIO)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "disk device='lun' is not supported for bus='%s'",
                         disk_bus_to_string(def->bus));
    if (def->copy_on_read == TRISTATE_YES)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "copy_on_read is not compatible with 'lun' disk '%s'", def->target);
    if (def->wwn != NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Setting wwn is not supported for lun device");
    if (def->vendor != NULL || def->product != NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "Setting vendor or product is not supported for lun device");
    return TRUE;
}

static gboolean check_bus(const DiskDef *def, GError **error)
{
    static const AddressType address_of[DISK_BUS_LAST] = {
        [DISK_BUS_IDE] = ADDRESS_DRIVE,  [DISK_BUS_FDC] = ADDRESS_DRIVE, [DISK_BUS_SCSI] = ADDRESS_DRIVE,
        [DISK_BUS_SATA] = ADDRESS_DRIVE, [DISK_BUS_USB] = ADDRESS_USB,
    };
    AddressType address = def->info.address.type;
    const char *bus = disk_bus_to_string(def->bus);

    if (!supported_check(SUPPORTED_DISK_BUS, bus, "disk bus", error))
        return FALSE;
    if (address != ADDRESS_NONE && address_of[def->bus] != ADDRESS_NONE && address != address_of[def->bus])
        return error_set(error, def->bus == DISK_BUS_USB ? VIR_ERR_INTERNAL_ERROR : VIR_ERR_CONFIG_UNSUPPORTED,
                         "Invalid address type '%s' for the disk '%s' with the bus type '%s'",
                         address_type_to_string(address), def->target, bus);
    if (def->device == DISK_DEVICE_FLOPPY && def->bus != DISK_BUS_FDC)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Invalid bus type '%s' for floppy disk", bus);
    if (def->device != DISK_DEVICE_FLOPPY && def->bus == DISK_BUS_FDC)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Invalid bus type '%s' for disk", bus);
    if (def->device == DISK_DEVICE_CDROM && def->bus == DISK_BUS_VIRTIO)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "disk type of '%s' does not support ejectable media", def->target);
    if (def->device == DISK_DEVICE_DISK && def->readonly &&
        (def->bus == DISK_BUS_IDE || def->bus == DISK_BUS_SATA))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "readonly %s disks are not supported", bus);
    if (def->removable != TRISTATE_ABSENT && def->bus != DISK_BUS_USB)
        return error_set(error, VIR_ERR_XML_ERROR, "removable is only valid for usb disks");
    if (def->tray != DISK_TRAY_CLOSED && !disk_is_removable_media(def))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "tray is only valid for cdrom and floppy");
    if (def->rotation_rate != 0 && def->bus != DISK_BUS_SCSI && def->bus != DISK_BUS_IDE &&
        def->bus != DISK_BUS_SATA)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "rotation rate is only valid for SCSI/IDE/SATA bus");
    if (def->rotation_rate != 0 && def->device != DISK_DEVICE_DISK)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "rotation rate is only valid for disk device");
    return TRUE;
}

/* What only a virtio disk has. */
static gboolean check_virtio(const DiskDef *def, GError **error)
{
    if (def->iothreads != NULL && def->iothread != 0)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "disk '%s': <driver iothread=> and <driver><iothreads> are mutually exclusive", def->target);
    if (def->bus == DISK_BUS_VIRTIO)
        return disk_iothreads_validate(def->iothreads, def->queues, def->target, error);
    if (def->model != VIRTIO_MODEL_DEFAULT)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "disk model '%s' not supported for bus '%s'",
                         virtio_model_to_string(def->model), disk_bus_to_string(def->bus));
    if (def->queues != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "queues attribute in disk driver element is only supported by virtio-blk");
    if (def->queue_size != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "queue_size attribute in disk driver element is only supported by virtio-blk");
    if (def->event_idx != TRISTATE_ABSENT)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "disk event_idx mode supported only for virtio bus");
    if (def->ioeventfd != TRISTATE_ABSENT)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "disk ioeventfd mode supported only for virtio bus");
    if (def->iothread != 0 || def->iothreads != NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "IOThreads not available for bus %s target %s",
                         disk_bus_to_string(def->bus), def->target);
    if (virtio_options_given(&def->virtio))
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "iommu, ats, packed and page_per_vq driver options are only supported for virtio devices");
    return TRUE;
}

/* Which places a bus has. */
static gboolean check_place(const DiskDef *def, const DomainDef *domain, GError **error)
{
    const DriveAddress *drive = &def->info.address.u.drive;
    const char *bus = disk_bus_to_string(def->bus);
    gboolean narrow = def->bus == DISK_BUS_IDE || def->bus == DISK_BUS_FDC || def->bus == DISK_BUS_SATA;

    if (def->info.address.type != ADDRESS_DRIVE)
        return TRUE;
    if ((def->bus == DISK_BUS_IDE || def->bus == DISK_BUS_FDC) && drive->controller != 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "disk '%s': Only 1 %s controller is supported", def->target, bus);
    if ((def->bus == DISK_BUS_FDC || def->bus == DISK_BUS_SCSI) && drive->bus != 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "disk '%s': %s controller only supports 1 bus", def->target, bus);
    if (def->bus == DISK_BUS_SATA && drive->bus != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "disk '%s': bus must be 0 for sata controller", def->target);
    for (guint i = 0; def->bus == DISK_BUS_SCSI && domain != NULL && i < domain_def_n(domain, DEVICE_CONTROLLER); i++) {
        const ControllerDef *controller = domain_def_get(domain, DEVICE_CONTROLLER, i);

        narrow |= controller->type == CONTROLLER_SCSI && controller->index == (int)drive->controller &&
                  controller->model == SCSI_MODEL_LSILOGIC;
    }
    return !narrow || drive->target == 0 ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "disk '%s': target must be 0 for this %s controller", def->target,
                     bus);
}

/* A folder of the host is shown as a FAT file system, which may not be written to. */
static gboolean check_folder(const DiskDef *def, GError **error)
{
    const StorageSource *source = def->source;

    if (source->format == STORAGE_FORMAT_FAT && source->type != STORAGE_TYPE_DIR && source->type != STORAGE_TYPE_VOLUME)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "storage format 'fat' of disk '%s' is supported only with 'dir' storage type", def->target);
    if (source->type != STORAGE_TYPE_DIR)
        return TRUE;
    if (source->format != STORAGE_FORMAT_FAT)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "storage type 'dir' of disk '%s' requires use of storage format 'fat'", def->target);
    return def->readonly ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                     "virtual FAT storage of disk '%s' can't be accessed in read-write mode; add <readonly/>",
                     def->target);
}

static gboolean check_driver(const DiskDef *def, GError **error)
{
    if (def->driver_name != NULL && strcmp(def->driver_name, "qemu") != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unsupported driver name '%s' for disk '%s'",
                         def->driver_name, def->target);
    if (def->rerror_policy == DISK_ERROR_ENOSPACE)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Invalid disk read error policy: '%s'",
                         "enospace");
    if (def->io == DISK_IO_NATIVE && def->cache != DISK_CACHE_DEFAULT && def->cache != DISK_CACHE_NONE &&
        def->cache != DISK_CACHE_DIRECTSYNC)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "io='native' needs either no disk cache or directsync cache mode");
    if (def->copy_on_read == TRISTATE_YES && def->readonly && !disk_is_removable_media(def))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "copy_on_read is not compatible with read-only disk '%s'", def->target);
    if (def->copy_on_read == TRISTATE_YES && disk_is_removable_media(def))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "copy_on_read is not supported with removable disk '%s'", def->target);
    if ((def->cyls != 0 || def->heads != 0 || def->secs != 0) && def->bus != DISK_BUS_IDE &&
        def->bus != DISK_BUS_SCSI && def->bus != DISK_BUS_VIRTIO)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "CHS geometry can not be set for '%s' bus",
                         disk_bus_to_string(def->bus));
    if (def->trans != GEOMETRY_TRANS_DEFAULT && def->bus != DISK_BUS_IDE)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "CHS translation mode can only be set for 'ide' bus not '%s'",
                         disk_bus_to_string(def->bus));
    if (def->backend_domain != NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "<backenddomain> of a disk is only supported by Xen");
    if (def->source->metadata_cache != 0 && def->source->format != STORAGE_FORMAT_QCOW2)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "metadata_cache_size is only supported with qcow2 disks");
    return TRUE;
}

static gboolean printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (!g_ascii_isprint(*text))
            return FALSE;
    }
    return TRUE;
}

static gboolean check_inquiry(const char *text, const char *what, guint max, GError **error)
{
    if (text == NULL)
        return TRUE;
    if (!printable(text))
        return error_set(error, VIR_ERR_XML_ERROR, "disk %s is not printable string", what);
    return strlen(text) <= max ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "disk %s is more than %u characters", what, max);
}

static gboolean check_names(const DiskDef *def, GError **error)
{
    const char *wwn = def->wwn;

    if (!check_inquiry(def->vendor, "vendor", VENDOR_MAX, error) ||
        !check_inquiry(def->product, "product", PRODUCT_MAX, error))
        return FALSE;
    if ((def->vendor != NULL || def->product != NULL) && def->bus != DISK_BUS_SCSI)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Only scsi disk supports vendor and product");
    if (def->serial != NULL && def->serial[strspn(def->serial, SERIAL_CHARACTERS)] != '\0')
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "driver serial '%s' contains unsafe characters",
                         def->serial);
    if (wwn == NULL)
        return TRUE;
    if (g_str_has_prefix(wwn, "0x"))
        wwn += 2;
    if (strlen(wwn) != 16 || strspn(wwn, "0123456789abcdefABCDEF") != 16)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Malformed wwn: %s", def->wwn);
    return def->bus == DISK_BUS_SCSI || def->bus == DISK_BUS_IDE || def->bus == DISK_BUS_SATA ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Only ide and scsi disk support wwn");
}

/* The other process owns the image: nothing that is done on this side of it can be asked for. */
static gboolean check_vhostuser(const DiskDef *def, GError **error)
{
    const StorageSource *source = def->source;
    const struct {
        gboolean given;
        const char *name;
    } given[] = {
        {def->cache != DISK_CACHE_DEFAULT, "cache"},
        {def->error_policy != 0 || def->rerror_policy != 0, "error_policy"},
        {def->io != DISK_IO_DEFAULT, "io"},
        {def->ioeventfd != TRISTATE_ABSENT, "ioeventfd"},
        {def->copy_on_read != TRISTATE_ABSENT, "copy_on_read"},
        {def->discard != DISK_DISCARD_DEFAULT, "discard"},
        {def->iothread != 0, "iothread"},
        {def->detect_zeroes != DISK_DETECT_ZEROES_DEFAULT, "detect_zeroes"},
        {source->metadata_cache != 0, "metadata_cache"},
        {def->iotune.group_name != NULL || disk_iotune_is_set(&def->iotune), "iotune"},
        {source->backing != NULL, "backingStore"},
        {source->encryption != NULL, "encryption"},
        {def->readonly, "readonly"},
        {def->shareable, "shareable"},
        {def->transient, "transient"},
        {def->serial != NULL, "serial"},
        {def->wwn != NULL, "wwn"},
        {def->vendor != NULL, "vendor"},
        {def->product != NULL, "product"},
        {source->auth != NULL, "auth"},
        {def->cyls != 0 || def->heads != 0 || def->secs != 0 || def->trans != 0, "geometry"},
        {def->logical_block_size != 0 || def->physical_block_size != 0, "blockio"},
    };

    if (source->type != STORAGE_TYPE_VHOSTUSER)
        return TRUE;
    if (def->bus != DISK_BUS_VIRTIO)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "vhostuser disk supports only virtio bus");
    if (def->snapshot != DISK_SNAPSHOT_NO)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "only snapshot=no is supported with vhostuser disk");
    for (gsize i = 0; i < G_N_ELEMENTS(given); i++) {
        if (given[i].given)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s is not supported with vhostuser disk",
                             given[i].name);
    }
    return TRUE;
}

static gboolean check_startup_policy(const DiskDef *def, GError **error)
{
    StorageType type = def->source->type;
    const char *policy = startup_policy_to_string(def->startup_policy);

    if (def->startup_policy == STARTUP_POLICY_DEFAULT)
        return TRUE;
    if (type == STORAGE_TYPE_NETWORK || type == STORAGE_TYPE_NVME || type == STORAGE_TYPE_VHOSTUSER)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "disk startupPolicy '%s' is not allowed for disk of '%s' type", policy,
                         storage_type_to_string(type));
    return def->startup_policy != STARTUP_POLICY_REQUISITE || disk_is_removable_media(def) ||
           error_set(error, VIR_ERR_XML_ERROR,
                     "disk startupPolicy 'requisite' is allowed only for cdrom or floppy");
}

static gboolean check_transient(const DiskDef *def, GError **error)
{
    if (!def->transient)
        return TRUE;
    if (def->readonly || disk_is_removable_media(def))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "transient disk '%s' must be a hard disk that the guest may write", def->target);
    return def->source->type == STORAGE_TYPE_FILE || def->source->type == STORAGE_TYPE_BLOCK ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                     "transient disk supported only with file or block sources, not with the source of '%s'",
                     def->target);
}

gboolean disk_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const DiskDef *def = (const DiskDef *)dev;

    return check_target(def, error) && check_partition(def, error) && check_formats(def, error) &&
           storage_source_validate(def->source, error) && check_lun(def, error) &&
           disk_iotune_validate(&def->iotune, error) && check_bus(def, error) && check_place(def, ctx->def, error) &&
           check_virtio(def, error) &&
           check_folder(def, error) && check_driver(def, error) && check_names(def, error) && check_vhostuser(def, error) &&
           check_startup_policy(def, error) && check_transient(def, error);
}
