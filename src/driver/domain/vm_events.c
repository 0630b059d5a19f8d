/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a VM tells: QMP events (qemu qapi/run-state.json, block-core.json, ui.json, ...) become states,
 * changes of the live definition and libvirt's events. Runs on the VM thread: takes the state lock and never
 * waits; what needs the modify lock or a QMP call goes to a worker (domain_defer). One handler an event, in
 * the table at the end.
 */
#define LOG_SOURCE "domain.event"


#include "common/log.h"
#include "driver/backend/agent_client.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_events.h"
#include "driver/domain/domain_run.h"
#include "driver/domain/vm_events_priv.h"

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
    gboolean by_reset = g_strcmp0(vm_event_string(event, "reason"), "guest-reset") == 0;
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
void vm_event_paused(Domain *dom, int reason, int detail)
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
    int action = vm_event_word(vm_event_string(event, "action"), actions, VIR_DOMAIN_EVENT_WATCHDOG_NONE);

    domain_event_watchdog(event->dom, action);
    if (action == VIR_DOMAIN_EVENT_WATCHDOG_PAUSE)
        vm_event_paused(event->dom, VIR_DOMAIN_PAUSED_WATCHDOG, VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG);
}

static void on_memory_failure(const VmEvent *event)
{
    static const char *const recipients[] = {"hypervisor", "guest", NULL};
    static const char *const actions[] = {"ignore", "inject", "fatal", "reset", NULL};
    int recipient = vm_event_word(vm_event_string(event, "recipient"), recipients, -1);
    int action = vm_event_word(vm_event_string(event, "action"), actions, -1);
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

/* --- dispatch ------------------------------------------------------------------------------------------- */

static void on_migration_pass(const VmEvent *event)
{
    domain_event_migration_iteration(event->dom, (int)vm_event_number(event, "pass"));
}

static const struct {
    const char *name;
    void (*handle)(const VmEvent *event); /* state lock held; the domain is active and not stopping */
    gboolean when_destroyed; /* told even while a client's destroy is on its way */
} handlers[] = {
    {"ACPI_DEVICE_OST", vm_event_on_acpi_ost},
    {"BALLOON_CHANGE", vm_event_on_balloon},
    {"BLOCK_IO_ERROR", vm_event_on_io_error},
    {"BLOCK_WRITE_THRESHOLD", vm_event_on_threshold},
    {"DEVICE_DELETED", vm_event_on_device_deleted},
    {"DEVICE_TRAY_MOVED", vm_event_on_tray},
    {"DEVICE_UNPLUG_GUEST_ERROR", vm_event_on_unplug_error},
    {"GUEST_CRASHLOADED", on_crashloaded},
    {"GUEST_PANICKED", on_panic},
    {"MEMORY_DEVICE_SIZE_CHANGE", vm_event_on_memory_size},
    {"MEMORY_FAILURE", on_memory_failure},
    {"MIGRATION_PASS", on_migration_pass},
    {"RESET", on_reset},
    {"RESUME", on_resume},
    {"RTC_CHANGE", vm_event_on_rtc_change},
    {"SHUTDOWN", on_shutdown, TRUE}, /* SIGTERM makes it say so: clients of libvirt hear it before STOPPED */
    {"SPICE_CONNECTED", vm_event_on_spice_connected},
    {"SPICE_DISCONNECTED", vm_event_on_spice_disconnected},
    {"SPICE_INITIALIZED", vm_event_on_spice_initialized},
    {"STOP", on_stop},
    {"SUSPEND", on_suspend},
    {"SUSPEND_DISK", on_suspend_disk},
    {"VNC_CONNECTED", vm_event_on_vnc_connected},
    {"VNC_DISCONNECTED", vm_event_on_vnc_disconnected},
    {"VNC_INITIALIZED", vm_event_on_vnc_initialized},
    {"VSERPORT_CHANGE", vm_event_on_channel},
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
