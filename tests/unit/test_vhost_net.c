/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The network device with vhost-net: a kernel of our own, which is this program's ioctl(), is given the rings, gives them
 * back when the VM pauses, the link goes down or the driver resets, and refuses them. The real one: tests/lab.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/checked.h"
#include "lib/device_fuzz.h"
#include "lib/fake_guest.h"
#include "lib/tap.h"
#include "vmm/net/net.h"
#include "vmm/virtio/devices.h"

#include <linux/vhost.h>
#include <linux/virtio_net.h>

#define TAP_FD 77
#define RINGS 2

/* --- the kernel -------------------------------------------------------------------------------------------- */

static struct {
    int fd;
    uint64_t can, features;
    bool owned;
    unsigned regions, memory_tables;
    unsigned long refuse; /* this request fails */
    struct {
        unsigned size, base;
        struct vhost_vring_addr address;
        int kick, interrupt, backend;
    } rings[RINGS];
} kernel;

static int answer(unsigned long request, void *argument)
{
    struct vhost_vring_state *state = argument;
    struct vhost_vring_file *file = argument;

    if (request == kernel.refuse) {
        errno = EINVAL;
        return -1;
    }
    switch (request) {
    case VHOST_SET_OWNER:
    case VHOST_RESET_OWNER:
        kernel.owned = request == VHOST_SET_OWNER;
        return 0;
    case VHOST_GET_FEATURES:
        *(uint64_t *)argument = kernel.can;
        return 0;
    case VHOST_SET_FEATURES:
        kernel.features = *(uint64_t *)argument;
        return 0;
    case VHOST_SET_MEM_TABLE:
        kernel.regions = ((struct vhost_memory *)argument)->nregions;
        kernel.memory_tables++;
        return 0;
    case VHOST_SET_VRING_NUM:
        kernel.rings[state->index].size = state->num;
        return 0;
    case VHOST_SET_VRING_BASE:
        kernel.rings[state->index].base = state->num;
        return 0;
    case VHOST_GET_VRING_BASE:
        state->num = kernel.rings[state->index].base;
        return 0;
    case VHOST_SET_VRING_ADDR:
        kernel.rings[((struct vhost_vring_addr *)argument)->index].address = *(struct vhost_vring_addr *)argument;
        return 0;
    case VHOST_SET_VRING_KICK:
        kernel.rings[file->index].kick = file->fd;
        return 0;
    case VHOST_SET_VRING_CALL:
        kernel.rings[file->index].interrupt = file->fd;
        return 0;
    case VHOST_NET_SET_BACKEND:
        kernel.rings[file->index].backend = file->fd;
        return 0;
    default:
        errno = ENOTTY;
        return -1;
    }
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    void *argument;

    va_start(ap, request);
    argument = va_arg(ap, void *);
    va_end(ap);
    return fd == kernel.fd ? answer(request, argument) : (int)syscall(SYS_ioctl, fd, request, argument);
}

/* Serves what is in the ring, if it has a kick: the frames "go out". Returns how many. */
static unsigned serve(unsigned ring)
{
    uint16_t *avail = (uint16_t *)(uintptr_t)kernel.rings[ring].address.avail_user_addr;
    uint16_t *used = (uint16_t *)(uintptr_t)kernel.rings[ring].address.used_user_addr;
    unsigned size = kernel.rings[ring].size, n = 0;
    uint64_t kicks;

    if (kernel.rings[ring].backend != TAP_FD || read(kernel.rings[ring].kick, &kicks, sizeof kicks) != sizeof kicks)
        return 0;
    while ((uint16_t)kernel.rings[ring].base != avail[1]) {
        uint32_t *entry = (uint32_t *)(used + 2) + 2 * (used[1] % size);

        entry[0] = avail[2 + kernel.rings[ring].base++ % size];
        entry[1] = 0;
        used[1]++;
        n++;
    }
    (void)!write(kernel.rings[ring].interrupt, &(uint64_t){1}, 8);
    return n;
}

/* --- the tap ----------------------------------------------------------------------------------------------- */

static struct {
    NetBackend base;
    int fds[2];
    unsigned sent;
} tap;

static int tap_send(NetBackend *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    (void)net;
    (void)queue;
    (void)iov;
    (void)count;
    tap.sent++;
    return 0;
}

static ssize_t tap_receive(NetBackend *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    (void)net;
    (void)queue;
    (void)iov;
    (void)count;
    return -EAGAIN;
}

static int tap_offloads(NetBackend *net, unsigned offloads)
{
    (void)net;
    (void)offloads;
    return 0;
}

static int tap_vhost_fd(NetBackend *net, unsigned queue)
{
    (void)net;
    return queue == 0 ? TAP_FD : -1;
}

static int tap_fd(NetBackend *net, unsigned queue)
{
    (void)net;
    (void)queue;
    return tap.fds[0];
}

static const NetOps tap_ops = {
    .kind = "tap",
    .send = tap_send,
    .receive = tap_receive,
    .set_offloads = tap_offloads,
    .vhost_backend_fd = tap_vhost_fd,
    .queue_fd = tap_fd,
};

/* --- the guest --------------------------------------------------------------------------------------------- */

#define FEATURES (VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))

