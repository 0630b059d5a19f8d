/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes over a connected socket: plain, under TLS, or under a SASL security layer. Everything is
 * non-blocking. A plain transport may be written by any thread (its owner serialises writers); with a layer
 * only by the I/O thread.
 */
#pragma once

#include <glib.h>
#include <sys/uio.h>

typedef struct Transport Transport;

/* Results besides a byte count. */
#define TRANSPORT_EOF 0
#define TRANSPORT_AGAIN (-1)
#define TRANSPORT_FAILED (-2) /* *error is set where there is one */

typedef struct TransportOps {
    /* At most size bytes. */
    gssize (*read)(void *layer, int fd, void *data, gsize size, GError **error);
    /* What was taken: all of a layer's output is buffered until the socket takes it, so AGAIN means nothing
     * taken. */
    gssize (*write)(void *layer, int fd, const void *data, gsize length, GError **error);
    /* Bytes read from the socket but not yet given out: read again before waiting for the socket. */
    gboolean (*has_input)(void *layer);
    /* Output the socket has not taken: TRUE when all is out, FALSE with AGAIN semantics. */
    gssize (*flush)(void *layer, int fd, GError **error);
    void (*free)(void *layer);
} TransportOps;

struct Transport {
    int fd;
    const TransportOps *ops; /* NULL: plain */
    void *layer;
};

void transport_init(Transport *transport, int fd);
/* Puts a layer on; owns it. */
void transport_set_layer(Transport *transport, const TransportOps *ops, void *layer);
void transport_clear(Transport *transport);

/* Reads into data; descriptors that came along (plain UNIX sockets) are appended to fds (GArray of int). */
gssize transport_read(Transport *transport, void *data, gsize size, GArray *fds, GError **error);
gssize transport_writev(Transport *transport, const struct iovec *iov, int count, GError **error);
/* One dummy byte with a descriptor. 1, AGAIN or FAILED. */
gssize transport_send_fd(Transport *transport, int fd, GError **error);
gboolean transport_has_input(Transport *transport);
gssize transport_flush(Transport *transport, GError **error);
