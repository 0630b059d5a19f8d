/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's side of a start with QEMU: what is looked at and opened before the process exists. Everything
 * opened is in a QemuHost, and closed (taps thereby removed, ports released) when it is freed, whether the
 * start worked or not.
 */
#pragma once

#include "driver/backend/backend.h"
#include "driver/backend/qemu_args.h"

typedef struct QemuHost {
    const BackendConfig *config;
    QemuNetFds *nets; /* one an interface */
    guint n_nets;
    GPtrArray *helpers; /* Helper *: passt, swtpm */
    int tpm; /* -1, or QEMU's end of the socket to swtpm */
    char *tpm_lib_dir; /* the TPM's state was made by this start: removed again when it fails */
    const DomainDef *live; /* for that, and to give host devices back */
    const HostdevDef *hostdev; /* hot plug: taken */
    GHashTable *sockets; /* alias -> listening descriptor of a character device, vhost-vsock or vhost-scsi */
    GPtrArray *ovs_ports; /* names of taps: taken out of Open vSwitch when the start fails */
    GPtrArray *made; /* paths of sockets we made: removed again when the start fails */
    GArray *ports; /* guint: reserved until QEMU has them */
    int monitor_fd;
    gboolean kept; /* the start worked */
} QemuHost;

/* Files, sockets, taps, ports; writes what was chosen into live. Errors name the object, the path component
 * in the way and its cure. */
QemuHost *qemu_host_prepare(const BackendConfig *config, DomainDef *live, const VmStartOptions *options,
                            GError **error);
/* The same for one device that is plugged into a running machine: nets[0] is the interface. */
QemuHost *qemu_host_prepare_device(const BackendConfig *config, DomainDef *live, DeviceInfo *dev,
                                   const char *run_dir, GError **error);
void qemu_host_free(QemuHost *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(QemuHost, qemu_host_free)
/* FALSE when a helper has died meanwhile. */
gboolean qemu_host_helpers_live(const QemuHost *host, GError **error);

/* Every file the definition names is there and readable (qemu_files.c). VIR_ERR_SYSTEM_ERROR. Drops media of
 * drives with startupPolicy optional that are missing. */
gboolean qemu_check_device_files(const BackendConfig *config, DeviceInfo *dev, GError **error);
gboolean qemu_check_files(const BackendConfig *config, DomainDef *live, GError **error);
