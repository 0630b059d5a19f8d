/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A definition as kite-vmm's machine description (src/vmm/machine_desc.h): a pure function of the definition
 * and of the descriptors that were opened for it (vmm_host.h).
 *
 * Names are those that QEMU is given (qemu_args.h), so that monitor commands and hot plug are the same for
 * both: a device's id is its alias, "drive" is "libvirt-N-format", netdevs "host<alias>", chardevs
 * "char<alias>". Buses: "pcie.0" whatever the machine type is called, and a root port's alias.
 */
#pragma once

#include <glib.h>
#include <jansson.h>

#include "driver/backend/qemu_args.h"
#include "driver/conf/domain_def.h"

typedef struct VmmDescContext {
    /*
     * The descriptor for a purpose, -1 when there is none:
     *   "kvm" "stats" "kernel" "initrd"
     *   "chr:ALIAS"    character device (pty master, socket, file)
     *   "log:ALIAS"    copy of its output
     *   "vsock:ALIAS"  /dev/vhost-vsock
     *   "image:N"      image of index N (StorageSource.index)
     *   "nbd:N"        connected NBD server of the disk whose top image is N
     *   "life:N"       pipe that keeps that server alive, where it is one of ours
     */
    int (*fd)(gpointer opaque, const char *purpose);
    gpointer opaque;
    const QemuNetFds *nets; /* one an interface, or NULL when there is none */
    gint64 now; /* seconds since 1970, for clocks that are not UTC */
    gint64 uid, gid; /* what the VM becomes; -1: stays what it is */
    gboolean sandbox; /* system call filters and an empty root */
} VmmDescContext;

/* Caller frees. VIR_ERR_CONFIG_UNSUPPORTED naming the element when kite-vmm cannot do it. */
json_t *vmm_desc_build(const DomainDef *def, const VmmDescContext *context, GError **error);

/* The same for one device that is plugged into a running machine: {chardevs, blockdevs, netdevs, devices}, each list
 * in the order of adding. VIR_ERR_OPERATION_UNSUPPORTED for a kind that cannot. */
json_t *vmm_desc_build_device(const DomainDef *live, const DeviceInfo *dev, const VmmDescContext *context,
                              GError **error);

/* The block nodes of a medium, the lowest first. Caller frees. */
json_t *vmm_desc_build_medium(const DiskDef *disk, const VmmDescContext *context);

/* vmm_support.c: whether kite-vmm can run it; *ret_reason (caller frees) names the element in the way. */
gboolean vmm_desc_supported(const DomainDef *def, char **ret_reason);
gboolean vmm_desc_supported_device(const DeviceInfo *dev, char **ret_reason);

/* Properties for device_add or the description out of QEMU's: what kite-vmm has no use for goes, buses get
 * its names. Changes props. */
void vmm_desc_device(json_t *props);
