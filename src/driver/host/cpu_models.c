/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Look-ups in the tables of CPU models and feature bits, and where a host's and a guest's bits come from. */
#include "driver/host/cpu_models.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "common/error.h"
#include "common/fd.h"
#include "driver/host/cpu_private.h"
#include "driver/host/cpu_tables.h"
#include "driver/host/host_private.h"

/* --- names ---------------------------------------------------------------------------------------------- */

static const ModelRow *find_model(const char *name)
{
    for (guint i = 0; name != NULL && i < G_N_ELEMENTS(model_rows); i++) {
        if (g_str_equal(model_rows[i].name, name))
            return &model_rows[i];
    }
    return NULL;
}

gboolean cpu_model_known(const char *name)
{
    return find_model(name) != NULL;
}

const char **cpu_model_names(guint *ret_count)
{
    const char **names = g_new0(const char *, G_N_ELEMENTS(model_rows) + 1);

    for (guint i = 0; i < G_N_ELEMENTS(model_rows); i++)
        names[i] = model_rows[i].name;
    if (ret_count != NULL)
        *ret_count = G_N_ELEMENTS(model_rows);
    return names;
}

const char *cpu_model_vendor(const char *name)
{
    const ModelRow *row = find_model(name);

    return row != NULL ? row->vendor : NULL;
}

gboolean cpu_model_may_name(const char *name)
{
    return find_model(name)->may_name;
}

gboolean cpu_model_is_processor(const char *name, guint family, guint model)
{
    const ModelRow *row = find_model(name);

    if (row->family == 0 || row->family != family)
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(row->models); i++) {
        if (row->models[i] == model && (i == 0 || model != 0))
            return TRUE;
    }
    return FALSE;
}

static void apply_row(GHashTable *set, const ModelRow *row)
{
    g_auto(GStrv) word = NULL;

    if (row->base != NULL)
        apply_row(set, find_model(row->base));
    word = g_strsplit(row->delta, " ", -1);
    for (guint i = 0; word[i] != NULL; i++) {
        if (word[i][0] == '+')
            g_hash_table_add(set, (gpointer)g_intern_string(word[i] + 1));
        else if (word[i][0] == '-')
            g_hash_table_remove(set, word[i] + 1);
    }
}

GHashTable *cpu_model_features(const char *name)
{
    const ModelRow *row = find_model(name);
    GHashTable *set;

    if (row == NULL)
        return NULL;
    set = g_hash_table_new(g_str_hash, g_str_equal);
    apply_row(set, row);
    return set;
}

/* The table's own string, so that pointers live for ever. */
static const char *feature_name(const char *name)
{
    for (guint w = 0; w < G_N_ELEMENTS(feature_words); w++) {
        for (guint b = 0; b < 32; b++) {
            if (g_strcmp0(feature_words[w].names[b], name) == 0)
                return feature_words[w].names[b];
        }
    }
    return NULL;
}

gboolean cpu_feature_known(const char *name)
{
    return name != NULL && feature_name(name) != NULL;
}

const char *cpu_feature_from_qemu(const char *qemu_name)
{
    static const struct {
        const char *qemu, *libvirt;
    } other[] = {{"pclmulqdq", "pclmuldq"}, {"sse3", "pni"},           {"sse4-1", "sse4.1"}, {"sse4-2", "sse4.2"},
                 {"ffxsr", "fxsr_opt"},     {"i64", "lm"},             {"xd", "nx"},         {"lzcnt", "abm"},
                 {"ds-cpl", "ds_cpl"},      {"fxsr-opt", "fxsr_opt"},  {"lahf-lm", "lahf_lm"},
                 {"cmp-legacy", "cmp_legacy"}, {"nodeid-msr", "nodeid_msr"}, {"perfctr-core", "perfctr_core"},
                 {"perfctr-nb", "perfctr_nb"}, {"tsc-adjust", "tsc_adjust"}};
    const char *name = feature_name(qemu_name);

    for (guint i = 0; name == NULL && i < G_N_ELEMENTS(other); i++) {
        if (g_str_equal(other[i].qemu, qemu_name))
            name = feature_name(other[i].libvirt);
    }
    return name;
}

/* --- data ----------------------------------------------------------------------------------------------- */

CpuData *cpu_data_new(void)
{
    CpuData *data = g_new0(CpuData, 1);

    data->features = g_hash_table_new(g_str_hash, g_str_equal);
    return data;
}

void cpu_data_free(CpuData *data)
{
    if (data == NULL)
        return;
    g_free(data->vendor);
    g_free(data->microcode);
    g_hash_table_unref(data->features);
    g_free(data);
}

