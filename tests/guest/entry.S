/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Entry of the freestanding test guest: PVH (32-bit, paging off, EBX = start info) to long mode with the first 4 GiB
 * mapped one to one, then guest_main(). Also where other CPUs start (real mode, copied to TRAMPOLINE).
 */
#define TRAMPOLINE 0x8000

    .section .note.Xen, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long _start

    .text
    .code32
    .globl _start
_start:
#ifdef FIRST_BYTE
    mov $0x3f8, %dx
    mov $'!', %al
    out %al, %dx
#endif
    mov $stack_top, %esp
    mov %ebx, start_info
    /* PML4 -> PDPT -> four page directories of 2 MiB pages */
    mov $pdpt + 3, %eax
    mov %eax, pml4
    mov $pd + 3, %eax
    mov $pdpt, %edi
    mov $4, %ecx
1:  mov %eax, (%edi)
    add $8, %edi
    add $4096, %eax
    loop 1b
    mov $0x83, %eax
    mov $pd, %edi
    mov $2048, %ecx
2:  mov %eax, (%edi)
    add $8, %edi
    add $0x200000, %eax
    loop 2b
enter_long_mode:
    mov $pml4, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80000001, %eax
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $0x08, $long_mode

    .code64
long_mode:
    mov $0x10, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov ap_stack(%rip), %rsp
    test %rsp, %rsp
    jnz 3f
    lea stack_top(%rip), %rsp
    mov start_info(%rip), %edi
    call guest_main
    hlt
3:  call ap_main
4:  hlt
    jmp 4b

/* Real mode, CS = TRAMPOLINE >> 4. */
    .code16
    .globl trampoline, trampoline_end
trampoline:
    cli
    xor %ax, %ax
    mov %ax, %ds
    lgdtl TRAMPOLINE + trampoline_gdt - trampoline
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $0x18, $TRAMPOLINE + protected - trampoline
    .code32
protected:
    mov $0x10, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $enter_long_mode, %eax
    jmp *%eax
trampoline_gdt:
    .word gdt_end - gdt - 1
    .long gdt
trampoline_end:

    .data
    .align 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 0x08: 64-bit code */
    .quad 0x00cf93000000ffff /* 0x10: data */
    .quad 0x00cf9b000000ffff /* 0x18: 32-bit code */
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .quad gdt
start_info:
    .long 0
    .align 8
    .globl ap_stack
ap_stack:
    .quad 0

    .bss
    .align 4096
pml4:
    .skip 4096
pdpt:
    .skip 4096
pd:
    .skip 4 * 4096
    .skip 16384
stack_top:
