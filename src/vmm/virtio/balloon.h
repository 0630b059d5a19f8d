/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What QMP's balloon and query-balloon ask of the balloon device. Main thread. */
#pragma once

#include <stdint.h>

#include "vmm/virtio/virtio.h"

/* Bytes of RAM that the guest has, the balloon taken off. */
uint64_t balloon_actual(VirtioDevice *dev);
/* Asks the guest to come to that many bytes; more than its RAM means all of it. */
void balloon_set_target(VirtioDevice *dev, uint64_t bytes);
