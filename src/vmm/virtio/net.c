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
 * With vhost-net (the back end has descriptors of /dev/vhost-net) the kernel serves a pair while the VM runs, the link is up
 * and the driver uses it; at all other times, and when the kernel refuses, this file does. The filter is then the tap's.
 *
 * All on dev->loop. The filter and counters of a queue need no lock for that.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/log.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/net_internal.h"

/* Behind ours: they have macros of the same names. */
#include <linux/vhost.h>
#include <linux/virtio_net.h>

static bool usable(const Net *n)
{
    return n->dev.active && !n->paused;
}

static void count(uint64_t *counter, uint64_t add)
{
    __atomic_store_n(counter, *counter + add, __ATOMIC_RELAXED);
}

/* --- receiving --------------------------------------------------------------------------------------------- */

static size_t largest_frame(const Net *n)
{
    const uint64_t gso = VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) |
                         VIRTIO_BIT(VIRTIO_NET_F_GUEST_UFO) | VIRTIO_BIT(F_GUEST_USO4) | VIRTIO_BIT(F_GUEST_USO6);

    return HEADER + (n->dev.features & gso ? NET_FRAME_MAX : MAX(n->backend->mtu, 1500u) + ETHERNET_HEADER + 4);
}

/* There may be no room for the pieces of one more buffer. */
static bool stock_is_full(const Pair *p)
{
    enum { PIECES = 64 };

    return p->iov_count > STOCK_IOVS - PIECES;
}

