/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks: a chain of block nodes and a device. Each image of the backing chain is two nodes, the bytes and
 * their format (three with a slice), linked explicitly, so that QEMU follows no name that stands inside an
 * image:
 *
 *   device --drive--> [libvirt-CoR-vda] --> libvirt-1-format --file--> [libvirt-1-slice] -->
 * libvirt-1-storage
 *                                                \--backing--> libvirt-2-format --file--> libvirt-2-storage
 */
#include <string.h>

#include "driver/backend/qemu_args_priv.h"

/* <driver cache=>: whether the guest sees a write cache, O_DIRECT, flushes ignored. */
typedef struct CacheMode {
    gboolean writeback, direct, no_flush;
} CacheMode;

static const CacheMode cache_modes[DISK_CACHE_LAST] = {
    [DISK_CACHE_NONE] = {TRUE, TRUE, FALSE},       [DISK_CACHE_WRITETHROUGH] = {FALSE, FALSE, FALSE},
    [DISK_CACHE_WRITEBACK] = {TRUE, FALSE, FALSE}, [DISK_CACHE_DIRECTSYNC] = {FALSE, TRUE, FALSE},
    [DISK_CACHE_UNSAFE] = {TRUE, FALSE, TRUE},
};

/* QEMU's drivers by format; NULL: not to be opened as an image. */
static const char *const format_drivers[STORAGE_FORMAT_LAST] = {
    [STORAGE_FORMAT_NONE] = "raw",        [STORAGE_FORMAT_RAW] = "raw", [STORAGE_FORMAT_ISO] = "raw",
    [STORAGE_FORMAT_DIR] = "raw",         [STORAGE_FORMAT_FAT] = "raw", [STORAGE_FORMAT_BOCHS] = "bochs",
    [STORAGE_FORMAT_CLOOP] = "cloop",     [STORAGE_FORMAT_DMG] = "dmg", [STORAGE_FORMAT_VPC] = "vpc",
    [STORAGE_FORMAT_VHD] = "vpc",         [STORAGE_FORMAT_VDI] = "vdi", [STORAGE_FORMAT_QCOW] = "qcow",
    [STORAGE_FORMAT_QCOW2] = "qcow2",     [STORAGE_FORMAT_QED] = "qed", [STORAGE_FORMAT_VMDK] = "vmdk",
    [STORAGE_FORMAT_PLOOP] = "parallels",
};

static const char *const aio_names[DISK_IO_LAST] = {
    [DISK_IO_NATIVE] = "native", [DISK_IO_THREADS] = "threads", [DISK_IO_IO_URING] = "io_uring"};

/* --- names --- */

static char *node_name(const StorageSource *source, const char *layer)
{
    return g_strdup_printf("libvirt-%u-%s", source->index, layer);
}

static char *cor_name(const DiskDef *disk)
{
    return g_strdup_printf("libvirt-CoR-%s", disk->target);
}

char *qemu_disk_node_name(const DiskDef *disk)
{
    if (storage_source_is_empty(disk->source))
        return NULL;
    return disk->copy_on_read == TRISTATE_YES ? cor_name(disk) : node_name(disk->source, "format");
}

char *qemu_disk_qdev(const DiskDef *disk)
{
    if (disk->bus == DISK_BUS_VIRTIO)
        return g_strdup_printf("/machine/peripheral/%s/virtio-backend", disk->info.alias);
    if (disk->bus == DISK_BUS_USB)
        return g_strdup_printf("/machine/peripheral/%s/%s.0/legacy[0]", disk->info.alias, disk->info.alias);
    return g_strdup(disk->info.alias);
}

/* --- storage nodes: where the bytes are --- */

static void set_cache(json_t *node, DiskCache cache)
{
    if (cache != DISK_CACHE_DEFAULT)
        json_object_set_new(node, "cache",
                            json_pack("{s:b, s:b}", "direct", cache_modes[cache].direct, "no-flush",
                                      cache_modes[cache].no_flush));
}

static json_t *inet_server(const StorageHost *host, guint default_port)
{
    char port[12];

    if (host->transport == STORAGE_TRANSPORT_UNIX)
        return json_pack("{s:s, s:s}", "type", "unix", "path", host->socket ? host->socket : "");
    g_snprintf(port, sizeof(port), "%u", host->port ? host->port : default_port);
    return json_pack("{s:s, s:s, s:s}", "type", "inet", "host", host->name ? host->name : "", "port", port);
}

