/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Definition -> machine description: see vmm_desc.h. */
#include "driver/backend/vmm_desc.h"

#include <string.h>
#include <time.h>

#include "driver/backend/qemu_args_priv.h"
#include "driver/conf/def_memballoon.h"
#include "driver/conf/def_panic.h"
#include "driver/conf/def_rng.h"
#include "driver/host/vmm_caps.h"

typedef struct Builder {
    const DomainDef *def;
    const VmmDescContext *context;
    json_t *chardevs, *serials, *blockdevs, *netdevs, *ports, *devices;
} Builder;

static int fd_for(const Builder *b, const char *format, ...) G_GNUC_PRINTF(2, 3);

static int fd_for(const Builder *b, const char *format, ...)
{
    g_autofree char *purpose = NULL;
    va_list ap;

    va_start(ap, format);
    purpose = g_strdup_vprintf(format, ap);
    va_end(ap);
    return b->context->fd(b->context->opaque, purpose);
}

static void set_fd(json_t *object, const char *key, int fd)
{
    if (fd >= 0)
        json_object_set_new(object, key, json_integer(fd));
}

/* --- the machine --- */

static json_t *make_memory(const DomainDef *def)
{
    const MemoryTune *tune = &def->memtune;
    json_t *memory = json_pack("{s:I}", "size", (json_int_t)(domain_def_memory_initial(def) * 1024));
    gboolean shared = tune->access == MEMORY_ACCESS_SHARED;

    for (guint i = 0; i < numa_def_n_cells(&def->numa); i++)
        shared |= numa_def_cell(&def->numa, i)->access == MEMORY_ACCESS_SHARED;
    if (shared)
        json_object_set_new(memory, "shared", json_true());
    if (tune->hugepages_given) {
        const HugePage *page =
            tune->hugepages != NULL && tune->hugepages->len > 0 ? &g_array_index(tune->hugepages, HugePage, 0)
                                                                : NULL;

        if (page == NULL || page->size_kib != 4) {
            json_object_set_new(memory, "hugepages", json_true());
            prop_uint(memory, "hugepage-size", page ? page->size_kib * 1024 : 0);
        }
    }
    if (tune->allocation == MEMORY_ALLOCATION_IMMEDIATE || json_object_get(memory, "hugepages") != NULL)
        json_object_set_new(memory, "prealloc", json_true());
    json_object_set_new(memory, "mergeable", json_boolean(!tune->nosharepages));
    if (def->dump_core == TRISTATE_YES)
        json_object_set_new(memory, "dump-guest-core", json_true());
    return memory;
}

static void add_feature(json_t *features, char sign, const char *name)
{
    g_autofree char *text = g_strdup_printf("%c%s", sign, name);

    json_array_append_new(features, json_string(text));
}

static json_t *make_cpus(const DomainDef *def)
{
    const CpuDef *cpu = def->cpu;
    guint max = domain_def_vcpus_max(def);
    json_t *cpus = json_pack("{s:i}", "count", (int)domain_def_vcpus(def));
    json_t *features = json_array();
    const char *model = "qemu64";

    if (max > domain_def_vcpus(def))
        json_object_set_new(cpus, "max", json_integer(max));
    if (cpu != NULL && cpu->mode == CPU_MODE_MAXIMUM)
        model = "max";
    else if (cpu != NULL && (cpu->mode == CPU_MODE_HOST_PASSTHROUGH ||
                             (cpu->mode == CPU_MODE_HOST_MODEL && cpu->model == NULL)))
        model = "host";
    else if (cpu != NULL && cpu->model != NULL)
        model = cpu->model;
    json_object_set_new(cpus, "model", json_string(model));
    /* libvirt's check='none': whatever of the model the host lacks is left out. */
    if (cpu == NULL || cpu->check == CPU_CHECK_NONE || cpu->check == CPU_CHECK_DEFAULT)
        json_object_set_new(cpus, "enforce", json_false());
    if (cpu != NULL && cpu->sockets != 0) {
        json_object_set_new(cpus, "sockets", json_integer(cpu->sockets));
        json_object_set_new(cpus, "dies", json_integer(MAX(cpu->dies, 1)));
        json_object_set_new(cpus, "cores", json_integer(MAX(cpu->cores, 1)));
        json_object_set_new(cpus, "threads", json_integer(MAX(cpu->threads, 1)));
    } else {
        json_object_set_new(cpus, "sockets", json_integer(max)); /* libvirt's rule: a socket a vCPU */
    }
    for (guint i = 0; cpu != NULL && cpu->features != NULL && i < cpu->features->len; i++) {
        const CpuFeature *feature = &g_array_index(cpu->features, CpuFeature, i);
        gboolean off = feature->policy == CPU_FEATURE_DISABLE || feature->policy == CPU_FEATURE_FORBID;

        if (feature->policy != CPU_FEATURE_OPTIONAL)
            add_feature(features, off ? '-' : '+', feature->name);
    }
    if (json_array_size(features) > 0)
        json_object_set(cpus, "features", features);
    json_decref(features);
    if (def->features.kvm[KVM_HIDDEN] == TRISTATE_YES)
        json_object_set_new(cpus, "hide-hypervisor", json_true());
    return cpus;
}

