/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table behind cpu_models.h; included by cpu_models.c only. It says what libvirt takes a model for; what a guest of
 * kite-vmm gets by that name is QEMU's affair (vmm/arch/x86_64/cpu_models.c), and the two differ. */
#pragma once

#include <glib.h>

#define INTEL "Intel"
#define AMD "AMD"
#define HYGON "Hygon"

/* Whom a model may be chosen for when a set of features is to be named. */
typedef enum { NAMES_NOBODY, NAMES_HOSTS, NAMES_ALL } ModelNames;

enum { ANY_STEPPING = 0 };
#define STEPPINGS(from, to) (((1u << ((to) - (from) + 1)) - 1) << (from))

/* A model: what it has more (+) and less (-) than its base; !name: it once had that, and a guest is told that it has
 * not, for a QEMU that still thinks so. */
typedef struct ModelRow {
    const char *name, *vendor;
    guint family;        /* 0: no processor of that name to recognise */
    guint16 models[4];   /* of that family; further ones are 0 where there are fewer */
    guint16 steppings;   /* set of bits, ANY_STEPPING */
    ModelNames names;
    const char *base, *delta;
} ModelRow;

static const ModelRow model_rows[] = {
    {"486", NULL, 0, {0}, ANY_STEPPING, NAMES_ALL, NULL,
     "+fpu +pse +vme"},
    {"pentium", NULL, 0, {0}, ANY_STEPPING, NAMES_ALL, "486",
     "+cx8 +de +mce +mmx +msr +tsc"},
    {"pentium2", NULL, 0, {0}, ANY_STEPPING, NAMES_ALL, "pentium",
     "+cmov +fxsr +mca +mtrr +pae +pat +pge +pse36 +sep"},
    {"pentium3", NULL, 0, {0}, ANY_STEPPING, NAMES_ALL, "pentium2",
     "+sse"},
    {"pentiumpro", NULL, 0, {0}, ANY_STEPPING, NAMES_ALL, "pentium3",
     "+apic +sse2 -mca -mtrr -pse36 -vme"},
    {"coreduo", INTEL, 0, {0}, ANY_STEPPING, NAMES_ALL, "pentiumpro",
     "+clflush +mca +monitor +mtrr +nx +pni +vme"},
    {"n270", INTEL, 0, {0}, ANY_STEPPING, NAMES_ALL, "coreduo",
     "+ssse3"},
    {"core2duo", INTEL, 0, {0}, ANY_STEPPING, NAMES_ALL, "n270",
     "+lm +pse36 +syscall"},
    {"qemu32", NULL, 0, {0}, ANY_STEPPING, NAMES_ALL, "pentiumpro",
     "+pni"},
    {"kvm32", NULL, 0, {0}, ANY_STEPPING, NAMES_ALL, "qemu32",
     "+clflush +mca +mtrr +pse36"},
    {"cpu64-rhel5", NULL, 0, {0}, ANY_STEPPING, NAMES_NOBODY, "kvm32",
     "+lm +nx +syscall"},
    {"cpu64-rhel6", NULL, 0, {0}, ANY_STEPPING, NAMES_NOBODY, "cpu64-rhel5",
     "+cx16 +lahf_lm"},
    {"qemu64", NULL, 0, {0}, ANY_STEPPING, NAMES_ALL, "cpu64-rhel6",
     "+svm -lahf_lm"},
    {"kvm64", NULL, 0, {0}, ANY_STEPPING, NAMES_ALL, "qemu64",
     "-svm"},
    {"Conroe", INTEL, 6, {15, 22}, ANY_STEPPING, NAMES_ALL, "cpu64-rhel6",
     "+ssse3 -cx16"},
    {"Penryn", INTEL, 6, {23, 29}, ANY_STEPPING, NAMES_ALL, "Conroe",
     "+cx16 +sse4.1"},
    {"Nehalem", INTEL, 6, {26, 30, 31, 46}, ANY_STEPPING, NAMES_ALL, "Penryn",
     "+popcnt +sse4.2"},
    {"Nehalem-IBRS", INTEL, 6, {26, 30, 31, 46}, ANY_STEPPING, NAMES_ALL, "Nehalem",
     "+spec-ctrl"},
    {"Westmere", INTEL, 6, {44, 47, 37}, ANY_STEPPING, NAMES_ALL, "Nehalem",
     "+aes"},
    {"Westmere-IBRS", INTEL, 6, {44}, ANY_STEPPING, NAMES_ALL, "Westmere",
     "+spec-ctrl"},
    {"SandyBridge", INTEL, 6, {42, 45}, ANY_STEPPING, NAMES_ALL, "Westmere",
     "+avx +pclmuldq +rdtscp +tsc-deadline +x2apic +xsave"},
    {"SandyBridge-IBRS", INTEL, 6, {42, 45}, ANY_STEPPING, NAMES_ALL, "SandyBridge",
     "+spec-ctrl"},
    {"IvyBridge", INTEL, 6, {58, 62}, ANY_STEPPING, NAMES_ALL, "SandyBridge",
     "+erms +f16c +fsgsbase +rdrand +smep +vme"},
    {"IvyBridge-IBRS", INTEL, 6, {58, 62}, ANY_STEPPING, NAMES_ALL, "IvyBridge",
     "+spec-ctrl"},
    {"Haswell-noTSX", INTEL, 6, {60, 63, 69, 70}, ANY_STEPPING, NAMES_ALL, "IvyBridge",
     "+avx2 +bmi1 +bmi2 +fma +invpcid +movbe +pcid -f16c -rdrand -vme"},
    {"Haswell-noTSX-IBRS", INTEL, 6, {60, 63, 69, 70}, ANY_STEPPING, NAMES_ALL, "Haswell-noTSX",
     "+spec-ctrl"},
    {"Haswell", INTEL, 6, {60, 63, 69, 70}, ANY_STEPPING, NAMES_ALL, "Haswell-noTSX",
     "+hle +rtm"},
    {"Haswell-IBRS", INTEL, 6, {60, 63, 69, 70}, ANY_STEPPING, NAMES_ALL, "Haswell",
     "+spec-ctrl"},
    {"Broadwell-noTSX", INTEL, 6, {61, 71, 79, 86}, ANY_STEPPING, NAMES_ALL, "Haswell-noTSX",
     "+3dnowprefetch +adx +rdseed +smap"},
    {"Broadwell-noTSX-IBRS", INTEL, 6, {61, 71, 79, 86}, ANY_STEPPING, NAMES_ALL, "Broadwell-noTSX",
     "+spec-ctrl"},
    {"Broadwell", INTEL, 6, {61, 71, 79, 86}, ANY_STEPPING, NAMES_ALL, "Broadwell-noTSX",
     "+hle +rtm"},
    {"Broadwell-IBRS", INTEL, 6, {61, 71, 79, 86}, ANY_STEPPING, NAMES_ALL, "Broadwell",
     "+spec-ctrl"},
    {"Skylake-Client", INTEL, 6, {94, 78, 142, 158}, ANY_STEPPING, NAMES_ALL, "Broadwell",
     "+abm +arat +f16c +mpx +rdrand +vme +xgetbv1 +xsavec +xsaveopt"},
    {"Skylake-Client-IBRS", INTEL, 6, {94, 78, 142, 158}, ANY_STEPPING, NAMES_ALL, "Skylake-Client",
     "+spec-ctrl"},
    {"Skylake-Client-noTSX-IBRS", INTEL, 6, {94, 78, 142, 158}, ANY_STEPPING, NAMES_HOSTS,
     "Skylake-Client-IBRS", "-hle -rtm"},
    {"Skylake-Server", INTEL, 6, {85}, STEPPINGS(0, 4), NAMES_ALL, "Skylake-Client",
     "+avx512bw +avx512cd +avx512dq +avx512f +avx512vl +clwb +pdpe1gb"},
    {"Skylake-Server-IBRS", INTEL, 6, {85}, STEPPINGS(0, 4), NAMES_ALL, "Skylake-Server",
     "+spec-ctrl"},
    {"Skylake-Server-noTSX-IBRS", INTEL, 6, {85}, STEPPINGS(0, 4), NAMES_HOSTS, "Skylake-Server-IBRS",
     "-hle -rtm"},
    {"Cascadelake-Server", INTEL, 6, {85}, STEPPINGS(5, 7), NAMES_ALL, "Skylake-Server-IBRS",
     "+avx512vnni +clflushopt +ssbd"},
    {"Cascadelake-Server-noTSX", INTEL, 6, {85}, STEPPINGS(5, 7), NAMES_HOSTS, "Cascadelake-Server",
     "-hle -rtm"},
    {"Icelake-Client", INTEL, 6, {126}, ANY_STEPPING, NAMES_ALL, "Skylake-Client-IBRS",
     "+avx512-vpopcntdq +avx512bitalg +avx512vbmi +avx512vbmi2 +avx512vnni +gfni !intel-pt +pku +ssbd "
     "+umip +vaes +vpclmulqdq +wbnoinvd"},
    {"Icelake-Client-noTSX", INTEL, 6, {126}, ANY_STEPPING, NAMES_HOSTS, "Icelake-Client",
     "!intel-pt -hle -rtm"},
    {"Icelake-Server", INTEL, 6, {106}, ANY_STEPPING, NAMES_ALL, "Icelake-Client",
     "!intel-pt +avx512bw +avx512cd +avx512dq +avx512f +avx512vl +clflushopt +clwb +la57 +pdpe1gb"},
    {"Icelake-Server-noTSX", INTEL, 6, {106}, ANY_STEPPING, NAMES_HOSTS, "Icelake-Server",
     "!intel-pt -hle -rtm"},
    {"Cooperlake", INTEL, 6, {85}, STEPPINGS(10, 11), NAMES_ALL, "Cascadelake-Server",
     "+arch-capabilities +avx512-bf16 +ibrs-all +mds-no +pku +pschange-mc-no +rdctl-no "
     "+skip-l1dfl-vmentry +stibp +taa-no -mpx"},
    {"Snowridge", INTEL, 6, {134}, ANY_STEPPING, NAMES_ALL, "IvyBridge-IBRS",
     "+3dnowprefetch +arat +arch-capabilities +cldemote +clflushopt +clwb +core-capability +gfni "
     "+movbe +movdir64b +movdiri +pdpe1gb +rdseed +sha-ni +smap +split-lock-detect +ssbd +umip "
     "+xgetbv1 +xsavec +xsaveopt -avx -f16c"},
    {"athlon", AMD, 0, {0}, ANY_STEPPING, NAMES_ALL, "pentiumpro",
     "+3dnow +3dnowext +mmxext +mtrr +pse36 +vme"},
    {"phenom", AMD, 0, {0}, ANY_STEPPING, NAMES_ALL, "qemu64",
     "+3dnow +3dnowext +fxsr_opt +mmxext +monitor -cx16"},
    {"Opteron_G1", AMD, 15, {6}, ANY_STEPPING, NAMES_ALL, "cpu64-rhel5",
     ""},
    {"Opteron_G2", AMD, 15, {6}, ANY_STEPPING, NAMES_ALL, "qemu64",
     "+lahf_lm +rdtscp"},
    {"Opteron_G3", AMD, 15, {6}, ANY_STEPPING, NAMES_ALL, "Opteron_G2",
     "+abm +misalignsse !monitor +popcnt +sse4a"},
    {"Opteron_G4", AMD, 21, {1}, ANY_STEPPING, NAMES_ALL, "SandyBridge",
     "+3dnowprefetch +abm +fma4 +misalignsse +pdpe1gb +sse4a +svm +xop -tsc-deadline -x2apic"},
    {"Opteron_G5", AMD, 21, {2}, ANY_STEPPING, NAMES_ALL, "Opteron_G4",
     "+f16c +fma +tbm"},
    {"EPYC", AMD, 23, {1}, ANY_STEPPING, NAMES_ALL, "Skylake-Client-noTSX-IBRS",
     "+clflushopt +cr8legacy +fxsr_opt +misalignsse +mmxext !monitor +osvw +pdpe1gb +sha-ni +sse4a "
     "+svm -erms -invpcid -mpx -pcid -spec-ctrl -tsc-deadline -x2apic"},
    {"EPYC-IBPB", AMD, 23, {1}, ANY_STEPPING, NAMES_ALL, "EPYC",
     "+ibpb !monitor"},
    {"EPYC-Rome", AMD, 23, {49}, ANY_STEPPING, NAMES_ALL, "EPYC-IBPB",
     "+amd-stibp +clwb +clzero +npt +nrip-save +perfctr_core +rdpid +umip +wbnoinvd +xsaveerptr"},
    {"EPYC-Milan", AMD, 25, {1}, ANY_STEPPING, NAMES_ALL, "EPYC-Rome",
     "+amd-ssbd +erms +fsrm +ibrs +invpcid +pcid +pku +svme-addr-chk +xsaves"},
    {"Dhyana", HYGON, 24, {0}, ANY_STEPPING, NAMES_ALL, "EPYC-IBPB",
     "!monitor -aes -pclmuldq -sha-ni"},
};
