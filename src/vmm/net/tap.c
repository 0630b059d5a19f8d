/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Taps (Linux, Documentation/networking/tuntap.rst): one descriptor a queue, opened and bound by the daemon with
 * IFF_VNET_HDR, so that checksum and segmentation offloads pass through as virtio net headers.
 *
 * #syscalls ioctl readv writev read write
 */
#include "vmm/net/backends.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <fcntl.h>

#include "common/checked.h"

/* Newer than some headers. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

typedef struct Tap {
    NetBackend base;
    int fd[NET_QUEUES_MAX];
    bool vnet_header;
} Tap;

static int tap_send(NetBackend *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    Tap *tap = (Tap *)net;
    ssize_t n;

    do {
        n = count == 1 ? write(tap->fd[queue], iov->iov_base, iov->iov_len) : writev(tap->fd[queue], iov, (int)count);
    } while (n < 0 && errno == EINTR);
    if (n >= 0)
        return 0;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

static ssize_t tap_receive(NetBackend *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    Tap *tap = (Tap *)net;
    ssize_t n;

    do {
        n = count == 1 ? read(tap->fd[queue], iov->iov_base, iov->iov_len) : readv(tap->fd[queue], iov, (int)count);
    } while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

static unsigned tun_flags(unsigned offloads)
{
    static const struct {
        unsigned ours, theirs;
    } map[] = {
        {NET_OFFLOAD_CSUM, TUN_F_CSUM}, {NET_OFFLOAD_TSO4, TUN_F_TSO4}, {NET_OFFLOAD_TSO6, TUN_F_TSO6},
        {NET_OFFLOAD_ECN, TUN_F_TSO_ECN}, {NET_OFFLOAD_UFO, TUN_F_UFO}, {NET_OFFLOAD_USO, TUN_F_USO4 | TUN_F_USO6},
    };
    unsigned flags = 0;

    for (size_t i = 0; i < ARRAY_LEN(map); i++) {
        if (offloads & map[i].ours)
            flags |= map[i].theirs;
    }
    return flags;
}

static int tap_set_offloads(NetBackend *net, unsigned offloads)
{
    Tap *tap = (Tap *)net;

    if (!tap->vnet_header)
        return offloads == 0 ? 0 : -ENOTSUP;
    /* It belongs to the interface, not to the queue. */
    return ioctl(tap->fd[0], TUNSETOFFLOAD, tun_flags(offloads)) < 0 ? -errno : 0;
}

static int tap_queue_fd(NetBackend *net, unsigned queue)
{
    return ((Tap *)net)->fd[queue];
}

static int tap_vhost_backend_fd(NetBackend *net, unsigned queue)
{
    Tap *tap = (Tap *)net;

    return tap->vnet_header && queue < net->queues ? tap->fd[queue] : -1;
}

/* The interface was deleted: every call on the descriptor gives EBADFD. */
static bool tap_is_lost(NetBackend *net)
{
    struct ifreq ifr = {0};

    return ioctl(((Tap *)net)->fd[0], TUNGETIFF, &ifr) < 0 && errno == EBADFD;
}

static int tap_set_queue_enabled(NetBackend *net, unsigned queue, bool enabled)
{
    Tap *tap = (Tap *)net;
    struct ifreq ifr = {.ifr_flags = (short)(enabled ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE)};

    /* One queue alone is no multi-queue tap. */
    if (net->queues == 1)
        return 0;
    if (ioctl(tap->fd[queue], TUNSETQUEUE, &ifr) < 0 && errno != EINVAL)
        return -errno;
    return 0;
}

static void tap_close(NetBackend *net)
{
    Tap *tap = (Tap *)net;

    for (unsigned i = 0; i < net->queues; i++)
        close(tap->fd[i]);
}

static const NetOps tap_ops = {
    .kind = "tap",
    .send = tap_send,
    .receive = tap_receive,
    .set_offloads = tap_set_offloads,
    .vhost_backend_fd = tap_vhost_backend_fd,
    .queue_fd = tap_queue_fd,
    .is_lost = tap_is_lost,
    .set_queue_enabled = tap_set_queue_enabled,
    .close = tap_close,
};

static int prepare(Tap *tap, Err *err)
{
    static const unsigned tries[] = {NET_OFFLOAD_CSUM, NET_OFFLOAD_TSO4, NET_OFFLOAD_TSO6, NET_OFFLOAD_UFO,
                                     NET_OFFLOAD_USO};
    int header = NET_HEADER_LEN;
    struct ifreq ifr = {0};

    if (ioctl(tap->fd[0], TUNGETIFF, &ifr) < 0)
        return err_set(err, errno, "net back end %s: descriptor %d is no tap: %s", tap->base.id, tap->fd[0],
                       strerror(errno));
    if (!(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_NO_PI))
        return err_set(err, EINVAL, "net back end %s: '%.16s' must be a tap without packet information", tap->base.id,
                       ifr.ifr_name);
    tap->vnet_header = (ifr.ifr_flags & IFF_VNET_HDR) != 0;
    if (!tap->vnet_header)
        return err_set(err, EINVAL, "net back end %s: the tap '%.16s' was opened without IFF_VNET_HDR", tap->base.id,
                       ifr.ifr_name);
    for (unsigned i = 0; i < tap->base.queues; i++) {
        int flags = fcntl(tap->fd[i], F_GETFL);

        if (ioctl(tap->fd[i], TUNSETVNETHDRSZ, &header) < 0 || flags < 0 ||
            fcntl(tap->fd[i], F_SETFL, flags | O_NONBLOCK) < 0)
            return err_set(err, errno, "net back end %s: cannot set up the tap '%.16s': %s", tap->base.id,
                           ifr.ifr_name, strerror(errno));
    }
    tap->base.has_vnet_header = true;
    for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
        unsigned want = tries[i] | NET_OFFLOAD_CSUM;

        if (ioctl(tap->fd[0], TUNSETOFFLOAD, tun_flags(want)) == 0)
            tap->base.offloads |= want;
    }
    if (tap->base.offloads & (NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6))
        tap->base.offloads |= NET_OFFLOAD_ECN;
    (void)tap_set_offloads(&tap->base, 0);
    return 0;
}

int tap_create(Props *props, NetBackend **ret, Err *err)
{
    Tap *tap = calloc(1, sizeof *tap);
    int r;

    if (tap == NULL)
        return err_set(err, ENOMEM, "out of memory");
    tap->base.ops = &tap_ops;
    tap->base.link_up = true;
    snprintf(tap->base.id, sizeof tap->base.id, "%s", props_id(props));
    if ((r = net_take_fds(props, "fds", "fd", tap->fd, &tap->base.queues, err)) < 0 ||
        (r = net_take_fds(props, "vhostfds", "vhostfd", tap->base.vhost_fd, &tap->base.vhost_fds, err)) < 0 ||
        (r = net_ignore_vhost_words(props, err)) < 0 || (r = props_finish(props, err)) < 0)
        goto fail;
    if (tap->base.queues == 0)
        r = err_set(err, EINVAL, "net back end %s: a tap needs a descriptor ('fds')", tap->base.id);
    else
        r = prepare(tap, err);
    if (r < 0)
        goto fail;
    *ret = &tap->base;
    return 0;
fail:
    net_close(&tap->base);
    return r;
}
