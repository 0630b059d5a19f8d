/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPUID bits by name (Intel SDM 2A, CPUID; AMD APM 3, appendix E; Linux kvm/x86/cpuid.rst) and named CPU
 * models: vendor, family, model, stepping, and the features that software may count on.
 */
#include "vmm/arch/x86_64/cpu_features.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"

static const CpuFeature features[] = {
    {"pni", 1, 0, CPU_ECX, 0},
    {"sse3", 1, 0, CPU_ECX, 0},
    {"pclmulqdq", 1, 0, CPU_ECX, 1},
    {"pclmuldq", 1, 0, CPU_ECX, 1},
    {"dtes64", 1, 0, CPU_ECX, 2},
    {"monitor", 1, 0, CPU_ECX, 3},
    {"ds-cpl", 1, 0, CPU_ECX, 4},
    {"vmx", 1, 0, CPU_ECX, 5},
    {"smx", 1, 0, CPU_ECX, 6},
    {"est", 1, 0, CPU_ECX, 7},
    {"tm2", 1, 0, CPU_ECX, 8},
    {"ssse3", 1, 0, CPU_ECX, 9},
    {"fma", 1, 0, CPU_ECX, 12},
    {"cx16", 1, 0, CPU_ECX, 13},
    {"xtpr", 1, 0, CPU_ECX, 14},
    {"pdcm", 1, 0, CPU_ECX, 15},
    {"pcid", 1, 0, CPU_ECX, 17},
    {"dca", 1, 0, CPU_ECX, 18},
    {"sse4.1", 1, 0, CPU_ECX, 19},
    {"sse4-1", 1, 0, CPU_ECX, 19},
    {"sse4.2", 1, 0, CPU_ECX, 20},
    {"sse4-2", 1, 0, CPU_ECX, 20},
    {"x2apic", 1, 0, CPU_ECX, 21},
    {"movbe", 1, 0, CPU_ECX, 22},
    {"popcnt", 1, 0, CPU_ECX, 23},
    {"tsc-deadline", 1, 0, CPU_ECX, 24},
    {"aes", 1, 0, CPU_ECX, 25},
    {"xsave", 1, 0, CPU_ECX, 26},
    {"avx", 1, 0, CPU_ECX, 28},
    {"f16c", 1, 0, CPU_ECX, 29},
    {"rdrand", 1, 0, CPU_ECX, 30},
    {"hypervisor", 1, 0, CPU_ECX, 31},
    {"fpu", 1, 0, CPU_EDX, 0},
    {"vme", 1, 0, CPU_EDX, 1},
    {"de", 1, 0, CPU_EDX, 2},
    {"pse", 1, 0, CPU_EDX, 3},
    {"tsc", 1, 0, CPU_EDX, 4},
    {"msr", 1, 0, CPU_EDX, 5},
    {"pae", 1, 0, CPU_EDX, 6},
    {"mce", 1, 0, CPU_EDX, 7},
    {"cx8", 1, 0, CPU_EDX, 8},
    {"apic", 1, 0, CPU_EDX, 9},
    {"sep", 1, 0, CPU_EDX, 11},
    {"mtrr", 1, 0, CPU_EDX, 12},
    {"pge", 1, 0, CPU_EDX, 13},
    {"mca", 1, 0, CPU_EDX, 14},
    {"cmov", 1, 0, CPU_EDX, 15},
    {"pat", 1, 0, CPU_EDX, 16},
    {"pse36", 1, 0, CPU_EDX, 17},
    {"pn", 1, 0, CPU_EDX, 18},
    {"clflush", 1, 0, CPU_EDX, 19},
    {"ds", 1, 0, CPU_EDX, 21},
    {"acpi", 1, 0, CPU_EDX, 22},
    {"mmx", 1, 0, CPU_EDX, 23},
    {"fxsr", 1, 0, CPU_EDX, 24},
    {"sse", 1, 0, CPU_EDX, 25},
    {"sse2", 1, 0, CPU_EDX, 26},
    {"ss", 1, 0, CPU_EDX, 27},
    {"ht", 1, 0, CPU_EDX, 28},
    {"tm", 1, 0, CPU_EDX, 29},
    {"pbe", 1, 0, CPU_EDX, 31},
    {"fsgsbase", 7, 0, CPU_EBX, 0},
    {"tsc-adjust", 7, 0, CPU_EBX, 1},
    {"bmi1", 7, 0, CPU_EBX, 3},
    {"hle", 7, 0, CPU_EBX, 4},
    {"avx2", 7, 0, CPU_EBX, 5},
    {"smep", 7, 0, CPU_EBX, 7},
    {"bmi2", 7, 0, CPU_EBX, 8},
    {"erms", 7, 0, CPU_EBX, 9},
    {"invpcid", 7, 0, CPU_EBX, 10},
    {"rtm", 7, 0, CPU_EBX, 11},
    {"mpx", 7, 0, CPU_EBX, 14},
    {"avx512f", 7, 0, CPU_EBX, 16},
    {"avx512dq", 7, 0, CPU_EBX, 17},
    {"rdseed", 7, 0, CPU_EBX, 18},
    {"adx", 7, 0, CPU_EBX, 19},
    {"smap", 7, 0, CPU_EBX, 20},
    {"avx512ifma", 7, 0, CPU_EBX, 21},
    {"avx512-ifma", 7, 0, CPU_EBX, 21},
    {"clflushopt", 7, 0, CPU_EBX, 23},
    {"clwb", 7, 0, CPU_EBX, 24},
    {"intel-pt", 7, 0, CPU_EBX, 25},
    {"avx512pf", 7, 0, CPU_EBX, 26},
    {"avx512er", 7, 0, CPU_EBX, 27},
    {"avx512cd", 7, 0, CPU_EBX, 28},
    {"sha-ni", 7, 0, CPU_EBX, 29},
    {"avx512bw", 7, 0, CPU_EBX, 30},
    {"avx512vl", 7, 0, CPU_EBX, 31},
    {"avx512vbmi", 7, 0, CPU_ECX, 1},
    {"umip", 7, 0, CPU_ECX, 2},
    {"pku", 7, 0, CPU_ECX, 3},
    {"waitpkg", 7, 0, CPU_ECX, 5},
    {"avx512vbmi2", 7, 0, CPU_ECX, 6},
    {"cet-ss", 7, 0, CPU_ECX, 7},
    {"gfni", 7, 0, CPU_ECX, 8},
    {"vaes", 7, 0, CPU_ECX, 9},
    {"vpclmulqdq", 7, 0, CPU_ECX, 10},
    {"avx512vnni", 7, 0, CPU_ECX, 11},
    {"avx512bitalg", 7, 0, CPU_ECX, 12},
    {"avx512-vpopcntdq", 7, 0, CPU_ECX, 14},
    {"la57", 7, 0, CPU_ECX, 16},
    {"rdpid", 7, 0, CPU_ECX, 22},
    {"bus-lock-detect", 7, 0, CPU_ECX, 24},
    {"cldemote", 7, 0, CPU_ECX, 25},
    {"movdiri", 7, 0, CPU_ECX, 27},
    {"movdir64b", 7, 0, CPU_ECX, 28},
    {"avx512-4vnniw", 7, 0, CPU_EDX, 2},
    {"avx512-4fmaps", 7, 0, CPU_EDX, 3},
    {"fsrm", 7, 0, CPU_EDX, 4},
    {"avx512-vp2intersect", 7, 0, CPU_EDX, 8},
    {"md-clear", 7, 0, CPU_EDX, 10},
    {"serialize", 7, 0, CPU_EDX, 14},
    {"tsx-ldtrk", 7, 0, CPU_EDX, 16},
    {"amx-bf16", 7, 0, CPU_EDX, 22},
    {"avx512-fp16", 7, 0, CPU_EDX, 23},
    {"amx-tile", 7, 0, CPU_EDX, 24},
    {"amx-int8", 7, 0, CPU_EDX, 25},
    {"spec-ctrl", 7, 0, CPU_EDX, 26},
    {"stibp", 7, 0, CPU_EDX, 27},
    {"flush-l1d", 7, 0, CPU_EDX, 28},
    {"arch-capabilities", 7, 0, CPU_EDX, 29},
    {"core-capability", 7, 0, CPU_EDX, 30},
    {"ssbd", 7, 0, CPU_EDX, 31},
    {"avx-vnni", 7, 1, CPU_EAX, 4},
    {"avx512-bf16", 7, 1, CPU_EAX, 5},
    {"fzrm", 7, 1, CPU_EAX, 10},
    {"fsrs", 7, 1, CPU_EAX, 11},
    {"fsrc", 7, 1, CPU_EAX, 12},
    {"xsaveopt", 0xd, 1, CPU_EAX, 0},
    {"xsavec", 0xd, 1, CPU_EAX, 1},
    {"xgetbv1", 0xd, 1, CPU_EAX, 2},
    {"xsaves", 0xd, 1, CPU_EAX, 3},
    {"arat", 6, 0, CPU_EAX, 2},
    {"lahf-lm", 0x80000001, 0, CPU_ECX, 0},
    {"cmp-legacy", 0x80000001, 0, CPU_ECX, 1},
    {"svm", 0x80000001, 0, CPU_ECX, 2},
    {"extapic", 0x80000001, 0, CPU_ECX, 3},
    {"cr8legacy", 0x80000001, 0, CPU_ECX, 4},
    {"abm", 0x80000001, 0, CPU_ECX, 5},
    {"lzcnt", 0x80000001, 0, CPU_ECX, 5},
    {"sse4a", 0x80000001, 0, CPU_ECX, 6},
    {"misalignsse", 0x80000001, 0, CPU_ECX, 7},
    {"3dnowprefetch", 0x80000001, 0, CPU_ECX, 8},
    {"osvw", 0x80000001, 0, CPU_ECX, 9},
    {"ibs", 0x80000001, 0, CPU_ECX, 10},
    {"xop", 0x80000001, 0, CPU_ECX, 11},
    {"skinit", 0x80000001, 0, CPU_ECX, 12},
    {"wdt", 0x80000001, 0, CPU_ECX, 13},
    {"lwp", 0x80000001, 0, CPU_ECX, 15},
    {"fma4", 0x80000001, 0, CPU_ECX, 16},
    {"tce", 0x80000001, 0, CPU_ECX, 17},
    {"nodeid-msr", 0x80000001, 0, CPU_ECX, 19},
    {"tbm", 0x80000001, 0, CPU_ECX, 21},
    {"topoext", 0x80000001, 0, CPU_ECX, 22},
    {"perfctr-core", 0x80000001, 0, CPU_ECX, 23},
    {"perfctr-nb", 0x80000001, 0, CPU_ECX, 24},
    {"syscall", 0x80000001, 0, CPU_EDX, 11},
    {"mp", 0x80000001, 0, CPU_EDX, 19},
    {"nx", 0x80000001, 0, CPU_EDX, 20},
    {"mmxext", 0x80000001, 0, CPU_EDX, 22},
    {"fxsr-opt", 0x80000001, 0, CPU_EDX, 25},
    {"pdpe1gb", 0x80000001, 0, CPU_EDX, 26},
    {"rdtscp", 0x80000001, 0, CPU_EDX, 27},
    {"lm", 0x80000001, 0, CPU_EDX, 29},
    {"3dnowext", 0x80000001, 0, CPU_EDX, 30},
    {"3dnow", 0x80000001, 0, CPU_EDX, 31},
    {"invtsc", 0x80000007, 0, CPU_EDX, 8},
    {"clzero", 0x80000008, 0, CPU_EBX, 0},
    {"xsaveerptr", 0x80000008, 0, CPU_EBX, 2},
    {"wbnoinvd", 0x80000008, 0, CPU_EBX, 9},
    {"ibpb", 0x80000008, 0, CPU_EBX, 12},
    {"ibrs", 0x80000008, 0, CPU_EBX, 14},
    {"amd-stibp", 0x80000008, 0, CPU_EBX, 15},
    {"stibp-always-on", 0x80000008, 0, CPU_EBX, 17},
    {"amd-ssbd", 0x80000008, 0, CPU_EBX, 24},
    {"virt-ssbd", 0x80000008, 0, CPU_EBX, 25},
    {"amd-no-ssb", 0x80000008, 0, CPU_EBX, 26},
    {"npt", 0x8000000a, 0, CPU_EDX, 0},
    {"lbrv", 0x8000000a, 0, CPU_EDX, 1},
    {"svm-lock", 0x8000000a, 0, CPU_EDX, 2},
    {"nrip-save", 0x8000000a, 0, CPU_EDX, 3},
    {"tsc-scale", 0x8000000a, 0, CPU_EDX, 4},
    {"vmcb-clean", 0x8000000a, 0, CPU_EDX, 5},
    {"flushbyasid", 0x8000000a, 0, CPU_EDX, 6},
    {"decodeassists", 0x8000000a, 0, CPU_EDX, 7},
    {"pause-filter", 0x8000000a, 0, CPU_EDX, 10},
    {"pfthreshold", 0x8000000a, 0, CPU_EDX, 12},
    {"avic", 0x8000000a, 0, CPU_EDX, 13},
    {"v-vmsave-vmload", 0x8000000a, 0, CPU_EDX, 15},
    {"vgif", 0x8000000a, 0, CPU_EDX, 16},
    {"kvmclock", 0x40000001, 0, CPU_EAX, 0},
    {"kvm-nopiodelay", 0x40000001, 0, CPU_EAX, 1},
    {"kvmclock2", 0x40000001, 0, CPU_EAX, 3},
    {"kvm-asyncpf", 0x40000001, 0, CPU_EAX, 4},
    {"kvm-steal-time", 0x40000001, 0, CPU_EAX, 5},
    {"kvm-pv-eoi", 0x40000001, 0, CPU_EAX, 6},
    {"kvm-pv-unhalt", 0x40000001, 0, CPU_EAX, 7},
    {"kvm-pv-tlb-flush", 0x40000001, 0, CPU_EAX, 9},
    {"kvm-pv-ipi", 0x40000001, 0, CPU_EAX, 11},
    {"kvm-poll-control", 0x40000001, 0, CPU_EAX, 12},
    {"kvm-pv-sched-yield", 0x40000001, 0, CPU_EAX, 13},
    {"kvm-asyncpf-int", 0x40000001, 0, CPU_EAX, 14},
    {"kvm-msi-ext-dest-id", 0x40000001, 0, CPU_EAX, 15},
    {"kvmclock-stable-bit", 0x40000001, 0, CPU_EAX, 24},
};

