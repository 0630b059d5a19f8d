/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A daemon that starts: definitions, VMs that an earlier one left running, autostart. See domain_layer.h.
 *
 * What the status files say is served at once. The modify lock of each domain found running is taken, in the
 * name of the reconnection, before clients are let in, and freed when its monitor has answered (or it is
 * known to be gone): so changes wait for that, and reads do not.
 */
#define LOG_SOURCE "domain.start"

#include <string.h>

#include "common/log.h"
#include "driver/backend/backend.h"
#include "driver/backend/monitor.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/devices.h"
#include "driver/domain/domain_events.h"
#include "driver/domain/domain_layer.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/domain_run.h"
#include "driver/domain/persist.h"
#include "driver/domain/placement.h"
#include "driver/domain/status_file.h"
#include "driver/driver.h"

enum { RECONNECT_MS = 10000 };

/* --- taking over what runs ------------------------------------------------------------------------------ */

static void take_job(Domain *dom)
{
    g_mutex_lock(&dom->job.mutex);
    g_assert(dom->job.owner == NULL);
    dom->job.owner = "reconnect";
    dom->job.since_us = g_get_monotonic_time();
    g_mutex_unlock(&dom->job.mutex);
}

static void own_job(Domain *dom)
{
    g_mutex_lock(&dom->job.mutex);
    dom->job.thread = g_thread_self();
    g_mutex_unlock(&dom->job.mutex);
    domain_job_look(dom);
}

/* FALSE: there is nothing (more) to try. */
static gboolean try_reconnect(Domain *dom, const BackendOps *ops, guint64 run, DomainDef *live,
                              VmProcess **ret_vm, VmLiveInfo **ret_info, GError **error)
{
    Driver *driver = dom->driver;
    g_autofree char *folder = persist_run_folder(driver, dom->name, dom->uuid);
    g_autofree char *log_path = persist_log_path(driver, dom->name);
    VmReconnectOptions options = {.run_dir = folder, .log_path = log_path, .timeout_ms = RECONNECT_MS};

    lock_acquire(&dom->lock);
    options.pid = dom->pid;
    options.start_time = dom->pid_start;
    lock_release(&dom->lock);
    if (!domain_still_running(dom, run, error))
        return FALSE;
    return ops->reconnect(driver->backend_config, live, &options, &domain_vm_callbacks, domain_ref(dom),
                          (GDestroyNotify)domain_unref, ret_vm, ret_info, error);
}

/* Kinds that a guest can give back; with the alias as their name below /machine/peripheral. */
static gboolean may_have_gone(const DeviceInfo *dev)
{
    const DiskDef *disk = (const DiskDef *)dev;

    switch (dev->kind) {
    case DEVICE_DISK:
        return disk->bus == DISK_BUS_VIRTIO || disk->bus == DISK_BUS_SCSI || disk->bus == DISK_BUS_USB;
    case DEVICE_INTERFACE:
    case DEVICE_HOSTDEV:
    case DEVICE_REDIRDEV:
    case DEVICE_RNG:
    case DEVICE_SHMEM:
    case DEVICE_MEMORY:
        return TRUE;
    default:
        return FALSE;
    }
}

static gboolean is_listed(const json_t *peripherals, const char *alias)
{
    const json_t *item;
    size_t i;

    json_array_foreach(peripherals, i, item)
    {
        if (g_strcmp0(json_string_value(json_object_get(item, "name")), alias) == 0)
            return TRUE;
    }
    return FALSE;
}

/* What the guest has given back while no daemon heard it. A VM that cannot list its devices keeps them all. */
static void drop_given_back(Domain *dom, VmProcess *vm)
{
    g_autoptr(GPtrArray) gone = g_ptr_array_new_with_free_func(g_free);
    json_t *peripherals = NULL;

    if (!vm_qom_list(vm_process_qmp(vm), "/machine/peripheral", &peripherals, NULL))
        return;
    lock_acquire(&dom->lock);
    for (guint kind = 0; dom->vm == vm && !dom->stopping && dom->live != NULL && kind < DEVICE_KIND_LAST; kind++) {
        DOMAIN_DEF_FOREACH(DeviceInfo, dev, dom->live, kind)
        {
            if (may_have_gone(dev) && dev->alias != NULL && !is_listed(peripherals, dev->alias))
                g_ptr_array_add(gone, g_strdup(dev->alias));
        }
    }
    lock_release(&dom->lock);
    json_decref(peripherals);
    for (guint i = 0; i < gone->len; i++)
        device_finish_removal(dom, vm, gone->pdata[i]);
}

