/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Split virtqueues, device side (virtio 1.2, 2.7), with indirect descriptors (2.7.5.3) and EVENT_IDX
 * (2.7.10).
 *
 *    descriptor table            available ring (driver writes)     used ring (we write)
 *   +-----+------+-----+----+    +-----+-----+------------+----+    +-----+-----+--------------+-----+
 *   |addr | len  |flags|next|    |flags| idx | ring[size] |used|    |flags| idx | ring[size]   |avail|
 *   |     |      |     |    |    |     |     | heads      |_evt|    |     |     | {id, written}|_evt |
 *   +-----+------+-----+----+    +-----+-----+------------+----+    +-----+-----+--------------+-----+
 *
 * Everything in them is the guest's and changes under our eyes: each field is read once into a local and
 * checked before it is used. A chain that loops, is longer than the queue, leaves RAM, or has a writable
 * buffer before a readable one breaks the device (virtio_device_fail()): it needs a reset, the VM goes on.
 *
 * A queue belongs to the thread of its loop. The usual handler:
 *
 *    do {
 *        virtqueue_disable_notify(vq);
 *        while (virtqueue_pop(vq, &elem) > 0)
 *            virtqueue_push(vq, &elem, bytes_written);
 *    } while (virtqueue_enable_notify(vq));
 *    virtqueue_notify(vq);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/iov.h"

#define VIRTQUEUE_SIZE_MAX 1024

typedef struct VirtioDevice VirtioDevice;
typedef struct Virtqueue Virtqueue;

/* A chain. The caller brings iov and iov_max; pop fills the rest: readable buffers first, then writable ones.
 */
typedef struct VirtqElem {
    struct iovec *iov;
    unsigned iov_max;
    uint16_t head; /* names the chain in the used ring */
    unsigned out_count; /* buffers we may read: iov[0 .. out_count) */
    unsigned in_count; /* buffers we may write: iov[out_count .. out_count + in_count) */
    uint64_t out_len; /* bytes in each part */
    uint64_t in_len;
} VirtqElem;

static inline struct iovec *virtq_elem_in(const VirtqElem *elem)
{
    return elem->iov + elem->out_count;
}

/* 1 and *elem filled; 0 nothing there; -errno: the device is broken now, stop (-E2BIG: more buffers than
 * iov_max). */
int virtqueue_pop(Virtqueue *vq, VirtqElem *elem);
/* The same with the guest-physical ranges of the buffers instead of host pointers is virtqueue_pop_gpa(): the
 * buffers need not be RAM that is mapped now (free page reporting, virtio-mem). iov_base holds the address.
 */
int virtqueue_pop_gpa(Virtqueue *vq, VirtqElem *elem);
/* Takes the last count pops back: they will be popped again, in the same order. Nothing may have been pushed
 * since. */
void virtqueue_unpop(Virtqueue *vq, unsigned count);
/* Whether there is something to pop. */
bool virtqueue_pending(Virtqueue *vq);

/* Gives one chain back; written: bytes put into its writable part. Any order. The guest sees it at once. */
void virtqueue_push(Virtqueue *vq, const VirtqElem *elem, uint32_t written);
void virtqueue_push_head(Virtqueue *vq, uint16_t head, uint32_t written);
/* Several chains that the guest must see together (mergeable receive buffers): fill slots 0 .. n-1, then
 * publish n. */
void virtqueue_fill(Virtqueue *vq, uint16_t head, uint32_t written, unsigned slot);
void virtqueue_publish(Virtqueue *vq, unsigned count);
/* Interrupts the guest if what was pushed since the last call asks for it (2.7.7.2, 2.7.10). */
void virtqueue_notify(Virtqueue *vq);

/* Tells the guest not to kick / to kick. enable returns true when chains arrived meanwhile: handle them
 * first. */
void virtqueue_disable_notify(Virtqueue *vq);
bool virtqueue_enable_notify(Virtqueue *vq);

unsigned virtqueue_index(const Virtqueue *vq);
unsigned virtqueue_size(const Virtqueue *vq); /* entries, as negotiated */
bool virtqueue_ready(const Virtqueue *vq); /* the driver enabled it */
VirtioDevice *virtqueue_device(const Virtqueue *vq);
void *virtqueue_opaque(const Virtqueue *vq); /* whatever the device put there */
void virtqueue_set_opaque(Virtqueue *vq, void *opaque);

/* --- for the transport, vhost and tests -------------------------------------------------------------------
 */

/* What the driver programmed; guest-physical addresses. */
typedef struct VirtqueueSetup {
    uint16_t size;
    bool enabled;
    uint64_t desc, avail, used;
} VirtqueueSetup;

const VirtqueueSetup *virtqueue_setup(const Virtqueue *vq);
/* Next avail index to be popped; for vhost hand-over and saved state. */
uint16_t virtqueue_last_avail(const Virtqueue *vq);
void virtqueue_set_last_avail(Virtqueue *vq, uint16_t index);
/* The same for the used ring: read again from guest memory (vhost wrote it meanwhile). */
int virtqueue_resync_used(Virtqueue *vq);
/* Host pointers of the three rings, for VHOST_SET_VRING_ADDR. */
void *virtqueue_desc_host(const Virtqueue *vq);
void *virtqueue_avail_host(const Virtqueue *vq);
void *virtqueue_used_host(const Virtqueue *vq);
