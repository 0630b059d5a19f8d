/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every virtio device there is: start reading here. */
#pragma once

#include "vmm/props.h"
#include "vmm/virtio/device_host.h"
#include "vmm/virtio/virtio.h"

typedef struct VirtioDeviceKind {
    const char *driver; /* QEMU's name: "virtio-rng-pci" */
    /* Makes the device from its properties. Main thread. The transport's own keys (bus, addr, …) are already
     * taken. */
    int (*create)(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err);
    const char *bus; /* kind of bus it offers to children ("virtio-serial-bus", "virtio-scsi-bus"), or NULL */
    /* A child on that bus (virtserialport, virtconsole, scsi-hd, scsi-cd): may be NULL. */
    int (*add_child)(VirtioDevice *dev, Props *props, Err *err);
    int (*remove_child)(VirtioDevice *dev, const char *child_id, Err *err);
} VirtioDeviceKind;

/* NULL when unknown. */
const VirtioDeviceKind *device_table_find(const char *driver);
