/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Network device (virtio 1.2, 5.1): pairs of receive and transmit queues over a net back end, and a control queue for
 * filters, MAC address, offloads and the number of pairs in use.
 *
 * Receiving: buffers are popped into a stock ahead of time, and a frame is read straight into it; with MRG_RXBUF it may
 * use several of them, which the driver then sees together (5.1.6.4). A frame that the filter refuses leaves the stock
 * as it was. The back end is only read while the stock can hold the largest frame that may come.
 *
 * Transmitting: a chain goes to the back end as it is, header first. When that is full the chain goes back to the
 * queue until it can be written again.
 *
 * Properties: netdev, mac, mq, rx_queue_size, tx_queue_size, host_mtu, mrg_rxbuf, csum, gso, guest_csum, guest_tso4,
 * guest_tso6, guest_ecn, guest_ufo, host_tso4, host_tso6, host_ecn, host_ufo, iothread, bootindex, vectors, tx, event_idx.
 *
 * All on dev->loop. The filter and counters of a queue need no lock for that.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/checked.h"
#include "vmm/log.h"
#include "vmm/net/net.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/virtio.h"
#include "vmm/virtio/virtqueue.h"

/* Behind ours: it has macros of the same names. */
#include <linux/virtio_net.h>

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

static bool usable(const Net *n)
{
    return n->dev.active && !n->paused;
}

static void count(uint64_t *counter, uint64_t add)
{
    __atomic_store_n(counter, *counter + add, __ATOMIC_RELAXED);
}

/* --- receive filter ---------------------------------------------------------------------------------------- */

static bool in_table(const Net *n, const uint8_t *mac, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        if (memcmp(n->macs[i], mac, 6) == 0)
            return true;
    }
    return false;
}

/* frame: the first 18 bytes or fewer of an Ethernet frame */
static bool wanted(const Net *n, const uint8_t *frame, size_t len)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    if (n->promisc || len < ETHERNET_HEADER)
        return true;
    if (virtio_has(&n->dev, VIRTIO_NET_F_CTRL_VLAN) && len >= 16 && frame[12] == 0x81 && frame[13] == 0) {
        unsigned vlan = (unsigned)(frame[14] & 15) << 8 | frame[15];

        if (!(n->vlans[vlan / 32] & 1u << vlan % 32))
            return false;
    }
    if (frame[0] & 1) {
        if (memcmp(frame, broadcast, 6) == 0)
            return !n->nobcast;
        if (n->nomulti)
            return false;
        return n->allmulti || n->multicast_overflow || in_table(n, frame, n->first_multi, n->mac_count);
    }
    if (n->nouni)
        return false;
    return n->alluni || n->unicast_overflow || memcmp(frame, n->mac, 6) == 0 || in_table(n, frame, 0, n->first_multi);
}

/* --- receiving --------------------------------------------------------------------------------------------- */

static size_t largest_frame(const Net *n)
{
    const uint64_t gso = VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) |
                         VIRTIO_BIT(VIRTIO_NET_F_GUEST_UFO) | VIRTIO_BIT(F_GUEST_USO4) | VIRTIO_BIT(F_GUEST_USO6);

    return HEADER + (n->dev.features & gso ? NET_FRAME_MAX : MAX(n->backend->mtu, 1500u) + ETHERNET_HEADER + 4);
}

