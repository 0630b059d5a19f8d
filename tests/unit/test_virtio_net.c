/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The network device through a fake guest, over a stream socket as passt has it. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fake_guest.h"
#include "lib/tap.h"
#include "vmm/net/backends.h"
#include "vmm/virtio/devices.h"

#include <linux/virtio_net.h>

typedef struct Rig {
    FakeGuest g;
    NetBackend *backend;
    int peer;
    uint64_t rx[8], tx, control;
} Rig;

static VirtioDevice *make(FakeGuest *g, const char *json)
{
    Err err = {0};
    json_t *object = json_loads(json, 0, NULL);
    VirtioDevice *dev = NULL;
    Props *props = NULL;

    if (props_new(object, NULL, NULL, &props, &err) < 0 || net_create(props, &g->host, &dev, &err) < 0 ||
        props_finish(props, &err) < 0)
        printf("# %s\n", err.text);
    props_free(props);
    json_decref(object);
    return dev;
}

static void rig_init(Rig *t, uint64_t features)
{
    int fds[2];
    Err err = {0};
    json_t *object;
    Props *props;

    fake_guest_init(&t->g, 16 << 20);
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
    t->peer = fds[0];
    object = json_pack("{s:s, s:s, s:i}", "type", "stream", "id", "n0", "fd", fds[1]);
    props_new(object, NULL, NULL, &props, &err);
    ok(net_new(props, &t->backend, &err) == 0, "stream back end %s", err.text);
    props_free(props);
    json_decref(object);
    t->g.netdev = t->backend;
    ok(fake_guest_start(&t->g, make(&t->g, "{\"id\":\"net0\",\"netdev\":\"n0\",\"mac\":\"52:54:00:01:02:03\"}"),
                        VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) | features) == 0,
       "starts");
    t->tx = fake_guest_alloc(&t->g, 65536);
    t->control = fake_guest_alloc(&t->g, 4096);
    for (int i = 0; i < 8; i++)
        t->rx[i] = fake_guest_alloc(&t->g, 4096);
}

static void rig_end(Rig *t)
{
    fake_guest_stop(&t->g);
    net_close(t->backend);
    fake_guest_destroy(&t->g);
    close(t->peer);
}

static void feed(Rig *t, const uint8_t *frame, uint32_t len)
{
    uint32_t length = htonl(len);

    ok(write(t->peer, &length, 4) == 4 && write(t->peer, frame, len) == (ssize_t)len, "the peer sends %u bytes", len);
}

static int control(Rig *t, uint8_t class, uint8_t command, const void *data, uint32_t len)
{
    uint8_t *at = fake_guest_host(&t->g, t->control, 4096);
    uint32_t head, used;

    at[0] = class;
    at[1] = command;
    memcpy(at + 2, data, len);
    at[2000] = 0x55;
    fake_guest_add(&t->g, 2, 2, (FakeBuffer[]){{t->control, 2 + len, false}, {t->control + 2000, 1, true}});
    fake_guest_kick(&t->g, 2);
    return fake_guest_used(&t->g, 2, &head, &used) && used == 1 ? at[2000] : -1;
}

