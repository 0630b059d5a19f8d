/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CD-ROM: what a Linux or Windows driver asks a drive with one data track (MMC-6), and the tray, which guest
 * and management both move.
 *
 *   tray closed, medium ──guest ejects, blockdev-open-tray──> open ──remove, insert medium──> open ──close──>
 * closed └── locked by the guest: management asks (media event "eject request"), the guest decides
 */
#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/virtio/scsi_unit.h"

/* --- MMC commands --- */

/* Address of a block as minute, second, frame (MMC-6, 4.2.3.1). */
static void put_address(uint8_t *p, uint32_t block, bool msf)
{
    if (!msf) {
        put_be32(p, block);
        return;
    }
    block += 150;
    p[0] = 0;
    p[1] = (uint8_t)(block / 75 / 60);
    p[2] = (uint8_t)(block / 75 % 60);
    p[3] = (uint8_t)(block % 75);
}

static unsigned put_track(uint8_t *p, uint8_t track, uint32_t block, bool msf)
{
    p[0] = 0;
    p[1] = 0x14; /* data, no copy protection */
    p[2] = track;
    p[3] = 0;
    put_address(p + 4, block, msf);
    return 8;
}

/* MMC-6, 6.25 */
void scsi_cd_read_toc(ScsiUnit *u, ScsiRequest *r)
{
    bool msf = r->cdb[1] & 2;
    uint8_t format = r->cdb[2] & 15, track = r->cdb[6], d[64] = {0};
    uint32_t end = (uint32_t)MIN(scsi_blocks(u), UINT32_MAX);
    unsigned n = 4;

    if (format == 0 && r->cdb[9] & 0xc0) /* the old place of the format */
        format = r->cdb[9] >> 6;
    d[2] = d[3] = 1;
    switch (format) {
    case 0:
        if (track > 1 && track != 0xaa) {
            scsi_fail(r, sense_invalid_field);
            return;
        }
        if (track <= 1)
            n += put_track(d + n, 1, 0, msf);
        n += put_track(d + n, 0xaa, end, msf);
        break;
    case 1: /* sessions */
        n += put_track(d + n, 1, 0, msf);
        break;
    default:
        scsi_fail(r, sense_invalid_field);
        return;
    }
    put_be16(d, (uint16_t)(n - 2));
    scsi_reply(r, d, n, get_be16(r->cdb + 7));
}

