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
 * Threads: each queue belongs to a lane, the part of the device on one loop; lanes share nothing that is written on the way
 * of a request but the counters. The first lane is on dev->loop, where the ops run (blk_make.c says which queue goes where);
 * what concerns all lanes is done by calling each loop.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/log.h"
#include "vmm/virtio/blk_internal.h"
#include "vmm/virtio/device_host.h"
#include "vmm/virtio/virtqueue.h"

/* Behind ours: it has macros of the same names. */
#include <linux/virtio_blk.h>

#define REQUESTS_KEPT 64

struct BlkRequest {
    BlockRequest block;
    BlkLane *lane;
    Virtqueue *vq;
    VirtqElem elem;
    uint8_t *status; /* in guest memory, written once */
    uint32_t type;
    uint64_t start_ns;
    int stats_kind; /* STATS_IO_… */
    BlkRequest *next; /* free list, or stopped */
    struct iovec iov[]; /* blk->iov_max */
};

_Static_assert(sizeof(struct virtio_blk_outhdr) == 16, "header as in 5.2.6");
_Static_assert(sizeof(struct virtio_blk_discard_write_zeroes) == 16, "segment as in 5.2.6");

static bool is_writeback(const Blk *blk)
{
    return __atomic_load_n(&blk->writeback, __ATOMIC_RELAXED);
}

static void set_writeback(Blk *blk, bool on)
{
    __atomic_store_n(&blk->writeback, on, __ATOMIC_RELAXED);
}

/* --- requests' memory -------------------------------------------------------------------------------------- */

static BlkRequest *request_new(BlkLane *lane, Virtqueue *vq)
{
    const Blk *blk = lane->blk;
    BlkRequest *r = lane->free_list;

    if (r != NULL) {
        lane->free_list = r->next;
        lane->free_count--;
    } else {
        r = malloc(sizeof *r + blk->iov_max * sizeof r->iov[0]);
        if (r == NULL)
            return NULL;
    }
    r->lane = lane;
    r->vq = vq;
    r->next = NULL;
    r->elem.iov = r->iov;
    r->elem.iov_max = blk->iov_max;
    return r;
}

static void request_free(BlkRequest *r)
{
    BlkLane *lane = r->lane;

    if (lane->free_count < REQUESTS_KEPT) {
        r->next = lane->free_list;
        lane->free_list = r;
        lane->free_count++;
    } else {
        free(r);
    }
}

/* --- completion -------------------------------------------------------------------------------------------- */

static void finish(BlkRequest *r, uint8_t status, uint64_t written)
{
    *r->status = status;
    virtqueue_push(r->vq, &r->elem, (uint32_t)MIN(written + 1, UINT32_MAX));
    /* One interrupt for everything that ends in this turn of the loop. */
    notify_batch_add(&r->lane->notify, virtqueue_index(r->vq));
    request_free(r);
}

static void submit(BlkRequest *r);

/* Ends the request as the policy says, or has it wait for the VM to go on. */
static void apply_policy(BlkRequest *r, int error)
{
    BlkLane *lane = r->lane;
    Blk *blk = lane->blk;
    bool write = r->block.kind != BLOCK_READ;
    IoPolicy policy = io_policy_apply(write ? blk->werror : blk->rerror, blk->dev.host, blk->dev.id,
                                      blk->block->node_name, write, error);

    if (policy == IO_STOP) {
        __atomic_store_n(&blk->block->last_error, error, __ATOMIC_RELAXED);
        if (lane->stopped == NULL)
            lane->stopped_tail = &lane->stopped;
        r->next = NULL;
        *lane->stopped_tail = r;
        lane->stopped_tail = &r->next;
    } else if (policy == IO_IGNORE) {
        finish(r, VIRTIO_BLK_S_OK, write ? 0 : r->block.length);
    } else {
        finish(r, VIRTIO_BLK_S_IOERR, 0);
    }
}

