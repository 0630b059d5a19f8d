/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The capabilities of a QEMU 7.2 with TCG and a small software KVM, without running one. */
#pragma once

#include "driver/host/qemu_caps.h"

/* New reference; what is wrong with the recording fails the test. */
QemuCaps *recorded_caps(void);
/* The same with the words that QEMU 11.1 says beside or instead of 7.2's, as far as command lines depend on them. */
QemuCaps *recorded_caps_newer(void);
