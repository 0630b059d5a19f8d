/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * MC146818A clock: date and time in BCD or binary as register B says, no alarm and no periodic interrupt
 * (Linux takes kvmclock and the local APIC timer; the ACPI tables announce the clock without an interrupt).
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "vmm/isa/legacy.h"

enum { REG_A = 10, REG_B, REG_C, REG_D, REG_CENTURY = 0x32 };
enum { B_24H = 2, B_BINARY = 4, B_SET = 0x80 };

struct Rtc {
    Bus *bus;
    BusRange range;
    pthread_mutex_t lock;
    int64_t offset;
    uint8_t index;
    uint8_t bytes[128];
    struct tm set; /* what the guest writes while B_SET holds the clock */
};

static time_t now(const Rtc *rtc)
{
    return time(NULL) + rtc->offset;
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
    case REG_C:
        return 0;
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
            rtc->offset = (int64_t)timegm(&rtc->set) - (int64_t)time(NULL);
        rtc->bytes[REG_B] = value & 0x87;
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
        rtc->offset = (int64_t)timegm(&tm) - (int64_t)time(NULL);
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
    if (offset == 0)
        rtc->index = value & 0x7f;
    else
        write_register(rtc, rtc->index, (uint8_t)value);
    pthread_mutex_unlock(&rtc->lock);
}

static const BusOps rtc_ops = {.read = rtc_read, .write = rtc_write};

int rtc_new(Bus *bus, int64_t offset_s, Rtc **ret, Err *err)
{
    Rtc *rtc = calloc(1, sizeof *rtc);

    if (rtc == NULL)
        return err_set(err, ENOMEM, "out of memory");
    pthread_mutex_init(&rtc->lock, NULL);
    rtc->bus = bus;
    rtc->offset = offset_s;
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
    pthread_mutex_destroy(&rtc->lock);
    free(rtc);
}

int64_t rtc_offset(const Rtc *rtc)
{
    return rtc->offset;
}
