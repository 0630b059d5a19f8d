/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the <cpu> that a definition asks for to the one that its guest has. */
#include <string.h>

#include "common/error.h"
#include "driver/host/cpu_models.h"

static CpuFeature *feature_at(CpuDef *cpu, guint i)
{
    return &g_array_index(cpu->features, CpuFeature, i);
}

/* So that a hypervisor whose model still has them does not switch them on. */
static void disable_removed(CpuDef *guest, const CpuModel *model)
{
    CPU_FEATURES_FOREACH(number, cpu_model_removed(model))
    {
        const char *name = cpu_feature_name((guint)number);

        if (cpu_def_find_feature(guest, name) == NULL)
            cpu_def_set_feature(guest, name, CPU_FEATURE_DISABLE);
    }
}

/* --- relative to the host ------------------------------------------------------------------------------- */

static gboolean is_relative(const CpuDef *guest)
{
    if (guest->mode == CPU_MODE_HOST_MODEL || guest->match == CPU_MATCH_MINIMUM)
        return TRUE;
    for (guint i = 0; i < guest->features->len; i++) {
        if (g_array_index(guest->features, CpuFeature, i).policy == CPU_FEATURE_OPTIONAL)
            return TRUE;
    }
    return FALSE;
}

static gboolean decide_optional(CpuDef *guest, const CpuFeatures *have, GError **error)
{
    for (guint i = 0; i < guest->features->len; i++) {
        CpuFeature *f = feature_at(guest, i);

        if (f->policy != CPU_FEATURE_OPTIONAL)
            continue;
        if (!cpu_feature_known(f->name))
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "unknown CPU feature %s", f->name);
        f->policy = cpu_features_has_name(have, f->name) ? CPU_FEATURE_REQUIRE : CPU_FEATURE_DISABLE;
    }
    return TRUE;
}

/* The host's model, with what the definition says on top. */
static void become_host_model(CpuDef *guest, const CpuDef *host)
{
    g_autoptr(CpuDef) updated = cpu_def_copy(host);

    if (guest->vendor_id != NULL) {
        g_free(updated->vendor_id);
        updated->vendor_id = g_strdup(guest->vendor_id);
    }
    for (guint i = 0; i < guest->features->len; i++)
        cpu_def_set_feature(updated, feature_at(guest, i)->name, feature_at(guest, i)->policy);
    cpu_def_steal_model(guest, updated, guest->mode != CPU_MODE_CUSTOM);
    guest->mode = CPU_MODE_CUSTOM;
    guest->match = CPU_MATCH_EXACT;
}

gboolean cpu_guest_update(CpuDef *guest, const CpuDef *host, GError **error)
{
    const CpuModel *model;

    if (guest->mode == CPU_MODE_HOST_PASSTHROUGH || guest->mode == CPU_MODE_MAXIMUM)
        return TRUE;
    if (is_relative(guest)) {
        CpuFeatures have;

        if (host == NULL)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown host CPU model");
        if (!cpu_def_features(host, &have, error) || !decide_optional(guest, &have, error))
            return FALSE;
        if (guest->mode == CPU_MODE_HOST_MODEL || guest->match == CPU_MATCH_MINIMUM)
            become_host_model(guest, host);
    }
    model = cpu_model_find(guest->model);
    if (model == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Unknown CPU model %s", guest->model);
    disable_removed(guest, model);
    return TRUE;
}

/* --- for a start ---------------------------------------------------------------------------------------- */

static gboolean mode_supported(const CpuDef *guest, const CpuHypervisor *hv, const CpuDef *host_model)
{
    switch (guest->mode) {
    case CPU_MODE_HOST_PASSTHROUGH:
        return hv->kvm;
    case CPU_MODE_HOST_MODEL:
        return host_model != NULL;
    case CPU_MODE_CUSTOM:
        return hv->caps == NULL || qemu_caps_cpu_models(hv->caps, hv->kvm)->len > 0;
    default:
        return hv->caps == NULL || qemu_caps_cpu_model(hv->caps, hv->kvm, "max") != NULL;
    }
}

static gboolean check_forbidden(const CpuDef *guest, const CpuDef *host, GError **error)
{
    for (guint i = 0; i < guest->features->len; i++) {
        const CpuFeature *f = &g_array_index(guest->features, CpuFeature, i);
        const CpuFeature *its = f->policy == CPU_FEATURE_FORBID ? cpu_def_find_feature(host, f->name) : NULL;

        if (its != NULL && its->policy != CPU_FEATURE_DISABLE)
            return error_set(error, VIR_ERR_CPU_INCOMPATIBLE, "Host CPU provides forbidden feature '%s'", f->name);
    }
    return TRUE;
}

static gboolean check_against(const CpuDef *guest, const CpuDef *host, GError **error)
{
    g_autofree char *why = NULL;
    int result = cpu_compare(host, guest, &why, error);

    return result > 0 || (result == 0 && error_set(error, VIR_ERR_CPU_INCOMPATIBLE, "%s", why));
}

/* A model that the hypervisor does not have: the nearest one that it has. */
static gboolean translate(CpuDef *guest, const CpuHypervisor *hv, GError **error)
{
    const CpuModel *model = cpu_model_find(guest->model);
    const CpuNaming how = {.hv = hv};
    g_autoptr(CpuDef) named = NULL;
    CpuData data = {0};

    if (cpu_hypervisor_has_model(hv, guest->model))
        return TRUE;
    if (guest->fallback != CPU_FALLBACK_ALLOW)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "CPU model %s is not supported by hypervisor",
                         guest->model);
    if (!cpu_def_features(guest, &data.features, error))
        return FALSE;
    data.vendor = (char *)cpu_model_vendor(model);
    cpu_model_signature(model, &data.family, &data.model, &data.stepping);
    named = cpu_data_name(&data, &how, error);
    if (named == NULL)
        return FALSE;
    for (guint i = 0; i < guest->features->len; i++)
        cpu_def_set_feature(named, feature_at(guest, i)->name, feature_at(guest, i)->policy);
    cpu_def_steal_model(guest, named, FALSE);
    return TRUE;
}

