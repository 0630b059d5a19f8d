/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams through a raw socket: consoles, uploads and downloads with holes, memory, errors, aborts, flow
 * control. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/rpc/call.h"
#include "driver/rpc/procedure.h"
#include "driver/rpc/stream.h"
#include "rpc_raw.h"

#define REMOTE RPC_PROGRAM_REMOTE
#define MIB (1024 * 1024)

/* What the next handler attaches. */
static int next_fd = -1;
static StreamFdOptions next_options = {.offset = -1};
static GMutex lock;
static GCond changed;
static int ends, aborts;

static void on_end(gboolean aborted, void *opaque)
{
    g_mutex_lock(&lock);
    ends++;
    aborts += aborted;
    g_cond_broadcast(&changed);
    g_mutex_unlock(&lock);
}

static void wait_for_ends(int count)
{
    g_mutex_lock(&lock);
    while (ends != count)
        g_cond_wait(&changed, &lock);
    g_mutex_unlock(&lock);
}

static gboolean run_open(Call *call, const void *args, void *ret, GError **error)
{
    return TRUE;
}

static gboolean attach(Call *call, StreamFdFlags flags, GError **error)
{
    StreamFdOptions options = next_options;

    options.on_end = on_end;
    return stream_attach_fd_full(call, fd_steal(&next_fd), flags, &options, error);
}

static gboolean run_console(Call *call, const void *args, void *ret, GError **error)
{
    return attach(call, STREAM_FD_READ | STREAM_FD_WRITE, error);
}

static gboolean run_upload(Call *call, const void *opaque, void *ret, GError **error)
{
    const StorageVolUploadArgs *args = opaque;

    return attach(call, STREAM_FD_WRITE | (args->flags ? STREAM_FD_SPARSE : 0), error);
}

static gboolean run_download(Call *call, const void *opaque, void *ret, GError **error)
{
    const StorageVolDownloadArgs *args = opaque;

    return attach(call, STREAM_FD_READ | (args->flags ? STREAM_FD_SPARSE : 0), error);
}

static gboolean run_screenshot(Call *call, const void *args, void *opaque, GError **error)
{
    g_autoptr(GBytes) bytes = g_bytes_new_take(g_strnfill(3 * MIB, 'p'), 3 * MIB);

    ((DomainScreenshotRet *)opaque)->mime = g_strdup("image/x-portable-pixmap");
    return stream_attach_bytes(call, bytes, error);
}

/* Opens a stream and then fails: nothing of it may be seen. */
static gboolean run_fails(Call *call, const void *args, void *ret, GError **error)
{
    g_assert_true(attach(call, STREAM_FD_READ | STREAM_FD_WRITE, error));
    return error_set(error, VIR_ERR_OPERATION_INVALID, "domain is not running");
}

#define PROCEDURE(NAME, name, run, flags, stage, stream)                                                     \
    [RPC_REMOTE_##NAME] = {#NAME, #NAME, &xdr_##name##_args, &xdr_##name##_ret, run, VIR_FROM_DOMAIN, flags, \
                           stage, stream}
static const RpcProcedure remote[] = {
    PROCEDURE(CONNECT_OPEN, connect_open, run_open, RPC_FLAG_ALONE, RPC_STAGE_AUTHENTICATED, 0),
    PROCEDURE(DOMAIN_OPEN_CONSOLE, domain_open_console, run_console, 0, RPC_STAGE_OPEN,
              RPC_STREAM_READ | RPC_STREAM_WRITE),
    PROCEDURE(DOMAIN_OPEN_CHANNEL, domain_open_channel, run_fails, 0, RPC_STAGE_OPEN,
              RPC_STREAM_READ | RPC_STREAM_WRITE),
    PROCEDURE(DOMAIN_SCREENSHOT, domain_screenshot, run_screenshot, 0, RPC_STAGE_OPEN, RPC_STREAM_READ),
    PROCEDURE(STORAGE_VOL_UPLOAD, storage_vol_upload, run_upload, RPC_FLAG_SPARSE, RPC_STAGE_OPEN,
              RPC_STREAM_WRITE),
    PROCEDURE(STORAGE_VOL_DOWNLOAD, storage_vol_download, run_download, RPC_FLAG_SPARSE, RPC_STAGE_OPEN,
              RPC_STREAM_READ),
};
const RpcProgram rpc_programs[] = {{REMOTE, RPC_VERSION_REMOTE, G_N_ELEMENTS(remote), remote}};
const guint rpc_program_count = 1;

