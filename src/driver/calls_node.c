/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handlers about this machine: virNode*(). */
#include <libvirt/libvirt.h>
#include <string.h>

#include "common/error.h"
#include "driver/driver.h"
#include "driver/host/cpu_models.h"
#include "driver/host/host.h"
#include "driver/rpc/call.h"

static Host *host_of(Call *call)
{
    return ((Driver *)call_driver(call))->host;
}

gboolean call_node_get_info(Call *call, const NodeGetInfoArgs *args, NodeGetInfoRet *ret, GError **error)
{
    Host *host = host_of(call);
    const HostTopology *t = host_topology(host);
    HostMemory memory;
    gboolean adds_up;

    if (!host_memory_of_cells(host, &memory, error))
        return FALSE;
    g_strlcpy(ret->model, host_arch(host), sizeof(ret->model));
    ret->memory = memory.total;
    ret->cpus = (gint32)t->online;
    ret->mhz = (gint32)t->mhz;
    ret->nodes = (gint32)t->cells->len;
    ret->sockets = (gint32)MAX(t->sockets, 1);
    ret->cores = (gint32)MAX(t->cores, 1);
    ret->threads = (gint32)MAX(t->threads, 1);
    /* Clients multiply. Where cells and sockets cross or CPUs are offline, the flat answer is the right product. */
    adds_up = (guint64)ret->nodes * (guint)ret->sockets * (guint)ret->cores * (guint)ret->threads == t->online;
    if (!adds_up) {
        ret->nodes = ret->sockets = ret->threads = 1;
        ret->cores = (gint32)t->online;
    }
    return TRUE;
}

/* --- memory --------------------------------------------------------------------------------------------- */

gboolean call_node_get_free_memory(Call *call, const NodeGetFreeMemoryArgs *args, NodeGetFreeMemoryRet *ret,
                                   GError **error)
{
    HostMemory memory;

    if (!host_memory_of_cells(host_of(call), &memory, error))
        return FALSE;
    ret->freeMem = memory.free * 1024;
    return TRUE;
}

gboolean call_node_get_cells_free_memory(Call *call, const NodeGetCellsFreeMemoryArgs *args,
                                         NodeGetCellsFreeMemoryRet *ret, GError **error)
{
    Host *host = host_of(call);
    const HostTopology *t = host_topology(host);
    guint count;

    if (args->startCell < 0 || (guint)args->startCell >= t->cells->len)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "start cell %d out of range (0-%u)", args->startCell,
                         t->cells->len - 1);
    count = MIN((guint)MAX(args->maxcells, 0), t->cells->len - (guint)args->startCell);
    ret->cells = g_new0(guint64, count + 1);
    for (guint i = 0; i < count; i++) {
        const HostCell *cell = t->cells->pdata[(guint)args->startCell + i];
        HostMemory memory;

        if (!host_memory(host, (int)cell->id, &memory, error))
            return FALSE;
        ret->cells[ret->cells_len++] = memory.free * 1024;
    }
    return TRUE;
}

gboolean call_node_get_memory_stats(Call *call, const NodeGetMemoryStatsArgs *args, NodeGetMemoryStatsRet *ret,
                                    GError **error)
{
    enum { ALL_FIELDS = 4, CELL_FIELDS = 2 };
    gint32 count = args->cellNum == VIR_NODE_MEMORY_STATS_ALL_CELLS ? ALL_FIELDS : CELL_FIELDS;
    HostMemory m = {0};

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    if (args->cellNum < VIR_NODE_MEMORY_STATS_ALL_CELLS)
        return error_set(error, VIR_ERR_INVALID_ARG, "cellNum in virNodeGetMemoryStats must be -1 or a cell, not %d",
                         args->cellNum);
    if (!host_memory(host_of(call), args->cellNum, &m, error))
        return FALSE;
    ret->nparams = count;
    if (args->nparams == 0) /* only asks how many */
        return TRUE;
    if (args->nparams != count)
        return error_set(error, VIR_ERR_INVALID_ARG, "nparams in virNodeGetMemoryStats must be %d", count);
    const struct {
        const char *field;
        guint64 value;
    } values[ALL_FIELDS] = {{VIR_NODE_MEMORY_STATS_TOTAL, m.total},
                            {VIR_NODE_MEMORY_STATS_FREE, m.free},
                            {VIR_NODE_MEMORY_STATS_BUFFERS, m.buffers},
                            {VIR_NODE_MEMORY_STATS_CACHED, m.cached}};

    ret->params = g_new0(WireNodeGetMemoryStats, count);
    ret->params_len = (guint32)count;
    for (gint32 i = 0; i < count; i++) {
        ret->params[i].field = g_strdup(values[i].field);
        ret->params[i].value = values[i].value;
    }
    return TRUE;
}

