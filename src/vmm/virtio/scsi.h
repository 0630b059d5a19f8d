/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks and drives behind a virtio-scsi device, for QMP. Main thread. */
#pragma once

#include "vmm/virtio/virtio.h"

typedef enum ScsiMediumAction {
    SCSI_TRAY_OPEN,
    SCSI_TRAY_CLOSE,
    SCSI_MEDIUM_REMOVE,
    SCSI_MEDIUM_INSERT
} ScsiMediumAction;

typedef struct ScsiDrive {
    char id[64];
    bool removable, locked, tray_open;
} ScsiDrive;

/* false behind the last. */
bool scsi_drive_at(VirtioDevice *dev, unsigned index, ScsiDrive *ret);
/* On the drive with this id. force: open in spite of the guest's lock. node: what to insert. -ENOENT without
 * a text when this device has no such drive; other errors have QEMU's words. */
int scsi_medium(VirtioDevice *dev, const char *id, ScsiMediumAction action, bool force, const char *node,
                Err *err);
