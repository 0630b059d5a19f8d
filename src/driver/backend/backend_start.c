/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a definition to a stopped guest, ready for cont, with either back end: see backend.h. */
#include "common/error.h"
#include "common/fd.h"
#include "driver/backend/backend_run.h"
#include "driver/backend/guest_cpu.h"
#include "driver/backend/qemu_live.h"

/* The process went away, or does not answer: says so with its own last words. Replaces *error. */
static void explain(VmProcess *vm, const DomainDef *live, GError **error)
{
    gboolean timed_out = error != NULL && *error != NULL && error_is(*error, VIR_ERR_OPERATION_TIMEOUT);
    const VmExit *end;
    g_autofree char *words = NULL;

    if (timed_out)
        vm_process_kill(vm, TRUE);
    if (!vm_process_wait(vm, BACKEND_END_TIMEOUT_MS))
        return;
    end = vm_process_exit(vm);
    if (timed_out || end->killed)
        return;
    g_clear_error(error);
    if (end->last_words[0] == '\0')
        words = vm_exit_describe(end);
    error_set(error, VIR_ERR_INTERNAL_ERROR, "process exited while connecting to monitor: %s",
              words ? words : end->last_words);
}

/* From a running process to a stopped guest with everything set. */
static gboolean set_up(const BackendConfig *config, VmProcess *vm, DomainDef *live,
                       const VmStartOptions *options, const QemuHost *host, VmLiveInfo **ret_live,
                       GError **error)
{
    guint timeout = options->timeout_ms ? options->timeout_ms : BACKEND_START_TIMEOUT_MS;
    QmpClient *qmp = vm_process_qmp(vm);

    return qmp_client_negotiate(qmp, timeout, error) && qemu_host_helpers_live(host, error) &&
           qemu_live_apply(config, qmp, live, error) && qemu_live_read(qmp, live, ret_live, error) &&
           guest_cpu_read_back(qmp, live, *ret_live, error);
}

/* From a new process to a stopped guest. On failure it is ended, with its last words in the error, and detached. */
static gboolean finish_start(const BackendConfig *config, VmProcess *vm, DomainDef *live,
                             const VmStartOptions *options, QemuHost *host, VmLiveInfo **ret_live, GError **error)
{
    gboolean lost;

    if (backend_connect_monitor(vm, options->run_dir, error) &&
        set_up(config, vm, live, options, host, ret_live, error)) {
        host->kept = TRUE;
        return TRUE;
    }
    lost = vm_process_qmp(vm) == NULL || qmp_client_is_lost(vm_process_qmp(vm));
    if (lost || (error != NULL && *error != NULL && error_is(*error, VIR_ERR_OPERATION_TIMEOUT)))
        explain(vm, live, error);
    vm_process_kill(vm, TRUE);
    vm_process_wait(vm, BACKEND_END_TIMEOUT_MS);
    vm_process_detach(vm);
    g_clear_pointer(ret_live, vm_live_info_free);
    return FALSE;
}

gboolean backend_start(const BackendOps *ops, const BackendConfig *config, DomainDef *live,
                       const VmStartOptions *options, const VmCallbacks *callbacks, gpointer opaque,
                       GDestroyNotify free_opaque, VmProcess **ret, VmLiveInfo **ret_live, GError **error)
{
    g_autoptr(VmProcess) vm = NULL;
    VmLaunch launch = {0};
    gboolean ok;

    *ret = NULL;
    *ret_live = NULL;
    if (!ops->launch(config, live, options, &launch, error)) {
        if (free_opaque != NULL)
            free_opaque(opaque);
        ops->cleanup(config, NULL, options->run_dir);
        return FALSE;
    }
    fd_clear(&launch.host->monitor_fd); /* so that the monitor is lost when the process dies before it accepted us */
    vm = vm_process_new(ops, config->context, launch.pid, launch.pidfd, options->run_dir, options->log_path,
                        launch.log_offset, callbacks, opaque, free_opaque);
    if (options->spawned != NULL)
        options->spawned(vm, opaque);
    ok = finish_start(config, vm, live, options, launch.host, ret_live, error);
    launch.free_owner(launch.owner);
    if (!ok) {
        ops->cleanup(config, NULL, options->run_dir);
        return FALSE;
    }
    *ret = g_steal_pointer(&vm);
    return TRUE;
}
