/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes of devices, shared by the files device_*.c. The modify lock is held everywhere; the state lock is not,
 * unless a line says so.
 */
#pragma once

#include "driver/conf/def_disk.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"

/* How libvirt calls a kind in its messages: the element's name, "chr" for all character devices. */
const char *device_word(DeviceKind kind);

/* --- device_config.c: on a private copy of the persistent definition; *dev is NULLed when it was taken --- */
gboolean device_config_attach(DomainDef *def, DeviceInfo **dev, const DomainDefEnv *env, GError **error);
gboolean device_config_detach(DomainDef *def, DeviceInfo **dev, const DomainDefEnv *env, GError **error);
gboolean device_config_update(DomainDef *def, DeviceInfo **dev, const DomainDefEnv *env, GError **error);
/* domain_def_find_device() with libvirt's words for one that is not there. */
DeviceInfo *device_find(const DomainDef *def, const DeviceInfo *wanted, gboolean live, GError **error);
/* Whether wanted may take the place of (or, without old, be added to) what a definition has.
 * VIR_ERR_OPERATION_DENIED, CONFIG_UNSUPPORTED. */
gboolean device_compatible(const DomainDef *def, const DeviceInfo *wanted, const DeviceInfo *old, gboolean live,
                           GError **error);

/* --- device_live.c --- */
gboolean device_live_attach(Domain *dom, DeviceInfo **dev, GError **error);
/* Waits a while for the guest to let go, and is content when it does not: the event tells later. wait FALSE: only
 * asks. */
gboolean device_live_detach(Domain *dom, const DeviceInfo *wanted, gboolean wait, GError **error);
gboolean device_live_detach_found(Domain *dom, DeviceInfo *dev, gboolean wait, GError **error);
/* VM thread, state lock held. TRUE when a job waits for the end of that device, and takes care of the rest. */
gboolean device_note_deleted(Domain *dom, const char *alias);
void device_note_refused(Domain *dom, const char *alias);
/* The device is out of the guest: takes it out of the definition and undoes what stood behind it; DEVICE_REMOVED. */
void device_finish_removal(Domain *dom, VmProcess *vm, const char *alias);

/* Asks for the device, and waits. *ret_gone: it is out. OPERATION_FAILED when the guest refuses. */
gboolean device_ask_unplug(Domain *dom, VmProcess *vm, const char *alias, gboolean wait, gboolean *ret_gone,
                           GError **error);

/* --- vcpu_live.c: by index in VmLiveInfo; a processor has gone --- */
gboolean vcpu_live_plug(Domain *dom, VmProcess *vm, guint index, GError **error);
gboolean vcpu_live_unplug(Domain *dom, VmProcess *vm, guint index, GError **error);
void vcpu_note_unplugged(Domain *dom, VmProcess *vm);

/* --- device_update.c --- */
gboolean device_live_update(Domain *dom, DeviceInfo **dev, gboolean force, GError **error);
/* Puts wanted's source, taken, into the drive. */
gboolean device_change_media(Domain *dom, DiskDef *disk, DiskDef *wanted, gboolean force, GError **error);
