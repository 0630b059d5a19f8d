/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every logical unit answers (SPC-4): INQUIRY and its pages, sense, modes, capacity; the table of
 * commands; making a unit from its properties.
 */
#include "vmm/virtio/scsi_unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/virtio/virtqueue.h"

const ScsiSense sense_none = {0, 0, 0}, sense_no_medium = {0x02, 0x3a, 0x00},
                sense_tray_open = {0x02, 0x3a, 0x02}, sense_invalid_opcode = {0x05, 0x20, 0x00},
                sense_out_of_range = {0x05, 0x21, 0x00}, sense_invalid_field = {0x05, 0x24, 0x00},
                sense_invalid_parameter = {0x05, 0x26, 0x00}, sense_no_lun = {0x05, 0x25, 0x00},
                sense_write_protected = {0x07, 0x27, 0x00}, sense_space_allocation = {0x07, 0x27, 0x07},
                sense_io_error = {0x0b, 0x00, 0x06}, sense_power_on = {0x06, 0x29, 0x00},
                sense_reset = {0x06, 0x29, 0x02}, sense_medium_changed = {0x06, 0x28, 0x00},
                sense_capacity_changed = {0x06, 0x2a, 0x09}, sense_removal_prevented = {0x05, 0x53, 0x02};

enum { UNMAP_BLOCKS_MAX = 1 << 21, UNMAP_RANGES = 255 };

/* --- ending --- */

void scsi_done(ScsiRequest *r)
{
    free(r->scratch);
    r->scratch = NULL;
    r->unit->requests--;
    r->done(r);
}

void scsi_set_sense(ScsiRequest *r, ScsiSense sense)
{
    r->status = SCSI_CHECK_CONDITION;
    r->sense = sense;
    r->moved = 0;
}

void scsi_fail(ScsiRequest *r, ScsiSense sense)
{
    scsi_set_sense(r, sense);
    scsi_done(r);
}

void scsi_reply(ScsiRequest *r, const uint8_t *data, uint64_t len, uint64_t allocation)
{
    r->moved = iov_from_buffer(r->in, r->in_count, 0, data, MIN(len, allocation));
    scsi_done(r);
}

uint64_t scsi_blocks(const ScsiUnit *unit)
{
    return unit->block ? unit->block->info.size / unit->block_size : 0;
}

void scsi_unit_set_attention(ScsiUnit *unit, ScsiSense sense)
{
    /* A reset says more than anything else. */
    if (unit->attention && unit->attention_sense.asc == sense_power_on.asc)
        return;
    unit->attention = true;
    unit->attention_sense = sense;
}

/* --- INQUIRY (SPC-4, 6.6 and 7.8) --- */

static void pad(uint8_t *to, const char *text, size_t len)
{
    memset(to, ' ', len);
    memcpy(to, text, MIN(strlen(text), len));
}

/* Page 83h: names of the unit. */
static unsigned identification(const ScsiUnit *u, uint8_t *d)
{
    unsigned n = 0;
    size_t len = strlen(u->device_id);

    if (len > 0) {
        d[n] = 2; /* ASCII, vendor's own */
        d[n + 1] = 0;
        d[n + 2] = 0;
        d[n + 3] = (uint8_t)len;
        memcpy(d + n + 4, u->device_id, len);
        n += 4 + (unsigned)len;
    }
    if (u->wwn != 0) {
        d[n] = 1; /* binary, NAA */
        d[n + 1] = 3;
        d[n + 2] = 0;
        d[n + 3] = 8;
        put_be64(d + n + 4, u->wwn);
        n += 12;
    }
    return n;
}

/* Page B0h (SBC-3, 6.5.3): block limits. */
static unsigned block_limits(const ScsiUnit *u, uint8_t *d)
{
    memset(d, 0, 60);
    d[0] = 0; /* WSNZ: length 0 is to the end */
    put_be16(d + 2, (uint16_t)MIN(u->min_io / u->block_size, UINT16_MAX));
    put_be32(d + 8, u->opt_io / u->block_size);
    put_be32(d + 16, UNMAP_BLOCKS_MAX);
    put_be32(d + 20, UNMAP_RANGES);
    put_be32(d + 24, MAX(u->discard_granularity, u->block_size) / u->block_size);
    put_be64(d + 32, UNMAP_BLOCKS_MAX); /* WRITE SAME */
    return 60;
}