/* Cells x sizes, cell by cell. */
static gboolean cell_range(Host *host, gint32 first, guint32 count, gint32 *ret_last, GError **error)
{
    const HostTopology *t = host_topology(host);
    const HostCell *last = t->cells->pdata[t->cells->len - 1];

    if (first < -1 || first > (gint32)last->id)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "start cell %d out of range (0-%u)", first, last->id);
    *ret_last = first == -1 ? -1 : (gint32)MIN((guint64)first + count - 1, last->id);
    return TRUE;
}

gboolean call_node_get_free_pages(Call *call, const NodeGetFreePagesArgs *args, NodeGetFreePagesRet *ret,
                                  GError **error)
{
    Host *host = host_of(call);
    gint32 last;

    if (!call_check_nonzero(call, "npages", args->pages_len, error) ||
        !call_check_nonzero(call, "cellCount", args->cellCount, error) ||
        !call_check_flags(call, args->flags, 0, error) ||
        !cell_range(host, args->startCell, args->cellCount, &last, error))
        return FALSE;
    ret->counts = g_new0(guint64, (gsize)args->pages_len * (gsize)(last - args->startCell + 1) + 1);
    for (gint32 cell = args->startCell; cell <= last; cell++) {
        for (guint i = 0; i < args->pages_len; i++) {
            if (!host_free_pages(host, cell, args->pages[i], &ret->counts[ret->counts_len], error))
                return FALSE;
            ret->counts_len++;
        }
    }
    return TRUE;
}

gboolean call_node_alloc_pages(Call *call, const NodeAllocPagesArgs *args, NodeAllocPagesRet *ret, GError **error)
{
    Host *host = host_of(call);
    gboolean add = (args->flags & VIR_NODE_ALLOC_PAGES_SET) == 0;
    gint32 last;

    if (!call_check_nonzero(call, "npages", args->pageSizes_len, error) ||
        !call_check_nonzero(call, "cellCount", args->cellCount, error) ||
        !call_check_flags(call, args->flags, VIR_NODE_ALLOC_PAGES_SET, error) ||
        !cell_range(host, args->startCell, args->cellCount, &last, error))
        return FALSE;
    if (args->pageCounts_len != args->pageSizes_len)
        return error_set(error, VIR_ERR_INVALID_ARG, "%u page sizes and %u counts do not match", args->pageSizes_len,
                         args->pageCounts_len);
    for (gint32 cell = args->startCell; cell <= last; cell++) {
        for (guint i = 0; i < args->pageSizes_len; i++) {
            if (!host_alloc_pages(host, cell, args->pageSizes[i], args->pageCounts[i], add, error))
                return FALSE;
            ret->ret++;
        }
    }
    return TRUE;
}

/* --- KSM ------------------------------------------------------------------------------------------------ */

#define KSM_PREFIX "shm_"

gboolean call_node_get_memory_parameters(Call *call, const NodeGetMemoryParametersArgs *args,
                                         NodeGetMemoryParametersRet *ret, GError **error)
{
    g_autoptr(GArray) ksm = NULL;

    if (!call_check_flags(call, args->flags, VIR_TYPED_PARAM_STRING_OKAY, error))
        return FALSE;
    ksm = host_ksm(host_of(call));
    ret->nparams = (gint32)ksm->len;
    if (args->nparams == 0)
        return TRUE;
    ret->nparams = MIN(args->nparams, ret->nparams);
    ret->params = g_new0(WireTypedParam, ret->nparams + 1);
    ret->params_len = (guint32)ret->nparams;
    for (guint i = 0; i < ret->params_len; i++) {
        const HostKsmParam *p = &g_array_index(ksm, HostKsmParam, i);
        WireTypedParam *out = &ret->params[i];

        out->field = g_strconcat(KSM_PREFIX, p->name, NULL);
        out->value.type = p->is_u64 ? VIR_TYPED_PARAM_ULLONG : VIR_TYPED_PARAM_UINT;
        if (p->is_u64)
            out->value.ul = p->value;
        else
            out->value.ui = (guint32)p->value;
    }
    return TRUE;
}

