/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of back ends, and choosing one. */
#include "driver/backend/backend.h"
#include "common/error.h"
#include "driver/backend/port_table.h"
#include "driver/conf/domain_def.h"
#include "driver/host/vmm_caps.h"

void vm_live_info_free(VmLiveInfo *info)
{
    if (info == NULL)
        return;
    for (guint i = 0; i < info->n_vcpus; i++) {
        g_free(info->vcpus[i].alias);
        g_free(info->vcpus[i].qom_path);
        g_free(info->vcpus[i].qom_type);
    }
    g_free(info->vcpus);
    g_free(info->iothreads);
    g_free(info->status);
    g_free(info);
}

char *backend_run_path(const char *run_dir, const char *name)
{
    return g_build_filename(run_dir, name, NULL);
}

BackendConfig *backend_config_new(GMainContext *context, QemuCapsCache *qemu_caps, gboolean privileged)
{
    BackendConfig *config = g_new0(BackendConfig, 1);

    config->context = context;
    config->qemu_caps = qemu_caps;
    config->privileged = privileged;
    config->user = (uid_t)-1;
    config->group = (gid_t)-1;
    config->seccomp_sandbox = TRUE;
    config->ports = port_table_new();
    return config;
}

void backend_config_free(BackendConfig *config)
{
    if (config == NULL)
        return;
    port_table_free(config->ports);
    g_free(config->vnc_listen);
    g_free(config->spice_listen);
    g_free(config->vnc_password);
    g_free(config->hugetlbfs_mount);
    g_free(config->memory_backing_dir);
    g_free(config->bridge_helper);
    g_free(config->passt_path);
    g_free(config->default_emulator);
    g_free(config);
}

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
    error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s", vmm_named ? vmm_reason : qemu_reason);
    return NULL;
}
