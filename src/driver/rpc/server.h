/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The RPC server: listeners, the I/O thread, the workers. Knows no domain: calls go to the generated
 * handlers.
 *
 * Threads. One I/O thread owns every socket; handlers run on workers (low and high priority calls) and on
 * priority workers (high priority calls only), inline handlers on the I/O thread. All functions here are for
 * the main thread unless they say otherwise.
 */
#pragma once

#include <glib.h>

#include "driver/rpc/client.h"

typedef struct RpcServer RpcServer;

/* The keys of libvirtd.conf where one exists; start from rpc_server_config_init(). Copied by
 * rpc_server_new(). */
typedef struct RpcServerConfig {
    void *driver; /* what call_driver() gives handlers */

    guint max_clients; /* connected at once (5000) */
    guint max_queued_clients; /* backlog of listen() (1000) */
    guint max_anonymous_clients; /* connected and not authenticated yet (20; 0: no limit of their own) */
    guint min_workers; /* 5 */
    guint max_workers; /* 20 */
    guint prio_workers; /* 5 */
    guint max_client_requests; /* calls of one client that are being worked on at once, each priority (5) */

    gint keepalive_interval; /* seconds without traffic until a ping; <= 0: never ping (5) */
    guint keepalive_count; /* unanswered pings until the connection is cut (5) */

    guint max_event_messages; /* events queued for one client (4096) */
    gsize max_event_bytes; /* (8 MiB) */

    const char *const *sasl_allowed_username_list; /* NULL: everybody; glob patterns */
    const char *sasl_service; /* "libvirt": name of the SASL configuration */
    /* polkit actions; libvirt's own so that existing rules hold */
    const char *polkit_action_ro; /* "org.libvirt.unix.monitor" */
    const char *polkit_action_rw; /* "org.libvirt.unix.manage" */

    /* CONNECT_SUPPORTS_FEATURE for the features that are the driver's (migration, typed parameter strings,
     * ...); those of the connection (keepalive, descriptor passing, event callbacks) are answered by this
     * layer. 0 or 1. On the I/O thread, after CONNECT_OPEN. NULL: 0. */
    gint (*supports_feature)(void *driver, gint32 feature);
} RpcServerConfig;

void rpc_server_config_init(RpcServerConfig *config);

/* TLS material for listeners with tls set; PEM files. */
typedef struct RpcTlsConfig {
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    const char *crl_file; /* NULL: none */
    const char *priority; /* NULL: GnuTLS's default ("NORMAL") */
    gboolean verify_client; /* tls_no_verify_certificate turned round */
    const char *const *allowed_dn_list; /* NULL: every valid certificate; glob patterns */
} RpcTlsConfig;

typedef struct RpcListener {
    /* Exactly one of: a listening descriptor (taken over, e.g. from socket activation), a UNIX socket path
     * (created; a stale one is replaced), a TCP host (NULL: all addresses) with port. */
    int fd; /* -1: none */
    const char *unix_path;
    mode_t unix_mode; /* e.g. 0770; access rights are by group and mode of the socket */
    gint64 unix_group; /* gid, or -1 */
    const char *tcp_host;
    const char *tcp_port; /* "16509", "16514" with tls */
    gboolean tls; /* needs rpc_server_set_tls() */
    gboolean readonly;
    ClientAuth auth;
} RpcListener;

#define RPC_LISTENER_INIT                                                                                    \
    {                                                                                                        \
        .fd = -1, .unix_mode = 0600, .unix_group = -1                                                        \
    }

RpcServer *rpc_server_new(const RpcServerConfig *config);
/* Call before start; may be called later to reload certificates for new connections. */
gboolean rpc_server_set_tls(RpcServer *server, const RpcTlsConfig *tls, GError **error);
/* VIR_ERR_SYSTEM_ERROR names the address that is busy. A UNIX socket created here is removed by
 * rpc_server_free. */
gboolean rpc_server_add_listener(RpcServer *server, const RpcListener *listener, GError **error);
/* Serves a connection that exists already, e.g. one side of a socketpair; takes the descriptor. Tests use it.
 */
gboolean rpc_server_add_connection(RpcServer *server, int fd, gboolean readonly, ClientAuth auth,
                                   GError **error);
/* Starts threads and accepts. */
gboolean rpc_server_start(RpcServer *server, GError **error);
/* Stops accepting, closes all clients, waits for running handlers and close hooks, ends the threads. */
void rpc_server_stop(RpcServer *server);
/* Implies stop. */
void rpc_server_free(RpcServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcServer, rpc_server_free)

typedef struct RpcServerStats {
    guint clients;
    guint anonymous_clients;
    guint workers;
    guint workers_busy;
    guint prio_workers;
    guint jobs_queued;
    guint64 clients_accepted;
    guint64 clients_refused;
    guint64 calls;
    guint64 events_lost;
} RpcServerStats;
/* Any thread. */
void rpc_server_stats(RpcServer *server, RpcServerStats *ret_stats);
/* Monotonic microseconds since which no client has been connected; 0 while there is one. Any thread. For
 * --timeout. */
gint64 rpc_server_idle_since(RpcServer *server);
/* Calls fn for each connected client; any thread; fn must not block. */
void rpc_server_foreach_client(RpcServer *server, void (*fn)(Client *client, void *opaque), void *opaque);
