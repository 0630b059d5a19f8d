/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The input is what a client sends. First byte: bit 0 read-only, bit 1 SASL wanted, bit 2 sent in small
 * pieces, bit 3 a CONNECT_OPEN goes before it. The server must survive; the client reads until it is closed
 * or has nothing more to get.
 */
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/rpc_raw.h"
#include "common/fd.h"
#include "driver/rpc/call.h"
#include "driver/rpc/procedure.h"
#include "driver/rpc/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* rpc_types.h has these only once the description says "handler". */
gboolean call_connect_open(Call *call, const ConnectOpenArgs *args, ConnectOpenRet *ret, GError **error);
gboolean call_domain_open_console(Call *call, const DomainOpenConsoleArgs *args, DomainOpenConsoleRet *ret,
                                  GError **error);

gboolean call_connect_open(Call *call, const ConnectOpenArgs *args, ConnectOpenRet *ret, GError **error)
{
    return TRUE;
}

gboolean call_domain_open_console(Call *call, const DomainOpenConsoleArgs *args, DomainOpenConsoleRet *ret,
                                  GError **error)
{
    g_autoptr(GBytes) bytes = g_bytes_new_static("console", 7);

    return stream_attach_bytes(call, bytes, error);
}

static void drain(int fd)
{
    static char sink[65536];
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    while (poll(&poll_fd, 1, 5000) > 0 && read(fd, sink, sizeof sink) > 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static RpcServer *server;
    gsize step;

    if (server == NULL) {
        RpcServerConfig config;

        rpc_server_config_init(&config);
        config.min_workers = 1;
        config.max_workers = 2;
        config.prio_workers = 1;
        server = raw_server(&config);
    }
    if (size < 1)
        return 0;
    autofd fd = raw_connect(server, data[0] & 1, data[0] & 2 ? CLIENT_AUTH_SASL : CLIENT_AUTH_NONE);
    if ((data[0] & 8) && !(data[0] & 2))
        raw_call(fd, RPC_PROGRAM_REMOTE, RPC_REMOTE_CONNECT_OPEN, 1, &xdr_connect_open_args,
                 &(ConnectOpenArgs){0});
    step = data[0] & 4 ? 3 : size;
    for (gsize at = 1; at < size; at += step)
        raw_bytes(fd, data + at, MIN(step, size - at));
    shutdown(fd, SHUT_WR);
    drain(fd);
    return 0;
}
