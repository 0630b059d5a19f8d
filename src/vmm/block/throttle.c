/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Leaky buckets. See throttle.h. */
#include "vmm/block/throttle.h"

#include <string.h>

#include "common/checked.h"

bool throttle_is_on(const ThrottleConfig *config)
{
    for (unsigned i = 0; i < THROTTLE_BUCKETS; i++) {
        if (config->limit[i].avg > 0)
            return true;
    }
    return false;
}

const char *throttle_check(const ThrottleConfig *config)
{
    static const unsigned kinds[] = {THROTTLE_BPS_TOTAL, THROTTLE_OPS_TOTAL};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const ThrottleLimit *l = &config->limit[kinds[i]];

        if (l[0].avg > 0 && (l[1].avg > 0 || l[2].avg > 0))
            return "bps/iops/max total values and read/write values cannot be used at the same time";
        if (l[0].max > 0 && (l[1].max > 0 || l[2].max > 0))
            return "bps/iops/max total values and read/write values cannot be used at the same time";
    }
    for (unsigned i = 0; i < THROTTLE_BUCKETS; i++) {
        const ThrottleLimit *l = &config->limit[i];

        if (l->max > 0 && l->avg == 0)
            return "bps_max/iops_max require corresponding bps/iops values";
        if (l->max > 0 && l->max < l->avg)
            return "bps_max/iops_max cannot be lower than bps/iops";
        if (l->max_length > 1 && l->max == 0)
            return "burst length set without burst rate";
    }
    return NULL;
}

void throttle_set(Throttle *throttle, const ThrottleConfig *config, uint64_t now_ns)
{
    memset(throttle, 0, sizeof *throttle);
    throttle->config = *config;
    throttle->last_ns = now_ns;
}

static void leak(double *level, double units)
{
    *level = *level > units ? *level - units : 0;
}

static double bucket_wait(const Throttle *t, unsigned i)
{
    const ThrottleLimit *l = &t->config.limit[i];
    double length = l->max_length > 1 ? (double)l->max_length : 1;
    double room = l->max > 0 ? (double)l->max * length : (double)l->avg / 10, wait = 0;

    if (l->avg == 0)
        return 0;
    if (t->level[i] > room)
        wait = (t->level[i] - room) / (double)l->avg;
    /* Within a long burst the rate is `max`, with a tenth of a second of slack. */
    if (l->max > 0 && l->max_length > 1 && t->burst[i] > (double)l->max / 10)
        wait = MAX(wait, (t->burst[i] - (double)l->max / 10) / (double)l->max);
    return wait;
}

uint64_t throttle_wait(Throttle *t, bool write, uint64_t now_ns)
{
    double seconds = now_ns > t->last_ns ? (double)(now_ns - t->last_ns) / 1e9 : 0, wait = 0;

    t->last_ns = now_ns;
    for (unsigned i = 0; i < THROTTLE_BUCKETS; i++) {
        leak(&t->level[i], (double)t->config.limit[i].avg * seconds);
        leak(&t->burst[i], (double)t->config.limit[i].max * seconds);
    }
    for (unsigned base = 0; base < THROTTLE_BUCKETS; base += 3) {
        wait = MAX(wait, bucket_wait(t, base));
        wait = MAX(wait, bucket_wait(t, base + (write ? 2 : 1)));
    }
    return wait > 0 ? (uint64_t)(wait * 1e9) + 1 : 0;
}

void throttle_account(Throttle *t, bool write, uint64_t bytes)
{
    double units = 1;

    if (t->config.op_size > 0 && bytes > t->config.op_size)
        units = (double)bytes / (double)t->config.op_size;
    for (unsigned base = 0; base < THROTTLE_BUCKETS; base += 3) {
        double n = base == THROTTLE_OPS_TOTAL ? units : (double)bytes;
        unsigned own = base + (write ? 2 : 1);

        if (t->config.limit[base].avg > 0) {
            t->level[base] += n;
            t->burst[base] += n;
        }
        if (t->config.limit[own].avg > 0) {
            t->level[own] += n;
            t->burst[own] += n;
        }
    }
}
