/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of CPUID bits and of bits of MSRs, as QEMU and libvirt spell them, and sets of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CPU_EAX, CPU_EBX, CPU_ECX, CPU_EDX, CPU_MSR };
#define CPU_ARCH_CAPABILITIES 0x10a /* IA32_ARCH_CAPABILITIES */

typedef struct CpuFeature {
    const char *name;
    uint32_t function, index; /* of an MSR its number, and 0 */
    uint8_t reg, bit;
} CpuFeature;

/* NULL when unknown. '_' and '-' are the same. */
const CpuFeature *cpu_feature_find(const char *name);
const CpuFeature *cpu_feature_find_len(const char *name, size_t len);

/* The feature of that leaf, register and bit; NULL when it has no name here. */
const CpuFeature *cpu_feature_at(const CpuFeature *where);

/* A set of features: the registers that hold them, each by its place in cpu_word_at(). */
enum { CPU_WORDS = 21 };
typedef struct CpuWords {
    uint32_t bits[CPU_WORDS];
} CpuWords;

/* Which register that is (name and bit say nothing); NULL from CPU_WORDS on. */
const CpuFeature *cpu_word_at(unsigned i);
/* CPU_WORDS: in none. */
unsigned cpu_word_of(const CpuFeature *feature);
bool cpu_words_have(const CpuWords *set, const CpuFeature *feature);
void cpu_words_put(CpuWords *set, const CpuFeature *feature, bool on);
/* Those of the set that have a name, one after the other: *position begins with 0. NULL after the last. */
const CpuFeature *cpu_words_next(const CpuWords *set, unsigned *position);
