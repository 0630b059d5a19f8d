/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The whole of backend.h with a back end whose VMs are fake_vm processes. See fake_backend.h. */
#include "tests/lib/fake_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "driver/backend/monitor.h"
#include "driver/conf/domain_def.h"

FakeBackend fake_backend;

static int connect_to(VmProcess *vm, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    gint64 deadline = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    while (g_get_monotonic_time() < deadline && vm_process_is_running(vm)) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
            return fd;
        close(fd);
        g_thread_yield();
    }
    return -1;
}

static VmLiveInfo *make_info(const char *status)
{
    VmLiveInfo *info = g_new0(VmLiveInfo, 1);

    info->status = g_strdup(status);
    info->running = strcmp(status, "running") == 0;
    info->n_vcpus = 1;
    info->vcpus = g_new0(VmVcpuInfo, 1);
    info->vcpus[0].online = TRUE;
    info->vcpus[0].qom_path = g_strdup("/machine/unattached/device[0]");
    return info;
}

static gboolean fake_can_run(const DomainDef *def, char **ret_reason)
{
    return TRUE;
}

static gboolean attach_monitor(VmProcess *vm, const char *run_dir, guint timeout_ms, VmLiveInfo **ret_info,
                               GError **error)
{
    g_autofree char *path = backend_run_path(run_dir, "monitor.sock");
    int fd = connect_to(vm, path);
    VmStatus status = {0};

    if (fd < 0)
        return error_set(error, VIR_ERR_OPERATION_FAILED, "no monitor");
    vm_process_set_monitor(vm, fd);
    if (!qmp_client_negotiate(vm_process_qmp(vm), timeout_ms, error) ||
        !vm_query_status(vm_process_qmp(vm), &status, error))
        return FALSE;
    *ret_info = make_info(status.status);
    vm_status_clear(&status);
    return TRUE;
}

gboolean backend_start(const BackendOps *ops, const BackendConfig *config, DomainDef *live,
                       const VmStartOptions *options, const VmCallbacks *callbacks, gpointer opaque,
                       GDestroyNotify free_opaque, VmProcess **ret, VmLiveInfo **ret_live, GError **error)
{
    g_autofree char *socket_path = backend_run_path(options->run_dir, "monitor.sock");
    const char *argv[] = {fake_backend.program, socket_path, NULL};
    const char *env[] = {NULL};
    int output = open(options->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    VmSpawn spawn = {.argv = argv, .env = env, .output_fd = output, .uid = (uid_t)-1, .gid = (gid_t)-1};
    g_autoptr(VmProcess) vm = NULL;
    pid_t pid;
    int pidfd;
    gboolean spawned;

    g_atomic_int_inc(&fake_backend.starts);
    if (fake_backend.fail_start) {
        close(output);
        free_opaque(opaque);
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "this back end is told to fail");
    }
    spawned = vm_spawn(&spawn, &pid, &pidfd, error);
    close(output);
    if (!spawned) {
        free_opaque(opaque);
        return FALSE;
    }
    vm = vm_process_new(ops, config->context, pid, pidfd, options->run_dir, options->log_path, 0, callbacks,
                        opaque, free_opaque);
    if (options->spawned != NULL)
        options->spawned(vm, opaque);
    g_mutex_lock(&fake_backend.mutex);
    while (fake_backend.hold_start && vm_process_is_running(vm))
        g_cond_wait_until(&fake_backend.go, &fake_backend.mutex, g_get_monotonic_time() + 10000);
    g_mutex_unlock(&fake_backend.mutex);
    if (!attach_monitor(vm, options->run_dir, 60000, ret_live, error)) {
        vm_process_kill(vm, TRUE);
        vm_process_wait(vm, 5000);
        vm_process_detach(vm);
        return FALSE;
    }
    *ret = g_steal_pointer(&vm);
    return TRUE;
}

static gboolean fake_reconnect(const BackendConfig *config, DomainDef *live, const VmReconnectOptions *options,
                               const VmCallbacks *callbacks, gpointer opaque, GDestroyNotify free_opaque,
                               VmProcess **ret, VmLiveInfo **ret_live, GError **error)
{
    int pidfd = pidfd_for(options->pid);

    if (pidfd < 0 || !process_is(options->pid, options->start_time)) {
        free_opaque(opaque);
        return error_set(error, VIR_ERR_OPERATION_FAILED, "the process is gone");
    }
    *ret = vm_process_new(&backend_qemu, config->context, options->pid, pidfd, options->run_dir, options->log_path, 0,
                          callbacks, opaque, free_opaque);
    if (attach_monitor(*ret, options->run_dir, 500, ret_live, error))
        return TRUE;
    return FALSE;
}

static gboolean fake_refresh(VmProcess *vm, DomainDef *live, VmLiveInfo **ret_live, GError **error)
{
    *ret_live = make_info("running");
    return TRUE;
}

static void fake_cleanup(const BackendConfig *config, DomainDef *live, const char *run_dir)
{
    g_autofree char *path = backend_run_path(run_dir, "monitor.sock");

    g_atomic_int_inc(&fake_backend.cleanups);
    unlink(path);
}

const BackendOps backend_qemu = {.name = "qemu",
                                 .can_run = fake_can_run,
                                 .reconnect = fake_reconnect,
                                 .refresh = fake_refresh,
                                 .cleanup = fake_cleanup};

const BackendOps *backend_by_name(const char *name)
{
    return strcmp(name, "qemu") == 0 ? &backend_qemu : NULL;
}

const BackendOps *backend_choose(const DomainDef *def, GError **error)
{
    return &backend_qemu;
}