static void adopt(Domain *dom, guint64 run, DomainDef *live, VmProcess *vm, VmLiveInfo *info)
{
    gboolean ended = FALSE, autodestroy;

    lock_acquire(&dom->lock);
    if (!domain_active(dom) || dom->run != run || dom->stopping) {
        lock_release(&dom->lock);
        domain_def_free(live);
        vm_live_info_free(info);
        vm_process_detach(vm);
        return;
    }
    live->id = dom->id;
    domain_put_live(dom, live);
    dom->vm = vm_process_ref(vm);
    if (dom->info != NULL && info->asked_cpu == NULL)
        info->asked_cpu = g_steal_pointer(&dom->info->asked_cpu);
    domain_put_info(dom, info);
    autodestroy = dom->autodestroy_lost;
    dom->autodestroy_lost = FALSE;
    g_cond_broadcast(&dom->stopped);
    domain_note_status(dom, info->status);
    if (strcmp(info->status, "shutdown") == 0) {
        ended = TRUE;
        if (dom->state != VIR_DOMAIN_SHUTDOWN) {
            domain_set_state(dom, VIR_DOMAIN_SHUTDOWN, VIR_DOMAIN_SHUTDOWN_UNKNOWN);
            domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_SHUTDOWN, VIR_DOMAIN_EVENT_SHUTDOWN_FINISHED);
        }
        dom->guest_shutdown = TRUE;
    }
    domain_agent_update(dom, VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_UNKNOWN);
    lock_release(&dom->lock);
    vm_process_publish(vm);
    if (!ended)
        drop_given_back(dom, vm);
    domain_save_status(dom);
    if (autodestroy)
        domain_destroy(dom, VIR_DOMAIN_SHUTOFF_DESTROYED, FALSE, NULL);
    else if (ended)
        domain_end_process(dom, vm);
}

/* A copy of what runs. NULL, and *error set, also when the run has ended: destroy waits for nobody. The modify
 * lock keeps the original alive while it is read. */
static DomainDef *copy_live(Domain *dom, guint64 run, GError **error)
{
    const DomainDef *live = NULL;

    lock_acquire(&dom->lock);
    if (domain_active(dom) && dom->run == run && !dom->stopping)
        live = dom->live;
    lock_release(&dom->lock);
    if (live != NULL)
        return domain_def_copy(live, domain_env(NULL), error);
    error_set(error, VIR_ERR_OPERATION_FAILED, "domain is no longer running");
    return NULL;
}

static void reconnect(Domain *dom, const BackendOps *ops)
{
    gboolean warned = FALSE;
    guint64 run;

    lock_acquire(&dom->lock);
    run = dom->run;
    lock_release(&dom->lock);
    for (;;) {
        g_autoptr(GError) error = NULL;
        g_autoptr(VmProcess) vm = NULL;
        VmLiveInfo *info = NULL;
        g_autoptr(DomainDef) live = copy_live(dom, run, &error);

        if (live != NULL && try_reconnect(dom, ops, run, live, &vm, &info, &error)) {
            adopt(dom, run, g_steal_pointer(&live), vm, info);
            log_info("domain '%s' (%s) runs on, pid %d", dom->name, dom->uuid_text, (int)vm_process_pid(vm));
            return;
        }
        if (!domain_still_running(dom, run, NULL)) {
            if (vm != NULL)
                vm_process_detach(vm);
            return;
        }
        if (vm == NULL) {
            log_warning("domain '%s' (%s) is not found again: %s", dom->name, dom->uuid_text, error->message);
            domain_finish_run(dom, run);
            return;
        }
        /* It lives and does not answer. Its state is told from the status file until it does; destroy works.
         */
        if (!warned)
            log_warning("domain '%s' (%s): %s; trying on", dom->name, dom->uuid_text, error->message);
        warned = TRUE;
        vm_process_detach(vm);
    }
}

static void work_reconnect(Domain *dom, gpointer ops)
{
    own_job(dom);
    reconnect(dom, ops);
    domain_job_end(dom);
}

/* What an earlier daemon has put around a VM that is no more. */
static void clear_placement(Driver *driver, const char *folder)
{
    g_autoptr(Cgroup) cgroup = placement_find(driver, folder);

    placement_end(cgroup);
}

