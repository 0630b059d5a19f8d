/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RPC handlers that tell of processors: virDomainGetVcpus, GetVcpuPinInfo, GetEmulatorPinInfo,
 * GetIOThreadInfo, GetCPUStats. What threads do is read from the kernel, what is pinned from the definitions;
 * no monitor is asked.
 */
#include <sched.h>
#include <string.h>

#include "driver/backend/backend.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/placement.h"
#include "driver/domain/stats_cache.h"
#include "driver/domain/stats_proc.h"
#include "driver/driver.h"
#include "driver/host/host.h"
#include "driver/rpc/call.h"
#include "driver/rpc/typed_params.h"

/* What one reply may carry (remote_types.rpc). */
enum { VCPUS_MAX = 16384, CPUMAPS_MAX = 8388608, CPU_STATS_PARAMS_MAX = 16, CPU_STATS_CPUS_MAX = 128 };

#define AFFECT (VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG)

/* --- maps ----------------------------------------------------------------------------------------------- */

/* CPUs of the host that are online. */
static Bitmap *host_cpus(Driver *driver)
{
    const HostTopology *topology = host_topology(driver->host);
    Bitmap *map = bitmap_new();

    for (guint i = 0; i < topology->cpus->len; i++) {
        const HostCpu *cpu = g_ptr_array_index(topology->cpus, i);

        if (cpu->online)
            bitmap_set(map, cpu->id);
    }
    return map;
}

/* CPUs that a thread may run on; empty when it is gone. */
static Bitmap *thread_cpus(pid_t tid)
{
    gsize size = CPU_ALLOC_SIZE(BITMAP_MAX_BITS);
    g_autofree cpu_set_t *set = g_malloc0(size);
    Bitmap *map = bitmap_new();

    if (tid <= 0 || sched_getaffinity(tid, size, set) < 0)
        return map;
    for (guint i = 0; i < BITMAP_MAX_BITS; i++) {
        if (CPU_ISSET_S(i, size, set))
            bitmap_set(map, i);
    }
    return map;
}

/* What is meant by no map of a vCPU's own. */
static const Bitmap *pinned(const DomainDef *def, const Bitmap *own, const Bitmap *host)
{
    if (own != NULL)
        return own;
    return def->cpuset != NULL && !def->placement_auto ? def->cpuset : host;
}

/* Sizes that a client asks for; the words are those of libvirt's daemon. */
static gboolean check_maps(gint32 count, const char *count_name, gint32 maplen, GError **error)
{
    if (count < 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "%s must be non-negative", count_name);
    if (maplen < 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "maplen must be non-negative");
    if (count > VCPUS_MAX)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "%s > REMOTE_VCPUINFO_MAX", count_name);
    if ((gint64)count * maplen > CPUMAPS_MAX)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "maxinfo * maplen > REMOTE_CPUMAPS_MAX");
    return TRUE;
}

/* --- vCPUs ---------------------------------------------------------------------------------------------- */

typedef struct Thread {
    guint number;
    pid_t tid;
} Thread;

/* The threads of the online vCPUs. FALSE when the VM is off or has no threads of their own for them. */
static gboolean vcpu_threads(Domain *dom, GArray *threads, pid_t *ret_pid, GError **error)
{
    gboolean any = FALSE;
    LOCK_SCOPE(&dom->lock);

    if (!domain_active(dom))
        return error_set(error, VIR_ERR_OPERATION_INVALID,
                         "cannot retrieve vcpu information for inactive domain");
    *ret_pid = dom->pid;
    for (guint i = 0; dom->info != NULL && i < dom->info->n_vcpus; i++) {
        const Thread thread = {i, dom->info->vcpus[i].tid};

        if (!dom->info->vcpus[i].online)
            continue;
        any |= thread.tid > 0;
        g_array_append_val(threads, thread);
    }
    return any || error_set(error, VIR_ERR_OPERATION_INVALID, "cpu affinity is not supported");
}

