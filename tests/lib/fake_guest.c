/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fake_guest.h. */
#include "lib/fake_guest.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/checked.h"

/* --- what the device sees of the machine ---------------------------------------------------------------------- */

static void queue_interrupt(void *transport, unsigned queue)
{
    FakeGuest *g = transport;

    if (queue < FAKE_QUEUES)
        __atomic_fetch_add(&g->queues[queue].interrupts, 1, __ATOMIC_RELAXED);
}

static void config_interrupt(void *transport)
{
    ((FakeGuest *)transport)->config_interrupts++;
}

static void needs_reset(void *transport)
{
    ((FakeGuest *)transport)->needs_reset = true;
}

static int lazy_eventfd(int *fd)
{
    if (*fd == 0)
        *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return *fd;
}

static int take_kick_fd(void *transport, unsigned queue)
{
    FakeQueue *q = &((FakeGuest *)transport)->queues[queue];

    q->taken = true;
    return lazy_eventfd(&q->kick_fd);
}

static void return_kick_fd(void *transport, unsigned queue)
{
    ((FakeGuest *)transport)->queues[queue].taken = false;
}

static int call_fd(void *transport, unsigned queue)
{
    return lazy_eventfd(&((FakeGuest *)transport)->queues[queue].call_fd);
}

static void close_eventfds(FakeQueue *q)
{
    if (q->kick_fd > 0)
        close(q->kick_fd);
    if (q->call_fd > 0)
        close(q->call_fd);
    q->kick_fd = q->call_fd = 0;
}

static int set_queue_loop(void *transport, unsigned queue, Loop *loop)
{
    ((FakeGuest *)transport)->queues[queue].loop = loop;
    return 0;
}

static const VirtioTransportOps fake_transport = {
    .set_queue_loop = set_queue_loop,
    .take_kick_fd = take_kick_fd,
    .return_kick_fd = return_kick_fd,
    .call_fd = call_fd,
    .queue_interrupt = queue_interrupt,
    .config_interrupt = config_interrupt,
    .needs_reset = needs_reset,
};

static Loop *host_iothread(DeviceHost *host, const char *id)
{
    (void)id;
    return host->main_loop;
}

static struct Block *host_block(DeviceHost *host, const char *node_name)
{
    (void)node_name;
    return ((FakeGuest *)host->opaque)->block;
}

static struct NetBackend *host_netdev(DeviceHost *host, const char *id)
{
    (void)id;
    return ((FakeGuest *)host->opaque)->netdev;
}

static struct Chardev *host_chardev(DeviceHost *host, const char *id)
{
    /* "char3" or anything: the digit at its end picks one */
    size_t len = strlen(id);
    unsigned n = len > 0 && id[len - 1] >= '0' && id[len - 1] < '8' ? (unsigned)(id[len - 1] - '0') : 0;

    return ((FakeGuest *)host->opaque)->chardevs[n];
}

