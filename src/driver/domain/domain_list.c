/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All domains by uuid, name and id. See domain_list.h.
 *
 * Every domain in the hashes is referenced once for all three. One that is being defined for the first time
 * is in the uuid and name hash already, so that nobody else takes its identity, but is not "listed". A
 * reserved new name of a rename points to the domain too.
 */
#define ERROR_FROM VIR_FROM_DOMAIN
#include "driver/domain/domain_list.h"

#include <string.h>

#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"

struct DomainList {
    Driver *driver;
    Lock lock; /* the list lock: the hashes and next_id */
    GHashTable *by_uuid; /* 16 bytes inside the Domain -> Domain, owns the reference */
    GHashTable *by_name; /* string of our own -> Domain */
    GHashTable *by_id; /* int -> Domain */
    int next_id;
    DomainDefEnv *env; /* immutable */
};

static guint uuid_hash(gconstpointer key)
{
    const guint8 *uuid = key;
    guint32 word[4];

    /* Sequential uuids, as tools like to make them, differ in any of the words. */
    memcpy(word, uuid, sizeof(word));
    return ((word[0] * 31 + word[1]) * 31 + word[2]) * 31 + word[3];
}

static gboolean uuid_same(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, 16) == 0;
}

DomainList *domain_list_new(Driver *driver)
{
    DomainList *list = g_new0(DomainList, 1);

    list->driver = driver;
    list->next_id = 1;
    list->env = conf_env_new(driver);
    lock_init(&list->lock);
    list->by_uuid = g_hash_table_new_full(uuid_hash, uuid_same, NULL, (GDestroyNotify)domain_unref);
    list->by_name = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    list->by_id = g_hash_table_new(NULL, NULL);
    return list;
}

void domain_list_free(DomainList *list)
{
    if (list == NULL)
        return;
    g_hash_table_unref(list->by_id);
    g_hash_table_unref(list->by_name);
    g_hash_table_unref(list->by_uuid);
    lock_clear(&list->lock);
    g_free(list->env);
    g_free(list);
}

const DomainDefEnv *domain_list_env(DomainList *list)
{
    return list->env;
}

/* --- look-up -------------------------------------------------------------------------------------------- */

static Domain *visible(Domain *dom)
{
    gboolean listed;

    if (dom == NULL)
        return NULL;
    lock_acquire(&dom->lock);
    listed = dom->listed && !dom->removed;
    lock_release(&dom->lock);
    return listed ? domain_ref(dom) : NULL;
}

Domain *domain_list_find_uuid(DomainList *list, const guint8 uuid[16])
{
    LOCK_SCOPE(&list->lock);

    return visible(g_hash_table_lookup(list->by_uuid, uuid));
}

Domain *domain_list_find_name(DomainList *list, const char *name)
{
    Domain *dom;
    gboolean is_name;
    LOCK_SCOPE(&list->lock);

    dom = visible(g_hash_table_lookup(list->by_name, name));
    if (dom == NULL)
        return NULL;
    /* The name that a rename in progress has reserved is not yet one. Names change under the list lock. */
    is_name = strcmp(dom->name, name) == 0;
    if (!is_name)
        g_clear_pointer(&dom, domain_unref);
    return dom;
}

Domain *domain_list_find_id(DomainList *list, int id)
{
    LOCK_SCOPE(&list->lock);

    return visible(g_hash_table_lookup(list->by_id, GINT_TO_POINTER(id)));
}

/* --- lists ---------------------------------------------------------------------------------------------- */

static GPtrArray *references(DomainList *list, gboolean active_only)
{
    GHashTable *table = active_only ? list->by_id : list->by_uuid;
    GPtrArray *all;
    GHashTableIter iter;
    gpointer dom;
    LOCK_SCOPE(&list->lock);

    all = g_ptr_array_new_full(g_hash_table_size(table), (GDestroyNotify)domain_unref);
    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, NULL, &dom))
        g_ptr_array_add(all, domain_ref(dom));
    return all;
}

GPtrArray *domain_list_all(DomainList *list)
{
    return domain_list_collect(list, 0, NULL, NULL, NULL);
}

/* One group of filters: with none or all of its flags set it does not matter, else one that is set must hold.
 */
#define GROUP(flags, ...)                                                                                    \
    group_matches((flags), (const Condition[]){__VA_ARGS__},                                                 \
                  sizeof((Condition[]){__VA_ARGS__}) / sizeof(Condition))

typedef struct Condition {
    guint flag;
    gboolean holds;
} Condition;

static gboolean group_matches(guint flags, const Condition *conditions, gsize n)
{
    gboolean asked = FALSE;

    for (gsize i = 0; i < n; i++) {
        if (!(flags & conditions[i].flag))
            continue;
        asked = TRUE;
        if (conditions[i].holds)
            return TRUE;
    }
    return !asked;
}

