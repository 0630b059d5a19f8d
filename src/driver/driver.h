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
typedef struct DomainEvents DomainEvents;     /* driver/domain/: who wants which domain event */
typedef struct Backends Backends;             /* driver/backend/: the back ends and their shared state */
typedef struct OtherEvents OtherEvents;       /* driver/other_events.h: subscriptions of the other drivers */

typedef struct Driver {
    const DaemonConfig *config;
    const Paths *paths;
    Host *host;
    QemuCapsCache *qemu_caps;
    DomainList *domains;
    DomainEvents *domain_events;
    Backends *backends;
    OtherEvents *other_events;
    GMainContext *vm_context; /* the VM thread's: QMP, agents, pidfds, consoles */
} Driver;

/* What the daemon's life depends on besides its clients: it may leave by --timeout only when no VM runs. The
 * domain layer calls these when a VM starts and when it is gone. Any thread. */
void driver_hold(Driver *driver);
void driver_release(Driver *driver);