/* Nothing need be switched off that this QEMU has no switch for. */
static void leave_out_unknown(CpuDef *guest, const CpuHypervisor *hv)
{
    for (guint i = guest->features->len; i-- > 0;) {
        const CpuFeature *f = feature_at(guest, i);

        if ((f->policy == CPU_FEATURE_DISABLE || f->policy == CPU_FEATURE_FORBID) &&
            !qemu_caps_has_cpu_switch(hv->caps, hv->kvm, cpu_feature_to_qemu(f->name)))
            g_array_remove_index(guest->features, i);
    }
}

static gboolean is_only_topology(const CpuDef *cpu)
{
    return cpu->mode == CPU_MODE_CUSTOM && cpu->model == NULL;
}

static gboolean prepare_model(CpuDef *guest, const CpuHypervisor *hv, GError **error)
{
    g_autoptr(CpuDef) migratable = NULL;

    if (guest->check == CPU_CHECK_PARTIAL) {
        g_autoptr(CpuDef) full = cpu_host_model(hv, CPU_HOST_MODEL_FULL, error);

        if (full == NULL || !check_against(guest, full, error))
            return FALSE;
    }
    if (is_relative(guest))
        migratable = cpu_host_model(hv, CPU_HOST_MODEL_MIGRATABLE, NULL);
    if (!cpu_guest_update(guest, migratable, error) || !translate(guest, hv, error))
        return FALSE;
    guest->fallback = CPU_FALLBACK_FORBID;
    return TRUE;
}

gboolean cpu_guest_prepare(CpuDef *guest, const char *arch, const CpuHypervisor *hv, GError **error)
{
    g_autoptr(CpuDef) reported = NULL;

    if (guest == NULL || is_only_topology(guest))
        return TRUE;
    for (guint i = 0; i < guest->features->len; i++) {
        if (!cpu_feature_known(feature_at(guest, i)->name))
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown CPU feature: %s", feature_at(guest, i)->name);
    }
    if (guest->mode == CPU_MODE_HOST_MODEL || guest->check != CPU_CHECK_NONE)
        reported = cpu_host_model(hv, CPU_HOST_MODEL_REPORTED, NULL);
    if (!mode_supported(guest, hv, reported))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "CPU mode '%s' for %s %s domain on %s host is not supported by hypervisor",
                         cpu_mode_to_string(guest->mode), arch, hv->kvm ? "kvm" : "qemu", host_arch(hv->host));
    if (guest->check != CPU_CHECK_NONE && reported != NULL && !check_forbidden(guest, reported, error))
        return FALSE;
    if (guest->mode != CPU_MODE_HOST_PASSTHROUGH && guest->mode != CPU_MODE_MAXIMUM &&
        !prepare_model(guest, hv, error))
        return FALSE;
    cpu_leave_out_host_features(guest);
    if (hv->caps != NULL)
        leave_out_unknown(guest, hv);
    return TRUE;
}

/* --- what it really got --------------------------------------------------------------------------------- */

static gboolean refuse(const CpuFeatures *added, const CpuFeatures *removed, GError **error)
{
    g_autofree char *extra = cpu_features_join(added, ",");
    g_autofree char *missing = cpu_features_join(removed, ",");

    return error_set(error, VIR_ERR_OPERATION_FAILED, "guest CPU doesn't match specification: %s%s%s%s%s",
                     extra[0] != '\0' ? "extra features: " : "", extra,
                     extra[0] != '\0' && missing[0] != '\0' ? ", " : "",
                     missing[0] != '\0' ? "missing features: " : "", missing);
}

gboolean cpu_guest_update_live(CpuDef *guest, const CpuFeatures *enabled, const CpuFeatures *disabled, GError **error)
{
    gboolean passthrough = guest->mode == CPU_MODE_HOST_PASSTHROUGH || guest->mode == CPU_MODE_MAXIMUM;
    gboolean full = guest->check == CPU_CHECK_FULL;
    CpuFeatures wanted, unwanted, added = {0}, removed = {0};

    if (is_only_topology(guest) || (passthrough && !full))
        return TRUE;
    if (!cpu_def_features(guest, &wanted, error) ||
        !cpu_def_features_of(guest, CPU_FEATURE_DISABLE, &unwanted, error))
        return FALSE;
    for (guint i = 0; cpu_feature_name(i) != NULL; i++) {
        gboolean want = cpu_features_has(&wanted, i), have = cpu_features_has(enabled, i);
        gboolean mind = !passthrough || cpu_features_has(&unwanted, i);

        if (!want && mind && have) {
            cpu_features_set(&added, i, TRUE);
            if (!full)
                cpu_def_set_feature(guest, cpu_feature_name(i), CPU_FEATURE_REQUIRE);
        }
        if (cpu_features_has(disabled, i) || (want && !have)) {
            cpu_features_set(&removed, i, TRUE);
            if (!full)
                cpu_def_set_feature(guest, cpu_feature_name(i), CPU_FEATURE_DISABLE);
        }
    }
    if (full && (!cpu_features_empty(&added) || !cpu_features_empty(&removed)))
        return refuse(&added, &removed, error);
    if (cpu_model_find(guest->model) != NULL)
        disable_removed(guest, cpu_model_find(guest->model));
    guest->check = CPU_CHECK_FULL;
    return TRUE;
}
