/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions to the monitor and how their answers are read. */
#include "driver/domain/stats_figures.h"

#include <libvirt/libvirt.h>
#include <string.h>

#include "driver/backend/json_util.h"

/* Beyond these an answer is nonsense. */
enum { FIGURES_MAX = 65536, BLOCK_DEPTH_MAX = 256 };

/* --- memory --------------------------------------------------------------------------------------------- */

static void read_balloon(GArray *into, const json_t *answer)
{
    const BalloonFigure figure = {.kib = juint(answer, "actual") / 1024};

    if (json_is_integer(json_object_get(answer, "actual")))
        g_array_append_val(into, figure);
}

/* 2^64 - 1 means that the guest does not tell; the JSON reader makes G_MAXINT64 of it. */
static gboolean told(const json_t *object, const char *name, guint64 *ret_value)
{
    gint64 value = jint(object, name, -1);

    *ret_value = (guint64)value;
    return value >= 0 && value != G_MAXINT64;
}

static void read_guest_memory(GArray *into, const json_t *answer)
{
    static const struct {
        const char *name;
        int tag;
        guint divisor;
        gboolean outside; /* beside "stats", not in it */
    } fields[] = {
        {"stat-swap-in", VIR_DOMAIN_MEMORY_STAT_SWAP_IN, 1024, FALSE},
        {"stat-swap-out", VIR_DOMAIN_MEMORY_STAT_SWAP_OUT, 1024, FALSE},
        {"stat-major-faults", VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT, 1, FALSE},
        {"stat-minor-faults", VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT, 1, FALSE},
        {"stat-free-memory", VIR_DOMAIN_MEMORY_STAT_UNUSED, 1024, FALSE},
        {"stat-total-memory", VIR_DOMAIN_MEMORY_STAT_AVAILABLE, 1024, FALSE},
        {"stat-available-memory", VIR_DOMAIN_MEMORY_STAT_USABLE, 1024, FALSE},
        {"last-update", VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE, 1, TRUE},
        {"stat-disk-caches", VIR_DOMAIN_MEMORY_STAT_DISK_CACHES, 1024, FALSE},
        {"stat-htlb-pgalloc", VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC, 1, FALSE},
        {"stat-htlb-pgfail", VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL, 1, FALSE},
    };
    const json_t *stats = json_object_get(answer, "stats");

    for (gsize i = 0; stats != NULL && i < G_N_ELEMENTS(fields); i++) {
        MemoryFigure figure = {.tag = fields[i].tag};

        if (!told(fields[i].outside ? answer : stats, fields[i].name, &figure.value))
            continue;
        figure.value /= fields[i].divisor;
        g_array_append_val(into, figure);
    }
}

/* --- block ---------------------------------------------------------------------------------------------- */

static void clear_block(gpointer data)
{
    BlockFigure *figure = data;

    g_free(figure->qdev);
    g_free(figure->node);
}

static void read_block(GArray *into, const json_t *entry, guint depth, gboolean device)
{
    const json_t *stats = json_object_get(entry, "stats");
    const json_t *below = json_object_get(entry, "parent"), *backing = json_object_get(entry, "backing");
    const char *qdev = jstr(entry, "qdev"), *node = jstr(entry, "node-name");
    const json_t *highest = json_object_get(json_object_get(below, "stats"), "wr_highest_offset");

    if (stats == NULL || depth > BLOCK_DEPTH_MAX || into->len >= FIGURES_MAX)
        return;
    if ((device && qdev != NULL && qdev[0] != '\0') || node != NULL) {
        const BlockFigure figure = {
            .qdev = device ? g_strdup(qdev) : NULL,
            .node = g_strdup(node),
            .rd_reqs = juint(stats, "rd_operations"),
            .rd_bytes = juint(stats, "rd_bytes"),
            .rd_times = juint(stats, "rd_total_time_ns"),
            .wr_reqs = juint(stats, "wr_operations"),
            .wr_bytes = juint(stats, "wr_bytes"),
            .wr_times = juint(stats, "wr_total_time_ns"),
            .fl_reqs = juint(stats, "flush_operations"),
            .fl_times = juint(stats, "flush_total_time_ns"),
            .wr_highest = json_is_integer(highest) ? (guint64)MAX(json_integer_value(highest), 0) : 0,
            .wr_highest_known = json_is_integer(highest),
        };
        g_array_append_val(into, figure);
    }
    if (below != NULL)
        read_block(into, below, depth + 1, FALSE);
    if (backing != NULL)
        read_block(into, backing, depth + 1, FALSE);
}

static void read_drives(GArray *into, const json_t *answer)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(answer, i, entry)
    {
        read_block(into, entry, 0, TRUE);
    }
}

static void read_nodes(GArray *into, const json_t *answer)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(answer, i, entry)
    {
        read_block(into, entry, BLOCK_DEPTH_MAX, FALSE); /* they are all listed: nothing to follow */
    }
}

