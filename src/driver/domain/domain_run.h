/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From shut off to running and back.
 *
 *   off ── domain_start ──> paused (starting up) ── cont ──> running <──> paused, pmsuspended, crashed
 *    ^                                                          │
 *    │                                                    guest powers off: SHUTDOWN
 *    └── domain_finish_run <── process is gone <── SIGTERM, SIGKILL ──┘ <── domain_destroy
 *
 * Ending a run (domain_finish_run) takes the state lock only, is done by whoever comes first, and is safe
 * to be called by all: the one who destroys, the one who hears of the exit, the start that failed.
 */
#pragma once

#include "driver/conf/def_disk.h"
#include "driver/domain/domain.h"

typedef struct VmCallbacks VmCallbacks;

typedef struct DomainStart {
    guint flags; /* VIR_DOMAIN_START_PAUSED, _AUTODESTROY, _RESET_NVRAM */
    Client *client; /* who is meant by AUTODESTROY */
    int started_detail; /* VIR_DOMAIN_EVENT_STARTED_* */
    int run_reason; /* VIR_DOMAIN_RUNNING_*; 0: BOOTED */
} DomainStart;

/* Starts a domain that is off. The modify lock is held. def: what to run (taken; a transient domain's), or
 * NULL: a copy of the persistent definition. Emits STARTED (and SUSPENDED). On failure the domain is off as
 * before, or what it was. */
gboolean domain_start(Domain *dom, DomainDef *def, const DomainStart *start, GError **error);

/* Ends a running (or starting) domain now. No lock is needed or waited for. shutoff_reason:
 * VIR_DOMAIN_SHUTOFF_*. graceful: SIGTERM only, SYSTEM_ERROR "Failed to terminate process ... with SIGTERM"
 * when that does not end it. Emits STOPPED. A transient domain is gone afterwards. */
gboolean domain_destroy(Domain *dom, int shutoff_reason, gboolean graceful, GError **error);

/* The VM of this run is gone: clean up, publish "shut off", emit STOPPED, forget a transient domain. Waits
 * for another thread that does it already. Worker threads. */
void domain_finish_run(Domain *dom, guint64 run);

/* After SHUTDOWN: SIGTERM, and SIGKILL to one that does not heed it in time. Worker thread; waits. */
void domain_end_process(Domain *dom, VmProcess *vm);

/* VIR_DOMAIN_EVENT_STOPPED_* that goes with VIR_DOMAIN_SHUTOFF_*. */
int domain_stopped_detail(int shutoff_reason);

/* cont / stop by QMP, and the state that follows. Modify lock held. */
gboolean domain_resume_guest(Domain *dom, VmProcess *vm, int running_reason, GError **error);
gboolean domain_pause_guest(Domain *dom, VmProcess *vm, int paused_reason, GError **error);
/* Resets a guest that has shut itself down (its CPUs stand) and lets it run again: reboot without a new
 * process. Takes the modify lock itself; on failure the VM is ended. */
void domain_fake_reboot(Domain *dom, VmProcess *vm, int running_reason);

/* Asks the VM for its run state and corrects ours, with events for what changed. Modify lock held. */
gboolean domain_refresh_state(Domain *dom, VmProcess *vm, GError **error);

/* disk_revive.c: looks for another server of every disk whose server is gone. Modify lock held; what fails is said in the
 * log. */
void domain_revive_disks(Domain *dom, VmProcess *vm);
/* A request of the disk failed: does so soon, on a worker. State lock held. */
void domain_disk_failed(Domain *dom, VmProcess *vm, const DiskDef *disk);

/* vm_events.c: what a VmProcess calls; opaque is the Domain (a reference, freed by domain_unref). */
extern const VmCallbacks domain_vm_callbacks;

/* Writes the guest's memory to data_dir/dump (on_crash and watchdog actions). Worker thread; takes the modify
 * lock. */
void domain_auto_dump(Domain *dom, VmProcess *vm);

/* The client is gone: ends the domains it had started to live no longer than itself. Worker thread. */
void domain_autodestroy(Driver *driver, Client *client);
