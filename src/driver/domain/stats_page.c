/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Figures out of a VM's statistics page: see stats_page.h. */
#include "driver/domain/stats_page.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "common/stats_page.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/stats_disk.h"

int stats_page_open(const VmProcess *vm)
{
    const char *name = vm_process_backend(vm)->stats_page;
    g_autofree char *path = name != NULL ? backend_run_path(vm_process_run_dir(vm), name) : NULL;

    return path != NULL ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
}

static gboolean copy(int fd, guint64 offset, gpointer into, gsize size)
{
    return pread(fd, into, size, (off_t)offset) == (ssize_t)size;
}

/* --- memory --- */

static GArray *balloon_figures(const StatsPage *page)
{
    GArray *list = figures_new(FIGURES_BALLOON);
    const BalloonFigure figure = {.kib = page->balloon.actual / 1024};

    g_array_append_val(list, figure);
    return list;
}

/* In libvirt's order. What the guest has not told is UINT64_MAX. */
static GArray *memory_figures(const StatsPage *page)
{
    static const struct {
        int tag;
        guint16 offset;
        guint16 divisor;
    } fields[] = {
        {VIR_DOMAIN_MEMORY_STAT_SWAP_IN, offsetof(StatsBalloon, swap_in), 1024},
        {VIR_DOMAIN_MEMORY_STAT_SWAP_OUT, offsetof(StatsBalloon, swap_out), 1024},
        {VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT, offsetof(StatsBalloon, major_faults), 1},
        {VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT, offsetof(StatsBalloon, minor_faults), 1},
        {VIR_DOMAIN_MEMORY_STAT_UNUSED, offsetof(StatsBalloon, free), 1024},
        {VIR_DOMAIN_MEMORY_STAT_AVAILABLE, offsetof(StatsBalloon, total), 1024},
        {VIR_DOMAIN_MEMORY_STAT_USABLE, offsetof(StatsBalloon, available), 1024},
        {VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE, offsetof(StatsBalloon, last_update), 1},
        {VIR_DOMAIN_MEMORY_STAT_DISK_CACHES, offsetof(StatsBalloon, disk_caches), 1024},
        {VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC, offsetof(StatsBalloon, hugetlb_alloc), 1},
        {VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL, offsetof(StatsBalloon, hugetlb_fail), 1},
    };
    GArray *list = figures_new(FIGURES_GUEST_MEMORY);

    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++) {
        MemoryFigure figure = {.tag = fields[i].tag};

        memcpy(&figure.value, (const char *)&page->balloon + fields[i].offset, sizeof(figure.value));
        if (figure.value == G_MAXUINT64)
            continue;
        figure.value /= fields[i].divisor;
        g_array_append_val(list, figure);
    }
    return list;
}

/* --- block --- */

static const DiskDef *disk_of(const DomainDef *live, const char *alias)
{
    DOMAIN_DEF_FOREACH(DiskDef, disk, live, DEVICE_DISK)
    {
        if (g_strcmp0(disk->info.alias, alias) == 0)
            return disk;
    }
    return NULL;
}

static void add_block(const StatsBlock *block, const DiskDef *disk, GArray *drives, GArray *images)
{
    gboolean thin = disk->source->format == STORAGE_FORMAT_QCOW2;
    gboolean empty = storage_source_is_empty(disk->source);
    BlockFigure figure = {
        .qdev = g_strdup(disk->info.alias),
        .rd_reqs = block->requests[STATS_IO_READ],
        .rd_bytes = block->bytes[STATS_IO_READ],
        .rd_times = block->time_ns[STATS_IO_READ],
        .wr_reqs = block->requests[STATS_IO_WRITE],
        .wr_bytes = block->bytes[STATS_IO_WRITE],
        .wr_times = block->time_ns[STATS_IO_WRITE],
        .fl_reqs = block->requests[STATS_IO_FLUSH],
        .fl_times = block->time_ns[STATS_IO_FLUSH],
        .wr_highest = thin ? block->write_end : block->wr_highest,
        .wr_highest_known = TRUE,
    };
    ImageFigure image = {.capacity = block->capacity, .look = TRUE};
    char node[40];

    if (!empty) {
        disk_node_name(disk->source, "format", node, sizeof(node));
        figure.node = g_strdup(node);
        image.node = g_strdup(node);
        g_array_append_val(images, image);
        if (block->write_threshold != 0) {
            ImageFigure below = {.threshold = block->write_threshold};

            disk_node_name(disk->source, "storage", node, sizeof(node));
            below.node = g_strdup(node);
            g_array_append_val(images, below);
        }
    }
    g_array_append_val(drives, figure);
}

/* As the monitor tells it: a disk is in trouble while the VM stands because of it. */
static void add_io_status(const StatsPage *page, const StatsBlock *block, const DiskDef *disk, GArray *states)
{
    IoStatusFigure figure = {.qdev = g_strdup(disk->info.alias), .error = VIR_DOMAIN_DISK_ERROR_NONE};

    if (page->run_state == STATS_RUN_IO_ERROR && block->io_error != 0)
        figure.error = block->io_error == ENOSPC ? VIR_DOMAIN_DISK_ERROR_NO_SPACE : VIR_DOMAIN_DISK_ERROR_UNSPEC;
    g_array_append_val(states, figure);
}

