/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The block device through a fake guest, on a node in memory and on real images (raw, qcow2 with a backing file). */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "lib/fake_guest.h"
#include "lib/fault_block.h"
#include "lib/tap.h"
#include "storage/image.h"
#include "vmm/virtio/devices.h"

#include <linux/virtio_blk.h>

#define FEATURES (VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH))

static VirtioDevice *make_blk(FakeGuest *g, const char *json)
{
    Err err = {0};
    json_t *object = json_loads(json, 0, NULL);
    VirtioDevice *dev = NULL;
    Props *props = NULL;

    if (props_new(object, NULL, NULL, &props, &err) < 0 || blk_create(props, &g->host, &dev, &err) < 0 ||
        props_finish(props, &err) < 0)
        printf("# %s\n", err.text);
    props_free(props);
    json_decref(object);
    return dev;
}

typedef struct Rig {
    FakeGuest g;
    uint64_t header, data, status;
} Rig;

static void rig_start(Rig *t, Block *block, const char *json, uint64_t features)
{
    t->g.block = block;
    ok(fake_guest_start(&t->g, make_blk(&t->g, json), FEATURES | features) == 0, "starts: %s", json);
    t->header = fake_guest_alloc(&t->g, 4096);
    t->data = fake_guest_alloc(&t->g, 1 << 20);
    t->status = fake_guest_alloc(&t->g, 4096);
}

static void ask(Rig *t, uint32_t type, uint64_t sector, uint32_t len, bool to_guest, bool indirect)
{
    FakeBuffer chain[5];
    unsigned n = 0;
    uint8_t *h = fake_guest_host(&t->g, t->header, 16);

    memset(h, 0, 16);
    memcpy(h, &type, 4);
    memcpy(h + 8, &sector, 8);
    *(uint8_t *)fake_guest_host(&t->g, t->status, 1) = 0x55;
    chain[n++] = (FakeBuffer){t->header, 16, false};
    if (len > 1024) {
        chain[n++] = (FakeBuffer){t->data, 1000, to_guest};
        chain[n++] = (FakeBuffer){t->data + 1000, len - 1000, to_guest};
    } else if (len > 0) {
        chain[n++] = (FakeBuffer){t->data, len, to_guest};
    }
    chain[n++] = (FakeBuffer){t->status, 1, true};
    if (indirect)
        fake_guest_add_indirect(&t->g, 0, n, chain);
    else
        fake_guest_add(&t->g, 0, n, chain);
    fake_guest_kick(&t->g, 0);
}

/* Status byte, or -1 when nothing came back. */
static int answer(Rig *t, uint32_t *ret_len)
{
    uint32_t head, len = 0;
    int status = -1;

    if (fake_guest_wait_used(&t->g, 0, 30000) && fake_guest_used(&t->g, 0, &head, &len))
        status = *(uint8_t *)fake_guest_host(&t->g, t->status, 1);
    if (ret_len)
        *ret_len = len;
    return status;
}

static int io(Rig *t, uint32_t type, uint64_t sector, uint32_t len)
{
    ask(t, type, sector, len, type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID, false);
    return answer(t, NULL);
}

static uint8_t *data(Rig *t)
{
    return fake_guest_host(&t->g, t->data, 1 << 20);
}

static int range(Rig *t, uint32_t type, uint64_t sector, uint32_t count, uint32_t flags)
{
    memcpy(data(t), &sector, 8);
    memcpy(data(t) + 8, &count, 4);
    memcpy(data(t) + 12, &flags, 4);
    return io(t, type, 0, 16);
}

