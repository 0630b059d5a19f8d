/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How block nodes reach the host's files: an io_uring for reads, writes and fdatasync, whose submissions are collected
 * and go to the kernel together, and a few worker threads for what blocks (metadata flushes, decompression, hole
 * punching). Where the kernel gives no ring the workers do everything.
 *
 * Threads: all functions on the loop's thread; `work` of a job runs on a worker, `finish` and `done` on the loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/err.h"
#include "vmm/loop.h"

typedef struct BlockIo BlockIo;

/* Memory of the caller's until finish / done was called. */
typedef struct BlockJob BlockJob;
struct BlockJob {
    void (*work)(BlockJob *job);
    void (*finish)(BlockJob *job);
    BlockJob *next;
};

typedef struct BlockTransfer BlockTransfer;
struct BlockTransfer {
    void (*done)(BlockTransfer *transfer, int result); /* bytes or -errno */
};

/* Before or on the loop's thread. No ring is no error. */
int block_io_new(Loop *loop, BlockIo **ret, Err *err);
/* Main thread; nothing is in flight. Joins the workers. NULL is fine. */
void block_io_free(BlockIo *io);
/* Main thread or the old loop's; nothing is in flight. */
void block_io_attach_loop(BlockIo *io, Loop *loop);
bool block_io_has_ring(const BlockIo *io);

/* Queues one transfer; iov stays until done. false: no room now, use a job. */
bool block_io_rw(BlockIo *io, bool write, int fd, const struct iovec *iov, unsigned count, uint64_t offset,
                 BlockTransfer *transfer);
bool block_io_sync(BlockIo *io, int fd, BlockTransfer *transfer);
/* Hands what is queued to the kernel and ends what is done at once: transfers' done() are called. Happens by itself at the
 * end of the loop's turn. */
void block_io_flush(BlockIo *io);
/* work runs on a worker, or at once here when there can be no thread. */
void block_io_job(BlockIo *io, BlockJob *job);
