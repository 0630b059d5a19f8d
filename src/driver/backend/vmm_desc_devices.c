/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices and what they stand on, as the machine description has them: see vmm_desc.h. */
#include <string.h>

#include "driver/backend/storage_daemon.h"
#include "driver/backend/vmm_desc_priv.h"
#include "driver/conf/def_memballoon.h"
#include "driver/conf/def_rng.h"
#include "driver/conf/def_vsock.h"
#include "driver/conf/def_watchdog.h"
#include "driver/host/vmm_caps.h"

int vmm_desc_fd(const VmmBuilder *b, const char *format, ...)
{
    g_autofree char *purpose = NULL;
    va_list ap;

    va_start(ap, format);
    purpose = g_strdup_vprintf(format, ap);
    va_end(ap);
    return b->context->fd(b->context->opaque, purpose);
}

void vmm_desc_set_fd(json_t *object, const char *key, int fd)
{
    if (fd >= 0)
        json_object_set_new(object, key, json_integer(fd));
}

void vmm_desc_set_list(json_t *root, const char *key, json_t *list /* stolen */)
{
    if (json_array_size(list) > 0)
        json_object_set(root, key, list);
    json_decref(list);
}

/* --- character devices --- */

static void add_chardev(VmmBuilder *b, const ChrSource *source, const char *alias)
{
    static const char *const backends[CHR_TYPE_LAST] = {[CHR_TYPE_NULL] = "null",
                                                        [CHR_TYPE_PTY] = "pty",
                                                        [CHR_TYPE_FILE] = "file",
                                                        [CHR_TYPE_TCP] = "socket",
                                                        [CHR_TYPE_UNIX] = "socket"};
    g_autofree char *id = g_strconcat("char", alias, NULL);
    const char *backend = backends[source->type];
    json_t *object = json_pack("{s:s, s:s}", "id", id, "backend", backend ? backend : "null");

    vmm_desc_set_fd(object, "fd", vmm_desc_fd(b, "chr:%s", alias));
    if (backend != NULL && strcmp(backend, "socket") == 0)
        json_object_set_new(object, "server", json_boolean(source->mode == CHR_MODE_BIND));
    if (source->log_file != NULL)
        vmm_desc_set_fd(object, "logfd", vmm_desc_fd(b, "log:%s", alias));
    json_array_append_new(b->chardevs, object);
}

static void add_serials(VmmBuilder *b)
{
    DOMAIN_DEF_FOREACH(ChrDef, serial, b->def, DEVICE_SERIAL)
    {
        g_autofree char *id = g_strconcat("char", serial->info.alias, NULL);
        guint port = serial->port >= 0 ? (guint)serial->port : serial_i;

        add_chardev(b, &serial->source, serial->info.alias);
        while (json_array_size(b->serials) <= port)
            json_array_append_new(b->serials, json_null());
        json_array_set_new(b->serials, port, json_string(id));
    }
}

/* --- devices --- */

void vmm_desc_device(json_t *props)
{
    /* Direct kernel boot reads no boot order, and there is no firmware to run an option ROM. */
    static const char *const useless[] = {"bootindex", "romfile", "rombar",
                                          "acpi-index", "ioeventfd", "event_idx", "vectors"};
    const char *bus = json_string_value(json_object_get(props, "bus"));
    const char *driver = json_string_value(json_object_get(props, "driver"));

    for (gsize i = 0; i < G_N_ELEMENTS(useless); i++)
        json_object_del(props, useless[i]);
    if (bus != NULL && strcmp(bus, "pci.0") == 0)
        json_object_set_new(props, "bus", json_string("pcie.0"));
    if (driver != NULL && g_str_has_suffix(driver, "-pci-non-transitional")) {
        g_autofree char *name = g_strndup(driver, strlen(driver) - strlen("-non-transitional"));

        json_object_set_new(props, "driver", json_string(name));
    }
}

static gboolean add_device(VmmBuilder *b, json_t *props /* stolen, may be NULL */)
{
    if (props == NULL)
        return FALSE;
    vmm_desc_device(props);
    json_array_append_new(b->devices, props);
    return TRUE;
}