static void test_memory(void)
{
    Rig t;
    FaultBlock *b;
    uint32_t len;
    struct virtio_blk_config c;

    fake_guest_init(&t.g, 16 << 20);
    b = fault_block_new(t.g.loop, 1 << 20);
    rig_start(&t, &b->base, "{\"id\":\"d0\",\"drive\":\"x\",\"serial\":\"a-serial-number-beyond-20\"}",
              VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES) |
                  VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC));
    virtio_config_get(t.g.dev, 0, &c, sizeof c);
    ok(c.capacity == 2048 && c.blk_size == 512 && c.seg_max == 254 && c.wce == 1, "configuration");
    memset(data(&t), 0xaa, 8192);
    ok(io(&t, VIRTIO_BLK_T_OUT, 3, 8192) == VIRTIO_BLK_S_OK && b->data[3 * 512] == 0xaa &&
           b->data[3 * 512 + 8191] == 0xaa && b->data[3 * 512 + 8192] == 0,
       "write");
    memset(data(&t), 0, 8192);
    ask(&t, VIRTIO_BLK_T_IN, 3, 8192, true, true);
    ok(answer(&t, &len) == VIRTIO_BLK_S_OK && len == 8193 && data(&t)[8191] == 0xaa, "read, indirect");
    ok(b->fua == 0, "write-back");
    ok(io(&t, VIRTIO_BLK_T_FLUSH, 0, 0) == VIRTIO_BLK_S_OK && b->flushes == 1, "flush");
    ok(io(&t, VIRTIO_BLK_T_GET_ID, 0, 20) == VIRTIO_BLK_S_OK && memcmp(data(&t), "a-serial-number-beyo", 20) == 0,
       "serial number");
    ok(io(&t, VIRTIO_BLK_T_OUT, 2048, 512) == VIRTIO_BLK_S_IOERR, "write beyond the end");
    ok(io(&t, VIRTIO_BLK_T_OUT, UINT64_MAX / 512 + 1, 512) == VIRTIO_BLK_S_IOERR, "sector that overflows");
    ok(io(&t, VIRTIO_BLK_T_IN, 0, 100) == VIRTIO_BLK_S_IOERR, "part of a sector");
    ok(io(&t, 99, 0, 512) == VIRTIO_BLK_S_UNSUPP, "unknown type");
    ok(range(&t, VIRTIO_BLK_T_DISCARD, 3, 1, 0) == VIRTIO_BLK_S_OK && b->discards == 1 && b->data[3 * 512] == 0,
       "discard");
    ok(range(&t, VIRTIO_BLK_T_WRITE_ZEROES, 4, 1, 1) == VIRTIO_BLK_S_OK && b->zeroes == 1 && b->data[4 * 512] == 0 &&
           b->data[5 * 512] == 0xaa,
       "write-zeroes");
    ok(range(&t, VIRTIO_BLK_T_WRITE_ZEROES, 4, 1, 2) == VIRTIO_BLK_S_UNSUPP, "unknown flag");
    ok(range(&t, VIRTIO_BLK_T_DISCARD, 2040, 9, 0) == VIRTIO_BLK_S_IOERR, "discard beyond the end");
    ok(t.g.stats_block.requests[STATS_IO_READ] == 1 && t.g.stats_block.bytes[STATS_IO_READ] == 8192, "statistics");

    b->error = -EIO;
    b->count = 1;
    ok(io(&t, VIRTIO_BLK_T_IN, 0, 512) == VIRTIO_BLK_S_IOERR && !strcmp(t.g.last_event, "BLOCK_IO_ERROR") &&
           strstr(t.g.last_event_data, "\"action\":\"report\""),
       "a read error is reported");
    b->error = -ENOSPC;
    b->count = 1;
    ask(&t, VIRTIO_BLK_T_OUT, 0, 512, false, false);
    ok(!fake_guest_wait_used(&t.g, 0, 5) && !strcmp(t.g.stopped, "io-error") &&
           strstr(t.g.last_event_data, "\"nospace\":true"),
       "no space stops the VM");
    t.g.dev->ops->set_running(t.g.dev, false);
    t.g.dev->ops->set_running(t.g.dev, true);
    ok(answer(&t, NULL) == VIRTIO_BLK_S_OK, "and is tried again when it goes on");

    uint8_t off = 0;

    t.g.dev->ops->config_write(t.g.dev, 32, &off, 1);
    ok(io(&t, VIRTIO_BLK_T_OUT, 0, 512) == VIRTIO_BLK_S_OK && b->fua == 1, "write-through after the driver chose it");
    ok(block_resize(&b->base, 2 << 20, NULL) == 0 && t.g.config_interrupts == 1, "resize interrupts");
    virtio_config_get(t.g.dev, 0, &c, sizeof c);
    ok(c.capacity == 4096 && io(&t, VIRTIO_BLK_T_OUT, 4095, 512) == VIRTIO_BLK_S_OK, "and the new end is there");

    fake_guest_add(&t.g, 0, 1, (FakeBuffer[]){{t.header, 8, false}});
    fake_guest_kick(&t.g, 0);
    ok(t.g.needs_reset, "a request without header breaks the device");
    fake_guest_stop(&t.g);

    /* management changes the node just as the driver resets the device */
    rig_start(&t, &b->base, "{\"id\":\"d0\",\"drive\":\"x\"}", 0);
    unsigned begun = b->requests, flushes = b->flushes;

    block_quiesce(&b->base);
    ask(&t, VIRTIO_BLK_T_OUT, 0, 512, false, false);
    fake_guest_reset(&t.g);
    block_resume(&b->base);
    ok(b->requests == begun && b->base.in_flight == 0, "what waited for the node is forgotten with the reset");
    ok(block_flush(&b->base) == 0 && b->flushes == flushes + 1, "a node is flushed");
    fake_guest_stop(&t.g);
    block_close(&b->base);
    fake_guest_destroy(&t.g);
}

