/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all back ends share: their configuration, the answer of a start, paths in the run directory. */
#include "driver/backend/backend.h"
#include "driver/backend/id_table.h"
#include "driver/backend/port_table.h"
#include "driver/conf/cpu_def.h"

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
    g_free(info->status);
    cpu_def_free(info->asked_cpu);
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
    id_table_free(config->ids);
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
