/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control group of one VM, in every hierarchy: cgroup v1, v2, or both at once (cgroups(7)). Where it lies and
 * what its parts are called is libvirt's: below the partition ("/machine" without systemd, a slice with it), and in it a
 * group for the emulator and one for each vCPU and iothread.
 *
 *   without systemd   /machine/kite-3-web.libvirt-kite                        limits and processes
 *   with systemd      /machine.slice/machine-kite\x2d3\x2dweb.scope           shares and weights, which are systemd's
 *                     /machine.slice/machine-kite\x2d3\x2dweb.scope/libvirt   everything else
 *   threads           .../emulator  .../vcpu0  .../iothread1                  cpu, cpuacct and cpuset only
 *
 * In v2 the groups of threads are threaded ones, and they come when the first limit of a thread asks for them
 * (cgroup_is_divided()): each thread that is moved costs the whole host a halt of its forks for a grace period of RCU.
 * In v1 they are there from the start, because clients count by them (virDomainGetCPUStats).
 *
 * What a Cgroup says never changes after it was made, except the device rules, which guard themselves. Any thread.
 * Errors are libvirt's: VIR_ERR_SYSTEM_ERROR "Unable to write to 'FILE'", "Invalid value 'X' for 'FILE'".
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "common/bitmap.h"

typedef enum {
    CGROUP_CPU,
    CGROUP_CPUACCT,
    CGROUP_CPUSET,
    CGROUP_MEMORY,
    CGROUP_DEVICES,
    CGROUP_FREEZER,
    CGROUP_BLKIO,
    CGROUP_NET_CLS,
    CGROUP_PERF_EVENT,
    CGROUP_LAST
} CgroupController;

#define CGROUP_BIT(controller) (1u << (controller))
#define CGROUP_ALL (CGROUP_BIT(CGROUP_LAST) - 1)

/* libvirt's name, as in virtkited.conf: "cpu", "blkio", ... -1 for one that is not known. */
int cgroup_controller_from_string(const char *name);

typedef struct Cgroup Cgroup;

Cgroup *cgroup_ref(Cgroup *group); /* NULL gives NULL, here and below */
void cgroup_unref(Cgroup *group);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Cgroup, cgroup_unref)

/* --- making, finding again, removing ------------------------------------------------------------------ */

typedef struct CgroupMachine {
    const char *root; /* "": the real /proc and /sys; tests have a tree of their own */
    const char *name; /* of the domain */
    int id;
    guint8 uuid[16];
    const char *partition; /* <resource><partition>; NULL: "/machine", which is made when it is not there */
    guint controllers; /* CGROUP_BIT()s that may be used */
    gboolean divided; /* threads get groups of their own at once, in v2 too */
    pid_t pid; /* the VM's process, which must exist already: systemd makes no scope without one */
    /* Told the record (cgroup_open()) before anything is made, so that whoever is killed leaves a trace. May be NULL. */
    void (*announce)(const char *record, gpointer opaque);
    gpointer opaque;
} CgroupMachine;

/* Makes the group, and its emulator's where it is divided. TRUE and *ret NULL where there are no cgroups or none that we
 * may write: no VM needs them. FALSE: there are, and it did not work; nothing is left. */
gboolean cgroup_make(const CgroupMachine *machine, Cgroup **ret, GError **error);
/* Puts the process, with all the threads it has, into the group, as its emulator where it is divided. */
gboolean cgroup_attach(Cgroup *group, pid_t pid, GError **error);
/* A group by its record. NULL when it is there no more or none is mounted. controllers as above. */
Cgroup *cgroup_open(const char *root, const char *record, guint controllers);
char *cgroup_record(const Cgroup *group); /* caller frees */
/* Whether the process is in it: pids are used again. */
gboolean cgroup_holds(const Cgroup *group, pid_t pid);
/* Removes all of it, ending processes that are still there. FALSE (and logged) when that took longer than a second. */
gboolean cgroup_remove(Cgroup *group);

gboolean cgroup_has(const Cgroup *group, CgroupController controller);
const char *cgroup_path(const Cgroup *group); /* below the mount points: for people */

/* --- threads ------------------------------------------------------------------------------------------- */

/* Whether threads have groups of their own. FALSE for NULL. */
gboolean cgroup_is_divided(const Cgroup *group);

/* Name of a thread's group; NULL everywhere below means the VM's own group. */
typedef char CgroupThread[32];
const char *cgroup_thread(CgroupThread name, const char *kind, guint id); /* "vcpu", 3; "iothread", 1 */
#define CGROUP_EMULATOR "emulator"

