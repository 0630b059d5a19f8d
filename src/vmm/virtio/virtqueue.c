/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Split virtqueues (virtio 1.2, 2.7). See virtqueue.h for the picture.
 *
 * Barriers: the driver writes descriptors, then the ring entry, then avail->idx: we read idx with acquire
 * order. We write the used entry, then used->idx with release order. Deciding about an interrupt or a kick
 * needs a full barrier between our index and reading the other side's event index or flag (2.7.13.4.1
 * and 2.7.7.2).
 */
#include "vmm/virtio/virtqueue.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/virtio/virtio.h"
#include "vmm/virtio/virtqueue_internal.h"

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };
enum { AVAIL_NO_INTERRUPT = 1 };
enum { USED_NO_NOTIFY = 1 };

typedef struct Desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
} Desc;

/* One field of shared memory, read or written once. */
#define LOAD(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)

static uint16_t *avail_idx(const Virtqueue *vq)
{
    return (uint16_t *)(vq->avail + 2);
}

static uint16_t *used_event(const Virtqueue *vq)
{
    return (uint16_t *)(vq->avail + 4 + 2 * (size_t)vq->size);
}

static uint16_t *used_idx(const Virtqueue *vq)
{
    return (uint16_t *)(vq->used + 2);
}

static uint16_t *avail_event(const Virtqueue *vq)
{
    return (uint16_t *)(vq->used + 4 + 8 * (size_t)vq->size);
}

/* --- life
 * ----------------------------------------------------------------------------------------------------- */

int virtqueue_activate(Virtqueue *vq)
{
    const VirtqueueSetup *s = &vq->setup;
    GuestMemory *memory = vq->dev->memory;
    uint64_t n = s->size;

    vq->live = false;
    if (!s->enabled)
        return 0;
    if (n == 0 || n > vq->size_max || (n & (n - 1)) != 0)
        return -EINVAL;
    if (s->desc % 16 != 0 || s->avail % 2 != 0 || s->used % 4 != 0)
        return -EINVAL;
    vq->desc = memory_at(memory, s->desc, 16 * n);
    vq->avail = memory_at(memory, s->avail, 6 + 2 * n);
    vq->used = memory_at(memory, s->used, 6 + 8 * n);
    if (vq->desc == NULL || vq->avail == NULL || vq->used == NULL)
        return -EINVAL;
    vq->size = (uint16_t)n;
    vq->event_idx = virtio_has(vq->dev, VIRTIO_F_EVENT_IDX);
    vq->last_avail = 0;
    vq->used_next = 0;
    vq->signalled = 0;
    vq->signalled_valid = true;
    vq->live = true;
    return 0;
}

void virtqueue_deactivate(Virtqueue *vq)
{
    vq->live = false;
    vq->desc = vq->avail = vq->used = NULL;
    memset(&vq->setup, 0, sizeof vq->setup);
    vq->setup.size = vq->size_max;
}

/* --- popping
 * -------------------------------------------------------------------------------------------------- */

static int broken(Virtqueue *vq, const char *what)
{
    virtio_device_fail(vq->dev, "queue %u: %s", vq->index, what);
    return -EINVAL;
}

/* How many chains wait; -errno when the driver's index runs away. */
static int available(Virtqueue *vq)
{
    uint16_t ahead;

    if (!vq->live || __atomic_load_n(&vq->dev->broken, __ATOMIC_RELAXED))
        return 0;
    ahead = (uint16_t)(__atomic_load_n(avail_idx(vq), __ATOMIC_ACQUIRE) - vq->last_avail);
    if (ahead > vq->size)
        return broken(vq, "the available index is further ahead than the queue is long");
    return ahead;
}

bool virtqueue_pending(Virtqueue *vq)
{
    return available(vq) > 0;
}

