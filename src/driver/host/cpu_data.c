/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a host's and a guest's features come from. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "common/fd.h"
#include "driver/host/cpu_models.h"
#include "driver/host/host_private.h"
#include "driver/host/vmm_caps.h"

void cpu_data_free(CpuData *data)
{
    if (data == NULL)
        return;
    g_free(data->vendor);
    g_free(data->microcode);
    g_free(data);
}

/* What the running kernel switched on says nothing about the processor. */
static void leave_out_switched_on(CpuData *data)
{
    static const char *const names[] = {"osxsave", "ospke"};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        cpu_features_set(&data->features, (guint)cpu_feature_number(names[i]), FALSE);
}

enum { ARCH_CAPABILITIES = 0x10a };

/* FALSE: KVM does not give its guests this one. */
static gboolean read_kvm_msr(int kvm, guint32 index, guint64 *ret)
{
    g_autofree struct kvm_msrs *ask = g_malloc0(sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry));

    ask->nmsrs = 1;
    ask->entries[0].index = index;
    if (ioctl(kvm, KVM_GET_MSRS, ask) != 1)
        return FALSE;
    *ret = ask->entries[0].data;
    return TRUE;
}

/* --- the processor ------------------------------------------------------------------------------------- */

static void set_vendor(CpuData *data, const char *id)
{
    static const struct {
        const char *id, *vendor;
    } vendors[] = {{"GenuineIntel", "Intel"}, {"AuthenticAMD", "AMD"}, {"HygonGenuine", "Hygon"}};

    for (guint i = 0; id != NULL && i < G_N_ELEMENTS(vendors); i++) {
        if (g_str_equal(vendors[i].id, id)) {
            g_free(data->vendor);
            data->vendor = g_strdup(vendors[i].vendor);
        }
    }
}

/* CPUID 1 EAX: extended family counts from family 15 on, the extended model for 6 and 15. */
static void set_signature(CpuData *data, guint32 eax)
{
    guint family = (eax >> 8) & 0xf;

    data->stepping = eax & 0xf;
    data->model = (eax >> 4) & 0xf;
    if (family == 6 || family == 15)
        data->model |= (eax >> 12) & 0xf0;
    data->family = family == 15 ? family + ((eax >> 20) & 0xff) : family;
}

/* The value of a line "label : value" of /proc/cpuinfo's first processor. Caller frees. */
static char *cpuinfo_value(const char *text, const char *label)
{
    g_auto(GStrv) line = g_strsplit(text, "\n", 64);

    for (guint i = 0; line[i] != NULL && line[i][0] != '\0'; i++) {
        char *colon = strchr(line[i], ':');

        if (colon != NULL && g_str_has_prefix(line[i], label) && strchr("\t :", line[i][strlen(label)]) != NULL)
            return g_strdup(g_strstrip(colon + 1));
    }
    return NULL;
}

static void add_cpuinfo(CpuData *data, const char *text)
{
    g_autofree char *vendor = cpuinfo_value(text, "vendor_id");
    g_autofree char *family = cpuinfo_value(text, "cpu family");
    g_autofree char *model = cpuinfo_value(text, "model");
    g_autofree char *stepping = cpuinfo_value(text, "stepping");
    g_autofree char *flags = cpuinfo_value(text, "flags");
    g_auto(GStrv) flag = g_strsplit(flags != NULL ? flags : "", " ", -1);

    set_vendor(data, vendor);
    data->family = family != NULL ? (guint)g_ascii_strtoull(family, NULL, 10) : 0;
    data->model = model != NULL ? (guint)g_ascii_strtoull(model, NULL, 10) : 0;
    data->stepping = stepping != NULL ? (guint)g_ascii_strtoull(stepping, NULL, 10) : 0;
    for (guint i = 0; flag[i] != NULL; i++)
        cpu_features_add_name(&data->features, cpu_feature_from_linux(flag[i]));
}

#if defined(__x86_64__) || defined(__i386__)
static gboolean cpuid(guint32 leaf, guint32 subleaf, guint32 regs[4])
{
    guint32 max = __get_cpuid_max(leaf & 0x80000000u, NULL);

    if (max == 0 || leaf > max)
        return FALSE;
    __cpuid_count(leaf, subleaf, regs[0], regs[1], regs[2], regs[3]);
    return TRUE;
}

