/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A definition as QEMU's command line: a pure function of definition, QEMU's abilities and the descriptors
 * that were opened before. For QEMU 7.2 and later: what later versions dropped (-no-acpi, -no-hpet) is not used, and
 * where a word has got a successor (reconnect=, -mon) the binary's abilities decide. Source: QEMU's qemu-options.hx and
 * qapi/.
 *
 * What identifies things to QEMU, for hot plug and monitor commands: a device's id is its alias; "drive" is
 * "libvirt-N-format", N the index of its source; netdevs "host<alias>", chardevs "char<alias>", objects
 * "obj<alias>".
 */
#pragma once

#include <glib.h>
#include <jansson.h>

#include "driver/conf/domain_def.h"
#include "driver/conf/def_chr.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_interface.h"

typedef struct QemuCaps QemuCaps;

/* What was opened for one <interface>, by its index in the definition. */
typedef struct QemuNetFds {
    int *tap; /* n_tap queues */
    guint n_tap;
    int *vhost; /* n_vhost: 0 or n_tap */
    guint n_vhost;
    int stream; /* connected socket to passt, -1 */
} QemuNetFds;

typedef struct QemuArgsContext {
    const QemuCaps *caps; /* NULL: a QEMU 7.2 with everything (tests) */
    const char *emulator; /* argv[0] */
    const char *run_dir; /* for sockets without a path */
    const char *memory_dir; /* files of <memoryBacking><source type='file'/> */
    gboolean sandbox;
    gboolean privileged;
    int monitor_fd; /* listening UNIX socket */
    GHashTable *sockets; /* alias -> GINT_TO_POINTER(listening fd) of chardevs that bind, of /dev/vhost-scsi; or NULL */
    const char *incoming; /* NULL: fresh boot */
    gint64 now; /* seconds since 1970, for <clock offset='variable'> */
    const QemuNetFds *nets; /* one an interface, or NULL when there is none */
    int tpm_fd; /* connected socket to swtpm, when there is an emulated TPM */
    const char *vnc_password; /* default for all; only whether there is one matters here */
} QemuArgsContext;

typedef struct QemuArgs {
    GPtrArray *argv; /* char *, NULL-terminated when built */
    GPtrArray *env; /* "NAME=VALUE", beside what every VM gets */
    GArray *fds; /* int: descriptors that the command line names */
} QemuArgs;

void qemu_args_free(QemuArgs *args);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(QemuArgs, qemu_args_free)

/* Whatever is needed before building: boot indexes, numbers of block nodes, ids of audio. Changes def only
 * where it has no value yet. */
void qemu_args_prepare(DomainDef *def);

/* VIR_ERR_CONFIG_UNSUPPORTED naming the element when QEMU, or this back end, cannot do it. */
QemuArgs *qemu_args_build(const DomainDef *def, const QemuArgsContext *context, GError **error);

/* Whether this back end knows how to build it; *ret_reason (caller frees) names the element in the way. */
gboolean qemu_args_supported(const DomainDef *def, char **ret_reason);

/* For a log: shell-quoted, " \\\n" before options. Caller frees. */
char *qemu_args_to_text(const QemuArgs *args);

/* --- parts, also for hot plug --- */

/* What the command line would say of one device (context->nets: of this one interface). def is the running
 * machine; dev is not yet in it. VIR_ERR_OPERATION_UNSUPPORTED for kinds that cannot be plugged. */
QemuArgs *qemu_args_build_device(const DomainDef *def, const DeviceInfo *dev, const QemuArgsContext *context,
                                 GError **error);

/* Block nodes of a disk, the last one first (order of blockdev-add). json_t objects; empty for an empty
 * drive. */
GPtrArray *qemu_disk_nodes(const DiskDef *disk, GError **error);
/* Properties for -device or device_add, NULL for devices that are no QEMU device. */
json_t *qemu_disk_device(const DomainDef *def, const DiskDef *disk, GError **error);
json_t *qemu_interface_device(const DomainDef *def, const InterfaceDef *net, GError **error);
json_t *qemu_controller_device(const DomainDef *def, const ControllerDef *controller, GError **error);
/* Node the guest's drive uses: "libvirt-1-format" or the copy-on-read node; NULL when empty. Caller frees. */
char *qemu_disk_node_name(const DiskDef *disk);
/* How QMP's block commands (throttle, tray, statistics) name the drive: the alias, or the QOM path of the
 * part of a virtio-blk device that has the drive. Caller frees. */
char *qemu_disk_qdev(const DiskDef *disk);
