/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Named CPU models: vendor, family, model, stepping, and the features that software may count on, under the
 * names and with the features QEMU 7.2 gives them (without those KVM guests never get: acpi, monitor, svm). The
 * daemon's table (driver/host/cpu_model_table.h) says what libvirt takes such a model for, which is not the same.
 */
#include "vmm/arch/x86_64/cpu_models.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/arch/x86_64/cpu_features.h"

typedef struct NamedModel {
    const char *name;
    const char *vendor; /* empty: the host's */
    unsigned family, model, stepping;
    const char *base;     /* has the features of this one, or NULL */
    const char *features; /* and these; without those with '-' before them */
} NamedModel;

static const NamedModel models[] = {
    {"qemu64", "AuthenticAMD", 15, 107, 1, NULL,
     "pni cx16 x2apic fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx "
     "fxsr sse sse2 lahf-lm syscall nx lm"},
    {"phenom", "AuthenticAMD", 16, 2, 3, "qemu64",
     "popcnt vme abm sse4a mmxext fxsr-opt pdpe1gb rdtscp 3dnowext 3dnow"},
    {"core2duo", "GenuineIntel", 6, 15, 11, "qemu64", "ssse3 vme ss"},
    {"kvm64", "GenuineIntel", 15, 6, 1, "qemu64", "-lahf-lm vme"},
    {"Conroe", "GenuineIntel", 6, 15, 3, "core2duo", "-cx16 -ss"},
    {"Penryn", "GenuineIntel", 6, 23, 3, "Conroe", "cx16 sse4.1"},
    {"Nehalem", "GenuineIntel", 6, 26, 3, "Penryn", "sse4.2 popcnt"},
    {"Nehalem-IBRS", "GenuineIntel", 6, 26, 3, "Nehalem", "spec-ctrl"},
    {"Westmere", "GenuineIntel", 6, 44, 1, "Nehalem", "pclmulqdq aes arat"},
    {"Westmere-IBRS", "GenuineIntel", 6, 44, 1, "Westmere", "spec-ctrl"},
    {"SandyBridge", "GenuineIntel", 6, 42, 1, "Westmere", "tsc-deadline xsave avx xsaveopt rdtscp"},
    {"SandyBridge-IBRS", "GenuineIntel", 6, 42, 1, "SandyBridge", "spec-ctrl"},
    {"IvyBridge", "GenuineIntel", 6, 58, 9, "SandyBridge", "f16c rdrand fsgsbase smep erms"},
    {"IvyBridge-IBRS", "GenuineIntel", 6, 58, 9, "IvyBridge", "spec-ctrl"},
    {"Haswell", "GenuineIntel", 6, 60, 4, "IvyBridge", "fma pcid movbe bmi1 hle avx2 bmi2 invpcid rtm abm"},
    {"Haswell-noTSX", "GenuineIntel", 6, 60, 1, "Haswell", "-hle -rtm"},
    {"Haswell-IBRS", "GenuineIntel", 6, 60, 4, "Haswell", "spec-ctrl"},
    {"Haswell-noTSX-IBRS", "GenuineIntel", 6, 60, 1, "Haswell-noTSX", "spec-ctrl"},
    {"Broadwell", "GenuineIntel", 6, 61, 2, "Haswell", "rdseed adx smap 3dnowprefetch"},
    {"Broadwell-noTSX", "GenuineIntel", 6, 61, 2, "Broadwell", "-hle -rtm"},
    {"Broadwell-IBRS", "GenuineIntel", 6, 61, 2, "Broadwell", "spec-ctrl"},
    {"Broadwell-noTSX-IBRS", "GenuineIntel", 6, 61, 2, "Broadwell-noTSX", "spec-ctrl"},
    {"Skylake-Client", "GenuineIntel", 6, 94, 3, "Broadwell", "xsavec xgetbv1"},
    {"Skylake-Client-IBRS", "GenuineIntel", 6, 94, 3, "Skylake-Client", "spec-ctrl"},
    {"Skylake-Client-noTSX-IBRS", "GenuineIntel", 6, 94, 3, "Skylake-Client-IBRS", "-hle -rtm"},
    {"Skylake-Server", "GenuineIntel", 6, 85, 4, "Skylake-Client",
     "avx512f avx512dq clflushopt clwb avx512cd avx512bw avx512vl pku pdpe1gb"},
    {"Skylake-Server-IBRS", "GenuineIntel", 6, 85, 4, "Skylake-Server", "-clflushopt spec-ctrl"},
    {"Skylake-Server-noTSX-IBRS", "GenuineIntel", 6, 85, 4, "Skylake-Server-IBRS", "-hle -rtm"},
    {"Cascadelake-Server", "GenuineIntel", 6, 85, 6, "Skylake-Server-IBRS", "clflushopt avx512vnni ssbd"},
    {"Cascadelake-Server-noTSX", "GenuineIntel", 6, 85, 6, "Cascadelake-Server",
     "-hle -rtm arch-capabilities rdctl-no ibrs-all skip-l1dfl-vmentry mds-no"},
    {"Cooperlake", "GenuineIntel", 6, 85, 10, "Cascadelake-Server", 
     "stibp arch-capabilities avx512-bf16 rdctl-no ibrs-all skip-l1dfl-vmentry mds-no pschange-mc-no taa-no"},
    {"Icelake-Server", "GenuineIntel", 6, 134, 0, "Cascadelake-Server",
     "avx512vbmi umip avx512vbmi2 gfni vaes vpclmulqdq avx512bitalg avx512-vpopcntdq la57 wbnoinvd"},
    {"Icelake-Server-noTSX", "GenuineIntel", 6, 134, 0, "Icelake-Server", "-hle -rtm"},
    {"Denverton", "GenuineIntel", 6, 95, 1, "IvyBridge-IBRS",
     "-avx -f16c movbe mpx rdseed smap clflushopt sha-ni arch-capabilities ssbd xsavec xgetbv1 "
     "3dnowprefetch pdpe1gb rdctl-no skip-l1dfl-vmentry"},
    {"Snowridge", "GenuineIntel", 6, 134, 1, "Denverton",
     "-rdctl-no -skip-l1dfl-vmentry clwb umip gfni cldemote movdiri movdir64b core-capability split-lock-detect"},
    {"KnightsMill", "GenuineIntel", 6, 133, 0, "Haswell-noTSX",
     "-pcid -invpcid ss avx512f rdseed adx avx512pf avx512er avx512cd avx512-vpopcntdq avx512-4vnniw "
     "avx512-4fmaps 3dnowprefetch pdpe1gb"},
    {"Opteron_G1", "AuthenticAMD", 15, 6, 1, "kvm64", "-cx16"},
    {"Opteron_G2", "AuthenticAMD", 15, 6, 1, "kvm64", "lahf-lm"},
    {"Opteron_G3", "AuthenticAMD", 16, 2, 3, "Opteron_G2", "popcnt abm sse4a misalignsse rdtscp"},
    {"Opteron_G4", "AuthenticAMD", 21, 1, 2, "Opteron_G3",
     "pclmulqdq ssse3 sse4.1 sse4.2 aes xsave avx 3dnowprefetch xop fma4 pdpe1gb"},
    {"Opteron_G5", "AuthenticAMD", 21, 2, 0, "Opteron_G4", "fma f16c tbm"},
    {"EPYC", "AuthenticAMD", 23, 1, 2, "Opteron_G4",
     "-xop -fma4 fma movbe f16c rdrand fsgsbase bmi1 avx2 smep bmi2 rdseed adx smap clflushopt sha-ni "
     "xsaveopt xsavec xgetbv1 arat cr8legacy osvw topoext mmxext fxsr-opt"},
    {"EPYC-IBPB", "AuthenticAMD", 23, 1, 2, "EPYC", "ibpb"},
    {"Dhyana", "HygonGenuine", 24, 0, 1, "phenom",
     "-3dnowext -3dnow ssse3 fma sse4.1 sse4.2 movbe xsave avx f16c rdrand fsgsbase bmi1 avx2 smep bmi2 "
     "rdseed adx smap clflushopt xsaveopt xsavec xgetbv1 arat cr8legacy misalignsse 3dnowprefetch osvw "
     "topoext ibpb"},
    {"EPYC-Rome", "AuthenticAMD", 23, 49, 0, "EPYC-IBPB",
     "clwb umip rdpid xsaves perfctr-core clzero xsaveerptr wbnoinvd amd-stibp"},
    {"EPYC-Milan", "AuthenticAMD", 25, 1, 1, "EPYC-Rome", "pcid erms invpcid pku fsrm ibrs amd-ssbd"},
    {"x86-64-v2", "", 15, 107, 1, "qemu64", "vme ssse3 sse4.1 sse4.2 popcnt"},
    {"x86-64-v3", "", 15, 107, 1, "x86-64-v2", "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"},
};

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

