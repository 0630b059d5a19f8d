/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM's events about its disks, other devices and displays (qemu qapi/block-core.json, ui.json, ...): see vm_events.c. */
#define LOG_SOURCE "domain.event"

#include <stdio.h>

#include "common/log.h"
#include "driver/backend/monitor.h"
#include "driver/conf/def_chr.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_memory.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/devices.h"
#include "driver/domain/domain_events.h"
#include "driver/domain/domain_run.h"
#include "driver/domain/vm_events_priv.h"

/* The disk that a device name, QOM path or block node ("libvirt-3-format") belongs to. */
static DiskDef *find_disk(const DomainDef *def, const char *device, const char *qom_path, const char *node)
{
    guint index = 0;

    if (node != NULL && sscanf(node, "libvirt-%u-", &index) != 1)
        index = 0;
    if (device != NULL && g_str_has_prefix(device, "drive-"))
        device += strlen("drive-");
    DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
    {
        const char *alias = disk->info.alias;

        if (alias != NULL && ((device != NULL && strcmp(device, alias) == 0) ||
                              (qom_path != NULL && vm_qdev_matches(qom_path, alias))))
            return disk;
        for (const StorageSource *image = disk->source; index != 0 && image != NULL; image = image->backing) {
            if (image->index == index)
                return disk;
        }
    }
    return NULL;
}

static const char *disk_path(const DiskDef *disk)
{
    return disk != NULL && disk->source != NULL ? disk->source->path : NULL;
}

void vm_event_on_io_error(const VmEvent *event)
{
    /* In the order of VIR_DOMAIN_EVENT_IO_ERROR_*. */
    static const char *const actions[] = {"ignore", "stop", "report", NULL};
    Domain *dom = event->dom;
    const char *device = vm_event_string(event, "device");
    int action = vm_event_word(vm_event_string(event, "action"), actions, VIR_DOMAIN_EVENT_IO_ERROR_NONE);
    gboolean no_space = vm_event_flag(event, "nospace");
    const DiskDef *disk = find_disk(dom->live, device != NULL && *device != '\0' ? device : NULL,
                                    vm_event_string(event, "qom-path"), vm_event_string(event, "node-name"));

    log_warning("domain '%s' (%s): I/O error on disk '%s'%s", dom->name, dom->uuid_text,
                disk != NULL && disk->target != NULL ? disk->target : "?", no_space ? ": no space left" : "");
    if (disk != NULL) {
        g_free(dom->disk_errors);
        dom->disk_errors = g_strdup_printf("%s:%s", disk->target, no_space ? "nospace" : "unspec");
        domain_disk_failed(dom, event->vm, disk);
    }
    domain_event_io_error(dom, disk_path(disk), disk != NULL ? disk->info.alias : NULL, action,
                          no_space ? "enospc" : "");
    if (action == VIR_DOMAIN_EVENT_IO_ERROR_PAUSE)
        vm_event_paused(dom, VIR_DOMAIN_PAUSED_IOERROR, VIR_DOMAIN_EVENT_SUSPENDED_IOERROR);
}

/* --- devices -------------------------------------------------------------------------------------------- */

void vm_event_on_tray(const VmEvent *event)
{
    Domain *dom = event->dom;
    gboolean open = vm_event_flag(event, "tray-open");
    DiskDef *disk = find_disk(dom->live, vm_event_string(event, "device"), vm_event_string(event, "id"), NULL);

    if (disk == NULL)
        return;
    disk->tray = open ? DISK_TRAY_OPEN : DISK_TRAY_CLOSED;
    g_cond_broadcast(&dom->stopped); /* a change of media waits for it */
    domain_event_tray_change(dom, disk->info.alias,
                             open ? VIR_DOMAIN_EVENT_TRAY_CHANGE_OPEN : VIR_DOMAIN_EVENT_TRAY_CHANGE_CLOSE);
    domain_save_status_soon(dom);
}

