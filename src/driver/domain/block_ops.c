/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RPC handlers that tell of disks: virDomainBlockStats(Flags), GetBlockInfo, BlockPeek, GetDiskErrors.
 * Figures of the monitor come from the statistics cache: fresh when the VM answers in time, else as last
 * known.
 */
#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <string.h>
#include <unistd.h>

#include "common/slow_file.h"
#include "driver/backend/monitor.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/stats_disk.h"
#include "driver/rpc/call.h"
#include "driver/rpc/typed_params.h"

enum { PEEK_MAX = 4194304, DISK_ERRORS_MAX = 256 }; /* of the wire */

/* By target, or by an unambiguous path. NULL sets the error with this format for the name. */
static const DiskDef *find_disk(const DomainDef *def, const char *name, const char *before, const char *after,
                                GError **error)
{
    const DiskDef *disk = (const DiskDef *)domain_def_find_disk(def, name);

    if (disk == NULL)
        error_set(error, VIR_ERR_INVALID_ARG, "%s%s%s", before, name, after);
    return disk;
}

/* --- counters ------------------------------------------------------------------------------------------- */

static void sum_up(BlockFigure *sum, const BlockFigure *one)
{
    sum->rd_reqs += one->rd_reqs;
    sum->rd_bytes += one->rd_bytes;
    sum->rd_times += one->rd_times;
    sum->wr_reqs += one->wr_reqs;
    sum->wr_bytes += one->wr_bytes;
    sum->wr_times += one->wr_times;
    sum->fl_reqs += one->fl_reqs;
    sum->fl_times += one->fl_times;
}

/* Of one disk, or of all when path is empty. State lock held. */
static gboolean gather(const Domain *dom, const StatsView *view, const char *path, BlockFigure *ret,
                       GError **error)
{
    const DiskDef *wanted = NULL;

    if (view->figures[FIGURES_DRIVES] == NULL)
        return error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                         "no block statistics of domain '%s' are known: its monitor has not answered yet",
                         dom->name);
    if (path[0] != '\0') {
        wanted = find_disk(dom->live, path, "invalid path: ", "", error);
        if (wanted == NULL)
            return FALSE;
        if (wanted->source->type == STORAGE_TYPE_VHOSTUSER)
            return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                             "block stats are not supported for vhostuser disk");
    }
    DOMAIN_DEF_FOREACH(DiskDef, disk, dom->live, DEVICE_DISK)
    {
        const BlockFigure *figure;

        if ((wanted != NULL && disk != wanted) || disk->source->type == STORAGE_TYPE_VHOSTUSER)
            continue;
        figure = disk_drive_figures(view, disk);
        if (figure == NULL)
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot find statistics for device '%s'",
                             disk->info.alias != NULL ? disk->info.alias : disk->target);
        sum_up(ret, figure);
    }
    return TRUE;
}

static gboolean counters(Call *call, const WireDomain *wire, const char *path, BlockFigure *ret,
                         GError **error)
{
    g_autoptr(Domain) dom = domain_from_wire(call, wire, error);
    g_auto(StatsView) view = {0};
    gboolean good;

    *ret = (BlockFigure){0};
    if (dom == NULL)
        return FALSE;
    good = stats_fresh_view(dom, FIGURES_BIT(FIGURES_DRIVES), &view, error) &&
           gather(dom, &view, path, ret, error);
    lock_release(&dom->lock);
    return good;
}

gboolean call_domain_block_stats(Call *call, const DomainBlockStatsArgs *args, DomainBlockStatsRet *ret,
                                 GError **error)
{
    BlockFigure figure;

    if (!counters(call, &args->dom, args->path, &figure, error))
        return FALSE;
    ret->rd_req = (gint64)figure.rd_reqs;
    ret->rd_bytes = (gint64)figure.rd_bytes;
    ret->wr_req = (gint64)figure.wr_reqs;
    ret->wr_bytes = (gint64)figure.wr_bytes;
    ret->errs = -1; /* not counted, as with libvirt */
    return TRUE;
}

