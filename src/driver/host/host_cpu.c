/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPUs, NUMA cells and caches from /sys/devices/system, with /proc/cpuinfo and "one socket, one cell" as what is
 * left where the kernel or a container hides it; processors' time from /proc/stat.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "driver/host/host_private.h"

#define CPU_DIR "/sys/devices/system/cpu"
#define NODE_DIR "/sys/devices/system/node"

static void cpu_free(gpointer data)
{
    HostCpu *cpu = data;

    g_array_unref(cpu->siblings);
    g_free(cpu);
}

static void cell_free(gpointer data)
{
    HostCell *cell = data;

    g_array_unref(cell->cpus);
    g_array_unref(cell->distances);
    g_array_unref(cell->pages);
    g_free(cell);
}

static void cache_free(gpointer data)
{
    HostCache *cache = data;

    g_free(cache->cpus);
    g_free(cache);
}

void host_topology_free(HostTopology *t)
{
    if (t == NULL)
        return;
    g_ptr_array_unref(t->cpus);
    g_ptr_array_unref(t->cells);
    g_ptr_array_unref(t->caches);
    g_free(t);
}

/* --- CPUs ----------------------------------------------------------------------------------------------- */

/* A topology file; kernels write -1 for "none". */
static guint topology_number(const Host *host, guint cpu, const char *file)
{
    return (guint)host_read_number(host, 0, CPU_DIR "/cpu%u/topology/%s", cpu, file);
}

static HostCpu *cpu_read(const Host *host, guint id, gboolean online)
{
    HostCpu *cpu = g_new0(HostCpu, 1);
    g_autofree char *siblings = NULL;

    cpu->id = id;
    cpu->online = online;
    if (online) {
        cpu->socket = topology_number(host, id, "physical_package_id");
        cpu->die = topology_number(host, id, "die_id");
        cpu->cluster = topology_number(host, id, "cluster_id");
        cpu->core = topology_number(host, id, "core_id");
        siblings = host_read(host, CPU_DIR "/cpu%u/topology/thread_siblings_list", id);
    }
    cpu->siblings = host_parse_list(siblings != NULL ? siblings : "");
    if (cpu->siblings->len == 0)
        g_array_append_val(cpu->siblings, id);
    return cpu;
}

static gboolean list_has(const GArray *list, guint value)
{
    for (guint i = 0; i < list->len; i++) {
        if (g_array_index(list, guint, i) == value)
            return TRUE;
    }
    return FALSE;
}

static guint processors_in_cpuinfo(const Host *host)
{
    g_autofree char *text = host_read(host, "/proc/cpuinfo");
    guint count = 0;

    for (const char *p = text; p != NULL && *p != '\0'; p = strchr(p, '\n'), p += p != NULL)
        count += g_str_has_prefix(p, "processor");
    return count;
}

static void cpus_read(const Host *host, HostTopology *t)
{
    g_autoptr(GArray) present = host_list_numbers(host, CPU_DIR, "cpu");
    g_autofree char *online_text = host_read(host, CPU_DIR "/online");
    g_autoptr(GArray) online = host_parse_list(online_text != NULL ? online_text : "");

    if (present->len == 0) {
        guint count = MAX(processors_in_cpuinfo(host), 1);

        for (guint id = 0; id < count; id++)
            g_array_append_val(present, id);
    }
    for (guint i = 0; i < present->len; i++) {
        guint id = g_array_index(present, guint, i);
        HostCpu *cpu = cpu_read(host, id, online->len == 0 || list_has(online, id));

        t->online += cpu->online;
        g_ptr_array_add(t->cpus, cpu);
    }
}

static guint mhz_read(const Host *host)
{
    g_autofree char *text = host_read(host, "/proc/cpuinfo");
    const char *p = text != NULL ? strstr(text, "cpu MHz") : NULL;
    const char *colon = p != NULL ? strchr(p, ':') : NULL;

    if (colon != NULL)
        return (guint)g_ascii_strtod(colon + 1, NULL);
    return (guint)(host_read_number(host, 0, CPU_DIR "/cpu0/cpufreq/cpuinfo_max_freq") / 1000);
}

/* --- cells ---------------------------------------------------------------------------------------------- */

static guint64 node_memory_kib(const Host *host, guint node)
{
    g_autofree char *text = host_read(host, NODE_DIR "/node%u/meminfo", node);
    const char *p = text != NULL ? strstr(text, "MemTotal:") : NULL;

    return p != NULL ? g_ascii_strtoull(p + strlen("MemTotal:"), NULL, 10) : 0;
}

