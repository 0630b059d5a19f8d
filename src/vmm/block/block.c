/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all block nodes have in common: checking requests, counting and holding them back, draining. */
#include "vmm/block/block.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"

/* --- requests ---------------------------------------------------------------------------------------------- */

static void append(BlockQueue *queue, BlockRequest *request)
{
    if (queue->first == NULL)
        queue->tail = &queue->first;
    request->next = NULL;
    *queue->tail = request;
    queue->tail = &request->next;
}

static BlockRequest *take(BlockQueue *queue)
{
    BlockRequest *request = queue->first;

    queue->first = request->next;
    return request;
}

static void start(Block *block, BlockRequest *request)
{
    block->in_flight++;
    block->ops->submit(block, request);
}

static void come_back(Block *block, uint64_t now, uint64_t wait)
{
    if (wait == THROTTLE_WAKE || (block->limit_timer.slot != 0 && block->limit_timer.deadline <= now + wait))
        return;
    /* Without a timer (no memory) the next request asks again. */
    (void)loop_timer_set(&block->limit_timer, now + wait);
}

/* As far as it is its turn. */
static void serve_waiting(void *opaque)
{
    Block *block = opaque;

    for (unsigned write = 0; write < 2; write++) {
        BlockQueue *queue = &block->waiting[write];

        while (queue->first != NULL && block->quiesced == 0) {
            uint64_t now = loop_now(), wait;
            BlockRequest *request;

            if (!throttle_turn(&block->limits, write, queue->first->length, now, &wait)) {
                come_back(block, now, wait);
                break;
            }
            request = take(queue);
            throttle_taken(&block->limits, write, queue->first != NULL);
            start(block, request);
        }
    }
    block_flush_queue(block);
}

static void limit_wake(ThrottleMember *member)
{
    Block *block = container_of(member, Block, limits);

    loop_post(block->loop, &block->limit_post);
}

static void admit(Block *block, BlockRequest *request)
{
    unsigned write = request->kind == BLOCK_WRITE;
    uint64_t now, wait;

    if (block->limits.group != NULL && (write || request->kind == BLOCK_READ)) {
        now = loop_now();
        if (block->waiting[write].first != NULL ||
            !throttle_ask(&block->limits, write, request->length, now, &wait)) {
            if (block->waiting[write].first == NULL)
                come_back(block, now, wait);
            append(&block->waiting[write], request);
            return;
        }
    }
    start(block, request);
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
    if (r < 0)
        request->complete(request, r);
    else if (block->quiesced > 0)
        append(&block->held, request);
    else
        admit(block, request);
}

