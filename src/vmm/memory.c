/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest RAM. Two host mappings (below 3 GiB, from 4 GiB up), each reserved as a whole, so that regions that
 * touch in guest-physical space touch in host memory too and a buffer may span them.
 *
 * #syscalls:main memfd_create ftruncate
 */
#include "vmm/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/checked.h"

#define MAP_ALIGN (2ull << 20) /* lets the host use transparent huge pages */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

struct GuestMemory {
    MemoryRegion regions[MEMORY_REGIONS_MAX];
    unsigned count; /* atomic: readers on vCPU and iothreads, writer on the main thread */
    MemoryOptions options;
    uint64_t boot_size;
    uint8_t *map[2]; /* whole reservations, for munmap */
    size_t map_size[2];
    uint8_t *high_host; /* host address of 4 GiB */
    uint64_t high_limit; /* end of the reservation, guest-physical */
};

/* Reserves size bytes, aligned so that huge pages fit. */
static uint8_t *reserve(size_t size, uint8_t **ret_map, size_t *ret_map_size)
{
    size_t whole = size + MAP_ALIGN;
    uint8_t *p = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint8_t *aligned;

    if (p == MAP_FAILED)
        return NULL;
    aligned = (uint8_t *)ALIGN_UP((uintptr_t)p, MAP_ALIGN);
    if (aligned > p)
        munmap(p, (size_t)(aligned - p));
    if (p + whole > aligned + size)
        munmap(aligned + size, (size_t)(p + whole - aligned - size));
    *ret_map = aligned;
    *ret_map_size = size;
    return aligned;
}

