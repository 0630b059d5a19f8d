/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The statistics page.
 *
 * #syscalls mmap ftruncate
 */
#include "vmm/stats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"

struct Stats {
    StatsPage *page;
    size_t size;
    StatsBlock dummy_block;
    StatsNet dummy_net;
    StatsIothread dummy_iothread;
    StatsVcpu dummy_vcpu;
};

int stats_new(int fd, uint64_t guest_ram, Stats **ret, Err *err)
{
    Stats *stats = calloc(1, sizeof *stats);
    size_t vcpus = ALIGN_UP(sizeof(StatsPage), 64u), blocks = vcpus + STATS_VCPUS * sizeof(StatsVcpu),
           nets = blocks + STATS_BLOCKS * sizeof(StatsBlock), iothreads = nets + STATS_NETS * sizeof(StatsNet);
    struct timespec now;
    StatsPage *page;

    if (stats == NULL)
        return err_set(err, ENOMEM, "out of memory");
    stats->size = ALIGN_UP(iothreads + STATS_IOTHREADS * sizeof(StatsIothread), 4096u);
    if (fd >= 0 && ftruncate(fd, (off_t)stats->size) < 0) {
        free(stats);
        return err_set(err, errno, "cannot size the statistics page: %s", strerror(errno));
    }
    page = mmap(NULL, stats->size, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
    if (fd >= 0)
        close(fd);
    if (page == MAP_FAILED) {
        free(stats);
        return err_set(err, errno, "cannot map the statistics page: %s", strerror(errno));
    }
    clock_gettime(CLOCK_REALTIME, &now);
    page->version = STATS_PAGE_VERSION;
    page->size = (uint32_t)stats->size;
    page->vcpu_offset = (uint32_t)vcpus;
    page->vcpu_max = STATS_VCPUS;
    page->block_offset = (uint32_t)blocks;
    page->block_max = STATS_BLOCKS;
    page->net_offset = (uint32_t)nets;
    page->net_max = STATS_NETS;
    page->iothread_offset = (uint32_t)iothreads;
    page->iothread_max = STATS_IOTHREADS;
    page->start_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    page->guest_ram = guest_ram;
    page->balloon.actual = page->balloon.target = guest_ram;
    for (uint64_t *at = &page->balloon.swap_in; at <= &page->balloon.hugetlb_fail; at++)
        *at = UINT64_MAX;
    __atomic_store_n(&page->magic, STATS_PAGE_MAGIC, __ATOMIC_RELEASE);
    stats->page = page;
    *ret = stats;
    return 0;
}

void stats_free(Stats *stats)
{
    if (stats == NULL)
        return;
    munmap(stats->page, stats->size);
    free(stats);
}

StatsPage *stats_page(Stats *stats)
{
    return stats->page;
}

static void *at(Stats *stats, uint32_t offset)
{
    return (char *)stats->page + offset;
}

StatsVcpu *stats_vcpu(Stats *stats, unsigned index)
{
    if (index >= STATS_VCPUS)
        return &stats->dummy_vcpu;
    if (stats->page->vcpu_count <= index)
        __atomic_store_n(&stats->page->vcpu_count, index + 1, __ATOMIC_RELEASE);
    return (StatsVcpu *)at(stats, stats->page->vcpu_offset) + index;
}

/* Records begin with their id: look for it, then for a free one. */
static void *record(Stats *stats, const char *id, uint32_t offset, uint32_t *count, uint32_t max, size_t size)
{
    char *base = at(stats, offset), *free_one = NULL;

    for (uint32_t i = 0; i < *count; i++) {
        char *r = base + i * size;

        if (strncmp(r, id, STATS_ID_LEN) == 0)
            return r;
        if (r[0] == '\0' && free_one == NULL)
            free_one = r;
    }
    if (free_one == NULL && *count < max)
        free_one = base + *count * size;
    if (free_one == NULL)
        return NULL;
    memset(free_one, 0, size);
    snprintf(free_one, STATS_ID_LEN, "%s", id);
    if (free_one == base + *count * size)
        __atomic_store_n(count, *count + 1, __ATOMIC_RELEASE);
    return free_one;
}

StatsBlock *stats_block(Stats *stats, const char *id)
{
    StatsBlock *r =
        record(stats, id, stats->page->block_offset, &stats->page->block_count, STATS_BLOCKS, sizeof *r);

    return r ? r : &stats->dummy_block;
}

StatsIothread *stats_iothread(Stats *stats, const char *id)
{
    StatsIothread *r = record(stats, id, stats->page->iothread_offset, &stats->page->iothread_count, STATS_IOTHREADS,
                              sizeof *r);

    return r ? r : &stats->dummy_iothread;
}

StatsNet *stats_net(Stats *stats, const char *id)
{
    StatsNet *r = record(stats, id, stats->page->net_offset, &stats->page->net_count, STATS_NETS, sizeof *r);

    return r ? r : &stats->dummy_net;
}
