/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a processor of the guest sits, by the numbers that QEMU and the status file use. */
#pragma once

#include <glib.h>
#include <jansson.h>

typedef enum { CPU_LEVEL_SOCKET, CPU_LEVEL_DIE, CPU_LEVEL_CORE, CPU_LEVEL_THREAD, CPU_LEVEL_NODE, CPU_LEVEL_LAST } CpuLevel;

/* "socket", "die", ...: QMP's keys without "-id". */
extern const char *const cpu_level_names[CPU_LEVEL_LAST];

typedef struct CpuPlace {
    int id[CPU_LEVEL_LAST]; /* -1: no such level */
} CpuPlace;

/* No level at all. */
#define CPU_PLACE_NONE ((CpuPlace){{-1, -1, -1, -1, -1}})

/* From the "props" of query-cpus-fast and query-hotpluggable-cpus (NULL: no level), and into those of device_add. */
CpuPlace cpu_place_from_json(const json_t *props);
void cpu_place_to_json(const CpuPlace *place, json_t *props);
