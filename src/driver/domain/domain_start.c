/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting a domain, and letting its guest run and stand. See domain_run.h. */
#define LOG_SOURCE "domain.run"

#include <string.h>

#include "common/log.h"
#include "driver/backend/backend.h"
#include "driver/backend/monitor.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_events.h"
#include "driver/domain/domain_list.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/domain_run.h"
#include "driver/domain/domain_taint.h"
#include "driver/domain/persist.h"
#include "driver/domain/placement.h"
#include "driver/driver.h"
#include "driver/host/qemu_caps.h"
#include "driver/rpc/client.h"

/* Said before the definition is looked at: a transient domain that runs has none to start from. */
static gboolean may_start(Domain *dom, const DomainDef *given, GError **error)
{
    LOCK_SCOPE(&dom->lock);

    if (!dom->stopping && domain_active(dom))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "domain is already running");
    if (given == NULL && dom->config == NULL)
        return error_set(error, VIR_ERR_NO_DOMAIN, "domain '%s' is transient and has just ended", dom->name);
    return TRUE;
}

/* What to run: a private definition with addresses and aliases, and who will run it. */
static DomainDef *prepare(Domain *dom, DomainDef *given, const BackendOps **ret_ops, GError **error)
{
    g_autoptr(DomainDef) def = given;
    const DomainDefEnv *env = domain_env(dom->driver);

    /* The holder of the modify lock may read the definition without the state lock. */
    if (def == NULL)
        def = domain_def_copy_inactive(dom->config, domain_env(NULL), error);
    if (def == NULL || !domain_def_assign_addresses(def, env, error))
        return NULL;
    domain_def_assign_aliases(def);
    *ret_ops = backend_choose(def, error);
    return *ret_ops != NULL ? g_steal_pointer(&def) : NULL;
}

/* Start() has made the process: destroy may kill it, a new daemon may find it. */
static void spawned(VmProcess *vm, gpointer opaque)
{
    Domain *dom = opaque;

    placement_spawned(dom->placement, vm_process_pid(vm));
    LOCK_SCOPE(&dom->lock);
    dom->vm = vm_process_ref(vm);
    dom->pid = vm_process_pid(vm);
    dom->pid_start = vm_process_start_time(vm);
    if (dom->stop_reason != 0)
        vm_process_kill(vm, TRUE);
}

static gboolean claim_start(Domain *dom, const DomainStart *start, GError **error)
{
    LOCK_SCOPE(&dom->lock);

    /* The end of the run before has its last words still to say; they must not hit this one. */
    while (dom->stopping)
        lock_wait(&dom->lock, &dom->stopped, -1);
    if (domain_active(dom))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "domain is already running");
    if (dom->removed)
        return error_set(error, VIR_ERR_NO_DOMAIN, "domain '%s' is transient and has just ended", dom->name);
    dom->starting = TRUE;
    dom->stop_reason = 0;
    dom->pause_reason = dom->run_reason = 0;
    dom->guest_shutdown = dom->fake_reboot = dom->paused_shutdown = FALSE;
    domain_taint_clear(dom);
    return TRUE;
}

/* A VM whose status file was damaged is nobody's and runs on: a second one beside it would write to the same
 * disks. */
static gboolean nobody_in(const Domain *dom, const char *folder, GError **error)
{
    g_autofree char *status = g_build_filename(folder, "status.xml", NULL);
    pid_t pid = g_file_test(status, G_FILE_TEST_EXISTS) ? process_find_of(folder) : 0;

    return pid == 0 || error_set(error, VIR_ERR_OPERATION_FAILED,
                                 "domain '%s' runs already: process %d, which cannot be managed as '%s' is "
                                 "damaged; end it first",
                                 dom->name, (int)pid, status);
}

