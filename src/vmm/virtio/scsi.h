/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Removable media behind a virtio-scsi device, for QMP. Main thread. */
#pragma once

#include "vmm/virtio/virtio.h"

typedef enum ScsiMediumAction { SCSI_TRAY_OPEN, SCSI_TRAY_CLOSE, SCSI_MEDIUM_REMOVE, SCSI_MEDIUM_INSERT } ScsiMediumAction;

/* On the drive with this id. force: open in spite of the guest's lock. node: what to insert. -ENOENT without a text
 * when this device has no such drive; other errors have QEMU's words. */
int scsi_medium(VirtioDevice *dev, const char *id, ScsiMediumAction action, bool force, const char *node, Err *err);
