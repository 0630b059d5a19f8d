/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See rpc_raw.h. */
#include "rpc_raw.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_SEC 10

void raw_clear(RawMessage *message)
{
    for (guint i = 0; i < message->n_fds; i++)
        close(message->fds[i]);
    g_free(message->payload);
    *message = (RawMessage){0};
}

RpcServer *raw_server(const RpcServerConfig *config)
{
    g_autoptr(GError) error = NULL;
    RpcServer *server = rpc_server_new(config);

    g_assert_true(rpc_server_start(server, &error));
    g_assert_no_error(error);
    return server;
}

int raw_connect(RpcServer *server, gboolean readonly, ClientAuth auth)
{
    g_autoptr(GError) error = NULL;
    struct timeval patience = {PATIENCE_SEC, 0};
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    g_assert_true(rpc_server_add_connection(server, pair[1], readonly, auth, &error));
    g_assert_no_error(error);
    return pair[0];
}

void raw_bytes(int fd, const void *data, gsize length)
{
    const guint8 *at = data;

    while (length > 0) {
        ssize_t n = send(fd, at, length, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return; /* closed by the server: receiving will tell */
        at += n;
        length -= (gsize)n;
    }
}

void raw_frame(int fd, const WireHeader *header, const void *payload, gsize length)
{
    XdrWriter writer = {0};
    gsize begin = wire_begin(&writer, header);

    xdr_put_bytes(&writer, payload, length);
    wire_end(&writer, begin);
    raw_bytes(fd, writer.data, writer.length);
    xdr_writer_clear(&writer);
}

void raw_call(int fd, guint32 program, gint32 procedure, guint32 serial, const XdrType *type,
              const void *args)
{
    WireHeader header = {program, 1, procedure, WIRE_CALL, serial, WIRE_OK};
    XdrWriter writer = {0};
    gsize begin = wire_begin(&writer, &header);

    if (type != NULL)
        g_assert_true(xdr_encode(type, args, &writer, WIRE_FRAME_MAX, NULL));
    wire_end(&writer, begin);
    raw_bytes(fd, writer.data, writer.length);
    xdr_writer_clear(&writer);
}

static gboolean read_exactly(int fd, void *data, gsize length)
{
    guint8 *at = data;

    while (length > 0) {
        ssize_t n = recv(fd, at, length, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            g_error("the server did not answer within %d s", PATIENCE_SEC);
        if (n <= 0)
            return FALSE;
        at += n;
        length -= (gsize)n;
    }
    return TRUE;
}

static int receive_fd(int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char dummy;
    struct iovec iov = {&dummy, 1};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    int got;

    g_assert_cmpint(recvmsg(fd, &msg, MSG_CMSG_CLOEXEC), ==, 1);
    g_assert_nonnull(CMSG_FIRSTHDR(&msg));
    memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof got);
    return got;
}

gboolean raw_receive(int fd, RawMessage *ret_message)
{
    guint8 head[WIRE_FRAME_SIZE], count[4];
    gsize size;
    guint n_fds;

    *ret_message = (RawMessage){0};
    if (!read_exactly(fd, head, sizeof head))
        return FALSE;
    size = wire_get_word(head);
    g_assert_cmpuint(size, >=, WIRE_FRAME_SIZE);
    g_assert_cmpuint(size, <=, WIRE_FRAME_MAX);
    wire_decode_header(head + 4, &ret_message->header);
    ret_message->length = size - WIRE_FRAME_SIZE;
    if (ret_message->header.type == WIRE_REPLY_WITH_FDS) {
        g_assert_true(read_exactly(fd, count, 4));
        n_fds = wire_get_word(count);
        ret_message->length -= 4;
    } else {
        n_fds = 0;
    }
    ret_message->payload = g_malloc(ret_message->length + 1);
    g_assert_true(read_exactly(fd, ret_message->payload, ret_message->length));
    for (guint i = 0; i < n_fds; i++)
        ret_message->fds[ret_message->n_fds++] = receive_fd(fd);
    return TRUE;
}

static char *error_text(const RawMessage *message, int *ret_code)
{
    guint32 length;

    *ret_code = (int)wire_get_word(message->payload);
    g_assert_cmpuint(wire_get_word(message->payload + 8), ==, 1);
    length = wire_get_word(message->payload + 12);
    return g_strndup((const char *)message->payload + 16, length);
}

void raw_reply(int fd, guint32 serial, const XdrType *type, void *ret)
{
    g_auto(RawMessage) message = {0};
    g_autoptr(GError) error = NULL;
    gsize used = 0;

    g_assert_true(raw_receive(fd, &message));
    if (message.header.status == WIRE_ERROR) {
        int code;
        g_autofree char *text = error_text(&message, &code);

        g_error("call %u failed: %d %s", message.header.serial, code, text);
    }
    g_assert_cmpuint(message.header.serial, ==, serial);
    g_assert_cmpuint(message.header.type, ==, WIRE_REPLY);
    g_assert_cmpuint(message.header.status, ==, WIRE_OK);
    if (type != NULL) {
        g_assert_true(xdr_decode(type, message.payload, message.length, ret, &used, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(used, ==, message.length);
    } else {
        g_assert_cmpuint(message.length, ==, 0);
    }
}

void raw_error(int fd, guint32 serial, int code, const char *text)
{
    g_auto(RawMessage) message = {0};
    g_autofree char *got = NULL;
    int got_code;

    g_assert_true(raw_receive(fd, &message));
    g_assert_cmpuint(message.header.serial, ==, serial);
    g_assert_cmpuint(message.header.type, ==, WIRE_REPLY);
    g_assert_cmpuint(message.header.status, ==, WIRE_ERROR);
    got = error_text(&message, &got_code);
    if (text != NULL)
        g_assert_cmpstr(got, ==, text);
    g_assert_cmpint(got_code, ==, code);
}

gboolean raw_closed(int fd)
{
    RawMessage message = {0};

    while (raw_receive(fd, &message))
        raw_clear(&message);
    return TRUE;
}

void raw_open(int fd)
{
    ConnectOpenArgs args = {.name = (char *)"kite:///system"};

    raw_call(fd, RPC_PROGRAM_REMOTE, RPC_REMOTE_CONNECT_OPEN, 1, &xdr_connect_open_args, &args);
    raw_reply(fd, 1, NULL, NULL);
}
