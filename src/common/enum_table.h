/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Enum <-> name tables. The number of names is asserted against the enum's _LAST at compile time.
 *
 *   header:  ENUM_TABLE_DECL(disk_bus, DiskBus)
 *   source:  ENUM_TABLE(disk_bus, DiskBus, DISK_BUS_LAST, "none", "ide", "virtio")
 *
 * gives  const char *disk_bus_to_string(DiskBus v)   NULL when v is out of range
 *        int disk_bus_from_string(const char *s)     -1 when s is NULL or unknown
 */
#pragma once

#include <stddef.h>

const char *enum_table_name(const char *const *names, size_t count, int value);
int enum_table_value(const char *const *names, size_t count, const char *name);

#define ENUM_TABLE_DECL(prefix, Type)                                                                        \
    const char *prefix##_to_string(Type value);                                                              \
    int prefix##_from_string(const char *name);

#define ENUM_TABLE(prefix, Type, last, ...)                                                                  \
    static const char *const prefix##_names[] = {__VA_ARGS__};                                               \
    _Static_assert(sizeof(prefix##_names) / sizeof(prefix##_names[0]) == (last),                             \
                   "names and values of " #Type " differ in number");                                        \
    const char *prefix##_to_string(Type value)                                                               \
    {                                                                                                        \
        return enum_table_name(prefix##_names, (last), (int)value);                                          \
    }                                                                                                        \
    int prefix##_from_string(const char *name)                                                               \
    {                                                                                                        \
        return enum_table_value(prefix##_names, (last), name);                                               \
    }
