/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon object: order of start and stop, signals, idle timeout. */
#include "driver/daemon.h"

#include "config.h"

#include <errno.h>
#include <glib-unix.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/error.h"
#define LOG_SOURCE "driver.daemon"
#include "common/log.h"
#include "common/thread.h"
#include "driver/backend/backend.h"
#include "driver/backend/id_table.h"
#include "driver/calls_host.h"
#include "driver/calls_storage.h"
#include "driver/domain/events.h"
#include "driver/domain/domain_layer.h"
#include "driver/driver.h"
#include "driver/host/host.h"
#include "driver/host/qemu_caps.h"
#include "driver/pidfile.h"
#include "driver/reaper.h"
#include "driver/rpc/server.h"
#include "driver/sockets.h"
#include "storage/storage_ops.h"

struct Daemon {
    const DaemonOptions *options;
    DaemonConfig *config;
    Paths *paths;
    BackendConfig *backend_config;
    Driver driver;
    RpcServer *server;
    GMainLoop *loop;    /* main thread */
    GMainLoop *vm_loop; /* VM thread */
    GThread *vm_thread;
    GSource *reaper;
    gint64 quiet_since; /* for --timeout: since when there is neither client nor VM; 0: there is */
    char *pid_path;
    int pid_fd;
    gboolean layer_started, stopping;
};

/* --- settings ------------------------------------------------------------------------------------------- */

static gboolean load_config(Daemon *d, GError **error)
{
    g_autofree char *standard = g_build_filename(d->paths->config_dir, "virtkited.conf", NULL);
    const char *path = d->options->config_path;

    if (path == NULL && !g_file_test(standard, G_FILE_TEST_EXISTS))
        return TRUE;
    return daemon_config_load(d->config, path != NULL ? path : standard, error);
}