/* Turns [host, host + size) of a reservation into memory; *ret_fd is -1 for private anonymous memory. */
static int populate(GuestMemory *memory, uint8_t *host, uint64_t size, int *ret_fd, Err *err)
{
    const MemoryOptions *o = &memory->options;

    *ret_fd = -1;
    if (o->shared || o->hugepages) {
        unsigned flags = MFD_CLOEXEC;

        if (o->hugepages) {
            flags |= MFD_HUGETLB;
            if (o->hugepage_size)
                flags |= (unsigned)__builtin_ctzll(o->hugepage_size) << MFD_HUGE_SHIFT;
        }
        int fd = memfd_create("guest-ram", flags);

        if (fd < 0)
            return err_set(err, errno, "cannot make shared guest memory: %s", strerror(errno));
        if (ftruncate(fd, (off_t)size) < 0 ||
            mmap(host, size, PROT_READ | PROT_WRITE, (o->shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED, fd,
                 0) == MAP_FAILED) {
            int e = errno;

            close(fd);
            return err_set(err, e, "cannot map %" PRIu64 " MiB of %sguest memory: %s%s", size >> 20,
                           o->hugepages ? "huge page " : "shared ", strerror(e),
                           o->hugepages ? "; reserve huge pages on the host (vm.nr_hugepages)" : "");
        }
        *ret_fd = fd;
    } else if (mprotect(host, size, PROT_READ | PROT_WRITE) < 0) {
        return err_set(err, errno, "cannot map %" PRIu64 " MiB of guest memory: %s", size >> 20,
                       strerror(errno));
    }

    /* Hints: a kernel without one of them still runs the guest. */
    if (!o->dump_guest)
        (void)madvise(host, size, MADV_DONTDUMP);
    if (o->mergeable && !o->shared)
        (void)madvise(host, size, MADV_MERGEABLE);
    if (o->thp)
        (void)madvise(host, size, MADV_HUGEPAGE);
    if (o->prealloc && madvise(host, size, MADV_POPULATE_WRITE) < 0) {
        if (errno != EINVAL)
            return err_set(err, errno, "cannot allocate %" PRIu64 " MiB of guest memory beforehand: %s",
                           size >> 20, strerror(errno));
        for (uint64_t at = 0; at < size; at += 4096)
            ((volatile uint8_t *)host)[at] = 0;
    }
    if (o->locked && mlock(host, size) < 0)
        return err_set(err, errno, "cannot lock %" PRIu64 " MiB of guest memory: %s", size >> 20, strerror(errno));
    return 0;
}

static int add(GuestMemory *memory, uint64_t gpa, uint64_t size, uint8_t *host, Err *err)
{
    unsigned n = memory->count;
    int fd, r;

    if (n == MEMORY_REGIONS_MAX)
        return err_set(err, ENOSPC, "guest memory: more than %d regions", MEMORY_REGIONS_MAX);
    r = populate(memory, host, size, &fd, err);
    if (r < 0)
        return r;
    memory->regions[n] = (MemoryRegion){.gpa = gpa, .size = size, .host = host, .fd = fd};
    __atomic_store_n(&memory->count, n + 1, __ATOMIC_RELEASE);
    return 0;
}

int memory_new(const MemoryOptions *options, GuestMemory **ret, Err *err)
{
    uint64_t unit = options->hugepages && options->hugepage_size ? options->hugepage_size : 4096;
    uint64_t low, high, high_whole;
    GuestMemory *memory;
    int r = 0;

    if (options->hugepages && !options->hugepage_size)
        unit = MAP_ALIGN;
    if (options->size == 0 || options->size % unit != 0)
        return err_set(err, EINVAL, "guest memory size %" PRIu64 " is not a multiple of %" PRIu64 " bytes",
                       options->size, unit);
    if (options->size > 1ull << 46 || options->high_reserve > 1ull << 46)
        return err_set(err, EINVAL, "guest memory size %" PRIu64 " is out of range", options->size);
    memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return err_set(err, ENOMEM, "out of memory");
    memory->options = *options;
    memory->boot_size = options->size;
    low = MIN(options->size, MEMORY_LOW_MAX);
    high = options->size - low;
    high_whole = high + ALIGN_UP(options->high_reserve, MAP_ALIGN);
    memory->high_limit = MEMORY_HIGH_BASE + high_whole;

    uint8_t *host = reserve(low, &memory->map[0], &memory->map_size[0]);

    if (host != NULL && high_whole > 0) {
        memory->high_host = reserve(high_whole, &memory->map[1], &memory->map_size[1]);
        if (memory->high_host == NULL)
            host = NULL;
    }
    if (host == NULL)
        r = err_set(err, ENOMEM, "cannot reserve %" PRIu64 " MiB of address space for the guest",
                    options->size >> 20);
    if (r == 0)
        r = add(memory, 0, low, host, err);
    if (r == 0 && high > 0)
        r = add(memory, MEMORY_HIGH_BASE, high, memory->high_host, err);
    if (r < 0) {
        memory_free(memory);
        return r;
    }
    memory->options.prealloc = memory->options.locked = false; /* what is added later is taken when the guest uses it */
    *ret = memory;
    return 0;
}

void memory_free(GuestMemory *memory)
{
    if (memory == NULL)
        return;
    for (unsigned i = 0; i < memory->count; i++) {
        if (memory->regions[i].fd >= 0)
            close(memory->regions[i].fd);
    }
    for (int i = 0; i < 2; i++) {
        if (memory->map[i] != NULL)
            munmap(memory->map[i], memory->map_size[i]);
    }
    free(memory);
}

void *memory_at(const GuestMemory *memory, uint64_t gpa, uint64_t len)
{
    unsigned n = __atomic_load_n(&memory->count, __ATOMIC_ACQUIRE);
    uint8_t *start = NULL;

    if (len == 0 || gpa + len < gpa)
        return NULL;
    /* Regions ascend and touching ones are contiguous here too: go on in the next one where this one ends. */
    for (unsigned i = 0; i < n; i++) {
        const MemoryRegion *region = &memory->regions[i];

        if (gpa < region->gpa || gpa - region->gpa >= region->size)
            continue;
        if (start == NULL)
            start = region->host + (gpa - region->gpa);
        if (len <= region->size - (gpa - region->gpa))
            return start;
        len -= region->size - (gpa - region->gpa);
        gpa = region->gpa + region->size;
        if (gpa == MEMORY_HIGH_BASE)
            return NULL;
    }
    return NULL;
}

int memory_read(const GuestMemory *memory, uint64_t gpa, void *buffer, uint64_t len)
{
    const void *p = memory_at(memory, gpa, len);

    if (p == NULL)
        return len == 0 ? 0 : -EFAULT;
    memcpy(buffer, p, len);
    return 0;
}

int memory_write(GuestMemory *memory, uint64_t gpa, const void *buffer, uint64_t len)
{
    void *p = memory_at(memory, gpa, len);

    if (p == NULL)
        return len == 0 ? 0 : -EFAULT;
    memcpy(p, buffer, len);
    return 0;
}

uint64_t memory_size(const GuestMemory *memory)
{
    return memory->boot_size;
}

uint64_t memory_high_end(const GuestMemory *memory)
{
    return MEMORY_HIGH_BASE + memory->boot_size - MIN(memory->boot_size, MEMORY_LOW_MAX);
}

unsigned memory_region_count(const GuestMemory *memory)
{
    return __atomic_load_n(&memory->count, __ATOMIC_ACQUIRE);
}

const MemoryRegion *memory_region(const GuestMemory *memory, unsigned index)
{
    return index < memory_region_count(memory) ? &memory->regions[index] : NULL;
}

int memory_add_region(GuestMemory *memory, uint64_t gpa, uint64_t size, Err *err)
{
    const MemoryRegion *last = &memory->regions[memory->count - 1];
    uint64_t floor = MAX(memory_high_end(memory), last->gpa + last->size);

    if (gpa < floor || size == 0 || (gpa | size) % 4096 != 0 || !range_inside(gpa, size, memory->high_limit))
        return err_set(err, EINVAL,
                       "guest memory region at 0x%" PRIx64 " does not fit the reserved address space", gpa);
    return add(memory, gpa, size, memory->high_host + (gpa - MEMORY_HIGH_BASE), err);
}

int memory_discard(GuestMemory *memory, uint64_t gpa, uint64_t len)
{
    void *p = memory_at(memory, gpa, len);

    if (p == NULL)
        return -EFAULT;
    if ((gpa | len) % 4096 != 0)
        return -EINVAL;
    /* Private pages are simply dropped; shared ones, and huge ones of a file, must leave the file. */
    if (!memory->options.shared && madvise(p, len, MADV_DONTNEED) < 0)
        return -errno;
    if ((memory->options.shared) && madvise(p, len, MADV_REMOVE) < 0)
        return -errno;
    return 0;
}