#define LIST_FLAGS                                                                                           \
    (VIR_CONNECT_LIST_DOMAINS_ACTIVE | VIR_CONNECT_LIST_DOMAINS_INACTIVE |                                   \
     VIR_CONNECT_LIST_DOMAINS_PERSISTENT | VIR_CONNECT_LIST_DOMAINS_TRANSIENT |                              \
     VIR_CONNECT_LIST_DOMAINS_RUNNING | VIR_CONNECT_LIST_DOMAINS_PAUSED | VIR_CONNECT_LIST_DOMAINS_SHUTOFF | \
     VIR_CONNECT_LIST_DOMAINS_OTHER | VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE |                                 \
     VIR_CONNECT_LIST_DOMAINS_NO_MANAGEDSAVE | VIR_CONNECT_LIST_DOMAINS_AUTOSTART |                          \
     VIR_CONNECT_LIST_DOMAINS_NO_AUTOSTART | VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT |                         \
     VIR_CONNECT_LIST_DOMAINS_NO_SNAPSHOT | VIR_CONNECT_LIST_DOMAINS_HAS_CHECKPOINT |                        \
     VIR_CONNECT_LIST_DOMAINS_NO_CHECKPOINT)

gboolean domain_list_match(const Domain *dom, guint flags)
{
    gboolean running = dom->state == VIR_DOMAIN_RUNNING;
    gboolean paused = dom->state == VIR_DOMAIN_PAUSED;
    gboolean off = dom->state == VIR_DOMAIN_SHUTOFF;

    if ((flags & LIST_FLAGS) == 0)
        return TRUE;
    return GROUP(flags, {VIR_CONNECT_LIST_DOMAINS_ACTIVE, domain_active(dom)},
                 {VIR_CONNECT_LIST_DOMAINS_INACTIVE, !domain_active(dom)}) &&
           GROUP(flags, {VIR_CONNECT_LIST_DOMAINS_PERSISTENT, domain_persistent(dom)},
                 {VIR_CONNECT_LIST_DOMAINS_TRANSIENT, !domain_persistent(dom)}) &&
           GROUP(flags, {VIR_CONNECT_LIST_DOMAINS_RUNNING, running},
                 {VIR_CONNECT_LIST_DOMAINS_PAUSED, paused}, {VIR_CONNECT_LIST_DOMAINS_SHUTOFF, off},
                 {VIR_CONNECT_LIST_DOMAINS_OTHER, !running && !paused && !off}) &&
           GROUP(flags, {VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE, dom->managed_save},
                 {VIR_CONNECT_LIST_DOMAINS_NO_MANAGEDSAVE, !dom->managed_save}) &&
           GROUP(flags, {VIR_CONNECT_LIST_DOMAINS_AUTOSTART, dom->autostart},
                 {VIR_CONNECT_LIST_DOMAINS_NO_AUTOSTART, !dom->autostart}) &&
           GROUP(flags, {VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT, dom->snapshots > 0},
                 {VIR_CONNECT_LIST_DOMAINS_NO_SNAPSHOT, dom->snapshots == 0}) &&
           GROUP(flags, {VIR_CONNECT_LIST_DOMAINS_HAS_CHECKPOINT, dom->checkpoints > 0},
                 {VIR_CONNECT_LIST_DOMAINS_NO_CHECKPOINT, dom->checkpoints == 0});
}

GPtrArray *domain_list_collect(DomainList *list, guint flags, DomainAllowed allowed, gpointer data,
                               GError **error)
{
    const guint activity = VIR_CONNECT_LIST_DOMAINS_ACTIVE | VIR_CONNECT_LIST_DOMAINS_INACTIVE;
    g_autoptr(GPtrArray) all = NULL;
    g_autoptr(GPtrArray) chosen = NULL;

    if (flags & ~LIST_FLAGS) {
        error_set_flags(error, VIR_FROM_QEMU, "unsupported flags (0x%x) in function virConnectListAllDomains",
                        flags & ~LIST_FLAGS);
        return NULL;
    }
    all = references(list, (flags & activity) == VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    chosen = g_ptr_array_new_full(all->len, (GDestroyNotify)domain_unref);
    for (guint i = 0; i < all->len; i++) {
        Domain *dom = g_ptr_array_index(all, i);
        gboolean match;

        lock_acquire(&dom->lock);
        match = dom->listed && !dom->removed && domain_list_match(dom, flags);
        lock_release(&dom->lock);
        if (match && (allowed == NULL || allowed(dom, data)))
            g_ptr_array_add(chosen, domain_ref(dom));
    }
    return g_steal_pointer(&chosen);
}

guint domain_list_count(DomainList *list, gboolean active)
{
    g_autoptr(GPtrArray) chosen = domain_list_collect(
        list, active ? VIR_CONNECT_LIST_DOMAINS_ACTIVE : VIR_CONNECT_LIST_DOMAINS_INACTIVE, NULL, NULL, NULL);

    return chosen->len;
}

/* --- identity ------------------------------------------------------------------------------------------- */

static gboolean claim_existing(Domain *dom, const char *name, DomainClaimFlags flags, GError **error)
{
    LOCK_SCOPE(&dom->lock);

    if (strcmp(dom->name, name) != 0)
        return error_set(error, VIR_ERR_OPERATION_FAILED, "domain '%s' is already defined with uuid %s",
                         dom->name, dom->uuid_text);
    if (!(flags & DOMAIN_CLAIM_CREATE))
        return TRUE;
    if (domain_active(dom))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "domain '%s' is already active", dom->name);
    if (!domain_persistent(dom))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "domain '%s' is already being started", dom->name);
    return TRUE;
}

