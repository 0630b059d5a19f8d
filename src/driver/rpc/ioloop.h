/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The I/O thread's event loop: epoll, posted functions and one tick a second. poll()-based main loops walk
 * every descriptor on every turn; with thousands of clients only the ready ones should cost anything.
 */
#pragma once

#include <glib.h>
#include <sys/epoll.h>

typedef struct IoLoop IoLoop;
typedef struct IoWatch IoWatch;

typedef void (*IoReadyFunc)(guint32 events, void *opaque);
typedef void (*IoFunc)(void *opaque);

IoLoop *io_loop_new(GError **error);
/* Only when no thread runs it. Posted functions that have not run are run. */
void io_loop_free(IoLoop *loop);
/* Calls tick about once a second while tick_wanted (io_loop_set_tick) is set. Returns after io_loop_quit. */
void io_loop_run(IoLoop *loop);
void io_loop_quit(IoLoop *loop); /* any thread */
gboolean io_loop_is_current(IoLoop *loop);

/* Any thread: fn runs on the loop's thread, in the order of posting. */
void io_loop_post(IoLoop *loop, IoFunc fn, void *opaque);

/* The loop's thread, or before it runs. The descriptor stays the caller's; a regular file cannot be watched.
 */
IoWatch *io_watch_add(IoLoop *loop, int fd, guint32 events, IoReadyFunc ready, void *opaque, GError **error);
void io_watch_set(IoWatch *watch, guint32 events);
/* No callback runs after it; call before closing the descriptor. NULL is fine. */
void io_watch_remove(IoWatch *watch);

void io_loop_set_tick(IoLoop *loop, IoFunc tick, void *opaque);
void io_loop_want_tick(IoLoop *loop, gboolean wanted);
