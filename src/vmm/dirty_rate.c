/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See dirty_rate.h. A page that is not in host memory is not read: that would only bring it back (into a balloon's
 * holes, out of swap); it counts as written when it is there at the end.
 *
 * #syscalls:main mincore
 */
#include "vmm/dirty_rate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/checked.h"
#include "vmm/log.h"

/* More pages than that in all would stop the main thread for too long. */
enum { PAGE = 4096, ALL_SAMPLES_MAX = 65536, NS_PER_MS = 1000000 };
#define GIB (1ull << 30)

const char *const dirty_rate_state_names[DIRTY_RATE_STATES] = {"unstarted", "measuring", "measured"};
const char *const dirty_rate_mode_names[DIRTY_RATE_MODES] = {"page-sampling", "dirty-bitmap"};

typedef struct Sample {
    const uint8_t *page;
    uint64_t hash;
    bool present;
} Sample;

struct DirtyRate {
    Loop *loop;
    KvmVm *kvm;
    const GuestMemory *memory;
    StatsDirtyRate *page;
    LoopTimer timer;
    DirtyRateReport report;
    uint64_t began; /* ns */
    Sample *samples;
    size_t sample_count;
    uint64_t sampled_bytes; /* for which they stand */
    unsigned logged_slots;
};

/* --- samples -------------------------------------------------------------------------------------------- */

static bool is_present(const uint8_t *page)
{
    unsigned char resident = 0;

    return mincore((void *)page, PAGE, &resident) == 0 && (resident & 1);
}

/* The guest may write while this reads: any mixture is as good as what was there. */
static uint64_t hash_page(const uint8_t *page)
{
    const uint64_t *words = (const void *)page;
    uint64_t hash = 0xcbf29ce484222325ull;

    for (unsigned i = 0; i < PAGE / sizeof *words; i++) {
        hash = (hash ^ __atomic_load_n(&words[i], __ATOMIC_RELAXED)) * 0x100000001b3ull;
        hash ^= hash >> 29;
    }
    return hash;
}

static void look(Sample *sample)
{
    sample->present = is_present(sample->page);
    sample->hash = sample->present ? hash_page(sample->page) : 0;
}

static uint64_t all_memory(const GuestMemory *memory)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < memory_region_count(memory); i++)
        bytes += memory_region(memory, i)->size;
    return bytes;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* One page of every stretch, anywhere in it. */
static int take_samples(DirtyRate *d, unsigned per_gib, Err *err)
{
    uint64_t bytes = all_memory(d->memory), random = loop_now() | 1;
    uint64_t stretch = MAX(GIB / per_gib, bytes / ALL_SAMPLES_MAX) / PAGE * PAGE;
    size_t places = (size_t)(bytes / stretch) + memory_region_count(d->memory);

    free(d->samples);
    d->sample_count = 0;
    d->sampled_bytes = bytes;
    d->samples = calloc(places, sizeof *d->samples);
    if (d->samples == NULL)
        return err_set(err, ENOMEM, "out of memory");
    for (unsigned i = 0; i < memory_region_count(d->memory); i++) {
        const MemoryRegion *region = memory_region(d->memory, i);

        for (uint64_t at = 0; at < region->size && d->sample_count < places; at += stretch) {
            uint64_t pages = MIN(stretch, region->size - at) / PAGE;
            Sample *sample = &d->samples[d->sample_count++];

            sample->page = region->host + at + next_random(&random) % pages * PAGE;
            look(sample);
        }
    }
    return 0;
}

static uint64_t changed_bytes(const DirtyRate *d)
{
    uint64_t changed = 0;

    for (size_t i = 0; i < d->sample_count; i++) {
        Sample now = d->samples[i];

        look(&now);
        changed += now.present && (!d->samples[i].present || now.hash != d->samples[i].hash);
    }
    return d->sample_count > 0 ? changed * (d->sampled_bytes / d->sample_count) : 0;
}

/* --- KVM's log ------------------------------------------------------------------------------------------ */

static int start_log(DirtyRate *d, Err *err)
{
    int r = kvm_dirty_log(d->kvm, d->memory, memory_region_count(d->memory), true, err);

    d->logged_slots = r == 0 ? memory_region_count(d->memory) : 0;
    return r;
}

