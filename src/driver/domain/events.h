/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Subscriptions of clients and delivery of events, for every kind of object. Knows no message: whoever emits
 * hands in a sender that builds and sends the right wire message for one subscription (domain_events.c does
 * it for domains). Any thread; emitting never blocks.
 *
 * Styles of subscription (libvirt's remote protocol):
 *   LEGACY    DOMAIN_EVENT_REGISTER(_ANY): at most one per client and event id; messages carry no callback id
 *   CALLBACK  CONNECT_..._EVENT_CALLBACK_REGISTER_ANY and all other kinds: any number, each with an id of its
 * own
 *
 * Lost events: when a client's queue is full, the event is counted, and as soon as its queue has room again
 * the re-sync function of the kind is called for the subscription, which tells the client the present state.
 */
#pragma once

#include <glib.h>

typedef struct Client Client;
typedef struct EventRegistry EventRegistry;

typedef enum {
    EVENT_KIND_DOMAIN,
    EVENT_KIND_NETWORK,
    EVENT_KIND_STORAGE_POOL,
    EVENT_KIND_NODE_DEVICE,
    EVENT_KIND_SECRET,
    EVENT_KIND_MONITOR, /* the qemu program's: event id 0, filtered by name */
    EVENT_KIND_LAST
} EventKind;

typedef enum { EVENT_STYLE_LEGACY, EVENT_STYLE_CALLBACK } EventStyle;

/* One subscription, as a sender sees it. Valid during the call only. */
typedef struct EventSubscription {
    EventKind kind;
    EventStyle style;
    int callback_id; /* unique per client; starts at 0 */
    int event_id;
    Client *client;
    gboolean has_uuid;
    guint8 uuid[16]; /* only this object, when has_uuid */
    char *object_name; /* or by name (node devices), else NULL */
    char *pattern; /* MONITOR: event name or regular expression, NULL: all */
    GRegex *regex;
    gboolean ignore_case;
    guint64 lost; /* since the last re-sync */
} EventSubscription;

/* What an event is about. name is used by NODE_DEVICE subscriptions and by MONITOR patterns (the event's
 * name). */
typedef struct EventSubject {
    EventKind kind;
    int event_id;
    const guint8 *uuid; /* 16 bytes or NULL */
    const char *name;
} EventSubject;

/* Sends one message; FALSE when the client could not take it. Must not call back into this module. */
typedef gboolean (*EventSender)(const EventSubscription *subscription, gconstpointer event);
/* Tell this subscriber the present state of all it subscribed to. Called on no lock. */
typedef void (*EventResync)(const EventSubscription *subscription, gpointer data);

EventRegistry *event_registry_new(void);
void event_registry_free(EventRegistry *registry);
void event_registry_set_resync(EventRegistry *registry, EventKind kind, EventResync func, gpointer data);

typedef struct EventRequest {
    EventKind kind;
    EventStyle style;
    int event_id;
    const guint8 *uuid; /* 16 bytes, or NULL: all objects */
    const char *name; /* NODE_DEVICE: object's name or NULL */
    const char *pattern; /* MONITOR */
    gboolean pattern_is_regex;
    gboolean ignore_case;
} EventRequest;

/* VIR_ERR_INVALID_ARG for a second LEGACY one of a client and for a bad pattern. ret_callback_id may be NULL. */
gboolean event_subscribe(EventRegistry *registry, Client *client, const EventRequest *request,
                         int *ret_callback_id, GError **error);
/* CALLBACK style. VIR_ERR_INTERNAL_ERROR "domain event callback %d not registered". */
gboolean event_unsubscribe(EventRegistry *registry, Client *client, EventKind kind, int callback_id,
                           GError **error);
gboolean event_unsubscribe_legacy(EventRegistry *registry, Client *client, EventKind kind, int event_id,
                                  GError **error);
/* The client is gone: forget it. */
void event_forget_client(EventRegistry *registry, Client *client);
/* The client's queue has room again: re-sync what it lost. Must not be called on the emitting thread's locks.
 */
void event_client_drained(EventRegistry *registry, Client *client);

/* Is anybody interested? Cheap; lets emitters spare themselves the work. */
gboolean event_wanted(EventRegistry *registry, EventKind kind, int event_id);
void event_emit(EventRegistry *registry, const EventSubject *subject, EventSender sender,
                gconstpointer event);
/* For re-sync functions: to this one subscription, if it still exists. FALSE: lost again. */
gboolean event_send_to(EventRegistry *registry, const EventSubscription *subscription, EventSender sender,
                       gconstpointer event);
