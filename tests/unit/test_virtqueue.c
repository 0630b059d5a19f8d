/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rings and the entropy device through a fake guest. */
#include <string.h>

#include "lib/fake_guest.h"
#include "lib/tap.h"
#include "vmm/virtio/devices.h"

static VirtioDevice *make_rng(FakeGuest *g, const char *json)
{
    Err err = {0};
    json_t *object = json_loads(json, 0, NULL);
    VirtioDevice *dev = NULL;
    Props *props = NULL;

    if (props_new(object, NULL, NULL, &props, &err) < 0 || rng_create(props, &g->host, &dev, &err) < 0 ||
        props_finish(props, &err) < 0)
        printf("# %s\n", err.text);
    props_free(props);
    json_decref(object);
    return dev;
}

static void test_rng(uint64_t features, const char *name)
{
    FakeGuest g;
    uint32_t head, len;
    static const uint8_t zero[4096];

    fake_guest_init(&g, 16 << 20);
    ok(fake_guest_start(&g, make_rng(&g, "{\"id\":\"rng0\"}"), VIRTIO_BIT(VIRTIO_F_VERSION_1) | features) == 0,
       "%s: starts", name);
    uint64_t a = fake_guest_alloc(&g, 4096), b = fake_guest_alloc(&g, 4096);
    uint16_t want = fake_guest_add(&g, 0, 2, (FakeBuffer[]){{a, 100, true}, {b, 33, true}});

    fake_guest_kick(&g, 0);
    ok(fake_guest_used(&g, 0, &head, &len) && head == want && len == 133, "%s: chain comes back full", name);
    ok(memcmp(fake_guest_host(&g, a, 100), zero, 100) != 0, "%s: bytes are there", name);
    ok(memcmp((uint8_t *)fake_guest_host(&g, b, 4096) + 33, zero, 1000) == 0, "%s: and nothing beyond", name);
    ok(g.queues[0].interrupts == 1, "%s: one interrupt", name);
    if (features & VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)) {
        want = fake_guest_add_indirect(&g, 0, 2, (FakeBuffer[]){{a, 7, true}, {b, 8, true}});
        fake_guest_kick(&g, 0);
        ok(fake_guest_used(&g, 0, &head, &len) && head == want && len == 15, "%s: indirect chain", name);
    }
    if (features & VIRTIO_BIT(VIRTIO_F_EVENT_IDX)) {
        /* used_event far ahead: no interrupt for the next one */
        uint16_t event = 10;

        memcpy((uint8_t *)fake_guest_host(&g, g.queues[0].avail, 4) + 4 + 2 * g.queues[0].size, &event, 2);
        unsigned before = g.queues[0].interrupts;

        fake_guest_add(&g, 0, 1, (FakeBuffer[]){{a, 7, true}});
        fake_guest_kick(&g, 0);
        ok(fake_guest_used(&g, 0, &head, &len) && g.queues[0].interrupts == before, "%s: event index holds it back",
           name);
    }
    for (int i = 0; i < 300; i++) {
        fake_guest_add(&g, 0, 1, (FakeBuffer[]){{a, 1, true}});
        fake_guest_kick(&g, 0);
        if (!fake_guest_used(&g, 0, &head, &len))
            break;
        if (i == 299)
            ok(1, "%s: rings wrap", name);
    }
    fake_guest_destroy(&g);
}

/* Drivers that shrink their queues keep their chains: in a table of their own. */
static void test_long_chain(void)
{
    FakeGuest g;
    FakeBuffer buffers[10];
    uint32_t head, len;
    uint16_t want;

    fake_guest_init(&g, 16 << 20);
    ok(fake_guest_start_sized(&g, make_rng(&g, "{\"id\":\"rng0\"}"),
                              VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC), 4) == 0,
       "a queue of 4");
    for (unsigned i = 0; i < 10; i++)
        buffers[i] = (FakeBuffer){fake_guest_alloc(&g, 64), 8, true};
    want = fake_guest_add_indirect(&g, 0, 10, buffers);
    fake_guest_kick(&g, 0);
    ok(fake_guest_used(&g, 0, &head, &len) && head == want && len == 80, "takes an indirect chain of 10");
    fake_guest_destroy(&g);
}

static void test_generation(void)
{
    FakeGuest g;
    VirtioDevice *dev;
    uint8_t first, bytes[8] = {1};

    fake_guest_init(&g, 16 << 20);
    dev = make_rng(&g, "{\"id\":\"rng0\"}");
    virtio_config_set(dev, 0, bytes, sizeof bytes);
    first = virtio_config_generation(dev);
    virtio_config_set(dev, 0, bytes, sizeof bytes);
    ok(virtio_config_generation(dev) == first, "the configuration's generation stays with its bytes");
    bytes[7] = 1;
    virtio_config_set(dev, 0, bytes, sizeof bytes);
    ok(virtio_config_generation(dev) != first, "and changes with them");
    virtio_device_free(dev);
    fake_guest_destroy(&g);
}

typedef void (*Spoil)(FakeGuest *g);

