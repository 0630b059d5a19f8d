/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domain events as wire messages. See domain_events.h.
 *
 * Ids 0 to 15 exist in both styles of subscription: the callback message is the legacy one behind a callback
 * id. Later ids have a callback message only. A sender builds the message for one subscription; strings are
 * borrowed from the caller, because sending encodes at once.
 */
#include "driver/domain/domain_events.h"

#include <string.h>

#include "driver/domain/domain_list.h"
#include "driver/driver.h"
#include "driver/rpc/rpc_types.h"

/* --- senders -------------------------------------------------------------------------------------------- */

#define SENDER_BOTH(wire, Wire)                                                                              \
    static gboolean post_##wire(const EventSubscription *to, gconstpointer event)                            \
    {                                                                                                        \
        const DomainEvent##Wire##Msg *msg = event;                                                           \
        DomainEventCallback##Wire##Msg callback;                                                             \
                                                                                                             \
        if (to->style == EVENT_STYLE_LEGACY)                                                                 \
            return send_domain_event_##wire(to->client, msg);                                                \
        memset(&callback, 0, sizeof(callback));                                                              \
        callback.callbackID = to->callback_id;                                                               \
        callback.msg = *msg;                                                                                 \
        return send_domain_event_callback_##wire(to->client, &callback);                                     \
    }

#define SENDER_CALLBACK(func, Msg, send)                                                                     \
    static gboolean func(const EventSubscription *to, gconstpointer event)                                   \
    {                                                                                                        \
        Msg msg = *(const Msg *)event;                                                                       \
                                                                                                             \
        msg.callbackID = to->callback_id;                                                                    \
        return send(to->client, &msg);                                                                       \
    }

SENDER_BOTH(lifecycle, Lifecycle)
SENDER_BOTH(reboot, Reboot)
SENDER_BOTH(rtc_change, RtcChange)
SENDER_BOTH(watchdog, Watchdog)
SENDER_BOTH(io_error, IoError)
SENDER_BOTH(io_error_reason, IoErrorReason)
SENDER_BOTH(graphics, Graphics)
SENDER_BOTH(control_error, ControlError)
SENDER_BOTH(block_job, BlockJob)
SENDER_BOTH(disk_change, DiskChange)
SENDER_BOTH(tray_change, TrayChange)
SENDER_BOTH(pmwakeup, Pmwakeup)
SENDER_BOTH(pmsuspend, Pmsuspend)
SENDER_BOTH(pmsuspend_disk, PmsuspendDisk)
SENDER_BOTH(balloon_change, BalloonChange)
SENDER_BOTH(device_removed, DeviceRemoved)

SENDER_CALLBACK(post_block_job_2, DomainEventBlockJob2Msg, send_domain_event_block_job_2)
SENDER_CALLBACK(post_tunable, DomainEventCallbackTunableMsg, send_domain_event_callback_tunable)
SENDER_CALLBACK(post_agent, DomainEventCallbackAgentLifecycleMsg, send_domain_event_callback_agent_lifecycle)
SENDER_CALLBACK(post_device_added, DomainEventCallbackDeviceAddedMsg, send_domain_event_callback_device_added)
SENDER_CALLBACK(post_iteration, DomainEventCallbackMigrationIterationMsg,
                send_domain_event_callback_migration_iteration)
SENDER_CALLBACK(post_job_completed, DomainEventCallbackJobCompletedMsg,
                send_domain_event_callback_job_completed)
SENDER_CALLBACK(post_removal_failed, DomainEventCallbackDeviceRemovalFailedMsg,
                send_domain_event_callback_device_removal_failed)
SENDER_CALLBACK(post_metadata, DomainEventCallbackMetadataChangeMsg,
                send_domain_event_callback_metadata_change)
SENDER_CALLBACK(post_threshold, DomainEventBlockThresholdMsg, send_domain_event_block_threshold)
SENDER_CALLBACK(post_memory_failure, DomainEventMemoryFailureMsg, send_domain_event_memory_failure)
SENDER_CALLBACK(post_memory_size, DomainEventMemoryDeviceSizeChangeMsg,
                send_domain_event_memory_device_size_change)