static void test_throttle(void)
{
    Rig t;
    FaultBlock *b;
    ThrottleConfig limits = {0};
    Err err = {0};
    uint64_t start;
    unsigned n = 0;

    fake_guest_init(&t.g, 16 << 20);
    b = fault_block_new(t.g.loop, 1 << 20);
    rig_start(&t, &b->base, "{\"id\":\"d0\",\"drive\":\"x\"}", 0);
    limits.limit[THROTTLE_OPS_TOTAL].avg = 100;
    limits.limit[THROTTLE_OPS_READ].avg = 100;
    ok(block_set_throttle(&b->base, NULL, &limits, &err) == -EINVAL, "total and read together are refused");
    limits.limit[THROTTLE_OPS_READ].avg = 0;
    ok(block_set_throttle(&b->base, NULL, &limits, &err) == 0, "limits are set");
    start = loop_now();
    while (n < 20 && io(&t, VIRTIO_BLK_T_IN, 0, 512) == VIRTIO_BLK_S_OK)
        n++;
    /* ten at once, then one every 10 ms */
    ok(n == 20 && loop_now() - start > 70000000, "100 a second");
    for (int i = 0; i < 20; i++)
        ask(&t, VIRTIO_BLK_T_IN, 0, 512, true, false);
    start = loop_now();
    fake_guest_reset(&t.g);
    ok(loop_now() - start < 50000000, "a reset does not wait for limits");
    fake_guest_stop(&t.g);
    block_close(&b->base);
    fake_guest_destroy(&t.g);
}

