/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <features> of a domain. Source: libvirt docs/formatdomain.rst, "Hypervisor features". */
#pragma once

#include "common/enum_table.h"
#include "common/xml.h"

/* In the order in which libvirt writes them. */
typedef enum {
    FEATURE_ACPI = 0,
    FEATURE_APIC, /* with eoi */
    FEATURE_PAE,
    FEATURE_HAP,
    FEATURE_VIRIDIAN,
    FEATURE_PRIVNET,
    FEATURE_HYPERV,
    FEATURE_KVM,
    FEATURE_PVSPINLOCK,
    FEATURE_CAPABILITIES, /* containers: refused */
    FEATURE_PMU,
    FEATURE_VMPORT,
    FEATURE_GIC,
    FEATURE_SMM,
    FEATURE_IOAPIC,
    FEATURE_HPT,
    FEATURE_VMCOREINFO,
    FEATURE_HTM,
    FEATURE_NESTED_HV,
    FEATURE_MSRS,
    FEATURE_CCF_ASSIST,
    FEATURE_XEN,
    FEATURE_CFPC,
    FEATURE_SBBC,
    FEATURE_IBS,
    FEATURE_TCG,
    FEATURE_LAST
} Feature;
ENUM_TABLE_DECL(feature, Feature)

typedef enum {
    HYPERV_RELAXED = 0,
    HYPERV_VAPIC,
    HYPERV_SPINLOCKS,
    HYPERV_VPINDEX,
    HYPERV_RUNTIME,
    HYPERV_SYNIC,
    HYPERV_STIMER,
    HYPERV_RESET,
    HYPERV_VENDOR_ID,
    HYPERV_FREQUENCIES,
    HYPERV_REENLIGHTENMENT,
    HYPERV_TLBFLUSH,
    HYPERV_IPI,
    HYPERV_EVMCS,
    HYPERV_AVIC,
    HYPERV_LAST
} HypervFeature;
ENUM_TABLE_DECL(hyperv_feature, HypervFeature)

typedef enum {
    HYPERV_MODE_NONE = 0,
    HYPERV_MODE_CUSTOM,
    HYPERV_MODE_PASSTHROUGH,
    HYPERV_MODE_LAST
} HypervMode;
ENUM_TABLE_DECL(hyperv_mode, HypervMode)

typedef enum {
    KVM_HIDDEN = 0,
    KVM_DEDICATED,
    KVM_POLLCONTROL,
    KVM_PVIPI,
    KVM_DIRTY_RING,
    KVM_FEATURE_LAST
} KvmFeature;
ENUM_TABLE_DECL(kvm_feature, KvmFeature)

typedef enum { IOAPIC_NONE = 0, IOAPIC_QEMU, IOAPIC_KVM, IOAPIC_LAST } Ioapic;
ENUM_TABLE_DECL(ioapic, Ioapic)

typedef struct FeaturesDef {
    /* state[f]: absent or YES (on) / NO (off). A bare <acpi/> is YES. */
    Tristate state[FEATURE_LAST];
    Tristate apic_eoi;
    HypervMode hyperv_mode;
    Tristate hyperv[HYPERV_LAST];
    guint hyperv_spinlocks; /* retries */
    Tristate hyperv_stimer_direct;
    char *hyperv_vendor_id;
    Tristate kvm[KVM_FEATURE_LAST];
    guint kvm_dirty_ring_size;
    Ioapic ioapic;
    char *gic_version; /* "2", "3", "host" */
    gboolean tseg_set;
    guint64 tseg_bytes; /* 0 is a legal size */
    char *msrs_unknown; /* "ignore", "fault" */
    guint64 tcg_tb_cache_kib;
    /* pSeries and Xen features: kept as they are written, refused in validation. Value of the element's one
     * attribute by Feature, or NULL. */
    char *other[FEATURE_LAST];
} FeaturesDef;

gboolean features_def_parse(FeaturesDef *features, xmlNodePtr domain, GError **error);
void features_def_format(XmlWriter *w, const FeaturesDef *features);
void features_def_clear(FeaturesDef *features);
static inline gboolean feature_on(const FeaturesDef *features, Feature f)
{
    return features->state[f] == TRISTATE_YES;
}
