/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Event loop: epoll for descriptors, a binary heap of timers (loop_timer.c), a list of calls from other threads behind an
 * eventfd (loop_call.c).
 *
 * One turn: calls and posts, expired timers, one epoll_wait, callbacks of what it fetched, defers. A callback
 * may unwatch anything: the fetched events of that watch are cancelled, also those of an outer turn (turns
 * nest in loop_iterate()).
 *
 * #syscalls epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2 write close clock_gettime
 */
#include "vmm/loop_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"

__thread Loop *loop_of_thread;

uint64_t loop_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int loop_new(const char *name, Loop **ret, Err *err)
{
    Loop *loop = calloc(1, sizeof *loop);
    struct epoll_event event = {.events = EPOLLIN};

    if (loop == NULL)
        return err_set(err, ENOMEM, "out of memory");
    strncpy(loop->name, name, sizeof loop->name - 1);
    loop->owner = pthread_self();
    loop->defers_tail = &loop->defers;
    loop->calls_tail = &loop->calls;
    loop->posts.tail = &loop->posts.first;
    loop->outer_posts.tail = &loop->outer_posts.first;
    pthread_mutex_init(&loop->lock, NULL);
    pthread_cond_init(&loop->called, NULL);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    /* data.ptr NULL stands for the wake descriptor */
    if (loop->wake_fd < 0 || loop->epoll_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0) {
        int r = err_set(err, errno, "cannot make the event loop %s: %s", name, strerror(errno));

        loop_free(loop);
        return r;
    }
    *ret = loop;
    return 0;
}

void loop_free(Loop *loop)
{
    if (loop == NULL)
        return;
    if (loop->started) {
        loop_quit(loop);
        pthread_join(loop->thread, NULL);
    }
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    pthread_mutex_destroy(&loop->lock);
    pthread_cond_destroy(&loop->called);
    free(loop->heap);
    free(loop);
}

static void *thread_main(void *opaque)
{
    Loop *loop = opaque;

    __atomic_store_n(&loop->owner, pthread_self(), __ATOMIC_RELEASE);
    loop_of_thread = loop;
    __atomic_store_n(&loop->tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
    prctl(PR_SET_NAME, loop->name);
    if (loop->prepare)
        loop->prepare(loop->prepare_opaque);
    loop_run(loop);
    return NULL;
}

int loop_start(Loop *loop, void (*prepare)(void *opaque), void *opaque, Err *err)
{
    pthread_attr_t attr;
    int r;

    loop->prepare = prepare;
    loop->prepare_opaque = opaque;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 * 1024);
    /* From here on the loop is nobody's until its thread takes it: calls queue up. */
    loop->owner = (pthread_t)0;
    r = pthread_create(&loop->thread, &attr, thread_main, loop);
    pthread_attr_destroy(&attr);
    if (r != 0) {
        loop->owner = pthread_self();
        return err_set(err, r, "cannot start the thread %s: %s", loop->name, strerror(r));
    }
    loop->started = true;
    return 0;
}

bool loop_is_current(const Loop *loop)
{
    return pthread_equal(__atomic_load_n(&loop->owner, __ATOMIC_ACQUIRE), pthread_self());
}

int loop_thread_id(const Loop *loop)
{
    return __atomic_load_n(&loop->tid, __ATOMIC_ACQUIRE);
}

void loop_wake(Loop *loop)
{
    uint64_t one = 1;

    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void loop_quit(Loop *loop)
{
    __atomic_store_n(&loop->quit, true, __ATOMIC_RELEASE);
    loop_wake(loop);
}

/* --- descriptors
 * ---------------------------------------------------------------------------------------------- */

int loop_watch(Loop *loop, LoopWatch *watch, int fd, uint32_t events, void (*ready)(void *, uint32_t),
               void *opaque)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    watch->loop = loop;
    watch->fd = fd;
    watch->ready = ready;
    watch->opaque = opaque;
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    watch->events = events;
    watch->active = true;
    return 0;
}

