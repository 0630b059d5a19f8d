/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How fast the guest writes its memory: one measurement at a time, begun by a command, ended by a timer.
 * By samples, a page in so many is hashed twice, which sees what devices write, too; by bitmap, KVM's dirty log counts all
 * the pages that vCPUs wrote. Numbers as QEMU's query-dirty-rate tells them (QEMU 7.2, qapi/migration.json). Main thread.
 */
#pragma once

#include <stdint.h>

#include "common/stats_page.h"
#include "vmm/kvm.h"
#include "vmm/loop.h"
#include "vmm/memory.h"

#define DIRTY_RATE_SECONDS_MAX 60
#define DIRTY_RATE_SAMPLES_MIN 128 /* pages a GiB */
#define DIRTY_RATE_SAMPLES 512
#define DIRTY_RATE_SAMPLES_MAX 16384

typedef enum { DIRTY_RATE_UNSTARTED = 0, DIRTY_RATE_MEASURING, DIRTY_RATE_MEASURED, DIRTY_RATE_STATES } DirtyRateState;
typedef enum { DIRTY_RATE_BY_SAMPLES = 0, DIRTY_RATE_BY_BITMAP, DIRTY_RATE_MODES } DirtyRateMode;

extern const char *const dirty_rate_state_names[DIRTY_RATE_STATES];
extern const char *const dirty_rate_mode_names[DIRTY_RATE_MODES];

typedef struct DirtyRateReport {
    DirtyRateState state;
    DirtyRateMode mode;
    uint64_t start; /* seconds on the monotonic clock */
    unsigned seconds; /* how long it takes, or took */
    unsigned samples; /* pages a GiB */
    uint64_t rate; /* MiB a second; when measured */
} DirtyRateReport;

typedef struct DirtyRate DirtyRate;

/* They must outlive it. page: where the daemon reads the report. */
int dirty_rate_new(Loop *loop, KvmVm *kvm, const GuestMemory *memory, StatsDirtyRate *page, DirtyRate **ret, Err *err);
void dirty_rate_free(DirtyRate *rate);
/* -EBUSY while one measures; -ERANGE for figures out of bounds. */
int dirty_rate_start(DirtyRate *rate, DirtyRateMode mode, unsigned seconds, unsigned samples, Err *err);
const DirtyRateReport *dirty_rate_report(const DirtyRate *rate);
