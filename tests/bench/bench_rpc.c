/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls a second over one UNIX socket, from a raw client: inline calls and calls on workers, pipelined and
 * one by one; and how long a thousand clients take to connect, open and be answered.
 *
 *     bench_rpc [SOCKET]     without SOCKET: a server of its own with two trivial handlers; else a running
 * daemon
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../unit/rpc_raw.h"
#include "common/fd.h"
#include "driver/rpc/call.h"
#include "driver/rpc/procedure.h"

#define CALLS 200000
#define CLIENTS 1000

static gboolean run_open(Call *call, const void *args, void *ret, GError **error)
{
    return TRUE;
}

static gboolean run_version(Call *call, const void *args, void *ret, GError **error)
{
    ((ConnectGetLibVersionRet *)ret)->lib_ver = 1;
    return TRUE;
}

static const RpcProcedure remote[] = {
    [RPC_REMOTE_CONNECT_OPEN] = {"CONNECT_OPEN", "virConnectOpen", &xdr_connect_open_args,
                                 &xdr_connect_open_ret, run_open, VIR_FROM_NONE,
                                 RPC_FLAG_READONLY | RPC_FLAG_HIGH | RPC_FLAG_ALONE, RPC_STAGE_AUTHENTICATED,
                                 0},
    [RPC_REMOTE_CONNECT_GET_LIB_VERSION] = {"CONNECT_GET_LIB_VERSION", "virConnectGetLibVersion",
                                            &xdr_connect_get_lib_version_args,
                                            &xdr_connect_get_lib_version_ret, run_version, VIR_FROM_NONE,
                                            RPC_FLAG_READONLY | RPC_FLAG_INLINE, RPC_STAGE_OPEN, 0},
    [RPC_REMOTE_CONNECT_GET_VERSION] = {"CONNECT_GET_VERSION", "virConnectGetVersion",
                                        &xdr_connect_get_version_args, &xdr_connect_get_version_ret,
                                        run_version, VIR_FROM_NONE, RPC_FLAG_READONLY | RPC_FLAG_HIGH,
                                        RPC_STAGE_OPEN, 0},
};
const RpcProgram rpc_programs[] = {{RPC_PROGRAM_REMOTE, 1, G_N_ELEMENTS(remote), remote}};
const guint rpc_program_count = 1;

static const char *path;
static RpcServer *server;

static int connect_once(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        perror(path);
        exit(1);
    }
    return fd;
}

static void report(const char *what, int count, gint64 start)
{
    double seconds = (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;

    printf("%-44s %9.0f a second, %7.2f us each\n", what, count / seconds, seconds * 1e6 / count);
}

typedef struct Writer {
    int fd;
    gint32 procedure;
    int count;
} Writer;

static gpointer write_calls(gpointer opaque)
{
    Writer *writer = opaque;
    XdrWriter batch = {0};

    for (int i = 0; i < writer->count; i++) {
        WireHeader header = {RPC_PROGRAM_REMOTE, 1, writer->procedure, WIRE_CALL, (guint32)i + 2, WIRE_OK};

        wire_end(&batch, wire_begin(&batch, &header));
        if (batch.length > 32768 || i == writer->count - 1) {
            raw_bytes(writer->fd, batch.data, batch.length);
            batch.length = 0;
        }
    }
    xdr_writer_clear(&batch);
    return NULL;
}

static void pipelined(const char *what, gint32 procedure, int count)
{
    autofd fd = connect_once();
    Writer writer = {fd, procedure, count};
    gsize want = (gsize)count * (WIRE_FRAME_SIZE + 8), got = 0;
    static guint8 sink[1 << 18];
    gint64 start;
    GThread *thread;

    raw_open(fd);
    start = g_get_monotonic_time();
    thread = g_thread_new("writer", write_calls, &writer);
    while (got < want) {
        ssize_t n = read(fd, sink, sizeof sink);

        if (n <= 0) {
            fprintf(stderr, "connection lost\n");
            exit(1);
        }
        got += (gsize)n;
    }
    g_thread_join(thread);
    report(what, count, start);
}

static void one_by_one(const char *what, gint32 procedure, int count)
{
    autofd fd = connect_once();
    gint64 start;

    raw_open(fd);
    start = g_get_monotonic_time();
    for (int i = 0; i < count; i++) {
        RawMessage reply;

        raw_call(fd, RPC_PROGRAM_REMOTE, procedure, (guint32)i + 2, NULL, NULL);
        if (!raw_receive(fd, &reply))
            exit(1);
        raw_clear(&reply);
    }
    report(what, count, start);
}

static void many_clients(void)
{
    static int fds[CLIENTS];
    gint64 start = g_get_monotonic_time();

    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = connect_once();
        raw_open(fds[i]);
    }
    report("connect and open, 1000 clients kept", CLIENTS, start);
    start = g_get_monotonic_time();
    for (int i = 0; i < CLIENTS; i++)
        raw_call(fds[i], RPC_PROGRAM_REMOTE, RPC_REMOTE_CONNECT_GET_VERSION, 2, NULL, NULL);
    for (int i = 0; i < CLIENTS; i++)
        raw_reply(fds[i], 2, &xdr_connect_get_version_ret, &(ConnectGetVersionRet){0});
    report("a call by each of 1000 clients", CLIENTS, start);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
}

int main(int argc, char **argv)
{
    g_autofree char *own = NULL;
    struct rlimit files = {8192, 8192};

    setrlimit(RLIMIT_NOFILE, &files);
    if (argc > 1) {
        path = argv[1];
    } else {
        RpcListener listener = RPC_LISTENER_INIT;
        g_autoptr(GError) error = NULL;
        RpcServerConfig config;

        rpc_server_config_init(&config);
        path = own = g_strdup_printf("%s/kite-bench-rpc-%d", g_get_tmp_dir(), (int)getpid());
        listener.unix_path = path;
        server = rpc_server_new(&config);
        if (!rpc_server_add_listener(server, &listener, &error) || !rpc_server_start(server, &error))
            g_error("%s", error->message);
    }
    pipelined("pipelined, inline (lib version)", RPC_REMOTE_CONNECT_GET_LIB_VERSION, CALLS);
    pipelined("pipelined, on workers (version)", RPC_REMOTE_CONNECT_GET_VERSION, CALLS / 2);
    one_by_one("one by one, inline", RPC_REMOTE_CONNECT_GET_LIB_VERSION, CALLS / 10);
    one_by_one("one by one, on workers", RPC_REMOTE_CONNECT_GET_VERSION, CALLS / 10);
    many_clients();
    rpc_server_free(server);
    return 0;
}