/* MMC-6, 5.3 and 6.6: profile list, core, removable medium, CD read */
void scsi_cd_get_configuration(ScsiUnit *u, ScsiRequest *r)
{
    /* A medium larger than a CD is a DVD to the driver. */
    bool medium = u->block != NULL && !u->tray_open, dvd = medium && scsi_blocks(u) > 450000;
    unsigned request = r->cdb[1] & 3, start = get_be16(r->cdb + 2), n = 8;
    uint8_t d[64] = {0};
    const uint8_t features[][16] = {
        /* code (2), version and flags, length, data */
        {0x00, 0x00, 0x03, 8, 0x00, 0x10, dvd, 0, 0x00, 0x08, medium && !dvd, 0},
        {0x00, 0x01, 0x0b, 8, 0, 0, 0, 1, 1, 0, 0, 0},
        {0x00, 0x03, 0x0b, 4, 0x29, 0, 0, 0},
        {0x00, 0x1e, 0x08 | (medium && !dvd), 4, 0, 0, 0, 0},
        {0x00, 0x1f, 0x08 | dvd, 4, 0, 0, 0, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(features); i++) {
        unsigned code = get_be16(features[i]), len = features[i][3] + 4u;

        if (code < start || (request == 2 && code != start) || (request == 1 && !(features[i][2] & 1)))
            continue;
        memcpy(d + n, features[i], len);
        n += len;
    }
    put_be32(d, n - 4);
    put_be16(d + 6, !medium ? 0 : dvd ? 0x0010 : 0x0008);
    scsi_reply(r, d, n, get_be16(r->cdb + 7));
}

/* MMC-6, 6.7: polled; only the media class */
void scsi_cd_event_status(ScsiUnit *u, ScsiRequest *r)
{
    uint8_t d[8] = {0};
    unsigned n = 4;

    if (!(r->cdb[1] & 1)) {
        scsi_fail(r, sense_invalid_field);
        return;
    }
    d[3] = 1 << 4; /* supported classes */
    if (r->cdb[4] & 1 << 4) {
        d[2] = 4;
        d[4] = u->media_event ? (u->block && !u->tray_open ? 2 : 3) : u->eject_requested ? 1 : 0;
        d[5] = (uint8_t)((u->tray_open ? 1 : 0) | (u->block != NULL && !u->tray_open ? 2 : 0));
        u->media_event = u->eject_requested = false;
        n = 8;
    } else {
        d[2] = 0x80; /* no event available */
    }
    put_be16(d, (uint16_t)(n - 2));
    scsi_reply(r, d, n, get_be16(r->cdb + 7));
}

/* MMC-6, 6.22 */
void scsi_cd_disc_information(ScsiUnit *u, ScsiRequest *r)
{
    uint8_t d[34] = {0};

    (void)u;
    if ((r->cdb[1] & 7) != 0) {
        scsi_fail(r, sense_invalid_field);
        return;
    }
    put_be16(d, sizeof d - 2);
    d[2] = 0x0e; /* last session complete, disc finalized */
    d[3] = d[4] = d[5] = d[6] = 1;
    d[7] = 0x20; /* unrestricted use */
    scsi_reply(r, d, sizeof d, get_be16(r->cdb + 7));
}

/* MMC-6, 6.10 */
void scsi_cd_mechanism_status(ScsiUnit *u, ScsiRequest *r)
{
    uint8_t d[8] = {0};

    d[1] = u->tray_open ? 0x10 : 0;
    d[5] = 1; /* one slot */
    scsi_reply(r, d, sizeof d, get_be16(r->cdb + 8));
}

/* Mode page 2Ah (MMC-3, 6.3.11): what old drivers look at. */
void scsi_cd_capabilities_page(const ScsiUnit *u, uint8_t page[22])
{
    page[2] = 0x3b; /* reads CD-R, CD-RW, DVD-ROM, DVD-R */
    page[4] = 0x70; /* multi-session, mode 2 */
    page[6] = (uint8_t)(0x29 | (u->locked ? 2 : 0)); /* tray, ejects, locks */
    put_be16(page + 8, 50 * 176);
    put_be16(page + 10, 2);
    put_be16(page + 12, 2048);
    put_be16(page + 14, 16 * 176);
}

void scsi_cd_start_stop(ScsiUnit *u, ScsiRequest *r)
{
    bool start = r->cdb[4] & 1, load_eject = r->cdb[4] & 2;

    if (load_eject && (r->cdb[4] & 0xf0) == 0) {
        if (!start && u->locked && !u->tray_open) {
            scsi_fail(r, sense_removal_prevented);
            return;
        }
        scsi_cd_move_tray(u, !start);
    }
    scsi_done(r);
}

void scsi_cd_prevent(ScsiUnit *u, ScsiRequest *r)
{
    u->locked = r->cdb[4] & 1;
    scsi_done(r);
}

/* --- tray and medium --- */

void scsi_cd_move_tray(ScsiUnit *u, bool open)
{
    if (u->tray_open == open)
        return;
    u->tray_open = open;
    u->media_event = true;
    u->eject_requested = false;
    if (!open && u->block != NULL)
        scsi_unit_set_attention(u, sense_medium_changed);
    u->host->event(u->host, "DEVICE_TRAY_MOVED",
                   json_pack("{s:s, s:s, s:b}", "device", "", "id", u->id, "tray-open", open));
}

int scsi_cd_open_tray(ScsiUnit *u, bool force, Err *err)
{
    if (!u->removable)
        return err_set(err, ENOTSUP, "Device '%s' is not removable", u->id);
    if (!u->tray_open && u->locked && !force) {
        u->eject_requested = true; /* no error: the guest may open it, DEVICE_TRAY_MOVED tells */
        return 0;
    }
    scsi_cd_move_tray(u, true);
    return 0;
}

Block *scsi_cd_take_medium(ScsiUnit *u)
{
    Block *block = u->block;

    if (block != NULL)
        block_drain(block);
    scsi_unit_abort_stopped(u); /* they were for this medium */
    u->block = NULL;
    return block;
}

void scsi_cd_put_medium(ScsiUnit *u, Block *block)
{
    scsi_unit_use_block(u, block);
}
