/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See cpu_place.h. */
#include "driver/backend/cpu_place.h"

#include "driver/backend/json_util.h"

const char *const cpu_level_names[CPU_LEVEL_LAST] = {"socket", "die", "core", "thread", "node"};

typedef char LevelKey[16];

static const char *level_key(guint level, LevelKey key)
{
    g_snprintf(key, sizeof(LevelKey), "%s-id", cpu_level_names[level]);
    return key;
}

CpuPlace cpu_place_from_json(const json_t *props)
{
    CpuPlace place;
    LevelKey key;

    for (guint i = 0; i < CPU_LEVEL_LAST; i++)
        place.id[i] = (int)jint(props, level_key(i, key), -1);
    return place;
}

void cpu_place_to_json(const CpuPlace *place, json_t *props)
{
    LevelKey key;

    for (guint i = 0; i < CPU_LEVEL_LAST; i++) {
        if (place->id[i] >= 0)
            json_object_set_new(props, level_key(i, key), json_integer(place->id[i]));
    }
}
