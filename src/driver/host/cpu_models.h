/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPU models of x86: which features a named model has, which ones a host or the guests of a hypervisor can have, and
 * what follows from the two: naming a set of features, comparing, finding what several have in common. Names and
 * decisions are libvirt's. Everything is a constant table or a value of its own; any thread.
 */
#pragma once

#include <glib.h>

#include "driver/conf/cpu_def.h"
#include "driver/host/cpu_features.h"
#include "driver/host/host.h"
#include "driver/host/qemu_caps.h"

/* --- models (cpu_models.c) ------------------------------------------------------------------------------ */

typedef struct CpuModel CpuModel;

/* NULL: there is no model of this name. */
const CpuModel *cpu_model_find(const char *name);
/* In the order of documents; NULL from their count on. */
const CpuModel *cpu_model_at(guint i);
const char *cpu_model_name(const CpuModel *model);
/* "Intel" or NULL. */
const char *cpu_model_vendor(const CpuModel *model);
const CpuFeatures *cpu_model_features(const CpuModel *model);
/* What the model once had: a guest is told that it has not. */
const CpuFeatures *cpu_model_removed(const CpuModel *model);
/* May it be chosen to describe a host, or (guest) what a guest gets? */
gboolean cpu_model_may_name(const CpuModel *model, gboolean guest);
/* Is it the model of processors with that signature? */
gboolean cpu_model_is_processor(const CpuModel *model, guint family, guint number, guint stepping);
/* The first processor that it is the model of; FALSE: of none in particular. */
gboolean cpu_model_signature(const CpuModel *model, guint *ret_family, guint *ret_number, guint *ret_stepping);

/* --- what there is (cpu_data.c) ------------------------------------------------------------------------- */

/* What a CPU is and can. */
typedef struct CpuData {
    char *vendor; /* "Intel", "AMD", "Hygon"; NULL: another */
    guint family, model, stepping; /* family 0: not known */
    char *microcode; /* a number, or NULL */
    guint64 tsc_hz; /* of a processor whose counter is steady; 0: not known */
    gboolean tsc_scaling;
    guint address_bits; /* physical; 0: not known */
    CpuFeatures features;
} CpuData;

void cpu_data_free(CpuData *data);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CpuData, cpu_data_free)

/* The processor of this host, by CPUID; with a host made from a folder, by its /proc/cpuinfo. */
CpuData *cpu_data_host(Host *host);

/* Whose guests: a QEMU with or without KVM, or kite-vmm. */
typedef struct CpuHypervisor {
    Host *host;
    const QemuCaps *caps; /* NULL: kite-vmm */
    gboolean kvm;
} CpuHypervisor;

gboolean cpu_hypervisor_has_model(const CpuHypervisor *hv, const char *name);
/* What it knows how to switch, whether the host has it or not; with migratable not what keeps guests from migrating. */
CpuFeatures cpu_hypervisor_features(const CpuHypervisor *hv, gboolean migratable);
/* What a guest of it can get at most: as QEMU says, or what KVM itself reports. */
CpuData *cpu_data_guest(const CpuHypervisor *hv, gboolean migratable);

/* --- naming (cpu_name.c) -------------------------------------------------------------------------------- */

typedef struct CpuNaming {
    gboolean host; /* <feature name=> without policy, for <host> of the capabilities; the model is a subset */
    gboolean migratable; /* leave out features that cannot be migrated */
    const CpuHypervisor *hv; /* only models it has, less what keeps them from running there; NULL: any */
    const char *const *preferred; /* models to choose if possible, NULL-terminated; NULL: none */
} CpuNaming;

/* The model that describes data best, and the features that differ: a guest's CPU, mode custom, fallback allow. New
 * reference, or NULL with VIR_ERR_INTERNAL_ERROR when none fits. */
CpuDef *cpu_data_name(const CpuData *data, const CpuNaming *how, GError **error);

/* host-model of this hypervisor, fallback forbid. NULL with an error when nothing fits. */
typedef enum {
    CPU_HOST_MODEL_REPORTED,   /* what domain capabilities say */
    CPU_HOST_MODEL_MIGRATABLE, /* what a guest gets */
    CPU_HOST_MODEL_FULL,       /* with what the processor has beyond: what guests are compared with */
} CpuHostModel;
CpuDef *cpu_host_model(const CpuHypervisor *hv, CpuHostModel which, GError **error);

/* --- comparing (cpu_compare.c) -------------------------------------------------------------------------- */

/* Everything that a definition asks for: the model's and its own features, without what it forbids or switches off. FALSE:
 * VIR_ERR_INTERNAL_ERROR for a model or feature that nobody knows. */
gboolean cpu_def_features(const CpuDef *cpu, CpuFeatures *ret, GError **error);
/* Those of one policy, which names in the definition say; with CPU_FEATURE_REQUIRE the model's too. */
gboolean cpu_def_features_of(const CpuDef *cpu, CpuFeaturePolicy policy, CpuFeatures *ret, GError **error);

/* virCPUCompareResult: 0 incompatible, 1 identical, 2 host is a superset. *ret_why (may be NULL) says what is in the way
 * when it is 0. -1 with an error: VIR_ERR_INTERNAL_ERROR for names that nobody knows. */
int cpu_compare(const CpuDef *host, const CpuDef *cpu, char **ret_why, GError **error);
/* What all have, at most what hv's guests can have (NULL: no limit). VIR_ERR_OPERATION_FAILED when vendors differ. */
CpuDef *cpu_baseline(const CpuDef *const *cpus, guint count, const CpuHypervisor *hv, gboolean migratable,
                     GError **error);
/* Writes every feature of the named model out. */
gboolean cpu_expand(CpuDef *cpu, GError **error);
/* Leaves out features that are the host's business (resource monitoring, what the kernel switched on). */
void cpu_leave_out_host_features(CpuDef *cpu);

/* --- a guest's CPU (cpu_guest.c) ------------------------------------------------------------------------ */

/* What a definition asks for relative to the host becomes absolute: host-model, match='minimum', optional features. host:
 * CPU_HOST_MODEL_MIGRATABLE, may be NULL when there is none. */
gboolean cpu_guest_update(CpuDef *guest, const CpuDef *host, GError **error);
/* A definition becomes what its guest is started with: checked against the host as check= says, made absolute, its model
 * replaced by one the hypervisor has if fallback allows. VIR_ERR_CPU_INCOMPATIBLE, VIR_ERR_CONFIG_UNSUPPORTED. */
gboolean cpu_guest_prepare(CpuDef *guest, const char *arch, const CpuHypervisor *hv, GError **error);
/* What the guest really got: writes differences into the definition, or with check='full' refuses them
 * (VIR_ERR_OPERATION_FAILED), and sets check='full'. disabled: asked for and not given. */
gboolean cpu_guest_update_live(CpuDef *guest, const CpuFeatures *enabled, const CpuFeatures *disabled, GError **error);