static gboolean add_plain(VmmBuilder *b, json_t *props /* stolen */, const DeviceInfo *info, GError **error)
{
    if (!device_finish(b->def, props, info, error)) {
        json_decref(props);
        return FALSE;
    }
    return add_device(b, props);
}

/* Of one of the two kinds. */
static void add_ports(VmmBuilder *b, gboolean bridges)
{
    DOMAIN_DEF_FOREACH(ControllerDef, port, b->def, DEVICE_CONTROLLER)
    {
        const PciAddress *pci = &port->info.address.u.pci;
        gboolean bridge = controller_is_pci_model(port, PCI_MODEL_PCIE_TO_PCI_BRIDGE);
        char addr[16];
        json_t *object;

        if (port->type != CONTROLLER_PCI || bridge != bridges ||
            (!bridge && !controller_is_pci_model(port, PCI_MODEL_PCIE_ROOT_PORT)))
            continue;
        g_snprintf(addr, sizeof(addr), "%x.%x", pci->slot, pci->function);
        object = json_pack("{s:s, s:s}", "id", port->info.alias, "addr", addr);
        if (bridge) {
            const ControllerDef *on = find_controller(b->def, CONTROLLER_PCI, pci->bus);

            json_object_set_new(object, "driver", json_string("pcie-pci-bridge"));
            if (on != NULL && on->info.alias != NULL)
                json_object_set_new(object, "bus", json_string(pci->bus == 0 ? "pcie.0" : on->info.alias));
        }
        json_array_append_new(b->ports, object);
    }
}

/* --- disks --- */

typedef struct CacheMode {
    gboolean direct, no_flush;
} CacheMode;

static void set_file_options(json_t *node, const DiskDef *disk)
{
    static const CacheMode modes[DISK_CACHE_LAST] = {
        [DISK_CACHE_NONE] = {TRUE, FALSE},
        [DISK_CACHE_DIRECTSYNC] = {TRUE, FALSE},
        [DISK_CACHE_UNSAFE] = {FALSE, TRUE},
    };

    if (disk->cache != DISK_CACHE_DEFAULT)
        json_object_set_new(node, "cache", json_pack("{s:b, s:b}", "direct", modes[disk->cache].direct,
                                                     "no-flush", modes[disk->cache].no_flush));
    if (disk->io != DISK_IO_DEFAULT)
        json_object_set_new(node, "aio", json_string(disk->io == DISK_IO_IO_URING ? "io_uring"
                                                     : disk->io == DISK_IO_NATIVE ? "native"
                                                                                  : "threads"));
}

static const char *detect_zeroes_text(const DiskDef *disk)
{
    return disk->detect_zeroes == DISK_DETECT_ZEROES_UNMAP && disk->discard != DISK_DISCARD_UNMAP
               ? "on" /* QEMU refuses unmap without discard */
               : disk_detect_zeroes_to_string(disk->detect_zeroes);
}

/* What qemu-storage-daemon serves has its cache mode, and looks for zeroes, there. */
static void add_nbd(VmmBuilder *b, const DiskDef *disk, gboolean daemon)
{
    const StorageSource *source = disk->source;
    g_autofree char *name = qemu_disk_node_name(disk);
    json_t *node = json_pack("{s:s, s:s, s:s, s:b, s:s}", "driver", "nbd", "node-name", name, "export",
                             daemon           ? "disk"
                             : source->path   ? source->path
                                              : "",
                             "read-only", disk->readonly || disk->device == DISK_DEVICE_CDROM, "discard",
                             disk->discard == DISK_DISCARD_UNMAP ? "unmap" : "ignore");

    vmm_desc_set_fd(node, "fd", vmm_desc_fd(b, "nbd:%u", source->index));
    if (daemon) {
        vmm_desc_set_fd(node, "server-fd", vmm_desc_fd(b, "life:%u", source->index));
    } else {
        if (disk->cache != DISK_CACHE_DEFAULT)
            json_object_set_new(node, "cache", json_pack("{s:b}", "no-flush", disk->cache == DISK_CACHE_UNSAFE));
        if (disk->detect_zeroes != DISK_DETECT_ZEROES_DEFAULT)
            json_object_set_new(node, "detect-zeroes", json_string(detect_zeroes_text(disk)));
    }
    json_array_append_new(b->blockdevs, node);
}

