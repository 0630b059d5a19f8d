/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RPC handlers that bind threads to the host's CPUs: vCPUs, the emulator, I/O threads; and that make and remove I/O
 * threads. Live changes are of the threads' control groups and
 * sched_setaffinity() on those that QEMU has named. */
#include <string.h>

#include "driver/backend/backend.h"
#include "driver/backend/monitor.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_disk.h"
#include "driver/domain/placement.h"
#include "driver/domain/settings.h"
#include "driver/driver.h"
#include "driver/host/host.h"

/* --- affinity ------------------------------------------------------------------------------------------- */

/* The call's map, without bits for CPUs that are not there. NULL with *error. */
static Bitmap *read_map(Call *call, const guint8 *bytes, gsize length, GError **error)
{
    const Driver *driver = call_driver(call);
    g_autoptr(Bitmap) map = bitmap_from_bytes(bytes, length);
    guint max = 0;
    const HostTopology *topology = host_topology(driver->host);

    for (guint i = 0; i < topology->cpus->len; i++)
        max = MAX(max, ((const HostCpu *)g_ptr_array_index(topology->cpus, i))->id + 1);
    for (int bit = bitmap_next(map, max); bit >= 0; bit = bitmap_next(map, (guint)bit + 1))
        bitmap_clear(map, (guint)bit);
    if (bitmap_is_empty(map)) {
        error_set(error, VIR_ERR_INVALID_ARG, "Empty cpu list for pinning");
        return NULL;
    }
    return g_steal_pointer(&map);
}

/* The thread's cpuset group, if there is one, then the thread. refused: whom libvirt names when the group does not take
 * them; NULL: the kernel's own error. */
static gboolean set_cpus(Setting *s, const char *thread, pid_t tid, const Bitmap *map, const char *refused, GError **error)
{
    g_autoptr(Cgroup) cgroup = domain_cgroup(s->dom);

    if (cgroup_has(cgroup, CGROUP_CPUSET) && !placement_divide(s->dom, s->live, error))
        return FALSE;
    if (cgroup_has(cgroup, CGROUP_CPUSET) && !cgroup_set_cpus(cgroup, thread, map, refused == NULL ? error : NULL))
        return refused != NULL ? error_set(error, VIR_ERR_OPERATION_INVALID, "failed to set cpuset.cpus in cgroup for %s",
                                           refused)
                               : FALSE;
    return placement_set_affinity(tid, map, error);
}

static void tell_pin(Setting *s, const char *field, const Bitmap *map)
{
    g_auto(TypedParams) params = {0};
    g_autofree char *text = bitmap_format(map);

    typed_params_init(&params);
    typed_params_add_string(&params, field, text);
    setting_tell(s, &params);
}

static void replace_map(Domain *dom, Bitmap **where, const Bitmap *map)
{
    if (dom != NULL)
        lock_acquire(&dom->lock);
    bitmap_free(*where);
    *where = bitmap_copy(map);
    if (dom != NULL)
        lock_release(&dom->lock);
}

/* --- vCPUs ---------------------------------------------------------------------------------------------- */

static gboolean pin_vcpu_live(Setting *s, guint vcpu, const Bitmap *map, GError **error)
{
    Domain *dom = s->dom;
    g_autofree char *field = g_strdup_printf("cputune.vcpupin%u", vcpu);
    gboolean any = FALSE, online = FALSE;
    CgroupThread name;
    pid_t tid = 0;

    lock_acquire(&dom->lock);
    for (guint i = 0; dom->info != NULL && i < dom->info->n_vcpus; i++) {
        any |= dom->info->vcpus[i].tid > 0;
        if (i == vcpu) {
            online = dom->info->vcpus[i].online;
            tid = dom->info->vcpus[i].tid;
        }
    }
    lock_release(&dom->lock);
    if (!any)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cpu affinity is not supported");
    if (vcpu >= domain_def_vcpus_max(s->live))
        return error_set(error, VIR_ERR_INVALID_ARG, "vcpu %u is out of range of live cpu count %u", vcpu,
                         domain_def_vcpus_max(s->live));
    if (online && tid > 0 && !set_cpus(s, cgroup_thread(name, "vcpu", vcpu), tid, map, NULL, error))
        return FALSE;
    replace_map(dom, &domain_def_vcpu(s->live, vcpu)->pin, map);
    tell_pin(s, field, map);
    return TRUE;
}