static bool vital_page(const ScsiUnit *u, uint8_t page, uint8_t *d, unsigned *ret_len)
{
    static const uint8_t disk_pages[] = {0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2}, cd_pages[] = {0x00, 0x80, 0x83};
    unsigned n = 0;

    if (memchr(u->cd ? cd_pages : disk_pages, page, u->cd ? sizeof cd_pages : sizeof disk_pages) == NULL)
        return false;
    switch (page) {
    case 0x00:
        n = u->cd ? sizeof cd_pages : sizeof disk_pages;
        memcpy(d, u->cd ? cd_pages : disk_pages, n);
        break;
    case 0x80:
        n = (unsigned)strlen(u->serial);
        memcpy(d, u->serial, n);
        break;
    case 0x83:
        n = identification(u, d);
        break;
    case 0xb0:
        n = block_limits(u, d);
        break;
    case 0xb1: /* block device characteristics */
        n = 60;
        memset(d, 0, n);
        put_be16(d, u->rotation_rate);
        break;
    default: /* B2h, logical block provisioning: UNMAP, WRITE SAME 10 and 16 unmap; thin */
        n = 4;
        memset(d, 0, n);
        d[1] = 0xe0;
        d[2] = 2;
        break;
    }
    *ret_len = n;
    return true;
}

static void inquiry(ScsiUnit *u, ScsiRequest *r)
{
    uint8_t d[256] = {0};
    unsigned len;

    d[0] = u->cd ? 5 : 0;
    if (r->cdb[1] & 1) {
        if (!vital_page(u, r->cdb[2], d + 4, &len)) {
            scsi_fail(r, sense_invalid_field);
            return;
        }
        d[1] = r->cdb[2];
        put_be16(d + 2, (uint16_t)len);
        scsi_reply(r, d, len + 4, get_be16(r->cdb + 3));
        return;
    }
    if (r->cdb[2] != 0) {
        scsi_fail(r, sense_invalid_field);
        return;
    }
    d[1] = u->removable ? 0x80 : 0;
    d[2] = 5; /* SPC-3 */
    d[3] = 0x12; /* HiSup, format 2 */
    d[4] = 36 - 5;
    d[7] = 2; /* command queuing */
    pad(d + 8, u->vendor, 8);
    pad(d + 16, u->product, 16);
    pad(d + 32, u->version, 4);
    scsi_reply(r, d, 36, get_be16(r->cdb + 3));
}

/* --- small ones --- */

static void good(ScsiUnit *u, ScsiRequest *r)
{
    (void)u;
    scsi_done(r);
}

static void request_sense(ScsiUnit *u, ScsiRequest *r)
{
    uint8_t d[SCSI_SENSE_LEN] = {0};
    ScsiSense s = u->attention ? u->attention_sense : sense_none;

    u->attention = false;
    if (r->cdb[1] & 1) { /* descriptor format */
        d[0] = 0x72;
        d[1] = s.key;
        d[2] = s.asc;
        d[3] = s.ascq;
        scsi_reply(r, d, 8, r->cdb[4]);
        return;
    }
    d[0] = 0x70;
    d[2] = s.key;
    d[7] = 10;
    d[12] = s.asc;
    d[13] = s.ascq;
    scsi_reply(r, d, sizeof d, r->cdb[4]);
}

static void read_capacity10(ScsiUnit *u, ScsiRequest *r)
{
    uint64_t blocks = scsi_blocks(u);
    uint8_t d[8];

    if ((r->cdb[8] & 1) == 0 && get_be32(r->cdb + 2) != 0) {
        scsi_fail(r, sense_invalid_field);
        return;
    }
    put_be32(d, (uint32_t)MIN(blocks ? blocks - 1 : 0, UINT32_MAX));
    put_be32(d + 4, u->block_size);
    scsi_reply(r, d, sizeof d, sizeof d);
}