int loop_watch_events(LoopWatch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (!watch->active)
        return -EINVAL;
    if (watch->events == events)
        return 0;
    if (epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0)
        return -errno;
    watch->events = events;
    return 0;
}

void loop_unwatch(LoopWatch *watch)
{
    if (!watch->active)
        return;
    epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->active = false;
    for (Batch *batch = watch->loop->batch; batch != NULL; batch = batch->outer) {
        for (int i = 0; i < batch->count; i++) {
            if (batch->events[i].data.ptr == watch)
                batch->events[i].data.ptr = NULL;
        }
    }
}

/* --- the loop
 * ------------------------------------------------------------------------------------------------- */

void loop_peek(Loop *loop, LoopPeek *peek, bool (*look)(void *), bool (*rest)(void *), void *opaque)
{
    *peek = (LoopPeek){.look = look, .rest = rest, .opaque = opaque, .loop = loop, .next = loop->peeks};
    loop->peeks = peek;
}

void loop_unpeek(LoopPeek *peek)
{
    Loop *loop = peek->loop;

    if (loop == NULL)
        return;
    for (LoopPeek **at = &loop->peeks; *at != NULL; at = &(*at)->next) {
        if (*at == peek) {
            *at = peek->next;
            break;
        }
    }
    if (loop->next_peek == peek)
        loop->next_peek = peek->next;
    peek->loop = NULL;
}

/* A callback may take any out; one that turns the loop itself ends this walk. */
static bool look_around(Loop *loop)
{
    bool found = false;

    for (LoopPeek *peek = loop->peeks; peek != NULL; peek = loop->next_peek) {
        loop->next_peek = peek->next;
        found |= peek->look(peek->opaque);
    }
    return found;
}

static bool go_to_rest(Loop *loop)
{
    bool found = false;

    for (LoopPeek *peek = loop->peeks; peek != NULL; peek = loop->next_peek) {
        loop->next_peek = peek->next;
        if (peek->rest != NULL)
            found |= peek->rest(peek->opaque);
    }
    return found;
}

bool loop_polls(const Loop *loop)
{
    return loop->poll_ns > 0;
}

void loop_set_polling(Loop *loop, const LoopPolling *polling)
{
    __atomic_store_n(&loop->polling.grow, polling->grow, __ATOMIC_RELAXED);
    __atomic_store_n(&loop->polling.shrink, polling->shrink, __ATOMIC_RELAXED);
    __atomic_store_n(&loop->polling.max_ns, polling->max_ns, __ATOMIC_RELAXED);
}

/* waited: until work came, looking included. */
static void adapt_polling(Loop *loop, uint64_t max_ns, uint64_t waited)
{
    enum { FIRST_NS = 4000 };
    uint32_t grow = __atomic_load_n(&loop->polling.grow, __ATOMIC_RELAXED);
    uint32_t shrink = __atomic_load_n(&loop->polling.shrink, __ATOMIC_RELAXED);

    if (waited <= loop->poll_ns)
        return;
    if (waited > max_ns)
        loop->poll_ns = shrink != 0 ? loop->poll_ns / shrink : 0;
    else
        loop->poll_ns = loop->poll_ns == 0 ? FIRST_NS : loop->poll_ns * (grow != 0 ? grow : 2);
    loop->poll_ns = MIN(loop->poll_ns, max_ns);
}

/* Events that come while it looks; 0: none did. *ret_found: there was work in memory. */
static int look_for_events(Loop *loop, Batch *batch, uint64_t begin, bool *ret_found)
{
    /* Memory costs less to look at than the kernel to ask. */
    enum { LOOKS = 16 };
    int n;

    do {
        for (int i = 0; i < LOOKS && loop->peeks != NULL && !*ret_found; i++)
            *ret_found = look_around(loop);
        n = epoll_wait(loop->epoll_fd, batch->events, EVENTS_MAX, 0);
    } while (n == 0 && !*ret_found && loop_now() - begin < loop->poll_ns &&
             (loop->heap_count == 0 || loop->heap[1]->deadline > loop_now()));
    return n;
}

