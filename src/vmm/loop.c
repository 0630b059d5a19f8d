/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Event loop: epoll for descriptors, a binary heap of timers, a list of calls from other threads behind an
 * eventfd.
 *
 * One turn: calls and posts, expired timers, one epoll_wait, callbacks of what it fetched, defers. A callback
 * may unwatch anything: the fetched events of that watch are cancelled, also those of an outer turn (turns
 * nest in loop_iterate()).
 *
 * #syscalls epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2 read write close futex
 * clock_gettime poll
 */
#include "vmm/loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"

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
static __thread Loop *own_loop;

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
    own_loop = loop;
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

/* --- timers
 * --------------------------------------------------------------------------------------------------- */

static void heap_place(Loop *loop, unsigned slot, LoopTimer *timer)
{
    loop->heap[slot] = timer;
    timer->slot = slot;
}

static void heap_up(Loop *loop, unsigned slot)
{
    LoopTimer *timer = loop->heap[slot];

    while (slot > 1 && loop->heap[slot / 2]->deadline > timer->deadline) {
        heap_place(loop, slot, loop->heap[slot / 2]);
        slot /= 2;
    }
    heap_place(loop, slot, timer);
}

static void heap_down(Loop *loop, unsigned slot)
{
    LoopTimer *timer = loop->heap[slot];

    for (;;) {
        unsigned child = slot * 2;

        if (child > loop->heap_count)
            break;
        if (child < loop->heap_count && loop->heap[child + 1]->deadline < loop->heap[child]->deadline)
            child++;
        if (loop->heap[child]->deadline >= timer->deadline)
            break;
        heap_place(loop, slot, loop->heap[child]);
        slot = child;
    }
    heap_place(loop, slot, timer);
}

void loop_timer_init(Loop *loop, LoopTimer *timer, void (*expired)(void *opaque), void *opaque)
{
    *timer = (LoopTimer){.loop = loop, .expired = expired, .opaque = opaque};
}

int loop_timer_set(LoopTimer *timer, uint64_t deadline)
{
    Loop *loop = timer->loop;

    loop_timer_cancel(timer);
    timer->deadline = deadline;
    if (loop->heap_count + 2 > loop->heap_size) {
        unsigned size = loop->heap_size ? loop->heap_size * 2 : 16;
        LoopTimer **heap = realloc(loop->heap, size * sizeof *heap);

        if (heap == NULL)
            return -ENOMEM;
        loop->heap = heap;
        loop->heap_size = size;
    }
    loop->heap[++loop->heap_count] = timer;
    heap_up(loop, loop->heap_count);
    return 0;
}

void loop_timer_cancel(LoopTimer *timer)
{
    Loop *loop = timer->loop;
    unsigned slot = timer->slot;
    LoopTimer *last;

    if (slot == 0)
        return;
    timer->slot = 0;
    last = loop->heap[loop->heap_count--];
    if (last == timer)
        return;
    loop->heap[slot] = last;
    last->slot = slot;
    heap_up(loop, slot);
    heap_down(loop, last->slot);
}

/* Whether there was one. */
static bool run_timers(Loop *loop)
{
    bool ran = false;

    if (loop->heap_count == 0)
        return false;
    for (uint64_t now = loop_now(); loop->heap_count > 0 && loop->heap[1]->deadline <= now;) {
        LoopTimer *timer = loop->heap[1];

        loop_timer_cancel(timer);
        timer->expired(timer->opaque);
        ran = true;
    }
    return ran;
}

/* --- defers, calls, posts
 * ------------------------------------------------------------------------------------- */

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

static void run_defers(Loop *loop)
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
    Call call = {.fn = fn, .opaque = opaque, .to = loop, .from = own_loop};

    if (loop_is_current(loop)) {
        fn(opaque);
        return;
    }
    pthread_mutex_lock(&loop->lock);
    *loop->calls_tail = &call;
    loop->calls_tail = &call.next;
    pthread_mutex_unlock(&loop->lock);
    loop_wake(loop);
    if (own_loop != NULL) {
        /* The other one may be calling this one. */
        loop_serve_until(own_loop, call_is_done, &call);
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

/* Calls and posts; whether there was one. */
static bool run_calls(Loop *loop, bool outermost)
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

static void drain_wake(Loop *loop)
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

        run_calls(loop, false);
        if (done(opaque))
            break;
        poll(&poll_fd, 1, -1);
        drain_wake(loop);
    }
    loop_wake(loop); /* what was drained may have been meant for the outer turn (quit, its posts) */
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
    ran = run_calls(loop, loop->depth == 1);
    ran |= run_timers(loop);
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
            drain_wake(loop);
        else
            watch->ready(watch->opaque, batch.events[i].events);
    }
    loop->batch = batch.outer;
    /* Completions of a ring interrupt the wait before its descriptor is reported. */
    (void)look_around(loop);
    run_timers(loop);
    run_defers(loop);
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
    run_calls(loop, true);
}
