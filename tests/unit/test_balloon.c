/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The balloon through a fake guest: pages come and go, statistics, reporting, the size. */
#include <string.h>
#include <sys/mman.h>

#include "lib/device_fuzz.h"
#include "lib/fake_guest.h"
#include "lib/tap.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/devices.h"

enum { F_STATS = 1, F_POISON = 4, F_REPORTING = 5 };
enum { INFLATE, DEFLATE, STATS, REPORT, REPORT_SPEC };
#define RAM (16u << 20)

static bool is_zero(FakeGuest *g, uint64_t gpa, size_t len)
{
    const uint8_t *p = fake_guest_host(g, gpa, len);

    for (size_t i = 0; i < len; i++) {
        if (p[i] != 0)
            return false;
    }
    return true;
}

static bool resident(FakeGuest *g, uint64_t gpa)
{
    unsigned char vec = 0;

    return mincore(fake_guest_host(g, gpa, 4096), 4096, &vec) == 0 && (vec & 1);
}

static void send_pfns(FakeGuest *g, unsigned queue, const uint32_t *pfns, unsigned count)
{
    uint64_t at = fake_guest_alloc(g, 4 * count);

    memcpy(fake_guest_host(g, at, 4 * count), pfns, 4 * count);
    fake_guest_add(g, queue, 1, (FakeBuffer[]){{at, 4 * count, false}});
    fake_guest_kick(g, queue);
}

static void test_pages(void)
{
    FakeGuest g;
    uint32_t head, len;

    fake_guest_init(&g, RAM);
    ok(fake_guest_start(&g, device_from_json(&g, balloon_create, "{\"id\":\"balloon0\"}"),
                        VIRTIO_BIT(VIRTIO_F_VERSION_1)) == 0,
       "starts");
    uint64_t pages = fake_guest_alloc(&g, 8 * 4096);
    uint32_t pfn = (uint32_t)(pages >> 12);

    memset(fake_guest_host(&g, pages, 8 * 4096), 0x55, 8 * 4096);
    send_pfns(&g, INFLATE, (uint32_t[]){pfn, pfn + 1, pfn + 2, pfn + 5}, 4);
    ok(fake_guest_used(&g, INFLATE, &head, &len) && len == 0, "inflate is answered");
    ok(!resident(&g, pages) && !resident(&g, pages + 5 * 4096), "the host has the pages back");
    ok(is_zero(&g, pages, 3 * 4096) && is_zero(&g, pages + 5 * 4096, 4096), "they read as zero");
    ok(!is_zero(&g, pages + 3 * 4096, 1) && !is_zero(&g, pages + 4 * 4096, 1) &&
           !is_zero(&g, pages + 6 * 4096, 1),
       "their neighbours are untouched");
    send_pfns(&g, DEFLATE, (uint32_t[]){pfn, 0xffffffff}, 2);
    ok(fake_guest_used(&g, DEFLATE, &head, &len), "deflate is answered");

    send_pfns(&g, INFLATE, (uint32_t[]){pfn + 3, RAM >> 12}, 2);
    ok(g.needs_reset && !fake_guest_used(&g, INFLATE, &head, &len), "a page beyond memory: needs reset");
    fake_guest_destroy(&g);
}

static void test_size(void)
{
    FakeGuest g;
    uint32_t value;
    VirtioDevice *dev;

    fake_guest_init(&g, RAM);
    dev = device_from_json(&g, balloon_create, "{\"id\":\"balloon0\"}");
    fake_guest_start(&g, dev, VIRTIO_BIT(VIRTIO_F_VERSION_1));
    balloon_set_target(dev, RAM - (1 << 20));
    virtio_config_get(dev, 0, &value, 4);
    ok(value == 256 && g.config_interrupts == 1 && g.stats_balloon.target == RAM - (1 << 20),
       "a target is shown to the driver");
    ok(balloon_actual(dev) == RAM, "nothing given yet");
    value = 256;
    dev->ops->config_write(dev, 4, &value, 4);
    ok(balloon_actual(dev) == RAM - (1 << 20) && g.stats_balloon.actual == RAM - (1 << 20),
       "the driver says what it gave");
    ok(strcmp(g.last_event, "BALLOON_CHANGE") == 0 && strcmp(g.last_event_data, "{\"actual\":15728640}") == 0,
       "BALLOON_CHANGE");
    value = 300;
    dev->ops->config_write(dev, 4, &value, 4);
    value = 0xffffffff;
    dev->ops->config_write(dev, 4, &value, 4);
    ok(g.events == 1, "the next event waits for the second to be over");
    ok(balloon_actual(dev) == 0, "more than there is counts as all of it");
    value = 77;
    dev->ops->config_write(dev, 0, &value, 4);
    virtio_config_get(dev, 0, &value, 4);
    ok(value == 256, "num_pages is not the driver's");
    balloon_set_target(dev, UINT64_MAX);
    virtio_config_get(dev, 0, &value, 4);
    ok(value == 0, "a target above RAM is all of it");
    fake_guest_reset(&g);
    ok(balloon_actual(dev) == RAM, "a reset guest has all its memory");
    fake_guest_destroy(&g);
}