static int sleep_for_events(Loop *loop, Batch *batch, bool block)
{
    struct timespec ts = {0}, *timeout = &ts;

    if (block && loop->defers == NULL) {
        if (loop->heap_count == 0) {
            timeout = NULL;
        } else {
            uint64_t now = loop_now(), deadline = loop->heap[1]->deadline;
            uint64_t left = deadline > now ? deadline - now : 0;

            ts.tv_sec = (time_t)(left / 1000000000u);
            ts.tv_nsec = (long)(left % 1000000000u);
        }
    }
    int n = epoll_pwait2(loop->epoll_fd, batch->events, EVENTS_MAX, timeout, NULL);

    if (n < 0 && errno == ENOSYS)
        n = epoll_wait(loop->epoll_fd, batch->events, EVENTS_MAX,
                       timeout ? (int)(ts.tv_sec * 1000 + (ts.tv_nsec + 999999) / 1000000) : -1);
    return n;
}

static int wait_events(Loop *loop, Batch *batch, bool block)
{
    uint64_t max_ns = __atomic_load_n(&loop->polling.max_ns, __ATOMIC_RELAXED), begin;
    bool found = false;
    int n = 0;

    loop->poll_ns = MIN(loop->poll_ns, max_ns);
    if (max_ns == 0 || !block || loop->defers != NULL)
        return sleep_for_events(loop, batch, block && !go_to_rest(loop));
    begin = loop_now();
    if (loop->poll_ns > 0)
        n = look_for_events(loop, batch, begin, &found);
    if (n == 0 && !found)
        n = sleep_for_events(loop, batch, !go_to_rest(loop));
    adapt_polling(loop, max_ns, loop_now() - begin);
    return n;
}

static bool outer_post_waits(Loop *loop)
{
    bool waits;

    pthread_mutex_lock(&loop->lock);
    waits = loop->outer_posts.first != NULL;
    pthread_mutex_unlock(&loop->lock);
    return waits;
}

/* forever: nobody looks in between whether what he waits for has happened. */
static void turn(Loop *loop, bool block, bool forever)
{
    Batch batch = {.outer = loop->batch};
    bool ran;

    loop->depth++;
    ran = loop_run_calls(loop, loop->depth == 1);
    ran |= loop_run_timers(loop);
    if (ran && !forever)
        block = false;
    /* Who waits for requests to end waits for them at the end of the loop, too. */
    if (forever && __atomic_load_n(&loop->quit, __ATOMIC_ACQUIRE)) {
        loop->depth--;
        return;
    }
    loop->batch = &batch;
    /* A turn inside a timer may have used up the wake-up of a post that is for this one. */
    batch.count = wait_events(loop, &batch, block && !(loop->depth == 1 && outer_post_waits(loop)));
    for (int i = 0; i < batch.count; i++) {
        LoopWatch *watch = batch.events[i].data.ptr;

        if (watch == NULL)
            loop_drain_wake(loop);
        else
            watch->ready(watch->opaque, batch.events[i].events);
    }
    loop->batch = batch.outer;
    /* Completions of a ring interrupt the wait before its descriptor is reported. */
    (void)look_around(loop);
    loop_run_timers(loop);
    loop_run_defers(loop);
    loop->depth--;
}

void loop_iterate(Loop *loop, bool block)
{
    turn(loop, block, false);
}

bool loop_is_nested(const Loop *loop)
{
    return loop->depth > 1;
}

void loop_run(Loop *loop)
{
    __atomic_store_n(&loop->owner, pthread_self(), __ATOMIC_RELEASE);
    if (loop->tid == 0)
        loop->tid = (int)syscall(SYS_gettid);
    while (!__atomic_load_n(&loop->quit, __ATOMIC_ACQUIRE))
        turn(loop, true, true);
    loop_run_calls(loop, true);
}
