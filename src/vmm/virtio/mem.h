/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What QMP's query-memory-devices and query-memory-size-summary ask of a virtio-mem device. Main thread. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "vmm/virtio/virtio.h"

/* QEMU's VirtioMEMDeviceInfo; new. */
json_t *mem_describe(VirtioDevice *dev);
/* Bytes that the guest has of it. */
uint64_t mem_plugged(VirtioDevice *dev);
