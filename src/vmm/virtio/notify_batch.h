/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One interrupt a queue for all that ends in one turn of a loop. Everything on the loop of notify_batch_init(). */
#pragma once

#include <stdbool.h>

#include "vmm/virtio/virtio.h"

typedef struct NotifyBatch {
    VirtioDevice *dev;
    LoopDefer defer;
    bool due[VIRTIO_QUEUES_MAX];
} NotifyBatch;

void notify_batch_init(NotifyBatch *batch, Loop *loop, VirtioDevice *dev);
/* The queue's driver is told at the end of this turn. */
void notify_batch_add(NotifyBatch *batch, unsigned queue);
/* Now. */
void notify_batch_send(NotifyBatch *batch);
/* Not at all: the queues are gone. */
void notify_batch_forget(NotifyBatch *batch);