gboolean call_domain_block_stats_flags(Call *call, const DomainBlockStatsFlagsArgs *args,
                                       DomainBlockStatsFlagsRet *ret, GError **error)
{
    g_auto(TypedParams) params = {0};
    BlockFigure figure;

    if (!call_check_flags(call, args->flags, VIR_TYPED_PARAM_STRING_OKAY, error))
        return FALSE;
    if (args->nparams < 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "nparams must be non-negative");
    if (args->nparams > 16)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "nparams too large");
    if (!counters(call, &args->dom, args->path, &figure, error))
        return FALSE;

    const struct {
        const char *name;
        guint64 value;
    } fields[] = {
        {VIR_DOMAIN_BLOCK_STATS_WRITE_BYTES, figure.wr_bytes},
        {VIR_DOMAIN_BLOCK_STATS_WRITE_REQ, figure.wr_reqs},
        {VIR_DOMAIN_BLOCK_STATS_READ_BYTES, figure.rd_bytes},
        {VIR_DOMAIN_BLOCK_STATS_READ_REQ, figure.rd_reqs},
        {VIR_DOMAIN_BLOCK_STATS_FLUSH_REQ, figure.fl_reqs},
        {VIR_DOMAIN_BLOCK_STATS_WRITE_TOTAL_TIMES, figure.wr_times},
        {VIR_DOMAIN_BLOCK_STATS_READ_TOTAL_TIMES, figure.rd_times},
        {VIR_DOMAIN_BLOCK_STATS_FLUSH_TOTAL_TIMES, figure.fl_times},
    };
    if (args->nparams == 0) {
        ret->nparams = G_N_ELEMENTS(fields);
        return TRUE;
    }
    typed_params_init(&params);
    for (gsize i = 0; i < G_N_ELEMENTS(fields) && i < (gsize)args->nparams; i++)
        typed_params_add_llong(&params, fields[i].name, (gint64)fields[i].value);
    ret->params = typed_params_steal(&params, &ret->params_len);
    return TRUE;
}

/* --- sizes ---------------------------------------------------------------------------------------------- */

/* What has to be known of a disk to look at its file without a lock. */
typedef struct DiskFile {
    char *path; /* NULL: not a file of this host */
    StorageType type;
    StorageFormat format;
    gboolean encrypted;
} DiskFile;

static void disk_file_take(const DiskDef *disk, DiskFile *ret)
{
    ret->path = disk_source_is_local(disk->source) ? g_strdup(disk->source->path) : NULL;
    ret->type = disk->source->type;
    ret->format = disk->source->format;
    ret->encrypted = disk->source->encryption != NULL;
}

static gboolean check_source(const DiskDef *disk, const char *path, GError **error)
{
    if (disk->source->type == STORAGE_TYPE_VHOSTUSER)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                         "block info is not supported for vhostuser disk");
    if (storage_source_is_empty(disk->source))
        return error_set(error, VIR_ERR_INVALID_ARG, "disk '%s' does not currently have a source assigned",
                         path);
    if (disk->source->fdgroup != NULL)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                         "block info is not supported for FD passed disk image");
    return TRUE;
}

/* What a VM that runs tells of a disk's image. */
typedef struct Told {
    guint64 capacity, physical; /* physical 0: not told */
    guint64 highest; /* byte written */
    gboolean highest_known;
    gboolean look; /* at the file: physical is what it takes */
} Told;

