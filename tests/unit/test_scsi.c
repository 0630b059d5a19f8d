/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-scsi through a fake guest: addressing, disk and CD-ROM commands, errors, task management, media. */
#include <errno.h>
#include <string.h>

#include "lib/device_fuzz.h"
#include "lib/fake_guest.h"
#include "lib/fault_block.h"
#include "lib/tap.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/scsi.h"

#define DISK_BYTES (1u << 20)
enum { CONTROL, EVENT, REQUEST };
enum { S_OK, S_OVERRUN, S_ABORTED, S_BAD_TARGET, S_RESET };
enum { HOTPLUG = 1, CHANGE = 2 };

typedef struct Rig {
    FakeGuest g;
    VirtioDevice *dev;
    FaultBlock *disk, *cd;
    uint64_t header, response, data;
    /* The last answer */
    uint8_t result, status, key, asc, ascq;
    uint32_t residual;
} Rig;

static int add_child(Rig *r, const char *json, FaultBlock *block)
{
    json_t *object = json_loads(json, 0, NULL);
    Props *props = NULL;
    Err err = {0};
    int e;

    r->g.block = block ? &block->base : NULL;
    props_new(object, NULL, NULL, &props, &err);
    e = scsi_add_child(r->dev, props, &err);
    if (e == 0)
        e = props_finish(props, &err);
    if (e < 0)
        printf("# %s\n", err.text);
    props_free(props);
    json_decref(object);
    return e;
}

static void set_up(Rig *r)
{
    memset(r, 0, sizeof *r);
    fake_guest_init(&r->g, 16 << 20);
    r->disk = fault_block_new(r->g.loop, DISK_BYTES);
    r->cd = fault_block_new(r->g.loop, 64 * 2048);
    r->cd->base.info.read_only = true;
    r->dev = device_from_json(&r->g, scsi_create, "{\"id\":\"scsi0\",\"virtqueue_size\":64}");
    ok(add_child(
           r,
           "{\"driver\":\"scsi-hd\",\"id\":\"hd0\",\"drive\":\"d\",\"scsi-id\":0,\"lun\":0,\"serial\":\"S1\","
           "\"wwn\":\"0x5000c50015ea71ac\"}",
           r->disk) == 0,
       "disk");
    ok(add_child(r, "{\"driver\":\"scsi-cd\",\"id\":\"cd0\",\"drive\":\"c\",\"scsi-id\":1,\"lun\":3}",
                 r->cd) == 0,
       "cd-rom");
    ok(fake_guest_start(&r->g, r->dev,
                        VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(HOTPLUG) | VIRTIO_BIT(CHANGE)) == 0,
       "starts");
    r->header = fake_guest_alloc(&r->g, 64);
    r->response = fake_guest_alloc(&r->g, 128);
    r->data = fake_guest_alloc(&r->g, 65536);
}

static void tear_down(Rig *r)
{
    fake_guest_stop(&r->g);
    block_close(&r->disk->base);
    block_close(&r->cd->base);
    fake_guest_destroy(&r->g);
}

static bool collect(Rig *r)
{
    uint32_t head, len;
    uint8_t *a;

    if (!fake_guest_used(&r->g, REQUEST, &head, &len))
        return false;
    a = fake_guest_host(&r->g, r->response, 108);
    memcpy(&r->residual, a + 4, 4);
    r->status = a[10];
    r->result = a[11];
    r->key = a[14];
    r->asc = a[24];
    r->ascq = a[25];
    return true;
}

static void send(Rig *r, unsigned target, unsigned lun, const uint8_t *cdb, size_t cdb_len, uint32_t out,
                 uint32_t in)
{
    uint8_t *h = fake_guest_host(&r->g, r->header, 64);
    FakeBuffer buffers[3] = {{r->header, 51, false}};
    unsigned n = 1;

    memset(h, 0, 51);
    h[0] = 1;
    h[1] = (uint8_t)target;
    h[2] = 0x40;
    h[3] = (uint8_t)lun;
    h[8] = 77; /* tag */
    memcpy(h + 19, cdb, cdb_len);
    memset(fake_guest_host(&r->g, r->response, 108), 0xee, 108);
    if (out > 0)
        buffers[n++] = (FakeBuffer){r->data, out, false};
    buffers[n++] = (FakeBuffer){r->response, 108, true};
    if (in > 0)
        buffers[n++] = (FakeBuffer){r->data, in, true};
    fake_guest_add(&r->g, REQUEST, n, buffers);
    fake_guest_kick(&r->g, REQUEST);
}

