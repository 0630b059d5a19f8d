/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Insides of a queue, for virtqueue.c and virtio.c only. */
#pragma once

#include "vmm/virtio/virtqueue.h"

struct Virtqueue {
    VirtioDevice *dev;
    uint16_t index;
    uint16_t size_max;
    VirtqueueSetup setup; /* as programmed; vCPU threads, until live */

    /* The queue's loop, while live. */
    bool live;
    bool event_idx;
    uint16_t size;
    uint8_t *desc, *avail, *used; /* host pointers, checked for the whole of each ring */
    uint16_t last_avail; /* next entry of the available ring to take */
    uint16_t used_next; /* our copy of used->idx: never read back */
    uint16_t signalled; /* used_next when the guest was last considered for an interrupt */
    bool signalled_valid;
    void *opaque;
};

/* Takes the programmed set-up over; -EINVAL when it is unusable. A queue that was not enabled stays dead. */
int virtqueue_activate(Virtqueue *vq);
void virtqueue_deactivate(Virtqueue *vq);
