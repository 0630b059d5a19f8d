/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be changed in a device of a running domain: media, display passwords, links and bridges, the size of
 * virtio memory. Everything else is refused by the name of the setting, in libvirt's words. */
#include <string.h>

#include "driver/backend/backend.h"
#include "driver/backend/monitor.h"
#include "driver/backend/tap.h"
#include "driver/conf/def_graphics.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/def_memory.h"
#include "driver/domain/devices.h"
#include "driver/domain/placement.h"
#include "driver/driver.h"

enum { TRAY_WAIT_SECONDS = 5 };

/* --- disks ---------------------------------------------------------------------------------------------- */

/* The guest has locked the tray and was asked to open it. TRUE when it did. */
static gboolean wait_for_tray(Domain *dom, VmProcess *vm, const DiskDef *disk)
{
    gint64 deadline = g_get_monotonic_time() + TRAY_WAIT_SECONDS * G_USEC_PER_SEC;
    LOCK_SCOPE(&dom->lock);

    while (dom->vm == vm && !dom->stopping && disk->tray != DISK_TRAY_OPEN) {
        if (!lock_wait(&dom->lock, &dom->stopped, deadline))
            break;
    }
    return dom->vm == vm && !dom->stopping && disk->tray == DISK_TRAY_OPEN;
}

static gboolean is_locked(VmProcess *vm, const DiskDef *disk)
{
    g_autoptr(GPtrArray) drives = NULL;

    if (!vm_query_drives(vm_process_qmp(vm), &drives, NULL))
        return FALSE;
    for (guint i = 0; i < drives->len; i++) {
        const VmDrive *drive = drives->pdata[i];

        if (vm_qdev_matches(drive->qdev, disk->info.alias))
            return drive->locked;
    }
    return FALSE;
}

gboolean device_change_media(Domain *dom, DiskDef *disk, DiskDef *wanted, gboolean force, GError **error)
{
    guint64 run;
    g_autoptr(VmProcess) vm = domain_vm(dom, &run, error);
    const BackendOps *ops = vm != NULL ? vm_process_backend(vm) : NULL;
    const BackendConfig *config = dom->driver->backend_config;
    g_autoptr(GError) cause = NULL;
    gboolean done;

    if (vm == NULL)
        return FALSE;
    if (ops->change_media == NULL)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "media cannot be changed with %s", ops->name);
    if (disk->mirror != NULL)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                         "can't change media while a block job is running on the device");
    if (!placement_allow_devices(dom, domain_job_live(dom), DEVICE_DISK, &wanted->info, error))
        return FALSE;
    done = ops->change_media(config, vm, domain_job_live(dom), disk, wanted->source, force, &cause);
    if (!done && !force && is_locked(vm, disk)) {
        if (!wait_for_tray(dom, vm, disk))
            return error_set(error, VIR_ERR_OPERATION_FAILED, "timed out waiting for disk tray status update");
        g_clear_error(&cause);
        done = ops->change_media(config, vm, domain_job_live(dom), disk, wanted->source, force, &cause);
    }
    if (!done) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    if (!domain_still_running(dom, run, error))
        return FALSE;
    placement_add_servers(dom, vm_process_run_dir(vm));
    lock_acquire(&dom->lock);
    storage_source_free(disk->source);
    disk->source = g_steal_pointer(&wanted->source);
    wanted->source = storage_source_new(STORAGE_TYPE_FILE);
    dom->updated = TRUE;
    lock_release(&dom->lock);
    placement_allow_devices(dom, domain_job_live(dom), DEVICE_DISK, NULL, NULL);
    return TRUE;
}

static gboolean refuse_disk(const char *field, GError **error)
{
    return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "cannot modify field '%s' of the disk", field);
}

