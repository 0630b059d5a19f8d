/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <watchdog>: formatdomain, "Watchdog devices". */
#pragma once

#include "driver/conf/device_def.h"

typedef enum {
    WATCHDOG_I6300ESB = 0,
    WATCHDOG_IB700,
    WATCHDOG_DIAG288,
    WATCHDOG_ITCO,
    WATCHDOG_LAST
} WatchdogModel;
ENUM_TABLE_DECL(watchdog_model, WatchdogModel)

typedef enum {
    WATCHDOG_RESET = 0,
    WATCHDOG_SHUTDOWN,
    WATCHDOG_POWEROFF,
    WATCHDOG_PAUSE,
    WATCHDOG_DUMP,
    WATCHDOG_NONE,
    WATCHDOG_INJECT_NMI,
    WATCHDOG_ACTION_LAST
} WatchdogAction;
ENUM_TABLE_DECL(watchdog_action, WatchdogAction)

typedef struct {
    DeviceInfo info;
    WatchdogModel model;
    WatchdogAction action;
} WatchdogDef;

extern const DeviceDefOps watchdog_def_ops;
