/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <redirdev>: formatdomain, "Redirected devices". */
#pragma once

#include "driver/conf/def_chr_source.h"
#include "driver/conf/device_def.h"

typedef enum { REDIRDEV_BUS_USB = 0, REDIRDEV_BUS_LAST } RedirdevBus;
ENUM_TABLE_DECL(redirdev_bus, RedirdevBus)

typedef struct {
    DeviceInfo info;
    RedirdevBus bus;
    ChrSource source;
} RedirdevDef;

extern const DeviceDefOps redirdev_def_ops;
