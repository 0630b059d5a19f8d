/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client of libvirt's wire that knows bytes only: what a conformance suite would send. For tests and
 * benches. */
#pragma once

#include <glib.h>

#include "driver/rpc/rpc_types.h"
#include "driver/rpc/server.h"
#include "driver/rpc/wire.h"

typedef struct RawMessage {
    WireHeader header;
    guint8 *payload; /* owned; after the header (and the descriptor count) */
    gsize length;
    int fds[WIRE_FDS_MAX];
    guint n_fds;
} RawMessage;

void raw_clear(RawMessage *message);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RawMessage, raw_clear)

/* A server without listeners and one connection to it. */
RpcServer *raw_server(const RpcServerConfig *config);
int raw_connect(RpcServer *server, gboolean readonly, ClientAuth auth);

void raw_bytes(int fd, const void *data, gsize length);
/* A call with encoded arguments; type NULL: none. */
void raw_call(int fd, guint32 program, gint32 procedure, guint32 serial, const XdrType *type,
              const void *args);
void raw_frame(int fd, const WireHeader *header, const void *payload, gsize length);
/* FALSE: the connection is closed. Fails the test after some seconds. */
gboolean raw_receive(int fd, RawMessage *ret_message);
/* Receives a REPLY with this serial and decodes it; asserts that it is no error. */
void raw_reply(int fd, guint32 serial, const XdrType *type, void *ret);
/* Receives an error reply; checks code and message. */
void raw_error(int fd, guint32 serial, int code, const char *message);
gboolean raw_closed(int fd);
/* CONNECT_OPEN, with serial 1. */
void raw_open(int fd);
