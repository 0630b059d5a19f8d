/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of a run. See domain_run.h; what makes destroy independent of every lock stands in domain.h. */
#define LOG_SOURCE "domain.run"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "driver/backend/backend.h"
#include "driver/backend/swtpm.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_events.h"
#include "driver/domain/domain_list.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/domain_run.h"
#include "driver/domain/domain_taint.h"
#include "driver/domain/persist.h"
#include "driver/domain/placement.h"
#include "driver/driver.h"

enum {
    POLITE_MS = 200, /* what a healthy VM gets to flush its image metadata before SIGKILL */
    KILL_MS = 15000, /* until a killed process must be gone (it may hang in the kernel on its storage) */
    GRACEFUL_MS = 10000 /* default of stop_timeout */
};

int domain_stopped_detail(int shutoff_reason)
{
    switch (shutoff_reason) {
    case VIR_DOMAIN_SHUTOFF_DESTROYED:
        return VIR_DOMAIN_EVENT_STOPPED_DESTROYED;
    case VIR_DOMAIN_SHUTOFF_CRASHED:
        return VIR_DOMAIN_EVENT_STOPPED_CRASHED;
    case VIR_DOMAIN_SHUTOFF_MIGRATED:
        return VIR_DOMAIN_EVENT_STOPPED_MIGRATED;
    case VIR_DOMAIN_SHUTOFF_SAVED:
        return VIR_DOMAIN_EVENT_STOPPED_SAVED;
    case VIR_DOMAIN_SHUTOFF_FAILED:
        return VIR_DOMAIN_EVENT_STOPPED_FAILED;
    case VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT:
        return VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT;
    default:
        return VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN;
    }
}

/* Why the run ended, when nobody has said so before. */
static void decide_reason(Domain *dom, VmProcess *vm, int *ret_reason, int *ret_detail)
{
    const VmExit *exit = vm != NULL ? vm_process_exit(vm) : NULL;

    if (dom->stop_reason != 0) {
        *ret_reason = dom->stop_reason;
        *ret_detail = domain_stopped_detail(dom->stop_reason);
    } else if (dom->guest_shutdown) {
        *ret_reason = VIR_DOMAIN_SHUTOFF_SHUTDOWN;
        *ret_detail = VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN;
    } else {
        g_autofree char *words =
            exit != NULL ? vm_exit_describe(exit) : g_strdup("it was not there any more");

        *ret_reason = VIR_DOMAIN_SHUTOFF_CRASHED;
        *ret_detail = VIR_DOMAIN_EVENT_STOPPED_FAILED;
        log_error("domain '%s' (%s) ended by itself: %s", dom->name, dom->uuid_text, words);
    }
}

/* The first one does it, the others wait until all of it is done: whoever has ended a domain may start or
 * define it anew the moment after. */
static gboolean claim_end(Domain *dom, guint64 run)
{
    LOCK_SCOPE(&dom->lock);

    if (dom->run == run && domain_active(dom) && !dom->stopping) {
        dom->stopping = TRUE;
        return TRUE;
    }
    while (dom->ended_run < run)
        lock_wait(&dom->lock, &dom->stopped, -1);
    return FALSE;
}

void domain_finish_run(Domain *dom, guint64 run)
{
    Driver *driver = dom->driver;
    g_autofree char *folder = NULL;
    const BackendOps *ops;
    VmProcess *vm;
    int reason, detail;
    gboolean transient;

    if (!claim_end(dom, run))
        return;
    /* While stopping is set nobody changes the live definition, the name, or vm. */
    folder = persist_run_folder(driver, dom->name, dom->uuid);
    ops = dom->vm != NULL ? vm_process_backend(dom->vm) : backend_choose(dom->live, NULL);
    if (ops != NULL)
        ops->cleanup(driver->backend_config, dom->live, folder);
    placement_end(dom->cgroup);
    persist_remove_run_folder(folder);
    domain_list_deactivate(dom->list, dom);

    lock_acquire(&dom->lock);
    while (dom->defining)
        lock_wait(&dom->lock, &dom->stopped, -1);
    decide_reason(dom, dom->vm, &reason, &detail);
    vm = g_steal_pointer(&dom->vm);
    domain_put_info(dom, NULL);
    domain_agent_drop(dom);
    g_clear_pointer(&dom->disk_errors, g_free);
    g_clear_pointer(&dom->cgroup, cgroup_unref);
    g_clear_pointer(&dom->perf, perf_events_unref);
    dom->pid = 0;
    transient = dom->config == NULL;
    if (transient) {
        /* Whoever holds a reference may still look at what it was. */
        dom->live->id = -1;
        swtpm_forget(dom->live, driver->paths->data_dir, 0);
        dom->removed = TRUE;
    } else {
        domain_put_live(dom, NULL);
    }
    domain_set_state(dom, VIR_DOMAIN_SHUTOFF, reason);
    dom->stop_reason = dom->pause_reason = dom->run_reason = 0;
    dom->guest_shutdown = dom->fake_reboot = dom->paused_shutdown = dom->updated = FALSE;
    domain_taint_clear(dom);
    dom->autodestroy = NULL;
    if (transient) {
        /* Its name and uuid are free before anybody hears that it has gone. */
        lock_release(&dom->lock);
        domain_list_remove(dom->list, dom);
        lock_acquire(&dom->lock);
    }
    domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_STOPPED, detail);
    driver_release(driver);
    dom->ended_run = run;
    dom->stopping = FALSE;
    g_cond_broadcast(&dom->stopped);
    lock_release(&dom->lock);

    if (vm != NULL)
        vm_process_unref(vm);
    log_info("domain '%s' (%s) is shut off", dom->name, dom->uuid_text);
}