/* Numbers: 0 in the new XML means "as it is", unless always. */
static gboolean check_disk(const DiskDef *new, const DiskDef *old, GError **error)
{
    const struct {
        const char *field;
        guint64 new_value, old_value;
        gboolean always;
    } numbers[] = {
        {"device", new->device, old->device, TRUE},
        {"bus", new->bus, old->bus, TRUE},
        {"tray", new->tray, old->tray, FALSE},
        {"removable", new->removable, old->removable, FALSE},
        {"blockio logical_block_size", new->logical_block_size, old->logical_block_size, TRUE},
        {"blockio physical_block_size", new->physical_block_size, old->physical_block_size, TRUE},
        {"blkdeviotune total_bytes_sec", new->iotune.total_bytes_sec, old->iotune.total_bytes_sec, FALSE},
        {"blkdeviotune read_bytes_sec", new->iotune.read_bytes_sec, old->iotune.read_bytes_sec, FALSE},
        {"blkdeviotune write_bytes_sec", new->iotune.write_bytes_sec, old->iotune.write_bytes_sec, FALSE},
        {"blkdeviotune total_iops_sec", new->iotune.total_iops_sec, old->iotune.total_iops_sec, FALSE},
        {"blkdeviotune read_iops_sec", new->iotune.read_iops_sec, old->iotune.read_iops_sec, FALSE},
        {"blkdeviotune write_iops_sec", new->iotune.write_iops_sec, old->iotune.write_iops_sec, FALSE},
        {"blkdeviotune total_bytes_sec_max", new->iotune.total_bytes_sec_max, old->iotune.total_bytes_sec_max, FALSE},
        {"blkdeviotune read_bytes_sec_max", new->iotune.read_bytes_sec_max, old->iotune.read_bytes_sec_max, FALSE},
        {"blkdeviotune write_bytes_sec_max", new->iotune.write_bytes_sec_max, old->iotune.write_bytes_sec_max, FALSE},
        {"blkdeviotune total_iops_sec_max", new->iotune.total_iops_sec_max, old->iotune.total_iops_sec_max, FALSE},
        {"blkdeviotune read_iops_sec_max", new->iotune.read_iops_sec_max, old->iotune.read_iops_sec_max, FALSE},
        {"blkdeviotune write_iops_sec_max", new->iotune.write_iops_sec_max, old->iotune.write_iops_sec_max, FALSE},
        {"blkdeviotune size_iops_sec", new->iotune.size_iops_sec, old->iotune.size_iops_sec, FALSE},
        {"cache", new->cache, old->cache, FALSE},
        {"error_policy", new->error_policy, old->error_policy, FALSE},
        {"rerror_policy", new->rerror_policy, old->rerror_policy, FALSE},
        {"io", new->io, old->io, FALSE},
        {"ioeventfd", new->ioeventfd, old->ioeventfd, FALSE},
        {"event_idx", new->event_idx, old->event_idx, FALSE},
        {"copy_on_read", new->copy_on_read, old->copy_on_read, FALSE},
        {"transient", new->transient, old->transient, FALSE},
        {"boot order", new->info.boot_index, old->info.boot_index, FALSE},
        {"rawio", new->rawio, old->rawio, FALSE},
        {"sgio", new->sgio, old->sgio, FALSE},
        {"discard", new->discard, old->discard, FALSE},
        {"iothread", new->iothread, old->iothread, FALSE},
        {"readonly", new->readonly, old->readonly, FALSE},
        {"shared", new->shareable, old->shareable, FALSE},
    };
    const struct {
        const char *field, *new_value, *old_value;
    } texts[] = {
        {"blkdeviotune group name", new->iotune.group_name, old->iotune.group_name},
        {"serial", new->serial, old->serial},
        {"wwn", new->wwn, old->wwn},
        {"vendor", new->vendor, old->vendor},
        {"product", new->product, old->product},
        {"backenddomain", new->backend_domain, old->backend_domain},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++) {
        if ((numbers[i].always || numbers[i].new_value != 0) && numbers[i].new_value != numbers[i].old_value)
            return refuse_disk(numbers[i].field, error);
    }
    if (new->iothreads != NULL && !disk_iothreads_equal(new->iothreads, old->iothreads))
        return refuse_disk("iothreads", error);
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (texts[i].new_value != NULL && g_strcmp0(texts[i].new_value, texts[i].old_value) != 0)
            return refuse_disk(texts[i].field, error);
    }
    if (new->info.address.type != ADDRESS_NONE &&
        !(new->info.address.type == ADDRESS_PCI && !new->info.address.u.pci.given) &&
        !device_address_equal(&new->info.address, &old->info.address))
        return refuse_disk("address", error);
    return TRUE;
}

