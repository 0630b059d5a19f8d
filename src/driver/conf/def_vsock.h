/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <vsock>: formatdomain, "Vsock". */
#pragma once

#include "driver/conf/device_def.h"
#include "driver/conf/virtio_model.h"

typedef struct {
    DeviceInfo info;
    VirtioModel model;
    Tristate auto_cid;
    guint cid; /* 0: not known; live: the real one */
    VirtioOptions virtio;
} VsockDef;

extern const DeviceDefOps vsock_def_ops;