static void service_action_in(ScsiUnit *u, ScsiRequest *r)
{
    uint64_t blocks = scsi_blocks(u);
    uint8_t d[32] = {0};

    if ((r->cdb[1] & 0x1f) != 0x10) {
        scsi_fail(r, sense_invalid_field);
        return;
    }
    put_be64(d, blocks ? blocks - 1 : 0);
    put_be32(d + 8, u->block_size);
    /* Logical blocks in a physical one, as a power of two */
    d[13] = u->physical_size > u->block_size ? (uint8_t)__builtin_ctz(u->physical_size / u->block_size) : 0;
    d[14] = u->cd ? 0 : 0x80; /* provisioning is managed */
    scsi_reply(r, d, sizeof d, get_be32(r->cdb + 10));
}

static void start_stop(ScsiUnit *u, ScsiRequest *r)
{
    if (u->cd)
        scsi_cd_start_stop(u, r);
    else
        scsi_done(r);
}

static void prevent(ScsiUnit *u, ScsiRequest *r)
{
    if (u->removable)
        scsi_cd_prevent(u, r);
    else
        scsi_done(r);
}

/* --- MODE SENSE, MODE SELECT (SPC-4, 6.11 and 7.5) --- */

/* One page; 0: there is no such page. control: 0 current, 1 changeable, 2 default. */
static unsigned mode_page(const ScsiUnit *u, uint8_t page, unsigned control, uint8_t *d)
{
    bool changeable = control == 1;

    switch (page) {
    case 0x01: /* read-write error recovery */
        d[0] = page;
        d[1] = 10;
        memset(d + 2, 0, 10);
        d[2] = changeable ? 0 : 0x80; /* automatic write reallocation */
        d[3] = u->cd && !changeable ? 0x20 : 0;
        return 12;
    case 0x08: /* caching */
        d[0] = page;
        d[1] = 18;
        memset(d + 2, 0, 18);
        d[2] = changeable || u->write_cache ? 4 : 0; /* WCE */
        return 20;
    case 0x2a:
        if (!u->cd)
            return 0;
        memset(d, 0, 22);
        if (!changeable)
            scsi_cd_capabilities_page(u, d);
        d[0] = page;
        d[1] = 20;
        return 22;
    default:
        return 0;
    }
}

static void mode_sense(ScsiUnit *u, ScsiRequest *r)
{
    static const uint8_t all[] = {0x01, 0x08, 0x2a};
    bool ten = r->cdb[0] == 0x5a, no_descriptor = r->cdb[1] & 8;
    uint8_t page = r->cdb[2] & 0x3f, d[128] = {0};
    unsigned control = r->cdb[2] >> 6, n = ten ? 8 : 4, before;
    bool protect = u->cd || (u->block != NULL && u->block->info.read_only);

    if (control == 3) { /* saved values: there are none */
        scsi_fail(r, (ScsiSense){0x05, 0x39, 0x00});
        return;
    }
    if (r->cdb[3] != 0 && !(page == 0x3f && r->cdb[3] == 0xff)) {
        scsi_fail(r, sense_invalid_field);
        return;
    }
    if (!u->cd) {
        d[ten ? 3 : 2] = (uint8_t)((protect ? 0x80 : 0) | (u->dpofua ? 0x10 : 0));
        if (!no_descriptor) {
            uint64_t blocks = scsi_blocks(u);

            d[ten ? 7 : 3] = 8;
            put_be32(d + n, blocks > 0xffffff ? 0 : (uint32_t)blocks);
            put_be32(d + n + 4, u->block_size); /* the top byte is reserved, block sizes are small */
            n += 8;
        }
    }
    before = n;
    for (size_t i = 0; i < sizeof all; i++) {
        if (page == 0x3f || page == all[i])
            n += mode_page(u, all[i], control, d + n);
    }
    if (n == before && page != 0x3f) {
        scsi_fail(r, sense_invalid_field);
        return;
    }
    if (ten)
        put_be16(d, (uint16_t)(n - 2));
    else
        d[0] = (uint8_t)(n - 1);
    scsi_reply(r, d, n, ten ? get_be16(r->cdb + 7) : r->cdb[4]);
}