static gboolean update_disk(Domain *dom, DiskDef *wanted, gboolean force, GError **error)
{
    DiskDef *disk = (DiskDef *)domain_def_find_disk(domain_job_live(dom), wanted->target);

    if (disk == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "disk '%s' not found", wanted->target);
    if (!device_compatible(domain_job_live(dom), &wanted->info, &disk->info, TRUE, error) ||
        !check_disk(wanted, disk, error))
        return FALSE;
    if (!storage_source_same(disk->source, wanted->source)) {
        if (!disk_is_removable_media(disk))
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "disk source can be changed only in removable drives");
        if (!device_change_media(dom, disk, wanted, force, error))
            return FALSE;
    }
    lock_acquire(&dom->lock);
    disk->startup_policy = wanted->startup_policy;
    disk->snapshot = wanted->snapshot;
    lock_release(&dom->lock);
    return TRUE;
}

/* --- displays ------------------------------------------------------------------------------------------- */

static gboolean refuse_graphics(const char *what, const GraphicsDef *graphics, GError **error)
{
    return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "cannot change %s on %s graphics", what,
                     graphics_type_to_string(graphics->type));
}

static gboolean check_listens(const GraphicsDef *new, const GraphicsDef *old, GError **error)
{
    const char *type = graphics_type_to_string(new->type);

    if (new->listens->len != old->listens->len)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                         "cannot change the number of listen addresses on '%s' graphics", type);
    for (guint i = 0; i < new->listens->len; i++) {
        const GraphicsListen *a = new->listens->pdata[i], *b = old->listens->pdata[i];

        if (a->type != b->type)
            return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                             "cannot change the type of listen address on '%s' graphics", type);
        if ((a->type == LISTEN_ADDRESS && a->address != NULL && g_strcmp0(a->address, b->address) != 0) ||
            (a->type == LISTEN_NETWORK && g_strcmp0(a->network, b->network) != 0))
            return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                             "cannot change listen address setting on '%s' graphics", type);
        if (a->type == LISTEN_SOCKET && a->socket != NULL && g_strcmp0(a->socket, b->socket) != 0)
            return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                             "cannot change listen socket setting on '%s' graphics", type);
    }
    return TRUE;
}

static gboolean set_password(Domain *dom, VmProcess *vm, const GraphicsDef *new, GError **error)
{
    static const char *const connected[AUTH_CONNECTED_LAST] = {[AUTH_CONNECTED_FAIL] = "fail",
                                                               [AUTH_CONNECTED_DISCONNECT] = "disconnect",
                                                               [AUTH_CONNECTED_KEEP] = "keep"};
    QmpClient *qmp = vm_process_qmp(vm);
    gboolean vnc = new->type == GRAPHICS_VNC;
    const char *protocol = vnc ? "vnc" : "spice";
    const char *password = new->passwd;
    g_autofree char *when = NULL;

    if (password == NULL && vnc)
        password = dom->driver->backend_config->vnc_password;
    if (password == NULL)
        return TRUE;
    if (!vm_set_password(qmp, protocol, password, connected[new->connected], error))
        return FALSE;
    if (password[0] == '\0' ||
        (new->has_passwd_valid_to && new->passwd_valid_to <= g_get_real_time() / G_USEC_PER_SEC))
        when = g_strdup("now");
    else if (new->has_passwd_valid_to)
        when = g_strdup_printf("%" G_GINT64_FORMAT, new->passwd_valid_to);
    return vm_expire_password(qmp, protocol, when != NULL ? when : "never", error);
}

