/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a VM tells: QMP events (qemu qapi/run-state.json, block-core.json, ui.json, ...) become states,
 * changes of the live definition and libvirt's events. Runs on the VM thread: takes the state lock and never
 * waits; what needs the modify lock or a QMP call goes to a worker (domain_defer). One handler an event, in
 * the table at the end.
 */
#define LOG_SOURCE "domain.event"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "driver/backend/agent_client.h"
#include "driver/backend/backend.h"
#include "driver/backend/monitor.h"
#include "driver/conf/def_chr.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_memory.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/devices.h"
#include "driver/domain/domain_events.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/domain_run.h"

typedef struct VmEvent {
    Domain *dom;
    VmProcess *vm;
    json_t *data; /* may be NULL: every json_*() is content with that */
} VmEvent;

static const char *string_of(const VmEvent *event, const char *key)
{
    return json_string_value(json_object_get(event->data, key));
}

static gboolean is_true(const VmEvent *event, const char *key)
{
    return json_is_true(json_object_get(event->data, key));
}

static guint64 number_of(const VmEvent *event, const char *key)
{
    return (guint64)json_integer_value(json_object_get(event->data, key));
}

/* Index of a word in a NULL-terminated list, or fallback. */
static int word_index(const char *word, const char *const *words, int fallback)
{
    for (int i = 0; word != NULL && words[i] != NULL; i++) {
        if (strcmp(word, words[i]) == 0)
            return i;
    }
    return fallback;
}

/* --- work on a worker ----------------------------------------------------------------------------------- */

static void unref_vm(gpointer vm)
{
    vm_process_unref(vm);
}

static void defer(const VmEvent *event, DomainWork work)
{
    domain_defer(event->dom, work, vm_process_ref(event->vm), unref_vm);
}

static void work_end(Domain *dom, gpointer vm)
{
    domain_end_process(dom, vm);
}

static void work_reboot(Domain *dom, gpointer vm)
{
    domain_fake_reboot(dom, vm, VIR_DOMAIN_RUNNING_BOOTED);
}

static void work_reboot_crashed(Domain *dom, gpointer vm)
{
    domain_fake_reboot(dom, vm, VIR_DOMAIN_RUNNING_CRASHED);
}

static void work_destroy_crashed(Domain *dom, gpointer vm)
{
    domain_destroy(dom, VIR_DOMAIN_SHUTOFF_CRASHED, FALSE, NULL);
}

static void work_dump(Domain *dom, gpointer vm)
{
    domain_auto_dump(dom, vm);
}

static void work_refresh(Domain *dom, gpointer vm)
{
    if (!domain_job_begin_active(dom, "reset", NULL))
        return;
    domain_refresh_state(dom, vm, NULL);
    domain_job_end(dom);
}

static void work_finish(Domain *dom, gpointer vm)
{
    guint64 run = 0;

    lock_acquire(&dom->lock);
    if (dom->vm == vm)
        run = dom->run;
    lock_release(&dom->lock);
    if (run != 0)
        domain_finish_run(dom, run);
}

/* --- power ---------------------------------------------------------------------------------------------- */

static gboolean restarts(LifecycleAction action)
{
    return action == ACTION_RESTART || action == ACTION_RENAME_RESTART || action == ACTION_COREDUMP_RESTART;
}