void vm_event_on_rtc_change(const VmEvent *event)
{
    Domain *dom = event->dom;
    ClockDef *clock = &dom->live->clock;
    gint64 offset = (gint64)vm_event_number(event, "offset");

    /* QEMU counts from what it was started with, clients from UTC. */
    if (clock->offset == CLOCK_VARIABLE) {
        if (__builtin_add_overflow(offset, clock->adjustment0, &offset))
            return;
        clock->adjustment = offset;
        domain_save_status_soon(dom);
    }
    domain_event_rtc_change(dom, offset);
}

void vm_event_on_balloon(const VmEvent *event)
{
    Domain *dom = event->dom;
    guint64 actual = vm_event_number(event, "actual") / 1024;

    domain_event_balloon_change(dom, actual);
    if (dom->info != NULL)
        dom->info->balloon_kib = actual;
    DOMAIN_DEF_FOREACH(MemoryDef, memory, dom->live, DEVICE_MEMORY)
    {
        if (memory->model == MEMORY_MODEL_VIRTIO_MEM)
            actual += memory->current;
    }
    dom->live->current_memory = actual;
    domain_save_status_soon(dom);
}

void vm_event_on_memory_size(const VmEvent *event)
{
    Domain *dom = event->dom;
    const char *id = vm_event_string(event, "id");
    guint64 size = vm_event_number(event, "size") / 1024;

    DOMAIN_DEF_FOREACH(MemoryDef, memory, dom->live, DEVICE_MEMORY)
    {
        if (id == NULL || g_strcmp0(memory->info.alias, id) != 0)
            continue;
        dom->live->current_memory += size - memory->current;
        memory->current = size;
        domain_event_memory_device_size_change(dom, id, size);
        domain_save_status_soon(dom);
    }
}

void vm_event_on_channel(const VmEvent *event)
{
    Domain *dom = event->dom;
    const char *id = vm_event_string(event, "id");

    DOMAIN_DEF_FOREACH(ChrDef, channel, dom->live, DEVICE_CHANNEL)
    {
        if (id == NULL || g_strcmp0(channel->info.alias, id) != 0 ||
            channel->target.channel != CHANNEL_TARGET_VIRTIO)
            continue;
        channel->state = vm_event_flag(event, "open") ? CHANNEL_STATE_CONNECTED : CHANNEL_STATE_DISCONNECTED;
        domain_agent_update(dom, VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_CHANNEL);
        domain_save_status_soon(dom);
    }
}

void vm_event_on_threshold(const VmEvent *event)
{
    Domain *dom = event->dom;
    const char *node = vm_event_string(event, "node-name");
    const DiskDef *disk = find_disk(dom->live, NULL, NULL, node);
    guint64 threshold = vm_event_number(event, "write-threshold"), excess = vm_event_number(event, "amount-exceeded");
    guint index = 0;

    if (disk == NULL || sscanf(node, "libvirt-%u-", &index) != 1)
        return;
    for (const StorageSource *image = disk->source; image != NULL; image = image->backing) {
        g_autofree char *target = g_strdup_printf("%s[%u]", disk->target, image->index);

        if (image->index != index)
            continue;
        if (image == disk->source)
            domain_event_block_threshold(dom, disk->target, image->path, threshold, excess);
        domain_event_block_threshold(dom, target, image->path, threshold, excess);
    }
}

typedef struct Removal {
    VmProcess *vm;
    char *alias;
} Removal;

static void removal_free(gpointer data)
{
    Removal *removal = data;

    vm_process_unref(removal->vm);
    g_free(removal->alias);
    g_free(removal);
}

static void work_remove_device(Domain *dom, gpointer data)
{
    const Removal *removal = data;

    if (!domain_job_begin_active(dom, "device removed", NULL))
        return;
    device_finish_removal(dom, removal->vm, removal->alias);
    domain_save_status(dom);
    domain_job_end(dom);
}