/* One image and what is below it, the lowest first: its bytes and its format, as with QEMU. */
static void add_image(VmmBuilder *b, const DiskDef *disk, const StorageSource *source, gboolean top)
{
    gboolean readonly = !top || disk->readonly || disk->device == DISK_DEVICE_CDROM;
    const StorageSource *backing =
        source->backing != NULL && source->backing->type != STORAGE_TYPE_NONE ? source->backing : NULL;
    g_autofree char *format = g_strdup_printf("libvirt-%u-format", source->index);
    g_autofree char *storage = g_strdup_printf("libvirt-%u-storage", source->index);
    json_t *node;

    if (backing != NULL)
        add_image(b, disk, backing, FALSE);
    node = json_pack("{s:s, s:s, s:b, s:s}", "driver", source->type == STORAGE_TYPE_BLOCK ? "host_device" : "file",
                     "node-name", storage, "read-only", readonly, "discard", "unmap");
    vmm_desc_set_fd(node, "fd", vmm_desc_fd(b, "image:%u", source->index));
    set_file_options(node, disk);
    if (disk->shareable && top)
        json_object_set_new(node, "share-write", json_true());
    json_array_append_new(b->blockdevs, node);
    node = json_pack("{s:s, s:s, s:s, s:b}", "driver", source->format == STORAGE_FORMAT_QCOW2 ? "qcow2" : "raw",
                     "node-name", format, "file", storage, "read-only", readonly);
    if (backing != NULL) {
        g_autofree char *below = g_strdup_printf("libvirt-%u-format", backing->index);

        json_object_set_new(node, "backing", json_string(below));
    }
    json_object_set_new(node, "discard",
                        json_string(top && disk->discard == DISK_DISCARD_UNMAP ? "unmap" : "ignore"));
    if (top && disk->detect_zeroes != DISK_DETECT_ZEROES_DEFAULT)
        json_object_set_new(node, "detect-zeroes", json_string(detect_zeroes_text(disk)));
    json_array_append_new(b->blockdevs, node);
}

static void add_medium(VmmBuilder *b, const DiskDef *disk)
{
    StorageWay way = storage_way(disk);

    if (way == STORAGE_DIRECT)
        add_image(b, disk, disk->source, TRUE);
    else
        add_nbd(b, disk, way == STORAGE_DAEMON);
}

static gboolean add_disk(VmmBuilder *b, const DiskDef *disk, GError **error)
{
    json_t *props = qemu_disk_device(b->def, disk, error);

    if (props == NULL)
        return FALSE;
    if (!storage_source_is_empty(disk->source))
        add_medium(b, disk);
    return add_device(b, props);
}

/* --- interfaces --- */

static json_t *fd_list(const int *fds, guint n)
{
    json_t *list = json_array();

    for (guint i = 0; i < n; i++)
        json_array_append_new(list, json_integer(fds[i]));
    return list;
}

static gboolean add_interface(VmmBuilder *b, const InterfaceDef *net, const QemuNetFds *fds, GError **error)
{
    g_autofree char *id = g_strconcat("host", net->info.alias, NULL);
    json_t *props, *netdev;

    if (fds == NULL || (fds->n_tap == 0 && fds->stream < 0))
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "interface '%s' has no descriptors", net->mac);
    props = qemu_interface_device(b->def, net, error);
    if (props == NULL)
        return FALSE;
    if (fds->n_tap > 0) {
        netdev = json_pack("{s:s, s:s, s:o}", "type", "tap", "id", id, "fds", fd_list(fds->tap, fds->n_tap));
        if (fds->n_vhost > 0)
            json_object_set_new(netdev, "vhostfds", fd_list(fds->vhost, fds->n_vhost));
    } else {
        netdev = json_pack("{s:s, s:s, s:i}", "type", "stream", "id", id, "fd", fds->stream);
    }
    json_array_append_new(b->netdevs, netdev);
    json_object_del(props, "tx");
    return add_device(b, props);
}

