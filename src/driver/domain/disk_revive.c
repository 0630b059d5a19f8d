/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks whose bytes a server has (backend/storage_daemon.h), when that has gone: a failed request, or a guest
 * that is to go on
 * after one, has another server looked for. The request itself is lost; whether the guest was paused for it, so that it
 * is tried again, is the disk's error policy.
 */
#include "common/log.h"
#include "driver/backend/backend.h"
#include "driver/backend/storage_daemon.h"
#include "driver/domain/domain_run.h"
#include "driver/domain/placement.h"
#include "driver/driver.h"

/* Between two attempts that a failing guest causes. */
enum { PAUSE_MS = 1000 };

void domain_revive_disks(Domain *dom, VmProcess *vm)
{
    const BackendOps *ops = vm_process_backend(vm);
    const DomainDef *live = domain_job_live(dom);

    g_assert(domain_job_held(dom));
    if (ops->revive == NULL || live == NULL)
        return;
    DOMAIN_DEF_FOREACH(DiskDef, disk, live, DEVICE_DISK)
    {
        g_autoptr(GError) error = NULL;

        if (!ops->revive(dom->driver->backend_config, vm, disk, &error))
            log_warning("domain '%s' (%s): the server of its disk '%s' is gone, and there is no other: %s", dom->name,
                        dom->uuid_text, disk->target, error->message);
    }
    placement_add_servers(dom, vm_process_run_dir(vm));
}

static void unref_vm(gpointer vm)
{
    vm_process_unref(vm);
}

static void work_revive(Domain *dom, gpointer vm)
{
    if (!domain_job_begin_active(dom, "disk failed", NULL))
        return;
    if (vm_process_is_running(vm))
        domain_revive_disks(dom, vm);
    domain_job_end(dom);
}

void domain_disk_failed(Domain *dom, VmProcess *vm, const DiskDef *disk)
{
    gint64 now = g_get_monotonic_time();

    if (vm_process_backend(vm)->revive == NULL || storage_source_is_empty(disk->source) ||
        storage_way(disk) == STORAGE_DIRECT || now - dom->revived < PAUSE_MS * 1000)
        return;
    dom->revived = now;
    domain_defer(dom, work_revive, vm_process_ref(vm), unref_vm);
}
