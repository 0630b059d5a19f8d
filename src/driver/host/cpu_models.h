/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPU models of x86: which feature bits a named model has, which a host has, and what follows from the two: naming
 * a set of features, comparing, finding what several have in common. Names are libvirt's. Everything is a table or a
 * value of its own; any thread.
 */
#pragma once

#include <glib.h>

#include "driver/conf/cpu_def.h"
#include "driver/host/host.h"
#include "driver/host/qemu_caps.h"

/* What a CPU is and can. features: a set of libvirt's names. */
typedef struct CpuData {
    char *vendor; /* "Intel", "AMD", "Hygon"; NULL: another */
    guint family, model, stepping;
    char *microcode; /* hexadecimal with 0x, or NULL */
    GHashTable *features;
} CpuData;

CpuData *cpu_data_new(void);
void cpu_data_free(CpuData *data);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CpuData, cpu_data_free)

/* The processor of this host, by CPUID; with a host made from a folder, by its /proc/cpuinfo. */
CpuData *cpu_data_host(Host *host);
/* What a guest can get: of KVM or TCG as QEMU says, or without QEMU (caps NULL) what KVM itself reports. */
CpuData *cpu_data_guest(Host *host, const QemuCaps *caps, gboolean kvm);

/* Is there a model of this name? */
gboolean cpu_model_known(const char *name);
/* All names in libvirt's order, NULL-terminated static strings in an array that the caller g_free()s. */
const char **cpu_model_names(guint *ret_count);
/* "Intel" or NULL. */
const char *cpu_model_vendor(const char *name);
/* A new set of names, NULL when there is no such model. */
GHashTable *cpu_model_features(const char *name);
gboolean cpu_feature_known(const char *name);
/* Takes what QEMU calls it ("sse3", "lahf-lm") to libvirt's name; interned. NULL: libvirt has no name for it. */
const char *cpu_feature_from_qemu(const char *qemu_name);

typedef enum {
    CPU_NAME_HOST = 1 << 0,    /* <feature name=> without policy: for <host> of the capabilities; model is a subset */
    CPU_NAME_DISABLE = 1 << 1, /* the model may have more than data, said as policy='disable' */
} CpuNameFlags;
/* The model that describes data best, and the features that differ. New reference, or NULL with
 * VIR_ERR_INTERNAL_ERROR when none fits. usable may be NULL, or tells whether a model may be named. */
typedef gboolean (*CpuModelUsable)(const char *name, gconstpointer opaque);
CpuDef *cpu_data_name(const CpuData *data, guint flags, CpuModelUsable usable, gconstpointer opaque, GError **error);

/* virCPUCompareResult: 0 incompatible, 1 identical, 2 host is a superset. *ret_why (may be NULL) says what is in the way
 * when it is 0. -1 with an error: VIR_ERR_INTERNAL_ERROR for names that nobody knows. */
int cpu_compare(const CpuData *host, const char *arch, const CpuDef *cpu, char **ret_why, GError **error);
/* What all have, at most what limit has (NULL: no limit). VIR_ERR_OPERATION_FAILED when vendors differ. */
CpuDef *cpu_baseline(const CpuDef *const *cpus, guint count, const CpuData *limit, gboolean migratable,
                     GError **error);
/* Writes every feature of the named model out. */
gboolean cpu_expand(CpuDef *cpu, GError **error);
