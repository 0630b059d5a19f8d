/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kite-vmm's side of the contract with the daemon, for tests of the daemon's side; no GLib. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether kite-vmm's reader takes the description; else its words are in problem. */
bool vmm_side_accepts(const char *text, char *problem, size_t size);
bool vmm_side_has_device(const char *driver);
bool vmm_side_has_cpu_model(const char *name);
/* Whether it has a feature of that name in that bit of that register (reg 0 to 3: EAX to EDX; 4: leaf is an MSR). */
bool vmm_side_has_cpu_feature(const char *name, uint32_t leaf, uint32_t subleaf, unsigned reg, unsigned bit);
