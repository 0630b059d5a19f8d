/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which features a guest's processor has: models and names against what a host offers, and the leaves they end in. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "lib/fake_machine.h"
#include "lib/tap.h"
#include "vmm/arch/x86_64/cpu_models.h"
#include "vmm/arch/x86_64/cpuid.h"

/* A host that has the model and these. */
static CpuWords host_of(const char *model, const char *const *more, size_t n)
{
    const CpuWords none = {0};
    CpuWords words;
    Err err = {0};

    if (cpu_model_words(model, &none, &words, &err) < 0)
        abort();
    for (size_t i = 0; i < n; i++)
        cpu_words_put(&words, cpu_feature_find(more[i]), true);
    return words;
}

static bool has(const CpuWords *set, const char *name)
{
    return cpu_words_have(set, cpu_feature_find(name));
}

static void test_named(void)
{
    static const char *const more[] = {"ss", "avx", "mds-no", "invtsc"};
    static const char *const asked[] = {"+ss", "mds-no", "-popcnt", "+avx512f", "+kvmclock"};
    const CpuWords host = host_of("Nehalem", more, ARRAY_LEN(more));
    CpuModel model = {.name = "Nehalem"};
    CpuChoice choice;
    Err err = {0};

    ok(cpuid_choose(&model, &host, &choice, &err) == 0 && has(&choice.given, "sse4.2") && !has(&choice.given, "avx") &&
           !has(&choice.given, "invtsc") && has(&choice.given, "x2apic") && has(&choice.given, "hypervisor"),
       "a model has its own features, and what every guest of KVM has");
    model.features = asked;
    model.feature_count = ARRAY_LEN(asked);
    ok(cpuid_choose(&model, &host, &choice, &err) == 0 && has(&choice.given, "ss") && has(&choice.given, "mds-no"),
       "features outside of the model come from the host");
    ok(!has(&choice.given, "popcnt") && !has(&choice.missing, "popcnt"), "switched off");
    ok(!has(&choice.given, "avx512f") && has(&choice.missing, "avx512f") && has(&choice.missing, "kvmclock"),
       "what the host lacks is missing");
    model.enforce = true;
    ok(cpuid_choose(&model, &host, &choice, &err) == -ENOTSUP && strstr(err.text, "avx512f"), "enforce names it: %s",
       err.text);
}

static void test_lacking(void)
{
    const CpuWords host = host_of("Conroe", NULL, 0);
    static const char *const off[] = {"-sse4.1", "-sse4.2", "-popcnt", "-cx16", "-x2apic"};
    CpuModel model = {.name = "Nehalem", .enforce = true};
    CpuChoice choice;
    Err err = {0};

    ok(cpuid_choose(&model, &host, &choice, &err) == -ENOTSUP && strstr(err.text, "'Nehalem' needs the feature"),
       "enforce: %s", err.text);
    model.features = off;
    model.feature_count = ARRAY_LEN(off);
    ok(cpuid_choose(&model, &host, &choice, &err) == 0 && !has(&choice.given, "x2apic"), "unless that is switched off");
    model.enforce = false;
    model.feature_count = 0;
    ok(cpuid_choose(&model, &host, &choice, &err) == 0 && has(&choice.missing, "sse4.2") &&
           !has(&choice.given, "sse4.2") && has(&choice.given, "ssse3"),
       "else it is told");
}

static void test_host(void)
{
    static const char *const off[] = {"-ssse3"}, *const unknown[] = {"+nonsense"};
    const CpuWords host = host_of("Conroe", NULL, 0);
    CpuModel model = {.name = "host", .enforce = true};
    CpuChoice choice;
    Err err = {0};

    ok(cpuid_choose(&model, &host, &choice, &err) == 0 && memcmp(&choice.given, &host, sizeof host) == 0, "host: all of it");
    model.features = off;
    model.feature_count = 1;
    ok(cpuid_choose(&model, &host, &choice, &err) == 0 && !has(&choice.given, "ssse3") && has(&choice.given, "sse2"),
       "less one");
    model.features = unknown;
    ok(cpuid_choose(&model, &host, &choice, &err) == -EINVAL, "unknown feature: %s", err.text);
    model = (CpuModel){.name = "NoSuch"};
    ok(cpuid_choose(&model, &host, &choice, &err) == -EINVAL, "unknown model: %s", err.text);
}

static const struct kvm_cpuid_entry2 *leaf(const struct kvm_cpuid2 *cpuid, uint32_t function)
{
    for (unsigned i = 0; i < cpuid->nent; i++) {
        if (cpuid->entries[i].function == function)
            return &cpuid->entries[i];
    }
    abort();
}

/* The fake host: tests/lib/fake_machine.c. */
static void test_leaves(void)
{
    static const char *const asked[] = {"+tsc_adjust", "+x2apic", "+arat", "+avx512f"};
    const CpuTopology topology = {.sockets = 1, .dies = 1, .cores = 2, .threads = 1};
    const CpuModel model = {.name = "Conroe", .features = asked, .feature_count = ARRAY_LEN(asked)};
    KvmVm *vm = fake_kvm_new();
    struct kvm_cpuid2 *cpuid = NULL;
    CpuChoice choice;
    Err err = {0};

    ok(cpuid_build(vm, &model, &topology, &cpuid, &choice, &err) == 0, "built");
    ok((leaf(cpuid, 7)->ebx & 2) != 0 && (leaf(cpuid, 7)->ebx & 1 << 16) == 0, "leaf 7: what is asked for and offered");
    ok((leaf(cpuid, 6)->eax & 4) != 0, "a leaf that KVM's list lacks is made");
    ok((leaf(cpuid, 1)->ecx & 1u << 31) != 0 && (leaf(cpuid, 1)->ecx & 1 << 21) != 0 && leaf(cpuid, 1)->eax == 0x6f3,
       "leaf 1: hypervisor, x2apic, the model's signature");
    ok((leaf(cpuid, 1)->edx & 1 << 28) != 0 && !has(&choice.given, "ht"), "threads are topology, not a feature");
    ok(has(&choice.missing, "avx512f") && cpuid_arch_capabilities(vm, &model, &choice) == 0, "the rest is missing");
    free(cpuid);
    kvm_close(vm);
}

int main(void)
{
    test_named();
    test_lacking();
    test_host();
    test_leaves();
    return done();
}
