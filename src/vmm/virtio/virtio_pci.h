/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The PCI transport (virtio 1.2, 4.1), modern devices only.
 *
 * One 32 KiB memory BAR:  0x0000 common configuration   0x1000 ISR   0x2000 device configuration
 *                         0x3000 notifications, 4 bytes a queue      0x4000 MSI-X table   0x6000 pending bits
 *
 * Register accesses come from vCPU threads and are serialised by the transport's lock; the device's ops are
 * called on its loop while the vCPU waits. Kicks reach the loop through ioeventfds without any lock.
 */
#pragma once

#include "common/err.h"
#include "vmm/irq.h"
#include "vmm/kvm.h"
#include "vmm/pci/pci.h"
#include "vmm/virtio/virtio.h"

typedef struct VirtioPci VirtioPci;

/* Takes dev over on success. vm may be NULL (tests): kicks then come through the register. integrated: on bus
 * 0. */
int virtio_pci_new(VirtioDevice *dev, KvmVm *vm, Irq *irq, bool integrated, VirtioPci **ret, Err *err);
PciDevice *virtio_pci_device(VirtioPci *vp);
VirtioDevice *virtio_pci_virtio(VirtioPci *vp);
