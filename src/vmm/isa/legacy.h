/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The small legacy devices of a PC: real-time clock, keyboard controller (reset only), debug port, pvpanic.
 */
#pragma once

#include <stdint.h>

#include "common/err.h"
#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/loop.h"

/* CMOS clock and memory, ports 0x70 and 0x71 (Motorola MC146818A), with its alarm on line 8. offset_s: seconds that the
 * guest's clock is ahead of UTC (local time, an adjusted clock). Any thread, unless said. */
typedef struct RtcHost {
    Irq *irq;
    Loop *loop; /* the main loop */
    /* The guest set the clock: seconds that it is ahead of what it was started with. Main loop, at most once a second. */
    void (*changed)(void *opaque, int64_t seconds);
    void *opaque;
    uint64_t (*now_ns)(void); /* since the epoch; NULL: the host's clock */
} RtcHost;

typedef struct Rtc Rtc;
int rtc_new(Bus *bus, const RtcHost *host, int64_t offset_s, Rtc **ret, Err *err);
void rtc_free(Rtc *rtc);
void rtc_reset(Rtc *rtc); /* no more interrupts; the time goes on. Main thread */
int64_t rtc_offset(const Rtc *rtc); /* after the guest set the clock: how far it is from UTC now */

typedef struct LegacyHost {
    void (*reset)(void *opaque); /* port 0x64, command 0xfe; vCPU thread */
    void (*panicked)(void *opaque,
                     unsigned pvpanic_event); /* bit 0 panic, bit 1 crash kernel is loaded, bit 2 shutdown */
    void *opaque;
} LegacyHost;

typedef struct Legacy Legacy;
/* Keyboard controller, debug port 0x402 (each line goes to the log) and pvpanic. */
int legacy_new(Bus *bus, const LegacyHost *host, Legacy **ret, Err *err);
void legacy_free(Legacy *legacy);
