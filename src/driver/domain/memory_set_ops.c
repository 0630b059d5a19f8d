/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RPC handlers that change how much memory a domain has: the balloon while it runs, the definition. */
#include "driver/backend/monitor.h"
#include "driver/conf/def_memballoon.h"
#include "driver/domain/settings.h"

static gboolean set_maximum(Setting *s, guint64 kib, GError **error)
{
    DomainDef *def = s->config;

    if (s->live != NULL)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cannot resize the maximum memory on an active domain");
    if (numa_def_n_cells(&def->numa) > 0)
        return error_set(error, VIR_ERR_OPERATION_INVALID,
                         "initial memory size of a domain with NUMA nodes cannot be modified with this API");
    if (def->max_memory != 0 && def->max_memory < kib)
        return error_set(error, VIR_ERR_OPERATION_INVALID,
                         "cannot set initial memory size greater than the maximum memory size");
    domain_def_set_memory(def, kib + (def->memory - domain_def_memory_initial(def)));
    def->current_memory = MIN(def->current_memory, def->memory);
    return TRUE;
}

static gboolean has_balloon(const DomainDef *live)
{
    const MemballoonDef *balloon = DOMAIN_DEF_SINGLE(MemballoonDef, live, DEVICE_MEMBALLOON);

    return balloon != NULL && balloon->model != MEMBALLOON_NONE;
}

static gboolean inflate(Setting *s, guint64 kib, GError **error)
{
    guint64 run;
    g_autoptr(VmProcess) vm = NULL;

    if (!has_balloon(s->live))
        return error_set(error, VIR_ERR_OPERATION_INVALID,
                         "Unable to change memory of active domain without the balloon device and guest OS "
                         "balloon driver");
    vm = domain_vm(s->dom, &run, error);
    /* What the guest makes of it comes as an event. */
    return vm != NULL && vm_set_balloon(vm_process_qmp(vm), kib * 1024, error) &&
           domain_still_running(s->dom, run, error);
}

static gboolean set_current(Setting *s, guint64 kib, GError **error)
{
    const DomainDef *defs[] = {s->live, s->config};

    for (gsize i = 0; i < G_N_ELEMENTS(defs); i++) {
        if (defs[i] != NULL && kib > defs[i]->memory)
            return error_set(error, VIR_ERR_INVALID_ARG, "cannot set memory higher than max memory");
    }
    if (s->live != NULL && !inflate(s, kib, error))
        return FALSE;
    if (s->config != NULL)
        s->config->current_memory = kib;
    return TRUE;
}

static gboolean set_memory(Call *call, const WireDomain *wire, guint64 kib, guint flags, GError **error)
{
    Setting s;

    if (kib == 0)
        return error_set(error, VIR_ERR_INVALID_ARG, "memory in %s must be greater than zero", call_api(call));
    if (kib > G_MAXINT64 / 1024)
        return error_set(error, VIR_ERR_OVERFLOW, "input too large: %" G_GUINT64_FORMAT, kib);
    if (!setting_begin(&s, call, wire, flags, VIR_DOMAIN_MEM_MAXIMUM, error))
        return FALSE;
    return setting_end(&s, flags & VIR_DOMAIN_MEM_MAXIMUM ? set_maximum(&s, kib, error) : set_current(&s, kib, error),
                       error);
}

gboolean call_domain_set_memory(Call *call, const DomainSetMemoryArgs *args, DomainSetMemoryRet *ret, GError **error)
{
    return set_memory(call, &args->dom, args->memory, VIR_DOMAIN_AFFECT_LIVE, error);
}

gboolean call_domain_set_max_memory(Call *call, const DomainSetMaxMemoryArgs *args, DomainSetMaxMemoryRet *ret,
                                    GError **error)
{
    return set_memory(call, &args->dom, args->memory, VIR_DOMAIN_MEM_MAXIMUM, error);
}

gboolean call_domain_set_memory_flags(Call *call, const DomainSetMemoryFlagsArgs *args, DomainSetMemoryFlagsRet *ret,
                                      GError **error)
{
    return set_memory(call, &args->dom, args->memory, args->flags, error);
}
