/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One line a device. */
#include "vmm/virtio/device_table.h"

#include <string.h>

#include "common/checked.h"
#include "vmm/virtio/devices.h"

static const VirtioDeviceKind device_table[] = {
    {.driver = "virtio-blk-pci", .create = blk_create},
    {.driver = "virtio-serial-pci",
     .create = console_create,
     .bus = "virtio-serial-bus",
     .add_child = console_add_child,
     .remove_child = console_remove_child},
    {.driver = "virtio-balloon-pci", .create = balloon_create},
    {.driver = "virtio-mem-pci", .create = mem_create},
    {.driver = "virtio-net-pci", .create = net_create},
    {.driver = "virtio-rng-pci", .create = rng_create},
    {.driver = "vhost-vsock-pci", .create = vsock_create},
    {.driver = "virtio-scsi-pci",
     .create = scsi_create,
     .bus = "virtio-scsi-bus",
     .add_child = scsi_add_child,
     .remove_child = scsi_remove_child},
};

const VirtioDeviceKind *device_table_find(const char *driver)
{
    for (size_t i = 0; i < ARRAY_LEN(device_table); i++) {
        if (strcmp(device_table[i].driver, driver) == 0)
            return &device_table[i];
    }
    return NULL;
}
