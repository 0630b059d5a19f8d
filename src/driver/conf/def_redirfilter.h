/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <redirfilter>: formatdomain, "Redirected devices". */
#pragma once

#include "driver/conf/device_def.h"

typedef struct {
    int usb_class, vendor, product, version; /* -1: any; version in BCD, 0x0210 = 2.10 */
    gboolean allow;
} RedirfilterUsbdev;

typedef struct {
    DeviceInfo info;   /* unused */
    GPtrArray *usbdevs; /* of RedirfilterUsbdev, never NULL; the first that fits decides */
} RedirfilterDef;

extern const DeviceDefOps redirfilter_def_ops;
