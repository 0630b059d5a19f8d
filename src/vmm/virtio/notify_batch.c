/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See notify_batch.h. */
#include "vmm/virtio/notify_batch.h"

#include <string.h>

static void send_due(void *opaque)
{
    notify_batch_send(opaque);
}

void notify_batch_init(NotifyBatch *batch, Loop *loop, VirtioDevice *dev)
{
    batch->dev = dev;
    loop_defer_init(loop, &batch->defer, send_due, batch);
}

void notify_batch_add(NotifyBatch *batch, unsigned queue)
{
    batch->due[queue] = true;
    loop_defer(&batch->defer);
}

void notify_batch_send(NotifyBatch *batch)
{
    for (unsigned i = 0; i < batch->dev->queue_count; i++) {
        if (batch->due[i]) {
            batch->due[i] = false;
            virtqueue_notify(virtio_queue(batch->dev, i));
        }
    }
}

void notify_batch_forget(NotifyBatch *batch)
{
    loop_defer_cancel(&batch->defer);
    memset(batch->due, 0, sizeof batch->due);
}
