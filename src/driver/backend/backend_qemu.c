/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QEMU back end. A start:
 *
 *   abilities of the binary -> host's side (files, taps, sockets, ports: qemu_host.c) -> command line
 * (qemu_args.c) -> log header -> process, with the listening monitor socket inherited, so that connecting
 * cannot come too early -> QMP
 *   -> settings by QMP and reading back (qemu_live.c) -> a stopped guest, ready for cont
 *
 * A failure anywhere ends the process and undoes the host's side.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "driver/backend/backend.h"
#include "driver/backend/monitor.h"
#include "driver/backend/qemu_args.h"
#include "driver/backend/qemu_host.h"
#include "driver/backend/qemu_live.h"
#include "driver/backend/unix_socket.h"
#include "driver/conf/def_graphics.h"
#include "driver/host/qemu_caps.h"

enum {
    START_TIMEOUT_MS = 30000,
    RECONNECT_TIMEOUT_MS = 10000,
    END_TIMEOUT_MS = 5000, /* for a process that closed its monitor, or was killed, to be gone */
};

static gboolean qemu_can_run(const DomainDef *def, char **ret_reason)
{
    return qemu_args_supported(def, ret_reason);
}

/* --- log --- */

/* Opens the log and writes what is started. Where this run's own words begin is in *ret_offset. */
static int open_log(const DomainDef *live, const VmStartOptions *options, const QemuArgs *args,
                    const QemuCaps *caps, gint64 *ret_offset, GError **error)
{
    autofd fd = open(options->log_path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *stamp = g_date_time_format(now, "%Y-%m-%d %H:%M:%S");
    g_autofree char *command = qemu_args_to_text(args);
    g_autofree char *text = NULL;
    guint version = qemu_caps_version(caps);
    struct utsname host = {0};
    struct stat st;

    if (fd < 0) {
        error_set_errno(error, errno, "cannot open the log file '%s' of domain '%s'", options->log_path,
                        live->name);
        return -1;
    }
    uname(&host);
    text = g_strdup_printf(
        "%s.%03d+0000: starting up kite, qemu version: %u.%u.%u%s%s, kernel: %s, hostname: %s\n%s", stamp,
        g_date_time_get_microsecond(now) / 1000, version / 1000000, version / 1000 % 1000, version % 1000,
        qemu_caps_package(caps)[0] ? " " : "", qemu_caps_package(caps), host.release, host.nodename, command);
    /* A full disk does not keep a guest from starting. */
    if (!fd_write_all(fd, text, strlen(text), NULL))
        log_warning("domain '%s': cannot write to its log '%s'", live->name, options->log_path);
    *ret_offset = fstat(fd, &st) == 0 ? (gint64)st.st_size : 0;
    return fd_steal(&fd);
}

/* --- process --- */

static char **make_environment(const DomainDef *live, const VmStartOptions *options, const QemuArgs *args)
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
    for (guint i = 0; i < args->env->len; i++)
        g_ptr_array_add(env, g_strdup(args->env->pdata[i]));
    g_ptr_array_add(env, NULL);
    return (char **)g_ptr_array_free(env, FALSE);
}

static QemuArgs *make_args(const BackendConfig *config, DomainDef *live, const VmStartOptions *options,
                           const QemuHost *host, const QemuCaps *caps, GError **error)
{
    g_autofree char *ram = NULL;
    QemuArgsContext context = {
        .caps = caps,
        .emulator = live->emulator,
        .run_dir = options->run_dir,
        .sandbox = config->seccomp_sandbox,
        .privileged = config->privileged,
        .monitor_fd = host->monitor_fd,
        .sockets = host->sockets,
        .incoming = options->incoming,
        .now = g_get_real_time() / G_USEC_PER_SEC,
        .nets = host->nets,
        .vnc_password = config->vnc_password,
    };
    QemuArgs *args;

    if (config->memory_backing_dir != NULL) {
        ram = g_strdup(config->memory_backing_dir);
    } else {
        ram = g_build_filename(options->lib_dir ? options->lib_dir : options->run_dir, "ram", NULL);
    }
    if (live->memtune.source == MEMORY_SOURCE_FILE && g_mkdir_with_parents(ram, 0711) < 0) {
        error_set_errno(error, errno, "cannot make the folder '%s' for the memory of domain '%s'", ram,
                        live->name);
        return NULL;
    }
    context.memory_dir = ram;
    args = qemu_args_build(live, &context, error);
    if (args != NULL && options->incoming_fd > 2 && options->incoming != NULL)
        g_array_append_val(args->fds, options->incoming_fd);
    return args;
}