/* State lock held. */
static gboolean sizes_told(const StatsView *view, const DiskDef *disk, Told *ret, GError **error)
{
    char node[40];
    const BlockFigure *block;
    const ImageFigure *image;

    disk_node_name(disk->source, "format", node, sizeof(node));
    block = disk_node_figures(view, node);
    image = disk_image_figures(view, node);
    if (view->figures[FIGURES_DRIVES] == NULL && view->figures[FIGURES_IMAGES] == NULL)
        return error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                         "the size of disk '%s' is not known: the domain's monitor has not answered yet",
                         disk->target);
    if (block == NULL && image == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot find statistics for device '%s'",
                         disk->info.alias != NULL ? disk->info.alias : disk->target);
    if (image != NULL)
        *ret = (Told){.capacity = image->capacity, .physical = image->physical, .look = image->look};
    /* A qcow2 file is as full as it is long; of other images the VM knows how far they were written. */
    if (block != NULL && block->wr_highest_known &&
        !(disk->source->type == STORAGE_TYPE_FILE && disk->source->format == STORAGE_FORMAT_QCOW2)) {
        ret->highest = block->wr_highest;
        ret->highest_known = TRUE;
    }
    return TRUE;
}

/* No lock is held: it looks at the file when it must. */
static void settle_sizes(const Told *told, const DiskFile *file, DomainGetBlockInfoRet *ret)
{
    guint64 physical = told->physical;
    DiskSizes sizes = {0};
    gboolean there = FALSE;

    if (told->look) {
        there = file->path != NULL && disk_sizes(file->path, file->type, file->format, file->encrypted, &sizes, NULL);
        physical = sizes.allocation;
    }
    ret->allocation = told->highest_known ? told->highest : physical;
    ret->physical = physical;
    ret->capacity = told->capacity;
    if (physical == 0 || ret->allocation == 0 || ret->allocation == physical) {
        there = there ||
                (file->path != NULL && disk_sizes(file->path, file->type, file->format, file->encrypted, &sizes, NULL));
        if (there)
            ret->physical = sizes.physical;
    }
    if (ret->allocation == 0)
        ret->allocation = physical;
}

gboolean call_domain_get_block_info(Call *call, const DomainGetBlockInfoArgs *args,
                                    DomainGetBlockInfoRet *ret, GError **error)
{
    const guint wanted = FIGURES_BIT(FIGURES_DRIVES) | FIGURES_BIT(FIGURES_IMAGES);
    g_autoptr(Domain) dom = NULL;
    g_auto(StatsView) view = {0};
    const DiskDef *disk;
    DiskFile file = {0};
    DiskSizes sizes;
    g_autofree char *path = NULL;
    Told told = {0};
    gboolean active, good;

    dom = domain_from_wire_flags(call, &args->dom, args->flags, 0, error);
    if (dom == NULL)
        return FALSE;
    active = stats_fresh_view(dom, wanted, &view, NULL) && dom->live != NULL;
    disk = find_disk(domain_def(dom), args->path, "invalid path ", " not assigned to domain", error);
    good = disk != NULL && check_source(disk, args->path, error);
    if (good) {
        disk_file_take(disk, &file);
        path = file.path;
        good = !active || sizes_told(&view, disk, &told, error);
    }
    lock_release(&dom->lock);
    if (!good)
        return FALSE;
    if (active) {
        settle_sizes(&told, &file, ret);
        return TRUE;
    }
    if (path == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR,
                         "the size of disk '%s' is known only while the domain runs: it is not on this host",
                         args->path);
    if (!disk_sizes(path, file.type, file.format, file.encrypted, &sizes, error))
        return FALSE;
    ret->allocation = sizes.allocation;
    ret->capacity = sizes.capacity;
    ret->physical = sizes.physical;
    return TRUE;
}

/* --- peeking -------------------------------------------------------------------------------------------- */

