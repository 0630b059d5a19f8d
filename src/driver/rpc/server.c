/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The server: listeners, the set of clients, threads, start and stop. See server.h. */
#define ERROR_FROM VIR_FROM_RPC
#define LOG_SOURCE "rpc"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/thread.h"
#include "driver/rpc/private.h"

#define ACCEPTS_A_TURN 64

struct Listener {
    RpcServer *server;
    int fd;
    IoWatch *watch; /* I/O thread */
    char *unlink_path;
    ClientTransport kind;
    gboolean readonly;
    ClientAuth auth;
};

void rpc_server_config_init(RpcServerConfig *config)
{
    *config = (RpcServerConfig){
        .max_clients = 5000,
        .max_queued_clients = 1000,
        .max_anonymous_clients = 20,
        .min_workers = 5,
        .max_workers = 20,
        .prio_workers = 5,
        .max_client_requests = 5,
        .keepalive_interval = 5,
        .keepalive_count = 5,
        .max_event_messages = 4096,
        .max_event_bytes = 8 * 1024 * 1024,
        .sasl_service = "libvirt",
        .polkit_action_ro = "org.libvirt.unix.monitor",
        .polkit_action_rw = "org.libvirt.unix.manage",
    };
}

static void listener_free(gpointer opaque)
{
    Listener *listener = opaque;

    io_watch_remove(listener->watch);
    fd_clear(&listener->fd);
    if (listener->unlink_path != NULL)
        unlink(listener->unlink_path);
    g_free(listener->unlink_path);
    g_free(listener);
}

static const char *keep_text(RpcServer *server, int slot, const char *text)
{
    return server->texts[slot] = g_strdup(text);
}

static void tick(void *opaque);

RpcServer *rpc_server_new(const RpcServerConfig *config)
{
    g_autoptr(GError) error = NULL;
    RpcServer *server = g_new0(RpcServer, 1);

    server->config = *config;
    server->config.max_client_requests = MAX(config->max_client_requests, 1);
    server->sasl_users = g_strdupv((char **)config->sasl_allowed_username_list);
    server->config.sasl_allowed_username_list = (const char *const *)server->sasl_users;
    server->config.sasl_service = keep_text(server, 0, config->sasl_service);
    server->config.polkit_action_ro = keep_text(server, 1, config->polkit_action_ro);
    server->config.polkit_action_rw = keep_text(server, 2, config->polkit_action_rw);
    g_mutex_init(&server->lock);
    g_cond_init(&server->quiet);
    server->clients = g_hash_table_new_full(NULL, NULL, (GDestroyNotify)client_unref, NULL);
    server->listeners = g_ptr_array_new_with_free_func(listener_free);
    server->workers = workers_new(config->min_workers, config->max_workers, config->prio_workers);
    server->scratch = g_malloc(SCRATCH_SIZE);
    server->idle_since = g_get_monotonic_time();
    server->loop = io_loop_new(&error);
    if (server->loop == NULL)
        g_error("%s", error->message); /* no descriptors at start-up: nothing can work */
    io_loop_set_tick(server->loop, tick, server);
    return server;
}

gboolean rpc_server_set_tls(RpcServer *server, const RpcTlsConfig *config, GError **error)
{
    Tls *tls = tls_new(config, error), *old;

    if (tls == NULL)
        return FALSE;
    g_mutex_lock(&server->lock);
    old = server->tls;
    server->tls = tls;
    g_mutex_unlock(&server->lock);
    tls_unref(old);
    return TRUE;
}

/* --- clients ------------------------------------------------------------------------------------- */

/* The clients of this moment; each with a reference, so that they can be worked on without the lock. */
static GPtrArray *current_clients(RpcServer *server)
{
    GPtrArray *clients = g_ptr_array_new_with_free_func((GDestroyNotify)client_unref);
    GHashTableIter iter;
    gpointer client;

    g_mutex_lock(&server->lock);
    g_hash_table_iter_init(&iter, server->clients);
    while (g_hash_table_iter_next(&iter, &client, NULL))
        g_ptr_array_add(clients, client_ref(client));
    g_mutex_unlock(&server->lock);
    return clients;
}

