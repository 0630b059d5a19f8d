/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A domain's definition: <domain> XML as plain data, and back. Parsing fills in every default exactly as
 * libvirt's QEMU driver does (implicit controllers, addresses, MACs), so that what is stored, shown and
 * started is one and the same. Source: libvirt docs/formatdomain.rst and the behaviour of libvirt 9.0.
 *
 * Thread: a DomainDef belongs to whoever holds its domain's state lock; the functions here have no global
 * state. Units: memory in KiB unless the name says otherwise.
 */
#pragma once

#include "common/bitmap.h"
#include "common/uuid.h"
#include "driver/conf/clock_def.h"
#include "driver/conf/cpu_def.h"
#include "driver/conf/device_def.h"
#include "driver/conf/features_def.h"
#include "driver/conf/os_def.h"
#include "driver/conf/qemu_namespace.h"
#include "driver/conf/tune_def.h"

#define DOMAIN_NAME_MAX 255
#define DOMAIN_XML_MAX (16u << 20) /* bytes */
#define DOMAIN_DEVICES_MAX 4096 /* of all kinds */
#define DOMAIN_VCPUS_MAX 4096
#define QEMU_XML_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"

typedef enum { VIRT_NONE = 0, VIRT_QEMU, VIRT_KVM, VIRT_LAST } VirtType;
ENUM_TABLE_DECL(virt_type, VirtType)

/* Values are VIR_DOMAIN_LIFECYCLE_ACTION_*. */
typedef enum {
    ACTION_DESTROY = 0,
    ACTION_RESTART,
    ACTION_RENAME_RESTART,
    ACTION_PRESERVE,
    ACTION_COREDUMP_DESTROY,
    ACTION_COREDUMP_RESTART,
    ACTION_LAST
} LifecycleAction;
ENUM_TABLE_DECL(lifecycle_action, LifecycleAction)

typedef enum {
    LOCKFAIL_DEFAULT = 0,
    LOCKFAIL_POWEROFF,
    LOCKFAIL_RESTART,
    LOCKFAIL_PAUSE,
    LOCKFAIL_IGNORE,
    LOCKFAIL_LAST
} LockFailureAction;
ENUM_TABLE_DECL(lock_failure_action, LockFailureAction)

typedef enum {
    PERF_CMT = 0,
    PERF_MBMT,
    PERF_MBML,
    PERF_CPU_CYCLES,
    PERF_INSTRUCTIONS,
    PERF_CACHE_REFERENCES,
    PERF_CACHE_MISSES,
    PERF_BRANCH_INSTRUCTIONS,
    PERF_BRANCH_MISSES,
    PERF_BUS_CYCLES,
    PERF_STALLED_FRONTEND,
    PERF_STALLED_BACKEND,
    PERF_REF_CPU_CYCLES,
    PERF_CPU_CLOCK,
    PERF_TASK_CLOCK,
    PERF_PAGE_FAULTS,
    PERF_CONTEXT_SWITCHES,
    PERF_CPU_MIGRATIONS,
    PERF_PAGE_FAULTS_MIN,
    PERF_PAGE_FAULTS_MAJ,
    PERF_ALIGNMENT_FAULTS,
    PERF_EMULATION_FAULTS,
    PERF_LAST
} PerfEvent;
ENUM_TABLE_DECL(perf_event, PerfEvent)

typedef enum {
    SECLABEL_DEFAULT = 0,
    SECLABEL_NONE,
    SECLABEL_DYNAMIC,
    SECLABEL_STATIC,
    SECLABEL_LAST
} SeclabelType;
ENUM_TABLE_DECL(seclabel_type, SeclabelType)

typedef struct SeclabelDef {
    SeclabelType type;
    char *model; /* may be NULL */
    Tristate relabel;
    char *label, *imagelabel, *baselabel;
} SeclabelDef;

struct DomainDef {
    VirtType virt_type;
    int id; /* -1: not running */
    char *name;
    guint8 uuid[16];
    gboolean genid_given;
    guint8 genid[16];
    char *title, *description;
    /* <metadata>: one string an element (namespace), byte for byte as it was given. */
    GPtrArray *metadata;

