/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory balloon (virtio 1.2, 5.5).
 *
 * Queues: 0 inflate, 1 deflate, 2 statistics, 3 and 4 free page reporting. The specification numbers the
 * reporting queue 4 and leaves 3 to free page hints, which this device does not offer; Linux up to 6.10
 * counts only the queues that exist and takes 3. So both do the same.
 *
 * A page the guest gives (inflate, report) is dropped from the host's memory when it lies in guest RAM;
 * anything else is the guest's fault. A page it takes back comes by a fault, so deflate only answers. A
 * reported page that the guest expects to find poisoned (poison_val other than 0) is left alone (5.5.6.7.1).
 *
 * Statistics (5.5.6.3): the guest leaves a buffer with numbers; we keep it, and give it back when the polling
 * period is over: that asks for new ones.
 *
 * Properties: deflate-on-oom, free-page-reporting, page-poison, guest-stats-polling-interval (seconds, 0
 * off).
 *
 * Everything runs on dev->loop, which is the main loop.
 *
 * #syscalls madvise
 */
#include "vmm/virtio/balloon.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "vmm/log.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/paced_event.h"
#include "vmm/virtio/virtqueue.h"

enum { F_STATS = 1, F_DEFLATE_ON_OOM = 2, F_PAGE_POISON = 4, F_REPORTING = 5 };
enum { Q_INFLATE, Q_DEFLATE, Q_STATS, Q_REPORT, Q_REPORT_SPEC, QUEUES };
enum { PFN_SHIFT = 12 };

#define BUFFERS_MAX 256 /* a chain is never longer than its queue */
#define PFNS_MAX 65536 /* in one chain; Linux sends 256 */
#define STATS_BYTES_MAX 1024 /* 10 bytes a number */

/* 5.5.4 */
typedef struct BalloonConfig {
    uint32_t num_pages, actual, free_page_hint_cmd_id, poison_val;
} BalloonConfig;

enum { CONFIG_ACTUAL = 4, CONFIG_POISON = 12 };

/* Tags of 5.5.6.4 in their order, QEMU's names for them, where they go in the statistics page. */
static const struct {
    const char *name;
    size_t offset;
} stat_table[] = {
    {"stat-swap-in", offsetof(StatsBalloon, swap_in)},
    {"stat-swap-out", offsetof(StatsBalloon, swap_out)},
    {"stat-major-faults", offsetof(StatsBalloon, major_faults)},
    {"stat-minor-faults", offsetof(StatsBalloon, minor_faults)},
    {"stat-free-memory", offsetof(StatsBalloon, free)},
    {"stat-total-memory", offsetof(StatsBalloon, total)},
    {"stat-available-memory", offsetof(StatsBalloon, available)},
    {"stat-disk-caches", offsetof(StatsBalloon, disk_caches)},
    {"stat-htlb-pgalloc", offsetof(StatsBalloon, hugetlb_alloc)},
    {"stat-htlb-pgfail", offsetof(StatsBalloon, hugetlb_fail)},
};

typedef struct Balloon {
    VirtioDevice dev;
    bool deflate_on_oom, reporting;
    uint64_t period; /* seconds */
    uint32_t actual_pages; /* what the guest says it has given */
    uint32_t poison;
    uint64_t stats[ARRAY_LEN(stat_table)];
    uint64_t last_update; /* seconds since 1970 */
    bool stats_held; /* the guest's buffer is here */
    uint16_t stats_head;
    bool discard_failed; /* said so once */
    bool paused;
    LoopTimer poll;
    PacedEvent change;
} Balloon;

static uint64_t *page_stat(StatsBalloon *page, size_t i)
{
    return (uint64_t *)((char *)page + stat_table[i].offset);
}

/* --- giving memory back --- */

/* false: not guest RAM. */
static bool discard(Balloon *b, uint64_t gpa, uint64_t len)
{
    int r = memory_discard(b->dev.memory, gpa, len);

    if (r < 0 && r != -EFAULT && !b->discard_failed) {
        /* Huge pages cannot be given back piece by piece. The balloon still works as a limit. */
        b->discard_failed = true;
        log_note("balloon %s: the host keeps the memory that the guest gives: %s", b->dev.id, strerror(-r));
    }
    return r != -EFAULT;
}