/* Two disks of one group. */
static void test_throttle_group(void)
{
    FaultBlock *a, *b;
    Rig ra, rb;
    ThrottleConfig limits = {0}, seen;
    Err err = {0};
    uint64_t start;
    unsigned n = 0;

    fake_guest_init(&ra.g, 16 << 20);
    fake_guest_init(&rb.g, 16 << 20);
    a = fault_block_new(ra.g.loop, 1 << 20);
    b = fault_block_new(rb.g.loop, 1 << 20);
    rig_start(&ra, &a->base, "{\"id\":\"d0\",\"drive\":\"x\"}", 0);
    rig_start(&rb, &b->base, "{\"id\":\"d1\",\"drive\":\"x\"}", 0);
    limits.limit[THROTTLE_OPS_TOTAL].avg = 1;
    ok(block_set_throttle(&a->base, NULL, &limits, &err) == 0 && !strcmp(throttle_group_name(&a->base.limits), "d0"),
       "a group of its own has the device's name");
    limits.limit[THROTTLE_OPS_TOTAL].avg = 100;
    ok(block_set_throttle(&a->base, "both", &limits, &err) == 0 && block_set_throttle(&b->base, "both", &limits, &err) == 0,
       "two nodes in one group");
    start = loop_now();
    while (n < 16 && io(&ra, VIRTIO_BLK_T_IN, 0, 512) == VIRTIO_BLK_S_OK &&
           io(&rb, VIRTIO_BLK_T_IN, 0, 512) == VIRTIO_BLK_S_OK)
        n++;
    ok(n == 16 && loop_now() - start > 150000000, "share 100 a second");
    limits.limit[THROTTLE_OPS_TOTAL].avg = 200;
    ok(block_set_throttle(&b->base, NULL, &limits, &err) == 0, "a change of one");
    throttle_group_get(&a->base.limits, &seen);
    ok(seen.limit[THROTTLE_OPS_TOTAL].avg == 200, "is a change of the other");
    limits.limit[THROTTLE_OPS_TOTAL].avg = 0;
    ok(block_set_throttle(&b->base, "both", &limits, &err) == 0 && b->base.limits.group == NULL &&
           a->base.limits.group != NULL,
       "without limits it is out of the group");
    limits.limit[THROTTLE_OPS_TOTAL].avg = 1;
    ok(block_set_throttle(&a->base, NULL, &limits, &err) == 0, "one a second");
    for (int i = 0; i < 20; i++)
        ask(&ra, VIRTIO_BLK_T_IN, 0, 512, true, false);
    limits.limit[THROTTLE_OPS_TOTAL].avg = 0;
    ok(a->base.waiting[0].first != NULL && block_set_throttle(&a->base, NULL, &limits, &err) == 0 &&
           a->base.waiting[0].first == NULL && a->base.in_flight == 0,
       "what waits goes when the limits end");
    fake_guest_stop(&ra.g);
    fake_guest_stop(&rb.g);
    block_close(&a->base);
    block_close(&b->base);
    fake_guest_destroy(&ra.g);
    fake_guest_destroy(&rb.g);
}

/* --- real images ------------------------------------------------------------------------------------------- */

typedef struct Nodes {
    Block *list[4];
} Nodes;

static Block *find_node(void *opaque, const char *name)
{
    Nodes *n = opaque;

    for (size_t i = 0; i < 4; i++) {
        if (n->list[i] && !strcmp(n->list[i]->node_name, name) && !n->list[i]->claimed) {
            n->list[i]->claimed = true;
            return n->list[i];
        }
    }
    return NULL;
}

static Block *__attribute__((format(printf, 4, 5)))
node(Nodes *nodes, unsigned index, Loop *loop, const char *format, ...)
{
    char json[512];
    va_list ap;
    Err err = {0};
    Props *props = NULL;
    json_t *object;

    va_start(ap, format);
    vsnprintf(json, sizeof json, format, ap);
    va_end(ap);
    object = json_loads(json, 0, NULL);
    nodes->list[index] = NULL;
    if (props_new(object, NULL, NULL, &props, &err) < 0 ||
        block_new(props, loop, find_node, nodes, &nodes->list[index], &err) < 0)
        printf("# %s: %s\n", json, err.text);
    props_free(props);
    json_decref(object);
    return nodes->list[index];
}

static int new_file(void)
{
    char name[] = "test_blk_XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);

    unlink(name);
    return fd;
}

static int make_image(ImageFormat format, uint64_t size, const char *backing)
{
    ImageCreateParams p;
    Err err = {0};
    int fd = new_file();

    image_create_params_init(&p);
    p.format = format;
    p.size = size;
    p.backing_name = backing;
    p.backing_format = backing ? "raw" : NULL;
    if (image_create(fd, &p, &err) < 0)
        printf("# %s\n", err.text);
    return fd;
}

