/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all back ends do alike: see backend_run.h. */
#include "driver/backend/backend_run.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "driver/backend/guest_cpu.h"
#include "driver/backend/hostdev.h"
#include "driver/backend/qemu_live.h"
#include "driver/backend/tap.h"
#include "driver/backend/unix_socket.h"
#include "driver/conf/def_graphics.h"

/* --- log and environment --- */

/* Also when somebody has tidied its folder away since the daemon began. */
static int open_log(const char *path)
{
    const int flags = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;
    g_autofree char *folder = g_path_get_dirname(path);
    int fd = open(path, flags, 0600);

    if (fd < 0 && errno == ENOENT && g_mkdir_with_parents(folder, 0700) == 0)
        fd = open(path, flags, 0600);
    return fd;
}

int backend_open_log(const DomainDef *live, const VmStartOptions *options, const char *program,
                     const char *command, gint64 *ret_offset, GError **error)
{
    autofd fd = open_log(options->log_path);
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *stamp = g_date_time_format(now, "%Y-%m-%d %H:%M:%S");
    g_autofree char *text = NULL;
    struct utsname host = {0};
    struct stat st;

    if (fd < 0) {
        error_set_errno(error, errno, "cannot open the log file '%s' of domain '%s'", options->log_path,
                        live->name);
        return -1;
    }
    uname(&host);
    text = g_strdup_printf("%s.%03d+0000: starting up kite, %s, kernel: %s, hostname: %s\n%s", stamp,
                           g_date_time_get_microsecond(now) / 1000, program, host.release, host.nodename,
                           command);
    /* A full disk does not keep a guest from starting. */
    if (!fd_write_all(fd, text, strlen(text), NULL))
        log_warning("domain '%s': cannot write to its log '%s'", live->name, options->log_path);
    *ret_offset = fstat(fd, &st) == 0 ? (gint64)st.st_size : 0;
    return fd_steal(&fd);
}

char **backend_environment(const VmStartOptions *options, const GPtrArray *extra)
{
    GPtrArray *env = g_ptr_array_new();
    const char *path = g_getenv("PATH");

    g_ptr_array_add(env, g_strdup("LC_ALL=C"));
    g_ptr_array_add(env, g_strdup_printf("PATH=%s", path ? path : "/usr/sbin:/usr/bin:/sbin:/bin"));
    /* Nothing of a user's session reaches the VM: what wants a home gets the run folder. */
    g_ptr_array_add(env, g_strdup_printf("HOME=%s", options->run_dir));
    g_ptr_array_add(env, g_strdup_printf("XDG_DATA_HOME=%s/.local/share", options->run_dir));
    g_ptr_array_add(env, g_strdup_printf("XDG_CACHE_HOME=%s/.cache", options->run_dir));
    g_ptr_array_add(env, g_strdup_printf("XDG_CONFIG_HOME=%s/.config", options->run_dir));
    for (guint i = 0; extra != NULL && i < extra->len; i++)
        g_ptr_array_add(env, g_strdup(extra->pdata[i]));
    g_ptr_array_add(env, NULL);
    return (char **)g_ptr_array_free(env, FALSE);
}

/* --- start --- */

void backend_spawn_options(VmSpawn *spawn, const VmStartOptions *options)
{
    spawn->gate = options->gate;
    spawn->gate_opaque = options->gate_opaque;
    spawn->own_memory = options->own_memory;
    spawn->memory_policy = options->memory_policy;
    spawn->memory_nodes = options->memory_nodes;
    spawn->memory_nodes_max = options->memory_nodes_max;
}

gboolean backend_connect_monitor(VmProcess *vm, const char *run_dir, GError **error)
{
    g_autofree char *path = backend_run_path(run_dir, "monitor.sock");
    int fd = unix_socket_connect(path);

    if (fd < 0) {
        int cause = errno;

        error_set_errno(error, cause, "cannot connect to the monitor at '%s'", path);
        errno = cause;
        return FALSE;
    }
    vm_process_set_monitor(vm, fd);
    return TRUE;
}

/* --- finding again --- */