static gboolean pin_vcpu_job(Setting *s, guint vcpu, const Bitmap *map, GError **error)
{
    if (s->config != NULL && vcpu >= domain_def_vcpus_max(s->config))
        return error_set(error, VIR_ERR_INVALID_ARG, "vcpu %u is out of range of persistent cpu count %u", vcpu,
                         domain_def_vcpus_max(s->config));
    if (s->live != NULL && !pin_vcpu_live(s, vcpu, map, error))
        return FALSE;
    if (s->config != NULL)
        replace_map(NULL, &domain_def_vcpu(s->config, vcpu)->pin, map);
    return TRUE;
}

static gboolean pin_vcpu(Call *call, const WireDomain *wire, guint vcpu, const guint8 *bytes, gsize length, guint flags,
                         GError **error)
{
    g_autoptr(Bitmap) map = NULL;
    Setting s;

    if (!setting_begin(&s, call, wire, flags, 0, error))
        return FALSE;
    map = read_map(call, bytes, length, error);
    return setting_end(&s, map != NULL && pin_vcpu_job(&s, vcpu, map, error), error);
}

gboolean call_domain_pin_vcpu(Call *call, const DomainPinVcpuArgs *args, DomainPinVcpuRet *ret, GError **error)
{
    return pin_vcpu(call, &args->dom, args->vcpu, args->cpumap, args->cpumap_len, VIR_DOMAIN_AFFECT_LIVE, error);
}

gboolean call_domain_pin_vcpu_flags(Call *call, const DomainPinVcpuFlagsArgs *args, DomainPinVcpuFlagsRet *ret,
                                    GError **error)
{
    return pin_vcpu(call, &args->dom, args->vcpu, args->cpumap, args->cpumap_len, args->flags, error);
}

/* --- emulator ------------------------------------------------------------------------------------------- */

static gboolean pin_emulator(Setting *s, const Bitmap *map, GError **error)
{
    if (s->live != NULL) {
        g_autoptr(VmProcess) vm = domain_vm(s->dom, NULL, error);

        if (vm == NULL || !set_cpus(s, CGROUP_EMULATOR, vm_process_pid(vm), map, "emulator threads", error))
            return FALSE;
        replace_map(s->dom, &s->live->cputune.emulator_pin, map);
        tell_pin(s, VIR_DOMAIN_TUNABLE_CPU_EMULATORPIN, map);
    }
    if (s->config != NULL)
        replace_map(NULL, &s->config->cputune.emulator_pin, map);
    return TRUE;
}

gboolean call_domain_pin_emulator(Call *call, const DomainPinEmulatorArgs *args, DomainPinEmulatorRet *ret,
                                  GError **error)
{
    g_autoptr(Bitmap) map = NULL;
    Setting s;

    if (!setting_begin(&s, call, &args->dom, args->flags, 0, error))
        return FALSE;
    map = read_map(call, args->cpumap, args->cpumap_len, error);
    return setting_end(&s, map != NULL && pin_emulator(&s, map, error), error);
}

/* --- I/O threads ---------------------------------------------------------------------------------------- */

static IothreadDef *find_iothread(const DomainDef *def, guint id, GError **error)
{
    IothreadDef *thread = domain_def_iothread(def, id);

    if (thread == NULL)
        error_set(error, VIR_ERR_INVALID_ARG, "iothread %u not found", id);
    return thread;
}

static gboolean pin_iothread(Setting *s, guint id, const Bitmap *map, GError **error)
{
    IothreadDef *thread;

    if (s->live != NULL) {
        g_autofree char *field = g_strdup_printf("cputune.iothreadpin%u", id);
        g_autofree char *refused = NULL;
        CgroupThread name;

        thread = find_iothread(s->live, id, error);
        if (thread == NULL)
            return FALSE;
        cgroup_thread(name, "iothread", id);
        refused = g_strdup_printf("iothread %u", id);
        if (thread->thread_id > 0 && !set_cpus(s, name, thread->thread_id, map, refused, error))
            return FALSE;
        replace_map(s->dom, &thread->pin, map);
        thread->autofill = FALSE; /* it is one of its own now */
        tell_pin(s, field, map);
    }
    if (s->config != NULL) {
        thread = domain_def_iothread(s->config, id);
        if (thread == NULL)
            return error_set(error, VIR_ERR_INVALID_ARG, "iothreadid %u not found", id);
        replace_map(NULL, &thread->pin, map);
        thread->autofill = FALSE;
    }
    return TRUE;
}