static void exercise(Rig *t, const char *what)
{
    bool good = true;

    for (unsigned i = 0; i < 40 && good; i++) {
        uint32_t len = 512u << (i % 9);
        uint64_t sector = (i * 977u) % 7000;

        memset(data(t), (int)i + 1, len);
        good = io(t, VIRTIO_BLK_T_OUT, sector, len) == VIRTIO_BLK_S_OK;
        memset(data(t), 0, len);
        good = good && io(t, VIRTIO_BLK_T_IN, sector, len) == VIRTIO_BLK_S_OK;
        for (uint32_t k = 0; k < len && good; k++)
            good = data(t)[k] == (uint8_t)(i + 1);
    }
    ok(good, "%s: what was written is read", what);
    ok(io(t, VIRTIO_BLK_T_FLUSH, 0, 0) == VIRTIO_BLK_S_OK, "%s: flush", what);
    ok(range(t, VIRTIO_BLK_T_WRITE_ZEROES, 0, 2048, 1) == VIRTIO_BLK_S_OK && io(t, VIRTIO_BLK_T_IN, 100, 4096) == 0 &&
           data(t)[0] == 0 && data(t)[4095] == 0,
       "%s: write-zeroes", what);
    ok(range(t, VIRTIO_BLK_T_DISCARD, 2048, 2048, 0) == VIRTIO_BLK_S_OK, "%s: discard", what);
}

static void test_images(void)
{
    static uint8_t base[4 << 20];
    Rig t;
    Nodes nodes = {0};
    Block *top;
    int raw = new_file(), qcow2 = make_image(IMAGE_FORMAT_QCOW2, 4 << 20, "base"), back = new_file();

    memset(base, 0x77, sizeof base);
    ok(ftruncate(raw, 4 << 20) == 0 && pwrite(back, base, sizeof base, 0) == sizeof base, "files");
    fake_guest_init(&t.g, 16 << 20);
    top = node(&nodes, 0, t.g.loop, "{\"driver\":\"file\",\"node-name\":\"raw\",\"fd\":%d,\"discard\":\"unmap\"}", raw);
    ok(top->ops->reopen(top, NULL) == 0, "a file node opens when it is used");
    rig_start(&t, top, "{\"id\":\"d0\",\"drive\":\"raw\"}",
              VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES));
    exercise(&t, "raw");
    fake_guest_stop(&t.g);
    block_close(top);
    fake_guest_destroy(&t.g);

    memset(&nodes, 0, sizeof nodes);
    fake_guest_init(&t.g, 16 << 20);
    node(&nodes, 0, t.g.loop, "{\"driver\":\"file\",\"node-name\":\"bf\",\"fd\":%d,\"read-only\":true}", back);
    node(&nodes, 1, t.g.loop, "{\"driver\":\"raw\",\"node-name\":\"b\",\"file\":\"bf\",\"read-only\":true}");
    node(&nodes, 2, t.g.loop, "{\"driver\":\"file\",\"node-name\":\"qf\",\"fd\":%d,\"discard\":\"unmap\"}", qcow2);
    top = node(&nodes, 3, t.g.loop, "{\"driver\":\"qcow2\",\"node-name\":\"q\",\"file\":\"qf\",\"backing\":\"b\"}");
    ok(nodes.list[0]->claimed && nodes.list[1]->claimed && nodes.list[2]->claimed, "nodes below are in use");
    rig_start(&t, top, "{\"id\":\"d0\",\"drive\":\"q\",\"num-queues\":4}",
              VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES));
    ok(io(&t, VIRTIO_BLK_T_IN, 5, 4096) == VIRTIO_BLK_S_OK && data(&t)[4095] == 0x77, "backing file shows through");
    exercise(&t, "qcow2");
    /* many in flight at once, over clusters that are being allocated */
    for (int i = 0; i < 30; i++) {
        FakeBuffer chain[3] = {{t.header, 16, false}, {t.data, 4096, false}, {t.status, 1, true}};
        uint64_t sector = 6000 + (uint64_t)i * 8;
        uint64_t header = fake_guest_alloc(&t.g, 16);
        uint32_t type = VIRTIO_BLK_T_OUT;

        memcpy(fake_guest_host(&t.g, header, 16), &type, 4);
        memcpy((uint8_t *)fake_guest_host(&t.g, header, 16) + 8, &sector, 8);
        chain[0].gpa = header;
        fake_guest_add(&t.g, 0, 3, chain);
    }
    fake_guest_kick(&t.g, 0);
    int back_count = 0;
    uint32_t head, len;

    while (back_count < 30 && fake_guest_wait_used(&t.g, 0, 30000) && fake_guest_used(&t.g, 0, &head, &len))
        back_count++;
    ok(back_count == 30, "30 writes in flight");
    /* a reset in the middle */
    ask(&t, VIRTIO_BLK_T_OUT, 0, 8192, false, false);
    fake_guest_reset(&t.g);
    ok(top->in_flight == 0, "reset waits for what is in flight");
    fake_guest_stop(&t.g);
    block_close(top);
    ok(!nodes.list[1]->claimed && !nodes.list[2]->claimed, "closing releases what is below");
    for (int i = 2; i >= 0; i--) {
        if (i != 0)
            block_close(nodes.list[i]);
    }
    block_close(nodes.list[0]);
    fake_guest_destroy(&t.g);
}