gboolean backend_find_again(const BackendOps *ops, const BackendConfig *config, DomainDef *live,
                            const VmReconnectOptions *options, const VmCallbacks *callbacks, gpointer opaque,
                            GDestroyNotify free_opaque, VmProcess **ret, VmLiveInfo **ret_live, GError **error)
{
    guint timeout = options->timeout_ms ? options->timeout_ms : BACKEND_RECONNECT_TIMEOUT_MS;
    g_autoptr(VmProcess) vm = NULL;
    struct stat st;
    autofd pidfd = -1;

    *ret = NULL;
    *ret_live = NULL;
    pidfd = pidfd_open(options->pid, 0);
    /* In this order: what the descriptor means is certain only when the start time is right afterwards. */
    if (pidfd < 0 || !process_is(options->pid, options->start_time)) {
        if (free_opaque != NULL)
            free_opaque(opaque);
        return error_set(error, VIR_ERR_OPERATION_FAILED, "the process %d of domain '%s' has ended",
                         (int)options->pid, live->name);
    }
    vm = vm_process_new(ops, config->context, options->pid, fd_steal(&pidfd), options->run_dir,
                        options->log_path, stat(options->log_path, &st) == 0 ? (gint64)st.st_size : 0,
                        callbacks, opaque, free_opaque);
    if (!backend_connect_monitor(vm, options->run_dir, error)) {
        if (errno == EAGAIN) {
            /* A process that stands still lets nobody in, and earlier attempts still wait at its door. */
            if (!vm_process_wait(vm, BACKEND_KNOCK_MS))
                *ret = g_steal_pointer(&vm);
            else
                vm_process_detach(vm);
            return FALSE;
        }
        vm_process_kill(vm, TRUE); /* nobody can control it any more */
        vm_process_wait(vm, BACKEND_END_TIMEOUT_MS);
        vm_process_detach(vm);
        return FALSE;
    }
    if (!qmp_client_negotiate(vm_process_qmp(vm), timeout, error) ||
        !qemu_live_read(vm_process_qmp(vm), live, ret_live, error)) {
        if (!qmp_client_is_lost(vm_process_qmp(vm))) {
            *ret = g_steal_pointer(&vm); /* lives, but does not answer */
            return FALSE;
        }
        vm_process_wait(vm, BACKEND_END_TIMEOUT_MS);
        vm_process_detach(vm);
        return FALSE;
    }
    *ret = g_steal_pointer(&vm);
    return TRUE;
}

gboolean backend_refresh(VmProcess *vm, DomainDef *live, VmLiveInfo **ret_live, GError **error)
{
    /* A VM that did not answer when it was found again has not been negotiated with. */
    return qmp_client_negotiate(vm_process_qmp(vm), BACKEND_RECONNECT_TIMEOUT_MS, error) &&
           qemu_live_read(vm_process_qmp(vm), live, ret_live, error);
}

/* --- afterwards --- */

static void remove_socket(const char *path)
{
    struct stat st;

    if (path != NULL && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
}

void backend_cleanup(const BackendConfig *config, DomainDef *live, const char *run_dir)
{
    static const DeviceKind kinds[] = {DEVICE_SERIAL, DEVICE_PARALLEL, DEVICE_CONSOLE, DEVICE_CHANNEL};
    GDir *dir = g_dir_open(run_dir, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(run_dir, name, NULL);

        remove_socket(path);
    }
    if (dir != NULL)
        g_dir_close(dir);
    if (live == NULL)
        return;
    hostdevs_give_back("/sys", live);
    DOMAIN_DEF_FOREACH(InterfaceDef, net, live, DEVICE_INTERFACE)
    {
        if (interface_is_ovs(net) && net->target != NULL)
            tap_ovs_leave(net->target);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        DOMAIN_DEF_FOREACH(ChrDef, chr, live, kinds[i])
        {
            if (chr->source.type == CHR_TYPE_UNIX && chr->source.mode == CHR_MODE_BIND)
                remove_socket(chr->source.path);
        }
    }
    DOMAIN_DEF_FOREACH(GraphicsDef, graphics, live, DEVICE_GRAPHICS)
    {
        const GraphicsListen *listen = graphics_listen(graphics);

        if (listen != NULL && listen->type == LISTEN_SOCKET)
            remove_socket(listen->socket);
    }
}
