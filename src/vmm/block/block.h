/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Block nodes: what a disk device reads and writes. Nodes are stacked (qcow2 on file); a device sees the top one only.
 *
 * A node belongs to one loop. A device with queues on several loops makes a view of the node for each other one: the same
 * image with queues, ring and counters of its own, so that requests of different loops share no lock here. The node
 * itself stays what management changes; it tells its views.
 *
 * Life of a request: the device fills a BlockRequest (its own memory, with the guest's buffers as iov) and
 * submits it on the node's loop; the node completes it exactly once, on the same loop, possibly before
 * block_submit() returns. Until then request and buffers are the node's. Order: requests that are in flight
 * together may be done in any order (the guest orders by waiting); a flush makes every write that completed
 * before its submission durable. With FUA the write itself is durable when it completes.
 *
 * Results: 0 or -errno. -ENOSPC and -EIO are what devices apply the werror / rerror policy to.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/err.h"
#include "vmm/block/throttle_group.h"
#include "vmm/loop.h"
#include "vmm/props.h"

typedef enum BlockOpKind {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_FLUSH, /* offset and length are 0 */
    BLOCK_DISCARD, /* contents undefined afterwards */
    BLOCK_WRITE_ZEROES, /* reads as zero afterwards */
} BlockOpKind;

enum {
    BLOCK_FUA = 1 << 0, /* write, write-zeroes: durable on completion */
    BLOCK_MAY_UNMAP = 1 << 1, /* write-zeroes: may deallocate */
};

typedef struct BlockRequest BlockRequest;
struct BlockRequest {
    BlockOpKind kind;
    unsigned flags;
    uint64_t offset, length; /* bytes; inside the node's size, multiples of its request alignment */
    const struct iovec *iov; /* read, write: at least length bytes */
    unsigned iov_count;
    void (*complete)(BlockRequest *request, int result);
    void *opaque;
    /* The node's, while it has the request. */
    BlockRequest *next;
};

typedef struct BlockInfo {
    uint64_t size; /* bytes; changes on resize */
    uint32_t alignment; /* of offset and length, bytes: 512 or 4096 */
    uint32_t buffer_alignment; /* of buffers (O_DIRECT); the node bounces what does not fit */
    bool read_only;
    bool can_discard, can_write_zeroes;
    uint32_t physical_block; /* hints for the guest's topology, bytes; 0 unknown */
    uint32_t optimal_io;
    uint32_t discard_alignment;
} BlockInfo;

typedef struct Block Block;

typedef struct BlockOps {
    const char *driver; /* QEMU's name: "file", "qcow2", "throttle" */
    void (*submit)(Block *block, BlockRequest *request);
    /* Everything submitted since the last call goes to the kernel in one go; NULL when submit does it. */
    void (*flush_queue)(Block *block);
    int (*resize)(Block *block, uint64_t size, Err *err);
    /* Somebody is about to use the node again after it was below another one; NULL: always usable. Main thread. */
    int (*reopen)(Block *block, Err *err);
    /* Details for query-named-block-nodes and query-block: puts keys into the object. NULL: nothing to say. */
    void (*describe)(Block *block, json_t *object);
    /* The node that has the file below; NULL: there is none but the node itself. */
    Block *(*storage)(Block *block);
    /* Moves to another loop; nothing is in flight. */
    int (*attach_loop)(Block *block, Loop *loop, Err *err);
    /* Another door to the same image, on that loop; the caller fills in Block's own fields. NULL: there is only one. */
    int (*view)(Block *block, Loop *loop, Block **ret, Err *err);
    void (*close)(Block *block); /* nothing is in flight; frees everything but *block itself */
} BlockOps;

typedef struct BlockQueue {
    BlockRequest *first, **tail;
} BlockQueue;

/* Base of every node; the driver's struct begins with it. */
struct Block {
    const BlockOps *ops;
    char node_name[64];
    BlockInfo info;
    Loop *loop;
    unsigned in_flight; /* kept by block_submit() */
    bool claimed; /* a device or a layer above uses it */
    int last_error; /* atomic: errno of the device's last failed request that stopped the VM; 0 none */
    char user[64]; /* id of the device that claimed it, "" else */
    Block *views, *next_view; /* list of a node's views; main thread, while nothing is in flight */
    Block *node; /* of a view: what it is a view of; NULL else */
    /* Held back while the node is changed (resize, media), in order. */
    unsigned quiesced;
    BlockQueue held;
    /* Held back by limits: reads, writes. */
    ThrottleMember limits;
    BlockQueue waiting[2];
    LoopTimer limit_timer;
    LoopPost limit_post;
    /* How far into the node's file writes have reached, and a copy for others to read (statistics page) or NULL. Atomic. */
    uint64_t write_end, *write_end_shown;
    /* Told once, when a write reaches farther than so many bytes into the node's file (0: no more, or never). Any loop. */
    uint64_t write_threshold; /* atomic */
    void (*threshold_passed)(void *opaque, Block *block, uint64_t threshold, uint64_t end);
    void *threshold_opaque;
    uint64_t *threshold_shown; /* a copy for others to read (statistics page), or NULL */
    /* Told on the node's loop after info changed (live resize). */
    void (*changed)(void *opaque);
    void *changed_opaque;
};

/* All: the node's loop. block_submit() checks range and alignment (-EINVAL) before the driver sees the
 * request. */
void block_submit(Block *block, BlockRequest *request);
/* For drivers: a request is done. */
void block_complete(Block *block, BlockRequest *request, int result);
void block_flush_queue(Block *block);
/* user: id of the device that has claimed the node. write_end: where it is shown how far its file was written. Main
 * thread. */
void block_set_user(Block *block, const char *user, uint64_t *write_end);
/* For drivers: a write is about to reach that far into the node's file. Any loop. */
void block_note_write(Block *storage, uint64_t end);
int block_resize(Block *block, uint64_t size, Err *err);
/* Runs the loop's events of this node until nothing is in flight (deactivate, close). */
void block_drain(Block *block);
/* What waits for block_resume() ends with -ECANCELED: whoever goes away now cannot wait for it. */
void block_cancel(Block *block);
/* Everything that was written becomes durable and, of a format with metadata in memory, visible in its file. Main thread. */
int block_flush(Block *block);
/* From quiesce to resume nothing is in flight and what is submitted waits. */
void block_quiesce(Block *block);
void block_resume(Block *block);
/* Limits from now on; all zero: none, and the node leaves its group. group: whose limits they are, all its members have
 * them; NULL: the group that the node is in, else one of its own, named after its user (as in QEMU). -EINVAL with QEMU's
 * words. The node's loop. */
int block_set_throttle(Block *block, const char *group, const ThrottleConfig *config, Err *err);
/* Main thread, while nothing is in flight. */
int block_attach_loop(Block *block, Loop *loop, Err *err);
/* Main thread, while nothing is in flight: a view of the node on another loop, and its end. -ENOTSUP: the driver has
 * none. */
int block_view(Block *block, Loop *loop, Block **ret, Err *err);
void block_view_close(Block *view);
/* Main thread. The user (a device, or a node above) has no more to do with it; it can be claimed again. */
void block_release(Block *block);
/* Frees the node and releases those below it. Main thread; not claimed. */
void block_close(Block *block);

/*
 * Opens a node from its properties (driver, node-name, fd, file, …). find: claims a node made before, by node name,
 * which the new one stands on; NULL when there is none or it is taken. Main thread.
 * Drivers: block_table.c.
 */
int block_new(Props *props, Loop *loop, Block *(*find)(void *opaque, const char *node_name), void *opaque,
              Block **ret, Err *err);
