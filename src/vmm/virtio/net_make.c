/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Network device: how it is made of properties, and what it offers the driver (virtio 1.2, 5.1.3 and 5.1.4).
 *
 * Properties: netdev, mac, mq, rx_queue_size, tx_queue_size, host_mtu, mrg_rxbuf, csum, gso, guest_csum, guest_tso4,
 * guest_tso6, guest_ecn, guest_ufo, host_tso4, host_tso6, host_ecn, host_ufo, iothread, bootindex, vectors, tx, event_idx.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/checked.h"
#include "vmm/log.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/net_internal.h"

/* Behind ours: they have macros of the same names. */
#include <linux/vhost.h>
#include <linux/virtio_net.h>

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

static void open_vhost(Pair *p)
{
    NetBackend *backend = p->net->backend;
    Err err = {0};

    p->vhost = (Vhost){.dev = &p->net->dev, .fd = -1, .first = 2 * p->index, .count = 2, .serve = net_serve};
    if (p->index < backend->vhost_fds && backend->ops->vhost_backend_fd &&
        backend->ops->vhost_backend_fd(backend, p->index) >= 0 &&
        vhost_open(&p->vhost, backend->vhost_fd[p->index], &err) < 0)
        log_note("%s; kite-vmm serves queue pair %u itself", err.text, p->index);
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
    backend->link_changed = net_link_changed;
    backend->link_opaque = n;
    for (unsigned i = 0; i < pairs; i++) {
        Pair *p = &n->pairs[i];

        p->net = n;
        p->index = i;
        p->rx = virtio_queue(dev, 2 * i);
        p->tx = virtio_queue(dev, 2 * i + 1);
        loop_defer_init(loop, &p->tx_more, net_transmit_more, p);
        open_vhost(p);
    }
    fill_config(n, &o);
    offer(n, &o);
    *ret = dev;
    return 0;
}
