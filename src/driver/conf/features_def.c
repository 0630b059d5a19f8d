/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <features>: see features_def.h. */
#include "driver/conf/features_def.h"

#include <string.h>

#include "common/error.h"

#define HYPERV_VENDOR_ID_MAX 12
#define HYPERV_SPINLOCKS_MIN 0xfff

ENUM_TABLE(feature, Feature, FEATURE_LAST, "acpi", "apic", "pae", "hap", "viridian", "privnet", "hyperv",
           "kvm", "pvspinlock", "capabilities", "pmu", "vmport", "gic", "smm", "ioapic", "hpt", "vmcoreinfo",
           "htm", "nested-hv", "msrs", "ccf-assist", "xen", "cfpc", "sbbc", "ibs", "tcg")
ENUM_TABLE(hyperv_feature, HypervFeature, HYPERV_LAST, "relaxed", "vapic", "spinlocks", "vpindex", "runtime",
           "synic", "stimer", "reset", "vendor_id", "frequencies", "reenlightenment", "tlbflush", "ipi",
           "evmcs", "avic")
ENUM_TABLE(hyperv_mode, HypervMode, HYPERV_MODE_LAST, "none", "custom", "passthrough")
ENUM_TABLE(kvm_feature, KvmFeature, KVM_FEATURE_LAST, "hidden", "hint-dedicated", "poll-control", "pv-ipi",
           "dirty-ring")
ENUM_TABLE(ioapic, Ioapic, IOAPIC_LAST, "none", "qemu", "kvm")

/* How an element says on or off. */
typedef enum {
    STYLE_BARE, /* <acpi/> */
    STYLE_STATE, /* <pmu state='on'/>; without the attribute: on */
    STYLE_VALUE, /* one attribute that is kept as text: see value_attr */
    STYLE_OWN
} FeatureStyle;

static const struct {
    FeatureStyle style;
    const char *value_attr;
} styles[FEATURE_LAST] = {
    [FEATURE_ACPI] = {STYLE_BARE},
    [FEATURE_APIC] = {STYLE_OWN},
    [FEATURE_PAE] = {STYLE_BARE},
    [FEATURE_HAP] = {STYLE_STATE},
    [FEATURE_VIRIDIAN] = {STYLE_BARE},
    [FEATURE_PRIVNET] = {STYLE_BARE},
    [FEATURE_HYPERV] = {STYLE_OWN},
    [FEATURE_KVM] = {STYLE_OWN},
    [FEATURE_PVSPINLOCK] = {STYLE_STATE},
    [FEATURE_CAPABILITIES] = {STYLE_VALUE, "policy"},
    [FEATURE_PMU] = {STYLE_STATE},
    [FEATURE_VMPORT] = {STYLE_STATE},
    [FEATURE_GIC] = {STYLE_OWN},
    [FEATURE_SMM] = {STYLE_OWN},
    [FEATURE_IOAPIC] = {STYLE_OWN},
    [FEATURE_HPT] = {STYLE_VALUE, "resizing"},
    [FEATURE_VMCOREINFO] = {STYLE_STATE},
    [FEATURE_HTM] = {STYLE_STATE},
    [FEATURE_NESTED_HV] = {STYLE_STATE},
    [FEATURE_MSRS] = {STYLE_OWN},
    [FEATURE_CCF_ASSIST] = {STYLE_STATE},
    [FEATURE_XEN] = {STYLE_VALUE, "passthrough"},
    [FEATURE_CFPC] = {STYLE_VALUE, "value"},
    [FEATURE_SBBC] = {STYLE_VALUE, "value"},
    [FEATURE_IBS] = {STYLE_VALUE, "value"},
    [FEATURE_TCG] = {STYLE_OWN},
};

void features_def_clear(FeaturesDef *features)
{
    g_free(features->hyperv_vendor_id);
    g_free(features->gic_version);
    g_free(features->msrs_unknown);
    for (guint i = 0; i < FEATURE_LAST; i++)
        g_free(features->other[i]);
    memset(features, 0, sizeof(*features));
}

