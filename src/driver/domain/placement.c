/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Placing a VM's process at its start, and clearing up after it. See placement.h. */
#define LOG_SOURCE "domain.placement"

#include <linux/mempolicy.h>
#include <string.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/log.h"
#include "common/thread.h"
#include "driver/backend/storage_daemon.h"
#include "driver/domain/persist.h"
#include "driver/domain/placement_private.h"
#include "driver/driver.h"
#include "driver/host/host.h"

enum { NODES_MAX = 1024 };

struct Placement {
    Domain *dom;
    DomainDef *live; /* borrowed */
    int id;
    char *record_path;
    gboolean gated; /* the work is done before the program begins */
    gulong nodes[NODES_MAX / (8 * sizeof(gulong))];
    int policy;
    pid_t pid;
    GArray *devices; /* CgroupDevice: what it may open */
    GThread *thread; /* else: it works beside the start */
    /* What came out; read after the thread has ended, or the gate. */
    Cgroup *cgroup;
    PerfEvents *perf;
    GError *error;
};

/* --- what the host lets us do --------------------------------------------------------------------------- */

static guint controllers_of(const Driver *driver)
{
    char **names = driver != NULL && driver->config != NULL ? driver->config->cgroup_controllers : NULL;
    guint bits = 0;

    if (driver == NULL || driver->backend_config == NULL || !driver->backend_config->privileged)
        return 0;
    if (names == NULL)
        return CGROUP_ALL;
    for (; *names != NULL; names++) {
        int controller = cgroup_controller_from_string(*names);

        bits |= controller >= 0 ? CGROUP_BIT(controller) : 0;
    }
    return bits;
}

gboolean placement_check_nodes(Driver *driver, const Bitmap *nodes, GError **error)
{
    const HostTopology *topology = driver != NULL && driver->host != NULL ? host_topology(driver->host) : NULL;

    BITMAP_FOREACH(bit, nodes)
    {
        gboolean there = topology == NULL;

        for (guint i = 0; topology != NULL && i < topology->cells->len; i++)
            there |= ((const HostCell *)g_ptr_array_index(topology->cells, i))->id == (guint)bit;
        if (!there)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "NUMA node %d is unavailable", bit);
    }
    return TRUE;
}

static gboolean check_numatune(Driver *driver, const NumaTune *tune, GError **error)
{
    if (!placement_check_nodes(driver, tune->nodes, error))
        return FALSE;
    for (guint i = 0; tune->memnodes != NULL && i < tune->memnodes->len; i++) {
        if (!placement_check_nodes(driver, g_array_index(tune->memnodes, NumatuneNode, i).nodes, error))
            return FALSE;
    }
    return TRUE;
}

/* --- plan ----------------------------------------------------------------------------------------------- */

/* Whether the first moments of the program must be within all limits. */
static gboolean first_moments_matter(const DomainDef *def)
{
    const MemoryTune *memory = &def->memtune;
    const CpuTune *cpu = &def->cputune;
    gboolean perf = FALSE;

    for (int i = 0; i < PERF_LAST; i++)
        perf |= def->perf[i] == TRISTATE_YES;
    return perf || memory->hugepages_given || memory->locked || memory->allocation == MEMORY_ALLOCATION_IMMEDIATE ||
           memory_limit_is_set(memory->hard_limit) || memory_limit_is_set(memory->soft_limit) ||
           memory_limit_is_set(memory->swap_hard_limit) || def->numatune.memory_given || cpu->emulator_pin != NULL ||
           cpu->emulator_period != 0 || cpu->emulator_quota != 0 || placement_default_cpus(def) != NULL;
}

/* Memory policy of the process where no cpuset group says it. */
static void plan_policy(Placement *placement, gboolean cpuset)
{
    static const int policies[NUMATUNE_LAST] = {[NUMATUNE_STRICT] = MPOL_BIND,
                                                [NUMATUNE_PREFERRED] = MPOL_PREFERRED,
                                                [NUMATUNE_INTERLEAVE] = MPOL_INTERLEAVE,
                                                [NUMATUNE_RESTRICTIVE] = 0};
    const NumaTune *tune = &placement->live->numatune;

    if (!tune->memory_given || tune->nodes == NULL || (tune->mode == NUMATUNE_STRICT && cpuset))
        return;
    placement->policy = policies[tune->mode];
    BITMAP_FOREACH(bit, tune->nodes)
    {
        if (bit < NODES_MAX)
            placement->nodes[(guint)bit / (8 * sizeof(gulong))] |= 1ul << ((guint)bit % (8 * sizeof(gulong)));
    }
}