/* Pops until the stock can hold the largest frame. false: there is too little. */
static bool fill_stock(Pair *p)
{
    size_t need = largest_frame(p->net);
    bool merge = virtio_has(&p->net->dev, VIRTIO_NET_F_MRG_RXBUF);

    if (!merge && p->buffer_count > 0)
        return true;
    while (p->stock_len < need && p->buffer_count < STOCK_BUFFERS && !stock_is_full(p)) {
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
                                   p->buffer_count == STOCK_BUFFERS || stock_is_full(p));
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
    iov_from_buffer(p->iov, p->iov_count, HEADER - sizeof buffers, &buffers, sizeof buffers);
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

    if (!usable(n) || !p->enabled || p->vhost.running)
        return;
    for (int i = 0; i < FRAMES_A_TURN; i++) {
        uint8_t head[18];
        ssize_t len;

        if (!fill_stock(p)) {
            /* A kick now and not later, when buffers came meanwhile; for each of them anew. */
            p->rx_waits = !virtqueue_enable_notify(p->rx);
            if (p->rx_waits)
                break;
            virtqueue_disable_notify(p->rx);
            continue;
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
            !net_wanted(n, head, (size_t)iov_to_buffer(p->iov, p->iov_count, HEADER, head,
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

/* false: the back end has a rest of a frame still, and goes on when it can be written. */
static bool rest_is_out(Pair *p)
{
    NetBackend *backend = p->net->backend;

    if (backend->ops->flush == NULL || backend->ops->flush(backend, p->index) != -EAGAIN)
        return true;
    p->tx_blocked = true;
    watch(p);
    return false;
}

static void transmit(Pair *p)
{
    Net *n = p->net;
    struct iovec iov[CHAIN_IOVS];
    VirtqElem elem = {.iov = iov, .iov_max = CHAIN_IOVS};
    unsigned done = 0;

    if (!usable(n) || p->tx_blocked || p->vhost.running || !virtqueue_ready(p->tx) || !rest_is_out(p))
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
    (void)rest_is_out(p);
}

void net_transmit_more(void *opaque)
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

/* --- who serves a pair ------------------------------------------------------------------------------------- */

static void watch(Pair *p)
{
    if (p->watched)
        net_watch_events(p->net->backend, p->index,
                         usable(p->net) && p->enabled && !p->rx_waits && !p->vhost.running, p->tx_blocked);
}

int net_serve(Vhost *vhost, bool on)
{
    Pair *p = container_of(vhost, Pair, vhost);
    NetBackend *backend = p->net->backend;
    int r = 0;

    for (unsigned ring = 0; ring < 2 && r == 0; ring++) {
        struct vhost_vring_file file = {.index = ring,
                                        .fd = on ? backend->ops->vhost_backend_fd(backend, p->index) : -1};

        r = VHOST_CALL(vhost, VHOST_NET_SET_BACKEND, &file);
    }
    return r;
}

static void give_to_kernel(Pair *p)
{
    int r;

    virtqueue_unpop(p->rx, p->buffer_count);
    p->buffer_count = p->iov_count = 0;
    p->stock_len = 0;
    p->tx_blocked = p->rx_waits = false;
    loop_defer_cancel(&p->tx_more);
    r = vhost_start(&p->vhost, VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF));
    if (r < 0) {
        p->vhost_refused = true;
        log_note("%s: vhost-net does not serve queue pair %u, kite-vmm does: %s", p->net->dev.id, p->index, strerror(-r));
    }
}

/* After anything that decides about it changed. */
static void route(Pair *p)
{
    static const NetWatch callbacks = {.on_readable = receive, .on_writable = writable};
    Net *n = p->net;
    bool active = n->dev.active && n->backend->link_up && p->enabled;
    bool kernel = active && !n->paused && n->user_link && p->vhost.fd >= 0 && !p->vhost_refused;

    if (kernel && !p->vhost.running && virtqueue_ready(p->rx) && virtqueue_ready(p->tx))
        give_to_kernel(p);
    else if (!kernel)
        vhost_stop(&p->vhost);
    if (active && !p->watched) {
        NetWatch w = callbacks;

        w.opaque = n;
        p->watched = net_watch(n->backend, p->index, n->dev.loop, &w) == 0;
    } else if (!active && p->watched) {
        net_unwatch(n->backend, p->index);
        p->watched = false;
    }
    watch(p);
}

static void route_all(Net *n)
{
    for (unsigned i = 0; i < n->pair_count; i++)
        route(&n->pairs[i]);
}

void net_use_pairs(Net *n, unsigned pairs)
{
    n->pairs_used = pairs;
    for (unsigned i = 0; i < n->pair_count; i++) {
        Pair *p = &n->pairs[i];

        /* A queue is only watched, or the kernel's, while it is attached. */
        p->enabled = i < pairs;
        if (!p->enabled)
            route(p);
        if (n->backend->ops->set_queue_enabled)
            (void)n->backend->ops->set_queue_enabled(n->backend, i, p->enabled);
        if (p->enabled)
            route(p);
    }
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
        net_control_kick(n, vq);
    } else if (index / 2 < n->pair_count) {
        Pair *p = &n->pairs[index / 2];

        if (p->vhost.fd >= 0 && !p->vhost.running)
            route(p);
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

        vhost_stop(&p->vhost);
        p->vhost_refused = false;
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
    int r;

    net_filter_reset(n);
    virtio_config_get(dev, 0, n->mac, sizeof n->mac);
    r = n->backend->ops->set_offloads(n->backend, net_offloads_of(dev->features));
    if (r < 0)
        log_note("%s: the back end refuses offloads: %s", dev->id, strerror(-r));
    net_use_pairs(n, 1);
    return 0;
}

static void net_set_running(VirtioDevice *dev, bool running)
{
    Net *n = (Net *)dev;

    n->paused = !running;
    route_all(n);
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

void net_link_changed(void *opaque, bool up)
{
    Net *n = opaque;

    for (unsigned i = 0; i < n->pair_count && !up; i++)
        n->pairs[i].watched = false;
    route_all(n);
    tell_link(n);
}

void net_device_set_link(VirtioDevice *dev, bool up)
{
    Net *n = (Net *)dev;

    n->user_link = up;
    route_all(n);
    for (unsigned i = 0; i < n->pair_count && usable(n) && !up; i++)
        transmit(&n->pairs[i]); /* what the kernel left is dropped here */
    tell_link(n);
}

static void net_memory_changed(VirtioDevice *dev)
{
    Net *n = (Net *)dev;

    for (unsigned i = 0; i < n->pair_count; i++) {
        if (n->pairs[i].vhost.running)
            (void)vhost_set_memory(&n->pairs[i].vhost);
    }
}

static void net_free(VirtioDevice *dev)
{
    Net *n = (Net *)dev;

    if (n->stats != NULL)
        n->stats->id[0] = '\0';
    for (unsigned i = 0; n->pairs != NULL && i < n->pair_count; i++)
        vhost_disown(&n->pairs[i].vhost);
    if (n->backend != NULL) {
        n->backend->link_changed = NULL;
        n->backend->claimed = false;
    }
    free(n->pairs);
}

const VirtioDeviceOps net_device_ops = {
    .name = "virtio-net",
    .type = VIRTIO_TYPE_NET,
    .pci_class = 0x020000,
    .state_size = sizeof(Net),
    .activate = net_activate,
    .deactivate = net_deactivate,
    .kick = net_kick,
    .set_running = net_set_running,
    .memory_changed = net_memory_changed,
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