/* Command by its bytes; true: it came back. */
#define ASK(r, target, lun, out, in, ...)                                                                    \
    (send(r, target, lun, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), out, in),  \
     collect(r))
#define GOOD(r) ((r)->result == S_OK && (r)->status == 0)
#define SENSE(r, k, a, q)                                                                                    \
    ((r)->result == S_OK && (r)->status == 2 && (r)->key == (k) && (r)->asc == (a) && (r)->ascq == (q))

static uint8_t *data(Rig *r)
{
    return fake_guest_host(&r->g, r->data, 65536);
}

static void test_addressing(Rig *r)
{
    uint8_t *d = data(r);

    ok(ASK(r, 0, 0, 0, 0, 0) && SENSE(r, 6, 0x29, 0), "the first command hears of the power-on");
    ok(ASK(r, 0, 0, 0, 0, 0) && GOOD(r), "TEST UNIT READY");
    ok(ASK(r, 5, 0, 0, 0, 0) && r->result == S_BAD_TARGET, "no such target");
    ok(ASK(r, 1, 0, 0, 36, 0x12, 0, 0, 0, 36) && GOOD(r) && d[0] == 0x7f,
       "INQUIRY of a unit that is not there");
    ok(ASK(r, 1, 0, 0, 0, 0) && SENSE(r, 5, 0x25, 0), "other commands to it");
    ok(ASK(r, 1, 0, 0, 64, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64) && GOOD(r) && d[3] == 8 && d[9] == 3 &&
           r->residual == 48,
       "REPORT LUNS");
    ok(ASK(r, 0, 0, 0, 36, 0x12, 0, 0, 0, 36) && GOOD(r) && d[0] == 0 &&
           memcmp(d + 8, "KITE    KITE HARDDISK   1.0 ", 28) == 0,
       "INQUIRY");
    ok(ASK(r, 0, 0, 0, 64, 0x12, 1, 0x80, 0, 64) && GOOD(r) && d[3] == 2 && memcmp(d + 4, "S1", 2) == 0,
       "serial number");
    ok(ASK(r, 0, 0, 0, 64, 0x12, 1, 0x83, 0, 64) && GOOD(r) && d[3] == 18 && d[14] == 0x50 && d[21] == 0xac,
       "names");
    ok(ASK(r, 0, 0, 0, 64, 0x12, 1, 0xb2, 0, 64) && GOOD(r) && d[5] == 0xe0, "thin provisioning");
    ok(ASK(r, 0, 0, 0, 64, 0x12, 1, 0xcc, 0, 64) && SENSE(r, 5, 0x24, 0), "a page that is none");
    ok(ASK(r, 0, 0, 0, 0, 0xf7) && SENSE(r, 5, 0x20, 0), "a command that is none");
}

