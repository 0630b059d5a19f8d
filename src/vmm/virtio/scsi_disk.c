/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SCSI commands that reach the block node (SBC-3, section 5): READ, WRITE, VERIFY, SYNCHRONIZE CACHE, UNMAP,
 * WRITE SAME. Each is one block request, or a row of them (UNMAP's ranges, WRITE SAME of a pattern) that
 * `step` drives.
 *
 * Errors of the host follow werror and rerror; a stopped request waits in unit->stopped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/log.h"
#include "vmm/stats.h"
#include "vmm/virtio/scsi_unit.h"
#include "vmm/virtio/virtqueue.h"

#define UNMAP_RANGES_MAX 255
#define PATTERN_BYTES 65536u

static void hold(ScsiRequest *r)
{
    ScsiUnit *unit = r->unit;

    if (unit->stopped == NULL)
        unit->stopped_tail = &unit->stopped;
    r->next = NULL;
    *unit->stopped_tail = r;
    unit->stopped_tail = &r->next;
}

/* A node may complete at once: this loop, not the stack, goes from step to step. */
static void goes_on(ScsiRequest *r)
{
    if (r->stepping) {
        r->stepped = true;
        return;
    }
    r->stepping = true;
    do {
        r->stepped = false;
        if (r->step == NULL || !r->step(r)) {
            scsi_done(r);
            return;
        }
    } while (r->stepped);
    r->stepping = false;
}

static void fail(ScsiRequest *r, ScsiSense sense)
{
    scsi_set_sense(r, sense);
    r->step = NULL;
    goes_on(r);
}

static void complete(BlockRequest *block, int result)
{
    ScsiRequest *r = container_of(block, ScsiRequest, block);
    ScsiUnit *unit = r->unit;
    bool write = block->kind != BLOCK_READ;
    IoPolicy policy;

    if (result == -ECANCELED) {
        fail(r, sense_io_error); /* the driver resets the device */
        return;
    }
    stats_block_account(r->unit->stats, false, r->stats_kind, loop_now() - r->start_ns, r->block.offset, r->block.length,
                        result < 0);
    if (result >= 0) {
        goes_on(r);
        return;
    }
    log_note("%s: %s of %llu bytes at %llu: %s", unit->id, write ? "write" : "read",
             (unsigned long long)block->length, (unsigned long long)block->offset, strerror(-result));
    policy = io_policy_apply(write ? unit->werror : unit->rerror, unit->host, unit->id,
                             unit->block ? unit->block->node_name : "", write, -result);
    if (policy == IO_STOP) {
        if (unit->block != NULL)
            unit->block->last_error = -result; /* query-block's io-status */
        hold(r);
    }
    if (policy == IO_IGNORE)
        goes_on(r);
    else if (policy != IO_STOP)
        fail(r, result == -ENOSPC ? sense_space_allocation : sense_io_error);
}

void scsi_disk_submit(ScsiRequest *r)
{
    r->start_ns = loop_now();
    r->block.complete = complete;
    block_submit(r->unit->block, &r->block);
}

/* --- ranges --- */

/* First block and count of a CDB of 6, 10, 12 or 16 bytes (by its group code). */
static void range_of(const uint8_t *cdb, uint64_t *ret_block, uint32_t *ret_count)
{
    switch (cdb[0] >> 5) {
    case 0:
        *ret_block = (uint32_t)(cdb[1] & 0x1f) << 16 | get_be16(cdb + 2);
        *ret_count = cdb[4] ? cdb[4] : 256;
        break;
    case 4:
        *ret_block = get_be64(cdb + 2);
        *ret_count = get_be32(cdb + 10);
        break;
    case 5:
        *ret_block = get_be32(cdb + 2);
        *ret_count = get_be32(cdb + 6);
        break;
    default:
        *ret_block = get_be32(cdb + 2);
        *ret_count = get_be16(cdb + 7);
        break;
    }
}

static bool in_range(ScsiUnit *unit, ScsiRequest *r, uint64_t block, uint64_t count)
{
    if (range_inside(block, count, scsi_blocks(unit)))
        return true;
    scsi_fail(r, sense_out_of_range);
    return false;
}

static bool writable(ScsiUnit *unit, ScsiRequest *r)
{
    if (!unit->cd && !unit->block->info.read_only)
        return true;
    scsi_fail(r, sense_write_protected);
    return false;
}

/* Buffers of exactly len bytes. */
static unsigned trim(struct iovec *iov, unsigned count, uint64_t len)
{
    unsigned n = 0;

    for (; n < count && len > 0; n++) {
        iov[n].iov_len = MIN(iov[n].iov_len, len);
        len -= iov[n].iov_len;
    }
    return n;
}

void scsi_disk_read_write(ScsiUnit *unit, ScsiRequest *r)
{
    static const uint8_t writes[] = {0x0a, 0x2a, 0x2e, 0x8a, 0x8e, 0xaa, 0xae};
    bool write = memchr(writes, r->cdb[0], sizeof writes) != NULL, fua = r->cdb[0] >= 0x20 && (r->cdb[1] & 8);
    uint64_t block, len;
    uint32_t count;

    range_of(r->cdb, &block, &count);
    if (r->cdb[0] >= 0x20 && (r->cdb[1] & 0xe0)) { /* protection information: there is none */
        scsi_fail(r, sense_invalid_field);
        return;
    }
    if ((write && !writable(unit, r)) || !in_range(unit, r, block, count))
        return;
    len = (uint64_t)count * unit->block_size;
    if (len > (write ? r->out_len : r->in_len)) {
        r->overrun = true;
        scsi_done(r);
        return;
    }
    if (count == 0) {
        scsi_done(r);
        return;
    }
    r->moved = len;
    r->stats_kind = write ? STATS_IO_WRITE : STATS_IO_READ;
    r->block =
        (BlockRequest){.kind = write ? BLOCK_WRITE : BLOCK_READ,
                       .flags = write && (fua || !unit->write_cache) ? BLOCK_FUA : 0,
                       .offset = block * unit->block_size,
                       .length = len,
                       .iov = write ? r->out : r->in,
                       .iov_count = trim(write ? r->out : r->in, write ? r->out_count : r->in_count, len)};
    scsi_disk_submit(r);
}

/* Without comparison only the range is checked: the host has no use for reading what it throws away. */
void scsi_disk_verify(ScsiUnit *unit, ScsiRequest *r)
{
    uint64_t block;
    uint32_t count;

    range_of(r->cdb, &block, &count);
    if (r->cdb[1] & 6)
        scsi_fail(r, sense_invalid_field);
    else if (in_range(unit, r, block, count))
        scsi_done(r);
}

void scsi_disk_synchronize(ScsiUnit *unit, ScsiRequest *r)
{
    (void)unit;
    r->stats_kind = STATS_IO_FLUSH;
    r->block = (BlockRequest){.kind = BLOCK_FLUSH};
    scsi_disk_submit(r);
}

/* --- UNMAP (SBC-3, 5.28) --- */

static bool unmap_step(ScsiRequest *r)
{
    ScsiUnit *unit = r->unit;

    while (r->scratch_at < r->scratch_count) {
        const uint8_t *d = r->scratch + 16 * r->scratch_at++;
        uint64_t block = get_be64(d), count = get_be32(d + 8);

        if (count == 0)
            continue;
        r->stats_kind = STATS_IO_DISCARD;
        r->block = (BlockRequest){
            .kind = BLOCK_DISCARD, .offset = block * unit->block_size, .length = count * unit->block_size};
        scsi_disk_submit(r);
        return true;
    }
    return false;
}

void scsi_disk_unmap(ScsiUnit *unit, ScsiRequest *r)
{
    uint64_t want = get_be16(r->cdb + 7);
    uint8_t header[8];
    unsigned len;

    if (r->cdb[1] & 1) { /* anchor */
        scsi_fail(r, sense_invalid_field);
        return;
    }
    if (!writable(unit, r))
        return;
    if (want > r->out_len) {
        r->overrun = true;
        scsi_done(r);
        return;
    }
    if (want < sizeof header) { /* nothing to do is no error */
        scsi_done(r);
        return;
    }
    (void)iov_to_buffer(r->out, r->out_count, 0, header, sizeof header);
    len = get_be16(header + 2);
    if (get_be16(header) + 2u > want || len + 8u > want || len / 16 > UNMAP_RANGES_MAX) {
        scsi_fail(r, sense_invalid_parameter);
        return;
    }
    r->moved = want;
    r->scratch_count = len / 16;
    r->scratch = malloc(16 * UNMAP_RANGES_MAX);
    if (r->scratch == NULL) {
        scsi_fail(r, sense_io_error);
        return;
    }
    (void)iov_to_buffer(r->out, r->out_count, 8, r->scratch, 16 * r->scratch_count);
    for (unsigned i = 0; i < r->scratch_count; i++) {
        if (!in_range(unit, r, get_be64(r->scratch + 16 * i), get_be32(r->scratch + 16 * i + 8)))
            return;
    }
    r->step = unmap_step;
    goes_on(r);
}

/* --- WRITE SAME (SBC-3, 5.43) --- */

static bool pattern_step(ScsiRequest *r)
{
    ScsiUnit *unit = r->unit;
    uint64_t count = MIN(r->blocks_left, PATTERN_BYTES / unit->block_size);
    /* Behind the pattern in the same memory. */
    struct iovec *iov = (struct iovec *)(void *)(r->scratch + PATTERN_BYTES);

    if (count == 0)
        return false;
    *iov = (struct iovec){r->scratch, count * unit->block_size};
    r->stats_kind = STATS_IO_WRITE;
    r->block = (BlockRequest){.kind = BLOCK_WRITE,
                              .flags = unit->write_cache ? 0 : BLOCK_FUA,
                              .offset = r->next_block * unit->block_size,
                              .length = iov->iov_len,
                              .iov = iov,
                              .iov_count = 1};
    r->next_block += count;
    r->blocks_left -= count;
    scsi_disk_submit(r);
    return true;
}

void scsi_disk_write_same(ScsiUnit *unit, ScsiRequest *r)
{
    bool long_form = r->cdb[0] == 0x93, no_data = long_form && (r->cdb[1] & 1), zero = true;
    uint64_t block;
    uint32_t count, size = unit->block_size;

    range_of(r->cdb, &block, &count);
    if (r->cdb[1] & 0xf6) { /* protection, anchor, PBDATA, LBDATA */
        scsi_fail(r, sense_invalid_field);
        return;
    }
    if (!writable(unit, r) || !in_range(unit, r, block, count))
        return;
    if (count == 0) /* to the end (WSNZ is 0) */
        count = (uint32_t)MIN(scsi_blocks(unit) - block, UINT32_MAX);
    if (!no_data && r->out_len < size) {
        r->overrun = true;
        scsi_done(r);
        return;
    }
    r->scratch = malloc(PATTERN_BYTES + sizeof(struct iovec));
    if (r->scratch == NULL) {
        scsi_fail(r, sense_io_error);
        return;
    }
    memset(r->scratch, 0, size);
    if (!no_data) {
        (void)iov_to_buffer(r->out, r->out_count, 0, r->scratch, size);
        r->moved = size;
    }
    for (uint32_t i = 0; i < size && zero; i++)
        zero = r->scratch[i] == 0;
    if (zero) {
        r->stats_kind = STATS_IO_WRITE;
        r->block = (BlockRequest){.kind = BLOCK_WRITE_ZEROES,
                                  .flags = (r->cdb[1] & 8 ? BLOCK_MAY_UNMAP : 0u) |
                                           (unit->write_cache ? 0 : BLOCK_FUA),
                                  .offset = block * size,
                                  .length = (uint64_t)count * size};
        scsi_disk_submit(r);
        return;
    }
    for (uint32_t at = size; at + size <= PATTERN_BYTES; at += size)
        memcpy(r->scratch + at, r->scratch, size);
    r->next_block = block;
    r->blocks_left = count;
    r->step = pattern_step;
    goes_on(r);
}
