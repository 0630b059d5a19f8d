/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Figures that the host's kernel keeps of a VM: processor time, memory, network devices. proc(5). They need
 * no monitor and are always fresh. Nanoseconds and KiB. Any thread; no lock is needed.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

typedef struct ProcFigures {
    guint64 user, system; /* ns */
    guint64 rss_kib;
    int cpu; /* it ran on last */
} ProcFigures;

/* Of a process (tid 0) or one of its threads. FALSE and zeros when it is gone. */
gboolean proc_figures(pid_t pid, pid_t tid, ProcFigures *ret);
/* Time a thread was ready but did not run: se.statistics.wait_sum of sched, and the second field of
 * schedstat. 0 where the kernel does not tell. */
guint64 proc_wait(pid_t pid, pid_t tid);
guint64 proc_delay(pid_t pid, pid_t tid);

/* /proc/net/dev, read once: NetFigures by device name. Caller unrefs. */
typedef struct NetFigures {
    gint64 rx_bytes, rx_packets, rx_errs, rx_drop, tx_bytes, tx_packets, tx_errs, tx_drop;
} NetFigures;
GHashTable *net_figures_read(void);
/* From the text of that file; for tests. */
GHashTable *net_figures_parse(const char *text);
/* As the guest sees it: what the host receives from a tap, the guest has sent. */
void net_figures_swap(NetFigures *figures);
