/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* -cpu and -smp: model, features, Hyper-V and KVM enlightenments, topology. */
#include <string.h>

#include "driver/backend/qemu_args_priv.h"
#include "driver/conf/def_panic.h"
#include "driver/host/cpu_features.h"

static const struct {
    HypervFeature feature;
    const char *flag;
} hyperv_flags[] = {
    {HYPERV_RELAXED, "hv-relaxed"},
    {HYPERV_VAPIC, "hv-vapic"},
    {HYPERV_VPINDEX, "hv-vpindex"},
    {HYPERV_RUNTIME, "hv-runtime"},
    {HYPERV_SYNIC, "hv-synic"},
    {HYPERV_STIMER, "hv-stimer"},
    {HYPERV_RESET, "hv-reset"},
    {HYPERV_FREQUENCIES, "hv-frequencies"},
    {HYPERV_REENLIGHTENMENT, "hv-reenlightenment"},
    {HYPERV_TLBFLUSH, "hv-tlbflush"},
    {HYPERV_IPI, "hv-ipi"},
    {HYPERV_EVMCS, "hv-evmcs"},
    {HYPERV_AVIC, "hv-avic"},
};

static void flag(GString *text, const char *name, gboolean on)
{
    g_string_append_printf(text, ",%s=%s", name, on ? "on" : "off");
}

static void flag_tristate(GString *text, const char *name, Tristate value)
{
    if (value != TRISTATE_ABSENT)
        flag(text, name, value == TRISTATE_YES);
}

static gboolean add_model(QemuBuilder *b, GString *text, GError **error)
{
    const CpuDef *cpu = b->def->cpu;
    gboolean kvm = b->def->virt_type == VIRT_KVM;
    gboolean old = g_strcmp0(b->def->os.arch, "i686") == 0;

    if (cpu == NULL || (cpu->mode == CPU_MODE_CUSTOM && cpu->model == NULL)) {
        /* libvirt's default: what the machine itself would take */
        g_string_append(text, old ? "qemu32" : "qemu64");
        return TRUE;
    }
    switch (cpu->mode) {
    case CPU_MODE_HOST_PASSTHROUGH:
        if (!kvm)
            return args_unsupported(error,
                                    "CPU mode 'host-passthrough' for %s qemu domain is not supported by "
                                    "hypervisor",
                                    b->def->os.arch ? b->def->os.arch : "x86_64");
        g_string_append(text, "host");
        flag_tristate(text, "migratable", cpu->migratable);
        break;
    case CPU_MODE_MAXIMUM:
        g_string_append(text, "max");
        flag_tristate(text, "migratable", cpu->migratable);
        break;
    case CPU_MODE_HOST_MODEL:
        /* Not turned into a named model before: the nearest thing. */
        if (cpu->model == NULL) {
            g_string_append(text, kvm ? "host,migratable=on" : "max");
            break;
        }
        /* fall through */
    default:
        if (b->context->caps != NULL && qemu_caps_cpu_model(b->context->caps, kvm, cpu->model) == NULL)
            return args_unsupported(error, "CPU model '%s' is not known to '%s'", cpu->model,
                                    b->context->emulator);
        g_string_append(text, cpu->model);
        if (cpu->vendor_id != NULL)
            g_string_append_printf(text, ",vendor=%s", cpu->vendor_id);
    }
    return TRUE;
}

static void add_features(GString *text, const CpuDef *cpu)
{
    for (guint i = 0; cpu->features != NULL && i < cpu->features->len; i++) {
        const CpuFeature *feature = &g_array_index(cpu->features, CpuFeature, i);

        if (feature->policy != CPU_FEATURE_OPTIONAL)
            flag(text, cpu_feature_to_qemu(feature->name),
                 feature->policy != CPU_FEATURE_DISABLE && feature->policy != CPU_FEATURE_FORBID);
    }
}

static void add_cache_and_width(GString *text, const CpuDef *cpu)
{
    gboolean hosts = cpu->mode == CPU_MODE_HOST_PASSTHROUGH || cpu->mode == CPU_MODE_MAXIMUM;

    if (cpu->cache_set) {
        if (cpu->cache_mode == CPU_CACHE_EMULATE)
            flag(text, "l3-cache", TRUE);
        if (cpu->cache_mode == CPU_CACHE_PASSTHROUGH || hosts)
            flag(text, "host-cache-info", cpu->cache_mode == CPU_CACHE_PASSTHROUGH);
        if (cpu->cache_mode != CPU_CACHE_EMULATE)
            flag(text, "l3-cache", FALSE);
    }
    if (cpu->maxphysaddr == CPU_MAXPHYSADDR_PASSTHROUGH) {
        flag(text, "host-phys-bits", TRUE);
        if (cpu->maxphysaddr_limit != 0)
            g_string_append_printf(text, ",host-phys-bits-limit=%u", cpu->maxphysaddr_limit);
    } else if (cpu->maxphysaddr == CPU_MAXPHYSADDR_EMULATE && cpu->maxphysaddr_bits != 0) {
        g_string_append_printf(text, ",phys-bits=%u", cpu->maxphysaddr_bits);
    }
}

