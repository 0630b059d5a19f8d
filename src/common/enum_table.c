/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Enum <-> name look-ups: linear, the tables are short. */
#include "common/enum_table.h"

#include <string.h>

const char *enum_table_name(const char *const *names, size_t count, int value)
{
    return value >= 0 && (size_t)value < count ? names[value] : NULL;
}

int enum_table_value(const char *const *names, size_t count, const char *name)
{
    if (name == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (names[i] != NULL && strcmp(names[i], name) == 0)
            return (int)i;
    }
    return -1;
}
