/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All domains: found by uuid, name and id in constant time, listed with libvirt's filters. The list lock is
 * held for hash operations only; see domain.h for the order of locks. Any thread.
 */
#pragma once

#include "driver/domain/domain.h"

DomainList *domain_list_new(Driver *driver);
/* Drops all references. The domains' VMs are left running. */
void domain_list_free(DomainList *list);

/* New reference or NULL; none sets an error. Domains that are being defined for the first time are not found.
 */
Domain *domain_list_find_uuid(DomainList *list, const guint8 uuid[16]);
Domain *domain_list_find_name(DomainList *list, const char *name);
Domain *domain_list_find_id(DomainList *list, int id);

/* A snapshot of all listed domains (references), in no order. Caller unrefs the array. */
GPtrArray *domain_list_all(DomainList *list);
/* Those that match flags (VIR_CONNECT_LIST_DOMAINS_*): all groups of it that are set must match.
 * VIR_ERR_INVALID_ARG on unknown bits. Names the caller may not see are dropped by allowed (may be NULL). */
typedef gboolean (*DomainAllowed)(Domain *dom, gpointer data);
GPtrArray *domain_list_collect(DomainList *list, guint flags, DomainAllowed allowed, gpointer data,
                               GError **error);
/* Does it match? State lock held. Used by virConnectGetAllDomainStats too. */
gboolean domain_list_match(const Domain *dom, guint flags);
guint domain_list_count(DomainList *list, gboolean active);

typedef enum {
    DOMAIN_CLAIM_DEFINE = 0, /* same name and uuid: that domain */
    DOMAIN_CLAIM_CREATE =
        1 << 0 /* same name and uuid must not be active: "domain is already active as 'x'" */
} DomainClaimFlags;
/* The place for a definition with this uuid and name: the domain of that identity, or a new one that is not
 * yet listed. Refuses, as libvirt, a name that another uuid has and a uuid that another name has. The caller
 * then takes the modify lock, and either publishes it (domain_list_publish) or lets it go
 * (domain_list_abandon). */
Domain *domain_list_claim(DomainList *list, const guint8 uuid[16], const char *name, DomainClaimFlags flags,
                          GError **error);
void domain_list_publish(DomainList *list, Domain *dom);
/* Takes out a domain that was never published. */
void domain_list_abandon(DomainList *list, Domain *dom);
/* Takes it out; state lock not held. */
void domain_list_remove(DomainList *list, Domain *dom);
/* Gives a running domain its id, and takes it away. The state lock is not held: they take the list lock and then it.
 * After activate it IS held: nobody may see the id before the caller has put the rest of the run there. */
int domain_list_activate(DomainList *list, Domain *dom, int id_or_0);
/* An id that nobody else gets, for a start that may come to nothing. */
int domain_list_reserve_id(DomainList *list);
void domain_list_deactivate(DomainList *list, Domain *dom);
/* Reserves new_name, after which either commit or cancel. VIR_ERR_OPERATION_INVALID when it is taken. */
gboolean domain_list_rename_begin(DomainList *list, Domain *dom, const char *new_name, GError **error);
void domain_list_rename_end(DomainList *list, Domain *dom, const char *new_name, gboolean commit);
