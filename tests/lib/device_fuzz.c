/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See device_fuzz.h. */
#include "lib/device_fuzz.h"

#include <stdio.h>
#include <string.h>

#include "common/checked.h"

#define MEMORY (4u << 20)
#define AREA (1u << 20) /* where buffers lie */
#define STEPS_MAX 400

typedef struct Input {
    const uint8_t *at;
    size_t left;
} Input;

static uint8_t byte(Input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static uint32_t number(Input *in, unsigned bytes)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v |= (uint32_t)byte(in) << (8 * i);
    return v;
}

VirtioDevice *device_from_json(FakeGuest *guest,
                               int (*create)(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err),
                               const char *json)
{
    Err err = {0};
    json_t *object = json_loads(json, 0, NULL);
    VirtioDevice *dev = NULL;
    Props *props = NULL;

    if (props_new(object, NULL, NULL, &props, &err) < 0 || create(props, &guest->host, &dev, &err) < 0 ||
        props_finish(props, &err) < 0) {
        printf("# %s\n", err.text);
        virtio_device_free(dev);
        dev = NULL;
    }
    props_free(props);
    json_decref(object);
    return dev;
}

/* A chain of up to 8 buffers; bytes for the readable ones come from the input. */
static void add_chain(FakeGuest *g, unsigned queue, uint64_t area, Input *in)
{
    unsigned n = byte(in) % 8 + 1, written = byte(in) % (n + 1);
    FakeBuffer buffers[8];

    for (unsigned i = 0; i < n; i++) {
        uint32_t len = number(in, 2), at = number(in, 1) * 64;

        buffers[i] = (FakeBuffer){area + 16384 * i + at, len, i >= n - written};
        if (!buffers[i].writable && len > 0 && at + len <= 16384) {
            uint8_t *p = fake_guest_host(g, buffers[i].gpa, len);

            for (uint32_t k = 0; k < MIN(len, 128u); k++)
                p[k] = byte(in);
        }
    }
    fake_guest_add(g, queue, n, buffers);
}

int device_fuzz_run(const DeviceFuzz *fuzz, const uint8_t *data, size_t size)
{
    uint64_t features = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);
    Input in = {data, size};
    FakeGuest g;
    VirtioDevice *dev;
    uint64_t area;

    fake_guest_init(&g, MEMORY);
    if (fuzz->prepare)
        fuzz->prepare(&g);
    dev = device_from_json(&g, fuzz->create, fuzz->properties);
    if (dev == NULL)
        __builtin_trap();
    if (fuzz->made)
        fuzz->made(&g, dev);
    if (byte(&in) & 1)
        features |= VIRTIO_BIT(VIRTIO_F_EVENT_IDX);
    area = fake_guest_alloc(&g, AREA / 4);
    uint64_t rings = g.next_alloc;

    fake_guest_start_sized(&g, dev, features | (dev->offered & fuzz->features), 32);
    for (unsigned step = 0; step < STEPS_MAX && in.left > 0; step++) {
        uint8_t what = byte(&in);
        unsigned queue = what >> 4 < dev->queue_count ? what >> 4 : 0;

        switch (what % 9) {
        case 0:
        case 1:
            if (virtio_queue(dev, queue) && g.queues[queue].desc)
                add_chain(&g, queue, area, &in);
            break;
        case 2:
            fake_guest_kick(&g, queue);
            break;
        case 3:
            fake_guest_desc(&g, queue, byte(&in) % 32, area + number(&in, 3), number(&in, 3), byte(&in) & 7,
                            byte(&in));
            break;
        case 4:
            fake_guest_show(&g, queue, byte(&in));
            break;
        case 5: {
            unsigned offset = byte(&in), len = 1u << byte(&in) % 3;
            uint32_t value = number(&in, 4);

            if (dev->active && dev->ops->config_write && range_inside(offset, len, dev->config_len))
                dev->ops->config_write(dev, offset, &value, len);
            break;
        }
        case 6:
            fake_guest_reset(&g);
            g.next_alloc = rings;
            fake_guest_start_sized(&g, dev, features | (dev->offered & fuzz->features), 32);
            break;
        case 7:
            if (fuzz->manage)
                fuzz->manage(&g, dev, byte(&in));
            break;
        default:
            if (dev->active && dev->ops->set_running && byte(&in) % 4 == 0) {
                dev->ops->set_running(dev, false);
                dev->ops->set_running(dev, true);
            }
            loop_iterate(g.loop, false);
            break;
        }
    }
    loop_iterate(g.loop, false);
    fake_guest_stop(&g);
    if (fuzz->finish)
        fuzz->finish(&g);
    fake_guest_destroy(&g);
    return 0;
}
