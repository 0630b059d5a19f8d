/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RPC handlers that change what is kept on disk: define, undefine, rename, autostart. */
#define LOG_SOURCE "domain"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "driver/backend/swtpm.h"
#include "driver/conf/def_graphics.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_events.h"
#include "driver/domain/domain_list.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/persist.h"
#include "driver/driver.h"
#include "driver/rpc/call.h"
#include "driver/rpc/client.h"

/* --- what clients send back
 * --------------------------------------------------------------------------------- */

/* The listen address that the daemon's settings gave the running domain. */
static void forget_listen_addresses(DomainDef *def, const DomainDef *live)
{
    for (guint i = 0; i < domain_def_n(def, DEVICE_GRAPHICS) && i < domain_def_n(live, DEVICE_GRAPHICS);
         i++) {
        GraphicsListen *listen = graphics_listen(domain_def_get(def, DEVICE_GRAPHICS, i));
        const GraphicsListen *running = graphics_listen(domain_def_get(live, DEVICE_GRAPHICS, i));

        if (listen != NULL && running != NULL && running->from_config &&
            g_strcmp0(listen->address, running->address) == 0)
            g_clear_pointer(&listen->address, g_free);
    }
}

void domain_def_settle(const DomainDef *live, DomainDef *def)
{
    if (live != NULL)
        forget_listen_addresses(def, live);
}

/* --- define --------------------------------------------------------------------------------------------- */

guint domain_new_flags(Call *call)
{
    const char *uri = client_get_data(call_client(call), CLIENT_URI_KEY);
    guint flags = DOMAIN_DEF_PARSE_INACTIVE | DOMAIN_DEF_PARSE_ABI_UPDATE;

    return uri != NULL && g_str_has_prefix(uri, "qemu:") ? flags | DOMAIN_DEF_PARSE_NO_RICH : flags;
}

static void end_define(Domain *dom)
{
    lock_acquire(&dom->lock);
    dom->defining = FALSE;
    g_cond_broadcast(&dom->stopped);
    lock_release(&dom->lock);
    domain_job_end(dom);
}

static gboolean define(Call *call, const char *xml, guint flags, WireDomain *ret, GError **error)
{
    Driver *driver = call_driver(call);
    guint parse = domain_new_flags(call);
    g_autoptr(DomainDef) def = NULL;
    g_autoptr(Domain) dom = NULL;
    gboolean is_new, added;

    if (!call_check_flags(call, flags, VIR_DOMAIN_DEFINE_VALIDATE, error))
        return FALSE;
    if (flags & VIR_DOMAIN_DEFINE_VALIDATE)
        parse |= DOMAIN_DEF_PARSE_VALIDATE_SCHEMA;
    def = domain_def_parse(xml, domain_env(driver), parse, error);
    if (def == NULL)
        return FALSE;
    dom = domain_claim_locked(driver, def, DOMAIN_CLAIM_DEFINE, "virDomainDefineXML", error);
    if (dom == NULL)
        return FALSE;

    lock_acquire(&dom->lock);
    domain_def_settle(dom->live, def);
    is_new = !dom->listed;
    added = dom->config == NULL;
    lock_release(&dom->lock);
    if (is_new)
        persist_set_autostart(driver, dom->name, FALSE, NULL); /* what a namesake of old may have left */
    if (!domain_replace_config(dom, g_steal_pointer(&def), error)) {
        domain_list_abandon(driver->domains, dom);
        end_define(dom);
        return FALSE;
    }
    lock_acquire(&dom->lock);
    dom->listed = TRUE;
    domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_DEFINED,
                           added ? VIR_DOMAIN_EVENT_DEFINED_ADDED : VIR_DOMAIN_EVENT_DEFINED_UPDATED);
    lock_release(&dom->lock);
    domain_to_wire(dom, ret);
    end_define(dom);
    return TRUE;
}

gboolean call_domain_define_xml(Call *call, const DomainDefineXmlArgs *args, DomainDefineXmlRet *ret,
                                GError **error)
{
    return define(call, args->xml, 0, &ret->dom, error);
}

gboolean call_domain_define_xml_flags(Call *call, const DomainDefineXmlFlagsArgs *args,
                                      DomainDefineXmlFlagsRet *ret, GError **error)
{
    return define(call, args->xml, args->flags, &ret->dom, error);
}

/* --- undefine ------------------------------------------------------------------------------------------- */