/* Pops until the stock can hold the largest frame. false: there is too little. */
static bool fill_stock(Pair *p)
{
    size_t need = largest_frame(p->net);
    bool merge = virtio_has(&p->net->dev, VIRTIO_NET_F_MRG_RXBUF);

    if (!merge && p->buffer_count > 0)
        return true;
    while (p->stock_len < need && p->buffer_count < STOCK_BUFFERS && p->iov_count < STOCK_IOVS) {
        VirtqElem elem = {.iov = p->iov + p->iov_count, .iov_max = STOCK_IOVS - p->iov_count};

        if (virtqueue_pop(p->rx, &elem) <= 0)
            break;
        if (elem.out_count > 0 || elem.in_len < HEADER) {
            virtio_device_fail(&p->net->dev, "queue %u: a receive buffer that cannot even hold a header",
                               virtqueue_index(p->rx));
            return false;
        }
        p->buffers[p->buffer_count++] =
            (StockBuffer){elem.head, (uint16_t)elem.in_count, (uint32_t)MIN(elem.in_len, UINT32_MAX)};
        p->iov_count += elem.in_count;
        p->stock_len += elem.in_len;
        if (!merge)
            return true;
    }
    /* Everything the driver can ever give is here: then that has to do. */
    return p->buffer_count > 0 && (p->stock_len >= need || p->buffer_count == virtqueue_size(p->rx) ||
                                   p->buffer_count == STOCK_BUFFERS || p->iov_count == STOCK_IOVS);
}

static void consume(Pair *p, size_t len)
{
    unsigned used = 0, iovs = 0;
    uint64_t bytes = 0;
    uint16_t buffers;
    size_t left = len;

    while (left > 0 && used < p->buffer_count) {
        size_t part = MIN(left, p->buffers[used].len);

        virtqueue_fill(p->rx, p->buffers[used].head, (uint32_t)part, used);
        left -= part;
        bytes += p->buffers[used].len;
        iovs += p->buffers[used++].iovs;
    }
    /* num_buffers, the last field of the header */
    buffers = htole16((uint16_t)used);
    chain_from_buffer(p->iov, p->iov_count, HEADER - sizeof buffers, &buffers, sizeof buffers);
    virtqueue_publish(p->rx, used);
    p->buffer_count -= used;
    p->iov_count -= iovs;
    p->stock_len -= bytes;
    memmove(p->buffers, p->buffers + used, p->buffer_count * sizeof p->buffers[0]);
    memmove(p->iov, p->iov + iovs, p->iov_count * sizeof p->iov[0]);
}

static void watch(Pair *p);

static void receive(void *opaque, unsigned queue)
{
    Net *n = opaque;
    Pair *p = &n->pairs[queue];

    if (!usable(n) || !p->enabled)
        return;
    for (int i = 0; i < FRAMES_A_TURN; i++) {
        uint8_t head[18];
        ssize_t len;

        if (!fill_stock(p)) {
            p->rx_waits = true;
            /* A kick now and not later, when buffers came meanwhile. */
            if (virtqueue_enable_notify(p->rx)) {
                virtqueue_disable_notify(p->rx);
                if (fill_stock(p)) {
                    p->rx_waits = false;
                    continue;
                }
                (void)virtqueue_enable_notify(p->rx);
            }
            break;
        }
        len = n->backend->ops->receive(n->backend, queue, p->iov, p->iov_count);
        if (len == -EAGAIN)
            break;
        if (len < HEADER) {
            count(&n->stats->rx_errors, 1);
            if (len < 0 && len != -EMSGSIZE)
                break;
            continue;
        }
        if ((uint64_t)len > p->stock_len) {
            count(&n->stats->rx_drops, 1);
            continue;
        }
        if (!n->user_link ||
            !wanted(n, head, (size_t)chain_to_buffer(p->iov, p->iov_count, HEADER, head,
                                                     MIN(sizeof head, (size_t)len - HEADER)))) {
            count(&n->stats->rx_drops, 1);
            continue;
        }
        count(&n->stats->rx_packets, 1);
        count(&n->stats->rx_bytes, (uint64_t)len - HEADER);
        consume(p, (size_t)len);
    }
    virtqueue_notify(p->rx);
    watch(p);
}

/* --- transmitting ------------------------------------------------------------------------------------------ */