static gboolean adopt_status(Driver *driver, const char *folder, StatusFile *status, GError **error)
{
    const BackendOps *ops = backend_by_name(status->backend);
    g_autoptr(Cgroup) cgroup = NULL;
    g_autoptr(Domain) dom = NULL;
    PerfEvents *perf;

    if (ops == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "there is no back end '%s'", status->backend);
    dom =
        domain_list_claim(driver->domains, status->def->uuid, status->def->name, DOMAIN_CLAIM_DEFINE, error);
    if (dom == NULL)
        return FALSE;
    if (!process_is(status->pid, status->start_time)) {
        log_warning("domain '%s' (%s) has ended while no daemon was running", dom->name, dom->uuid_text);
        ops->cleanup(driver->backend_config, status->def, folder);
        clear_placement(driver, folder);
        persist_remove_run_folder(folder);
        lock_acquire(&dom->lock);
        dom->reason = status->shutdown_reason != 0           ? status->shutdown_reason
                      : status->state == VIR_DOMAIN_SHUTDOWN ? VIR_DOMAIN_SHUTOFF_SHUTDOWN
                                                             : VIR_DOMAIN_SHUTOFF_CRASHED;
        lock_release(&dom->lock);
        domain_list_abandon(driver->domains, dom);
        return TRUE;
    }
    cgroup = placement_find(driver, folder);
    if (cgroup != NULL && !cgroup_holds(cgroup, status->pid))
        g_clear_pointer(&cgroup, cgroup_unref);
    perf = placement_restart_perf(status->def, status->pid);
    take_job(dom);
    status->id = domain_list_activate(driver->domains, dom, status->id); /* takes the state lock */
    status->def->id = status->id;
    domain_put_live(dom, g_steal_pointer(&status->def));
    domain_put_info(dom, g_steal_pointer(&status->info));
    dom->pid = status->pid;
    dom->pid_start = status->start_time;
    dom->cgroup = g_steal_pointer(&cgroup);
    dom->perf = perf;
    dom->run++;
    dom->updated = status->updated;
    dom->fake_reboot = status->fake_reboot;
    dom->guest_shutdown = status->guest_shutdown;
    dom->autodestroy_lost = status->autodestroy;
    dom->taints = status->taints;
    dom->deprecations = g_steal_pointer(&status->deprecations);
    dom->listed = TRUE;
    domain_set_state(dom, status->state, status->reason);
    lock_release(&dom->lock);
    driver_hold(driver);
    /* Cut down in the middle of its start, or of its end. */
    if (status->shutdown_reason != 0 ||
        (status->state == VIR_DOMAIN_PAUSED && status->reason == VIR_DOMAIN_PAUSED_STARTING_UP)) {
        own_job(dom);
        domain_destroy(dom,
                       status->shutdown_reason != 0 ? status->shutdown_reason : VIR_DOMAIN_SHUTOFF_FAILED,
                       FALSE, NULL);
        domain_job_end(dom);
        return TRUE;
    }
    domain_defer(dom, work_reconnect, (gpointer)ops, NULL);
    return TRUE;
}

static void found_run(const char *folder, const char *text, gpointer data)
{
    Driver *driver = data;
    g_auto(StatusFile) status = {0};
    g_autoptr(GError) error = NULL;

    if (text == NULL) {
        /* Whoever was killed in the middle of a start left a house that is not lived in. */
        processes_kill_of(folder);
        backend_qemu.cleanup(driver->backend_config, NULL, folder);
        clear_placement(driver, folder);
        persist_remove_run_folder(folder);
        return;
    }
    if (!status_file_parse(text, domain_env(NULL), &status, &error) ||
        !adopt_status(driver, folder, &status, &error))
        log_error("run folder '%s' is left alone, its VM is not managed: %s", folder, error->message);
}

/* --- autostart ------------------------------------------------------------------------------------------ */

static void work_autostart(Domain *dom, gpointer unused)
{
    const DomainStart start = {.started_detail = VIR_DOMAIN_EVENT_STARTED_BOOTED};
    g_autoptr(GError) error = NULL;
    gboolean active;

    if (!domain_job_begin(dom, "autostart", &error)) {
        log_error("domain '%s' is not started with the host: %s", dom->name, error->message);
        return;
    }
    lock_acquire(&dom->lock);
    active = domain_active(dom);
    lock_release(&dom->lock);
    if (!active && !domain_start(dom, NULL, &start, &error))
        log_error("domain '%s' could not be started with the host: %s", dom->name, error->message);
    domain_job_end(dom);
}

static void autostart(Driver *driver)
{
    g_autoptr(GPtrArray) marked = NULL;

    if (!persist_first_start(driver) || (driver->config != NULL && !driver->config->autostart_domains))
        return;
    marked = domain_list_collect(driver->domains,
                                 VIR_CONNECT_LIST_DOMAINS_AUTOSTART | VIR_CONNECT_LIST_DOMAINS_INACTIVE, NULL,
                                 NULL, NULL);
    for (guint i = 0; i < marked->len; i++)
        domain_defer(g_ptr_array_index(marked, i), work_autostart, NULL, NULL);
}

/* --- start and stop ------------------------------------------------------------------------------------- */

guint domain_layer_start(Driver *driver)
{
    guint loaded;

    event_registry_set_resync(driver->events, EVENT_KIND_DOMAIN, domain_events_resync, driver->domains);
    loaded = persist_load_configs(driver, driver->domains);
    persist_scan_runs(driver, found_run, driver);
    autostart(driver);
    return loaded;
}

gboolean domain_layer_stop(Driver *driver)
{
    g_autoptr(GPtrArray) active =
        domain_list_collect(driver->domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE, NULL, NULL, NULL);

    for (guint i = 0; i < active->len; i++) {
        Domain *dom = g_ptr_array_index(active, i);
        VmProcess *vm;

        domain_save_status(dom);
        lock_acquire(&dom->lock);
        vm = g_steal_pointer(&dom->vm);
        domain_agent_drop(dom);
        lock_release(&dom->lock);
        if (vm == NULL)
            continue;
        vm_process_detach(vm);
        vm_process_unref(vm);
    }
    return domain_defer_drain();
}
