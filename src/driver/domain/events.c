/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Subscriptions and delivery. See events.h.
 *
 * One lock (the event lock, innermost of all) guards the table. Senders run under it: they only append to
 * a client's queue. So an event reaches every subscriber in the order in which it was emitted, and a client
 * that event_forget_client() has returned for is not touched any more.
 */
#define LOG_SOURCE "events"

#include "driver/domain/events.h"

#include <string.h>

#include "common/error.h"
#include "common/lock.h"
#include "common/log.h"
#include "driver/rpc/client.h"

typedef struct Resync {
    EventResync func;
    gpointer data;
} Resync;

enum { EVENT_ID_MAX = 64 };

struct EventRegistry {
    Lock lock;
    GPtrArray *subscriptions[EVENT_KIND_LAST]; /* EventSubscription */
    guint wanted[EVENT_KIND_LAST][EVENT_ID_MAX]; /* how many subscriptions; read without the lock */
    GHashTable *next_id; /* Client -> next callback id of that client */
    Resync resync[EVENT_KIND_LAST];
    guint64 sent, lost;
};

static const char *const kind_names[] = {"domain",      "network", "storage pool",
                                         "node device", "secret",  "monitor"};
_Static_assert(G_N_ELEMENTS(kind_names) == EVENT_KIND_LAST, "a name a kind");

static void subscription_free(gpointer data)
{
    EventSubscription *subscription = data;

    g_clear_pointer(&subscription->regex, g_regex_unref);
    g_free(subscription->object_name);
    g_free(subscription->pattern);
    g_free(subscription);
}

EventRegistry *event_registry_new(void)
{
    EventRegistry *registry = g_new0(EventRegistry, 1);

    lock_init(&registry->lock);
    for (int kind = 0; kind < EVENT_KIND_LAST; kind++)
        registry->subscriptions[kind] = g_ptr_array_new_with_free_func(subscription_free);
    registry->next_id = g_hash_table_new(NULL, NULL);
    return registry;
}

void event_registry_free(EventRegistry *registry)
{
    if (registry == NULL)
        return;
    for (int kind = 0; kind < EVENT_KIND_LAST; kind++)
        g_ptr_array_unref(registry->subscriptions[kind]);
    g_hash_table_unref(registry->next_id);
    lock_clear(&registry->lock);
    g_free(registry);
}

void event_registry_set_resync(EventRegistry *registry, EventKind kind, EventResync func, gpointer data)
{
    LOCK_SCOPE(&registry->lock);

    registry->resync[kind] = (Resync){func, data};
}

static void count_wanted(EventRegistry *registry, const EventSubscription *subscription, int change)
{
    if (subscription->event_id >= 0 && subscription->event_id < EVENT_ID_MAX)
        g_atomic_int_add((gint *)&registry->wanted[subscription->kind][subscription->event_id], change);
}

static void remove_at(EventRegistry *registry, EventKind kind, guint i)
{
    count_wanted(registry, g_ptr_array_index(registry->subscriptions[kind], i), -1);
    g_ptr_array_remove_index(registry->subscriptions[kind], i);
}

/* --- registration --------------------------------------------------------------------------------------- */

static gboolean already_there(EventRegistry *registry, Client *client, const EventRequest *request,
                              GError **error)
{
    GPtrArray *all = registry->subscriptions[request->kind];

    if (request->style != EVENT_STYLE_LEGACY)
        return FALSE;
    for (guint i = 0; i < all->len; i++) {
        const EventSubscription *other = g_ptr_array_index(all, i);

        if (other->client == client && other->style == EVENT_STYLE_LEGACY &&
            other->event_id == request->event_id) {
            error_set(error, VIR_ERR_INVALID_ARG, "event callback already tracked: %s event %d",
                      kind_names[request->kind], request->event_id);
            return TRUE;
        }
    }
    return FALSE;
}

static void client_is_gone(Client *client, void *registry)
{
    event_forget_client(registry, client);
}

static void client_has_room(Client *client, guint64 lost, void *registry)
{
    log_warning("client %" G_GUINT64_FORMAT " did not read its events: %" G_GUINT64_FORMAT
                " were lost, it is told the present state instead",
                client_id(client), lost);
    event_client_drained(registry, client);
}

