/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /dev/kvm: the VM descriptor, its memory slots, irqfds and ioeventfds. Together with vcpu.c the only place
 * that makes KVM ioctls (Linux, Documentation/virt/kvm/api.rst). Any thread unless it says otherwise.
 */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/memory.h"

typedef struct KvmVm {
    int kvm_fd, vm_fd;
    int vcpu_map_size;
    unsigned max_vcpus;
    unsigned slots; /* memory slots that KVM knows */
    uint64_t slot_size[MEMORY_REGIONS_MAX];
    bool split_irqchip, pit;
} KvmVm;

typedef struct KvmOptions {
    int kvm_fd; /* inherited, owned from now on; -1: open /dev/kvm */
    bool split_irqchip; /* only the local APICs in the kernel */
} KvmOptions;

int kvm_open(const KvmOptions *options, KvmVm **ret, Err *err);
void kvm_close(KvmVm *vm);
int kvm_capability(const KvmVm *vm, int capability);

/* Gives KVM the regions it does not know yet. Main thread. */
int kvm_memory_sync(KvmVm *vm, const GuestMemory *memory, Err *err);
/* Whether KVM notes what vCPUs write to the first slots of them. Main thread. */
int kvm_dirty_log(KvmVm *vm, const GuestMemory *memory, unsigned slots, bool on, Err *err);
/* A bit for every page of 4 KiB in the slot that was written since the log began or this was asked last. */
int kvm_dirty_bitmap(KvmVm *vm, unsigned slot, uint64_t *bits);

/* Interrupt controllers, TSS and identity page. Before the first vCPU. pit: the old timer too, for guests that have no
 * other clock to measure theirs with (it costs a thread of the kernel and a wait for it); never with split controllers. */
int kvm_irqchip_create(KvmVm *vm, bool pit, Err *err);
/* The controllers' state, to put them back at a reset. */
typedef struct KvmIrqchipState {
    struct kvm_irqchip chips[3];
    struct kvm_pit_state2 pit;
} KvmIrqchipState;
int kvm_irqchip_get(KvmVm *vm, KvmIrqchipState *ret);
int kvm_irqchip_set(KvmVm *vm, const KvmIrqchipState *state);
int kvm_irq_line(KvmVm *vm, unsigned gsi, bool level);
int kvm_signal_msi(KvmVm *vm, const struct kvm_msi *msi);
int kvm_set_routing(KvmVm *vm, const struct kvm_irq_routing *routing);
int kvm_irqfd(KvmVm *vm, int fd, unsigned gsi, bool assign);
int kvm_ioeventfd(KvmVm *vm, bool pio, uint64_t address, unsigned len, int fd, bool assign);

/* A new vCPU's descriptor. */
int kvm_vcpu_create(KvmVm *vm, unsigned id, Err *err);
/* CPUID leaves that KVM can show; free() the result. */
int kvm_supported_cpuid(KvmVm *vm, struct kvm_cpuid2 **ret, Err *err);
/* KVM_GET_MSR_INDEX_LIST: whether a guest may have this MSR. */
bool kvm_has_msr(KvmVm *vm, uint32_t index);
/* What KVM can give a guest in this MSR (a system KVM_GET_MSRS); 0 when it knows nothing of it. */
uint64_t kvm_feature_msr(const KvmVm *vm, uint32_t index);
/* kvmclock stops while the VM is paused (KVM_GET_CLOCK, KVM_SET_CLOCK). */
int kvm_clock_get(KvmVm *vm, struct kvm_clock_data *ret);
int kvm_clock_set(KvmVm *vm, const struct kvm_clock_data *clock);
int kvm_enable_cap(KvmVm *vm, uint32_t cap, uint64_t arg);
