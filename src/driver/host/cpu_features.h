/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Features of x86 CPUs by libvirt's names: numbers for them, sets of them, QEMU's and Linux' names for them. A number is
 * a feature's place in cpu_feature_table.h, the order in which documents list them. All of it is constant; any thread.
 */
#pragma once

#include <glib.h>

enum { CPU_FEATURES_MAX = 256 };

typedef struct CpuFeatures {
    guint64 bits[CPU_FEATURES_MAX / 64];
} CpuFeatures;

/* -1: no feature of that name. */
int cpu_feature_number(const char *name);
/* A static string, NULL from the count of features on. */
const char *cpu_feature_name(guint number);
gboolean cpu_feature_known(const char *name);
/* Takes what QEMU calls it ("sse3", "lahf-lm") to libvirt's name; static. NULL: libvirt has no name for it. */
const char *cpu_feature_from_qemu(const char *qemu_name);
/* QEMU's own spelling of one of libvirt's names; the name itself when nobody translates it. */
const char *cpu_feature_to_qemu(const char *name);
/* From the flags line of /proc/cpuinfo; static, NULL when libvirt has no name for it. */
const char *cpu_feature_from_linux(const char *flag);
/* Not in a CPUID leaf but in a bit of an MSR. */
gboolean cpu_feature_in_msr(guint number);
/* FALSE: a guest that has it cannot be migrated. */
gboolean cpu_feature_migratable(guint number);

static inline gboolean cpu_features_has(const CpuFeatures *set, guint number)
{
    return (set->bits[number / 64] >> number % 64 & 1) != 0;
}

static inline void cpu_features_set(CpuFeatures *set, guint number, gboolean on)
{
    guint64 bit = G_GUINT64_CONSTANT(1) << number % 64;

    if (on)
        set->bits[number / 64] |= bit;
    else
        set->bits[number / 64] &= ~bit;
}

/* A name that nobody knows is left out, or not there. */
void cpu_features_add_name(CpuFeatures *set, const char *name);
gboolean cpu_features_has_name(const CpuFeatures *set, const char *name);
void cpu_features_add(CpuFeatures *set, const CpuFeatures *more);
void cpu_features_subtract(CpuFeatures *set, const CpuFeatures *less);
void cpu_features_intersect(CpuFeatures *set, const CpuFeatures *other);
gboolean cpu_features_empty(const CpuFeatures *set);
/* Names in the order of documents. Caller frees. */
char *cpu_features_join(const CpuFeatures *set, const char *separator);
/* The lowest number from `from` on, -1: none. */
int cpu_features_next(const CpuFeatures *set, guint from);
#define CPU_FEATURES_FOREACH(number, set)                                                                      \
    for (int number = cpu_features_next(set, 0); number >= 0; number = cpu_features_next(set, (guint)number + 1))

/* One register that CPUID has for a leaf; reg 0 to 3: EAX, EBX, ECX, EDX; CPU_WORD_MSR: leaf is an MSR's number. */
enum { CPU_WORD_MSR = 4 };
typedef struct CpuWord {
    guint32 leaf, subleaf, reg, value;
} CpuWord;
/* Adds what its bits mean. */
void cpu_features_add_word(CpuFeatures *set, const CpuWord *word);
/* The n-th register that has features, value 0; FALSE from their count on. */
gboolean cpu_features_word(guint n, CpuWord *ret);
