/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SCSI logical units behind a virtio-scsi device: a disk (SBC-3) or a CD-ROM (MMC-6), each on a block node.
 * The transport (scsi.c) takes commands off the queues, a unit executes them and says when they are done.
 *
 *   scsi.c            queues, addressing, task management, events
 *   scsi_unit.c       what every unit answers (SPC-4): who it is, sense, modes; table of commands
 *   scsi_disk.c       reads, writes, flush, discard: what reaches the block node
 *   scsi_cd.c         MMC: table of contents, features, tray
 *
 * All on the device's loop. A request's CDB is a copy; its data buffers are the guest's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/byteorder.h"
#include "vmm/block/block.h"
#include "common/stats_page.h"
#include "vmm/virtio/io_policy.h"

#define SCSI_CDB_MAX 32
#define SCSI_SENSE_LEN 18

/* Status codes, SAM-5 5.3.1 */
enum { SCSI_GOOD = 0x00, SCSI_CHECK_CONDITION = 0x02 };

typedef struct ScsiSense {
    uint8_t key, asc, ascq;
} ScsiSense;

extern const ScsiSense sense_none, sense_no_medium, sense_tray_open, sense_invalid_opcode, sense_out_of_range,
    sense_invalid_field, sense_invalid_parameter, sense_no_lun, sense_write_protected, sense_space_allocation,
    sense_io_error, sense_power_on, sense_reset, sense_medium_changed, sense_capacity_changed,
    sense_removal_prevented;

typedef struct ScsiUnit ScsiUnit;
typedef struct ScsiRequest ScsiRequest;

struct ScsiRequest {
    BlockRequest block;
    ScsiUnit *unit;
    uint8_t cdb[SCSI_CDB_MAX];
    struct iovec *out, *in; /* data from and to the guest */
    unsigned out_count, in_count;
    uint64_t out_len, in_len;
    /* Filled when it is done. */
    uint8_t status;
    ScsiSense sense;
    uint64_t moved; /* data bytes */
    bool overrun; /* the buffers are shorter than what the command moves */
    void (*done)(ScsiRequest *request);

    /* The unit's. */
    /* Commands of several block requests: submits the next one, false when there is none. NULL: one was all.
     */
    bool (*step)(ScsiRequest *request);
    bool stepping, stepped;
    uint8_t *scratch; /* malloc'ed; freed when done */
    unsigned scratch_at, scratch_count;
    uint64_t next_block, blocks_left;
    uint64_t start_ns;
    int stats_kind;
    ScsiRequest *next; /* stopped by an I/O error */
};

struct ScsiUnit {
    char id[64];
    bool cd;
    unsigned target, lun;
    DeviceHost *host;
    Block *block; /* NULL: an empty drive */
    StatsBlock *stats;
    char vendor[9], product[17], version[5], serial[37], device_id[64];
    uint64_t wwn; /* 0 none */
    uint32_t block_size, physical_size, min_io, opt_io, discard_granularity;
    uint16_t rotation_rate;
    bool removable, dpofua, write_cache;
    IoPolicy werror, rerror;
    bool attention; /* unit attention is pending */
    ScsiSense attention_sense;
    ScsiRequest *stopped, **stopped_tail; /* wait for the VM to go on */
    unsigned requests; /* being executed */
    /* Removable ones */
    bool tray_open, locked, media_event, eject_requested;
    /* For the transport: the block node changed its size. */
    void (*resized)(ScsiUnit *unit, void *opaque);
    void *resized_opaque;
    ScsiUnit *next_unit;
};

/* Main thread. cd: scsi-cd. The node moves to loop. */
int scsi_unit_new(Props *props, bool cd, DeviceHost *host, Loop *loop, ScsiUnit **ret, Err *err);
/* Main thread; no request is being executed. */
void scsi_unit_free(ScsiUnit *unit);

/* Calls request->done() once, maybe at once. */
void scsi_unit_execute(ScsiUnit *unit, ScsiRequest *request);
/* Nothing reaches the guest's memory afterwards; requests that were stopped stay so. */
void scsi_unit_drain(ScsiUnit *unit);
/* Tries again what an error had stopped. */
void scsi_unit_retry(ScsiUnit *unit);
/* Ends stopped requests with an error, for task management. */
void scsi_unit_abort_stopped(ScsiUnit *unit);
void scsi_unit_set_attention(ScsiUnit *unit, ScsiSense sense);

/* --- between the unit's files --- */

typedef void (*ScsiCommand)(ScsiUnit *unit, ScsiRequest *request);

void scsi_done(ScsiRequest *request);
void scsi_fail(ScsiRequest *request, ScsiSense sense);
void scsi_set_sense(ScsiRequest *request, ScsiSense sense);
/* Answers with data, as much of it as the command's allocation length and the buffers take. */
void scsi_reply(ScsiRequest *request, const uint8_t *data, uint64_t len, uint64_t allocation);
/* The unit is the node's user from now on. */
void scsi_unit_use_block(ScsiUnit *unit, Block *block);
uint64_t scsi_blocks(const ScsiUnit *unit);

void scsi_disk_read_write(ScsiUnit *unit, ScsiRequest *request);
void scsi_disk_verify(ScsiUnit *unit, ScsiRequest *request);
void scsi_disk_synchronize(ScsiUnit *unit, ScsiRequest *request);
void scsi_disk_unmap(ScsiUnit *unit, ScsiRequest *request);
void scsi_disk_write_same(ScsiUnit *unit, ScsiRequest *request);
void scsi_disk_submit(ScsiRequest *request);

void scsi_cd_read_toc(ScsiUnit *unit, ScsiRequest *request);
void scsi_cd_get_configuration(ScsiUnit *unit, ScsiRequest *request);
void scsi_cd_event_status(ScsiUnit *unit, ScsiRequest *request);
void scsi_cd_disc_information(ScsiUnit *unit, ScsiRequest *request);
void scsi_cd_mechanism_status(ScsiUnit *unit, ScsiRequest *request);
void scsi_cd_start_stop(ScsiUnit *unit, ScsiRequest *request);
void scsi_cd_prevent(ScsiUnit *unit, ScsiRequest *request);
void scsi_cd_capabilities_page(const ScsiUnit *unit, uint8_t page[22]);

/* Management, on the loop. Errors with QEMU's words. */
void scsi_cd_move_tray(ScsiUnit *unit, bool open);
int scsi_cd_open_tray(ScsiUnit *unit, bool force, Err *err);
Block *scsi_cd_take_medium(ScsiUnit *unit);
void scsi_cd_put_medium(ScsiUnit *unit, Block *block);