Domain *domain_list_claim(DomainList *list, const guint8 uuid[16], const char *name, DomainClaimFlags flags,
                          GError **error)
{
    Domain *dom;
    LOCK_SCOPE(&list->lock);

    dom = g_hash_table_lookup(list->by_uuid, uuid);
    if (dom != NULL)
        return claim_existing(dom, name, flags, error) ? domain_ref(dom) : NULL;
    dom = g_hash_table_lookup(list->by_name, name);
    if (dom != NULL) {
        error_set(error, VIR_ERR_OPERATION_FAILED, "domain '%s' already exists with uuid %s", name,
                  dom->uuid_text);
        return NULL;
    }
    dom = domain_new(list, list->driver, uuid, name);
    g_hash_table_insert(list->by_uuid, dom->uuid, dom);
    g_hash_table_insert(list->by_name, g_strdup(name), dom);
    return domain_ref(dom);
}

void domain_list_publish(DomainList *list, Domain *dom)
{
    LOCK_SCOPE(&dom->lock);

    g_assert(domain_def(dom) != NULL);
    dom->listed = TRUE;
}

void domain_list_remove(DomainList *list, Domain *dom)
{
    gboolean ours;

    lock_acquire(&list->lock);
    lock_acquire(&dom->lock);
    ours = g_hash_table_lookup(list->by_uuid, dom->uuid) == dom;
    dom->removed = TRUE;
    lock_release(&dom->lock);
    if (ours) {
        g_hash_table_remove(list->by_name, dom->name);
        if (dom->id > 0)
            g_hash_table_remove(list->by_id, GINT_TO_POINTER(dom->id));
        g_hash_table_steal(list->by_uuid, dom->uuid);
    }
    lock_release(&list->lock);
    domain_job_cancel_waiters(dom);
    if (ours)
        domain_unref(dom);
}

void domain_list_abandon(DomainList *list, Domain *dom)
{
    gboolean listed;

    lock_acquire(&dom->lock);
    listed = dom->listed;
    lock_release(&dom->lock);
    if (!listed)
        domain_list_remove(list, dom);
}

static void take_id(DomainList *list, int id)
{
    if (id >= list->next_id)
        list->next_id = id == G_MAXINT ? 1 : id + 1;
}

int domain_list_reserve_id(DomainList *list)
{
    int id;
    LOCK_SCOPE(&list->lock);

    id = list->next_id;
    take_id(list, id);
    return id;
}

int domain_list_activate(DomainList *list, Domain *dom, int id_or_0)
{
    int id;
    LOCK_SCOPE(&list->lock);

    if (id_or_0 > 0 && g_hash_table_contains(list->by_id, GINT_TO_POINTER(id_or_0)))
        id_or_0 = 0;
    id = id_or_0 > 0 ? id_or_0 : list->next_id;
    take_id(list, id);
    g_hash_table_insert(list->by_id, GINT_TO_POINTER(id), dom);
    lock_acquire(&dom->lock);
    dom->id = id;
    return id;
}

void domain_list_deactivate(DomainList *list, Domain *dom)
{
    LOCK_SCOPE(&list->lock);

    lock_acquire(&dom->lock);
    if (dom->id > 0 && g_hash_table_lookup(list->by_id, GINT_TO_POINTER(dom->id)) == dom)
        g_hash_table_remove(list->by_id, GINT_TO_POINTER(dom->id));
    dom->id = -1;
    lock_release(&dom->lock);
}

gboolean domain_list_rename_begin(DomainList *list, Domain *dom, const char *new_name, GError **error)
{
    LOCK_SCOPE(&list->lock);

    if (strcmp(dom->name, new_name) == 0)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "Can't rename domain to itself");
    if (g_hash_table_contains(list->by_name, new_name))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "domain with name '%s' already exists", new_name);
    g_hash_table_insert(list->by_name, g_strdup(new_name), dom);
    return TRUE;
}

void domain_list_rename_end(DomainList *list, Domain *dom, const char *new_name, gboolean commit)
{
    LOCK_SCOPE(&list->lock);

    if (!commit) {
        g_hash_table_remove(list->by_name, new_name);
        return;
    }
    g_hash_table_remove(list->by_name, dom->name);
    lock_acquire(&dom->lock);
    g_free(dom->name);
    dom->name = g_strdup(new_name);
    lock_release(&dom->lock);
}
