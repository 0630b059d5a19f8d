/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection: reading and cutting frames, keepalive, the end (its output: output.c). See private.h for who
 * may touch what.
 *
 * Input is read into a buffer of the server's; only what is left of a message that has not come whole is kept
 * with the client, in a buffer that grows with the bytes that really arrive. Nothing is read while too much
 * is waiting: calls that cannot start, output that the client does not take, stream data that nobody has
 * consumed.
 *
 * Rubbish (a length, type or descriptor count that cannot be) ends the connection and nothing else.
 */
#define ERROR_FROM VIR_FROM_RPC
#define LOG_SOURCE "rpc"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "driver/rpc/private.h"

#define READS_A_TURN 4 /* then others get their turn */
#define BRIEF_A_TURN 2 /* what comes after them is for the workers */
#define RX_FDS_MAX (4 * WIRE_FDS_MAX)
#define HANDSHAKE_USEC (20 * G_USEC_PER_SEC)
#define GREETING_USEC (300 * G_USEC_PER_SEC) /* a person may be asked for a password */

/* --- what the I/O thread waits for --------------------------------------------------------------- */

/* Too much is waiting to look at more. */
static gboolean parsing_paused(Client *client)
{
    guint pending_max = 2 * client->server->config.max_client_requests + 16;
    gboolean paused;

    if (g_queue_get_length(&client->pending) >= pending_max ||
        client->pending_bytes > CLIENT_PENDING_BYTES_MAX)
        return TRUE;
    g_mutex_lock(&client->lock);
    paused = client->out_bytes > CLIENT_OUT_BYTES_MAX || client->streams_full > 0;
    g_mutex_unlock(&client->lock);
    return paused;
}

static gboolean reading_paused(Client *client)
{
    gboolean over;

    g_mutex_lock(&client->lock);
    over = client->input_over;
    g_mutex_unlock(&client->lock);
    return over || client->stalled || parsing_paused(client);
}

static void update_watch(Client *client)
{
    guint32 events = 0;
    gboolean over;

    if (client->ended || client->handshake != NULL)
        return;
    if (!reading_paused(client))
        events |= EPOLLIN | EPOLLRDHUP;
    else if (client->stalled && !parsing_paused(client))
        connection_poke(client);
    g_mutex_lock(&client->lock);
    if (client->want_write)
        events |= EPOLLOUT;
    /* Everything that was asked before the end of input has been answered? */
    over = client->broken ||
           (client->input_over && !client->stalled && client->running[0] + client->running[1] == 0 &&
            g_queue_is_empty(&client->out) && g_queue_is_empty(&client->pending));
    g_mutex_unlock(&client->lock);
    if (over)
        connection_close(client);
    else
        io_watch_set(client->watch, events);
}

void connection_poke_locked(Client *client)
{
    if (client->woken || g_atomic_int_get(&client->closed))
        return;
    client->woken = TRUE;
    io_loop_post(client->server->loop, connection_wake, client_ref(client));
}

void connection_poke(Client *client)
{
    g_mutex_lock(&client->lock);
    connection_poke_locked(client);
    g_mutex_unlock(&client->lock);
}

/* --- input --------------------------------------------------------------------------------------- */

static gboolean rubbish(Client *client, const char *what)
{
    log_info("client %" G_GUINT64_FORMAT " (%s) sent rubbish: %s; its connection is closed", client->id,
             client->address != NULL ? client->address : "UNIX socket", what);
    connection_close(client);
    return FALSE;
}

static void keepalive_frame(Client *client, const WireHeader *header)
{
    WireHeader reply = *header;

    if (header->version != RPC_VERSION_KEEPALIVE || header->type != WIRE_MESSAGE) {
        rubbish(client, "a keepalive message of an unknown kind");
        return;
    }
    if (header->procedure == RPC_KEEPALIVE_PING) {
        g_atomic_int_set(&client->wants_keepalive, TRUE);
        reply.procedure = RPC_KEEPALIVE_PONG;
        reply.status = WIRE_OK;
        connection_send_empty(client, &reply);
    } else if (header->procedure != RPC_KEEPALIVE_PONG) {
        log_debug("client %" G_GUINT64_FORMAT ": unknown keepalive message %d", client->id,
                  header->procedure);
    }
}