/* stderr that is the journal: systemd says so by the device and inode of the stream. */
static gboolean stderr_is_journal(void)
{
    const char *stream = g_getenv("JOURNAL_STREAM");
    g_autofree char *ours = NULL;
    struct stat st;

    if (stream == NULL || fstat(STDERR_FILENO, &st) < 0)
        return FALSE;
    ours = g_strdup_printf("%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return g_str_equal(stream, ours);
}

static char *default_outputs(const Daemon *d, guint level)
{
    if (d->options->background)
        return g_strdup_printf("%u:file:%s/virtkited.log", level, d->paths->log_dir);
    return g_strdup_printf("%u:%s", level, stderr_is_journal() ? "journald" : "stderr");
}

/* libvirt's variables go before the file, as in its own daemons. */
static gboolean set_up_log(const Daemon *d, GError **error)
{
    const char *filters = g_getenv("LIBVIRT_LOG_FILTERS"), *outputs = g_getenv("LIBVIRT_LOG_OUTPUTS");
    const char *debug = g_getenv("LIBVIRT_DEBUG");
    guint level = d->config->log_level > 0 ? d->config->log_level : LOG_LEVEL_WARNING;
    g_autofree char *standard = NULL;

    if (d->options->verbose)
        level = MIN(level, (guint)LOG_LEVEL_INFO);
    if (debug != NULL && debug[0] >= '1' && debug[0] <= '4' && debug[1] == '\0')
        level = (guint)(debug[0] - '0');
    log_set_level((LogLevel)level);
    standard = default_outputs(d, level);
    if (filters == NULL)
        filters = d->config->log_filters != NULL ? d->config->log_filters : "";
    if (outputs == NULL)
        outputs = d->config->log_outputs != NULL ? d->config->log_outputs : standard;
    return log_set_filters(filters, error) && log_set_outputs(outputs, error);
}

static gboolean resolve_vm_user(Daemon *d, GError **error)
{
    BackendConfig *b = d->backend_config;

    if (d->paths->privileged && d->config->vm_user != NULL) {
        struct passwd *user = getpwnam(d->config->vm_user);

        if (user == NULL)
            return error_set(error, VIR_ERR_OPERATION_FAILED, "vm_user: there is no user '%s'", d->config->vm_user);
        b->user = user->pw_uid;
        b->group = user->pw_gid;
    }
    if (d->paths->privileged && d->config->vm_group != NULL) {
        struct group *group = getgrnam(d->config->vm_group);

        if (group == NULL)
            return error_set(error, VIR_ERR_OPERATION_FAILED, "vm_group: there is no group '%s'",
                             d->config->vm_group);
        b->group = group->gr_gid;
    }
    return TRUE;
}

static gboolean set_up_backends(Daemon *d, GError **error)
{
    BackendConfig *b = backend_config_new(d->driver.vm_context, d->driver.qemu_caps, d->paths->privileged);

    d->driver.backend_config = d->backend_config = b;
    b->cpu_host = d->driver.host;
    b->vnc_port_min = d->config->remote_display_port_min;
    b->vnc_port_max = d->config->remote_display_port_max;
    g_free(b->vnc_listen);
    b->vnc_listen = g_strdup(d->config->vnc_listen);
    g_free(b->spice_listen);
    b->spice_listen = g_strdup(d->config->spice_listen);
    g_free(b->default_emulator);
    b->default_emulator = g_strdup(d->config->qemu_emulator);
    if (d->paths->privileged)
        b->ids = id_table_new(d->config->vm_id_min, d->config->vm_id_max);
    return resolve_vm_user(d, error);
}

static gboolean take_pid_file(Daemon *d, GError **error)
{
    const char *folder = d->paths->privileged ? KITE_RUNDIR : d->paths->socket_dir;

    d->pid_path = d->options->pid_path != NULL ? g_strdup(d->options->pid_path)
                                               : g_build_filename(folder, "virtkited.pid", NULL);
    d->pid_fd = pidfile_acquire(d->pid_path, error);
    return d->pid_fd >= 0;
}

static void sweep_folders(const Paths *p)
{
    atomic_file_sweep(p->config_dir);
    atomic_file_sweep(p->domain_config_dir);
    atomic_file_sweep(p->cache_dir);
}

Daemon *daemon_new(const DaemonOptions *options, GError **error)
{
    g_autoptr(Daemon) d = g_new0(Daemon, 1);

    d->options = options;
    d->pid_fd = -1;
    d->paths = paths_new(!options->session);
    d->config = daemon_config_new();
    if (!load_config(d, error) || !paths_make(d->paths, error) || !set_up_log(d, error) || !take_pid_file(d, error))
        return NULL;
    sweep_folders(d->paths); /* what writers that were killed left; ours alone now */
    d->driver.config = d->config;
    d->driver.paths = d->paths;
    d->driver.vm_context = g_main_context_new();
    d->driver.host = host_new("", d->config->host_uuid, d->config->host_uuid_source);
    d->driver.qemu_caps = qemu_caps_cache_new(d->paths->cache_dir, d->config->qemu_emulator);
    if (!set_up_backends(d, error))
        return NULL;
    d->driver.events = event_registry_new();
    d->driver.domains = domain_list_new(&d->driver);
    d->driver.storage = storage_new(d->paths->storage_config_dir, d->paths->storage_state_dir, KITE_SCHEMADIR,
                                    calls_storage_event, &d->driver);
    return g_steal_pointer(&d);
}

/* --- start ---------------------------------------------------------------------------------------------- */

static RpcServer *make_server(Daemon *d)
{
    const DaemonConfig *c = d->config;
    RpcServerConfig config;

    rpc_server_config_init(&config);
    config.driver = &d->driver;
    config.max_clients = c->max_clients;
    config.max_queued_clients = c->max_queued_clients;
    config.max_anonymous_clients = c->max_anonymous_clients;
    config.min_workers = c->min_workers;
    config.max_workers = c->max_workers;
    config.prio_workers = c->prio_workers;
    config.max_client_requests = c->max_client_requests;
    config.keepalive_interval = c->keepalive_interval;
    config.keepalive_count = c->keepalive_count;
    config.sasl_allowed_username_list = (const char *const *)c->sasl_allowed_username_list;
    config.supports_feature = calls_host_supports_feature;
    return rpc_server_new(&config);
}

/* --also and the file's "also", each name once. */
static char **also_names(const Daemon *d)
{
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    gboolean qemu = FALSE; /* the one name there is */

    for (guint i = 0; d->options->also != NULL && i < d->options->also->len; i++)
        qemu = qemu || g_strcmp0(d->options->also->pdata[i], "qemu") == 0;
    qemu = qemu || (d->config->also != NULL && d->config->also[0] != NULL);
    if (qemu)
        g_strv_builder_add(names, "qemu");
    return g_strv_builder_end(names);
}

static gboolean on_stop(gpointer data);
static gboolean on_reload(gpointer data);

gboolean daemon_start(Daemon *d, GError **error)
{
    g_auto(GStrv) also = also_names(d);
    SocketsOptions sockets = {d->config, d->paths, d->options->listen, (const char *const *)also};
    gint64 start = g_get_monotonic_time();
    guint loaded;

    /* Before anybody can connect: who has been served may ask for a clean end at once. They run in daemon_run(). */
    g_unix_signal_add(SIGTERM, on_stop, d);
    g_unix_signal_add(SIGINT, on_stop, d);
    g_unix_signal_add(SIGHUP, on_reload, d);
    d->vm_loop = g_main_loop_new(d->driver.vm_context, FALSE);
    d->vm_thread = thread_run_loop("vm", d->vm_loop, error);
    if (d->vm_thread == NULL)
        return FALSE;
    storage_load(d->driver.storage);
    loaded = domain_layer_start(&d->driver);
    d->layer_started = TRUE;
    d->server = make_server(d);
    if (!sockets_add(d->server, &sockets, error) || !rpc_server_start(d->server, error))
        return FALSE;
    storage_settle(d->driver.storage);
    log_info("virtkited " PACKAGE_VERSION " serves %s with %u definitions after %d ms",
             d->paths->privileged ? "the system" : "a session", loaded,
             (int)((g_get_monotonic_time() - start) / 1000));
    return TRUE;
}

/* --- running -------------------------------------------------------------------------------------------- */

static gboolean on_stop(gpointer data)
{
    Daemon *d = data;

    if (d->stopping)
        _exit(1); /* asked twice: whatever keeps us, leave it */
    d->stopping = TRUE;
    log_info("stopping; VMs go on running");
    /* The loop ends, and with it these sources: the default action of a second signal must do what on_stop would. */
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    g_main_loop_quit(d->loop);
    return G_SOURCE_REMOVE;
}

/* What can change under clients: the log, and certificates for new connections. */
static gboolean on_reload(gpointer data)
{
    Daemon *d = data;
    g_autoptr(DaemonConfig) fresh = daemon_config_new();
    g_autofree char *standard = g_build_filename(d->paths->config_dir, "virtkited.conf", NULL);
    const char *path = d->options->config_path != NULL ? d->options->config_path : standard;
    g_autoptr(GError) error = NULL;

    sockets_notify("RELOADING=1");
    if (g_file_test(path, G_FILE_TEST_EXISTS) && !daemon_config_load(fresh, path, &error)) {
        log_error("configuration is not reloaded: %s", error->message);
    } else {
        d->config->log_level = fresh->log_level;
        g_free(d->config->log_filters);
        d->config->log_filters = g_steal_pointer(&fresh->log_filters);
        g_free(d->config->log_outputs);
        d->config->log_outputs = g_steal_pointer(&fresh->log_outputs);
        if (!set_up_log(d, &error))
            log_error("log settings are not changed: %s", error->message);
        else if (d->options->listen && d->config->listen_tls && !sockets_set_tls(d->server, d->config, &error))
            log_error("certificates are not reloaded: %s", error->message);
        else
            log_info("configuration reloaded");
    }
    sockets_notify("READY=1");
    return G_SOURCE_CONTINUE;
}

static gboolean on_idle_tick(gpointer data)
{
    Daemon *d = data;
    gint64 now = g_get_monotonic_time();
    gint64 no_client_since = rpc_server_idle_since(d->server);

    if (no_client_since == 0 || g_atomic_int_get(&d->driver.holds) > 0) {
        d->quiet_since = 0;
        return G_SOURCE_CONTINUE;
    }
    if (d->quiet_since == 0)
        d->quiet_since = MAX(no_client_since, now - G_USEC_PER_SEC);
    if (now - d->quiet_since >= (gint64)d->options->timeout_s * G_USEC_PER_SEC) {
        log_info("no client and no VM for %u seconds", d->options->timeout_s);
        on_stop(d);
    }
    return G_SOURCE_CONTINUE;
}

void daemon_run(Daemon *d)
{
    guint idle = 0;

    d->loop = g_main_loop_new(NULL, FALSE);
    d->reaper = reaper_start(NULL);
    if (d->options->timeout_s > 0)
        idle = g_timeout_add_seconds(1, on_idle_tick, d);
    sockets_notify("READY=1");
    g_main_loop_run(d->loop);
    sockets_notify("STOPPING=1");
    if (idle != 0)
        g_source_remove(idle);
}

void daemon_free(Daemon *d)
{
    if (d == NULL)
        return;
    if (d->server != NULL)
        rpc_server_stop(d->server);
    if (d->layer_started && !domain_layer_stop(&d->driver)) {
        /* The process ends now: better to leave all to that than to take it away from whoever uses it. */
        log_warning("work on a domain has not ended in time; it is cut short with the process");
        if (d->pid_fd >= 0)
            pidfile_release(d->pid_path, d->pid_fd);
        return;
    }
    if (d->vm_thread != NULL)
        thread_end_loop(d->vm_thread, d->vm_loop);
    g_clear_pointer(&d->vm_loop, g_main_loop_unref);
    g_clear_pointer(&d->driver.domains, domain_list_free);
    rpc_server_free(d->server);
    g_clear_pointer(&d->driver.storage, storage_free);
    g_clear_pointer(&d->driver.events, event_registry_free);
    g_clear_pointer(&d->driver.vm_context, g_main_context_unref);
    backend_config_free(d->backend_config);
    qemu_caps_cache_free(d->driver.qemu_caps);
    host_free(d->driver.host);
    if (d->reaper != NULL) {
        g_source_destroy(d->reaper);
        g_source_unref(d->reaper);
    }
    g_clear_pointer(&d->loop, g_main_loop_unref);
    if (d->pid_fd >= 0)
        pidfile_release(d->pid_path, d->pid_fd);
    g_free(d->pid_path);
    daemon_config_free(d->config);
    paths_free(d->paths);
    g_free(d);
}
