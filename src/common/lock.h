/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A mutex that knows its holder, so that a function can assert what its caller promised. Not recursive.
 * LOCK_SCOPE(lock) holds it until the end of the block.
 */
#pragma once

#include <glib.h>

typedef struct Lock {
    GMutex mutex;
    GThread *holder; /* compared with g_thread_self(); only the holder's own answer is certain */
} Lock;

void lock_init(Lock *lock);
void lock_clear(Lock *lock);
void lock_acquire(Lock *lock);
void lock_release(Lock *lock);
gboolean lock_held(const Lock *lock);
/* Waits for cond with the lock given up meanwhile. deadline: g_get_monotonic_time() or -1. FALSE: it has passed. */
gboolean lock_wait(Lock *lock, GCond *cond, gint64 deadline);

#define lock_assert_held(lock) g_assert(lock_held(lock))
#define lock_assert_free(lock) g_assert(!lock_held(lock))

static inline void lock_scope_end(Lock **lock)
{
    if (*lock != NULL)
        lock_release(*lock);
}
#define LOCK_SCOPE_NAME2(line) lock_scope_##line
#define LOCK_SCOPE_NAME(line) LOCK_SCOPE_NAME2(line)
#define LOCK_SCOPE(lock)                                                                                     \
    __attribute__((cleanup(lock_scope_end), unused)) Lock *LOCK_SCOPE_NAME(__LINE__) =                       \
        (lock_acquire(lock), (lock))