static void test_disk(Rig *r)
{
    uint8_t *d = data(r);

    ok(ASK(r, 0, 0, 0, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0) && GOOD(r) && d[2] == 7 && d[3] == 0xff &&
           d[6] == 2,
       "READ CAPACITY (10)");
    ok(ASK(r, 0, 0, 0, 32, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32) && GOOD(r) && d[6] == 7 &&
           d[14] == 0x80,
       "READ CAPACITY (16)");
    memset(d, 0x5a, 1024);
    ok(ASK(r, 0, 0, 1024, 0, 0x2a, 0, 0, 0, 0, 2, 0, 0, 2, 0) && GOOD(r) && r->residual == 0 &&
           r->disk->data[1024] == 0x5a && r->disk->data[2047] == 0x5a && r->disk->data[2048] == 0,
       "WRITE (10)");
    memset(d, 0, 2048);
    ok(ASK(r, 0, 0, 0, 2048, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2) && GOOD(r) && d[0] == 0x5a &&
           d[1023] == 0x5a && d[1024] == 0 && r->residual == 1024,
       "READ (16), the rest of the buffer is left");
    ok(ASK(r, 0, 0, 512, 0, 0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1) && GOOD(r) && r->disk->fua == 1,
       "FUA");
    ok(ASK(r, 0, 0, 0, 512, 0x28, 0, 0, 0, 0, 2, 0, 0, 2, 0) && r->result == S_OVERRUN,
       "a buffer that is too short");
    ok(ASK(r, 0, 0, 0, 512, 0x28, 0, 0, 0, 8, 0, 0, 0, 1, 0) && SENSE(r, 5, 0x21, 0), "beyond the end");
    ok(ASK(r, 0, 0, 0, 512, 0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1) &&
           SENSE(r, 5, 0x21, 0),
       "far beyond the end");
    ok(ASK(r, 0, 0, 0, 0, 0x35, 0) && GOOD(r) && r->disk->flushes == 1, "SYNCHRONIZE CACHE");
    memset(d, 0, 64);
    d[1] = 38;
    d[3] = 32;
    d[15] = 2; /* block 2, 1 block; block 4, 2 blocks */
    d[19] = 1;
    d[31] = 4;
    d[35] = 2;
    ok(ASK(r, 0, 0, 40, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0) && GOOD(r) && r->disk->discards == 2 &&
           r->disk->data[1024] == 0 && r->disk->data[1536] == 0x5a,
       "UNMAP");
    d[12] = 9;
    ok(ASK(r, 0, 0, 40, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0) && SENSE(r, 5, 0x21, 0) &&
           r->disk->discards == 2,
       "UNMAP beyond the end does nothing");
    memset(d, 0, 512);
    ok(ASK(r, 0, 0, 512, 0, 0x93, 8, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1) && GOOD(r) && r->disk->zeroes == 1 &&
           r->disk->data[1536] == 0,
       "WRITE SAME of zeroes");
    d[3] = 1;
    ok(ASK(r, 0, 0, 512, 0, 0x41, 0, 0, 0, 0, 0, 0, 1, 0, 0) && GOOD(r) && r->disk->data[3] == 1 &&
           r->disk->data[255 * 512 + 3] == 1 && r->disk->data[256 * 512 + 3] == 0,
       "WRITE SAME of a pattern");
    ok(ASK(r, 0, 0, 0, 64, 0x1a, 0, 8, 0, 64) && GOOD(r) && d[2] == 0x10 && d[3] == 8 && d[12] == 8 &&
           d[14] == 4,
       "MODE SENSE: write cache");
    memset(d, 0, 32);
    d[4] = 8;
    d[5] = 18;
    ok(ASK(r, 0, 0, 24, 0, 0x15, 0x10, 0, 0, 24) && GOOD(r), "MODE SELECT: write cache off");
    ok(ASK(r, 0, 0, 512, 0, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0) && GOOD(r) && r->disk->fua == 2,
       "then every write is durable");
    r->disk->base.info.read_only = true;
    ok(ASK(r, 0, 0, 512, 0, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0) && SENSE(r, 7, 0x27, 0), "write protection");
    r->disk->base.info.read_only = false;
}

static void test_errors(Rig *r)
{
    r->disk->error = -EIO;
    r->disk->count = 1;
    ok(ASK(r, 0, 0, 0, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0) && SENSE(r, 0x0b, 0, 6) && r->residual == 512 &&
           strcmp(r->g.last_event, "BLOCK_IO_ERROR") == 0 && r->g.stopped[0] == '\0',
       "a read error is reported");
    r->disk->error = -ENOSPC;
    r->disk->count = 1;
    ok(!ASK(r, 0, 0, 512, 0, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0) && strcmp(r->g.stopped, "io-error") == 0,
       "a full disk stops the VM");
    r->dev->ops->set_running(r->dev, false);
    ok(!collect(r), "the request waits");
    r->dev->ops->set_running(r->dev, true);
    ok(collect(r) && GOOD(r), "and is tried again when the VM goes on");
    r->disk->count = 1;
    (void)!ASK(r, 0, 0, 512, 0, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0);
    fake_guest_reset(&r->g);
    ok(fake_guest_start(&r->g, r->dev,
                        VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(HOTPLUG) | VIRTIO_BIT(CHANGE)) == 0 &&
           ASK(r, 0, 0, 0, 0, 0) && SENSE(r, 6, 0x29, 0),
       "a reset ends what waits, and is told");
}

