/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Block device (virtio 1.2, 5.2): read, write, flush, discard, write-zeroes and the serial number, on one or more
 * queues, over a block node.
 *
 * A chain is a header of 16 bytes, data, and one status byte at the very end of the writable part; how the driver cuts
 * this into buffers is its affair (2.7.4.1). The header is copied once. Requests in flight keep their chain's buffer
 * list; there are never more of them than the queues are long.
 *
 * Errors of the host follow the policies werror and rerror (QEMU's names): report to the guest, ignore, or stop the
 * VM; then the request waits in `stopped` and is tried again when the VM goes on. A request that breaks the format
 * (no header, no status byte) breaks the device; one that merely asks for the impossible gets an I/O error.
 *
 * Properties: drive, serial, num-queues, queue-size, logical_block_size, physical_block_size, min_io_size, opt_io_size,
 * discard, write-zeroes, max-discard-sectors, config-wce, write-cache, werror, rerror, iothread, share-rw, bootindex,
 * discard_granularity.
 *
 * All on dev->loop, which is the node's loop.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/block/block.h"
#include "vmm/log.h"
#include "vmm/stats.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/io_policy.h"
#include "vmm/virtio/notify_batch.h"
#include "vmm/virtio/virtio.h"
#include "vmm/virtio/virtqueue.h"

/* Behind ours: it has macros of the same names. */
#include <linux/virtio_blk.h>

#define SECTOR 512u
#define SERIAL_LEN 20
#define REQUESTS_KEPT 64
#define QUEUES_MAX 64
/* Discard and write-zeroes: sectors at once; a chain carries one range. */
#define RANGE_SECTORS_MAX 4194303u

typedef struct Blk Blk;

typedef struct BlkRequest {
    BlockRequest block;
    Blk *blk;
    Virtqueue *vq;
    VirtqElem elem;
    uint8_t *status; /* in guest memory, written once */
    uint32_t type;
    uint64_t start_ns;
    int stats_kind; /* STATS_IO_… */
    struct BlkRequest *next; /* free list, or stopped */
    struct iovec iov[]; /* blk->iov_max */
} BlkRequest;

struct Blk {
    VirtioDevice dev;
    Block *block;
    StatsBlock *stats;
    char serial[SERIAL_LEN + 1];
    IoPolicy werror, rerror;
    bool writeback; /* as the driver set it */
    bool wce_default;
    unsigned iov_max;
    uint32_t block_size;
    BlkRequest *free_list;
    unsigned free_count;
    BlkRequest *stopped, **stopped_tail; /* wait for the VM to go on */
    bool idle; /* being deactivated or paused: nothing is popped */
    NotifyBatch notify;
};

_Static_assert(sizeof(struct virtio_blk_outhdr) == 16, "header as in 5.2.6");
_Static_assert(sizeof(struct virtio_blk_discard_write_zeroes) == 16, "segment as in 5.2.6");

/* --- requests' memory -------------------------------------------------------------------------------------- */

static BlkRequest *request_new(Blk *blk, Virtqueue *vq)
{
    BlkRequest *r = blk->free_list;

    if (r != NULL) {
        blk->free_list = r->next;
        blk->free_count--;
    } else {
        r = malloc(sizeof *r + blk->iov_max * sizeof r->iov[0]);
        if (r == NULL)
            return NULL;
    }
    r->blk = blk;
    r->vq = vq;
    r->next = NULL;
    r->elem.iov = r->iov;
    r->elem.iov_max = blk->iov_max;
    return r;
}

static void request_free(BlkRequest *r)
{
    Blk *blk = r->blk;

    if (blk->free_count < REQUESTS_KEPT) {
        r->next = blk->free_list;
        blk->free_list = r;
        blk->free_count++;
    } else {
        free(r);
    }
}

/* --- completion -------------------------------------------------------------------------------------------- */

static void finish(BlkRequest *r, uint8_t status, uint64_t written)
{
    Blk *blk = r->blk;

    *r->status = status;
    virtqueue_push(r->vq, &r->elem, (uint32_t)MIN(written + 1, UINT32_MAX));
    /* One interrupt for everything that ends in this turn of the loop. */
    notify_batch_add(&blk->notify, virtqueue_index(r->vq));
    request_free(r);
}

static void submit(BlkRequest *r);

/* Ends the request as the policy says, or has it wait for the VM to go on. */
static void apply_policy(BlkRequest *r, int error)
{
    Blk *blk = r->blk;
    bool write = r->block.kind != BLOCK_READ;
    IoPolicy policy = io_policy_apply(write ? blk->werror : blk->rerror, blk->dev.host, blk->dev.id,
                                      blk->block->node_name, write, error);

    if (policy == IO_STOP) {
        blk->block->last_error = error;
        if (blk->stopped == NULL)
            blk->stopped_tail = &blk->stopped;
        r->next = NULL;
        *blk->stopped_tail = r;
        blk->stopped_tail = &r->next;
    } else if (policy == IO_IGNORE) {
        finish(r, VIRTIO_BLK_S_OK, write ? 0 : r->block.length);
    } else {
        finish(r, VIRTIO_BLK_S_IOERR, 0);
    }
}

static void complete(BlockRequest *block, int result)
{
    BlkRequest *r = container_of(block, BlkRequest, block);

    stats_block_account(r->blk->stats, r->stats_kind, loop_now() - r->start_ns, r->block.offset, r->block.length,
                        result < 0);
    if (result >= 0) {
        finish(r, VIRTIO_BLK_S_OK, block->kind == BLOCK_READ ? block->length : 0);
    } else {
        log_note("%s: %s of %llu bytes at %llu: %s", r->blk->dev.id, block->kind == BLOCK_READ ? "read" : "write",
                 (unsigned long long)block->length, (unsigned long long)block->offset, strerror(-result));
        apply_policy(r, -result);
    }
}

/* --- taking requests --------------------------------------------------------------------------------------- */

static void submit(BlkRequest *r)
{
    r->start_ns = loop_now();
    r->block.complete = complete;
    block_submit(r->blk->block, &r->block);
}

/* Drops n bytes from the front (or the end) of a list. */
static void drop_front(struct iovec **iov, unsigned *count, size_t n)
{
    while (n > 0 && *count > 0) {
        size_t part = MIN(n, (*iov)->iov_len);

        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + part;
        (*iov)->iov_len -= part;
        n -= part;
        if ((*iov)->iov_len == 0) {
            (*iov)++;
            (*count)--;
        }
    }
}

static void read_or_write(BlkRequest *r, uint64_t sector, struct iovec *iov, unsigned count, uint64_t len, bool write)
{
    Blk *blk = r->blk;
    uint64_t offset;

    /* 5.2.6.1: whole sectors, inside the disk */
    if (len == 0 || len % blk->block_size != 0 || !checked_mul(sector, (uint64_t)SECTOR, &offset) ||
        offset % blk->block_size != 0 || !range_inside(offset, len, blk->block->info.size)) {
        stats_add(&blk->stats->errors[write ? STATS_IO_WRITE : STATS_IO_READ], 1);
        finish(r, VIRTIO_BLK_S_IOERR, 0);
        return;
    }
    if (write && blk->block->info.read_only) {
        finish(r, VIRTIO_BLK_S_IOERR, 0);
        return;
    }
    r->stats_kind = write ? STATS_IO_WRITE : STATS_IO_READ;
    r->block = (BlockRequest){.kind = write ? BLOCK_WRITE : BLOCK_READ,
                              .flags = write && !blk->writeback ? BLOCK_FUA : 0,
                              .offset = offset,
                              .length = len,
                              .iov = iov,
                              .iov_count = count};
    submit(r);
}

static void flush(BlkRequest *r)
{
    r->stats_kind = STATS_IO_FLUSH;
    r->block = (BlockRequest){.kind = BLOCK_FLUSH};
    submit(r);
}

static void get_id(BlkRequest *r, const struct iovec *in, unsigned in_count)
{
    char id[SERIAL_LEN] = {0};

    memcpy(id, r->blk->serial, strnlen(r->blk->serial, SERIAL_LEN));
    finish(r, VIRTIO_BLK_S_OK, chain_from_buffer(in, in_count, 0, id, sizeof id));
}

static void discard_or_zero(BlkRequest *r, const struct iovec *out, unsigned out_count, uint64_t len, bool zeroes)
{
    Blk *blk = r->blk;
    struct virtio_blk_discard_write_zeroes segment;
    uint64_t offset, length;
    uint32_t sectors, flags;

    if (len != sizeof segment) {
        finish(r, len % sizeof segment == 0 && len > 0 ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR, 0);
        return;
    }
    chain_to_buffer(out, out_count, 0, &segment, sizeof segment);
    sectors = le32toh(segment.num_sectors);
    flags = le32toh(segment.flags);
    length = (uint64_t)sectors * SECTOR;
    /* 5.2.6.2: unmap is the only flag, and only for write-zeroes. */
    if ((flags & ~VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP) != 0 || (!zeroes && flags != 0)) {
        finish(r, VIRTIO_BLK_S_UNSUPP, 0);
        return;
    }
    if (sectors > RANGE_SECTORS_MAX || !checked_mul(le64toh(segment.sector), (uint64_t)SECTOR, &offset) ||
        (offset | length) % blk->block_size != 0 || !range_inside(offset, length, blk->block->info.size) ||
        blk->block->info.read_only) {
        finish(r, VIRTIO_BLK_S_IOERR, 0);
        return;
    }
    r->stats_kind = zeroes ? STATS_IO_WRITE : STATS_IO_DISCARD;
    r->block = (BlockRequest){.kind = zeroes ? BLOCK_WRITE_ZEROES : BLOCK_DISCARD,
                              .flags = (zeroes && flags ? BLOCK_MAY_UNMAP : 0) |
                                       (zeroes && !blk->writeback ? BLOCK_FUA : 0),
                              .offset = offset,
                              .length = length};
    submit(r);
}

/* One popped chain. -EINVAL: the device is broken now. */
static int handle(BlkRequest *r)
{
    VirtqElem *e = &r->elem;
    struct iovec *out = e->iov, *in = virtq_elem_in(e);
    unsigned out_count = e->out_count, in_count = e->in_count;
    struct virtio_blk_outhdr header;
    uint64_t sector;

    if (e->out_len < sizeof header || e->in_len < 1) {
        virtio_device_fail(&r->blk->dev, "queue %u: a request without header or status byte",
                           virtqueue_index(r->vq));
        return -EINVAL;
    }
    chain_to_buffer(out, out_count, 0, &header, sizeof header);
    drop_front(&out, &out_count, sizeof header);
    r->status = (uint8_t *)in[in_count - 1].iov_base + in[in_count - 1].iov_len - 1;
    if (--in[in_count - 1].iov_len == 0)
        in_count--;
    r->type = le32toh(header.type);
    sector = le64toh(header.sector);
    switch (r->type) {
    case VIRTIO_BLK_T_IN:
        read_or_write(r, sector, in, in_count, e->in_len - 1, false);
        break;
    case VIRTIO_BLK_T_OUT:
        read_or_write(r, sector, out, out_count, e->out_len - sizeof header, true);
        break;
    case VIRTIO_BLK_T_FLUSH:
        flush(r);
        break;
    case VIRTIO_BLK_T_GET_ID:
        get_id(r, in, in_count);
        break;
    case VIRTIO_BLK_T_DISCARD:
    case VIRTIO_BLK_T_WRITE_ZEROES:
        if (virtio_has(&r->blk->dev, r->type == VIRTIO_BLK_T_DISCARD ? VIRTIO_BLK_F_DISCARD
                                                                     : VIRTIO_BLK_F_WRITE_ZEROES)) {
            discard_or_zero(r, out, out_count, e->out_len - sizeof header, r->type == VIRTIO_BLK_T_WRITE_ZEROES);
            break;
        }
        finish(r, VIRTIO_BLK_S_UNSUPP, 0);
        break;
    default:
        finish(r, VIRTIO_BLK_S_UNSUPP, 0);
        break;
    }
    return 0;
}

static void blk_kick(VirtioDevice *dev, Virtqueue *vq)
{
    Blk *blk = (Blk *)dev;
    bool no_memory = false;

    if (blk->idle)
        return;
    do {
        virtqueue_disable_notify(vq);
        for (;;) {
            BlkRequest *r = request_new(blk, vq);

            no_memory = r == NULL;
            if (no_memory)
                break;
            if (virtqueue_pop(vq, &r->elem) <= 0 || handle(r) < 0) {
                request_free(r);
                break;
            }
        }
    } while (virtqueue_enable_notify(vq) && !no_memory);
    block_flush_queue(blk->block);
}

/* --- life -------------------------------------------------------------------------------------------------- */

static int blk_activate(VirtioDevice *dev)
{
    Blk *blk = (Blk *)dev;

    blk->idle = false;
    /* 5.2.5: without the flush feature the driver counts on write-through. */
    blk->writeback = virtio_has(dev, VIRTIO_BLK_F_CONFIG_WCE)
                         ? blk->writeback
                         : virtio_has(dev, VIRTIO_BLK_F_FLUSH) && blk->wce_default;
    return 0;
}

static void blk_deactivate(VirtioDevice *dev)
{
    Blk *blk = (Blk *)dev;
    uint8_t wce = blk->wce_default;

    blk->idle = true;
    block_drain(blk->block);
    while (blk->stopped != NULL) {
        BlkRequest *r = blk->stopped;

        blk->stopped = r->next;
        request_free(r);
    }
    notify_batch_forget(&blk->notify);
    blk->writeback = blk->wce_default;
    virtio_config_set(dev, offsetof(struct virtio_blk_config, wce), &wce, 1);
}

static void blk_set_running(VirtioDevice *dev, bool running)
{
    Blk *blk = (Blk *)dev;

    blk->idle = !running;
    if (!running) {
        block_drain(blk->block);
        notify_batch_send(&blk->notify);
        return;
    }
    blk->block->last_error = 0;
    for (BlkRequest *r = blk->stopped, *next; r != NULL; r = next) {
        next = r->next;
        if (next == NULL)
            blk->stopped = NULL;
        else
            blk->stopped = next;
        submit(r);
    }
    block_flush_queue(blk->block);
    for (unsigned i = 0; i < dev->queue_count; i++)
        blk_kick(dev, virtio_queue(dev, i));
}

static void blk_config_write(VirtioDevice *dev, unsigned offset, const void *data, unsigned len)
{
    Blk *blk = (Blk *)dev;
    const unsigned wce = offsetof(struct virtio_blk_config, wce);
    uint8_t value;

    if (offset > wce || offset + len <= wce)
        return;
    value = ((const uint8_t *)data)[wce - offset] & 1;
    blk->writeback = value;
    virtio_config_set(dev, wce, &value, 1);
}

static void resized(void *opaque)
{
    Blk *blk = opaque;
    uint64_t capacity = htole64(blk->block->info.size / SECTOR);

    __atomic_store_n(&blk->stats->capacity, blk->block->info.size, __ATOMIC_RELAXED);
    virtio_config_update(&blk->dev, offsetof(struct virtio_blk_config, capacity), &capacity, sizeof capacity);
}

static void blk_free(VirtioDevice *dev)
{
    Blk *blk = (Blk *)dev;

    while (blk->free_list != NULL) {
        BlkRequest *r = blk->free_list;

        blk->free_list = r->next;
        free(r);
    }
    if (blk->stats != NULL)
        blk->stats->id[0] = '\0';
    if (blk->block != NULL) {
        (void)block_attach_loop(blk->block, dev->host->main_loop, NULL);
        block_release(blk->block);
    }
}

static const VirtioDeviceOps blk_ops = {
    .name = "virtio-blk",
    .type = VIRTIO_TYPE_BLOCK,
    .pci_class = 0x010000,
    .state_size = sizeof(Blk),
    .activate = blk_activate,
    .deactivate = blk_deactivate,
    .kick = blk_kick,
    .config_write = blk_config_write,
    .set_running = blk_set_running,
    .free = blk_free,
};

/* --- making ------------------------------------------------------------------------------------------------ */

typedef struct BlkOptions {
    const char *drive, *serial, *iothread;
    uint64_t queues, queue_size, logical, physical, min_io, opt_io, discard_granularity, max_discard, max_zeroes;
    bool discard, write_zeroes, config_wce, write_cache;
    IoPolicy werror, rerror;
} BlkOptions;

static int parse_switch(Props *props, const char *key, bool def, bool *ret, Err *err)
{
    const char *text = NULL;

    /* on, off or auto */
    if (props_is_string(props, key, "auto")) {
        *ret = def;
        return props_string(props, key, "", &text, err);
    }
    return props_bool(props, key, def, ret, err);
}

static int parse_options(Props *props, BlkOptions *o, Err *err)
{
    uint64_t ignored;
    bool share;
    int r;

    if ((r = props_string(props, "drive", "", &o->drive, err)) < 0 ||
        (r = props_string(props, "serial", "", &o->serial, err)) < 0 ||
        (r = props_string(props, "iothread", NULL, &o->iothread, err)) < 0 ||
        (r = props_uint(props, "num-queues", 1, QUEUES_MAX, 1, &o->queues, err)) < 0 ||
        (r = props_uint(props, "queue-size", 4, VIRTQUEUE_SIZE_MAX, 256, &o->queue_size, err)) < 0 ||
        (r = props_uint(props, "logical_block_size", 512, 32768, 512, &o->logical, err)) < 0 ||
        (r = props_uint(props, "physical_block_size", 512, 1 << 21, 0, &o->physical, err)) < 0 ||
        (r = props_uint(props, "min_io_size", 0, 1u << 30, 0, &o->min_io, err)) < 0 ||
        (r = props_uint(props, "opt_io_size", 0, 1u << 30, 0, &o->opt_io, err)) < 0 ||
        (r = props_uint(props, "discard_granularity", 0, UINT32_MAX, 0, &o->discard_granularity, err)) < 0 ||
        (r = props_uint(props, "max-discard-sectors", 1, RANGE_SECTORS_MAX, RANGE_SECTORS_MAX, &o->max_discard,
                        err)) < 0 ||
        (r = props_uint(props, "max-write-zeroes-sectors", 1, RANGE_SECTORS_MAX, RANGE_SECTORS_MAX,
                        &o->max_zeroes, err)) < 0 ||
        (r = props_bool(props, "discard", true, &o->discard, err)) < 0 ||
        (r = props_bool(props, "write-zeroes", true, &o->write_zeroes, err)) < 0 ||
        (r = props_bool(props, "config-wce", true, &o->config_wce, err)) < 0 ||
        (r = parse_switch(props, "write-cache", true, &o->write_cache, err)) < 0 ||
        (r = props_bool(props, "share-rw", false, &share, err)) < 0 ||
        (r = props_uint(props, "bootindex", 0, INT32_MAX, 0, &ignored, err)) < 0 ||
        (r = io_policy_parse(props, "werror", IO_ENOSPC, true, &o->werror, err)) < 0 ||
        (r = io_policy_parse(props, "rerror", IO_REPORT, false, &o->rerror, err)) < 0)
        return r;
    if ((o->queue_size & (o->queue_size - 1)) || (o->logical & (o->logical - 1)) || (o->physical & (o->physical - 1)))
        return err_set(err, EINVAL, "virtio-blk %s: queue-size and block sizes must be powers of two",
                       props_id(props));
    return 0;
}

static void fill_config(Blk *blk, const BlkOptions *o)
{
    const BlockInfo *info = &blk->block->info;
    uint64_t size = info->size, cylinders = size / SECTOR / (16 * 63), physical = o->physical;
    struct virtio_blk_config c = {0};

    if (physical == 0)
        physical = MAX(info->physical_block, o->logical);
    c.capacity = htole64(size / SECTOR);
    c.seg_max = htole32((uint32_t)MIN(o->queue_size, 256) - 2);
    c.geometry.cylinders = htole16((uint16_t)MIN(cylinders, 16383u));
    c.geometry.heads = 16;
    c.geometry.sectors = 63;
    c.blk_size = htole32((uint32_t)o->logical);
    c.physical_block_exp = physical > o->logical ? (uint8_t)__builtin_ctzll(physical / o->logical) : 0;
    c.min_io_size = htole16((uint16_t)MIN(o->min_io / o->logical, UINT16_MAX));
    c.opt_io_size = htole32((uint32_t)(o->opt_io / o->logical));
    c.wce = blk->wce_default;
    c.num_queues = htole16((uint16_t)o->queues);
    c.max_discard_sectors = htole32((uint32_t)o->max_discard);
    c.max_discard_seg = htole32(1);
    c.discard_sector_alignment =
        htole32((uint32_t)((o->discard_granularity ? o->discard_granularity : o->logical) / SECTOR));
    c.max_write_zeroes_sectors = htole32((uint32_t)o->max_zeroes);
    c.max_write_zeroes_seg = htole32(1);
    c.write_zeroes_may_unmap = info->can_discard;
    virtio_config_set(&blk->dev, 0, &c, offsetof(struct virtio_blk_config, unused1));
    blk->dev.config_len = offsetof(struct virtio_blk_config, unused1) + 3;
}

static void offer(Blk *blk, const BlkOptions *o)
{
    uint64_t f = VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_GEOMETRY) |
                 VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) |
                 VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY);

    if (o->queues > 1)
        f |= VIRTIO_BIT(VIRTIO_BLK_F_MQ);
    if (o->config_wce)
        f |= VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE);
    if (blk->block->info.read_only)
        f |= VIRTIO_BIT(VIRTIO_BLK_F_RO);
    else
        f |= (o->discard ? VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) : 0) |
             (o->write_zeroes ? VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES) : 0);
    blk->dev.offered = f;
}