static json_t *make_numa(const DomainDef *def)
{
    guint n = numa_def_n_cells(&def->numa);
    json_t *list = json_array();

    for (guint i = 0; i < n; i++) {
        const NumaCell *cell = numa_def_cell(&def->numa, i);
        json_t *object = json_pack("{s:I}", "memory", (json_int_t)(cell->memory_kib * 1024));
        json_t *cpus = json_array();

        if (cell->cpus != NULL) {
            BITMAP_FOREACH(bit, cell->cpus)
            {
                json_array_append_new(cpus, json_integer(bit));
            }
        }
        json_object_set_new(object, "cpus", cpus);
        if (cell->distances != NULL) {
            json_t *distances = json_array();

            for (guint k = 0; k < n; k++)
                json_array_append_new(distances, json_integer(cell->distances[k] ? cell->distances[k]
                                                              : k == i          ? 10
                                                                                : 20));
            json_object_set_new(object, "distances", distances);
        }
        json_array_append_new(list, object);
    }
    return list;
}

/* Seconds that the guest's clock is ahead of UTC. */
static gint64 rtc_offset(const Builder *b)
{
    const ClockDef *clock = &b->def->clock;
    g_autoptr(GTimeZone) zone = NULL;
    gint64 offset = 0;

    if (clock->offset == CLOCK_TIMEZONE)
        zone = g_time_zone_new_identifier(clock->timezone);
    else if (clock->offset == CLOCK_LOCALTIME || (clock->offset == CLOCK_VARIABLE && clock->basis_localtime))
        zone = g_time_zone_new_local();
    if (zone != NULL)
        offset = g_time_zone_get_offset(zone, g_time_zone_find_interval(zone, G_TIME_TYPE_UNIVERSAL, b->context->now));
    if (clock->offset == CLOCK_VARIABLE)
        offset += clock->adjustment;
    else if (clock->offset == CLOCK_ABSOLUTE)
        offset = (gint64)clock->start - b->context->now;
    return offset;
}

/* --- character devices --- */

static void add_chardev(Builder *b, const ChrSource *source, const char *alias)
{
    static const char *const backends[CHR_TYPE_LAST] = {[CHR_TYPE_NULL] = "null",
                                                        [CHR_TYPE_PTY] = "pty",
                                                        [CHR_TYPE_FILE] = "file",
                                                        [CHR_TYPE_TCP] = "socket",
                                                        [CHR_TYPE_UNIX] = "socket"};
    g_autofree char *id = g_strconcat("char", alias, NULL);
    const char *backend = backends[source->type];
    json_t *object = json_pack("{s:s, s:s}", "id", id, "backend", backend ? backend : "null");

    set_fd(object, "fd", fd_for(b, "chr:%s", alias));
    if (backend != NULL && strcmp(backend, "socket") == 0)
        json_object_set_new(object, "server", json_boolean(source->mode == CHR_MODE_BIND));
    if (source->log_file != NULL)
        set_fd(object, "logfd", fd_for(b, "log:%s", alias));
    json_array_append_new(b->chardevs, object);
}

