/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A vCPU's registers: for the log when it could not go on, and for dumps. */
#pragma once

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

typedef struct VcpuState {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_vcpu_events events;
    struct kvm_mp_state mp_state;
    uint64_t kernel_gs_base;
    /* Where the guest's page tables put rip and the interrupt table; valid is 0 when nowhere. */
    struct kvm_translation rip, idt;
} VcpuState;

/* Asks KVM; what it does not tell stays zero. The vCPU's own thread, outside KVM_RUN. */
void vcpu_state_take(int vcpu_fd, VcpuState *ret);
/* One line of at most size - 1 bytes; 900 hold all of it. Pure. */
void vcpu_state_format(const VcpuState *report, char *ret, size_t size);