static void add_hyperv(GString *text, const FeaturesDef *features)
{
    if (features->hyperv_mode == HYPERV_MODE_PASSTHROUGH)
        flag(text, "hv-passthrough", TRUE);
    if (features->hyperv_mode != HYPERV_MODE_CUSTOM)
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(hyperv_flags); i++) {
        if (features->hyperv[hyperv_flags[i].feature] == TRISTATE_YES)
            flag(text, hyperv_flags[i].flag, TRUE);
    }
    if (features->hyperv[HYPERV_STIMER] == TRISTATE_YES && features->hyperv_stimer_direct == TRISTATE_YES)
        flag(text, "hv-stimer-direct", TRUE);
    if (features->hyperv[HYPERV_SPINLOCKS] == TRISTATE_YES)
        g_string_append_printf(text, ",hv-spinlocks=0x%x", features->hyperv_spinlocks);
    if (features->hyperv[HYPERV_VENDOR_ID] == TRISTATE_YES && features->hyperv_vendor_id != NULL) {
        g_autofree char *id = args_escape(features->hyperv_vendor_id);

        g_string_append_printf(text, ",hv-vendor-id=%s", id);
    }
}

static void add_timers(GString *text, const ClockDef *clock)
{
    const TimerDef *kvmclock = clock_def_timer(clock, TIMER_KVMCLOCK);
    const TimerDef *hyperv = clock_def_timer(clock, TIMER_HYPERVCLOCK);
    const TimerDef *tsc = clock_def_timer(clock, TIMER_TSC);

    if (kvmclock != NULL)
        flag_tristate(text, "kvmclock", kvmclock->present);
    if (hyperv != NULL && hyperv->present == TRISTATE_YES)
        flag(text, "hv-time", TRUE);
    if (tsc != NULL && tsc->frequency != 0)
        g_string_append_printf(text, ",tsc-frequency=%" G_GUINT64_FORMAT, tsc->frequency);
}

static void add_kvm_features(GString *text, const FeaturesDef *features)
{
    flag_tristate(text, "kvm-pv-eoi", features->apic_eoi);
    flag_tristate(text, "kvm-pv-unhalt", features->state[FEATURE_PVSPINLOCK]);
    if (features->kvm[KVM_HIDDEN] == TRISTATE_YES)
        flag(text, "kvm", FALSE);
    if (features->kvm[KVM_DEDICATED] == TRISTATE_YES)
        flag(text, "kvm-hint-dedicated", TRUE);
    if (features->kvm[KVM_POLLCONTROL] == TRISTATE_YES)
        flag(text, "kvm-poll-control", TRUE);
    if (features->kvm[KVM_PVIPI] != TRISTATE_ABSENT)
        flag(text, "kvm-pv-ipi", features->kvm[KVM_PVIPI] == TRISTATE_YES);
    flag_tristate(text, "pmu", features->state[FEATURE_PMU]);
}

/* vCPUs that are there from the first instruction: those that may be unplugged are added before the guest
 * runs. */
static guint boot_vcpus(const DomainDef *def)
{
    guint n = 0;

    for (guint i = 0; i < domain_def_vcpus_max(def); i++) {
        const VcpuDef *vcpu = domain_def_vcpu(def, i);

        n += vcpu->online && vcpu->hotpluggable != TRISTATE_YES;
    }
    return MAX(n, 1);
}

static gboolean add_smp(QemuBuilder *b, GError **error)
{
    guint max = domain_def_vcpus_max(b->def), boot = boot_vcpus(b->def);
    const CpuDef *cpu = b->def->cpu;
    GString *text = g_string_new(NULL);

    g_string_append_printf(text, "%u", boot);
    if (boot != max)
        g_string_append_printf(text, ",maxcpus=%u", max);
    if (cpu != NULL && cpu->sockets != 0) {
        guint dies = MAX(cpu->dies, 1);

        if ((guint64)cpu->sockets * dies * cpu->cores * cpu->threads != max) {
            g_string_free(text, TRUE);
            return args_unsupported(error, "CPU topology doesn't match maximum vcpu count");
        }
        g_string_append_printf(text, ",sockets=%u,dies=%u,cores=%u,threads=%u", cpu->sockets, dies, cpu->cores,
                               cpu->threads);
    } else {
        g_string_append_printf(text, ",sockets=%u,cores=1,threads=1", max);
    }
    args_add_text(b, "-smp", g_string_free(text, FALSE));
    return TRUE;
}

gboolean args_cpu(QemuBuilder *b, GError **error)
{
    GString *text = g_string_new(NULL);

    if (!add_model(b, text, error)) {
        g_string_free(text, TRUE);
        return FALSE;
    }
    if (b->def->cpu != NULL) {
        add_features(text, b->def->cpu);
        add_cache_and_width(text, b->def->cpu);
    }
    add_timers(text, &b->def->clock);
    add_kvm_features(text, &b->def->features);
    add_hyperv(text, &b->def->features);
    DOMAIN_DEF_FOREACH(PanicDef, panic, b->def, DEVICE_PANIC)
    {
        if (panic->model == PANIC_HYPERV)
            flag(text, "hv-crash", TRUE);
    }
    args_add_text(b, "-cpu", g_string_free(text, FALSE));
    return add_smp(b, error);
}