static void raise_to(uint64_t *at, uint64_t value)
{
    uint64_t known = __atomic_load_n(at, __ATOMIC_RELAXED);

    while (value > known && !__atomic_compare_exchange_n(at, &known, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

void block_set_user(Block *block, const char *user, uint64_t *write_end)
{
    Block *storage = block->ops->storage != NULL ? block->ops->storage(block) : block;

    snprintf(block->user, sizeof block->user, "%s", user);
    __atomic_store_n(write_end, storage->write_end, __ATOMIC_RELAXED);
    storage->write_end_shown = write_end;
}

void block_note_write(Block *b, uint64_t end)
{
    uint64_t threshold = __atomic_load_n(&b->write_threshold, __ATOMIC_ACQUIRE);

    raise_to(&b->write_end, end);
    if (b->write_end_shown != NULL)
        raise_to(b->write_end_shown, end);
    if (threshold == 0 || end <= threshold ||
        !__atomic_compare_exchange_n(&b->write_threshold, &threshold, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return;
    if (b->threshold_shown != NULL)
        __atomic_store_n(b->threshold_shown, 0, __ATOMIC_RELAXED);
    b->threshold_passed(b->threshold_opaque, b, threshold, end);
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

/* --- holding back ------------------------------------------------------------------------------------------ */

static void finish_in_flight(Block *block)
{
    block_flush_queue(block);
    while (block->in_flight > 0)
        loop_iterate(block->loop, true);
}

void block_drain(Block *block)
{
    loop_timer_cancel(&block->limit_timer);
    throttle_step_aside(&block->limits);
    for (unsigned write = 0; write < 2; write++) {
        while (block->waiting[write].first != NULL && block->quiesced == 0) {
            BlockRequest *request = take(&block->waiting[write]);

            throttle_count(&block->limits, write, request->length);
            start(block, request);
        }
    }
    finish_in_flight(block);
}

static void cancel_list(BlockQueue *queue)
{
    while (queue->first != NULL) {
        BlockRequest *request = take(queue);

        request->complete(request, -ECANCELED);
    }
}

void block_cancel(Block *block)
{
    if (block->quiesced == 0)
        return;
    cancel_list(&block->held);
    throttle_step_aside(&block->limits);
    for (unsigned write = 0; write < 2; write++)
        cancel_list(&block->waiting[write]);
}

typedef struct Flush {
    Block *block;
    BlockRequest request;
    bool done;
    int result;
} Flush;

static void flush_done(BlockRequest *request, int result)
{
    Flush *f = container_of(request, Flush, request);

    f->done = true;
    f->result = result;
}

static void flush_on_loop(void *opaque)
{
    Flush *f = opaque;

    block_submit(f->block, &f->request);
    block_flush_queue(f->block);
    while (!f->done)
        loop_iterate(f->block->loop, true);
}

int block_flush(Block *block)
{
    Flush f = {.block = block, .request = {.kind = BLOCK_FLUSH, .complete = flush_done}};

    if (block->info.read_only || block->quiesced > 0)
        return 0;
    loop_call(block->loop, flush_on_loop, &f);
    return f.result;
}

static void quiesce(void *opaque)
{
    Block *block = opaque;

    if (block->quiesced++ == 0) {
        loop_timer_cancel(&block->limit_timer);
        throttle_step_aside(&block->limits);
    }
    finish_in_flight(block);
}

static void resume(void *opaque)
{
    Block *block = opaque;

    if (block->node != NULL)
        block->info = block->node->info;
    if (--block->quiesced > 0)
        return;
    for (unsigned write = 0; write < 2; write++) {
        if (block->waiting[write].first != NULL)
            throttle_queue(&block->limits, write);
    }
    while (block->held.first != NULL && block->quiesced == 0)
        admit(block, take(&block->held));
    serve_waiting(block);
}

void block_quiesce(Block *block)
{
    quiesce(block);
    for (Block *v = block->views; v != NULL; v = v->next_view)
        loop_call(v->loop, quiesce, v);
}

void block_resume(Block *block)
{
    for (Block *v = block->views; v != NULL; v = v->next_view)
        loop_call(v->loop, resume, v);
    resume(block);
}

/* --- limits ------------------------------------------------------------------------------------------------ */

static void ready_for_limits(Block *block)
{
    if (block->limits.wake != NULL)
        return;
    block->limits.wake = limit_wake;
    loop_timer_init(block->loop, &block->limit_timer, serve_waiting, block);
    block->limit_post = (LoopPost){.run = serve_waiting, .opaque = block};
}

/* Into the group, or out of all (NULL); what waits asks there. */
static int change_group(Block *block, const char *group, Err *err)
{
    int r = 0;

    ready_for_limits(block);
    loop_timer_cancel(&block->limit_timer);
    throttle_step_aside(&block->limits);
    if (group != NULL)
        r = throttle_join(&block->limits, group, err);
    else
        throttle_leave(&block->limits);
    serve_waiting(block);
    return r;
}

typedef struct GroupChange {
    Block *view;
    const char *group;
    Err *err;
    int result;
} GroupChange;

static void change_group_of_view(void *opaque)
{
    GroupChange *c = opaque;

    c->result = change_group(c->view, c->group, c->err);
}

int block_set_throttle(Block *block, const char *group, const ThrottleConfig *config, Err *err)
{
    const char *wrong = throttle_check(config);
    char name[THROTTLE_GROUP_NAME_MAX + 1];
    int r;

    if (wrong != NULL)
        return err_set(err, EINVAL, "%s", wrong);
    if (!throttle_is_on(config)) {
        group = NULL;
    } else {
        if (group == NULL)
            group = throttle_group_name(&block->limits);
        if (group == NULL)
            group = block->user[0] != '\0' ? block->user : block->node_name;
        if (strlen(group) >= sizeof name)
            return err_set(err, EINVAL, "a throttle group's name has 1 to %d bytes", THROTTLE_GROUP_NAME_MAX);
        /* Changing groups may end the one whose name this is. */
        snprintf(name, sizeof name, "%s", group);
        group = name;
    }
    r = change_group(block, group, err);
    for (Block *v = block->views; v != NULL && r == 0; v = v->next_view) {
        GroupChange c = {.view = v, .group = group, .err = err};

        loop_call(v->loop, change_group_of_view, &c);
        r = c.result;
    }
    if (r == 0)
        throttle_group_set(&block->limits, config, loop_now());
    return r;
}

/* The loop, or after it. */
static void forget_limits(Block *block)
{
    if (block->limits.wake == NULL)
        return;
    loop_timer_cancel(&block->limit_timer);
    throttle_leave(&block->limits);
    loop_post_cancel(block->loop, &block->limit_post);
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

static void stop_limits(void *opaque)
{
    Block *block = opaque;

    loop_timer_cancel(&block->limit_timer);
    throttle_step_aside(&block->limits);
    loop_post_cancel(block->loop, &block->limit_post);
}

int block_attach_loop(Block *block, Loop *loop, Err *err)
{
    int r;

    if (block->loop == loop)
        return 0;
    if (block->limits.wake != NULL)
        loop_call(block->loop, stop_limits, block);
    r = block->ops->attach_loop ? block->ops->attach_loop(block, loop, err) : 0;
    if (r == 0) {
        block->loop = loop;
        block->limit_timer.loop = loop;
    }
    return r;
}

int block_view(Block *block, Loop *loop, Block **ret, Err *err)
{
    Block *v;
    int r;

    if (!block->ops->view)
        return err_set(err, ENOTSUP, "block node %s: its driver serves one thread only", block->node_name);
    r = block->ops->view(block, loop, &v, err);
    if (r < 0)
        return r;
    v->ops = block->ops;
    v->loop = loop;
    v->info = block->info;
    v->node = block;
    v->claimed = true;
    memcpy(v->node_name, block->node_name, sizeof v->node_name);
    if (block->limits.group != NULL) {
        ready_for_limits(v);
        r = throttle_join(&v->limits, throttle_group_name(&block->limits), err);
        if (r < 0) {
            block_close(v);
            return r;
        }
    }
    v->next_view = block->views;
    block->views = v;
    *ret = v;
    return 0;
}

static void do_forget_limits(void *opaque)
{
    forget_limits(opaque);
}

void block_view_close(Block *view)
{
    if (view == NULL)
        return;
    for (Block **at = &view->node->views; *at != NULL; at = &(*at)->next_view) {
        if (*at == view) {
            *at = view->next_view;
            break;
        }
    }
    loop_call(view->loop, do_forget_limits, view);
    block_close(view);
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
    forget_limits(block);
    block->ops->close(block);
    free(block);
}
