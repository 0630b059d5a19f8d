/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between qemu_probe.c, qemu_caps.c, qemu_caps_cache.c and their tests. */
#pragma once

#include <jansson.h>

#include "driver/host/qemu_caps.h"

/* From the probe's document, which may come from a file and is not trusted to be whole. New reference. */
QemuCaps *qemu_caps_from_json(const char *binary, json_t *doc, GError **error);
