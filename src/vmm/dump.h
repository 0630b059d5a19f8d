/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's memory and processors as a file that gdb and crash read: an ELF core (System V ABI, x86-64), or
 * makedumpfile's compressed format in its flattened form (IMPLEMENTATION of makedumpfile, "kdump-compressed format"), as
 * QEMU's dump-guest-memory writes them. Main thread; no vCPU may run meanwhile. Plain sequential writes to fd.
 */
#pragma once

#include "common/err.h"
#include "vmm/memory.h"
#include "vmm/vcpu_state.h"

typedef struct DumpSource {
    const GuestMemory *memory;
    const VcpuState *cpus; /* number i is process i + 1 in the file */
    unsigned cpu_count;
} DumpSource;

int dump_elf(int fd, const DumpSource *source, Err *err);
int dump_kdump_zlib(int fd, const DumpSource *source, Err *err);

/* For both: NT_PRSTATUS of all processors, then QEMU's note of each (control registers and tables, from which tools find
 * out where the kernel is). free() it. */
int dump_notes(const DumpSource *source, void **ret, size_t *ret_size, Err *err);
/* All of it, or an error that says why. */
int dump_write(int fd, const void *data, size_t size, Err *err);
