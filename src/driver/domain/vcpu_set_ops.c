/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RPC handlers that change how many processors a domain has: in the definition, by hot plug while it runs, or by the
 * guest agent.
 */
#include <string.h>

#include "driver/backend/backend.h"
#include "driver/backend/agent_client.h"
#include "driver/backend/json_util.h"
#include "driver/backend/monitor.h"
#include "driver/domain/devices.h"
#include "driver/domain/settings.h"

enum { GUEST_VCPU_MAX_ID = 4096 };

/* --- definition ----------------------------------------------------------------------------------------- */

static void forget_order(DomainDef *def)
{
    for (guint i = 0; i < domain_def_vcpus_max(def); i++)
        domain_def_vcpu(def, i)->order = 0;
}

static gboolean set_maximum(Setting *s, guint n, GError **error)
{
    DomainDef *def = s->config;
    guint max = domain_def_vcpus_max(def);
    const CpuDef *cpu = def->cpu;

    if (s->live != NULL)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                         "maximum vcpu count of a live domain can't be modified");
    if (numa_def_cpu_count(&def->numa) > n)
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "Number of CPUs in <numa> exceeds the desired maximum vcpu count");
    if (cpu != NULL && cpu->sockets > 0 && cpu->sockets * MAX(cpu->dies, 1) * cpu->cores * cpu->threads != n)
        return error_set(error, VIR_ERR_INVALID_ARG, "CPU topology doesn't match the desired vcpu count");
    forget_order(def);
    if (!domain_def_set_vcpus_max(def, n, error))
        return FALSE;
    for (guint i = max; i < n && def->vcpus_individual; i++)
        domain_def_vcpu(def, i)->hotpluggable = TRISTATE_YES;
    return TRUE;
}

/* Processors that stay must be the first ones, so what comes behind one that can be plugged can be too. */
static void set_config(DomainDef *def, guint n, gboolean hotpluggable)
{
    guint now = domain_def_vcpus(def), max = domain_def_vcpus_max(def);

    forget_order(def);
    for (guint i = 0; i < max && now < n; i++) {
        VcpuDef *vcpu = domain_def_vcpu(def, i);

        if (vcpu->online) {
            hotpluggable |= vcpu->hotpluggable == TRISTATE_YES;
            continue;
        }
        vcpu->online = TRUE;
        vcpu->hotpluggable = hotpluggable ? TRISTATE_YES : TRISTATE_NO;
        def->vcpus_individual |= hotpluggable;
        now++;
    }
    for (guint i = max; i-- > 0 && now > n;) {
        VcpuDef *vcpu = domain_def_vcpu(def, i);

        if (!vcpu->online)
            continue;
        vcpu->online = FALSE;
        vcpu->hotpluggable = TRISTATE_YES;
        now--;
    }
}

/* --- hot plug ------------------------------------------------------------------------------------------- */

/* The running machine's list of processors; NULL with *error. */
static VmProcess *begin_live(Setting *s, GError **error)
{
    g_autoptr(VmProcess) vm = domain_vm(s->dom, NULL, error);
    const VmLiveInfo *info = domain_job_info(s->dom);

    if (vm == NULL)
        return NULL;
    if (info == NULL || info->n_vcpus < domain_def_vcpus_max(s->live)) {
        error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "cpu hotplug is not supported by this machine");
        return NULL;
    }
    return g_steal_pointer(&vm);
}

static gboolean set_live(Setting *s, guint n, GError **error)
{
    g_autoptr(VmProcess) vm = begin_live(s, error);
    Domain *dom = s->dom;
    const VmVcpuInfo *vcpus;
    guint now = domain_def_vcpus(s->live), max = domain_def_vcpus_max(s->live), can = 0;

    if (vm == NULL)
        return FALSE;
    vcpus = domain_job_info(dom)->vcpus;
    for (guint i = 0; i < max; i++) {
        const VmVcpuInfo *info = &vcpus[i];

        can += n > now ? !info->online && info->qom_type != NULL : info->online && info->alias != NULL;
    }
    if (can < (n > now ? n - now : now - n))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "failed to find appropriate hotpluggable vcpus to reach the desired target vcpu count");
    for (guint i = 0; i < max && now < n; i++) {
        if (vcpus[i].online || vcpus[i].qom_type == NULL)
            continue;
        if (!vcpu_live_plug(dom, vm, i, error))
            return FALSE;
        now++;
    }
    for (guint i = max; i-- > 0 && now > n;) {
        if (!vcpus[i].online || vcpus[i].alias == NULL)
            continue;
        if (!vcpu_live_unplug(dom, vm, i, error))
            return FALSE;
        now--;
    }
    return TRUE;
}