typedef struct Fixture {
    RpcServer *server;
    int fd;
    gint32 procedure;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
    RpcServerConfig config;

    rpc_server_config_init(&config);
    fixture->server = raw_server(&config);
    fixture->fd = raw_connect(fixture->server, FALSE, CLIENT_AUTH_NONE);
    raw_open(fixture->fd);
    ends = aborts = 0;
    next_options = (StreamFdOptions){.offset = -1};
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    close(fixture->fd);
    rpc_server_free(fixture->server);
}

static void open_stream(Fixture *fixture, gint32 procedure, const XdrType *type, const void *args)
{
    raw_call(fixture->fd, REMOTE, procedure, 7, type, args);
    fixture->procedure = procedure;
}

static void console(Fixture *fixture)
{
    DomainOpenConsoleArgs args = {.dom = {.name = (char *)"vm"}};

    open_stream(fixture, RPC_REMOTE_DOMAIN_OPEN_CONSOLE, &xdr_domain_open_console_args, &args);
    raw_reply(fixture->fd, 7, NULL, NULL);
}

static void upload(Fixture *fixture, gboolean sparse)
{
    StorageVolUploadArgs args = {.vol = {(char *)"p", (char *)"v", (char *)"k"}, .flags = sparse};

    open_stream(fixture, RPC_REMOTE_STORAGE_VOL_UPLOAD, &xdr_storage_vol_upload_args, &args);
    raw_reply(fixture->fd, 7, NULL, NULL);
}

static void download(Fixture *fixture, gboolean sparse)
{
    StorageVolDownloadArgs args = {.vol = {(char *)"p", (char *)"v", (char *)"k"}, .flags = sparse};

    open_stream(fixture, RPC_REMOTE_STORAGE_VOL_DOWNLOAD, &xdr_storage_vol_download_args, &args);
    raw_reply(fixture->fd, 7, NULL, NULL);
}

static void put(Fixture *fixture, guint32 type, guint32 status, const void *data, gsize length)
{
    WireHeader header = {REMOTE, 1, fixture->procedure, type, 7, status};

    raw_frame(fixture->fd, &header, data, length);
}

static void put_hole(Fixture *fixture, guint32 length)
{
    guint8 body[12] = {0, 0, 0, 0, length >> 24, length >> 16 & 255, length >> 8 & 255, length & 255};

    put(fixture, WIRE_STREAM_HOLE, WIRE_CONTINUE, body, sizeof body);
}

static void expect_ok(Fixture *fixture)
{
    g_auto(RawMessage) message = {0};

    g_assert_true(raw_receive(fixture->fd, &message));
    g_assert_cmpuint(message.header.type, ==, WIRE_STREAM);
    g_assert_cmpuint(message.header.status, ==, WIRE_OK);
    g_assert_cmpuint(message.header.serial, ==, 7);
    g_assert_cmpuint(message.length, ==, 0);
}

static void expect_stream_error(Fixture *fixture, int code)
{
    g_auto(RawMessage) message = {0};

    g_assert_true(raw_receive(fixture->fd, &message));
    g_assert_cmpuint(message.header.type, ==, WIRE_STREAM);
    g_assert_cmpuint(message.header.status, ==, WIRE_ERROR);
    g_assert_cmpint((int)wire_get_word(message.payload), ==, code);
}