static void on_shutdown(const VmEvent *event)
{
    Domain *dom = event->dom;
    json_t *guest = json_object_get(event->data, "guest");
    /* A guest's own reset arrives so when the VM may not reset: on_reboot is destroy. */
    gboolean by_reset = g_strcmp0(string_of(event, "reason"), "guest-reset") == 0;
    int detail = VIR_DOMAIN_EVENT_SHUTDOWN_FINISHED;

    if (dom->agent != NULL)
        agent_client_note(dom->agent, AGENT_NOTE_SHUTDOWN);
    if (dom->state == VIR_DOMAIN_SHUTDOWN)
        return;
    if (dom->stop_reason == 0 && (dom->fake_reboot || (!by_reset && restarts(dom->live->on_poweroff)))) {
        dom->paused_shutdown = TRUE;
        defer(event, work_reboot);
        return;
    }
    if (json_is_boolean(guest))
        detail = json_is_true(guest) ? VIR_DOMAIN_EVENT_SHUTDOWN_GUEST : VIR_DOMAIN_EVENT_SHUTDOWN_HOST;
    dom->guest_shutdown = TRUE;
    domain_set_state(dom, VIR_DOMAIN_SHUTDOWN, VIR_DOMAIN_SHUTDOWN_UNKNOWN);
    domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_SHUTDOWN, detail);
    domain_save_status_soon(dom);
    if (dom->stop_reason != 0)
        return; /* whoever destroys it sees to the rest */
    if (!by_reset && dom->live->on_poweroff == ACTION_PRESERVE)
        return; /* kept for whoever wants to look at it, until it is destroyed */
    defer(event, work_end);
}

static void on_reset(const VmEvent *event)
{
    Domain *dom = event->dom;

    /* One reset is part of some starts. */
    if (dom->state == VIR_DOMAIN_PAUSED && dom->reason == VIR_DOMAIN_PAUSED_STARTING_UP)
        return;
    domain_event_reboot(dom);
    if (dom->agent != NULL)
        agent_client_note(dom->agent, AGENT_NOTE_RESET);
    dom->fake_reboot = FALSE;
    domain_save_status_soon(dom);
    defer(event, work_refresh);
}

static void on_stop(const VmEvent *event)
{
    domain_note_paused(event->dom);
}

static void on_resume(const VmEvent *event)
{
    domain_note_resumed(event->dom);
}

static void suspended(const VmEvent *event, int detail)
{
    Domain *dom = event->dom;

    if (dom->state != VIR_DOMAIN_RUNNING)
        return;
    domain_set_state(dom, VIR_DOMAIN_PMSUSPENDED, VIR_DOMAIN_PMSUSPENDED_UNKNOWN);
    domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_PMSUSPENDED, detail);
    domain_save_status_soon(dom);
    if (dom->agent != NULL)
        agent_client_note(dom->agent, AGENT_NOTE_SUSPEND);
}

static void on_suspend(const VmEvent *event)
{
    domain_event_pm_suspend(event->dom);
    suspended(event, VIR_DOMAIN_EVENT_PMSUSPENDED_MEMORY);
}

static void on_suspend_disk(const VmEvent *event)
{
    domain_event_pm_suspend_disk(event->dom);
    suspended(event, VIR_DOMAIN_EVENT_PMSUSPENDED_DISK);
}

static void on_wakeup(const VmEvent *event)
{
    Domain *dom = event->dom;

    domain_event_pm_wakeup(dom);
    if (dom->state != VIR_DOMAIN_PMSUSPENDED)
        return;
    domain_set_state(dom, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_WAKEUP);
    domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_WAKEUP);
    domain_save_status_soon(dom);
}

/* --- trouble -------------------------------------------------------------------------------------------- */

static void on_panic(const VmEvent *event)
{
    Domain *dom = event->dom;
    LifecycleAction action = dom->live->on_crash;
    g_autofree char *info =
        event->data != NULL ? json_dumps(event->data, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    log_warning("the guest of domain '%s' (%s) has panicked: %s", dom->name, dom->uuid_text,
                info != NULL ? info : "it does not say why");
    if (dom->state != VIR_DOMAIN_CRASHED) {
        domain_set_state(dom, VIR_DOMAIN_CRASHED, VIR_DOMAIN_CRASHED_PANICKED);
        domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_CRASHED, VIR_DOMAIN_EVENT_CRASHED_PANICKED);
        domain_save_status_soon(dom);
    }
    if (action == ACTION_COREDUMP_DESTROY || action == ACTION_COREDUMP_RESTART)
        defer(event, work_dump);
    if (restarts(action))
        defer(event, work_reboot_crashed);
    else if (action != ACTION_PRESERVE)
        defer(event, work_destroy_crashed);
}

