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

static const struct kvm_cpuid_entry2 *subleaf(const struct kvm_cpuid2 *cpuid, uint32_t function, uint32_t index)
{
    for (unsigned i = 0; i < cpuid->nent; i++) {
        if (cpuid->entries[i].function == function && cpuid->entries[i].index == index)
            return &cpuid->entries[i];
    }
    abort();
}

/* Where a vCPU is, as its leaf 0xb or 0x1f says it to itself. */
static bool placed(const struct kvm_cpuid2 *cpuid, const CpuTopology *t, unsigned index)
{
    uint32_t function = t->dies > 1 ? 0x1f : 0xb, at = subleaf(cpuid, function, 0)->edx;
    unsigned core = subleaf(cpuid, function, 0)->eax, die = subleaf(cpuid, function, 1)->eax,
             package = t->dies > 1 ? subleaf(cpuid, function, 2)->eax : die;

    return (at & ((1u << core) - 1)) == index % t->threads &&
           (at & ((1u << die) - 1)) >> core == index / t->threads % t->cores &&
           (at & ((1u << package) - 1)) >> die == index / t->threads / t->cores % t->dies &&
           at >> package == index / t->threads / t->cores / t->dies;
}

static void test_topologies(void)
{
    static const CpuTopology topologies[] = {{64, 1, 1, 1}, {2, 1, 16, 2}, {3, 1, 5, 2}, {2, 3, 3, 1}, {2, 2, 4, 2}};
    static const char *const models[] = {"Conroe", "EPYC", "Opteron_G2"};

    for (size_t k = 0; k < ARRAY_LEN(topologies) * ARRAY_LEN(models); k++) {
        const CpuTopology *t = &topologies[k / ARRAY_LEN(models)];
        const CpuModel model = {.name = models[k % ARRAY_LEN(models)]};
        unsigned per_package = t->dies * t->cores * t->threads, count = t->sockets * per_package, right = 0;
        bool amd = strcmp(model.name, "Conroe") != 0;
        KvmVm *vm = fake_kvm_new();
        struct kvm_cpuid2 *cpuid = NULL;
        CpuChoice choice;
        Err err = {0};

        if (cpuid_build(vm, &model, t, &cpuid, &choice, &err) < 0)
            abort();
        for (unsigned i = 0; i < count; i++) {
            uint32_t id = cpu_apic_id(t, i);

            cpuid_specialize(cpuid, t, id);
            right += placed(cpuid, t, i) && leaf(cpuid, 1)->ebx >> 24 == id;
        }
        ok(right == count, "%s, %u.%u.%u.%u: every vCPU finds its place (%u)", model.name, t->sockets, t->dies, t->cores,
           t->threads, right);
        ok(subleaf(cpuid, 0xb, 0)->ebx == t->threads && subleaf(cpuid, 0xb, 1)->ebx == per_package &&
               (leaf(cpuid, 1)->ebx >> 16 & 0xff) >= per_package && leaf(cpuid, 0)->eax >= (t->dies > 1 ? 0x1f : 0xb),
           "and the counts are those of the definition");
        ok((leaf(cpuid, 0x80000008)->ecx & 0xff) == per_package - 1 &&
               ((leaf(cpuid, 0x80000001)->ecx & 2) != 0) == (amd && per_package > 1),
           "AMD's too");
        free(cpuid);
        kvm_close(vm);
    }
}

/* Topology extensions and caches: AMD's leaves, on a host (the fake one) that has none of them. */
static void test_amd_nodes(void)
{
    const CpuTopology t = {.sockets = 2, .dies = 2, .cores = 3, .threads = 2};
    const CpuModel model = {.name = "EPYC"}, host = {.name = "host"};
    KvmVm *vm = fake_kvm_new();
    struct kvm_cpuid2 *cpuid = NULL;
    CpuChoice choice;
    Err err = {0};
    uint32_t id = cpu_apic_id(&t, 12 + 6 + 4); /* the last core of the last die of the second package */

    ok(cpuid_build(vm, &model, &t, &cpuid, &choice, &err) == 0 && id == (1 << 4 | 1 << 3 | 2 << 1), "an APIC id: %#x", id);
    cpuid_specialize(cpuid, &t, id);
    ok(leaf(cpuid, 0x80000000)->eax >= 0x8000001e && leaf(cpuid, 0x8000001e)->eax == id &&
           leaf(cpuid, 0x8000001e)->ebx == (1 << 8 | 6) && leaf(cpuid, 0x8000001e)->ecx == (1 << 8 | 3),
       "core 6 of the package, with 2 threads, on node 3, of 2 in the package");
    ok((leaf(cpuid, 4)->eax >> 14 & 0xfff) == 1 && leaf(cpuid, 0x8000001d)->eax == (0x121 | 1 << 14),
       "a first-level cache belongs to the core; Intel's leaf has it, so AMD's does");
    ok(!has(&choice.missing, "topoext") && cpuid_choose(&host, &choice.missing, &choice, &err) == 0 &&
           !has(&choice.given, "topoext"),
       "whoever asks for topology extensions has them, the host's own model does not ask");
    free(cpuid);
    kvm_close(vm);
}

int main(void)
{
    test_topologies();
    test_amd_nodes();
    test_named();
    test_lacking();
    test_host();
    test_leaves();
    return done();
}