static uint64_t logged_bytes(DirtyRate *d)
{
    uint64_t pages = 0;

    for (unsigned slot = 0; slot < d->logged_slots; slot++) {
        size_t words = (size_t)(memory_region(d->memory, slot)->size / PAGE + 63) / 64;
        uint64_t *bits = calloc(words, sizeof *bits);
        int r = bits != NULL ? kvm_dirty_bitmap(d->kvm, slot, bits) : -ENOMEM;

        if (r < 0)
            log_note("dirty rate: pages of memory slot %u are not known: %s", slot, strerror(-r));
        for (size_t i = 0; r == 0 && i < words; i++)
            pages += (unsigned)__builtin_popcountll(bits[i]);
        free(bits);
    }
    return pages * PAGE;
}

static void end_log(DirtyRate *d)
{
    Err err = {0};

    if (d->logged_slots > 0 && kvm_dirty_log(d->kvm, d->memory, d->logged_slots, false, &err) < 0)
        log_note("dirty rate: %s", err.text);
    d->logged_slots = 0;
}

static void publish(DirtyRate *d)
{
    const DirtyRateReport *report = &d->report;

    __atomic_store_n(&d->page->mode, report->mode, __ATOMIC_RELAXED);
    __atomic_store_n(&d->page->start, report->start, __ATOMIC_RELAXED);
    __atomic_store_n(&d->page->seconds, report->seconds, __ATOMIC_RELAXED);
    __atomic_store_n(&d->page->rate, report->rate, __ATOMIC_RELAXED);
    __atomic_store_n(&d->page->state, report->state, __ATOMIC_RELEASE);
}

/* --- a measurement -------------------------------------------------------------------------------------- */

static void expired(void *opaque)
{
    DirtyRate *d = opaque;
    uint64_t ms = MAX((loop_now() - d->began) / NS_PER_MS, 1);
    uint64_t bytes = d->report.mode == DIRTY_RATE_BY_SAMPLES ? changed_bytes(d) : logged_bytes(d);

    end_log(d);
    free(d->samples);
    d->samples = NULL;
    d->report.rate = (bytes >> 10) * 1000 / ms >> 10;
    d->report.seconds = (unsigned)(ms / 1000);
    d->report.state = DIRTY_RATE_MEASURED;
    publish(d);
}

int dirty_rate_start(DirtyRate *d, DirtyRateMode mode, unsigned seconds, unsigned samples, Err *err)
{
    int r;

    if (d->report.state == DIRTY_RATE_MEASURING)
        return err_set(err, EBUSY, "the dirty rate is already being measured");
    if (seconds < 1 || seconds > DIRTY_RATE_SECONDS_MAX)
        return err_set(err, ERANGE, "calc-time is out of range[1, %d].", DIRTY_RATE_SECONDS_MAX);
    if (samples < DIRTY_RATE_SAMPLES_MIN || samples > DIRTY_RATE_SAMPLES_MAX)
        return err_set(err, ERANGE, "sample-pages is out of range[%d, %d].", DIRTY_RATE_SAMPLES_MIN,
                       DIRTY_RATE_SAMPLES_MAX);
    r = mode == DIRTY_RATE_BY_SAMPLES ? take_samples(d, samples, err) : start_log(d, err);
    if (r < 0)
        return r;
    d->began = loop_now();
    d->report = (DirtyRateReport){.state = DIRTY_RATE_MEASURING,
                                  .mode = mode,
                                  .start = d->began / NS_PER_MS / 1000,
                                  .seconds = seconds,
                                  .samples = samples};
    r = loop_timer_set(&d->timer, d->began + (uint64_t)seconds * 1000 * NS_PER_MS);
    if (r < 0) {
        end_log(d);
        d->report.state = DIRTY_RATE_UNSTARTED;
        return err_set(err, -r, "no timer for the measurement: %s", strerror(-r));
    }
    publish(d);
    return 0;
}

const DirtyRateReport *dirty_rate_report(const DirtyRate *d)
{
    return &d->report;
}

int dirty_rate_new(Loop *loop, KvmVm *kvm, const GuestMemory *memory, StatsDirtyRate *page, DirtyRate **ret, Err *err)
{
    DirtyRate *d = calloc(1, sizeof *d);

    if (d == NULL)
        return err_set(err, ENOMEM, "out of memory");
    d->loop = loop;
    d->kvm = kvm;
    d->memory = memory;
    d->page = page;
    d->report.samples = DIRTY_RATE_SAMPLES;
    loop_timer_init(loop, &d->timer, expired, d);
    *ret = d;
    return 0;
}

void dirty_rate_free(DirtyRate *d)
{
    if (d == NULL)
        return;
    loop_timer_cancel(&d->timer);
    free(d->samples);
    free(d);
}