/* --- parse -------------------------------------------------------------------------------------------- */

static gboolean parse_hyperv(FeaturesDef *features, xmlNodePtr node, GError **error)
{
    int mode = HYPERV_MODE_CUSTOM;

    if (!xml_attr_get_enum(node, "mode", hyperv_mode_from_string, XML_NONZERO, &mode, error))
        return FALSE;
    features->hyperv_mode = mode;
    features->state[FEATURE_HYPERV] = TRISTATE_YES;
    if (mode != HYPERV_MODE_CUSTOM)
        return TRUE;
    XML_FOREACH(child, node, NULL)
    {
        int f = hyperv_feature_from_string((const char *)child->name);

        if (f < 0)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "unsupported HyperV Enlightenment feature: %s", (const char *)child->name);
        if (!xml_attr_get_on_off(child, "state", XML_REQUIRED, &features->hyperv[f], error))
            return FALSE;
        if (features->hyperv[f] != TRISTATE_YES)
            continue;
        if (f == HYPERV_SPINLOCKS) {
            if (!xml_attr_get_uint(child, "retries", XML_REQUIRED, &features->hyperv_spinlocks, error))
                return FALSE;
            if (features->hyperv_spinlocks < HYPERV_SPINLOCKS_MIN)
                return error_set(error, VIR_ERR_XML_ERROR,
                                 "HyperV spinlock retry count must be at least 4095");
        } else if (f == HYPERV_VENDOR_ID) {
            features->hyperv_vendor_id = xml_get_attr(child, "value");
            if (features->hyperv_vendor_id == NULL)
                return error_set(error, VIR_ERR_XML_ERROR,
                                 "missing 'value' attribute for HyperV feature 'vendor_id'");
            if (strlen(features->hyperv_vendor_id) > HYPERV_VENDOR_ID_MAX)
                return error_set(error, VIR_ERR_XML_ERROR,
                                 "HyperV vendor_id value must not be more than %d characters.",
                                 HYPERV_VENDOR_ID_MAX);
            if (strchr(features->hyperv_vendor_id, ',') != NULL)
                return error_set(error, VIR_ERR_XML_ERROR, "HyperV vendor_id value is invalid");
        } else if (f == HYPERV_STIMER) {
            xmlNodePtr direct = xml_child(child, "direct");

            if (direct != NULL &&
                !xml_attr_get_on_off(direct, "state", XML_REQUIRED, &features->hyperv_stimer_direct, error))
                return FALSE;
        }
    }
    return TRUE;
}

static gboolean parse_kvm(FeaturesDef *features, xmlNodePtr node, GError **error)
{
    features->state[FEATURE_KVM] = TRISTATE_YES;
    XML_FOREACH(child, node, NULL)
    {
        int f = kvm_feature_from_string((const char *)child->name);

        if (f < 0)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unsupported KVM feature: %s",
                             (const char *)child->name);
        if (!xml_attr_get_on_off(child, "state", XML_REQUIRED, &features->kvm[f], error))
            return FALSE;
        if (f == KVM_DIRTY_RING && features->kvm[f] == TRISTATE_YES) {
            guint size = 0;

            if (!xml_attr_get_uint(child, "size", XML_REQUIRED, &size, error))
                return FALSE;
            if ((size & (size - 1)) != 0 || size < 1024 || size > 65536)
                return error_set(error, VIR_ERR_XML_ERROR,
                                 "dirty ring must be power of 2 and ranges [1024, 65536]");
            features->kvm_dirty_ring_size = size;
        }
    }
    return TRUE;
}

