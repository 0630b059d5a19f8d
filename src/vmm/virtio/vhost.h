/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Queues that the host's kernel serves (linux/vhost.h): this hands them over and takes them back; what is particular to a
 * kind of vhost device is its `serve`. Kicks and interrupts then go between guest and kernel without us.
 *
 *   own loop ──vhost_start()──> kernel ──vhost_stop()──> own loop, at the entry where the kernel stopped
 *
 * All on the device's loop.
 */
#pragma once

#include "common/err.h"
#include "vmm/virtio/virtio.h"

typedef struct Vhost Vhost;
struct Vhost {
    VirtioDevice *dev;
    int fd; /* -1: there is none. Owned by whoever opened it */
    unsigned first, count; /* the device's queues first .. first + count - 1 are the kernel's rings 0 .. count - 1 */
    /* Has the kernel begin (after the rings are set) or end. */
    int (*serve)(Vhost *vhost, bool on);
    uint64_t features; /* what the kernel can do */
    unsigned taken; /* queues whose kicks the kernel has */
    bool running;
};

/* fd: open and unused; dev, first, count and serve are set. */
int vhost_open(Vhost *vhost, int fd, Err *err);
/* So that the descriptor can serve another device. */
void vhost_disown(Vhost *vhost);
/* of_device: the device's own feature bits that the kernel must know to serve it. Negative, and nothing changed, when it
 * cannot. */
int vhost_start(Vhost *vhost, uint64_t of_device);
void vhost_stop(Vhost *vhost);
/* Memory came or went: tells the kernel. */
int vhost_set_memory(Vhost *vhost);

/* One ioctl, failure logged with its name. */
int vhost_ioctl(Vhost *vhost, unsigned long request, void *argument, const char *name);
#define VHOST_CALL(vhost, request, argument) vhost_ioctl(vhost, request, argument, #request)