/* Only the write cache can be switched. */
static void mode_select(ScsiUnit *u, ScsiRequest *r)
{
    bool ten = r->cdb[0] == 0x55;
    uint8_t d[256], expected[32];
    unsigned want = ten ? get_be16(r->cdb + 7) : r->cdb[4], at, descriptors, page_len;
    bool cache = u->write_cache;

    if ((r->cdb[1] & 0x11) != 0x10) { /* page format, nothing saved */
        scsi_fail(r, sense_invalid_field);
        return;
    }
    if (want > r->out_len) {
        r->overrun = true;
        scsi_done(r);
        return;
    }
    if (want == 0) {
        scsi_done(r);
        return;
    }
    at = ten ? 8 : 4;
    if (want > sizeof d || want < at) {
        scsi_fail(r, sense_invalid_parameter);
        return;
    }
    (void)iov_to_buffer(r->out, r->out_count, 0, d, want);
    descriptors = ten ? get_be16(d + 6) : d[3];
    if (descriptors > want - at || (descriptors != 0 && descriptors != 8)) {
        scsi_fail(r, sense_invalid_parameter);
        return;
    }
    for (at += descriptors; at < want; at += page_len) {
        page_len = at + 2 <= want ? d[at + 1] + 2u : 0;
        if (page_len == 0 || page_len > want - at || page_len > sizeof expected ||
            mode_page(u, d[at] & 0x3f, 0, expected) != page_len || (d[at] & 0xc0)) {
            scsi_fail(r, sense_invalid_parameter);
            return;
        }
        if ((d[at] & 0x3f) == 0x08 && !u->cd)
            cache = d[at + 2] & 4;
    }
    u->write_cache = cache;
    scsi_done(r);
}

static void reserve(ScsiUnit *u, ScsiRequest *r)
{
    (void)u;
    if (r->cdb[1] & 1)
        scsi_fail(r, sense_invalid_field);
    else
        scsi_done(r);
}

/* --- the table --- */

enum {
    DISK = 1,
    CD = 2,
    BOTH = 3,
    MEDIUM = 4, /* needs one */
    CALM = 8, /* runs in spite of a unit attention, which stays (SAM-5, 5.14) */
};

static const struct {
    uint8_t opcode, flags;
    ScsiCommand run;
} commands[] = {
    {0x00, BOTH | MEDIUM, good}, /* TEST UNIT READY */
    {0x03, BOTH | CALM, request_sense},
    {0x08, BOTH | MEDIUM, scsi_disk_read_write},
    {0x0a, DISK | MEDIUM, scsi_disk_read_write},
    {0x12, BOTH | CALM, inquiry},
    {0x15, BOTH, mode_select},
    {0x16, BOTH, reserve},
    {0x17, BOTH, reserve},
    {0x1a, BOTH, mode_sense},
    {0x1b, BOTH, start_stop},
    {0x1d, BOTH, good}, /* SEND DIAGNOSTIC: the default self-test */
    {0x1e, BOTH, prevent},
    {0x25, BOTH | MEDIUM, read_capacity10},
    {0x28, BOTH | MEDIUM, scsi_disk_read_write},
    {0x2a, DISK | MEDIUM, scsi_disk_read_write},
    {0x2b, BOTH | MEDIUM, good}, /* SEEK */
    {0x2e, DISK | MEDIUM, scsi_disk_read_write},
    {0x2f, BOTH | MEDIUM, scsi_disk_verify},
    {0x35, BOTH | MEDIUM, scsi_disk_synchronize},
    {0x41, DISK | MEDIUM, scsi_disk_write_same},
    {0x42, DISK | MEDIUM, scsi_disk_unmap},
    {0x43, CD | MEDIUM, scsi_cd_read_toc},
    {0x46, CD | CALM, scsi_cd_get_configuration},
    {0x4a, CD | CALM, scsi_cd_event_status},
    {0x51, CD | MEDIUM, scsi_cd_disc_information},
    {0x55, BOTH, mode_select},
    {0x5a, BOTH, mode_sense},
    {0x88, BOTH | MEDIUM, scsi_disk_read_write},
    {0x8a, DISK | MEDIUM, scsi_disk_read_write},
    {0x8e, DISK | MEDIUM, scsi_disk_read_write},
    {0x8f, BOTH | MEDIUM, scsi_disk_verify},
    {0x91, BOTH | MEDIUM, scsi_disk_synchronize},
    {0x93, DISK | MEDIUM, scsi_disk_write_same},
    {0x9e, BOTH | MEDIUM, service_action_in},
    {0xa8, BOTH | MEDIUM, scsi_disk_read_write},
    {0xaa, DISK | MEDIUM, scsi_disk_read_write},
    {0xae, DISK | MEDIUM, scsi_disk_read_write},
    {0xaf, BOTH | MEDIUM, scsi_disk_verify},
    {0xbb, CD, good}, /* SET CD SPEED */
    {0xbd, CD, scsi_cd_mechanism_status},
};

