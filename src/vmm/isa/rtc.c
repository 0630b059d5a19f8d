/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * MC146818A clock: date and time in BCD or binary as register B says, interrupts of the alarm and of each second on line
 * 8. There is no periodic interrupt, and its bit in register B stays 0: Linux makes its own of timers.
 *
 * Registers are read and written on vCPU threads; interrupts come from timers of the main loop, which is told of what was
 * written by a post.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/checked.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/isa/legacy.h"

enum { REG_A = 10, REG_B, REG_C, REG_D, REG_CENTURY = 0x32 };
enum { SECONDS_ALARM = 1, MINUTES_ALARM = 3, HOURS_ALARM = 5 };
enum { B_24H = 2, B_BINARY = 4, B_UPDATE = 0x10, B_ALARM = 0x20, B_SET = 0x80, B_KEPT = 0xb7 };
enum { C_UPDATE = 0x10, C_ALARM = 0x20, C_INTERRUPT = 0x80 }; /* each where B allows it */
enum { ALWAYS = 0xc0, DAY = 86400 };
#define SECOND_NS 1000000000u

struct Rtc {
    Bus *bus;
    BusRange range;
    pthread_mutex_t lock;
    RtcHost host;
    int64_t offset, first_offset;
    int64_t alarm; /* the guest's time when it is due; 0: never */
    uint8_t flags; /* register C */
    bool line;
    bool told; /* of the offset */
    uint64_t told_at; /* loop_now() */
    LoopTimer timer, tell_timer;
    LoopPost post;
    uint8_t index;
    uint8_t bytes[128];
    struct tm set; /* what the guest writes while B_SET holds the clock */
};

static uint64_t host_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

static int64_t utc(const Rtc *rtc)
{
    return (int64_t)(rtc->host.now_ns() / SECOND_NS);
}

static time_t now(const Rtc *rtc)
{
    return utc(rtc) + rtc->offset;
}

/* A clock that is being set can hold anything: two digits of it. */
static uint8_t encode(const Rtc *rtc, int v)
{
    unsigned digits = (unsigned)((v % 100 + 100) % 100);

    return (uint8_t)(rtc->bytes[REG_B] & B_BINARY ? digits : digits / 10 << 4 | digits % 10);
}