/* One chain of little-endian page numbers; neighbours go together. */
static bool inflate(Balloon *b, const VirtqElem *elem)
{
    uint64_t start = 0, end = 0, done = 0, total = elem->out_len & ~3ull;
    uint32_t pfns[256];

    if (total / 4 > PFNS_MAX) {
        virtio_device_fail(&b->dev, "more than %d pages in one request", PFNS_MAX);
        return false;
    }
    while (done < total) {
        uint64_t part =
            iov_to_buffer(elem->iov, elem->out_count, done, pfns, MIN(sizeof pfns, total - done));

        for (uint64_t i = 0; i < part / 4; i++) {
            uint64_t gpa = (uint64_t)le32toh(pfns[i]) << PFN_SHIFT;

            if (memory_at(b->dev.memory, gpa, 1u << PFN_SHIFT) == NULL) {
                virtio_device_fail(&b->dev, "page 0x%" PRIx64 " of the balloon is no memory", gpa);
                return false;
            }
            if (start < end && gpa == end) {
                end += 1u << PFN_SHIFT;
                continue;
            }
            if (start < end)
                (void)discard(b, start, end - start);
            start = gpa;
            end = gpa + (1u << PFN_SHIFT);
        }
        done += part;
    }
    if (start < end)
        (void)discard(b, start, end - start);
    return true;
}

/* 5.5.6.7: each buffer is a run of free pages. */
static bool report(Balloon *b, const VirtqElem *elem)
{
    StatsBalloon *page = b->dev.host->stats_balloon(b->dev.host);
    const struct iovec *in = virtq_elem_in(elem);

    for (unsigned i = 0; i < elem->in_count; i++) {
        uint64_t gpa = (uintptr_t)in[i].iov_base, len = in[i].iov_len;
        uint64_t first = ALIGN_UP(gpa, 1ull << PFN_SHIFT), last = ALIGN_DOWN(gpa + len, 1ull << PFN_SHIFT);

        if (memory_at(b->dev.memory, gpa, len) == NULL) {
            virtio_device_fail(&b->dev, "reported pages at 0x%" PRIx64 " are no memory", gpa);
            return false;
        }
        if (b->poison != 0 || first >= last)
            continue;
        (void)discard(b, first, last - first);
        __atomic_fetch_add(&page->reported, last - first, __ATOMIC_RELAXED);
    }
    return true;
}

/* --- statistics --- */

static void read_stats(Balloon *b, const VirtqElem *elem)
{
    StatsBalloon *page = b->dev.host->stats_balloon(b->dev.host);
    uint8_t bytes[STATS_BYTES_MAX];
    uint64_t len = iov_to_buffer(elem->iov, elem->out_count, 0, bytes, sizeof bytes);
    struct timespec now;

    for (size_t i = 0; i < ARRAY_LEN(stat_table); i++)
        b->stats[i] = UINT64_MAX;
    for (uint64_t at = 0; at + 10 <= len; at += 10) {
        uint16_t tag;
        uint64_t value;

        memcpy(&tag, bytes + at, 2);
        memcpy(&value, bytes + at + 2, 8);
        tag = le16toh(tag);
        if (tag < ARRAY_LEN(stat_table))
            b->stats[tag] = le64toh(value);
    }
    for (size_t i = 0; i < ARRAY_LEN(stat_table); i++)
        __atomic_store_n(page_stat(page, i), b->stats[i], __ATOMIC_RELAXED);
    clock_gettime(CLOCK_REALTIME, &now);
    b->last_update = (uint64_t)now.tv_sec;
    __atomic_store_n(&page->last_update, b->last_update, __ATOMIC_RELAXED);
}

static void set_poll_timer(Balloon *b)
{
    loop_timer_cancel(&b->poll);
    if (b->period > 0 && b->dev.active && !b->paused && virtio_has(&b->dev, F_STATS))
        (void)loop_timer_set(&b->poll, loop_now() + b->period * 1000000000ull);
}

static void poll_expired(void *opaque)
{
    Balloon *b = opaque;
    Virtqueue *vq = virtio_queue(&b->dev, Q_STATS);

    if (b->stats_held) {
        b->stats_held = false;
        virtqueue_push_head(vq, b->stats_head, 0);
        virtqueue_notify(vq);
    }
    set_poll_timer(b);
}

/* The guest has one buffer; a second one while we keep the first returns the first. */
static void handle_stats(Balloon *b, Virtqueue *vq)
{
    struct iovec iov[BUFFERS_MAX];
    VirtqElem elem = {.iov = iov, .iov_max = BUFFERS_MAX};

    do {
        virtqueue_disable_notify(vq);
        while (virtqueue_pop(vq, &elem) > 0) {
            if (b->stats_held)
                virtqueue_push_head(vq, b->stats_head, 0);
            read_stats(b, &elem);
            b->stats_held = true;
            b->stats_head = elem.head;
        }
    } while (virtqueue_enable_notify(vq));
    virtqueue_notify(vq);
}

