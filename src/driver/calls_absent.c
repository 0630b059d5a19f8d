/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared parts of the calls about objects that this daemon keeps none of. */
#include "driver/calls_absent.h"

#include "driver/driver.h"

const char *absent_uuid_text(const guint8 uuid[16], char text[37])
{
    static const char digits[] = "0123456789abcdef";
    char *p = text;

    for (guint i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = digits[uuid[i] >> 4];
        *p++ = digits[uuid[i] & 15];
    }
    *p = '\0';
    return text;
}

gboolean absent_subscribe(Call *call, EventKind kind, int event_id, int last_id, const guint8 *uuid, const char *name,
                          int *ret_callback_id, GError **error)
{
    Driver *driver = call_driver(call);
    EventRequest request = {
        .kind = kind, .style = EVENT_STYLE_CALLBACK, .event_id = event_id, .uuid = uuid, .name = name};

    if (event_id < 0 || event_id > last_id)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "unsupported event ID %d", event_id);
    return event_subscribe(driver->events, call_client(call), &request, ret_callback_id, error);
}

gboolean absent_unsubscribe(Call *call, EventKind kind, int callback_id, GError **error)
{
    Driver *driver = call_driver(call);

    return event_unsubscribe(driver->events, call_client(call), kind, callback_id, error);
}
