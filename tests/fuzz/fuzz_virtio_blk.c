/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The block device under a hostile driver, on a node in memory that now and then fails or is resized. */
#include <errno.h>

#include "lib/device_fuzz.h"
#include "lib/fault_block.h"
#include "vmm/virtio/devices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static FaultBlock *node;

static void prepare(FakeGuest *guest)
{
    node = fault_block_new(guest->loop, 256 << 10);
    guest->block = &node->base;
}

static void manage(FakeGuest *guest, VirtioDevice *dev, uint8_t what)
{
    (void)guest;
    (void)dev;
    node->error = what & 1 ? -ENOSPC : -EIO;
    node->count = what >> 4;
    if (what & 2)
        (void)block_resize(&node->base, (uint64_t)(what >> 2 | 1) << 12, NULL);
}

static void finish(FakeGuest *guest)
{
    guest->block = NULL;
    block_close(&node->base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const DeviceFuzz fuzz = {.create = blk_create,
                                    .properties = "{\"id\":\"d\",\"drive\":\"x\",\"num-queues\":2,\"serial\":\"s\"}",
                                    .features = UINT32_MAX,
                                    .prepare = prepare,
                                    .manage = manage,
                                    .finish = finish};

    return device_fuzz_run(&fuzz, data, size);
}
