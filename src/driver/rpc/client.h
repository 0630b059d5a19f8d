/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connected client, for the layers above: who it is, its data, its end, and events to it. Reference
 * counted; every function may be called from any thread unless it says otherwise.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "driver/rpc/xdr.h"

typedef struct Client Client;

typedef enum { CLIENT_TRANSPORT_UNIX, CLIENT_TRANSPORT_TCP, CLIENT_TRANSPORT_TLS } ClientTransport;
/* Numbers of the wire (AUTH_LIST). */
typedef enum { CLIENT_AUTH_NONE = 0, CLIENT_AUTH_SASL = 1, CLIENT_AUTH_POLKIT = 2 } ClientAuth;

Client *client_ref(Client *client);
void client_unref(Client *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Client, client_unref)

/* Unique since the daemon started, from 1. */
guint64 client_id(const Client *client);
gboolean client_readonly(const Client *client);
ClientTransport client_transport(const Client *client);
ClientAuth client_auth(const Client *client);
/* TLS, SASL with a security layer, or a UNIX socket. */
gboolean client_secure(const Client *client);
/* Data is encrypted on the wire: TLS or a SASL security layer (virConnectIsEncrypted). */
gboolean client_encrypted(const Client *client);
/* Of the process that connected; FALSE when it is not a UNIX socket. Outputs may be NULL. */
gboolean client_peer(const Client *client, uid_t *ret_uid, gid_t *ret_gid, pid_t *ret_pid);
/* Caller frees; NULL when there is none: SASL user name, X.509 distinguished name, "127.0.0.1;12345" of the
 * peer. */
char *client_sasl_user(const Client *client);
char *client_x509_name(const Client *client);
char *client_address(const Client *client);
/* Wall clock, microseconds (g_get_real_time). */
gint64 client_connect_time(const Client *client);
gboolean client_closed(const Client *client);

/* Data of other layers, by key (compared as text). Replacing destroys the old value; the rest is destroyed
 * with the last reference to the client, after all close hooks. get's value stays the owner's. */
void client_set_data(Client *client, const char *key, void *data, GDestroyNotify destroy);
void *client_get_data(Client *client, const char *key);

/* fn is called once when the client has gone, on a worker thread (it may block), last added first, while
 * calls of the client may still be running on other workers; then destroy(opaque). FALSE when the client is
 * closed already: fn will not be called, destroy was, and the caller undoes what it wanted undone. destroy
 * may be NULL. */
typedef void (*ClientCloseFunc)(Client *client, void *opaque);
gboolean client_add_close_hook(Client *client, ClientCloseFunc fn, void *opaque, GDestroyNotify destroy);
/* Drops one hook with this fn and opaque without calling it (its destroy is called). FALSE when there is
 * none. */
gboolean client_remove_close_hook(Client *client, ClientCloseFunc fn, void *opaque);

/* Ends the connection; nothing more is read or sent. Returns at once. */
void client_close(Client *client);

/* Queues one event. Never blocks. FALSE when it was not queued: the client is closed, or its queue is full
 * (RpcServerConfig.max_event_messages/_bytes); the event then counts as lost. Use the generated
 * send_<event>(). */
gboolean client_send_event(Client *client, guint32 program, guint32 version, gint32 procedure,
                           const XdrType *type, const void *msg);
/* Called when the queue has run empty after events were lost, with their number, so that the event layer can
 * re-send state. On the I/O thread: must not block; may send events. */
typedef void (*ClientLostFunc)(Client *client, guint64 lost, void *opaque);
void client_set_lost_hook(Client *client, ClientLostFunc fn, void *opaque);
