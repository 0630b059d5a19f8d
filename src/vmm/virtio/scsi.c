/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SCSI host device (virtio 1.2, 5.6): the device, addressing, request queues. What commands mean is the units' affair
 * (scsi_unit.h); scsi_priv.h names the other parts.
 *
 * Queues: 0 control, 1 events, 2 and up requests. A request's chain is: header with CDB, data to the device;
 * response with sense, data to the driver (5.6.6.1); how the driver cuts it into buffers is its affair.
 * Header and CDB are copied once. A chain too short for header or response breaks the device; a command that
 * cannot be is answered.
 *
 * Properties: num_queues, virtqueue_size, max_sectors, cmd_per_lun, iothread. Children: scsi-hd, scsi-cd
 * (scsi_unit.c).
 *
 * All on dev->loop; children are made on the main thread and handed over.
 */
#include "vmm/virtio/scsi_priv.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_LEN 19
#define RESPONSE_LEN 12
#define CDB_LEN 32
#define SENSE_MAX 252
#define QUEUES_MAX 64
#define COMMANDS_KEPT 64

/* 5.6.4 */
typedef struct ScsiConfig {
    uint32_t num_queues, seg_max, max_sectors, cmd_per_lun, event_info_size, sense_size, cdb_size;
    uint16_t max_channel, max_target;
    uint32_t max_lun;
} ScsiConfig;

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

/* --- commands --- */

int scsi_parse_lun(const uint8_t lun[8], unsigned *ret_target, unsigned *ret_lun)
{
    if (lun[0] != 1 || (lun[2] != 0 && (lun[2] & 0xc0) != 0x40) || get_be32(lun + 4) != 0)
        return -1;
    *ret_target = lun[1];
    *ret_lun = get_be16(lun + 2) & 0x3fff;
    return 0;
}

ScsiUnit *scsi_find_unit(const Scsi *s, unsigned target, unsigned lun, bool *ret_target)
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
    (void)iov_from_buffer(c->response, c->response_count, 0, bytes, sizeof bytes);
    virtqueue_push(c->vq, &c->elem,
                   (uint32_t)MIN(RESPONSE_LEN + c->sense_size + (r->in_len ? r->moved : 0), UINT32_MAX));
    notify_batch_add(&s->notify, virtqueue_index(c->vq));
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    if (c->task != NULL && --c->task->waiting == 0)
        scsi_task_done(c->task, 0);
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

static void target_reply(Command *c, const uint8_t *data, uint64_t len, uint64_t allocation)
{
    c->request.moved = iov_from_buffer(c->request.in, c->request.in_count, 0, data, MIN(len, allocation));
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
    (void)iov_to_buffer(c->elem.iov, c->elem.out_count, 0, header, sizeof header);
    (void)iov_to_buffer(c->elem.iov, c->elem.out_count, HEADER_LEN, r->cdb,
                          MIN(s->cdb_size, sizeof r->cdb));
    r->in = virtq_elem_in(&c->elem);
    n = iov_slice(r->in, c->elem.in_count, 0, in_head, c->response, ARRAY_LEN(c->response));
    if (n < 0) {
        virtio_device_fail(&s->dev, "a response in more than %zu buffers", ARRAY_LEN(c->response));
        return -EINVAL;
    }
    c->response_count = (unsigned)n;
    c->sense_size = s->sense_size;
    memcpy(&c->tag, header + 8, 8);
    r->in_count = c->elem.in_count;
    r->in_len = c->elem.in_len - in_head;
    iov_drop_front(&r->in, &r->in_count, in_head);
    r->out = c->elem.iov;
    r->out_count = c->elem.out_count;
    r->out_len = c->elem.out_len - out_head;
    iov_drop_front(&r->out, &r->out_count, out_head);
    r->done = unit_done;
    c->next = s->active;
    c->link = &s->active;
    if (s->active != NULL)
        s->active->link = &c->next;
    s->active = c;

    if (scsi_parse_lun(header, &target, &lun) < 0) {
        refuse(c, S_BAD_TARGET);
        return 0;
    }
    unit = scsi_find_unit(s, target, lun, &has_target);
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

static void scsi_kick(VirtioDevice *dev, Virtqueue *vq)
{
    Scsi *s = (Scsi *)dev;

    if (s->idle)
        return;
    if (virtqueue_index(vq) >= Q_REQUEST)
        handle_requests(s, vq);
    else if (virtqueue_index(vq) == Q_CONTROL)
        scsi_handle_control(s, vq);
    else if (s->events_missed)
        scsi_send_event(s, NULL, EVENT_NONE, 0);
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
    for (ScsiUnit *u = s->units; u != NULL; u = u->next_unit) {
        if (u->block != NULL)
            block_cancel(u->block);
    }
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