static void host_event(DeviceHost *host, const char *name, json_t *data)
{
    FakeGuest *g = host->opaque;

    snprintf(g->last_event, sizeof g->last_event, "%s", name);
    free(g->last_event_data);
    g->last_event_data = data ? json_dumps(data, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(data);
    g->events++;
}

static void host_stop_vm(DeviceHost *host, const char *run_state)
{
    FakeGuest *g = host->opaque;

    snprintf(g->stopped, sizeof g->stopped, "%s", run_state);
}

static StatsBlock *host_stats_block(DeviceHost *host, const char *id)
{
    (void)id;
    return &((FakeGuest *)host->opaque)->stats_block;
}

static StatsNet *host_stats_net(DeviceHost *host, const char *id)
{
    (void)id;
    return &((FakeGuest *)host->opaque)->stats_net;
}

static StatsBalloon *host_stats_balloon(DeviceHost *host)
{
    return &((FakeGuest *)host->opaque)->stats_balloon;
}

static int host_memory_changed(DeviceHost *host, Err *err)
{
    (void)host;
    (void)err;
    return 0;
}

void fake_guest_init(FakeGuest *g, uint64_t memory_bytes)
{
    MemoryOptions options = {.size = memory_bytes, .high_reserve = 1ull << 30};
    Err err = {0};

    memset(g, 0, sizeof *g);
    if (memory_new(&options, &g->memory, &err) < 0 || loop_new("test", &g->loop, &err) < 0) {
        fprintf(stderr, "fake guest: %s\n", err.text);
        abort();
    }
    g->next_alloc = 1 << 20;
    g->host = (DeviceHost){
        .opaque = g,
        .memory = g->memory,
        .main_loop = g->loop,
        .iothread = host_iothread,
        .block = host_block,
        .netdev = host_netdev,
        .chardev = host_chardev,
        .event = host_event,
        .stop_vm = host_stop_vm,
        .stats_block = host_stats_block,
        .stats_net = host_stats_net,
        .stats_balloon = host_stats_balloon,
        .memory_changed = host_memory_changed,
    };
}

void fake_guest_destroy(FakeGuest *g)
{
    fake_guest_stop(g);
    for (unsigned i = 0; i < FAKE_QUEUES; i++)
        close_eventfds(&g->queues[i]);
    free(g->last_event_data);
    loop_free(g->loop);
    memory_free(g->memory);
}

/* --- life of the device --------------------------------------------------------------------------------------- */

typedef struct FakeKick {
    VirtioDevice *dev;
    unsigned queue;
} FakeKick;

static void do_kick(void *opaque)
{
    FakeKick *k = opaque;

    k->dev->ops->kick(k->dev, virtio_queue(k->dev, k->queue));
}

static void kick_device(FakeGuest *g, unsigned queue)
{
    FakeKick k = {g->dev, queue};

    if (g->dev->ops->kick)
        loop_call(g->queues[queue].loop ? g->queues[queue].loop : g->loop, do_kick, &k);
}

int fake_guest_start_sized(FakeGuest *g, VirtioDevice *dev, uint64_t features, uint16_t size)
{
    int r;

    g->dev = dev;
    g->needs_reset = false;
    dev->transport_ops = &fake_transport;
    dev->transport = g;
    assert(dev->queue_count <= FAKE_QUEUES);
    for (unsigned i = 0; i < dev->queue_count; i++) {
        FakeQueue *q = &g->queues[i];
        uint16_t n = size ? MIN(size, virtio_queue_size_max(dev, i)) : virtio_queue_size_max(dev, i);

        close_eventfds(q);
        *q = (FakeQueue){.size = n};
        q->desc = fake_guest_alloc(g, 16 * (uint64_t)n);
        q->avail = fake_guest_alloc(g, 6 + 2 * (uint64_t)n);
        q->used = fake_guest_alloc(g, 6 + 8 * (uint64_t)n);
        virtio_queue_program(
            dev, i,
            &(VirtqueueSetup){
                .size = n, .enabled = true, .desc = q->desc, .avail = q->avail, .used = q->used});
    }
    r = virtio_device_activate(dev, features);
    for (unsigned i = 0; r == 0 && i < dev->queue_count; i++)
        kick_device(g, i);
    return r;
}

int fake_guest_start(FakeGuest *g, VirtioDevice *dev, uint64_t features)
{
    return fake_guest_start_sized(g, dev, features, 0);
}

void fake_guest_reset(FakeGuest *g)
{
    if (g->dev != NULL)
        virtio_device_deactivate(g->dev);
    g->needs_reset = false;
}

void fake_guest_stop(FakeGuest *g)
{
    fake_guest_reset(g);
    virtio_device_free(g->dev);
    g->dev = NULL;
}

/* --- memory and rings ----------------------------------------------------------------------------------------- */

uint64_t fake_guest_alloc(FakeGuest *g, uint64_t len)
{
    uint64_t at = g->next_alloc;

    g->next_alloc = ALIGN_UP(at + len, 4096ull);
    assert(memory_at(g->memory, at, len ? len : 1) != NULL);
    memset(memory_at(g->memory, at, len ? len : 1), 0, len);
    return at;
}

void *fake_guest_host(FakeGuest *g, uint64_t gpa, uint64_t len)
{
    void *p = memory_at(g->memory, gpa, len);

    assert(p != NULL);
    return p;
}

static uint8_t *ring(FakeGuest *g, uint64_t gpa)
{
    return fake_guest_host(g, gpa, 1);
}

void fake_guest_desc(FakeGuest *g, unsigned queue, uint16_t index, uint64_t addr, uint32_t len, uint16_t flags,
                     uint16_t next)
{
    uint8_t *d = ring(g, g->queues[queue].desc) + 16 * (size_t)index;

    memcpy(d, &addr, 8);
    memcpy(d + 8, &len, 4);
    memcpy(d + 12, &flags, 2);
    memcpy(d + 14, &next, 2);
}

void fake_guest_show(FakeGuest *g, unsigned queue, uint16_t head)
{
    FakeQueue *q = &g->queues[queue];
    uint8_t *avail = ring(g, q->avail);

    memcpy(avail + 4 + 2 * (size_t)(q->avail_idx % q->size), &head, 2);
    q->avail_idx++;
    __atomic_store_n((uint16_t *)(avail + 2), q->avail_idx, __ATOMIC_RELEASE);
}

uint16_t fake_guest_add(FakeGuest *g, unsigned queue, unsigned count, const FakeBuffer *buffers)
{
    FakeQueue *q = &g->queues[queue];
    uint16_t head = q->next_desc;

    for (unsigned i = 0; i < count; i++) {
        uint16_t index = (uint16_t)((head + i) % q->size), next = (uint16_t)((index + 1) % q->size);

        fake_guest_desc(g, queue, index, buffers[i].gpa, buffers[i].len,
                        (uint16_t)((i + 1 < count ? 1 : 0) | (buffers[i].writable ? 2 : 0)), next);
    }
    q->next_desc = (uint16_t)((head + count) % q->size);
    fake_guest_show(g, queue, head);
    return head;
}

uint16_t fake_guest_add_indirect(FakeGuest *g, unsigned queue, unsigned count, const FakeBuffer *buffers)
{
    FakeQueue *q = &g->queues[queue];
    uint64_t table = fake_guest_alloc(g, 16 * (uint64_t)count);
    uint8_t *at = ring(g, table);
    uint16_t head = q->next_desc;

    for (unsigned i = 0; i < count; i++, at += 16) {
        uint16_t flags = (uint16_t)((i + 1 < count ? 1 : 0) | (buffers[i].writable ? 2 : 0)), next = (uint16_t)(i + 1);

        memcpy(at, &buffers[i].gpa, 8);
        memcpy(at + 8, &buffers[i].len, 4);
        memcpy(at + 12, &flags, 2);
        memcpy(at + 14, &next, 2);
    }
    fake_guest_desc(g, queue, head, table, 16 * count, 4, 0);
    q->next_desc = (uint16_t)((head + 1) % q->size);
    fake_guest_show(g, queue, head);
    return head;
}

void fake_guest_kick(FakeGuest *g, unsigned queue)
{
    uint64_t one = 1;

    if (g->queues[queue].taken)
        (void)!write(g->queues[queue].kick_fd, &one, sizeof one);
    else if (g->dev->active)
        kick_device(g, queue);
}

bool fake_guest_used(FakeGuest *g, unsigned queue, uint32_t *ret_head, uint32_t *ret_len)
{
    FakeQueue *q = &g->queues[queue];
    uint8_t *used = ring(g, q->used);
    uint16_t idx = __atomic_load_n((uint16_t *)(used + 2), __ATOMIC_ACQUIRE);

    if (idx == q->used_idx)
        return false;
    memcpy(ret_head, used + 4 + 8 * (size_t)(q->used_idx % q->size), 4);
    memcpy(ret_len, used + 8 + 8 * (size_t)(q->used_idx % q->size), 4);
    q->used_idx++;
    return true;
}

bool fake_guest_wait_used(FakeGuest *g, unsigned queue, unsigned ms)
{
    FakeQueue *q = &g->queues[queue];
    uint64_t end = loop_now() + ms * 1000000ull;

    for (;;) {
        if (__atomic_load_n((uint16_t *)(ring(g, q->used) + 2), __ATOMIC_ACQUIRE) != q->used_idx)
            return true;
        if (loop_now() >= end)
            return false;
        loop_iterate(g->loop, false);
    }
}
