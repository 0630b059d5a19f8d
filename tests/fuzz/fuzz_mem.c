/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The virtio-mem device under a hostile driver. */
#include "lib/device_fuzz.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void manage(FakeGuest *guest, VirtioDevice *dev, uint8_t what)
{
    json_t *value = json_integer((json_int_t)(what % 64) << 20);

    (void)guest;
    (void)dev->ops->set_property(dev, "requested-size", value, NULL);
    json_decref(value);
    json_decref(mem_describe(dev));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const DeviceFuzz fuzz = {
        .create = mem_create,
        .properties = "{\"id\":\"m\",\"size\":33554432,\"block-size\":1048576,\"requested-size\":16777216,"
                      "\"memaddr\":4294967296}",
        .features = UINT32_MAX,
        .manage = manage};

    return device_fuzz_run(&fuzz, data, size);
}
