/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether kite-vmm can run a definition: everything in it is looked at, and the first element in the way is
 * named. What the guest cannot miss is let through: devices that the definition got without being asked
 * (controllers without devices, keyboard and mouse of a machine without a screen, the silent sound card back
 * end), switches that say what is so anyway.
 */
#include <string.h>

#include "driver/backend/vmm_desc_priv.h"
#include "driver/conf/domain_def.h"
#include "driver/host/vmm_caps.h"

gboolean vmm_support_no(char **ret_reason, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    *ret_reason = g_strdup_printf("kite-vmm does not support %s", text);
    return FALSE;
}

/* --- the machine --- */

static gboolean check_sysinfo(const DomainDef *def, char **reason)
{
    const SysinfoDef *sysinfo = domain_def_sysinfo(def, FALSE);

    if (domain_def_sysinfo(def, TRUE) != NULL)
        return vmm_support_no(reason, "<sysinfo type='fwcfg'>");
    if (def->os.smbios == SMBIOS_HOST)
        return vmm_support_no(reason, "<smbios mode='host'>");
    for (guint i = 0; def->os.smbios == SMBIOS_SYSINFO && sysinfo != NULL && i < sysinfo->entries->len; i++) {
        const SysinfoEntry *entry = &g_array_index(sysinfo->entries, SysinfoEntry, i);

        if (!vmm_desc_smbios_known(entry))
            return vmm_support_no(reason, "'%s' of <%s> in <sysinfo>", entry->name, entry->block);
    }
    return TRUE;
}

static gboolean check_os(const DomainDef *def, char **reason)
{
    const OsDef *os = &def->os;

    if (def->virt_type != VIRT_KVM)
        return vmm_support_no(reason, "<domain type='%s'>, only 'kvm'", virt_type_to_string(def->virt_type));
    if (g_strcmp0(os->arch, "x86_64") != 0)
        return vmm_support_no(reason, "<type arch='%s'>", os->arch ? os->arch : "");
    if (os->machine != NULL) {
        g_autofree char *machine = vmm_caps_machine(os->machine);

        if (machine == NULL)
            return vmm_support_no(reason, "<type machine='%s'>", os->machine);
    }
    if (os->firmware == FIRMWARE_EFI || os->loader.path != NULL || os->loader.nvram_path != NULL)
        return vmm_support_no(reason, "firmware (<loader>, <os firmware=>): it boots a <kernel>");
    if (os->kernel == NULL)
        return vmm_support_no(reason, "booting from a device: it needs <os><kernel>");
    if (os->dtb != NULL)
        return vmm_support_no(reason, "<dtb>");
    if (os->slic_table != NULL)
        return vmm_support_no(reason, "<acpi><table>");
    if (!check_sysinfo(def, reason))
        return FALSE;
    if (def->genid_given)
        return vmm_support_no(reason, "<genid>");
    if (def->qemu.given)
        return vmm_support_no(reason, "<qemu:commandline>");
    if (def->launch_security != NULL)
        return vmm_support_no(reason, "<launchSecurity>");
    if (def->pm_s3 == TRISTATE_YES || def->pm_s4 == TRISTATE_YES)
        return vmm_support_no(reason, "<pm> with suspend");
    return TRUE;
}

/* Features that may be said, and how. */
static gboolean check_features(const DomainDef *def, char **reason)
{
    static const struct {
        Feature feature;
        Tristate refused;
        const char *name;
    } rules[] = {
        {FEATURE_HYPERV, TRISTATE_YES, "<hyperv>"},   {FEATURE_VMPORT, TRISTATE_YES, "<vmport>"},
        {FEATURE_SMM, TRISTATE_YES, "<smm>"},         {FEATURE_VMCOREINFO, TRISTATE_YES, "<vmcoreinfo>"},
        {FEATURE_PMU, TRISTATE_NO, "<pmu state='off'>"},
        {FEATURE_PVSPINLOCK, TRISTATE_NO, "<pvspinlock state='off'>"},
        {FEATURE_XEN, TRISTATE_YES, "<xen>"},         {FEATURE_TCG, TRISTATE_YES, "<tcg>"},
    };
    static const struct {
        KvmFeature feature;
        const char *name;
    } kvm_rules[] = {
        {KVM_DEDICATED, "<hint-dedicated>"},
        {KVM_POLLCONTROL, "<poll-control>"},
        {KVM_PVIPI, "<pv-ipi>"},
        {KVM_DIRTY_RING, "<dirty-ring>"},
    };
    const FeaturesDef *f = &def->features;

    for (gsize i = 0; i < G_N_ELEMENTS(rules); i++) {
        if (f->state[rules[i].feature] == rules[i].refused)
            return vmm_support_no(reason, "%s in <features>", rules[i].name);
    }
    if (f->hyperv_mode != HYPERV_MODE_NONE)
        return vmm_support_no(reason, "<hyperv> in <features>");
    for (gsize i = 0; i < G_N_ELEMENTS(kvm_rules); i++) {
        if (f->kvm[kvm_rules[i].feature] == TRISTATE_YES)
            return vmm_support_no(reason, "<kvm>%s in <features>", kvm_rules[i].name);
    }
    if (f->msrs_unknown != NULL)
        return vmm_support_no(reason, "<msrs> in <features>");
    return TRUE;
}

