/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Entry states: Linux boot protocol, "64-bit Boot Protocol"; PVH boot (Xen, docs/misc/pvh.pandoc). Descriptor
 * and page table formats: SDM 3A, 3.4.5 and 4.5.
 */
#include "vmm/arch/x86_64/regs.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/arch/x86_64/layout.h"

enum { CR0_PE = 1, CR0_ET = 16, CR4_PAE = 1 << 5 };
#define CR0_PG (1u << 31)
enum { EFER_LME = 1 << 8, EFER_LMA = 1 << 10 };
enum { PTE_PRESENT = 1, PTE_WRITE = 2, PTE_HUGE = 128 };

/* Selectors as the boot protocol names them: __BOOT_CS, __BOOT_DS. */
enum { BOOT_CS = 0x10, BOOT_DS = 0x18, BOOT_TSS = 0x20 };

static struct kvm_segment segment(uint16_t selector, uint8_t type, bool code64, bool db)
{
    return (struct kvm_segment){.base = 0,
                                .limit = 0xffffffff,
                                .selector = selector,
                                .type = type,
                                .present = 1,
                                .s = 1,
                                .g = 1,
                                .l = code64,
                                .db = db};
}

static uint64_t descriptor(const struct kvm_segment *s)
{
    uint64_t limit = s->g ? s->limit >> 12 : s->limit;

    return (limit & 0xffff) | (s->base & 0xffffff) << 16 |
           (uint64_t)(s->type | s->s << 4 | s->dpl << 5 | s->present << 7) << 40 | (limit >> 16 & 15) << 48 |
           (uint64_t)(s->avl | s->l << 1 | s->db << 2 | s->g << 3) << 52 | (s->base >> 24 & 0xff) << 56;
}

static int page_tables(GuestMemory *memory)
{
    uint64_t *table = memory_at(memory, PAGE_TABLES_ADDRESS, 6 * 4096);

    if (table == NULL)
        return -EFAULT;
    memset(table, 0, 2 * 4096);
    table[0] = (PAGE_TABLES_ADDRESS + 4096) | PTE_PRESENT | PTE_WRITE;
    for (uint64_t gib = 0; gib < 4; gib++) {
        table[512 + gib] = (PAGE_TABLES_ADDRESS + (2 + gib) * 4096) | PTE_PRESENT | PTE_WRITE;
        for (uint64_t i = 0; i < 512; i++)
            table[(2 + gib) * 512 + i] = (gib << 30 | i << 21) | PTE_PRESENT | PTE_WRITE | PTE_HUGE;
    }
    return 0;
}

int regs_boot(const BootEntry *entry, GuestMemory *memory, struct kvm_regs *regs, struct kvm_sregs *sregs,
              Err *err)
{
    bool long_mode = entry->mode == BOOT_LINUX64;
    struct kvm_segment code = segment(BOOT_CS, 11, long_mode, !long_mode),
                       data = segment(BOOT_DS, 3, false, true);
    struct kvm_segment tss = {.selector = BOOT_TSS, .type = 11, .present = 1, .limit = 0x67};
    uint64_t gdt[5] = {0, 0, descriptor(&code), descriptor(&data), descriptor(&tss)};

    if (memory_write(memory, GDT_ADDRESS, gdt, sizeof gdt) < 0 || (long_mode && page_tables(memory) < 0))
        return err_set(err, ENOMEM, "guest memory is too small to boot a kernel");
    sregs->cs = code;
    sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
    sregs->tr = tss;
    sregs->gdt.base = GDT_ADDRESS;
    sregs->gdt.limit = sizeof gdt - 1;
    sregs->idt.base = 0;
    sregs->idt.limit = 0;
    sregs->cr0 = CR0_PE | CR0_ET;
    sregs->cr3 = sregs->cr4 = sregs->efer = 0;
    if (long_mode) {
        sregs->cr0 |= CR0_PG;
        sregs->cr3 = PAGE_TABLES_ADDRESS;
        sregs->cr4 = CR4_PAE;
        sregs->efer = EFER_LME | EFER_LMA;
    }
    memset(regs, 0, sizeof *regs);
    regs->rflags = 2;
    regs->rip = entry->address;
    if (long_mode)
        regs->rsi = entry->info;
    else
        regs->rbx = entry->info;
    return 0;
}

const struct kvm_msr_entry *regs_reset_msrs(unsigned *ret_count)
{
    static const struct kvm_msr_entry msrs[] = {
        {.index = 0x174, .data = 0}, /* SYSENTER_CS, ESP, EIP */
        {.index = 0x175, .data = 0},
        {.index = 0x176, .data = 0},
        {.index = 0xc0000081, .data = 0}, /* STAR, LSTAR, CSTAR, FMASK */
        {.index = 0xc0000082, .data = 0},
        {.index = 0xc0000083, .data = 0},
        {.index = 0xc0000084, .data = 0},
        {.index = 0xc0000102, .data = 0}, /* KERNEL_GS_BASE */
        {.index = 0x277, .data = 0x0007040600070406ull}, /* PAT */
        {.index = 0x1a0, .data = 1}, /* MISC_ENABLE: fast string operations */
        {.index = 0x2ff, .data = 0x806}, /* MTRR_DEF_TYPE: on, write-back */
        {.index = 0x4b564d00, .data = 0}, /* kvmclock: wall clock and system time */
        {.index = 0x4b564d01, .data = 0},
        {.index = 0x4b564d02, .data = 0}, /* async page faults */
        {.index = 0x4b564d03, .data = 0}, /* steal time */
        {.index = 0x4b564d04, .data = 0}, /* PV EOI */
        {.index = 0x4b564d05, .data = 1}, /* the host may poll when this vCPU halts */
        {.index = 0x4b564d06, .data = 0}, /* interrupt of async page faults */
    };

    *ret_count = ARRAY_LEN(msrs);
    return msrs;
}
