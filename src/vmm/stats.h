/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making the statistics page (stats_page.h) and handing its records out. Main thread. */
#pragma once

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
StatsNet *stats_net(Stats *stats, const char *id);