static void add_serials(Builder *b)
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

static gboolean add_device(Builder *b, json_t *props /* stolen, may be NULL */)
{
    if (props == NULL)
        return FALSE;
    vmm_desc_device(props);
    json_array_append_new(b->devices, props);
    return TRUE;
}

static gboolean add_plain(Builder *b, json_t *props /* stolen */, const DeviceInfo *info, GError **error)
{
    if (!device_finish(b->def, props, info, error)) {
        json_decref(props);
        return FALSE;
    }
    return add_device(b, props);
}

static void add_ports(Builder *b)
{
    DOMAIN_DEF_FOREACH(ControllerDef, port, b->def, DEVICE_CONTROLLER)
    {
        const PciAddress *pci = &port->info.address.u.pci;
        char addr[16];

        if (port->type != CONTROLLER_PCI || !controller_is_pci_model(port, PCI_MODEL_PCIE_ROOT_PORT))
            continue;
        g_snprintf(addr, sizeof(addr), "%x.%x", pci->slot, pci->function);
        json_array_append_new(b->ports, json_pack("{s:s, s:s}", "id", port->info.alias, "addr", addr));
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

/* One image and what is below it, the lowest first: its bytes and its format, as with QEMU. */
static void add_image(Builder *b, const DiskDef *disk, const StorageSource *source, gboolean top)
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
    set_fd(node, "fd", fd_for(b, "image:%u", source->index));
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
        json_object_set_new(node, "detect-zeroes",
                            json_string(disk->detect_zeroes == DISK_DETECT_ZEROES_UNMAP &&
                                                disk->discard != DISK_DISCARD_UNMAP
                                            ? "on"
                                            : disk_detect_zeroes_to_string(disk->detect_zeroes)));
    json_array_append_new(b->blockdevs, node);
}

static gboolean add_disk(Builder *b, const DiskDef *disk, GError **error)
{
    json_t *props = qemu_disk_device(b->def, disk, error);

    if (props == NULL)
        return FALSE;
    if (!storage_source_is_empty(disk->source))
        add_image(b, disk, disk->source, TRUE);
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

static gboolean add_interface(Builder *b, const InterfaceDef *net, const QemuNetFds *fds, GError **error)
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

static gboolean add_controllers(Builder *b, GError **error)
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

static gboolean add_ports_of_console(Builder *b, const ChrDef *chr, const char *driver, GError **error)
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

static gboolean add_chrs(Builder *b, GError **error)
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

static gboolean add_rng(Builder *b, const RngDef *rng, GError **error)
{
    json_t *props = json_pack("{s:s}", "driver", "virtio-rng-pci");

    if (rng->rate != 0) {
        prop_uint(props, "max-bytes", rng->rate);
        prop_uint(props, "period", rng->period ? rng->period : 1000);
    }
    return add_plain(b, props, &rng->info, error);
}

static gboolean add_small(Builder *b, GError **error)
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
    return TRUE;
}

static gboolean add_all(Builder *b, GError **error)
{
    guint i = 0;

    add_ports(b);
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

/* --- all --- */

static json_t *make_boot(const Builder *b)
{
    const OsDef *os = &b->def->os;
    json_t *boot = json_object();

    set_fd(boot, "kernel-fd", fd_for(b, "kernel"));
    if (os->initrd != NULL)
        set_fd(boot, "initrd-fd", fd_for(b, "initrd"));
    if (os->cmdline != NULL)
        json_object_set_new(boot, "cmdline", json_string(os->cmdline));
    return boot;
}

static json_t *make_sandbox(const VmmDescContext *context)
{
    json_t *sandbox = json_pack("{s:b, s:b}", "seccomp", context->sandbox, "chroot", context->sandbox);

    if (context->uid >= 0)
        json_object_set_new(sandbox, "uid", json_integer(context->uid));
    if (context->gid >= 0)
        json_object_set_new(sandbox, "gid", json_integer(context->gid));
    return sandbox;
}

static void set_list(json_t *root, const char *key, json_t *list /* stolen */)
{
    if (json_array_size(list) > 0)
        json_object_set(root, key, list);
    json_decref(list);
}

json_t *vmm_desc_build(const DomainDef *def, const VmmDescContext *context, GError **error)
{
    Builder builder = {
        .def = def,
        .context = context,
        .chardevs = json_array(),
        .serials = json_array(),
        .blockdevs = json_array(),
        .netdevs = json_array(),
        .ports = json_array(),
        .devices = json_array(),
    };
    Builder *b = &builder;
    g_autofree char *reason = NULL;
    char uuid[UUID_TEXT_SIZE];
    json_t *root = json_object(), *iothreads = json_array();
    gboolean ok;

    ok = vmm_desc_supported(def, &reason) || args_unsupported(error, "%s", reason);
    ok = ok && add_all(b, error);
    uuid_format(def->uuid, uuid);
    json_object_set_new(root, "name", json_string(def->name));
    json_object_set_new(root, "uuid", json_string(uuid));
    set_fd(root, "kvm-fd", fd_for(b, "kvm"));
    set_fd(root, "stats-fd", fd_for(b, "stats"));
    json_object_set_new(root, "paused", json_true());
    if (def->features.ioapic == IOAPIC_QEMU)
        json_object_set_new(root, "split-irqchip", json_true());
    json_object_set_new(root, "pvpanic", json_boolean(domain_def_n(def, DEVICE_PANIC) > 0));
    /* What follows a shutdown or a crash is the daemon's decision; a reboot only where it ends the run. */
    json_object_set_new(root, "on-poweroff", json_string("pause"));
    json_object_set_new(root, "on-reboot", json_string(def->on_reboot == ACTION_DESTROY ? "pause" : "reset"));
    json_object_set_new(root, "on-panic", json_string("pause"));
    json_object_set_new(root, "memory", make_memory(def));
    json_object_set_new(root, "cpus", make_cpus(def));
    set_list(root, "numa", make_numa(def));
    json_object_set_new(root, "boot", make_boot(b));
    json_object_set_new(root, "rtc", json_pack("{s:I}", "offset", (json_int_t)rtc_offset(b)));
    for (guint i = 0; i < def->iothreads->len; i++) {
        const IothreadDef *thread = g_ptr_array_index(def->iothreads, i);
        g_autofree char *id = g_strdup_printf("iothread%u", thread->id);

        json_array_append_new(iothreads, json_string(id));
    }
    set_list(root, "iothreads", iothreads);
    set_list(root, "chardevs", b->chardevs);
    set_list(root, "serials", b->serials);
    set_list(root, "blockdevs", b->blockdevs);
    set_list(root, "netdevs", b->netdevs);
    set_list(root, "ports", b->ports);
    set_list(root, "devices", b->devices);
    json_object_set_new(root, "sandbox", make_sandbox(context));
    if (!ok)
        g_clear_pointer(&root, json_decref);
    return root;
}

/* --- one device --- */

static gboolean add_one(Builder *b, const DeviceInfo *dev, GError **error)
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
    Builder builder = {
        .def = live,
        .context = context,
        .chardevs = json_array(),
        .serials = json_array(),
        .blockdevs = json_array(),
        .netdevs = json_array(),
        .ports = json_array(),
        .devices = json_array(),
    };
    Builder *b = &builder;
    gboolean ok = add_one(b, dev, error);
    json_t *parts = json_object();

    json_decref(b->serials);
    json_decref(b->ports);
    set_list(parts, "chardevs", b->chardevs);
    set_list(parts, "blockdevs", b->blockdevs);
    set_list(parts, "netdevs", b->netdevs);
    set_list(parts, "devices", b->devices);
    if (!ok)
        g_clear_pointer(&parts, json_decref);
    return parts;
}
