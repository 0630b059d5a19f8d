/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hostile driver made of bytes: what a fuzz target of a virtio device is. The input is a list of steps (rings
 * shown to the device, raw descriptors, kicks, writes to the configuration space, resets, pauses); see
 * device_fuzz_run(). A target brings the constructor, its properties and a hook for what else the device has.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/fake_guest.h"
#include "vmm/props.h"

typedef struct DeviceFuzz {
    int (*create)(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err);
    const char *properties; /* JSON object */
    uint64_t features; /* offered to the driver beyond VERSION_1 */
    /* After the guest exists, before the device is made; and before all goes. May be NULL. */
    void (*prepare)(FakeGuest *guest);
    void (*made)(FakeGuest *guest, VirtioDevice *dev);
    void (*finish)(FakeGuest *guest);
    /* One byte of the input: something that management does. May be NULL. */
    void (*manage)(FakeGuest *guest, VirtioDevice *dev, uint8_t what);
} DeviceFuzz;

int device_fuzz_run(const DeviceFuzz *fuzz, const uint8_t *data, size_t size);
/* A device from its properties; NULL (and a line that says why) when they are refused. */
VirtioDevice *device_from_json(FakeGuest *guest,
                               int (*create)(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err),
                               const char *json);
