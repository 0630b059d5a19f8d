/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's side of a start with kite-vmm: every file, device and socket of a definition is opened here and
 * passed; kite-vmm itself opens nothing. Beside what both back ends share (qemu_host.h: monitor, listening
 * sockets, taps, passt).
 */
#pragma once

#include "driver/backend/backend.h"
#include "driver/backend/qemu_host.h"

typedef struct VmmHost {
    const BackendConfig *real;
    BackendConfig config; /* shallow copy: files are opened by us, whoever the VM runs as */
    const char *run_dir, *log_path; /* borrowed */
    QemuHost *base;
    GHashTable *fds; /* purpose (vmm_desc.h) -> descriptor */
    GPtrArray *servers; /* StorageServer */
    gboolean kept; /* kite-vmm has it all: what serves disks runs on without us */
} VmmHost;

/*
 * Opens everything; writes what was chosen (ptys, sockets, taps) and found (backing chains that only the
 * images tell) into live, whose images are numbered afterwards. Errors name object, path and cure.
 */
VmmHost *vmm_host_prepare(const BackendConfig *config, DomainDef *live, const VmStartOptions *options,
                          GError **error);
/* The same for one device that is plugged into a running machine. */
VmmHost *vmm_host_prepare_device(const BackendConfig *config, const VmProcess *vm, DomainDef *live, DeviceInfo *dev,
                                 GError **error);
/* The images of a medium only, which have their numbers. */
VmmHost *vmm_host_prepare_medium(const BackendConfig *config, const VmProcess *vm, const DiskDef *disk, GError **error);
void vmm_host_free(VmmHost *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmmHost, vmm_host_free)

/* VmmDescContext.fd; opaque is the VmmHost. */
int vmm_host_fd(gpointer opaque, const char *purpose);

/* Whom the VM of this run folder becomes, -1: it stays what the daemon is. */
void vmm_host_ids(const BackendConfig *config, const char *run_dir, gint64 *ret_uid, gint64 *ret_gid);

/* /dev/kvm, tried: version of the interface and a VM. -1 with VIR_ERR_CONFIG_UNSUPPORTED and the cure. */
int vmm_host_open_kvm(GError **error);

/* vmm_chain.c: whether the images that were found below a disk are some that kite-vmm reads.
 * VIR_ERR_CONFIG_UNSUPPORTED names the image. */
gboolean vmm_chain_check(const DomainDef *live, GError **error);
gboolean vmm_chain_check_disk(const DiskDef *disk, GError **error);