Placement *placement_new(Domain *dom, DomainDef *live, int id, const char *run_folder, GError **error)
{
    guint controllers = controllers_of(dom->driver);
    Placement *placement;

    if (!check_numatune(dom->driver, &live->numatune, error))
        return NULL;
    placement = g_new0(Placement, 1);
    placement->dom = domain_ref(dom);
    placement->live = live;
    placement->id = id;
    placement->record_path = backend_run_path(run_folder, "cgroup");
    placement->gated = controllers == 0 || first_moments_matter(live);
    plan_policy(placement, (controllers & CGROUP_BIT(CGROUP_CPUSET)) != 0);
    return placement;
}

/* --- the work ------------------------------------------------------------------------------------------- */

static void note_record(const char *record, gpointer opaque)
{
    const Placement *placement = opaque;
    g_autoptr(GError) error = NULL;

    if (!atomic_file_write(placement->record_path, record, -1, 0600, &error))
        log_warning("domain '%s': %s", placement->live->name, error->message);
}

static gboolean make_cgroup(Placement *placement, pid_t pid, GError **error)
{
    const DomainDef *live = placement->live;
    CgroupMachine machine = {.root = "",
                             .name = live->name,
                             .id = placement->id,
                             .partition = live->partition,
                             .controllers = controllers_of(placement->dom->driver),
                             .divided = placement_divides(live),
                             .pid = pid,
                             .announce = note_record,
                             .opaque = placement};

    if (machine.controllers == 0)
        return TRUE;
    memcpy(machine.uuid, live->uuid, sizeof(machine.uuid));
    return cgroup_make(&machine, &placement->cgroup, error);
}

static gboolean set_block_limits(Cgroup *cgroup, const BlkioTune *tune, GError **error)
{
    guint n = tune->devices != NULL ? tune->devices->len : 0;

    if (!cgroup_has(cgroup, CGROUP_BLKIO))
        return (tune->weight == 0 && n == 0) ||
               error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Block I/O tuning is not available on this host");
    if (tune->weight != 0 && !cgroup_set_weight(cgroup, tune->weight, error))
        return FALSE;
    for (guint i = 0; i < n; i++) {
        const BlkioDevice *device = &g_array_index(tune->devices, BlkioDevice, i);
        guint64 limits[] = {[CGROUP_DEVICE_WEIGHT] = device->weight,
                            [CGROUP_READ_IOPS] = device->read_iops,
                            [CGROUP_WRITE_IOPS] = device->write_iops,
                            [CGROUP_READ_BYTES] = device->read_bytes,
                            [CGROUP_WRITE_BYTES] = device->write_bytes};

        for (guint limit = 0; limit < G_N_ELEMENTS(limits); limit++) {
            if (limits[limit] != 0 && !cgroup_set_device_limit(cgroup, limit, device->path, &limits[limit], error))
                return FALSE;
        }
    }
    return TRUE;
}

static gboolean set_memory_limits(Cgroup *cgroup, const MemoryTune *tune, GError **error)
{
    const guint64 limits[] = {[CGROUP_HARD_LIMIT] = tune->hard_limit,
                              [CGROUP_SOFT_LIMIT] = tune->soft_limit,
                              [CGROUP_SWAP_LIMIT] = tune->swap_hard_limit};

    for (guint limit = 0; limit < G_N_ELEMENTS(limits); limit++) {
        if (!memory_limit_is_set(limits[limit]))
            continue;
        if (!cgroup_has(cgroup, CGROUP_MEMORY))
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Memory cgroup is not available on this host");
        if (!cgroup_set_memory(cgroup, limit, limits[limit], error))
            return FALSE;
    }
    return TRUE;
}

static gboolean set_shares(Cgroup *cgroup, const CpuTune *tune, GError **error)
{
    if (!tune->shares_given)
        return TRUE;
    if (!cgroup_has(cgroup, CGROUP_CPU))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "CPU tuning is not available on this host");
    return cgroup_set_shares(cgroup, tune->shares, error);
}

