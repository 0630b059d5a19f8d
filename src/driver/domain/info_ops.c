/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RPC handlers that tell what a domain is: state, information, XML, flags, sizes, jobs, messages. All take
 * the state lock only: they answer at once whatever the guest, its monitor or a job on the domain does.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "driver/backend/agent_client.h"
#include "driver/backend/backend.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_list.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/domain_taint.h"
#include "driver/driver.h"
#include "driver/host/vmm_caps.h"
#include "driver/rpc/call.h"

/* A domain and its state lock for the rest of the handler. */
#define WITH_DOMAIN(dom)                                                                                     \
    g_autoptr(Domain) dom = domain_from_wire(call, &args->dom, error);                                       \
    if (dom == NULL)                                                                                         \
        return FALSE;                                                                                        \
    LOCK_SCOPE(&dom->lock)

/* --- state ---------------------------------------------------------------------------------------------- */

gboolean call_domain_get_state(Call *call, const DomainGetStateArgs *args, DomainGetStateRet *ret,
                               GError **error)
{
    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    WITH_DOMAIN(dom);
    ret->state = dom->state;
    ret->reason = dom->reason;
    return TRUE;
}

gboolean call_domain_is_active(Call *call, const DomainIsActiveArgs *args, DomainIsActiveRet *ret,
                               GError **error)
{
    WITH_DOMAIN(dom);
    ret->active = domain_active(dom);
    return TRUE;
}

gboolean call_domain_is_persistent(Call *call, const DomainIsPersistentArgs *args, DomainIsPersistentRet *ret,
                                   GError **error)
{
    WITH_DOMAIN(dom);
    ret->persistent = domain_persistent(dom);
    return TRUE;
}

gboolean call_domain_is_updated(Call *call, const DomainIsUpdatedArgs *args, DomainIsUpdatedRet *ret,
                                GError **error)
{
    WITH_DOMAIN(dom);
    ret->updated = dom->updated;
    return TRUE;
}

/* proc(5), /proc/PID/stat: utime and stime, fields 14 and 15, in clock ticks. Nanoseconds. */
static guint64 cpu_time(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *text = NULL;
    g_auto(GStrv) field = NULL;
    const char *end;
    guint64 ticks;

    if (pid <= 0 || !g_file_get_contents(path, &text, NULL, NULL) || (end = strrchr(text, ')')) == NULL)
        return 0;
    field = g_strsplit(end + 2, " ", 14); /* field 3 comes first */
    if (g_strv_length(field) < 13)
        return 0;
    ticks = g_ascii_strtoull(field[11], NULL, 10) + g_ascii_strtoull(field[12], NULL, 10);
    return ticks * (G_GUINT64_CONSTANT(1000000000) / (guint64)sysconf(_SC_CLK_TCK));
}

gboolean call_domain_get_info(Call *call, const DomainGetInfoArgs *args, DomainGetInfoRet *ret,
                              GError **error)
{
    WITH_DOMAIN(dom);
    const DomainDef *def = domain_def(dom);

    ret->state = (guint8)dom->state;
    ret->maxMem = def->memory;
    ret->memory = def->current_memory;
    ret->nrVirtCpu = (guint16)MIN(domain_def_vcpus(def), G_MAXUINT16);
    ret->cpuTime = domain_active(dom) ? cpu_time(dom->pid) : 0;
    return TRUE;
}

gboolean call_domain_get_control_info(Call *call, const DomainGetControlInfoArgs *args,
                                      DomainGetControlInfoRet *ret, GError **error)
{
    gint64 now = g_get_monotonic_time();

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    WITH_DOMAIN(dom);
    if (!domain_require_active(dom, error))
        return FALSE;
    ret->state = VIR_DOMAIN_CONTROL_OK;
    g_mutex_lock(&dom->job.mutex);
    if (dom->job.owner != NULL) {
        ret->state = VIR_DOMAIN_CONTROL_OCCUPIED;
        ret->stateTime = (guint64)(now - dom->job.since_us) / 1000;
    }
    g_mutex_unlock(&dom->job.mutex);
    return TRUE;
}

/* --- definition ----------------------------------------------------------------------------------------- */

