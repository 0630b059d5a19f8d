/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The network block device protocol, client side (doc/proto.md of the NBD project): "fixed newstyle" negotiation without
 * TLS, transmission with simple replies. What is here is numbers and the negotiation; nbd_node.c has the transmission.
 *
 *   server  NBDMAGIC IHAVEOPT flags:16                 client  flags:32
 *   client  IHAVEOPT option:32 length:32 data          server  reply magic:64 option:32 type:32 length:32 data, …
 *   client  magic:32 flags:16 type:16 cookie:64 offset:64 length:32 [data]
 *   server  magic:32 error:32 cookie:64 [data]
 *
 * All numbers are big endian. The server is not trusted: what it says is bounded and checked.
 */
#pragma once

#include <stdint.h>

#include "common/byteorder.h"
#include "common/err.h"

enum {
    NBD_REQUEST_BYTES = 28,
    NBD_REPLY_BYTES = 16,
    NBD_NAME_MAX = 4096, /* of an export */
    NBD_PAYLOAD_MAX = 32 << 20, /* what every server takes, unless it says less */
};

#define NBD_REQUEST_MAGIC 0x25609513u
#define NBD_SIMPLE_REPLY_MAGIC 0x67446698u

/* Transmission flags: what the export can do. */
enum {
    NBD_HAS_FLAGS = 1 << 0,
    NBD_READ_ONLY = 1 << 1,
    NBD_CAN_FLUSH = 1 << 2,
    NBD_CAN_FUA = 1 << 3,
    NBD_CAN_TRIM = 1 << 5,
    NBD_CAN_WRITE_ZEROES = 1 << 6,
};

enum {
    NBD_CMD_READ = 0,
    NBD_CMD_WRITE = 1,
    NBD_CMD_DISCONNECT = 2,
    NBD_CMD_FLUSH = 3,
    NBD_CMD_TRIM = 4,
    NBD_CMD_WRITE_ZEROES = 6,
};

enum {
    NBD_FLAG_FUA = 1 << 0,
    NBD_FLAG_NO_HOLE = 1 << 1,
};

typedef struct NbdExport {
    uint64_t size; /* bytes */
    uint16_t flags; /* transmission flags */
    uint32_t block_min, block_preferred; /* bytes, powers of two; 1 and 4096 where the server does not say */
    uint32_t payload_max; /* bytes of one read or write */
} NbdExport;

/*
 * Negotiates on a connected stream socket, until deadline (loop_now()) at most: the thread waits. -ETIMEDOUT; -EPROTO: what
 * it says is not this protocol; -ENOTSUP: it wants TLS or is too old; -ENOENT: no such export; -ECONNRESET.
 */
int nbd_negotiate(int fd, const char *name, uint64_t deadline, NbdExport *ret, Err *err);

/* The errno of a server's error, positive. */
int nbd_errno(uint32_t error);

/* Writes a field; where the next one goes. */
static inline uint8_t *nbd_put16(uint8_t *p, uint16_t v)
{
    put_be16(p, v);
    return p + 2;
}

static inline uint8_t *nbd_put32(uint8_t *p, uint32_t v)
{
    put_be32(p, v);
    return p + 4;
}

static inline uint8_t *nbd_put64(uint8_t *p, uint64_t v)
{
    put_be64(p, v);
    return p + 8;
}