static const NamedModel *find_model(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    }
    return NULL;
}

/* The bits of the model: those of what it is based on, then its own difference to that. */
static int collect(const NamedModel *model, CpuWords *ret, Err *err)
{
    if (model->base != NULL) {
        const NamedModel *base = find_model(model->base);
        int r = base != NULL ? collect(base, ret, err)
                             : err_set(err, EINVAL, "CPU model '%s' is based on an unknown one", model->name);

        if (r < 0)
            return r;
    }
    for (const char *at = model->features; *at != '\0';) {
        size_t len = strcspn(at, " ");
        bool on = *at != '-';
        const CpuFeature *f = cpu_feature_find_len(at + !on, len - !on);

        if (f == NULL)
            return err_set(err, EINVAL, "CPU model '%s': feature '%.*s' is not in the table", model->name,
                           (int)len, at);
        cpu_words_put(ret, f, on);
        at += len + (at[len] == ' ');
    }
    return 0;
}

bool cpu_model_is_host(const char *name)
{
    return strcmp(name, "host") == 0 || strcmp(name, "max") == 0;
}

int cpu_model_words(const char *name, const CpuWords *offered, CpuWords *ret, Err *err)
{
    /* KVM's own paravirtual features: no model speaks of them. */
    const CpuFeature own = {"", 0x40000001, 0, CPU_EAX, 0};
    /* Every model under KVM has these two, as with QEMU. */
    static const char *const always[] = {"x2apic", "hypervisor"};
    const NamedModel *model = find_model(name);
    int r;

    *ret = *offered;
    if (cpu_model_is_host(name))
        return 0;
    if (model == NULL)
        return err_set(err, EINVAL, "CPU model '%s' is not known", name);
    *ret = (CpuWords){0};
    if ((r = collect(model, ret, err)) < 0)
        return r;
    ret->bits[cpu_word_of(&own)] = offered->bits[cpu_word_of(&own)];
    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        cpu_words_put(ret, cpu_feature_find(always[i]), true);
    return 0;
}

