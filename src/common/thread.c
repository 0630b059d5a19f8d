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

static gpointer loop_main(gpointer data)
{
    GMainLoop *loop = data;

    g_main_context_push_thread_default(g_main_loop_get_context(loop));
    g_main_loop_run(loop);
    g_main_context_pop_thread_default(g_main_loop_get_context(loop));
    return NULL;
}

GThread *thread_run_loop(const char *name, GMainLoop *loop, GError **error)
{
    return thread_new(name, loop_main, loop, error);
}

static gboolean quit(gpointer data)
{
    g_main_loop_quit(data);
    return G_SOURCE_REMOVE;
}

void thread_end_loop(GThread *thread, GMainLoop *loop)
{
    GSource *source = g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, quit, loop, NULL);
    g_source_attach(source, g_main_loop_get_context(loop));
    g_source_unref(source);
    g_thread_join(thread);
}
