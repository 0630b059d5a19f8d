/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes and counters of disks. */
#include "driver/domain/stats_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/slow_file.h"
#include "driver/backend/monitor.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/stats_name.h"
#include "storage/probe_client.h"

/* --- what the header says ------------------------------------------------------------------------------- */

/* Headers that were read, by file; thrown away together when there are too many. */
enum { HEADERS_MAX = 8192 };

typedef struct Header {
    dev_t device; /* these two are the key */
    ino_t inode;
    struct timespec changed; /* ctime: every write and truncation moves it */
    StorageFormat format;
    guint64 capacity; /* 0: not told */
    guint64 payload; /* bytes before the data of a LUKS volume */
} Header;

static GMutex headers_lock;
static GHashTable *headers;

static guint header_hash(gconstpointer key)
{
    const Header *header = key;

    return (guint)header->inode * 31 + (guint)header->device;
}

static gboolean header_equal(gconstpointer a, gconstpointer b)
{
    const Header *x = a, *y = b;

    return x->device == y->device && x->inode == y->inode;
}

static gboolean recall(Header *header)
{
    const Header *found;
    gboolean good;

    g_mutex_lock(&headers_lock);
    found = headers != NULL ? g_hash_table_lookup(headers, header) : NULL;
    good = found != NULL && found->format == header->format &&
           found->changed.tv_sec == header->changed.tv_sec &&
           found->changed.tv_nsec == header->changed.tv_nsec;
    if (good)
        *header = *found;
    g_mutex_unlock(&headers_lock);
    return good;
}

static void remember(const Header *header)
{
    Header *copy = g_memdup2(header, sizeof(*header));

    g_mutex_lock(&headers_lock);
    if (headers == NULL)
        headers = g_hash_table_new_full(header_hash, header_equal, g_free, NULL);
    else if (g_hash_table_size(headers) >= HEADERS_MAX)
        g_hash_table_remove_all(headers);
    g_hash_table_add(headers, copy);
    g_mutex_unlock(&headers_lock);
}

static gboolean read_header(int fd, const char *path, gboolean encrypted, Header *header, GError **error)
{
    const char *name, *wanted = storage_format_to_string(header->format);
    ImageProbe probe;
    guint64 payload = 0;

    if (!probe_fd(fd, path, &probe, &payload, error))
        return FALSE;
    name = image_format_name(probe.format);
    if (name != NULL && wanted != NULL && strcmp(name, wanted) == 0)
        header->capacity = probe.virtual_size;
    header->payload = encrypted ? payload : 0;
    return TRUE;
}

/* What is to be looked at; path and what is found live in the job. */
typedef struct SizeJob {
    char *path;
    StorageType type;
    StorageFormat format;
    gboolean encrypted;
    DiskSizes sizes;
    GError *error; /* NULL: found */
} SizeJob;

