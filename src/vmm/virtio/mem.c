/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that grows and shrinks (virtio 1.2, 5.15).
 *
 *   addr                                usable                        addr + size
 *    |  block | block | block | ...       |  not yet for the guest  |
 *    | in use |  free | in use|           |                         |
 *
 * The device owns a range of the address space behind RAM. Management says how much of it the guest should
 * have (requested-size); the guest plugs and unplugs blocks of its own choice until it has that. A block that
 * is unplugged goes back to the host. The whole range is RAM to KVM from the start (nothing is behind it
 * until it is touched), so plugging costs nothing and vhost needs no news. A guest that touches unplugged blocks all the
 * same gets zeroes and memory (5.15.6 leaves it undefined): never more than `size`, which is what the host must reckon with.
 *
 * A request that the guest may not make is answered with an error (5.15.6); one that is no request at all
 * breaks the device. A driver that starts again unplugs everything first, so a reset changes nothing here.
 *
 * Properties: size (bytes, most the guest can have), requested-size, block-size, node, memaddr (default:
 * behind what there is), memdev (name only). requested-size can be changed later.
 *
 * Everything runs on dev->loop, which is the main loop.
 *
 * #syscalls madvise
 */
#include "vmm/virtio/mem.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/paced_event.h"
#include "vmm/virtio/virtqueue.h"

enum { F_ACPI_PXM = 0, F_UNPLUGGED_INACCESSIBLE = 1 };
enum { REQ_PLUG, REQ_UNPLUG, REQ_UNPLUG_ALL, REQ_STATE };
enum { RESP_ACK, RESP_NACK, RESP_BUSY, RESP_ERROR };
enum { STATE_PLUGGED, STATE_UNPLUGGED, STATE_MIXED };

#define BLOCK_DEFAULT (2ull << 20) /* a transparent huge page */
#define BLOCK_MIN (1ull << 20)
#define ADDRESS_ALIGN (128ull << 20) /* what Linux adds memory in */
/* The guest may look for free blocks a little beyond what it should have. */
#define USABLE_EXTENT (256ull << 20)
#define BUFFERS_MAX 16

/* 5.15.4 */
typedef struct MemConfig {
    uint64_t block_size;
    uint16_t node_id;
    uint8_t padding[6];
    uint64_t addr, region_size, usable_region_size, plugged_size, requested_size;
} MemConfig;

/* 5.15.6 */
typedef struct MemRequest {
    uint16_t type;
    uint16_t padding[3];
    uint64_t addr;
    uint16_t nb_blocks;
    uint16_t padding2[3];
} MemRequest;

typedef struct __attribute__((packed)) MemResponse {
    uint16_t type;
    uint16_t padding[3];
    uint16_t state;
} MemResponse;

typedef struct Mem {
    VirtioDevice dev;
    uint64_t addr, size, block;
    uint64_t usable, plugged, requested;
    uint16_t node;
    char memdev[64];
    uint8_t *in_use; /* a bit a block */
    PacedEvent change;
} Mem;

/* --- blocks --- */

static bool is_plugged(const Mem *m, uint64_t index)
{
    return m->in_use[index / 8] & 1u << index % 8;
}

static void set_plugged(Mem *m, uint64_t index, bool plugged)
{
    if (plugged)
        m->in_use[index / 8] |= (uint8_t)(1u << index % 8);
    else
        m->in_use[index / 8] &= (uint8_t) ~(1u << index % 8);
}

/* Plugged blocks in [first, first + count). */
static uint64_t count_plugged(const Mem *m, uint64_t first, uint64_t count)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < count; i++)
        n += is_plugged(m, first + i);
    return n;
}

static bool valid_range(const Mem *m, uint64_t addr, uint64_t len)
{
    return addr % m->block == 0 && len > 0 && addr >= m->addr && range_inside(addr - m->addr, len, m->usable);
}

static void show_config(Mem *m, bool interrupt)
{
    MemConfig c = {
        .block_size = htole64(m->block),
        .node_id = htole16(m->node),
        .addr = htole64(m->addr),
        .region_size = htole64(m->size),
        .usable_region_size = htole64(m->usable),
        .plugged_size = htole64(m->plugged),
        .requested_size = htole64(m->requested),
    };

    if (interrupt)
        virtio_config_update(&m->dev, 0, &c, sizeof c);
    else
        virtio_config_set(&m->dev, 0, &c, sizeof c);
}

static void set_usable(Mem *m, bool may_shrink)
{
    uint64_t usable = m->requested == 0 ? 0 : ALIGN_UP(MIN(m->size, m->requested + USABLE_EXTENT), m->block);

    if (usable > m->usable || may_shrink)
        m->usable = usable;
}

static void changed(Mem *m)
{
    show_config(m, false);
    paced_event_raise(&m->change);
}