SENDER_CALLBACK(post_monitor, QemuDomainMonitorEventMsg, send_qemu_domain_monitor_event)

/* --- emitting ------------------------------------------------------------------------------------------- */

static EventRegistry *registry_of(const Domain *dom)
{
    return dom->driver != NULL ? dom->driver->events : NULL;
}

static gboolean wanted(const Domain *dom, int event_id)
{
    lock_assert_held(&dom->lock);
    return event_wanted(registry_of(dom), EVENT_KIND_DOMAIN, event_id);
}

static void emit(const Domain *dom, int event_id, EventSender sender, gconstpointer msg)
{
    const EventSubject subject = {.kind = EVENT_KIND_DOMAIN, .event_id = event_id, .uuid = dom->uuid};

    event_emit(registry_of(dom), &subject, sender, msg);
}

static WireDomain wire_of(const Domain *dom)
{
    WireDomain wire = {.name = dom->name, .id = dom->id};

    memcpy(wire.uuid, dom->uuid, sizeof(wire.uuid));
    return wire;
}

/* Wire strings that are not optional, from values that may be missing. */
static char *text(const char *value)
{
    return (char *)(value != NULL ? value : "");
}

#define EMIT(id, sender, Msg, ...)                                                                           \
    do {                                                                                                     \
        if (wanted(dom, (id))) {                                                                             \
            const Msg msg_ = {.dom = wire_of(dom), ##__VA_ARGS__};                                           \
            emit(dom, (id), (sender), &msg_);                                                                \
        }                                                                                                    \
    } while (0)

void domain_event_lifecycle(Domain *dom, int event, int detail)
{
    EMIT(VIR_DOMAIN_EVENT_ID_LIFECYCLE, post_lifecycle, DomainEventLifecycleMsg, .event = event,
         .detail = detail);
}

void domain_event_lifecycle_named(Domain *dom, const char *name, int event, int detail)
{
    DomainEventLifecycleMsg msg = {.dom = wire_of(dom), .event = event, .detail = detail};

    msg.dom.name = (char *)name;
    if (wanted(dom, VIR_DOMAIN_EVENT_ID_LIFECYCLE))
        emit(dom, VIR_DOMAIN_EVENT_ID_LIFECYCLE, post_lifecycle, &msg);
}

void domain_event_reboot(Domain *dom)
{
    EMIT(VIR_DOMAIN_EVENT_ID_REBOOT, post_reboot, DomainEventRebootMsg);
}

void domain_event_rtc_change(Domain *dom, gint64 offset)
{
    EMIT(VIR_DOMAIN_EVENT_ID_RTC_CHANGE, post_rtc_change, DomainEventRtcChangeMsg, .offset = offset);
}

void domain_event_watchdog(Domain *dom, int action)
{
    EMIT(VIR_DOMAIN_EVENT_ID_WATCHDOG, post_watchdog, DomainEventWatchdogMsg, .action = action);
}

void domain_event_io_error(Domain *dom, const char *path, const char *alias, int action, const char *reason)
{
    EMIT(VIR_DOMAIN_EVENT_ID_IO_ERROR, post_io_error, DomainEventIoErrorMsg, .srcPath = text(path),
         .devAlias = text(alias), .action = action);
    EMIT(VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, post_io_error_reason, DomainEventIoErrorReasonMsg,
         .srcPath = text(path), .devAlias = text(alias), .action = action, .reason = text(reason));
}

void domain_event_graphics(Domain *dom, int phase, const GraphicsPeer *local, const GraphicsPeer *remote,
                           const char *auth_scheme, const char *x509_name, const char *sasl_user)
{
    WireDomainEventGraphicsIdentity subject[2];
    guint n = 0;

    if (x509_name != NULL)
        subject[n++] =
            (WireDomainEventGraphicsIdentity){.type = (char *)"x509dname", .name = (char *)x509_name};
    if (sasl_user != NULL)
        subject[n++] =
            (WireDomainEventGraphicsIdentity){.type = (char *)"saslUsername", .name = (char *)sasl_user};
    EMIT(VIR_DOMAIN_EVENT_ID_GRAPHICS, post_graphics, DomainEventGraphicsMsg, .phase = phase,
         .local = {.family = local->family, .node = text(local->node), .service = text(local->service)},
         .remote = {.family = remote->family, .node = text(remote->node), .service = text(remote->service)},
         .authScheme = text(auth_scheme), .subject = n > 0 ? subject : NULL, .subject_len = n);
}

void domain_event_control_error(Domain *dom)
{
    EMIT(VIR_DOMAIN_EVENT_ID_CONTROL_ERROR, post_control_error, DomainEventControlErrorMsg);
}

void domain_event_block_job(Domain *dom, const char *path, const char *target, int type, int status)
{
    EMIT(VIR_DOMAIN_EVENT_ID_BLOCK_JOB, post_block_job, DomainEventBlockJobMsg, .path = text(path),
         .type = type, .status = status);
    EMIT(VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, post_block_job_2, DomainEventBlockJob2Msg, .dst = text(target),
         .type = type, .status = status);
}

void domain_event_disk_change(Domain *dom, const char *old_path, const char *new_path, const char *alias,
                              int reason)
{
    EMIT(VIR_DOMAIN_EVENT_ID_DISK_CHANGE, post_disk_change, DomainEventDiskChangeMsg,
         .oldSrcPath = (char *)old_path, .newSrcPath = (char *)new_path, .devAlias = text(alias),
         .reason = reason);
}

void domain_event_tray_change(Domain *dom, const char *alias, int reason)
{
    EMIT(VIR_DOMAIN_EVENT_ID_TRAY_CHANGE, post_tray_change, DomainEventTrayChangeMsg, .devAlias = text(alias),
         .reason = reason);
}

void domain_event_pm_wakeup(Domain *dom)
{
    EMIT(VIR_DOMAIN_EVENT_ID_PMWAKEUP, post_pmwakeup, DomainEventPmwakeupMsg);
}

void domain_event_pm_suspend(Domain *dom)
{
    EMIT(VIR_DOMAIN_EVENT_ID_PMSUSPEND, post_pmsuspend, DomainEventPmsuspendMsg);
}

void domain_event_pm_suspend_disk(Domain *dom)
{
    EMIT(VIR_DOMAIN_EVENT_ID_PMSUSPEND_DISK, post_pmsuspend_disk, DomainEventPmsuspendDiskMsg);
}

void domain_event_balloon_change(Domain *dom, guint64 actual_kib)
{
    EMIT(VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, post_balloon_change, DomainEventBalloonChangeMsg,
         .actual = actual_kib);
}

void domain_event_device_added(Domain *dom, const char *alias)
{
    EMIT(VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, post_device_added, DomainEventCallbackDeviceAddedMsg,
         .devAlias = text(alias));
}

void domain_event_device_removed(Domain *dom, const char *alias)
{
    EMIT(VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, post_device_removed, DomainEventDeviceRemovedMsg,
         .devAlias = text(alias));
}

void domain_event_device_removal_failed(Domain *dom, const char *alias)
{
    EMIT(VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, post_removal_failed,
         DomainEventCallbackDeviceRemovalFailedMsg, .devAlias = text(alias));
}

void domain_event_tunable(Domain *dom, WireTypedParam *params, guint n)
{
    EMIT(VIR_DOMAIN_EVENT_ID_TUNABLE, post_tunable, DomainEventCallbackTunableMsg, .params = params,
         .params_len = n);
}

void domain_event_agent_lifecycle(Domain *dom, int state, int reason)
{
    EMIT(VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, post_agent, DomainEventCallbackAgentLifecycleMsg,
         .state = state, .reason = reason);
}

void domain_event_migration_iteration(Domain *dom, int iteration)
{
    EMIT(VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, post_iteration, DomainEventCallbackMigrationIterationMsg,
         .iteration = iteration);
}

void domain_event_job_completed(Domain *dom, WireTypedParam *params, guint n)
{
    EMIT(VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, post_job_completed, DomainEventCallbackJobCompletedMsg,
         .params = params, .params_len = n);
}

void domain_event_metadata_change(Domain *dom, int type, const char *uri)
{
    EMIT(VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, post_metadata, DomainEventCallbackMetadataChangeMsg,
         .type = type, .nsuri = (char *)uri);
}

void domain_event_block_threshold(Domain *dom, const char *target, const char *path, guint64 threshold,
                                  guint64 excess)
{
    EMIT(VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD, post_threshold, DomainEventBlockThresholdMsg,
         .dev = text(target), .path = (char *)path, .threshold = threshold, .excess = excess);
}

void domain_event_memory_failure(Domain *dom, int recipient, int action, guint flags)
{
    EMIT(VIR_DOMAIN_EVENT_ID_MEMORY_FAILURE, post_memory_failure, DomainEventMemoryFailureMsg,
         .recipient = recipient, .action = action, .flags = flags);
}

void domain_event_memory_device_size_change(Domain *dom, const char *alias, guint64 size_kib)
{
    EMIT(VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE, post_memory_size,
         DomainEventMemoryDeviceSizeChangeMsg, .alias = text(alias), .size = size_kib);
}

gboolean domain_event_monitor_wanted(Domain *dom)
{
    return event_wanted(registry_of(dom), EVENT_KIND_MONITOR, 0);
}

void domain_event_monitor(Domain *dom, const char *name, gint64 seconds, guint32 microseconds,
                          const char *details)
{
    const EventSubject subject = {.kind = EVENT_KIND_MONITOR, .event_id = 0, .uuid = dom->uuid, .name = name};
    const QemuDomainMonitorEventMsg msg = {.dom = wire_of(dom),
                                           .event = text(name),
                                           .seconds = seconds,
                                           .micros = microseconds,
                                           .details = (char *)details};

    lock_assert_held(&dom->lock);
    event_emit(registry_of(dom), &subject, post_monitor, &msg);
}

/* --- after a loss --------------------------------------------------------------------------------------- */

/* The event that a state would have been announced with. */
static void describe_state(const Domain *dom, DomainEventLifecycleMsg *msg)
{
    static const struct {
        int state, event, detail;
    } table[] = {
        {VIR_DOMAIN_RUNNING, VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_UNPAUSED},
        {VIR_DOMAIN_PAUSED, VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_PAUSED},
        {VIR_DOMAIN_SHUTDOWN, VIR_DOMAIN_EVENT_SHUTDOWN, VIR_DOMAIN_EVENT_SHUTDOWN_FINISHED},
        {VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN},
        {VIR_DOMAIN_CRASHED, VIR_DOMAIN_EVENT_CRASHED, VIR_DOMAIN_EVENT_CRASHED_PANICKED},
        {VIR_DOMAIN_PMSUSPENDED, VIR_DOMAIN_EVENT_PMSUSPENDED, VIR_DOMAIN_EVENT_PMSUSPENDED_MEMORY},
    };

    msg->dom = wire_of(dom);
    msg->event = VIR_DOMAIN_EVENT_DEFINED;
    msg->detail = VIR_DOMAIN_EVENT_DEFINED_UPDATED;
    for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
        if (table[i].state == dom->state) {
            msg->event = table[i].event;
            msg->detail = table[i].detail;
        }
    }
}

void domain_events_resync(const EventSubscription *subscription, gpointer domain_list)
{
    g_autoptr(GPtrArray) all = NULL;

    if (subscription->event_id != VIR_DOMAIN_EVENT_ID_LIFECYCLE)
        return;
    all = domain_list_all(domain_list);
    for (guint i = 0; i < all->len; i++) {
        Domain *dom = g_ptr_array_index(all, i);
        DomainEventLifecycleMsg msg = {0};
        gboolean sent = TRUE;

        if (subscription->has_uuid && memcmp(subscription->uuid, dom->uuid, sizeof(dom->uuid)) != 0)
            continue;
        lock_acquire(&dom->lock);
        describe_state(dom, &msg);
        sent = event_send_to(registry_of(dom), subscription, post_lifecycle, &msg);
        lock_release(&dom->lock);
        if (!sent)
            return; /* lost again: there will be another re-sync */
    }
}
