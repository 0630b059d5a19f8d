/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CPUID leaves of a vCPU: what KVM supports, less what the description takes away, plus topology. */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
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
    bool enforce; /* a feature of a named model that the host lacks is an error; else it is left out */
    bool hide_hypervisor; /* no hypervisor bit, no KVM leaves */
} CpuModel;

/* The leaves all vCPUs share; free() it. An unknown model, or a feature the host lacks, is an error that
 * names it. */
int cpuid_build(KvmVm *vm, const CpuModel *model, const CpuTopology *topology, struct kvm_cpuid2 **ret,
                Err *err);
/* Puts one vCPU's own numbers in; cpuid is a copy. */
void cpuid_specialize(struct kvm_cpuid2 *cpuid, const CpuTopology *topology, uint32_t apic_id);
/* Bits of a physical address that the guest believes in. */
/* Whether the guest is offered KVM's clock. */
bool cpuid_has_kvmclock(const struct kvm_cpuid2 *cpuid);
unsigned cpuid_physical_bits(const struct kvm_cpuid2 *cpuid);
bool cpuid_has_feature(const struct kvm_cpuid2 *cpuid, const char *feature);
