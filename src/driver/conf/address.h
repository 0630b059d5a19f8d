/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guest addresses, one function a bus type. The public entry is domain_def_assign_addresses() of
 * domain_def.h. */
#pragma once

#include "driver/conf/def_controller.h"
#include "driver/conf/domain_def.h"

/* Implicit controllers. */
ControllerDef *controller_find(const DomainDef *def, ControllerType type, int index);
ControllerDef *controller_add(DomainDef *def, ControllerType type, int index, int model);
ControllerDef *controller_ensure(DomainDef *def, ControllerType type, int index, int model);

gboolean address_assign_pci(DomainDef *def, const DomainDefEnv *env, GError **error);
gboolean address_assign_pci_device(DomainDef *def, DeviceInfo *dev, const DomainDefEnv *env, GError **error);
gboolean address_is_virtio_serial(const DeviceInfo *dev);
/* Port of virtio consoles and channels; a controller is added when all are full and may_add. */
gboolean address_assign_virtio_serial(DomainDef *def, DeviceInfo *only, gboolean may_add, GError **error);
/* Ports of the USB controllers and hubs. not_new: an old definition where some device has no port keeps it
 * so, since its running guest has seen the device where QEMU had put it. */
gboolean address_assign_usb(DomainDef *def, DeviceInfo *only, gboolean not_new, GError **error);
gboolean address_assign_all(DomainDef *def, const DomainDefEnv *env, gboolean not_new, GError **error);
gboolean address_assign_dimm(DomainDef *def, DeviceInfo *only, GError **error);
/* The drive address that a disk's target means; nothing for other buses. */
gboolean address_from_disk_target(DeviceInfo *dev, GError **error);
/* The first free unit for a SCSI host device without address; nothing for others. */
void address_for_scsi_hostdev(const DomainDef *def, DeviceInfo *dev);