static gboolean update_graphics(Domain *dom, GraphicsDef *new, GError **error)
{
    GraphicsDef *old = (GraphicsDef *)domain_def_find_device(domain_job_live(dom), &new->info, NULL);
    const char *type = graphics_type_to_string(new->type);
    guint64 run;
    g_autoptr(VmProcess) vm = NULL;

    if (old == NULL)
        return error_set(error, VIR_ERR_DEVICE_MISSING,
                         "cannot find existing graphics device to modify of type '%s'", type);
    if (!check_listens(new, old, error))
        return FALSE;
    if (new->type != GRAPHICS_VNC && new->type != GRAPHICS_SPICE)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "unable to change config on '%s' graphics type", type);
    if (old->autoport != new->autoport ||
        (!new->autoport && (old->port != new->port || old->tls_port != new->tls_port)))
        return refuse_graphics("port settings", new, error);
    if (g_strcmp0(old->keymap, new->keymap) != 0)
        return refuse_graphics("keymap setting", new, error);
    if (!old->has_passwd_valid_to && !new->has_passwd_valid_to && old->connected == new->connected &&
        new->connected != AUTH_CONNECTED_DISCONNECT && g_strcmp0(old->passwd, new->passwd) == 0)
        return TRUE;
    vm = domain_vm(dom, &run, error);
    if (vm == NULL || !set_password(dom, vm, new, error) || !domain_still_running(dom, run, error))
        return FALSE;
    lock_acquire(&dom->lock);
    if (old->passwd != NULL)
        explicit_bzero(old->passwd, strlen(old->passwd));
    g_free(old->passwd);
    old->passwd = g_steal_pointer(&new->passwd);
    old->has_passwd_valid_to = new->has_passwd_valid_to;
    old->passwd_valid_to = new->passwd_valid_to;
    old->connected = new->connected;
    lock_release(&dom->lock);
    return TRUE;
}

/* --- interfaces ----------------------------------------------------------------------------------------- */

static gboolean refuse_net(const char *what, GError **error)
{
    return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "cannot modify %s", what);
}

/* What the new XML leaves out stays as it is. */
static void inherit(InterfaceDef *new, const InterfaceDef *old)
{
    if (new->target == NULL)
        new->target = g_strdup(old->target);
    if (new->info.address.type == ADDRESS_NONE ||
        (new->info.address.type == ADDRESS_PCI && !new->info.address.u.pci.given))
        new->info.address = old->info.address;
    if (new->info.alias == NULL)
        new->info.alias = g_strdup(old->info.alias);
    if (new->info.rom_bar == TRISTATE_ABSENT)
        new->info.rom_bar = old->info.rom_bar;
    if (new->info.rom_enabled == TRISTATE_ABSENT)
        new->info.rom_enabled = old->info.rom_enabled;
    if (new->info.rom_file == NULL)
        new->info.rom_file = g_strdup(old->info.rom_file);
    if (new->info.boot_index == 0)
        new->info.boot_index = old->info.boot_index;
    new->info.effective_boot_index = old->info.effective_boot_index;
    if (new->mac_generated || new->mac == NULL) {
        g_free(new->mac);
        new->mac = g_strdup(old->mac);
    }
}

static gboolean same_driver(const InterfaceDef *a, const InterfaceDef *b)
{
    return a->driver == b->driver && a->txmode == b->txmode && a->ioeventfd == b->ioeventfd &&
           a->event_idx == b->event_idx && a->queues == b->queues && a->rx_queue_size == b->rx_queue_size &&
           a->tx_queue_size == b->tx_queue_size && a->rss == b->rss && a->rss_hash_report == b->rss_hash_report &&
           memcmp(&a->host, &b->host, sizeof(a->host)) == 0 && memcmp(&a->guest, &b->guest, sizeof(a->guest)) == 0;
}

