/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <memballoon>: formatdomain, "Memory balloon device". */
#pragma once

#include "driver/conf/device_def.h"

typedef enum {
    MEMBALLOON_VIRTIO = 0,
    MEMBALLOON_XEN,
    MEMBALLOON_NONE, /* the domain has none, also not the one it gets by default */
    MEMBALLOON_TRANSITIONAL,
    MEMBALLOON_NON_TRANSITIONAL,
    MEMBALLOON_LAST
} MemballoonModel;
ENUM_TABLE_DECL(memballoon_model, MemballoonModel)

typedef struct {
    DeviceInfo info;
    MemballoonModel model;
    Tristate autodeflate;
    Tristate free_page_reporting;
    guint period; /* of statistics, seconds; 0: none */
    VirtioOptions virtio;
} MemballoonDef;

extern const DeviceDefOps memballoon_def_ops;
