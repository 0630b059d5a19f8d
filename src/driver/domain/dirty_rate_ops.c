/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virDomainStartDirtyRateCalc: how fast a guest writes its memory. What came of it is told by the statistics
 * (stats_ops.c, VIR_DOMAIN_STATS_DIRTYRATE). */
#include "driver/backend/backend.h"
#include "driver/backend/monitor.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"
#include "driver/rpc/call.h"

enum { SECONDS_MIN = 1, SECONDS_MAX = 60 };

#define MODES                                                                                                \
    (VIR_DOMAIN_DIRTYRATE_MODE_PAGE_SAMPLING | VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_BITMAP |                      \
     VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_RING)

/* The monitor's word for the mode, or NULL with *error when this VM has no such thing. The modify lock is held. */
static const char *mode_name(const Domain *dom, guint flags, GError **error)
{
    const VmLiveInfo *info = domain_job_info(dom);

    if (flags & VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_BITMAP) {
        if (info != NULL && info->kvm)
            return "dirty-bitmap";
        /* QEMU 7.2 dies of it. */
        error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "dirty-bitmap calculation mode requires KVM");
        return NULL;
    }
    if (!(flags & VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_RING))
        return "page-sampling";
    if (domain_job_live(dom)->features.kvm[KVM_DIRTY_RING] == TRISTATE_YES)
        return "dirty-ring";
    error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
              "dirty-ring calculation mode requires dirty-ring feature enabled.");
    return NULL;
}

gboolean call_domain_start_dirty_rate_calc(Call *call, const DomainStartDirtyRateCalcArgs *args,
                                           DomainStartDirtyRateCalcRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_autoptr(VmProcess) vm = NULL;
    const char *mode;
    gboolean done;

    if (!call_check_flags(call, args->flags, MODES, error))
        return FALSE;
    if (args->seconds < SECONDS_MIN || args->seconds > SECONDS_MAX)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "seconds=%d is invalid, please choose value within [%d, %d].", args->seconds, SECONDS_MIN,
                         SECONDS_MAX);
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL || !domain_job_begin_active(dom, "virDomainStartDirtyRateCalc", error))
        return FALSE;
    mode = mode_name(dom, args->flags, error);
    vm = mode != NULL ? domain_vm(dom, NULL, error) : NULL;
    done = vm != NULL && vm_calc_dirty_rate(vm_process_qmp(vm), (guint)args->seconds, mode, error);
    domain_job_end(dom);
    return done;
}