static void clear_image(gpointer data)
{
    g_free(((ImageFigure *)data)->node);
}

static void read_images(GArray *into, const json_t *answer)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(answer, i, entry)
    {
        const json_t *image = json_object_get(entry, "image");
        const char *node = jstr(entry, "node-name");
        ImageFigure figure;

        if (node == NULL || image == NULL || into->len >= FIGURES_MAX)
            continue;
        figure = (ImageFigure){.node = g_strdup(node),
                               .capacity = juint(image, "virtual-size"),
                               .physical = juint(image, "actual-size"),
                               .threshold = juint(entry, "write_threshold")};
        /* Told for thin files only: else all of it is there. */
        if (json_object_get(image, "actual-size") == NULL)
            figure.physical = figure.capacity;
        g_array_append_val(into, figure);
    }
}

static void clear_io_status(gpointer data)
{
    g_free(((IoStatusFigure *)data)->qdev);
}

static void read_io_status(GArray *into, const json_t *answer)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(answer, i, entry)
    {
        const char *qdev = jstr(entry, "qdev"), *status = jstr(entry, "io-status");
        IoStatusFigure figure = {.error = VIR_DOMAIN_DISK_ERROR_NONE};

        if (qdev == NULL || status == NULL || into->len >= FIGURES_MAX)
            continue;
        if (strcmp(status, "nospace") == 0)
            figure.error = VIR_DOMAIN_DISK_ERROR_NO_SPACE;
        else if (strcmp(status, "failed") == 0)
            figure.error = VIR_DOMAIN_DISK_ERROR_UNSPEC;
        figure.qdev = g_strdup(qdev);
        g_array_append_val(into, figure);
    }
}

/* --- the rest ------------------------------------------------------------------------------------------- */

static gboolean known_integer(const json_t *object, const char *name)
{
    return json_is_integer(json_object_get(object, name));
}

gboolean figures_iothread_number(const char *id, guint *ret)
{
    guint64 number;

    if (!g_str_has_prefix(id, "iothread") ||
        !g_ascii_string_to_unsigned(id + strlen("iothread"), 10, 0, G_MAXUINT, &number, NULL))
        return FALSE;
    *ret = (guint)number;
    return TRUE;
}

static void read_iothreads(GArray *into, const json_t *answer)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(answer, i, entry)
    {
        const char *id = jstr(entry, "id");
        IothreadFigure figure = {.tid = (int)jint(entry, "thread-id", 0),
                                 .poll_max_ns = juint(entry, "poll-max-ns"),
                                 .poll_grow = (guint)juint(entry, "poll-grow"),
                                 .poll_shrink = (guint)juint(entry, "poll-shrink")};

        if (id == NULL || into->len >= FIGURES_MAX || !figures_iothread_number(id, &figure.id))
            continue;
        figure.poll_known = known_integer(entry, "poll-max-ns") && known_integer(entry, "poll-grow") &&
                            known_integer(entry, "poll-shrink");
        g_array_append_val(into, figure);
    }
}

/* The place of word in words; missing if it is in none. */
static int word_index(const char *word, const char *const *words, int n, int missing)
{
    for (int i = 0; word != NULL && i < n; i++) {
        if (strcmp(word, words[i]) == 0)
            return i;
    }
    return missing;
}

/* In the order in which kite-vmm numbers them, too. */
static const char *const dirty_rate_modes[] = {"page-sampling", "dirty-bitmap", "dirty-ring"};

const char *figures_dirty_rate_mode(guint number)
{
    return dirty_rate_modes[number < G_N_ELEMENTS(dirty_rate_modes) ? number : 0];
}

static void read_dirty_rate(GArray *into, const json_t *answer)
{
    static const char *const states[] = {"unstarted", "measuring", "measured"};
    int status = word_index(jstr(answer, "status"), states, G_N_ELEMENTS(states), -1);
    DirtyRateFigure figure = {.vcpu = -1, .status = status};
    const json_t *entry;
    size_t i;

    if (status < 0)
        return;
    figure.start_time = jint(answer, "start-time", 0);
    figure.period = (int)jint(answer, "calc-time", 0);
    figure.mode = figures_dirty_rate_mode(
        (guint)word_index(jstr(answer, "mode"), dirty_rate_modes, G_N_ELEMENTS(dirty_rate_modes), 0));
    figure.rate = jint(answer, "dirty-rate", 0);
    g_array_append_val(into, figure);
    json_array_foreach(json_object_get(answer, "vcpu-dirty-rate"), i, entry)
    {
        figure.vcpu = (int)jint(entry, "id", -1);
        figure.rate = jint(entry, "dirty-rate", 0);
        if (figure.vcpu >= 0 && into->len < FIGURES_MAX)
            g_array_append_val(into, figure);
    }
}

