/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Direct kernel boot: bzImage by the 64-bit Linux boot protocol, ELF by PVH. A kernel is examined completely
 * (linux_open()) before there is a VM, and loaded again at each reset (linux_load()), always from
 * descriptors.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/arch/x86_64/regs.h"
#include "vmm/memory.h"

#define LINUX_SEGMENTS_MAX 16
#define E820_MAX 32

typedef struct LinuxSegment {
    uint64_t file_offset, file_size, address, memory_size;
} LinuxSegment;

typedef struct LinuxKernel {
    BootMode mode;
    int kernel_fd, initrd_fd; /* borrowed; initrd_fd -1: none */
    uint64_t initrd_size;
    char *cmdline; /* owned */
    uint64_t entry;
    LinuxSegment segments[LINUX_SEGMENTS_MAX];
    unsigned segment_count;
    uint64_t low, high; /* guest memory the kernel needs at boot: [low, high) */
    /* bzImage only */
    uint8_t header[0x290 - 0x1f1];
    unsigned header_len;
    uint64_t initrd_max; /* highest address of an initrd's last byte */
} LinuxKernel;

/*
 * Examines kernel and initrd for a guest with memory_bytes of RAM. Every wrong kernel is -ENOEXEC, -E2BIG or
 * -EINVAL with a text that says what is wrong.
 */
int linux_open(int kernel_fd, int initrd_fd, const char *cmdline, uint64_t memory_bytes, LinuxKernel *ret,
               Err *err);
void linux_close(LinuxKernel *kernel);

typedef struct E820Entry {
    uint64_t address, size;
    uint32_t type; /* 1 RAM, 2 reserved */
} E820Entry;

/* The guest's memory map; returns the entries used. */
unsigned linux_memory_map(const GuestMemory *memory, E820Entry *ret, unsigned max);

/* Puts kernel, initrd, command line and boot information into guest memory. rsdp: where ACPI's root is. */
int linux_load(const LinuxKernel *kernel, GuestMemory *memory, uint64_t rsdp, BootEntry *ret, Err *err);
