/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads at run time: see thread.h. */
#define ERROR_FROM VIR_FROM_THREAD
#include "common/thread.h"

#include "common/error.h"

GThread *thread_new(const char *name, GThreadFunc func, gpointer data, GError **error)
{
    g_autoptr(GError) cause = NULL;
    GThread *thread = g_thread_try_new(name, func, data, &cause);

    if (thread == NULL)
        error_set(error, VIR_ERR_SYSTEM_ERROR, "cannot make a thread: %s; is there a limit of processes?",
                  cause->message);
    return thread;
}

gboolean thread_detached(const char *name, GThreadFunc func, gpointer data, GError **error)
{
    GThread *thread = thread_new(name, func, data, error);

    if (thread != NULL)
        g_thread_unref(thread);
    return thread != NULL;
}