/* One whole frame. */
static void frame(Client *client, const WireHeader *header, const guint8 *payload, gsize length, guint n_fds)
{
    int fds[WIRE_FDS_MAX];

    if (header->program == RPC_PROGRAM_KEEPALIVE) {
        keepalive_frame(client, header);
        return;
    }
    switch (header->type) {
    case WIRE_CALL:
    case WIRE_CALL_WITH_FDS:
        if (n_fds > 0) {
            memcpy(fds, client->rx_fds->data, n_fds * sizeof(int));
            g_array_remove_range(client->rx_fds, 0, n_fds);
        }
        dispatch_frame(client, header, payload, length, fds, n_fds);
        return;
    case WIRE_STREAM:
    case WIRE_STREAM_HOLE:
        stream_receive(client, header, payload, length);
        return;
    default:
        log_debug("client %" G_GUINT64_FORMAT ": message of type %u ignored", client->id, header->type);
    }
}

/* Cuts whole frames off the front. Returns what was used; client->ended tells whether it is still there. */
static gsize parse(Client *client, const guint8 *data, gsize length)
{
    gsize used = 0;

    client->parsing = TRUE;
    client->stalled = FALSE;
    while (!client->ended && length - used >= WIRE_LENGTH_SIZE) {
        const guint8 *at = data + used;
        gsize size = wire_get_word(at), skip = WIRE_FRAME_SIZE;
        gsize max = g_atomic_int_get(&client->stage) == RPC_STAGE_GREETING ? WIRE_FRAME_ANONYMOUS_MAX
                                                                           : WIRE_FRAME_MAX;
        guint32 n_fds = 0;
        WireHeader header;

        if (size < WIRE_FRAME_SIZE || size > max) {
            rubbish(client, "a message of impossible length");
            break;
        }
        if (length - used < WIRE_FRAME_SIZE)
            break;
        wire_decode_header(at + WIRE_LENGTH_SIZE, &header);
        if (header.type >= WIRE_TYPE_LAST || header.status >= WIRE_STATUS_LAST) {
            rubbish(client, "a message of unknown type");
            break;
        }
        if (header.type == WIRE_CALL_WITH_FDS) {
            skip += 4;
            if (size < skip) {
                rubbish(client, "a message with descriptors but without their number");
                break;
            }
            if (length - used < skip)
                break;
            n_fds = wire_get_word(at + WIRE_FRAME_SIZE);
            if (n_fds > WIRE_FDS_MAX) {
                rubbish(client, "a message with too many descriptors");
                break;
            }
        }
        if (length - used < size + n_fds) /* a dummy byte for each descriptor follows */
            break;
        if (client->rx_fds->len < n_fds) {
            rubbish(client, "fewer descriptors than announced");
            break;
        }
        if (parsing_paused(client)) {
            client->stalled = TRUE;
            break;
        }
        used += size + n_fds;
        frame(client, &header, at + skip, size - skip, n_fds);
    }
    client->parsing = FALSE;
    return used;
}

/* Keeps what parse did not use of data, which may be the client's own buffer. */
static void keep_rest(Client *client, const guint8 *data, gsize length, gsize used)
{
    gsize rest = length - used;

    if (data == client->rx) {
        memmove(client->rx, client->rx + used, rest);
    } else if (rest > 0) {
        client->rx_size = rest;
        client->rx = g_memdup2(data + used, rest);
    }
    client->rx_length = rest;
    if (rest == 0) {
        g_clear_pointer(&client->rx, g_free);
        client->rx_size = 0;
    }
}

static void parse_kept(Client *client)
{
    gsize used;

    if (client->rx_length == 0 || client->ended || client->parsing)
        return;
    used = parse(client, client->rx, client->rx_length);
    if (!client->ended)
        keep_rest(client, client->rx, client->rx_length, used);
}

/* Room for more of a message of which rx holds the beginning: up to its end, in steps of what has arrived. */
static gsize grow(Client *client)
{
    gsize frame_size = client->rx_length >= WIRE_LENGTH_SIZE ? wire_get_word(client->rx) + WIRE_FDS_MAX : 0;
    gsize size = MAX(client->rx_size, 65536);

    if (client->rx_size - client->rx_length < 4096)
        size = MAX(size, MIN(client->rx_length * 4, MAX(frame_size, client->rx_length + 65536)));
    if (size > client->rx_size) {
        client->rx = g_realloc(client->rx, size);
        client->rx_size = size;
    }
    return client->rx_size - client->rx_length;
}

static void end_of_input(Client *client)
{
    gboolean busy;

    g_mutex_lock(&client->lock);
    busy = client->kind == CLIENT_TRANSPORT_UNIX && g_hash_table_size(client->streams) == 0 &&
           (client->stalled || client->running[0] + client->running[1] > 0 ||
            !g_queue_is_empty(&client->out) || !g_queue_is_empty(&client->pending));
    client->input_over = TRUE;
    g_mutex_unlock(&client->lock);
    if (!busy)
        connection_close(client);
}

