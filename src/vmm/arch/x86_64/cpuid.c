/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPUID (Intel SDM 2A, CPUID; AMD APM 3, appendix E; Linux, Documentation/virt/kvm/x86/cpuid.rst).
 */
#include "vmm/arch/x86_64/cpuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/arch/x86_64/cpu_features.h"
#include "vmm/arch/x86_64/cpu_models.h"

static unsigned width(unsigned count)
{
    return count <= 1 ? 0 : 32 - (unsigned)__builtin_clz(count - 1);
}

typedef struct Shifts {
    unsigned core, die, package; /* bits below each level's number */
} Shifts;

static Shifts shifts(const CpuTopology *t)
{
    Shifts s;

    s.core = width(t->threads);
    s.die = s.core + width(t->cores);
    s.package = s.die + width(t->dies);
    return s;
}

uint32_t cpu_apic_id(const CpuTopology *t, unsigned index)
{
    Shifts s = shifts(t);
    uint32_t thread = index % t->threads, core = index / t->threads % t->cores,
             die = index / (t->threads * t->cores) % t->dies,
             package = index / (t->threads * t->cores * t->dies);

    return thread | core << s.core | die << s.die | package << s.package;
}

static struct kvm_cpuid_entry2 *find(struct kvm_cpuid2 *cpuid, uint32_t function, uint32_t index)
{
    for (unsigned i = 0; i < cpuid->nent; i++) {
        struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

        if (e->function == function && (e->index == index || !(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
            return e;
    }
    return NULL;
}

static void drop(struct kvm_cpuid2 *cpuid, uint32_t function)
{
    unsigned n = 0;

    for (unsigned i = 0; i < cpuid->nent; i++) {
        if (cpuid->entries[i].function != function)
            cpuid->entries[n++] = cpuid->entries[i];
    }
    cpuid->nent = n;
}

static void append(struct kvm_cpuid2 *cpuid, uint32_t function, uint32_t index, uint32_t flags, uint32_t eax,
                   uint32_t ebx, uint32_t ecx)
{
    cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){
        .function = function, .index = index, .flags = flags, .eax = eax, .ebx = ebx, .ecx = ecx};
}

static uint32_t *feature_register(struct kvm_cpuid2 *cpuid, const CpuFeature *f)
{
    struct kvm_cpuid_entry2 *e = f->reg != CPU_MSR ? find(cpuid, f->function, f->index) : NULL;

    if (e == NULL)
        return NULL;
    uint32_t *const regs[] = {&e->eax, &e->ebx, &e->ecx, &e->edx};

    return regs[f->reg];
}

bool cpuid_has_feature(const struct kvm_cpuid2 *cpuid, const char *name)
{
    const CpuFeature *f = cpu_feature_find(name);
    uint32_t *reg = f ? feature_register((struct kvm_cpuid2 *)(uintptr_t)cpuid, f) : NULL;

    return reg != NULL && (*reg & 1u << f->bit) != 0;
}

static bool of_amd(const struct kvm_cpuid2 *cpuid)
{
    const struct kvm_cpuid_entry2 *e = find((struct kvm_cpuid2 *)(uintptr_t)cpuid, 0, 0);

    return e != NULL && (e->ebx == 0x68747541 || e->ebx == 0x6f677948); /* Auth…, Hygo… */
}

/* The last leaf of a range that the guest is told of, which it asks for before it looks further. */
static void reach_leaf(struct kvm_cpuid2 *cpuid, uint32_t last)
{
    struct kvm_cpuid_entry2 *e = find(cpuid, last & 0x80000000, 0);

    if (e != NULL && e->eax < last)
        e->eax = last;
}

/* Leaves 0xb and, where there are dies, 0x1f: level by level, from the smallest, whatever the host's processor has. */
static void add_topology(struct kvm_cpuid2 *cpuid, const CpuTopology *t)
{
    Shifts s = shifts(t);
    unsigned per_package = t->threads * t->cores * t->dies;

    drop(cpuid, 0xb);
    drop(cpuid, 0x1f);
    reach_leaf(cpuid, t->dies > 1 ? 0x1f : 0xb);
    append(cpuid, 0xb, 0, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, s.core, t->threads, 1 << 8 | 0);
    append(cpuid, 0xb, 1, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, s.package, per_package, 2 << 8 | 1);
    append(cpuid, 0xb, 2, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, 0, 0, 2);
    if (t->dies == 1)
        return;
    append(cpuid, 0x1f, 0, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, s.core, t->threads, 1 << 8 | 0);
    append(cpuid, 0x1f, 1, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, s.die, t->threads * t->cores, 2 << 8 | 1);
    append(cpuid, 0x1f, 2, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, s.package, per_package, 5 << 8 | 2);
    append(cpuid, 0x1f, 3, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, 0, 0, 3);
}

/* A guest looks for its caches where its vendor has them: in leaf 4, or (AMD, topology extensions) in 0x8000001d. They are
 * alike, so a host of the other vendor has them too. */
static void mirror_caches(struct kvm_cpuid2 *cpuid)
{
    uint32_t to = of_amd(cpuid) ? 0x8000001d : 4, from = to == 4 ? 0x8000001d : 4;
    const struct kvm_cpuid_entry2 *first = find(cpuid, to, 0);
    unsigned count;

    if ((first != NULL && (first->eax & 0x1f) != 0) || (to != 4 && !cpuid_has_feature(cpuid, "topoext")))
        return;
    drop(cpuid, to);
    count = cpuid->nent;
    for (unsigned i = 0; i < count; i++) {
        struct kvm_cpuid_entry2 copy = cpuid->entries[i];

        if (copy.function != from)
            continue;
        copy.function = to;
        cpuid->entries[cpuid->nent++] = copy;
    }
    if (cpuid->nent > count)
        reach_leaf(cpuid, to);
}

/* Leaf 4 and AMD's 0x8000001d: who shares which cache. */
static void fix_caches(struct kvm_cpuid2 *cpuid, const CpuTopology *t)
{
    unsigned cores = t->cores * t->dies;

    mirror_caches(cpuid);
    for (unsigned i = 0; i < cpuid->nent; i++) {
        struct kvm_cpuid_entry2 *e = &cpuid->entries[i];
        unsigned level, sharing;

        if ((e->function != 4 && e->function != 0x8000001d) || (e->eax & 0x1f) == 0)
            continue;
        level = e->eax >> 5 & 7;
        sharing = level >= 3 ? 1u << shifts(t).die : 1u << shifts(t).core;
        e->eax = (e->eax & 0x3fff) | (MIN(sharing, 4096u) - 1) << 14;
        if (e->function == 4)
            e->eax |= (MIN(1u << width(cores), 64u) - 1) << 26;
    }
}

static void fix_common(struct kvm_cpuid2 *cpuid, const CpuModel *model, const CpuTopology *t)
{
    struct kvm_cpuid_entry2 *e = find(cpuid, 1, 0);
    unsigned per_package = 1u << shifts(t).package;

    if (e != NULL) {
        e->ebx = (e->ebx & 0xff) | 8u << 8 | MIN(per_package, 255u) << 16;
        e->edx = (e->edx & ~(1u << 28)) | (per_package > 1 ? 1u << 28 : 0);
        e->ecx &= ~(1u << 27); /* OSXSAVE follows CR4; KVM keeps it */
        if (model->hide_hypervisor)
            e->ecx &= ~(1u << 31);
    }
    /* Power, thermal and frequency leaves speak of a host that the guest does not have. */
    if ((e = find(cpuid, 6, 0)) != NULL) {
        e->eax &= 1u << 2; /* ARAT */
        e->ebx = e->ecx = e->edx = 0;
    }
    if ((e = find(cpuid, 5, 0)) != NULL)
        e->eax = e->ebx = e->ecx = e->edx = 0;
    if ((e = find(cpuid, 0x80000008, 0)) != NULL)
        e->ecx = per_package > 1 ? width(per_package) << 12 | MIN(t->threads * t->cores * t->dies - 1, 255u) : 0;
    if ((e = find(cpuid, 0x80000001, 0)) != NULL) {
        bool topology_extensions = (e->ecx & 1u << 22) != 0;

        if (per_package > 1 && of_amd(cpuid)) /* leaf 1's count is one of cores as well as threads */
            e->ecx |= 1u << 1;
        else
            e->ecx &= ~(1u << 1);
        if (topology_extensions) {
            reach_leaf(cpuid, 0x8000001e);
            if (find(cpuid, 0x8000001e, 0) == NULL)
                append(cpuid, 0x8000001e, 0, 0, 0, 0, 0);
        }
    }
    if (model->hide_hypervisor) {
        drop(cpuid, 0x40000000);
        drop(cpuid, 0x40000001);
    }
}

/* What KVM emulates, whatever the host's processor has and its list says. */
static void add_emulated(const KvmVm *vm, CpuWords *offered)
{
    static const char *const names[] = {"x2apic", "arat", "hypervisor"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        cpu_words_put(offered, cpu_feature_find(names[i]), true);
    if (kvm_capability(vm, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
        cpu_words_put(offered, cpu_feature_find("tsc-deadline"), true);
    /* Those that follow what the guest switches on. */
    cpu_words_put(offered, cpu_feature_find("osxsave"), false);
    cpu_words_put(offered, cpu_feature_find("ospke"), false);
}

void cpuid_offered(const KvmVm *vm, const struct kvm_cpuid2 *supported, CpuWords *ret)
{
    const CpuFeature *word;

    *ret = (CpuWords){0};
    for (unsigned i = 0; (word = cpu_word_at(i)) != NULL; i++) {
        const uint32_t *reg = feature_register((struct kvm_cpuid2 *)(uintptr_t)supported, word);

        ret->bits[i] = reg != NULL ? *reg : word->reg == CPU_MSR ? (uint32_t)kvm_feature_msr(vm, word->function) : 0;
    }
    add_emulated(vm, ret);
}

static int refuse_missing(const CpuModel *model, const CpuWords *of_model, const CpuWords *missing, Err *err)
{
    unsigned at = 0;
    const CpuFeature *f = cpu_words_next(missing, &at);

    if (!model->enforce || f == NULL)
        return 0;
    if (cpu_words_have(of_model, f))
        return err_set(err, ENOTSUP, "CPU model '%s' needs the feature '%s', which this host does not have", model->name,
                       f->name);
    return err_set(err, ENOTSUP, "CPU feature '%s' is not available on this host", f->name);
}

int cpuid_choose(const CpuModel *model, const CpuWords *offered, CpuChoice *ret, Err *err)
{
    CpuWords of_model, wanted, can = *offered;
    int r = cpu_model_words(model->name, offered, &of_model, err);

    if (r < 0)
        return r;
    wanted = of_model;
    for (unsigned i = 0; i < model->feature_count; i++) {
        const char *name = model->features[i];
        const CpuFeature *f = cpu_feature_find(name[0] == '+' || name[0] == '-' ? name + 1 : name);

        if (f == NULL)
            return err_set(err, EINVAL, "CPU feature '%s' is not known", name);
        cpu_words_put(&wanted, f, name[0] != '-');
    }
    /* Its leaves are ours, so whoever asks for it can have it; the host's own model has it where the host has. */
    cpu_words_put(&can, cpu_feature_find("topoext"), true);
    for (unsigned i = 0; i < CPU_WORDS; i++) {
        ret->given.bits[i] = wanted.bits[i] & can.bits[i];
        ret->missing.bits[i] = wanted.bits[i] & ~can.bits[i];
    }
    return refuse_missing(model, &of_model, &ret->missing, err);
}

/* A feature may be offered in a leaf that KVM's list does not have: it is made. */
static void put_features(struct kvm_cpuid2 *cpuid, const CpuWords *given)
{
    const CpuFeature *word;

    for (unsigned i = 0; (word = cpu_word_at(i)) != NULL; i++) {
        uint32_t *reg = feature_register(cpuid, word);

        if (reg == NULL && word->reg != CPU_MSR && given->bits[i] != 0) {
            append(cpuid, word->function, word->index, 0, 0, 0, 0);
            reg = feature_register(cpuid, word);
        }
        if (reg != NULL)
            *reg = given->bits[i];
    }
}

int cpuid_build(KvmVm *vm, const CpuModel *model, const CpuTopology *topology, struct kvm_cpuid2 **ret,
                CpuChoice *ret_choice, Err *err)
{
    struct kvm_cpuid2 *supported = NULL, *cpuid;
    CpuWords offered;
    int r;

    r = kvm_supported_cpuid(vm, &supported, err);
    if (r < 0)
        return r;
    cpuid = calloc(1, sizeof *cpuid + (2 * supported->nent + 16 + CPU_WORDS) * sizeof cpuid->entries[0]);
    if (cpuid == NULL) {
        free(supported);
        return err_set(err, ENOMEM, "out of memory");
    }
    cpuid->nent = supported->nent;
    memcpy(cpuid->entries, supported->entries, supported->nent * sizeof supported->entries[0]);
    cpuid_offered(vm, supported, &offered);
    free(supported);
    r = cpuid_choose(model, &offered, ret_choice, err);
    if (r < 0) {
        free(cpuid);
        return r;
    }
    put_features(cpuid, &ret_choice->given);
    cpu_model_identify(cpuid, model->name);
    fix_common(cpuid, model, topology);
    fix_caches(cpuid, topology);
    add_topology(cpuid, topology);
    *ret = cpuid;
    return 0;
}

uint64_t cpuid_arch_capabilities(const KvmVm *vm, const CpuModel *model, const CpuChoice *choice)
{
    const CpuFeature word = {"", CPU_ARCH_CAPABILITIES, 0, CPU_MSR, 0};
    uint64_t all = cpu_model_is_host(model->name) ? kvm_feature_msr(vm, CPU_ARCH_CAPABILITIES) : 0;

    return (all & ~(uint64_t)UINT32_MAX) | choice->given.bits[cpu_word_of(&word)];
}

void cpuid_specialize(struct kvm_cpuid2 *cpuid, const CpuTopology *topology, uint32_t apic_id)
{
    Shifts s = shifts(topology);

    for (unsigned i = 0; i < cpuid->nent; i++) {
        struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

        switch (e->function) {
        case 1:
            e->ebx = (e->ebx & 0x00ffffff) | apic_id << 24;
            break;
        case 0xb:
        case 0x1f:
            e->edx = apic_id;
            break;
        case 0x8000001e:
            /* The core in its package; nodes are dies, counted over all packages. */
            e->eax = apic_id;
            e->ebx = ((apic_id & ((1u << s.package) - 1)) >> s.core & 0xff) | (topology->threads - 1) << 8;
            e->ecx = (apic_id >> s.die & 0xff) | (MIN(topology->dies, 8u) - 1) << 8;
            e->edx = 0;
            break;
        default:
            break;
        }
    }
}

bool cpuid_has_kvmclock(const struct kvm_cpuid2 *cpuid)
{
    struct kvm_cpuid_entry2 *e = find((struct kvm_cpuid2 *)(uintptr_t)cpuid, 0x40000001, 0);

    return e != NULL && (e->eax & (1u << 3 | 1u << 0)) != 0;
}

unsigned cpuid_physical_bits(const struct kvm_cpuid2 *cpuid)
{
    struct kvm_cpuid_entry2 *e = find((struct kvm_cpuid2 *)(uintptr_t)cpuid, 0x80000008, 0);

    return e != NULL && (e->eax & 0xff) >= 36 && (e->eax & 0xff) <= 52 ? e->eax & 0xff : 36;
}