/* --- queues --- */

static void balloon_kick(VirtioDevice *dev, Virtqueue *vq)
{
    Balloon *b = (Balloon *)dev;
    unsigned index = virtqueue_index(vq);
    struct iovec iov[BUFFERS_MAX];
    VirtqElem elem = {.iov = iov, .iov_max = BUFFERS_MAX};
    bool good = true;

    if (index == Q_STATS && virtio_has(dev, F_STATS)) {
        handle_stats(b, vq);
        return;
    }
    do {
        virtqueue_disable_notify(vq);
        while (good && (index >= Q_STATS ? virtqueue_pop_gpa(vq, &elem) : virtqueue_pop(vq, &elem)) > 0) {
            if (index == Q_INFLATE)
                good = inflate(b, &elem);
            else if (index >= Q_STATS)
                good = report(b, &elem);
            if (good)
                virtqueue_push(vq, &elem, 0);
        }
    } while (good && virtqueue_enable_notify(vq));
    virtqueue_notify(vq);
}

/* --- the size --- */

uint64_t balloon_actual(VirtioDevice *dev)
{
    uint64_t ram = memory_size(dev->memory), given = (uint64_t)((Balloon *)dev)->actual_pages << PFN_SHIFT;

    return ram - MIN(given, ram);
}

static void tell_change(void *opaque)
{
    Balloon *b = opaque;

    b->dev.host->event(b->dev.host, "BALLOON_CHANGE",
                       json_pack("{s:I}", "actual", (json_int_t)balloon_actual(&b->dev)));
}

static void set_actual(Balloon *b, uint32_t pages)
{
    uint32_t wire = htole32(pages);
    StatsBalloon *page = b->dev.host->stats_balloon(b->dev.host);

    virtio_config_set(&b->dev, CONFIG_ACTUAL, &wire, sizeof wire);
    if (b->actual_pages == pages)
        return;
    b->actual_pages = pages;
    __atomic_store_n(&page->actual, balloon_actual(&b->dev), __ATOMIC_RELAXED);
    paced_event_raise(&b->change);
}

void balloon_set_target(VirtioDevice *dev, uint64_t bytes)
{
    StatsBalloon *page = dev->host->stats_balloon(dev->host);
    uint64_t ram = memory_size(dev->memory);
    uint32_t pages;

    bytes = MIN(bytes, ram);
    pages = htole32((uint32_t)MIN((ram - bytes) >> PFN_SHIFT, UINT32_MAX));
    __atomic_store_n(&page->target, bytes, __ATOMIC_RELAXED);
    virtio_config_update(dev, 0, &pages, sizeof pages);
}

static void balloon_config_write(VirtioDevice *dev, unsigned offset, const void *data, unsigned len)
{
    Balloon *b = (Balloon *)dev;
    BalloonConfig c;

    virtio_config_get(dev, 0, &c, sizeof c);
    if (!range_inside(offset, len, sizeof c))
        return;
    memcpy((uint8_t *)&c + offset, data, len);
    /* Only these two are the driver's (5.5.4). */
    if (offset < CONFIG_ACTUAL + 4 && offset + len > CONFIG_ACTUAL)
        set_actual(b, le32toh(c.actual));
    if (offset + len > CONFIG_POISON && (dev->offered & VIRTIO_BIT(F_PAGE_POISON))) {
        virtio_config_set(dev, CONFIG_POISON, &c.poison_val, sizeof c.poison_val);
        b->poison = le32toh(c.poison_val);
    }
}

/* --- properties --- */

static int balloon_get_property(VirtioDevice *dev, const char *name, json_t **ret, Err *err)
{
    Balloon *b = (Balloon *)dev;
    json_t *stats;

    (void)err;
    if (strcmp(name, "guest-stats-polling-interval") == 0) {
        *ret = json_integer((json_int_t)b->period);
    } else if (strcmp(name, "deflate-on-oom") == 0) {
        *ret = json_boolean(b->deflate_on_oom);
    } else if (strcmp(name, "free-page-reporting") == 0) {
        *ret = json_boolean(b->reporting);
    } else if (strcmp(name, "guest-stats") == 0) {
        stats = json_object();
        /* -1: the guest has not said (QEMU's 2^64 - 1). */
        for (size_t i = 0; i < ARRAY_LEN(stat_table); i++)
            json_object_set_new(stats, stat_table[i].name, json_integer((json_int_t)b->stats[i]));
        *ret = json_pack("{s:o, s:I}", "stats", stats, "last-update", (json_int_t)b->last_update);
    } else {
        return -ENOENT;
    }
    return 0;
}

