/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What steers the host's side of a domain: memory backing and limits, CPU pinning and bandwidth, block
 * weights, NUMA placement, I/O threads. Source: libvirt docs/formatdomain.rst, "CPU Tuning" to "NUMA Node
 * Tuning".
 */
#pragma once

#include "common/bitmap.h"
#include "common/enum_table.h"
#include "common/xml.h"
#include "driver/conf/cpu_def.h"

struct DomainDef;

#define MEMORY_UNLIMITED_KIB (G_MAXINT64 >> 10) /* VIR_DOMAIN_MEMORY_PARAM_UNLIMITED */

typedef enum {
    MEMORY_SOURCE_NONE = 0,
    MEMORY_SOURCE_FILE,
    MEMORY_SOURCE_ANONYMOUS,
    MEMORY_SOURCE_MEMFD,
    MEMORY_SOURCE_LAST
} MemorySource;
ENUM_TABLE_DECL(memory_source, MemorySource)

typedef enum {
    MEMORY_ALLOCATION_NONE = 0,
    MEMORY_ALLOCATION_IMMEDIATE,
    MEMORY_ALLOCATION_ONDEMAND,
    MEMORY_ALLOCATION_LAST
} MemoryAllocation;
ENUM_TABLE_DECL(memory_allocation, MemoryAllocation)

typedef struct HugePage {
    guint64 size_kib; /* 0: the host's default size (<hugepages/> without <page>) */
    Bitmap *nodes; /* guest nodes; NULL: all */
} HugePage;

typedef struct MemoryTune {
    /* <memoryBacking> */
    gboolean hugepages_given;
    GArray *hugepages; /* HugePage */
    gboolean nosharepages, locked;
    MemorySource source;
    MemoryAccess access;
    MemoryAllocation allocation;
    guint allocation_threads;
    Tristate discard;
    guint64 min_guarantee; /* KiB; 0: not given */
    /* <memtune>, KiB; MEMORY_UNLIMITED_KIB: not given */
    guint64 hard_limit, soft_limit, swap_hard_limit;
} MemoryTune;

typedef enum {
    SCHED_NONE = 0,
    SCHED_CLASS_BATCH,
    SCHED_CLASS_IDLE,
    SCHED_CLASS_FIFO,
    SCHED_CLASS_RR,
    SCHED_CLASS_LAST
} SchedPolicy;
ENUM_TABLE_DECL(sched_policy, SchedPolicy)

typedef struct SchedDef {
    SchedPolicy policy;
    int priority;
} SchedDef;

typedef struct VcpuDef {
    gboolean online;
    Tristate hotpluggable; /* <vcpus>; absent when <vcpus> was not written */
    guint order; /* 0: not given */
    Bitmap *pin; /* <vcpupin>, NULL: none */
    SchedDef sched;
} VcpuDef;

typedef struct IothreadDef {
    guint id;
    gboolean autofill; /* from <iothreads> alone, not listed in <iothreadids> */
    int pool_min, pool_max; /* -1: not given */
    Bitmap *pin;
    SchedDef sched;
    int thread_id; /* running only, 0: unknown */
} IothreadDef;

typedef struct CpuTune {
    gboolean shares_given;
    guint64 shares;
    guint64 period, global_period, emulator_period, iothread_period; /* us; 0: not given */
    gint64 quota, global_quota, emulator_quota, iothread_quota; /* us; 0: not given; -1: none */
    Bitmap *emulator_pin;
    SchedDef emulator_sched;
    GPtrArray *resctrl; /* char *: <cachetune>/<memorytune> elements as they stood */
} CpuTune;

typedef struct BlkioDevice {
    char *path;
    guint weight; /* 0: not given, as the next */
    guint read_iops, write_iops;
    guint64 read_bytes, write_bytes;
} BlkioDevice;

typedef struct BlkioTune {
    guint weight;
    GArray *devices; /* BlkioDevice */
} BlkioTune;

typedef enum {
    NUMATUNE_STRICT = 0,
    NUMATUNE_PREFERRED,
    NUMATUNE_INTERLEAVE,
    NUMATUNE_RESTRICTIVE,
    NUMATUNE_LAST
} NumatuneMode;
ENUM_TABLE_DECL(numatune_mode, NumatuneMode)

typedef struct NumatuneNode {
    guint cell;
    NumatuneMode mode;
    Bitmap *nodes;
} NumatuneNode;

typedef struct NumaTune {
    gboolean memory_given;
    NumatuneMode mode;
    gboolean placement_auto;
    Bitmap *nodes; /* NULL with placement_auto */
    GArray *memnodes; /* NumatuneNode, sorted by cell */
} NumaTune;

static inline gboolean memory_limit_is_set(guint64 kib)
{
    return kib < MEMORY_UNLIMITED_KIB;
}

void vcpu_def_clear(VcpuDef *vcpu);
IothreadDef *iothread_def_new(guint id);
void iothread_def_free(IothreadDef *iothread);

void memory_tune_init(MemoryTune *tune);
gboolean memory_tune_parse(MemoryTune *tune, xmlNodePtr domain, GError **error);
void memory_tune_format(XmlWriter *w, const MemoryTune *tune); /* <memtune>, <memoryBacking> */
void memory_tune_clear(MemoryTune *tune);
gboolean blkio_tune_parse(BlkioTune *tune, xmlNodePtr domain, GError **error);
void blkio_tune_format(XmlWriter *w, const BlkioTune *tune);
void blkio_tune_clear(BlkioTune *tune);
gboolean numa_tune_parse(NumaTune *tune, const NumaDef *numa, xmlNodePtr domain, GError **error);
void numa_tune_format(XmlWriter *w, const NumaTune *tune);
void numa_tune_clear(NumaTune *tune);
/* <vcpu>, <vcpus>, <iothreads>, <iothreadids>, <cputune>: of the whole definition, since pins sit at the
 * vCPUs. */
gboolean cpu_tune_parse(struct DomainDef *def, xmlNodePtr domain, GError **error);
void vcpus_format(XmlWriter *w, const struct DomainDef *def);
void cpu_tune_format(XmlWriter *w, const struct DomainDef *def, guint format_flags);
void cpu_tune_clear(CpuTune *tune);
