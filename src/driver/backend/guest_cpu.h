/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The <cpu> of a definition on its way to a running guest: made absolute before the start, held against what the guest
 * really got after it. */
#pragma once

#include "driver/backend/backend.h"
#include "driver/host/qemu_caps.h"

/* Before anything of the start is made. caps NULL: for kite-vmm. VIR_ERR_CPU_INCOMPATIBLE, VIR_ERR_CONFIG_UNSUPPORTED. */
gboolean guest_cpu_prepare(const BackendConfig *config, DomainDef *live, const QemuCaps *caps, GError **error);

/* The VM has its processors: writes what they have into live, and what was asked for into info->asked_cpu where that
 * differs. VIR_ERR_OPERATION_FAILED with check='full' when they are not what was asked for. */
gboolean guest_cpu_read_back(QmpClient *qmp, DomainDef *live, VmLiveInfo *info, GError **error);