static gboolean check_card(const InterfaceDef *new, const InterfaceDef *old, GError **error)
{
    if (g_strcmp0(new->mac, old->mac) != 0)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                         "cannot change network interface mac address from %s to %s", old->mac, new->mac);
    if (g_strcmp0(interface_model_text(new), interface_model_text(old)) != 0)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                         "cannot modify network device model from %s to %s", interface_model_text(old),
                         interface_model_text(new));
    if (interface_is_virtio(old) && !same_driver(new, old))
        return refuse_net("virtio network device driver attributes", error);
    if (memcmp(&new->virtio, &old->virtio, sizeof(new->virtio)) != 0)
        return refuse_net("virtio network device driver options", error);
    if (g_strcmp0(new->script, old->script) != 0)
        return refuse_net("network device script attribute", error);
    if (g_strcmp0(new->target, old->target) != 0)
        return refuse_net("network device tap name", error);
    if (new->info.address.type != old->info.address.type)
        return refuse_net("network device address type", error);
    if (!device_address_equal(&new->info.address, &old->info.address))
        return refuse_net("network device guest PCI address", error);
    if (new->info.rom_bar != old->info.rom_bar)
        return refuse_net("network device rom bar setting", error);
    if (g_strcmp0(new->info.rom_file, old->info.rom_file) != 0)
        return refuse_net("network rom file", error);
    if (new->info.boot_index != old->info.boot_index)
        return refuse_net("network device boot index setting", error);
    if (new->info.rom_enabled != old->info.rom_enabled)
        return refuse_net("network device rom enabled setting", error);
    if (new->mtu != old->mtu)
        return refuse_net("MTU", error);
    if (g_strcmp0(new->filterref.filter, old->filterref.filter) != 0)
        return refuse_net("network filter", error);
    if (new->coalesce_rx_frames != old->coalesce_rx_frames)
        return refuse_net("coalesce settings", error);
    if (new->vlan.n_tags != old->vlan.n_tags)
        return refuse_net("VLAN tags", error);
    return TRUE;
}

static gboolean is_bridged(const InterfaceDef *net)
{
    InterfaceType type = interface_actual_type(net);

    return type == INTERFACE_BRIDGE || type == INTERFACE_NETWORK;
}

/* Whether the host's side would have to be made anew. */
static gboolean check_source(const InterfaceDef *new, const InterfaceDef *old, GError **error)
{
    gboolean same = new->type == old->type && g_strcmp0(new->socket_address, old->socket_address) == 0 &&
                    new->socket_port == old->socket_port && new->has_sndbuf == old->has_sndbuf &&
                    new->sndbuf == old->sndbuf && new->backend == old->backend;

    if (old->type == INTERFACE_HOSTDEV || old->type == INTERFACE_VDPA || old->type == INTERFACE_VHOSTUSER)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                         "cannot change config of '%s' network interface type", interface_type_to_string(old->type));
    if (new->type == INTERFACE_NETWORK && !new->has_actual && g_strcmp0(new->source, old->source) != 0)
        return error_set_from(error, VIR_FROM_NETWORK, VIR_ERR_NO_NETWORK, "no network with matching name '%s'",
                              new->source != NULL ? new->source : "");
    if (!same && !(is_bridged(new) && is_bridged(old)))
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "unable to change config on '%s' network type",
                         interface_type_to_string(new->type));
    return TRUE;
}

static gboolean same_rate(const NetRate *a, const NetRate *b)
{
    return a->average == b->average && a->peak == b->peak && a->burst == b->burst && a->floor == b->floor;
}

