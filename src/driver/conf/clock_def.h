/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <clock> and its timers. Source: libvirt docs/formatdomain.rst, "Time keeping". */
#pragma once

#include "common/enum_table.h"
#include "common/xml.h"

typedef enum {
    CLOCK_UTC = 0,
    CLOCK_LOCALTIME,
    CLOCK_VARIABLE,
    CLOCK_TIMEZONE,
    CLOCK_ABSOLUTE,
    CLOCK_LAST
} ClockOffset;
ENUM_TABLE_DECL(clock_offset, ClockOffset)

typedef enum {
    TIMER_PLATFORM = 0,
    TIMER_PIT,
    TIMER_RTC,
    TIMER_HPET,
    TIMER_TSC,
    TIMER_KVMCLOCK,
    TIMER_HYPERVCLOCK,
    TIMER_ARMVTIMER,
    TIMER_LAST
} TimerName;
ENUM_TABLE_DECL(timer_name, TimerName)

typedef enum {
    TIMER_TRACK_NONE = 0,
    TIMER_TRACK_BOOT,
    TIMER_TRACK_GUEST,
    TIMER_TRACK_WALL,
    TIMER_TRACK_REALTIME,
    TIMER_TRACK_LAST
} TimerTrack;
ENUM_TABLE_DECL(timer_track, TimerTrack)

typedef enum { TICK_NONE = 0, TICK_DELAY, TICK_CATCHUP, TICK_MERGE, TICK_DISCARD, TICK_LAST } TickPolicy;
ENUM_TABLE_DECL(tick_policy, TickPolicy)

typedef enum {
    TIMER_MODE_NONE = 0,
    TIMER_MODE_AUTO,
    TIMER_MODE_NATIVE,
    TIMER_MODE_EMULATE,
    TIMER_MODE_PARAVIRT,
    TIMER_MODE_SMPSAFE,
    TIMER_MODE_LAST
} TimerMode;
ENUM_TABLE_DECL(timer_mode, TimerMode)

typedef struct TimerDef {
    TimerName name;
    Tristate present;
    TickPolicy tickpolicy;
    TimerTrack track;
    gint64 catchup_threshold, catchup_slew, catchup_limit; /* 0: not given */
    guint64 frequency; /* Hz; tsc only; 0: not given */
    TimerMode mode;
} TimerDef;

typedef struct ClockDef {
    ClockOffset offset;
    /* utc and localtime: adjustment='reset' (or a number, which makes it variable); variable: seconds. */
    gboolean adjustment_reset_set, adjustment_reset;
    gint64 adjustment;
    gboolean basis_localtime; /* variable: relative to local time */
    gint64 adjustment0; /* adjustment at the start of a running domain; status file only */
    char *timezone;
    guint64 start; /* absolute: seconds since the epoch */
    GArray *timers; /* TimerDef */
} ClockDef;

gboolean clock_def_parse(ClockDef *clock, xmlNodePtr domain, GError **error);
void clock_def_format(XmlWriter *w, const ClockDef *clock, guint format_flags);
void clock_def_clear(ClockDef *clock);
const TimerDef *clock_def_timer(const ClockDef *clock, TimerName name);
