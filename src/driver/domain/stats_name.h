/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of numbered statistics ("block.0.rd.bytes"), made without printf: thousands are made in one call. */
#pragma once

#include <glib.h>
#include <string.h>

/* group + number + rest; caller frees. */
static inline char *stats_name(const char *group, guint number, const char *rest)
{
    char digits[12];
    gsize n_group = strlen(group), n_rest = strlen(rest), at = sizeof(digits);
    char *name;

    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    name = g_malloc(n_group + sizeof(digits) - at + n_rest + 1);
    memcpy(name, group, n_group);
    memcpy(name + n_group, digits + at, sizeof(digits) - at);
    memcpy(name + n_group + sizeof(digits) - at, rest, n_rest + 1);
    return name;
}