gboolean call_domain_get_os_type(Call *call, const DomainGetOsTypeArgs *args, DomainGetOsTypeRet *ret,
                                 GError **error)
{
    WITH_DOMAIN(dom);
    ret->type = g_strdup(domain_def(dom)->os.type != NULL ? domain_def(dom)->os.type : "hvm");
    return TRUE;
}

gboolean call_domain_get_max_memory(Call *call, const DomainGetMaxMemoryArgs *args,
                                    DomainGetMaxMemoryRet *ret, GError **error)
{
    WITH_DOMAIN(dom);
    ret->memory = domain_def(dom)->memory;
    return TRUE;
}

gboolean call_domain_get_max_vcpus(Call *call, const DomainGetMaxVcpusArgs *args, DomainGetMaxVcpusRet *ret,
                                   GError **error)
{
    WITH_DOMAIN(dom);
    /* libvirt's QEMU driver means the running domain here. */
    const DomainDef *def = domain_one_def_for(dom, VIR_DOMAIN_AFFECT_LIVE, NULL, error);

    if (def == NULL)
        return FALSE;
    ret->num = (gint32)domain_def_vcpus_max(def);
    return TRUE;
}

/* guest-get-vcpus (qga/qapi-schema.json): what the guest makes of its processors. */
static gboolean guest_vcpus(Domain *dom, guint flags, gint32 *ret_num, GError **error)
{
    g_autoptr(AgentClient) agent = NULL;
    json_t *list = NULL, *vcpu;
    size_t i;

    lock_acquire(&dom->lock);
    gboolean active = domain_active(dom);
    lock_release(&dom->lock);
    if (!active)
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "vCPU count provided by the guest agent can only be requested for live domains");
    agent = domain_agent(dom, error);
    if (agent == NULL || !agent_call(agent, "guest-get-vcpus", NULL, AGENT_TIMEOUT_DEFAULT, &list, error))
        return FALSE;
    *ret_num = 0;
    json_array_foreach(list, i, vcpu)
    {
        if ((flags & VIR_DOMAIN_VCPU_MAXIMUM) || json_is_true(json_object_get(vcpu, "online")))
            (*ret_num)++;
    }
    json_decref(list);
    return TRUE;
}

gboolean call_domain_get_vcpus_flags(Call *call, const DomainGetVcpusFlagsArgs *args,
                                     DomainGetVcpusFlagsRet *ret, GError **error)
{
    const guint known =
        VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG | VIR_DOMAIN_VCPU_MAXIMUM | VIR_DOMAIN_VCPU_GUEST;
    g_autoptr(Domain) dom = NULL;
    const DomainDef *def;

    dom = domain_from_wire_flags(call, &args->dom, args->flags, known, error);
    if (dom == NULL)
        return FALSE;
    lock_acquire(&dom->lock);
    def = domain_one_def_for(dom, args->flags, NULL, error);
    if (def != NULL)
        ret->num = (gint32)((args->flags & VIR_DOMAIN_VCPU_MAXIMUM) ? domain_def_vcpus_max(def)
                                                                    : domain_def_vcpus(def));
    lock_release(&dom->lock);
    if (def != NULL && (args->flags & VIR_DOMAIN_VCPU_GUEST))
        return guest_vcpus(dom, args->flags, &ret->num, error);
    return def != NULL;
}

/* --- security ------------------------------------------------------------------------------------------- */

/* There is no security driver whose labels could be told: as libvirt's with "none". */
gboolean call_domain_get_security_label(Call *call, const DomainGetSecurityLabelArgs *args,
                                        DomainGetSecurityLabelRet *ret, GError **error)
{
    WITH_DOMAIN(dom);
    ret->label = g_strdup("");
    return TRUE;
}

gboolean call_domain_get_security_label_list(Call *call, const DomainGetSecurityLabelListArgs *args,
                                             DomainGetSecurityLabelListRet *ret, GError **error)
{
    WITH_DOMAIN(dom);
    return TRUE;
}

/* --- jobs ----------------------------------------------------------------------------------------------- */

/* A job in this sense is one that lasts and tells of its progress (save, dump, migration); changes under the
 * modify lock are none. */
gboolean call_domain_get_job_info(Call *call, const DomainGetJobInfoArgs *args, DomainGetJobInfoRet *ret,
                                  GError **error)
{
    WITH_DOMAIN(dom);
    ret->type = VIR_DOMAIN_JOB_NONE;
    return domain_require_active(dom, error);
}