static void tick(void *opaque)
{
    RpcServer *server = opaque;
    g_autoptr(GPtrArray) clients = current_clients(server);
    gint64 now = g_get_monotonic_time();

    for (guint i = 0; i < clients->len; i++)
        connection_keepalive(clients->pdata[i], now);
    if (!server->accepting)
        server_update_accepting(server);
    io_loop_want_tick(server->loop, clients->len > 0 || !server->accepting);
}

/* Whether one more client may come. */
static gboolean has_room(RpcServer *server)
{
    const RpcServerConfig *config = &server->config;
    gboolean room;

    g_mutex_lock(&server->lock);
    room = !server->stopping && g_hash_table_size(server->clients) < config->max_clients &&
           (config->max_anonymous_clients == 0 || server->anonymous < config->max_anonymous_clients);
    g_mutex_unlock(&server->lock);
    return room;
}

static void set_accepting(RpcServer *server, gboolean room)
{
    if (room == server->accepting)
        return;
    server->accepting = room;
    for (guint i = 0; i < server->listeners->len; i++) {
        Listener *listener = server->listeners->pdata[i];

        if (listener->watch != NULL)
            io_watch_set(listener->watch, room ? EPOLLIN : 0);
    }
}

/* I/O thread. With no room nobody is accepted: they wait in the backlog. */
void server_update_accepting(RpcServer *server)
{
    set_accepting(server, has_room(server));
}

static void update_accepting(void *opaque)
{
    server_update_accepting(opaque);
}

void server_authenticated(Client *client)
{
    RpcServer *server = client->server;

    g_mutex_lock(&server->lock);
    if (client->anonymous)
        server->anonymous--;
    client->anonymous = FALSE;
    g_mutex_unlock(&server->lock);
    io_loop_post(server->loop, update_accepting, server);
}

/* I/O thread. Takes fd. */
static gboolean add_client(RpcServer *server, int fd, ClientTransport kind, gboolean readonly,
                           ClientAuth auth, const char *address, GError **error)
{
    g_autoptr(Client) client = NULL;
    TlsSession *session = NULL;
    gboolean stopping;
    Tls *tls = NULL;

    if (kind == CLIENT_TRANSPORT_TLS) {
        g_mutex_lock(&server->lock);
        if (server->tls != NULL)
            tls = tls_ref(server->tls);
        g_mutex_unlock(&server->lock);
        if (tls == NULL)
            error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "no TLS certificates are loaded");
        else
            session = tls_session_new(tls, fd, error);
        tls_unref(tls);
        if (session == NULL) {
            close(fd);
            return FALSE;
        }
    }
    client = connection_new(server, fd, kind, readonly, auth, address);
    g_mutex_lock(&server->lock);
    stopping = server->stopping;
    if (!stopping) {
        client->id = ++server->next_id;
        g_hash_table_add(server->clients, client_ref(client));
        server->accepted++;
        server->idle_since = 0;
        if (client->stage == RPC_STAGE_GREETING) {
            server->anonymous++;
            client->anonymous = TRUE;
        }
    }
    g_mutex_unlock(&server->lock);
    if (stopping) {
        tls_session_free(session);
        return error_set(error, VIR_ERR_OPERATION_INVALID, "the server is stopping");
    }
    io_loop_want_tick(server->loop, TRUE);
    if (!connection_start(client, session, error)) {
        connection_close(client);
        return FALSE;
    }
    log_debug("client %" G_GUINT64_FORMAT " connected (%s%s)", client->id,
              address != NULL ? address : "UNIX socket", readonly ? ", read-only" : "");
    return TRUE;
}

void server_client_gone(RpcServer *server, Client *client)
{
    g_mutex_lock(&server->lock);
    if (client->anonymous)
        server->anonymous--;
    client->anonymous = FALSE;
    /* The table's reference goes with it; the caller has one of its own or the loop's. */
    client_ref(client);
    g_hash_table_remove(server->clients, client);
    if (g_hash_table_size(server->clients) == 0)
        server->idle_since = g_get_monotonic_time();
    g_cond_broadcast(&server->quiet);
    g_mutex_unlock(&server->lock);
    client_unref(client);
    server_update_accepting(server);
}