static gboolean update_interface(Domain *dom, DeviceInfo **dev, GError **error)
{
    InterfaceDef *new = (InterfaceDef *)*dev;
    DomainDef *live = domain_job_live(dom);
    InterfaceDef *old = (InterfaceDef *)device_find(live, *dev, TRUE, error);
    g_autoptr(VmProcess) vm = NULL;
    const char *bridge, *old_bridge;
    gboolean new_bridge, new_rates;
    guint64 run;
    guint place = 0;

    if (old == NULL || !device_compatible(live, *dev, &old->info, TRUE, error))
        return FALSE;
    inherit(new, old);
    if (new->type == INTERFACE_NETWORK && old->type == INTERFACE_NETWORK && old->has_actual &&
        g_strcmp0(new->source, old->source) == 0 && !new->has_actual) {
        new->has_actual = TRUE;
        new->actual_type = old->actual_type;
        new->actual_source = g_strdup(old->actual_source);
        new->actual_mode = old->actual_mode;
    }
    if (!check_card(new, old, error) || !check_source(new, old, error))
        return FALSE;
    vm = domain_vm(dom, &run, error);
    if (vm == NULL)
        return FALSE;
    bridge = interface_actual_source(new);
    old_bridge = interface_actual_source(old);
    new_bridge = is_bridged(new) && g_strcmp0(bridge, old_bridge) != 0;
    new_rates = !same_rate(&new->bandwidth.inbound, &old->bandwidth.inbound) ||
                !same_rate(&new->bandwidth.outbound, &old->bandwidth.outbound);
    if (new_bridge && !tap_change_bridge(new->target, old_bridge, bridge, new->port_isolated == TRISTATE_YES, error))
        return FALSE;
    if (new_rates && new->target != NULL && !tap_set_bandwidth(new->target, &new->bandwidth, error)) {
        if (new_bridge)
            tap_change_bridge(new->target, bridge, old_bridge, old->port_isolated == TRISTATE_YES, NULL);
        return FALSE;
    }
    if (new->link != old->link && !vm_set_link(vm_process_qmp(vm), old->info.alias, new->link != NET_LINK_DOWN, error)) {
        if (new_rates && new->target != NULL)
            tap_set_bandwidth(new->target, &old->bandwidth, NULL);
        if (new_bridge)
            tap_change_bridge(new->target, bridge, old_bridge, old->port_isolated == TRISTATE_YES, NULL);
        return FALSE;
    }
    if (!domain_still_running(dom, run, error))
        return FALSE;
    lock_acquire(&dom->lock);
    if (g_ptr_array_find(live->devices[DEVICE_INTERFACE], old, &place)) {
        live->devices[DEVICE_INTERFACE]->pdata[place] = g_steal_pointer(dev);
        device_def_free(&old->info);
    }
    lock_release(&dom->lock);
    return TRUE;
}

/* --- memory --------------------------------------------------------------------------------------------- */

static gboolean update_memory(Domain *dom, const MemoryDef *new, GError **error)
{
    MemoryDef *old = NULL;
    guint64 run;
    g_autoptr(VmProcess) vm = NULL;
    g_autofree char *path = NULL;

    DOMAIN_DEF_FOREACH(MemoryDef, memory, domain_job_live(dom), DEVICE_MEMORY)
    {
        if ((new->info.alias != NULL && g_strcmp0(new->info.alias, memory->info.alias) == 0) ||
            (new->info.alias == NULL && device_address_equal(&new->info.address, &memory->info.address)))
            old = memory;
    }
    if (old == NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "memory '%s' not found",
                         new->info.alias != NULL ? new->info.alias : "(<null>)");
    if (old->model != MEMORY_MODEL_VIRTIO_MEM || new->model != old->model || new->size != old->size ||
        new->block != old->block || new->node != old->node)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "only the requested size of virtio-mem can be changed while the domain runs");
    vm = domain_vm(dom, &run, error);
    if (vm == NULL)
        return FALSE;
    path = g_strconcat("/machine/peripheral/", old->info.alias, NULL);
    if (!vm_qom_set(vm_process_qmp(vm), path, "requested-size", json_integer((json_int_t)new->requested * 1024),
                    error))
        return FALSE;
    lock_acquire(&dom->lock);
    old->requested = new->requested;
    lock_release(&dom->lock);
    return TRUE;
}

gboolean device_live_update(Domain *dom, DeviceInfo **dev, gboolean force, GError **error)
{
    switch ((*dev)->kind) {
    case DEVICE_DISK:
        return update_disk(dom, (DiskDef *)*dev, force, error);
    case DEVICE_GRAPHICS:
        return update_graphics(dom, (GraphicsDef *)*dev, error);
    case DEVICE_INTERFACE:
        return update_interface(dom, dev, error);
    case DEVICE_MEMORY:
        return update_memory(dom, (MemoryDef *)*dev, error);
    default:
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "live update of device '%s' is not supported",
                         device_word((*dev)->kind));
    }
}
