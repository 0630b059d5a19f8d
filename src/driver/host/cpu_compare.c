/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Naming a set of features by a model, comparing CPUs, finding what several have in common. */
#include <string.h>

#include "common/error.h"
#include "driver/host/cpu_models.h"
#include "driver/host/cpu_private.h"

static guint count_missing(GHashTable *from, GHashTable *in)
{
    GHashTableIter iter;
    gpointer key;
    guint count = 0;

    g_hash_table_iter_init(&iter, from);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        count += !g_hash_table_contains(in, key);
    return count;
}

static gint compare_strings(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Those of a set that the other has not, sorted. */
static GPtrArray *difference(GHashTable *set, GHashTable *other)
{
    GPtrArray *names = g_ptr_array_new();
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, set);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if (!g_hash_table_contains(other, key))
            g_ptr_array_add(names, key);
    }
    g_ptr_array_sort(names, compare_strings);
    return names;
}

/* --- naming --------------------------------------------------------------------------------------------- */

typedef struct Candidate {
    const char *name;
    gboolean signature;
    guint more, less; /* features of the data beyond the model, and of the model beyond the data */
} Candidate;

/* A model for this very processor first; then the one that leaves least to say. Later models win a draw. */
static gboolean better(const Candidate *a, const Candidate *b)
{
    if (b->name == NULL)
        return TRUE;
    if (a->signature != b->signature)
        return a->signature;
    return a->more + a->less <= b->more + b->less;
}

static Candidate choose(const CpuData *data, guint flags, CpuModelUsable usable, gconstpointer opaque)
{
    g_autofree const char **names = cpu_model_names(NULL);
    Candidate best = {0};

    for (guint i = 0; names[i] != NULL; i++) {
        g_autoptr(GHashTable) features = NULL;
        const char *vendor = cpu_model_vendor(names[i]);
        Candidate c = {.name = names[i]};

        if (!cpu_model_may_name(names[i]) || (usable != NULL && !usable(names[i], opaque)) ||
            (vendor != NULL && g_strcmp0(vendor, data->vendor) != 0))
            continue;
        features = cpu_model_features(names[i]);
        c.signature = cpu_model_is_processor(names[i], data->family, data->model);
        c.more = count_missing(data->features, features);
        c.less = count_missing(features, data->features);
        if (c.less > 0 && (flags & CPU_NAME_DISABLE) == 0)
            continue;
        if (better(&c, &best))
            best = c;
    }
    return best;
}

CpuDef *cpu_data_name(const CpuData *data, guint flags, CpuModelUsable usable, gconstpointer opaque, GError **error)
{
    Candidate best = choose(data, flags, usable, opaque);
    g_autoptr(GHashTable) features = NULL;
    g_autoptr(GPtrArray) more = NULL;
    g_autoptr(GPtrArray) less = NULL;
    CpuDef *cpu;

    if (best.name == NULL) {
        error_set(error, VIR_ERR_INTERNAL_ERROR, "Cannot find suitable CPU model for given data");
        return NULL;
    }
    features = cpu_model_features(best.name);
    more = difference(data->features, features);
    less = difference(features, data->features);
    cpu = cpu_def_new();
    cpu->guest = (flags & CPU_NAME_HOST) == 0;
    cpu->mode_set = cpu->guest;
    cpu->mode = CPU_MODE_CUSTOM;
    cpu->match = CPU_MATCH_EXACT;
    cpu->fallback = CPU_FALLBACK_FORBID;
    cpu->model = g_strdup(best.name);
    cpu->vendor = g_strdup(data->vendor);
    for (guint i = 0; i < more->len; i++)
        cpu_def_set_feature(cpu, more->pdata[i], cpu->guest ? CPU_FEATURE_REQUIRE : -1);
    for (guint i = 0; i < less->len; i++)
        cpu_def_set_feature(cpu, less->pdata[i], CPU_FEATURE_DISABLE);
    return cpu;
}

/* --- comparing ------------------------------------------------------------------------------------------ */

static gboolean wants(const CpuFeature *f)
{
    return f->policy == -1 || f->policy == CPU_FEATURE_REQUIRE || f->policy == CPU_FEATURE_FORCE;
}

/* All features that a definition asks for: the model's and its own, without what it forbids or switches off. */
static GHashTable *wanted_features(const CpuDef *cpu, GError **error)
{
    GHashTable *set = cpu_model_features(cpu->model);

    if (set == NULL) {
        error_set(error, VIR_ERR_INTERNAL_ERROR, "Unknown CPU model %s", cpu->model);
        return NULL;
    }
    for (guint i = 0; cpu->features != NULL && i < cpu->features->len; i++) {
        const CpuFeature *f = &g_array_index(cpu->features, CpuFeature, i);

        if (!cpu_feature_known(f->name)) {
            error_set(error, VIR_ERR_INTERNAL_ERROR, "Unknown CPU feature %s", f->name);
            g_hash_table_unref(set);
            return NULL;
        }
        if (wants(f))
            g_hash_table_add(set, (gpointer)g_intern_string(f->name));
        else
            g_hash_table_remove(set, f->name);
    }
    return set;
}