/* The groups of the VM's user ("kvm" for /dev/kvm, ...). Caller frees; NULL: none. */
static gid_t *groups_of(const BackendConfig *config, guint *ret_n)
{
    char buffer[4096];
    struct passwd entry, *found = NULL;
    int n = 64;
    gid_t *groups;

    *ret_n = 0;
    if (config->user == (uid_t)-1 || getpwuid_r(config->user, &entry, buffer, sizeof(buffer), &found) != 0 ||
        found == NULL)
        return NULL;
    groups = g_new(gid_t, n);
    if (getgrouplist(entry.pw_name, config->group, groups, &n) < 0)
        n = 64; /* the first ones */
    *ret_n = (guint)n;
    return groups;
}

static gboolean spawn(const BackendConfig *config, const DomainDef *live, const VmStartOptions *options,
                      const QemuArgs *args, int log, pid_t *ret_pid, int *ret_pidfd, GError **error)
{
    g_auto(GStrv) env = make_environment(live, options, args);
    guint n_groups = 0;
    g_autofree gid_t *groups = groups_of(config, &n_groups);
    VmSpawn what = {
        .argv = (const char *const *)args->argv->pdata,
        .env = (const char *const *)env,
        .cwd = options->run_dir,
        .fds = (const int *)(const void *)args->fds->data,
        .n_fds = args->fds->len,
        .output_fd = log,
        .uid = config->user,
        .gid = config->group,
        .groups = groups,
        .n_groups = n_groups,
        .max_core = config->max_core,
        .max_locked = live->memtune.locked ? G_MAXUINT64 : 0,
    };

    return vm_spawn(&what, ret_pid, ret_pidfd, error);
}