static HostCell *cell_new(guint id)
{
    HostCell *cell = g_new0(HostCell, 1);

    cell->id = id;
    cell->cpus = g_array_new(FALSE, FALSE, sizeof(guint));
    cell->distances = g_array_new(FALSE, FALSE, sizeof(HostDistance));
    return cell;
}

static HostCpu *find_cpu(const HostTopology *t, guint id)
{
    for (guint i = 0; i < t->cpus->len; i++) {
        HostCpu *cpu = t->cpus->pdata[i];

        if (cpu->id == id)
            return cpu;
    }
    return NULL;
}

static void distances_read(const Host *host, HostCell *cell, const GArray *nodes)
{
    g_autofree char *text = host_read(host, NODE_DIR "/node%u/distance", cell->id);
    g_auto(GStrv) word = g_strsplit_set(text != NULL ? text : "", " \t", -1);
    guint n = 0;

    for (guint i = 0; word[i] != NULL; i++) {
        if (word[i][0] != '\0' && n < nodes->len) {
            HostDistance d = {g_array_index(nodes, guint, n++), (guint)g_ascii_strtoull(word[i], NULL, 10)};

            g_array_append_val(cell->distances, d);
        }
    }
}

static void cell_read(const Host *host, HostTopology *t, guint node, const GArray *nodes)
{
    g_autofree char *text = host_read(host, NODE_DIR "/node%u/cpulist", node);
    g_autoptr(GArray) ids = host_parse_list(text != NULL ? text : "");
    HostCell *cell = cell_new(node);

    for (guint i = 0; i < ids->len; i++) {
        guint id = g_array_index(ids, guint, i);
        HostCpu *cpu = find_cpu(t, id);

        if (cpu != NULL && cpu->online) {
            cpu->cell = node;
            g_array_append_val(cell->cpus, id);
        }
    }
    cell->memory_kib = node_memory_kib(host, node);
    distances_read(host, cell, nodes);
    cell->pages = host_pages_read(host, (int)node, cell->memory_kib);
    g_ptr_array_add(t->cells, cell);
}

static void only_cell(Host *host, HostTopology *t)
{
    HostCell *cell = cell_new(0);
    HostMemory memory = {0};

    host_memory(host, -1, &memory, NULL);
    for (guint i = 0; i < t->cpus->len; i++) {
        const HostCpu *cpu = t->cpus->pdata[i];

        if (cpu->online)
            g_array_append_val(cell->cpus, cpu->id);
    }
    cell->memory_kib = memory.total;
    cell->pages = host_pages_read(host, -1, memory.total);
    g_ptr_array_add(t->cells, cell);
}

/* --- what virNodeGetInfo counts ------------------------------------------------------------------------- */

/* Cores of different sockets and dies may have the same number. */
static guint64 core_key(const HostCpu *cpu)
{
    return ((guint64)cpu->socket << 40) | ((guint64)(cpu->die & 0xfff) << 28) | cpu->core;
}

static void count_cell(HostTopology *t, const HostCell *cell)
{
    g_autoptr(GHashTable) sockets = g_hash_table_new(g_direct_hash, g_direct_equal); /* socket -> cores */
    g_autoptr(GHashTable) dies = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    g_autoptr(GHashTable) cores = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    g_autoptr(GHashTable) dies_of = g_hash_table_new(g_direct_hash, g_direct_equal);
    GHashTableIter iter;
    gpointer value;

    for (guint i = 0; i < cell->cpus->len; i++) {
        const HostCpu *cpu = find_cpu(t, g_array_index(cell->cpus, guint, i));
        gpointer socket = GUINT_TO_POINTER(cpu->socket + 1);
        gint64 core = (gint64)core_key(cpu), die = core >> 28;
        guint threads = GPOINTER_TO_UINT(g_hash_table_lookup(cores, &core)) + 1;

        if (threads == 1) {
            guint n = GPOINTER_TO_UINT(g_hash_table_lookup(sockets, socket)) + 1;

            g_hash_table_insert(sockets, socket, GUINT_TO_POINTER(n));
        }
        g_hash_table_replace(cores, g_memdup2(&core, sizeof(core)), GUINT_TO_POINTER(threads));
        t->threads = MAX(t->threads, threads);
        if (g_hash_table_add(dies, g_memdup2(&die, sizeof(die)))) {
            guint n = GPOINTER_TO_UINT(g_hash_table_lookup(dies_of, socket)) + 1;

            g_hash_table_insert(dies_of, socket, GUINT_TO_POINTER(n));
            t->dies = MAX(t->dies, n);
        }
    }
    t->sockets = MAX(t->sockets, g_hash_table_size(sockets));
    g_hash_table_iter_init(&iter, sockets);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        t->cores = MAX(t->cores, GPOINTER_TO_UINT(value));
}

/* --- caches --------------------------------------------------------------------------------------------- */