void vm_event_on_device_deleted(const VmEvent *event)
{
    const char *alias = vm_event_string(event, "device");
    Removal *removal;

    if (alias == NULL)
        return; /* a part of a device */
    if (device_note_deleted(event->dom, alias))
        return;
    removal = g_new(Removal, 1);
    *removal = (Removal){vm_process_ref(event->vm), g_strdup(alias)};
    domain_defer(event->dom, work_remove_device, removal, removal_free);
}

void vm_event_on_unplug_error(const VmEvent *event)
{
    const char *alias = vm_event_string(event, "device");

    if (alias == NULL)
        return;
    device_note_refused(event->dom, alias);
    domain_event_device_removal_failed(event->dom, alias);
}

/* ACPI 6.3, 6.3.5 _OST: the ejection (0x3, 0x103) of a DIMM or a CPU that the guest refuses. libvirt takes no notice of
 * CPUs and lets the call run into its timeout. */
void vm_event_on_acpi_ost(const VmEvent *event)
{
    json_t *info = json_object_get(event->data, "info");
    const char *alias = json_string_value(json_object_get(info, "device"));
    const char *type = json_string_value(json_object_get(info, "slot-type"));
    json_int_t source = json_integer_value(json_object_get(info, "source"));
    json_int_t status = json_integer_value(json_object_get(info, "status"));

    if (alias != NULL && (g_strcmp0(type, "DIMM") == 0 || g_strcmp0(type, "CPU") == 0) &&
        (source == 0x3 || source == 0x103) && (status == 0x1 || (status >= 0x80 && status <= 0x83))) {
        device_note_refused(event->dom, alias);
        domain_event_device_removal_failed(event->dom, alias);
    }
}

/* --- displays ------------------------------------------------------------------------------------------- */

static int family_of(json_t *peer)
{
    /* In the order of VIR_DOMAIN_EVENT_GRAPHICS_ADDRESS_*. */
    static const char *const families[] = {"ipv4", "ipv6", "unix", NULL};

    return vm_event_word(json_string_value(json_object_get(peer, "family")), families,
                         VIR_DOMAIN_EVENT_GRAPHICS_ADDRESS_IPV4);
}

static void graphics(const VmEvent *event, int phase, const char *host_key, const char *port_key)
{
    json_t *server = json_object_get(event->data, "server"), *client = json_object_get(event->data, "client");
    const GraphicsPeer local = {family_of(server), json_string_value(json_object_get(server, host_key)),
                                json_string_value(json_object_get(server, port_key))};
    const GraphicsPeer remote = {family_of(client), json_string_value(json_object_get(client, host_key)),
                                 json_string_value(json_object_get(client, port_key))};

    domain_event_graphics(event->dom, phase, &local, &remote,
                          json_string_value(json_object_get(server, "auth")),
                          json_string_value(json_object_get(client, "x509_dname")),
                          json_string_value(json_object_get(client, "sasl_username")));
}

void vm_event_on_vnc_connected(const VmEvent *event)
{
    graphics(event, VIR_DOMAIN_EVENT_GRAPHICS_CONNECT, "host", "service");
}

void vm_event_on_vnc_initialized(const VmEvent *event)
{
    graphics(event, VIR_DOMAIN_EVENT_GRAPHICS_INITIALIZE, "host", "service");
}

void vm_event_on_vnc_disconnected(const VmEvent *event)
{
    graphics(event, VIR_DOMAIN_EVENT_GRAPHICS_DISCONNECT, "host", "service");
}

void vm_event_on_spice_connected(const VmEvent *event)
{
    graphics(event, VIR_DOMAIN_EVENT_GRAPHICS_CONNECT, "host", "port");
}

void vm_event_on_spice_initialized(const VmEvent *event)
{
    graphics(event, VIR_DOMAIN_EVENT_GRAPHICS_INITIALIZE, "host", "port");
}

void vm_event_on_spice_disconnected(const VmEvent *event)
{
    graphics(event, VIR_DOMAIN_EVENT_GRAPHICS_DISCONNECT, "host", "port");
}