static void set_vendor(CpuData *data, const char *id)
{
    static const struct {
        const char *id, *vendor;
    } vendors[] = {{"GenuineIntel", INTEL}, {"AuthenticAMD", AMD}, {"HygonGenuine", HYGON}};

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

static void add_word(CpuData *data, const FeatureWord *word, guint32 value)
{
    for (guint b = 0; b < 32; b++) {
        if ((value & (1u << b)) != 0 && word->names[b] != NULL)
            g_hash_table_add(data->features, (gpointer)word->names[b]);
    }
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

static const char *feature_from_linux(const char *flag)
{
    static const struct {
        const char *flag, *libvirt;
    } other[] = {{"sse4_1", "sse4.1"}, {"sse4_2", "sse4.2"}, {"pclmulqdq", "pclmuldq"},
                 {"tsc_deadline_timer", "tsc-deadline"},
                 {"avx512_vnni", "avx512vnni"}, {"avx512_bf16", "avx512-bf16"}, {"avx512_vbmi2", "avx512vbmi2"},
                 {"avx512_bitalg", "avx512bitalg"}, {"avx512_vpopcntdq", "avx512-vpopcntdq"}, {"sha_ni", "sha-ni"},
                 {"nrip_save", "nrip-save"}, {"arch_capabilities", "arch-capabilities"}, {"dts", "ds"}};
    const char *name = feature_name(flag);

    for (guint i = 0; name == NULL && i < G_N_ELEMENTS(other); i++) {
        if (g_str_equal(other[i].flag, flag))
            name = feature_name(other[i].libvirt);
    }
    return name;
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
    for (guint i = 0; flag[i] != NULL; i++) {
        const char *name = feature_from_linux(flag[i]);

        if (name != NULL)
            g_hash_table_add(data->features, (gpointer)name);
    }
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

static gboolean add_cpuid(CpuData *data)
{
    guint32 regs[4];
    char vendor[13] = "";

    if (!cpuid(0, 0, regs))
        return FALSE;
    memcpy(vendor, &regs[1], 4);
    memcpy(vendor + 4, &regs[3], 4);
    memcpy(vendor + 8, &regs[2], 4);
    set_vendor(data, vendor);
    if (cpuid(1, 0, regs))
        set_signature(data, regs[0]);
    for (guint w = 0; w < G_N_ELEMENTS(feature_words); w++) {
        const FeatureWord *word = &feature_words[w];

        if (word->reg != REG_MSR && cpuid(word->leaf, word->subleaf, regs))
            add_word(data, word, regs[word->reg]);
    }
    /* What the running kernel switched on or a hypervisor put there says nothing about the processor. */
    g_hash_table_remove(data->features, "osxsave");
    g_hash_table_remove(data->features, "ospke");
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
    CpuData *data = cpu_data_new();
    g_autofree char *text = host_read(host, "/proc/cpuinfo");

    if ((host->root[0] != '\0' || !add_cpuid(data)) && text != NULL)
        add_cpuinfo(data, text);
    if (text != NULL) {
        g_autofree char *microcode = cpuinfo_value(text, "microcode");

        if (microcode != NULL)
            data->microcode = g_strdup_printf("%" G_GUINT64_FORMAT, g_ascii_strtoull(microcode, NULL, 0));
    }
    return data;
}

/* --- guests' -------------------------------------------------------------------------------------------- */

enum { KVM_CPUID_ENTRIES = 256 };

static gboolean add_kvm(CpuData *data)
{
    autofd kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    g_autofree struct kvm_cpuid2 *table =
        g_malloc0(sizeof(struct kvm_cpuid2) + KVM_CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2));

    table->nent = KVM_CPUID_ENTRIES;
#ifdef KVM_GET_SUPPORTED_CPUID
    if (kvm < 0 || ioctl(kvm, KVM_GET_SUPPORTED_CPUID, table) < 0)
        return FALSE;
#else
    return FALSE;
#endif
    for (guint i = 0; i < table->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &table->entries[i];
        const guint32 regs[4] = {e->eax, e->ebx, e->ecx, e->edx};

        for (guint w = 0; w < G_N_ELEMENTS(feature_words); w++) {
            const FeatureWord *word = &feature_words[w];

            if (word->reg != REG_MSR && word->leaf == e->function && word->subleaf == e->index)
                add_word(data, word, regs[word->reg]);
        }
    }
    g_hash_table_remove(data->features, "osxsave");
    g_hash_table_remove(data->features, "ospke");
    return TRUE;
}

static void add_qemu(CpuData *data, const QemuCaps *caps, gboolean kvm)
{
    GHashTableIter iter;
    gpointer key;

    set_vendor(data, qemu_caps_host_cpu_string(caps, kvm, "vendor"));
    data->family = (guint)qemu_caps_host_cpu_number(caps, kvm, "family");
    data->model = (guint)qemu_caps_host_cpu_number(caps, kvm, "model");
    data->stepping = (guint)qemu_caps_host_cpu_number(caps, kvm, "stepping");
    g_hash_table_iter_init(&iter, (GHashTable *)qemu_caps_host_features(caps, kvm));
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        const char *name = cpu_feature_from_qemu(key);

        if (name != NULL)
            g_hash_table_add(data->features, (gpointer)name);
    }
}

CpuData *cpu_data_guest(Host *host, const QemuCaps *caps, gboolean kvm)
{
    CpuData *data;

    if (caps != NULL) {
        data = cpu_data_new();
        add_qemu(data, caps, kvm);
        if (g_hash_table_size(data->features) > 0)
            return data;
        cpu_data_free(data);
    }
    data = cpu_data_host(host);
    if (kvm && host->root[0] == '\0') {
        g_hash_table_remove_all(data->features);
        add_kvm(data);
    }
    return data;
}
