/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which models, buses and back ends a guest may have: one table, read by the devices' validation and by the
 * domain capabilities, so that the two never disagree. Lists are NULL-terminated, static, in libvirt's order.
 */
#pragma once

#include <glib.h>

typedef enum {
    SUPPORTED_DISK_DEVICE = 0, /* disk/@device */
    SUPPORTED_DISK_BUS,        /* disk/target/@bus */
    SUPPORTED_DISK_MODEL,
    SUPPORTED_DISK_SOURCE, /* disk/@type that can be started */
    SUPPORTED_GRAPHICS,
    SUPPORTED_VIDEO,
    SUPPORTED_HOSTDEV_MODE,
    SUPPORTED_HOSTDEV_TYPE,
    SUPPORTED_STARTUP_POLICY,
    SUPPORTED_RNG_MODEL,
    SUPPORTED_RNG_BACKEND,
    SUPPORTED_FILESYSTEM_DRIVER,
    SUPPORTED_TPM_MODEL,
    SUPPORTED_TPM_BACKEND,
    SUPPORTED_TPM_VERSION,
    SUPPORTED_REDIRDEV_BUS,
    SUPPORTED_CHANNEL_TYPE,
    SUPPORTED_INTERFACE_MODEL,
    SUPPORTED_INTERFACE_TYPE,
    SUPPORTED_INPUT_BUS,
    SUPPORTED_SOUND_MODEL,
    SUPPORTED_WATCHDOG_MODEL,
    SUPPORTED_PANIC_MODEL,
    SUPPORTED_CRYPTO_MODEL,
    SUPPORTED_MEMORY_MODEL,
    SUPPORTED_LAST
} Supported;

/* Never NULL. */
const char *const *supported_values(Supported what);
gboolean supported_has(Supported what, const char *value);
/* VIR_ERR_CONFIG_UNSUPPORTED "<element> <what> '<value>' is not supported; supported are a, b, c" when value is
 * given and not in the list. */
gboolean supported_check(Supported what, const char *value, const char *element, GError **error);
