/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CPUID leaves of a vCPU: what KVM supports, less what the description takes away, plus topology. */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/arch/x86_64/cpu_features.h"
#include "vmm/kvm.h"

typedef struct CpuTopology {
    unsigned sockets, dies, cores, threads; /* each at least 1; the product is the maximum of vCPUs */
} CpuTopology;

/* x2APIC id of vCPU number index, fields packed as leaf 0xb tells the guest (SDM 3A, 9.9.3). */
uint32_t cpu_apic_id(const CpuTopology *topology, unsigned index);

typedef struct CpuModel {
    const char *name; /* "host", "max", or a named model */
    /* Feature names with a leading '+' or '-', applied in order. */
    const char *const *features;
    unsigned feature_count;
    bool enforce; /* a feature that the host lacks is an error; else it is left out and told as missing */
    bool hide_hypervisor; /* no hypervisor bit, no KVM leaves */
} CpuModel;

/* The features of a guest's processor. */
typedef struct CpuChoice {
    CpuWords given;
    CpuWords missing; /* asked for (by the model or by name), and not offered */
} CpuChoice;

/* What the model and its features make of what is offered, which is never cut down before: a feature by name may be
 * one that the model does not have. -EINVAL: a name that nobody knows; -ENOTSUP: missing, with enforce. */
int cpuid_choose(const CpuModel *model, const CpuWords *offered, CpuChoice *ret, Err *err);
/* What this host's KVM can give. */
void cpuid_offered(const KvmVm *vm, const struct kvm_cpuid2 *supported, CpuWords *ret);
/* The leaves all vCPUs share; free() it. An unknown model, or a feature the host lacks, is an error that
 * names it. */
int cpuid_build(KvmVm *vm, const CpuModel *model, const CpuTopology *topology, struct kvm_cpuid2 **ret,
                CpuChoice *ret_choice, Err *err);
/* IA32_ARCH_CAPABILITIES of a guest that has the MSR; what it has beyond the named bits only the host's own model shows. */
uint64_t cpuid_arch_capabilities(const KvmVm *vm, const CpuModel *model, const CpuChoice *choice);
/* Puts one vCPU's own numbers in; cpuid is a copy. */
void cpuid_specialize(struct kvm_cpuid2 *cpuid, const CpuTopology *topology, uint32_t apic_id);
/* Bits of a physical address that the guest believes in. */
/* Whether the guest is offered KVM's clock. */
bool cpuid_has_kvmclock(const struct kvm_cpuid2 *cpuid);
unsigned cpuid_physical_bits(const struct kvm_cpuid2 *cpuid);
bool cpuid_has_feature(const struct kvm_cpuid2 *cpuid, const char *feature);
