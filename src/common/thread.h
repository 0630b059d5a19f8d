/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads at run time. g_thread_new() ends the process when the system has none to give; a daemon says so instead. */
#pragma once

#include <glib.h>

/* NULL and VIR_ERR_SYSTEM_ERROR when there is none to be had. name: at most 15 bytes, as ps shows it. */
GThread *thread_new(const char *name, GThreadFunc func, gpointer data, GError **error);
/* Like it, for one that nobody joins. */
gboolean thread_detached(const char *name, GThreadFunc func, gpointer data, GError **error);
