/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RPC handlers: from names, uuids and ids to domains, and lists of them. All take the state lock only. */
#include <string.h>

#include "driver/conf/domain_def.h"
#include "driver/domain/domain_list.h"
#include "driver/driver.h"
#include "driver/rpc/call.h"

enum { LIST_MAX = 16384 }; /* DOMAIN_LIST of the wire */

static DomainList *domains_of(Call *call)
{
    Driver *driver = call_driver(call);

    return driver->domains;
}

Domain *domain_for_call(Call *call, const guint8 uuid[16], const char *name, GError **error)
{
    Domain *dom = domain_list_find_uuid(domains_of(call), uuid);
    char text[UUID_TEXT_SIZE];

    if (dom == NULL) {
        uuid_format(uuid, text);
        error_set(error, VIR_ERR_NO_DOMAIN, "no domain with matching uuid '%s' (%s)", text, name);
    }
    return dom;
}

void domain_to_wire_fields(Domain *dom, guint8 uuid[16], char **ret_name, gint32 *ret_id)
{
    LOCK_SCOPE(&dom->lock);

    memcpy(uuid, dom->uuid, sizeof(dom->uuid));
    *ret_name = g_strdup(dom->name);
    *ret_id = dom->id;
}

gboolean call_domain_lookup_by_id(Call *call, const DomainLookupByIdArgs *args, DomainLookupByIdRet *ret,
                                  GError **error)
{
    g_autoptr(Domain) dom = domain_list_find_id(domains_of(call), args->id);

    if (dom == NULL)
        return error_set(error, VIR_ERR_NO_DOMAIN, "no domain with matching id %d", args->id);
    domain_to_wire(dom, &ret->dom);
    return TRUE;
}

gboolean call_domain_lookup_by_name(Call *call, const DomainLookupByNameArgs *args,
                                    DomainLookupByNameRet *ret, GError **error)
{
    g_autoptr(Domain) dom = domain_list_find_name(domains_of(call), args->name);

    if (dom == NULL)
        return error_set(error, VIR_ERR_NO_DOMAIN, "no domain with matching name '%s'", args->name);
    domain_to_wire(dom, &ret->dom);
    return TRUE;
}

gboolean call_domain_lookup_by_uuid(Call *call, const DomainLookupByUuidArgs *args,
                                    DomainLookupByUuidRet *ret, GError **error)
{
    g_autoptr(Domain) dom = domain_list_find_uuid(domains_of(call), args->uuid);
    char text[UUID_TEXT_SIZE];

    if (dom == NULL) {
        uuid_format(args->uuid, text);
        return error_set(error, VIR_ERR_NO_DOMAIN, "no domain with matching uuid '%s'", text);
    }
    domain_to_wire(dom, &ret->dom);
    return TRUE;
}

/* --- lists ---------------------------------------------------------------------------------------------- */

gboolean call_connect_list_all_domains(Call *call, const ConnectListAllDomainsArgs *args,
                                       ConnectListAllDomainsRet *ret, GError **error)
{
    g_autoptr(GPtrArray) chosen = domain_list_collect(domains_of(call), args->flags, NULL, NULL, error);

    if (chosen == NULL)
        return FALSE;
    if (chosen->len > LIST_MAX)
        return error_set(error, VIR_ERR_RPC, "Too many domains '%u' for limit '%d'", chosen->len, LIST_MAX);
    ret->ret = chosen->len;
    if (!args->need_results)
        return TRUE;
    ret->domains = g_new0(WireDomain, chosen->len);
    ret->domains_len = chosen->len;
    for (guint i = 0; i < chosen->len; i++)
        domain_to_wire((Domain *)g_ptr_array_index(chosen, i), &ret->domains[i]);
    return TRUE;
}

static gboolean check_max(gint32 max, const char *what, GError **error)
{
    if (max >= 0 && max <= LIST_MAX)
        return TRUE;
    return error_set(error, VIR_ERR_RPC, "%s > REMOTE_DOMAIN_LIST_MAX", what);
}

gboolean call_connect_list_domains(Call *call, const ConnectListDomainsArgs *args, ConnectListDomainsRet *ret,
                                   GError **error)
{
    g_autoptr(GPtrArray) active = NULL;

    if (!check_max(args->maxids, "maxids", error))
        return FALSE;
    active = domain_list_collect(domains_of(call), VIR_CONNECT_LIST_DOMAINS_ACTIVE, NULL, NULL, error);
    ret->ids = g_new0(gint32, MIN(active->len, (guint)args->maxids) + 1);
    for (guint i = 0; i < active->len && ret->ids_len < (guint32)args->maxids; i++) {
        Domain *dom = g_ptr_array_index(active, i);
        LOCK_SCOPE(&dom->lock);

        if (domain_active(dom))
            ret->ids[ret->ids_len++] = dom->id;
    }
    return TRUE;
}

gboolean call_connect_list_defined_domains(Call *call, const ConnectListDefinedDomainsArgs *args,
                                           ConnectListDefinedDomainsRet *ret, GError **error)
{
    g_autoptr(GPtrArray) defined = NULL;

    if (!check_max(args->maxnames, "maxnames", error))
        return FALSE;
    defined = domain_list_collect(domains_of(call), VIR_CONNECT_LIST_DOMAINS_INACTIVE, NULL, NULL, error);
    ret->names = g_new0(char *, MIN(defined->len, (guint)args->maxnames) + 1);
    for (guint i = 0; i < defined->len && ret->names_len < (guint32)args->maxnames; i++) {
        Domain *dom = g_ptr_array_index(defined, i);
        LOCK_SCOPE(&dom->lock);

        ret->names[ret->names_len++] = g_strdup(dom->name);
    }
    return TRUE;
}

gboolean call_connect_num_of_domains(Call *call, const ConnectNumOfDomainsArgs *args,
                                     ConnectNumOfDomainsRet *ret, GError **error)
{
    ret->num = (gint32)domain_list_count(domains_of(call), TRUE);
    return TRUE;
}

gboolean call_connect_num_of_defined_domains(Call *call, const ConnectNumOfDefinedDomainsArgs *args,
                                             ConnectNumOfDefinedDomainsRet *ret, GError **error)
{
    ret->num = (gint32)domain_list_count(domains_of(call), FALSE);
    return TRUE;
}
