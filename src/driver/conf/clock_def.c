/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <clock>: see clock_def.h. */
#include "driver/conf/clock_def.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/device_info.h"

ENUM_TABLE(clock_offset, ClockOffset, CLOCK_LAST, "utc", "localtime", "variable", "timezone", "absolute")
ENUM_TABLE(timer_name, TimerName, TIMER_LAST, "platform", "pit", "rtc", "hpet", "tsc", "kvmclock",
           "hypervclock", "armvtimer")
ENUM_TABLE(timer_track, TimerTrack, TIMER_TRACK_LAST, "none", "boot", "guest", "wall", "realtime")
ENUM_TABLE(tick_policy, TickPolicy, TICK_LAST, "none", "delay", "catchup", "merge", "discard")
ENUM_TABLE(timer_mode, TimerMode, TIMER_MODE_LAST, "none", "auto", "native", "emulate", "paravirt", "smpsafe")

void clock_def_clear(ClockDef *clock)
{
    g_free(clock->timezone);
    g_clear_pointer(&clock->timers, g_array_unref);
}

const TimerDef *clock_def_timer(const ClockDef *clock, TimerName name)
{
    for (guint i = 0; clock->timers != NULL && i < clock->timers->len; i++) {
        const TimerDef *timer = &g_array_index(clock->timers, TimerDef, i);

        if (timer->name == name)
            return timer;
    }
    return NULL;
}

static gboolean parse_s64(const char *text, const char *what, gint64 *ret, GError **error)
{
    char *end;

    *ret = g_ascii_strtoll(text, &end, 10);
    if (end == text || *end != '\0')
        return error_set(error, VIR_ERR_XML_ERROR, "invalid %s '%s' of element 'clock'", what, text);
    return TRUE;
}

static gboolean parse_timer(ClockDef *clock, xmlNodePtr node, GError **error)
{
    TimerDef timer = {0};
    xmlNodePtr catchup = xml_child(node, "catchup");
    int name = 0, tickpolicy = 0, track = 0, mode = 0;
    guint64 threshold = 0, slew = 0, limit = 0;

    if (!xml_attr_get_enum(node, "name", timer_name_from_string, XML_REQUIRED, &name, error) ||
        !xml_attr_get_yes_no(node, "present", XML_OPTIONAL, &timer.present, error) ||
        !xml_attr_get_enum(node, "tickpolicy", tick_policy_from_string, XML_NONZERO, &tickpolicy, error) ||
        !xml_attr_get_enum(node, "track", timer_track_from_string, XML_NONZERO, &track, error) ||
        !xml_attr_get_u64(node, "frequency", XML_OPTIONAL, &timer.frequency, error) ||
        !xml_attr_get_enum(node, "mode", timer_mode_from_string, XML_NONZERO, &mode, error))
        return FALSE;
    if (catchup != NULL && (!xml_attr_get_u64(catchup, "threshold", XML_OPTIONAL, &threshold, error) ||
                            !xml_attr_get_u64(catchup, "slew", XML_OPTIONAL, &slew, error) ||
                            !xml_attr_get_u64(catchup, "limit", XML_OPTIONAL, &limit, error)))
        return FALSE;
    timer.name = name;
    timer.tickpolicy = tickpolicy;
    timer.track = track;
    timer.mode = mode;
    timer.catchup_threshold = (gint64)MIN(threshold, G_MAXINT64);
    timer.catchup_slew = (gint64)MIN(slew, G_MAXINT64);
    timer.catchup_limit = (gint64)MIN(limit, G_MAXINT64);
    if (clock->timers == NULL)
        clock->timers = g_array_new(FALSE, TRUE, sizeof(TimerDef));
    g_array_append_val(clock->timers, timer);
    return TRUE;
}

