/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RPC handlers that set limits of the whole domain as typed parameters: scheduler, memory, NUMA. In the definitions, and
 * while it runs in its control group. Where it has none: libvirt's words for a host without that controller.
 */
#include <string.h>

#include "driver/backend/backend.h"
#include "driver/domain/placement.h"
#include "driver/domain/settings.h"
#include "driver/driver.h"

/* --- scheduler ------------------------------------------------------------------------------------------ */

/* Whose processor time a parameter limits. */
typedef enum { SCHED_SHARES, SCHED_VCPUS, SCHED_GLOBAL, SCHED_EMULATOR, SCHED_IOTHREADS } SchedTarget;

static const struct {
    const char *field, *event;
    SchedTarget target;
    gsize offset; /* in CpuTune; 64 bits */
    gboolean quota; /* signed */
} scheduler_fields[] = {
    {VIR_DOMAIN_SCHEDULER_CPU_SHARES, VIR_DOMAIN_TUNABLE_CPU_CPU_SHARES, SCHED_SHARES,
     G_STRUCT_OFFSET(CpuTune, shares), FALSE},
    {VIR_DOMAIN_SCHEDULER_VCPU_PERIOD, VIR_DOMAIN_TUNABLE_CPU_VCPU_PERIOD, SCHED_VCPUS,
     G_STRUCT_OFFSET(CpuTune, period), FALSE},
    {VIR_DOMAIN_SCHEDULER_VCPU_QUOTA, VIR_DOMAIN_TUNABLE_CPU_VCPU_QUOTA, SCHED_VCPUS, G_STRUCT_OFFSET(CpuTune, quota),
     TRUE},
    {VIR_DOMAIN_SCHEDULER_GLOBAL_PERIOD, VIR_DOMAIN_TUNABLE_CPU_GLOBAL_PERIOD, SCHED_GLOBAL,
     G_STRUCT_OFFSET(CpuTune, global_period), FALSE},
    {VIR_DOMAIN_SCHEDULER_GLOBAL_QUOTA, VIR_DOMAIN_TUNABLE_CPU_GLOBAL_QUOTA, SCHED_GLOBAL,
     G_STRUCT_OFFSET(CpuTune, global_quota), TRUE},
    {VIR_DOMAIN_SCHEDULER_EMULATOR_PERIOD, VIR_DOMAIN_TUNABLE_CPU_EMULATOR_PERIOD, SCHED_EMULATOR,
     G_STRUCT_OFFSET(CpuTune, emulator_period), FALSE},
    {VIR_DOMAIN_SCHEDULER_EMULATOR_QUOTA, VIR_DOMAIN_TUNABLE_CPU_EMULATOR_QUOTA, SCHED_EMULATOR,
     G_STRUCT_OFFSET(CpuTune, emulator_quota), TRUE},
    {VIR_DOMAIN_SCHEDULER_IOTHREAD_PERIOD, VIR_DOMAIN_TUNABLE_CPU_IOTHREAD_PERIOD, SCHED_IOTHREADS,
     G_STRUCT_OFFSET(CpuTune, iothread_period), FALSE},
    {VIR_DOMAIN_SCHEDULER_IOTHREAD_QUOTA, VIR_DOMAIN_TUNABLE_CPU_IOTHREAD_QUOTA, SCHED_IOTHREADS,
     G_STRUCT_OFFSET(CpuTune, iothread_quota), TRUE},
};

static gboolean check_range(const char *field, gint64 value, gint64 min, gint64 max, GError **error)
{
    if ((value <= 0 || value >= min) && value <= max) /* 0 and less: as it is, or none */
        return TRUE;
    return error_set(error, VIR_ERR_INVALID_ARG,
                     "value of '%s' is out of range [%" G_GINT64_FORMAT ", %" G_GINT64_FORMAT "]", field, min, max);
}

static gboolean check_scheduler(const WireTypedParam *params, guint n, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(scheduler_fields); i++) {
        const WireTypedParam *param = typed_params_find(params, n, scheduler_fields[i].field);

        if (param == NULL || scheduler_fields[i].target == SCHED_SHARES)
            continue;
        if (scheduler_fields[i].quota
                ? !check_range(param->field, param->value.l, CGROUP_QUOTA_MIN, CGROUP_QUOTA_MAX, error)
                : !check_range(param->field, (gint64)MIN(param->value.ul, G_MAXINT64), CGROUP_PERIOD_MIN, CGROUP_PERIOD_MAX,
                               error))
            return FALSE;
    }
    return TRUE;
}

