/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Insides of the block device: blk.c serves requests, blk_make.c makes it from its properties. */
#pragma once

#include "vmm/block/block.h"
#include "vmm/stats.h"
#include "vmm/virtio/io_policy.h"
#include "vmm/virtio/notify_batch.h"
#include "vmm/virtio/virtio.h"

#define BLK_SECTOR 512u
#define BLK_SERIAL_LEN 20
#define BLK_QUEUES_MAX 64
/* Discard and write-zeroes: sectors at once; a chain carries one range. */
#define BLK_RANGE_SECTORS_MAX 4194303u

typedef struct Blk Blk;
typedef struct BlkRequest BlkRequest;

/* The part of the device on one loop, with the queues that are served there. Nothing of it is touched on another thread
 * while the device is active. */
typedef struct BlkLane {
    Blk *blk;
    Loop *loop;
    Block *block; /* the first lane's is the node, the others' are views of it */
    BlkRequest *free_list;
    unsigned free_count;
    BlkRequest *stopped, **stopped_tail; /* wait for the VM to go on */
    bool idle; /* being deactivated or paused: nothing is popped */
    LoopPeek peek; /* while active, once the loop has polled */
    NotifyBatch notify;
} BlkLane;

struct Blk {
    VirtioDevice dev;
    Block *block;
    StatsBlock *stats;
    char serial[BLK_SERIAL_LEN + 1];
    IoPolicy werror, rerror;
    bool writeback; /* atomic: as the driver set it */
    bool wce_default;
    unsigned iov_max;
    uint32_t block_size;
    BlkLane *lanes; /* the first is on dev.loop */
    unsigned lane_count;
    uint8_t wanted_lane[BLK_QUEUES_MAX], lane_of[BLK_QUEUES_MAX]; /* of each queue; as it is while active */
};

extern const VirtioDeviceOps blk_ops;

/* What the node calls after its size changed. */
void blk_resized(void *blk);
