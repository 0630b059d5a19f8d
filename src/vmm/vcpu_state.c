/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A vCPU's registers as one line of the log. Reading them is all that can be done about a triple fault afterwards: by the
 * time the machine is reset they are gone, and with on_reboot nobody else sees that it was not an ordinary reboot.
 *
 * #syscalls:vcpu ioctl
 */
#include "vmm/vcpu_state.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define MSR_KERNEL_GS_BASE 0xc0000102

void vcpu_state_take(int vcpu_fd, VcpuState *ret)
{
    union {
        struct kvm_msrs head;
        uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
    } msr = {.room = {0}};

    msr.head.nmsrs = 1;
    msr.head.entries[0].index = MSR_KERNEL_GS_BASE;
    *ret = (VcpuState){0};
    (void)ioctl(vcpu_fd, KVM_GET_REGS, &ret->regs);
    (void)ioctl(vcpu_fd, KVM_GET_SREGS, &ret->sregs);
    (void)ioctl(vcpu_fd, KVM_GET_VCPU_EVENTS, &ret->events);
    (void)ioctl(vcpu_fd, KVM_GET_MP_STATE, &ret->mp_state);
    if (ioctl(vcpu_fd, KVM_GET_MSRS, &msr) == 1)
        ret->kernel_gs_base = msr.head.entries[0].data;
    ret->rip.linear_address = ret->sregs.cs.base + ret->regs.rip;
    (void)ioctl(vcpu_fd, KVM_TRANSLATE, &ret->rip);
    ret->idt.linear_address = ret->sregs.idt.base;
    (void)ioctl(vcpu_fd, KVM_TRANSLATE, &ret->idt);
}

static void place(const struct kvm_translation *at, char *ret, size_t size)
{
    if (at->valid)
        snprintf(ret, size, "at physical 0x%llx", (unsigned long long)at->physical_address);
    else
        snprintf(ret, size, "not mapped");
}

static void segment(const char *name, const struct kvm_segment *s, char *ret, size_t size)
{
    size_t used = strlen(ret);

    snprintf(ret + used, size - used, " %s %x base 0x%llx limit 0x%x type %x%s%s%s", name, s->selector,
             (unsigned long long)s->base, s->limit, s->type, s->db ? " 32" : "", s->l ? " 64" : "",
             s->unusable ? " unusable" : s->present ? "" : " absent");
}

void vcpu_state_format(const VcpuState *r, char *ret, size_t size)
{
    const struct kvm_sregs *s = &r->sregs;
    char rip[48], idt[48], segments[400] = "";

    place(&r->rip, rip, sizeof rip);
    place(&r->idt, idt, sizeof idt);
    segment("cs", &s->cs, segments, sizeof segments);
    segment("ss", &s->ss, segments, sizeof segments);
    segment("tr", &s->tr, segments, sizeof segments);
    snprintf(ret, size,
             "rip 0x%llx (%s) rsp 0x%llx rflags 0x%llx cr0 0x%llx cr2 0x%llx cr3 0x%llx cr4 0x%llx efer 0x%llx"
             " apic_base 0x%llx idt 0x%llx+0x%x (%s) gdt 0x%llx+0x%x%s exception %u%s interrupt %u%s nmi %u%s%s"
             " mp_state %u rax 0x%llx rbx 0x%llx rcx 0x%llx rdx 0x%llx rsi 0x%llx rdi 0x%llx",
             (unsigned long long)r->regs.rip, rip, (unsigned long long)r->regs.rsp, (unsigned long long)r->regs.rflags,
             (unsigned long long)s->cr0, (unsigned long long)s->cr2, (unsigned long long)s->cr3,
             (unsigned long long)s->cr4, (unsigned long long)s->efer, (unsigned long long)s->apic_base,
             (unsigned long long)s->idt.base, s->idt.limit, idt, (unsigned long long)s->gdt.base, s->gdt.limit,
             segments, r->events.exception.nr, r->events.exception.injected ? " injected" : "",
             r->events.interrupt.nr, r->events.interrupt.injected ? " injected" : "", r->events.nmi.injected,
             r->events.nmi.pending ? " pending" : "", r->events.nmi.masked ? " masked" : "", r->mp_state.mp_state,
             (unsigned long long)r->regs.rax, (unsigned long long)r->regs.rbx, (unsigned long long)r->regs.rcx,
             (unsigned long long)r->regs.rdx, (unsigned long long)r->regs.rsi, (unsigned long long)r->regs.rdi);
}
