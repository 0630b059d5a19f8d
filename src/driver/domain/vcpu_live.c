/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processors in and out of a running machine. QEMU's slots (query-hotpluggable-cpus) are vCPUs in the order of
 * VmLiveInfo. */
#include <string.h>

#include "driver/backend/backend.h"
#include "driver/backend/monitor.h"
#include "driver/domain/devices.h"
#include "driver/domain/placement.h"

static void take_slot(VmVcpuInfo *info, const VmCpuSlot *slot, const GPtrArray *cpus)
{
    info->online = slot->qom_path != NULL;
    info->tid = 0;
    info->order = 0;
    g_clear_pointer(&info->alias, g_free);
    g_free(info->qom_path);
    info->qom_path = g_strdup(slot->qom_path);
    for (guint i = 0; slot->qom_path != NULL && i < cpus->len; i++) {
        const VmCpu *cpu = cpus->pdata[i];

        if (g_strcmp0(cpu->qom_path, slot->qom_path) != 0)
            continue;
        info->tid = cpu->tid;
        info->order = i + 1;
        if (g_str_has_prefix(cpu->qom_path, "/machine/peripheral/"))
            info->alias = g_path_get_basename(cpu->qom_path);
    }
}

/* Which processors there are now, into the live definition too. */
static gboolean refresh(Domain *dom, VmProcess *vm, GError **error)
{
    g_autoptr(GPtrArray) cpus = NULL;
    g_autoptr(GPtrArray) slots = NULL;

    if (!vm_query_cpus(vm_process_qmp(vm), &cpus, error) ||
        !vm_query_hotpluggable_cpus(vm_process_qmp(vm), &slots, error))
        return FALSE;
    LOCK_SCOPE(&dom->lock);
    if (dom->vm != vm || dom->info == NULL || dom->live == NULL)
        return error_set(error, VIR_ERR_OPERATION_FAILED, "domain is no longer running");
    for (guint i = 0; i < slots->len && i < dom->info->n_vcpus; i++) {
        take_slot(&dom->info->vcpus[i], slots->pdata[i], cpus);
        if (i < domain_def_vcpus_max(dom->live)) {
            domain_def_vcpu(dom->live, i)->online = dom->info->vcpus[i].online;
            domain_def_vcpu(dom->live, i)->order = dom->info->vcpus[i].order;
        }
    }
    /* From now on one is not like the other. */
    dom->live->vcpus_individual = TRUE;
    return TRUE;
}

gboolean vcpu_live_plug(Domain *dom, VmProcess *vm, guint index, GError **error)
{
    const VmVcpuInfo *info = &domain_job_info(dom)->vcpus[index];
    DomainDef *live = domain_job_live(dom);
    g_autofree char *id = g_strdup_printf("vcpu%u", index);
    json_t *props = json_pack("{s:s, s:s}", "driver", info->qom_type, "id", id);

    cpu_place_to_json(&info->place, props);
    if (!vm_device_add(vm_process_qmp(vm), props, error) || !refresh(dom, vm, error))
        return FALSE;
    lock_acquire(&dom->lock);
    domain_def_vcpu(live, index)->hotpluggable = TRISTATE_YES;
    dom->updated = TRUE;
    lock_release(&dom->lock);
    return placement_add_vcpu(dom, live, index, info->tid, error);
}

gboolean vcpu_live_unplug(Domain *dom, VmProcess *vm, guint index, GError **error)
{
    g_autofree char *alias = g_strdup(domain_job_info(dom)->vcpus[index].alias);
    gboolean gone;

    if (alias == NULL)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "vcpu '%u' can't be unplugged", index);
    if (!device_ask_unplug(dom, vm, alias, TRUE, &gone, error))
        return FALSE;
    if (!gone)
        return error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                         "vcpu unplug request timed out. Unplug result must be manually inspected in the domain");
    placement_remove_thread(dom, "vcpu", index);
    return refresh(dom, vm, error);
}

void vcpu_note_unplugged(Domain *dom, VmProcess *vm)
{
    refresh(dom, vm, NULL);
}