static gboolean each_thread(Setting *s, Cgroup *cgroup, SchedTarget target, guint64 period, gint64 quota, GError **error)
{
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(guint)); /* without the lock while the kernel is asked */
    CgroupThread name;

    lock_acquire(&s->dom->lock);
    for (guint i = 0; target == SCHED_VCPUS && s->dom->info != NULL && i < s->dom->info->n_vcpus; i++) {
        if (s->dom->info->vcpus[i].online && s->dom->info->vcpus[i].tid > 0)
            g_array_append_val(ids, i);
    }
    for (guint i = 0; target == SCHED_IOTHREADS && i < s->live->iothreads->len; i++)
        g_array_append_val(ids, ((const IothreadDef *)g_ptr_array_index(s->live->iothreads, i))->id);
    lock_release(&s->dom->lock);
    for (guint i = 0; i < ids->len; i++) {
        cgroup_thread(name, target == SCHED_VCPUS ? "vcpu" : "iothread", g_array_index(ids, guint, i));
        if (!cgroup_set_bandwidth(cgroup, name, period, quota, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean set_one_live(Setting *s, Cgroup *cgroup, gsize field, const WireTypedParam *param, GError **error)
{
    gboolean quota = scheduler_fields[field].quota;
    guint64 us = quota ? 0 : param->value.ul;
    gint64 quota_us = quota ? param->value.l : 0;

    switch (scheduler_fields[field].target) {
    case SCHED_SHARES:
        return cgroup_set_shares(cgroup, param->value.ul, error);
    case SCHED_GLOBAL:
        return cgroup_set_bandwidth(cgroup, NULL, us, quota_us, error);
    case SCHED_EMULATOR:
        return placement_divide(s->dom, s->live, error) &&
               cgroup_set_bandwidth(cgroup, CGROUP_EMULATOR, us, quota_us, error);
    default:
        return placement_divide(s->dom, s->live, error) &&
               each_thread(s, cgroup, scheduler_fields[field].target, us, quota_us, error);
    }
}

static void store_scheduler(CpuTune *tune, gsize field, const WireTypedParam *param)
{
    G_STRUCT_MEMBER(guint64, tune, scheduler_fields[field].offset) = param->value.ul;
    if (scheduler_fields[field].target == SCHED_SHARES)
        tune->shares_given = TRUE;
}

/* In the order given; those that came before a failure stay. One event tells of all. */
static gboolean set_scheduler_live(Setting *s, Cgroup *cgroup, const WireTypedParam *params, guint n, GError **error)
{
    g_auto(TypedParams) told = {0};

    typed_params_init(&told);
    for (guint p = 0; p < n; p++) {
        for (gsize i = 0; i < G_N_ELEMENTS(scheduler_fields); i++) {
            gboolean shares = scheduler_fields[i].target == SCHED_SHARES;

            if (strcmp(scheduler_fields[i].field, params[p].field) != 0 || (params[p].value.ul == 0 && !shares))
                continue;
            if (!set_one_live(s, cgroup, i, &params[p], error))
                return FALSE;
            lock_acquire(&s->dom->lock);
            store_scheduler(&s->live->cputune, i, &params[p]);
            lock_release(&s->dom->lock);
            if (scheduler_fields[i].quota)
                typed_params_add_llong(&told, scheduler_fields[i].event, params[p].value.l);
            else
                typed_params_add_ullong(&told, scheduler_fields[i].event, params[p].value.ul);
        }
    }
    if (typed_params_count(&told) > 0)
        setting_tell(s, &told);
    return TRUE;
}

static gboolean apply_scheduler(Setting *s, const WireTypedParam *params, guint n, GError **error)
{
    g_autoptr(Cgroup) cgroup = s->live != NULL ? domain_cgroup(s->dom) : NULL;

    if (s->live != NULL && !cgroup_has(cgroup, CGROUP_CPU))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cgroup CPU controller is not mounted");
    if (!check_scheduler(params, n, error) || (s->live != NULL && !set_scheduler_live(s, cgroup, params, n, error)))
        return FALSE;
    for (gsize i = 0; s->config != NULL && i < G_N_ELEMENTS(scheduler_fields); i++) {
        const WireTypedParam *param = typed_params_find(params, n, scheduler_fields[i].field);

        if (param != NULL)
            store_scheduler(&s->config->cputune, i, param);
    }
    return TRUE;
}

static gboolean set_scheduler(Call *call, const WireDomain *wire, const WireTypedParam *params, guint n, guint flags,
                              GError **error)
{
    TypedParamSpec specs[G_N_ELEMENTS(scheduler_fields)] = {0};
    Setting s;

    for (gsize i = 0; i < G_N_ELEMENTS(specs); i++)
        specs[i] =
            (TypedParamSpec){scheduler_fields[i].field,
                             scheduler_fields[i].quota ? VIR_TYPED_PARAM_LLONG : VIR_TYPED_PARAM_ULLONG, FALSE};
    if (!call_check_params(call, n, error) || !typed_params_validate(params, n, specs, G_N_ELEMENTS(specs), error) ||
        !setting_check_privileged(call, VIR_ERR_CONFIG_UNSUPPORTED, "CPU tuning", error) ||
        !setting_begin(&s, call, wire, flags, 0, error))
        return FALSE;
    return setting_end(&s, apply_scheduler(&s, params, n, error), error);
}

gboolean call_domain_set_scheduler_parameters(Call *call, const DomainSetSchedulerParametersArgs *args,
                                              DomainSetSchedulerParametersRet *ret, GError **error)
{
    return set_scheduler(call, &args->dom, args->params, args->params_len, 0, error);
}

gboolean call_domain_set_scheduler_parameters_flags(Call *call, const DomainSetSchedulerParametersFlagsArgs *args,
                                                    DomainSetSchedulerParametersFlagsRet *ret, GError **error)
{
    return set_scheduler(call, &args->dom, args->params, args->params_len, args->flags, error);
}

/* --- memory --------------------------------------------------------------------------------------------- */

/* In the order in which they are applied: of hard and swap limit the one that gives room first. */
enum { SOFT_LIMIT, HARD_LIMIT, SWAP_LIMIT, MEMORY_LIMITS };

static const struct {
    const char *field;
    CgroupMemory limit;
    gsize offset; /* in MemoryTune; KiB */
} memory_fields[MEMORY_LIMITS] = {
    {VIR_DOMAIN_MEMORY_SOFT_LIMIT, CGROUP_SOFT_LIMIT, G_STRUCT_OFFSET(MemoryTune, soft_limit)},
    {VIR_DOMAIN_MEMORY_HARD_LIMIT, CGROUP_HARD_LIMIT, G_STRUCT_OFFSET(MemoryTune, hard_limit)},
    {VIR_DOMAIN_MEMORY_SWAP_HARD_LIMIT, CGROUP_SWAP_LIMIT, G_STRUCT_OFFSET(MemoryTune, swap_hard_limit)}};

static guint64 limit_now(const MemoryTune *tune, guint which)
{
    return G_STRUCT_MEMBER(guint64, tune, memory_fields[which].offset);
}

static void store_limit(DomainDef *def, guint which, guint64 kib)
{
    G_STRUCT_MEMBER(guint64, &def->memtune, memory_fields[which].offset) = MIN(kib, MEMORY_UNLIMITED_KIB);
}

static gboolean set_limit_live(Setting *s, Cgroup *cgroup, guint which, const WireTypedParam *param, GError **error)
{
    if (param == NULL)
        return TRUE;
    if (!cgroup_set_memory(cgroup, memory_fields[which].limit, param->value.ul, error))
        return FALSE;
    lock_acquire(&s->dom->lock);
    store_limit(s->live, which, param->value.ul);
    lock_release(&s->dom->lock);
    return TRUE;
}

static gboolean set_memory(Setting *s, const WireTypedParam *params, guint n, GError **error)
{
    const MemoryTune *now = s->live != NULL ? &s->live->memtune : &s->config->memtune;
    g_autoptr(Cgroup) cgroup = s->live != NULL ? domain_cgroup(s->dom) : NULL;
    const WireTypedParam *given[MEMORY_LIMITS];

    for (guint i = 0; i < MEMORY_LIMITS; i++)
        given[i] = typed_params_find(params, n, memory_fields[i].field);
    if (s->live != NULL && !cgroup_has(cgroup, CGROUP_MEMORY))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cgroup memory controller is not mounted");
    if (given[HARD_LIMIT] != NULL || given[SWAP_LIMIT] != NULL) {
        guint64 hard = given[HARD_LIMIT] != NULL ? given[HARD_LIMIT]->value.ul : limit_now(now, HARD_LIMIT);
        guint64 swap = given[SWAP_LIMIT] != NULL ? given[SWAP_LIMIT]->value.ul : limit_now(now, SWAP_LIMIT);

        if (hard > swap)
            return error_set(error, VIR_ERR_INVALID_ARG,
                             "memory hard_limit tunable value must be lower than or equal to swap_hard_limit");
    }
    if (s->live != NULL) {
        gboolean less = given[HARD_LIMIT] != NULL && limit_now(now, HARD_LIMIT) > given[HARD_LIMIT]->value.ul;

        if (!set_limit_live(s, cgroup, SOFT_LIMIT, given[SOFT_LIMIT], error) ||
            (less && !set_limit_live(s, cgroup, HARD_LIMIT, given[HARD_LIMIT], error)) ||
            !set_limit_live(s, cgroup, SWAP_LIMIT, given[SWAP_LIMIT], error) ||
            (!less && !set_limit_live(s, cgroup, HARD_LIMIT, given[HARD_LIMIT], error)))
            return FALSE;
    }
    for (guint i = 0; s->config != NULL && i < MEMORY_LIMITS; i++) {
        if (given[i] != NULL)
            store_limit(s->config, i, given[i]->value.ul);
    }
    return TRUE;
}

gboolean call_domain_set_memory_parameters(Call *call, const DomainSetMemoryParametersArgs *args,
                                           DomainSetMemoryParametersRet *ret, GError **error)
{
    static const TypedParamSpec specs[] = {{VIR_DOMAIN_MEMORY_HARD_LIMIT, VIR_TYPED_PARAM_ULLONG, FALSE},
                                           {VIR_DOMAIN_MEMORY_SOFT_LIMIT, VIR_TYPED_PARAM_ULLONG, FALSE},
                                           {VIR_DOMAIN_MEMORY_SWAP_HARD_LIMIT, VIR_TYPED_PARAM_ULLONG, FALSE}};
    Setting s;

    if (!call_check_params(call, args->params_len, error) ||
        !typed_params_validate(args->params, args->params_len, specs, G_N_ELEMENTS(specs), error) ||
        !setting_check_privileged(call, VIR_ERR_OPERATION_UNSUPPORTED, "Memory tuning", error) ||
        !setting_begin(&s, call, &args->dom, args->flags, 0, error))
        return FALSE;
    return setting_end(&s, set_memory(&s, args->params, args->params_len, error), error);
}

/* --- NUMA ----------------------------------------------------------------------------------------------- */

static void store_numa(NumaTune *tune, const WireTypedParam *mode, const Bitmap *nodes)
{
    tune->memory_given = TRUE;
    if (mode != NULL)
        tune->mode = (NumatuneMode)mode->value.i;
    if (nodes != NULL) {
        bitmap_free(tune->nodes);
        tune->nodes = bitmap_copy(nodes);
        tune->placement_auto = FALSE;
    }
    if (tune->nodes == NULL)
        tune->placement_auto = TRUE;
}

/* Into the group of the emulator and of each vCPU and iothread. */
static gboolean bind_nodes(Setting *s, Cgroup *cgroup, const Bitmap *nodes, GError **error)
{
    g_autofree char *text = bitmap_format(nodes);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    if (s->live->numatune.memory_given && s->live->numatune.mode != NUMATUNE_RESTRICTIVE)
        return error_set(error, VIR_ERR_OPERATION_INVALID,
                         "change of nodeset for running domain requires restrictive numa mode");
    if (!placement_check_nodes(s->dom->driver, nodes, error))
        return FALSE;
    if (!placement_divide(s->dom, s->live, error))
        return FALSE;
    g_ptr_array_add(names, g_strdup(CGROUP_EMULATOR));
    lock_acquire(&s->dom->lock);
    for (guint i = 0; s->dom->info != NULL && i < s->dom->info->n_vcpus; i++) {
        if (s->dom->info->vcpus[i].online && s->dom->info->vcpus[i].tid > 0)
            g_ptr_array_add(names, g_strdup_printf("vcpu%u", i));
    }
    for (guint i = 0; i < s->live->iothreads->len; i++)
        g_ptr_array_add(names, g_strdup_printf("iothread%u",
                                               ((const IothreadDef *)g_ptr_array_index(s->live->iothreads, i))->id));
    lock_release(&s->dom->lock);
    for (guint i = 0; i < names->len; i++) {
        if (!cgroup_set_mems(cgroup, g_ptr_array_index(names, i), text, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean set_numa_live(Setting *s, const WireTypedParam *mode, const Bitmap *nodes, GError **error)
{
    g_autoptr(Cgroup) cgroup = domain_cgroup(s->dom);
    NumaTune *tune = &s->live->numatune;

    if (!cgroup_has(cgroup, CGROUP_CPUSET))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cgroup cpuset controller is not mounted");
    if (mode != NULL && tune->memory_given && (NumatuneMode)mode->value.i != tune->mode)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "can't change numatune mode for running domain");
    if (mode != NULL && (NumatuneMode)mode->value.i == NUMATUNE_STRICT) {
        if (nodes == NULL ? tune->nodes == NULL : tune->nodes != NULL && bitmap_equal(nodes, tune->nodes))
            return TRUE;
        return error_set(error, VIR_ERR_OPERATION_INVALID, "can't change nodeset for strict mode for running domain");
    }
    if (nodes != NULL && !bind_nodes(s, cgroup, nodes, error))
        return FALSE;
    lock_acquire(&s->dom->lock);
    store_numa(tune, mode, nodes);
    lock_release(&s->dom->lock);
    return TRUE;
}

static gboolean set_numa(Setting *s, Call *call, const WireTypedParam *params, guint n, GError **error)
{
    const WireTypedParam *mode = typed_params_find(params, n, VIR_DOMAIN_NUMA_MODE);
    const WireTypedParam *nodes = typed_params_find(params, n, VIR_DOMAIN_NUMA_NODESET);
    g_autoptr(Bitmap) map = NULL;

    if (mode != NULL && (mode->value.i < 0 || mode->value.i >= NUMATUNE_LAST))
        return error_set(error, VIR_ERR_INVALID_ARG, "unsupported numatune mode: '%d'", mode->value.i);
    if (nodes != NULL) {
        map = bitmap_parse(nodes->value.s, 0, error);
        if (map == NULL)
            return FALSE;
        if (bitmap_is_empty(map))
            return error_set(error, VIR_ERR_OPERATION_INVALID, "Invalid nodeset of 'numatune': %s", nodes->value.s);
    }
    if (s->live != NULL && (!setting_check_privileged(call, VIR_ERR_OPERATION_UNSUPPORTED, "NUMA tuning", error) ||
                            !set_numa_live(s, mode, map, error)))
        return FALSE;
    if (s->config != NULL)
        store_numa(&s->config->numatune, mode, map);
    return TRUE;
}

gboolean call_domain_set_numa_parameters(Call *call, const DomainSetNumaParametersArgs *args,
                                         DomainSetNumaParametersRet *ret, GError **error)
{
    static const TypedParamSpec specs[] = {{VIR_DOMAIN_NUMA_MODE, VIR_TYPED_PARAM_INT, FALSE},
                                           {VIR_DOMAIN_NUMA_NODESET, VIR_TYPED_PARAM_STRING, FALSE}};
    Setting s;

    if (!call_check_params(call, args->params_len, error) ||
        !typed_params_validate(args->params, args->params_len, specs, G_N_ELEMENTS(specs), error) ||
        !setting_begin(&s, call, &args->dom, args->flags, 0, error))
        return FALSE;
    return setting_end(&s, set_numa(&s, call, args->params, args->params_len, error), error);
}
