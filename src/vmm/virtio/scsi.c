/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SCSI host device (virtio 1.2, 5.6): queues, addressing, task management, events. What commands mean is the
 * units' affair (scsi_unit.h).
 *
 * Queues: 0 control, 1 events, 2 and up requests. A request's chain is: header with CDB, data to the device;
 * response with sense, data to the driver (5.6.6.1); how the driver cuts it into buffers is its affair.
 * Header and CDB are copied once. A chain too short for header or response breaks the device; a command that
 * cannot be is answered.
 *
 * Task management (5.6.6.2) cannot call back what the host has begun: it is answered when the commands it
 * ends have ended.
 *
 * Properties: num_queues, virtqueue_size, max_sectors, cmd_per_lun, iothread. Children: scsi-hd, scsi-cd
 * (scsi_unit.c).
 *
 * All on dev->loop; children are made on the main thread and handed over.
 */
#include "vmm/virtio/scsi.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/notify_batch.h"
#include "vmm/virtio/scsi_unit.h"
#include "vmm/virtio/virtqueue.h"

enum { F_HOTPLUG = 1, F_CHANGE = 2 };
enum { Q_CONTROL, Q_EVENT, Q_REQUEST };
enum {
    S_OK,
    S_OVERRUN,
    S_ABORTED,
    S_BAD_TARGET,
    S_RESET,
    S_FAILURE = 9,
    S_SUCCEEDED,
    S_REJECTED,
    S_INCORRECT_LUN
};
enum { EVENT_NONE, EVENT_TRANSPORT_RESET, EVENT_PARAM_CHANGE = 3 };
enum { REASON_RESCAN = 1, REASON_REMOVED = 2 };
#define EVENTS_MISSED 0x80000000u

#define HEADER_LEN 19
#define RESPONSE_LEN 12
#define CDB_LEN 32
#define SENSE_MAX 252
#define UNITS_MAX 256
#define QUEUES_MAX 64
#define COMMANDS_KEPT 64

/* 5.6.4 */
typedef struct ScsiConfig {
    uint32_t num_queues, seg_max, max_sectors, cmd_per_lun, event_info_size, sense_size, cdb_size;
    uint16_t max_channel, max_target;
    uint32_t max_lun;
} ScsiConfig;

typedef struct Scsi Scsi;

typedef struct Task {
    Scsi *scsi;
    uint16_t head;
    uint8_t *answer; /* in guest memory, written once */
    unsigned waiting; /* commands that must end first */
} Task;

typedef struct Command {
    ScsiRequest request;
    Scsi *scsi;
    Virtqueue *vq;
    VirtqElem elem;
    uint64_t tag;
    uint32_t sense_size;
    uint8_t result; /* S_… when the unit was not asked or the command was aborted */
    Task *task;
    struct iovec response[8]; /* where the response goes */
    unsigned response_count;
    struct Command *next, **link; /* active, or free */
    struct iovec iov[];
} Command;

struct Scsi {
    VirtioDevice dev;
    ScsiUnit *units;
    unsigned iov_max;
    uint32_t sense_size, cdb_size; /* as the driver set them */
    Command *active, *free_list;
    unsigned free_count;
    bool idle, events_missed;
    NotifyBatch notify;
};

/* --- commands' memory --- */

static Command *command_new(Scsi *s, Virtqueue *vq)
{
    Command *c = s->free_list;

    if (c != NULL) {
        s->free_list = c->next;
        s->free_count--;
    } else {
        c = malloc(sizeof *c + s->iov_max * sizeof c->iov[0]);
        if (c == NULL)
            return NULL;
    }
    memset(c, 0, sizeof *c);
    c->scsi = s;
    c->vq = vq;
    c->elem.iov = c->iov;
    c->elem.iov_max = s->iov_max;
    return c;
}

