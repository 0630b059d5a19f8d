/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-scsi with a disk and a CD-ROM under a hostile driver. */
#include "lib/device_fuzz.h"
#include "lib/fault_block.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/scsi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static FaultBlock *disk, *cd;

static void add(FakeGuest *guest, VirtioDevice *dev, FaultBlock *block, const char *json)
{
    json_t *object = json_loads(json, 0, NULL);
    Props *props = NULL;

    guest->block = &block->base;
    (void)props_new(object, NULL, NULL, &props, NULL);
    if (scsi_add_child(dev, props, NULL) < 0)
        __builtin_trap();
    props_free(props);
    json_decref(object);
}

static void made(FakeGuest *guest, VirtioDevice *dev)
{
    disk = fault_block_new(guest->loop, 1 << 18);
    cd = fault_block_new(guest->loop, 1 << 16);
    cd->base.info.read_only = true;
    add(guest, dev, disk, "{\"driver\":\"scsi-hd\",\"id\":\"hd\",\"drive\":\"d\",\"scsi-id\":0}");
    add(guest, dev, cd, "{\"driver\":\"scsi-cd\",\"id\":\"cd\",\"drive\":\"c\",\"scsi-id\":1}");
}

static void finish(FakeGuest *guest)
{
    (void)guest;
    block_close(&disk->base);
    block_close(&cd->base);
}

static void manage(FakeGuest *guest, VirtioDevice *dev, uint8_t what)
{
    guest->block = cd->base.claimed || what & 0x40 ? NULL : &cd->base;
    if (what & 0x80) {
        disk->error = what & 1 ? -28 : -5;
        disk->count = what >> 1 & 3;
    } else {
        (void)scsi_medium(dev, "cd", (ScsiMediumAction)(what % 4), what & 4, "c", NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const DeviceFuzz fuzz = {.create = scsi_create,
                                    .properties = "{\"id\":\"s\",\"virtqueue_size\":32}",
                                    .features = UINT32_MAX,
                                    .made = made,
                                    .finish = finish,
                                    .manage = manage};

    return device_fuzz_run(&fuzz, data, size);
}
