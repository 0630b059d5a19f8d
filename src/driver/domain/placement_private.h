/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between placement*.c. */
#pragma once

#include "driver/domain/placement.h"

/* A thread of a VM and what it gets. */
typedef struct ThreadPlace {
    CgroupThread name;
    pid_t tid;
    const Bitmap *cpus; /* borrowed; NULL: as the thread that made it has */
    gboolean all_cpus; /* that one is pinned, this one is not: all of them again */
    guint64 period;
    gint64 quota;
    const SchedDef *sched; /* NULL: as it is */
    char *mems; /* NULL: as the VM's */
} ThreadPlace;

/* CPUs of a thread without a pin of its own: those of <vcpu cpuset>; NULL: all. */
const Bitmap *placement_default_cpus(const DomainDef *def);
/* <numatune> of the whole VM when it binds memory by cpuset ("0-1"), else NULL. Caller frees. */
char *placement_mems(const DomainDef *def);
gboolean placement_has_limits(const ThreadPlace *place);
/* Whether a thread of it has limits of its own. */
gboolean placement_divides(const DomainDef *def);
/* Group, limits, CPUs, scheduler. later: the thread is not moved yet, placement_move() does that. */
gboolean placement_set_thread(Cgroup *cgroup, const ThreadPlace *place, gboolean later, GError **error);
/* The places of all online vCPUs and iothreads of a VM: ThreadPlace; *error when a pin cannot be kept. Caller unrefs. */
GArray *placement_threads(const DomainDef *live, const VmLiveInfo *info, GError **error);
/* Later, on a worker: into their groups. */
void placement_move_later(Domain *dom, Cgroup *cgroup, GArray *places);

/* Appends CgroupDevice of all that the definition opens; acl: the configured basic ones, NULL: libvirt's. */
void placement_collect_devices(GArray *devices, const DomainDef *def, char **acl);
void placement_collect_device(GArray *devices, DeviceKind kind, const DeviceInfo *device);
