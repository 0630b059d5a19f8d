/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the SCSI host device share (virtio 1.2, 5.6):
 *
 *   scsi.c            the device, its request queues, commands
 *   scsi_control.c    control queue (task management) and events
 *   scsi_children.c   units come, go and are looked at: main thread
 *
 * All of it belongs to dev->loop.
 */
#pragma once

#include "common/checked.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/notify_batch.h"
#include "vmm/virtio/scsi.h"
#include "vmm/virtio/scsi_unit.h"
#include "vmm/virtio/virtqueue.h"

/* 5.6.3 */
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
#define UNITS_MAX 256

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

/* Target and unit of an address (5.6.6.1); -1: not of that form. */
int scsi_parse_lun(const uint8_t lun[8], unsigned *ret_target, unsigned *ret_lun);
/* The unit, or NULL and whether its target has others. */
ScsiUnit *scsi_find_unit(const Scsi *s, unsigned target, unsigned lun, bool *ret_target);

void scsi_handle_control(Scsi *s, Virtqueue *vq);
/* Answers and frees. */
void scsi_task_done(Task *t, uint8_t answer);
/* Tells the driver, or notes that it missed something. unit NULL: of none. */
void scsi_send_event(Scsi *s, const ScsiUnit *unit, uint32_t event, uint32_t reason);