static void command_free(Command *c)
{
    Scsi *s = c->scsi;

    if (s->free_count >= COMMANDS_KEPT) {
        free(c);
        return;
    }
    c->next = s->free_list;
    s->free_list = c;
    s->free_count++;
}

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

static void send_event(Scsi *s, const ScsiUnit *unit, uint32_t event, uint32_t reason)
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
                   (uint32_t)chain_from_buffer(virtq_elem_in(&elem), elem.in_count, 0, bytes, sizeof bytes));
    notify_batch_add(&s->notify, Q_EVENT);
}

static void unit_resized(ScsiUnit *unit, void *opaque)
{
    Scsi *s = opaque;

    if (virtio_has(&s->dev, F_CHANGE))
        send_event(s, unit, EVENT_PARAM_CHANGE,
                   sense_capacity_changed.asc | (uint32_t)sense_capacity_changed.ascq << 8);
}

/* --- commands --- */

static void task_done(Task *t, uint8_t answer)
{
    Scsi *s = t->scsi;

    *t->answer = answer;
    virtqueue_push_head(virtio_queue(&s->dev, Q_CONTROL), t->head, 1);
    notify_batch_add(&s->notify, Q_CONTROL);
    free(t);
}

static void finish(Command *c)
{
    ScsiRequest *r = &c->request;
    Scsi *s = c->scsi;
    uint8_t bytes[RESPONSE_LEN + SCSI_SENSE_LEN] = {0};
    bool sense = r->status == SCSI_CHECK_CONDITION && c->result == S_OK;
    uint64_t want = r->in_len ? r->in_len : r->out_len;
    uint32_t wire = htole32(sense ? SCSI_SENSE_LEN : 0);

    memcpy(bytes, &wire, 4);
    wire = htole32((uint32_t)MIN(want - MIN(want, r->moved), UINT32_MAX));
    memcpy(bytes + 4, &wire, 4);
    bytes[10] = r->status;
    bytes[11] = c->result;
    if (sense) {
        bytes[12] = 0x70;
        bytes[14] = r->sense.key;
        bytes[19] = 10;
        bytes[24] = r->sense.asc;
        bytes[25] = r->sense.ascq;
    }
    (void)chain_from_buffer(c->response, c->response_count, 0, bytes, sizeof bytes);
    virtqueue_push(c->vq, &c->elem,
                   (uint32_t)MIN(RESPONSE_LEN + c->sense_size + (r->in_len ? r->moved : 0), UINT32_MAX));
    notify_batch_add(&s->notify, virtqueue_index(c->vq));
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    if (c->task != NULL && --c->task->waiting == 0)
        task_done(c->task, 0);
    command_free(c);
}

static void unit_done(ScsiRequest *r)
{
    Command *c = container_of(r, Command, request);

    if (r->overrun && c->result == S_OK)
        c->result = S_OVERRUN;
    finish(c);
}

static void refuse(Command *c, uint8_t result)
{
    c->result = result;
    finish(c);
}

/* Target and unit of an address (5.6.6.1); -1: not of that form. */
static int parse_lun(const uint8_t lun[8], unsigned *ret_target, unsigned *ret_lun)
{
    if (lun[0] != 1 || (lun[2] != 0 && (lun[2] & 0xc0) != 0x40) || get_be32(lun + 4) != 0)
        return -1;
    *ret_target = lun[1];
    *ret_lun = get_be16(lun + 2) & 0x3fff;
    return 0;
}

/* The unit, or NULL and whether its target has others. */
static ScsiUnit *find_unit(const Scsi *s, unsigned target, unsigned lun, bool *ret_target)
{
    *ret_target = false;
    for (ScsiUnit *u = s->units; u != NULL; u = u->next_unit) {
        if (u->target != target)
            continue;
        *ret_target = true;
        if (u->lun == lun)
            return u;
    }
    return NULL;
}

