/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting passt. */
#include "driver/backend/passt.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

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

Helper *passt_start(const BackendConfig *config, const InterfaceDef *net, const char *log_path, int *ret_fd,
                    GError **error)
{
    g_autofree char *found =
        config->passt_path ? g_strdup(config->passt_path) : g_find_program_in_path("passt");
    g_auto(GStrv) args = NULL;
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    int pair[2] = {-1, -1};
    autofd ours = -1;
    autofd theirs = -1;
    Helper *helper;

    if (found == NULL) {
        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                  "interface '%s': passt is not installed: install it, or leave out <backend type='passt'/>", net->mac);
        return NULL;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        error_set_errno(error, errno, "interface '%s': cannot make a socket pair for passt", net->mac);
        return NULL;
    }
    ours = pair[0];
    theirs = pair[1];
    args = passt_args(net, theirs);
    g_ptr_array_add(argv, found);
    for (char **arg = args; *arg != NULL; arg++)
        g_ptr_array_add(argv, *arg);
    g_ptr_array_add(argv, NULL);
    helper = helper_start(config, "passt, the network of an interface", argv, theirs, log_path, FALSE, error);
    if (helper != NULL)
        *ret_fd = fd_steal(&ours);
    return helper;
}
