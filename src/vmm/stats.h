/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making the statistics page (stats_page.h) and handing its records out. Main thread. */
#pragma once

#include <stdbool.h>

#include "common/err.h"
#include "common/stats_page.h"

typedef struct Stats Stats;

/* fd: a memfd from the daemon, owned from now on; -1: memory of our own. */
int stats_new(int fd, uint64_t guest_ram, Stats **ret, Err *err);
void stats_free(Stats *stats);
StatsPage *stats_page(Stats *stats);
StatsVcpu *stats_vcpu(Stats *stats, unsigned index);
/* A record of this name, made if needed; a dummy when the page is full. */
StatsBlock *stats_block(Stats *stats, const char *id);
StatsIothread *stats_iothread(Stats *stats, const char *id);
StatsNet *stats_net(Stats *stats, const char *id);

/* Readers see a whole value. */
/* shared: several threads count here; else one alone, which needs no locked instruction. */
static inline void stats_add(uint64_t *counter, uint64_t n, bool shared)
{
    if (shared)
        __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
    else
        __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* A request of kind (STATS_IO_…) that took time_ns has ended. */
static inline void stats_block_account(StatsBlock *s, bool shared, int kind, uint64_t time_ns, uint64_t offset,
                                       uint64_t length, bool failed)
{
    stats_add(&s->time_ns[kind], time_ns, shared);
    if (failed) {
        stats_add(&s->errors[kind], 1, shared);
        return;
    }
    stats_add(&s->requests[kind], 1, shared);
    stats_add(&s->bytes[kind], length, shared);
    if (kind == STATS_IO_WRITE) {
        uint64_t highest = __atomic_load_n(&s->wr_highest, __ATOMIC_RELAXED);

        while (offset + length > highest &&
               !__atomic_compare_exchange_n(&s->wr_highest, &highest, offset + length, true, __ATOMIC_RELAXED,
                                            __ATOMIC_RELAXED))
            ;
    }
}