gboolean call_domain_get_vcpus(Call *call, const DomainGetVcpusArgs *args, DomainGetVcpusRet *ret,
                               GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_autoptr(GArray) threads = g_array_new(FALSE, FALSE, sizeof(Thread));
    pid_t pid = 0;
    guint n;

    if (!check_maps(args->maxinfo, "maxinfo", args->maplen, error))
        return FALSE;
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL || !vcpu_threads(dom, threads, &pid, error))
        return FALSE;
    n = MIN((guint)args->maxinfo, threads->len);
    ret->info = g_new0(WireVcpuInfo, n);
    ret->info_len = n;
    ret->cpumaps_len = (guint32)args->maxinfo * (guint32)args->maplen;
    ret->cpumaps = g_malloc0(ret->cpumaps_len);
    for (guint i = 0; i < n; i++) {
        const Thread *thread = &g_array_index(threads, Thread, i);
        g_autoptr(Bitmap) map = thread_cpus(thread->tid);
        ProcFigures figures;

        proc_figures(pid, thread->tid, &figures);
        ret->info[i].number = thread->number;
        ret->info[i].state = VIR_VCPU_RUNNING;
        ret->info[i].cpu_time = figures.user + figures.system;
        ret->info[i].cpu = figures.cpu;
        bitmap_to_bytes(map, ret->cpumaps + (gsize)i * (gsize)args->maplen, (gsize)args->maplen);
    }
    return TRUE;
}

gboolean call_domain_get_vcpu_pin_info(Call *call, const DomainGetVcpuPinInfoArgs *args,
                                       DomainGetVcpuPinInfoRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_autoptr(Bitmap) host = NULL;
    const DomainDef *def;

    if (!call_check_flags(call, args->flags, AFFECT, error) ||
        !check_maps(args->ncpumaps, "ncpumaps", args->maplen, error))
        return FALSE;
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL)
        return FALSE;
    host = host_cpus(call_driver(call));
    LOCK_SCOPE(&dom->lock);
    def = domain_one_def_for(dom, args->flags, NULL, error);
    if (def == NULL)
        return FALSE;
    ret->num = (gint32)MIN((guint)args->ncpumaps, domain_def_vcpus_max(def));
    ret->cpumaps_len = (guint32)args->ncpumaps * (guint32)args->maplen;
    ret->cpumaps = g_malloc0(ret->cpumaps_len);
    for (gint32 i = 0; i < ret->num; i++)
        bitmap_to_bytes(pinned(def, domain_def_vcpu(def, (guint)i)->pin, host),
                        ret->cpumaps + (gsize)i * (gsize)args->maplen, (gsize)args->maplen);
    return TRUE;
}

gboolean call_domain_get_emulator_pin_info(Call *call, const DomainGetEmulatorPinInfoArgs *args,
                                           DomainGetEmulatorPinInfoRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_autoptr(Bitmap) host = NULL;
    const DomainDef *def;

    if (!call_check_flags(call, args->flags, AFFECT, error) || !check_maps(1, "maps", args->maplen, error))
        return FALSE;
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL)
        return FALSE;
    host = host_cpus(call_driver(call));
    LOCK_SCOPE(&dom->lock);
    def = domain_one_def_for(dom, args->flags, NULL, error);
    if (def == NULL)
        return FALSE;
    ret->ret = 1;
    ret->cpumaps_len = (guint32)args->maplen;
    ret->cpumaps = g_malloc0(ret->cpumaps_len);
    bitmap_to_bytes(pinned(def, def->cputune.emulator_pin, host), ret->cpumaps, ret->cpumaps_len);
    return TRUE;
}

/* --- I/O threads ---------------------------------------------------------------------------------------- */

static void put_map(WireDomainIothreadInfo *info, const Bitmap *map)
{
    info->cpumap_len = (guint32)MAX(bitmap_last(map), 0) / 8 + 1;
    info->cpumap = g_malloc0(info->cpumap_len);
    bitmap_to_bytes(map, info->cpumap, info->cpumap_len);
}

/* As defined. State lock held. */
static void iothreads_of(const DomainDef *def, const Bitmap *host, DomainGetIothreadInfoRet *ret)
{
    ret->info_len = def->iothreads->len;
    ret->info = g_new0(WireDomainIothreadInfo, ret->info_len);
    for (guint i = 0; i < ret->info_len; i++) {
        const IothreadDef *thread = g_ptr_array_index(def->iothreads, i);

        ret->info[i].iothread_id = thread->id;
        put_map(&ret->info[i], pinned(def, thread->pin, host));
    }
}

/* Which there are the live definition says; a VM that is slow to answer may still tell of others. Order as the
 * monitor tells, if it does. State lock held. */
