/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Naming a set of features by a model and what differs from it. What is better than what is libvirt's rule: a model of this
 * very processor before any other; then the one with the shortest list, in which every further feature switched off weighs
 * more than the one before.
 */
#include <string.h>

#include "common/error.h"
#include "driver/host/cpu_models.h"

enum { FIRST_PENALTY = 2 }; /* of a feature switched off; one more for each */

typedef struct Candidate {
    const CpuModel *model;
    CpuFeatures more, less; /* features beyond the model, and those that it has too many */
    gboolean signature;
    guint enabled, disabled; /* what the two weigh */
} Candidate;

static guint count(const CpuFeatures *set)
{
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(set->bits); i++)
        n += (guint)__builtin_popcountll(set->bits[i]);
    return n;
}

/* Features of its own version of the model that keep it from being used here. */
static void add_blockers(const CpuHypervisor *hv, Candidate *c)
{
    const QemuCpuModel *own = hv->caps != NULL ? qemu_caps_cpu_model(hv->caps, hv->kvm, cpu_model_name(c->model)) : NULL;

    for (guint i = 0; own != NULL && own->unavailable != NULL && own->unavailable[i] != NULL; i++) {
        const char *name = cpu_feature_from_qemu(own->unavailable[i]);

        if (name != NULL && !cpu_features_has_name(&c->more, name))
            cpu_features_add_name(&c->less, name);
    }
}

static void weigh(const CpuData *data, const CpuNaming *how, Candidate *c)
{
    guint removed = 0, counted;

    c->more = data->features;
    cpu_features_subtract(&c->more, cpu_model_features(c->model));
    c->less = *cpu_model_features(c->model);
    cpu_features_subtract(&c->less, &data->features);
    if (how->hv != NULL)
        add_blockers(how->hv, c);
    c->signature = data->family != 0 && cpu_model_is_processor(c->model, data->family, data->model, data->stepping);
    if (!how->host) {
        CpuFeatures off = *cpu_model_removed(c->model);

        cpu_features_subtract(&off, &c->more);
        cpu_features_add(&off, &c->less);
        removed = count(&off);
    }
    /* Only the first half of what is switched off counts as such: so does libvirt, and the names must be the same. */
    counted = (removed + 1) / 2;
    c->enabled = count(&c->more) + removed - counted;
    for (guint i = 0; i < counted; i++)
        c->disabled += FIRST_PENALTY + i;
}

static gboolean better(const Candidate *c, const Candidate *best, gboolean preferred)
{
    if (c->signature != best->signature)
        return c->signature;
    if (c->enabled + c->disabled != best->enabled + best->disabled)
        return c->enabled + c->disabled < best->enabled + best->disabled || (preferred && c->disabled < best->disabled);
    return c->disabled < best->disabled;
}

/* Newer models come last and are looked at first. */
static Candidate choose(const CpuData *data, const CpuNaming *how)
{
    const char *const *preferred = how->preferred != NULL && how->preferred[0] != NULL ? how->preferred : NULL;
    Candidate best = {0};
    guint i = 0;

    while (cpu_model_at(i) != NULL)
        i++;
    while (i-- > 0) {
        Candidate c = {.model = cpu_model_at(i)};
        const char *name = cpu_model_name(c.model), *vendor = cpu_model_vendor(c.model);
        gboolean wanted = preferred != NULL && g_strv_contains(preferred, name);

        if ((how->hv != NULL && !cpu_hypervisor_has_model(how->hv, name)) || !cpu_model_may_name(c.model, !how->host) ||
            (vendor != NULL && data->vendor != NULL && strcmp(vendor, data->vendor) != 0))
            continue;
        weigh(data, how, &c);
        if (how->host && !cpu_features_empty(&c.less))
            continue;
        if (wanted && preferred[1] == NULL)
            return c;
        if (best.model == NULL || better(&c, &best, wanted))
            best = c;
    }
    return best;
}

/* Early Haswells have TSX in CPUID, and their microcode takes it away. */
static void leave_out_broken_tsx(CpuData *data)
{
    static const char *const names[] = {"hle", "rtm"};
    guint model = data->model;

    if (g_strcmp0(data->vendor, "Intel") != 0 || data->family != 6 ||
        !((model == 63 && data->stepping < 4) || model == 60 || model == 69 || model == 70))
        return;
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        cpu_features_set(&data->features, (guint)cpu_feature_number(names[i]), FALSE);
}

static void put(CpuDef *cpu, const CpuFeatures *features, int policy, const CpuNaming *how)
{
    CPU_FEATURES_FOREACH(number, features)
    {
        if (!how->migratable || cpu_feature_migratable((guint)number))
            cpu_def_set_feature(cpu, cpu_feature_name((guint)number), policy);
    }
}

CpuDef *cpu_data_name(const CpuData *given, const CpuNaming *how, GError **error)
{
    CpuData data = *given; /* its strings stay with the caller */
    Candidate best;
    CpuDef *cpu;

    leave_out_broken_tsx(&data);
    best = choose(&data, how);
    if (best.model == NULL) {
        error_set(error, VIR_ERR_INTERNAL_ERROR, "Cannot find suitable CPU model for given data");
        return NULL;
    }
    cpu = cpu_def_new();
    cpu->guest = cpu->mode_set = !how->host;
    cpu->mode = CPU_MODE_CUSTOM;
    cpu->match = CPU_MATCH_EXACT;
    cpu->model = g_strdup(cpu_model_name(best.model));
    cpu->vendor = g_strdup(data.vendor);
    put(cpu, &best.more, how->host ? -1 : CPU_FEATURE_REQUIRE, how);
    if (!how->host) {
        put(cpu, &best.less, CPU_FEATURE_DISABLE, how);
        CPU_FEATURES_FOREACH(number, cpu_model_removed(best.model))
        {
            const char *name = cpu_feature_name((guint)number);

            if (cpu_def_find_feature(cpu, name) == NULL)
                cpu_def_set_feature(cpu, name, CPU_FEATURE_DISABLE);
        }
    }
    return cpu;
}

/* --- host-model ----------------------------------------------------------------------------------------- */

/* The processor itself, with what the hypervisor adds of its own. */
static CpuDef *full_model(const CpuHypervisor *hv, CpuDef *reported, GError **error)
{
    g_autoptr(CpuData) data = cpu_data_host(hv->host);
    const CpuNaming any = {0};
    g_autoptr(CpuDef) expanded = cpu_def_copy(reported);
    CpuDef *full = cpu_data_name(data, &any, error);

    if (full == NULL || !cpu_expand(expanded, error)) {
        cpu_def_free(full);
        return NULL;
    }
    for (guint i = 0; i < expanded->features->len; i++) {
        const CpuFeature *f = &g_array_index(expanded->features, CpuFeature, i);

        if (f->policy == CPU_FEATURE_REQUIRE)
            cpu_def_set_feature(full, f->name, CPU_FEATURE_REQUIRE);
    }
    return full;
}

CpuDef *cpu_host_model(const CpuHypervisor *hv, CpuHostModel which, GError **error)
{
    g_autoptr(CpuData) data = cpu_data_guest(hv, which == CPU_HOST_MODEL_MIGRATABLE);
    const CpuNaming how = {.hv = hv};
    g_autoptr(CpuDef) cpu = cpu_data_name(data, &how, error);

    if (cpu == NULL)
        return NULL;
    cpu->fallback = CPU_FALLBACK_FORBID;
    if (which == CPU_HOST_MODEL_FULL && hv->kvm)
        return full_model(hv, cpu, error);
    return g_steal_pointer(&cpu);
}
