/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The back end of our own VMM. A start:
 *
 *   files, devices, sockets, taps (vmm_host.c) -> machine description (vmm_desc.c) -> log header -> process,
 *   which inherits all of it by number and opens nothing itself -> QMP -> a stopped guest, ready for cont
 *
 * Everything after that, and a reconnection, is the same as with QEMU (backend_run.c).
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "config.h"
#include "driver/backend/backend_run.h"
#include "driver/backend/guest_cpu.h"
#include "driver/backend/id_table.h"
#include "driver/backend/storage_daemon.h"
#include "driver/backend/vmm_desc.h"
#include "driver/backend/vmm_host.h"
#include "driver/host/vmm_caps.h"

/* The description as a file of memory, to be read from its start. -1 with *error. */
static int write_description(const char *text, GError **error)
{
    autofd fd = memfd_create("machine", MFD_CLOEXEC);

    if (fd < 0) {
        error_set_errno(error, errno, "cannot make a file for the machine description");
        return -1;
    }
    if (!fd_write_all(fd, text, strlen(text), error) || lseek(fd, 0, SEEK_SET) < 0)
        return -1;
    return fd_steal(&fd);
}

static char *make_description(const BackendConfig *config, const DomainDef *live, const VmStartOptions *options,
                              VmmHost *host, GError **error)
{
    VmmDescContext context = {
        .fd = vmm_host_fd,
        .opaque = host,
        .nets = host->base->nets,
        .now = g_get_real_time() / G_USEC_PER_SEC,
        .sandbox = config->seccomp_sandbox,
    };
    json_t *desc;
    char *dumped, *text;

    vmm_host_ids(config, options->run_dir, &context.uid, &context.gid);
    desc = vmm_desc_build(live, &context, error);
    if (desc == NULL)
        return NULL;
    dumped = json_dumps(desc, JSON_COMPACT);
    json_decref(desc);
    text = g_strdup(dumped);
    free(dumped);
    return text;
}

static GArray *passed_fds(const VmmHost *host, int desc)
{
    GArray *fds = g_array_new(FALSE, FALSE, sizeof(int));
    GHashTable *tables[] = {host->fds, host->base->sockets};

    g_array_append_val(fds, desc);
    g_array_append_val(fds, host->base->monitor_fd);
    for (gsize i = 0; i < G_N_ELEMENTS(tables); i++) {
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, tables[i]);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
            int fd = GPOINTER_TO_INT(value);

            g_array_append_val(fds, fd);
        }
    }
    for (guint i = 0; i < host->base->n_nets; i++) {
        const QemuNetFds *net = &host->base->nets[i];

        g_array_append_vals(fds, net->tap, net->n_tap);
        g_array_append_vals(fds, net->vhost, net->n_vhost);
        if (net->stream >= 0)
            g_array_append_val(fds, net->stream);
    }
    return fds;
}

static gboolean vmm_launch(const BackendConfig *config, DomainDef *live, const VmStartOptions *options,
                           VmLaunch *ret, GError **error)
{
    g_autoptr(VmmHost) host = NULL;
    g_autoptr(GArray) fds = NULL;
    g_autofree char *description = NULL;
    g_autofree char *command = NULL;
    g_auto(GStrv) env = backend_environment(options, NULL);
    autofd desc = -1;
    autofd log = -1;
    char desc_number[16], qmp_number[16];

    if (options->incoming != NULL)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "kite-vmm cannot take over a saved or migrated guest");
    if (live->emulator == NULL)
        live->emulator = g_strdup(vmm_caps_default_path());
    if (!guest_cpu_prepare(config, live, NULL, error))
        return FALSE;
    host = vmm_host_prepare(config, live, options, error);
    if (host == NULL)
        return FALSE;
    description = make_description(config, live, options, host, error);
    if (description == NULL || (desc = write_description(description, error)) < 0)
        return FALSE;
    g_snprintf(desc_number, sizeof(desc_number), "%d", desc);
    g_snprintf(qmp_number, sizeof(qmp_number), "%d", host->base->monitor_fd);
    command = g_strdup_printf("%s --desc-fd %s --qmp-fd %s\n%s\n", live->emulator, desc_number, qmp_number,
                              description);
    log = backend_open_log(live, options, "kite-vmm version: " PACKAGE_VERSION, command, &ret->log_offset, error);
    if (log < 0)
        return FALSE;
    fds = passed_fds(host, desc);

    const char *argv[] = {live->emulator, "--desc-fd", desc_number, "--qmp-fd", qmp_number, NULL};
    VmSpawn spawn = {
        .argv = argv,
        .env = (const char *const *)env,
        .cwd = options->run_dir,
        .fds = (const int *)(const void *)fds->data,
        .n_fds = fds->len,
        .output_fd = log,
        .uid = (uid_t)-1, /* its sandbox does that, after it made its root empty */
        .gid = (gid_t)-1,
        .no_network = TRUE, /* whatever it speaks with is open */
        .max_locked = live->memtune.locked ? G_MAXUINT64 : 0,
    };

    backend_spawn_options(&spawn, options);
    if (!vm_spawn(&spawn, &ret->pid, &ret->pidfd, error))
        return FALSE;
    ret->host = host->base;
    ret->owner = g_steal_pointer(&host);
    ret->free_owner = (GDestroyNotify)vmm_host_free;
    return TRUE;
}

static gboolean vmm_reconnect(const BackendConfig *config, DomainDef *live, const VmReconnectOptions *options,
                              const VmCallbacks *callbacks, gpointer opaque, GDestroyNotify free_opaque,
                              VmProcess **ret, VmLiveInfo **ret_live, GError **error)
{
    if (config->ids != NULL)
        id_table_note(config->ids, options->run_dir, options->pid);
    return backend_find_again(&backend_vmm, config, live, options, callbacks, opaque, free_opaque, ret, ret_live,
                              error);
}

static void vmm_cleanup(const BackendConfig *config, DomainDef *live, const char *run_dir)
{
    g_autofree char *stats = backend_run_path(run_dir, "stats");

    unlink(stats);
    storage_servers_gone(run_dir, NULL);
    if (config->ids != NULL)
        id_table_release(config->ids, run_dir);
    backend_cleanup(config, live, run_dir);
}

const BackendOps backend_vmm = {
    .name = "kite-vmm",
    .stats_page = "stats",
    .can_run = vmm_desc_supported,
    .launch = vmm_launch,
    .reconnect = vmm_reconnect,
    .refresh = backend_refresh,
    .cleanup = vmm_cleanup,
    .plug = vmm_plug,
    .unplugged = vmm_unplugged,
    .change_media = vmm_change_media,
    .revive = vmm_revive,
};
