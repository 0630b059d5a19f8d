/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest RAM: where it lies in guest-physical space, the host memory behind it, and the only way to reach it.
 *
 *   0            3 GiB         4 GiB                          high_end        (all bytes, guest-physical)
 *   |  low RAM   |  MMIO hole  |  high RAM  | growth reserved for virtio-mem |
 *
 * RAM is private anonymous memory (so that KSM, free page reporting and reclaim work) unless the options ask
 * for a memfd. Each of the two parts is one contiguous host mapping, so adjacent regions are adjacent in host
 * memory.
 *
 * A guest address is never used before memory_at(), memory_read() or memory_write() has accepted it. What a
 * pointer from memory_at() shows can be changed by the guest at any time: read a field once, check the copy,
 * use the copy. All functions are safe on any thread once the VM runs; regions are only added or removed on
 * the main thread, and a pointer stays mapped for the life of the process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define MEMORY_LOW_MAX (3ull << 30)
#define MEMORY_HIGH_BASE (4ull << 30)
#define MEMORY_REGIONS_MAX 32

typedef struct MemoryRegion {
    uint64_t gpa; /* first guest-physical address */
    uint64_t size; /* bytes, a multiple of 4 KiB */
    uint8_t *host; /* where it is mapped here */
    int fd; /* memfd behind it, or -1; owned by GuestMemory */
    uint64_t fd_offset;
} MemoryRegion;

typedef struct MemoryOptions {
    uint64_t size; /* bytes present at boot */
    uint64_t high_reserve; /* bytes of guest address space kept free behind high RAM, for virtio-mem */
    bool shared; /* memfd, MAP_SHARED: for vhost-user */
    bool hugepages; /* hugetlb memfd; page size below (0: the default size) */
    uint64_t hugepage_size;
    bool mergeable; /* MADV_MERGEABLE, private memory only */
    bool thp; /* MADV_HUGEPAGE */
    bool prealloc; /* touch all of it before the guest runs */
    bool locked; /* and never let it be swapped: mlock(2) */
    bool dump_guest; /* leave guest RAM in core dumps */
} MemoryOptions;

typedef struct GuestMemory GuestMemory;

int memory_new(const MemoryOptions *options, GuestMemory **ret, Err *err);
void memory_free(GuestMemory *memory);

/* Host pointer to [gpa, gpa + len), or NULL when any byte of it is not RAM. len 0 gives NULL. */
void *memory_at(const GuestMemory *memory, uint64_t gpa, uint64_t len);
/* Copies; -EFAULT (nothing copied) when any byte is not RAM. */
int memory_read(const GuestMemory *memory, uint64_t gpa, void *buffer, uint64_t len);
int memory_write(GuestMemory *memory, uint64_t gpa, const void *buffer, uint64_t len);

/* Boot-time RAM in bytes; first byte behind high RAM; regions in ascending order. */
uint64_t memory_size(const GuestMemory *memory);
uint64_t memory_high_end(const GuestMemory *memory);
unsigned memory_region_count(const GuestMemory *memory);
const MemoryRegion *memory_region(const GuestMemory *memory, unsigned index);

/*
 * Growth (virtio-mem). Main thread. Makes [gpa, gpa + size) of the reserved space a region; the memory behind
 * it costs nothing until touched. The caller tells KVM (kvm_memory_sync()).
 */
int memory_add_region(GuestMemory *memory, uint64_t gpa, uint64_t size, Err *err);

/* Gives the host pages of a RAM range back (balloon, free page reporting, virtio-mem); it reads as zero
 * afterwards. */
int memory_discard(GuestMemory *memory, uint64_t gpa, uint64_t len);
