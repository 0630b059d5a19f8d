/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a loop is given to do: defers by itself, calls and posts by other threads, which ring its eventfd. See loop.h.
 *
 * #syscalls read poll futex
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "vmm/loop_internal.h"

void loop_defer_init(Loop *loop, LoopDefer *defer, void (*run)(void *opaque), void *opaque)
{
    *defer = (LoopDefer){.loop = loop, .run = run, .opaque = opaque};
}

void loop_defer(LoopDefer *defer)
{
    Loop *loop = defer->loop;

    if (defer->queued)
        return;
    defer->queued = true;
    defer->next = NULL;
    *loop->defers_tail = defer;
    loop->defers_tail = &defer->next;
}

void loop_defer_cancel(LoopDefer *defer)
{
    if (!defer->queued)
        return;
    for (LoopDefer **at = &defer->loop->defers; *at != NULL; at = &(*at)->next) {
        if (*at == defer) {
            *at = defer->next;
            if (defer->loop->defers_tail == &defer->next)
                defer->loop->defers_tail = at;
            break;
        }
    }
    defer->queued = false;
}

void loop_run_defers(Loop *loop)
{
    uint64_t turn = ++loop->turns;

    for (;;) {
        LoopDefer **at = &loop->defers, *defer;

        while (*at != NULL && (*at)->ran == turn)
            at = &(*at)->next;
        defer = *at;
        if (defer == NULL)
            return;
        *at = defer->next;
        if (loop->defers_tail == &defer->next)
            loop->defers_tail = at;
        defer->queued = false;
        defer->ran = turn;
        defer->run(defer->opaque);
    }
}

static bool call_is_done(void *opaque)
{
    Call *call = opaque;
    bool done;

    pthread_mutex_lock(&call->to->lock);
    done = call->done;
    pthread_mutex_unlock(&call->to->lock);
    return done;
}

void loop_call(Loop *loop, void (*fn)(void *opaque), void *opaque)
{
    Call call = {.fn = fn, .opaque = opaque, .to = loop, .from = loop_of_thread};

    if (loop_is_current(loop)) {
        fn(opaque);
        return;
    }
    pthread_mutex_lock(&loop->lock);
    *loop->calls_tail = &call;
    loop->calls_tail = &call.next;
    pthread_mutex_unlock(&loop->lock);
    loop_wake(loop);
    if (loop_of_thread != NULL) {
        /* The other one may be calling this one. */
        loop_serve_until(loop_of_thread, call_is_done, &call);
        return;
    }
    pthread_mutex_lock(&loop->lock);
    while (!call.done)
        pthread_cond_wait(&loop->called, &loop->lock);
    pthread_mutex_unlock(&loop->lock);
}

static PostList *list_of(Loop *loop, const LoopPost *post)
{
    return post->outermost ? &loop->outer_posts : &loop->posts;
}

void loop_post(Loop *loop, LoopPost *post)
{
    PostList *list = list_of(loop, post);
    bool wake = false;

    pthread_mutex_lock(&loop->lock);
    if (!post->queued) {
        post->queued = true;
        post->next = NULL;
        *list->tail = post;
        list->tail = &post->next;
        wake = true;
    }
    pthread_mutex_unlock(&loop->lock);
    if (wake)
        loop_wake(loop);
}

void loop_post_cancel(Loop *loop, LoopPost *post)
{
    PostList *list = list_of(loop, post);

    pthread_mutex_lock(&loop->lock);
    for (LoopPost **at = &list->first; post->queued && *at != NULL; at = &(*at)->next) {
        if (*at == post) {
            *at = post->next;
            if (list->tail == &post->next)
                list->tail = at;
            post->queued = false;
            break;
        }
    }
    pthread_mutex_unlock(&loop->lock);
}

/* Under the lock; NULL: none. */
static LoopPost *take_post(PostList *list)
{
    LoopPost *post = list->first;

    if (post != NULL) {
        list->first = post->next;
        if (list->first == NULL)
            list->tail = &list->first;
        post->queued = false;
    }
    return post;
}

bool loop_run_calls(Loop *loop, bool outermost)
{
    bool ran = false;

    pthread_mutex_lock(&loop->lock);
    for (;; ran = true) {
        Call *call = loop->calls;
        LoopPost *post = NULL;

        if (call == NULL) {
            post = take_post(&loop->posts);
            if (post == NULL && outermost)
                post = take_post(&loop->outer_posts);
            if (post == NULL)
                break;
            pthread_mutex_unlock(&loop->lock);
            post->run(post->opaque);
            pthread_mutex_lock(&loop->lock);
            continue;
        }
        loop->calls = call->next;
        if (loop->calls == NULL)
            loop->calls_tail = &loop->calls;
        pthread_mutex_unlock(&loop->lock);
        call->fn(call->opaque);
        pthread_mutex_lock(&loop->lock);
        call->done = true;
        if (call->from != NULL)
            loop_wake(call->from);
        else
            pthread_cond_broadcast(&loop->called);
    }
    pthread_mutex_unlock(&loop->lock);
    return ran;
}

void loop_drain_wake(Loop *loop)
{
    uint64_t value;

    while (read(loop->wake_fd, &value, sizeof value) < 0 && errno == EINTR)
        ;
}

void loop_serve_until(Loop *loop, bool (*done)(void *opaque), void *opaque)
{
    for (;;) {
        /* Only the wake descriptor is waited for: nothing else of the loop may run now. */
        struct pollfd poll_fd = {.fd = loop->wake_fd, .events = POLLIN};

        loop_run_calls(loop, false);
        if (done(opaque))
            break;
        poll(&poll_fd, 1, -1);
        loop_drain_wake(loop);
    }
    loop_wake(loop); /* what was drained may have been meant for the outer turn (quit, its posts) */
}