/* adjustment= of utc and localtime: "reset", or seconds, which means a variable clock of that basis. */
static gboolean parse_adjustment(ClockDef *clock, xmlNodePtr node, GError **error)
{
    g_autofree char *text = xml_get_attr(node, "adjustment");
    g_autofree char *basis = xml_get_attr(node, "basis");
    g_autofree char *start = xml_get_attr(node, "adjustment0");

    if (clock->offset == CLOCK_UTC || clock->offset == CLOCK_LOCALTIME) {
        if (text == NULL)
            return TRUE;
        clock->adjustment_reset_set = TRUE;
        if (strcmp(text, "reset") == 0) {
            clock->adjustment_reset = TRUE;
            return TRUE;
        }
        clock->basis_localtime = clock->offset == CLOCK_LOCALTIME;
        clock->offset = CLOCK_VARIABLE;
        return parse_s64(text, "adjustment", &clock->adjustment, error);
    }
    if (text != NULL && !parse_s64(text, "adjustment", &clock->adjustment, error))
        return FALSE;
    if (start != NULL && !parse_s64(start, "adjustment0", &clock->adjustment0, error))
        return FALSE;
    if (basis != NULL && strcmp(basis, "localtime") == 0)
        clock->basis_localtime = TRUE;
    else if (basis != NULL && strcmp(basis, "utc") != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown clock basis '%s'", basis);
    return TRUE;
}

gboolean clock_def_parse(ClockDef *clock, xmlNodePtr domain, GError **error)
{
    xmlNodePtr node = xml_child(domain, "clock");
    int offset = CLOCK_UTC;

    if (node == NULL)
        return TRUE;
    if (!xml_attr_get_word(node, "offset", clock_offset_from_string, XML_OPTIONAL, "unknown clock offset",
                           &offset, error))
        return FALSE;
    clock->offset = offset;
    switch (clock->offset) {
    case CLOCK_TIMEZONE:
        clock->timezone = xml_get_attr(node, "timezone");
        if (clock->timezone == NULL)
            return error_set(error, VIR_ERR_INTERNAL_ERROR,
                             "missing 'timezone' attribute for clock with offset='timezone'");
        break;
    case CLOCK_ABSOLUTE:
        if (!xml_attr_get_u64(node, "start", XML_REQUIRED, &clock->start, error))
            return FALSE;
        break;
    default:
        if (!parse_adjustment(clock, node, error))
            return FALSE;
    }
    XML_FOREACH(child, node, "timer")
    {
        if (!parse_timer(clock, child, error))
            return FALSE;
    }
    return TRUE;
}

static void format_timer(XmlWriter *w, const TimerDef *timer)
{
    xml_open(w, "timer");
    xml_attr(w, "name", timer_name_to_string(timer->name));
    xml_attr(w, "present", tristate_yes_no(timer->present));
    if (timer->tickpolicy != TICK_NONE)
        xml_attr(w, "tickpolicy", tick_policy_to_string(timer->tickpolicy));
    if (timer->track != TIMER_TRACK_NONE)
        xml_attr(w, "track", timer_track_to_string(timer->track));
    if (timer->name == TIMER_TSC && timer->frequency > 0)
        xml_attr_u64(w, "frequency", timer->frequency);
    if (timer->name == TIMER_TSC && timer->mode != TIMER_MODE_NONE)
        xml_attr(w, "mode", timer_mode_to_string(timer->mode));
    if (timer->catchup_threshold > 0 || timer->catchup_slew > 0 || timer->catchup_limit > 0) {
        xml_open(w, "catchup");
        if (timer->catchup_threshold > 0)
            xml_attr_u64(w, "threshold", (guint64)timer->catchup_threshold);
        if (timer->catchup_slew > 0)
            xml_attr_u64(w, "slew", (guint64)timer->catchup_slew);
        if (timer->catchup_limit > 0)
            xml_attr_u64(w, "limit", (guint64)timer->catchup_limit);
        xml_close(w);
    }
    xml_close(w);
}

void clock_def_format(XmlWriter *w, const ClockDef *clock, guint format_flags)
{
    xml_open(w, "clock");
    xml_attr(w, "offset", clock_offset_to_string(clock->offset));
    switch (clock->offset) {
    case CLOCK_UTC:
    case CLOCK_LOCALTIME:
        xml_attr(w, "adjustment", clock->adjustment_reset ? "reset" : NULL);
        break;
    case CLOCK_VARIABLE:
        xml_attr_printf(w, "adjustment", "%" G_GINT64_FORMAT, clock->adjustment);
        xml_attr(w, "basis", clock->basis_localtime ? "localtime" : "utc");
        if ((format_flags & DOMAIN_DEF_FORMAT_STATUS) && clock->adjustment0 != 0)
            xml_attr_printf(w, "adjustment0", "%" G_GINT64_FORMAT, clock->adjustment0);
        break;
    case CLOCK_TIMEZONE:
        xml_attr(w, "timezone", clock->timezone);
        break;
    case CLOCK_ABSOLUTE:
        xml_attr_u64(w, "start", clock->start);
        break;
    case CLOCK_LAST:
        break;
    }
    for (guint i = 0; clock->timers != NULL && i < clock->timers->len; i++)
        format_timer(w, &g_array_index(clock->timers, TimerDef, i));
    xml_close(w);
}
