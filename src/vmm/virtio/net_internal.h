/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Insides of the network device: net.c moves frames, net_control.c obeys the control queue,
 * net_make.c makes it. All on dev->loop. */
#pragma once

#include "vmm/net/net.h"
#include "vmm/virtio/vhost.h"
#include "vmm/virtio/virtio.h"
#include "vmm/virtio/virtqueue.h"

#define PAIRS_MAX NET_QUEUES_MAX
#define CONTROL_SIZE 64
#define STOCK_BUFFERS 128
#define STOCK_IOVS 512
#define CHAIN_IOVS 512
#define FRAMES_A_TURN 128
#define MACS_MAX 64
#define HEADER NET_HEADER_LEN
#define ETHERNET_HEADER 14

enum { F_HOST_USO = 56, F_GUEST_USO4 = 54, F_GUEST_USO6 = 55 };

typedef struct Net Net;

typedef struct StockBuffer {
    uint16_t head;
    uint16_t iovs;
    uint32_t len;
} StockBuffer;

typedef struct Pair {
    Net *net;
    unsigned index;
    Virtqueue *rx, *tx;
    StockBuffer buffers[STOCK_BUFFERS];
    struct iovec iov[STOCK_IOVS];
    unsigned buffer_count, iov_count;
    uint64_t stock_len;
    bool tx_blocked, rx_waits; /* for the back end; for the driver */
    bool watched, enabled;
    LoopDefer tx_more;
    Vhost vhost;
    bool vhost_refused; /* until the next reset */
} Pair;

struct Net {
    VirtioDevice dev;
    NetBackend *backend;
    StatsNet *stats;
    Pair *pairs;
    unsigned pair_count, pairs_used;
    uint8_t mac[6];
    bool user_link; /* set_link */
    bool paused;

    /* Receive filter (5.1.6.5.1) */
    bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
    uint8_t macs[MACS_MAX][6];
    unsigned mac_count;
    unsigned first_multi; /* macs[0 .. first_multi) are unicast */
    bool unicast_overflow, multicast_overflow;
    uint32_t vlans[4096 / 32];
};

extern const VirtioDeviceOps net_device_ops;

/* LoopDefer of a Pair: there may be more to transmit. */
void net_transmit_more(void *opaque);
/* Vhost.serve of a Pair: the kernel begins to move its frames, or ends. */
int net_serve(Vhost *vhost, bool on);
/* NetBackend.link_changed of a Net. */
void net_link_changed(void *opaque, bool up);
/* The bits of NET_OFFLOAD_… that these features of the guest's side mean. */
unsigned net_offloads_of(uint64_t features);
/* Attaches the first pairs of queues to the back end and detaches the others. */
void net_use_pairs(Net *n, unsigned pairs);
/* Filter (5.1.6.5.1): frame is the first 18 bytes or fewer of an Ethernet frame. */
bool net_wanted(const Net *n, const uint8_t *frame, size_t len);
void net_filter_reset(Net *n);
void net_control_kick(Net *n, Virtqueue *vq);
