/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's side of <vsock>: linux/vhost.h, vsock(7). */
#pragma once

#include "driver/conf/def_vsock.h"

/*
 * /dev/vhost-vsock with the device's address taken, to be passed to the VM; -1 with VIR_ERR_SYSTEM_ERROR. With
 * <cid auto='yes'/> the first address that no other VM has is chosen and written into vsock.
 */
int vsock_open(VsockDef *vsock, GError **error);