/* --- the rest --- */

static gboolean add_controllers(VmmBuilder *b, GError **error)
{
    DOMAIN_DEF_FOREACH(ControllerDef, controller, b->def, DEVICE_CONTROLLER)
    {
        json_t *props;

        if (controller->type != CONTROLLER_SCSI && controller->type != CONTROLLER_VIRTIO_SERIAL)
            continue;
        props = qemu_controller_device(b->def, controller, error);
        if (props == NULL || !add_device(b, props))
            return FALSE;
    }
    return TRUE;
}

static gboolean add_ports_of_console(VmmBuilder *b, const ChrDef *chr, const char *driver, GError **error)
{
    g_autofree char *chardev = g_strconcat("char", chr->info.alias, NULL);
    json_t *props = json_pack("{s:s, s:s}", "driver", driver, "chardev", chardev);

    if (chr->info.kind == DEVICE_CHANNEL && chr->name != NULL)
        json_object_set_new(props, "name", json_string(chr->name));
    add_chardev(b, &chr->source, chr->info.alias);
    if (chr->info.address.type != ADDRESS_VIRTIO_SERIAL) { /* any port of the first controller */
        const ControllerDef *controller = find_controller(b->def, CONTROLLER_VIRTIO_SERIAL, 0);
        g_autofree char *bus = g_strdup_printf("%s.0", controller ? controller->info.alias : "virtio-serial0");

        json_object_set_new(props, "bus", json_string(bus));
    }
    return add_plain(b, props, &chr->info, error);
}