/* A start that came to nothing: as before. */
static void unclaim_start(Domain *dom, const char *folder, GError **error)
{
    if (folder != NULL)
        persist_remove_run_folder(folder);
    LOCK_SCOPE(&dom->lock);
    if (dom->stop_reason != 0 && error != NULL) {
        g_clear_error(error);
        error_set(error, VIR_ERR_OPERATION_ABORTED, "domain '%s' was destroyed while it was starting",
                  dom->name);
    }
    g_clear_pointer(&dom->vm, vm_process_unref);
    dom->pid = 0;
    dom->starting = FALSE;
    dom->stop_reason = 0;
    domain_set_state(dom, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_FAILED);
    g_cond_broadcast(&dom->stopped);
}

/* The VM exists and its guest stands still: from here on the domain is active. */
static guint64 publish_run(Domain *dom, int reserved, DomainDef *live, VmProcess *vm, VmLiveInfo *info,
                           Cgroup *cgroup, PerfEvents *perf, const DomainStart *start)
{
    guint64 run;

    live->id = domain_list_activate(dom->list, dom, reserved); /* takes the state lock */
    domain_put_live(dom, live);
    g_clear_pointer(&dom->vm, vm_process_unref);
    dom->vm = vm_process_ref(vm);
    dom->pid = vm_process_pid(vm);
    dom->pid_start = vm_process_start_time(vm);
    domain_put_info(dom, info);
    dom->cgroup = cgroup;
    dom->perf = perf;
    dom->updated = FALSE;
    dom->autodestroy = (start->flags & VIR_DOMAIN_START_AUTODESTROY) ? start->client : NULL;
    dom->starting = FALSE;
    run = ++dom->run;
    domain_set_state(dom, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_STARTING_UP);
    domain_agent_update(dom, VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_DOMAIN_STARTED);
    dom->listed = TRUE; /* a transient one: found before it is announced */
    driver_hold(dom->driver);
    lock_release(&dom->lock);
    return run;
}

static gboolean announce_start(Domain *dom, guint64 run, const DomainStart *start, GError **error)
{
    LOCK_SCOPE(&dom->lock);

    if (!domain_active(dom) || dom->run != run || dom->stopping || dom->stop_reason != 0)
        return error_set(error, VIR_ERR_OPERATION_FAILED, "domain '%s' ended right after its start",
                         dom->name);
    domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_STARTED, start->started_detail);
    /* Who only cares for on and off hears STARTED in any case; who cares for paused hears that too. */
    if (start->flags & VIR_DOMAIN_START_PAUSED) {
        domain_set_state(dom, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_USER);
        domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_PAUSED);
    }
    return TRUE;
}

static gboolean run_guest(Domain *dom, VmProcess *vm, guint64 run, const DomainStart *start, GError **error)
{
    int reason = start->run_reason != 0 ? start->run_reason : VIR_DOMAIN_RUNNING_BOOTED;

    vm_process_publish(vm);
    if (!(start->flags & VIR_DOMAIN_START_PAUSED) && !domain_resume_guest(dom, vm, reason, error))
        return FALSE;
    return announce_start(dom, run, start, error);
}

/* The guest stands ready, but its process cannot be placed: as if it had never been. */
static void undo_start(Domain *dom, const BackendOps *ops, DomainDef *live, VmProcess *vm, const char *folder)
{
    vm_process_kill(vm, TRUE);
    vm_process_wait(vm, 5000);
    vm_process_detach(vm);
    ops->cleanup(dom->driver->backend_config, live, folder);
}

