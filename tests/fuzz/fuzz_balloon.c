/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The balloon device under a hostile driver. */
#include "lib/device_fuzz.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/devices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void manage(FakeGuest *guest, VirtioDevice *dev, uint8_t what)
{
    json_t *value = json_integer(what % 3), *stats = NULL;

    (void)guest;
    balloon_set_target(dev, (uint64_t)what << 16);
    (void)dev->ops->set_property(dev, "guest-stats-polling-interval", value, NULL);
    (void)dev->ops->get_property(dev, "guest-stats", &stats, NULL);
    json_decref(value);
    json_decref(stats);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const DeviceFuzz fuzz = {.create = balloon_create,
                                    .properties = "{\"id\":\"b\",\"free-page-reporting\":true,\"deflate-on-oom\":true}",
                                    .features = UINT32_MAX,
                                    .manage = manage};

    return device_fuzz_run(&fuzz, data, size);
}
