/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Control and event queues of the SCSI host device (virtio 1.2, 5.6.6.2 and 5.6.6.3). Task management cannot call back
 * what the host has begun: it is answered when the commands it ends have ended.
 */
#include "vmm/virtio/scsi_priv.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MISSED 0x80000000u

/* --- events (5.6.6.3) --- */

static void put_lun(uint8_t *lun, const ScsiUnit *unit)
{
    memset(lun, 0, 8);
    if (unit == NULL)
        return;
    lun[0] = 1;
    lun[1] = (uint8_t)unit->target;
    lun[2] = (uint8_t)(0x40 | unit->lun >> 8);
    lun[3] = (uint8_t)unit->lun;
}

void scsi_send_event(Scsi *s, const ScsiUnit *unit, uint32_t event, uint32_t reason)
{
    Virtqueue *vq = virtio_queue(&s->dev, Q_EVENT);
    struct iovec iov[8];
    VirtqElem elem = {.iov = iov, .iov_max = ARRAY_LEN(iov)};
    uint8_t bytes[16];
    uint32_t wire;

    if (!s->dev.active)
        return;
    if (s->idle || virtqueue_pop(vq, &elem) <= 0) {
        s->events_missed = true;
        return;
    }
    if (elem.in_len < sizeof bytes) {
        virtio_device_fail(&s->dev, "a buffer for events is too short");
        return;
    }
    if (s->events_missed)
        event |= EVENTS_MISSED;
    s->events_missed = false;
    wire = htole32(event);
    memcpy(bytes, &wire, 4);
    put_lun(bytes + 4, unit);
    wire = htole32(reason);
    memcpy(bytes + 12, &wire, 4);
    virtqueue_push(vq, &elem,
                   (uint32_t)iov_from_buffer(virtq_elem_in(&elem), elem.in_count, 0, bytes, sizeof bytes));
    notify_batch_add(&s->notify, Q_EVENT);
}

/* --- control queue (5.6.6.2) --- */

enum {
    ABORT_TASK,
    ABORT_TASK_SET,
    CLEAR_ACA,
    CLEAR_TASK_SET,
    NEXUS_RESET,
    UNIT_RESET,
    QUERY_TASK,
    QUERY_TASK_SET
};

void scsi_task_done(Task *t, uint8_t answer)
{
    Scsi *s = t->scsi;

    *t->answer = answer;
    virtqueue_push_head(virtio_queue(&s->dev, Q_CONTROL), t->head, 1);
    notify_batch_add(&s->notify, Q_CONTROL);
    free(t);
}

static bool concerns(const Command *c, unsigned subtype, unsigned target, const ScsiUnit *unit, uint64_t tag)
{
    const ScsiUnit *of = c->request.unit;

    if (of == NULL || c->task != NULL)
        return false;
    if (subtype == NEXUS_RESET)
        return of->target == target;
    return of == unit && ((subtype != ABORT_TASK && subtype != QUERY_TASK) || c->tag == tag);
}

static void end_commands(Scsi *s, Task *t, unsigned subtype, unsigned target, ScsiUnit *unit, uint64_t tag)
{
    bool reset = subtype == UNIT_RESET || subtype == NEXUS_RESET;

    t->waiting = 1; /* ours, until all are counted */
    for (Command *c = s->active; c != NULL; c = c->next) {
        if (concerns(c, subtype, target, unit, tag)) {
            c->task = t;
            c->result = reset ? S_RESET : S_ABORTED;
            t->waiting++;
        }
    }
    for (ScsiUnit *u = s->units; u != NULL; u = u->next_unit) {
        if (u != unit && !(subtype == NEXUS_RESET && u->target == target))
            continue;
        scsi_unit_abort_stopped(u);
        if (reset)
            scsi_unit_set_attention(u, sense_reset);
    }
    if (--t->waiting == 0)
        scsi_task_done(t, 0);
}

static void manage_task(Scsi *s, Task *t, const uint8_t *bytes)
{
    uint32_t subtype;
    uint64_t tag;
    unsigned target, lun, found = 0;
    bool has_target = false;
    ScsiUnit *unit = NULL;

    memcpy(&subtype, bytes + 4, 4);
    memcpy(&tag, bytes + 16, 8);
    subtype = le32toh(subtype);
    if (scsi_parse_lun(bytes + 8, &target, &lun) == 0)
        unit = scsi_find_unit(s, target, lun, &has_target);
    if (!has_target) {
        scsi_task_done(t, S_BAD_TARGET);
        return;
    }
    if (unit == NULL && subtype != NEXUS_RESET) {
        scsi_task_done(t, S_INCORRECT_LUN);
        return;
    }
    switch (subtype) {
    case ABORT_TASK:
    case ABORT_TASK_SET:
    case CLEAR_TASK_SET:
    case NEXUS_RESET:
    case UNIT_RESET:
        end_commands(s, t, subtype, target, unit, tag);
        break;
    case QUERY_TASK:
    case QUERY_TASK_SET:
        for (Command *c = s->active; c != NULL; c = c->next)
            found += concerns(c, subtype, target, unit, tag);
        scsi_task_done(t, found ? S_SUCCEEDED : 0);
        break;
    default: /* CLEAR_ACA: there never is one */
        scsi_task_done(t, S_REJECTED);
        break;
    }
}

static bool control(Scsi *s, Virtqueue *vq, const VirtqElem *elem)
{
    const struct iovec *in = virtq_elem_in(elem);
    uint64_t len;
    uint8_t bytes[24];
    uint32_t type;
    struct iovec last;
    Task *t;

    len = iov_to_buffer(elem->iov, elem->out_count, 0, bytes, sizeof bytes);
    memcpy(&type, bytes, 4);
    type = len >= 4 ? le32toh(type) : UINT32_MAX;
    if (type == 1 || type == 2) { /* asynchronous notifications: none; event_actual 0, answer OK */
        uint8_t answer[5] = {0};

        if (len < 16 || elem->in_len < sizeof answer)
            goto wrong;
        virtqueue_push(vq, elem, (uint32_t)iov_from_buffer(in, elem->in_count, 0, answer, sizeof answer));
        notify_batch_add(&s->notify, Q_CONTROL);
        return true;
    }
    if (type != 0 || len < sizeof bytes || iov_slice(in, elem->in_count, 0, 1, &last, 1) != 1)
        goto wrong;
    t = calloc(1, sizeof *t);
    if (t == NULL)
        return false;
    t->scsi = s;
    t->head = elem->head;
    t->answer = last.iov_base;
    manage_task(s, t, bytes);
    return true;
wrong:
    virtio_device_fail(&s->dev, "a control request that is none");
    return false;
}

void scsi_handle_control(Scsi *s, Virtqueue *vq)
{
    struct iovec iov[16];
    VirtqElem elem = {.iov = iov, .iov_max = ARRAY_LEN(iov)};
    bool good = true;

    do {
        virtqueue_disable_notify(vq);
        while (good && virtqueue_pop(vq, &elem) > 0)
            good = control(s, vq, &elem);
    } while (good && virtqueue_enable_notify(vq));
}