/* Without it the next daemon would know nothing of this VM and nobody could end it: the start fails. */
static gboolean save_first_status(Domain *dom, guint64 run, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (persist_write_status(dom, &cause))
        return TRUE;
    LOCK_SCOPE(&dom->lock);
    if (dom->run != run || dom->stopping || dom->stop_reason != 0)
        return TRUE; /* it has ended meanwhile, and its folder with it; who runs it finds out */
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

static void taint_start(Domain *dom, const BackendOps *ops, const DomainDef *live)
{
    QemuCapsCache *cache = dom->driver->qemu_caps;
    g_autoptr(QemuCaps) caps =
        ops == &backend_qemu && cache != NULL ? qemu_caps_cache_get(cache, live->emulator, NULL) : NULL;

    domain_taint_start(dom, live, caps);
}

gboolean domain_start(Domain *dom, DomainDef *given, const DomainStart *start, GError **error)
{
    Driver *driver = dom->driver;
    const BackendOps *ops = NULL;
    g_autoptr(DomainDef) live = NULL;
    g_autofree char *folder = NULL;
    g_autofree char *log_path = NULL;
    g_autoptr(VmProcess) vm = NULL;
    VmLiveInfo *info = NULL;
    Cgroup *cgroup = NULL;
    PerfEvents *perf = NULL;
    Placement *placement;
    gint64 begun = g_get_monotonic_time();
    int id = domain_list_reserve_id(dom->list);
    gboolean started;
    guint64 run;

    g_assert(domain_job_held(dom));
    if (!may_start(dom, given, error)) {
        domain_def_free(given);
        return FALSE;
    }
    live = prepare(dom, given, &ops, error);
    if (live == NULL || !claim_start(dom, start, error))
        return FALSE;
    folder = persist_run_folder(driver, dom->name, dom->uuid);
    log_path = persist_log_path(driver, dom->name);
    if (!nobody_in(dom, folder, error)) {
        unclaim_start(dom, NULL, error);
        return FALSE;
    }
    ops->cleanup(driver->backend_config, NULL, folder);
    if (!persist_make_run_folder(folder, error)) {
        unclaim_start(dom, NULL, error);
        return FALSE;
    }

    VmStartOptions options = {.run_dir = folder,
                              .lib_dir = driver->paths->data_dir,
                              .log_path = log_path,
                              .incoming_fd = -1,
                              .reset_nvram = (start->flags & VIR_DOMAIN_START_RESET_NVRAM) != 0,
                              .timeout_ms = driver->config != NULL ? driver->config->start_timeout * 1000 : 0,
                              .spawned = spawned};
    dom->placement = placement = placement_new(dom, live, id, folder, error);
    if (placement == NULL) {
        unclaim_start(dom, folder, error);
        return FALSE;
    }
    placement_options(placement, &options);
    started = backend_start(ops, driver->backend_config, live, &options, &domain_vm_callbacks, domain_ref(dom),
                            (GDestroyNotify)domain_unref, &vm, &info, error);
    dom->placement = NULL;
    if (!started || !placement_finish(placement, info, &cgroup, &perf, error)) {
        if (started)
            undo_start(dom, ops, live, vm, folder);
        placement_abandon(placement);
        vm_live_info_free(info);
        unclaim_start(dom, folder, error);
        return FALSE;
    }

    taint_start(dom, ops, live);
    run = publish_run(dom, id, g_steal_pointer(&live), vm, info, cgroup, perf, start);
    if (!save_first_status(dom, run, error) || !run_guest(dom, vm, run, start, error)) {
        lock_acquire(&dom->lock);
        if (dom->run == run && dom->stop_reason == 0)
            dom->stop_reason = VIR_DOMAIN_SHUTOFF_FAILED;
        lock_release(&dom->lock);
        vm_process_kill(vm, TRUE);
        vm_process_wait(vm, 5000);
        domain_finish_run(dom, run);
        return FALSE;
    }
    domain_save_status(dom);
    log_info("domain '%s' (%s) started in %" G_GINT64_FORMAT " ms, pid %d", dom->name, dom->uuid_text,
             (g_get_monotonic_time() - begun) / 1000, (int)vm_process_pid(vm));
    /* Who asked for autodestroy may have gone meanwhile: then nobody else will do it. */
    if ((start->flags & VIR_DOMAIN_START_AUTODESTROY) && client_closed(start->client))
        domain_destroy(dom, VIR_DOMAIN_SHUTOFF_DESTROYED, FALSE, NULL);
    return TRUE;
}

/* --- run and stand -------------------------------------------------------------------------------------- */

static int resumed_detail(int running_reason)
{
    switch (running_reason) {
    case VIR_DOMAIN_RUNNING_RESTORED:
    case VIR_DOMAIN_RUNNING_FROM_SNAPSHOT:
        return VIR_DOMAIN_EVENT_RESUMED_FROM_SNAPSHOT;
    case VIR_DOMAIN_RUNNING_MIGRATED:
    case VIR_DOMAIN_RUNNING_MIGRATION_CANCELED:
        return VIR_DOMAIN_EVENT_RESUMED_MIGRATED;
    case VIR_DOMAIN_RUNNING_POSTCOPY:
        return VIR_DOMAIN_EVENT_RESUMED_POSTCOPY;
    case VIR_DOMAIN_RUNNING_POSTCOPY_FAILED:
        return VIR_DOMAIN_EVENT_RESUMED_POSTCOPY_FAILED;
    default:
        return VIR_DOMAIN_EVENT_RESUMED_UNPAUSED;
    }
}

static int suspended_detail(int paused_reason)
{
    switch (paused_reason) {
    case VIR_DOMAIN_PAUSED_MIGRATION:
        return VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED;
    case VIR_DOMAIN_PAUSED_IOERROR:
        return VIR_DOMAIN_EVENT_SUSPENDED_IOERROR;
    case VIR_DOMAIN_PAUSED_WATCHDOG:
        return VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG;
    case VIR_DOMAIN_PAUSED_FROM_SNAPSHOT:
        return VIR_DOMAIN_EVENT_SUSPENDED_FROM_SNAPSHOT;
    case VIR_DOMAIN_PAUSED_POSTCOPY:
        return VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY;
    case VIR_DOMAIN_PAUSED_POSTCOPY_FAILED:
        return VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY_FAILED;
    default:
        return VIR_DOMAIN_EVENT_SUSPENDED_PAUSED;
    }
}

void domain_note_resumed(Domain *dom)
{
    int reason = dom->run_reason != 0 ? dom->run_reason : VIR_DOMAIN_RUNNING_UNPAUSED;

    lock_assert_held(&dom->lock);
    dom->run_reason = 0;
    if (!domain_active(dom) || dom->stopping || dom->stop_reason != 0 || dom->state == VIR_DOMAIN_RUNNING)
        return;
    domain_set_state(dom, VIR_DOMAIN_RUNNING, reason);
    domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_RESUMED, resumed_detail(reason));
    domain_save_status_soon(dom);
}