static int decode(const Rtc *rtc, uint8_t v)
{
    return rtc->bytes[REG_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

static uint8_t hours(const Rtc *rtc, int hour)
{
    if (rtc->bytes[REG_B] & B_24H)
        return encode(rtc, hour);
    return (uint8_t)(encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0));
}

/* --- interrupts --- */

/* What an alarm register stands for; -1: anything, more than there is of it: nothing. */
static int alarm_field(const Rtc *rtc, uint8_t index)
{
    uint8_t v = rtc->bytes[index];

    if (v >= ALWAYS)
        return -1;
    if (index == HOURS_ALARM && !(rtc->bytes[REG_B] & B_24H))
        return decode(rtc, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
    return decode(rtc, v);
}

/* The first second behind t at which the alarm registers say so; 0: none does. */
static int64_t next_alarm(const Rtc *rtc, int64_t t)
{
    int hour = alarm_field(rtc, HOURS_ALARM), minute = alarm_field(rtc, MINUTES_ALARM),
        second = alarm_field(rtc, SECONDS_ALARM);

    for (int64_t at = t + 1; at <= t + DAY;) {
        int64_t of_day = (at % DAY + DAY) % DAY;

        if (hour >= 0 && of_day / 3600 != hour)
            at += 3600 - of_day % 3600;
        else if (minute >= 0 && of_day / 60 % 60 != minute)
            at += 60 - of_day % 60;
        else if (second >= 0 && of_day % 60 != second)
            at++;
        else
            return at;
    }
    return 0;
}

/* Locked. */
static void update_line(Rtc *rtc)
{
    bool level = rtc->flags & rtc->bytes[REG_B] & (B_UPDATE | B_ALARM);

    if (level)
        rtc->flags |= C_INTERRUPT;
    if (level != rtc->line)
        irq_line_set(rtc->host.irq, RTC_GSI, level);
    rtc->line = level;
}

/* Main loop, locked. */
static void set_timer(Rtc *rtc)
{
    uint64_t ns = rtc->host.now_ns(), due;
    int64_t at = 0;

    loop_timer_cancel(&rtc->timer);
    if (rtc->bytes[REG_B] & B_SET)
        return;
    if (rtc->bytes[REG_B] & B_UPDATE)
        at = now(rtc) + 1;
    else if (rtc->bytes[REG_B] & B_ALARM)
        at = rtc->alarm;
    if (at == 0)
        return;
    at -= rtc->offset;
    due = at > 0 ? (uint64_t)at * SECOND_NS : 0;
    /* Looked at once a minute at least: the host's clock may be set. */
    (void)loop_timer_set(&rtc->timer, loop_now() + (due > ns ? MIN(due - ns, 60ull * SECOND_NS) : 0));
}

static void on_time(void *opaque)
{
    Rtc *rtc = opaque;
    int64_t t;

    pthread_mutex_lock(&rtc->lock);
    t = now(rtc);
    if (!(rtc->bytes[REG_B] & B_SET)) {
        if (rtc->bytes[REG_B] & B_UPDATE)
            rtc->flags |= C_UPDATE;
        if (rtc->alarm != 0 && t >= rtc->alarm) {
            rtc->flags |= C_ALARM;
            rtc->alarm = next_alarm(rtc, t);
        }
        update_line(rtc);
    }
    set_timer(rtc);
    pthread_mutex_unlock(&rtc->lock);
}

static void tell(void *opaque)
{
    Rtc *rtc = opaque;
    int64_t seconds;

    pthread_mutex_lock(&rtc->lock);
    rtc->told = true;
    rtc->told_at = loop_now();
    seconds = rtc->offset - rtc->first_offset;
    pthread_mutex_unlock(&rtc->lock);
    if (rtc->host.changed)
        rtc->host.changed(rtc->host.opaque, seconds);
}

/* Registers were written. */
static void on_post(void *opaque)
{
    Rtc *rtc = opaque;
    bool told;

    pthread_mutex_lock(&rtc->lock);
    set_timer(rtc);
    told = rtc->told;
    pthread_mutex_unlock(&rtc->lock);
    if (!told && rtc->tell_timer.slot == 0)
        (void)loop_timer_set(&rtc->tell_timer, rtc->told_at == 0 ? loop_now() : MAX(loop_now(), rtc->told_at + SECOND_NS));
}

/* Locked. */
static void set_clock(Rtc *rtc, const struct tm *tm)
{
    struct tm copy = *tm;
    int64_t offset = (int64_t)timegm(&copy) - utc(rtc);

    rtc->told = rtc->told && offset == rtc->offset;
    rtc->offset = offset;
}

/* --- registers --- */

static uint8_t read_register(Rtc *rtc, uint8_t index)
{
    struct tm tm;
    time_t t = now(rtc);

    if (rtc->bytes[REG_B] & B_SET)
        tm = rtc->set;
    else
        gmtime_r(&t, &tm);
    switch (index) {
    case 0:
        return encode(rtc, tm.tm_sec);
    case 2:
        return encode(rtc, tm.tm_min);
    case 4:
        return hours(rtc, tm.tm_hour);
    case 6:
        return encode(rtc, tm.tm_wday + 1);
    case 7:
        return encode(rtc, tm.tm_mday);
    case 8:
        return encode(rtc, tm.tm_mon + 1);
    case 9:
        return encode(rtc, tm.tm_year % 100);
    case REG_CENTURY:
        return encode(rtc, 19 + tm.tm_year / 100);
    case REG_C: {
        uint8_t flags = rtc->flags;

        rtc->flags = 0;
        update_line(rtc);
        return flags;
    }
    case REG_D:
        return 0x80; /* valid RAM and time */
    default:
        return rtc->bytes[index];
    }
}

static void write_register(Rtc *rtc, uint8_t index, uint8_t value)
{
    time_t t = now(rtc);
    struct tm tm;

    if (rtc->bytes[REG_B] & B_SET)
        tm = rtc->set;
    else
        gmtime_r(&t, &tm);
    switch (index) {
    case 0:
        tm.tm_sec = decode(rtc, value);
        break;
    case 2:
        tm.tm_min = decode(rtc, value);
        break;
    case 4:
        if (rtc->bytes[REG_B] & B_24H)
            tm.tm_hour = decode(rtc, value);
        else
            tm.tm_hour = decode(rtc, value & 0x7f) % 12 + (value & 0x80 ? 12 : 0);
        break;
    case 6:
        return;
    case 7:
        tm.tm_mday = decode(rtc, value);
        break;
    case 8:
        tm.tm_mon = decode(rtc, value) - 1;
        break;
    case 9:
        tm.tm_year = tm.tm_year / 100 * 100 + decode(rtc, value);
        break;
    case REG_CENTURY:
        tm.tm_year = (decode(rtc, value) - 19) * 100 + tm.tm_year % 100;
        break;
    case REG_B:
        if ((value & B_SET) && !(rtc->bytes[REG_B] & B_SET))
            rtc->set = tm;
        else if (!(value & B_SET) && (rtc->bytes[REG_B] & B_SET))
            set_clock(rtc, &rtc->set);
        rtc->bytes[REG_B] = value & B_KEPT;
        update_line(rtc);
        return;
    case REG_A: /* the bit that says "being updated" is not the guest's */
        rtc->bytes[index] = value & 0x7f;
        return;
    case REG_C:
    case REG_D:
        return;
    default:
        rtc->bytes[index] = value;
        return;
    }
    if (rtc->bytes[REG_B] & B_SET)
        rtc->set = tm;
    else
        set_clock(rtc, &tm);
}

static uint64_t rtc_read(void *opaque, uint64_t offset, unsigned len)
{
    Rtc *rtc = opaque;
    uint8_t value;

    (void)len;
    if (offset == 0)
        return 0xff;
    pthread_mutex_lock(&rtc->lock);
    value = read_register(rtc, rtc->index);
    pthread_mutex_unlock(&rtc->lock);
    return value;
}

static void rtc_write(void *opaque, uint64_t offset, uint64_t value, unsigned len)
{
    Rtc *rtc = opaque;

    (void)len;
    pthread_mutex_lock(&rtc->lock);
    if (offset == 0) {
        rtc->index = value & 0x7f;
    } else {
        write_register(rtc, rtc->index, (uint8_t)value);
        rtc->alarm = next_alarm(rtc, now(rtc));
    }
    pthread_mutex_unlock(&rtc->lock);
    if (offset != 0)
        loop_post(rtc->host.loop, &rtc->post);
}

static const BusOps rtc_ops = {.read = rtc_read, .write = rtc_write};

int rtc_new(Bus *bus, const RtcHost *host, int64_t offset_s, Rtc **ret, Err *err)
{
    Rtc *rtc = calloc(1, sizeof *rtc);

    if (rtc == NULL)
        return err_set(err, ENOMEM, "out of memory");
    pthread_mutex_init(&rtc->lock, NULL);
    rtc->bus = bus;
    rtc->host = *host;
    if (rtc->host.now_ns == NULL)
        rtc->host.now_ns = host_ns;
    rtc->offset = rtc->first_offset = offset_s;
    rtc->told = true;
    loop_timer_init(host->loop, &rtc->timer, on_time, rtc);
    loop_timer_init(host->loop, &rtc->tell_timer, tell, rtc);
    rtc->post = (LoopPost){.run = on_post, .opaque = rtc};
    rtc->bytes[REG_A] = 0x26;
    rtc->bytes[REG_B] = B_24H;
    if (bus_add(bus, BUS_PIO, 0x70, 2, &rtc_ops, rtc, "rtc", &rtc->range) < 0) {
        rtc_free(rtc);
        return err_set(err, EEXIST, "real-time clock: ports 0x70 and 0x71 are taken");
    }
    *ret = rtc;
    return 0;
}

void rtc_free(Rtc *rtc)
{
    if (rtc == NULL)
        return;
    bus_remove(rtc->bus, &rtc->range);
    loop_post_cancel(rtc->host.loop, &rtc->post);
    loop_timer_cancel(&rtc->timer);
    loop_timer_cancel(&rtc->tell_timer);
    pthread_mutex_destroy(&rtc->lock);
    free(rtc);
}

void rtc_reset(Rtc *rtc)
{
    pthread_mutex_lock(&rtc->lock);
    rtc->bytes[REG_B] &= (uint8_t)~(B_ALARM | B_UPDATE | B_SET);
    rtc->flags = 0;
    update_line(rtc);
    set_timer(rtc);
    pthread_mutex_unlock(&rtc->lock);
}

int64_t rtc_offset(const Rtc *rtc)
{
    return rtc->offset;
}
