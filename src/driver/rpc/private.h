/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of this layer share: server, client and call from the inside. Nobody outside includes it.
 *
 * Who may touch what:
 *   I/O thread   everything marked so below, without a lock: reading, parsing, pending calls, watches,
 * keepalive client lock  the output queue, counts of running calls, streams, hooks, data. Held for moments
 * only (a non-blocking send at most); no callback is called under it. Order: server lock, client lock.
 *   atomics      stage, closed: written under the client lock, read anywhere
 */
#pragma once

#include "driver/rpc/call.h"
#include "driver/rpc/ioloop.h"
#include "driver/rpc/procedure.h"
#include "driver/rpc/server.h"
#include "driver/rpc/stream.h"
#include "driver/rpc/transport.h"
#include "driver/rpc/wire.h"
#include "driver/rpc/workers.h"

#define CLIENT_PENDING_BYTES_MAX (4 * 1024 * 1024) /* calls parsed and not started: then reading stops */
#define CLIENT_OUT_BYTES_MAX (4 * 1024 * 1024) /* output not taken by the client: then reading stops */
#define CLIENT_STREAMS_MAX 256
#define SCRATCH_SIZE (256 * 1024)

typedef struct Sasl Sasl;
typedef struct Tls Tls;
typedef struct TlsSession TlsSession;
typedef struct Listener Listener;

struct RpcServer {
    RpcServerConfig config; /* immutable; strings owned by the arrays below */
    char **sasl_users;
    char *texts[3];
    IoLoop *loop;
    GThread *io_thread;
    Workers *workers;
    gboolean started;

    GMutex lock;
    GCond quiet; /* a client went away or a helper thread ended */
    GHashTable *clients; /* set of Client, each a reference; guarded by lock */
    guint anonymous; /* guarded by lock */
    guint helpers; /* threads of file streams; guarded by lock */
    gint64 idle_since; /* guarded by lock */
    guint64 next_id, accepted, refused;
    guint64 events_lost;
    gboolean stopping; /* guarded by lock */
    Tls *tls; /* guarded by lock; replaced whole */

    guint64 calls; /* atomic add, relaxed */

    /* I/O thread */
    GPtrArray *listeners;
    gboolean accepting;
    guint8 *scratch; /* input of whoever is being read */
};

typedef enum { OUT_REPLY, OUT_EVENT, OUT_STREAM } OutKind;

typedef struct OutMessage {
    guint8 *data;
    gsize length;
    gsize sent;
    int *fds; /* follow the bytes; owned */
    guint n_fds;
    guint fds_sent;
    OutKind kind;
    gboolean then_close;
    gboolean then_sasl; /* the security layer begins after this message */
    Stream *stream; /* a reference; OUT_STREAM */
    gsize stream_bytes;
} OutMessage;

typedef struct CloseHook {
    ClientCloseFunc fn;
    void *opaque;
    GDestroyNotify destroy;
} CloseHook;

struct Client {
    gint references;
    RpcServer *server;
    guint64 id;
    gboolean readonly;
    ClientTransport kind;
    gboolean has_peer;
    uid_t uid;
    gid_t gid;
    pid_t pid;
    char *address;
    gint64 connect_time;

    gint stage; /* RpcStage; atomic */
    gint closed; /* atomic: nothing more is queued */
    gint auth; /* ClientAuth; atomic */
    gint wants_keepalive; /* atomic: the client answers pings */

    /* I/O thread */
    IoWatch *watch;
    TlsSession *handshake; /* while TLS is being agreed on */
    guint8 *rx; /* a message that has not come whole */
    gsize rx_length, rx_size;
    GArray *rx_fds; /* descriptors not yet claimed by a message */
    GQueue pending; /* of Call: not started */
    gsize pending_bytes;
    gboolean parsing, ended;
    guint brief_left; /* "brief" calls that may still run here this turn */
    gboolean stalled; /* rx holds whole messages that were not looked at because too much is waiting */
    gint64 last_input; /* monotonic */
    guint pings; /* unanswered */

    gboolean anonymous; /* counted in server->anonymous; guarded by the server's lock */

    GMutex lock;
    /* guarded by lock */
    Transport transport;
    GQueue out; /* of OutMessage */
    gsize out_bytes;
    guint out_events;
    gsize out_event_bytes;
    gboolean want_write; /* the socket is full: wait for EPOLLOUT */
    gboolean broken; /* writing failed or close was asked for */
    gboolean woken; /* connection_wake is posted */
    gboolean input_over; /* EOF was read: answer what is left, then close */
    guint running[2]; /* calls on workers; [1] high */
    gboolean alone; /* an "alone" call is running */
    gboolean waiting; /* a call could not start: who ends one wakes the I/O thread */
    guint streams_full; /* streams above STREAM_PENDING_MAX */
    GHashTable *streams; /* serial -> Stream (a reference) */
    GSList *hooks; /* of CloseHook, last added first */
    GHashTable *data;
    ClientLostFunc lost_hook;
    void *lost_opaque;
    guint64 events_lost, events_lost_unreported;
    Sasl *sasl;
    gboolean encrypted_by_sasl;
    char *sasl_user, *x509_name;
};