static json_t *url_node(const StorageSource *source, const StorageHost *host)
{
    const char *scheme = storage_protocol_to_string(source->protocol);
    gboolean brackets = strchr(host->name, ':') != NULL;
    GString *url = g_string_new(NULL);
    json_t *node = json_pack("{s:s}", "driver", scheme);

    g_string_append_printf(url, "%s://%s%s%s", scheme, brackets ? "[" : "", host->name, brackets ? "]" : "");
    if (host->port != 0)
        g_string_append_printf(url, ":%u", host->port);
    g_string_append_printf(url, "%s%s", source->path && source->path[0] == '/' ? "" : "/",
                           source->path ? source->path : "");
    if (source->query != NULL)
        g_string_append_printf(url, "?%s", source->query);
    prop_str(node, "url", url->str);
    g_string_free(url, TRUE);
    prop_bool(node, "sslverify", source->ssl_verify);
    prop_uint(node, "readahead", source->readahead);
    prop_uint(node, "timeout", source->timeout);
    return node;
}

static json_t *network_node(const StorageSource *source, GError **error)
{
    const StorageHost *host =
        source->hosts != NULL && source->hosts->len > 0 ? source->hosts->pdata[0] : NULL;
    const char *protocol = storage_protocol_to_string(source->protocol);
    json_t *node;

    if (source->auth != NULL || (source->cookies != NULL && source->cookies->len > 0)) {
        args_unsupported(error,
                         "authentication of the network disk '%s' needs secrets, which are not supported yet",
                         source->path);
        return NULL;
    }
    if (source->tls == TRISTATE_YES) {
        args_unsupported(error, "TLS for the network disk '%s' is not supported", source->path);
        return NULL;
    }
    if (host == NULL && source->protocol != STORAGE_PROTOCOL_RBD) {
        error_set(error, VIR_ERR_XML_ERROR, "missing host for protocol '%s' of disk source", protocol);
        return NULL;
    }
    switch (source->protocol) {
    case STORAGE_PROTOCOL_NBD:
        node = json_pack("{s:s, s:o}", "driver", "nbd", "server", inet_server(host, 10809));
        prop_str(node, "export", source->path);
        if (source->reconnect.enabled == TRISTATE_YES)
            prop_uint(node, "reconnect-delay", source->reconnect.timeout);
        return node;
    case STORAGE_PROTOCOL_HTTP:
    case STORAGE_PROTOCOL_HTTPS:
    case STORAGE_PROTOCOL_FTP:
    case STORAGE_PROTOCOL_FTPS:
        return url_node(source, host);
    case STORAGE_PROTOCOL_ISCSI: {
        const char *slash = source->path ? strchr(source->path, '/') : NULL;
        g_autofree char *target =
            slash ? g_strndup(source->path, (gsize)(slash - source->path)) : g_strdup(source->path);
        g_autofree char *portal = g_strdup_printf("%s:%u", host->name, host->port ? host->port : 3260);

        node = json_pack("{s:s, s:s, s:s, s:I, s:s}", "driver", "iscsi", "portal", portal, "target",
                         target ? target : "", "lun",
                         slash ? (json_int_t)g_ascii_strtoull(slash + 1, NULL, 10) : 0, "transport", "tcp");
        prop_str(node, "initiator-name", source->initiator_iqn);
        return node;
    }
    case STORAGE_PROTOCOL_RBD: {
        const char *slash = source->path ? strchr(source->path, '/') : NULL;
        g_autofree char *pool =
            slash ? g_strndup(source->path, (gsize)(slash - source->path)) : g_strdup("rbd");

        node = json_pack("{s:s, s:s, s:s}", "driver", "rbd", "pool", pool, "image",
                         slash          ? slash + 1
                         : source->path ? source->path
                                        : "");
        if (host != NULL) {
            json_t *servers = json_array();

            for (guint i = 0; i < source->hosts->len; i++) {
                json_t *server = inet_server(source->hosts->pdata[i], 6789);

                json_object_del(server, "type"); /* InetSocketAddressBase */
                json_array_append_new(servers, server);
            }
            json_object_set_new(node, "server", servers);
        }
        prop_str(node, "snapshot", source->snapshot);
        prop_str(node, "conf", source->config_file);
        return node;
    }
    case STORAGE_PROTOCOL_SSH: {
        json_t *server = inet_server(host, 22);

        json_object_del(server, "type");
        return json_pack("{s:s, s:s, s:o}", "driver", "ssh", "path", source->path ? source->path : "",
                         "server", server);
    }
    default:
        args_unsupported(error, "disk source protocol '%s' is not supported", protocol);
        return NULL;
    }
}