static void transmit(Pair *p)
{
    Net *n = p->net;
    struct iovec iov[CHAIN_IOVS];
    VirtqElem elem = {.iov = iov, .iov_max = CHAIN_IOVS};
    unsigned done = 0;

    if (!usable(n) || p->tx_blocked || !virtqueue_ready(p->tx))
        return;
    do {
        virtqueue_disable_notify(p->tx);
        while (virtqueue_pop(p->tx, &elem) > 0) {
            int r = -EMSGSIZE;

            if (n->user_link && n->backend->link_up && elem.out_len >= HEADER + ETHERNET_HEADER &&
                elem.out_len <= HEADER + NET_FRAME_MAX)
                r = n->backend->ops->send(n->backend, p->index, iov, elem.out_count);
            if (r == -EAGAIN) {
                virtqueue_unpop(p->tx, 1);
                p->tx_blocked = true;
                virtqueue_notify(p->tx);
                watch(p);
                return;
            }
            if (r == 0) {
                count(&n->stats->tx_packets, 1);
                count(&n->stats->tx_bytes, elem.out_len - HEADER);
            } else {
                count(n->user_link && n->backend->link_up ? &n->stats->tx_errors : &n->stats->tx_drops, 1);
            }
            virtqueue_push(p->tx, &elem, 0);
            if (++done == FRAMES_A_TURN) {
                virtqueue_notify(p->tx);
                loop_defer(&p->tx_more);
                return;
            }
        }
    } while (virtqueue_enable_notify(p->tx));
    virtqueue_notify(p->tx);
}

static void transmit_more(void *opaque)
{
    transmit(opaque);
}

static void writable(void *opaque, unsigned queue)
{
    Net *n = opaque;
    Pair *p = &n->pairs[queue];

    p->tx_blocked = false;
    watch(p);
    transmit(p);
}

/* --- watching the back end --------------------------------------------------------------------------------- */

static void watch(Pair *p)
{
    if (p->watched)
        net_watch_events(p->net->backend, p->index, usable(p->net) && p->enabled && !p->rx_waits, p->tx_blocked);
}

static void watch_all(Net *n)
{
    for (unsigned i = 0; i < n->pair_count; i++)
        watch(&n->pairs[i]);
}

/* --- control queue (5.1.6.5) ------------------------------------------------------------------------------- */

typedef struct Command {
    const struct iovec *iov;
    unsigned iovs;
    uint64_t at, len;
} Command;

static bool take(Command *c, void *ret, size_t len)
{
    if (chain_to_buffer(c->iov, c->iovs, c->at, ret, len) != len)
        return false;
    c->at += len;
    return true;
}

static bool set_rx_mode(Net *n, uint8_t command, Command *c)
{
    bool *const flags[] = {&n->promisc, &n->allmulti, &n->alluni, &n->nomulti, &n->nouni, &n->nobcast};
    uint8_t on;

    if (command >= ARRAY_LEN(flags) || !take(c, &on, 1))
        return false;
    *flags[command] = on != 0;
    return true;
}

static bool read_macs(Net *n, Command *c, bool *ret_overflow)
{
    uint32_t entries;

    if (!take(c, &entries, sizeof entries))
        return false;
    entries = le32toh(entries);
    if ((uint64_t)entries * 6 > c->len - c->at)
        return false;
    *ret_overflow = n->mac_count + entries > MACS_MAX;
    if (*ret_overflow) {
        c->at += (uint64_t)entries * 6;
        return true;
    }
    for (uint32_t i = 0; i < entries; i++) {
        if (!take(c, n->macs[n->mac_count], 6))
            return false;
        n->mac_count++;
    }
    return true;
}

static void mac_changed(Net *n)
{
    virtio_config_set(&n->dev, 0, n->mac, sizeof n->mac);
    n->dev.host->event(n->dev.host, "NIC_RX_FILTER_CHANGED",
                       json_pack("{s:s, s:s}", "name", n->dev.id, "path", n->dev.id));
}