/* The process went away, or does not answer: says so with its own last words. Replaces *error. */
static void explain(VmProcess *vm, const DomainDef *live, GError **error)
{
    gboolean timed_out = error != NULL && *error != NULL && error_is(*error, VIR_ERR_OPERATION_TIMEOUT);
    const VmExit *end;
    g_autofree char *words = NULL;

    if (timed_out)
        vm_process_kill(vm, TRUE);
    if (!vm_process_wait(vm, END_TIMEOUT_MS))
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

static gboolean connect_monitor(VmProcess *vm, const char *run_dir, GError **error)
{
    g_autofree char *path = backend_run_path(run_dir, "monitor.sock");
    int fd = unix_socket_connect(path);

    if (fd < 0)
        return error_set_errno(error, errno, "cannot connect to the monitor at '%s'", path);
    vm_process_set_monitor(vm, fd);
    return TRUE;
}

/* From a running process to a stopped guest with everything set. */
static gboolean set_up(const BackendConfig *config, VmProcess *vm, DomainDef *live,
                       const VmStartOptions *options, const QemuHost *host, VmLiveInfo **ret_live,
                       GError **error)
{
    guint timeout = options->timeout_ms ? options->timeout_ms : START_TIMEOUT_MS;
    QmpClient *qmp = vm_process_qmp(vm);

    return qmp_client_negotiate(qmp, timeout, error) && qemu_host_helpers_live(host, error) &&
           qemu_live_apply(config, qmp, live, error) && qemu_live_read(qmp, live, ret_live, error);
}

static gboolean find_emulator(const BackendConfig *config, DomainDef *live, QemuCaps **ret_caps,
                              GError **error)
{
    if (config->qemu_caps == NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "no QEMU is configured");
    if (live->emulator == NULL && config->default_emulator != NULL)
        live->emulator = g_strdup(config->default_emulator);
    *ret_caps = qemu_caps_cache_get(config->qemu_caps, live->emulator, error);
    if (*ret_caps == NULL)
        return FALSE;
    if (live->emulator == NULL)
        live->emulator = g_strdup(qemu_caps_binary(*ret_caps));
    return TRUE;
}

/* Opens everything and makes the process. NULL with *error: then nothing is left, and opaque is still the
 * caller's. */
static VmProcess *launch(const BackendConfig *config, DomainDef *live, const VmStartOptions *options,
                         const VmCallbacks *callbacks, gpointer opaque, GDestroyNotify free_opaque,
                         QemuHost **ret_host, GError **error)
{
    g_autoptr(QemuCaps) caps = NULL;
    g_autoptr(QemuHost) host = NULL;
    g_autoptr(QemuArgs) args = NULL;
    autofd log = -1;
    gint64 log_offset = 0;
    int pidfd;
    pid_t pid;

    if (!find_emulator(config, live, &caps, error))
        return NULL;
    qemu_args_prepare(live);
    host = qemu_host_prepare(config, live, options, error);
    if (host == NULL)
        return NULL;
    args = make_args(config, live, options, host, caps, error);
    if (args == NULL)
        return NULL;
    log = open_log(live, options, args, caps, &log_offset, error);
    if (log < 0 || !spawn(config, live, options, args, log, &pid, &pidfd, error))
        return NULL;
    fd_clear(&host->monitor_fd); /* so that the monitor is lost when QEMU dies before it accepted us */
    *ret_host = g_steal_pointer(&host);
    return vm_process_new(&backend_qemu, config->context, pid, pidfd, options->run_dir, options->log_path,
                          log_offset, callbacks, opaque, free_opaque);
}

static gboolean qemu_start(const BackendConfig *config, DomainDef *live, const VmStartOptions *options,
                           const VmCallbacks *callbacks, gpointer opaque, GDestroyNotify free_opaque,
                           VmProcess **ret, VmLiveInfo **ret_live, GError **error)
{
    g_autoptr(QemuHost) host = NULL;
    g_autoptr(VmProcess) vm = NULL;

    *ret = NULL;
    *ret_live = NULL;
    vm = launch(config, live, options, callbacks, opaque, free_opaque, &host, error);
    if (vm == NULL) {
        if (free_opaque != NULL)
            free_opaque(opaque);
        return FALSE;
    }
    if (options->spawned != NULL)
        options->spawned(vm, opaque);
    if (!connect_monitor(vm, options->run_dir, error) ||
        !set_up(config, vm, live, options, host, ret_live, error)) {
        gboolean lost = vm_process_qmp(vm) == NULL || qmp_client_is_lost(vm_process_qmp(vm));

        if (lost || (error != NULL && *error != NULL && error_is(*error, VIR_ERR_OPERATION_TIMEOUT))) {
            explain(vm, live, error);
        }
        vm_process_kill(vm, TRUE);
        vm_process_wait(vm, END_TIMEOUT_MS);
        vm_process_detach(vm);
        g_clear_pointer(ret_live, vm_live_info_free);
        return FALSE;
    }
    host->kept = TRUE;
    *ret = g_steal_pointer(&vm);
    return TRUE;
}

/* --- finding again --- */

static gboolean qemu_reconnect(const BackendConfig *config, DomainDef *live,
                               const VmReconnectOptions *options, const VmCallbacks *callbacks,
                               gpointer opaque, GDestroyNotify free_opaque, VmProcess **ret,
                               VmLiveInfo **ret_live, GError **error)
{
    guint timeout = options->timeout_ms ? options->timeout_ms : RECONNECT_TIMEOUT_MS;
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
    vm = vm_process_new(&backend_qemu, config->context, options->pid, fd_steal(&pidfd), options->run_dir,
                        options->log_path, stat(options->log_path, &st) == 0 ? (gint64)st.st_size : 0,
                        callbacks, opaque, free_opaque);
    if (!connect_monitor(vm, options->run_dir, error)) {
        vm_process_kill(vm, TRUE); /* nobody can control it any more */
        vm_process_wait(vm, END_TIMEOUT_MS);
        vm_process_detach(vm);
        return FALSE;
    }
    if (!qmp_client_negotiate(vm_process_qmp(vm), timeout, error) ||
        !qemu_live_read(vm_process_qmp(vm), live, ret_live, error)) {
        if (!qmp_client_is_lost(vm_process_qmp(vm))) {
            *ret = g_steal_pointer(&vm); /* lives, but does not answer */
            return FALSE;
        }
        vm_process_wait(vm, END_TIMEOUT_MS);
        vm_process_detach(vm);
        return FALSE;
    }
    *ret = g_steal_pointer(&vm);
    return TRUE;
}

static gboolean qemu_refresh(VmProcess *vm, DomainDef *live, VmLiveInfo **ret_live, GError **error)
{
    /* A VM that did not answer when it was found again has not been negotiated with. */
    return qmp_client_negotiate(vm_process_qmp(vm), RECONNECT_TIMEOUT_MS, error) &&
           qemu_live_read(vm_process_qmp(vm), live, ret_live, error);
}

/* --- afterwards --- */

static void remove_socket(const char *path)
{
    struct stat st;

    if (path != NULL && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
}

static void qemu_cleanup(const BackendConfig *config, DomainDef *live, const char *run_dir)
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

const BackendOps backend_qemu = {
    .name = "qemu",
    .can_run = qemu_can_run,
    .start = qemu_start,
    .reconnect = qemu_reconnect,
    .refresh = qemu_refresh,
    .cleanup = qemu_cleanup,
    .plug = qemu_plug,
    .unplugged = qemu_unplugged,
    .change_media = qemu_change_media,
};
