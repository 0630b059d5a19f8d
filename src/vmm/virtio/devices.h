/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Constructors that device_table.c lists; see VirtioDeviceKind.create. */
#pragma once

#include "vmm/props.h"
#include "vmm/virtio/device_host.h"
#include "vmm/virtio/virtio.h"

int balloon_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err);
int blk_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err);
int console_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err);
int console_add_child(VirtioDevice *dev, Props *props, Err *err);
int console_remove_child(VirtioDevice *dev, const char *child_id, Err *err);
int mem_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err);
int net_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err);
int rng_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err);

/* What management does with a device of one kind; on the device's loop. */
const char *net_device_backend(const VirtioDevice *dev); /* id of its net back end */
void net_device_set_link(VirtioDevice *dev, bool up);
json_t *net_device_rx_filter(VirtioDevice *dev); /* QEMU's query-rx-filter; new */
int vsock_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err);
int scsi_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err);
int scsi_add_child(VirtioDevice *dev, Props *props, Err *err);
int scsi_remove_child(VirtioDevice *dev, const char *child_id, Err *err);