static uint16_t plug(Mem *m, uint64_t addr, uint64_t len)
{
    uint64_t first = (addr - m->addr) / m->block, count = len / m->block;

    if (!valid_range(m, addr, len) || count_plugged(m, first, count) != 0)
        return RESP_ERROR;
    if (m->plugged + len > m->requested)
        return RESP_NACK;
    for (uint64_t i = 0; i < count; i++)
        set_plugged(m, first + i, true);
    m->plugged += len;
    changed(m);
    return RESP_ACK;
}

static uint16_t unplug(Mem *m, uint64_t addr, uint64_t len)
{
    uint64_t first = (addr - m->addr) / m->block, count = len / m->block;

    if (!valid_range(m, addr, len) || count_plugged(m, first, count) != count)
        return RESP_ERROR;
    if (memory_discard(m->dev.memory, addr, len) < 0)
        return RESP_BUSY;
    for (uint64_t i = 0; i < count; i++)
        set_plugged(m, first + i, false);
    m->plugged -= len;
    changed(m);
    return RESP_ACK;
}

static uint16_t unplug_all(Mem *m)
{
    if (m->plugged > 0 && memory_discard(m->dev.memory, m->addr, m->size) < 0)
        return RESP_BUSY;
    memset(m->in_use, 0, DIV_ROUND_UP(m->size / m->block, 8));
    m->plugged = 0;
    set_usable(m, true);
    changed(m);
    return RESP_ACK;
}

static uint16_t state(Mem *m, uint64_t addr, uint64_t len, uint16_t *ret_state)
{
    uint64_t count = len / m->block, n;

    if (!valid_range(m, addr, len))
        return RESP_ERROR;
    n = count_plugged(m, (addr - m->addr) / m->block, count);
    *ret_state = n == 0 ? STATE_UNPLUGGED : n == count ? STATE_PLUGGED : STATE_MIXED;
    return RESP_ACK;
}

/* --- requests --- */

static bool handle(Mem *m, const VirtqElem *elem)
{
    MemRequest request;
    MemResponse response = {0};
    uint16_t found = 0, answer;
    uint64_t addr, len;

    if (iov_to_buffer(elem->iov, elem->out_count, 0, &request, sizeof request) != sizeof request ||
        elem->in_len < sizeof response) {
        virtio_device_fail(&m->dev, "a request or the place for its answer is too short");
        return false;
    }
    addr = le64toh(request.addr);
    len = le16toh(request.nb_blocks) * m->block;
    switch (le16toh(request.type)) {
    case REQ_PLUG:
        answer = plug(m, addr, len);
        break;
    case REQ_UNPLUG:
        answer = unplug(m, addr, len);
        break;
    case REQ_UNPLUG_ALL:
        answer = unplug_all(m);
        break;
    case REQ_STATE:
        answer = state(m, addr, len, &found);
        break;
    default:
        virtio_device_fail(&m->dev, "request type %u is not known", le16toh(request.type));
        return false;
    }
    response.type = htole16(answer);
    response.state = htole16(found);
    (void)iov_from_buffer(virtq_elem_in(elem), elem->in_count, 0, &response, sizeof response);
    return true;
}

static void mem_kick(VirtioDevice *dev, Virtqueue *vq)
{
    struct iovec iov[BUFFERS_MAX];
    VirtqElem elem = {.iov = iov, .iov_max = BUFFERS_MAX};
    bool good = true;

    do {
        virtqueue_disable_notify(vq);
        while (good && virtqueue_pop(vq, &elem) > 0) {
            good = handle((Mem *)dev, &elem);
            if (good)
                virtqueue_push(vq, &elem, sizeof(MemResponse));
        }
    } while (good && virtqueue_enable_notify(vq));
    virtqueue_notify(vq);
}

/* --- management --- */

json_t *mem_describe(VirtioDevice *dev)
{
    Mem *m = (Mem *)dev;

    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:i, s:s}", "id", dev->id, "memaddr",
                     (json_int_t)m->addr, "requested-size", (json_int_t)m->requested, "size",
                     (json_int_t)m->plugged, "max-size", (json_int_t)m->size, "block-size",
                     (json_int_t)m->block, "node", m->node, "memdev", m->memdev);
}

uint64_t mem_plugged(VirtioDevice *dev)
{
    return ((Mem *)dev)->plugged;
}

static void tell_change(void *opaque)
{
    Mem *m = opaque;

    m->dev.host->event(m->dev.host, "MEMORY_DEVICE_SIZE_CHANGE",
                       json_pack("{s:s, s:I, s:s+}", "id", m->dev.id, "size", (json_int_t)m->plugged,
                                 "qom-path", "/machine/peripheral/", m->dev.id));
}

static int mem_get_property(VirtioDevice *dev, const char *name, json_t **ret, Err *err)
{
    Mem *m = (Mem *)dev;
    const struct {
        const char *name;
        uint64_t value;
    } values[] = {{"requested-size", m->requested},
                  {"size", m->plugged},
                  {"block-size", m->block},
                  {"memaddr", m->addr},
                  {"node", m->node}};

    (void)err;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        if (strcmp(values[i].name, name) == 0) {
            *ret = json_integer((json_int_t)values[i].value);
            return 0;
        }
    }
    return -ENOENT;
}

