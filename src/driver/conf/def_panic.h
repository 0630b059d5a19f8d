/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <panic>: formatdomain, "panic device". */
#pragma once

#include "driver/conf/device_def.h"

typedef enum {
    PANIC_DEFAULT = 0,
    PANIC_ISA,
    PANIC_PSERIES,
    PANIC_HYPERV,
    PANIC_S390,
    PANIC_PVPANIC,
    PANIC_LAST
} PanicModel;
ENUM_TABLE_DECL(panic_model, PanicModel)

typedef struct {
    DeviceInfo info;
    PanicModel model;
} PanicDef;

extern const DeviceDefOps panic_def_ops;