gboolean call_domain_pin_iothread(Call *call, const DomainPinIothreadArgs *args, DomainPinIothreadRet *ret,
                                  GError **error)
{
    g_autoptr(Bitmap) map = NULL;
    Setting s;

    if (!setting_begin(&s, call, &args->dom, args->flags, 0, error))
        return FALSE;
    map = read_map(call, args->cpumap, args->cpumap_len, error);
    return setting_end(&s, map != NULL && pin_iothread(&s, args->iothreads_id, map, error), error);
}

/* By number, so that the list is as it will be read again. */
static void insert_iothread(Domain *dom, DomainDef *def, IothreadDef *thread)
{
    if (dom != NULL)
        lock_acquire(&dom->lock);
    g_ptr_array_add(def->iothreads, thread);
    if (dom != NULL)
        lock_release(&dom->lock);
}

static void remove_iothread(Domain *dom, DomainDef *def, IothreadDef *thread)
{
    if (dom != NULL)
        lock_acquire(&dom->lock);
    g_ptr_array_remove(def->iothreads, thread);
    for (guint i = 0; i < def->iothreads->len; i++)
        ((IothreadDef *)g_ptr_array_index(def->iothreads, i))->autofill = FALSE;
    if (dom != NULL)
        lock_release(&dom->lock);
}

static gboolean is_free(const DomainDef *def, guint id, const char *where, GError **error)
{
    return domain_def_iothread(def, id) == NULL ||
           error_set(error, VIR_ERR_INVALID_ARG, "an IOThread is already using iothread_id '%u'%s", id, where);
}

static gboolean read_thread_id(QmpClient *qmp, const char *name, IothreadDef *thread, GError **error)
{
    g_autoptr(GPtrArray) threads = NULL;

    if (!vm_query_iothreads(qmp, &threads, error))
        return FALSE;
    for (guint i = 0; i < threads->len; i++) {
        const VmIothread *found = threads->pdata[i];

        if (strcmp(found->id, name) == 0)
            thread->thread_id = found->tid;
    }
    return TRUE;
}

static gboolean add_live(Setting *s, guint id, GError **error)
{
    g_autofree char *name = g_strdup_printf("iothread%u", id);
    g_autoptr(VmProcess) vm = domain_vm(s->dom, NULL, error);
    IothreadDef *thread;

    if (vm == NULL ||
        !vm_object_add(vm_process_qmp(vm), json_pack("{s:s, s:s}", "qom-type", "iothread", "id", name), error))
        return FALSE;
    thread = iothread_def_new(id);
    if (!read_thread_id(vm_process_qmp(vm), name, thread, error)) {
        iothread_def_free(thread);
        vm_object_del(vm_process_qmp(vm), name, NULL);
        return FALSE;
    }
    insert_iothread(s->dom, s->live, thread);
    return placement_add_iothread(s->dom, s->live, thread, error);
}

static gboolean add_iothread(Setting *s, guint id, GError **error)
{
    if ((s->live != NULL && !is_free(s->live, id, "", error)) ||
        (s->config != NULL && !is_free(s->config, id, " in persistent iothreadids", error)))
        return FALSE;
    if (s->live != NULL && !add_live(s, id, error))
        return FALSE;
    if (s->config != NULL)
        insert_iothread(NULL, s->config, iothread_def_new(id));
    return TRUE;
}

static gboolean change_iothreads(Call *call, const WireDomain *dom, guint id, guint flags,
                                 gboolean (*change)(Setting *s, guint id, GError **error), GError **error)
{
    Setting s;

    if (id == 0)
        return error_set(error, VIR_ERR_INVALID_ARG, "invalid value of 0 for iothread_id");
    if (!setting_begin(&s, call, dom, flags, 0, error))
        return FALSE;
    return setting_end(&s, change(&s, id, error), error);
}

gboolean call_domain_add_iothread(Call *call, const DomainAddIothreadArgs *args, DomainAddIothreadRet *ret,
                                  GError **error)
{
    return change_iothreads(call, &args->dom, args->iothread_id, args->flags, add_iothread, error);
}

