/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fault_block.h. */
#include "lib/fault_block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void run(FaultBlock *b, BlockRequest *r)
{
    uint64_t at = r->offset;
    int error = 0;

    b->requests++;
    b->fua += (r->flags & BLOCK_FUA) != 0;
    if (r->kind != BLOCK_FLUSH && b->count > 0) {
        b->count--;
        error = b->error;
    }
    for (unsigned i = 0; error == 0 && i < r->iov_count && (r->kind == BLOCK_READ || r->kind == BLOCK_WRITE); i++) {
        if (r->kind == BLOCK_READ)
            memcpy(r->iov[i].iov_base, b->data + at, r->iov[i].iov_len);
        else
            memcpy(b->data + at, r->iov[i].iov_base, r->iov[i].iov_len);
        at += r->iov[i].iov_len;
    }
    if (error == 0 && (r->kind == BLOCK_WRITE_ZEROES || r->kind == BLOCK_DISCARD))
        memset(b->data + r->offset, 0, r->length);
    b->flushes += r->kind == BLOCK_FLUSH;
    b->discards += r->kind == BLOCK_DISCARD;
    b->zeroes += r->kind == BLOCK_WRITE_ZEROES;
    block_complete(&b->base, r, error);
}

static void fault_submit(Block *block, BlockRequest *r)
{
    FaultBlock *b = (FaultBlock *)block;

    if (b->defer) {
        r->next = b->waiting;
        b->waiting = r;
    } else {
        run(b, r);
    }
}

void fault_block_release(FaultBlock *b)
{
    while (b->waiting != NULL) {
        BlockRequest *r = b->waiting;

        b->waiting = r->next;
        run(b, r);
    }
}

static void fault_flush_queue(Block *block)
{
    FaultBlock *b = (FaultBlock *)block;

    if (block->quiesced > 0)
        fault_block_release(b);
}

static int fault_resize(Block *block, uint64_t size, Err *err)
{
    FaultBlock *b = (FaultBlock *)block;
    uint8_t *data = realloc(b->data, size);

    if (data == NULL)
        return err_set(err, ENOMEM, "out of memory");
    if (size > block->info.size)
        memset(data + block->info.size, 0, size - block->info.size);
    b->data = data;
    block->info.size = size;
    return 0;
}

static void fault_close(Block *block)
{
    free(((FaultBlock *)block)->data);
}

FaultBlock *fault_block_new(Loop *loop, uint64_t size)
{
    static const BlockOps ops = {.driver = "fault",
                                 .submit = fault_submit,
                                 .flush_queue = fault_flush_queue,
                                 .resize = fault_resize,
                                 .close = fault_close};
    FaultBlock *b = calloc(1, sizeof *b);

    b->data = calloc(1, size);
    b->base.ops = &ops;
    b->base.loop = loop;
    strcpy(b->base.node_name, "node0");
    b->base.info = (BlockInfo){.size = size, .alignment = 512, .can_discard = true, .can_write_zeroes = true};
    return b;
}