static bool set_macs(Net *n, uint8_t command, Command *c)
{
    uint8_t old[MACS_MAX][6];
    unsigned old_count = n->mac_count, first_multi;
    bool unicast = false, multicast = false, good;

    if (command == VIRTIO_NET_CTRL_MAC_ADDR_SET) {
        if (!take(c, n->mac, sizeof n->mac))
            return false;
        mac_changed(n);
        return true;
    }
    if (command != VIRTIO_NET_CTRL_MAC_TABLE_SET)
        return false;
    memcpy(old, n->macs, sizeof old);
    n->mac_count = 0;
    good = read_macs(n, c, &unicast);
    first_multi = n->mac_count;
    good = good && read_macs(n, c, &multicast);
    if (!good) {
        memcpy(n->macs, old, sizeof old);
        n->mac_count = old_count;
        return false;
    }
    n->first_multi = first_multi;
    n->unicast_overflow = unicast;
    n->multicast_overflow = multicast;
    return true;
}

static bool set_vlan(Net *n, uint8_t command, Command *c)
{
    uint16_t vlan;

    if (!take(c, &vlan, sizeof vlan))
        return false;
    vlan = le16toh(vlan);
    if (vlan >= 4096)
        return false;
    if (command == VIRTIO_NET_CTRL_VLAN_ADD)
        n->vlans[vlan / 32] |= 1u << vlan % 32;
    else if (command == VIRTIO_NET_CTRL_VLAN_DEL)
        n->vlans[vlan / 32] &= ~(1u << vlan % 32);
    else
        return false;
    return true;
}

static void use_pairs(Net *n, unsigned pairs)
{
    n->pairs_used = pairs;
    for (unsigned i = 0; i < n->pair_count; i++) {
        n->pairs[i].enabled = i < pairs;
        if (n->backend->ops->set_queue_enabled)
            (void)n->backend->ops->set_queue_enabled(n->backend, i, i < pairs);
    }
    watch_all(n);
}

static unsigned offloads_of(uint64_t features)
{
    static const struct {
        unsigned feature, offload;
    } map[] = {
        {VIRTIO_NET_F_GUEST_CSUM, NET_OFFLOAD_CSUM}, {VIRTIO_NET_F_GUEST_TSO4, NET_OFFLOAD_TSO4},
        {VIRTIO_NET_F_GUEST_TSO6, NET_OFFLOAD_TSO6}, {VIRTIO_NET_F_GUEST_ECN, NET_OFFLOAD_ECN},
        {VIRTIO_NET_F_GUEST_UFO, NET_OFFLOAD_UFO},   {F_GUEST_USO4, NET_OFFLOAD_USO},
    };
    unsigned offloads = 0;

    for (size_t i = 0; i < ARRAY_LEN(map); i++) {
        if (features & VIRTIO_BIT(map[i].feature))
            offloads |= map[i].offload;
    }
    return offloads;
}

static bool set_guest_offloads(Net *n, uint8_t command, Command *c)
{
    uint64_t offloads;

    if (command != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET || !take(c, &offloads, sizeof offloads))
        return false;
    offloads = le64toh(offloads);
    /* 5.1.6.5.6.2: only what was negotiated */
    if ((offloads & ~n->dev.features) != 0)
        return false;
    return n->backend->ops->set_offloads(n->backend, offloads_of(offloads)) == 0;
}

static bool set_pairs(Net *n, uint8_t command, Command *c)
{
    uint16_t pairs;

    if (command != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || !virtio_has(&n->dev, VIRTIO_NET_F_MQ) ||
        !take(c, &pairs, sizeof pairs))
        return false;
    pairs = le16toh(pairs);
    if (pairs < 1 || pairs > n->pair_count)
        return false;
    use_pairs(n, pairs);
    return true;
}

