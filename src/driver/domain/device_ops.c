/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RPC handlers that attach, detach and update devices, of the persistent definition and of the running domain.
 *
 * With both: the new persistent definition is made first, in a copy; then the running machine is changed; then the
 * copy is written and takes its place. So what cannot be done changes nothing.
 */
#include <string.h>

#include "driver/conf/def_interface.h"
#include "driver/domain/devices.h"
#include "driver/domain/persist.h"
#include "driver/driver.h"
#include "driver/rpc/call.h"

enum { AFFECT = VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG };

typedef enum { ATTACH, DETACH, UPDATE } Action;

/* The device of the call's XML, as the running or the persistent side sees it. */
static DeviceInfo *parse(Domain *dom, const char *xml, const DomainDef *def, Action action, guint affect,
                         GError **error)
{
    guint flags = 0;

    if (action == ATTACH)
        flags = DOMAIN_DEF_PARSE_INACTIVE | DOMAIN_DEF_PARSE_ABI_UPDATE;
    else if (!(affect & VIR_DOMAIN_AFFECT_LIVE))
        flags = DOMAIN_DEF_PARSE_INACTIVE;
    if (action == DETACH)
        flags |= DOMAIN_DEF_PARSE_SKIP_VALIDATE;
    return device_def_parse(xml, def, domain_env(dom->driver), flags, error);
}

static gboolean edit_config(DomainDef *def, DeviceInfo **dev, Action action, const DomainDefEnv *env, GError **error)
{
    switch (action) {
    case ATTACH:
        return device_config_attach(def, dev, env, error);
    case DETACH:
        return device_config_detach(def, dev, env, error);
    default:
        return device_config_update(def, dev, env, error);
    }
}

/* The persistent definition as it will be; caller frees. *ret_mac: the address of an attached interface, which its
 * running twin gets too; caller frees. */
static DomainDef *next_config(Domain *dom, const char *xml, Action action, guint affect, char **ret_mac, GError **error)
{
    const DomainDefEnv *env = domain_env(dom->driver);
    g_autoptr(DomainDef) def = domain_def_copy_inactive(dom->config, domain_env(NULL), error);
    g_autoptr(DeviceInfo) dev = NULL;

    if (def == NULL)
        return NULL;
    dev = parse(dom, xml, def, action, affect, error);
    if (dev == NULL)
        return NULL;
    if (dev->kind == DEVICE_INTERFACE)
        *ret_mac = g_strdup(((InterfaceDef *)dev)->mac);
    if (!edit_config(def, &dev, action, env, error))
        return NULL;
    return g_steal_pointer(&def);
}

static gboolean change_live(Domain *dom, const char *xml, Action action, guint flags, const char *mac, GError **error)
{
    g_autoptr(DeviceInfo) dev = parse(dom, xml, domain_job_live(dom), action, flags, error);
    gboolean done;

    if (dev == NULL)
        return FALSE;
    if (action == ATTACH && dev->kind == DEVICE_INTERFACE && mac != NULL) {
        g_free(((InterfaceDef *)dev)->mac);
        ((InterfaceDef *)dev)->mac = g_strdup(mac);
    }
    if (action == ATTACH)
        done = device_live_attach(dom, &dev, error);
    else if (action == DETACH)
        done = device_live_detach(dom, dev, TRUE, error);
    else
        done = device_live_update(dom, &dev, (flags & VIR_DOMAIN_DEVICE_MODIFY_FORCE) != 0, error);
    domain_save_status(dom); /* also after a failure: a controller may have been added on the way */
    return done;
}

static gboolean change_job(Domain *dom, const char *xml, guint flags, Action action, GError **error)
{
    g_autoptr(DomainDef) def = NULL;
    g_autofree char *mac = NULL;
    gboolean resolved;

    lock_acquire(&dom->lock);
    resolved = domain_affect(dom, &flags, error);
    lock_release(&dom->lock);
    if (!resolved)
        return FALSE;
    if (flags & VIR_DOMAIN_AFFECT_CONFIG) {
        def = next_config(dom, xml, action, flags, &mac, error);
        if (def == NULL)
            return FALSE;
    }
    if ((flags & VIR_DOMAIN_AFFECT_LIVE) && !change_live(dom, xml, action, flags, mac, error))
        return FALSE;
    return def == NULL || domain_replace_config(dom, g_steal_pointer(&def), error);
}

