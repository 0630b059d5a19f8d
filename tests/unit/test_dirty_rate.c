/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dirty rate: both ways of measuring at once on one loop, and what is refused. */
#include <stdlib.h>
#include <string.h>

#include "lib/fake_machine.h"
#include "lib/tap.h"
#include "vmm/dirty_rate.h"

enum { MIB = 1 << 20, PAGE = 4096 };

static StatsDirtyRate page;

static DirtyRate *make(Loop *loop, KvmVm *kvm, const GuestMemory *memory)
{
    DirtyRate *rate = NULL;
    Err err = {0};

    ok(dirty_rate_new(loop, kvm, memory, &page, &rate, &err) == 0, "made %s", err.text);
    ok(dirty_rate_report(rate)->state == DIRTY_RATE_UNSTARTED, "nothing is measured by itself");
    return rate;
}

static bool refused(DirtyRate *rate, unsigned seconds, unsigned samples, const char *text)
{
    Err err = {0};

    return dirty_rate_start(rate, DIRTY_RATE_BY_SAMPLES, seconds, samples, &err) < 0 && strstr(err.text, text) != NULL;
}

int main(void)
{
    MemoryOptions options = {.size = 64 * MIB};
    GuestMemory *memory = NULL;
    KvmVm *kvm = fake_kvm_new();
    DirtyRate *sampled, *logged;
    DirtyRateReport found;
    Loop *loop = NULL;
    Err err = {0};
    uint8_t *ram;

    ok(loop_new("test", &loop, &err) == 0 && memory_new(&options, &memory, &err) == 0, "memory %s", err.text);
    kvm_memory_sync(kvm, memory, &err);
    ram = memory_at(memory, 0, 64 * MIB);
    memset(ram + 16 * MIB, 1, 32 * MIB); /* written before: not dirty */
    sampled = make(loop, kvm, memory);
    logged = make(loop, kvm, memory);
    ok(refused(sampled, 0, 512, "calc-time is out of range") && refused(sampled, 61, 512, "calc-time is out of range") &&
           refused(sampled, 1, 127, "sample-pages is out of range") &&
           refused(sampled, 1, 16385, "sample-pages is out of range"),
       "figures out of bounds are refused");
    ok(dirty_rate_start(sampled, DIRTY_RATE_BY_SAMPLES, 1, DIRTY_RATE_SAMPLES_MAX, &err) == 0, "by samples %s", err.text);
    ok(dirty_rate_start(logged, DIRTY_RATE_BY_BITMAP, 1, DIRTY_RATE_SAMPLES, &err) == 0, "by the log %s", err.text);
    ok(fake_kvm.logged_slots > 0, "KVM was told to keep it");
    ok(refused(sampled, 1, 512, "already being measured"), "one at a time");
    memset(ram, 2, 16 * MIB); /* was not there */
    memset(ram + 32 * MIB, 2, 16 * MIB); /* was there with other content */
    fake_kvm.dirty_pages = ~0ull;
    while (dirty_rate_report(sampled)->state == DIRTY_RATE_MEASURING ||
           dirty_rate_report(logged)->state == DIRTY_RATE_MEASURING)
        loop_iterate(loop, true);
    /* 32 MiB in a second or, on a slow machine, in more; a sample stands for 64 KiB. */
    found = *dirty_rate_report(sampled);
    ok(found.rate <= 33 && found.rate >= 32 / (found.seconds + 1), "%u MiB/s of 32 MiB written", (unsigned)found.rate);
    found = *dirty_rate_report(logged);
    ok(found.seconds >= 1 && found.rate == 0, "256 KiB are less than a MiB a second");
    ok(page.state == DIRTY_RATE_MEASURED && page.seconds >= 1 && page.start > 0, "the daemon can read it, too");
    ok(fake_kvm.logged_slots == 0, "and to end it");
    dirty_rate_free(sampled);
    dirty_rate_free(logged);
    kvm_close(kvm);
    memory_free(memory);
    loop_free(loop);
    return done();
}
