/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The clock's alarm, its tick, and being set, at a time of this test's own. */
#include <string.h>
#include <unistd.h>

#include "lib/fake_machine.h"
#include "lib/tap.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/irq.h"
#include "vmm/isa/legacy.h"

#define NS 1000000000ull
#define NOON 1700049600ull /* 2023-11-15 12:00:00 UTC */

static uint64_t time_ns;
static Bus *bus;
static Loop *loop;
static int64_t told = -1;

static uint64_t now_ns(void)
{
    return time_ns;
}

static void changed(void *opaque, int64_t seconds)
{
    (void)opaque;
    told = seconds;
}

static void out(uint8_t index, uint8_t value)
{
    bus_write(bus, BUS_PIO, 0x70, &index, 1);
    bus_write(bus, BUS_PIO, 0x71, &value, 1);
}

static uint8_t in(uint8_t index)
{
    uint8_t value = 0;

    bus_write(bus, BUS_PIO, 0x70, &index, 1);
    bus_read(bus, BUS_PIO, 0x71, &value, 1);
    return value;
}

/* Lets timers that are due run: the clock is put a hair before the second, where their real time is short. */
static void settle(void)
{
    loop_iterate(loop, false);
    loop_iterate(loop, false);
}

static void go_to(uint64_t seconds)
{
    uint8_t b = in(11);

    time_ns = (seconds - 1) * NS + NS - 1000;
    out(11, b); /* the timer is set anew */
    settle();
    time_ns = seconds * NS;
    for (uint64_t end = loop_now() + 2000000; loop_now() < end;)
        settle();
    settle(); /* at least this one comes behind the timer */
}

int main(void)
{
    RtcHost host = {.changed = changed, .now_ns = now_ns};
    KvmVm *kvm = fake_kvm_new();
    Irq *irq = NULL;
    Rtc *rtc = NULL;
    Err err = {0};
    unsigned edges;

    time_ns = NOON * NS;
    if (bus_new(&bus, &err) < 0 || irq_new(kvm, &irq, &err) < 0 || loop_new("main", &loop, &err) < 0)
        return 1;
    host.irq = irq;
    host.loop = loop;
    ok(rtc_new(bus, &host, 0, &rtc, &err) == 0, "a clock");
    ok(in(4) == 0x12 && in(2) == 0 && in(0x32) == 0x20, "it shows the time");
    out(1, 0x05);
    out(3, 0x00);
    out(5, 0x12);
    out(11, 0x22);
    ok(in(1) == 5 && in(11) == 0x22, "an alarm at 12:00:05");
    go_to(NOON + 4);
    ok(fake_kvm.line_edges[RTC_GSI] == 0 && in(12) == 0, "nothing at 12:00:04");
    go_to(NOON + 5);
    ok(fake_kvm.line_edges[RTC_GSI] == 1 && fake_kvm.line_level[RTC_GSI], "the line rises at 12:00:05");
    ok(in(12) == 0xa0 && !fake_kvm.line_level[RTC_GSI] && in(12) == 0, "register C says why, and lowers it");
    out(1, 0xff);
    out(3, 0x01);
    go_to(NOON + 59);
    ok(fake_kvm.line_edges[RTC_GSI] == 1, "any second of 12:01 is not in 12:00");
    go_to(NOON + 60);
    ok(fake_kvm.line_edges[RTC_GSI] == 2 && in(12) == 0xa0, "but in 12:01");
    go_to(NOON + 61);
    ok(in(12) == 0xa0, "each of them");
    out(3, 0x75);
    go_to(NOON + 62);
    ok(in(12) == 0, "no minute 75");
    out(11, 0x12);
    edges = fake_kvm.line_edges[RTC_GSI];
    go_to(NOON + 70);
    ok(fake_kvm.line_edges[RTC_GSI] == edges + 1 && in(12) == 0x90, "an interrupt a second");
    go_to(NOON + 71);
    rtc_reset(rtc);
    ok(!fake_kvm.line_level[RTC_GSI] && in(11) == 0x02 && in(12) == 0, "a reset ends that");
    out(11, 0x42);
    ok(in(11) == 0x02, "there is no periodic interrupt");
    out(11, 0x82);
    out(4, 0x13);
    out(11, 0x02);
    settle();
    ok(told == 3600 && in(4) == 0x13 && rtc_offset(rtc) == 3600, "the guest sets the clock: told once, %lld",
       (long long)told);
    rtc_free(rtc);
    loop_free(loop);
    irq_free(irq);
    bus_free(bus);
    kvm_close(kvm);
    return done();
}
