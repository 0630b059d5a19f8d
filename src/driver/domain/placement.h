/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a VM's process runs on the host, and with how much of it: its control group, CPUs, NUMA nodes, scheduler,
 * performance counters. Order at a start:
 *
 *   placement_new()        what the definition asks for can be had at all
 *   the process exists     group made, limits written, counters opened, process moved into it: before its program
 *                          begins if its first moments matter (limits of memory, allocation in advance, nodes, pins,
 *                          counters), else beside its own start-up, for the kernel takes some milliseconds to move a
 *                          process
 *   placement_finish()     the guest stands ready: the process has its place; groups of vCPUs and iothreads
 *   cont                   vCPUs without limits of their own are moved into their groups soon afterwards (v1; in v2 when
 *                          the first limit of a thread comes, placement_divide())
 *
 * placement_end() removes all of it. The run folder's "cgroup" tells a later daemon what there is.
 */
#pragma once

#include "driver/backend/backend.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain.h"
#include "driver/host/cgroup.h"
#include "driver/host/perf_events.h"

typedef struct Placement Placement;

/* id: the number that the domain gets. NULL with *error. live is borrowed until finish or abandon. */
Placement *placement_new(Domain *dom, DomainDef *live, int id, const char *run_folder, GError **error);
/* What the back end must know. */
void placement_options(Placement *placement, VmStartOptions *options);
/* The process exists. Start thread. */
void placement_spawned(Placement *placement, pid_t pid);
/* TRUE: placement is gone, and the caller gets the group and the counters (either may be NULL). FALSE: the process must
 * be ended, then placement_abandon(). */
gboolean placement_finish(Placement *placement, const VmLiveInfo *info, Cgroup **ret_cgroup, PerfEvents **ret_perf,
                          GError **error);
/* The start came to nothing and its process has ended: as if it had never been. NULL is allowed. */
void placement_abandon(Placement *placement);

/* The run has ended, or was over when the daemon came: cgroup may be NULL. */
void placement_end(Cgroup *cgroup);
/* What an earlier daemon has noted in the run folder; NULL: nothing, or it is gone. */
Cgroup *placement_find(Driver *driver, const char *run_folder);
/* A VM that was found again: its counters count anew. State lock held, or nobody else knows live. */
PerfEvents *placement_restart_perf(DomainDef *live, pid_t pid);

/* --- later; modify lock held --------------------------------------------------------------------------- */

/* The group of a running domain, a new reference; NULL: it has none. Takes the state lock. */
Cgroup *domain_cgroup(Domain *dom);
PerfEvents *domain_perf(Domain *dom);

/* Programs that serve the disks of a running VM have come to be, as its run folder tells: into its group. What cannot be
 * put there is said in the log: the guest runs all the same. */
void placement_add_servers(Domain *dom, const char *run_folder);

/* A vCPU or iothread has come to be in a running VM: its group, CPUs, limits, scheduler. */
gboolean placement_add_vcpu(Domain *dom, const DomainDef *live, guint index, pid_t tid, GError **error);
gboolean placement_add_iothread(Domain *dom, const DomainDef *live, const IothreadDef *thread, GError **error);
/* It has gone. kind: "vcpu", "iothread". */
void placement_remove_thread(Domain *dom, const char *kind, guint id);

/* Before a thread gets a limit by its group: threads have groups of their own from here on. TRUE as well where the VM
 * has no group. Blocks for some 10 ms a thread the first time. */
gboolean placement_divide(Domain *dom, const DomainDef *live, GError **error);

/* Devices of the host that the VM may open: those of live, and of extra if it is not NULL. */
gboolean placement_allow_devices(Domain *dom, const DomainDef *live, DeviceKind kind, const DeviceInfo *extra,
                                 GError **error);

/* sched_setaffinity(2) with libvirt's words; cpus NULL: all that there are. */
gboolean placement_set_affinity(pid_t tid, const Bitmap *cpus, GError **error);
/* VIR_ERR_CONFIG_UNSUPPORTED when the host has not all of these nodes. */
gboolean placement_check_nodes(Driver *driver, const Bitmap *nodes, GError **error);