/* Receives to the end; holes become zeroes. */
static GByteArray *take_all(Fixture *fixture, guint64 *ret_holes)
{
    GByteArray *all = g_byte_array_new();

    for (;;) {
        g_auto(RawMessage) message = {0};

        g_assert_true(raw_receive(fixture->fd, &message));
        g_assert_cmpuint(message.header.status, ==, WIRE_CONTINUE);
        if (message.header.type == WIRE_STREAM_HOLE) {
            guint length = wire_get_word(message.payload + 4), old = all->len;

            g_assert_cmpuint(message.length, ==, 12);
            g_byte_array_set_size(all, old + length);
            memset(all->data + old, 0, length);
            *ret_holes += length;
            continue;
        }
        g_assert_cmpuint(message.header.type, ==, WIRE_STREAM);
        g_assert_cmpuint(message.length, <=, STREAM_CHUNK_MAX);
        if (message.length == 0)
            return all;
        g_byte_array_append(all, message.payload, (guint)message.length);
    }
}

/* --- tests --------------------------------------------------------------------------------------- */

static void test_console(Fixture *fixture, gconstpointer data)
{
    g_auto(RawMessage) message = {0}, eof = {0};
    char buffer[16] = {0};
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    next_fd = pair[1];
    console(fixture);
    put(fixture, WIRE_STREAM, WIRE_CONTINUE, "ls\n", 3);
    g_assert_cmpint(read(pair[0], buffer, sizeof buffer), ==, 3);
    g_assert_cmpstr(buffer, ==, "ls\n");
    g_assert_cmpint(write(pair[0], "login: ", 7), ==, 7);
    g_assert_true(raw_receive(fixture->fd, &message));
    g_assert_cmpmem(message.payload, message.length, "login: ", 7);
    g_assert_cmpuint(message.header.status, ==, WIRE_CONTINUE);
    close(pair[0]);
    g_assert_true(raw_receive(fixture->fd, &eof));
    g_assert_cmpuint(eof.length, ==, 0);
    g_assert_cmpuint(eof.header.status, ==, WIRE_CONTINUE);
    put(fixture, WIRE_STREAM, WIRE_CONTINUE, "into the void", 13);
    put(fixture, WIRE_STREAM, WIRE_OK, NULL, 0);
    expect_ok(fixture);
    wait_for_ends(1);
    g_assert_cmpint(aborts, ==, 0);
}

static void test_abort_and_disconnect(Fixture *fixture, gconstpointer data)
{
    int pair[2];
    char byte;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    next_fd = pair[1];
    console(fixture);
    put(fixture, WIRE_STREAM, WIRE_ERROR, NULL, 0);
    expect_ok(fixture);
    g_assert_cmpint(read(pair[0], &byte, 1), ==, 0);
    close(pair[0]);
    wait_for_ends(1);
    g_assert_cmpint(aborts, ==, 1);
    put(fixture, WIRE_STREAM, WIRE_CONTINUE, "late", 4); /* dropped */

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    next_fd = pair[1];
    console(fixture);
    shutdown(fixture->fd, SHUT_RDWR);
    g_assert_cmpint(read(pair[0], &byte, 1), ==, 0);
    close(pair[0]);
    wait_for_ends(2);
}

static void test_failed_handler(Fixture *fixture, gconstpointer data)
{
    DomainOpenChannelArgs args = {.dom = {.name = (char *)"vm"}};
    int pair[2];
    char byte;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    next_fd = pair[1];
    open_stream(fixture, RPC_REMOTE_DOMAIN_OPEN_CHANNEL, &xdr_domain_open_channel_args, &args);
    raw_error(fixture->fd, 7, VIR_ERR_OPERATION_INVALID,
              "Requested operation is not valid: domain is not running");
    g_assert_cmpint(read(pair[0], &byte, 1), ==, 0);
    close(pair[0]);
}

