/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all block nodes have in common: checking requests, counting them, draining. */
#include "vmm/block/block.h"

#include <errno.h>
#include <stdlib.h>

#include "common/checked.h"

void block_submit(Block *block, BlockRequest *request)
{
    const BlockInfo *info = &block->info;
    bool data = request->kind != BLOCK_FLUSH, writes = request->kind != BLOCK_READ && data;
    int r = 0;

    if (data && (!range_inside(request->offset, request->length, info->size) ||
                 (request->offset | request->length) % info->alignment != 0))
        r = -EINVAL;
    else if (writes && info->read_only)
        r = -EROFS;
    if (r < 0) {
        request->complete(request, r);
        return;
    }
    block->in_flight++;
    block->ops->submit(block, request);
}

void block_complete(Block *block, BlockRequest *request, int result)
{
    block->in_flight--;
    request->complete(request, result);
}

void block_flush_queue(Block *block)
{
    if (block->ops->flush_queue)
        block->ops->flush_queue(block);
}

int block_resize(Block *block, uint64_t size, Err *err)
{
    int r;

    if (!block->ops->resize)
        return err_set(err, ENOTSUP, "block node %s: its driver cannot change its size", block->node_name);
    r = block->ops->resize(block, size, err);
    if (r == 0 && block->changed)
        block->changed(block->changed_opaque);
    return r;
}

void block_drain(Block *block)
{
    block_flush_queue(block);
    while (block->in_flight > 0)
        loop_iterate(block->loop, true);
}

int block_attach_loop(Block *block, Loop *loop, Err *err)
{
    int r = block->ops->attach_loop ? block->ops->attach_loop(block, loop, err) : 0;

    if (r == 0)
        block->loop = loop;
    return r;
}

void block_close(Block *block)
{
    if (block == NULL)
        return;
    block->ops->close(block);
    free(block);
}
