/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registers of the boot CPU at the kernel's first instruction. Pure: fills structs, makes no ioctl. */
#pragma once

#include <linux/kvm.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/memory.h"

typedef enum BootMode {
    BOOT_LINUX64, /* Linux boot protocol, 64-bit entry: long mode, RSI = boot_params */
    BOOT_PVH, /* PVH: 32-bit protected mode without paging, EBX = start info */
} BootMode;

typedef struct BootEntry {
    BootMode mode;
    uint64_t address; /* guest-physical */
    uint64_t info; /* boot_params or start info */
} BootEntry;

/* Writes GDT and page tables into guest memory and changes regs and sregs (as KVM gave them) to the entry
 * state. */
int regs_boot(const BootEntry *entry, GuestMemory *memory, struct kvm_regs *regs, struct kvm_sregs *sregs,
              Err *err);

/* MSRs that a CPU has after reset, other than zero; also those a reboot must clear. */
const struct kvm_msr_entry *regs_reset_msrs(unsigned *ret_count);