/* The file of a raw disk. Caller frees. */
static char *peek_path(Domain *dom, const char *name, GError **error)
{
    const DiskDef *disk;
    LOCK_SCOPE(&dom->lock);

    disk = find_disk(domain_def(dom), name, "disk '", "' not found in domain", error);
    if (disk == NULL)
        return NULL;
    if (disk->source->type == STORAGE_TYPE_VHOSTUSER)
        error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "peeking is not supported for vhostuser disk");
    else if (disk->source->format != STORAGE_FORMAT_RAW)
        error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                  "peeking is only supported for disk with 'raw' format not '%s'",
                  storage_format_to_string(disk->source->format));
    else if (disk->source->fdgroup != NULL)
        error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "peeking is not supported for FD passed images");
    else if (!disk_source_is_local(disk->source))
        error_set(error, VIR_ERR_INTERNAL_ERROR, "storage file reading is not supported for storage type %s",
                  storage_type_to_string(disk->source->type));
    else
        return g_strdup(disk->source->path);
    return NULL;
}

gboolean call_domain_block_peek(Call *call, const DomainBlockPeekArgs *args, DomainBlockPeekRet *ret,
                                GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_autofree char *path = NULL;
    g_autofree guint8 *buffer = NULL;
    gsize length = 0;
    ssize_t n = 0;
    int fd;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    if (args->size > PEEK_MAX)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "size > maximum buffer size");
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL || (path = peek_path(dom, args->path, error)) == NULL)
        return FALSE;
    fd = slow_file_open(path, O_RDONLY | O_NONBLOCK, NULL, 0);
    if (fd < 0)
        return error_set_errno(error, -fd, "Failed to open file '%s'", path);
    buffer = g_malloc(MAX(args->size, 1));
    while (length < args->size && args->offset <= G_MAXINT64 - length &&
           (n = pread(fd, buffer + length, args->size - length, (off_t)(args->offset + length))) > 0)
        length += (gsize)n;
    if (n < 0)
        error_set_errno(error, errno, "cannot read file '%s'", path);
    close(fd);
    if (n < 0)
        return FALSE;
    if (length < args->size)
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "'%s' starting from %" G_GUINT64_FORMAT " has only %zu bytes available", args->path,
                         args->offset, length);
    ret->buffer = g_steal_pointer(&buffer);
    ret->buffer_len = args->size;
    return TRUE;
}

/* --- errors --------------------------------------------------------------------------------------------- */

/* State lock held. */
static int disk_error(const StatsView *view, const DiskDef *disk)
{
    const GArray *list = view->figures[FIGURES_IO_STATUS];

    for (guint i = 0; disk->info.alias != NULL && i < figures_count(list); i++) {
        const IoStatusFigure *figure = figure_at(list, IoStatusFigure, i);

        if (vm_qdev_matches(figure->qdev, disk->info.alias))
            return figure->error;
    }
    return VIR_DOMAIN_DISK_ERROR_NONE;
}

gboolean call_domain_get_disk_errors(Call *call, const DomainGetDiskErrorsArgs *args,
                                     DomainGetDiskErrorsRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_auto(StatsView) view = {0};
    gboolean active;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    if (args->maxerrors > DISK_ERRORS_MAX)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "maxerrors too large");
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL)
        return FALSE;
    active = stats_fresh_view(dom, args->maxerrors > 0 ? FIGURES_BIT(FIGURES_IO_STATUS) : 0, &view, error);
    if (active && args->maxerrors == 0)
        ret->nerrors = (gint32)domain_def_n(domain_def(dom), DEVICE_DISK);
    if (active && args->maxerrors > 0) {
        ret->errors = g_new0(WireDomainDiskError, args->maxerrors);
        DOMAIN_DEF_FOREACH(DiskDef, disk, domain_def(dom), DEVICE_DISK)
        {
            int problem = disk_error(&view, disk);

            if (problem == VIR_DOMAIN_DISK_ERROR_NONE || ret->errors_len >= args->maxerrors)
                continue;
            ret->errors[ret->errors_len].disk = g_strdup(disk->target);
            ret->errors[ret->errors_len].error = problem;
            ret->errors_len++;
        }
        ret->nerrors = (gint32)ret->errors_len;
    }
    lock_release(&dom->lock);
    return active;
}
