/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a <disk> may not be: the validate() of disk_def_ops. */
#pragma once

#include "driver/conf/device_def.h"

/* VIR_ERR_CONFIG_UNSUPPORTED, XML_ERROR, or libvirt's other codes for the same fault. */
gboolean disk_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error);