static gboolean look(SizeJob *job, GError **error)
{
    Header header = {.format = job->format};
    DiskSizes *sizes = &job->sizes;
    autofd fd = -1;
    struct stat st;

    if (stat(job->path, &st) < 0)
        return error_set_errno(error, errno, "Failed to open file '%s'", job->path);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return TRUE;
    sizes->allocation = (guint64)st.st_blocks * 512;
    sizes->physical = (guint64)st.st_size;
    header.device = st.st_dev;
    header.inode = st.st_ino;
    header.changed = st.st_ctim;
    if (S_ISBLK(st.st_mode) || ((job->format != STORAGE_FORMAT_RAW || job->encrypted) && !recall(&header))) {
        fd = open(job->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
            return error_set_errno(error, errno, "Failed to open file '%s'", job->path);
    }
    if (S_ISBLK(st.st_mode)) {
        off_t end = lseek(fd, 0, SEEK_END);

        if (end < 0)
            return error_set_errno(error, errno, "failed to seek to end of %s", job->path);
        sizes->allocation = sizes->physical = (guint64)end;
    }
    sizes->capacity = sizes->physical;
    if (fd >= 0 && (job->format != STORAGE_FORMAT_RAW || job->encrypted)) {
        if (!read_header(fd, job->path, job->encrypted, &header, error))
            return FALSE;
        remember(&header);
    }
    if (header.capacity != 0)
        sizes->capacity = header.capacity;
    sizes->capacity -= MIN(header.payload, sizes->capacity);
    /* How far an image on a device is filled, only the VM knows. */
    if (job->type == STORAGE_TYPE_BLOCK && job->format != STORAGE_FORMAT_RAW && S_ISBLK(st.st_mode))
        sizes->allocation = 0;
    return TRUE;
}

/* Several of them, and their paths as slow_file.h wants them. A g_atomic_rc_box. */
typedef struct SizeJobs {
    GArray *list; /* SizeJob */
    GPtrArray *paths; /* of the jobs */
} SizeJobs;

static SizeJobs *size_jobs_new(void)
{
    SizeJobs *jobs = g_atomic_rc_box_new0(SizeJobs);

    jobs->list = g_array_new(FALSE, TRUE, sizeof(SizeJob));
    jobs->paths = g_ptr_array_new();
    return jobs;
}

static void size_jobs_clear(gpointer data)
{
    SizeJobs *jobs = data;

    for (guint i = 0; i < jobs->list->len; i++) {
        SizeJob *job = &g_array_index(jobs->list, SizeJob, i);

        g_free(job->path);
        g_clear_error(&job->error);
    }
    g_array_unref(jobs->list);
    g_ptr_array_unref(jobs->paths);
}

static void size_jobs_add(SizeJobs *jobs, const char *path, StorageType type, StorageFormat format, gboolean encrypted)
{
    const SizeJob job = {.path = g_strdup(path != NULL ? path : ""), /* none: not to be found */
                          .type = type, .format = format, .encrypted = encrypted};

    g_array_append_val(jobs->list, job);
    g_ptr_array_add(jobs->paths, job.path);
}

static void look_at(gpointer data, guint i)
{
    SizeJob *job = &g_array_index(((SizeJobs *)data)->list, SizeJob, i);

    look(job, &job->error);
}

/* Whether each was found goes to ret_done (caller frees), by index. */
static void size_jobs_run(SizeJobs *jobs, guint timeout_ms, gboolean **ret_done)
{
    guint n = jobs->list->len;

    *ret_done = g_new0(gboolean, MAX(n, 1));
    slow_file_each((const char *const *)jobs->paths->pdata, n, look_at, jobs, size_jobs_clear, timeout_ms, *ret_done);
}

gboolean disk_sizes(const char *path, StorageType type, StorageFormat format, gboolean encrypted,
                    DiskSizes *ret, GError **error)
{
    SizeJobs *jobs = size_jobs_new();
    g_autofree gboolean *done = NULL;
    SizeJob *job;
    gboolean good = FALSE;

    size_jobs_add(jobs, path, type, format, encrypted);
    size_jobs_run(jobs, 0, &done);
    job = &g_array_index(jobs->list, SizeJob, 0);
    if (!done[0]) {
        error_set_errno(error, ETIMEDOUT, "Failed to open file '%s'", path);
    } else if (job->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&job->error));
    } else {
        *ret = job->sizes;
        good = TRUE;
    }
    g_atomic_rc_box_release_full(jobs, size_jobs_clear);
    return good;
}

gboolean disk_source_is_local(const StorageSource *source)
{
    return (source->type == STORAGE_TYPE_FILE || source->type == STORAGE_TYPE_BLOCK ||
            source->type == STORAGE_TYPE_DIR) &&
           source->path != NULL;
}

/* --- what the monitor told ------------------------------------------------------------------------------ */

const BlockFigure *disk_drive_figures(const StatsView *view, const DiskDef *disk)
{
    const GArray *drives = view->figures[FIGURES_DRIVES];

    for (guint i = 0; disk->info.alias != NULL && i < figures_count(drives); i++) {
        const BlockFigure *figure = figure_at(drives, BlockFigure, i);

        if (figure->qdev != NULL && vm_qdev_matches(figure->qdev, disk->info.alias))
            return figure;
    }
    return NULL;
}

const BlockFigure *disk_node_figures(const StatsView *view, const char *node)
{
    static const FiguresKind kinds[] = {FIGURES_DRIVES, FIGURES_NODES};

    for (gsize k = 0; k < G_N_ELEMENTS(kinds); k++) {
        const GArray *list = view->figures[kinds[k]];

        for (guint i = 0; i < figures_count(list); i++) {
            const BlockFigure *figure = figure_at(list, BlockFigure, i);

            if (g_strcmp0(figure->node, node) == 0)
                return figure;
        }
    }
    return NULL;
}

