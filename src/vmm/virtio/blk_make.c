/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making a block device: properties, which thread serves which queue, configuration space (virtio 1.2, 5.2.4), features.
 *
 * Properties: drive, serial, num-queues, queue-size, logical_block_size, physical_block_size, min_io_size, opt_io_size,
 * discard, write-zeroes, max-discard-sectors, config-wce, write-cache, werror, rerror, iothread, iothread-vq-mapping,
 * share-rw, bootindex, discard_granularity.
 *
 * Queues and threads: `iothread` serves all queues. `iothread-vq-mapping` (QEMU 9.0: [{"iothread": ID, "vqs": [N, …]}, …])
 * spreads them, in turn when it names no queues. With neither, several queues are spread over the main loop and helper
 * threads of the process, as many as there are CPUs.
 *
 * Main thread.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/virtio/blk_internal.h"
#include "vmm/virtio/device_host.h"
#include "vmm/virtio/devices.h"

/* Behind ours: it has macros of the same names. */
#include <linux/virtio_blk.h>

typedef struct BlkOptions {
    const char *drive, *serial, *iothread;
    json_t *mapping; /* borrowed; NULL: none */
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
        (r = props_json(props, "iothread-vq-mapping", &o->mapping, err)) < 0 ||
        (r = props_uint(props, "num-queues", 1, BLK_QUEUES_MAX, 1, &o->queues, err)) < 0 ||
        (r = props_uint(props, "queue-size", 4, VIRTQUEUE_SIZE_MAX, 256, &o->queue_size, err)) < 0 ||
        (r = props_uint(props, "logical_block_size", 512, 32768, 512, &o->logical, err)) < 0 ||
        (r = props_uint(props, "physical_block_size", 512, 1 << 21, 0, &o->physical, err)) < 0 ||
        (r = props_uint(props, "min_io_size", 0, 1u << 30, 0, &o->min_io, err)) < 0 ||
        (r = props_uint(props, "opt_io_size", 0, 1u << 30, 0, &o->opt_io, err)) < 0 ||
        (r = props_uint(props, "discard_granularity", 0, UINT32_MAX, 0, &o->discard_granularity, err)) < 0 ||
        (r = props_uint(props, "max-discard-sectors", 1, BLK_RANGE_SECTORS_MAX, BLK_RANGE_SECTORS_MAX, &o->max_discard,
                        err)) < 0 ||
        (r = props_uint(props, "max-write-zeroes-sectors", 1, BLK_RANGE_SECTORS_MAX, BLK_RANGE_SECTORS_MAX,
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
    uint64_t size = info->size, cylinders = size / BLK_SECTOR / (16 * 63), physical = o->physical;
    struct virtio_blk_config c = {0};

    if (physical == 0)
        physical = MAX(info->physical_block, o->logical);
    c.capacity = htole64(size / BLK_SECTOR);
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
        htole32((uint32_t)((o->discard_granularity ? o->discard_granularity : o->logical) / BLK_SECTOR));
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

/* --- which thread serves which queue ----------------------------------------------------------------------- */

/* Lane of that loop, made when there is none. */
static unsigned lane_on(Loop **loops, unsigned *count, Loop *loop)
{
    for (unsigned i = 0; i < *count; i++) {
        if (loops[i] == loop)
            return i;
    }
    loops[*count] = loop;
    return (*count)++;
}

static int map_named_queues(const char *id, json_t *vqs, unsigned lane, unsigned queues, int *lane_of, Err *err)
{
    size_t i;
    json_t *vq;

    json_array_foreach(vqs, i, vq)
    {
        json_int_t n = json_is_integer(vq) ? json_integer_value(vq) : -1;

        if (n < 0 || n >= (json_int_t)queues)
            return err_set(err, EINVAL, "virtio-blk %s: 'vqs' of iothread-vq-mapping must be less than num-queues", id);
        if (lane_of[n] >= 0)
            return err_set(err, EINVAL, "virtio-blk %s: queue %d is mapped to two iothreads", id, (int)n);
        lane_of[n] = (int)lane;
    }
    return 0;
}

/* iothread-vq-mapping: its loops, and the lane of each queue. */
static int map_to_iothreads(const char *id, DeviceHost *host, const BlkOptions *o, Loop **loops, unsigned *ret_count,
                            int *lane_of, Err *err)
{
    bool named = json_object_get(json_array_get(o->mapping, 0), "vqs") != NULL;
    size_t i;
    json_t *item;

    if (!json_is_array(o->mapping) || json_array_size(o->mapping) == 0 ||
        json_array_size(o->mapping) > BLK_QUEUES_MAX)
        return err_set(err, EINVAL, "virtio-blk %s: iothread-vq-mapping must list 1 to %d iothreads", id, BLK_QUEUES_MAX);
    for (unsigned q = 0; q < o->queues; q++)
        lane_of[q] = -1;
    json_array_foreach(o->mapping, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "iothread"));
        json_t *vqs = json_object_get(item, "vqs");
        Loop *loop = name ? host->iothread(host, name) : NULL;
        unsigned before = *ret_count, lane;

        if (loop == NULL)
            return err_set(err, ENOENT, "virtio-blk %s: iothread '%s' does not exist", id, name ? name : "");
        lane = lane_on(loops, ret_count, loop);
        if (lane != before)
            return err_set(err, EINVAL, "virtio-blk %s: iothread '%s' is mapped twice", id, name);
        if ((vqs != NULL) != named)
            return err_set(err, EINVAL, "virtio-blk %s: all or none of iothread-vq-mapping must have 'vqs'", id);
        if (named && map_named_queues(id, vqs, lane, (unsigned)o->queues, lane_of, err) < 0)
            return -EINVAL;
    }
    for (unsigned q = 0; q < o->queues; q++) {
        if (!named)
            lane_of[q] = (int)(q % *ret_count);
        else if (lane_of[q] < 0)
            return err_set(err, EINVAL, "virtio-blk %s: queue %u is mapped to no iothread", id, q);
    }
    return 0;
}

/* The loops of the device: the first is the node's and where the device's ops run. */
static int choose_loops(const char *id, DeviceHost *host, const BlkOptions *o, Loop **loops, unsigned *ret_count,
                        int *lane_of, Err *err)
{
    *ret_count = 0;
    if (o->mapping != NULL && o->iothread != NULL)
        return err_set(err, EINVAL,
                       "virtio-blk %s: iothread and iothread-vq-mapping properties cannot be set at the same time", id);
    if (o->mapping != NULL)
        return map_to_iothreads(id, host, o, loops, ret_count, lane_of, err);
    loops[(*ret_count)++] = o->iothread ? host->iothread(host, o->iothread) : host->main_loop;
    if (loops[0] == NULL)
        return err_set(err, ENOENT, "virtio-blk %s: iothread '%s' does not exist", id, o->iothread);
    while (o->iothread == NULL && host->helper != NULL && *ret_count < o->queues) {
        Loop *loop = host->helper(host, *ret_count - 1);

        if (loop == NULL)
            break;
        loops[(*ret_count)++] = loop;
    }
    for (unsigned q = 0; q < o->queues; q++)
        lane_of[q] = (int)(q % *ret_count);
    return 0;
}

/* A node that has one door only has one lane. */
static int make_lanes(Blk *blk, Loop *const *loops, unsigned count, const int *lane_of, Err *err)
{
    blk->lanes = calloc(count, sizeof *blk->lanes);
    if (blk->lanes == NULL)
        return err_set(err, ENOMEM, "out of memory");
    for (unsigned i = 0; i < count && (i == 0 || blk->block->ops->view != NULL); i++) {
        BlkLane *lane = &blk->lanes[i];
        int r = i == 0 ? 0 : block_view(blk->block, loops[i], &lane->block, err);

        if (r < 0)
            return r;
        if (i == 0)
            lane->block = blk->block;
        lane->blk = blk;
        lane->loop = loops[i];
        lane->idle = true;
        notify_batch_init(&lane->notify, loops[i], &blk->dev);
        blk->lane_count++;
    }
    for (unsigned q = 0; q < blk->dev.queue_count; q++)
        blk->wanted_lane[q] = (uint8_t)(lane_of[q] < (int)blk->lane_count ? lane_of[q] : 0);
    return 0;
}

int blk_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err)
{
    uint16_t sizes[BLK_QUEUES_MAX];
    Loop *loops[BLK_QUEUES_MAX];
    int lane_of[BLK_QUEUES_MAX];
    unsigned loop_count;
    BlkOptions o;
    VirtioDevice *dev;
    Block *block;
    Blk *blk;
    int r = parse_options(props, &o, err);

    if (r < 0 || (r = choose_loops(props_id(props), host, &o, loops, &loop_count, lane_of, err)) < 0)
        return r;
    block = host->block(host, o.drive);
    if (block == NULL)
        return err_set(err, ENOENT, "virtio-blk %s: Property 'virtio-blk-device.drive' can't find value '%s'",
                       props_id(props), o.drive);
    for (unsigned i = 0; i < o.queues; i++)
        sizes[i] = (uint16_t)o.queue_size;
    r = block_attach_loop(block, loops[0], err);
    if (r == 0)
        r = virtio_device_new(&blk_ops, props_id(props), host, loops[0], sizes, (unsigned)o.queues, &dev, err);
    if (r < 0) {
        block_release(block);
        return r;
    }
    blk = (Blk *)dev;
    blk->block = block;
    r = make_lanes(blk, loops, loop_count, lane_of, err);
    if (r < 0) {
        virtio_device_free(dev);
        return r;
    }
    blk->stats = host->stats_block(host, dev->id);
    blk->iov_max = (unsigned)o.queue_size + 2;
    blk->block_size = (uint32_t)o.logical;
    blk->werror = o.werror;
    blk->rerror = o.rerror;
    blk->wce_default = blk->writeback = o.write_cache;
    snprintf(blk->serial, sizeof blk->serial, "%.*s", BLK_SERIAL_LEN, o.serial);
    block_set_user(block, dev->id, &blk->stats->write_end);
    block->changed = blk_resized;
    block->changed_opaque = blk;
    blk->stats->capacity = block->info.size;
    fill_config(blk, &o);
    offer(blk, &o);
    *ret = dev;
    return 0;
}
