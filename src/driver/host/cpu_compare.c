/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Comparing CPUs, and finding what several have in common. */
#include <string.h>

#include "common/error.h"
#include "driver/host/cpu_models.h"

/* --- what a definition says ----------------------------------------------------------------------------- */

static gboolean model_of(const CpuDef *cpu, CpuFeatures *ret, GError **error)
{
    const CpuModel *model = cpu_model_find(cpu->model);

    *ret = (CpuFeatures){0};
    if (cpu->model == NULL)
        return TRUE;
    if (model == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Unknown CPU model %s", cpu->model);
    *ret = *cpu_model_features(model);
    return TRUE;
}

static int policy_of(const CpuFeature *f)
{
    return f->policy < 0 ? CPU_FEATURE_REQUIRE : f->policy;
}

static gboolean number_of(const CpuFeature *f, guint *ret, GError **error)
{
    int number = cpu_feature_number(f->name);

    if (number < 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Unknown CPU feature %s", f->name);
    *ret = (guint)number;
    return TRUE;
}

gboolean cpu_def_features(const CpuDef *cpu, CpuFeatures *ret, GError **error)
{
    if (!model_of(cpu, ret, error))
        return FALSE;
    for (guint i = 0; i < cpu->features->len; i++) {
        const CpuFeature *f = &g_array_index(cpu->features, CpuFeature, i);
        int policy = policy_of(f);
        guint number = 0;

        if (policy == CPU_FEATURE_OPTIONAL)
            continue;
        if (!number_of(f, &number, error))
            return FALSE;
        cpu_features_set(ret, number, policy == CPU_FEATURE_FORCE || policy == CPU_FEATURE_REQUIRE);
    }
    return TRUE;
}

gboolean cpu_def_features_of(const CpuDef *cpu, CpuFeaturePolicy policy, CpuFeatures *ret, GError **error)
{
    *ret = (CpuFeatures){0};
    if (policy == CPU_FEATURE_REQUIRE && !model_of(cpu, ret, error))
        return FALSE;
    for (guint i = 0; i < cpu->features->len; i++) {
        const CpuFeature *f = &g_array_index(cpu->features, CpuFeature, i);
        guint number = 0;

        if (policy_of(f) != (int)policy)
            continue;
        if (!number_of(f, &number, error))
            return FALSE;
        cpu_features_set(ret, number, TRUE);
    }
    return TRUE;
}

/* --- comparing ------------------------------------------------------------------------------------------ */

static int incompatible(char **ret_why, const char *what, const CpuFeatures *features)
{
    g_autofree char *names = cpu_features_join(features, ", ");

    if (ret_why != NULL)
        *ret_why = g_strdup_printf("%s: %s", what, names);
    return 0;
}

static gboolean is_x86(const char *arch)
{
    return strcmp(arch, "x86_64") == 0 || strcmp(arch, "i686") == 0;
}

int cpu_compare(const CpuDef *host, const CpuDef *cpu, char **ret_why, GError **error)
{
    CpuFeatures have, of[CPU_FEATURE_LAST], rest;

    if (cpu->arch != NULL && !is_x86(cpu->arch)) {
        if (ret_why != NULL)
            *ret_why = g_strdup_printf("CPU arch %s does not match host arch", cpu->arch);
        return 0;
    }
    if (cpu->vendor != NULL && g_strcmp0(cpu->vendor, host->vendor) != 0) {
        if (ret_why != NULL)
            *ret_why = g_strdup_printf("host CPU vendor does not match required CPU vendor %s", cpu->vendor);
        return 0;
    }
    if (!cpu_def_features(host, &have, error))
        return -1;
    for (int policy = 0; policy < CPU_FEATURE_LAST; policy++) {
        if (!cpu_def_features_of(cpu, policy, &of[policy], error))
            return -1;
    }
    rest = of[CPU_FEATURE_FORBID];
    cpu_features_intersect(&rest, &have);
    if (!cpu_features_empty(&rest))
        return incompatible(ret_why, "Host CPU provides forbidden features", &rest);
    /* What the model has and the definition says otherwise about. */
    cpu_features_subtract(&of[CPU_FEATURE_REQUIRE], &of[CPU_FEATURE_FORCE]);
    cpu_features_subtract(&of[CPU_FEATURE_REQUIRE], &of[CPU_FEATURE_OPTIONAL]);
    cpu_features_subtract(&of[CPU_FEATURE_REQUIRE], &of[CPU_FEATURE_DISABLE]);
    rest = of[CPU_FEATURE_REQUIRE];
    cpu_features_subtract(&rest, &have);
    if (!cpu_features_empty(&rest))
        return incompatible(ret_why, "Host CPU does not provide required features", &rest);
    rest = have;
    for (int policy = 0; policy < CPU_FEATURE_LAST; policy++) {
        if (policy != CPU_FEATURE_FORBID)
            cpu_features_subtract(&rest, &of[policy]);
    }
    if (cpu_features_empty(&rest))
        return 1;
    if (cpu->guest && cpu->match == CPU_MATCH_STRICT)
        return incompatible(ret_why, "Host CPU does not strictly match guest CPU: Extra features", &rest);
    return 2;
}

/* --- in common ------------------------------------------------------------------------------------------ */

/* Vendors that processors name themselves by. */
static gboolean vendor_known(const char *vendor, GError **error)
{
    static const char *const known[] = {"Intel", "AMD", "Hygon", NULL};

    return g_strv_contains(known, vendor) ||
           error_set(error, VIR_ERR_OPERATION_FAILED, "Unknown CPU vendor %s", vendor);
}

/* Puts one more CPU's vendor beside the others'; *ret_said becomes FALSE where a CPU says none. */
static gboolean same_vendor(const CpuDef *cpu, gboolean first, const char **vendor, gboolean *ret_said, GError **error)
{
    const CpuModel *model = cpu_model_find(cpu->model);
    const char *models = model != NULL ? cpu_model_vendor(model) : NULL, *own = cpu->vendor;

    *ret_said = *ret_said && own != NULL;
    if (own != NULL && models != NULL && !first && strcmp(own, models) != 0)
        return error_set(error, VIR_ERR_OPERATION_FAILED, "CPU vendor %s of model %s differs from vendor %s", models,
                         cpu->model, own);
    if (own == NULL && !first)
        own = models;
    if (own == NULL)
        return TRUE;
    if (*vendor == NULL) {
        *vendor = own;
        return vendor_known(own, error);
    }
    return strcmp(*vendor, own) == 0 || error_set(error, VIR_ERR_OPERATION_FAILED, "CPU vendors do not match");
}

CpuDef *cpu_baseline(const CpuDef *const *cpus, guint count, const CpuHypervisor *hv, gboolean migratable, GError **error)
{
    g_autofree const char **names = g_new0(const char *, count + 1);
    CpuNaming how = {.hv = hv, .preferred = names, .migratable = migratable && hv == NULL};
    CpuData common = {0};
    const char *vendor = NULL;
    gboolean vendor_said = TRUE;
    guint n_names = 0;
    CpuDef *cpu;

    for (guint i = 0; i < count; i++) {
        CpuFeatures features;

        if (cpus[i]->model == NULL) {
            error_set(error, VIR_ERR_INVALID_ARG, "no CPU model specified at index %u", i);
            return NULL;
        }
        if (!cpu_def_features(cpus[i], &features, error) ||
            !same_vendor(cpus[i], i == 0, &vendor, &vendor_said, error))
            return NULL;
        if (!g_strv_contains(names, cpus[i]->model))
            names[n_names++] = cpus[i]->model;
        if (i == 0)
            common.features = features;
        else
            cpu_features_intersect(&common.features, &features);
    }
    if (hv != NULL) {
        CpuFeatures limit = cpu_hypervisor_features(hv, migratable);

        cpu_features_intersect(&common.features, &limit);
    }
    if (cpu_features_empty(&common.features)) {
        error_set(error, VIR_ERR_OPERATION_FAILED, "CPUs are incompatible");
        return NULL;
    }
    common.vendor = (char *)vendor;
    cpu = cpu_data_name(&common, &how, error);
    if (cpu == NULL)
        return NULL;
    if (hv != NULL || (n_names == 1 && strcmp(cpu->model, names[0]) == 0))
        cpu->fallback = CPU_FALLBACK_FORBID;
    if (!vendor_said)
        g_clear_pointer(&cpu->vendor, g_free);
    return cpu;
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(((const CpuFeature *)a)->name, ((const CpuFeature *)b)->name);
}

gboolean cpu_expand(CpuDef *cpu, GError **error)
{
    const CpuModel *model = cpu_model_find(cpu->model);
    GArray *own = cpu->features;

    if (model == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "unknown CPU model %s", cpu->model);
    cpu->features = cpu_def_features_new();
    CPU_FEATURES_FOREACH(number, cpu_model_features(model))
    {
        cpu_def_set_feature(cpu, cpu_feature_name((guint)number), cpu->guest ? CPU_FEATURE_REQUIRE : -1);
    }
    for (guint i = 0; i < own->len; i++) {
        const CpuFeature *f = &g_array_index(own, CpuFeature, i);

        if (!cpu->guest || f->policy == CPU_FEATURE_REQUIRE || f->policy == CPU_FEATURE_DISABLE)
            cpu_def_set_feature(cpu, f->name, f->policy);
    }
    g_array_unref(own);
    CPU_FEATURES_FOREACH(number, cpu_model_removed(model))
    {
        const char *name = cpu_feature_name((guint)number);

        if (cpu->guest && cpu_def_find_feature(cpu, name) == NULL)
            cpu_def_set_feature(cpu, name, CPU_FEATURE_DISABLE);
    }
    g_array_sort(cpu->features, compare_names); /* libvirt lists them so here, and only here */
    return TRUE;
}

void cpu_leave_out_host_features(CpuDef *cpu)
{
    static const char *const names[] = {"cmt", "mbm_total", "mbm_local", "osxsave", "ospke"};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        cpu_def_remove_feature(cpu, names[i]);
}
