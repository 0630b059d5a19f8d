/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPU threads: the KVM_RUN loop, exits, pausing.
 *
 *   paused ──vcpu_resume──> running ──vcpu_pause (kick, finish the exit in hand)──> paused ──vcpu_stop──>
 * gone
 *
 * A vCPU starts paused. Only a paused vCPU's registers may be touched, by the main thread. vcpus are paused
 * and resumed all together by the machine.
 */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/bus.h"
#include "vmm/kvm.h"
#include "vmm/loop.h"
#include "vmm/vcpu_state.h"
#include "common/stats_page.h"

typedef enum VcpuEvent {
    VCPU_EVENT_RESET, /* triple fault, or a reset that KVM reports */
    VCPU_EVENT_SHUTDOWN, /* KVM_SYSTEM_EVENT_SHUTDOWN */
    VCPU_EVENT_CRASH, /* KVM_SYSTEM_EVENT_CRASH */
    VCPU_EVENT_ERROR, /* KVM cannot go on with this vCPU: run state "internal-error" */
} VcpuEvent;

typedef struct VcpuHost {
    KvmVm *vm;
    Bus *bus;
    Loop *main_loop;
    /* On the vCPU's thread; the vCPU has asked itself to pause already. text: what to log, or NULL. */
    void (*event)(void *opaque, unsigned index, VcpuEvent event, const char *text);
    /* The guest ended a level-triggered interrupt of an IOAPIC that is not KVM's; the vCPU's thread. May be NULL. */
    void (*end_of_interrupt)(void *opaque, uint8_t vector);
    void *opaque;
    /* Runs first on each vCPU thread (sandbox). May be NULL. */
    void (*prepare)(void *opaque);
} VcpuHost;

typedef struct Vcpu Vcpu;

/* Makes vCPU number index with this APIC id and these CPUID leaves. Main thread. stats may be NULL. */
int vcpu_new(const VcpuHost *host, unsigned index, uint32_t apic_id, struct kvm_cpuid2 *cpuid,
             StatsVcpu *stats, Vcpu **ret, Err *err);
int vcpu_start(Vcpu *vcpu, Err *err); /* its thread, paused */
void vcpu_free(Vcpu *vcpu); /* stops and joins the thread */

/* Sets registers for the kernel's entry; only the boot CPU needs it. Paused or not started. */
int vcpu_set_boot(Vcpu *vcpu, const struct kvm_regs *regs, const struct kvm_sregs *sregs, Err *err);
/* An MSR that resets leave alone. Not started. */
int vcpu_set_msr(Vcpu *vcpu, uint32_t index, uint64_t value, Err *err);
/* The segment and control registers after power-on, for regs_boot(). */
int vcpu_get_reset_sregs(Vcpu *vcpu, struct kvm_sregs *ret, Err *err);
/* Back to the state after power-on. Paused. */
int vcpu_reset(Vcpu *vcpu, Err *err);
/* Its registers. Paused. */
void vcpu_get_state(Vcpu *vcpu, VcpuState *ret);
/* A non-maskable interrupt; a paused vCPU takes it when it goes on. Main thread. */
void vcpu_nmi(Vcpu *vcpu);

/* Asks to pause and returns; vcpu_is_paused() says when it did, and the main loop is woken then. Any thread.
 */
void vcpu_request_pause(Vcpu *vcpu);
bool vcpu_is_paused(const Vcpu *vcpu);
void vcpu_resume(Vcpu *vcpu);

unsigned vcpu_index(const Vcpu *vcpu);
uint32_t vcpu_apic_id(const Vcpu *vcpu);
int vcpu_thread_id(const Vcpu *vcpu);
/* Set once before the first vCPU starts: the signal that gets a thread out of KVM_RUN. */
int vcpu_install_signal(Err *err);