static gboolean set_number(Setting *s, guint n, gboolean hotpluggable, GError **error)
{
    if (s->live != NULL && n > domain_def_vcpus_max(s->live))
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "requested vcpus is greater than max allowable vcpus for the live domain: %u > %u", n,
                         domain_def_vcpus_max(s->live));
    if (s->config != NULL && n > domain_def_vcpus_max(s->config))
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "requested vcpus is greater than max allowable vcpus for the persistent domain: %u > %u", n,
                         domain_def_vcpus_max(s->config));
    if (s->live != NULL && !set_live(s, n, error))
        return FALSE;
    if (s->config != NULL)
        set_config(s->config, n, hotpluggable);
    return TRUE;
}

/* --- by the agent --------------------------------------------------------------------------------------- */

static gboolean set_by_agent(Domain *dom, guint n, GError **error)
{
    g_autoptr(AgentClient) agent = domain_agent(dom, error);
    autojson *vcpus = NULL;
    autojson *changed = NULL;
    json_t *list, *vcpu;
    guint online = 0;
    size_t i;

    if (agent == NULL || !agent_call(agent, "guest-get-vcpus", NULL, AGENT_TIMEOUT_DEFAULT, &vcpus, error))
        return FALSE;
    json_array_foreach(vcpus, i, vcpu)
    {
        online += jbool(vcpu, "online");
    }
    if (n > json_array_size(vcpus))
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "requested vcpu count is greater than the count of enabled vcpus in the domain: %u > %zu", n,
                         json_array_size(vcpus));
    list = json_array();
    for (i = 0; i < json_array_size(vcpus) && online < n; i++) {
        vcpu = json_array_get(vcpus, i);
        if (jbool(vcpu, "online"))
            continue;
        json_array_append_new(list, json_pack("{s:I, s:b}", "logical-id", (json_int_t)jint(vcpu, "logical-id", 0),
                                              "online", TRUE));
        online++;
    }
    for (i = json_array_size(vcpus); i-- > 0 && online > n;) {
        vcpu = json_array_get(vcpus, i);
        if (!jbool(vcpu, "online") || !jbool(vcpu, "can-offline"))
            continue;
        json_array_append_new(list, json_pack("{s:I, s:b}", "logical-id", (json_int_t)jint(vcpu, "logical-id", 0),
                                              "online", FALSE));
        online--;
    }
    if (online != n) {
        json_decref(list);
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "failed to set the number of cpus in the guest to %u", n);
    }
    if (json_array_size(list) == 0) {
        json_decref(list);
        return TRUE;
    }
    return agent_call(agent, "guest-set-vcpus", json_pack("{s:o}", "vcpus", list), AGENT_TIMEOUT_DEFAULT,
                      &changed, error);
}

/* --- handlers ------------------------------------------------------------------------------------------- */

static gboolean set_vcpus(Call *call, const WireDomain *wire, guint n, guint flags, GError **error)
{
    const guint known = VIR_DOMAIN_VCPU_MAXIMUM | VIR_DOMAIN_VCPU_GUEST | VIR_DOMAIN_VCPU_HOTPLUGGABLE;
    gboolean hotpluggable = (flags & VIR_DOMAIN_VCPU_HOTPLUGGABLE) != 0, done;
    Setting s;

    if ((flags & VIR_DOMAIN_VCPU_GUEST) && (flags & VIR_DOMAIN_VCPU_MAXIMUM))
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "flags 'VIR_DOMAIN_VCPU_MAXIMUM' and 'VIR_DOMAIN_VCPU_GUEST' in function '%s' are mutually "
                         "exclusive",
                         call_api(call));
    if (n == 0 || n > G_MAXUINT16)
        return error_set(error, n == 0 ? VIR_ERR_INVALID_ARG : VIR_ERR_OVERFLOW, "%u vCPUs in %s", n, call_api(call));
    if (!setting_begin(&s, call, wire, flags, known, error))
        return FALSE;
    if (flags & VIR_DOMAIN_VCPU_GUEST) {
        g_autoptr(Domain) dom = domain_ref(s.dom);

        /* The agent may take its time: not under the lock. */
        return setting_end(&s, TRUE, error) && set_by_agent(dom, n, error);
    }
    if (flags & VIR_DOMAIN_VCPU_MAXIMUM)
        done = set_maximum(&s, n, error);
    else
        done = set_number(&s, n, hotpluggable, error);
    return setting_end(&s, done, error);
}