static void complete(BlockRequest *block, int result)
{
    BlkRequest *r = container_of(block, BlkRequest, block);
    const Blk *blk = r->lane->blk;

    if (result == -ECANCELED && r->lane->idle) {
        request_free(r); /* the driver resets the device: it has forgotten it */
        return;
    }
    stats_block_account(blk->stats, blk->lane_count > 1, r->stats_kind, loop_now() - r->start_ns, r->block.offset,
                        r->block.length, result < 0);
    if (result >= 0) {
        finish(r, VIRTIO_BLK_S_OK, block->kind == BLOCK_READ ? block->length : 0);
    } else {
        log_note("%s: %s of %llu bytes at %llu: %s", blk->dev.id, block->kind == BLOCK_READ ? "read" : "write",
                 (unsigned long long)block->length, (unsigned long long)block->offset, strerror(-result));
        apply_policy(r, -result);
    }
}

/* --- taking requests --------------------------------------------------------------------------------------- */

static void submit(BlkRequest *r)
{
    r->start_ns = loop_now();
    r->block.complete = complete;
    block_submit(r->lane->block, &r->block);
}

static void read_or_write(BlkRequest *r, uint64_t sector, struct iovec *iov, unsigned count, uint64_t len, bool write)
{
    const Blk *blk = r->lane->blk;
    const BlockInfo *info = &r->lane->block->info;
    uint64_t offset;

    /* 5.2.6.1: whole sectors, inside the disk */
    if (len == 0 || len % blk->block_size != 0 || !checked_mul(sector, (uint64_t)BLK_SECTOR, &offset) ||
        offset % blk->block_size != 0 || !range_inside(offset, len, info->size)) {
        stats_add(&blk->stats->errors[write ? STATS_IO_WRITE : STATS_IO_READ], 1, blk->lane_count > 1);
        finish(r, VIRTIO_BLK_S_IOERR, 0);
        return;
    }
    if (write && info->read_only) {
        finish(r, VIRTIO_BLK_S_IOERR, 0);
        return;
    }
    r->stats_kind = write ? STATS_IO_WRITE : STATS_IO_READ;
    r->block = (BlockRequest){.kind = write ? BLOCK_WRITE : BLOCK_READ,
                              .flags = write && !is_writeback(blk) ? BLOCK_FUA : 0,
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
    char id[BLK_SERIAL_LEN] = {0};

    memcpy(id, r->lane->blk->serial, strnlen(r->lane->blk->serial, BLK_SERIAL_LEN));
    finish(r, VIRTIO_BLK_S_OK, iov_from_buffer(in, in_count, 0, id, sizeof id));
}

static void discard_or_zero(BlkRequest *r, const struct iovec *out, unsigned out_count, uint64_t len, bool zeroes)
{
    const Blk *blk = r->lane->blk;
    const BlockInfo *info = &r->lane->block->info;
    struct virtio_blk_discard_write_zeroes segment;
    uint64_t offset, length;
    uint32_t sectors, flags;

    if (len != sizeof segment) {
        finish(r, len % sizeof segment == 0 && len > 0 ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR, 0);
        return;
    }
    iov_to_buffer(out, out_count, 0, &segment, sizeof segment);
    sectors = le32toh(segment.num_sectors);
    flags = le32toh(segment.flags);
    length = (uint64_t)sectors * BLK_SECTOR;
    /* 5.2.6.2: unmap is the only flag, and only for write-zeroes. */
    if ((flags & ~VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP) != 0 || (!zeroes && flags != 0)) {
        finish(r, VIRTIO_BLK_S_UNSUPP, 0);
        return;
    }
    if (sectors > BLK_RANGE_SECTORS_MAX || !checked_mul(le64toh(segment.sector), (uint64_t)BLK_SECTOR, &offset) ||
        (offset | length) % blk->block_size != 0 || !range_inside(offset, length, info->size) ||
        info->read_only) {
        finish(r, VIRTIO_BLK_S_IOERR, 0);
        return;
    }
    r->stats_kind = zeroes ? STATS_IO_WRITE : STATS_IO_DISCARD;
    r->block = (BlockRequest){.kind = zeroes ? BLOCK_WRITE_ZEROES : BLOCK_DISCARD,
                              .flags = (zeroes && flags ? BLOCK_MAY_UNMAP : 0) |
                                       (zeroes && !is_writeback(blk) ? BLOCK_FUA : 0),
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
        virtio_device_fail(&r->lane->blk->dev, "queue %u: a request without header or status byte",
                           virtqueue_index(r->vq));
        return -EINVAL;
    }
    iov_to_buffer(out, out_count, 0, &header, sizeof header);
    iov_drop_front(&out, &out_count, sizeof header);
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
        if (virtio_has(&r->lane->blk->dev, r->type == VIRTIO_BLK_T_DISCARD ? VIRTIO_BLK_F_DISCARD
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

static bool look_at_queues(void *opaque);
static bool rest(void *opaque);

/* true: something was popped. */
static bool serve(BlkLane *lane, Virtqueue *vq)
{
    bool no_memory = false, popped = false, looked_at = loop_polls(lane->loop);

    if (lane->idle)
        return false;
    if (looked_at && lane->peek.loop == NULL)
        loop_peek(lane->loop, &lane->peek, look_at_queues, rest, lane);
    do {
        virtqueue_disable_notify(vq);
        for (;;) {
            BlkRequest *r = request_new(lane, vq);

            no_memory = r == NULL;
            if (no_memory)
                break;
            if (virtqueue_pop(vq, &r->elem) <= 0 || handle(r) < 0) {
                request_free(r);
                break;
            }
            popped = true;
        }
        /* A loop that polls sees the next request by itself: the driver need not kick before the loop rests. */
    } while (!no_memory && (looked_at ? virtqueue_pending(vq) : virtqueue_enable_notify(vq)));
    block_flush_queue(lane->block);
    return popped;
}

static bool is_of(const BlkLane *lane, unsigned queue)
{
    return &lane->blk->lanes[lane->blk->lane_of[queue]] == lane;
}

static bool look_at_queues(void *opaque)
{
    BlkLane *lane = opaque;
    VirtioDevice *dev = &lane->blk->dev;
    bool found = false;

    for (unsigned i = 0; i < dev->queue_count && !lane->idle; i++) {
        if (is_of(lane, i) && virtqueue_pending(virtio_queue(dev, i)))
            found |= serve(lane, virtio_queue(dev, i));
    }
    return found;
}

static bool rest(void *opaque)
{
    BlkLane *lane = opaque;
    VirtioDevice *dev = &lane->blk->dev;
    bool pending = false;

    for (unsigned i = 0; i < dev->queue_count && !lane->idle; i++)
        pending |= is_of(lane, i) && virtqueue_enable_notify(virtio_queue(dev, i));
    return pending && look_at_queues(lane);
}

static void blk_kick(VirtioDevice *dev, Virtqueue *vq)
{
    Blk *blk = (Blk *)dev;

    (void)serve(&blk->lanes[blk->lane_of[virtqueue_index(vq)]], vq);
}

/* --- life -------------------------------------------------------------------------------------------------- */

/* fn on each lane's loop, one after the other. */
static void each_lane(Blk *blk, void (*fn)(void *lane))
{
    for (unsigned i = 0; i < blk->lane_count; i++)
        loop_call(blk->lanes[i].loop, fn, &blk->lanes[i]);
}

static int blk_activate(VirtioDevice *dev)
{
    Blk *blk = (Blk *)dev;
    bool writeback;

    for (unsigned i = 0; i < dev->queue_count; i++) {
        unsigned lane = blk->wanted_lane[i];

        blk->lane_of[i] = lane > 0 && virtio_queue_set_loop(dev, i, blk->lanes[lane].loop) == 0 ? (uint8_t)lane : 0;
    }
    /* No lane runs yet: kicks come afterwards. */
    for (unsigned i = 0; i < blk->lane_count; i++)
        blk->lanes[i].idle = false;
    /* 5.2.5: without the flush feature the driver counts on write-through. */
    writeback = virtio_has(dev, VIRTIO_BLK_F_CONFIG_WCE) ? is_writeback(blk)
                                                         : virtio_has(dev, VIRTIO_BLK_F_FLUSH) && blk->wce_default;
    set_writeback(blk, writeback);
    return 0;
}

static void end_lane(void *opaque)
{
    BlkLane *lane = opaque;

    lane->idle = true;
    loop_unpeek(&lane->peek);
    block_cancel(lane->block);
    block_drain(lane->block);
    while (lane->stopped != NULL) {
        BlkRequest *r = lane->stopped;

        lane->stopped = r->next;
        request_free(r);
    }
    notify_batch_forget(&lane->notify);
}

static void blk_deactivate(VirtioDevice *dev)
{
    Blk *blk = (Blk *)dev;
    uint8_t wce = blk->wce_default;

    each_lane(blk, end_lane);
    set_writeback(blk, blk->wce_default);
    virtio_config_set(dev, offsetof(struct virtio_blk_config, wce), &wce, 1);
}

static void pause_lane(void *opaque)
{
    BlkLane *lane = opaque;

    lane->idle = true;
    block_drain(lane->block);
    notify_batch_send(&lane->notify);
}

static void go_on(void *opaque)
{
    BlkLane *lane = opaque;
    VirtioDevice *dev = &lane->blk->dev;

    lane->idle = false;
    for (BlkRequest *r = lane->stopped, *next; r != NULL; r = next) {
        next = r->next;
        if (next == NULL)
            lane->stopped = NULL;
        else
            lane->stopped = next;
        submit(r);
    }
    block_flush_queue(lane->block);
    for (unsigned i = 0; i < dev->queue_count; i++) {
        if (is_of(lane, i))
            (void)serve(lane, virtio_queue(dev, i));
    }
}

static void blk_set_running(VirtioDevice *dev, bool running)
{
    Blk *blk = (Blk *)dev;

    if (running)
        __atomic_store_n(&blk->block->last_error, 0, __ATOMIC_RELAXED);
    each_lane(blk, running ? go_on : pause_lane);
}

static void blk_config_write(VirtioDevice *dev, unsigned offset, const void *data, unsigned len)
{
    Blk *blk = (Blk *)dev;
    const unsigned wce = offsetof(struct virtio_blk_config, wce);
    uint8_t value;

    if (offset > wce || offset + len <= wce)
        return;
    value = ((const uint8_t *)data)[wce - offset] & 1;
    set_writeback(blk, value);
    virtio_config_set(dev, wce, &value, 1);
}

void blk_resized(void *opaque)
{
    Blk *blk = opaque;
    uint64_t capacity = htole64(blk->block->info.size / BLK_SECTOR);

    __atomic_store_n(&blk->stats->capacity, blk->block->info.size, __ATOMIC_RELAXED);
    virtio_config_update(&blk->dev, offsetof(struct virtio_blk_config, capacity), &capacity, sizeof capacity);
}

static void blk_free(VirtioDevice *dev)
{
    Blk *blk = (Blk *)dev;

    for (unsigned i = 0; i < blk->lane_count; i++) {
        BlkLane *lane = &blk->lanes[i];

        while (lane->free_list != NULL) {
            BlkRequest *r = lane->free_list;

            lane->free_list = r->next;
            free(r);
        }
        if (i > 0)
            block_view_close(lane->block);
    }
    free(blk->lanes);
    if (blk->stats != NULL)
        blk->stats->id[0] = '\0';
    if (blk->block != NULL) {
        (void)block_attach_loop(blk->block, dev->host->main_loop, NULL);
        block_release(blk->block);
    }
}

const VirtioDeviceOps blk_ops = {
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