static void list_iothreads(const DomainDef *live, const GArray *told, GArray *threads)
{
    guint known = 0;

    for (guint i = 0; i < figures_count(told); i++) {
        const IothreadFigure *figure = figure_at(told, IothreadFigure, i);
        const Thread thread = {figure->id, figure->tid};

        if (domain_def_iothread(live, thread.number) != NULL)
            g_array_append_val(threads, thread);
    }
    known = threads->len;
    for (guint i = 0; i < live->iothreads->len; i++) {
        const IothreadDef *iothread = g_ptr_array_index(live->iothreads, i);
        const Thread thread = {iothread->id, iothread->thread_id};
        gboolean listed = FALSE;

        for (guint k = 0; k < known && !listed; k++)
            listed = g_array_index(threads, Thread, k).number == thread.number;
        if (!listed)
            g_array_append_val(threads, thread);
    }
}

static gboolean iothreads_live(Domain *dom, DomainGetIothreadInfoRet *ret, GError **error)
{
    g_autoptr(GArray) threads = g_array_new(FALSE, FALSE, sizeof(Thread));
    g_auto(StatsView) view = {0};
    gboolean active = stats_fresh_view(dom, FIGURES_BIT(FIGURES_IOTHREADS), &view, error);

    if (active)
        list_iothreads(dom->live, view.figures[FIGURES_IOTHREADS], threads);
    lock_release(&dom->lock);
    if (!active)
        return FALSE;
    ret->info_len = threads->len;
    ret->info = g_new0(WireDomainIothreadInfo, ret->info_len);
    for (guint i = 0; i < threads->len; i++) {
        const Thread *thread = &g_array_index(threads, Thread, i);
        g_autoptr(Bitmap) map = thread_cpus(thread->tid);

        ret->info[i].iothread_id = thread->number;
        put_map(&ret->info[i], map);
    }
    return TRUE;
}

gboolean call_domain_get_iothread_info(Call *call, const DomainGetIothreadInfoArgs *args,
                                       DomainGetIothreadInfoRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_autoptr(Bitmap) host = NULL;
    guint flags = args->flags;
    gboolean good;

    if (!call_check_flags(call, flags, AFFECT, error))
        return FALSE;
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL)
        return FALSE;
    host = host_cpus(call_driver(call));
    lock_acquire(&dom->lock);
    good = domain_affect(dom, &flags, error);
    if (good && (flags & VIR_DOMAIN_AFFECT_CONFIG))
        iothreads_of(dom->config, host, ret);
    lock_release(&dom->lock);
    if (!good || (!(flags & VIR_DOMAIN_AFFECT_CONFIG) && !iothreads_live(dom, ret, error)))
        return FALSE;
    ret->ret = ret->info_len;
    return TRUE;
}

/* --- processor time ------------------------------------------------------------------------------------- */

enum { CPU_STATS_TOTAL_PARAMS = 3 };

static void add_total(DomainGetCpuStatsRet *ret, guint wanted, const CgroupTimes *times)
{
    const struct {
        const char *field;
        guint64 ns;
    } fields[CPU_STATS_TOTAL_PARAMS] = {{VIR_DOMAIN_CPU_STATS_CPUTIME, times->total},
                                        {VIR_DOMAIN_CPU_STATS_USERTIME, times->user},
                                        {VIR_DOMAIN_CPU_STATS_SYSTEMTIME, times->system}};
    g_auto(TypedParams) params = {0};

    typed_params_init(&params);
    for (guint i = 0; i < MIN(wanted, CPU_STATS_TOTAL_PARAMS); i++)
        typed_params_add_ullong(&params, fields[i].field, fields[i].ns);
    ret->params = typed_params_steal(&params, &ret->params_len);
    ret->nparams = (gint32)ret->params_len;
}

/* Numbers of the host CPUs that the kernel may have: that is what it counts by. */
static guint present_cpus(Call *call)
{
    const HostTopology *topology = host_topology(((Driver *)call_driver(call))->host);
    guint n = 0;

    for (guint i = 0; i < topology->cpus->len; i++)
        n = MAX(n, ((const HostCpu *)g_ptr_array_index(topology->cpus, i))->id + 1);
    return n;
}