typedef struct NamedModel {
    const char *name;
    const char *vendor; /* empty: the host's */
    unsigned family, model, stepping;
    const char *features; /* separated by spaces */
} NamedModel;

static const NamedModel models[] = {
    {"qemu64", "", 15, 107, 1,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm popcnt"},
    {"kvm64", "", 15, 6, 1,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm"},
    {"x86-64-v2", "", 15, 107, 1,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt"},
    {"x86-64-v3", "", 15, 107, 1,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt avx avx2 bmi1 bmi2 f16c fma abm movbe "
     "xsave"},
    {"Conroe", "GenuineIntel", 6, 15, 3,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3"},
    {"Penryn", "GenuineIntel", 6, 23, 3,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1"},
    {"Nehalem", "GenuineIntel", 6, 26, 3,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt"},
    {"Westmere", "GenuineIntel", 6, 44, 1,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq"},
    {"SandyBridge", "GenuineIntel", 6, 42, 1,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave x2apic tsc- "
     "deadline rdtscp xsaveopt arat"},
    {"IvyBridge", "GenuineIntel", 6, 58, 9,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave x2apic tsc- "
     "deadline rdtscp xsaveopt arat f16c rdrand fsgsbase smep erms"},
    {"Haswell-noTSX", "GenuineIntel", 6, 60, 1,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave x2apic tsc- "
     "deadline rdtscp xsaveopt arat f16c rdrand fsgsbase smep erms avx2 bmi1 bmi2 fma movbe pcid invpcid "
     "abm"},
    {"Haswell", "GenuineIntel", 6, 60, 4,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave x2apic tsc- "
     "deadline rdtscp xsaveopt arat f16c rdrand fsgsbase smep erms avx2 bmi1 bmi2 fma movbe pcid invpcid "
     "abm hle rtm"},
    {"Broadwell-noTSX", "GenuineIntel", 6, 61, 2,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave x2apic tsc- "
     "deadline rdtscp xsaveopt arat f16c rdrand fsgsbase smep erms avx2 bmi1 bmi2 fma movbe pcid invpcid "
     "abm adx rdseed smap 3dnowprefetch"},
    {"Broadwell", "GenuineIntel", 6, 61, 2,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave x2apic tsc- "
     "deadline rdtscp xsaveopt arat f16c rdrand fsgsbase smep erms avx2 bmi1 bmi2 fma movbe pcid invpcid "
     "abm adx rdseed smap 3dnowprefetch hle rtm"},
    {"Skylake-Client-noTSX-IBRS", "GenuineIntel", 6, 94, 3,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave x2apic tsc- "
     "deadline rdtscp xsaveopt arat f16c rdrand fsgsbase smep erms avx2 bmi1 bmi2 fma movbe pcid invpcid "
     "abm adx rdseed smap 3dnowprefetch xsavec xgetbv1 spec-ctrl"},
    {"Skylake-Client", "GenuineIntel", 6, 94, 3,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave x2apic tsc- "
     "deadline rdtscp xsaveopt arat f16c rdrand fsgsbase smep erms avx2 bmi1 bmi2 fma movbe pcid invpcid "
     "abm adx rdseed smap 3dnowprefetch xsavec xgetbv1 hle rtm"},
    {"Skylake-Server-noTSX-IBRS", "GenuineIntel", 6, 85, 4,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave x2apic tsc- "
     "deadline rdtscp xsaveopt arat f16c rdrand fsgsbase smep erms avx2 bmi1 bmi2 fma movbe pcid invpcid "
     "abm adx rdseed smap 3dnowprefetch xsavec xgetbv1 avx512f avx512dq avx512cd avx512bw avx512vl clwb "
     "clflushopt pdpe1gb spec-ctrl"},
    {"Skylake-Server", "GenuineIntel", 6, 85, 4,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave x2apic tsc- "
     "deadline rdtscp xsaveopt arat f16c rdrand fsgsbase smep erms avx2 bmi1 bmi2 fma movbe pcid invpcid "
     "abm adx rdseed smap 3dnowprefetch xsavec xgetbv1 avx512f avx512dq avx512cd avx512bw avx512vl clwb "
     "clflushopt pdpe1gb hle rtm"},
    {"Cascadelake-Server-noTSX", "GenuineIntel", 6, 85, 6,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave x2apic tsc- "
     "deadline rdtscp xsaveopt arat f16c rdrand fsgsbase smep erms avx2 bmi1 bmi2 fma movbe pcid invpcid "
     "abm adx rdseed smap 3dnowprefetch xsavec xgetbv1 avx512f avx512dq avx512cd avx512bw avx512vl clwb "
     "clflushopt pdpe1gb avx512vnni spec-ctrl ssbd"},
    {"Cascadelake-Server", "GenuineIntel", 6, 85, 6,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave x2apic tsc- "
     "deadline rdtscp xsaveopt arat f16c rdrand fsgsbase smep erms avx2 bmi1 bmi2 fma movbe pcid invpcid "
     "abm adx rdseed smap 3dnowprefetch xsavec xgetbv1 avx512f avx512dq avx512cd avx512bw avx512vl clwb "
     "clflushopt pdpe1gb avx512vnni spec-ctrl ssbd hle rtm"},
    {"Icelake-Server-noTSX", "GenuineIntel", 6, 106, 0,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave x2apic tsc- "
     "deadline rdtscp xsaveopt arat f16c rdrand fsgsbase smep erms avx2 bmi1 bmi2 fma movbe pcid invpcid "
     "abm adx rdseed smap 3dnowprefetch xsavec xgetbv1 avx512f avx512dq avx512cd avx512bw avx512vl clwb "
     "clflushopt pdpe1gb avx512vnni spec-ctrl ssbd avx512vbmi avx512vbmi2 gfni vaes vpclmulqdq "
     "avx512bitalg avx512-vpopcntdq umip sha-ni avx512ifma la57 rdpid fsrm"},
    {"Icelake-Server", "GenuineIntel", 6, 106, 0,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave x2apic tsc- "
     "deadline rdtscp xsaveopt arat f16c rdrand fsgsbase smep erms avx2 bmi1 bmi2 fma movbe pcid invpcid "
     "abm adx rdseed smap 3dnowprefetch xsavec xgetbv1 avx512f avx512dq avx512cd avx512bw avx512vl clwb "
     "clflushopt pdpe1gb avx512vnni spec-ctrl ssbd avx512vbmi avx512vbmi2 gfni vaes vpclmulqdq "
     "avx512bitalg avx512-vpopcntdq umip sha-ni avx512ifma la57 rdpid fsrm hle rtm"},
    {"EPYC", "AuthenticAMD", 23, 1, 2,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave f16c rdrand "
     "fsgsbase smep avx2 bmi1 bmi2 fma movbe abm adx rdseed smap clflushopt sha-ni xsaveopt xsavec xgetbv1 "
     "sse4a misalignsse 3dnowprefetch osvw cr8legacy mmxext fxsr-opt pdpe1gb rdtscp arat"},
    {"EPYC-Rome", "AuthenticAMD", 23, 49, 0,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave f16c rdrand "
     "fsgsbase smep avx2 bmi1 bmi2 fma movbe abm adx rdseed smap clflushopt sha-ni xsaveopt xsavec xgetbv1 "
     "sse4a misalignsse 3dnowprefetch osvw cr8legacy mmxext fxsr-opt pdpe1gb rdtscp arat clwb umip rdpid "
     "wbnoinvd ibpb"},
    {"EPYC-Milan", "AuthenticAMD", 25, 1, 1,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme ssse3 sse4.1 sse4.2 popcnt aes pclmulqdq avx xsave f16c rdrand "
     "fsgsbase smep avx2 bmi1 bmi2 fma movbe abm adx rdseed smap clflushopt sha-ni xsaveopt xsavec xgetbv1 "
     "sse4a misalignsse 3dnowprefetch osvw cr8legacy mmxext fxsr-opt pdpe1gb rdtscp arat clwb umip rdpid "
     "wbnoinvd ibpb erms fsrm invpcid pcid vaes vpclmulqdq pku"},
    {"Opteron_G3", "AuthenticAMD", 16, 2, 3,
     "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni "
     "cx16 syscall nx lm lahf-lm vme popcnt abm misalignsse sse4a rdtscp"},
};

static bool same_name(const char *a, const char *b, size_t b_len)
{
    for (size_t i = 0; i < b_len; i++, a++) {
        if (*a == '\0' || (*a == '_' ? '-' : *a) != (b[i] == '_' ? '-' : b[i]))
            return false;
    }
    return *a == '\0';
}

static const CpuFeature *find_feature(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(features); i++) {
        if (same_name(features[i].name, name, len))
            return &features[i];
    }
    return NULL;
}

const CpuFeature *cpu_feature_find(const char *name)
{
    return find_feature(name, strlen(name));
}

static struct kvm_cpuid_entry2 *find_leaf(struct kvm_cpuid2 *cpuid, uint32_t function, uint32_t index)
{
    for (unsigned i = 0; i < cpuid->nent; i++) {
        struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

        if (e->function == function && (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index))
            return e;
    }
    return NULL;
}

static uint32_t *leaf_register(struct kvm_cpuid_entry2 *e, unsigned reg)
{
    uint32_t *const regs[] = {&e->eax, &e->ebx, &e->ecx, &e->edx};

    return regs[reg];
}

/* Leaves that hold features, which a named model keeps only as far as it names them. KVM's own leaf stays. */
static const CpuFeature feature_leaves[] = {
    {"", 1, 0, CPU_ECX, 0},          {"", 1, 0, CPU_EDX, 0},          {"", 7, 0, CPU_EBX, 0},
    {"", 7, 0, CPU_ECX, 0},          {"", 7, 0, CPU_EDX, 0},          {"", 7, 1, CPU_EAX, 0},
    {"", 0xd, 1, CPU_EAX, 0},        {"", 0x80000001, 0, CPU_ECX, 0}, {"", 0x80000001, 0, CPU_EDX, 0},
    {"", 0x80000008, 0, CPU_EBX, 0}, {"", 0x8000000a, 0, CPU_EDX, 0},
};

static int cut_down(struct kvm_cpuid2 *cpuid, const NamedModel *model, bool enforce, Err *err)
{
    uint32_t keep[ARRAY_LEN(feature_leaves)] = {0};
    struct kvm_cpuid_entry2 *e;

    for (const char *at = model->features; *at != '\0';) {
        size_t len = strcspn(at, " ");
        const CpuFeature *f = find_feature(at, len);

        if (f == NULL)
            return err_set(err, EINVAL, "CPU model '%s': feature '%.*s' is not in the table", model->name,
                           (int)len, at);
        e = find_leaf(cpuid, f->function, f->index);
        if (enforce && (e == NULL || !(*leaf_register(e, f->reg) & 1u << f->bit)) && strcmp(f->name, "x2apic") != 0 &&
            strcmp(f->name, "tsc-deadline") != 0 && strcmp(f->name, "arat") != 0)
            return err_set(err, ENOTSUP,
                           "CPU model '%s' needs the feature '%s', which this host does not have",
                           model->name, f->name);
        for (size_t i = 0; i < ARRAY_LEN(feature_leaves); i++) {
            const CpuFeature *l = &feature_leaves[i];

            if (l->function == f->function && l->index == f->index && l->reg == f->reg)
                keep[i] |= 1u << f->bit;
        }
        at += len + (at[len] == ' ');
    }
    for (size_t i = 0; i < ARRAY_LEN(feature_leaves); i++) {
        e = find_leaf(cpuid, feature_leaves[i].function, feature_leaves[i].index);
        if (e != NULL)
            *leaf_register(e, feature_leaves[i].reg) &= keep[i];
    }
    e = find_leaf(cpuid, 1, 0);
    if (e != NULL) {
        unsigned base = model->family > 15 ? 15 : model->family;

        e->eax = model->stepping | (model->model & 15) << 4 | base << 8 | (model->model >> 4) << 16 |
                 (model->family - base) << 20;
    }
    return 0;
}

int cpu_model_apply(struct kvm_cpuid2 *cpuid, const char *name, bool enforce, Err *err)
{
    struct kvm_cpuid_entry2 *vendor = find_leaf(cpuid, 0, 0), *e;
    char text[49];

    if (strcmp(name, "host") == 0 || strcmp(name, "max") == 0)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        const NamedModel *model = &models[i];
        int r;

        if (strcmp(model->name, name) != 0)
            continue;
        r = cut_down(cpuid, model, enforce, err);
        if (r < 0)
            return r;
        if (vendor != NULL && model->vendor[0] != '\0') {
            memcpy(&vendor->ebx, model->vendor, 4);
            memcpy(&vendor->edx, model->vendor + 4, 4);
            memcpy(&vendor->ecx, model->vendor + 8, 4);
        }
        memset(text, 0, sizeof text);
        snprintf(text, sizeof text, "Virtual CPU %s", model->name);
        for (uint32_t leaf = 0; leaf < 3; leaf++) {
            e = find_leaf(cpuid, 0x80000002 + leaf, 0);
            if (e != NULL) {
                memcpy(&e->eax, text + 16 * leaf, 4);
                memcpy(&e->ebx, text + 16 * leaf + 4, 4);
                memcpy(&e->ecx, text + 16 * leaf + 8, 4);
                memcpy(&e->edx, text + 16 * leaf + 12, 4);
            }
        }
        return 0;
    }
    return err_set(err, EINVAL, "CPU model '%s' is not known", name);
}
