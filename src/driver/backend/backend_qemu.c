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
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/backend/backend_run.h"
#include "driver/backend/guest_cpu.h"
#include "driver/backend/qemu_args.h"
#include "driver/backend/qemu_firmware.h"
#include "driver/host/qemu_caps.h"

static gboolean qemu_can_run(const DomainDef *def, char **ret_reason)
{
    return qemu_args_supported(def, ret_reason);
}

/* --- log --- */

static int open_log(const DomainDef *live, const VmStartOptions *options, const QemuArgs *args,
                    const QemuCaps *caps, gint64 *ret_offset, GError **error)
{
    g_autofree char *command = qemu_args_to_text(args);
    guint version = qemu_caps_version(caps);
    g_autofree char *program = g_strdup_printf(
        "qemu version: %u.%u.%u%s%s", version / 1000000, version / 1000 % 1000, version % 1000,
        qemu_caps_package(caps)[0] ? " " : "", qemu_caps_package(caps));

    return backend_open_log(live, options, program, command, ret_offset, error);
}

/* --- process --- */

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
        .tpm_fd = host->tpm,
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
                      const QemuArgs *args, int log, VmLaunch *ret, GError **error)
{
    g_auto(GStrv) env = backend_environment(options, args->env);
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

    backend_spawn_options(&what, options);
    return vm_spawn(&what, &ret->pid, &ret->pidfd, error);
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

static gboolean choose_firmware(DomainDef *live, const VmStartOptions *options, GError **error)
{
    g_autofree char *folder = g_build_filename(options->lib_dir ? options->lib_dir : options->run_dir, "nvram", NULL);

    return qemu_firmware_choose(live, folder, options->reset_nvram, error);
}

static gboolean qemu_launch(const BackendConfig *config, DomainDef *live, const VmStartOptions *options,
                            VmLaunch *ret, GError **error)
{
    g_autoptr(QemuCaps) caps = NULL;
    g_autoptr(QemuHost) host = NULL;
    g_autoptr(QemuArgs) args = NULL;
    autofd log = -1;

    if (!find_emulator(config, live, &caps, error) || !choose_firmware(live, options, error) ||
        !guest_cpu_prepare(config, live, caps, error))
        return FALSE;
    host = qemu_host_prepare(config, live, options, error);
    if (host == NULL)
        return FALSE;
    qemu_args_prepare(live); /* numbers the images that were found just now, too */
    args = make_args(config, live, options, host, caps, error);
    if (args == NULL)
        return FALSE;
    log = open_log(live, options, args, caps, &ret->log_offset, error);
    if (log < 0 || !spawn(config, live, options, args, log, ret, error))
        return FALSE;
    ret->host = host;
    ret->owner = g_steal_pointer(&host);
    ret->free_owner = (GDestroyNotify)qemu_host_free;
    return TRUE;
}

static gboolean qemu_reconnect(const BackendConfig *config, DomainDef *live,
                               const VmReconnectOptions *options, const VmCallbacks *callbacks,
                               gpointer opaque, GDestroyNotify free_opaque, VmProcess **ret,
                               VmLiveInfo **ret_live, GError **error)
{
    return backend_find_again(&backend_qemu, config, live, options, callbacks, opaque, free_opaque, ret,
                              ret_live, error);
}

const BackendOps backend_qemu = {
    .name = "qemu",
    .can_run = qemu_can_run,
    .launch = qemu_launch,
    .reconnect = qemu_reconnect,
    .refresh = backend_refresh,
    .cleanup = backend_cleanup,
    .plug = qemu_plug,
    .unplugged = qemu_unplugged,
    .change_media = qemu_change_media,
};
