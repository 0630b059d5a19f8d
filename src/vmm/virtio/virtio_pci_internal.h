/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the PCI transport's parts share: virtio_pci.c (device, kicks, life) and virtio_pci_regs.c (the BAR's registers). */
#pragma once

#include <pthread.h>

#include "vmm/pci/msix.h"
#include "vmm/pci/pci_internal.h"
#include "vmm/virtio/virtio_pci.h"

enum {
    BAR_COMMON = 0x0000,
    BAR_ISR = 0x1000,
    BAR_DEVICE = 0x2000,
    BAR_NOTIFY = 0x3000,
    BAR_MSIX = 0x4000,
    BAR_PBA = 0x6000,
    BAR_SIZE = 0x8000
};
enum { STATUS_DRIVER_OK = 4, STATUS_FEATURES_OK = 8, STATUS_NEEDS_RESET = 64 };
enum { NO_VECTOR = 0xffff };
enum { NOTIFY_MULTIPLIER = 4 };

typedef struct Kick {
    VirtioPci *vp;
    unsigned queue;
    int fd;
    Loop *loop; /* where it is watched */
    LoopWatch watch;
    bool taken; /* vhost has it */
    bool bound; /* ioeventfd registered */
    uint64_t bound_at;
} Kick;

struct VirtioPci {
    PciDevice pci;
    VirtioDevice *dev;
    KvmVm *vm;
    pthread_mutex_t lock;
    unsigned cfg_cap; /* offset of the PCI_CFG capability */
    unsigned notify_len;

    uint32_t device_select, driver_select;
    uint64_t driver_features;
    uint16_t queue_select;
    uint8_t status; /* atomic */
    uint8_t isr; /* atomic */
    uint16_t config_vector; /* atomic */
    bool vm_running; /* main thread */
    bool master; /* the guest lets the device into its memory; under the host's lock */
    bool running; /* both; atomic: it changes before the device's loop is told */
    bool activated; /* under lock */
    uint64_t bar; /* where the BAR is mapped, 0: nowhere; under lock */
    VirtqueueSetup *setup;
    uint16_t *vectors; /* one a queue, atomic */
    Kick *kicks;
};

#define ATOMIC_GET(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define ATOMIC_SET(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

/* Under the lock. */
void virtio_pci_start(VirtioPci *vp); /* the driver is ready */
void virtio_pci_stop(VirtioPci *vp); /* back to what it was before there was a driver */

/* The BAR; any thread. */
uint64_t virtio_pci_read(void *vp, uint64_t offset, unsigned len);
void virtio_pci_write(void *vp, uint64_t offset, uint64_t value, unsigned len);
extern const BusOps virtio_pci_bar_ops;