/* --- queues on several threads ----------------------------------------------------------------------------- */

static Loop *threads[2];

static Loop *helper(DeviceHost *host, unsigned index)
{
    (void)host;
    return index < ARRAY_LEN(threads) ? threads[index] : NULL;
}

static Loop *named_thread(DeviceHost *host, const char *id)
{
    return !strcmp(id, "io1") ? threads[0] : !strcmp(id, "io2") ? threads[1] : !strcmp(id, "main") ? host->main_loop : NULL;
}

/* A write and a read on each queue, all in flight together; the bytes of each must come back. */
static void all_queues(Rig *t, unsigned queues, unsigned rounds)
{
    uint8_t *bytes = data(t), *headers = fake_guest_host(&t->g, t->header, 4096);
    unsigned bad = 0;

    for (unsigned n = 0; n < 2 * rounds; n++) {
        uint32_t type = n & 1 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;

        for (unsigned q = 0; q < queues; q++) {
            uint64_t sector = 64ull * q + n / 2;
            bool in = type == VIRTIO_BLK_T_IN;

            memset(bytes + 4096 * q, in ? 0 : (int)(q + n), 512);
            memset(headers + 16 * q, 0, 16);
            memcpy(headers + 16 * q, &type, 4);
            memcpy(headers + 16 * q + 8, &sector, 8);
            fake_guest_add(&t->g, q, 3, (FakeBuffer[]){{t->header + 16 * q, 16, false}, {t->data + 4096 * q, 512, in},
                                                       {t->status + q, 1, true}});
        }
        for (unsigned q = 0; q < queues; q++)
            fake_guest_kick(&t->g, q);
        for (unsigned q = 0; q < queues; q++) {
            uint32_t head, len;

            bad += !fake_guest_wait_used(&t->g, q, 5000) || !fake_guest_used(&t->g, q, &head, &len) ||
                   *(uint8_t *)fake_guest_host(&t->g, t->status + q, 1) != 0;
            bad += type == VIRTIO_BLK_T_IN && (bytes[4096 * q] != q + n - 1 || bytes[4096 * q + 511] != q + n - 1);
        }
    }
    ok(bad == 0, "%u queues: what is written is read", queues);
}