    guint64 max_memory; /* <maxMemory>; 0: no memory hotplug */
    guint memory_slots;
    guint64 memory; /* total, memory devices included */
    guint64 current_memory;
    gboolean current_memory_given; /* parse time only */
    gboolean memory_from_numa;
    Tristate dump_core;
    MemoryTune memtune;
    BlkioTune blkiotune;

    GArray *vcpus; /* VcpuDef, as many as the maximum */
    gboolean vcpus_individual; /* <vcpus> was written */
    gboolean placement_auto;
    Bitmap *cpuset;
    GPtrArray *iothreads; /* IothreadDef */
    gboolean default_iothread_given;
    int default_iothread_pool_min, default_iothread_pool_max; /* -1: not given */
    CpuTune cputune;
    NumaTune numatune;
    char *partition, *appid; /* <resource> */

    GPtrArray *sysinfo; /* SysinfoDef */
    OsDef os;
    FeaturesDef features;
    CpuDef *cpu; /* NULL: the machine's default */
    NumaDef numa;
    ClockDef clock;
    LifecycleAction on_poweroff, on_reboot, on_crash;
    LockFailureAction on_lockfailure;
    Tristate pm_s3, pm_s4;
    Tristate perf[PERF_LAST];

    char *emulator;
    GPtrArray *devices[DEVICE_KIND_LAST]; /* never NULL */

    GPtrArray *seclabels; /* SeclabelDef */
    char *keywrap; /* as they stood; refused in validation */
    char *launch_security;
    char *idmap;
    QemuNamespace qemu;

    gpointer backend_private; /* for the back end's use; not copied */
    GDestroyNotify backend_private_free;
};

/* --- devices --- */

