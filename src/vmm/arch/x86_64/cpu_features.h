/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of CPUID bits, as QEMU and libvirt spell them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { CPU_EAX, CPU_EBX, CPU_ECX, CPU_EDX };

typedef struct CpuFeature {
    const char *name;
    uint32_t function, index;
    uint8_t reg, bit;
} CpuFeature;

/* NULL when unknown. '_' and '-' are the same. */
const CpuFeature *cpu_feature_find(const char *name);
const CpuFeature *cpu_feature_find_len(const char *name, size_t len);

/* The feature of that leaf, register and bit; NULL when it has no name here. */
const CpuFeature *cpu_feature_at(const CpuFeature *where);