static int check_requested(const Mem *m, uint64_t value, Err *err)
{
    if (value % m->block != 0)
        return err_set(err, EINVAL, "'requested-size' has to be multiples of 'block-size' (0x%" PRIx64 ")",
                       m->block);
    if (value > m->size)
        return err_set(err, EINVAL, "'requested-size' cannot exceed the memory backend size (0x%" PRIx64 ")",
                       m->size);
    return 0;
}

static int mem_set_property(VirtioDevice *dev, const char *name, json_t *value, Err *err)
{
    Mem *m = (Mem *)dev;
    int r;

    if (strcmp(name, "requested-size") != 0)
        return -ENOENT;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return err_set(err, EINVAL, "Invalid parameter type for 'requested-size', expected: integer");
    r = check_requested(m, (uint64_t)json_integer_value(value), err);
    if (r < 0 || m->requested == (uint64_t)json_integer_value(value))
        return r;
    m->requested = (uint64_t)json_integer_value(value);
    set_usable(m, false);
    show_config(m, true);
    return 0;
}

/* --- life --- */

static void mem_free(VirtioDevice *dev)
{
    Mem *m = (Mem *)dev;

    paced_event_cancel(&m->change);
    if (m->plugged > 0)
        (void)memory_discard(dev->memory, m->addr, m->size);
    free(m->in_use);
}

static const VirtioDeviceOps mem_ops = {
    .name = "virtio-mem",
    .type = VIRTIO_TYPE_MEM,
    .pci_class = 0x00ff00,
    .state_size = sizeof(Mem),
    .kick = mem_kick,
    .get_property = mem_get_property,
    .set_property = mem_set_property,
    .free = mem_free,
};

/* Behind all memory there is. */
static uint64_t free_address(const GuestMemory *memory, uint64_t align)
{
    const MemoryRegion *last = memory_region(memory, memory_region_count(memory) - 1);

    return ALIGN_UP(MAX(memory_high_end(memory), last->gpa + last->size), align);
}

int mem_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err)
{
    static const uint16_t sizes[] = {128};
    uint64_t size, requested, block, node, addr;
    const char *id = props_id(props), *memdev;
    VirtioDevice *dev;
    Mem *m;
    int r;

    if ((r = props_uint(props, "size", BLOCK_MIN, 1ull << 44, 0, &size, err)) < 0 ||
        (r = props_uint(props, "requested-size", 0, 1ull << 44, 0, &requested, err)) < 0 ||
        (r = props_uint(props, "block-size", BLOCK_MIN, 1ull << 40, BLOCK_DEFAULT, &block, err)) < 0 ||
        (r = props_uint(props, "node", 0, UINT16_MAX, 0, &node, err)) < 0 ||
        (r = props_uint(props, "memaddr", 0, 1ull << 46, 0, &addr, err)) < 0 ||
        (r = props_string(props, "memdev", "", &memdev, err)) < 0)
        return r;
    if ((block & (block - 1)) != 0)
        return err_set(err, EINVAL, "virtio-mem %s: 'block-size' has to be a power of two", id);
    if (size == 0 || size % block != 0)
        return err_set(err, EINVAL,
                       "virtio-mem %s: 'size' has to be a multiple of 'block-size' (0x%" PRIx64 ")", id,
                       block);
    if (addr == 0)
        addr = free_address(host->memory, MAX(block, ADDRESS_ALIGN));
    if (addr % block != 0)
        return err_set(err, EINVAL, "virtio-mem %s: 'memaddr' has to be a multiple of 'block-size'", id);
    r = virtio_device_new(&mem_ops, id, host, host->main_loop, sizes, 1, &dev, err);
    if (r < 0)
        return r;
    m = (Mem *)dev;
    m->addr = addr;
    m->size = size;
    m->block = block;
    m->node = (uint16_t)node;
    snprintf(m->memdev, sizeof m->memdev, "%s", memdev);
    paced_event_init(&m->change, dev->loop, tell_change, m);
    m->in_use = calloc(1, DIV_ROUND_UP(size / block, 8));
    if (m->in_use == NULL)
        r = err_set(err, ENOMEM, "virtio-mem %s: out of memory", id);
    if (r == 0)
        r = check_requested(m, requested, err);
    if (r == 0)
        r = memory_add_region(host->memory, addr, size, err);
    if (r == 0)
        r = host->memory_changed(host, err);
    if (r < 0) {
        virtio_device_free(dev);
        return err_prefix(err, "virtio-mem %s", id);
    }
    m->requested = requested;
    set_usable(m, true);
    show_config(m, false);
    dev->offered = VIRTIO_BIT(F_ACPI_PXM) | VIRTIO_BIT(F_UNPLUGGED_INACCESSIBLE);
    *ret = dev;
    return 0;
}
