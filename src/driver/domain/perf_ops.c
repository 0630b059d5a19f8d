/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RPC handlers of a domain's performance counters: virDomainGetPerfEvents, SetPerfEvents. Their figures are in
 * stats_ops.c. */
#include <string.h>

#include "driver/domain/placement.h"
#include "driver/domain/settings.h"

gboolean call_domain_get_perf_events(Call *call, const DomainGetPerfEventsArgs *args, DomainGetPerfEventsRet *ret,
                                     GError **error)
{
    g_auto(TypedParams) params = {0};
    g_autoptr(PerfEvents) perf = NULL;
    g_autoptr(Domain) dom = NULL;
    const guint known = VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG | VIR_TYPED_PARAM_STRING_OKAY;
    Tristate defined[PERF_LAST];
    const DomainDef *def;
    gboolean live = FALSE;

    dom = domain_from_wire_flags(call, &args->dom, args->flags, known, error);
    if (dom == NULL)
        return FALSE;
    lock_acquire(&dom->lock);
    def = domain_one_def_for(dom, args->flags & ~(guint)VIR_TYPED_PARAM_STRING_OKAY, &live, error);
    if (def != NULL)
        memcpy(defined, def->perf, sizeof(defined));
    perf = perf_events_ref(dom->perf);
    lock_release(&dom->lock);
    if (def == NULL)
        return FALSE;
    typed_params_init(&params);
    for (int i = 0; i < PERF_LAST; i++)
        typed_params_add_boolean(&params, perf_event_to_string(i),
                                 live ? perf_events_enabled(perf, i) : defined[i] == TRISTATE_YES);
    ret->params = typed_params_steal(&params, &ret->params_len);
    return TRUE;
}

/* In the order given; those that came before a failure stay. */
static gboolean set_live(Setting *s, const WireTypedParam *params, guint n, GError **error)
{
    g_autoptr(PerfEvents) perf = domain_perf(s->dom);
    pid_t pid;

    lock_acquire(&s->dom->lock);
    pid = s->dom->pid;
    lock_release(&s->dom->lock);
    for (guint i = 0; i < n; i++) {
        int event = perf_event_from_string(params[i].field);
        gboolean on = params[i].value.b != 0;

        if (perf == NULL)
            return error_set(error, VIR_ERR_OPERATION_INVALID, "domain is not running");
        if (!(on ? perf_events_enable(perf, event, pid, error) : perf_events_disable(perf, event, error)))
            return FALSE;
        lock_acquire(&s->dom->lock);
        s->live->perf[event] = on ? TRISTATE_YES : TRISTATE_NO;
        lock_release(&s->dom->lock);
    }
    return TRUE;
}

static gboolean set_perf(Setting *s, const WireTypedParam *params, guint n, GError **error)
{
    if (s->live != NULL && !set_live(s, params, n, error))
        return FALSE;
    for (guint i = 0; s->config != NULL && i < n; i++)
        s->config->perf[perf_event_from_string(params[i].field)] = params[i].value.b != 0 ? TRISTATE_YES : TRISTATE_NO;
    return TRUE;
}

gboolean call_domain_set_perf_events(Call *call, const DomainSetPerfEventsArgs *args, DomainSetPerfEventsRet *ret,
                                     GError **error)
{
    TypedParamSpec specs[PERF_LAST] = {0};
    Setting s;

    for (int i = 0; i < PERF_LAST; i++)
        specs[i] = (TypedParamSpec){perf_event_to_string(i), VIR_TYPED_PARAM_BOOLEAN, FALSE};
    if (!call_check_params(call, args->params_len, error) ||
        !typed_params_validate(args->params, args->params_len, specs, PERF_LAST, error) ||
        !setting_begin(&s, call, &args->dom, args->flags, 0, error))
        return FALSE;
    return setting_end(&s, set_perf(&s, args->params, args->params_len, error), error);
}