static char *format_address(const struct sockaddr *address, socklen_t length)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (getnameinfo(address, length, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) !=
        0)
        return NULL;
    return g_strdup_printf("%s;%s", host, port);
}

static void accept_some(guint32 events, void *opaque)
{
    Listener *listener = opaque;
    RpcServer *server = listener->server;

    for (int i = 0; i < ACCEPTS_A_TURN && has_room(server); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *address = NULL;
        struct sockaddr_storage peer;
        socklen_t length = sizeof peer;
        int one = 1,
            fd = accept4(listener->fd, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                /* Out of descriptors: the next client that leaves makes room, or the next tick tries again.
                 */
                log_warning("cannot accept a client: %s", g_strerror(errno));
                g_mutex_lock(&server->lock);
                server->refused++;
                g_mutex_unlock(&server->lock);
                set_accepting(server, FALSE); /* until the next tick */
                io_loop_want_tick(server->loop, TRUE);
                return;
            }
            break;
        }
        if (listener->kind != CLIENT_TRANSPORT_UNIX) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
            address = format_address((struct sockaddr *)&peer, length);
        }
        if (!add_client(server, fd, listener->kind, listener->readonly, listener->auth, address, &error))
            log_warning("cannot serve a new client: %s", error->message);
    }
    server_update_accepting(server);
}

/* --- listeners ----------------------------------------------------------------------------------- */

typedef struct NewListener {
    RpcServer *server;
    Listener *listener;
} NewListener;

static gboolean watch_listener(RpcServer *server, Listener *listener, GError **error)
{
    listener->watch = io_watch_add(server->loop, listener->fd, server->accepting ? EPOLLIN : 0, accept_some,
                                   listener, error);
    return listener->watch != NULL;
}

static void add_posted(void *opaque)
{
    g_autofree NewListener *new = opaque;
    g_autoptr(GError) error = NULL;

    g_ptr_array_add(new->server->listeners, new->listener);
    if (!watch_listener(new->server, new->listener, &error))
        log_error("cannot listen: %s", error->message);
}

static gboolean add_listener_fd(RpcServer *server, int fd, const RpcListener *spec, char *unlink_path,
                                GError **error)
{
    Listener *listener;
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
        listen(fd, (int)MIN(server->config.max_queued_clients, G_MAXINT)) < 0) {
        error_set_errno(error, errno, "Cannot listen on %s",
                        unlink_path != NULL ? unlink_path : "the socket");
        close(fd);
        g_free(unlink_path);
        return FALSE;
    }
    if (!fd_set_nonblocking(fd, TRUE, error)) {
        close(fd);
        g_free(unlink_path);
        return FALSE;
    }
    listener = g_new0(Listener, 1);
    *listener = (Listener){.server = server,
                           .fd = fd,
                           .unlink_path = unlink_path,
                           .readonly = spec->readonly,
                           .auth = spec->auth};
    listener->kind = spec->tls                      ? CLIENT_TRANSPORT_TLS
                     : address.ss_family == AF_UNIX ? CLIENT_TRANSPORT_UNIX
                                                    : CLIENT_TRANSPORT_TCP;
    if (server->started) {
        NewListener *new = g_new(NewListener, 1);

        *new = (NewListener){server, listener};
        io_loop_post(server->loop, add_posted, new);
    } else {
        g_ptr_array_add(server->listeners, listener);
    }
    return TRUE;
}

/* A socket file nobody listens on any more is in the way: remove it. */
static gboolean remove_stale(const struct sockaddr_un *address, GError **error)
{
    autofd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stat st;

    if (lstat(address->sun_path, &st) < 0)
        return TRUE;
    if (!S_ISSOCK(st.st_mode))
        return error_set(error, VIR_ERR_OPERATION_FAILED,
                         "Cannot listen on '%s': the file exists and is no socket", address->sun_path);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0)
        return error_set(error, VIR_ERR_OPERATION_FAILED,
                         "Cannot listen on '%s': another daemon serves this socket; stop it first",
                         address->sun_path);
    unlink(address->sun_path);
    return TRUE;
}