static int add_buffer(Virtqueue *vq, VirtqElem *elem, const Desc *d, bool host)
{
    unsigned at = elem->out_count + elem->in_count;
    bool writable = (d->flags & DESC_WRITE) != 0;
    void *base = (void *)(uintptr_t)d->addr;

    if (!writable && elem->in_count > 0)
        return broken(vq, "a readable buffer follows a writable one");
    if (d->len == 0)
        return broken(vq, "a buffer without length");
    if (at == elem->iov_max) {
        broken(vq, "more buffers in a chain than the device takes");
        return -E2BIG;
    }
    if (host) {
        base = memory_at(vq->dev->memory, d->addr, d->len);
        if (base == NULL)
            return broken(vq, "a buffer outside of guest memory");
    }
    elem->iov[at].iov_base = base;
    elem->iov[at].iov_len = d->len;
    if (writable) {
        elem->in_count++;
        elem->in_len += d->len;
    } else {
        elem->out_count++;
        elem->out_len += d->len;
    }
    return 0;
}

static void read_desc(const uint8_t *table, unsigned index, Desc *ret)
{
    const Desc *d = (const Desc *)(table + 16 * (size_t)index);

    ret->addr = LOAD(&d->addr);
    ret->len = LOAD(&d->len);
    ret->flags = LOAD(&d->flags);
    ret->next = LOAD(&d->next);
}

static int pop(Virtqueue *vq, VirtqElem *elem, bool host)
{
    const uint8_t *table = vq->desc;
    unsigned table_size = vq->size, seen = 0;
    bool indirect = false;
    uint16_t index;
    Desc d;
    int r = available(vq);

    if (r <= 0)
        return r;
    index = LOAD((uint16_t *)(vq->avail + 4) + (vq->last_avail & (vq->size - 1)));
    elem->head = index;
    elem->out_count = elem->in_count = 0;
    elem->out_len = elem->in_len = 0;
    for (;;) {
        if (index >= table_size)
            return broken(vq, "a descriptor index beyond the table");
        /* A chain that is longer than its table loops. One in a table of its own may be longer than the queue: drivers
         * that make their queues smaller do that, whatever 2.7.5.3.1 says. */
        if (seen++ >= table_size)
            return broken(vq, "a descriptor chain that loops");
        read_desc(table, index, &d);
        if (d.flags & DESC_INDIRECT) {
            if (indirect || (d.flags & DESC_NEXT) || !virtio_has(vq->dev, VIRTIO_F_INDIRECT_DESC))
                return broken(vq, "an indirect descriptor where none may be");
            if (d.len == 0 || d.len % 16 != 0 || d.len / 16 > UINT16_MAX)
                return broken(vq, "an indirect table of a wrong length");
            table = memory_at(vq->dev->memory, d.addr, d.len);
            if (table == NULL)
                return broken(vq, "an indirect table outside of guest memory");
            if (d.addr % 8 != 0) /* the specification asks for no alignment; our loads do */
                return broken(vq, "an indirect table that is not aligned");
            table_size = d.len / 16;
            indirect = true;
            seen = 0;
            index = 0;
            continue;
        }
        r = add_buffer(vq, elem, &d, host);
        if (r < 0)
            return r;
        if (!(d.flags & DESC_NEXT))
            break;
        index = d.next;
    }
    vq->last_avail++;
    return 1;
}

int virtqueue_pop(Virtqueue *vq, VirtqElem *elem)
{
    return pop(vq, elem, true);
}

int virtqueue_pop_gpa(Virtqueue *vq, VirtqElem *elem)
{
    return pop(vq, elem, false);
}

void virtqueue_unpop(Virtqueue *vq, unsigned count)
{
    vq->last_avail = (uint16_t)(vq->last_avail - count);
}

/* --- pushing
 * -------------------------------------------------------------------------------------------------- */

void virtqueue_fill(Virtqueue *vq, uint16_t head, uint32_t written, unsigned slot)
{
    uint32_t *entry;

    if (!vq->live)
        return;
    entry = (uint32_t *)(vq->used + 4 + 8 * (size_t)((uint16_t)(vq->used_next + slot) & (vq->size - 1)));
    STORE(&entry[0], head);
    STORE(&entry[1], written);
}

