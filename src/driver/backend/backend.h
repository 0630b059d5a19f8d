/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * BackendOps: what makes a VM process out of a definition: QEMU (backend_qemu.c) or our own VMM
 * (backend_vmm.c). After start each is a VmProcess with a QmpClient, and the code above is the same.
 *
 * Knows definitions and the host; no live domain object, no RPC.
 */
#pragma once

#include <glib.h>
#include <jansson.h>

#include "driver/backend/cpu_place.h"
#include "driver/backend/vm_process.h"
#include "driver/conf/def_disk.h"

typedef struct DomainDef DomainDef;
typedef struct DeviceInfo DeviceInfo;

typedef struct BackendConfig BackendConfig;
typedef struct QemuCapsCache QemuCapsCache;

/* The back ends' shared state: settings of the whole daemon, filled once before the first start and constant
 * afterwards, and the table of display ports that starts in progress have reserved (guards itself). Strings
 * are g_malloc'ed, freed by backend_config_free(). */
struct BackendConfig {
    GMainContext *context; /* the VM thread's */
    gboolean privileged; /* system daemon (may make taps) or session */
    uid_t user; /* user and group of VM processes; (uid_t)-1: as the daemon */
    gid_t group;
    guint vnc_port_min; /* 0: 5900 */
    guint vnc_port_max; /* 0: 65535 */
    guint websocket_port_min; /* 0: 5700 */
    guint websocket_port_max; /* 0: 65535 */
    char *vnc_listen; /* NULL: 127.0.0.1 */
    char *spice_listen;
    char *vnc_password; /* default for <graphics> without passwd, or NULL */
    char *hugetlbfs_mount; /* NULL: first one of /proc/mounts */
    char *memory_backing_dir; /* source type='file'; NULL: <lib_dir>/ram */
    char *bridge_helper; /* session mode; NULL: /usr/lib/qemu/qemu-bridge-helper */
    char *passt_path; /* NULL: found in PATH */
    gboolean seccomp_sandbox; /* -sandbox on when QEMU knows it */
    guint64 max_core; /* bytes; 0: no core dumps; G_MAXUINT64: unlimited */
    QemuCapsCache *qemu_caps; /* borrowed; NULL: no QEMU can be started */
    struct Host *cpu_host; /* borrowed; whose processor <cpu> is relative to; NULL: it is taken as it stands */
    char *default_emulator; /* for definitions without <emulator>; NULL: found by qemu_caps */
    struct PortTable *ports; /* port_table.h */
    struct IdTable *ids; /* id_table.h: of VMs that run kite-vmm, where no user is configured; NULL: none */
};

/* Defaults; user and group -1, sandbox on. context and qemu_caps are borrowed. */
BackendConfig *backend_config_new(GMainContext *context, QemuCapsCache *qemu_caps, gboolean privileged);
void backend_config_free(BackendConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BackendConfig, backend_config_free)

typedef struct VmStartOptions {
    const char *run_dir; /* of this domain: /run/kite/domains/NAME; exists, is ours */
    const char *lib_dir; /* of all domains: /var/lib/kite (nvram/, ram/) */
    const char *log_path; /* /var/log/kite/NAME.log; appended to, made if missing */
    const char *incoming; /* "defer", "fd:N", NULL: a fresh boot */
    int incoming_fd; /* with "fd:": descriptor to pass, else -1 */
    gboolean reset_nvram; /* make the nvram file anew from its template */
    guint timeout_ms; /* until the monitor answers; 0: 30000 */
    /* Called by backend_start() on its own thread as soon as the process exists, with callbacks' opaque: from then on
     * it can be killed (which makes it fail), and be noted down so that a daemon killed right now leaves
     * no orphan. May be NULL. */
    void (*spawned)(VmProcess *vm, gpointer opaque);
    /* As VmSpawn's fields of these names: what is put around the process before its program begins. */
    gboolean (*gate)(pid_t pid, gpointer opaque, GError **error);
    gpointer gate_opaque;
    gboolean own_memory;
    int memory_policy;
    const gulong *memory_nodes;
    gulong memory_nodes_max;
} VmStartOptions;

