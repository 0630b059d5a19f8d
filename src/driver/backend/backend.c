/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of back ends, and choosing one. */
#include "driver/backend/backend.h"
#include "driver/backend/monitor.h"

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