static void test_bytes(Fixture *fixture, gconstpointer data)
{
    DomainScreenshotArgs args = {.dom = {.name = (char *)"vm"}};
    DomainScreenshotRet ret = {0};
    g_autoptr(GByteArray) all = NULL;
    guint64 holes = 0;

    open_stream(fixture, RPC_REMOTE_DOMAIN_SCREENSHOT, &xdr_domain_screenshot_args, &args);
    raw_reply(fixture->fd, 7, &xdr_domain_screenshot_ret, &ret);
    xdr_clear(&xdr_domain_screenshot_ret, &ret);
    all = take_all(fixture, &holes);
    g_assert_cmpuint(all->len, ==, 3 * MIB);
    put(fixture, WIRE_STREAM, WIRE_OK, NULL, 0);
    expect_ok(fixture);
}

static int temporary(void)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("kite-stream-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    unlink(path);
    return fd;
}

static void test_download(Fixture *fixture, gconstpointer sparse)
{
    autofd file = temporary();
    g_autoptr(GByteArray) all = NULL;
    guint64 holes = 0;

    g_assert_cmpint(pwrite(file, "begin", 5, 0), ==, 5);
    g_assert_cmpint(pwrite(file, "middle", 6, 2 * MIB), ==, 6);
    g_assert_cmpint(ftruncate(file, 4 * MIB), ==, 0);
    next_fd = fcntl(file, F_DUPFD_CLOEXEC, 0);
    next_options.offset = 0;
    download(fixture, sparse != NULL);
    all = take_all(fixture, &holes);
    g_assert_cmpuint(all->len, ==, 4 * MIB);
    g_assert_cmpmem(all->data, 5, "begin", 5);
    g_assert_cmpmem(all->data + 2 * MIB, 6, "middle", 6);
    if (sparse == NULL)
        g_assert_cmpuint(holes, ==, 0);
    put(fixture, WIRE_STREAM, WIRE_OK, NULL, 0);
    expect_ok(fixture);
    wait_for_ends(1);

    /* a piece of it */
    next_fd = fcntl(file, F_DUPFD_CLOEXEC, 0);
    next_options.offset = 2 * MIB + 1;
    next_options.length = 3;
    download(fixture, sparse != NULL);
    g_clear_pointer(&all, g_byte_array_unref);
    all = take_all(fixture, &holes);
    g_assert_cmpmem(all->data, all->len, "idd", 3);
    put(fixture, WIRE_STREAM, WIRE_OK, NULL, 0);
    expect_ok(fixture);
    wait_for_ends(2);
}

static void test_upload(Fixture *fixture, gconstpointer data)
{
    autofd file = temporary();
    char old[3000], got[9000];

    memset(old, 'o', sizeof old);
    g_assert_cmpint(pwrite(file, old, sizeof old, 0), ==, sizeof old);
    next_fd = fcntl(file, F_DUPFD_CLOEXEC, 0);
    next_options.offset = 0;
    upload(fixture, TRUE);
    put(fixture, WIRE_STREAM, WIRE_CONTINUE, "head", 4);
    put_hole(fixture, 4092);
    put(fixture, WIRE_STREAM, WIRE_CONTINUE, "tail", 4);
    put_hole(fixture, 4092);
    put(fixture, WIRE_STREAM, WIRE_OK, NULL, 0);
    expect_ok(fixture);
    wait_for_ends(1);
    g_assert_cmpint(pread(file, got, sizeof got, 0), ==, 8192);
    g_assert_cmpmem(got, 4, "head", 4);
    for (int i = 4; i < 4096; i++)
        g_assert_cmpint(got[i], ==, 0);
    g_assert_cmpmem(got + 4096, 4, "tail", 4);
}