char *domain_managed_save_path(Domain *dom)
{
    return g_strdup_printf("%s/%s.save", dom->driver->paths->save_dir, dom->name);
}

static gboolean drop_managed_save(Domain *dom, guint flags, GError **error)
{
    g_autofree char *path = domain_managed_save_path(dom);

    if (access(path, F_OK) < 0)
        return TRUE;
    if (!(flags & VIR_DOMAIN_UNDEFINE_MANAGED_SAVE))
        return error_set(error, VIR_ERR_OPERATION_INVALID,
                         "Refusing to undefine while domain managed save image exists");
    if (unlink(path) < 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Failed to remove domain managed save image '%s': %s",
                         path, g_strerror(errno));
    return TRUE;
}

static char *nvram_path(Domain *dom)
{
    const DomainDef *def = domain_def(dom);

    if (def->os.loader.nvram_path != NULL)
        return g_strdup(def->os.loader.nvram_path);
    if (def->os.firmware == FIRMWARE_EFI)
        return g_strdup_printf("%s/%s_VARS.fd", dom->driver->paths->nvram_dir, dom->name);
    return NULL;
}

static gboolean drop_nvram(Domain *dom, guint flags, GError **error)
{
    g_autofree char *path = nvram_path(dom);

    if (path == NULL || access(path, F_OK) < 0 || (flags & VIR_DOMAIN_UNDEFINE_KEEP_NVRAM))
        return TRUE;
    if (!(flags & VIR_DOMAIN_UNDEFINE_NVRAM))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cannot undefine domain with nvram");
    if (unlink(path) < 0)
        return error_set_errno(error, errno, "failed to remove nvram: %s", path);
    return TRUE;
}

static gboolean may_undefine(Domain *dom, guint flags, GError **error)
{
    LOCK_SCOPE(&dom->lock);

    if (!domain_persistent(dom))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cannot undefine transient domain");
    if (domain_active(dom))
        return TRUE;
    if (dom->snapshots > 0 && !(flags & VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cannot delete inactive domain with %u snapshots",
                         dom->snapshots);
    if (dom->checkpoints > 0 && !(flags & VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA))
        return error_set(error, VIR_ERR_OPERATION_INVALID,
                         "cannot delete inactive domain with %u checkpoints", dom->checkpoints);
    return TRUE;
}

static gboolean undefine_locked(Domain *dom, guint flags, GError **error)
{
    gboolean active;

    if (!may_undefine(dom, flags, error) || !drop_managed_save(dom, flags, error) ||
        !drop_nvram(dom, flags, error) || !persist_remove_config(dom->driver, dom->name, error))
        return FALSE;
    lock_acquire(&dom->lock);
    /* A running one goes on as transient; a VM that ends right now finds it so and removes it itself. */
    active = domain_active(dom);
    if (active) {
        domain_put_config(dom, NULL);
    } else {
        swtpm_forget(dom->config, dom->driver->paths->data_dir, flags);
        dom->removed = TRUE;
    }
    dom->autostart = FALSE;
    dom->managed_save = FALSE;
    domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_UNDEFINED, VIR_DOMAIN_EVENT_UNDEFINED_REMOVED);
    lock_release(&dom->lock);
    if (!active)
        domain_list_remove(dom->list, dom);
    return TRUE;
}

static gboolean undefine(Call *call, const WireDomain *wire, guint flags, GError **error)
{
    const guint known = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                        VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_NVRAM |
                        VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | VIR_DOMAIN_UNDEFINE_TPM |
                        VIR_DOMAIN_UNDEFINE_KEEP_TPM;
    g_autoptr(Domain) dom = NULL;
    gboolean done;

    if (!call_check_flags(call, flags, known, error))
        return FALSE;
    if ((flags & VIR_DOMAIN_UNDEFINE_NVRAM) && (flags & VIR_DOMAIN_UNDEFINE_KEEP_NVRAM))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cannot both keep and delete nvram");
    if ((flags & VIR_DOMAIN_UNDEFINE_TPM) && (flags & VIR_DOMAIN_UNDEFINE_KEEP_TPM))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cannot both keep and delete TPM");
    dom = domain_from_wire(call, wire, error);
    if (dom == NULL || !domain_job_begin(dom, "virDomainUndefine", error))
        return FALSE;
    done = undefine_locked(dom, flags, error);
    domain_job_end(dom);
    return done;
}

