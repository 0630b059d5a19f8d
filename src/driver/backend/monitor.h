/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QMP commands as typed functions: what the domain layer does to a running VM. One call each unless said
 * otherwise, with the default deadline. Worker threads; the caller holds the domain's modify lock for
 * commands that change something. Errors: qmp_call()'s, unless said otherwise. Devices are named by their
 * qdev id (the XML's alias), block nodes by node name.
 */
#pragma once

#include "driver/backend/cpu_place.h"
#include "driver/backend/qmp_client.h"

/* --- run state --- */
typedef struct VmStatus {
    gboolean running;
    char *status; /* RunState name */
} VmStatus;
void vm_status_clear(VmStatus *status);
gboolean vm_query_status(QmpClient *qmp, VmStatus *ret, GError **error);
gboolean vm_cont(QmpClient *qmp, GError **error);
gboolean vm_stop(QmpClient *qmp, GError **error);
gboolean vm_system_powerdown(QmpClient *qmp, GError **error);
gboolean vm_system_reset(QmpClient *qmp, GError **error);
gboolean vm_system_wakeup(QmpClient *qmp, GError **error);
/* Whether a guest that suspends itself can be woken up again. */
gboolean vm_can_suspend(QmpClient *qmp, gboolean *ret_can, GError **error);
gboolean vm_inject_nmi(QmpClient *qmp, GError **error);
/* Starts to measure; mode "page-sampling" (which the monitors of old QEMU know without the word), "dirty-bitmap" or
 * "dirty-ring". */
gboolean vm_calc_dirty_rate(QmpClient *qmp, guint seconds, const char *mode, GError **error);
/* Linux-independent QKeyCode numbers as QEMU's "number" KeyValue; hold in ms, 0: QEMU's default (100). */
gboolean vm_send_keys(QmpClient *qmp, const guint *keycodes, guint n, guint hold_ms, GError **error);

/* --- memory --- */
gboolean vm_query_balloon(QmpClient *qmp, guint64 *ret_bytes, GError **error);
gboolean vm_set_balloon(QmpClient *qmp, guint64 bytes, GError **error);
/* virtio-balloon's own statistics; G_MAXUINT64: not told by the guest. Bytes unless said otherwise. */
typedef struct VmBalloonStats {
    guint64 swap_in, swap_out, major_faults, minor_faults, free, total, available, disk_caches;
    guint64 hugetlb_pgalloc, hugetlb_pgfail;
    guint64 last_update; /* seconds since 1970 of the guest's last word, 0: none */
} VmBalloonStats;
/* qom_path: of the balloon device, "/machine/peripheral/balloon0" (vm_balloon_path()). */
gboolean vm_balloon_stats(QmpClient *qmp, const char *qom_path, VmBalloonStats *ret, GError **error);
/* Seconds; 0 switches polling off. */
gboolean vm_balloon_set_period(QmpClient *qmp, const char *qom_path, guint seconds, GError **error);
/* Caller frees. */
char *vm_balloon_path(const char *alias);

/* --- processors --- */
typedef struct VmCpu {
    gint64 index; /* cpu-index */
    pid_t tid;
    char *qom_path, *qom_type;
    CpuPlace place;
} VmCpu;
/* GPtrArray of VmCpu, freed with the array. */
gboolean vm_query_cpus(QmpClient *qmp, GPtrArray **ret, GError **error);
typedef struct VmCpuSlot {
    char *qom_type;
    char *qom_path; /* NULL: empty slot */
    guint vcpus;
    CpuPlace place;
} VmCpuSlot;
/* GPtrArray of VmCpuSlot, in libvirt's order (QEMU answers in reverse). */
gboolean vm_query_hotpluggable_cpus(QmpClient *qmp, GPtrArray **ret, GError **error);
typedef struct VmIothread {
    char *id;
    pid_t tid;
    gint64 poll_max_ns, poll_grow, poll_shrink;
} VmIothread;
gboolean vm_query_iothreads(QmpClient *qmp, GPtrArray **ret, GError **error);

/* --- devices and objects --- */
gboolean vm_device_add(QmpClient *qmp, json_t *props /*stolen*/, GError **error);
/* Asks only: the guest's answer is DEVICE_DELETED or DEVICE_UNPLUG_GUEST_ERROR. VIR_ERR_DEVICE_MISSING when
 * QEMU knows no such device. */
gboolean vm_device_del(QmpClient *qmp, const char *id, GError **error);
gboolean vm_object_add(QmpClient *qmp, json_t *props /*stolen*/, GError **error);
gboolean vm_object_del(QmpClient *qmp, const char *id, GError **error);
gboolean vm_qom_get(QmpClient *qmp, const char *path, const char *property, json_t **ret, GError **error);
gboolean vm_qom_set(QmpClient *qmp, const char *path, const char *property, json_t *value /*stolen*/,
                    GError **error);
gboolean vm_qom_list(QmpClient *qmp, const char *path, json_t **ret, GError **error);
gboolean vm_chardev_add(QmpClient *qmp, const char *id, json_t *backend /*stolen*/, char **ret_pty,
                        GError **error);
gboolean vm_chardev_remove(QmpClient *qmp, const char *id, GError **error);
gboolean vm_netdev_add(QmpClient *qmp, json_t *props /*stolen*/, const int *fds, guint n_fds, GError **error);
gboolean vm_netdev_del(QmpClient *qmp, const char *id, GError **error);
gboolean vm_set_link(QmpClient *qmp, const char *id, gboolean up, GError **error);

typedef struct VmChardev {
    char *id;
    char *filename; /* "pty:/dev/pts/3" */
    gboolean frontend_open;
} VmChardev;
gboolean vm_query_chardev(QmpClient *qmp, GPtrArray **ret, GError **error);

/* --- block --- */
gboolean vm_blockdev_add(QmpClient *qmp, json_t *node /*stolen*/, GError **error);
gboolean vm_blockdev_del(QmpClient *qmp, const char *node, GError **error);
/* Removable drives: by qdev id. */
gboolean vm_tray_open(QmpClient *qmp, const char *id, gboolean force, GError **error);
gboolean vm_tray_close(QmpClient *qmp, const char *id, GError **error);
gboolean vm_medium_remove(QmpClient *qmp, const char *id, GError **error);
gboolean vm_medium_insert(QmpClient *qmp, const char *id, const char *node, GError **error);
/* size in bytes. */
gboolean vm_block_resize(QmpClient *qmp, const char *node, guint64 bytes, GError **error);

typedef struct VmBlockStats {
    char *qdev; /* qdev path or id as QEMU says it; may be "" */
    char *node; /* node name, may be NULL: empty drive */
    gint64 rd_bytes, rd_ops, rd_ns, wr_bytes, wr_ops, wr_ns, flush_ops, flush_ns; /* totals */
    gint64 errors; /* failed operations of all kinds, -1: unknown */
    guint64 wr_highest; /* highest byte written, of the storage node */
} VmBlockStats;
/* Of devices only. GPtrArray of VmBlockStats. */
gboolean vm_query_blockstats(QmpClient *qmp, GPtrArray **ret, GError **error);

typedef struct VmBlockNode {
    char *node;
    guint64 virtual_size; /* capacity */
    guint64 actual_size; /* allocated on the host; 0 if not told */
    guint64 wr_highest; /* highest offset written to the file below */
    gboolean read_only;
} VmBlockNode;
/* query-named-block-nodes (flat) and query-blockstats (nodes) in one answer; GPtrArray of VmBlockNode. */
gboolean vm_query_block_nodes(QmpClient *qmp, GPtrArray **ret, GError **error);

typedef struct VmDrive {
    char *qdev; /* as VmBlockStats.qdev; vm_qdev_matches() compares */
    char *node; /* inserted format node or NULL */
    gboolean removable, tray_open, locked;
    char *io_status; /* "ok", "failed", "nospace" or NULL */
} VmDrive;
gboolean vm_query_drives(QmpClient *qmp, GPtrArray **ret, GError **error);
/* Whether QEMU's way of naming a device ("/machine/peripheral/virtio-disk0/virtio-backend", "virtio-disk0")
 * means this alias. */
gboolean vm_qdev_matches(const char *qdev, const char *alias);

typedef struct VmIoThrottle {
    guint64 total_bytes, read_bytes, write_bytes, total_iops, read_iops, write_iops;
    guint64 total_bytes_max, read_bytes_max, write_bytes_max, total_iops_max, read_iops_max, write_iops_max;
    guint64 total_bytes_max_length, read_bytes_max_length, write_bytes_max_length;
    guint64 total_iops_max_length, read_iops_max_length, write_iops_max_length;
    guint64 size_iops;
    const char *group; /* NULL: keep QEMU's */
} VmIoThrottle;
gboolean vm_set_io_throttle(QmpClient *qmp, const char *id, const VmIoThrottle *throttle, GError **error);

/* --- display --- */
/* Into a file the *peer* opens; or into a passed descriptor (fd >= 0: path is ignored). format: "ppm" or
 * "png". */
gboolean vm_screendump(QmpClient *qmp, const char *device, guint head, const char *format, const char *path,
                       int fd, GError **error);
/* protocol: "vnc" or "spice"; connected NULL: "keep"; "fail", "disconnect" (spice). */
gboolean vm_set_password(QmpClient *qmp, const char *protocol, const char *password, const char *connected,
                         GError **error);
/* when: "never", "now", "+seconds", "seconds". */
gboolean vm_expire_password(QmpClient *qmp, const char *protocol, const char *when, GError **error);
typedef struct VmVncInfo {
    gboolean enabled;
    char *host;
    guint port; /* 0: a socket */
    char *auth;
} VmVncInfo;
void vm_vnc_info_clear(VmVncInfo *info);
gboolean vm_query_vnc(QmpClient *qmp, VmVncInfo *ret, GError **error);
/* Hands a connected socket to the display server. fd is borrowed. */
gboolean vm_add_client(QmpClient *qmp, const char *protocol, int fd, gboolean skip_auth, GError **error);

/* --- the rest --- */
/* A core of the guest's memory into fd. format: "elf", "kdump-zlib", ... Blocks until done or timeout_ms (0:
 * for ever). */
gboolean vm_dump_memory(QmpClient *qmp, int fd, const char *format, gboolean paging, guint timeout_ms,
                        GError **error);
/* human-monitor-command. Caller frees *ret_text. */
gboolean vm_human_command(QmpClient *qmp, const char *line, char **ret_text, GError **error);
/* The whole of query-migrate; "status" is absent when none ever ran. */
gboolean vm_query_migrate(QmpClient *qmp, json_t **ret, GError **error);
