/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-mem through a fake guest: plug, unplug, state, what is refused, what management sees. */
#include <string.h>

#include "lib/device_fuzz.h"
#include "lib/fake_guest.h"
#include "lib/tap.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/mem.h"

#define RAM (16u << 20)
#define BASE (4ull << 30)
#define MIB (1ull << 20)
enum { PLUG, UNPLUG, UNPLUG_ALL, STATE };
enum { ACK, NACK, BUSY, ERROR };

static const char props[] =
    "{\"id\":\"mem0\",\"size\":536870912,\"requested-size\":\"8388608\",\"memdev\":\"ram1\",\"node\":0}";

/* Sends one request; the answer's type, or -1. */
static int ask(FakeGuest *g, unsigned type, uint64_t addr, unsigned blocks, unsigned *ret_state)
{
    static uint64_t out, in;
    uint8_t request[24] = {0}, *answer;
    uint32_t head, len;
    uint16_t t = (uint16_t)type, n = (uint16_t)blocks;

    if (g->next_alloc <= (1 << 20) + 65536) {
        out = fake_guest_alloc(g, 64);
        in = fake_guest_alloc(g, 64);
    }
    memcpy(request, &t, 2);
    memcpy(request + 8, &addr, 8);
    memcpy(request + 16, &n, 2);
    memcpy(fake_guest_host(g, out, 24), request, 24);
    fake_guest_add(g, 0, 2, (FakeBuffer[]){{out, 24, false}, {in, 10, true}});
    fake_guest_kick(g, 0);
    if (!fake_guest_used(g, 0, &head, &len) || len != 10)
        return -1;
    answer = fake_guest_host(g, in, 10);
    if (ret_state != NULL)
        *ret_state = answer[8] | (unsigned)answer[9] << 8;
    return answer[0] | answer[1] << 8;
}

static uint64_t field(VirtioDevice *dev, unsigned offset)
{
    uint64_t v;

    virtio_config_get(dev, offset, &v, 8);
    return v;
}

static int set_requested(VirtioDevice *dev, json_int_t value, Err *err)
{
    json_t *number = json_integer(value);
    int r = dev->ops->set_property(dev, "requested-size", number, err);

    json_decref(number);
    return r;
}

static void test_blocks(void)
{
    FakeGuest g;
    VirtioDevice *dev;
    unsigned found = 9;
    uint8_t *p;

    fake_guest_init(&g, RAM);
    dev = device_from_json(&g, mem_create, props);
    ok(dev != NULL && fake_guest_start(&g, dev, VIRTIO_BIT(VIRTIO_F_VERSION_1)) == 0, "starts");
    ok(field(dev, 0) == 2 * MIB && field(dev, 16) == BASE && field(dev, 24) == 512 * MIB &&
           field(dev, 32) == 264 * MIB && field(dev, 40) == 0 && field(dev, 48) == 8 * MIB,
       "configuration space");
    ok(ask(&g, STATE, BASE, 4, &found) == ACK && found == 1, "all unplugged");
    ok(ask(&g, PLUG, BASE + 2 * MIB, 2, NULL) == ACK && field(dev, 40) == 4 * MIB, "plug two blocks");
    ok(strcmp(g.last_event, "MEMORY_DEVICE_SIZE_CHANGE") == 0 &&
           strcmp(g.last_event_data,
                  "{\"id\":\"mem0\",\"qom-path\":\"/machine/peripheral/mem0\",\"size\":4194304}") == 0,
       "MEMORY_DEVICE_SIZE_CHANGE");
    ok(ask(&g, STATE, BASE, 4, &found) == ACK && found == 2, "mixed");
    ok(ask(&g, STATE, BASE + 2 * MIB, 2, &found) == ACK && found == 0, "plugged");
    ok(ask(&g, PLUG, BASE, 2, NULL) == ERROR, "a plugged block cannot be plugged");
    ok(ask(&g, PLUG, BASE + 6 * MIB, 3, NULL) == NACK && field(dev, 40) == 4 * MIB,
       "no more than was requested");
    ok(ask(&g, UNPLUG, BASE, 2, NULL) == ERROR, "an unplugged block cannot be unplugged");
    ok(ask(&g, PLUG, BASE + 1, 1, NULL) == ERROR && ask(&g, PLUG, BASE, 0, NULL) == ERROR &&
           ask(&g, PLUG, BASE - 2 * MIB, 1, NULL) == ERROR &&
           ask(&g, PLUG, BASE + 264 * MIB, 1, NULL) == ERROR &&
           ask(&g, PLUG, UINT64_MAX - 2 * MIB + 1, 1, NULL) == ERROR &&
           ask(&g, STATE, BASE, 0xffff, NULL) == ERROR,
       "ranges that are none");
    p = fake_guest_host(&g, BASE + 2 * MIB, 4 * MIB);
    p[0] = p[4 * MIB - 1] = 7;
    ok(ask(&g, UNPLUG, BASE + 2 * MIB, 1, NULL) == ACK && p[0] == 0 && p[4 * MIB - 1] == 7 &&
           field(dev, 40) == 2 * MIB,
       "an unplugged block goes back to the host, its neighbour stays");
    ok(ask(&g, UNPLUG_ALL, 0, 0, NULL) == ACK && p[4 * MIB - 1] == 0 && field(dev, 40) == 0, "unplug all");
    ok(!g.needs_reset, "nothing of that breaks the device");
    ask(&g, 9, BASE, 1, NULL);
    ok(g.needs_reset, "an unknown request does");
    fake_guest_destroy(&g);
}