void scsi_unit_execute(ScsiUnit *unit, ScsiRequest *r)
{
    r->unit = unit;
    r->status = SCSI_GOOD;
    r->sense = sense_none;
    r->moved = 0;
    r->overrun = false;
    r->step = NULL;
    r->stepping = r->stepped = false;
    r->scratch = NULL;
    r->scratch_at = r->scratch_count = 0;
    unit->requests++;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        unsigned flags = commands[i].flags;

        if (commands[i].opcode != r->cdb[0] || !(flags & (unit->cd ? CD : DISK)))
            continue;
        if (unit->attention && !(flags & CALM)) {
            unit->attention = false;
            scsi_fail(r, unit->attention_sense);
        } else if ((flags & MEDIUM) && (unit->block == NULL || unit->tray_open)) {
            scsi_fail(r, unit->tray_open ? sense_tray_open : sense_no_medium);
        } else {
            commands[i].run(unit, r);
        }
        return;
    }
    scsi_fail(r, sense_invalid_opcode);
}

/* --- pausing --- */

void scsi_unit_drain(ScsiUnit *unit)
{
    if (unit->block != NULL)
        block_drain(unit->block);
}

void scsi_unit_retry(ScsiUnit *unit)
{
    ScsiRequest *r = unit->stopped, *next;

    unit->stopped = NULL;
    if (unit->block != NULL)
        unit->block->last_error = 0;
    for (; r != NULL; r = next) {
        next = r->next;
        scsi_disk_submit(r);
    }
    if (unit->block != NULL)
        block_flush_queue(unit->block);
}

void scsi_unit_abort_stopped(ScsiUnit *unit)
{
    ScsiRequest *r = unit->stopped, *next;

    unit->stopped = NULL;
    for (; r != NULL; r = next) {
        next = r->next;
        scsi_fail(r, sense_io_error);
    }
}

/* --- making --- */

static void node_changed(void *opaque)
{
    ScsiUnit *u = opaque;

    __atomic_store_n(&u->stats->capacity, u->block->info.size, __ATOMIC_RELAXED);
    scsi_unit_set_attention(u, sense_capacity_changed);
    if (u->resized)
        u->resized(u, u->resized_opaque);
}

void scsi_unit_use_block(ScsiUnit *u, Block *block)
{
    u->block = block;
    __atomic_store_n(&u->stats->capacity, block->info.size, __ATOMIC_RELAXED);
    block_set_user(block, u->id, &u->stats->write_end);
    block->changed = node_changed;
    block->changed_opaque = u;
}

static int copy(char *to, size_t size, Props *props, const char *key, const char *def, Err *err)
{
    const char *text;
    int r = props_string(props, key, def, &text, err);

    if (r == 0 && strlen(text) >= size)
        return err_set(err, EINVAL, "%s: property '%s' is longer than %zu characters", props_id(props), key,
                       size - 1);
    if (r == 0)
        memcpy(to, text, strlen(text) + 1);
    return r;
}

