/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Constructors that device_table.c lists; see VirtioDeviceKind.create. */
#pragma once

#include "vmm/props.h"
#include "vmm/virtio/device_host.h"
#include "vmm/virtio/virtio.h"

int blk_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err);
int console_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err);
int console_add_child(VirtioDevice *dev, Props *props, Err *err);
int console_remove_child(VirtioDevice *dev, const char *child_id, Err *err);
int balloon_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err);
int mem_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err);
int rng_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err);