static gboolean parse_smm(FeaturesDef *features, xmlNodePtr node, GError **error)
{
    xmlNodePtr tseg = xml_child(node, "tseg");
    g_autofree char *text = xml_get_text(tseg);
    g_autofree char *unit = xml_get_attr(tseg, "unit");

    features->state[FEATURE_SMM] = TRISTATE_YES;
    if (!xml_attr_get_on_off(node, "state", XML_OPTIONAL, &features->state[FEATURE_SMM], error))
        return FALSE;
    if (tseg == NULL || features->state[FEATURE_SMM] == TRISTATE_NO)
        return TRUE;
    features->tseg_set = TRUE;
    return xml_parse_scaled(text, unit, 1 << 20, &features->tseg_bytes, error);
}

static gboolean parse_own(FeaturesDef *features, Feature f, xmlNodePtr node, GError **error)
{
    int value = 0;

    switch (f) {
    case FEATURE_APIC:
        features->state[f] = TRISTATE_YES;
        return xml_attr_get_on_off(node, "eoi", XML_OPTIONAL, &features->apic_eoi, error);
    case FEATURE_HYPERV:
        return parse_hyperv(features, node, error);
    case FEATURE_KVM:
        return parse_kvm(features, node, error);
    case FEATURE_SMM:
        return parse_smm(features, node, error);
    case FEATURE_GIC:
        features->state[f] = TRISTATE_YES;
        features->gic_version = xml_get_attr(node, "version");
        return TRUE;
    case FEATURE_IOAPIC:
        if (!xml_attr_get_enum(node, "driver", ioapic_from_string, XML_NONZERO, &value, error))
            return FALSE;
        features->ioapic = value;
        features->state[f] = value != IOAPIC_NONE ? TRISTATE_YES : TRISTATE_ABSENT;
        return TRUE;
    case FEATURE_MSRS:
        features->state[f] = TRISTATE_YES;
        features->msrs_unknown = xml_get_attr(node, "unknown");
        if (g_strcmp0(features->msrs_unknown, "ignore") != 0 &&
            g_strcmp0(features->msrs_unknown, "fault") != 0)
            return error_set(error, VIR_ERR_XML_ERROR,
                             "Invalid value for attribute 'unknown' in element 'msrs': '%s'.",
                             features->msrs_unknown != NULL ? features->msrs_unknown : "");
        return TRUE;
    case FEATURE_TCG:
        features->state[f] = TRISTATE_YES;
        return xml_child_get_memory_kib(node, "tb-cache", XML_OPTIONAL, &features->tcg_tb_cache_kib, error);
    default:
        return TRUE;
    }
}

gboolean features_def_parse(FeaturesDef *features, xmlNodePtr domain, GError **error)
{
    XML_FOREACH(child, xml_child(domain, "features"), NULL)
    {
        int f = feature_from_string((const char *)child->name);

        if (f < 0)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unexpected feature '%s'",
                             (const char *)child->name);
        switch (styles[f].style) {
        case STYLE_BARE:
            features->state[f] = TRISTATE_YES;
            break;
        case STYLE_STATE:
            features->state[f] = TRISTATE_YES;
            if (!xml_attr_get_on_off(child, "state", XML_OPTIONAL, &features->state[f], error))
                return FALSE;
            break;
        case STYLE_VALUE:
            features->state[f] = TRISTATE_YES;
            g_free(features->other[f]);
            features->other[f] = xml_get_attr(child, styles[f].value_attr);
            break;
        case STYLE_OWN:
            if (!parse_own(features, (Feature)f, child, error))
                return FALSE;
            break;
        }
    }
    return TRUE;
}

/* --- format ------------------------------------------------------------------------------------------- */

static void element_state(XmlWriter *w, const char *name, Tristate state)
{
    xml_open(w, name);
    xml_attr(w, "state", tristate_on_off(state));
}

