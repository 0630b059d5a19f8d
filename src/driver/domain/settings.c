/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The frame of calls that change a setting; see settings.h. */
#include "driver/domain/settings.h"

#include "driver/backend/backend.h"
#include "driver/domain/domain_events.h"
#include "driver/domain/persist.h"
#include "driver/driver.h"

gboolean setting_begin(Setting *setting, Call *call, const WireDomain *wire, guint flags, guint known, GError **error)
{
    const guint affect = VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG;
    DomainDef *config;

    *setting = (Setting){0};
    if (!call_check_flags(call, flags, affect | known, error))
        return FALSE;
    setting->dom = domain_from_wire(call, wire, error);
    if (setting->dom == NULL)
        return FALSE;
    if (!domain_job_begin(setting->dom, call_api(call), error)) {
        g_clear_pointer(&setting->dom, domain_unref);
        return FALSE;
    }
    if (!domain_defs_for(setting->dom, flags & affect, &setting->live, &config, error))
        return setting_end(setting, FALSE, error);
    if (config != NULL) {
        setting->config = domain_def_copy_inactive(config, domain_env(NULL), error);
        if (setting->config == NULL)
            return setting_end(setting, FALSE, error);
    }
    return TRUE;
}

gboolean setting_end(Setting *setting, gboolean good, GError **error)
{
    if (good && setting->live != NULL)
        domain_save_status(setting->dom);
    if (good && setting->config != NULL)
        good = domain_replace_config(setting->dom, g_steal_pointer(&setting->config), error);
    g_clear_pointer(&setting->config, domain_def_free);
    domain_job_end(setting->dom);
    g_clear_pointer(&setting->dom, domain_unref);
    return good;
}

void setting_tell(Setting *setting, TypedParams *params)
{
    Domain *dom = setting->dom;
    LOCK_SCOPE(&dom->lock);

    domain_event_tunable(dom, (WireTypedParam *)(void *)params->list->data, params->list->len);
}

gboolean setting_check_privileged(Call *call, int code, const char *what, GError **error)
{
    const Driver *driver = call_driver(call);

    return driver->backend_config->privileged ||
           error_set(error, code, "%s is not available in session mode", what);
}