static gboolean check_cpu(const DomainDef *def, char **reason)
{
    const CpuDef *cpu = def->cpu;

    if (domain_def_vcpus_max(def) > VMM_VCPUS_MAX)
        return vmm_support_no(reason, "%u vCPUs, at most %d", domain_def_vcpus_max(def), VMM_VCPUS_MAX);
    for (guint i = 0; i < domain_def_vcpus_max(def); i++) {
        const VcpuDef *vcpu = domain_def_vcpu(def, i);

        /* Those present at boot are the first ones. */
        if ((i < vmm_desc_vcpus_at_boot(def)) != (vcpu->online && vcpu->hotpluggable != TRISTATE_YES))
            return vmm_support_no(reason, "<vcpus> whose hot-pluggable ones are not the last");
    }
    if (cpu == NULL)
        return TRUE;
    if (cpu->mode == CPU_MODE_CUSTOM && cpu->model != NULL && !vmm_caps_cpu_model(cpu->model))
        return vmm_support_no(reason, "CPU model '%s'", cpu->model);
    if (cpu->vendor_id != NULL)
        return vmm_support_no(reason, "<model vendor_id=>");
    if (cpu->cache_set && cpu->cache_mode != CPU_CACHE_PASSTHROUGH)
        return vmm_support_no(reason, "<cpu><cache>");
    if (cpu->maxphysaddr == CPU_MAXPHYSADDR_EMULATE)
        return vmm_support_no(reason, "<cpu><maxphysaddr>");
    return TRUE;
}

static gboolean check_memory(const DomainDef *def, char **reason)
{
    const MemoryTune *tune = &def->memtune;

    if (tune->locked && def->max_memory != 0)
        return vmm_support_no(reason, "<memoryBacking><locked> together with <maxMemory>");
    if (tune->source == MEMORY_SOURCE_FILE)
        return vmm_support_no(reason, "<memoryBacking><source type='file'>");
    if (tune->hugepages != NULL && tune->hugepages->len > 1)
        return vmm_support_no(reason, "several sizes of <hugepages>");
    if (tune->hugepages != NULL && tune->hugepages->len == 1 &&
        g_array_index(tune->hugepages, HugePage, 0).nodes != NULL)
        return vmm_support_no(reason, "<hugepages> for some cells only");
    if (def->numatune.placement_auto)
        return vmm_support_no(reason, "<numatune><memory placement='auto'>");
    if (def->numatune.memnodes != NULL && def->numatune.memnodes->len > 0)
        return vmm_support_no(reason, "<numatune><memnode>");
    for (guint i = 0; i < numa_def_n_cells(&def->numa); i++) {
        const NumaCell *cell = numa_def_cell(&def->numa, i);

        if (cell->caches != NULL && cell->caches->len > 0)
            return vmm_support_no(reason, "<cache> of a NUMA cell");
    }
    if (def->numa.interconnects != NULL && def->numa.interconnects->len > 0)
        return vmm_support_no(reason, "<interconnects> of NUMA cells");
    return TRUE;
}

static gboolean check_clock(const DomainDef *def, char **reason)
{
    for (guint i = 0; def->clock.timers != NULL && i < def->clock.timers->len; i++) {
        const TimerDef *timer = &g_array_index(def->clock.timers, TimerDef, i);

        if (timer->present == TRISTATE_NO && timer->name == TIMER_KVMCLOCK)
            return vmm_support_no(reason, "a machine without <timer name='kvmclock'>");
        if (timer->present != TRISTATE_NO && timer->name == TIMER_HPET)
            return vmm_support_no(reason, "<timer name='hpet'>");
        if (timer->present != TRISTATE_NO && timer->name == TIMER_HYPERVCLOCK)
            return vmm_support_no(reason, "<timer name='hypervclock'>");
        if (timer->name == TIMER_TSC && (timer->frequency != 0 || timer->mode != TIMER_MODE_NONE))
            return vmm_support_no(reason, "<timer name='tsc'> with frequency or mode");
        if (timer->name == TIMER_RTC && timer->track == TIMER_TRACK_GUEST)
            return vmm_support_no(reason, "<timer name='rtc' track='guest'>");
    }
    return TRUE;
}

gboolean vmm_desc_supported(const DomainDef *def, char **ret_reason)
{
    return check_os(def, ret_reason) && check_features(def, ret_reason) && check_cpu(def, ret_reason) &&
           check_memory(def, ret_reason) && check_clock(def, ret_reason) && vmm_support_devices(def, ret_reason);
}