/* How a VM that runs already is found again; from the status file. */
typedef struct VmReconnectOptions {
    const char *run_dir;
    const char *log_path;
    pid_t pid;
    guint64 start_time;
    guint timeout_ms; /* for the monitor; 0: 10000 */
} VmReconnectOptions;

/* What a running VM says about itself, beside what goes into the live definition. */
typedef struct VmVcpuInfo {
    guint index; /* libvirt's vCPU number: order of query-hotpluggable-cpus */
    pid_t tid; /* host thread; 0 when the vCPU is offline or shares a thread (single-threaded TCG) */
    gboolean online;
    gboolean hotpluggable;
    char *alias; /* qdev id "vcpuN" when hot-plugged, else NULL */
    char *qom_path; /* "/machine/unattached/device[0]"; NULL when offline */
    char *qom_type; /* "host-x86_64-cpu" for device_add; may be NULL */
    CpuPlace place;
    guint order; /* in which they came to be, from 1; 0: offline */
} VmVcpuInfo;

typedef struct VmLiveInfo {
    gboolean running; /* guest CPUs run; FALSE: paused or other, see status */
    char *status; /* QMP RunState: "prelaunch", "paused", "running", "shutdown", "guest-panicked", ... */
    VmVcpuInfo *vcpus; /* n_vcpus, by index: all up to the maximum */
    guint n_vcpus;
    guint64 balloon_kib; /* memory the guest has now; 0: no balloon */
    gboolean kvm; /* accelerated */
    struct CpuDef *asked_cpu; /* what it was started with, where its processors differ from that; else NULL */
} VmLiveInfo;

void vm_live_info_free(VmLiveInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmLiveInfo, vm_live_info_free)

/* A process that was just made, and what was opened for it, which lives until the guest stands. */
typedef struct VmLaunch {
    pid_t pid;
    int pidfd;
    gint64 log_offset; /* where this run's own words begin */
    struct QemuHost *host; /* a part of owner, or owner itself */
    gpointer owner;
    GDestroyNotify free_owner;
} VmLaunch;

struct BackendOps {
    const char *name; /* "qemu" or "kite-vmm": also in the status file */
    const char *stats_page; /* file in the run folder with the VM's own counters (common/stats_page.h); NULL: none */

    /* Whether this back end can run the definition; if not, *ret_reason (caller frees) names the element in
     * the way. Asks nothing of the file system: quick, callable under locks. */
    gboolean (*can_run)(const DomainDef *def, char **ret_reason);

    /*
     * The part of backend_start() that differs: opens everything that live names, writes into live what was chosen
     * (ptys, ports, tap names), opens the log, makes the process. FALSE with *error: nothing of it is left, but
     * what cleanup() removes.
     */
    gboolean (*launch)(const BackendConfig *config, DomainDef *live, const VmStartOptions *options, VmLaunch *ret,
                       GError **error);

    /* Finds a running VM again. FALSE with *error: it is gone (or not the same process), or does not answer.
     * When the process lives but the monitor does not answer within the deadline, the error is
     * VIR_ERR_OPERATION_TIMEOUT and *ret is set all the same (so that it can be destroyed); ret_live is then
     * NULL. */
    gboolean (*reconnect)(const BackendConfig *config, DomainDef *live, const VmReconnectOptions *options,
                          const VmCallbacks *callbacks, gpointer opaque, GDestroyNotify free_opaque,
                          VmProcess **ret, VmLiveInfo **ret_live, GError **error);

    /* Re-reads what the VM says about itself (also into live: ptys, ports, open trays). Worker thread. */
    gboolean (*refresh)(VmProcess *vm, DomainDef *live, VmLiveInfo **ret_live, GError **error);

    /* After the VM has ended (or before a start): removes sockets, taps and helpers that belong to it. live
     * may be NULL when only the run folder is known. Never fails. */
    void (*cleanup)(const BackendConfig *config, DomainDef *live, const char *run_dir);