static int task(Rig *r, unsigned subtype, unsigned tag)
{
    uint64_t at = fake_guest_alloc(&r->g, 64);
    uint8_t *p = fake_guest_host(&r->g, at, 64);
    uint32_t head, len;

    memset(p, 0, 64);
    p[4] = (uint8_t)subtype;
    p[8] = 1;
    p[16] = (uint8_t)tag;
    p[32] = 0xee;
    fake_guest_add(&r->g, CONTROL, 2, (FakeBuffer[]){{at, 24, false}, {at + 32, 1, true}});
    fake_guest_kick(&r->g, CONTROL);
    return fake_guest_used(&r->g, CONTROL, &head, &len) ? p[32] : -1;
}

static void test_tasks(Rig *r)
{
    uint32_t head, len;

    ok(task(r, 0, 1) == 0, "ABORT TASK of nothing");
    r->disk->defer = true;
    ok(!ASK(r, 0, 0, 0, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), "a read that takes its time");
    ok(task(r, 6, 77) == 10 && task(r, 6, 78) == 0, "QUERY TASK");
    ok(task(r, 0, 77) == -1, "ABORT TASK waits for it");
    r->disk->defer = false;
    fault_block_release(r->disk);
    ok(collect(r) && r->result == S_ABORTED && fake_guest_used(&r->g, CONTROL, &head, &len),
       "then both are answered");
    ok(task(r, 5, 0) == 0 && ASK(r, 0, 0, 0, 0, 0) && SENSE(r, 6, 0x29, 2), "LOGICAL UNIT RESET");
    ok(task(r, 2, 0) == 11, "CLEAR ACA is refused");
}

static int medium(Rig *r, ScsiMediumAction action, bool force)
{
    Err err = {0};
    int e = scsi_medium(r->dev, "cd0", action, force, "c", &err);

    if (e < 0)
        printf("# %s\n", err.text);
    return e;
}

static void test_cd(Rig *r)
{
    uint8_t *d = data(r);

    (void)!ASK(r, 1, 3, 0, 0, 0);
    ok(ASK(r, 1, 3, 0, 36, 0x12, 0, 0, 0, 36) && GOOD(r) && d[0] == 5 && d[1] == 0x80, "CD: INQUIRY");
    r->cd->data[2048] = 0x43;
    ok(ASK(r, 1, 3, 0, 2048, 0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0) && GOOD(r) && d[0] == 0x43,
       "CD: blocks of 2048 bytes");
    ok(ASK(r, 1, 3, 2048, 0, 0x2a, 0, 0, 0, 0, 1, 0, 0, 1, 0) && SENSE(r, 5, 0x20, 0),
       "CD: cannot be written");
    ok(ASK(r, 1, 3, 0, 64, 0x43, 0, 0, 0, 0, 0, 0, 0, 64, 0) && GOOD(r) && d[1] == 18 && d[6] == 1 &&
           d[14] == 0xaa && d[19] == 64,
       "CD: READ TOC");
    ok(ASK(r, 1, 3, 0, 64, 0x46, 0, 0, 0, 0, 0, 0, 0, 64, 0) && GOOD(r) && d[7] == 8,
       "CD: GET CONFIGURATION");
    ok(ASK(r, 1, 3, 0, 0, 0x1e, 0, 0, 0, 1, 0) && GOOD(r) && ASK(r, 1, 3, 0, 0, 0x1b, 0, 0, 0, 2, 0) &&
           SENSE(r, 5, 0x53, 2),
       "CD: a locked tray stays closed");
    ok(medium(r, SCSI_MEDIUM_REMOVE, false) < 0, "CD: no medium leaves a closed tray");
    r->g.events = 0;
    ok(medium(r, SCSI_TRAY_OPEN, false) == 0 && r->g.events == 0, "CD: management asks");
    ok(ASK(r, 1, 3, 0, 8, 0x4a, 1, 0, 0, 16, 0, 0, 0, 8, 0) && GOOD(r) && d[4] == 1 && d[5] == 2,
       "CD: the guest hears of it");
    ok(medium(r, SCSI_TRAY_OPEN, true) == 0 && strcmp(r->g.last_event, "DEVICE_TRAY_MOVED") == 0 &&
           strcmp(r->g.last_event_data, "{\"device\":\"\",\"id\":\"cd0\",\"tray-open\":true}") == 0,
       "CD: forced open");
    ok(ASK(r, 1, 3, 0, 0, 0) && SENSE(r, 2, 0x3a, 2), "CD: tray open");
    ok(medium(r, SCSI_MEDIUM_REMOVE, false) == 0 && !r->cd->base.claimed, "CD: medium removed");
    ok(medium(r, SCSI_TRAY_CLOSE, false) == 0 && ASK(r, 1, 3, 0, 0, 0) && SENSE(r, 2, 0x3a, 0), "CD: empty");
    ok(medium(r, SCSI_MEDIUM_INSERT, false) < 0, "CD: nothing goes into a closed tray");
    r->g.block = &r->cd->base;
    ok(medium(r, SCSI_TRAY_OPEN, true) == 0 && medium(r, SCSI_MEDIUM_INSERT, false) == 0 &&
           medium(r, SCSI_MEDIUM_INSERT, false) < 0 && medium(r, SCSI_TRAY_CLOSE, false) == 0,
       "CD: a medium goes in, once");
    ok(ASK(r, 1, 3, 0, 8, 0x4a, 1, 0, 0, 16, 0, 0, 0, 8, 0) && GOOD(r) && d[4] == 2, "CD: new media event");
    ok(ASK(r, 1, 3, 0, 0, 0) && SENSE(r, 6, 0x28, 0) && ASK(r, 1, 3, 0, 0, 0) && GOOD(r),
       "CD: medium may have changed");
    ok(ASK(r, 1, 3, 0, 0, 0x1e, 0, 0, 0, 0, 0) && ASK(r, 1, 3, 0, 0, 0x1b, 0, 0, 0, 2, 0) && GOOD(r) &&
           ASK(r, 1, 3, 0, 0, 0) && SENSE(r, 2, 0x3a, 2),
       "CD: the guest ejects");
}

