/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Net back ends: where a network device's frames go (a tap, a stream socket to passt). One back end has one
 * or more queues, each with its own descriptor; a queue belongs to one loop.
 *
 * Frames are passed with a virtio net header in front (12 bytes, struct virtio_net_hdr_v1,
 * virtio 1.2, 5.1.6); a back end without offloads strips it on send (and only ever sees headers that ask for
 * nothing) and zeroes it on receive.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/err.h"
#include "vmm/loop.h"
#include "vmm/props.h"

#define NET_HEADER_LEN 12
#define NET_FRAME_MAX (65535 + 18) /* without the header: largest GSO frame */

/* What the other side may be handed, as TUN names them (TUNSETOFFLOAD). */
enum {
    NET_OFFLOAD_CSUM = 1 << 0,
    NET_OFFLOAD_TSO4 = 1 << 1,
    NET_OFFLOAD_TSO6 = 1 << 2,
    NET_OFFLOAD_ECN = 1 << 3,
    NET_OFFLOAD_UFO = 1 << 4,
    NET_OFFLOAD_USO = 1 << 5,
};

typedef struct NetBackend NetBackend;

/* Who uses a queue. */
typedef struct NetWatch {
    void (*on_readable)(void *opaque, unsigned queue);
    void (*on_writable)(void *opaque, unsigned queue);
    void *opaque;
} NetWatch;

#define NET_QUEUES_MAX 16

typedef struct NetQueueWatch {
    NetBackend *net;
    NetWatch user;
    unsigned queue;
    LoopWatch watch;
} NetQueueWatch;

typedef struct NetOps {
    const char *kind; /* QEMU's name: "tap", "stream" */
    /* One frame with its header. 0 sent or dropped for good; -EAGAIN full: on_writable comes; else -errno,
     * frame lost. */
    int (*send)(NetBackend *net, unsigned queue, const struct iovec *iov, unsigned count);
    /* Sends what was taken of frames but has not gone out: -EAGAIN when some is left, and on_writable comes. NULL:
     * there is never any. */
    int (*flush)(NetBackend *net, unsigned queue);
    /* One frame with its header into iov: its length; -EAGAIN nothing there. A frame that does not fit is
     * dropped. */
    ssize_t (*receive)(NetBackend *net, unsigned queue, const struct iovec *iov, unsigned count);
    /* What the guest can take (NET_OFFLOAD_… bits). */
    int (*set_offloads)(NetBackend *net, unsigned offloads);
    /* The descriptor for vhost-net, or -1. */
    int (*vhost_backend_fd)(NetBackend *net, unsigned queue);
    /* What to poll for this queue. */
    int (*queue_fd)(NetBackend *net, unsigned queue);
    /* Its descriptor reports an error: whether it is gone for good. NULL: ask by receive. */
    bool (*is_lost)(NetBackend *net);
    int (*set_queue_enabled)(NetBackend *net, unsigned queue, bool enabled);
    void (*close)(NetBackend *net); /* frees everything but *net itself */
} NetOps;

/* Base of every back end; the driver's struct begins with it. */
struct NetBackend {
    const NetOps *ops;
    char id[64];
    unsigned queues;
    bool has_vnet_header; /* offloads are possible */
    unsigned offloads; /* what it can do at all */
    bool claimed;
    bool link_up; /* passt went away, tap removed: false */
    uint16_t mtu; /* 0 unknown */
    int vhost_fd[NET_QUEUES_MAX]; /* /dev/vhost-net opened by the daemon, one a queue; -1 none; owned */
    unsigned vhost_fds;
    NetQueueWatch watches[NET_QUEUES_MAX];
    void (*link_changed)(void *opaque, bool up);
    void *link_opaque;
};

/* The loop's thread. No event comes until net_watch_events() asks for it. */
int net_watch(NetBackend *net, unsigned queue, Loop *loop, const NetWatch *watch);
void net_watch_events(NetBackend *net, unsigned queue, bool readable, bool writable);
void net_unwatch(NetBackend *net, unsigned queue);
/* The other side is gone for good: the link is down, nothing is watched any more. For back ends. */
void net_lost(NetBackend *net, const char *why);
void net_close(NetBackend *net);

/* Makes a back end from its properties (type, id, fds, vhostfds, …). Main thread. Kinds: net_table.c. */
int net_new(Props *props, NetBackend **ret, Err *err);
