/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a disk does when the host cannot read or write: QEMU's werror and rerror, and its BLOCK_IO_ERROR. */
#pragma once

#include <stdbool.h>

#include "vmm/props.h"
#include "vmm/virtio/device_host.h"

typedef enum IoPolicy { IO_REPORT, IO_IGNORE, IO_STOP, IO_ENOSPC, IO_POLICY_LAST } IoPolicy;

/* Property key ("werror": all four, "rerror": not enospc); "auto" and absent give def. */
int io_policy_parse(Props *props, const char *key, IoPolicy def, bool write, IoPolicy *ret, Err *err);
/* Tells management about an error (positive errno) and says what to do: never IO_ENOSPC. IO_STOP: the VM is
 * being stopped, the request is tried again when it goes on. Any thread. */
IoPolicy io_policy_apply(IoPolicy policy, DeviceHost *host, const char *device, const char *node, bool write,
                         int error);
