/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connected stream socket: frames behind their length in 4 bytes, big endian, as QEMU's -netdev stream and passt
 * speak it. No offloads: the virtio header is stripped, and made up for what comes in.
 *
 * What the peer does not take at once of a frame is kept (one frame at most) and goes first, also when no other frame
 * comes; until then the queue is full. Input is collected in one buffer, as large as the largest frame.
 *
 * #syscalls recvfrom recvmsg sendmsg read
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/checked.h"
#include "vmm/log.h"
#include "vmm/net/backends.h"

#define LENGTH_BYTES 4
#define IN_BUFFER (LENGTH_BYTES + NET_FRAME_MAX)
#define IOV_MAX_SEND 66

typedef struct Stream {
    NetBackend base;
    int fd;
    bool gone;
    uint8_t *in; /* IN_BUFFER bytes */
    size_t in_start, in_len;
    uint8_t *out; /* IN_BUFFER bytes, made when first needed */
    size_t out_start, out_len; /* rest of a frame */
} Stream;

static void lost(Stream *s, const char *why)
{
    char text[120];

    if (s->gone)
        return;
    s->gone = true;
    snprintf(text, sizeof text, "the peer is gone: %s", why);
    net_lost(&s->base, text);
}

static ssize_t send_some(Stream *s, const struct iovec *iov, unsigned count)
{
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count};
    ssize_t n;

    do {
        n = sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int keep_rest(Stream *s, const struct iovec *iov, unsigned count, size_t done)
{
    if (s->out == NULL)
        s->out = malloc(IN_BUFFER);
    if (s->out == NULL) {
        lost(s, "out of memory in the middle of a frame");
        return -ENOMEM;
    }
    s->out_start = s->out_len = 0;
    for (unsigned i = 0; i < count; i++) {
        size_t len = iov[i].iov_len;

        if (done >= len) {
            done -= len;
            continue;
        }
        memcpy(s->out + s->out_len, (uint8_t *)iov[i].iov_base + done, len - done);
        s->out_len += len - done;
        done = 0;
    }
    return 0;
}

static int stream_flush(NetBackend *net, unsigned queue)
{
    Stream *s = (Stream *)net;
    struct iovec rest;
    ssize_t sent;

    (void)queue;
    if (s->gone)
        return -ENOTCONN;
    if (s->out_len == 0)
        return 0;
    rest = (struct iovec){s->out + s->out_start, s->out_len};
    sent = send_some(s, &rest, 1);
    if (sent < 0 && sent != -EAGAIN) {
        lost(s, strerror((int)-sent));
        return -ENOTCONN;
    }
    if (sent > 0) {
        s->out_start += (size_t)sent;
        s->out_len -= (size_t)sent;
    }
    return s->out_len > 0 ? -EAGAIN : 0;
}

static int stream_send(NetBackend *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    Stream *s = (Stream *)net;
    struct iovec all[IOV_MAX_SEND];
    unsigned n = 1;
    size_t skip = NET_HEADER_LEN, total = 0;
    uint32_t length;
    ssize_t sent;
    int r = stream_flush(net, queue);

    if (r < 0)
        return r;
    for (unsigned i = 0; i < count; i++) {
        size_t len = iov[i].iov_len;

        if (skip >= len) {
            skip -= len;
            continue;
        }
        if (n == IOV_MAX_SEND)
            return -EMSGSIZE;
        all[n++] = (struct iovec){(uint8_t *)iov[i].iov_base + skip, len - skip};
        total += len - skip;
        skip = 0;
    }
    if (total == 0 || total > NET_FRAME_MAX)
        return -EMSGSIZE;
    length = htonl((uint32_t)total);
    all[0] = (struct iovec){&length, sizeof length};
    sent = send_some(s, all, n);
    if (sent == -EAGAIN)
        return -EAGAIN;
    if (sent < 0) {
        lost(s, strerror((int)-sent));
        return -ENOTCONN;
    }
    return (size_t)sent < total + sizeof length ? keep_rest(s, all, n, (size_t)sent) : 0;
}

/* Length of the frame at the front of the buffer, 0: not whole yet. */
static size_t frame_length(Stream *s)
{
    uint32_t length;

    if (s->in_len < LENGTH_BYTES)
        return 0;
    memcpy(&length, s->in + s->in_start, sizeof length);
    length = ntohl(length);
    if (length == 0 || length > NET_FRAME_MAX) {
        lost(s, "it sent a frame of an impossible length");
        return 0;
    }
    return s->in_len >= LENGTH_BYTES + length ? length : 0;
}

static ssize_t fill(Stream *s)
{
    ssize_t n;

    if (s->in_start > 0) {
        memmove(s->in, s->in + s->in_start, s->in_len);
        s->in_start = 0;
    }
    do {
        n = recv(s->fd, s->in + s->in_len, IN_BUFFER - s->in_len, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        lost(s, n == 0 ? "it closed the connection" : strerror(errno));
        return -ENOTCONN;
    }
    if (n < 0)
        return -EAGAIN;
    s->in_len += (size_t)n;
    return n;
}

static ssize_t stream_receive(NetBackend *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    static const uint8_t no_header[NET_HEADER_LEN];
    Stream *s = (Stream *)net;
    size_t length, at = 0, total;

    (void)queue;
    while (!s->gone && (length = frame_length(s)) == 0) {
        ssize_t n = s->gone ? -ENOTCONN : fill(s);

        if (n < 0)
            return n;
    }
    if (s->gone)
        return -ENOTCONN;
    total = NET_HEADER_LEN + length;
    for (unsigned i = 0; i < count && at < total; i++) {
        uint8_t *to = iov[i].iov_base;
        size_t room = iov[i].iov_len;

        while (room > 0 && at < total) {
            const uint8_t *from = at < NET_HEADER_LEN ? no_header + at
                                                      : s->in + s->in_start + LENGTH_BYTES + at - NET_HEADER_LEN;
            size_t part = MIN(room, (at < NET_HEADER_LEN ? (size_t)NET_HEADER_LEN : total) - at);

            memcpy(to, from, part);
            to += part;
            room -= part;
            at += part;
        }
    }
    s->in_start += LENGTH_BYTES + length;
    s->in_len -= LENGTH_BYTES + length;
    return (ssize_t)at;
}

static int stream_set_offloads(NetBackend *net, unsigned offloads)
{
    (void)net;
    return offloads == 0 ? 0 : -ENOTSUP;
}

static int stream_queue_fd(NetBackend *net, unsigned queue)
{
    (void)queue;
    return ((Stream *)net)->fd;
}

static void stream_close(NetBackend *net)
{
    Stream *s = (Stream *)net;

    if (s->fd >= 0)
        close(s->fd);
    free(s->in);
    free(s->out);
}

static const NetOps stream_ops = {
    .kind = "stream",
    .send = stream_send,
    .flush = stream_flush,
    .receive = stream_receive,
    .set_offloads = stream_set_offloads,
    .queue_fd = stream_queue_fd,
    .close = stream_close,
};

int stream_create(Props *props, NetBackend **ret, Err *err)
{
    Stream *s = calloc(1, sizeof *s);
    int r;

    if (s == NULL)
        return err_set(err, ENOMEM, "out of memory");
    s->base.ops = &stream_ops;
    s->base.queues = 1;
    s->base.link_up = true;
    s->fd = -1;
    s->in = malloc(IN_BUFFER);
    snprintf(s->base.id, sizeof s->base.id, "%s", props_id(props));
    if ((r = props_fd(props, "fd", &s->fd, err)) == 0 && (r = props_finish(props, err)) == 0) {
        if (s->fd < 0)
            r = err_set(err, EINVAL, "net back end %s: a stream needs a descriptor ('fd')", s->base.id);
        else if (s->in == NULL)
            r = err_set(err, ENOMEM, "out of memory");
    }
    if (r < 0) {
        net_close(&s->base);
        return r;
    }
    *ret = &s->base;
    return 0;
}
