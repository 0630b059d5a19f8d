/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Entropy device (virtio 1.2, 5.4): one queue of writable buffers, filled with random bytes. The smallest
 * device: the one to copy from.
 *
 * Properties: max-bytes and period (ms): at most that many bytes a period, QEMU's names; 0 and absent: no
 * limit.
 *
 * Everything runs on dev->loop.
 *
 * #syscalls getrandom
 */
#include <errno.h>
#include <sys/random.h>

#include "common/checked.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/virtio.h"
#include "vmm/virtio/virtqueue.h"

#define BUFFERS_MAX 64
/* A chain may claim the same memory many times over; this is all it gets at once. */
#define CHAIN_BYTES_MAX 65536

typedef struct Rng {
    VirtioDevice dev;
    uint64_t max_bytes, period_ns; /* max_bytes 0: no limit */
    uint64_t left; /* bytes left in this period */
    LoopTimer refill;
} Rng;

static uint32_t fill(Rng *rng, const VirtqElem *elem)
{
    const struct iovec *in = virtq_elem_in(elem);
    uint64_t want = MIN(elem->in_len, CHAIN_BYTES_MAX);
    uint32_t done = 0;

    if (rng->max_bytes != 0)
        want = MIN(want, rng->left);
    for (unsigned i = 0; i < elem->in_count && done < want; i++) {
        size_t part = MIN(in[i].iov_len, want - done);
        ssize_t got;

        do {
            got = getrandom(in[i].iov_base, part, 0);
        } while (got < 0 && errno == EINTR);
        if (got <= 0)
            break;
        done += (uint32_t)got;
        if ((size_t)got < part)
            break;
    }
    if (rng->max_bytes != 0)
        rng->left -= done;
    return done;
}

static void rng_kick(VirtioDevice *dev, Virtqueue *vq)
{
    Rng *rng = (Rng *)dev;
    struct iovec iov[BUFFERS_MAX];
    VirtqElem elem = {.iov = iov, .iov_max = BUFFERS_MAX};
    bool limited = false;

    do {
        virtqueue_disable_notify(vq);
        while (!limited && virtqueue_pending(vq)) {
            if (rng->max_bytes != 0 && rng->left == 0) {
                /* The rest waits for the timer, which kicks again. */
                if (rng->refill.slot == 0)
                    (void)loop_timer_set(&rng->refill, loop_now() + rng->period_ns);
                limited = true;
                break;
            }
            if (virtqueue_pop(vq, &elem) <= 0)
                break;
            virtqueue_push(vq, &elem, fill(rng, &elem));
        }
    } while (!limited && virtqueue_enable_notify(vq));
    virtqueue_notify(vq);
}

static void refill(void *opaque)
{
    Rng *rng = opaque;

    rng->left = rng->max_bytes;
    if (rng->dev.active)
        rng_kick(&rng->dev, virtio_queue(&rng->dev, 0));
}

static int rng_activate(VirtioDevice *dev)
{
    Rng *rng = (Rng *)dev;

    rng->left = rng->max_bytes;
    return 0;
}

static void rng_deactivate(VirtioDevice *dev)
{
    loop_timer_cancel(&((Rng *)dev)->refill);
}

static void rng_set_running(VirtioDevice *dev, bool running)
{
    if (!running)
        loop_timer_cancel(&((Rng *)dev)->refill);
    else if (dev->active)
        refill(dev);
}

static const VirtioDeviceOps rng_ops = {
    .name = "virtio-rng",
    .type = VIRTIO_TYPE_RNG,
    .pci_class = 0x00ff00,
    .state_size = sizeof(Rng),
    .activate = rng_activate,
    .deactivate = rng_deactivate,
    .kick = rng_kick,
    .set_running = rng_set_running,
};

int rng_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err)
{
    static const uint16_t sizes[] = {64};
    uint64_t max_bytes, period_ms;
    VirtioDevice *dev;
    Rng *rng;
    int r;

    if ((r = props_uint(props, "max-bytes", 0, INT64_MAX, 0, &max_bytes, err)) < 0 ||
        (r = props_uint(props, "period", 1, 1u << 30, 1000, &period_ms, err)) < 0)
        return r;
    r = virtio_device_new(&rng_ops, props_id(props), host, host->main_loop, sizes, 1, &dev, err);
    if (r < 0)
        return r;
    rng = (Rng *)dev;
    rng->max_bytes = max_bytes;
    rng->period_ns = period_ms * 1000000;
    loop_timer_init(dev->loop, &rng->refill, refill, rng);
    *ret = dev;
    return 0;
}