static char *join(GPtrArray *names)
{
    g_ptr_array_add(names, NULL);
    return g_strjoinv(",", (char **)names->pdata);
}

static int incompatible(char **ret_why, char *why)
{
    if (ret_why != NULL)
        *ret_why = why;
    else
        g_free(why);
    return 0;
}

int cpu_compare(const CpuData *host, const char *arch, const CpuDef *cpu, char **ret_why, GError **error)
{
    g_autoptr(GHashTable) wanted = NULL;
    g_autoptr(GPtrArray) missing = NULL;
    g_autoptr(GPtrArray) extra = NULL;
    const char *vendor;
    guint excused = 0;

    if (cpu->arch != NULL && arch != NULL && !g_str_equal(cpu->arch, arch))
        return incompatible(ret_why, g_strdup_printf("CPU arch %s does not match host arch %s", cpu->arch, arch));
    if (cpu->guest && cpu->mode != CPU_MODE_CUSTOM)
        return 1; /* it is whatever the host is */
    if (cpu->model == NULL) {
        error_set(error, VIR_ERR_OPERATION_INVALID, "no guest CPU model specified");
        return -1;
    }
    wanted = wanted_features(cpu, error);
    if (wanted == NULL)
        return -1;
    vendor = cpu->vendor != NULL ? cpu->vendor : NULL;
    if (vendor != NULL && g_strcmp0(vendor, host->vendor) != 0)
        return incompatible(ret_why, g_strdup_printf("host CPU vendor does not match required CPU vendor %s", vendor));
    for (guint i = 0; cpu->features != NULL && i < cpu->features->len; i++) {
        const CpuFeature *f = &g_array_index(cpu->features, CpuFeature, i);

        if (wants(f) || !g_hash_table_contains(host->features, f->name))
            continue;
        if (f->policy == CPU_FEATURE_FORBID)
            return incompatible(ret_why, g_strdup_printf("Host CPU provides forbidden features: %s", f->name));
        excused++; /* optional or switched off: the host may have it and still be the same */
    }
    missing = difference(wanted, host->features);
    if (missing->len > 0) {
        g_autofree char *names = join(missing);

        return incompatible(ret_why, g_strdup_printf("Host CPU does not provide required features: %s", names));
    }
    extra = difference(host->features, wanted);
    if (extra->len <= excused)
        return 1;
    if (cpu->guest && cpu->match == CPU_MATCH_STRICT)
        return incompatible(ret_why, g_strdup("Host CPU does not strictly match guest CPU"));
    return 2;
}

/* --- in common ------------------------------------------------------------------------------------------ */

static gboolean keep_if_in(gpointer key, gpointer value, gpointer other)
{
    return !g_hash_table_contains(other, key);
}

CpuDef *cpu_baseline(const CpuDef *const *cpus, guint count, const CpuData *limit, gboolean migratable, GError **error)
{
    g_autoptr(CpuData) common = cpu_data_new();
    const char *vendor = NULL;

    for (guint i = 0; i < count; i++) {
        g_autoptr(GHashTable) features = NULL;
        const char *own;

        if (cpus[i]->model == NULL) {
            error_set(error, VIR_ERR_INVALID_ARG, "no CPU model specified at index %u", i);
            return NULL;
        }
        features = wanted_features(cpus[i], error);
        if (features == NULL)
            return NULL;
        own = cpus[i]->vendor != NULL ? cpus[i]->vendor : cpu_model_vendor(cpus[i]->model);
        if (own != NULL && vendor != NULL && !g_str_equal(own, vendor)) {
            error_set(error, VIR_ERR_OPERATION_FAILED, "CPU vendors do not match");
            return NULL;
        }
        vendor = own != NULL ? own : vendor;
        if (i == 0) {
            g_hash_table_unref(common->features);
            common->features = g_steal_pointer(&features);
        } else {
            g_hash_table_foreach_remove(common->features, keep_if_in, features);
        }
    }
    if (limit != NULL)
        g_hash_table_foreach_remove(common->features, keep_if_in, limit->features);
    if (migratable) {
        g_hash_table_remove(common->features, "invtsc");
        g_hash_table_remove(common->features, "xsaves");
    }
    common->vendor = g_strdup(vendor);
    return cpu_data_name(common, 0, NULL, NULL, error);
}

gboolean cpu_expand(CpuDef *cpu, GError **error)
{
    g_autoptr(GHashTable) features = cpu_model_features(cpu->model);
    g_autoptr(GHashTable) none = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) names = NULL;

    if (features == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Unknown CPU model %s", cpu->model);
    names = difference(features, none);
    for (guint i = 0; i < names->len; i++) {
        if (cpu_def_find_feature(cpu, names->pdata[i]) == NULL)
            cpu_def_set_feature(cpu, names->pdata[i], cpu->guest ? CPU_FEATURE_REQUIRE : -1);
    }
    return TRUE;
}