static json_t *stats_of(VirtioDevice *dev)
{
    json_t *ret = NULL;

    dev->ops->get_property(dev, "guest-stats", &ret, NULL);
    return ret;
}

static json_int_t stat(json_t *stats, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(stats, "stats"), name));
}

static void test_stats(void)
{
    FakeGuest g;
    uint32_t head, len;
    VirtioDevice *dev;
    json_t *stats, *number = json_integer(1);
    Err err = {0};
    uint8_t *p;
    static const uint64_t values[][2] = {{4, 1000}, {5, 2000}, {77, 5}, {9, 3}};

    fake_guest_init(&g, RAM);
    dev = device_from_json(&g, balloon_create, "{\"id\":\"balloon0\"}");
    fake_guest_start(&g, dev, VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(F_STATS));
    uint64_t at = fake_guest_alloc(&g, 64);

    stats = stats_of(dev);
    ok(stat(stats, "stat-free-memory") == -1 &&
           json_integer_value(json_object_get(stats, "last-update")) == 0,
       "no numbers before the guest spoke");
    json_decref(stats);
    p = fake_guest_host(&g, at, 64);
    for (int i = 0; i < 4; i++) {
        memcpy(p + 10 * i, &values[i][0], 2);
        memcpy(p + 10 * i + 2, &values[i][1], 8);
    }
    fake_guest_add(&g, STATS, 1, (FakeBuffer[]){{at, 45, false}});
    fake_guest_kick(&g, STATS);
    stats = stats_of(dev);
    ok(stat(stats, "stat-free-memory") == 1000 && stat(stats, "stat-total-memory") == 2000 &&
           stat(stats, "stat-htlb-pgfail") == 3 && stat(stats, "stat-swap-in") == -1 &&
           json_integer_value(json_object_get(stats, "last-update")) > 0,
       "numbers by tag, unknown tags and half records left out");
    json_decref(stats);
    ok(g.stats_balloon.free == 1000 && g.stats_balloon.swap_in == UINT64_MAX, "the statistics page has them");
    ok(!fake_guest_used(&g, STATS, &head, &len), "the buffer is kept");
    ok(dev->ops->set_property(dev, "guest-stats-polling-interval", number, &err) == 0 &&
           fake_guest_wait_used(&g, STATS, 30000) && fake_guest_used(&g, STATS, &head, &len) && len == 0,
       "polling gives it back");
    fake_guest_add(&g, STATS, 1, (FakeBuffer[]){{at, 40, false}});
    fake_guest_kick(&g, STATS);
    dev->ops->set_running(dev, false);
    dev->ops->set_property(dev, "guest-stats-polling-interval", number, &err);
    ok(!fake_guest_wait_used(&g, STATS, 20), "a paused device does not poll");
    json_decref(number);
    number = json_integer(-1);
    ok(dev->ops->set_property(dev, "guest-stats-polling-interval", number, &err) < 0 &&
           dev->ops->set_property(dev, "nonsense", number, &err) == -2,
       "wrong values and names are refused");
    json_decref(number);
    fake_guest_destroy(&g);
}

static void test_reporting(unsigned queue)
{
    uint64_t features =
        VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(F_STATS) | VIRTIO_BIT(F_REPORTING) | VIRTIO_BIT(F_POISON);
    FakeGuest g;
    uint32_t head, len, poison = 0xaa;
    VirtioDevice *dev;

    fake_guest_init(&g, RAM);
    dev = device_from_json(&g, balloon_create, "{\"id\":\"balloon0\",\"free-page-reporting\":\"on\"}");
    fake_guest_start(&g, dev, features);
    uint64_t pages = fake_guest_alloc(&g, 4 * 4096);

    memset(fake_guest_host(&g, pages, 4 * 4096), 0x66, 4 * 4096);
    fake_guest_add(&g, queue, 2, (FakeBuffer[]){{pages, 4096, true}, {pages + 2 * 4096, 2 * 4096 - 8, true}});
    fake_guest_kick(&g, queue);
    ok(fake_guest_used(&g, queue, &head, &len) && is_zero(&g, pages, 4096) && is_zero(&g, pages + 8192, 4096),
       "queue %u: reported pages are given back", queue);
    ok(!is_zero(&g, pages + 4096, 4096) && !is_zero(&g, pages + 3 * 4096, 4096), "queue %u: whole pages only",
       queue);
    ok(g.stats_balloon.reported == 8192, "queue %u: and counted", queue);
    dev->ops->config_write(dev, 12, &poison, 4);
    fake_guest_add(&g, queue, 1, (FakeBuffer[]){{pages + 4096, 4096, true}});
    fake_guest_kick(&g, queue);
    ok(fake_guest_used(&g, queue, &head, &len) && !is_zero(&g, pages + 4096, 4096),
       "queue %u: poisoned pages stay", queue);
    fake_guest_add(&g, queue, 1, (FakeBuffer[]){{RAM - 4096, 8192, true}});
    fake_guest_kick(&g, queue);
    ok(g.needs_reset, "queue %u: beyond memory: needs reset", queue);
    fake_guest_destroy(&g);
}

int main(void)
{
    test_pages();
    test_size();
    test_stats();
    test_reporting(REPORT);
    test_reporting(REPORT_SPEC);
    return done();
}