/* --- killing -------------------------------------------------------------------------------------------- */

/* A process that is stopped or traced will not act on SIGTERM. */
static gboolean is_stopped(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *text = NULL;
    const char *end;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return FALSE;
    end = strrchr(text, ')'); /* the name before it may hold anything */
    return end != NULL && (g_str_has_prefix(end, ") T") || g_str_has_prefix(end, ") t"));
}

static guint graceful_ms(Driver *driver)
{
    return driver->config != NULL ? driver->config->stop_timeout * 1000 : GRACEFUL_MS;
}

static gboolean end_vm(Domain *dom, VmProcess *vm, gboolean graceful, GError **error)
{
    if (graceful) {
        vm_process_kill(vm, FALSE);
        if (vm_process_wait(vm, graceful_ms(dom->driver)))
            return TRUE;
        return error_set(
            error, VIR_ERR_SYSTEM_ERROR,
            "Failed to terminate process %d with SIGTERM: Device or resource busy; destroy without "
            "--graceful ends it",
            (int)vm_process_pid(vm));
    }
    if (!is_stopped(vm_process_pid(vm))) {
        vm_process_kill(vm, FALSE);
        if (vm_process_wait(vm, POLITE_MS))
            return TRUE;
    }
    vm_process_kill(vm, TRUE);
    if (vm_process_wait(vm, KILL_MS))
        return TRUE;
    return error_set(error, VIR_ERR_SYSTEM_ERROR,
                     "Failed to terminate process %d with SIGKILL: Device or resource busy",
                     (int)vm_process_pid(vm));
}

/* After a restart of the daemon, before the monitor is found again: there is only a pid, and when it started.
 */
static gboolean end_pid(pid_t pid, guint64 start_time, GError **error)
{
    autofd pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    gint64 deadline = g_get_monotonic_time() + KILL_MS * G_GINT64_CONSTANT(1000);

    if (pidfd < 0 || !process_is(pid, start_time))
        return TRUE;
    if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        return error_set_errno(error, errno, "cannot kill process %d", (int)pid);
    while (process_is(pid, start_time)) {
        GPollFD poll = {.fd = pidfd, .events = G_IO_IN};

        if (g_get_monotonic_time() >= deadline)
            return error_set(error, VIR_ERR_SYSTEM_ERROR,
                             "Failed to terminate process %d with SIGKILL: Device or resource busy",
                             (int)pid);
        g_poll(&poll, 1, 100);
    }
    return TRUE;
}

/* One that is only just starting: the start fails and cleans up; wait for that. */
static gboolean cancel_start(Domain *dom, int shutoff_reason, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + KILL_MS * G_GINT64_CONSTANT(1000);

    lock_assert_held(&dom->lock);
    if (!dom->starting)
        return domain_require_active(dom, error);
    dom->stop_reason = shutoff_reason;
    if (dom->vm != NULL)
        vm_process_kill(dom->vm, TRUE);
    while (dom->starting) {
        if (!lock_wait(&dom->lock, &dom->stopped, deadline))
            return error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                             "the start of domain '%s' is being cut short, but has not ended yet", dom->name);
    }
    return TRUE;
}

gboolean domain_destroy(Domain *dom, int shutoff_reason, gboolean graceful, GError **error)
{
    g_autoptr(VmProcess) vm = NULL;
    guint64 run, start_time;
    pid_t pid;

    lock_acquire(&dom->lock);
    if (!domain_active(dom)) {
        gboolean done = cancel_start(dom, shutoff_reason, error);

        lock_release(&dom->lock);
        return done;
    }
    run = dom->run;
    pid = dom->pid;
    start_time = dom->pid_start;
    vm = dom->vm != NULL ? vm_process_ref(dom->vm) : NULL;
    if (dom->stop_reason == 0)
        dom->stop_reason = shutoff_reason;
    dom->fake_reboot = FALSE;
    lock_release(&dom->lock);

    if (!(vm != NULL ? end_vm(dom, vm, graceful, error) : end_pid(pid, start_time, error))) {
        lock_acquire(&dom->lock);
        if (dom->run == run && domain_active(dom) && !dom->stopping)
            dom->stop_reason = 0;
        lock_release(&dom->lock);
        return FALSE;
    }
    domain_finish_run(dom, run);
    return TRUE;
}

void domain_end_process(Domain *dom, VmProcess *vm)
{
    vm_process_kill(vm, FALSE);
    if (vm_process_wait(vm, graceful_ms(dom->driver)))
        return;
    log_warning("domain '%s' (%s) has shut down, but its process %d does not end and is killed", dom->name,
                dom->uuid_text, (int)vm_process_pid(vm));
    vm_process_kill(vm, TRUE);
}