static json_t *storage_node(const DiskDef *disk, const StorageSource *source, const char *name,
                            GError **error)
{
    json_t *node;

    switch (source->type) {
    case STORAGE_TYPE_FILE:
        node = json_pack("{s:s, s:s}", "driver", "file", "filename", source->path);
        break;
    case STORAGE_TYPE_BLOCK:
        node = json_pack("{s:s, s:s}", "driver",
                         disk->device == DISK_DEVICE_CDROM && g_str_has_prefix(source->path, "/dev/sr")
                             ? "host_cdrom"
                             : "host_device",
                         "filename", source->path);
        break;
    case STORAGE_TYPE_DIR:
        if (source->format != STORAGE_FORMAT_FAT && source->format != STORAGE_FORMAT_DIR &&
            source->format != STORAGE_FORMAT_NONE) {
            args_unsupported(error, "unsupported format for directory '%s': use <driver type='fat'/>",
                             source->path);
            return NULL;
        }
        node = json_pack("{s:s, s:s, s:b, s:b}", "driver", "vvfat", "dir", source->path, "floppy",
                         disk->device == DISK_DEVICE_FLOPPY, "rw", !disk->readonly);
        break;
    case STORAGE_TYPE_NETWORK:
        node = network_node(source, error);
        break;
    default:
        args_unsupported(error, "disk '%s': source type '%s' is not supported", disk->target,
                         storage_type_to_string(source->type));
        return NULL;
    }
    if (node == NULL)
        return NULL;
    prop_str(node, "node-name", name);
    set_cache(node, disk->cache);
    if ((source->type == STORAGE_TYPE_FILE || source->type == STORAGE_TYPE_BLOCK) &&
        disk->io != DISK_IO_DEFAULT)
        prop_str(node, "aio", aio_names[disk->io]);
    json_object_set_new(node, "auto-read-only", json_true());
    prop_str(node, "discard", "unmap");
    return node;
}

/* --- format nodes --- */

/* The layer between: a part of the file, or the file itself. Appends to nodes; the name of the top one,
 * caller frees. */
static char *add_storage(const DiskDef *disk, const StorageSource *source, GPtrArray *nodes, GError **error)
{
    g_autofree char *storage = node_name(source, "storage");
    json_t *node = storage_node(disk, source, storage, error), *slice;
    char *name;

    if (node == NULL)
        return NULL;
    g_ptr_array_add(nodes, node);
    if (!source->has_slice)
        return g_steal_pointer(&storage);
    name = node_name(source, "slice-storage");
    slice = json_pack("{s:s, s:s, s:I, s:I, s:s, s:b, s:s}", "driver", "raw", "node-name", name, "offset",
                      (json_int_t)source->slice_offset, "size", (json_int_t)source->slice_size, "file",
                      storage, "auto-read-only", TRUE, "discard", "unmap");
    g_ptr_array_add(nodes, slice);
    return name;
}