const ImageFigure *disk_image_figures(const StatsView *view, const char *node)
{
    const GArray *images = view->figures[FIGURES_IMAGES];

    for (guint i = 0; i < figures_count(images); i++) {
        const ImageFigure *figure = figure_at(images, ImageFigure, i);

        if (strcmp(figure->node, node) == 0)
            return figure;
    }
    return NULL;
}

void disk_node_name(const StorageSource *source, const char *layer, char *ret_name, gsize size)
{
    snprintf(ret_name, size, "libvirt-%u-%s", source->index, layer);
}

/* --- the group "block" ---------------------------------------------------------------------------------- */

typedef struct Lookup {
    guint owner; /* whose parameters */
    gboolean taken; /* physical is what the file takes, where that is anything */
    guint at; /* three parameters wait here: allocation, capacity, physical; or the last one only */
    gboolean only_physical;
} Lookup;

/* A file whose system does not answer holds up the whole call by so much, once. */
enum { LOOKUP_TIMEOUT_MS = 250 };

void disk_lookups_clear(DiskLookups *lookups)
{
    g_clear_pointer(&lookups->list, g_array_unref);
    if (lookups->jobs != NULL)
        g_atomic_rc_box_release_full(g_steal_pointer(&lookups->jobs), size_jobs_clear);
}

static void add(TypedParams *params, guint n, const char *name, guint64 value)
{
    typed_params_append(params, stats_name("block.", n, name), VIR_TYPED_PARAM_ULLONG)->value.ul = value;
}

/* Leaves room for what has to be looked up. */
static Lookup *look_later(TypedParams *params, guint n, const StorageSource *source, const char *path,
                       gboolean only_physical, DiskLookups *lookups)
{
    Lookup lookup = {.owner = lookups->owner, .at = typed_params_count(params), .only_physical = only_physical};

    if (lookups->list == NULL) {
        lookups->list = g_array_new(FALSE, FALSE, sizeof(Lookup));
        lookups->jobs = size_jobs_new();
    }
    g_array_append_val(lookups->list, lookup);
    size_jobs_add(lookups->jobs, path, source->type, source->format, source->encryption != NULL);
    if (!only_physical) {
        typed_params_append(params, stats_name("block.", n, ".allocation"), 0);
        typed_params_append(params, stats_name("block.", n, ".capacity"), 0);
    }
    typed_params_append(params, stats_name("block.", n, ".physical"), 0);
    return &g_array_index(lookups->list, Lookup, lookups->list->len - 1);
}

static void add_drive(TypedParams *params, guint n, const BlockFigure *figure)
{
    if (figure == NULL)
        return;
    add(params, n, ".rd.reqs", figure->rd_reqs);
    add(params, n, ".rd.bytes", figure->rd_bytes);
    add(params, n, ".rd.times", figure->rd_times);
    add(params, n, ".wr.reqs", figure->wr_reqs);
    add(params, n, ".wr.bytes", figure->wr_bytes);
    add(params, n, ".wr.times", figure->wr_times);
    add(params, n, ".fl.reqs", figure->fl_reqs);
    add(params, n, ".fl.times", figure->fl_times);
}

/* The sizes of one image of a VM that runs, as the monitor told them. */
static void add_image(TypedParams *params, guint n, const StorageSource *source, const char *path,
                      const StatsView *view, DiskLookups *lookups)
{
    char format[40], storage[40];
    const BlockFigure *block;
    const ImageFigure *image, *below;

    if (storage_source_is_empty(source))
        return;
    disk_node_name(source, "format", format, sizeof(format));
    disk_node_name(source, "storage", storage, sizeof(storage));
    block = disk_node_figures(view, format);
    image = disk_image_figures(view, format);
    if (block == NULL && image == NULL) {
        if (view->paged & FIGURES_BIT(FIGURES_IMAGES)) /* an image below: nothing of it changes */
            look_later(params, n, source, path, FALSE, lookups);
        return;
    }
    add(params, n, ".allocation", block != NULL ? block->wr_highest : 0);
    if (image != NULL && image->capacity != 0)
        add(params, n, ".capacity", image->capacity);
    if (image != NULL && image->physical != 0)
        add(params, n, ".physical", image->physical);
    else
        look_later(params, n, source, path, TRUE, lookups)->taken = image != NULL && image->look;
    below = disk_image_figures(view, storage);
    if (below != NULL && below->threshold != 0)
        add(params, n, ".threshold", below->threshold);
}

