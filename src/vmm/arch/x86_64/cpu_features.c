/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPUID bits by name: Intel SDM 2A, CPUID; AMD APM 3, appendix E; Linux kvm/x86/cpuid.rst. Bits of MSRs: SDM 4.
 */
#include "vmm/arch/x86_64/cpu_features.h"

#include <stdbool.h>
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
    {"cid", 1, 0, CPU_ECX, 10},
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
    {"osxsave", 1, 0, CPU_ECX, 27},
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
    {"ia64", 1, 0, CPU_EDX, 30},
    {"pbe", 1, 0, CPU_EDX, 31},
    {"fsgsbase", 7, 0, CPU_EBX, 0},
    {"tsc-adjust", 7, 0, CPU_EBX, 1},
    {"sgx", 7, 0, CPU_EBX, 2},
    {"bmi1", 7, 0, CPU_EBX, 3},
    {"hle", 7, 0, CPU_EBX, 4},
    {"avx2", 7, 0, CPU_EBX, 5},
    {"smep", 7, 0, CPU_EBX, 7},
    {"bmi2", 7, 0, CPU_EBX, 8},
    {"erms", 7, 0, CPU_EBX, 9},
    {"invpcid", 7, 0, CPU_EBX, 10},
    {"rtm", 7, 0, CPU_EBX, 11},
    {"cmt", 7, 0, CPU_EBX, 12},
    {"mpx", 7, 0, CPU_EBX, 14},
    {"avx512f", 7, 0, CPU_EBX, 16},
    {"avx512dq", 7, 0, CPU_EBX, 17},
    {"rdseed", 7, 0, CPU_EBX, 18},
    {"adx", 7, 0, CPU_EBX, 19},
    {"smap", 7, 0, CPU_EBX, 20},
    {"avx512ifma", 7, 0, CPU_EBX, 21},
    {"avx512-ifma", 7, 0, CPU_EBX, 21},
    {"pcommit", 7, 0, CPU_EBX, 22},
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
    {"ospke", 7, 0, CPU_ECX, 4},
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
    {"sgxlc", 7, 0, CPU_ECX, 30},
    {"pks", 7, 0, CPU_ECX, 31},
    {"avx512-4vnniw", 7, 0, CPU_EDX, 2},
    {"avx512-4fmaps", 7, 0, CPU_EDX, 3},
    {"fsrm", 7, 0, CPU_EDX, 4},
    {"avx512-vp2intersect", 7, 0, CPU_EDX, 8},
    {"md-clear", 7, 0, CPU_EDX, 10},
    {"serialize", 7, 0, CPU_EDX, 14},
    {"tsx-ldtrk", 7, 0, CPU_EDX, 16},
    {"pconfig", 7, 0, CPU_EDX, 18},
    {"arch-lbr", 7, 0, CPU_EDX, 19},
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
    {"xfd", 0xd, 1, CPU_EAX, 4},
    {"mbm-total", 0xf, 1, CPU_EDX, 1},
    {"mbm-local", 0xf, 1, CPU_EDX, 2},
    {"sgx1", 0x12, 0, CPU_EAX, 0},
    {"sgx2", 0x12, 0, CPU_EAX, 1},
    {"sgx-exinfo", 0x12, 0, CPU_EBX, 0},
    {"sgx-debug", 0x12, 1, CPU_EAX, 1},
    {"sgx-mode64", 0x12, 1, CPU_EAX, 2},
    {"sgx-provisionkey", 0x12, 1, CPU_EAX, 4},
    {"sgx-tokenkey", 0x12, 1, CPU_EAX, 5},
    {"sgx-kss", 0x12, 1, CPU_EAX, 7},
    {"intel-pt-lip", 0x14, 0, CPU_ECX, 31},
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
    {"cvt16", 0x80000001, 0, CPU_ECX, 18},
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
    {"svme-addr-chk", 0x8000000a, 0, CPU_EDX, 28},
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
    {"rdctl-no", CPU_ARCH_CAPABILITIES, 0, CPU_MSR, 0},
    {"ibrs-all", CPU_ARCH_CAPABILITIES, 0, CPU_MSR, 1},
    {"rsba", CPU_ARCH_CAPABILITIES, 0, CPU_MSR, 2},
    {"skip-l1dfl-vmentry", CPU_ARCH_CAPABILITIES, 0, CPU_MSR, 3},
    {"ssb-no", CPU_ARCH_CAPABILITIES, 0, CPU_MSR, 4},
    {"mds-no", CPU_ARCH_CAPABILITIES, 0, CPU_MSR, 5},
    {"pschange-mc-no", CPU_ARCH_CAPABILITIES, 0, CPU_MSR, 6},
    {"tsx-ctrl", CPU_ARCH_CAPABILITIES, 0, CPU_MSR, 7},
    {"taa-no", CPU_ARCH_CAPABILITIES, 0, CPU_MSR, 8},
    {"split-lock-detect", 0xcf, 0, CPU_MSR, 5},
};

