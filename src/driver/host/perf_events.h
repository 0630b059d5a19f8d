/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counters of the kernel (perf_event_open(2)) over a VM's process, by the names of <perf>. Guards itself; any thread. */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "driver/conf/domain_def.h"

typedef struct PerfEvents PerfEvents;

PerfEvents *perf_events_new(void);
PerfEvents *perf_events_ref(PerfEvents *perf); /* NULL gives NULL */
void perf_events_unref(PerfEvents *perf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PerfEvents, perf_events_unref)

/* Counts in the process from now on, and in threads that it makes from now on. VIR_ERR_ARGUMENT_UNSUPPORTED without
 * the hardware's monitoring (cmt, mbmt, mbml); VIR_ERR_SYSTEM_ERROR when the kernel refuses. Content when it counts
 * already, as disabling is when it does not. */
gboolean perf_events_enable(PerfEvents *perf, PerfEvent event, pid_t pid, GError **error);
gboolean perf_events_disable(PerfEvents *perf, PerfEvent event, GError **error);
gboolean perf_events_enabled(PerfEvents *perf, PerfEvent event); /* perf NULL: FALSE */
/* FALSE when it does not count. */
gboolean perf_events_read(PerfEvents *perf, PerfEvent event, guint64 *ret);
