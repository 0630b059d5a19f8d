/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <cpu> of a domain: model, topology, features, caches, and the guest's NUMA cells.
 * Source: libvirt docs/formatdomain.rst, "CPU model and topology", "Guest NUMA topology". The same struct
 * serves the host's CPU in capabilities and the CPUs given to compare and baseline calls.
 */
#pragma once

#include "common/bitmap.h"
#include "common/enum_table.h"
#include "common/xml.h"

typedef enum {
    CPU_MODE_CUSTOM = 0,
    CPU_MODE_HOST_MODEL,
    CPU_MODE_HOST_PASSTHROUGH,
    CPU_MODE_MAXIMUM,
    CPU_MODE_LAST
} CpuMode;
ENUM_TABLE_DECL(cpu_mode, CpuMode)

typedef enum { CPU_MATCH_MINIMUM = 0, CPU_MATCH_EXACT, CPU_MATCH_STRICT, CPU_MATCH_LAST } CpuMatch;
ENUM_TABLE_DECL(cpu_match, CpuMatch)

typedef enum {
    CPU_CHECK_DEFAULT = 0,
    CPU_CHECK_NONE,
    CPU_CHECK_PARTIAL,
    CPU_CHECK_FULL,
    CPU_CHECK_LAST
} CpuCheck;
ENUM_TABLE_DECL(cpu_check, CpuCheck)

typedef enum { CPU_FALLBACK_ALLOW = 0, CPU_FALLBACK_FORBID, CPU_FALLBACK_LAST } CpuFallback;
ENUM_TABLE_DECL(cpu_fallback, CpuFallback)

typedef enum {
    CPU_FEATURE_FORCE = 0,
    CPU_FEATURE_REQUIRE,
    CPU_FEATURE_OPTIONAL,
    CPU_FEATURE_DISABLE,
    CPU_FEATURE_FORBID,
    CPU_FEATURE_LAST
} CpuFeaturePolicy;
ENUM_TABLE_DECL(cpu_feature_policy, CpuFeaturePolicy)

typedef enum { CPU_CACHE_EMULATE = 0, CPU_CACHE_PASSTHROUGH, CPU_CACHE_DISABLE, CPU_CACHE_LAST } CpuCacheMode;
ENUM_TABLE_DECL(cpu_cache_mode, CpuCacheMode)

typedef enum {
    CPU_MAXPHYSADDR_NONE = 0,
    CPU_MAXPHYSADDR_EMULATE,
    CPU_MAXPHYSADDR_PASSTHROUGH,
    CPU_MAXPHYSADDR_LAST
} CpuMaxPhysAddr;
ENUM_TABLE_DECL(cpu_maxphysaddr, CpuMaxPhysAddr)

typedef struct CpuFeature {
    char *name;
    int policy; /* CpuFeaturePolicy; -1: none written (host CPUs) */
} CpuFeature;

typedef struct CpuDef {
    gboolean guest; /* a domain's <cpu>, not a host's */
    gboolean mode_set; /* mode= stood in the XML */
    CpuMode mode;
    CpuMatch match;
    CpuCheck check;
    Tristate migratable;
    char *model;
    CpuFallback fallback;
    char *vendor_id; /* 12 characters */
    char *vendor;
    guint sockets, dies, cores, threads; /* all 0: no <topology> */
    gboolean cache_set;
    int cache_level; /* -1: all */
    CpuCacheMode cache_mode;
    CpuMaxPhysAddr maxphysaddr;
    guint maxphysaddr_bits, maxphysaddr_limit; /* 0: not given */
    GArray *features; /* CpuFeature */
    /* Host CPUs only. */
    char *arch;
    char *microcode;
} CpuDef;

CpuDef *cpu_def_new(void);
void cpu_def_free(CpuDef *cpu);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CpuDef, cpu_def_free)
CpuDef *cpu_def_copy(const CpuDef *cpu);
/* <cpu> of a guest, or of a host as capabilities write it. NUMA cells are not read here. VIR_ERR_XML_ERROR,
 * VIR_ERR_CONFIG_UNSUPPORTED. */
CpuDef *cpu_def_parse(xmlNodePtr node, gboolean is_guest, GError **error);
/* The attributes and children of an opened <cpu>; the caller opens and closes it. */
void cpu_def_format_body(XmlWriter *w, const CpuDef *cpu);
/* Whether parts of it go together. VIR_ERR_CONFIG_UNSUPPORTED. */
gboolean cpu_def_validate(const CpuDef *cpu, GError **error);
/* Nothing would be written into <cpu>. */
gboolean cpu_def_is_empty(const CpuDef *cpu);
const CpuFeature *cpu_def_find_feature(const CpuDef *cpu, const char *name);
/* Adds or replaces. */
void cpu_def_set_feature(CpuDef *cpu, const char *name, int policy);
void cpu_def_remove_feature(CpuDef *cpu, const char *name);
/* An empty list for CpuDef.features. */
GArray *cpu_def_features_new(void);
/* Takes model and features of src, which loses them, and with vendor also the vendor and its id. */
void cpu_def_steal_model(CpuDef *cpu, CpuDef *src, gboolean vendor);
gboolean cpu_def_equal(const CpuDef *a, const CpuDef *b);

/* --- guest NUMA --- */

typedef enum {
    MEMORY_ACCESS_DEFAULT = 0,
    MEMORY_ACCESS_SHARED,
    MEMORY_ACCESS_PRIVATE,
    MEMORY_ACCESS_LAST
} MemoryAccess;
ENUM_TABLE_DECL(memory_access, MemoryAccess)

typedef struct NumaCache {
    guint level;
    guint64 size_kib;
    guint line; /* bytes */
    int associativity; /* 0 none, 1 direct, 2 full */
    int policy; /* 0 none, 1 writeback, 2 writethrough */
} NumaCache;

typedef struct NumaCell {
    gboolean present; /* ids may come in any order */
    Bitmap *cpus; /* may be NULL: a cell without CPUs */
    guint64 memory_kib;
    MemoryAccess access;
    Tristate discard;
    guint *distances; /* n_cells values, 0: not given; NULL: none */
    GArray *caches; /* NumaCache, or NULL */
} NumaCell;

typedef struct NumaInterconnect { /* <latency> and <bandwidth> of ACPI HMAT */
    gboolean bandwidth;
    guint initiator, target, cache;
    int access_type; /* access, read, write */
    guint64 value; /* ns, or KiB/s */
} NumaInterconnect;

typedef struct NumaDef {
    GArray *cells; /* NumaCell, index is the id; NULL or empty: no NUMA */
    GArray *interconnects; /* NumaInterconnect or NULL */
} NumaDef;

guint numa_def_n_cells(const NumaDef *numa);
const NumaCell *numa_def_cell(const NumaDef *numa, guint i);
/* Whether any cell says how far another is; then numa_def_distance() is what every cell has, said or not. */
gboolean numa_def_has_distances(const NumaDef *numa);
guint numa_def_distance(const NumaDef *numa, guint from, guint to);
guint64 numa_def_memory(const NumaDef *numa); /* KiB of all cells */
guint numa_def_cpu_count(const NumaDef *numa);
guint numa_def_max_cpu(const NumaDef *numa); /* highest CPU number + 1 */
gboolean numa_def_parse(NumaDef *numa, xmlNodePtr cpu_node, GError **error);
void numa_def_format(XmlWriter *w, const NumaDef *numa);
void numa_def_clear(NumaDef *numa);
