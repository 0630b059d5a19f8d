/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The worker threads. Ordinary workers take every job in the order of arrival; priority workers take
 * high-priority jobs only, so that a host full of stuck low-priority calls can still be asked and a hung
 * guest destroyed. Ordinary workers are started on demand up to a maximum and end again when idle for long.
 * Any thread.
 */
#pragma once

#include <glib.h>

typedef struct Workers Workers;

Workers *workers_new(guint min, guint max, guint priority);
/* Starts the minimum and the priority workers. FALSE: there are no threads to be had; free it. */
gboolean workers_start(Workers *workers, GError **error);
/* Runs what is queued to its end, then ends all threads. Nothing may be pushed meanwhile but by jobs. */
void workers_free(Workers *workers);
/* Where no thread can be had for it, those that there are do it later. */
void workers_push(Workers *workers, gboolean high, void (*run)(void *opaque), void *opaque);
void workers_count(Workers *workers, guint *ret_total, guint *ret_busy, guint *ret_priority,
                   guint *ret_queued);
