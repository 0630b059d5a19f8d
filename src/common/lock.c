/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mutex that knows its holder. */
#include "common/lock.h"

void lock_init(Lock *lock)
{
    g_mutex_init(&lock->mutex);
    lock->holder = NULL;
}

void lock_clear(Lock *lock)
{
    g_assert(g_atomic_pointer_get(&lock->holder) == NULL);
    g_mutex_clear(&lock->mutex);
}

void lock_acquire(Lock *lock)
{
    lock_assert_free(lock);
    g_mutex_lock(&lock->mutex);
    g_atomic_pointer_set(&lock->holder, g_thread_self());
}

void lock_release(Lock *lock)
{
    lock_assert_held(lock);
    g_atomic_pointer_set(&lock->holder, NULL);
    g_mutex_unlock(&lock->mutex);
}

gboolean lock_held(const Lock *lock)
{
    return g_atomic_pointer_get(&((Lock *)lock)->holder) == g_thread_self();
}

gboolean lock_wait(Lock *lock, GCond *cond, gint64 deadline)
{
    gboolean woken = TRUE;

    lock_assert_held(lock);
    g_atomic_pointer_set(&lock->holder, NULL);
    if (deadline < 0)
        g_cond_wait(cond, &lock->mutex);
    else
        woken = g_cond_wait_until(cond, &lock->mutex, deadline);
    g_atomic_pointer_set(&lock->holder, g_thread_self());
    return woken;
}