static gboolean block_figures(int fd, const StatsPage *page, const DomainDef *live, GArray **ret_drives,
                              GArray **ret_images, GArray **ret_states)
{
    guint n = MIN(page->block_count, STATS_BLOCKS);
    g_autofree StatsBlock *blocks = g_new(StatsBlock, MAX(n, 1));
    GArray *drives, *images, *states;

    if (!copy(fd, page->block_offset, blocks, n * sizeof(*blocks)))
        return FALSE;
    drives = figures_new(FIGURES_DRIVES);
    images = figures_new(FIGURES_IMAGES);
    states = figures_new(FIGURES_IO_STATUS);
    for (guint i = 0; i < n; i++) {
        const DiskDef *disk;

        blocks[i].id[STATS_ID_LEN - 1] = '\0';
        disk = blocks[i].id[0] != '\0' ? disk_of(live, blocks[i].id) : NULL;
        if (disk == NULL)
            continue;
        add_block(&blocks[i], disk, drives, images);
        add_io_status(page, &blocks[i], disk, states);
    }
    *ret_drives = drives;
    *ret_images = images;
    *ret_states = states;
    return TRUE;
}

/* --- iothreads --- */

static GArray *iothread_figures(int fd, const StatsPage *page)
{
    guint n = MIN(page->iothread_count, STATS_IOTHREADS);
    g_autofree StatsIothread *threads = g_new(StatsIothread, MAX(n, 1));
    GArray *list;

    if (!copy(fd, page->iothread_offset, threads, n * sizeof(*threads)))
        return NULL;
    list = figures_new(FIGURES_IOTHREADS);
    for (guint i = 0; i < n; i++) {
        IothreadFigure figure = {.tid = (int)threads[i].tid,
                                 .poll_known = TRUE,
                                 .poll_max_ns = threads[i].poll_max_ns,
                                 .poll_grow = (guint)threads[i].poll_grow,
                                 .poll_shrink = (guint)threads[i].poll_shrink};

        threads[i].id[STATS_ID_LEN - 1] = '\0';
        if (figures_iothread_number(threads[i].id, &figure.id))
            g_array_append_val(list, figure);
    }
    return list;
}

/* --- how fast memory is written --- */

static GArray *dirty_rate_figures(const StatsPage *page)
{
    GArray *list = figures_new(FIGURES_DIRTY_RATE);
    const StatsDirtyRate *rate = &page->dirty_rate;
    const DirtyRateFigure figure = {.vcpu = -1,
                                    .status = (int)MIN(rate->state, VIR_DOMAIN_DIRTYRATE_MEASURED),
                                    .start_time = (gint64)rate->start,
                                    .period = (int)MIN(rate->seconds, G_MAXINT),
                                    .mode = figures_dirty_rate_mode((guint)MIN(rate->mode, G_MAXUINT)),
                                    .rate = (gint64)rate->rate};

    g_array_append_val(list, figure);
    return list;
}

/* --- all --- */

guint stats_page_read(int fd, const DomainDef *live, guint wanted, GArray *ret_figures[FIGURES_LAST])
{
    const guint sizes = FIGURES_BIT(FIGURES_DRIVES) | FIGURES_BIT(FIGURES_IMAGES);
    const guint block = sizes | FIGURES_BIT(FIGURES_NODES) | FIGURES_BIT(FIGURES_IO_STATUS);
    GArray *block_kinds[3] = {NULL};
    StatsPage page;
    guint made = 0;

    if (!copy(fd, 0, &page, sizeof(page)) || page.magic != STATS_PAGE_MAGIC || page.version != STATS_PAGE_VERSION)
        return 0;
    if (wanted & FIGURES_BIT(FIGURES_BALLOON)) {
        ret_figures[FIGURES_BALLOON] = balloon_figures(&page);
        made |= FIGURES_BIT(FIGURES_BALLOON);
    }
    if (wanted & FIGURES_BIT(FIGURES_GUEST_MEMORY)) {
        ret_figures[FIGURES_GUEST_MEMORY] = memory_figures(&page);
        made |= FIGURES_BIT(FIGURES_GUEST_MEMORY);
    }
    if (wanted & FIGURES_BIT(FIGURES_DIRTY_RATE)) {
        ret_figures[FIGURES_DIRTY_RATE] = dirty_rate_figures(&page);
        made |= FIGURES_BIT(FIGURES_DIRTY_RATE);
    }
    if ((wanted & FIGURES_BIT(FIGURES_IOTHREADS)) &&
        (ret_figures[FIGURES_IOTHREADS] = iothread_figures(fd, &page)) != NULL)
        made |= FIGURES_BIT(FIGURES_IOTHREADS);
    if (!(wanted & block) ||
        !block_figures(fd, &page, live, &block_kinds[0], &block_kinds[1], &block_kinds[2]))
        return made;
    if (wanted & FIGURES_BIT(FIGURES_NODES)) {
        ret_figures[FIGURES_NODES] = figures_new(FIGURES_NODES); /* nothing is written below a disk's own image */
        made |= FIGURES_BIT(FIGURES_NODES);
    }
    if (wanted & sizes) {
        ret_figures[FIGURES_DRIVES] = g_steal_pointer(&block_kinds[0]);
        ret_figures[FIGURES_IMAGES] = g_steal_pointer(&block_kinds[1]);
        made |= sizes;
    }
    if (wanted & FIGURES_BIT(FIGURES_IO_STATUS)) {
        ret_figures[FIGURES_IO_STATUS] = g_steal_pointer(&block_kinds[2]);
        made |= FIGURES_BIT(FIGURES_IO_STATUS);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(block_kinds); i++)
        g_clear_pointer(&block_kinds[i], g_array_unref);
    return made;
}