static void on_crashloaded(const VmEvent *event)
{
    domain_event_lifecycle(event->dom, VIR_DOMAIN_EVENT_CRASHED, VIR_DOMAIN_EVENT_CRASHED_CRASHLOADED);
}

/* The VM has stopped by itself. */
static void paused_by(Domain *dom, int reason, int detail)
{
    if (dom->state != VIR_DOMAIN_RUNNING)
        return;
    domain_set_state(dom, VIR_DOMAIN_PAUSED, reason);
    domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_SUSPENDED, detail);
    domain_save_status_soon(dom);
}

static void on_watchdog(const VmEvent *event)
{
    /* In the order of VIR_DOMAIN_EVENT_WATCHDOG_*. */
    static const char *const actions[] = {"none",     "pause", "reset",      "poweroff",
                                          "shutdown", "debug", "inject-nmi", NULL};
    int action = word_index(string_of(event, "action"), actions, VIR_DOMAIN_EVENT_WATCHDOG_NONE);

    domain_event_watchdog(event->dom, action);
    if (action == VIR_DOMAIN_EVENT_WATCHDOG_PAUSE)
        paused_by(event->dom, VIR_DOMAIN_PAUSED_WATCHDOG, VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG);
}

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

static void on_io_error(const VmEvent *event)
{
    /* In the order of VIR_DOMAIN_EVENT_IO_ERROR_*. */
    static const char *const actions[] = {"ignore", "stop", "report", NULL};
    Domain *dom = event->dom;
    const char *device = string_of(event, "device");
    int action = word_index(string_of(event, "action"), actions, VIR_DOMAIN_EVENT_IO_ERROR_NONE);
    gboolean no_space = is_true(event, "nospace");
    const DiskDef *disk = find_disk(dom->live, device != NULL && *device != '\0' ? device : NULL,
                                    string_of(event, "qom-path"), string_of(event, "node-name"));

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
        paused_by(dom, VIR_DOMAIN_PAUSED_IOERROR, VIR_DOMAIN_EVENT_SUSPENDED_IOERROR);
}

static void on_memory_failure(const VmEvent *event)
{
    static const char *const recipients[] = {"hypervisor", "guest", NULL};
    static const char *const actions[] = {"ignore", "inject", "fatal", "reset", NULL};
    int recipient = word_index(string_of(event, "recipient"), recipients, -1);
    int action = word_index(string_of(event, "action"), actions, -1);
    json_t *details = json_object_get(event->data, "flags");
    guint flags = 0;

    if (recipient < 0 || action < 0)
        return;
    if (json_is_true(json_object_get(details, "action-required")))
        flags |= VIR_DOMAIN_MEMORY_FAILURE_ACTION_REQUIRED;
    if (json_is_true(json_object_get(details, "recursive")))
        flags |= VIR_DOMAIN_MEMORY_FAILURE_RECURSIVE;
    domain_event_memory_failure(event->dom, recipient, action, flags);
}

/* --- devices -------------------------------------------------------------------------------------------- */

static void on_tray(const VmEvent *event)
{
    Domain *dom = event->dom;
    gboolean open = is_true(event, "tray-open");
    DiskDef *disk = find_disk(dom->live, string_of(event, "device"), string_of(event, "id"), NULL);

    if (disk == NULL)
        return;
    disk->tray = open ? DISK_TRAY_OPEN : DISK_TRAY_CLOSED;
    g_cond_broadcast(&dom->stopped); /* a change of media waits for it */
    domain_event_tray_change(dom, disk->info.alias,
                             open ? VIR_DOMAIN_EVENT_TRAY_CHANGE_OPEN : VIR_DOMAIN_EVENT_TRAY_CHANGE_CLOSE);
    domain_save_status_soon(dom);
}

