/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For calls about kinds of objects that this daemon keeps none of. Include after ERROR_FROM. All of them are inline
 * handlers: they touch memory only.
 */
#pragma once

#include <libvirt/libvirt.h>

#include "common/error.h"
#include "driver/domain/events.h"
#include "driver/rpc/call.h"

/* "No" and "none": numbers are 0 and lists empty, as ret comes in. */
#define EMPTY(name, Type)                                                                                    \
    gboolean call_##name(Call *call, const Type##Args *args, Type##Ret *ret, GError **error)                 \
    {                                                                                                        \
        return TRUE;                                                                                         \
    }

/* The same of a call with flags; known: those that libvirt has for it. */
#define EMPTY_FLAGS(name, Type, known)                                                                       \
    gboolean call_##name(Call *call, const Type##Args *args, Type##Ret *ret, GError **error)                 \
    {                                                                                                        \
        return call_check_flags(call, args->flags, known, error);                                            \
    }

/* The object that args name is not there. */
#define ABSENT(name, Type, number, ...)                                                                      \
    gboolean call_##name(Call *call, const Type##Args *args, Type##Ret *ret, GError **error)                 \
    {                                                                                                        \
        return error_set(error, number, __VA_ARGS__);                                                        \
    }

/* Text of a wire uuid for one statement. */
#define UUID(uuid) absent_uuid_text((uuid), (char[37]){0})
const char *absent_uuid_text(const guint8 uuid[16], char text[37]);

/* Subscriptions to events that never come: they get their ids, so that clients go on. VIR_ERR_INVALID_ARG for an event
 * beyond last_id. */
gboolean absent_subscribe(Call *call, EventKind kind, int event_id, int last_id, const guint8 *uuid, const char *name,
                          int *ret_callback_id, GError **error);
gboolean absent_unsubscribe(Call *call, EventKind kind, int callback_id, GError **error);
