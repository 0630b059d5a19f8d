/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every domain event of libvirt's API, as one function each: builds the wire messages and hands them to
 * events.c.
 *
 * The state lock of the domain is held by the caller: so events leave in the order of the changes they tell
 * of. They only append to queues of clients and never block. Constants are libvirt's (VIR_DOMAIN_EVENT_...).
 */
#pragma once

#include "driver/domain/domain.h"
#include "driver/domain/events.h"
#include "driver/rpc/xdr.h"

/* How many event ids this daemon sends: VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE and all below. */
enum { DOMAIN_EVENT_IDS = VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE + 1 };

void domain_event_lifecycle(Domain *dom, int event, int detail);
/* Of a domain by an earlier name (rename). */
void domain_event_lifecycle_named(Domain *dom, const char *name, int event, int detail);
void domain_event_reboot(Domain *dom);
void domain_event_rtc_change(Domain *dom, gint64 offset);
void domain_event_watchdog(Domain *dom, int action);
/* Both events of an I/O error. reason: "enospc" or "". */
void domain_event_io_error(Domain *dom, const char *path, const char *alias, int action, const char *reason);
typedef struct GraphicsPeer {
    int family; /* VIR_DOMAIN_EVENT_GRAPHICS_ADDRESS_* */
    const char *node, *service;
} GraphicsPeer;
void domain_event_graphics(Domain *dom, int phase, const GraphicsPeer *local, const GraphicsPeer *remote,
                           const char *auth_scheme, const char *x509_name, const char *sasl_user);
void domain_event_control_error(Domain *dom);
/* BLOCK_JOB (by path) and BLOCK_JOB_2 (by target). */
void domain_event_block_job(Domain *dom, const char *path, const char *target, int type, int status);
void domain_event_disk_change(Domain *dom, const char *old_path, const char *new_path, const char *alias,
                              int reason);
void domain_event_tray_change(Domain *dom, const char *alias, int reason);
void domain_event_pm_wakeup(Domain *dom);
void domain_event_pm_suspend(Domain *dom);
void domain_event_pm_suspend_disk(Domain *dom);
void domain_event_balloon_change(Domain *dom, guint64 actual_kib);
void domain_event_device_added(Domain *dom, const char *alias);
void domain_event_device_removed(Domain *dom, const char *alias);
void domain_event_device_removal_failed(Domain *dom, const char *alias);
void domain_event_tunable(Domain *dom, WireTypedParam *params, guint n);
void domain_event_agent_lifecycle(Domain *dom, int state, int reason);
void domain_event_migration_iteration(Domain *dom, int iteration);
void domain_event_job_completed(Domain *dom, WireTypedParam *params, guint n);
/* type: VIR_DOMAIN_METADATA_*; uri for the element kind only. */
void domain_event_metadata_change(Domain *dom, int type, const char *uri);
void domain_event_block_threshold(Domain *dom, const char *target, const char *path, guint64 threshold,
                                  guint64 excess);
void domain_event_memory_failure(Domain *dom, int recipient, int action, guint flags);
void domain_event_memory_device_size_change(Domain *dom, const char *alias, guint64 size_kib);
/* Of the qemu program: every QMP event as it came. details: JSON text or NULL. */
void domain_event_monitor(Domain *dom, const char *name, gint64 seconds, guint32 microseconds,
                          const char *details);
gboolean domain_event_monitor_wanted(Domain *dom);

/* After lost events: tells the subscriber of lifecycle events the present state of each domain it subscribed
 * to. */
void domain_events_resync(const EventSubscription *subscription, gpointer domain_list);
