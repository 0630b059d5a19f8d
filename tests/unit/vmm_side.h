/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kite-vmm's side of the contract with the daemon, for tests of the daemon's side; no GLib. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether kite-vmm's reader takes the description; else its words are in problem. */
bool vmm_side_accepts(const char *text, char *problem, size_t size);
bool vmm_side_has_device(const char *driver);
bool vmm_side_has_cpu_model(const char *name);
bool vmm_side_has_cpu_feature(const char *name);