static bool run_command(Net *n, const VirtqElem *elem)
{
    Command c = {.iov = elem->iov, .iovs = elem->out_count, .len = elem->out_len};
    struct virtio_net_ctrl_hdr head;

    if (!take(&c, &head, sizeof head))
        return false;
    switch (head.class) {
    case VIRTIO_NET_CTRL_RX:
        return set_rx_mode(n, head.cmd, &c);
    case VIRTIO_NET_CTRL_MAC:
        return set_macs(n, head.cmd, &c);
    case VIRTIO_NET_CTRL_VLAN:
        return set_vlan(n, head.cmd, &c);
    case VIRTIO_NET_CTRL_MQ:
        return set_pairs(n, head.cmd, &c);
    case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
        return set_guest_offloads(n, head.cmd, &c);
    default:
        return false;
    }
}

static void control_kick(Net *n, Virtqueue *vq)
{
    struct iovec iov[CHAIN_IOVS];
    VirtqElem elem = {.iov = iov, .iov_max = CHAIN_IOVS};

    do {
        virtqueue_disable_notify(vq);
        while (virtqueue_pop(vq, &elem) > 0) {
            uint8_t ack;

            if (elem.in_len < 1 || elem.out_len < sizeof(struct virtio_net_ctrl_hdr)) {
                virtio_device_fail(&n->dev, "control queue: a command without header or room for the answer");
                return;
            }
            ack = run_command(n, &elem) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
            chain_from_buffer(virtq_elem_in(&elem), elem.in_count, 0, &ack, 1);
            virtqueue_push(vq, &elem, 1);
        }
    } while (virtqueue_enable_notify(vq));
    virtqueue_notify(vq);
}

/* --- life -------------------------------------------------------------------------------------------------- */

static unsigned control_index(const Net *n)
{
    return virtio_has(&n->dev, VIRTIO_NET_F_MQ) ? 2 * n->pair_count : 2;
}

static void net_kick(VirtioDevice *dev, Virtqueue *vq)
{
    Net *n = (Net *)dev;
    unsigned index = virtqueue_index(vq);

    if (n->paused)
        return;
    if (virtio_has(dev, VIRTIO_NET_F_CTRL_VQ) && index == control_index(n)) {
        control_kick(n, vq);
    } else if (index / 2 < n->pair_count) {
        Pair *p = &n->pairs[index / 2];

        if (index & 1) {
            transmit(p);
        } else {
            p->rx_waits = false;
            virtqueue_disable_notify(p->rx);
            receive(n, p->index);
        }
    }
}

static void net_deactivate(VirtioDevice *dev)
{
    Net *n = (Net *)dev;

    for (unsigned i = 0; i < n->pair_count; i++) {
        Pair *p = &n->pairs[i];

        if (p->watched)
            net_unwatch(n->backend, i);
        p->watched = false;
        loop_defer_cancel(&p->tx_more);
        p->buffer_count = p->iov_count = 0;
        p->stock_len = 0;
        p->tx_blocked = p->rx_waits = false;
    }
}

static int net_activate(VirtioDevice *dev)
{
    Net *n = (Net *)dev;
    static const NetWatch callbacks = {.on_readable = receive, .on_writable = writable};
    int r;

    n->promisc = true;
    n->allmulti = n->alluni = n->nomulti = n->nouni = n->nobcast = false;
    n->mac_count = n->first_multi = 0;
    n->unicast_overflow = n->multicast_overflow = false;
    memset(n->vlans, 0, sizeof n->vlans);
    virtio_config_get(dev, 0, n->mac, sizeof n->mac);
    r = n->backend->ops->set_offloads(n->backend, offloads_of(dev->features));
    if (r < 0)
        log_note("%s: the back end refuses offloads: %s", dev->id, strerror(-r));
    for (unsigned i = 0; i < n->pair_count; i++) {
        Pair *p = &n->pairs[i];
        NetWatch w = callbacks;

        w.opaque = n;
        if (!n->backend->link_up)
            continue;
        r = net_watch(n->backend, i, dev->loop, &w);
        if (r < 0) {
            net_deactivate(dev);
            return r;
        }
        p->watched = true;
    }
    use_pairs(n, 1);
    return 0;
}