static bool same_name(const char *a, const char *b, size_t b_len)
{
    for (size_t i = 0; i < b_len; i++, a++) {
        if (*a == '\0' || (*a == '_' ? '-' : *a) != (b[i] == '_' ? '-' : b[i]))
            return false;
    }
    return *a == '\0';
}

const CpuFeature *cpu_feature_find_len(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(features); i++) {
        if (same_name(features[i].name, name, len))
            return &features[i];
    }
    return NULL;
}

const CpuFeature *cpu_feature_find(const char *name)
{
    return cpu_feature_find_len(name, strlen(name));
}

const CpuFeature *cpu_feature_at(const CpuFeature *where)
{
    for (size_t i = 0; i < ARRAY_LEN(features); i++) {
        const CpuFeature *f = &features[i];

        if (f->function == where->function && f->index == where->index && f->reg == where->reg &&
            f->bit == where->bit)
            return f;
    }
    return NULL;
}

/* --- words ---------------------------------------------------------------------------------------------- */

static const CpuFeature words[CPU_WORDS] = {
    {"", 1, 0, CPU_EDX, 0},          {"", 1, 0, CPU_ECX, 0},          {"", 6, 0, CPU_EAX, 0},
    {"", 7, 0, CPU_EBX, 0},          {"", 7, 0, CPU_ECX, 0},          {"", 7, 0, CPU_EDX, 0},
    {"", 7, 1, CPU_EAX, 0},          {"", 0xd, 1, CPU_EAX, 0},        {"", 0xf, 1, CPU_EDX, 0},
    {"", 0x12, 0, CPU_EAX, 0},       {"", 0x12, 0, CPU_EBX, 0},       {"", 0x12, 1, CPU_EAX, 0},
    {"", 0x14, 0, CPU_ECX, 0},       {"", 0x80000001, 0, CPU_EDX, 0}, {"", 0x80000001, 0, CPU_ECX, 0},
    {"", 0x80000007, 0, CPU_EDX, 0}, {"", 0x80000008, 0, CPU_EBX, 0}, {"", 0x8000000a, 0, CPU_EDX, 0},
    {"", 0x40000001, 0, CPU_EAX, 0}, {"", CPU_ARCH_CAPABILITIES, 0, CPU_MSR, 0}, {"", 0xcf, 0, CPU_MSR, 0},
};

const CpuFeature *cpu_word_at(unsigned i)
{
    return i < CPU_WORDS ? &words[i] : NULL;
}

unsigned cpu_word_of(const CpuFeature *f)
{
    unsigned i = 0;

    while (i < CPU_WORDS &&
           (words[i].function != f->function || words[i].index != f->index || words[i].reg != f->reg))
        i++;
    return i;
}

bool cpu_words_have(const CpuWords *set, const CpuFeature *f)
{
    unsigned w = cpu_word_of(f);

    return w < CPU_WORDS && (set->bits[w] & 1u << f->bit) != 0;
}

void cpu_words_put(CpuWords *set, const CpuFeature *f, bool on)
{
    unsigned w = cpu_word_of(f);

    if (w < CPU_WORDS && on)
        set->bits[w] |= 1u << f->bit;
    else if (w < CPU_WORDS)
        set->bits[w] &= ~(1u << f->bit);
}

const CpuFeature *cpu_words_next(const CpuWords *set, unsigned *position)
{
    while (*position < CPU_WORDS * 32) {
        unsigned w = *position / 32, bit = (*position)++ % 32;
        CpuFeature key = words[w];
        const CpuFeature *f;

        key.bit = (uint8_t)bit;
        f = set->bits[w] & 1u << bit ? cpu_feature_at(&key) : NULL;
        if (f != NULL)
            return f;
    }
    return NULL;
}