static inline guint domain_def_n(const DomainDef *def, DeviceKind kind)
{
    return def->devices[kind]->len;
}
static inline gpointer domain_def_get(const DomainDef *def, DeviceKind kind, guint i)
{
    return i < def->devices[kind]->len ? g_ptr_array_index(def->devices[kind], i) : NULL;
}
/* for each device of one kind:  DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK) { disk->... } */
#define DOMAIN_DEF_FOREACH(Type, var, def_, kind_)                                                           \
    for (guint var##_i = 0, var##_go = 1; var##_go && var##_i < (def_)->devices[kind_]->len;                 \
         var##_go = !var##_go, var##_i++)                                                                    \
        for (Type *var = (Type *)g_ptr_array_index((def_)->devices[kind_], var##_i); var##_go;               \
             var##_go = !var##_go)
/* The one device of a "single" kind, or NULL. */
#define DOMAIN_DEF_SINGLE(Type, def_, kind_) ((Type *)domain_def_get((def_), (kind_), 0))

/* Every device in libvirt's order until visit returns FALSE; the result says whether all were visited. A
 * console that only mirrors serial 0 is visited last of its kind with the serial's alias. */
typedef gboolean (*DeviceVisit)(DeviceInfo *dev, gpointer data);
gboolean domain_def_visit(const DomainDef *def, DeviceVisit visit, gpointer data);

/* Takes dev at the place libvirt puts it (disks by bus and target, controllers by type and index). */
void domain_def_insert(DomainDef *def, DeviceInfo *dev);
/* Takes dev out and gives it to the caller; NULL when it is not there. */
DeviceInfo *domain_def_steal(DomainDef *def, DeviceInfo *dev);
/* The device that an XML of a detach or update call means. VIR_ERR_DEVICE_MISSING, or OPERATION_FAILED when
 * several interfaces match. */
DeviceInfo *domain_def_find_device(const DomainDef *def, const DeviceInfo *wanted, GError **error);
DeviceInfo *domain_def_find_alias(const DomainDef *def, const char *alias);
/* The disk of target "vda" or of an unambiguous source path; NULL when there is none. */
DeviceInfo *domain_def_find_disk(const DomainDef *def, const char *name);
/* The first interface of a MAC "52:54:00:..." or of a target device name. */
DeviceInfo *domain_def_find_interface(const DomainDef *def, const char *name);

/* --- whole definitions --- */

DomainDef *domain_def_new(void);
void domain_def_free(DomainDef *def);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DomainDef, domain_def_free)

/* XML to a complete, checked definition. env NULL: domain_def_env_default. */
DomainDef *domain_def_parse(const char *xml, const DomainDefEnv *env, guint flags, GError **error);
DomainDef *domain_def_parse_file(const char *path, const DomainDefEnv *env, guint flags, GError **error);
/* From a <domain> element inside another document (status file, save image, snapshot). */
DomainDef *domain_def_parse_node(xmlNodePtr node, const DomainDefEnv *env, guint flags, GError **error);
/* NULL only on out-of-range data (a bug). Caller frees. */
char *domain_def_format(const DomainDef *def, guint flags);
void domain_def_format_into(XmlWriter *w, const DomainDef *def, guint flags);
/* Live copy (with aliases, id, ports): parse(format) with STATUS; inactive copy: as a client would redefine
 * it. */
DomainDef *domain_def_copy(const DomainDef *def, const DomainDefEnv *env, GError **error);
DomainDef *domain_def_copy_inactive(const DomainDef *def, const DomainDefEnv *env, GError **error);

/* domain_defaults.c: what parsing does after the elements are read. */
gboolean domain_def_post_parse(DomainDef *def, const DomainDefEnv *env, guint flags, GError **error);
/* What a definition that was complete when it was written still needs: values that the XML does not say. */
void domain_def_complete(DomainDef *def);
/* domain_validate.c: everything, or one device before it is attached (duplicate addresses, targets, aliases,
 * boot order too). */
gboolean domain_def_validate(const DomainDef *def, const DomainDefEnv *env, GError **error);
gboolean domain_def_validate_attach(const DomainDef *def, const DeviceInfo *dev, const DomainDefEnv *env,
                                    GError **error);
gboolean domain_name_check(const char *name, GError **error);
/* domain_abi.c: whether dst is the same machine for the guest as src. VIR_ERR_CONFIG_UNSUPPORTED names the
 * difference. */
gboolean domain_def_check_abi_stability(const DomainDef *src, const DomainDef *dst, GError **error);

/* address.c: gives an address to every device that needs one (controllers are added), or to one that is being
 * attached (no controllers are added to a running machine). */
gboolean domain_def_assign_addresses(DomainDef *def, const DomainDefEnv *env, GError **error);
gboolean domain_def_assign_device_address(DomainDef *def, DeviceInfo *dev, const DomainDefEnv *env,
                                          GError **error);
/* alias.c: libvirt's names ("virtio-disk0", "net0", "pci.1") for whatever has none; user aliases "ua-..."
 * stay. */
void domain_def_assign_aliases(DomainDef *def);
void domain_def_assign_device_alias(const DomainDef *def, DeviceInfo *dev);
/* Removes all aliases but the user's. */
void domain_def_clear_aliases(DomainDef *def);

/* --- values --- */

guint domain_def_vcpus(const DomainDef *def); /* online */
guint domain_def_vcpus_max(const DomainDef *def);
gboolean domain_def_set_vcpus_max(DomainDef *def, guint max, GError **error);
gboolean domain_def_set_vcpus(DomainDef *def, guint online, GError **error);
static inline VcpuDef *domain_def_vcpu(const DomainDef *def, guint i)
{
    return &g_array_index(def->vcpus, VcpuDef, i);
}
guint64 domain_def_memory_initial(const DomainDef *def); /* total without memory devices */
void domain_def_set_memory(DomainDef *def, guint64 total_kib);
gboolean domain_def_has_memory_hotplug(const DomainDef *def);
IothreadDef *domain_def_iothread(const DomainDef *def, guint id);
/* Fills effective_boot_index from <os><boot> and <boot order=>. */
void domain_def_boot_order(DomainDef *def);
const SysinfoDef *domain_def_sysinfo(const DomainDef *def, gboolean fwcfg);

/* <title>, <description>: NULL removes. VIR_ERR_INVALID_ARG for a title with a newline. */
gboolean domain_def_set_title(DomainDef *def, const char *title, GError **error);
void domain_def_set_description(DomainDef *def, const char *description);
/* The element of one namespace of <metadata>, or NULL. Caller frees. */
char *domain_def_get_metadata(const DomainDef *def, const char *uri);
/* Replaces it; xml NULL removes. key is the prefix to use. VIR_ERR_XML_ERROR / INVALID_ARG. */
gboolean domain_def_set_metadata(DomainDef *def, const char *xml, const char *key, const char *uri,
                                 GError **error);