static gboolean add_image(const DiskDef *disk, const StorageSource *source, gboolean top, GPtrArray *nodes,
                          GError **error)
{
    const char *driver = format_drivers[source->format];
    g_autofree char *name = node_name(source, "format");
    g_autofree char *storage = NULL;
    gboolean readonly = !top || disk->readonly;
    gboolean has_backing = source->format == STORAGE_FORMAT_QCOW2 || source->format == STORAGE_FORMAT_QCOW ||
                           source->format == STORAGE_FORMAT_QED || source->format == STORAGE_FORMAT_VMDK;
    json_t *node;

    if (driver == NULL)
        return args_unsupported(error, "disk '%s': image format '%s' is not supported", disk->target,
                                storage_format_to_string(source->format));
    if (source->encryption != NULL)
        return args_unsupported(error, "disk '%s': <encryption> needs secrets, which are not supported yet",
                                disk->target);
    if (source->backing != NULL && source->backing->type != STORAGE_TYPE_NONE) {
        if (!has_backing)
            return args_unsupported(error, "disk '%s': an image of format '%s' has no backing image",
                                    disk->target, storage_format_to_string(source->format));
        if (!add_image(disk, source->backing, FALSE, nodes, error))
            return FALSE;
    }
    storage = add_storage(disk, source, nodes, error);
    if (storage == NULL)
        return FALSE;
    node = json_pack("{s:s, s:b}", "node-name", name, "read-only", readonly);
    if (top && disk->discard != DISK_DISCARD_DEFAULT)
        prop_str(node, "discard", disk_discard_to_string(disk->discard));
    if (top && disk->detect_zeroes != DISK_DETECT_ZEROES_DEFAULT)
        prop_str(node, "detect-zeroes",
                 disk->detect_zeroes == DISK_DETECT_ZEROES_UNMAP && disk->discard != DISK_DISCARD_UNMAP
                     ? "on" /* QEMU refuses unmap without discard */
                     : disk_detect_zeroes_to_string(disk->detect_zeroes));
    set_cache(node, disk->cache);
    prop_str(node, "driver", driver);
    if (source->format == STORAGE_FORMAT_QCOW2 && source->metadata_cache != 0)
        prop_uint(node, "cache-size", source->metadata_cache);
    prop_str(node, "file", storage);
    if (source->backing != NULL && source->backing->type != STORAGE_TYPE_NONE) {
        g_autofree char *backing = node_name(source->backing, "format");

        prop_str(node, "backing", backing);
    } else if (has_backing && source->backing != NULL) {
        json_object_set_new(node, "backing",
                            json_null()); /* the end was stated: do not follow what the image says */
    }
    g_ptr_array_add(nodes, node);
    return TRUE;
}

GPtrArray *qemu_disk_nodes(const DiskDef *disk, GError **error)
{
    g_autoptr(GPtrArray) nodes = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);

    if (storage_source_is_empty(disk->source))
        return g_steal_pointer(&nodes);
    if (!add_image(disk, disk->source, TRUE, nodes, error))
        return NULL;
    if (disk->copy_on_read == TRISTATE_YES) {
        g_autofree char *file = node_name(disk->source, "format");
        g_autofree char *name = cor_name(disk);

        g_ptr_array_add(nodes, json_pack("{s:s, s:s, s:s, s:s}", "driver", "copy-on-read", "node-name", name,
                                         "file", file, "discard", "unmap"));
    }
    return g_steal_pointer(&nodes);
}

/* --- the device --- */

static void set_bus(json_t *props, const char *format, const char *name, guint unit)
{
    g_autofree char *bus = g_strdup_printf("%s.%u", name, unit);

    prop_str(props, format, bus);
}

static gboolean scsi_place(const DomainDef *def, const DiskDef *disk, json_t *props, GError **error)
{
    const DriveAddress *drive = &disk->info.address.u.drive;
    const ControllerDef *controller = find_controller(def, CONTROLLER_SCSI, drive->controller);

    if (controller == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR,
                         "disk '%s' is at scsi controller %u, which is not there", disk->target,
                         drive->controller);
    set_bus(props, "bus", controller->info.alias, 0);
    if (controller->model == SCSI_MODEL_LSILOGIC) {
        if (drive->bus != 0 || drive->target != 0)
            return args_unsupported(error,
                                    "disk '%s': target and bus must be 0 for the scsi controller model "
                                    "'lsilogic'",
                                    disk->target);
        prop_int(props, "scsi-id", drive->unit);
        return TRUE;
    }
    prop_int(props, "channel", drive->bus);
    prop_int(props, "scsi-id", drive->target);
    prop_int(props, "lun", drive->unit);
    return TRUE;
}