gboolean call_node_set_memory_parameters(Call *call, const NodeSetMemoryParametersArgs *args,
                                         NodeSetMemoryParametersRet *ret, GError **error)
{
    if (!call_check_params(call, args->params_len, error) || !call_check_flags(call, args->flags, 0, error))
        return FALSE;
    for (guint i = 0; i < args->params_len; i++) {
        const WireTypedParam *p = &args->params[i];

        if (!g_str_has_prefix(p->field, KSM_PREFIX))
            return error_set(error, VIR_ERR_INVALID_ARG, "parameter '%s' not supported", p->field);
        if (p->value.type != VIR_TYPED_PARAM_UINT)
            return error_set(error, VIR_ERR_INVALID_ARG, "invalid type of parameter '%s': expected unsigned int",
                             p->field);
    }
    for (guint i = 0; i < args->params_len; i++) {
        const WireTypedParam *p = &args->params[i];

        if (!host_ksm_set(host_of(call), p->field + strlen(KSM_PREFIX), p->value.ui, error))
            return FALSE;
    }
    return TRUE;
}

/* --- processors ----------------------------------------------------------------------------------------- */

gboolean call_node_get_cpu_stats(Call *call, const NodeGetCpuStatsArgs *args, NodeGetCpuStatsRet *ret, GError **error)
{
    enum { FIELDS = 4 };
    HostCpuTimes times;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    if (args->cpuNum < VIR_NODE_CPU_STATS_ALL_CPUS || !host_cpu_times(host_of(call), args->cpuNum, &times, NULL))
        return error_set(error, VIR_ERR_INVALID_ARG, "Invalid cpuNum in virNodeGetCPUStats");
    ret->nparams = FIELDS;
    if (args->nparams == 0)
        return TRUE;
    if (args->nparams != FIELDS)
        return error_set(error, VIR_ERR_INVALID_ARG, "nparams in virNodeGetCPUStats must be equal to %d", FIELDS);
    const struct {
        const char *field;
        guint64 value;
    } values[FIELDS] = {{VIR_NODE_CPU_STATS_KERNEL, times.kernel},
                        {VIR_NODE_CPU_STATS_USER, times.user},
                        {VIR_NODE_CPU_STATS_IDLE, times.idle},
                        {VIR_NODE_CPU_STATS_IOWAIT, times.iowait}};

    ret->params = g_new0(WireNodeGetCpuStats, FIELDS);
    ret->params_len = FIELDS;
    for (guint i = 0; i < FIELDS; i++) {
        ret->params[i].field = g_strdup(values[i].field);
        ret->params[i].value = values[i].value;
    }
    return TRUE;
}

gboolean call_node_get_cpu_map(Call *call, const NodeGetCpuMapArgs *args, NodeGetCpuMapRet *ret, GError **error)
{
    const HostTopology *t = host_topology(host_of(call));
    guint highest = 0;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    for (guint i = 0; i < t->cpus->len; i++)
        highest = MAX(highest, ((const HostCpu *)t->cpus->pdata[i])->id);
    if (args->need_map != 0) {
        ret->cpumap_len = highest / 8 + 1;
        ret->cpumap = g_new0(guint8, ret->cpumap_len);
        for (guint i = 0; i < t->cpus->len; i++) {
            const HostCpu *cpu = t->cpus->pdata[i];

            if (cpu->online)
                ret->cpumap[cpu->id / 8] |= (guint8)(1 << (cpu->id % 8));
        }
    }
    if (args->need_online != 0)
        ret->online = t->online;
    ret->ret = (gint32)highest + 1;
    return TRUE;
}

/* --- security ------------------------------------------------------------------------------------------- */

/* Nothing labels our processes: what capabilities say, and libvirt with its "none" driver. */
gboolean call_node_get_security_model(Call *call, const NodeGetSecurityModelArgs *args, NodeGetSecurityModelRet *ret,
                                      GError **error)
{
    ret->model = g_strdup("none");
    ret->doi = g_strdup("0");
    return TRUE;
}