static void clear_schema(gpointer data)
{
    g_free(((KvmSchema *)data)->name);
}

static void read_schema(GArray *into, const json_t *answer)
{
    static const char *const kinds[] = {"cumulative", "instant", "peak"};
    static const char *const types[] = {"sum", "cur", "max"};
    const json_t *target, *entry;
    size_t i, k;

    json_array_foreach(answer, i, target)
    {
        json_array_foreach(json_object_get(target, "stats"), k, entry)
        {
            int kind = word_index(jstr(entry, "type"), kinds, G_N_ELEMENTS(kinds), -1);
            KvmSchema schema;

            if (kind < 0 || jstr(entry, "name") == NULL || into->len >= FIGURES_MAX)
                continue; /* histograms have no place in typed parameters */
            schema = (KvmSchema){.name = g_strdup(jstr(entry, "name")),
                                 .type = types[kind],
                                 .boolean = g_strcmp0(jstr(entry, "unit"), "boolean") == 0};
            g_array_append_val(into, schema);
        }
    }
}

static void clear_kvm(gpointer data)
{
    g_free(((KvmFigure *)data)->object);
    g_free(((KvmFigure *)data)->name);
}

static void read_kvm(GArray *into, const json_t *answer)
{
    const json_t *provider, *entry;
    size_t i, k;

    json_array_foreach(answer, i, provider)
    {
        json_array_foreach(json_object_get(provider, "stats"), k, entry)
        {
            const json_t *value = json_object_get(entry, "value");
            KvmFigure figure = {.boolean = json_is_boolean(value)};

            if (jstr(entry, "name") == NULL || (!json_is_boolean(value) && !json_is_integer(value)) ||
                into->len >= FIGURES_MAX)
                continue;
            figure.value = figure.boolean ? json_is_true(value) : (guint64)json_integer_value(value);
            figure.name = g_strdup(jstr(entry, "name"));
            figure.object = g_strdup(jstr(provider, "qom-path"));
            g_array_append_val(into, figure);
        }
    }
}

/* --- all of them ---------------------------------------------------------------------------------------- */

static const struct {
    const char *command;
    void (*read)(GArray *into, const json_t *answer);
    guint size;
    GDestroyNotify clear;
} questions[FIGURES_LAST] = {
    [FIGURES_BALLOON] = {"query-balloon", read_balloon, sizeof(BalloonFigure), NULL},
    [FIGURES_GUEST_MEMORY] = {"qom-get", read_guest_memory, sizeof(MemoryFigure), NULL},
    [FIGURES_DRIVES] = {"query-blockstats", read_drives, sizeof(BlockFigure), clear_block},
    [FIGURES_NODES] = {"query-blockstats", read_nodes, sizeof(BlockFigure), clear_block},
    [FIGURES_IMAGES] = {"query-named-block-nodes", read_images, sizeof(ImageFigure), clear_image},
    [FIGURES_IO_STATUS] = {"query-block", read_io_status, sizeof(IoStatusFigure), clear_io_status},
    [FIGURES_IOTHREADS] = {"query-iothreads", read_iothreads, sizeof(IothreadFigure), NULL},
    [FIGURES_DIRTY_RATE] = {"query-dirty-rate", read_dirty_rate, sizeof(DirtyRateFigure), NULL},
    [FIGURES_KVM_SCHEMA] = {"query-stats-schemas", read_schema, sizeof(KvmSchema), clear_schema},
    [FIGURES_KVM_VM] = {"query-stats", read_kvm, sizeof(KvmFigure), clear_kvm},
    [FIGURES_KVM_VCPUS] = {"query-stats", read_kvm, sizeof(KvmFigure), clear_kvm},
};

const char *figures_command(FiguresKind kind)
{
    return questions[kind].command;
}

json_t *figures_arguments(FiguresKind kind, const char *balloon)
{
    switch (kind) {
    case FIGURES_GUEST_MEMORY:
        return json_pack("{s:s, s:s}", "path", balloon, "property", "guest-stats");
    case FIGURES_NODES:
        return json_pack("{s:b}", "query-nodes", 1);
    case FIGURES_IMAGES:
        return json_pack("{s:b}", "flat", 1);
    case FIGURES_KVM_VM:
        return json_pack("{s:s}", "target", "vm");
    case FIGURES_KVM_VCPUS:
        return json_pack("{s:s}", "target", "vcpu");
    default:
        return NULL;
    }
}

GArray *figures_new(FiguresKind kind)
{
    GArray *figures = g_array_new(FALSE, FALSE, questions[kind].size);

    g_array_set_clear_func(figures, questions[kind].clear);
    return figures;
}

GArray *figures_read(FiguresKind kind, const json_t *answer)
{
    GArray *into = figures_new(kind);

    questions[kind].read(into, answer);
    return into;
}
