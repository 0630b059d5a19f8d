/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Event loop over epoll: see ioloop.h. */
#define ERROR_FROM VIR_FROM_RPC
#include "driver/rpc/ioloop.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"

#define TICK_USEC G_USEC_PER_SEC
#define BATCH 256

struct IoWatch {
    IoLoop *loop;
    int fd;
    guint32 events;
    gboolean removed;
    IoReadyFunc ready;
    void *opaque;
};

typedef struct Posted {
    IoFunc fn;
    void *opaque;
} Posted;

struct IoLoop {
    int epoll_fd;
    int wake_fd;
    GThread *thread; /* the one in io_loop_run */
    gint quit; /* atomic */

    GMutex lock;
    GArray *posted; /* of Posted; guarded by lock */
    gboolean awake; /* wake_fd is written already; guarded by lock */

    /* the loop's thread */
    GPtrArray *graveyard; /* removed watches that the current batch may still name */
    IoFunc tick;
    void *tick_opaque;
    gboolean tick_wanted;
    gint64 next_tick;
};

IoLoop *io_loop_new(GError **error)
{
    g_autofree IoLoop *loop = g_new0(IoLoop, 1);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0) {
        error_set_errno(error, errno, "Cannot create the event loop of the RPC server");
        fd_clear(&loop->epoll_fd);
        fd_clear(&loop->wake_fd);
        return NULL;
    }
    g_mutex_init(&loop->lock);
    loop->posted = g_array_new(FALSE, FALSE, sizeof(Posted));
    loop->graveyard = g_ptr_array_new_with_free_func(g_free);
    return g_steal_pointer(&loop);
}

static gboolean run_posted(IoLoop *loop)
{
    GArray *posted = NULL;

    g_mutex_lock(&loop->lock);
    if (loop->posted->len > 0) {
        posted = loop->posted;
        loop->posted = g_array_new(FALSE, FALSE, sizeof(Posted));
    }
    if (loop->awake) {
        guint64 count;

        loop->awake = FALSE;
        while (read(loop->wake_fd, &count, sizeof count) < 0 && errno == EINTR)
            ;
    }
    g_mutex_unlock(&loop->lock);
    if (posted == NULL)
        return FALSE;
    for (guint i = 0; i < posted->len; i++) {
        Posted *p = &g_array_index(posted, Posted, i);

        p->fn(p->opaque);
    }
    g_array_unref(posted);
    return TRUE;
}

void io_loop_free(IoLoop *loop)
{
    if (loop == NULL)
        return;
    while (run_posted(loop))
        ;
    close(loop->epoll_fd);
    close(loop->wake_fd);
    g_mutex_clear(&loop->lock);
    g_array_unref(loop->posted);
    g_ptr_array_unref(loop->graveyard);
    g_free(loop);
}

static int tick_and_timeout(IoLoop *loop)
{
    gint64 now;

    if (!loop->tick_wanted || loop->tick == NULL)
        return -1;
    now = g_get_monotonic_time();
    if (now >= loop->next_tick) {
        loop->next_tick = now + TICK_USEC;
        loop->tick(loop->tick_opaque);
    }
    return (int)((loop->next_tick - now) / 1000) + 1;
}

void io_loop_run(IoLoop *loop)
{
    struct epoll_event events[BATCH];

    g_atomic_pointer_set(&loop->thread, g_thread_self());
    while (!g_atomic_int_get(&loop->quit)) {
        int timeout = tick_and_timeout(loop);
        int n = epoll_wait(loop->epoll_fd, events, BATCH, timeout);

        if (n < 0 && errno != EINTR) {
            log_error("RPC server: epoll_wait: %s", g_strerror(errno));
            break;
        }
        for (int i = 0; i < n; i++) {
            IoWatch *watch = events[i].data.ptr;

            if (watch != NULL && !watch->removed)
                watch->ready(events[i].events, watch->opaque);
        }
        run_posted(loop);
        g_ptr_array_set_size(loop->graveyard, 0);
    }
    g_atomic_pointer_set(&loop->thread, NULL);
}

static void wake(IoLoop *loop)
{
    static const guint64 one = 1;

    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void io_loop_quit(IoLoop *loop)
{
    g_atomic_int_set(&loop->quit, 1);
    wake(loop);
}

gboolean io_loop_is_current(IoLoop *loop)
{
    return g_atomic_pointer_get(&loop->thread) == g_thread_self();
}

void io_loop_post(IoLoop *loop, IoFunc fn, void *opaque)
{
    Posted posted = {fn, opaque};

    g_mutex_lock(&loop->lock);
    g_array_append_val(loop->posted, posted);
    if (!loop->awake) {
        loop->awake = TRUE;
        wake(loop);
    }
    g_mutex_unlock(&loop->lock);
}

IoWatch *io_watch_add(IoLoop *loop, int fd, guint32 events, IoReadyFunc ready, void *opaque, GError **error)
{
    IoWatch *watch = g_new0(IoWatch, 1);
    struct epoll_event event = {.events = events, .data.ptr = watch};

    *watch = (IoWatch){loop, fd, events, FALSE, ready, opaque};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        error_set_errno(error, errno, "Cannot watch file descriptor %d", fd);
        g_free(watch);
        return NULL;
    }
    return watch;
}

void io_watch_set(IoWatch *watch, guint32 events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (watch->events == events || watch->removed)
        return;
    watch->events = events;
    if (epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0)
        log_warning("RPC server: epoll_ctl: %s", g_strerror(errno));
}

void io_watch_remove(IoWatch *watch)
{
    if (watch == NULL || watch->removed)
        return;
    watch->removed = TRUE;
    epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    g_ptr_array_add(watch->loop->graveyard, watch);
}

void io_loop_set_tick(IoLoop *loop, IoFunc tick, void *opaque)
{
    loop->tick = tick;
    loop->tick_opaque = opaque;
}

void io_loop_want_tick(IoLoop *loop, gboolean wanted)
{
    if (wanted && !loop->tick_wanted)
        loop->next_tick = g_get_monotonic_time() + TICK_USEC;
    loop->tick_wanted = wanted;
}