gboolean call_domain_set_vcpus(Call *call, const DomainSetVcpusArgs *args, DomainSetVcpusRet *ret, GError **error)
{
    return set_vcpus(call, &args->dom, args->nvcpus, VIR_DOMAIN_AFFECT_LIVE, error);
}

gboolean call_domain_set_vcpus_flags(Call *call, const DomainSetVcpusFlagsArgs *args, DomainSetVcpusFlagsRet *ret,
                                     GError **error)
{
    return set_vcpus(call, &args->dom, args->nvcpus, args->flags, error);
}

/* --- one by one ----------------------------------------------------------------------------------------- */

static gboolean check_config(const DomainDef *def, const Bitmap *map, GError **error)
{
    if (bitmap_get(map, 0))
        return error_set(error, VIR_ERR_INVALID_ARG, "vCPU '0' can't be modified");
    /* Those that cannot be plugged are the first ones and stay so. */
    BITMAP_FOREACH(bit, map)
    {
        for (guint i = (guint)bit + 1; i < domain_def_vcpus_max(def); i++) {
            const VcpuDef *behind = domain_def_vcpu(def, i);

            if (behind->online && behind->hotpluggable != TRISTATE_YES && !bitmap_get(map, i))
                return error_set(error, VIR_ERR_INVALID_ARG,
                                 "vcpu '%d' can't be modified as it is followed by non-hotpluggable online vcpus", bit);
        }
    }
    return TRUE;
}

static gboolean set_chosen_live(Setting *s, const Bitmap *map, gboolean online, GError **error)
{
    g_autoptr(VmProcess) vm = NULL;
    guint index = (guint)bitmap_next(map, 0);

    BITMAP_FOREACH(bit, map)
    {
        if (domain_def_vcpu(s->live, (guint)bit)->online == online)
            return error_set(error, VIR_ERR_INVALID_ARG, "vcpu '%d' is already in requested state", bit);
    }
    if (bitmap_count(map) != 1)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "only one hotpluggable entity can be selected");
    vm = begin_live(s, error);
    if (vm == NULL)
        return FALSE;
    return online ? vcpu_live_plug(s->dom, vm, index, error) : vcpu_live_unplug(s->dom, vm, index, error);
}

static gboolean set_chosen(Setting *s, const Bitmap *map, gboolean online, GError **error)
{
    int last = bitmap_last(map);

    if (s->config != NULL && last >= (int)domain_def_vcpus_max(s->config))
        return error_set(error, VIR_ERR_INVALID_ARG, "vcpu %d is not present in persistent config", last);
    if (s->live != NULL && last >= (int)domain_def_vcpus_max(s->live))
        return error_set(error, VIR_ERR_INVALID_ARG, "vcpu %d is not present in live config", last);
    if (s->config != NULL && !check_config(s->config, map, error))
        return FALSE;
    if (s->live != NULL && !set_chosen_live(s, map, online, error))
        return FALSE;
    if (s->config == NULL)
        return TRUE;
    s->config->vcpus_individual = TRUE;
    forget_order(s->config);
    BITMAP_FOREACH(bit, map)
    {
        VcpuDef *vcpu = domain_def_vcpu(s->config, (guint)bit);

        vcpu->online = online;
        vcpu->hotpluggable = TRISTATE_YES;
    }
    return TRUE;
}

gboolean call_domain_set_vcpu(Call *call, const DomainSetVcpuArgs *args, DomainSetVcpuRet *ret, GError **error)
{
    g_autoptr(Bitmap) map = NULL;
    Setting s;

    if (args->state != 0 && args->state != 1)
        return error_set(error, VIR_ERR_INVALID_ARG, "state in virDomainSetVcpu must be 0 or 1");
    map = bitmap_parse(args->cpumap, GUEST_VCPU_MAX_ID, error);
    if (map == NULL)
        return FALSE;
    if (bitmap_is_empty(map))
        return error_set(error, VIR_ERR_INVALID_ARG, "no vcpus selected for modification");
    if (!setting_begin(&s, call, &args->dom, args->flags, 0, error))
        return FALSE;
    return setting_end(&s, set_chosen(&s, map, args->state == 1, error), error);
}
