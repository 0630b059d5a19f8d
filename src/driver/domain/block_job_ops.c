/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RPC handlers that ask about, end or pace the block job of a disk. None can be begun yet (commit, pull, copy and rebase
 * answer "not supported"), so no disk has one, and that is what programs that look before they begin are told. The same
 * holds for backups.
 */
#include "driver/conf/def_disk.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain.h"
#include "driver/domain/domain_private.h"
#include "driver/rpc/call.h"

/* The disk's target in *ret_target (to be freed) when the domain runs and has the disk; else libvirt's error. */
static gboolean find_disk(Call *call, const WireDomain *wire, const char *path, char **ret_target, GError **error)
{
    g_autoptr(Domain) dom = domain_from_wire(call, wire, error);
    const DiskDef *disk;

    if (dom == NULL)
        return FALSE;
    lock_acquire(&dom->lock);
    if (domain_require_active(dom, error)) {
        disk = (const DiskDef *)domain_def_find_disk(dom->live, path);
        if (disk != NULL)
            *ret_target = g_strdup(disk->target);
        else
            error_set(error, VIR_ERR_INVALID_ARG, "disk '%s' not found in domain", path);
    }
    lock_release(&dom->lock);
    return *ret_target != NULL;
}

static gboolean no_job(Call *call, const WireDomain *wire, const char *path, GError **error)
{
    g_autofree char *target = NULL;

    return find_disk(call, wire, path, &target, error) &&
           error_set(error, VIR_ERR_INVALID_ARG, "disk %s does not have an active block job", target);
}

gboolean call_domain_get_block_job_info(Call *call, const DomainGetBlockJobInfoArgs *args, DomainGetBlockJobInfoRet *ret,
                                        GError **error)
{
    g_autofree char *target = NULL;

    return call_check_flags(call, args->flags, VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES, error) &&
           find_disk(call, &args->dom, args->path, &target, error);
}

gboolean call_domain_block_job_abort(Call *call, const DomainBlockJobAbortArgs *args, DomainBlockJobAbortRet *ret,
                                     GError **error)
{
    return call_check_flags(call, args->flags, VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC | VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT, error) &&
           no_job(call, &args->dom, args->path, error);
}

gboolean call_domain_block_job_set_speed(Call *call, const DomainBlockJobSetSpeedArgs *args,
                                         DomainBlockJobSetSpeedRet *ret, GError **error)
{
    const guint64 most_mib = (guint64)G_MAXINT64 >> 20;

    if (!call_check_flags(call, args->flags, VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES, error))
        return FALSE;
    if (!(args->flags & VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES) && args->bandwidth > most_mib)
        return error_set(error, VIR_ERR_OVERFLOW, "bandwidth must be less than %" G_GUINT64_FORMAT, most_mib);
    return no_job(call, &args->dom, args->path, error);
}

gboolean call_domain_backup_get_xml_desc(Call *call, const DomainBackupGetXmlDescArgs *args, DomainBackupGetXmlDescRet *ret,
                                         GError **error)
{
    g_autoptr(Domain) dom = NULL;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    dom = domain_from_wire(call, &args->dom, error);
    return dom != NULL && error_set(error, VIR_ERR_NO_DOMAIN_BACKUP, "no domain backup job present");
}