static int parse(ScsiUnit *u, Props *props, const char **ret_drive, Err *err)
{
    uint64_t target, lun, channel, logical, physical, min_io, opt_io, granularity, rate, ignored;
    uint64_t block = u->cd ? 2048 : 512;
    bool share, auto_cache = props_is_string(props, "write-cache", "auto");
    const char *text;
    int r;

    u->write_cache = true;
    if ((r = props_string(props, "drive", NULL, ret_drive, err)) < 0 ||
        (r = props_uint(props, "channel", 0, 0, 0, &channel, err)) < 0 ||
        (r = props_uint(props, "scsi-id", 0, 255, UINT64_MAX, &target, err)) < 0 ||
        (r = props_uint(props, "lun", 0, 16383, 0, &lun, err)) < 0 ||
        (r = props_uint(props, "logical_block_size", 512, 32768, block, &logical, err)) < 0 ||
        (r = props_uint(props, "physical_block_size", 512, 1 << 21, 0, &physical, err)) < 0 ||
        (r = props_uint(props, "min_io_size", 0, 1u << 30, 0, &min_io, err)) < 0 ||
        (r = props_uint(props, "opt_io_size", 0, 1u << 30, 0, &opt_io, err)) < 0 ||
        (r = props_uint(props, "discard_granularity", 0, UINT32_MAX, 0, &granularity, err)) < 0 ||
        (r = props_uint(props, "rotation_rate", 0, UINT16_MAX, 0, &rate, err)) < 0 ||
        (r = props_uint(props, "wwn", 0, UINT64_MAX, 0, &u->wwn, err)) < 0 ||
        (r = props_uint(props, "bootindex", 0, INT32_MAX, 0, &ignored, err)) < 0 ||
        (r = props_bool(props, "removable", u->cd, &u->removable, err)) < 0 ||
        (r = props_bool(props, "dpofua", !u->cd, &u->dpofua, err)) < 0 ||
        (r = props_bool(props, "share-rw", false, &share, err)) < 0 ||
        (r = auto_cache ? props_string(props, "write-cache", "", &text, err)
                        : props_bool(props, "write-cache", true, &u->write_cache, err)) < 0 ||
        (r = copy(u->vendor, sizeof u->vendor, props, "vendor", "KITE", err)) < 0 ||
        (r = copy(u->product, sizeof u->product, props, "product", u->cd ? "KITE CD-ROM" : "KITE HARDDISK",
                  err)) < 0 ||
        (r = copy(u->version, sizeof u->version, props, "ver", "1.0", err)) < 0 ||
        (r = copy(u->serial, sizeof u->serial, props, "serial", "", err)) < 0 ||
        (r = copy(u->device_id, sizeof u->device_id, props, "device_id", u->serial[0] ? u->serial : u->id,
                  err)) < 0 ||
        (r = io_policy_parse(props, "werror", IO_ENOSPC, true, &u->werror, err)) < 0 ||
        (r = io_policy_parse(props, "rerror", IO_REPORT, false, &u->rerror, err)) < 0)
        return r;
    if ((logical & (logical - 1)) || (physical & (physical - 1)))
        return err_set(err, EINVAL, "%s: block sizes must be powers of two", u->id);
    u->target = (unsigned)MIN(target, UINT32_MAX);
    u->lun = (unsigned)lun;
    u->block_size = u->cd ? 2048 : (uint32_t)logical;
    u->physical_size = (uint32_t)MAX(physical, u->block_size);
    u->min_io = (uint32_t)min_io;
    u->opt_io = (uint32_t)opt_io;
    u->discard_granularity = (uint32_t)granularity;
    u->rotation_rate = (uint16_t)rate;
    return 0;
}

int scsi_unit_new(Props *props, bool cd, DeviceHost *host, Loop *loop, ScsiUnit **ret, Err *err)
{
    ScsiUnit *u = calloc(1, sizeof *u);
    const char *drive;
    int r;

    if (u == NULL)
        return err_set(err, ENOMEM, "out of memory");
    u->cd = cd;
    u->host = host;
    snprintf(u->id, sizeof u->id, "%s", props_id(props));
    r = parse(u, props, &drive, err);
    if (r == 0 && drive == NULL && !u->cd)
        r = err_set(err, EINVAL, "%s: drive property not set", u->id);
    if (r == 0 && drive != NULL) {
        u->block = host->block(host, drive);
        r = u->block ? block_attach_loop(u->block, loop, err)
                     : err_set(err, ENOENT, "%s: block node '%s' does not exist or is in use", u->id, drive);
    }
    if (r == 0 && u->block != NULL && u->block->info.alignment > u->block_size)
        r = err_set(err, EINVAL, "%s: logical_block_size %u is smaller than the %u bytes that '%s' needs",
                    u->id, u->block_size, u->block->info.alignment, drive);
    if (r < 0) {
        scsi_unit_free(u);
        return r;
    }
    u->stats = host->stats_block(host, u->id);
    if (u->block != NULL)
        scsi_unit_use_block(u, u->block);
    scsi_unit_set_attention(u, sense_power_on);
    *ret = u;
    return 0;
}

void scsi_unit_free(ScsiUnit *u)
{
    if (u == NULL)
        return;
    if (u->stats != NULL)
        u->stats->id[0] = '\0';
    if (u->block != NULL) {
        (void)block_attach_loop(u->block, u->host->main_loop, NULL);
        block_release(u->block);
    }
    free(u);
}