static gboolean ide_place(const DomainDef *def, const DiskDef *disk, json_t *props, GError **error)
{
    const DriveAddress *drive = &disk->info.address.u.drive;
    const ControllerDef *controller;

    if (disk->bus == DISK_BUS_IDE) {
        set_bus(props, "bus", "ide", drive->bus);
        prop_int(props, "unit", drive->unit);
        return TRUE;
    }
    controller = find_controller(def, CONTROLLER_SATA, drive->controller);
    if (os_def_is_q35(&def->os) && drive->controller == 0) {
        set_bus(props, "bus", "ide", drive->unit);
    } else {
        if (controller == NULL)
            return error_set(error, VIR_ERR_INTERNAL_ERROR,
                             "disk '%s' is at sata controller %u, which is not there", disk->target,
                             drive->controller);
        set_bus(props, "bus", controller->info.alias, drive->unit);
    }
    return TRUE;
}

/* The device's driver for bus and kind. Caller frees; NULL: unsupported. */
static char *disk_driver(const DiskDef *disk)
{
    gboolean cdrom = disk->device == DISK_DEVICE_CDROM;

    switch (disk->bus) {
    case DISK_BUS_VIRTIO:
        return cdrom ? NULL : virtio_driver("virtio-blk", disk->model, &disk->info);
    case DISK_BUS_SCSI:
        return g_strdup(disk->device == DISK_DEVICE_LUN ? "scsi-block" : cdrom ? "scsi-cd" : "scsi-hd");
    case DISK_BUS_IDE:
    case DISK_BUS_SATA:
        return g_strdup(cdrom ? "ide-cd" : "ide-hd");
    case DISK_BUS_FDC:
        return g_strdup("floppy");
    case DISK_BUS_USB:
        return g_strdup("usb-storage");
    default:
        return NULL;
    }
}

static void set_policies(const DiskDef *disk, json_t *props)
{
    DiskErrorPolicy rerror = disk->rerror_policy;

    if (disk->error_policy != DISK_ERROR_DEFAULT)
        prop_str(props, "werror",
                 disk->error_policy == DISK_ERROR_ENOSPACE ? "enospc"
                                                           : disk_error_policy_to_string(disk->error_policy));
    if (rerror == DISK_ERROR_DEFAULT)
        rerror = disk->error_policy;
    if (rerror == DISK_ERROR_ENOSPACE)
        rerror = DISK_ERROR_REPORT; /* reading needs no space */
    if (rerror != DISK_ERROR_DEFAULT)
        prop_str(props, "rerror", disk_error_policy_to_string(rerror));
}

static void set_common(const DiskDef *disk, json_t *props)
{
    gboolean medium = disk->device == DISK_DEVICE_DISK || disk->device == DISK_DEVICE_LUN;

    prop_uint(props, "logical_block_size", disk->logical_block_size);
    prop_uint(props, "physical_block_size", disk->physical_block_size);
    if (disk->cyls != 0 && medium) {
        prop_uint(props, "cyls", disk->cyls);
        prop_uint(props, "heads", disk->heads);
        prop_uint(props, "secs", disk->secs);
        if (disk->trans != GEOMETRY_TRANS_DEFAULT && disk->bus == DISK_BUS_IDE)
            prop_str(props, "bios-chs-trans", geometry_trans_to_string(disk->trans));
    }
    prop_str(props, "serial", disk->device != DISK_DEVICE_LUN ? disk->serial : NULL);
    if (disk->wwn != NULL) {
        g_autofree char *wwn = g_strconcat("0x", disk->wwn, NULL);

        json_object_set_new(props, "wwn", json_integer((json_int_t)g_ascii_strtoull(wwn, NULL, 16)));
    }
    prop_str(props, "vendor", disk->vendor);
    prop_str(props, "product", disk->product);
    prop_uint(props, "rotation_rate", disk->rotation_rate);
    if (disk->shareable)
        json_object_set_new(props, "share-rw", json_true());
    if (disk->cache != DISK_CACHE_DEFAULT && disk->device != DISK_DEVICE_LUN)
        prop_str(props, "write-cache", cache_modes[disk->cache].writeback ? "on" : "off");
    set_policies(disk, props);
}

