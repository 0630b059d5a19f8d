/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Event loops: one runs on the main thread (QMP, timers, slow devices), others on named iothreads (queues of
 * block and net devices). epoll underneath, level-triggered.
 *
 * Who owns what: a watch, a timer and a defer belong to one loop and are only touched on that loop's thread,
 * or before the loop runs. loop_call() and loop_post() are for every other thread. A device lives on exactly
 * one loop (VirtioDevice.loop): all its ops run there, so a device needs no lock of its own unless it spreads
 * its queues over several loops.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "common/err.h"

typedef struct Loop Loop;

/* A loop that does not run yet; name at most 15 bytes (thread name). */
int loop_new(const char *name, Loop **ret, Err *err);
/* Stops and joins an iothread. Every watch and timer must be gone. */
void loop_free(Loop *loop);
/* Makes a thread that runs the loop until loop_free(). prepare (may be NULL) runs first on the new thread. */
int loop_start(Loop *loop, void (*prepare)(void *opaque), void *opaque, Err *err);
/* Runs on the calling thread until loop_quit(). */
void loop_run(Loop *loop);
void loop_quit(Loop *loop); /* any thread */
/* One turn on the loop's own thread, also from inside a callback (drains); block: waits for something to happen, unless a
 * call, a post or a timer already did: that may be what the caller waits for. */
void loop_iterate(Loop *loop, bool block);
bool loop_is_current(const Loop *loop);
bool loop_is_nested(const Loop *loop); /* in a turn inside another; on the loop's thread */
int loop_thread_id(const Loop *loop); /* kernel tid; 0 before the thread runs */

/* How long the loop looks for work before it sleeps, which saves a wake-up and costs CPU. The time adapts: multiplied by
 * grow (0: doubled) when work comes soon after falling asleep, divided by shrink (0: back to none) when looking was in vain;
 * never more than max_ns (0: never look). As QEMU's iothreads have it. Any thread. */
typedef struct LoopPolling {
    uint64_t max_ns;
    uint32_t grow, shrink;
} LoopPolling;
void loop_set_polling(Loop *loop, const LoopPolling *polling);

/*
 * Work that shows in memory before a descriptor reports it (completions of a ring, chains in a virtqueue). The loop looks
 * after every wait, and again and again while it polls; before it sleeps it has `rest` ask the other side for wake-ups.
 * Embed it in the owner and zero it first. All on the loop's thread.
 */
typedef struct LoopPeek {
    bool (*look)(void *opaque); /* does what is there; true: there was something */
    bool (*rest)(void *opaque); /* true: something came meanwhile, and was done. May be NULL */
    void *opaque;
    Loop *loop; /* NULL: not in a loop */
    struct LoopPeek *next;
} LoopPeek;

void loop_peek(Loop *loop, LoopPeek *peek, bool (*look)(void *), bool (*rest)(void *), void *opaque);
void loop_unpeek(LoopPeek *peek); /* of none: fine */
/* It polls at the moment: who is looked at by a LoopPeek with `rest` need not be woken until then. */
bool loop_polls(const Loop *loop);

/* One fd. Embed it in the owner and zero it first; watching says fd >= 0 and registered. */
typedef struct LoopWatch {
    Loop *loop;
    int fd;
    void (*ready)(void *opaque, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR */
    void *opaque;
    uint32_t events; /* asked for */
    bool active;
} LoopWatch;

int loop_watch(Loop *loop, LoopWatch *watch, int fd, uint32_t events, void (*ready)(void *, uint32_t),
               void *opaque);
int loop_watch_events(LoopWatch *watch, uint32_t events);
/* No callback comes after it returns, also not from events already fetched. The fd stays the caller's. */
void loop_unwatch(LoopWatch *watch);

/* One-shot timers on CLOCK_MONOTONIC, nanoseconds. */
typedef struct LoopTimer {
    Loop *loop;
    void (*expired)(void *opaque);
    void *opaque;
    uint64_t deadline;
    unsigned slot; /* place in the heap, 0 when not set */
} LoopTimer;

uint64_t loop_now(void);
void loop_timer_init(Loop *loop, LoopTimer *timer, void (*expired)(void *opaque), void *opaque);
int loop_timer_set(LoopTimer *timer, uint64_t deadline); /* again: moves it */
void loop_timer_cancel(LoopTimer *timer);

/* Work once all events fetched so far are handled (batching, e.g. one io_uring submit for many requests). What asks for
 * itself again while it runs does so in the next turn: events come in between. */
typedef struct LoopDefer {
    Loop *loop;
    void (*run)(void *opaque);
    void *opaque;
    struct LoopDefer *next;
    uint64_t ran; /* in which turn, last */
    bool queued;
} LoopDefer;

void loop_defer_init(Loop *loop, LoopDefer *defer, void (*run)(void *opaque), void *opaque);
void loop_defer(LoopDefer *defer); /* more than once before it ran: runs once */
void loop_defer_cancel(LoopDefer *defer);

/* Any thread: runs fn on the loop's thread and waits for it; directly when this is that thread. An iothread that waits
 * serves calls and posts meanwhile, so two may call each other; others (main thread, vCPUs) are not called by iothreads. */
void loop_call(Loop *loop, void (*fn)(void *opaque), void *opaque);
/* Any thread: the same without waiting. The post is the caller's and must stay until it ran; posted twice,
 * runs once. outermost: it runs in no turn that is inside another, nor in loop_serve_until(): whoever waits there is in the
 * middle of something. */
typedef struct LoopPost {
    void (*run)(void *opaque);
    void *opaque;
    bool outermost;
    struct LoopPost *next;
    bool queued;
} LoopPost;
void loop_post(Loop *loop, LoopPost *post);
/* On the loop's thread (or after it ended): a post that is queued will not run. */
void loop_post_cancel(Loop *loop, LoopPost *post);
/* On the loop's thread, while it waits for something else (vCPUs to stop): serves calls and posts only, until
 * done() says so. Whoever makes that true calls loop_wake() afterwards. */
void loop_serve_until(Loop *loop, bool (*done)(void *opaque), void *opaque);
void loop_wake(Loop *loop); /* any thread */