/* On a client's first subscription: hear of its end and of its losses. */
static gboolean watch_client(EventRegistry *registry, Client *client, GError **error)
{
    gboolean known;

    lock_acquire(&registry->lock);
    known = g_hash_table_contains(registry->next_id, client);
    lock_release(&registry->lock);
    if (known)
        return TRUE;
    if (!client_add_close_hook(client, client_is_gone, registry, NULL))
        return error_set(error, VIR_ERR_OPERATION_FAILED, "the client is gone");
    client_set_lost_hook(client, client_has_room, registry);
    return TRUE;
}

gboolean event_subscribe(EventRegistry *registry, Client *client, const EventRequest *request,
                         int *ret_callback_id, GError **error)
{
    EventSubscription *added;
    g_autoptr(GRegex) regex = NULL;
    g_autoptr(GError) cause = NULL;
    int id;

    g_assert(request->kind < EVENT_KIND_LAST);
    if (request->event_id < 0 || request->event_id >= EVENT_ID_MAX)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "unsupported %s event ID %d",
                         kind_names[request->kind], request->event_id);
    if (request->pattern != NULL && request->pattern_is_regex) {
        /* Names of events are short; JIT is not worth its memory. */
        regex = g_regex_new(request->pattern, request->ignore_case ? G_REGEX_CASELESS : 0, 0, &cause);
        if (regex == NULL)
            return error_set(error, VIR_ERR_INVALID_ARG, "invalid regex for the event name: %s",
                             cause->message);
    }

    if (!watch_client(registry, client, error))
        return FALSE;
    lock_acquire(&registry->lock);
    if (already_there(registry, client, request, error)) {
        lock_release(&registry->lock);
        return FALSE;
    }
    id = GPOINTER_TO_INT(g_hash_table_lookup(registry->next_id, client));
    g_hash_table_insert(registry->next_id, client, GINT_TO_POINTER(id + 1));
    added = g_new0(EventSubscription, 1);
    *added = (EventSubscription){.kind = request->kind,
                                 .style = request->style,
                                 .callback_id = id,
                                 .event_id = request->event_id,
                                 .client = client,
                                 .has_uuid = request->uuid != NULL,
                                 .object_name = g_strdup(request->name),
                                 .pattern = g_strdup(request->pattern),
                                 .regex = g_steal_pointer(&regex),
                                 .ignore_case = request->ignore_case};
    if (request->uuid != NULL)
        memcpy(added->uuid, request->uuid, sizeof(added->uuid));
    g_ptr_array_add(registry->subscriptions[request->kind], added);
    count_wanted(registry, added, 1);
    lock_release(&registry->lock);
    if (ret_callback_id != NULL)
        *ret_callback_id = id;
    /* Its close hook may have run before the subscription was in the table. */
    if (client_closed(client))
        event_forget_client(registry, client);
    return TRUE;
}

gboolean event_unsubscribe(EventRegistry *registry, Client *client, EventKind kind, int callback_id,
                           GError **error)
{
    GPtrArray *all = registry->subscriptions[kind];
    LOCK_SCOPE(&registry->lock);

    for (guint i = 0; i < all->len; i++) {
        const EventSubscription *subscription = g_ptr_array_index(all, i);

        if (subscription->client == client && subscription->style == EVENT_STYLE_CALLBACK &&
            subscription->callback_id == callback_id) {
            remove_at(registry, kind, i);
            return TRUE;
        }
    }
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "%s event callback %d not registered", kind_names[kind],
                     callback_id);
}

gboolean event_unsubscribe_legacy(EventRegistry *registry, Client *client, EventKind kind, int event_id,
                                  GError **error)
{
    GPtrArray *all = registry->subscriptions[kind];
    LOCK_SCOPE(&registry->lock);

    for (guint i = 0; i < all->len; i++) {
        const EventSubscription *subscription = g_ptr_array_index(all, i);

        if (subscription->client == client && subscription->style == EVENT_STYLE_LEGACY &&
            subscription->event_id == event_id) {
            remove_at(registry, kind, i);
            return TRUE;
        }
    }
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "%s event %d not registered", kind_names[kind], event_id);
}