static void net_set_running(VirtioDevice *dev, bool running)
{
    Net *n = (Net *)dev;

    n->paused = !running;
    watch_all(n);
    if (!running || !dev->active)
        return;
    for (unsigned i = 0; i < dev->queue_count; i++)
        net_kick(dev, virtio_queue(dev, i));
}

static void tell_link(Net *n)
{
    uint16_t status = htole16(n->user_link && n->backend->link_up ? VIRTIO_NET_S_LINK_UP : 0), old;

    virtio_config_get(&n->dev, offsetof(struct virtio_net_config, status), &old, sizeof old);
    if (old != status)
        virtio_config_update(&n->dev, offsetof(struct virtio_net_config, status), &status, sizeof status);
}

static void backend_link_changed(void *opaque, bool up)
{
    Net *n = opaque;

    if (!up)
        n->pairs[0].watched = false;
    tell_link(n);
}

void net_device_set_link(VirtioDevice *dev, bool up)
{
    Net *n = (Net *)dev;

    n->user_link = up;
    tell_link(n);
}

static void net_free(VirtioDevice *dev)
{
    Net *n = (Net *)dev;

    if (n->stats != NULL)
        n->stats->id[0] = '\0';
    if (n->backend != NULL) {
        n->backend->link_changed = NULL;
        n->backend->claimed = false;
    }
    free(n->pairs);
}

static const VirtioDeviceOps net_device_ops = {
    .name = "virtio-net",
    .type = VIRTIO_TYPE_NET,
    .pci_class = 0x020000,
    .state_size = sizeof(Net),
    .activate = net_activate,
    .deactivate = net_deactivate,
    .kick = net_kick,
    .set_running = net_set_running,
    .free = net_free,
};

const char *net_device_backend(const VirtioDevice *dev)
{
    return ((const Net *)dev)->backend->id;
}

json_t *net_device_rx_filter(VirtioDevice *dev)
{
    Net *n = (Net *)dev;
    json_t *uni = json_array(), *multi = json_array();
    char text[18];

    for (unsigned i = 0; i < n->mac_count; i++) {
        const uint8_t *m = n->macs[i];

        snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
        json_array_append_new(i < n->first_multi ? uni : multi, json_string(text));
    }
    snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4],
             n->mac[5]);
    return json_pack("{s:s, s:b, s:s, s:s, s:b, s:b, s:b, s:s, s:s, s:[], s:o, s:o}", "name", dev->id, "promiscuous",
                     (int)n->promisc, "multicast", n->nomulti ? "none" : n->allmulti ? "all" : "normal", "unicast",
                     n->nouni ? "none" : n->alluni ? "all" : "normal", "broadcast-allowed", (int)!n->nobcast,
                     "multicast-overflow", (int)n->multicast_overflow, "unicast-overflow", (int)n->unicast_overflow,
                     "main-mac", text, "vlan", "normal", "vlan-table", "unicast-table", uni, "multicast-table", multi);
}

/* --- making ------------------------------------------------------------------------------------------------ */

typedef struct FeatureWord {
    const char *key;
    unsigned feature, offload; /* offload: what the back end must be able to do; 0: nothing */
} FeatureWord;

