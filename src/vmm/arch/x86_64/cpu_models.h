/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CPU models by name. */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>

#include "common/err.h"
#include "vmm/arch/x86_64/cpu_features.h"

/* "host" and "max", which are whatever the host is. */
bool cpu_model_is_host(const char *model);
/* What a model has, whether or not it is offered: "host" and "max" have all that is. -EINVAL: no such model. */
int cpu_model_words(const char *model, const CpuWords *offered, CpuWords *ret, Err *err);
/* Its vendor, family, model, stepping and text; of "host" and "max" they are the host's. */
void cpu_model_identify(struct kvm_cpuid2 *cpuid, const char *model);