/* Reads once. FALSE: no more now. */
static gboolean read_once(Client *client)
{
    g_autoptr(GError) error = NULL;
    gboolean own = client->rx_length > 0;
    gsize room = own ? grow(client) : SCRATCH_SIZE, used;
    guint8 *buffer = own ? client->rx + client->rx_length : client->server->scratch;
    gssize n;

    g_mutex_lock(&client->lock);
    n = transport_read(&client->transport, buffer, room, client->rx_fds, &error);
    g_mutex_unlock(&client->lock);
    if (n == TRANSPORT_AGAIN)
        return FALSE;
    if (n == TRANSPORT_EOF) {
        end_of_input(client);
        return FALSE;
    }
    if (n < 0) {
        log_debug("client %" G_GUINT64_FORMAT ": %s", client->id, error->message);
        connection_close(client);
        return FALSE;
    }
    client->last_input = g_get_monotonic_time();
    client->pings = 0;
    if (own) {
        client->rx_length += (gsize)n;
        parse_kept(client);
    } else {
        used = parse(client, buffer, (gsize)n);
        if (!client->ended)
            keep_rest(client, buffer, (gsize)n, used);
    }
    if (client->ended)
        return FALSE;
    if (client->rx_fds->len > RX_FDS_MAX || (client->rx_length == 0 && client->rx_fds->len > 0))
        return rubbish(client, "descriptors that belong to no message");
    return (gsize)n == room || client->transport.ops != NULL;
}

static void readable(Client *client)
{
    parse_kept(client);
    for (int i = 0; i < READS_A_TURN && !client->ended && !reading_paused(client); i++) {
        if (!read_once(client))
            return;
    }
    /* What a layer has read already, the socket will not announce again. */
    if (!client->ended && transport_has_input(&client->transport))
        connection_poke(client);
}

static void report_lost(Client *client)
{
    ClientLostFunc hook = NULL;
    void *opaque = NULL;
    guint64 lost = 0;

    g_mutex_lock(&client->lock);
    if (client->events_lost_unreported > 0 && client->out_events == 0) {
        hook = client->lost_hook;
        opaque = client->lost_opaque;
        lost = client->events_lost_unreported;
        client->events_lost_unreported = 0;
    }
    g_mutex_unlock(&client->lock);
    if (hook != NULL)
        hook(client, lost, opaque);
}

/* After reading: starts what may start, and sends what calls run on the spot have answered; they leave that to here. */
static void answer(Client *client)
{
    dispatch_pump(client);
    connection_flush(client);
    report_lost(client);
}

/* --- TLS before the first frame ------------------------------------------------------------------ */

static void handshake(Client *client)
{
    g_autoptr(GError) error = NULL;
    XdrWriter writer = {0};
    guint32 events = 0;
    char *dn = NULL;
    gssize result = tls_session_handshake(client->handshake, &events, &dn, &error);

    if (result == TRANSPORT_AGAIN) {
        io_watch_set(client->watch, events | EPOLLRDHUP);
        return;
    }
    if (result < 0) {
        log_info("client %" G_GUINT64_FORMAT " (%s): %s", client->id, client->address, error->message);
        connection_close(client);
        return;
    }
    g_mutex_lock(&client->lock);
    transport_set_layer(&client->transport, &tls_transport_ops, g_steal_pointer(&client->handshake));
    client->x509_name = dn;
    g_mutex_unlock(&client->lock);
    /* libvirt's client waits for one byte that tells it that its certificate was accepted. */
    xdr_put_bytes(&writer, "\1", 1);
    connection_queue(client, out_message_new(&writer, OUT_REPLY), TRUE);
    if (g_atomic_int_get(&client->auth) == CLIENT_AUTH_NONE)
        client_set_authenticated(client, CLIENT_AUTH_NONE);
    readable(client); /* a quick client has asked already */
    if (client->ended)
        return;
    answer(client);
    update_watch(client);
}

/* --- turns --------------------------------------------------------------------------------------- */

static void ready(guint32 events, void *opaque)
{
    g_autoptr(Client) client = client_ref(opaque);

    if (client->handshake != NULL) {
        handshake(client);
        return;
    }
    client->brief_left = BRIEF_A_TURN;
    if (events & EPOLLOUT)
        connection_flush(client);
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        readable(client);
    if (client->ended)
        return;
    if (events & (EPOLLHUP | EPOLLERR)) {
        connection_close(client);
        return;
    }
    answer(client);
    update_watch(client);
}

void connection_wake(void *opaque)
{
    g_autoptr(Client) client = opaque;

    g_mutex_lock(&client->lock);
    client->woken = FALSE;
    g_mutex_unlock(&client->lock);
    if (client->ended)
        return;
    if (client->handshake == NULL) {
        dispatch_pump(client);
        connection_flush(client);
        readable(client);
    }
    if (client->ended)
        return;
    answer(client);
    g_mutex_lock(&client->lock);
    if (client->broken) {
        g_mutex_unlock(&client->lock);
        connection_close(client);
        return;
    }
    g_mutex_unlock(&client->lock);
    update_watch(client);
}