void virtqueue_publish(Virtqueue *vq, unsigned count)
{
    if (!vq->live || count == 0)
        return;
    vq->used_next = (uint16_t)(vq->used_next + count);
    __atomic_store_n(used_idx(vq), vq->used_next, __ATOMIC_RELEASE);
}

void virtqueue_push_head(Virtqueue *vq, uint16_t head, uint32_t written)
{
    virtqueue_fill(vq, head, written, 0);
    virtqueue_publish(vq, 1);
}

void virtqueue_push(Virtqueue *vq, const VirtqElem *elem, uint32_t written)
{
    virtqueue_push_head(vq, elem->head, written);
}

void virtqueue_notify(Virtqueue *vq)
{
    uint16_t now = vq->used_next, old = vq->signalled;
    bool wanted;

    if (!vq->live || (vq->signalled_valid && old == now))
        return;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (vq->event_idx) {
        uint16_t event = LOAD(used_event(vq));

        /* 2.7.10: used_event lies in [old, now) */
        wanted = !vq->signalled_valid || (uint16_t)(now - event - 1) < (uint16_t)(now - old);
    } else {
        wanted = !(LOAD((uint16_t *)vq->avail) & AVAIL_NO_INTERRUPT);
    }
    vq->signalled = now;
    vq->signalled_valid = true;
    if (wanted && vq->dev->transport_ops != NULL)
        vq->dev->transport_ops->queue_interrupt(vq->dev->transport, vq->index);
}

void virtqueue_disable_notify(Virtqueue *vq)
{
    /* With EVENT_IDX the event index simply stays behind: no kick comes until it is moved. */
    if (vq->live && !vq->event_idx)
        STORE((uint16_t *)vq->used, (uint16_t)USED_NO_NOTIFY);
}

bool virtqueue_enable_notify(Virtqueue *vq)
{
    if (!vq->live)
        return false;
    if (vq->event_idx)
        STORE(avail_event(vq), vq->last_avail);
    else
        STORE((uint16_t *)vq->used, (uint16_t)0);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return available(vq) > 0;
}

/* --- looking
 * -------------------------------------------------------------------------------------------------- */

unsigned virtqueue_index(const Virtqueue *vq)
{
    return vq->index;
}

unsigned virtqueue_size(const Virtqueue *vq)
{
    return vq->live ? vq->size : vq->setup.size;
}

bool virtqueue_ready(const Virtqueue *vq)
{
    return vq->live;
}

VirtioDevice *virtqueue_device(const Virtqueue *vq)
{
    return vq->dev;
}

void *virtqueue_opaque(const Virtqueue *vq)
{
    return vq->opaque;
}

void virtqueue_set_opaque(Virtqueue *vq, void *opaque)
{
    vq->opaque = opaque;
}

const VirtqueueSetup *virtqueue_setup(const Virtqueue *vq)
{
    return &vq->setup;
}

uint16_t virtqueue_last_avail(const Virtqueue *vq)
{
    return vq->last_avail;
}

void virtqueue_set_last_avail(Virtqueue *vq, uint16_t index)
{
    vq->last_avail = index;
}

int virtqueue_resync_used(Virtqueue *vq)
{
    if (!vq->live)
        return -EINVAL;
    vq->used_next = LOAD(used_idx(vq));
    vq->signalled_valid = false;
    return 0;
}

void *virtqueue_desc_host(const Virtqueue *vq)
{
    return vq->desc;
}

void *virtqueue_avail_host(const Virtqueue *vq)
{
    return vq->avail;
}

void *virtqueue_used_host(const Virtqueue *vq)
{
    return vq->used;
}

size_t virtqueue_struct_size(void)
{
    return sizeof(Virtqueue);
}