static void test_threads_on(const char *json, const char *format, unsigned lanes, unsigned lane_of_last)
{
    int fd = make_image(image_format_from_name(format), 4 << 20, NULL);
    ThrottleConfig limits = {0}, none = {0};
    Nodes nodes = {0};
    Err err = {0};
    Block *top;
    Rig t;

    fake_guest_init(&t.g, 16 << 20);
    t.g.host.helper = helper;
    t.g.host.iothread = named_thread;
    for (unsigned i = 0; i < ARRAY_LEN(threads); i++)
        ok(loop_new("test", &threads[i], &err) == 0 && loop_start(threads[i], NULL, NULL, &err) == 0, "thread %u", i);
    node(&nodes, 0, t.g.loop, "{\"driver\":\"file\",\"node-name\":\"file\",\"fd\":%d}", fd);
    top = node(&nodes, 1, t.g.loop, "{\"driver\":\"%s\",\"node-name\":\"top\",\"file\":\"file\"}", format);
    /* One of them polls: it looks into queues and ring, and does not ask for kicks meanwhile. */
    loop_set_polling(threads[1], &(LoopPolling){.max_ns = 20000000, .grow = 1000});
    rig_start(&t, top, json, 0);
    ok(t.g.queues[3].loop == (lane_of_last ? threads[lane_of_last - 1] : NULL), "the last queue's thread");
    all_queues(&t, 4, 32);
    ok(t.g.stats_block.requests[STATS_IO_READ] == 4 * 32 && t.g.stats_block.requests[STATS_IO_WRITE] == 4 * 32,
       "statistics of all threads");
    limits.limit[THROTTLE_OPS_TOTAL].avg = 1000000;
    ok(block_set_throttle(top, NULL, &limits, &err) == 0, "limits");
    all_queues(&t, 4, 2);
    for (Block *v = top->views; v != NULL; v = v->next_view, lanes--)
        ok(v->limits.group == top->limits.group, "are every thread's");
    ok(lanes == 1, "as many lanes as threads");
    ok(block_resize(top, 8 << 20, &err) == 0, "resize");
    for (Block *v = top->views; v != NULL; v = v->next_view)
        ok(v->info.size == 8 << 20, "every thread sees the size");
    t.g.dev->ops->set_running(t.g.dev, false);
    t.g.dev->ops->set_running(t.g.dev, true);
    all_queues(&t, 4, 2);
    ok(block_set_throttle(top, NULL, &none, &err) == 0, "no limits");
    fake_guest_stop(&t.g);
    ok(top->views == NULL && top->loop == t.g.loop, "nothing is left on the threads");
    block_close(top);
    block_close(nodes.list[0]);
    for (unsigned i = 0; i < ARRAY_LEN(threads); i++)
        loop_free(threads[i]);
    fake_guest_destroy(&t.g);
}

static void test_threads(void)
{
    static const char *const wrong[] = {
        "[]", "[{'iothread':'io9'}]", "[{'iothread':'io1'},{'iothread':'io1'}]", "[{'iothread':'io1','vqs':[0,1,2]}]",
        "[{'iothread':'io1','vqs':[0,1,2,4]}]", "[{'iothread':'io1','vqs':[0,1]},{'iothread':'io2','vqs':[1,2,3]}]",
        "[{'iothread':'io1','vqs':[0,1,2,3]},{'iothread':'io2'}]",
    };
    FaultBlock *b;
    FakeGuest g;

    test_threads_on("{\"id\":\"d0\",\"drive\":\"x\",\"num-queues\":4}", "raw", 3, 0);
    test_threads_on("{\"id\":\"d0\",\"drive\":\"x\",\"num-queues\":4,\"iothread-vq-mapping\":"
                    "[{\"iothread\":\"main\",\"vqs\":[0,1]},{\"iothread\":\"io2\",\"vqs\":[3,2]}]}", "qcow2", 2, 2);
    fake_guest_init(&g, 1 << 20);
    g.host.iothread = named_thread;
    g.block = &(b = fault_block_new(g.loop, 1 << 20))->base;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char json[300];

        snprintf(json, sizeof json, "{\"id\":\"d0\",\"drive\":\"x\",\"num-queues\":4,\"iothread-vq-mapping\":%s}", wrong[i]);
        for (char *at = json; *at; at++)
            *at = *at == '\'' ? '"' : *at;
        ok(make_blk(&g, json) == NULL, "refused: %s", wrong[i]);
    }
    block_close(&b->base);
    fake_guest_destroy(&g);
}

int main(void)
{
    test_memory();
    test_threads();
    test_throttle();
    test_throttle_group();
    test_images();
    setenv("KITE_NO_IO_URING", "1", 1);
    test_images();
    return done();
}
