/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of the event loop share: loop.c (life, descriptors, turns), loop_timer.c, loop_call.c. */
#pragma once

#include <pthread.h>

#include "vmm/loop.h"

#define EVENTS_MAX 32

typedef struct Batch {
    struct epoll_event events[EVENTS_MAX];
    int count;
    struct Batch *outer;
} Batch;

typedef struct PostList {
    LoopPost *first, **tail;
} PostList;

typedef struct Call {
    void (*fn)(void *opaque);
    void *opaque;
    bool done; /* lock of the loop that is called */
    Loop *to;
    Loop *from; /* the caller's, when it is an iothread's */
    struct Call *next;
} Call;

struct Loop {
    char name[16];
    int epoll_fd, wake_fd;
    pthread_t owner; /* the thread everything belongs to */
    pthread_t thread;
    bool started;
    int tid;
    bool quit; /* atomic */
    Batch *batch;
    unsigned depth; /* turns on the stack */

    LoopPeek *peeks, *next_peek; /* the latter: where a walk goes on */
    LoopPolling polling; /* fields atomic */
    uint64_t poll_ns; /* now */

    LoopTimer **heap; /* heap[1 .. heap_count] */
    unsigned heap_count, heap_size;
    LoopDefer *defers, **defers_tail;
    uint64_t turns;

    pthread_mutex_t lock; /* guards calls and posts */
    pthread_cond_t called;
    Call *calls, **calls_tail;
    PostList posts, outer_posts; /* the latter for the outermost turn */

    void (*prepare)(void *opaque);
    void *prepare_opaque;
};

/* This thread's, when loop_start() made it. */
extern __thread Loop *loop_of_thread;

/* On the loop's thread. */
bool loop_run_timers(Loop *loop); /* those that have expired; whether there was one */
bool loop_run_calls(Loop *loop, bool outermost); /* and posts; whether there was one */
void loop_run_defers(Loop *loop);
void loop_drain_wake(Loop *loop);