static uint64_t frame;

static int start(FakeGuest *g)
{
    int r;

    tap.base.claimed = false;
    r = fake_guest_start(g, device_from_json(g, net_create, "{\"id\":\"net0\",\"netdev\":\"n0\"}"), FEATURES);
    frame = fake_guest_alloc(g, 4096);
    for (unsigned queue = 0; queue < 2; queue++)
        fake_guest_kick(g, queue); /* as the transport does once after activation */
    return r;
}

static void send_frame(FakeGuest *g)
{
    fake_guest_add(g, 1, 1, (FakeBuffer[]){{frame, 100, false}});
    fake_guest_kick(g, 1);
}

static bool sent_by_us(FakeGuest *g)
{
    unsigned before = tap.sent;

    send_frame(g);
    return tap.sent == before + 1;
}

static bool sent_by_kernel(FakeGuest *g)
{
    unsigned before = tap.sent;

    send_frame(g);
    return tap.sent == before && serve(1) == 1;
}

static bool used(FakeGuest *g)
{
    uint32_t head, len;

    return fake_guest_used(g, 1, &head, &len);
}

static void test_kernel_serves(FakeGuest *g)
{
    ok(start(g) == 0 && kernel.owned, "the kernel knows whose memory it is");
    ok(kernel.features == FEATURES && kernel.regions == memory_region_count(g->memory), "features and memory");
    ok(kernel.rings[0].size == 256 && kernel.rings[1].size == 256 && kernel.rings[0].base == 0, "sizes");
    ok((void *)(uintptr_t)kernel.rings[1].address.desc_user_addr == fake_guest_host(g, g->queues[1].desc, 16) &&
           (void *)(uintptr_t)kernel.rings[0].address.used_user_addr == fake_guest_host(g, g->queues[0].used, 16),
       "rings where the guest has them");
    ok(kernel.rings[0].backend == TAP_FD && kernel.rings[1].backend == TAP_FD, "the tap");
    serve(1);
    ok(sent_by_kernel(g) && used(g), "the kernel sends");
    ok(read(g->queues[1].call_fd, &(uint64_t){0}, 8) == 8, "and interrupts without us");
}

static void test_pause(FakeGuest *g)
{
    g->dev->ops->set_running(g->dev, false);
    ok(kernel.rings[0].backend == -1 && kernel.rings[1].backend == -1, "paused: the kernel has let go");
    ok(!sent_by_us(g) && !used(g), "nobody touches the rings");
    g->dev->ops->set_running(g->dev, true);
    ok(kernel.rings[1].backend == TAP_FD && kernel.rings[1].base == 1, "it goes on where it stopped");
    ok(serve(1) == 1 && used(g), "with what came meanwhile");
}

static void test_link(FakeGuest *g)
{
    net_device_set_link(g->dev, false);
    ok(kernel.rings[1].backend == -1 && !sent_by_us(g) && used(g) && g->stats_net.tx_drops == 1,
       "link down: frames are dropped here");
    net_device_set_link(g->dev, true);
    ok(kernel.rings[1].backend == TAP_FD && kernel.rings[1].base == 3, "link up: the kernel's again");
    serve(1);
    ok(sent_by_kernel(g) && used(g), "and it sends");
}

static void test_rest(FakeGuest *g)
{
    unsigned tables = kernel.memory_tables;

    g->dev->ops->memory_changed(g->dev);
    ok(kernel.memory_tables == tables + 1, "new memory is told to the kernel");
    fake_guest_reset(g);
    ok(kernel.rings[0].backend == -1 && !g->queues[1].taken, "a reset takes everything back");
    fake_guest_stop(g);
    ok(!kernel.owned, "unplug: the descriptor is free for another device");
}

static void test_refusals(FakeGuest *g)
{
    static const unsigned long requests[] = {VHOST_SET_OWNER,      VHOST_GET_FEATURES,   VHOST_SET_FEATURES,
                                             VHOST_SET_MEM_TABLE,  VHOST_SET_VRING_NUM,  VHOST_SET_VRING_BASE,
                                             VHOST_SET_VRING_ADDR, VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL,
                                             VHOST_NET_SET_BACKEND};

    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        kernel.refuse = requests[i];
        ok(start(g) == 0 && sent_by_us(g) && used(g), "the kernel refuses request %zu: we send", i);
        fake_guest_stop(g);
    }
    kernel.refuse = 0;
    kernel.can &= ~VIRTIO_BIT(VIRTIO_F_EVENT_IDX);
    ok(start(g) == 0 && sent_by_us(g) && used(g), "a kernel that cannot read such rings does not get them");
    fake_guest_stop(g);
}

int main(void)
{
    FakeGuest g;

    kernel.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    kernel.can = FEATURES | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, tap.fds);
    tap.base = (NetBackend){
        .ops = &tap_ops, .id = "n0", .queues = 1, .link_up = true, .vhost_fd = {kernel.fd}, .vhost_fds = 1};
    fake_guest_init(&g, 16 << 20);
    g.netdev = &tap.base;
    test_kernel_serves(&g);
    test_pause(&g);
    test_link(&g);
    test_rest(&g);
    test_refusals(&g);
    fake_guest_destroy(&g);
    return done();
}
