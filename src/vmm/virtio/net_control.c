/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The network device's control queue (virtio 1.2, 5.1.6.5): receive filter, MAC address, VLANs, pairs, offloads. */
#include <endian.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/virtio/device_host.h"
#include "vmm/virtio/net_internal.h"

/* Behind ours: it has macros of the same names. */
#include <linux/virtio_net.h>

/* --- receive filter ---------------------------------------------------------------------------------------- */

static bool in_table(const Net *n, const uint8_t *mac, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        if (memcmp(n->macs[i], mac, 6) == 0)
            return true;
    }
    return false;
}

bool net_wanted(const Net *n, const uint8_t *frame, size_t len)
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

/* --- control queue (5.1.6.5) ------------------------------------------------------------------------------- */

typedef struct Command {
    const struct iovec *iov;
    unsigned iovs;
    uint64_t at, len;
} Command;

static bool take(Command *c, void *ret, size_t len)
{
    if (iov_to_buffer(c->iov, c->iovs, c->at, ret, len) != len)
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

unsigned net_offloads_of(uint64_t features)
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
    return n->backend->ops->set_offloads(n->backend, net_offloads_of(offloads)) == 0;
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
    net_use_pairs(n, pairs);
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

void net_control_kick(Net *n, Virtqueue *vq)
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
            iov_from_buffer(virtq_elem_in(&elem), elem.in_count, 0, &ack, 1);
            virtqueue_push(vq, &elem, 1);
        }
    } while (virtqueue_enable_notify(vq));
    virtqueue_notify(vq);
}

void net_filter_reset(Net *n)
{
    n->promisc = true;
    n->allmulti = n->alluni = n->nomulti = n->nouni = n->nobcast = false;
    n->mac_count = n->first_multi = 0;
    n->unicast_overflow = n->multicast_overflow = false;
    memset(n->vlans, 0, sizeof n->vlans);
}