static const FeatureWord feature_words[] = {
    {"csum", VIRTIO_NET_F_CSUM, NET_OFFLOAD_CSUM},
    {"guest_csum", VIRTIO_NET_F_GUEST_CSUM, NET_OFFLOAD_CSUM},
    {"guest_tso4", VIRTIO_NET_F_GUEST_TSO4, NET_OFFLOAD_TSO4},
    {"guest_tso6", VIRTIO_NET_F_GUEST_TSO6, NET_OFFLOAD_TSO6},
    {"guest_ecn", VIRTIO_NET_F_GUEST_ECN, NET_OFFLOAD_ECN},
    {"guest_ufo", VIRTIO_NET_F_GUEST_UFO, NET_OFFLOAD_UFO},
    {"guest_uso4", F_GUEST_USO4, NET_OFFLOAD_USO},
    {"guest_uso6", F_GUEST_USO6, NET_OFFLOAD_USO},
    {"host_tso4", VIRTIO_NET_F_HOST_TSO4, NET_OFFLOAD_TSO4},
    {"host_tso6", VIRTIO_NET_F_HOST_TSO6, NET_OFFLOAD_TSO6},
    {"host_ecn", VIRTIO_NET_F_HOST_ECN, NET_OFFLOAD_ECN},
    {"host_ufo", VIRTIO_NET_F_HOST_UFO, NET_OFFLOAD_UFO},
    {"host_uso", F_HOST_USO, NET_OFFLOAD_USO},
    {"ctrl_guest_offloads", VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, NET_OFFLOAD_CSUM},
    {"mrg_rxbuf", VIRTIO_NET_F_MRG_RXBUF, 0},
};

static int parse_mac(const char *text, uint8_t *ret)
{
    char end;

    if (text == NULL) {
        if (getrandom(ret, 6, 0) != 6)
            return -EIO;
        ret[0] = 0x52;
        ret[1] = 0x54;
        ret[2] = 0;
        return 0;
    }
    if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &ret[0], &ret[1], &ret[2], &ret[3], &ret[4], &ret[5],
               &end) != 6 ||
        (ret[0] & 1))
        return -EINVAL;
    return 0;
}

typedef struct NetOptions {
    const char *netdev, *iothread;
    uint8_t mac[6];
    uint64_t rx_size, tx_size, mtu, features; /* features the user wants off */
    bool mq;
} NetOptions;

static int parse_options(Props *props, NetOptions *o, Err *err)
{
    const char *mac, *ignored_text;
    uint64_t ignored;
    bool gso;
    int r;

    if ((r = props_string(props, "netdev", "", &o->netdev, err)) < 0 ||
        (r = props_string(props, "mac", NULL, &mac, err)) < 0 ||
        (r = props_string(props, "iothread", NULL, &o->iothread, err)) < 0 ||
        (r = props_bool(props, "mq", false, &o->mq, err)) < 0 ||
        (r = props_uint(props, "rx_queue_size", 64, VIRTQUEUE_SIZE_MAX, 256, &o->rx_size, err)) < 0 ||
        (r = props_uint(props, "tx_queue_size", 64, VIRTQUEUE_SIZE_MAX, 256, &o->tx_size, err)) < 0 ||
        (r = props_uint(props, "host_mtu", 0, 65535, 0, &o->mtu, err)) < 0 ||
        (r = props_uint(props, "bootindex", 0, INT32_MAX, 0, &ignored, err)) < 0 ||
        (r = props_uint(props, "vectors", 0, 2048, 0, &ignored, err)) < 0 ||
        (r = props_string(props, "tx", "bh", &ignored_text, err)) < 0 ||
        (r = props_bool(props, "gso", true, &gso, err)) < 0)
        return r;
    if ((o->rx_size & (o->rx_size - 1)) || (o->tx_size & (o->tx_size - 1)))
        return err_set(err, EINVAL, "virtio-net %s: queue sizes must be powers of two", props_id(props));
    if (parse_mac(mac, o->mac) < 0)
        return err_set(err, EINVAL, "virtio-net %s: '%s' is no MAC address of one card", props_id(props), mac);
    o->features = 0;
    for (size_t i = 0; i < ARRAY_LEN(feature_words); i++) {
        bool on;

        if ((r = props_bool(props, feature_words[i].key, true, &on, err)) < 0)
            return r;
        if (!on || (!gso && strncmp(feature_words[i].key, "host_", 5) == 0))
            o->features |= VIRTIO_BIT(feature_words[i].feature);
    }
    return 0;
}