void event_forget_client(EventRegistry *registry, Client *client)
{
    LOCK_SCOPE(&registry->lock);

    for (int kind = 0; kind < EVENT_KIND_LAST; kind++) {
        for (guint i = registry->subscriptions[kind]->len; i-- > 0;) {
            const EventSubscription *subscription = g_ptr_array_index(registry->subscriptions[kind], i);

            if (subscription->client == client)
                remove_at(registry, kind, i);
        }
    }
    g_hash_table_remove(registry->next_id, client);
}

/* --- delivery ------------------------------------------------------------------------------------------- */

gboolean event_wanted(EventRegistry *registry, EventKind kind, int event_id)
{
    return registry != NULL && event_id >= 0 && event_id < EVENT_ID_MAX &&
           g_atomic_int_get((gint *)&registry->wanted[kind][event_id]) > 0;
}

static gboolean name_matches(const EventSubscription *subscription, const char *name)
{
    if (subscription->pattern == NULL || name == NULL)
        return subscription->pattern == NULL;
    if (subscription->regex != NULL)
        return g_regex_match(subscription->regex, name, 0, NULL);
    return subscription->ignore_case ? g_ascii_strcasecmp(subscription->pattern, name) == 0
                                     : strcmp(subscription->pattern, name) == 0;
}

static gboolean concerns(const EventSubscription *subscription, const EventSubject *subject)
{
    if (subscription->event_id != subject->event_id)
        return FALSE;
    if (subscription->has_uuid &&
        (subject->uuid == NULL || memcmp(subscription->uuid, subject->uuid, 16) != 0))
        return FALSE;
    if (subscription->object_name != NULL && g_strcmp0(subscription->object_name, subject->name) != 0)
        return FALSE;
    return subject->kind != EVENT_KIND_MONITOR || name_matches(subscription, subject->name);
}

void event_emit(EventRegistry *registry, const EventSubject *subject, EventSender sender, gconstpointer event)
{
    GPtrArray *all;

    if (!event_wanted(registry, subject->kind, subject->event_id))
        return;
    all = registry->subscriptions[subject->kind];
    LOCK_SCOPE(&registry->lock);
    for (guint i = 0; i < all->len; i++) {
        EventSubscription *subscription = g_ptr_array_index(all, i);

        if (!concerns(subscription, subject))
            continue;
        if (sender(subscription, event)) {
            registry->sent++;
        } else {
            subscription->lost++;
            registry->lost++;
        }
    }
}

/* Subscriptions are copied out: a re-sync function emits, which takes the lock. */
void event_client_drained(EventRegistry *registry, Client *client)
{
    g_autoptr(GPtrArray) todo = g_ptr_array_new_with_free_func(subscription_free);
    Resync resync[EVENT_KIND_LAST];

    lock_acquire(&registry->lock);
    memcpy(resync, registry->resync, sizeof(resync));
    for (int kind = 0; kind < EVENT_KIND_LAST; kind++) {
        for (guint i = 0; i < registry->subscriptions[kind]->len; i++) {
            EventSubscription *subscription = g_ptr_array_index(registry->subscriptions[kind], i);
            EventSubscription *copy;

            if (subscription->client != client || subscription->lost == 0)
                continue;
            copy = g_memdup2(subscription, sizeof(*subscription));
            copy->object_name = g_strdup(subscription->object_name);
            copy->pattern = g_strdup(subscription->pattern);
            copy->regex = subscription->regex != NULL ? g_regex_ref(subscription->regex) : NULL;
            subscription->lost = 0;
            g_ptr_array_add(todo, copy);
        }
    }
    lock_release(&registry->lock);
    for (guint i = 0; i < todo->len; i++) {
        const EventSubscription *subscription = g_ptr_array_index(todo, i);

        if (resync[subscription->kind].func != NULL)
            resync[subscription->kind].func(subscription, resync[subscription->kind].data);
    }
}

gboolean event_send_to(EventRegistry *registry, const EventSubscription *subscription, EventSender sender,
                       gconstpointer event)
{
    GPtrArray *all = registry->subscriptions[subscription->kind];
    LOCK_SCOPE(&registry->lock);

    for (guint i = 0; i < all->len; i++) {
        EventSubscription *live = g_ptr_array_index(all, i);

        if (live->client != subscription->client || live->callback_id != subscription->callback_id)
            continue;
        if (sender(live, event)) {
            registry->sent++;
            return TRUE;
        }
        live->lost++;
        registry->lost++;
        return FALSE;
    }
    return FALSE;
}
