/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of CPUID bits, as QEMU and libvirt spell them, and CPU models as lists of them. */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

enum { CPU_EAX, CPU_EBX, CPU_ECX, CPU_EDX };

typedef struct CpuFeature {
    const char *name;
    uint32_t function, index;
    uint8_t reg, bit;
} CpuFeature;

/* NULL when unknown. '_' and '-' are the same. */
const CpuFeature *cpu_feature_find(const char *name);

/* Cuts what the host has down to the model: "host" and "max" leave it, a named model keeps only its own
 * features and takes its family, model and stepping. With enforce an error names what the host
 * lacks; else that is left out. */
int cpu_model_apply(struct kvm_cpuid2 *cpuid, const char *model, bool enforce, Err *err);
