/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RPC handlers by which clients subscribe to domain events and to the monitor's (qemu program). */
#include "driver/domain/domain_events.h"
#include "driver/driver.h"
#include "driver/rpc/call.h"

static EventRegistry *events_of(Call *call)
{
    Driver *driver = call_driver(call);

    return driver->events;
}

/* --- without a callback id ------------------------------------------------------------------------------ */

static gboolean check_legacy(gint32 id, GError **error)
{
    return (id >= 0 && id <= VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED) ||
           error_set(error, VIR_ERR_INTERNAL_ERROR, "unsupported event ID %d", id);
}

static gboolean subscribe_legacy(Call *call, gint32 id, GError **error)
{
    const EventRequest request = {.kind = EVENT_KIND_DOMAIN, .style = EVENT_STYLE_LEGACY, .event_id = id};

    return check_legacy(id, error) &&
           event_subscribe(events_of(call), call_client(call), &request, NULL, error);
}

static gboolean unsubscribe_legacy(Call *call, gint32 id, GError **error)
{
    return check_legacy(id, error) &&
           event_unsubscribe_legacy(events_of(call), call_client(call), EVENT_KIND_DOMAIN, id, error);
}

gboolean call_connect_domain_event_register(Call *call, const ConnectDomainEventRegisterArgs *args,
                                            ConnectDomainEventRegisterRet *ret, GError **error)
{
    return subscribe_legacy(call, VIR_DOMAIN_EVENT_ID_LIFECYCLE, error);
}

gboolean call_connect_domain_event_deregister(Call *call, const ConnectDomainEventDeregisterArgs *args,
                                              ConnectDomainEventDeregisterRet *ret, GError **error)
{
    return unsubscribe_legacy(call, VIR_DOMAIN_EVENT_ID_LIFECYCLE, error);
}

gboolean call_connect_domain_event_register_any(Call *call, const ConnectDomainEventRegisterAnyArgs *args,
                                                ConnectDomainEventRegisterAnyRet *ret, GError **error)
{
    return subscribe_legacy(call, args->eventID, error);
}

gboolean call_connect_domain_event_deregister_any(Call *call, const ConnectDomainEventDeregisterAnyArgs *args,
                                                  ConnectDomainEventDeregisterAnyRet *ret, GError **error)
{
    return unsubscribe_legacy(call, args->eventID, error);
}

/* --- with one ------------------------------------------------------------------------------------------- */

gboolean
call_connect_domain_event_callback_register_any(Call *call,
                                                const ConnectDomainEventCallbackRegisterAnyArgs *args,
                                                ConnectDomainEventCallbackRegisterAnyRet *ret, GError **error)
{
    const EventRequest request = {.kind = EVENT_KIND_DOMAIN,
                                  .style = EVENT_STYLE_CALLBACK,
                                  .event_id = args->eventID,
                                  .uuid = args->dom != NULL ? args->dom->uuid : NULL};

    if (args->eventID < 0 || args->eventID >= DOMAIN_EVENT_IDS)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "unsupported event ID %d", args->eventID);
    return event_subscribe(events_of(call), call_client(call), &request, &ret->callbackID, error);
}

gboolean call_connect_domain_event_callback_deregister_any(
    Call *call, const ConnectDomainEventCallbackDeregisterAnyArgs *args,
    ConnectDomainEventCallbackDeregisterAnyRet *ret, GError **error)
{
    return event_unsubscribe(events_of(call), call_client(call), EVENT_KIND_DOMAIN, args->callbackID, error);
}

/* --- monitor events ------------------------------------------------------------------------------------- */

/* virConnectDomainQemuMonitorEventRegisterFlags (libvirt-qemu.h, whose library we do not link). */
enum { MONITOR_EVENT_REGEX = 1 << 0, MONITOR_EVENT_NOCASE = 1 << 1 };

gboolean
call_qemu_connect_domain_monitor_event_register(Call *call,
                                                const QemuConnectDomainMonitorEventRegisterArgs *args,
                                                QemuConnectDomainMonitorEventRegisterRet *ret, GError **error)
{
    const EventRequest request = {.kind = EVENT_KIND_MONITOR,
                                  .style = EVENT_STYLE_CALLBACK,
                                  .uuid = args->dom != NULL ? args->dom->uuid : NULL,
                                  .pattern = args->event,
                                  .pattern_is_regex = (args->flags & MONITOR_EVENT_REGEX) != 0,
                                  .ignore_case = (args->flags & MONITOR_EVENT_NOCASE) != 0};

    if (!call_check_flags(call, args->flags, MONITOR_EVENT_REGEX | MONITOR_EVENT_NOCASE, error))
        return FALSE;
    return event_subscribe(events_of(call), call_client(call), &request, &ret->callbackID, error);
}

gboolean call_qemu_connect_domain_monitor_event_deregister(
    Call *call, const QemuConnectDomainMonitorEventDeregisterArgs *args,
    QemuConnectDomainMonitorEventDeregisterRet *ret, GError **error)
{
    return event_unsubscribe(events_of(call), call_client(call), EVENT_KIND_MONITOR, args->callbackID, error);
}