/* All vCPUs' time on each CPU; NULL with *error. Caller unrefs. */
static GArray *vcpu_times(Cgroup *cgroup, const GArray *vcpus, guint n_cpus, GError **error)
{
    g_autoptr(GArray) sum = g_array_new(FALSE, TRUE, sizeof(guint64));
    CgroupThread name;

    g_array_set_size(sum, n_cpus);
    for (guint i = 0; i < vcpus->len; i++) {
        g_autoptr(GArray) times =
            cgroup_cpu_times_each(cgroup, cgroup_thread(name, "vcpu", g_array_index(vcpus, guint, i)), error);

        if (times == NULL)
            return NULL;
        for (guint cpu = 0; cpu < MIN(n_cpus, times->len); cpu++)
            g_array_index(sum, guint64, cpu) += g_array_index(times, guint64, cpu);
    }
    return g_steal_pointer(&sum);
}

static gboolean times_each(Call *call, const DomainGetCpuStatsArgs *args, Cgroup *cgroup, const GArray *vcpus,
                           DomainGetCpuStatsRet *ret, GError **error)
{
    guint n_cpus = present_cpus(call), kinds = vcpus->len > 0 ? 2 : 1, end;
    g_autoptr(GArray) all = NULL;
    g_autoptr(GArray) guest = NULL;
    g_auto(TypedParams) params = {0};

    if (args->nparams == 0 && args->ncpus != 0) {
        ret->nparams = (gint32)kinds;
        return TRUE;
    }
    if (args->ncpus == 0) {
        ret->nparams = (gint32)n_cpus;
        return TRUE;
    }
    if (args->start_cpu < 0 || (guint)args->start_cpu >= n_cpus)
        return error_set(error, VIR_ERR_INVALID_ARG, "start_cpu %d larger than maximum of %u", args->start_cpu,
                         n_cpus - 1);
    all = cgroup_cpu_times_each(cgroup, NULL, error);
    if (all == NULL)
        return FALSE;
    kinds = MIN(kinds, args->nparams);
    guest = kinds > 1 ? vcpu_times(cgroup, vcpus, n_cpus, error) : NULL;
    if (kinds > 1 && guest == NULL)
        return FALSE;
    end = MIN(n_cpus, (guint)args->start_cpu + args->ncpus);
    typed_params_init(&params);
    for (guint cpu = (guint)args->start_cpu; cpu < end; cpu++) {
        typed_params_add_ullong(&params, VIR_DOMAIN_CPU_STATS_CPUTIME,
                                cpu < all->len ? g_array_index(all, guint64, cpu) : 0);
        if (kinds > 1)
            typed_params_add_ullong(&params, VIR_DOMAIN_CPU_STATS_VCPUTIME, g_array_index(guest, guint64, cpu));
    }
    ret->params = typed_params_steal(&params, &ret->params_len);
    ret->nparams = (gint32)kinds;
    return TRUE;
}

gboolean call_domain_get_cpu_stats(Call *call, const DomainGetCpuStatsArgs *args, DomainGetCpuStatsRet *ret,
                                   GError **error)
{
    g_autoptr(GArray) vcpus = g_array_new(FALSE, FALSE, sizeof(guint)); /* online ones with a thread */
    g_autoptr(Cgroup) cgroup = NULL;
    g_autoptr(Domain) dom = NULL;
    CgroupTimes times;
    gboolean active;

    if (!call_check_flags(call, args->flags, VIR_TYPED_PARAM_STRING_OKAY, error))
        return FALSE;
    if (args->nparams > CPU_STATS_PARAMS_MAX)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "nparams too large");
    if (args->ncpus > CPU_STATS_CPUS_MAX)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "ncpus too large");
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL)
        return FALSE;
    lock_acquire(&dom->lock);
    active = domain_require_active(dom, error);
    cgroup = cgroup_ref(dom->cgroup);
    for (guint i = 0; active && dom->info != NULL && i < dom->info->n_vcpus; i++) {
        if (dom->info->vcpus[i].online && dom->info->vcpus[i].tid > 0)
            g_array_append_val(vcpus, i);
    }
    lock_release(&dom->lock);
    if (!active)
        return FALSE;
    if (!cgroup_has(cgroup, CGROUP_CPUACCT))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cgroup CPUACCT controller is not mounted");
    if (args->start_cpu != -1)
        return times_each(call, args, cgroup, vcpus, ret, error);
    if (args->nparams == 0) {
        ret->nparams = CPU_STATS_TOTAL_PARAMS;
        return TRUE;
    }
    if (!cgroup_cpu_times(cgroup, &times, error))
        return FALSE;
    add_total(ret, args->nparams, &times);
    return TRUE;
}