static int balloon_set_property(VirtioDevice *dev, const char *name, json_t *value, Err *err)
{
    Balloon *b = (Balloon *)dev;

    if (strcmp(name, "guest-stats-polling-interval") != 0)
        return -ENOENT;
    if (!json_is_integer(value))
        return err_set(err, EINVAL, "Invalid parameter type for '%s', expected: integer", name);
    if (json_integer_value(value) < 0)
        return err_set(err, EINVAL, "timer value must be greater than zero");
    if (json_integer_value(value) > UINT32_MAX)
        return err_set(err, EINVAL, "timer value is too big");
    b->period = (uint64_t)json_integer_value(value);
    set_poll_timer(b);
    /* The first numbers soon, not after a whole period. */
    if (b->poll.slot != 0)
        (void)loop_timer_set(&b->poll, loop_now());
    return 0;
}

/* --- life --- */

static int balloon_activate(VirtioDevice *dev)
{
    ((Balloon *)dev)->paused = false; /* a paused guest starts nothing */
    set_poll_timer((Balloon *)dev);
    return 0;
}

static void balloon_deactivate(VirtioDevice *dev)
{
    Balloon *b = (Balloon *)dev;
    uint32_t none = 0;

    loop_timer_cancel(&b->poll);
    b->stats_held = false;
    b->poison = 0;
    virtio_config_set(dev, CONFIG_POISON, &none, sizeof none);
    /* A driver that starts again has given nothing yet. */
    set_actual(b, 0);
}

static void balloon_set_running(VirtioDevice *dev, bool running)
{
    Balloon *b = (Balloon *)dev;

    b->paused = !running;
    set_poll_timer(b);
}

static void balloon_free(VirtioDevice *dev)
{
    Balloon *b = (Balloon *)dev;

    loop_timer_cancel(&b->poll);
    paced_event_cancel(&b->change);
}

static const VirtioDeviceOps balloon_ops = {
    .name = "virtio-balloon",
    .type = VIRTIO_TYPE_BALLOON,
    .pci_class = 0x00ff00,
    .state_size = sizeof(Balloon),
    .activate = balloon_activate,
    .deactivate = balloon_deactivate,
    .kick = balloon_kick,
    .config_write = balloon_config_write,
    .set_running = balloon_set_running,
    .get_property = balloon_get_property,
    .set_property = balloon_set_property,
    .free = balloon_free,
};

int balloon_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err)
{
    static const uint16_t sizes[QUEUES] = {128, 128, 128, 128, 128};
    BalloonConfig config = {0};
    bool deflate_on_oom, reporting, poison;
    uint64_t period;
    VirtioDevice *dev;
    Balloon *b;
    int r;

    if ((r = props_bool(props, "deflate-on-oom", false, &deflate_on_oom, err)) < 0 ||
        (r = props_bool(props, "free-page-reporting", false, &reporting, err)) < 0 ||
        (r = props_bool(props, "page-poison", true, &poison, err)) < 0 ||
        (r = props_uint(props, "guest-stats-polling-interval", 0, UINT32_MAX, 0, &period, err)) < 0)
        return r;
    r = virtio_device_new(&balloon_ops, props_id(props), host, host->main_loop, sizes,
                          reporting ? QUEUES : Q_REPORT, &dev, err);
    if (r < 0)
        return r;
    b = (Balloon *)dev;
    b->deflate_on_oom = deflate_on_oom;
    b->reporting = reporting;
    b->period = period;
    for (size_t i = 0; i < ARRAY_LEN(stat_table); i++)
        b->stats[i] = UINT64_MAX;
    dev->offered = VIRTIO_BIT(F_STATS) | (deflate_on_oom ? VIRTIO_BIT(F_DEFLATE_ON_OOM) : 0) |
                   (reporting ? VIRTIO_BIT(F_REPORTING) : 0) | (poison ? VIRTIO_BIT(F_PAGE_POISON) : 0);
    virtio_config_set(dev, 0, &config, sizeof config);
    loop_timer_init(dev->loop, &b->poll, poll_expired, b);
    paced_event_init(&b->change, dev->loop, tell_change, b);
    *ret = dev;
    return 0;
}
