/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Children that nobody waits for. The daemon makes itself the reaper of its descendants (PR_SET_CHILD_SUBREAPER), so that
 * helpers which put themselves into the background end as our children even where PID 1 does not reap. Whoever starts a
 * child waits for it himself; what stays a zombie over two looks (REAPER_SECONDS apart) is reaped here.
 */
#pragma once

#include <glib.h>

enum { REAPER_SECONDS = 3 };

/* Runs in context from now on, until the returned source is destroyed. */
GSource *reaper_start(GMainContext *context);
