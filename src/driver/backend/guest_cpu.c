/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See guest_cpu.h. What a processor has is read from QMP: the words of CPUID in one answer ("feature-words"), bits of MSRs
 * one by one, and what was asked for and is not there ("unavailable-features"). */
#include "driver/backend/guest_cpu.h"

#include <string.h>

#include "common/error.h"
#include "driver/backend/json_util.h"
#include "driver/backend/monitor.h"
#include "driver/conf/domain_def.h"
#include "driver/host/cpu_models.h"

gboolean guest_cpu_prepare(const BackendConfig *config, DomainDef *live, const QemuCaps *caps, GError **error)
{
    const CpuHypervisor hv = {config->cpu_host, caps, live->virt_type == VIRT_KVM};

    return config->cpu_host == NULL || live->cpu == NULL ||
           cpu_guest_prepare(live->cpu, live->os.arch != NULL ? live->os.arch : "x86_64", &hv, error);
}

/* --- reading -------------------------------------------------------------------------------------------- */

static int register_number(const char *name)
{
    static const char *const names[] = {"EAX", "EBX", "ECX", "EDX"};

    for (guint i = 0; name != NULL && i < G_N_ELEMENTS(names); i++) {
        if (strcmp(names[i], name) == 0)
            return (int)i;
    }
    return -1;
}

static void add_words(CpuFeatures *set, json_t *words)
{
    json_t *item;
    size_t i;

    json_array_foreach(words, i, item)
    {
        int reg = register_number(jstr(item, "cpuid-register"));
        const CpuWord word = {(guint32)jint(item, "cpuid-input-eax", 0), (guint32)jint(item, "cpuid-input-ecx", 0),
                              (guint32)reg, (guint32)jint(item, "features", 0)};

        if (reg >= 0)
            cpu_features_add_word(set, &word);
    }
}

/* What an MSR tells depends on a bit of CPUID: without it there is nothing to ask. */
static gboolean add_msr_bits(CpuFeatures *set, QmpClient *qmp, const char *path, GError **error)
{
    gboolean any = cpu_features_has_name(set, "arch-capabilities") || cpu_features_has_name(set, "core-capability");

    for (guint i = 0; any && cpu_feature_name(i) != NULL; i++) {
        autojson *value = NULL;

        if (!cpu_feature_in_msr(i))
            continue;
        /* one that it does not know is one that it does not have */
        if (!vm_qom_get(qmp, path, cpu_feature_to_qemu(cpu_feature_name(i)), &value, NULL) && qmp_client_is_lost(qmp))
            return error_set(error, VIR_ERR_OPERATION_FAILED, "the VM ended while its processor was looked at");
        cpu_features_set(set, i, json_is_true(value));
    }
    return TRUE;
}

/* *ret_known FALSE: the VM does not tell. */
static gboolean read_features(QmpClient *qmp, const char *path, CpuFeatures *enabled, CpuFeatures *disabled,
                              gboolean *ret_known, GError **error)
{
    autojson *words = NULL;
    autojson *missing = NULL;
    json_t *name;
    size_t i;

    *enabled = *disabled = (CpuFeatures){0};
    *ret_known = vm_qom_get(qmp, path, "feature-words", &words, NULL);
    if (!*ret_known)
        return TRUE;
    add_words(enabled, words);
    if (!add_msr_bits(enabled, qmp, path, error))
        return FALSE;
    if (vm_qom_get(qmp, path, "unavailable-features", &missing, NULL)) {
        json_array_foreach(missing, i, name)
        {
            cpu_features_add_name(disabled, cpu_feature_from_qemu(json_string_value(name)));
        }
    }
    return TRUE;
}

/* --- comparing ------------------------------------------------------------------------------------------ */

static gboolean check_invariant_tsc(const CpuDef *cpu, const CpuFeatures *enabled, GError **error)
{
    const CpuFeature *asked = cpu_def_find_feature(cpu, "invtsc");

    return asked == NULL || (asked->policy != CPU_FEATURE_REQUIRE && asked->policy != CPU_FEATURE_FORCE) ||
           cpu_features_has_name(enabled, "invtsc") ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "host doesn't support invariant TSC");
}

gboolean guest_cpu_read_back(QmpClient *qmp, DomainDef *live, VmLiveInfo *info, GError **error)
{
    g_autoptr(CpuDef) asked = NULL;
    CpuFeatures enabled, disabled;
    const char *path = NULL;
    gboolean known = FALSE;

    if (live->cpu == NULL || (live->cpu->mode == CPU_MODE_CUSTOM && live->cpu->model == NULL))
        return TRUE;
    for (guint i = 0; path == NULL && i < info->n_vcpus; i++)
        path = info->vcpus[i].qom_path;
    if (path == NULL || !read_features(qmp, path, &enabled, &disabled, &known, error))
        return path == NULL;
    if (!known)
        return TRUE;
    if (!check_invariant_tsc(live->cpu, &enabled, error))
        return FALSE;
    asked = cpu_def_copy(live->cpu);
    if (!cpu_guest_update_live(live->cpu, &enabled, &disabled, error))
        return FALSE;
    if (!cpu_def_equal(live->cpu, asked))
        info->asked_cpu = g_steal_pointer(&asked);
    return TRUE;
}