static void set_signature(struct kvm_cpuid2 *cpuid, const NamedModel *model)
{
    struct kvm_cpuid_entry2 *e = find_leaf(cpuid, 1, 0);
    unsigned base = model->family > 15 ? 15 : model->family;

    if (e != NULL)
        e->eax = model->stepping | (model->model & 15) << 4 | base << 8 | (model->model >> 4) << 16 |
                 (model->family - base) << 20;
}

static void set_text(struct kvm_cpuid2 *cpuid, const NamedModel *model)
{
    struct kvm_cpuid_entry2 *vendor = find_leaf(cpuid, 0, 0);
    char text[49] = {0};

    if (vendor != NULL && model->vendor[0] != '\0') {
        memcpy(&vendor->ebx, model->vendor, 4);
        memcpy(&vendor->edx, model->vendor + 4, 4);
        memcpy(&vendor->ecx, model->vendor + 8, 4);
    }
    snprintf(text, sizeof text, "Virtual CPU %s", model->name);
    for (uint32_t leaf = 0; leaf < 3; leaf++) {
        struct kvm_cpuid_entry2 *e = find_leaf(cpuid, 0x80000002 + leaf, 0);

        for (unsigned reg = 0; e != NULL && reg < 4; reg++)
            memcpy(leaf_register(e, reg), text + 16 * leaf + 4 * reg, 4);
    }
}

void cpu_model_identify(struct kvm_cpuid2 *cpuid, const char *name)
{
    const NamedModel *model = find_model(name);

    if (cpu_model_is_host(name) || model == NULL)
        return;
    set_signature(cpuid, model);
    set_text(cpuid, model);
}