static void spoil_loop(FakeGuest *g)
{
    uint64_t a = fake_guest_alloc(g, 64);

    fake_guest_desc(g, 0, 0, a, 8, 3, 1);
    fake_guest_desc(g, 0, 1, a, 8, 3, 0);
    fake_guest_show(g, 0, 0);
}

static void spoil_head(FakeGuest *g)
{
    fake_guest_show(g, 0, 5000);
}

static void spoil_address(FakeGuest *g)
{
    fake_guest_add(g, 0, 1, (FakeBuffer[]){{0xfffffffffffff000ull, 4096, true}});
}

static void spoil_end(FakeGuest *g)
{
    fake_guest_add(g, 0, 1, (FakeBuffer[]){{(16 << 20) - 8, 16, true}});
}

static void spoil_order(FakeGuest *g)
{
    uint64_t a = fake_guest_alloc(g, 64);

    fake_guest_add(g, 0, 2, (FakeBuffer[]){{a, 8, true}, {a, 8, false}});
}

static void spoil_index(FakeGuest *g)
{
    uint16_t idx = 1000;

    memcpy((uint8_t *)fake_guest_host(g, g->queues[0].avail, 4) + 2, &idx, 2);
}

static void spoil_nested(FakeGuest *g)
{
    uint64_t t = fake_guest_alloc(g, 64);
    uint8_t *p = fake_guest_host(g, t, 16);
    uint16_t flags = 4;
    uint32_t len = 16;

    memcpy(p, &t, 8);
    memcpy(p + 8, &len, 4);
    memcpy(p + 12, &flags, 2);
    fake_guest_desc(g, 0, 0, t, 16, 4, 0);
    fake_guest_show(g, 0, 0);
}

static void spoil_indirect_length(FakeGuest *g)
{
    fake_guest_desc(g, 0, 0, fake_guest_alloc(g, 64), 15, 4, 0);
    fake_guest_show(g, 0, 0);
}

static void test_bad(void)
{
    static const struct {
        const char *name;
        Spoil spoil;
    } cases[] = {
        {"loop", spoil_loop},         {"head beyond the table", spoil_head},
        {"address", spoil_address},   {"end of memory", spoil_end},
        {"order", spoil_order},       {"index runs away", spoil_index},
        {"nested indirect", spoil_nested}, {"indirect length", spoil_indirect_length},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        FakeGuest g;
        uint32_t head, len;
        uint64_t features = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);
        VirtioDevice *dev;

        fake_guest_init(&g, 16 << 20);
        dev = make_rng(&g, "{\"id\":\"rng0\"}");
        fake_guest_start(&g, dev, features);
        cases[i].spoil(&g);
        fake_guest_kick(&g, 0);
        ok(g.needs_reset && !fake_guest_used(&g, 0, &head, &len), "bad ring (%s): needs reset", cases[i].name);
        fake_guest_reset(&g);
        ok(fake_guest_start(&g, dev, features) == 0 && !g.needs_reset, "bad ring (%s): works after reset", cases[i].name);
        fake_guest_destroy(&g);
    }
}

static void test_bad_setup(void)
{
    FakeGuest g;
    VirtioDevice *dev;

    fake_guest_init(&g, 16 << 20);
    dev = make_rng(&g, "{\"id\":\"rng0\"}");
    g.dev = dev;
    virtio_queue_program(
        dev, 0,
        &(VirtqueueSetup){.size = 64, .enabled = true, .desc = (16 << 20) - 64, .avail = 0, .used = 4096});
    ok(virtio_device_activate(dev, 0) < 0 && !dev->active, "ring outside of memory: not activated");
    fake_guest_reset(&g);
    virtio_queue_program(dev, 0, &(VirtqueueSetup){.size = 63, .enabled = true, .desc = 0, .avail = 0, .used = 4096});
    ok(virtio_device_activate(dev, 0) < 0, "ring size not a power of two: not activated");
    fake_guest_destroy(&g);
}

static void test_limit(void)
{
    FakeGuest g;
    uint32_t head, len;

    fake_guest_init(&g, 16 << 20);
    fake_guest_start(&g, make_rng(&g, "{\"id\":\"rng0\",\"max-bytes\":10,\"period\":\"20\"}"),
                     VIRTIO_BIT(VIRTIO_F_VERSION_1));
    uint64_t a = fake_guest_alloc(&g, 64);

    fake_guest_add(&g, 0, 1, (FakeBuffer[]){{a, 64, true}});
    fake_guest_add(&g, 0, 1, (FakeBuffer[]){{a, 64, true}});
    fake_guest_kick(&g, 0);
    ok(fake_guest_used(&g, 0, &head, &len) && len == 10, "limit: the first period's bytes");
    ok(!fake_guest_used(&g, 0, &head, &len), "limit: then nothing");
    ok(fake_guest_wait_used(&g, 0, 30000) && fake_guest_used(&g, 0, &head, &len) && len == 10, "limit: the next period");
    fake_guest_destroy(&g);
}

int main(void)
{
    test_rng(0, "plain");
    test_rng(VIRTIO_BIT(VIRTIO_F_EVENT_IDX), "event index");
    test_rng(VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC), "indirect");
    test_long_chain();
    test_generation();
    test_bad();
    test_bad_setup();
    test_limit();
    return done();
}