/* What the processor says of its vulnerabilities; only root can ask it, anybody KVM. */
static gboolean read_msr(guint32 index, guint64 *ret)
{
    autofd msr = open("/dev/cpu/0/msr", O_RDONLY | O_CLOEXEC);
    autofd kvm = open("/dev/kvm", O_RDONLY | O_CLOEXEC);

    if (msr >= 0 && pread(msr, ret, sizeof(*ret), (off_t)index) == (ssize_t)sizeof(*ret))
        return TRUE;
    return kvm >= 0 && read_kvm_msr(kvm, index, ret);
}

static void add_msr(CpuData *data)
{
    guint64 value;

    if (cpu_features_has_name(&data->features, "arch-capabilities") && read_msr(ARCH_CAPABILITIES, &value))
        cpu_features_add_word(&data->features, &(CpuWord){ARCH_CAPABILITIES, 0, CPU_WORD_MSR, (guint32)value});
}

/* Only KVM tells, and only of a processor of a machine; it stays what it is. */
static void add_tsc(CpuData *data)
{
    static gsize asked;
    static guint64 hz;
    static gboolean scaling;

    if (g_once_init_enter(&asked)) {
        autofd kvm = open("/dev/kvm", O_RDONLY | O_CLOEXEC);
        autofd vm = kvm >= 0 ? ioctl(kvm, KVM_CREATE_VM, 0) : -1;
        autofd vcpu = vm >= 0 ? ioctl(vm, KVM_CREATE_VCPU, 0) : -1;
        int khz = vcpu >= 0 ? ioctl(vcpu, KVM_GET_TSC_KHZ) : 0;

        hz = khz > 0 ? (guint64)khz * 1000 : 0;
        scaling = khz > 0 && ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) > 0;
        g_once_init_leave(&asked, 1);
    }
    data->tsc_hz = hz;
    data->tsc_scaling = scaling;
}

static gboolean add_cpuid(CpuData *data)
{
    guint32 regs[4];
    char vendor[13] = "";
    CpuWord word;

    if (!cpuid(0, 0, regs))
        return FALSE;
    memcpy(vendor, &regs[1], 4);
    memcpy(vendor + 4, &regs[3], 4);
    memcpy(vendor + 8, &regs[2], 4);
    set_vendor(data, vendor);
    if (cpuid(1, 0, regs))
        set_signature(data, regs[0]);
    for (guint n = 0; cpu_features_word(n, &word); n++) {
        if (word.reg == CPU_WORD_MSR || !cpuid(word.leaf, word.subleaf, regs))
            continue;
        word.value = regs[word.reg];
        cpu_features_add_word(&data->features, &word);
    }
    add_msr(data);
    if (cpu_features_has_name(&data->features, "invtsc"))
        add_tsc(data);
    return TRUE;
}
#else
static gboolean add_cpuid(CpuData *data)
{
    return FALSE;
}
#endif

CpuData *cpu_data_host(Host *host)
{
    CpuData *data = g_new0(CpuData, 1);
    g_autofree char *text = host_read(host, "/proc/cpuinfo");

    if ((host->root[0] != '\0' || !add_cpuid(data)) && text != NULL)
        add_cpuinfo(data, text);
    if (text != NULL) {
        g_autofree char *microcode = cpuinfo_value(text, "microcode");

        g_autofree char *sizes = cpuinfo_value(text, "address sizes"); /* "46 bits physical, 48 bits virtual" */

        if (sizes != NULL)
            data->address_bits = (guint)MIN(g_ascii_strtoull(sizes, NULL, 10), 64);
        if (microcode != NULL)
            data->microcode = g_strdup_printf("%" G_GUINT64_FORMAT, g_ascii_strtoull(microcode, NULL, 0));
    }
    return data;
}

/* --- guests' -------------------------------------------------------------------------------------------- */

enum { KVM_CPUID_ENTRIES = 256 };

