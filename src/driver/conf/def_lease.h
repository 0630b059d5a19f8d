/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <lease>: formatdomain, "Device leases". */
#pragma once

#include "driver/conf/device_def.h"

typedef struct {
    DeviceInfo info; /* unused */
    char *lockspace; /* NULL: none */
    char *key;
    char *path;
    guint64 offset;
} LeaseDef;

extern const DeviceDefOps lease_def_ops;