static void test_hotplug(Rig *r)
{
    FaultBlock *third = fault_block_new(r->g.loop, DISK_BYTES);
    uint64_t at = fake_guest_alloc(&r->g, 64);
    uint8_t *p = fake_guest_host(&r->g, at, 64);
    uint32_t head, len;
    Err err = {0};

    fake_guest_add(&r->g, EVENT, 1, (FakeBuffer[]){{at, 16, true}});
    fake_guest_add(&r->g, EVENT, 1, (FakeBuffer[]){{at + 32, 16, true}});
    ok(add_child(r, "{\"driver\":\"scsi-hd\",\"id\":\"hd0\",\"drive\":\"d\"}", third) < 0,
       "an id in use is refused");
    ok(add_child(r, "{\"driver\":\"scsi-hd\",\"id\":\"hd9\",\"drive\":\"d\",\"scsi-id\":1,\"lun\":3}",
                 third) < 0,
       "an address in use is refused");
    ok(add_child(r, "{\"driver\":\"scsi-hd\",\"id\":\"hd9\",\"drive\":\"d\"}", third) == 0 &&
           fake_guest_used(&r->g, EVENT, &head, &len) && len == 16 && p[0] == 1 && p[5] == 2 && p[12] == 1,
       "a new disk takes the next target and is told");
    ok(ASK(r, 2, 0, 0, 0, 0) && SENSE(r, 6, 0x29, 0) && ASK(r, 2, 0, 0, 0, 0) && GOOD(r), "and works");
    ok(scsi_remove_child(r->dev, "hd9", &err) == 0 && fake_guest_used(&r->g, EVENT, &head, &len) &&
           p[32] == 1 && p[44] == 2,
       "its removal too");
    ok(ASK(r, 2, 0, 0, 0, 0) && r->result == S_BAD_TARGET, "then it is gone");
    ok(scsi_remove_child(r->dev, "hd9", &err) < 0, "once");
    block_close(&third->base);
}

static void test_short(Rig *r)
{
    fake_guest_add(&r->g, REQUEST, 2, (FakeBuffer[]){{r->header, 51, false}, {r->response, 107, true}});
    fake_guest_kick(&r->g, REQUEST);
    ok(r->g.needs_reset, "no room for the response: needs reset");
}

int main(void)
{
    Rig r;

    set_up(&r);
    test_addressing(&r);
    test_disk(&r);
    test_errors(&r);
    test_tasks(&r);
    test_cd(&r);
    test_hotplug(&r);
    test_short(&r);
    tear_down(&r);
    return done();
}