static gboolean listen_unix(RpcServer *server, const RpcListener *spec, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    autofd fd = -1;
    mode_t old;
    int result;

    if (strlen(spec->unix_path) >= sizeof address.sun_path)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "Cannot listen on '%s': the path is longer than %zu bytes", spec->unix_path,
                         sizeof address.sun_path - 1);
    g_strlcpy(address.sun_path, spec->unix_path, sizeof address.sun_path);
    if (!remove_stale(&address, error))
        return FALSE;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set_errno(error, errno, "Cannot create a socket for '%s'", spec->unix_path);
    /* Never wider than asked, not even for a moment. The umask is the process's: done at start-up. */
    old = umask(0777 & ~spec->unix_mode);
    result = bind(fd, (struct sockaddr *)&address, sizeof address);
    umask(old);
    if (result < 0)
        return error_set_errno(error, errno, "Cannot bind to socket '%s'", spec->unix_path);
    if (spec->unix_group >= 0 && chown(spec->unix_path, (uid_t)-1, (gid_t)spec->unix_group) < 0) {
        error_set_errno(error, errno, "Cannot give socket '%s' to group %" G_GINT64_FORMAT, spec->unix_path,
                        spec->unix_group);
        unlink(spec->unix_path);
        return FALSE;
    }
    return add_listener_fd(server, fd_steal(&fd), spec, g_strdup(spec->unix_path), error);
}