static gboolean is_unused(const DomainDef *def, guint id, GError **error)
{
    if (domain_def_iothread(def, id) == NULL)
        return error_set(error, VIR_ERR_INVALID_ARG, "cannot find IOThread '%u' in iothreadids list", id);
    DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
    {
        if (disk_uses_iothread(disk, id))
            return error_set(error, VIR_ERR_INVALID_ARG, "cannot remove IOThread %u since it is being used by disk '%s'",
                             id, disk->target);
    }
    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (controller->iothread == id)
            return error_set(error, VIR_ERR_INVALID_ARG,
                             "cannot remove IOThread '%u' since it is being used by controller", id);
    }
    return TRUE;
}

static gboolean del_iothread(Setting *s, guint id, GError **error)
{
    if ((s->live != NULL && !is_unused(s->live, id, error)) || (s->config != NULL && !is_unused(s->config, id, error)))
        return FALSE;
    if (s->live != NULL) {
        g_autofree char *name = g_strdup_printf("iothread%u", id);
        g_autoptr(VmProcess) vm = domain_vm(s->dom, NULL, error);

        if (vm == NULL || !vm_object_del(vm_process_qmp(vm), name, error))
            return FALSE;
        remove_iothread(s->dom, s->live, domain_def_iothread(s->live, id));
        placement_remove_thread(s->dom, "iothread", id);
    }
    if (s->config != NULL)
        remove_iothread(NULL, s->config, domain_def_iothread(s->config, id));
    return TRUE;
}

gboolean call_domain_del_iothread(Call *call, const DomainDelIothreadArgs *args, DomainDelIothreadRet *ret,
                                  GError **error)
{
    return change_iothreads(call, &args->dom, args->iothread_id, args->flags, del_iothread, error);
}

static const struct {
    const char *field, *property;
    int type;
} polling[] = {{VIR_DOMAIN_IOTHREAD_POLL_MAX_NS, "poll-max-ns", VIR_TYPED_PARAM_ULLONG},
               {VIR_DOMAIN_IOTHREAD_POLL_GROW, "poll-grow", VIR_TYPED_PARAM_UINT},
               {VIR_DOMAIN_IOTHREAD_POLL_SHRINK, "poll-shrink", VIR_TYPED_PARAM_UINT}};

static gboolean set_polling(Setting *s, const DomainSetIothreadParamsArgs *args, GError **error)
{
    g_autofree char *path = g_strdup_printf("/objects/iothread%u", args->iothread_id);
    g_autoptr(VmProcess) vm = NULL;

    if (s->config != NULL)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "configuring persistent polling values is not supported");
    if (domain_def_iothread(s->live, args->iothread_id) == NULL)
        return error_set(error, VIR_ERR_INVALID_ARG, "cannot find IOThread '%u' in iothreadids list",
                         args->iothread_id);
    vm = domain_vm(s->dom, NULL, error);
    for (gsize i = 0; vm != NULL && i < G_N_ELEMENTS(polling); i++) {
        const WireTypedParam *param = typed_params_find(args->params, args->params_len, polling[i].field);
        guint64 value;

        if (param == NULL)
            continue;
        value = polling[i].type == VIR_TYPED_PARAM_UINT ? param->value.ui : param->value.ul;
        if (value > G_MAXINT32)
            return error_set(error, VIR_ERR_INVALID_ARG, "polling %s value must be less than INT_MAX",
                             polling[i].field);
        if (!vm_qom_set(vm_process_qmp(vm), path, polling[i].property, json_integer((json_int_t)value), error))
            return FALSE;
    }
    return vm != NULL;
}

gboolean call_domain_set_iothread_params(Call *call, const DomainSetIothreadParamsArgs *args,
                                         DomainSetIothreadParamsRet *ret, GError **error)
{
    TypedParamSpec specs[G_N_ELEMENTS(polling)] = {0};
    Setting s;

    for (gsize i = 0; i < G_N_ELEMENTS(polling); i++)
        specs[i] = (TypedParamSpec){polling[i].field, polling[i].type, FALSE};
    if (args->iothread_id == 0)
        return error_set(error, VIR_ERR_INVALID_ARG, "invalid value of 0 for iothread_id");
    if (!call_check_params(call, args->params_len, error) ||
        !typed_params_validate(args->params, args->params_len, specs, G_N_ELEMENTS(specs), error) ||
        !setting_begin(&s, call, &args->dom, args->flags, 0, error))
        return FALSE;
    return setting_end(&s, set_polling(&s, args, error), error);
}
