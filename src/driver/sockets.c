/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listeners of the daemon, socket activation, readiness. */
#include "driver/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#define LOG_SOURCE "driver.sockets"
#include "common/log.h"
#include "driver/rpc/server.h"

#define OWN_NAME "virtkited"
#define FIRST_LISTEN_FD 3

/* --- policy of the configuration ------------------------------------------------------------------------ */

gboolean sockets_polkit_present(void)
{
    static const char *const bus = "/run/dbus/system_bus_socket";
    static const char *const service = "/usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service";

    return access(bus, F_OK) == 0 && access(service, F_OK) == 0;
}

static ClientAuth auth_of(const char *configured, gboolean by_default_polkit)
{
    if (configured == NULL)
        return by_default_polkit ? CLIENT_AUTH_POLKIT : CLIENT_AUTH_NONE;
    return g_str_equal(configured, "polkit") ? CLIENT_AUTH_POLKIT
           : g_str_equal(configured, "sasl") ? CLIENT_AUTH_SASL
                                             : CLIENT_AUTH_NONE;
}

static ClientAuth unix_auth(const SocketsOptions *o, gboolean readonly)
{
    const char *configured = readonly ? o->config->auth_unix_ro : o->config->auth_unix_rw;

    /* Reading asks nobody by default: the read-only socket is open to all, as libvirt's polkit policy has it too. */
    return auth_of(configured, o->paths->privileged && !readonly && sockets_polkit_present());
}

static gboolean group_id(const char *name, gint64 *ret, GError **error)
{
    struct group *group;
    guint64 number;

    *ret = -1;
    if (name == NULL)
        return TRUE;
    errno = 0;
    group = getgrnam(name); /* main thread, before any other runs */
    if (group != NULL)
        *ret = group->gr_gid;
    else if (g_ascii_string_to_unsigned(name, 10, 0, G_MAXUINT32 - 1, &number, NULL))
        *ret = (gint64)number;
    else
        return error_set(error, VIR_ERR_OPERATION_FAILED, "unix_sock_group: there is no group '%s'", name);
    return TRUE;
}

static mode_t unix_mode(const SocketsOptions *o, gboolean readonly, ClientAuth auth)
{
    if (!o->paths->privileged && o->config->unix_sock_rw_perms == NULL)
        return 0700;
    return readonly ? daemon_config_ro_mode(o->config) : daemon_config_rw_mode(o->config, auth == CLIENT_AUTH_POLKIT);
}

static gboolean add_unix(RpcServer *server, const SocketsOptions *o, const char *name, gboolean readonly,
                         GError **error)
{
    const char *dir = o->config->unix_sock_dir != NULL ? o->config->unix_sock_dir : o->paths->socket_dir;
    g_autofree char *file = g_strconcat(name, readonly ? "-sock-ro" : "-sock", NULL);
    g_autofree char *path = g_build_filename(dir, file, NULL);
    RpcListener listener = RPC_LISTENER_INIT;

    listener.unix_path = path;
    listener.readonly = readonly;
    listener.auth = unix_auth(o, readonly);
    listener.unix_mode = unix_mode(o, readonly, listener.auth);
    return group_id(o->config->unix_sock_group, &listener.unix_group, error) &&
           rpc_server_add_listener(server, &listener, error);
}

/* Both sockets of a name; a session daemon has no read-only one. */
static gboolean add_name(RpcServer *server, const SocketsOptions *o, const char *name, GError **error)
{
    return add_unix(server, o, name, FALSE, error) &&
           (!o->paths->privileged || add_unix(server, o, name, TRUE, error));
}

/* --- TCP and TLS ---------------------------------------------------------------------------------------- */

/* libvirt's places: for root below /etc/pki, for users below ~/.pki/libvirt. */
static char *pki_file(const char *configured, const char *system_path, const char *user_name)
{
    if (configured != NULL)
        return g_strdup(configured);
    if (geteuid() == 0)
        return g_strdup(system_path);
    return g_build_filename(g_get_home_dir(), ".pki", "libvirt", user_name, NULL);
}

gboolean sockets_set_tls(RpcServer *server, const DaemonConfig *c, GError **error)
{
    g_autofree char *ca = pki_file(c->ca_file, "/etc/pki/CA/cacert.pem", "cacert.pem");
    g_autofree char *cert = pki_file(c->cert_file, "/etc/pki/libvirt/servercert.pem", "servercert.pem");
    g_autofree char *key = pki_file(c->key_file, "/etc/pki/libvirt/private/serverkey.pem", "serverkey.pem");
    g_autofree char *crl = pki_file(c->crl_file, "/etc/pki/CA/cacrl.pem", "cacrl.pem");
    RpcTlsConfig tls = {
        .ca_file = ca,
        .cert_file = cert,
        .key_file = key,
        .crl_file = c->crl_file != NULL || g_file_test(crl, G_FILE_TEST_EXISTS) ? crl : NULL,
        .priority = c->tls_priority,
        .verify_client = !c->tls_no_verify_certificate,
        .allowed_dn_list = (const char *const *)c->tls_allowed_dn_list,
    };

    return rpc_server_set_tls(server, &tls, error);
}

static gboolean add_tcp(RpcServer *server, const DaemonConfig *c, gboolean tls, GError **error)
{
    RpcListener listener = RPC_LISTENER_INIT;

    listener.tcp_host = c->listen_addr;
    listener.tcp_port = tls ? c->tls_port : c->tcp_port;
    listener.tls = tls;
    listener.auth = auth_of(tls ? c->auth_tls : c->auth_tcp, FALSE);
    return rpc_server_add_listener(server, &listener, error);
}

