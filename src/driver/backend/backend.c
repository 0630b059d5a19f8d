/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of back ends, and choosing one. */
#include "driver/backend/backend.h"
#include "common/error.h"
#include "driver/conf/domain_def.h"
#include "driver/host/vmm_caps.h"

static const BackendOps *const backends[] = {&backend_vmm, &backend_qemu};

const BackendOps *backend_by_name(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(backends); i++) {
        if (g_strcmp0(backends[i]->name, name) == 0)
            return backends[i];
    }
    return NULL;
}

const BackendOps *backend_choose(const DomainDef *def, GError **error)
{
    gboolean vmm_named = vmm_caps_is_vmm(def->emulator);
    g_autofree char *vmm_reason = NULL;
    g_autofree char *qemu_reason = NULL;

    if (vmm_named || (def->emulator == NULL && def->virt_type == VIRT_KVM)) {
        if (backend_vmm.can_run(def, &vmm_reason))
            return &backend_vmm;
    }
    if (!vmm_named && backend_qemu.can_run(def, &qemu_reason))
        return &backend_qemu;
    error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s%s", vmm_named ? vmm_reason : qemu_reason,
              vmm_named ? " (without <emulator> Kite chooses what can run it)" : "");
    return NULL;
}
