/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all block nodes have in common: checking requests, counting and holding them back, draining. */
#include "vmm/block/block.h"

#include <errno.h>
#include <stdlib.h>

#include "common/checked.h"

/* --- requests ---------------------------------------------------------------------------------------------- */

static bool moves_data(const BlockRequest *request)
{
    return request->kind == BLOCK_READ || request->kind == BLOCK_WRITE;
}

static void hold(Block *block, BlockRequest *request)
{
    if (block->held == NULL)
        block->held_tail = &block->held;
    request->next = NULL;
    *block->held_tail = request;
    block->held_tail = &request->next;
}

static void start(Block *block, BlockRequest *request)
{
    if (block->throttled && moves_data(request))
        throttle_account(&block->throttle, request->kind == BLOCK_WRITE, request->length);
    block->in_flight++;
    block->ops->submit(block, request);
}

/* 0: it may go now. The timer is set otherwise. */
static bool must_wait(Block *block, const BlockRequest *request)
{
    uint64_t wait, now;

    if (!block->throttled || !moves_data(request))
        return false;
    now = loop_now();
    wait = throttle_wait(&block->throttle, request->kind == BLOCK_WRITE, now);
    if (wait == 0)
        return false;
    return loop_timer_set(&block->throttle_timer, now + wait) == 0;
}

/* Lets what was held back go, as far as it may. all: limits do not count (drain). */
static void release_held(Block *block, bool all)
{
    while (block->held != NULL && block->quiesced == 0) {
        BlockRequest *request = block->held;

        if (!all && must_wait(block, request))
            break;
        block->held = request->next;
        start(block, request);
    }
    block_flush_queue(block);
}

static void throttle_expired(void *opaque)
{
    release_held(opaque, false);
}

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
    if (block->quiesced > 0 || block->held != NULL || must_wait(block, request))
        hold(block, request);
    else
        start(block, request);
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

void block_drain(Block *block)
{
    if (block->timer_made)
        loop_timer_cancel(&block->throttle_timer);
    release_held(block, true);
    while (block->in_flight > 0)
        loop_iterate(block->loop, true);
}

void block_quiesce(Block *block)
{
    block->quiesced++;
    block_flush_queue(block);
    while (block->in_flight > 0)
        loop_iterate(block->loop, true);
}

void block_resume(Block *block)
{
    if (--block->quiesced == 0)
        release_held(block, false);
}

int block_set_throttle(Block *block, const ThrottleConfig *config, Err *err)
{
    const char *wrong = throttle_check(config);

    if (wrong != NULL)
        return err_set(err, EINVAL, "%s", wrong);
    if (!block->timer_made) {
        loop_timer_init(block->loop, &block->throttle_timer, throttle_expired, block);
        block->timer_made = true;
    }
    loop_timer_cancel(&block->throttle_timer);
    block->throttled = throttle_is_on(config);
    throttle_set(&block->throttle, config, loop_now());
    release_held(block, false);
    return 0;
}

/* --- life -------------------------------------------------------------------------------------------------- */

int block_resize(Block *block, uint64_t size, Err *err)
{
    int r;

    if (!block->ops->resize)
        return err_set(err, ENOTSUP, "block node %s: its driver cannot change its size", block->node_name);
    if (block->info.read_only)
        return err_set(err, EACCES, "block node %s is read-only", block->node_name);
    block_quiesce(block);
    r = block->ops->resize(block, size, err);
    block_resume(block);
    if (r == 0 && block->changed)
        block->changed(block->changed_opaque);
    return r;
}

int block_attach_loop(Block *block, Loop *loop, Err *err)
{
    int r;

    if (block->loop == loop)
        return 0;
    r = block->ops->attach_loop ? block->ops->attach_loop(block, loop, err) : 0;
    if (r == 0) {
        block->loop = loop;
        block->throttle_timer.loop = loop;
    }
    return r;
}

void block_release(Block *block)
{
    block->claimed = false;
    block->user[0] = '\0';
    block->changed = NULL;
    block->changed_opaque = NULL;
}

void block_close(Block *block)
{
    if (block == NULL)
        return;
    if (block->timer_made)
        loop_timer_cancel(&block->throttle_timer);
    block->ops->close(block);
    free(block);
}