static void test_short(void)
{
    FakeGuest g;

    fake_guest_init(&g, RAM);
    fake_guest_start(&g, device_from_json(&g, mem_create, props), VIRTIO_BIT(VIRTIO_F_VERSION_1));
    uint64_t a = fake_guest_alloc(&g, 64);

    fake_guest_add(&g, 0, 2, (FakeBuffer[]){{a, 24, false}, {a, 9, true}});
    fake_guest_kick(&g, 0);
    ok(g.needs_reset, "no room for the answer: needs reset");
    fake_guest_destroy(&g);
}

static void test_management(void)
{
    FakeGuest g;
    VirtioDevice *dev;
    Err err = {0};
    json_t *info;
    char *text;

    fake_guest_init(&g, RAM);
    dev = device_from_json(&g, mem_create, props);
    fake_guest_start(&g, dev, VIRTIO_BIT(VIRTIO_F_VERSION_1));
    ok(set_requested(dev, 32 << 20, &err) == 0 && field(dev, 48) == 32 * MIB && field(dev, 32) == 288 * MIB &&
           g.config_interrupts == 1,
       "requested-size grows, the driver is told");
    ok(set_requested(dev, 0, &err) == 0 && field(dev, 48) == 0 && field(dev, 32) == 288 * MIB,
       "0 leaves what is usable until all is unplugged");
    ok(ask(&g, PLUG, BASE, 1, NULL) == NACK, "then nothing can be plugged");
    ok(ask(&g, UNPLUG_ALL, 0, 0, NULL) == ACK && field(dev, 32) == 0, "unplug all takes the rest away");
    ok(set_requested(dev, 1 << 20, &err) < 0 && strstr(err.text, "multiples") != NULL, "no half blocks");
    ok(set_requested(dev, 1ll << 30, &err) < 0 && strstr(err.text, "exceed") != NULL,
       "no more than there is");
    info = mem_describe(dev);
    text = json_dumps(info, JSON_COMPACT | JSON_SORT_KEYS);
    ok(strcmp(text, "{\"block-size\":2097152,\"id\":\"mem0\",\"max-size\":536870912,\"memaddr\":4294967296,"
                    "\"memdev\":\"ram1\",\"node\":0,\"requested-size\":0,\"size\":0}") == 0,
       "query-memory-devices: %s", text);
    free(text);
    json_decref(info);
    fake_guest_destroy(&g);
}

static void test_wrong(void)
{
    static const char *const wrong[] = {
        "{\"id\":\"m\"}",
        "{\"id\":\"m\",\"size\":3145728}",
        "{\"id\":\"m\",\"size\":8388608,\"block-size\":3145728}",
        "{\"id\":\"m\",\"size\":8388608,\"requested-size\":16777216}",
        "{\"id\":\"m\",\"size\":8388608,\"memaddr\":1048576}",
        "{\"id\":\"m\",\"size\":8388608,\"memaddr\":2097152}",
        "{\"id\":\"m\",\"size\":4294967296}",
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        FakeGuest g;

        fake_guest_init(&g, RAM);
        ok(device_from_json(&g, mem_create, wrong[i]) == NULL, "refused: %s", wrong[i]);
        fake_guest_destroy(&g);
    }
}

int main(void)
{
    test_blocks();
    test_short();
    test_management();
    test_wrong();
    return done();
}