static void test_transmit(void)
{
    Rig t;
    uint8_t *frame, got[2000];
    uint32_t head, len;

    rig_init(&t, 0);
    frame = fake_guest_host(&t.g, t.tx, 4096);
    memset(frame, 0, 12);
    for (int i = 0; i < 100; i++)
        frame[12 + i] = (uint8_t)i;
    fake_guest_add(&t.g, 1, 3, (FakeBuffer[]){{t.tx, 5, false}, {t.tx + 5, 20, false}, {t.tx + 25, 87, false}});
    fake_guest_kick(&t.g, 1);
    ok(fake_guest_used(&t.g, 1, &head, &len) && len == 0, "a frame in three pieces is taken");
    ok(recv(t.peer, got, sizeof got, 0) == 104 && got[3] == 100 && memcmp(got + 4, frame + 12, 100) == 0,
       "and goes out behind its length, without header");
    ok(t.g.stats_net.tx_packets == 1 && t.g.stats_net.tx_bytes == 100, "counted");
    fake_guest_add(&t.g, 1, 1, (FakeBuffer[]){{t.tx, 13, false}});
    fake_guest_kick(&t.g, 1);
    ok(fake_guest_used(&t.g, 1, &head, &len) && t.g.stats_net.tx_errors == 1, "a stump is dropped");

    /* a peer that does not read: frames wait, nothing is lost */
    unsigned sent = 0, back = 0, whole = 0;
    size_t pending = 0;
    static uint8_t stream[4 << 20];

    memset(frame, 0, 12);
    while (sent < 120) {
        fake_guest_add(&t.g, 1, 1, (FakeBuffer[]){{t.tx, 12 + 14000, false}});
        sent++;
    }
    fake_guest_kick(&t.g, 1);
    while (fake_guest_used(&t.g, 1, &head, &len))
        back++;
    ok(back < sent, "a full peer holds frames back (%u of %u went)", back, sent);
    for (int i = 0; i < 10000 && (back < sent || pending < sent * 14004u); i++) {
        ssize_t n = recv(t.peer, stream + pending, sizeof stream - pending, MSG_DONTWAIT);

        pending += n > 0 ? (size_t)n : 0;
        loop_iterate(t.g.loop, false);
        while (fake_guest_used(&t.g, 1, &head, &len))
            back++;
    }
    for (size_t at = 0; at + 4 <= pending; whole++) {
        uint32_t length;

        memcpy(&length, stream + at, 4);
        if (ntohl(length) != 14000)
            break;
        at += 4 + ntohl(length);
    }
    ok(back == sent && whole == sent, "all of them arrive whole later (%u, %u)", back, whole);

    net_device_set_link(t.g.dev, false);
    uint16_t status;

    virtio_config_get(t.g.dev, 6, &status, 2);
    ok(status == 0 && t.g.config_interrupts == 1, "the link goes down");
    net_device_set_link(t.g.dev, true);
    close(t.peer);
    t.peer = dup(0);
    for (int i = 0; i < 100 && t.backend->link_up; i++) {
        fake_guest_add(&t.g, 1, 1, (FakeBuffer[]){{t.tx, 112, false}});
        fake_guest_kick(&t.g, 1);
        loop_iterate(t.g.loop, false);
    }
    virtio_config_get(t.g.dev, 6, &status, 2);
    ok(status == 0, "a peer that goes away takes the link down");
    rig_end(&t);
}