struct Call {
    Client *client; /* a reference, unless on the stack */
    const RpcProcedure *procedure; /* NULL: unknown */
    gboolean known_program;
    WireHeader header;
    guint8 *payload;
    gsize length;
    int fds[WIRE_FDS_MAX];
    guint n_fds;
    int out_fds[WIRE_FDS_MAX];
    guint n_out_fds;
    Stream *stream;
    gboolean then_sasl, then_close;
    gboolean here; /* runs on the I/O thread */
    gboolean moved; /* has asked for a worker */
};

/* connection.c, I/O thread */
Client *connection_new(RpcServer *server, int fd, ClientTransport kind, gboolean readonly, ClientAuth auth,
                       const char *address);
gboolean connection_start(Client *client, TlsSession *handshake, GError **error);
void connection_wake(void *client); /* takes a reference with it */
void connection_close(Client *client);
void connection_keepalive(Client *client, gint64 now);
/* output.c, any thread */
void connection_flush(Client *client);
void out_messages_free(GQueue *messages);
/* any thread */
void connection_poke(Client *client); /* have the I/O thread look at it again */
void connection_poke_locked(Client *client);
/* Takes the message. FALSE: closed, it was freed. flush: try the socket at once. */
gboolean connection_queue(Client *client, OutMessage *message, gboolean flush);
/* The same if check, called under the lock, says so. */
gboolean connection_queue_if(Client *client, OutMessage *message, gboolean flush,
                             gboolean (*check)(OutMessage *message));
gboolean connection_queue_locked(Client *client, OutMessage *message, gboolean flush);
OutMessage *out_message_new(XdrWriter *writer, OutKind kind);
void out_message_free(OutMessage *message);
gboolean connection_send_empty(Client *client, const WireHeader *header);

/* dispatch.c */
void dispatch_frame(Client *client, const WireHeader *header, const guint8 *payload, gsize length,
                    const int *fds, guint n_fds);
void dispatch_pump(Client *client); /* start what may be started */
void dispatch_drop(Client *client); /* forget what has not been started */

/* stream.c */
void stream_receive(Client *client, const WireHeader *header, const guint8 *payload, gsize length);
gboolean stream_register(Stream *stream,
                         GError **error); /* before the reply is queued: data may follow at once */
void stream_activate(Stream *stream); /* the reply is queued; takes the call's reference */
void stream_discard(Stream *stream); /* the handler failed; drops the call's reference */
void stream_sent_locked(Stream *stream, gsize bytes);
void stream_close_all(Client *client); /* I/O thread */
gboolean stream_sparse(Call *call);

/* server.c */
void server_client_gone(RpcServer *server, Client *client);
void server_update_accepting(RpcServer *server);
void server_authenticated(Client *client); /* stage GREETING is over */
void server_helper_begin(RpcServer *server);
void server_helper_end(RpcServer *server);

/* client.c */
void client_run_hooks(void *client); /* a worker; takes a reference with it */

/* auth.c */
void client_set_authenticated(Client *client, ClientAuth auth);

/* tls.c */
TlsSession *tls_session_new(Tls *tls, int fd, GError **error);
void tls_session_free(TlsSession *session);
/* 1 done and verified, TRANSPORT_AGAIN, TRANSPORT_FAILED. *ret_events: what to wait for. */
gssize tls_session_handshake(TlsSession *session, guint32 *ret_events, char **ret_dn, GError **error);
extern const TransportOps tls_transport_ops;
Tls *tls_new(const RpcTlsConfig *config, GError **error);
Tls *tls_ref(Tls *tls);
void tls_unref(Tls *tls);

/* sasl.c */
Sasl *sasl_new(Client *client, GError **error);
void sasl_free(Sasl *sasl);
char *sasl_mechanisms(Sasl *sasl, GError **error);
/* data may be NULL. Output is the layer's until the next step. */
gboolean sasl_step(Sasl *sasl, const char *mechanism, const char *data, guint32 length,
                   gboolean *ret_complete, const char **ret_data, guint32 *ret_length, GError **error);
gint sasl_ssf(Sasl *sasl);
char *sasl_user(Sasl *sasl, GError **error);
extern const TransportOps sasl_transport_ops; /* layer: Sasl */

/* polkit.c: blocks (D-Bus, an agent's dialog). */
gboolean polkit_check(const char *action, pid_t pid, uid_t uid, GError **error);