/* Made if it is not there. Nothing to do when none of the three controllers is there. */
gboolean cgroup_thread_make(Cgroup *group, const char *thread, GError **error);
void cgroup_thread_remove(Cgroup *group, const char *thread);
gboolean cgroup_thread_attach(Cgroup *group, const char *thread, pid_t tid, GError **error);

/* --- limits -------------------------------------------------------------------------------------------- */

#define CGROUP_SHARES_MIN 2
#define CGROUP_SHARES_MAX 262144
#define CGROUP_PERIOD_MIN 1000
#define CGROUP_PERIOD_MAX 1000000
#define CGROUP_QUOTA_MIN 1000
#define CGROUP_QUOTA_MAX G_GINT64_CONSTANT(17592186044415)
#define CGROUP_MEMORY_UNLIMITED (G_MAXINT64 >> 10) /* KiB */

gboolean cgroup_set_shares(Cgroup *group, guint64 shares, GError **error);
gboolean cgroup_get_shares(Cgroup *group, guint64 *ret, GError **error);
/* Whether the kernel limits processor time (CFS bandwidth). */
gboolean cgroup_has_bandwidth(Cgroup *group);
/* Microseconds; 0: leave as it is; quota -1: none. Both or none. */
gboolean cgroup_set_bandwidth(Cgroup *group, const char *thread, guint64 period, gint64 quota, GError **error);
/* A thread of a group that is not divided has the kernel's default: none. */
gboolean cgroup_get_bandwidth(Cgroup *group, const char *thread, guint64 *ret_period, gint64 *ret_quota, GError **error);

gboolean cgroup_set_cpus(Cgroup *group, const char *thread, const Bitmap *cpus, GError **error);
gboolean cgroup_set_mems(Cgroup *group, const char *thread, const char *nodes, GError **error);
char *cgroup_get_mems(Cgroup *group, const char *thread, GError **error); /* caller frees */
/* Memory moves with a change of nodes. v2 does so anyway. */
gboolean cgroup_set_memory_migrate(Cgroup *group, const char *thread, GError **error);

typedef enum { CGROUP_HARD_LIMIT, CGROUP_SOFT_LIMIT, CGROUP_SWAP_LIMIT } CgroupMemory;
/* KiB; CGROUP_MEMORY_UNLIMITED: none. */
gboolean cgroup_set_memory(Cgroup *group, CgroupMemory limit, guint64 kib, GError **error);
/* The swap limit of a kernel that does not count swap: unlimited. */
gboolean cgroup_get_memory(Cgroup *group, CgroupMemory limit, guint64 *ret_kib, GError **error);

gboolean cgroup_set_weight(Cgroup *group, guint weight, GError **error);
gboolean cgroup_get_weight(Cgroup *group, guint *ret, GError **error);

typedef enum {
    CGROUP_DEVICE_WEIGHT,
    CGROUP_READ_IOPS,
    CGROUP_WRITE_IOPS,
    CGROUP_READ_BYTES,
    CGROUP_WRITE_BYTES
} CgroupDeviceLimit;
/* Of one block device; 0: none. *value becomes what the kernel made of it. */
gboolean cgroup_set_device_limit(Cgroup *group, CgroupDeviceLimit limit, const char *path, guint64 *value,
                                 GError **error);

/* --- figures ------------------------------------------------------------------------------------------- */

typedef struct CgroupTimes {
    guint64 total, user, system; /* ns */
} CgroupTimes;
gboolean cgroup_cpu_times(Cgroup *group, CgroupTimes *ret, GError **error);
/* ns by host CPU number, in the order of the CPUs that the kernel may have (guint64). NULL with *error: v2 does not
 * count so. Caller unrefs. */
GArray *cgroup_cpu_times_each(Cgroup *group, const char *thread, GError **error);

/* --- devices ------------------------------------------------------------------------------------------- */

typedef struct CgroupDevice {
    char type; /* 'c', 'b' */
    guint major;
    int minor; /* -1: all */
    gboolean write; /* FALSE: reading only */
} CgroupDevice;

/* Appends the device at path; nothing for what is no device or not there. */
void cgroup_device_add(GArray *devices, const char *path, gboolean write);
/* What the VM may open, of all devices: exactly these. FALSE with VIR_ERR_SYSTEM_ERROR. A host that does not let us
 * (EPERM) is content. */
gboolean cgroup_set_devices(Cgroup *group, const GArray *devices, GError **error);