static guint64 cache_size_kib(const char *text)
{
    char *end = NULL;
    guint64 n = g_ascii_strtoull(text, &end, 10);

    return *end == 'M' ? n * 1024 : *end == 'G' ? n * 1024 * 1024 : n;
}

static gboolean cache_known(const HostTopology *t, guint level, const char *cpus)
{
    for (guint i = 0; i < t->caches->len; i++) {
        const HostCache *cache = t->caches->pdata[i];

        if (cache->level == level && g_str_equal(cache->cpus, cpus))
            return TRUE;
    }
    return FALSE;
}

/* Level 3 only, as libvirt lists them. */
static void caches_read(const Host *host, HostTopology *t)
{
    for (guint c = 0; c < t->cpus->len; c++) {
        const HostCpu *cpu = t->cpus->pdata[c];

        for (guint i = 0; i < 8; i++) {
            guint level = (guint)host_read_number(host, 0, CPU_DIR "/cpu%u/cache/index%u/level", cpu->id, i);
            g_autofree char *size = NULL;
            g_autofree char *cpus = NULL;
            g_autofree char *type = NULL;
            HostCache *cache;

            if (level != 3)
                continue;
            size = host_read(host, CPU_DIR "/cpu%u/cache/index%u/size", cpu->id, i);
            cpus = host_read(host, CPU_DIR "/cpu%u/cache/index%u/shared_cpu_list", cpu->id, i);
            type = host_read(host, CPU_DIR "/cpu%u/cache/index%u/type", cpu->id, i);
            if (size == NULL || cpus == NULL || type == NULL || cache_known(t, level, cpus))
                continue;
            cache = g_new0(HostCache, 1);
            cache->level = level;
            cache->id = (guint)host_read_number(host, t->caches->len, CPU_DIR "/cpu%u/cache/index%u/id", cpu->id, i);
            cache->type = type[0] == 'I' ? 'i' : type[0] == 'D' ? 'd' : 'b';
            cache->size_kib = cache_size_kib(size);
            cache->cpus = g_steal_pointer(&cpus);
            g_ptr_array_add(t->caches, cache);
        }
    }
}

/* --- all of it ------------------------------------------------------------------------------------------ */

HostTopology *host_topology_read(Host *host)
{
    HostTopology *t = g_new0(HostTopology, 1);
    g_autoptr(GArray) nodes = host_list_numbers(host, NODE_DIR, "node");

    t->cpus = g_ptr_array_new_with_free_func(cpu_free);
    t->cells = g_ptr_array_new_with_free_func(cell_free);
    t->caches = g_ptr_array_new_with_free_func(cache_free);
    cpus_read(host, t);
    t->mhz = mhz_read(host);
    for (guint i = 0; i < nodes->len; i++)
        cell_read(host, t, g_array_index(nodes, guint, i), nodes);
    if (nodes->len == 0)
        only_cell(host, t);
    for (guint i = 0; i < t->cells->len; i++)
        count_cell(t, t->cells->pdata[i]);
    caches_read(host, t);
    return t;
}

const HostTopology *host_topology(Host *host)
{
    const HostTopology *t;

    g_mutex_lock(&host->mutex);
    if (host->topology == NULL)
        host->topology = host_topology_read(host);
    t = host->topology;
    g_mutex_unlock(&host->mutex);
    return t;
}

/* --- time ----------------------------------------------------------------------------------------------- */

/* proc(5): user nice system idle iowait irq softirq, in clock ticks. */
gboolean host_cpu_times(Host *host, int cpu, HostCpuTimes *ret, GError **error)
{
    g_autofree char *text = host_read(host, "/proc/stat");
    g_autofree char *label = cpu < 0 ? g_strdup("cpu ") : g_strdup_printf("cpu%d ", cpu);
    const guint64 tick_ns = 1000000000ULL / (guint64)sysconf(_SC_CLK_TCK);

    if (text == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot read /proc/stat");
    for (const char *line = text; line != NULL; line = strchr(line, '\n'), line = line != NULL ? line + 1 : NULL) {
        guint64 v[7] = {0};
        char *p;

        if (!g_str_has_prefix(line, label))
            continue;
        p = (char *)line + strlen(label);
        for (guint i = 0; i < G_N_ELEMENTS(v); i++)
            v[i] = g_ascii_strtoull(p, &p, 10);
        ret->user = (v[0] + v[1]) * tick_ns;
        ret->kernel = (v[2] + v[5] + v[6]) * tick_ns;
        ret->idle = v[3] * tick_ns;
        ret->iowait = v[4] * tick_ns;
        return TRUE;
    }
    return error_set(error, VIR_ERR_INVALID_ARG, "no online CPU %d on this host", cpu);
}