static gboolean is_busy(Client *client)
{
    gboolean busy;

    g_mutex_lock(&client->lock);
    busy = client->running[0] + client->running[1] > 0;
    g_mutex_unlock(&client->lock);
    return busy;
}

void connection_keepalive(Client *client, gint64 now)
{
    const RpcServerConfig *config = &client->server->config;
    WireHeader ping = {
        RPC_PROGRAM_KEEPALIVE, RPC_VERSION_KEEPALIVE, RPC_KEEPALIVE_PING, WIRE_MESSAGE, 0, WIRE_OK};

    if (client->ended)
        return;
    if (client->handshake != NULL) {
        if (now - client->last_input > HANDSHAKE_USEC)
            connection_close(client);
        return;
    }
    /* Who connects and never says who he is takes a place of max_anonymous_clients. */
    if (g_atomic_int_get(&client->stage) == RPC_STAGE_GREETING && now - client->last_input > GREETING_USEC &&
        !is_busy(client)) {
        log_info("client %" G_GUINT64_FORMAT " did not authenticate in time; its connection is closed",
                 client->id);
        connection_close(client);
        return;
    }
    if (config->keepalive_interval <= 0 || !g_atomic_int_get(&client->wants_keepalive) ||
        now - client->last_input < (gint64)config->keepalive_interval * (client->pings + 1) * G_USEC_PER_SEC)
        return;
    if (reading_paused(client))
        return; /* its answer could not be read */
    if (client->pings >= config->keepalive_count) {
        log_info("client %" G_GUINT64_FORMAT
                 " answered none of %u keepalive messages; its connection is closed",
                 client->id, client->pings);
        connection_close(client);
        return;
    }
    client->pings++;
    connection_send_empty(client, &ping);
    update_watch(client);
}

/* --- beginning and end --------------------------------------------------------------------------- */

Client *connection_new(RpcServer *server, int fd, ClientTransport kind, gboolean readonly, ClientAuth auth,
                       const char *address)
{
    Client *client = g_new0(Client, 1);
    struct ucred peer;
    socklen_t length = sizeof peer;

    client->references = 1;
    client->server = server;
    client->kind = kind;
    client->readonly = readonly;
    client->auth = (gint)auth;
    client->address = g_strdup(address);
    client->connect_time = g_get_real_time();
    client->last_input = g_get_monotonic_time();
    client->stage = auth == CLIENT_AUTH_NONE && kind != CLIENT_TRANSPORT_TLS ? RPC_STAGE_AUTHENTICATED
                                                                             : RPC_STAGE_GREETING;
    if (kind == CLIENT_TRANSPORT_UNIX && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0) {
        client->has_peer = TRUE;
        client->uid = peer.uid;
        client->gid = peer.gid;
        client->pid = peer.pid;
    }
    g_mutex_init(&client->lock);
    g_queue_init(&client->out);
    g_queue_init(&client->pending);
    client->rx_fds = g_array_new(FALSE, FALSE, sizeof(int));
    client->streams =
        g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, (GDestroyNotify)stream_unref);
    transport_init(&client->transport, fd);
    return client;
}

gboolean connection_start(Client *client, TlsSession *session, GError **error)
{
    client->handshake = session;
    client->watch =
        io_watch_add(client->server->loop, client->transport.fd, EPOLLIN | EPOLLRDHUP, ready, client, error);
    return client->watch != NULL;
}

void connection_close(Client *client)
{
    GQueue out = G_QUEUE_INIT;

    if (client->ended)
        return;
    client->ended = TRUE;
    io_watch_remove(client->watch);
    client->watch = NULL;
    g_mutex_lock(&client->lock);
    g_atomic_int_set(&client->closed, TRUE);
    out = client->out;
    g_queue_init(&client->out);
    client->out_bytes = 0;
    if (client->transport.ops == &sasl_transport_ops)
        client->sasl = NULL; /* freed with the transport */
    transport_clear(&client->transport);
    g_mutex_unlock(&client->lock);
    out_messages_free(&out);
    g_clear_pointer(&client->handshake, tls_session_free);
    stream_close_all(client);
    dispatch_drop(client);
    g_clear_pointer(&client->rx, g_free);
    client->rx_length = client->rx_size = 0;
    for (guint i = 0; i < client->rx_fds->len; i++)
        close(g_array_index(client->rx_fds, int, i));
    g_array_set_size(client->rx_fds, 0);
    workers_push(client->server->workers, TRUE, client_run_hooks, client_ref(client));
    server_client_gone(client->server, client);
}
