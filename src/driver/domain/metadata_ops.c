/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RPC handlers of title, description and the users' own metadata; and of what a domain does at the end of its
 * life. */
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_events.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/persist.h"
#include "driver/rpc/call.h"

enum {
    AFFECT = VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG,
    METADATA_TYPES = VIR_DOMAIN_METADATA_ELEMENT + 1
};

static gboolean check_type(gint32 type, GError **error)
{
    return (type >= 0 && type < METADATA_TYPES) ||
           error_set_from(error, VIR_FROM_DOMAIN, VIR_ERR_INVALID_ARG, "unknown metadata type '%d'", type);
}

gboolean call_domain_get_metadata(Call *call, const DomainGetMetadataArgs *args, DomainGetMetadataRet *ret,
                                  GError **error)
{
    g_autoptr(Domain) dom = NULL;
    const DomainDef *def;

    dom = domain_from_wire_flags(call, &args->dom, args->flags, AFFECT, error);
    if (dom == NULL || !check_type(args->type, error))
        return FALSE;
    LOCK_SCOPE(&dom->lock);
    def = domain_one_def_for(dom, args->flags, NULL, error);
    if (def == NULL)
        return FALSE;
    switch (args->type) {
    case VIR_DOMAIN_METADATA_DESCRIPTION:
        ret->metadata = g_strdup(def->description);
        break;
    case VIR_DOMAIN_METADATA_TITLE:
        ret->metadata = g_strdup(def->title);
        break;
    default:
        ret->metadata = args->uri != NULL ? domain_def_get_metadata(def, args->uri) : NULL;
    }
    return ret->metadata != NULL ||
           error_set_from(error, VIR_FROM_DOMAIN, VIR_ERR_NO_DOMAIN_METADATA,
                          "Requested metadata element is not present");
}

static gboolean change_metadata(DomainDef *def, const DomainSetMetadataArgs *args, GError **error)
{
    const char *text = args->metadata != NULL && *args->metadata != '\0' ? args->metadata : NULL;

    switch (args->type) {
    case VIR_DOMAIN_METADATA_DESCRIPTION:
        domain_def_set_description(def, text);
        return TRUE;
    case VIR_DOMAIN_METADATA_TITLE:
        return domain_def_set_title(def, text, error);
    default:
        if (args->uri == NULL)
            return error_set(error, VIR_ERR_INVALID_ARG, "metadata needs the uri of its namespace");
        return domain_def_set_metadata(def, args->metadata, args->key, args->uri, error);
    }
}

/* A change of a definition, to each that is meant. The persistent one is altered as a copy, which counts once
 * it is safe on disk; the running one when that has worked. */
typedef gboolean (*Change)(DomainDef *def, gconstpointer args, GError **error);

static gboolean change_defs(Domain *dom, guint flags, Change change, gconstpointer args, GError **error)
{
    DomainDef *live, *config;
    g_autoptr(DomainDef) altered = NULL;
    gboolean done = TRUE;

    if (!domain_defs_for(dom, flags, &live, &config, error))
        return FALSE;
    if (config != NULL) {
        altered = domain_def_copy_inactive(config, domain_env(NULL), error);
        if (altered == NULL || !change(altered, args, error) ||
            !domain_replace_config(dom, g_steal_pointer(&altered), error))
            return FALSE;
    }
    if (live != NULL) {
        lock_acquire(&dom->lock);
        done = (dom->live == live && !dom->stopping)
                   ? change(live, args, error)
                   : error_set(error, VIR_ERR_OPERATION_FAILED, "domain is no longer running");
        lock_release(&dom->lock);
        domain_save_status(dom);
    }
    return done;
}

static gboolean change_metadata_any(DomainDef *def, gconstpointer args, GError **error)
{
    return change_metadata(def, args, error);
}

gboolean call_domain_set_metadata(Call *call, const DomainSetMetadataArgs *args, DomainSetMetadataRet *ret,
                                  GError **error)
{
    g_autoptr(Domain) dom = NULL;
    gboolean done;

    dom = domain_from_wire_flags(call, &args->dom, args->flags, AFFECT, error);
    if (dom == NULL || !check_type(args->type, error) ||
        !domain_job_begin(dom, "virDomainSetMetadata", error))
        return FALSE;
    done = change_defs(dom, args->flags, change_metadata_any, args, error);
    if (done) {
        lock_acquire(&dom->lock);
        domain_event_metadata_change(dom, args->type, args->uri);
        lock_release(&dom->lock);
    }
    domain_job_end(dom);
    return done;
}

/* --- what happens at the end ---------------------------------------------------------------------------- */

typedef struct ActionChange {
    guint type;
    LifecycleAction action;
} ActionChange;

static gboolean change_action(DomainDef *def, gconstpointer args, GError **error)
{
    const ActionChange *change = args;

    switch (change->type) {
    case VIR_DOMAIN_LIFECYCLE_POWEROFF:
        def->on_poweroff = change->action;
        break;
    case VIR_DOMAIN_LIFECYCLE_REBOOT:
        def->on_reboot = change->action;
        break;
    default:
        def->on_crash = change->action;
    }
    return TRUE;
}

/* The first two kinds know no core dump, as libvirt's QEMU driver refuses it. */
static gboolean check_action(guint type, guint action, GError **error)
{
    if (type > VIR_DOMAIN_LIFECYCLE_CRASH || action >= ACTION_LAST)
        return error_set(error, VIR_ERR_INVALID_ARG, "unknown lifecycle event type %u or action %u", type,
                         action);
    if (action == VIR_DOMAIN_LIFECYCLE_ACTION_RESTART_RENAME ||
        (type != VIR_DOMAIN_LIFECYCLE_CRASH && action != VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY &&
         action != VIR_DOMAIN_LIFECYCLE_ACTION_RESTART))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "lifecycle event %u does not support action %u",
                         type, action);
    return TRUE;
}

gboolean call_domain_set_lifecycle_action(Call *call, const DomainSetLifecycleActionArgs *args,
                                          DomainSetLifecycleActionRet *ret, GError **error)
{
    const ActionChange change = {args->type, (LifecycleAction)args->action};
    g_autoptr(Domain) dom = NULL;
    gboolean done;

    if (!call_check_flags(call, args->flags, AFFECT, error) || !check_action(args->type, args->action, error))
        return FALSE;
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL || !domain_job_begin(dom, "virDomainSetLifecycleAction", error))
        return FALSE;
    done = change_defs(dom, args->flags, change_action, &change, error);
    domain_job_end(dom);
    return done;
}