static json_t *queue_mapping(const GPtrArray *threads)
{
    json_t *list = json_array();

    for (guint i = 0; i < threads->len; i++) {
        const DiskIothread *thread = g_ptr_array_index(threads, i);
        g_autofree char *id = g_strdup_printf("iothread%u", thread->id);
        json_t *item = json_pack("{s:s}", "iothread", id);

        if (thread->queues != NULL)
            json_object_set_new(item, "vqs", json_array());
        for (guint q = 0; thread->queues != NULL && q < thread->queues->len; q++)
            json_array_append_new(json_object_get(item, "vqs"),
                                  json_integer((json_int_t)g_array_index(thread->queues, guint, q)));
        json_array_append_new(list, item);
    }
    return list;
}

json_t *qemu_disk_device(const DomainDef *def, const DiskDef *disk, GError **error)
{
    g_autofree char *driver = disk_driver(disk);
    g_autofree char *node = qemu_disk_node_name(disk);
    json_t *props;
    gboolean ok = TRUE;

    if (driver == NULL) {
        args_unsupported(error, "disk '%s': %s on bus '%s' is not supported", disk->target,
                         disk_device_to_string(disk->device), disk_bus_to_string(disk->bus));
        return NULL;
    }
    props = device_props(driver);
    switch (disk->bus) {
    case DISK_BUS_VIRTIO:
        if (disk->iothread != 0) {
            g_autofree char *thread = g_strdup_printf("iothread%u", disk->iothread);

            prop_str(props, "iothread", thread);
        }
        if (disk->iothreads != NULL)
            json_object_set_new(props, "iothread-vq-mapping", queue_mapping(disk->iothreads));
        prop_bool(props, "ioeventfd", disk->ioeventfd);
        prop_bool(props, "event_idx", disk->event_idx);
        prop_uint(props, "num-queues", disk->queues);
        prop_uint(props, "queue-size", disk->queue_size);
        virtio_props(props, &disk->virtio);
        break;
    case DISK_BUS_SCSI:
        ok = scsi_place(def, disk, props, error);
        if (disk->device != DISK_DEVICE_LUN) {
            g_autofree char *id = g_strconcat("drive-", disk->info.alias, NULL);

            prop_str(props, "device_id", disk->serial ? disk->serial : id);
        }
        break;
    case DISK_BUS_IDE:
    case DISK_BUS_SATA:
        ok = ide_place(def, disk, props, error);
        break;
    case DISK_BUS_FDC:
        prop_int(props, "unit", disk->info.address.u.drive.unit);
        break;
    case DISK_BUS_USB:
        if (disk->removable != TRISTATE_ABSENT || disk->device == DISK_DEVICE_CDROM)
            json_object_set_new(
                props, "removable",
                json_boolean(disk->removable == TRISTATE_YES || disk->device == DISK_DEVICE_CDROM));
        break;
    default:
        break;
    }
    prop_str(props, "drive", node);
    if (ok && disk->bus == DISK_BUS_FDC) {
        prop_str(props, "id", disk->info.alias); /* the boot index belongs to its controller */
    } else if (ok) {
        ok = device_finish(def, props, &disk->info, error);
    }
    if (!ok) {
        json_decref(props);
        return NULL;
    }
    set_common(disk, props);
    return props;
}

gboolean args_disk(QemuBuilder *b, const DiskDef *disk, GError **error)
{
    g_autoptr(GPtrArray) nodes = qemu_disk_nodes(disk, error);
    json_t *props;

    if (nodes == NULL)
        return FALSE;
    if (disk->bus == DISK_BUS_FDC && disk->info.effective_boot_index != 0)
        args_add(b, "-global", "isa-fdc.bootindex%c=%u", disk->info.address.u.drive.unit ? 'B' : 'A',
                 disk->info.effective_boot_index);
    props = qemu_disk_device(b->def, disk, error);
    if (props == NULL)
        return FALSE;
    for (guint i = 0; i < nodes->len; i++)
        args_add_json(b, "-blockdev", json_incref(nodes->pdata[i]));
    args_add_json(b, "-device", props);
    return TRUE;
}

gboolean args_disks(QemuBuilder *b, GError **error)
{
    DOMAIN_DEF_FOREACH(DiskDef, disk, b->def, DEVICE_DISK)
    {
        if (!args_disk(b, disk, error))
            return FALSE;
    }
    return TRUE;
}