#ifdef KVM_GET_SUPPORTED_CPUID
/* What KVM's list of CPUID leaves out, and what its guests find in the MSR. */
static void add_emulated(CpuData *data, int kvm)
{
    guint64 value;

    cpu_features_add_name(&data->features, "hypervisor");
    cpu_features_add_name(&data->features, "x2apic");
    cpu_features_add_name(&data->features, "arat");
    if (ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
        cpu_features_add_name(&data->features, "tsc-deadline");
    if (read_kvm_msr(kvm, ARCH_CAPABILITIES, &value))
        cpu_features_add_word(&data->features, &(CpuWord){ARCH_CAPABILITIES, 0, CPU_WORD_MSR, (guint32)value});
}
#endif

static gboolean add_kvm(CpuData *data)
{
#ifdef KVM_GET_SUPPORTED_CPUID
    autofd kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    g_autofree struct kvm_cpuid2 *table =
        g_malloc0(sizeof(struct kvm_cpuid2) + KVM_CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2));

    table->nent = KVM_CPUID_ENTRIES;
    if (kvm < 0 || ioctl(kvm, KVM_GET_SUPPORTED_CPUID, table) < 0)
        return FALSE;
    for (guint i = 0; i < table->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &table->entries[i];
        const guint32 regs[4] = {e->eax, e->ebx, e->ecx, e->edx};

        for (guint32 r = 0; r < 4; r++)
            cpu_features_add_word(&data->features, &(CpuWord){e->function, e->index, r, regs[r]});
    }
    add_emulated(data, kvm);
    leave_out_switched_on(data);
    return TRUE;
#else
    return FALSE;
#endif
}

static gboolean add_qemu(CpuData *data, const QemuCaps *caps, gboolean kvm, gboolean migratable)
{
    GHashTableIter iter;
    gpointer key;

    set_vendor(data, qemu_caps_host_cpu_string(caps, kvm, "vendor"));
    data->family = (guint)qemu_caps_host_cpu_number(caps, kvm, "family");
    data->model = (guint)qemu_caps_host_cpu_number(caps, kvm, "model");
    data->stepping = (guint)qemu_caps_host_cpu_number(caps, kvm, "stepping");
    g_hash_table_iter_init(&iter, (GHashTable *)qemu_caps_host_features(caps, kvm, migratable));
    while (g_hash_table_iter_next(&iter, &key, NULL))
        cpu_features_add_name(&data->features, cpu_feature_from_qemu(key));
    return !cpu_features_empty(&data->features);
}

static void leave_out_unmigratable(CpuFeatures *features)
{
    CPU_FEATURES_FOREACH(number, features)
    {
        if (!cpu_feature_migratable((guint)number))
            cpu_features_set(features, (guint)number, FALSE);
    }
}

gboolean cpu_hypervisor_has_model(const CpuHypervisor *hv, const char *name)
{
    return hv->caps != NULL ? qemu_caps_cpu_model(hv->caps, hv->kvm, name) != NULL : vmm_caps_cpu_model(name);
}

CpuFeatures cpu_hypervisor_features(const CpuHypervisor *hv, gboolean migratable)
{
    CpuFeatures set = {0}, stay = {0};

    for (guint i = 0; cpu_feature_name(i) != NULL; i++) {
        if (hv->caps == NULL || qemu_caps_has_cpu_switch(hv->caps, hv->kvm, cpu_feature_to_qemu(cpu_feature_name(i))))
            cpu_features_set(&set, i, TRUE);
    }
    if (migratable && hv->caps != NULL) {
        g_autoptr(CpuData) all = cpu_data_guest(hv, FALSE);
        g_autoptr(CpuData) some = cpu_data_guest(hv, TRUE);

        stay = all->features;
        cpu_features_subtract(&stay, &some->features);
        cpu_features_subtract(&set, &stay);
    } else if (migratable) {
        leave_out_unmigratable(&set);
    }
    return set;
}

CpuData *cpu_data_guest(const CpuHypervisor *hv, gboolean migratable)
{
    CpuData *data = g_new0(CpuData, 1);

    if (hv->caps != NULL && add_qemu(data, hv->caps, hv->kvm, migratable))
        return data;
    cpu_data_free(data);
    data = cpu_data_host(hv->host);
    if (hv->kvm && hv->host->root[0] == '\0') {
        data->features = (CpuFeatures){0};
        add_kvm(data);
    }
    if (migratable)
        leave_out_unmigratable(&data->features);
    return data;
}