/* block.N.name, path, backingIndex. The path as the parameter holds it, or NULL. */
static const char *add_header(TypedParams *params, guint n, const DiskDef *disk, const StorageSource *source)
{
    const char *path = NULL;
    WireTypedParam *param;

    param = typed_params_append(params, stats_name("block.", n, ".name"), VIR_TYPED_PARAM_STRING);
    param->value.s = g_strdup(disk->target);
    if (disk_source_is_local(source)) {
        param = typed_params_append(params, stats_name("block.", n, ".path"), VIR_TYPED_PARAM_STRING);
        path = param->value.s = g_strdup(source->path);
    }
    if (source->index != 0)
        typed_params_append(params, stats_name("block.", n, ".backingIndex"), VIR_TYPED_PARAM_UINT)
            ->value.ui = source->index;
    return path;
}

static void add_source(TypedParams *params, guint n, const DiskDef *disk, const StorageSource *source,
                       gboolean active, const StatsView *view, DiskLookups *lookups)
{
    const char *path = add_header(params, n, disk, source);

    if (source == disk->source)
        add_drive(params, n, disk_drive_figures(view, disk));
    if (active)
        add_image(params, n, source, path, view, lookups);
    else
        look_later(params, n, source, path, FALSE, lookups);
}

void disk_stats_add(TypedParams *params, const DomainDef *def, gboolean active, gboolean backing,
                    const StatsView *view, DiskLookups *lookups)
{
    guint count_at = typed_params_count(params), n = 0;

    typed_params_add_uint(params, "block.count", 0);
    DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
    {
        if (disk->source->type == STORAGE_TYPE_VHOSTUSER) {
            add_header(params, n++, disk, disk->source); /* QEMU does not see its requests */
            continue;
        }
        for (const StorageSource *source = disk->source; source != NULL && source->type != STORAGE_TYPE_NONE;
             source = backing ? source->backing : NULL)
            add_source(params, n++, disk, source, active, view, lookups);
        if (backing && disk->mirror != NULL && disk->mirror_job == MIRROR_JOB_COPY)
            add_source(params, n++, disk, disk->mirror, active, view, lookups);
    }
    typed_params_at(params, count_at)->value.ui = n;
}

static void fill(TypedParams *params, guint at, guint64 value)
{
    WireTypedParam *param = typed_params_at(params, at);

    if (value == 0)
        return;
    param->value.type = VIR_TYPED_PARAM_ULLONG;
    param->value.ul = value;
}

/* One look for all: a change of threads costs more than a stat(). */
void disk_stats_finish(TypedParams *lists, DiskLookups *lookups)
{
    g_autofree gboolean *done = NULL;

    if (lookups->list == NULL)
        return;
    size_jobs_run(lookups->jobs, LOOKUP_TIMEOUT_MS, &done);
    for (guint i = 0; i < lookups->list->len; i++) {
        const Lookup *lookup = &g_array_index(lookups->list, Lookup, i);
        const SizeJob *job = &g_array_index(((SizeJobs *)lookups->jobs)->list, SizeJob, i);
        TypedParams *params = &lists[lookup->owner];

        /* An image that is not there has no sizes; that is no error here. */
        if (!done[i] || job->error != NULL)
            continue;
        if (lookup->only_physical) {
            fill(params, lookup->at,
                 lookup->taken && job->sizes.allocation != 0 ? job->sizes.allocation : job->sizes.physical);
            continue;
        }
        fill(params, lookup->at, job->sizes.allocation);
        fill(params, lookup->at + 1, job->sizes.capacity);
        fill(params, lookup->at + 2, job->sizes.physical);
    }
    for (guint i = 0; i < lookups->list->len; i++) {
        guint owner = g_array_index(lookups->list, Lookup, i).owner;

        if (i == 0 || owner != g_array_index(lookups->list, Lookup, i - 1).owner)
            typed_params_drop_unset(&lists[owner]);
    }
}