static gboolean change(Call *call, const WireDomain *wire, const char *xml, guint flags, Action action, GError **error)
{
    g_autoptr(Domain) dom = NULL;
    gboolean done;

    dom = domain_from_wire_flags(call, wire, flags,
                                 AFFECT | (action == UPDATE ? VIR_DOMAIN_DEVICE_MODIFY_FORCE : 0), error);
    if (dom == NULL || !domain_job_begin(dom, call_api(call), error))
        return FALSE;
    done = change_job(dom, xml, flags, action, error);
    domain_job_end(dom);
    return done;
}

gboolean call_domain_attach_device(Call *call, const DomainAttachDeviceArgs *args, DomainAttachDeviceRet *ret,
                                   GError **error)
{
    return change(call, &args->dom, args->xml, VIR_DOMAIN_AFFECT_LIVE, ATTACH, error);
}

gboolean call_domain_attach_device_flags(Call *call, const DomainAttachDeviceFlagsArgs *args,
                                         DomainAttachDeviceFlagsRet *ret, GError **error)
{
    return change(call, &args->dom, args->xml, args->flags, ATTACH, error);
}

gboolean call_domain_detach_device(Call *call, const DomainDetachDeviceArgs *args, DomainDetachDeviceRet *ret,
                                   GError **error)
{
    return change(call, &args->dom, args->xml, VIR_DOMAIN_AFFECT_LIVE, DETACH, error);
}

gboolean call_domain_detach_device_flags(Call *call, const DomainDetachDeviceFlagsArgs *args,
                                         DomainDetachDeviceFlagsRet *ret, GError **error)
{
    return change(call, &args->dom, args->xml, args->flags, DETACH, error);
}

gboolean call_domain_update_device_flags(Call *call, const DomainUpdateDeviceFlagsArgs *args,
                                         DomainUpdateDeviceFlagsRet *ret, GError **error)
{
    return change(call, &args->dom, args->xml, args->flags, UPDATE, error);
}

/* --- by alias ------------------------------------------------------------------------------------------- */

static DeviceInfo *find_alias(const DomainDef *def, const char *alias, GError **error)
{
    DeviceInfo *dev = domain_def_find_alias(def, alias);

    if (dev == NULL)
        error_set(error, VIR_ERR_INTERNAL_ERROR, "no device found with alias %s", alias);
    return dev;
}

static gboolean detach_alias_job(Domain *dom, const char *alias, guint flags, GError **error)
{
    const DomainDefEnv *env = domain_env(dom->driver);
    DomainDef *live, *config;
    g_autoptr(DomainDef) def = NULL;
    DeviceInfo *dev;

    if (!domain_defs_for(dom, flags, &live, &config, error))
        return FALSE;
    if (config != NULL) {
        g_autoptr(DeviceInfo) wanted = NULL;

        def = domain_def_copy_inactive(config, domain_env(NULL), error);
        dev = def != NULL ? find_alias(def, alias, error) : NULL;
        wanted = dev != NULL ? device_def_copy(dev, def, env, error) : NULL;
        if (wanted == NULL || !device_config_detach(def, &wanted, env, error))
            return FALSE;
    }
    if (live != NULL) {
        gboolean done;

        dev = find_alias(live, alias, error);
        if (dev == NULL)
            return FALSE;
        done = device_live_detach_found(dom, dev, FALSE, error);
        domain_save_status(dom);
        if (!done)
            return FALSE;
    }
    return def == NULL || domain_replace_config(dom, g_steal_pointer(&def), error);
}

gboolean call_domain_detach_device_alias(Call *call, const DomainDetachDeviceAliasArgs *args,
                                         DomainDetachDeviceAliasRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;
    gboolean done;

    dom = domain_from_wire_flags(call, &args->dom, args->flags, AFFECT, error);
    if (dom == NULL || !domain_job_begin(dom, call_api(call), error))
        return FALSE;
    done = detach_alias_job(dom, args->alias, args->flags, error);
    domain_job_end(dom);
    return done;
}