static void target_reply(Command *c, const uint8_t *data, uint64_t len, uint64_t allocation)
{
    c->request.moved = chain_from_buffer(c->request.in, c->request.in_count, 0, data, MIN(len, allocation));
    finish(c);
}

/* SPC-4, 6.33 */
static void report_luns(Command *c, unsigned target)
{
    uint8_t d[8 + 8 * UNITS_MAX] = {0};
    unsigned n = 8;

    for (ScsiUnit *u = c->scsi->units; u != NULL && n < sizeof d; u = u->next_unit) {
        if (u->target != target)
            continue;
        d[n] = u->lun < 256 ? 0 : (uint8_t)(0x40 | u->lun >> 8);
        d[n + 1] = (uint8_t)u->lun;
        n += 8;
    }
    put_be32(d, n - 8);
    target_reply(c, d, n, get_be32(c->request.cdb + 6));
}

/* A unit that is not there, of a target that is (SAM-5, 4.6.4). */
static void no_unit(Command *c)
{
    uint8_t d[36] = {0x7f, 0, 5, 2, 31};

    if (c->request.cdb[0] == 0x12 && !(c->request.cdb[1] & 1)) {
        target_reply(c, d, sizeof d, get_be16(c->request.cdb + 3));
        return;
    }
    c->request.status = SCSI_CHECK_CONDITION;
    c->request.sense = sense_no_lun;
    finish(c);
}

/* Drops n bytes from the front of a list. */
static void drop_front(struct iovec **iov, unsigned *count, uint64_t n)
{
    while (n > 0 && *count > 0) {
        size_t part = MIN(n, (*iov)->iov_len);

        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + part;
        (*iov)->iov_len -= part;
        n -= part;
        if ((*iov)->iov_len == 0) {
            (*iov)++;
            (*count)--;
        }
    }
}

/* Takes the chain over; -EINVAL: it was none. */
static int handle(Command *c)
{
    Scsi *s = c->scsi;
    ScsiRequest *r = &c->request;
    uint8_t header[HEADER_LEN];
    uint64_t out_head = HEADER_LEN + s->cdb_size, in_head = RESPONSE_LEN + s->sense_size;
    unsigned target, lun;
    ScsiUnit *unit;
    bool has_target;
    int n;

    if (c->elem.out_len < out_head || c->elem.in_len < in_head) {
        virtio_device_fail(&s->dev, "a request without room for header or response");
        return -EINVAL;
    }
    (void)chain_to_buffer(c->elem.iov, c->elem.out_count, 0, header, sizeof header);
    (void)chain_to_buffer(c->elem.iov, c->elem.out_count, HEADER_LEN, r->cdb,
                          MIN(s->cdb_size, sizeof r->cdb));
    r->in = virtq_elem_in(&c->elem);
    n = chain_slice(r->in, c->elem.in_count, 0, in_head, c->response, ARRAY_LEN(c->response));
    if (n < 0) {
        virtio_device_fail(&s->dev, "a response in more than %zu buffers", ARRAY_LEN(c->response));
        return -EINVAL;
    }
    c->response_count = (unsigned)n;
    c->sense_size = s->sense_size;
    memcpy(&c->tag, header + 8, 8);
    r->in_count = c->elem.in_count;
    r->in_len = c->elem.in_len - in_head;
    drop_front(&r->in, &r->in_count, in_head);
    r->out = c->elem.iov;
    r->out_count = c->elem.out_count;
    r->out_len = c->elem.out_len - out_head;
    drop_front(&r->out, &r->out_count, out_head);
    r->done = unit_done;
    c->next = s->active;
    c->link = &s->active;
    if (s->active != NULL)
        s->active->link = &c->next;
    s->active = c;

    if (parse_lun(header, &target, &lun) < 0) {
        refuse(c, S_BAD_TARGET);
        return 0;
    }
    unit = find_unit(s, target, lun, &has_target);
    if (!has_target)
        refuse(c, S_BAD_TARGET);
    else if (r->in_len > 0 && r->out_len > 0) /* VIRTIO_SCSI_F_INOUT is not offered */
        refuse(c, S_FAILURE);
    else if (r->cdb[0] == 0xa0)
        report_luns(c, target);
    else if (unit == NULL)
        no_unit(c);
    else
        scsi_unit_execute(unit, r);
    return 0;
}