void domain_note_paused(Domain *dom)
{
    int reason = dom->pause_reason;

    lock_assert_held(&dom->lock);
    dom->pause_reason = 0;
    if (!domain_active(dom) || dom->stopping || dom->stop_reason != 0 || dom->state != VIR_DOMAIN_RUNNING ||
        dom->paused_shutdown)
        return;
    domain_set_state(dom, VIR_DOMAIN_PAUSED, reason);
    domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_SUSPENDED, suspended_detail(reason));
    domain_save_status_soon(dom);
}

/* The event has usually been here before the reply; a back end that sends none is no reason to lie. */
gboolean domain_resume_guest(Domain *dom, VmProcess *vm, int running_reason, GError **error)
{
    gboolean done;

    g_assert(domain_job_held(dom));
    lock_acquire(&dom->lock);
    dom->run_reason = running_reason;
    lock_release(&dom->lock);
    done = vm_cont(vm_process_qmp(vm), error);
    LOCK_SCOPE(&dom->lock);
    if (done && dom->vm == vm && dom->run_reason != 0)
        domain_note_resumed(dom);
    dom->run_reason = 0;
    return done;
}

gboolean domain_pause_guest(Domain *dom, VmProcess *vm, int paused_reason, GError **error)
{
    gboolean done;

    g_assert(domain_job_held(dom));
    lock_acquire(&dom->lock);
    dom->pause_reason = paused_reason;
    lock_release(&dom->lock);
    done = vm_stop(vm_process_qmp(vm), error);
    LOCK_SCOPE(&dom->lock);
    if (done && dom->vm == vm && dom->pause_reason != 0)
        domain_note_paused(dom);
    dom->pause_reason = 0;
    return done;
}