/* On a thread that may read all of the definition: the back end goes on writing into it. */
static void collect_devices(Placement *placement)
{
    const Driver *driver = placement->dom->driver;

    placement->devices = g_array_new(FALSE, FALSE, sizeof(CgroupDevice));
    placement_collect_devices(placement->devices, placement->live,
                              driver != NULL && driver->config != NULL ? driver->config->cgroup_device_acl : NULL);
}

static gboolean set_limits(const Placement *placement, GError **error)
{
    Cgroup *cgroup = placement->cgroup;
    const DomainDef *live = placement->live;

    return cgroup == NULL ||
           (set_block_limits(cgroup, &live->blkiotune, error) && set_memory_limits(cgroup, &live->memtune, error) &&
            set_shares(cgroup, &live->cputune, error) &&
            (!cgroup_has(cgroup, CGROUP_CPUSET) || cgroup_set_memory_migrate(cgroup, NULL, error)) &&
            cgroup_set_devices(cgroup, placement->devices, error));
}

static gboolean open_counters(Placement *placement, pid_t pid, GError **error)
{
    placement->perf = perf_events_new();
    for (int i = 0; i < PERF_LAST; i++) {
        if (placement->live->perf[i] == TRISTATE_YES && !perf_events_enable(placement->perf, i, pid, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean place_emulator(const Placement *placement, pid_t pid, GError **error)
{
    const CpuTune *tune = &placement->live->cputune;
    g_autofree char *mems = placement_mems(placement->live);
    const ThreadPlace place = {.name = CGROUP_EMULATOR,
                               .tid = pid,
                               .cpus = tune->emulator_pin != NULL ? tune->emulator_pin
                                                                  : placement_default_cpus(placement->live),
                               .period = tune->emulator_period,
                               .quota = tune->emulator_quota,
                               .mems = mems};

    /* Moved with all its threads, and into the groups that threads have none of, too. */
    if (!placement_set_thread(placement->cgroup, &place, TRUE, error) ||
        (placement->cgroup != NULL && !cgroup_attach(placement->cgroup, pid, error)))
        return FALSE;
    return place.cpus == NULL || placement_set_affinity(pid, place.cpus, error);
}

static gboolean work(Placement *placement, pid_t pid, GError **error)
{
    return make_cgroup(placement, pid, error) && set_limits(placement, error) && open_counters(placement, pid, error) &&
           place_emulator(placement, pid, error);
}

/* --- before the program begins, or beside it ------------------------------------------------------------ */

static gboolean gate(pid_t pid, gpointer opaque, GError **error)
{
    collect_devices(opaque); /* who started it stands still meanwhile */
    return work(opaque, pid, error);
}

void placement_options(Placement *placement, VmStartOptions *options)
{
    if (placement->gated) {
        options->gate = gate;
        options->gate_opaque = placement;
        /* Into a cpuset group with other nodes the kernel moves the memory as well. */
        options->own_memory = placement->live->numatune.memory_given;
    }
    options->memory_policy = placement->policy;
    options->memory_nodes = placement->nodes;
    options->memory_nodes_max = NODES_MAX;
}

static gpointer thread_main(gpointer data)
{
    Placement *placement = data;

    work(placement, placement->pid, &placement->error);
    return NULL;
}

void placement_spawned(Placement *placement, pid_t pid)
{
    placement->pid = pid;
    if (placement->gated)
        return;
    collect_devices(placement);
    placement->thread = thread_new("placement", thread_main, placement, NULL);
    if (placement->thread == NULL)
        thread_main(placement); /* later, but it is done */
}

static void placement_free(Placement *placement)
{
    cgroup_unref(placement->cgroup);
    perf_events_unref(placement->perf);
    g_clear_error(&placement->error);
    g_clear_pointer(&placement->devices, g_array_unref);
    domain_unref(placement->dom);
    g_free(placement->record_path);
    g_free(placement);
}

static void join(Placement *placement)
{
    if (placement->thread != NULL)
        g_thread_join(g_steal_pointer(&placement->thread));
}

void placement_abandon(Placement *placement)
{
    if (placement == NULL)
        return;
    join(placement);
    placement_end(placement->cgroup);
    placement_free(placement);
}

/* --- the guest stands ready ----------------------------------------------------------------------------- */

static gboolean place_threads(const Placement *placement, const VmLiveInfo *info, GError **error)
{
    g_autoptr(GArray) places = placement_threads(placement->live, info, error);
    gboolean later = cgroup_is_divided(placement->cgroup);

    if (places == NULL)
        return FALSE;
    for (guint i = 0; i < places->len; i++)
        later &= !placement_has_limits(&g_array_index(places, ThreadPlace, i));
    for (guint i = 0; i < places->len; i++) {
        if (!placement_set_thread(placement->cgroup, &g_array_index(places, ThreadPlace, i), later, error))
            return FALSE;
    }
    if (later && places->len > 0)
        placement_move_later(placement->dom, placement->cgroup, places);
    return TRUE;
}

static gboolean finish(Placement *placement, const VmLiveInfo *info, GError **error)
{
    const CpuTune *tune = &placement->live->cputune;
    const ThreadPlace main_thread = {.tid = placement->pid, .sched = &tune->emulator_sched};

    if (placement->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&placement->error));
        return FALSE;
    }
    if ((tune->global_period != 0 || tune->global_quota != 0) && !cgroup_has(placement->cgroup, CGROUP_CPU))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "cgroup cpu is required for scheduler tuning");
    if (cgroup_has(placement->cgroup, CGROUP_CPUSET) &&
        !cgroup_set_memory_migrate(placement->cgroup, CGROUP_EMULATOR, error))
        return FALSE;
    if (placement->cgroup != NULL &&
        !cgroup_set_bandwidth(placement->cgroup, NULL, tune->global_period, tune->global_quota, error))
        return FALSE;
    return place_threads(placement, info, error) && placement_set_thread(NULL, &main_thread, TRUE, error);
}

static void add_servers(Cgroup *cgroup, const char *run_folder)
{
    g_autoptr(GArray) pids = cgroup != NULL ? storage_servers_of(run_folder) : NULL;

    for (guint i = 0; pids != NULL && i < pids->len; i++) {
        g_autoptr(GError) error = NULL;

        if (!cgroup_attach(cgroup, g_array_index(pids, pid_t, i), &error))
            log_warning("qemu-storage-daemon stays outside of its VM's control group: %s", error->message);
    }
}

void placement_add_servers(Domain *dom, const char *run_folder)
{
    Cgroup *cgroup = domain_cgroup(dom);

    add_servers(cgroup, run_folder);
    cgroup_unref(cgroup);
}

gboolean placement_finish(Placement *placement, const VmLiveInfo *info, Cgroup **ret_cgroup, PerfEvents **ret_perf,
                          GError **error)
{
    gboolean done;

    join(placement);
    done = finish(placement, info, error);
    if (done) {
        g_autofree char *run_folder = g_path_get_dirname(placement->record_path);

        if (placement->cgroup != NULL && placement->live->partition == NULL)
            placement->live->partition = g_strdup("/machine");
        add_servers(placement->cgroup, run_folder);
        *ret_cgroup = g_steal_pointer(&placement->cgroup);
        *ret_perf = g_steal_pointer(&placement->perf);
        placement_free(placement);
    }
    return done;
}

/* --- afterwards ----------------------------------------------------------------------------------------- */

void placement_end(Cgroup *cgroup)
{
    cgroup_remove(cgroup);
}

Cgroup *placement_find(Driver *driver, const char *run_folder)
{
    g_autofree char *path = backend_run_path(run_folder, "cgroup");
    g_autofree char *record = NULL;

    if (!g_file_get_contents(path, &record, NULL, NULL))
        return NULL;
    return cgroup_open("", record, controllers_of(driver));
}

PerfEvents *placement_restart_perf(DomainDef *live, pid_t pid)
{
    PerfEvents *perf = perf_events_new();

    for (int i = 0; i < PERF_LAST; i++) {
        if (live->perf[i] == TRISTATE_YES && !perf_events_enable(perf, i, pid, NULL))
            live->perf[i] = TRISTATE_NO;
    }
    return perf;
}

Cgroup *domain_cgroup(Domain *dom)
{
    LOCK_SCOPE(&dom->lock);

    return cgroup_ref(dom->cgroup);
}

PerfEvents *domain_perf(Domain *dom)
{
    LOCK_SCOPE(&dom->lock);

    return perf_events_ref(dom->perf);
}