static void offer(Net *n, const NetOptions *o)
{
    uint64_t f = VIRTIO_BIT(VIRTIO_NET_F_MAC) | VIRTIO_BIT(VIRTIO_NET_F_STATUS) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) |
                 VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) |
                 VIRTIO_BIT(VIRTIO_NET_F_CTRL_VLAN) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);

    for (size_t i = 0; i < ARRAY_LEN(feature_words); i++) {
        const FeatureWord *w = &feature_words[i];

        if (w->offload == 0 || (n->backend->offloads & w->offload))
            f |= VIRTIO_BIT(w->feature);
    }
    if (n->pair_count > 1)
        f |= VIRTIO_BIT(VIRTIO_NET_F_MQ);
    if (o->mtu > 0)
        f |= VIRTIO_BIT(VIRTIO_NET_F_MTU);
    n->dev.offered = f & ~o->features;
}

static void fill_config(Net *n, const NetOptions *o)
{
    struct virtio_net_config c = {0};

    memcpy(c.mac, n->mac, sizeof c.mac);
    c.status = htole16(n->backend->link_up ? VIRTIO_NET_S_LINK_UP : 0);
    c.max_virtqueue_pairs = htole16((uint16_t)n->pair_count);
    c.mtu = htole16((uint16_t)o->mtu);
    virtio_config_set(&n->dev, 0, &c, offsetof(struct virtio_net_config, mtu) + sizeof c.mtu);
}

int net_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err)
{
    uint16_t sizes[2 * PAIRS_MAX + 1];
    Loop *loop = host->main_loop;
    NetBackend *backend;
    VirtioDevice *dev;
    NetOptions o;
    unsigned pairs;
    Net *n;
    int r = parse_options(props, &o, err);

    if (r < 0)
        return r;
    if (o.iothread != NULL && (loop = host->iothread(host, o.iothread)) == NULL)
        return err_set(err, ENOENT, "virtio-net %s: iothread '%s' does not exist", props_id(props), o.iothread);
    backend = host->netdev(host, o.netdev);
    if (backend == NULL)
        return err_set(err, ENOENT, "virtio-net %s: Property 'virtio-net-device.netdev' can't find value '%s'",
                       props_id(props), o.netdev);
    pairs = o.mq ? backend->queues : 1;
    for (unsigned i = 0; i < pairs; i++) {
        sizes[2 * i] = (uint16_t)o.rx_size;
        sizes[2 * i + 1] = (uint16_t)o.tx_size;
    }
    sizes[2 * pairs] = CONTROL_SIZE;
    r = virtio_device_new(&net_device_ops, props_id(props), host, loop, sizes, 2 * pairs + 1, &dev, err);
    if (r < 0) {
        backend->claimed = false;
        return r;
    }
    n = (Net *)dev;
    n->pairs = calloc(pairs, sizeof *n->pairs);
    if (n->pairs == NULL) {
        backend->claimed = false;
        virtio_device_free(dev);
        return err_set(err, ENOMEM, "out of memory");
    }
    n->backend = backend;
    n->pair_count = pairs;
    n->stats = host->stats_net(host, dev->id);
    n->user_link = true;
    memcpy(n->mac, o.mac, sizeof n->mac);
    backend->mtu = (uint16_t)o.mtu;
    backend->link_changed = backend_link_changed;
    backend->link_opaque = n;
    for (unsigned i = 0; i < pairs; i++) {
        Pair *p = &n->pairs[i];

        p->net = n;
        p->index = i;
        p->rx = virtio_queue(dev, 2 * i);
        p->tx = virtio_queue(dev, 2 * i + 1);
        loop_defer_init(loop, &p->tx_more, transmit_more, p);
    }
    fill_config(n, &o);
    offer(n, &o);
    *ret = dev;
    return 0;
}