gboolean call_domain_undefine(Call *call, const DomainUndefineArgs *args, DomainUndefineRet *ret,
                              GError **error)
{
    return undefine(call, &args->dom, 0, error);
}

gboolean call_domain_undefine_flags(Call *call, const DomainUndefineFlagsArgs *args,
                                    DomainUndefineFlagsRet *ret, GError **error)
{
    return undefine(call, &args->dom, args->flags, error);
}

/* --- rename --------------------------------------------------------------------------------------------- */

static gboolean may_rename(Domain *dom, GError **error)
{
    LOCK_SCOPE(&dom->lock);

    if (domain_active(dom) || dom->starting)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cannot rename active domain");
    if (!domain_persistent(dom))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cannot rename a transient domain");
    if (dom->managed_save)
        return error_set(error, VIR_ERR_OPERATION_INVALID,
                         "domain with a managed saved state can't be renamed");
    if (dom->state != VIR_DOMAIN_SHUTOFF)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "domain has to be shutoff before renaming");
    return TRUE;
}

static gboolean rename_locked(Domain *dom, const char *new_name, GError **error)
{
    g_autoptr(DomainDef) def = NULL;
    g_autofree char *xml = NULL;
    g_autofree char *old_name = g_strdup(dom->name);

    if (!may_rename(dom, error) || !domain_name_check(new_name, error))
        return FALSE;
    def = domain_def_copy_inactive(dom->config, domain_env(NULL), error);
    if (def == NULL || !domain_list_rename_begin(dom->list, dom, new_name, error))
        return FALSE;
    g_free(def->name);
    def->name = g_strdup(new_name);
    xml = persist_format_config(def);
    if (!persist_rename_config(dom->driver, old_name, new_name, xml, dom->autostart, error)) {
        domain_list_rename_end(dom->list, dom, new_name, FALSE);
        return FALSE;
    }
    domain_list_rename_end(dom->list, dom, new_name, TRUE);
    LOCK_SCOPE(&dom->lock);
    domain_put_config(dom, g_steal_pointer(&def));
    domain_event_lifecycle_named(dom, old_name, VIR_DOMAIN_EVENT_UNDEFINED,
                                 VIR_DOMAIN_EVENT_UNDEFINED_RENAMED);
    domain_event_lifecycle(dom, VIR_DOMAIN_EVENT_DEFINED, VIR_DOMAIN_EVENT_DEFINED_RENAMED);
    return TRUE;
}

gboolean call_domain_rename(Call *call, const DomainRenameArgs *args, DomainRenameRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;
    gboolean done;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    if (args->new_name == NULL || *args->new_name == '\0')
        return error_set(error, VIR_ERR_INVALID_ARG, "string new_name in virDomainRename must not be empty");
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL || !domain_job_begin(dom, "virDomainRename", error))
        return FALSE;
    done = rename_locked(dom, args->new_name, error);
    domain_job_end(dom);
    return done;
}

/* --- autostart ------------------------------------------------------------------------------------------ */

gboolean call_domain_get_autostart(Call *call, const DomainGetAutostartArgs *args, DomainGetAutostartRet *ret,
                                   GError **error)
{
    g_autoptr(Domain) dom = domain_from_wire(call, &args->dom, error);

    if (dom == NULL)
        return FALSE;
    LOCK_SCOPE(&dom->lock);
    ret->autostart = dom->autostart;
    return TRUE;
}

static gboolean set_autostart(Domain *dom, gboolean autostart, GError **error)
{
    gboolean persistent, same;

    lock_acquire(&dom->lock);
    persistent = domain_persistent(dom);
    same = dom->autostart == autostart;
    lock_release(&dom->lock);
    if (!persistent)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cannot set autostart for transient domain");
    if (same)
        return TRUE;
    if (!persist_set_autostart(dom->driver, dom->name, autostart, error))
        return FALSE;
    LOCK_SCOPE(&dom->lock);
    dom->autostart = autostart;
    return TRUE;
}

gboolean call_domain_set_autostart(Call *call, const DomainSetAutostartArgs *args, DomainSetAutostartRet *ret,
                                   GError **error)
{
    g_autoptr(Domain) dom = domain_from_wire(call, &args->dom, error);
    gboolean done;

    if (dom == NULL || !domain_job_begin(dom, "virDomainSetAutostart", error))
        return FALSE;
    done = set_autostart(dom, args->autostart != 0, error);
    domain_job_end(dom);
    return done;
}
