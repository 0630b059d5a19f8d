/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting passt. */
#include "driver/backend/passt.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/error.h"
#include "common/fd.h"

static void add_ports(GPtrArray *argv, const PortForward *forward)
{
    GString *spec = g_string_new(NULL);

    if (forward->address != NULL)
        g_string_append(spec, forward->address);
    if (forward->dev != NULL)
        g_string_append_printf(spec, "%%%s", forward->dev);
    if (spec->len > 0)
        g_string_append_c(spec, '/');
    if (forward->ranges == NULL || forward->ranges->len == 0) {
        if (spec->len > 0)
            g_string_append(spec, "~0"); /* every port of the address: all but one that nobody uses */
        else
            g_string_append(spec, "all");
    }
    for (guint i = 0; forward->ranges != NULL && i < forward->ranges->len; i++) {
        const PortRange *range = forward->ranges->pdata[i];

        g_string_append_printf(spec, "%s%s%u", i ? "," : "", range->exclude == TRISTATE_YES ? "~" : "",
                               range->start);
        if (range->end != 0)
            g_string_append_printf(spec, "-%u", range->end);
        if (range->to != 0) {
            g_string_append_printf(spec, ":%u", range->to);
            if (range->end != 0)
                g_string_append_printf(spec, "-%u", range->to + range->end - range->start);
        }
    }
    g_ptr_array_add(argv, g_strdup(forward->proto == PORT_PROTO_UDP ? "--udp-ports" : "--tcp-ports"));
    g_ptr_array_add(argv, g_string_free(spec, FALSE));
}

char **passt_args(const InterfaceDef *net, int fd)
{
    GPtrArray *argv = g_ptr_array_new();

    g_ptr_array_add(argv, g_strdup("--foreground"));
    g_ptr_array_add(argv, g_strdup("--fd"));
    g_ptr_array_add(argv, g_strdup_printf("%d", fd));
    if (net->backend_log_file != NULL) {
        g_ptr_array_add(argv, g_strdup("--log-file"));
        g_ptr_array_add(argv, g_strdup(net->backend_log_file));
    }
    if (net->source != NULL) {
        g_ptr_array_add(argv, g_strdup("--interface"));
        g_ptr_array_add(argv, g_strdup(net->source));
    }
    for (guint i = 0; net->guest_ip.ips != NULL && i < net->guest_ip.ips->len; i++) {
        const NetIp *ip = net->guest_ip.ips->pdata[i];

        g_ptr_array_add(argv, g_strdup("--address"));
        g_ptr_array_add(argv, g_strdup(ip->address));
        if (!ip->ipv6 && ip->prefix != 0) {
            g_ptr_array_add(argv, g_strdup("--netmask"));
            g_ptr_array_add(argv, g_strdup_printf("%u", ip->prefix));
        }
    }
    for (guint i = 0; net->port_forwards != NULL && i < net->port_forwards->len; i++)
        add_ports(argv, net->port_forwards->pdata[i]);
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(argv, FALSE);
}

typedef struct Watch {
    pid_t pid;
    int pidfd;
} Watch;

static void watch_free(gpointer data)
{
    Watch *watch = data;

    close(watch->pidfd);
    g_free(watch);
}

/* VM thread: reaps it when it ends. */
static gboolean on_end(gint fd, GIOCondition condition, gpointer data)
{
    Watch *watch = data;

    waitpid(watch->pid, NULL, WNOHANG);
    return G_SOURCE_REMOVE;
}

gboolean passt_start(const BackendConfig *config, const InterfaceDef *net, const char *log_path, int *ret_fd,
                     int *ret_pidfd, GError **error)
{
    g_autofree char *found =
        config->passt_path ? g_strdup(config->passt_path) : g_find_program_in_path("passt");
    g_auto(GStrv) args = NULL;
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    const char *env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
    int pair[2] = {-1, -1}, pidfd;
    autofd ours = -1;
    autofd theirs = -1;
    autofd log = -1;
    VmSpawn spawn = {.env = env, .n_fds = 1, .uid = (uid_t)-1, .gid = (gid_t)-1};
    Watch *watch;
    GSource *source;
    pid_t pid;

    if (found == NULL)
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "interface '%s': passt is not installed: install it, or leave out <backend type='passt'/>",
            net->mac);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set_errno(error, errno, "interface '%s': cannot make a socket pair for passt", net->mac);
    ours = pair[0];
    theirs = pair[1];
    log = open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log < 0)
        return error_set_errno(error, errno, "cannot open the log '%s'", log_path);
    args = passt_args(net, theirs);
    g_ptr_array_add(argv, found);
    for (char **arg = args; *arg != NULL; arg++)
        g_ptr_array_add(argv, *arg);
    g_ptr_array_add(argv, NULL);
    spawn.argv = (const char *const *)argv->pdata;
    spawn.fds = &theirs;
    spawn.output_fd = log;
    if (!vm_spawn(&spawn, &pid, &pidfd, error))
        return FALSE;
    *ret_pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
    watch = g_new(Watch, 1);
    *watch = (Watch){pid, pidfd};
    source = g_unix_fd_source_new(pidfd, G_IO_IN);
    g_source_set_callback(source, G_SOURCE_FUNC(on_end), watch, watch_free);
    g_source_attach(source, config->context);
    g_source_unref(source);
    *ret_fd = fd_steal(&ours);
    return TRUE;
}