/* --- socket activation ---------------------------------------------------------------------------------- */

typedef struct Inherited {
    gboolean own, own_ro, tcp, tls;
} Inherited;

static guint listen_fds(char ***ret_names)
{
    const char *pid = g_getenv("LISTEN_PID");
    const char *count = g_getenv("LISTEN_FDS");
    const char *names = g_getenv("LISTEN_FDNAMES");
    guint64 n = 0;

    *ret_names = g_strsplit(names != NULL ? names : "", ":", -1);
    if (pid == NULL || g_ascii_strtoll(pid, NULL, 10) != (gint64)getpid() || count == NULL ||
        !g_ascii_string_to_unsigned(count, 10, 0, 64, &n, NULL))
        n = 0;
    g_unsetenv("LISTEN_PID");
    g_unsetenv("LISTEN_FDS");
    g_unsetenv("LISTEN_FDNAMES");
    return (guint)n;
}

/* The units make sockets for root alone; whom else the configuration lets in is said here. */
static void open_up(const char *path, const SocketsOptions *o, const RpcListener *listener)
{
    gint64 group = -1;

    if (!o->paths->privileged || path[0] != '/')
        return;
    group_id(o->config->unix_sock_group, &group, NULL);
    if ((group >= 0 && chown(path, (uid_t)-1, (gid_t)group) < 0) ||
        chmod(path, unix_mode(o, listener->readonly, listener->auth)) < 0)
        log_warning("cannot set group and permissions of '%s': %s", path, g_strerror(errno));
}

/* Fills in what kind of listener a descriptor is; FALSE: none that we serve. */
static gboolean classify(int fd, const char *name, const SocketsOptions *o, RpcListener *listener, Inherited *have)
{
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address = {0};
    socklen_t length = sizeof(address);
    guint port;

    if (getsockname(fd, &address.any, &length) < 0)
        return FALSE;
    if (address.any.sa_family == AF_UNIX) {
        if (g_str_has_suffix(address.un.sun_path, "-admin-sock"))
            return FALSE;
        listener->readonly = g_str_has_suffix(address.un.sun_path, "-ro");
        listener->auth = unix_auth(o, listener->readonly);
        if (strstr(address.un.sun_path, OWN_NAME "-sock") != NULL)
            *(listener->readonly ? &have->own_ro : &have->own) = TRUE;
        open_up(address.un.sun_path, o, listener);
        return TRUE;
    }
    if (address.any.sa_family != AF_INET && address.any.sa_family != AF_INET6)
        return FALSE;
    port = ntohs(address.any.sa_family == AF_INET ? address.in.sin_port : address.in6.sin6_port);
    listener->tls = (name != NULL && strstr(name, "tls") != NULL) ||
                    g_ascii_strtoull(o->config->tls_port, NULL, 10) == port;
    listener->auth = auth_of(listener->tls ? o->config->auth_tls : o->config->auth_tcp, FALSE);
    *(listener->tls ? &have->tls : &have->tcp) = TRUE;
    return TRUE;
}

static gboolean add_inherited(RpcServer *server, const SocketsOptions *o, Inherited *have, GError **error)
{
    g_auto(GStrv) names = NULL;
    guint count = listen_fds(&names);
    guint n_names = g_strv_length(names);

    for (guint i = 0; i < count; i++) {
        int fd = FIRST_LISTEN_FD + (int)i;
        RpcListener listener = RPC_LISTENER_INIT;

        fcntl(fd, F_SETFD, FD_CLOEXEC);
        if (!classify(fd, i < n_names ? names[i] : NULL, o, &listener, have)) {
            log_warning("inherited descriptor %d is no socket that we serve; closed", fd);
            close(fd);
            continue;
        }
        listener.fd = fd;
        if (listener.tls && !sockets_set_tls(server, o->config, error))
            return FALSE;
        if (!rpc_server_add_listener(server, &listener, error))
            return FALSE;
    }
    return TRUE;
}

gboolean sockets_add(RpcServer *server, const SocketsOptions *o, GError **error)
{
    Inherited have = {0};

    if (!add_inherited(server, o, &have, error))
        return FALSE;
    if (!have.own && !add_unix(server, o, OWN_NAME, FALSE, error))
        return FALSE;
    /* systemd may have been given the one socket only; then the administrator wants no other. */
    if (!have.own_ro && !have.own && o->paths->privileged && !add_unix(server, o, OWN_NAME, TRUE, error))
        return FALSE;
    for (guint i = 0; o->also != NULL && o->also[i] != NULL; i++) {
        g_autofree char *name = g_strdup_printf("virt%sd", o->also[i]);

        if (!add_name(server, o, name, error)) {
            g_prefix_error(error, "--also %s: ", o->also[i]);
            return FALSE;
        }
    }
    if (!o->listen)
        return TRUE;
    if (o->config->listen_tls && !have.tls &&
        !(sockets_set_tls(server, o->config, error) && add_tcp(server, o->config, TRUE, error)))
        return FALSE;
    return !o->config->listen_tcp || have.tcp || add_tcp(server, o->config, FALSE, error);
}

/* --- readiness ------------------------------------------------------------------------------------------ */

void sockets_notify(const char *state)
{
    const char *path = g_getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    autofd fd = -1;

    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))) < 0)
        log_warning("cannot tell systemd '%s': %s", state, g_strerror(errno));
}
