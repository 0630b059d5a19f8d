/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all virtio devices have in common: life cycle, configuration space, failing. */
#include "vmm/virtio/virtio.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/log.h"
#include "vmm/virtio/device_host.h"
#include "vmm/virtio/virtqueue_internal.h"

int virtio_device_new(const VirtioDeviceOps *ops, const char *id, DeviceHost *host, Loop *loop,
                      const uint16_t *sizes, unsigned queue_count, VirtioDevice **ret, Err *err)
{
    VirtioDevice *dev = calloc(1, ops->state_size);

    if (dev != NULL) {
        dev->id = strdup(id);
        dev->queues = calloc(queue_count ? queue_count : 1, sizeof *dev->queues);
    }
    if (dev == NULL || dev->id == NULL || dev->queues == NULL || queue_count > VIRTIO_QUEUES_MAX) {
        if (dev != NULL) {
            free(dev->id);
            free(dev->queues);
        }
        free(dev);
        return err_set(err, ENOMEM, "%s %s: out of memory", ops->name, id);
    }
    dev->ops = ops;
    dev->loop = loop;
    dev->host = host;
    dev->memory = host->memory;
    dev->queue_count = queue_count;
    pthread_mutex_init(&dev->config_lock, NULL);
    for (unsigned i = 0; i < queue_count; i++) {
        dev->queues[i].dev = dev;
        dev->queues[i].index = (uint16_t)i;
        dev->queues[i].size_max = MIN(sizes[i], VIRTQUEUE_SIZE_MAX);
        dev->queues[i].setup.size = dev->queues[i].size_max;
    }
    *ret = dev;
    return 0;
}

void virtio_device_free(VirtioDevice *dev)
{
    if (dev == NULL)
        return;
    if (dev->ops->free)
        dev->ops->free(dev);
    pthread_mutex_destroy(&dev->config_lock);
    free(dev->queues);
    free(dev->id);
    free(dev);
}

/* --- configuration space (virtio 1.2, 2.5)
 * -------------------------------------------------------------------- */

void virtio_config_set(VirtioDevice *dev, unsigned offset, const void *data, unsigned len)
{
    if (!range_inside(offset, len, sizeof dev->config))
        return;
    pthread_mutex_lock(&dev->config_lock);
    dev->config_generation += memcmp(dev->config + offset, data, len) != 0;
    memcpy(dev->config + offset, data, len);
    dev->config_len = MAX(dev->config_len, offset + len);
    pthread_mutex_unlock(&dev->config_lock);
}

void virtio_config_update(VirtioDevice *dev, unsigned offset, const void *data, unsigned len)
{
    virtio_config_set(dev, offset, data, len);
    if (dev->transport_ops != NULL)
        dev->transport_ops->config_interrupt(dev->transport);
}

void virtio_config_get(VirtioDevice *dev, unsigned offset, void *data, unsigned len)
{
    memset(data, 0, len);
    pthread_mutex_lock(&dev->config_lock);
    if (offset < dev->config_len)
        memcpy(data, dev->config + offset, MIN(len, dev->config_len - offset));
    pthread_mutex_unlock(&dev->config_lock);
}

uint8_t virtio_config_generation(VirtioDevice *dev)
{
    uint8_t generation;

    pthread_mutex_lock(&dev->config_lock);
    generation = dev->config_generation;
    pthread_mutex_unlock(&dev->config_lock);
    return generation;
}

/* --- failing
 * -------------------------------------------------------------------------------------------------- */

void virtio_device_fail(VirtioDevice *dev, const char *format, ...)
{
    char text[200];
    va_list ap;

    /* Once until reset: a guest must not be able to fill the log. */
    if (__atomic_exchange_n(&dev->broken, true, __ATOMIC_ACQ_REL))
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    log_guest_fault("%s %s: %s; it needs a reset by the guest", dev->ops->name, dev->id, text);
    if (dev->transport_ops != NULL)
        dev->transport_ops->needs_reset(dev->transport);
}

/* --- vhost
 * ---------------------------------------------------------------------------------------------------- */

int virtio_take_kick_fd(VirtioDevice *dev, unsigned queue)
{
    const VirtioTransportOps *ops = dev->transport_ops;

    return ops && ops->take_kick_fd ? ops->take_kick_fd(dev->transport, queue) : -ENOTSUP;
}

void virtio_return_kick_fd(VirtioDevice *dev, unsigned queue)
{
    if (dev->transport_ops && dev->transport_ops->return_kick_fd)
        dev->transport_ops->return_kick_fd(dev->transport, queue);
}

int virtio_call_fd(VirtioDevice *dev, unsigned queue)
{
    const VirtioTransportOps *ops = dev->transport_ops;

    return ops && ops->call_fd ? ops->call_fd(dev->transport, queue) : -ENOTSUP;
}

int virtio_queue_set_loop(VirtioDevice *dev, unsigned queue, Loop *loop)
{
    const VirtioTransportOps *ops = dev->transport_ops;

    return ops && ops->set_queue_loop ? ops->set_queue_loop(dev->transport, queue, loop) : -ENOTSUP;
}

/* --- for the transport
 * ---------------------------------------------------------------------------------------- */

void virtio_queue_program(VirtioDevice *dev, unsigned queue, const VirtqueueSetup *setup)
{
    if (queue < dev->queue_count && !dev->queues[queue].live)
        dev->queues[queue].setup = *setup;
}

uint16_t virtio_queue_size_max(const VirtioDevice *dev, unsigned queue)
{
    return queue < dev->queue_count ? dev->queues[queue].size_max : 0;
}

int virtio_device_activate(VirtioDevice *dev, uint64_t features)
{
    int r = 0;

    dev->features = features;
    for (unsigned i = 0; i < dev->queue_count && r == 0; i++) {
        r = virtqueue_activate(&dev->queues[i]);
        if (r < 0)
            virtio_device_fail(dev, "queue %u: rings of a wrong size or outside of guest memory", i);
    }
    if (r == 0) {
        dev->active = true;
        r = dev->ops->activate ? dev->ops->activate(dev) : 0;
        if (r < 0) {
            dev->active = false;
            virtio_device_fail(dev, "cannot be started: %s", strerror(-r));
        }
    }
    if (r < 0) {
        for (unsigned i = 0; i < dev->queue_count; i++)
            dev->queues[i].live = false;
    }
    return r;
}

void virtio_device_deactivate(VirtioDevice *dev)
{
    if (dev->active && dev->ops->deactivate)
        dev->ops->deactivate(dev);
    dev->active = false;
    dev->features = 0;
    for (unsigned i = 0; i < dev->queue_count; i++)
        virtqueue_deactivate(&dev->queues[i]);
    __atomic_store_n(&dev->broken, false, __ATOMIC_RELEASE);
}
