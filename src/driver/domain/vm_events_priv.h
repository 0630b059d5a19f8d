/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the handlers of a VM's events share: vm_events.c (the VM's life, trouble, the table of all) and vm_events_device.c.
 * They run on the VM thread with the state lock held.
 */
#pragma once

#include <jansson.h>
#include <string.h>

#include "driver/backend/backend.h"
#include "driver/domain/domain_private.h"

typedef struct VmEvent {
    Domain *dom;
    VmProcess *vm;
    json_t *data; /* may be NULL: every json_*() is content with that */
} VmEvent;

static inline const char *vm_event_string(const VmEvent *event, const char *key)
{
    return json_string_value(json_object_get(event->data, key));
}

static inline gboolean vm_event_flag(const VmEvent *event, const char *key)
{
    return json_is_true(json_object_get(event->data, key));
}

static inline guint64 vm_event_number(const VmEvent *event, const char *key)
{
    return (guint64)json_integer_value(json_object_get(event->data, key));
}

/* Index of a word in a NULL-terminated list, or fallback. */
static inline int vm_event_word(const char *word, const char *const *words, int fallback)
{
    for (int i = 0; word != NULL && words[i] != NULL; i++) {
        if (strcmp(word, words[i]) == 0)
            return i;
    }
    return fallback;
}

/* The VM has stopped itself: reason is the state's, detail the event's. */
void vm_event_paused(Domain *dom, int reason, int detail);

/* vm_events_device.c */
void vm_event_on_io_error(const VmEvent *event);
void vm_event_on_tray(const VmEvent *event);
void vm_event_on_rtc_change(const VmEvent *event);
void vm_event_on_balloon(const VmEvent *event);
void vm_event_on_memory_size(const VmEvent *event);
void vm_event_on_channel(const VmEvent *event);
void vm_event_on_threshold(const VmEvent *event);
void vm_event_on_device_deleted(const VmEvent *event);
void vm_event_on_unplug_error(const VmEvent *event);
void vm_event_on_acpi_ost(const VmEvent *event);
void vm_event_on_vnc_connected(const VmEvent *event);
void vm_event_on_vnc_initialized(const VmEvent *event);
void vm_event_on_vnc_disconnected(const VmEvent *event);
void vm_event_on_spice_connected(const VmEvent *event);
void vm_event_on_spice_initialized(const VmEvent *event);
void vm_event_on_spice_disconnected(const VmEvent *event);