static void format_hyperv(XmlWriter *w, const FeaturesDef *features)
{
    xml_open(w, "hyperv");
    xml_attr(w, "mode", hyperv_mode_to_string(features->hyperv_mode));
    xml_body(w);
    for (int f = 0; f < HYPERV_LAST; f++) {
        gboolean on = features->hyperv[f] == TRISTATE_YES;

        if (features->hyperv[f] == TRISTATE_ABSENT)
            continue;
        element_state(w, hyperv_feature_to_string(f), features->hyperv[f]);
        if (on && f == HYPERV_SPINLOCKS)
            xml_attr_u64(w, "retries", features->hyperv_spinlocks);
        if (on && f == HYPERV_VENDOR_ID)
            xml_attr(w, "value", features->hyperv_vendor_id);
        if (on && f == HYPERV_STIMER && features->hyperv_stimer_direct == TRISTATE_YES) {
            element_state(w, "direct", TRISTATE_YES);
            xml_close(w);
        }
        xml_close(w);
    }
    xml_close(w);
}

static void format_kvm(XmlWriter *w, const FeaturesDef *features)
{
    xml_open(w, "kvm");
    for (int f = 0; f < KVM_FEATURE_LAST; f++) {
        if (features->kvm[f] == TRISTATE_ABSENT)
            continue;
        element_state(w, kvm_feature_to_string(f), features->kvm[f]);
        if (f == KVM_DIRTY_RING && features->kvm_dirty_ring_size > 0)
            xml_attr_u64(w, "size", features->kvm_dirty_ring_size);
        xml_close(w);
    }
    xml_close(w);
}

/* The largest unit that divides the size, as libvirt prints it. */
static void format_tseg(XmlWriter *w, guint64 bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    guint unit = 0;

    while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < G_N_ELEMENTS(units)) {
        bytes /= 1024;
        unit++;
    }
    xml_open(w, "tseg");
    xml_attr(w, "unit", units[unit]);
    xml_text_u64(w, bytes);
    xml_close(w);
}

static void format_own(XmlWriter *w, const FeaturesDef *features, Feature f)
{
    if (f == FEATURE_HYPERV) {
        format_hyperv(w, features);
        return;
    }
    if (f == FEATURE_KVM) {
        format_kvm(w, features);
        return;
    }
    xml_open(w, feature_to_string(f));
    switch (f) {
    case FEATURE_APIC:
        xml_attr(w, "eoi", tristate_on_off(features->apic_eoi));
        break;
    case FEATURE_SMM:
        xml_attr(w, "state", tristate_on_off(features->state[f]));
        if (features->tseg_set)
            format_tseg(w, features->tseg_bytes);
        break;
    case FEATURE_GIC:
        xml_attr(w, "version", features->gic_version);
        break;
    case FEATURE_IOAPIC:
        xml_attr(w, "driver", ioapic_to_string(features->ioapic));
        break;
    case FEATURE_MSRS:
        xml_attr(w, "unknown", features->msrs_unknown);
        break;
    case FEATURE_TCG:
        if (features->tcg_tb_cache_kib > 0) {
            xml_open(w, "tb-cache");
            xml_attr(w, "unit", "KiB");
            xml_text_u64(w, features->tcg_tb_cache_kib);
            xml_close(w);
        }
        break;
    default:
        break;
    }
    xml_close(w);
}

void features_def_format(XmlWriter *w, const FeaturesDef *features)
{
    gboolean opened = FALSE;

    for (int f = 0; f < FEATURE_LAST; f++) {
        if (features->state[f] == TRISTATE_ABSENT ||
            (features->state[f] == TRISTATE_NO && styles[f].style == STYLE_BARE))
            continue;
        if (f == FEATURE_TCG && features->tcg_tb_cache_kib == 0)
            continue;
        if (!opened)
            xml_open(w, "features");
        opened = TRUE;
        if (styles[f].style == STYLE_OWN) {
            format_own(w, features, f);
            continue;
        }
        xml_open(w, feature_to_string(f));
        if (styles[f].style == STYLE_STATE)
            xml_attr(w, "state", tristate_on_off(features->state[f]));
        if (styles[f].style == STYLE_VALUE)
            xml_attr(w, styles[f].value_attr, features->other[f]);
        xml_close(w);
    }
    if (opened)
        xml_close(w);
}