    /* Plugs dev, which has its address and alias, into the running machine, and writes what was chosen (tap, pty,
     * node numbers) into it; the caller puts it into live afterwards. On failure nothing is left behind.
     * VIR_ERR_OPERATION_UNSUPPORTED for a kind that cannot. Worker thread, modify lock held. NULL: not supported. */
    gboolean (*plug)(const BackendConfig *config, VmProcess *vm, DomainDef *live, DeviceInfo *dev, GError **error);
    /* The guest has let go of dev (or QEMU never had it): removes what stood behind it. Never fails. */
    void (*unplugged)(const BackendConfig *config, VmProcess *vm, const DeviceInfo *dev);

    /* Puts source (indexes for its nodes are given here; empty: nothing) into the drive of a CD-ROM or floppy. The
     * caller puts it into live afterwards. On failure the old medium is in. Worker thread, modify lock held. NULL:
     * not supported. */
    gboolean (*change_media)(const BackendConfig *config, VmProcess *vm, const DomainDef *live, const DiskDef *disk,
                             StorageSource *source, gboolean force, GError **error);

    /* A request of the disk failed, or is to be tried again: if that was because its server is gone, gives it another.
     * FALSE: there is none to be had. Worker thread, modify lock held. NULL: disks have no servers. */
    gboolean (*revive)(const BackendConfig *config, VmProcess *vm, const DiskDef *disk, GError **error);
};

/*
 * Worker thread; the caller holds the domain's modify lock. live is the caller's private, not yet published copy
 * of the definition, with addresses and aliases assigned; what is decided at start is written into it. On return
 * the guest is *stopped*, everything of the definition is applied, and the caller does vm_cont() (monitor.h). On
 * failure nothing is left behind: no process, tap, socket or file. callbacks/opaque: see VmCallbacks; the event
 * queue is held back until vm_process_publish(). free_opaque runs in any case, at once when no process came about.
 */
gboolean backend_start(const BackendOps *ops, const BackendConfig *config, DomainDef *live,
                       const VmStartOptions *options, const VmCallbacks *callbacks, gpointer opaque,
                       GDestroyNotify free_opaque, VmProcess **ret, VmLiveInfo **ret_live, GError **error);

extern const BackendOps backend_qemu;
extern const BackendOps backend_vmm;
/* qemu_hotplug.c */
gboolean qemu_plug(const BackendConfig *config, VmProcess *vm, DomainDef *live, DeviceInfo *dev, GError **error);
void qemu_unplugged(const BackendConfig *config, VmProcess *vm, const DeviceInfo *dev);
/* vmm_hotplug.c */
gboolean vmm_plug(const BackendConfig *config, VmProcess *vm, DomainDef *live, DeviceInfo *dev, GError **error);
gboolean vmm_revive(const BackendConfig *config, VmProcess *vm, const DiskDef *disk, GError **error);
void vmm_unplugged(const BackendConfig *config, VmProcess *vm, const DeviceInfo *dev);
gboolean vmm_change_media(const BackendConfig *config, VmProcess *vm, const DomainDef *live, const DiskDef *disk,
                          StorageSource *source, gboolean force, GError **error);
/* media.c */
gboolean qemu_change_media(const BackendConfig *config, VmProcess *vm, const DomainDef *live, const DiskDef *disk,
                           StorageSource *source, gboolean force, GError **error);

/* By BackendOps.name, NULL when unknown. */
const BackendOps *backend_by_name(const char *name);

/*
 * Which back end runs the definition (DESIGN, section 3): the one of <emulator> if given; type 'qemu': QEMU;
 * 'kvm': kite-vmm when it can run all of it, else QEMU. Errors: VIR_ERR_CONFIG_UNSUPPORTED naming the element
 * in the way.
 */
const BackendOps *backend_choose(const DomainDef *def, GError **error);

/* Path of a socket etc. in a VM's run folder: "monitor.sock", "agent.sock". Caller frees. */
char *backend_run_path(const char *run_dir, const char *name);
