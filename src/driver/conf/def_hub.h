/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <hub>: formatdomain, "Hub devices". */
#pragma once

#include "driver/conf/device_def.h"

typedef enum { HUB_USB = 0, HUB_LAST } HubType;
ENUM_TABLE_DECL(hub_type, HubType)

typedef struct {
    DeviceInfo info;
    HubType type;
} HubDef;

extern const DeviceDefOps hub_def_ops;
