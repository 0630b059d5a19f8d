/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plain sockets and the hook for layers: see transport.h. */
#define ERROR_FROM VIR_FROM_RPC
#include "driver/rpc/transport.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"

#define FDS_A_READ 64

void transport_init(Transport *transport, int fd)
{
    *transport = (Transport){.fd = fd};
}

void transport_set_layer(Transport *transport, const TransportOps *ops, void *layer)
{
    g_assert(transport->ops == NULL);
    transport->ops = ops;
    transport->layer = layer;
}

void transport_clear(Transport *transport)
{
    if (transport->ops != NULL)
        transport->ops->free(transport->layer);
    transport->ops = NULL;
    fd_clear(&transport->fd);
}

static gssize socket_result(ssize_t n, const char *what, GError **error)
{
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return TRANSPORT_AGAIN;
    error_set_errno(error, errno, "Cannot %s the client's socket", what);
    return TRANSPORT_FAILED;
}

gssize transport_read(Transport *transport, void *data, gsize size, GArray *fds, GError **error)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * FDS_A_READ)];
    } control;
    struct iovec iov = {data, size};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n;

    if (transport->ops != NULL)
        return transport->ops->read(transport->layer, transport->fd, data, size, error);
    do {
        n = recvmsg(transport->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
                g_array_append_vals(fds, CMSG_DATA(c), (c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        }
    }
    if (n >= 0 && (msg.msg_flags & MSG_CTRUNC) != 0) {
        error_set(error, VIR_ERR_RPC, "the client passed more descriptors at once than the protocol allows");
        return TRANSPORT_FAILED;
    }
    return socket_result(n, "read from", error);
}

gssize transport_writev(Transport *transport, const struct iovec *iov, int count, GError **error)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (gsize)count};
    gssize total = 0;
    ssize_t n;

    if (transport->ops == NULL) {
        do {
            n = sendmsg(transport->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        return socket_result(n, "write to", error);
    }
    for (int i = 0; i < count; i++) {
        gssize done =
            transport->ops->write(transport->layer, transport->fd, iov[i].iov_base, iov[i].iov_len, error);

        if (done < 0)
            return total > 0 && done == TRANSPORT_AGAIN ? total : done;
        total += done;
        if ((gsize)done < iov[i].iov_len)
            break;
    }
    return total;
}

gssize transport_send_fd(Transport *transport, int fd, GError **error)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char dummy = 0;
    struct iovec iov = {&dummy, 1};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    ssize_t n;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    do {
        n = sendmsg(transport->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return socket_result(n, "pass a descriptor over", error);
}

gboolean transport_has_input(Transport *transport)
{
    return transport->ops != NULL && transport->ops->has_input(transport->layer);
}

gssize transport_flush(Transport *transport, GError **error)
{
    return transport->ops != NULL ? transport->ops->flush(transport->layer, transport->fd, error) : 1;
}
