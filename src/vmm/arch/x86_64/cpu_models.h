/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CPU models by name. */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>

#include "common/err.h"

/* Cuts what the host has down to the model: "host" and "max" leave it, a named model keeps only its own
 * features and takes its family, model and stepping. With enforce an error names what the host
 * lacks; else that is left out. */
int cpu_model_apply(struct kvm_cpuid2 *cpuid, const char *model, bool enforce, Err *err);