static void test_receive(uint64_t features)
{
    bool merge = features & VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
    Rig t;
    uint8_t frame[1500];
    uint32_t head, len, head2, len2;

    rig_init(&t, features);
    for (unsigned i = 0; i < sizeof frame; i++)
        frame[i] = (uint8_t)i;
    memcpy(frame, "\x52\x54\x00\x01\x02\x03", 6);
    feed(&t, frame, 1000);
    loop_iterate(t.g.loop, false);
    ok(!fake_guest_used(&t.g, 0, &head, &len), "nothing without buffers");
    if (merge) {
        for (int i = 0; i < 4; i++)
            fake_guest_add(&t.g, 0, 1, (FakeBuffer[]){{t.rx[i], 600, true}});
        fake_guest_kick(&t.g, 0);
        ok(fake_guest_wait_used(&t.g, 0, 30000) && fake_guest_used(&t.g, 0, &head, &len) &&
               fake_guest_used(&t.g, 0, &head2, &len2) && len == 600 && len2 == 412,
           "a frame over two buffers");
        uint8_t *a = fake_guest_host(&t.g, t.rx[0], 600), *b = fake_guest_host(&t.g, t.rx[1], 600);

        ok(a[10] == 2 && a[11] == 0 && !memcmp(a + 12, frame, 588) && !memcmp(b, frame + 588, 412),
           "with its number of buffers and bytes");
    } else {
        for (int i = 0; i < 3; i++)
            fake_guest_add(&t.g, 0, 2, (FakeBuffer[]){{t.rx[i], 12, true}, {t.rx[i] + 100, 1518, true}});
        fake_guest_kick(&t.g, 0);
        ok(fake_guest_wait_used(&t.g, 0, 30000) && fake_guest_used(&t.g, 0, &head, &len) && len == 1012, "a frame");
        uint8_t *a = fake_guest_host(&t.g, t.rx[0], 4096);

        ok(a[10] == 1 && !memcmp(a + 100, frame, 1000), "with header and bytes");
        /* filters */
        uint8_t off = 0;

        ok(control(&t, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &off, 1) == VIRTIO_NET_OK, "promiscuous off");
        frame[5] = 9;
        feed(&t, frame, 100);
        for (int i = 0; i < 10; i++)
            loop_iterate(t.g.loop, false);
        ok(!fake_guest_used(&t.g, 0, &head, &len) && t.g.stats_net.rx_drops == 1, "another's frame is dropped");
        uint8_t table[14] = {1, 0, 0, 0, 0x52, 0x54, 0, 1, 2, 9, 0, 0, 0, 0};

        ok(control(&t, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, sizeof table) == VIRTIO_NET_OK,
           "address table");
        feed(&t, frame, 100);
        ok(fake_guest_wait_used(&t.g, 0, 30000) && fake_guest_used(&t.g, 0, &head, &len) && len == 112,
           "an address of the table comes through");
        table[0] = 200;
        ok(control(&t, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, sizeof table) == VIRTIO_NET_ERR,
           "a table that is longer than its command is refused");
        json_t *filter = net_device_rx_filter(t.g.dev);

        ok(json_array_size(json_object_get(filter, "unicast-table")) == 1, "and the old one stays");
        json_decref(filter);
        ok(control(&t, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\x52\x54\x00\x07\x07\x07", 6) ==
               VIRTIO_NET_OK,
           "new address");
        ok(control(&t, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, "\x02", 2) == VIRTIO_NET_ERR,
           "pairs that do not exist are refused");
        ok(control(&t, 77, 0, &off, 1) == VIRTIO_NET_ERR, "an unknown class is refused");
    }
    memset(frame, 0xff, 6);
    fake_guest_add(&t.g, 0, 1, (FakeBuffer[]){{t.rx[5], 4, true}});
    fake_guest_kick(&t.g, 0);
    feed(&t, frame, 100);
    feed(&t, frame, 100);
    for (int i = 0; i < 10 && !t.g.needs_reset; i++)
        loop_iterate(t.g.loop, false);
    ok(merge || t.g.needs_reset, "a buffer too small for a header");
    uint32_t bad = htonl(1 << 20);

    ok(write(t.peer, &bad, 4) == 4, "a frame of an impossible length");
    rig_end(&t);
}

/* A frame that the socket takes only half of, and no other behind it that would push the rest out. */
static void test_rest(void)
{
    enum { FRAMES = 2, LENGTH = 60000 };
    static uint8_t got[65536];
    int room = 40000;
    unsigned back = 0;
    size_t came = 0;
    uint32_t head, len;
    Rig t;

    rig_init(&t, 0);
    (void)setsockopt(t.backend->ops->queue_fd(t.backend, 0), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    for (int i = 0; i < FRAMES; i++) {
        fake_guest_add(&t.g, 1, 1, (FakeBuffer[]){{t.tx, 12 + LENGTH, false}});
        fake_guest_kick(&t.g, 1);
    }
    for (int i = 0; i < 1000 && came < FRAMES * (LENGTH + 4); i++) {
        ssize_t n = recv(t.peer, got, sizeof got, MSG_DONTWAIT);

        came += n > 0 ? (size_t)n : 0;
        loop_iterate(t.g.loop, false);
        while (fake_guest_used(&t.g, 1, &head, &len))
            back++;
    }
    ok(back == FRAMES && came == FRAMES * (LENGTH + 4), "the rest of a frame goes out by itself (%u, %zu)", back, came);
    rig_end(&t);
}

int main(void)
{
    test_transmit();
    test_rest();
    test_receive(0);
    test_receive(VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF));
    return done();
}