static gboolean add_chrs(VmmBuilder *b, GError **error)
{
    add_serials(b);
    DOMAIN_DEF_FOREACH(ChrDef, channel, b->def, DEVICE_CHANNEL)
    {
        if (!add_ports_of_console(b, channel, "virtserialport", error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(ChrDef, console, b->def, DEVICE_CONSOLE)
    {
        if (!chr_is_serial_console(console) && !add_ports_of_console(b, console, "virtconsole", error))
            return FALSE;
    }
    return TRUE;
}

static gboolean add_rng(VmmBuilder *b, const RngDef *rng, GError **error)
{
    json_t *props = json_pack("{s:s}", "driver", "virtio-rng-pci");

    if (rng->rate != 0) {
        prop_uint(props, "max-bytes", rng->rate);
        prop_uint(props, "period", rng->period ? rng->period : 1000);
    }
    return add_plain(b, props, &rng->info, error);
}

static gboolean add_vsock(VmmBuilder *b, const VsockDef *vsock, GError **error)
{
    json_t *props = json_pack("{s:s, s:I}", "driver", "vhost-vsock-pci", "guest-cid", (json_int_t)vsock->cid);

    vmm_desc_set_fd(props, "vhostfd", vmm_desc_fd(b, "vsock:%s", vsock->info.alias));
    return add_plain(b, props, &vsock->info, error);
}

static gboolean add_memory(VmmBuilder *b, const MemoryDef *memory, GError **error)
{
    g_autofree char *memdev = g_strconcat("mem", memory->info.alias, NULL);
    json_t *props = json_pack("{s:s, s:s, s:I, s:I}", "driver", "virtio-mem-pci", "memdev", memdev, "size",
                              (json_int_t)memory->size * 1024, "requested-size", (json_int_t)memory->requested * 1024);

    prop_uint(props, "block-size", memory->block * 1024);
    if (memory->node > 0)
        prop_uint(props, "node", (guint64)memory->node);
    return add_plain(b, props, &memory->info, error);
}

static gboolean add_watchdog(VmmBuilder *b, const WatchdogDef *watchdog, GError **error)
{
    return add_plain(b, json_pack("{s:s}", "driver", "i6300esb"), &watchdog->info, error);
}

static gboolean add_small(VmmBuilder *b, GError **error)
{
    DOMAIN_DEF_FOREACH(MemballoonDef, balloon, b->def, DEVICE_MEMBALLOON)
    {
        json_t *props;

        if (balloon->model == MEMBALLOON_NONE)
            continue;
        props = json_pack("{s:s}", "driver", "virtio-balloon-pci");
        prop_bool(props, "deflate-on-oom", balloon->autodeflate);
        prop_bool(props, "free-page-reporting", balloon->free_page_reporting);
        if (!add_plain(b, props, &balloon->info, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(RngDef, rng, b->def, DEVICE_RNG)
    {
        if (!add_rng(b, rng, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(WatchdogDef, watchdog, b->def, DEVICE_WATCHDOG)
    {
        if (!add_watchdog(b, watchdog, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(VsockDef, vsock, b->def, DEVICE_VSOCK)
    {
        if (!add_vsock(b, vsock, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(MemoryDef, memory, b->def, DEVICE_MEMORY)
    {
        if (!add_memory(b, memory, error))
            return FALSE;
    }
    return TRUE;
}

gboolean vmm_desc_add_devices(VmmBuilder *b, GError **error)
{
    guint i = 0;

    add_ports(b, FALSE);
    add_ports(b, TRUE); /* they stand on the others */
    if (!add_controllers(b, error))
        return FALSE;
    DOMAIN_DEF_FOREACH(DiskDef, disk, b->def, DEVICE_DISK)
    {
        if (!add_disk(b, disk, error))
            return FALSE;
    }
    if (!add_chrs(b, error))
        return FALSE;
    DOMAIN_DEF_FOREACH(InterfaceDef, net, b->def, DEVICE_INTERFACE)
    {
        const QemuNetFds *fds = b->context->nets ? &b->context->nets[i] : NULL;

        i++;
        if (!add_interface(b, net, fds, error))
            return FALSE;
    }
    return add_small(b, error);
}

/* --- one device --- */

static gboolean add_one(VmmBuilder *b, const DeviceInfo *dev, GError **error)
{
    switch (dev->kind) {
    case DEVICE_DISK:
        return add_disk(b, (const DiskDef *)dev, error);
    case DEVICE_INTERFACE:
        return add_interface(b, (const InterfaceDef *)dev, b->context->nets, error);
    case DEVICE_CHANNEL:
        return add_ports_of_console(b, (const ChrDef *)dev, "virtserialport", error);
    case DEVICE_CONSOLE:
        return add_ports_of_console(b, (const ChrDef *)dev, "virtconsole", error);
    case DEVICE_RNG:
        return add_rng(b, (const RngDef *)dev, error);
    case DEVICE_VSOCK:
        return add_vsock(b, (const VsockDef *)dev, error);
    case DEVICE_MEMORY:
        return add_memory(b, (const MemoryDef *)dev, error);
    case DEVICE_CONTROLLER: {
        json_t *props = qemu_controller_device(b->def, (const ControllerDef *)dev, error);

        return props != NULL && add_device(b, props);
    }
    default:
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "live attach of device '%s' is not supported",
                         device_kind_to_string(dev->kind));
    }
}

json_t *vmm_desc_build_device(const DomainDef *live, const DeviceInfo *dev, const VmmDescContext *context,
                              GError **error)
{
    VmmBuilder builder = VMM_BUILDER_NEW(live, context);
    VmmBuilder *b = &builder;
    gboolean ok = add_one(b, dev, error);
    json_t *parts = json_object();

    json_decref(b->serials);
    json_decref(b->ports);
    vmm_desc_set_list(parts, "chardevs", b->chardevs);
    vmm_desc_set_list(parts, "blockdevs", b->blockdevs);
    vmm_desc_set_list(parts, "netdevs", b->netdevs);
    vmm_desc_set_list(parts, "devices", b->devices);
    if (!ok)
        g_clear_pointer(&parts, json_decref);
    return parts;
}

json_t *vmm_desc_build_medium(const DiskDef *disk, const VmmDescContext *context)
{
    VmmBuilder builder = {.context = context, .blockdevs = json_array()};

    if (!storage_source_is_empty(disk->source))
        add_medium(&builder, disk);
    return builder.blockdevs;
}