static void test_upload_refusals(Fixture *fixture, gconstpointer data)
{
    next_fd = temporary();
    next_options.length = 10;
    upload(fixture, TRUE);
    put(fixture, WIRE_STREAM, WIRE_CONTINUE, "more than ten", 13);
    expect_stream_error(fixture, VIR_ERR_SYSTEM_ERROR);
    put(fixture, WIRE_STREAM, WIRE_CONTINUE, "and more", 8);
    wait_for_ends(1);

    next_fd = temporary();
    upload(fixture, FALSE);
    put_hole(fixture, 1);
    expect_stream_error(fixture, VIR_ERR_RPC);
    wait_for_ends(2);

    next_fd = temporary();
    download(fixture, FALSE);
    {
        g_auto(RawMessage) eof = {0};

        g_assert_true(raw_receive(fixture->fd, &eof));
        g_assert_cmpuint(eof.length, ==, 0);
    }
    put(fixture, WIRE_STREAM, WIRE_CONTINUE, "x", 1);
    expect_stream_error(fixture, VIR_ERR_OPERATION_INVALID);
    wait_for_ends(3);
}

/* Writes without blocking until nothing is taken for a while. Returns the bytes taken. */
static gsize stuff(int fd, gsize limit)
{
    static guint8 block[65536];
    gint64 last = g_get_monotonic_time();
    gsize total = 0;

    while (total < limit && g_get_monotonic_time() - last < G_USEC_PER_SEC / 5) {
        ssize_t n = send(fd, block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n > 0) {
            total += (gsize)n;
            last = g_get_monotonic_time();
        }
    }
    return total;
}

/* The client does not read: the server stops reading the console, and goes on when the client does. */
static void test_flow_out(Fixture *fixture, gconstpointer data)
{
    gsize written, got = 0;
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    next_fd = pair[1];
    console(fixture);
    written = stuff(pair[0], 64 * MIB);
    g_assert_cmpuint(written, <, 8 * MIB);
    shutdown(pair[0], SHUT_WR);
    for (;;) {
        g_auto(RawMessage) message = {0};

        g_assert_true(raw_receive(fixture->fd, &message));
        if (message.length == 0)
            break;
        got += message.length;
    }
    g_assert_cmpuint(got, ==, written);
    close(pair[0]);
}

/* Nobody reads the console: the server stops reading the client, whose send blocks. */
static void test_flow_in(Fixture *fixture, gconstpointer data)
{
    static guint8 chunk[65536];
    XdrWriter writer = {0};
    gsize total = 0, got = 0;
    gint64 last;
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    next_fd = pair[1];
    console(fixture);
    WireHeader header = {REMOTE, 1, fixture->procedure, WIRE_STREAM, 7, WIRE_CONTINUE};
    gsize begin = wire_begin(&writer, &header), at = 0, frames = 0;

    xdr_put_bytes(&writer, chunk, sizeof chunk);
    wire_end(&writer, begin);
    last = g_get_monotonic_time();
    while (total < 64 * MIB && g_get_monotonic_time() - last < G_USEC_PER_SEC / 5) {
        ssize_t n = send(fixture->fd, writer.data + at, writer.length - at, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n <= 0)
            continue;
        last = g_get_monotonic_time();
        total += (gsize)n;
        at += (gsize)n;
        frames += at == writer.length;
        at = at == writer.length ? 0 : at;
    }
    g_assert_cmpuint(total, <, 8 * MIB);
    while (got < frames * sizeof chunk) {
        ssize_t n = read(pair[0], chunk, sizeof chunk);

        g_assert_cmpint(n, >, 0);
        got += (gsize)n;
    }
    xdr_writer_clear(&writer);
    close(pair[0]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, data, test) g_test_add("/rpc/stream/" name, Fixture, data, set_up, test, tear_down)
    ADD("console", NULL, test_console);
    ADD("abort-and-disconnect", NULL, test_abort_and_disconnect);
    ADD("failed-handler", NULL, test_failed_handler);
    ADD("bytes", NULL, test_bytes);
    ADD("download", NULL, test_download);
    ADD("download-sparse", "sparse", test_download);
    ADD("upload", NULL, test_upload);
    ADD("upload-refusals", NULL, test_upload_refusals);
    ADD("flow-out", NULL, test_flow_out);
    ADD("flow-in", NULL, test_flow_in);
    return g_test_run();
}
