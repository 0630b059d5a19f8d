/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TAP for tests without GLib: ok(condition, "what") per point, return done() from main. */
#pragma once

#include <stdio.h>

static int tap_count, tap_failed;

#define ok(condition, ...)                                                                                   \
    do {                                                                                                     \
        int tap_ok_ = !!(condition);                                                                         \
        printf("%sok %d - ", tap_ok_ ? "" : "not ", ++tap_count);                                            \
        printf(__VA_ARGS__);                                                                                 \
        printf("\n");                                                                                        \
        if (!tap_ok_) {                                                                                      \
            tap_failed++;                                                                                    \
            printf("# failed at %s:%d: %s\n", __FILE__, __LINE__, #condition);                               \
        }                                                                                                    \
        fflush(stdout);                                                                                      \
    } while (0)

static inline int done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failed != 0;
}