gboolean call_domain_get_job_stats(Call *call, const DomainGetJobStatsArgs *args, DomainGetJobStatsRet *ret,
                                   GError **error)
{
    if (!call_check_flags(call, args->flags,
                          VIR_DOMAIN_JOB_STATS_COMPLETED | VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED, error))
        return FALSE;
    WITH_DOMAIN(dom);
    ret->type = VIR_DOMAIN_JOB_NONE;
    return (args->flags & VIR_DOMAIN_JOB_STATS_COMPLETED) != 0 || domain_require_active(dom, error);
}

gboolean call_domain_abort_job(Call *call, const DomainAbortJobArgs *args, DomainAbortJobRet *ret,
                               GError **error)
{
    WITH_DOMAIN(dom);
    return domain_require_active(dom, error) &&
           error_set(error, VIR_ERR_OPERATION_INVALID, "no job is active on the domain");
}

gboolean call_domain_abort_job_flags(Call *call, const DomainAbortJobFlagsArgs *args, DomainAbortJobFlagsRet *ret,
                                     GError **error)
{
    if (!call_check_flags(call, args->flags, VIR_DOMAIN_ABORT_JOB_POSTCOPY, error))
        return FALSE;
    WITH_DOMAIN(dom);
    return domain_require_active(dom, error) &&
           error_set(error, VIR_ERR_OPERATION_INVALID, "%s",
                     (args->flags & VIR_DOMAIN_ABORT_JOB_POSTCOPY)
                         ? "current job is not outgoing migration in post-copy mode"
                         : "no job is active on the domain");
}

/* --- managed save --------------------------------------------------------------------------------------- */

gboolean call_domain_has_managed_save_image(Call *call, const DomainHasManagedSaveImageArgs *args,
                                            DomainHasManagedSaveImageRet *ret, GError **error)
{
    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    WITH_DOMAIN(dom);
    ret->result = dom->managed_save;
    return TRUE;
}

gboolean call_domain_managed_save_remove(Call *call, const DomainManagedSaveRemoveArgs *args,
                                         DomainManagedSaveRemoveRet *ret, GError **error)
{
    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    WITH_DOMAIN(dom);
    return error_set_errno(error, ENOENT, "Failed to remove managed save file of domain '%s'", dom->name);
}

/* --- messages ------------------------------------------------------------------------------------------- */

/* Why a domain that KVM runs is not kite-vmm's. Kinds of messages have flags; this one has none. */
static void add_back_end(const DomainDef *def, GPtrArray *lines)
{
    char *reason = NULL;

    if (def->virt_type != VIRT_KVM || vmm_caps_is_vmm(def->emulator) || backend_vmm.can_run(def, &reason))
        return;
    g_ptr_array_add(lines, g_strdup_printf("runs on QEMU: %s", reason));
    g_free(reason);
}

gboolean call_domain_get_messages(Call *call, const DomainGetMessagesArgs *args, DomainGetMessagesRet *ret,
                                  GError **error)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new();

    if (!call_check_flags(call, args->flags, VIR_DOMAIN_MESSAGE_DEPRECATION | VIR_DOMAIN_MESSAGE_TAINTING,
                          error))
        return FALSE;
    WITH_DOMAIN(dom);
    for (int taint = 0; taint < DOMAIN_TAINT_LAST; taint++) {
        if ((args->flags == 0 || (args->flags & VIR_DOMAIN_MESSAGE_TAINTING)) &&
            (dom->taints & (G_GUINT64_CONSTANT(1) << taint)))
            g_ptr_array_add(lines, g_strdup_printf("tainted: %s", domain_taint_text(taint)));
    }
    for (guint i = 0; dom->deprecations != NULL && i < dom->deprecations->len; i++) {
        if (args->flags == 0 || (args->flags & VIR_DOMAIN_MESSAGE_DEPRECATION))
            g_ptr_array_add(lines, g_strdup_printf("deprecated configuration: %s",
                                                   (const char *)g_ptr_array_index(dom->deprecations, i)));
    }
    if (args->flags == 0 && domain_def(dom) != NULL)
        add_back_end(domain_def(dom), lines);
    ret->msgs_len = lines->len;
    ret->msgs = (char **)g_ptr_array_steal(lines, NULL);
    return TRUE;
}
