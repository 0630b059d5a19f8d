/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every handler reaches by call_driver(call): the parts of one running virtkited. Made by daemon.c before
 * the first client is let in and freed after the last one is gone; the pointers never change in between, each
 * part guards itself.
 */
#pragma once

#include <glib.h>

#include "driver/daemon_config.h"
#include "driver/paths.h"

typedef struct Host Host;                     /* driver/host/host.h */
typedef struct QemuCapsCache QemuCapsCache;   /* driver/host/qemu_caps.h */
typedef struct DomainList DomainList;         /* driver/domain/domain_list.h */
typedef struct EventRegistry EventRegistry;   /* driver/domain/events.h: subscriptions of all kinds */
typedef struct Storage Storage;               /* storage/pool.h: pools and their volumes */
typedef struct BackendConfig BackendConfig;   /* driver/backend/backend.h */

/* Data of a client: the URI that it opened ("qemu:///system"). */
#define CLIENT_URI_KEY "uri"

typedef struct Driver {
    const DaemonConfig *config;
    const Paths *paths;
    Host *host;
    QemuCapsCache *qemu_caps;
    DomainList *domains;
    EventRegistry *events;
    Storage *storage;
    const BackendConfig *backend_config;
    GMainContext *vm_context; /* the VM thread's: QMP, agents, pidfds, consoles */
    gint holds;               /* atomic: see driver_hold() */
} Driver;

/* What the daemon's life depends on besides its clients: it may leave by --timeout only when no VM runs. The domain
 * layer calls these when a VM starts and when it is gone. Any thread; driver may be NULL in tests. */
static inline void driver_hold(Driver *driver)
{
    if (driver != NULL)
        g_atomic_int_inc(&driver->holds);
}

static inline void driver_release(Driver *driver)
{
    if (driver != NULL)
        g_atomic_int_add(&driver->holds, -1);
}