int blk_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err)
{
    uint16_t sizes[QUEUES_MAX];
    BlkOptions o;
    Loop *loop = host->main_loop;
    VirtioDevice *dev;
    Block *block;
    Blk *blk;
    int r = parse_options(props, &o, err);

    if (r < 0)
        return r;
    if (o.iothread != NULL && (loop = host->iothread(host, o.iothread)) == NULL)
        return err_set(err, ENOENT, "virtio-blk %s: iothread '%s' does not exist", props_id(props), o.iothread);
    block = host->block(host, o.drive);
    if (block == NULL)
        return err_set(err, ENOENT, "virtio-blk %s: Property 'virtio-blk-device.drive' can't find value '%s'",
                       props_id(props), o.drive);
    for (unsigned i = 0; i < o.queues; i++)
        sizes[i] = (uint16_t)o.queue_size;
    r = block_attach_loop(block, loop, err);
    if (r == 0)
        r = virtio_device_new(&blk_ops, props_id(props), host, loop, sizes, (unsigned)o.queues, &dev, err);
    if (r < 0) {
        block_release(block);
        return r;
    }
    blk = (Blk *)dev;
    blk->block = block;
    blk->stats = host->stats_block(host, dev->id);
    blk->iov_max = (unsigned)o.queue_size + 2;
    blk->block_size = (uint32_t)o.logical;
    blk->werror = o.werror;
    blk->rerror = o.rerror;
    blk->wce_default = blk->writeback = o.write_cache;
    blk->idle = true;
    snprintf(blk->serial, sizeof blk->serial, "%.*s", SERIAL_LEN, o.serial);
    notify_batch_init(&blk->notify, loop, dev);
    snprintf(block->user, sizeof block->user, "%s", dev->id);
    block->changed = resized;
    block->changed_opaque = blk;
    blk->stats->capacity = block->info.size;
    fill_config(blk, &o);
    offer(blk, &o);
    *ret = dev;
    return 0;
}
