/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between a definition and a running QEMU: settings that are made by QMP before the guest runs, and what is
 * read back. Worker threads. */
#pragma once

#include "driver/backend/backend.h"
#include "driver/conf/def_disk.h"

/* Passwords, link states, throttles, balloon, statistics period, pluggable vCPUs. deadline:
 * g_get_monotonic_time(). */
gboolean qemu_live_apply(const BackendConfig *config, QmpClient *qmp, DomainDef *live, GError **error);
/* <iotune> of a disk that has a medium; nothing to do without. */
gboolean qemu_live_set_throttle(QmpClient *qmp, const DiskDef *disk, GError **error);
/* The same also when all limits are taken away. */
gboolean qemu_live_force_throttle(QmpClient *qmp, const DiskDef *disk, GError **error);
/* Ptys and ports into live; threads and state into *ret. */
gboolean qemu_live_read(QmpClient *qmp, DomainDef *live, VmLiveInfo **ret, GError **error);