static gboolean listen_tcp(RpcServer *server, const RpcListener *spec, GError **error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
    const char *host = spec->tcp_host != NULL ? spec->tcp_host : "*";
    int code = getaddrinfo(spec->tcp_host, spec->tcp_port, &hints, &list), last = 0;
    guint listening = 0;

    if (code != 0)
        return error_set(error, VIR_ERR_SYSTEM_ERROR, "Unable to resolve address '%s' service '%s': %s", host,
                         spec->tcp_port, gai_strerror(code));
    for (struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        int one = 1, fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);

        if (fd < 0) {
            last = errno; /* e.g. no IPv6 in this kernel */
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (a->ai_family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
        if (bind(fd, a->ai_addr, a->ai_addrlen) < 0) {
            last = errno;
            close(fd);
            if (last == EADDRNOTAVAIL)
                continue;
            break;
        }
        if (!add_listener_fd(server, fd, spec, NULL, error)) {
            freeaddrinfo(list);
            return FALSE;
        }
        last = 0;
        listening++;
    }
    freeaddrinfo(list);
    if (listening > 0 && (last == 0 || last == EADDRNOTAVAIL || last == EAFNOSUPPORT))
        return TRUE;
    return error_set_errno(error, last, "Unable to bind to %s port %s", host, spec->tcp_port);
}

gboolean rpc_server_add_listener(RpcServer *server, const RpcListener *spec, GError **error)
{
    if (spec->unix_path != NULL)
        return listen_unix(server, spec, error);
    if (spec->tcp_port != NULL)
        return listen_tcp(server, spec, error);
    return add_listener_fd(server, spec->fd, spec, NULL, error);
}

typedef struct NewConnection {
    RpcServer *server;
    int fd;
    gboolean readonly;
    ClientAuth auth;
} NewConnection;

static void connection_posted(void *opaque)
{
    g_autofree NewConnection *new = opaque;
    g_autoptr(GError) error = NULL;

    if (!add_client(new->server, new->fd, CLIENT_TRANSPORT_UNIX, new->readonly, new->auth, NULL, &error))
        log_warning("cannot serve a connection: %s", error->message);
}

gboolean rpc_server_add_connection(RpcServer *server, int fd, gboolean readonly, ClientAuth auth,
                                   GError **error)
{
    NewConnection *new;

    if (!fd_set_nonblocking(fd, TRUE, error)) {
        close(fd);
        return FALSE;
    }
    new = g_new(NewConnection, 1);
    *new = (NewConnection){server, fd, readonly, auth};
    io_loop_post(server->loop, connection_posted, new);
    return TRUE;
}

/* --- threads ------------------------------------------------------------------------------------- */

static gpointer io_thread(gpointer opaque)
{
    RpcServer *server = opaque;

    io_loop_run(server->loop);
    return NULL;
}

gboolean rpc_server_start(RpcServer *server, GError **error)
{
    for (guint i = 0; i < server->listeners->len; i++) {
        if (!watch_listener(server, server->listeners->pdata[i], error))
            return FALSE;
    }
    server_update_accepting(server);
    if (!workers_start(server->workers, error))
        return FALSE;
    server->io_thread = thread_new("rpc-io", io_thread, server, error);
    server->started = server->io_thread != NULL;
    return server->started;
}

void server_helper_begin(RpcServer *server)
{
    g_mutex_lock(&server->lock);
    server->helpers++;
    g_mutex_unlock(&server->lock);
}

void server_helper_end(RpcServer *server)
{
    g_mutex_lock(&server->lock);
    server->helpers--;
    g_cond_broadcast(&server->quiet);
    g_mutex_unlock(&server->lock);
}

static void close_everything(void *opaque)
{
    RpcServer *server = opaque;
    g_autoptr(GPtrArray) clients = NULL;

    /* The loop that quit before it came here runs this in io_loop_free(). */
    if (server->listeners != NULL)
        g_ptr_array_set_size(server->listeners, 0);
    clients = current_clients(server);
    for (guint i = 0; i < clients->len; i++)
        connection_close(clients->pdata[i]);
}

void rpc_server_stop(RpcServer *server)
{
    if (!server->started)
        return;
    g_mutex_lock(&server->lock);
    server->stopping = TRUE;
    g_mutex_unlock(&server->lock);
    io_loop_post(server->loop, close_everything, server);
    g_mutex_lock(&server->lock);
    while (g_hash_table_size(server->clients) > 0 || server->helpers > 0)
        g_cond_wait(&server->quiet, &server->lock);
    g_mutex_unlock(&server->lock);
    workers_free(server->workers);
    server->workers = NULL;
    io_loop_quit(server->loop);
    g_clear_pointer(&server->io_thread, g_thread_join);
    server->started = FALSE;
}

void rpc_server_free(RpcServer *server)
{
    if (server == NULL)
        return;
    rpc_server_stop(server);
    workers_free(server->workers);
    g_clear_pointer(&server->listeners, g_ptr_array_unref);
    io_loop_free(server->loop);
    g_hash_table_unref(server->clients);
    tls_unref(server->tls);
    g_mutex_clear(&server->lock);
    g_cond_clear(&server->quiet);
    g_strfreev(server->sasl_users);
    for (gsize i = 0; i < G_N_ELEMENTS(server->texts); i++)
        g_free(server->texts[i]);
    g_free(server->scratch);
    g_free(server);
}

/* --- questions ----------------------------------------------------------------------------------- */

void rpc_server_stats(RpcServer *server, RpcServerStats *ret_stats)
{
    *ret_stats = (RpcServerStats){0};
    g_mutex_lock(&server->lock);
    ret_stats->clients = g_hash_table_size(server->clients);
    ret_stats->anonymous_clients = server->anonymous;
    ret_stats->clients_accepted = server->accepted;
    ret_stats->clients_refused = server->refused;
    g_mutex_unlock(&server->lock);
    ret_stats->calls = __atomic_load_n(&server->calls, __ATOMIC_RELAXED);
    ret_stats->events_lost = __atomic_load_n(&server->events_lost, __ATOMIC_RELAXED);
    if (server->workers != NULL)
        workers_count(server->workers, &ret_stats->workers, &ret_stats->workers_busy,
                      &ret_stats->prio_workers, &ret_stats->jobs_queued);
}

gint64 rpc_server_idle_since(RpcServer *server)
{
    gint64 since;

    g_mutex_lock(&server->lock);
    since = server->idle_since;
    g_mutex_unlock(&server->lock);
    return since;
}

void rpc_server_foreach_client(RpcServer *server, void (*fn)(Client *client, void *opaque), void *opaque)
{
    g_autoptr(GPtrArray) clients = current_clients(server);

    for (guint i = 0; i < clients->len; i++)
        fn(clients->pdata[i], opaque);
}