static void on_rtc_change(const VmEvent *event)
{
    Domain *dom = event->dom;
    ClockDef *clock = &dom->live->clock;
    gint64 offset = (gint64)number_of(event, "offset");

    /* QEMU counts from what it was started with, clients from UTC. */
    if (clock->offset == CLOCK_VARIABLE) {
        if (__builtin_add_overflow(offset, clock->adjustment0, &offset))
            return;
        clock->adjustment = offset;
        domain_save_status_soon(dom);
    }
    domain_event_rtc_change(dom, offset);
}

static void on_balloon(const VmEvent *event)
{
    Domain *dom = event->dom;
    guint64 actual = number_of(event, "actual") / 1024;

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

static void on_memory_size(const VmEvent *event)
{
    Domain *dom = event->dom;
    const char *id = string_of(event, "id");
    guint64 size = number_of(event, "size") / 1024;

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

static void on_channel(const VmEvent *event)
{
    Domain *dom = event->dom;
    const char *id = string_of(event, "id");

    DOMAIN_DEF_FOREACH(ChrDef, channel, dom->live, DEVICE_CHANNEL)
    {
        if (id == NULL || g_strcmp0(channel->info.alias, id) != 0 ||
            channel->target.channel != CHANNEL_TARGET_VIRTIO)
            continue;
        channel->state = is_true(event, "open") ? CHANNEL_STATE_CONNECTED : CHANNEL_STATE_DISCONNECTED;
        domain_agent_update(dom, VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_CHANNEL);
        domain_save_status_soon(dom);
    }
}

static void on_threshold(const VmEvent *event)
{
    Domain *dom = event->dom;
    const char *node = string_of(event, "node-name");
    const DiskDef *disk = find_disk(dom->live, NULL, NULL, node);
    guint64 threshold = number_of(event, "write-threshold"), excess = number_of(event, "amount-exceeded");
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

static void on_device_deleted(const VmEvent *event)
{
    const char *alias = string_of(event, "device");
    Removal *removal;

    if (alias == NULL)
        return; /* a part of a device */
    if (device_note_deleted(event->dom, alias))
        return;
    removal = g_new(Removal, 1);
    *removal = (Removal){vm_process_ref(event->vm), g_strdup(alias)};
    domain_defer(event->dom, work_remove_device, removal, removal_free);
}

static void on_unplug_error(const VmEvent *event)
{
    const char *alias = string_of(event, "device");

    if (alias == NULL)
        return;
    device_note_refused(event->dom, alias);
    domain_event_device_removal_failed(event->dom, alias);
}

/* ACPI 6.3, 6.3.5 _OST: the ejection (0x3, 0x103) of a DIMM or a CPU that the guest refuses. libvirt takes no notice of
 * CPUs and lets the call run into its timeout. */
static void on_acpi_ost(const VmEvent *event)
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

    return word_index(json_string_value(json_object_get(peer, "family")), families,
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

static void on_vnc_connected(const VmEvent *event)
{
    graphics(event, VIR_DOMAIN_EVENT_GRAPHICS_CONNECT, "host", "service");
}

static void on_vnc_initialized(const VmEvent *event)
{
    graphics(event, VIR_DOMAIN_EVENT_GRAPHICS_INITIALIZE, "host", "service");
}

static void on_vnc_disconnected(const VmEvent *event)
{
    graphics(event, VIR_DOMAIN_EVENT_GRAPHICS_DISCONNECT, "host", "service");
}

static void on_spice_connected(const VmEvent *event)
{
    graphics(event, VIR_DOMAIN_EVENT_GRAPHICS_CONNECT, "host", "port");
}

static void on_spice_initialized(const VmEvent *event)
{
    graphics(event, VIR_DOMAIN_EVENT_GRAPHICS_INITIALIZE, "host", "port");
}

static void on_spice_disconnected(const VmEvent *event)
{
    graphics(event, VIR_DOMAIN_EVENT_GRAPHICS_DISCONNECT, "host", "port");
}

/* --- dispatch ------------------------------------------------------------------------------------------- */

static void on_migration_pass(const VmEvent *event)
{
    domain_event_migration_iteration(event->dom, (int)number_of(event, "pass"));
}

static const struct {
    const char *name;
    void (*handle)(const VmEvent *event); /* state lock held; the domain is active and not stopping */
    gboolean when_destroyed; /* told even while a client's destroy is on its way */
} handlers[] = {
    {"ACPI_DEVICE_OST", on_acpi_ost},
    {"BALLOON_CHANGE", on_balloon},
    {"BLOCK_IO_ERROR", on_io_error},
    {"BLOCK_WRITE_THRESHOLD", on_threshold},
    {"DEVICE_DELETED", on_device_deleted},
    {"DEVICE_TRAY_MOVED", on_tray},
    {"DEVICE_UNPLUG_GUEST_ERROR", on_unplug_error},
    {"GUEST_CRASHLOADED", on_crashloaded},
    {"GUEST_PANICKED", on_panic},
    {"MEMORY_DEVICE_SIZE_CHANGE", on_memory_size},
    {"MEMORY_FAILURE", on_memory_failure},
    {"MIGRATION_PASS", on_migration_pass},
    {"RESET", on_reset},
    {"RESUME", on_resume},
    {"RTC_CHANGE", on_rtc_change},
    {"SHUTDOWN", on_shutdown, TRUE}, /* SIGTERM makes it say so: clients of libvirt hear it before STOPPED */
    {"SPICE_CONNECTED", on_spice_connected},
    {"SPICE_DISCONNECTED", on_spice_disconnected},
    {"SPICE_INITIALIZED", on_spice_initialized},
    {"STOP", on_stop},
    {"SUSPEND", on_suspend},
    {"SUSPEND_DISK", on_suspend_disk},
    {"VNC_CONNECTED", on_vnc_connected},
    {"VNC_DISCONNECTED", on_vnc_disconnected},
    {"VNC_INITIALIZED", on_vnc_initialized},
    {"VSERPORT_CHANGE", on_channel},
    {"WAKEUP", on_wakeup},
    {"WATCHDOG", on_watchdog},
};

static void vm_event(VmProcess *vm, const char *name, json_t *data, gint64 seconds, guint32 microseconds,
                     gpointer opaque)
{
    Domain *dom = opaque;
    const VmEvent event = {dom, vm, data};
    LOCK_SCOPE(&dom->lock);

    if (domain_event_monitor_wanted(dom)) {
        char *details = data != NULL ? json_dumps(data, JSON_COMPACT) : NULL;

        domain_event_monitor(dom, name, seconds, microseconds, details);
        free(details);
    }
    if (dom->vm != vm || !domain_active(dom) || dom->live == NULL || dom->stopping)
        return;
    for (guint i = 0; i < G_N_ELEMENTS(handlers); i++) {
        if (strcmp(handlers[i].name, name) != 0)
            continue;
        /* Once its end is decided, what it says on the way there is hardly anybody's business. */
        if (dom->stop_reason == 0 ||
            (dom->stop_reason == VIR_DOMAIN_SHUTOFF_DESTROYED && handlers[i].when_destroyed))
            handlers[i].handle(&event);
        return;
    }
}

static void vm_exited(VmProcess *vm, const VmExit *exit, gpointer opaque)
{
    Domain *dom = opaque;

    if (exit->monitor_lost) {
        lock_acquire(&dom->lock);
        domain_event_control_error(dom);
        lock_release(&dom->lock);
    }
    domain_defer(dom, work_finish, vm_process_ref(vm), unref_vm);
}

const VmCallbacks domain_vm_callbacks = {.event = vm_event, .exited = vm_exited};
