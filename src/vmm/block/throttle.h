/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits of a block node's traffic, with QEMU's model (docs/throttle.txt): six leaky buckets (bytes and operations,
 * each in total, read and written). A bucket leaks `avg` units a second; it holds `max` units for `max_length`
 * seconds (or a tenth of a second of `avg` when there is no `max`) before requests wait. Pure arithmetic: the caller
 * brings time and queue.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    THROTTLE_BPS_TOTAL,
    THROTTLE_BPS_READ,
    THROTTLE_BPS_WRITE,
    THROTTLE_OPS_TOTAL,
    THROTTLE_OPS_READ,
    THROTTLE_OPS_WRITE,
    THROTTLE_BUCKETS
};

typedef struct ThrottleLimit {
    uint64_t avg, max, max_length; /* 0: none, none, 1 s */
} ThrottleLimit;

typedef struct ThrottleConfig {
    ThrottleLimit limit[THROTTLE_BUCKETS];
    uint64_t op_size; /* a longer request counts as several operations; 0: never */
} ThrottleConfig;

typedef struct Throttle {
    ThrottleConfig config;
    double level[THROTTLE_BUCKETS], burst[THROTTLE_BUCKETS];
    uint64_t last_ns;
} Throttle;

bool throttle_is_on(const ThrottleConfig *config);
/* NULL, or why the numbers make no sense. */
const char *throttle_check(const ThrottleConfig *config);
void throttle_set(Throttle *throttle, const ThrottleConfig *config, uint64_t now_ns);
/* Nanoseconds until a request of this kind may go; 0: now. */
uint64_t throttle_wait(Throttle *throttle, bool write, uint64_t now_ns);
void throttle_account(Throttle *throttle, bool write, uint64_t bytes);
