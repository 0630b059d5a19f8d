/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of all device elements. A new element: its def_<element>.{c,h} with
 * "extern const DeviceDefOps <element>_def_ops;", its line here and in DeviceKind.
 */
#include "driver/conf/device_def.h"

#include "common/error.h"
#include "driver/conf/domain_def.h"

ENUM_TABLE(device_kind, DeviceKind, DEVICE_KIND_LAST, "disk", "controller", "lease", "filesystem", "interface",
           "smartcard", "serial", "parallel", "console", "channel", "input", "tpm", "graphics", "sound", "audio",
           "video", "hostdev", "redirdev", "redirfilter", "hub", "watchdog", "memballoon", "rng", "panic", "shmem",
           "memory", "iommu", "vsock", "crypto")

/* An element without ops is one that this build ignores. */
static const DeviceDefOps *const device_table[DEVICE_KIND_LAST] = {
    [DEVICE_DISK] = NULL,
};

const DeviceDefOps *device_def_ops(DeviceKind kind)
{
    return kind < DEVICE_KIND_LAST ? device_table[kind] : NULL;
}

int device_kind_of_element(xmlNodePtr node)
{
    int kind = device_kind_from_string((const char *)node->name);

    return kind >= 0 && device_table[kind] != NULL ? kind : -1;
}
