/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The capabilities document of virConnectGetCapabilities: this host, and what kinds of guests it can run. */
#pragma once

#include <glib.h>

#include "driver/host/host.h"
#include "driver/host/qemu_caps.h"

/* Caller frees. vmm: path of kite-vmm where it is installed, or NULL. A host with neither it nor QEMU has no <guest>.
 * default_machine (alias or name) is listed first: clients that do not
 * know us take the first. */
char *capabilities_xml(Host *host, QemuCapsCache *cache, const char *default_machine, const char *vmm,
                       GError **error);