static void flush_blocks(Scsi *s)
{
    for (ScsiUnit *u = s->units; u != NULL; u = u->next_unit) {
        if (u->block != NULL && u->requests > 0)
            block_flush_queue(u->block);
    }
}

static void handle_requests(Scsi *s, Virtqueue *vq)
{
    bool good = true;

    do {
        virtqueue_disable_notify(vq);
        while (good) {
            Command *c = command_new(s, vq);

            if (c == NULL) {
                good = false;
            } else if (virtqueue_pop(vq, &c->elem) <= 0) {
                command_free(c);
                break;
            } else if (handle(c) < 0) {
                command_free(c);
                good = false;
            }
        }
    } while (good && virtqueue_enable_notify(vq));
    flush_blocks(s);
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
        task_done(t, 0);
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
    if (parse_lun(bytes + 8, &target, &lun) == 0)
        unit = find_unit(s, target, lun, &has_target);
    if (!has_target) {
        task_done(t, S_BAD_TARGET);
        return;
    }
    if (unit == NULL && subtype != NEXUS_RESET) {
        task_done(t, S_INCORRECT_LUN);
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
        task_done(t, found ? S_SUCCEEDED : 0);
        break;
    default: /* CLEAR_ACA: there never is one */
        task_done(t, S_REJECTED);
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

    len = chain_to_buffer(elem->iov, elem->out_count, 0, bytes, sizeof bytes);
    memcpy(&type, bytes, 4);
    type = len >= 4 ? le32toh(type) : UINT32_MAX;
    if (type == 1 || type == 2) { /* asynchronous notifications: none; event_actual 0, answer OK */
        uint8_t answer[5] = {0};

        if (len < 16 || elem->in_len < sizeof answer)
            goto wrong;
        virtqueue_push(vq, elem, (uint32_t)chain_from_buffer(in, elem->in_count, 0, answer, sizeof answer));
        notify_batch_add(&s->notify, Q_CONTROL);
        return true;
    }
    if (type != 0 || len < sizeof bytes || chain_slice(in, elem->in_count, 0, 1, &last, 1) != 1)
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

static void handle_control(Scsi *s, Virtqueue *vq)
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

static void scsi_kick(VirtioDevice *dev, Virtqueue *vq)
{
    Scsi *s = (Scsi *)dev;

    if (s->idle)
        return;
    if (virtqueue_index(vq) >= Q_REQUEST)
        handle_requests(s, vq);
    else if (virtqueue_index(vq) == Q_CONTROL)
        handle_control(s, vq);
    else if (s->events_missed)
        send_event(s, NULL, EVENT_NONE, 0);
}

/* --- life --- */

static void scsi_config_write(VirtioDevice *dev, unsigned offset, const void *data, unsigned len)
{
    Scsi *s = (Scsi *)dev;
    ScsiConfig c;
    uint32_t sense, cdb;

    virtio_config_get(dev, 0, &c, sizeof c);
    if (!range_inside(offset, len, sizeof c))
        return;
    memcpy((uint8_t *)&c + offset, data, len);
    sense = le32toh(c.sense_size);
    cdb = le32toh(c.cdb_size);
    /* The driver's two fields (5.6.4); others and impossible values change nothing. */
    if (sense >= SCSI_SENSE_LEN && sense <= SENSE_MAX) {
        s->sense_size = sense;
        virtio_config_set(dev, offsetof(ScsiConfig, sense_size), &c.sense_size, 4);
    }
    if (cdb >= 16 && cdb <= 255) {
        s->cdb_size = cdb;
        virtio_config_set(dev, offsetof(ScsiConfig, cdb_size), &c.cdb_size, 4);
    }
}

static void set_defaults(Scsi *s)
{
    uint32_t sense = htole32(96), cdb = htole32(CDB_LEN);

    s->sense_size = 96;
    s->cdb_size = CDB_LEN;
    virtio_config_set(&s->dev, offsetof(ScsiConfig, sense_size), &sense, 4);
    virtio_config_set(&s->dev, offsetof(ScsiConfig, cdb_size), &cdb, 4);
}

static int scsi_activate(VirtioDevice *dev)
{
    Scsi *s = (Scsi *)dev;

    s->idle = s->events_missed = false;
    return 0;
}

static void drain(Scsi *s)
{
    for (ScsiUnit *u = s->units; u != NULL; u = u->next_unit)
        scsi_unit_drain(u);
}

static void scsi_deactivate(VirtioDevice *dev)
{
    Scsi *s = (Scsi *)dev;

    s->idle = true;
    drain(s);
    for (ScsiUnit *u = s->units; u != NULL; u = u->next_unit) {
        scsi_unit_abort_stopped(u);
        u->locked = false;
        scsi_unit_set_attention(u, sense_power_on);
    }
    notify_batch_forget(&s->notify);
    set_defaults(s);
}

static void scsi_set_running(VirtioDevice *dev, bool running)
{
    Scsi *s = (Scsi *)dev;

    s->idle = !running;
    if (!running) {
        drain(s);
        notify_batch_send(&s->notify);
        return;
    }
    for (ScsiUnit *u = s->units; u != NULL; u = u->next_unit)
        scsi_unit_retry(u);
    for (unsigned i = 0; i < dev->queue_count; i++)
        scsi_kick(dev, virtio_queue(dev, i));
}

static void scsi_free(VirtioDevice *dev)
{
    Scsi *s = (Scsi *)dev;

    while (s->units != NULL) {
        ScsiUnit *u = s->units;

        s->units = u->next_unit;
        scsi_unit_free(u);
    }
    while (s->free_list != NULL) {
        Command *c = s->free_list;

        s->free_list = c->next;
        free(c);
    }
}

static const VirtioDeviceOps scsi_ops = {
    .name = "virtio-scsi",
    .type = VIRTIO_TYPE_SCSI,
    .pci_class = 0x010000,
    .state_size = sizeof(Scsi),
    .activate = scsi_activate,
    .deactivate = scsi_deactivate,
    .kick = scsi_kick,
    .config_write = scsi_config_write,
    .set_running = scsi_set_running,
    .free = scsi_free,
};

int scsi_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err)
{
    uint16_t sizes[QUEUES_MAX + Q_REQUEST];
    uint64_t queues, size, sectors, per_lun;
    const char *iothread;
    Loop *loop = host->main_loop;
    ScsiConfig config;
    VirtioDevice *dev;
    Scsi *s;
    int r;

    if ((r = props_uint(props, "num_queues", 1, QUEUES_MAX, 1, &queues, err)) < 0 ||
        (r = props_uint(props, "virtqueue_size", 16, VIRTQUEUE_SIZE_MAX, 256, &size, err)) < 0 ||
        (r = props_uint(props, "max_sectors", 1, UINT32_MAX, 0xffff, &sectors, err)) < 0 ||
        (r = props_uint(props, "cmd_per_lun", 1, UINT32_MAX, 128, &per_lun, err)) < 0 ||
        (r = props_string(props, "iothread", NULL, &iothread, err)) < 0)
        return r;
    if ((size & (size - 1)) != 0)
        return err_set(err, EINVAL, "virtio-scsi %s: virtqueue_size must be a power of two", props_id(props));
    if (iothread != NULL && (loop = host->iothread(host, iothread)) == NULL)
        return err_set(err, ENOENT, "virtio-scsi %s: iothread '%s' does not exist", props_id(props),
                       iothread);
    for (unsigned i = 0; i < queues + Q_REQUEST; i++)
        sizes[i] = (uint16_t)size;
    r = virtio_device_new(&scsi_ops, props_id(props), host, loop, sizes, (unsigned)queues + Q_REQUEST, &dev,
                          err);
    if (r < 0)
        return r;
    s = (Scsi *)dev;
    s->iov_max = (unsigned)size + 2;
    s->idle = true;
    notify_batch_init(&s->notify, loop, dev);
    config = (ScsiConfig){.num_queues = htole32((uint32_t)queues),
                          .seg_max = htole32((uint32_t)size - 2),
                          .max_sectors = htole32((uint32_t)sectors),
                          .cmd_per_lun = htole32((uint32_t)MIN(per_lun, size - 2)),
                          .event_info_size = htole32(16),
                          .max_target = htole16(255),
                          .max_lun = htole32(16383)};
    virtio_config_set(dev, 0, &config, sizeof config);
    set_defaults(s);
    dev->offered = VIRTIO_BIT(F_HOTPLUG) | VIRTIO_BIT(F_CHANGE);
    *ret = dev;
    return 0;
}

/* --- children: called on the main thread --- */

typedef struct Change {
    Scsi *s;
    ScsiUnit *unit;
    const char *id;
    ScsiMediumAction action;
    bool force;
    Block *block;
    Err *err;
    int result;
} Change;

static bool target_taken(const Scsi *s, unsigned target)
{
    bool taken;

    (void)find_unit(s, target, UINT32_MAX, &taken);
    return taken;
}

static void do_add(void *opaque)
{
    Change *c = opaque;
    Scsi *s = c->s;
    ScsiUnit **end = &s->units;
    unsigned count = 0;
    bool has_target;

    if (c->unit->target == UINT32_MAX) {
        for (c->unit->target = 0; c->unit->target < 255 && target_taken(s, c->unit->target);)
            c->unit->target++;
    }
    if (find_unit(s, c->unit->target, c->unit->lun, &has_target) != NULL) {
        c->result =
            err_set(c->err, EEXIST, "%s: lun already used by another device of the target", c->unit->id);
        return;
    }
    for (; *end != NULL; end = &(*end)->next_unit, count++) {
        if (strcmp((*end)->id, c->unit->id) == 0) {
            c->result = err_set(c->err, EEXIST, "Duplicate device ID '%s'", c->unit->id);
            return;
        }
    }
    if (count >= UNITS_MAX) {
        c->result = err_set(c->err, ENOSPC, "%s: more than %d units", s->dev.id, UNITS_MAX);
        return;
    }
    *end = c->unit;
    c->unit->resized = unit_resized;
    c->unit->resized_opaque = s;
    if (virtio_has(&s->dev, F_HOTPLUG))
        send_event(s, c->unit, EVENT_TRANSPORT_RESET, REASON_RESCAN);
}

int scsi_add_child(VirtioDevice *dev, Props *props, Err *err)
{
    Change c = {.s = (Scsi *)dev, .err = err};
    const char *driver;
    int r = props_string(props, "driver", "", &driver, err);

    if (r < 0)
        return r;
    if (strcmp(driver, "scsi-hd") != 0 && strcmp(driver, "scsi-cd") != 0)
        return err_set(err, ENOTSUP, "'%s' is not a valid device model name", driver);
    r = scsi_unit_new(props, strcmp(driver, "scsi-cd") == 0, dev->host, dev->loop, &c.unit, err);
    if (r < 0)
        return r;
    loop_call(dev->loop, do_add, &c);
    if (c.result < 0)
        scsi_unit_free(c.unit);
    return c.result;
}

static ScsiUnit **find_id(Scsi *s, const char *id)
{
    ScsiUnit **at = &s->units;

    while (*at != NULL && strcmp((*at)->id, id) != 0)
        at = &(*at)->next_unit;
    return at;
}

static void do_remove(void *opaque)
{
    Change *c = opaque;
    ScsiUnit **at = find_id(c->s, c->id);

    c->unit = *at;
    if (c->unit == NULL)
        return;
    /* Out first: a guest that goes on and on would else never let it come to rest. */
    *at = c->unit->next_unit;
    scsi_unit_drain(c->unit);
    scsi_unit_abort_stopped(c->unit);
    if (virtio_has(&c->s->dev, F_HOTPLUG))
        send_event(c->s, c->unit, EVENT_TRANSPORT_RESET, REASON_REMOVED);
}

int scsi_remove_child(VirtioDevice *dev, const char *child_id, Err *err)
{
    Change c = {.s = (Scsi *)dev, .id = child_id};

    loop_call(dev->loop, do_remove, &c);
    if (c.unit == NULL)
        return err_set(err, ENODEV, "Device '%s' not found", child_id);
    scsi_unit_free(c.unit);
    return 0;
}

static void do_medium(void *opaque)
{
    Change *c = opaque;
    ScsiUnit *u = *find_id(c->s, c->id);

    c->result = 0;
    if (u == NULL) {
        c->result = -ENOENT;
    } else if (!u->removable) {
        c->result = err_set(c->err, ENOTSUP, "Device '%s' is not removable", c->id);
    } else if (c->action == SCSI_TRAY_OPEN) {
        c->result = scsi_cd_open_tray(u, c->force, c->err);
    } else if (c->action == SCSI_TRAY_CLOSE) {
        scsi_cd_move_tray(u, false);
    } else if (!u->tray_open) {
        c->result = err_set(c->err, EBUSY, "Tray of device '%s' is not open", c->id);
    } else if (c->action == SCSI_MEDIUM_REMOVE) {
        c->block = scsi_cd_take_medium(u);
    } else if (u->block != NULL) {
        c->result = err_set(c->err, EBUSY, "There already is a medium in device '%s'", c->id);
    } else if (c->block != NULL) {
        scsi_cd_put_medium(u, c->block);
    }
}

int scsi_medium(VirtioDevice *dev, const char *id, ScsiMediumAction action, bool force, const char *node,
                Err *err)
{
    Change c = {.s = (Scsi *)dev, .id = id, .action = action, .force = force, .err = err};

    loop_call(dev->loop, do_medium, &c); /* an insertion only looks whether it may be */
    if (c.result < 0)
        return c.result;
    if (action == SCSI_MEDIUM_INSERT) {
        c.block = dev->host->block(dev->host, node);
        if (c.block == NULL)
            return err_set(err, ENOENT, "Node '%s' not found", node);
        c.result = block_attach_loop(c.block, dev->loop, err);
        if (c.result == 0)
            loop_call(dev->loop, do_medium, &c);
        else
            block_release(c.block);
    } else if (c.block != NULL) {
        (void)block_attach_loop(c.block, dev->host->main_loop, NULL);
        block_release(c.block);
    }
    return c.result;
}

typedef struct Look {
    Scsi *s;
    unsigned index;
    ScsiDrive *ret;
    bool found;
} Look;

static void do_look(void *opaque)
{
    Look *l = opaque;
    ScsiUnit *u = l->s->units;

    for (unsigned i = 0; u != NULL && i < l->index; i++)
        u = u->next_unit;
    l->found = u != NULL;
    if (u != NULL) {
        *l->ret = (ScsiDrive){.removable = u->removable, .locked = u->locked, .tray_open = u->tray_open};
        memcpy(l->ret->id, u->id, sizeof u->id);
    }
}

bool scsi_drive_at(VirtioDevice *dev, unsigned index, ScsiDrive *ret)
{
    Look l = {.s = (Scsi *)dev, .index = index, .ret = ret};

    loop_call(dev->loop, do_look, &l);
    return l.found;
}
