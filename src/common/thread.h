/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads at run time. g_thread_new() ends the process when the system has none to give; a daemon says so instead. */
#pragma once

#include <glib.h>

/* NULL and VIR_ERR_SYSTEM_ERROR when there is none to be had. name: at most 15 bytes, as ps shows it. */
GThread *thread_new(const char *name, GThreadFunc func, gpointer data, GError **error);
/* Like it, for one that nobody joins. */
gboolean thread_detached(const char *name, GThreadFunc func, gpointer data, GError **error);

/* A thread that runs the loop, whose context is its thread default. Errors as above. */
GThread *thread_run_loop(const char *name, GMainLoop *loop, GError **error);
/* Ends such a thread and waits for it. g_main_loop_quit() alone would be lost on one that has not begun. */
void thread_end_loop(GThread *thread, GMainLoop *loop);