void domain_fake_reboot(Domain *dom, VmProcess *vm, int running_reason)
{
    g_autoptr(GError) error = NULL;
    gboolean done = domain_job_begin_active(dom, "reboot", &error);

    if (done) {
        done = vm_system_reset(vm_process_qmp(vm), &error) &&
               domain_resume_guest(dom, vm, running_reason, &error);
        domain_job_end(dom);
    }
    lock_acquire(&dom->lock);
    dom->paused_shutdown = dom->fake_reboot = FALSE;
    if (!done && dom->vm == vm && dom->stop_reason == 0)
        dom->stop_reason = VIR_DOMAIN_SHUTOFF_FAILED;
    domain_save_status_soon(dom);
    lock_release(&dom->lock);
    if (done)
        return;
    log_error("domain '%s' (%s) could not be rebooted and is ended: %s", dom->name, dom->uuid_text,
              error->message);
    vm_process_kill(vm, TRUE);
}

/* --- what it says itself -------------------------------------------------------------------------------- */

/* QMP's RunState -> libvirt's state and reason, as libvirt's QEMU driver maps them. */
static const struct {
    const char *status;
    int state, reason;
} run_states[] = {
    {"running", VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_UNKNOWN},
    {"debug", VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_UNKNOWN},
    {"finish-migrate", VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION},
    {"postmigrate", VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION},
    {"inmigrate", VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION},
    {"internal-error", VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_UNKNOWN},
    {"io-error", VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_IOERROR},
    {"paused", VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_USER},
    {"prelaunch", VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_STARTING_UP},
    {"restore-vm", VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION},
    {"save-vm", VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_SAVE},
    {"shutdown", VIR_DOMAIN_SHUTDOWN, VIR_DOMAIN_SHUTDOWN_USER},
    {"suspended", VIR_DOMAIN_PMSUSPENDED, VIR_DOMAIN_PMSUSPENDED_UNKNOWN},
    {"watchdog", VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_WATCHDOG},
    {"guest-panicked", VIR_DOMAIN_CRASHED, VIR_DOMAIN_CRASHED_PANICKED},
    {"colo", VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION},
};

/* Our reason is better than none, as long as the state is the same. */
void domain_note_status(Domain *dom, const char *status)
{
    lock_assert_held(&dom->lock);
    for (guint i = 0; i < G_N_ELEMENTS(run_states); i++) {
        if (g_strcmp0(run_states[i].status, status) != 0)
            continue;
        if (run_states[i].state == dom->state)
            return;
        switch (run_states[i].state) {
        case VIR_DOMAIN_RUNNING:
            domain_note_resumed(dom);
            return;
        case VIR_DOMAIN_PAUSED:
            domain_set_state(dom, VIR_DOMAIN_PAUSED, run_states[i].reason);
            domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_SUSPENDED, suspended_detail(run_states[i].reason));
            break;
        case VIR_DOMAIN_CRASHED:
            domain_set_state(dom, VIR_DOMAIN_CRASHED, run_states[i].reason);
            domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_CRASHED, VIR_DOMAIN_EVENT_CRASHED_PANICKED);
            break;
        case VIR_DOMAIN_PMSUSPENDED:
            domain_set_state(dom, VIR_DOMAIN_PMSUSPENDED, run_states[i].reason);
            domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_PMSUSPENDED, VIR_DOMAIN_EVENT_PMSUSPENDED_MEMORY);
            break;
        default: /* shutdown: the caller ends it */
            break;
        }
        domain_save_status_soon(dom);
        return;
    }
}

gboolean domain_refresh_state(Domain *dom, VmProcess *vm, GError **error)
{
    VmStatus status = {0};

    if (!vm_query_status(vm_process_qmp(vm), &status, error))
        return FALSE;
    lock_acquire(&dom->lock);
    if (dom->vm == vm && !dom->stopping && dom->stop_reason == 0 && !dom->paused_shutdown)
        domain_note_status(dom, status.status);
    lock_release(&dom->lock);
    vm_status_clear(&status);
    return TRUE;
}
