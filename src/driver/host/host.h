/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Facts about this machine: names, CPUs, NUMA cells, memory, statistics. Nothing is read before it is asked
 * for; what cannot change (topology) is kept, what can (memory, statistics, hostname) is read each time. Any
 * thread. Everything comes from below one root folder, which tests replace by a tree of their own.
 */
#pragma once

#include <glib.h>

typedef struct Host Host;

/* root: "" for the real /proc and /sys, or a folder that holds a copy (tests). uuid: configured host UUID or NULL.
 * uuid_source: "smbios", "machine-id" or NULL. */
Host *host_new(const char *root, const char *uuid, const char *uuid_source);
void host_free(Host *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Host, host_free)

/* --- names ---------------------------------------------------------------------------------------------- */

char *host_hostname(Host *host);                /* canonical as getaddrinfo says, else gethostname's; caller frees */
const char *host_arch(Host *host);              /* uname: "x86_64", "aarch64" */
gboolean host_arch_known(const char *arch);      /* one of the names that libvirt has for architectures */
void host_uuid(Host *host, guint8 ret_uuid[16]);
char *host_uuid_string(Host *host);             /* caller frees */
guint host_page_kib(Host *host);                /* base page size: 4 */

/* --- CPUs and cells ------------------------------------------------------------------------------------- */

typedef struct HostCpu {
    guint id;
    gboolean online;
    guint socket, die, cluster, core; /* as the kernel numbers them; 0 where it does not say */
    guint cell;                       /* NUMA node */
    GArray *siblings;                 /* guint: threads of the same core, itself included, ascending */
} HostCpu;

typedef struct HostPages {
    guint64 size_kib;
    guint64 total; /* pages; for the base size what is not in huge pages */
} HostPages;

typedef struct HostCell {
    guint id;
    guint64 memory_kib;
    GArray *cpus;      /* guint: ids of its online CPUs */
    GArray *distances; /* struct HostDistance, one a cell that the kernel lists */
    GArray *pages;     /* HostPages by rising size */
} HostCell;

typedef struct HostDistance {
    guint cell, value;
} HostDistance;

typedef struct HostCache {
    guint level;
    char type; /* 'b'oth, 'd'ata, 'i'nstruction */
    guint id;
    guint64 size_kib;
    char *cpus; /* "0-3" */
} HostCache;

typedef struct HostTopology {
    GPtrArray *cpus;   /* HostCpu by id, all that are present */
    GPtrArray *cells;  /* HostCell; at least one */
    GPtrArray *caches; /* HostCache of the last level */
    guint online;      /* CPUs */
    guint sockets;     /* per cell, as virNodeGetInfo counts */
    guint dies, cores, threads;
    guint mhz; /* 0 unknown */
} HostTopology;

/* Read once; lives as long as the host. */
const HostTopology *host_topology(Host *host);

/* --- memory, in KiB unless said otherwise --------------------------------------------------------------- */

typedef struct HostMemory {
    guint64 total, free, buffers, cached, available;
} HostMemory;

/* cell -1: the whole host. VIR_ERR_INVALID_ARG for a cell that is not there. */
gboolean host_memory(Host *host, int cell, HostMemory *ret, GError **error);
/* Total and free (only these) of all cells together: virNodeGetInfo() and virNodeGetFreeMemory() are the sum of what
 * virNodeGetMemoryStats() says of each cell, which is not /proc/meminfo where memory comes and goes. */
gboolean host_memory_of_cells(Host *host, HostMemory *ret, GError **error);
/* Free pages of one size in one cell (-1: all). Sizes that the host has not: VIR_ERR_INVALID_ARG. */
gboolean host_free_pages(Host *host, int cell, guint64 size_kib, guint64 *ret_count, GError **error);
/* Sets (add: changes by) the number of huge pages of one size in one cell. */
gboolean host_alloc_pages(Host *host, int cell, guint64 size_kib, guint64 count, gboolean add, GError **error);

/* Kernel same-page merging, /sys/kernel/mm/ksm. Names as libvirt's typed parameters without "shm_". */
typedef struct HostKsmParam {
    const char *name; /* "pages_to_scan" */
    guint64 value;
    gboolean is_u64, writable;
} HostKsmParam;
GArray *host_ksm(Host *host); /* HostKsmParam; empty when the kernel has no KSM */
gboolean host_ksm_set(Host *host, const char *name, guint64 value, GError **error);

/* --- processors' time ----------------------------------------------------------------------------------- */

typedef struct HostCpuTimes {
    guint64 kernel, user, idle, iowait; /* nanoseconds */
} HostCpuTimes;
/* cpu -1: all together. VIR_ERR_INVALID_ARG for a CPU that is not online. */
gboolean host_cpu_times(Host *host, int cpu, HostCpuTimes *ret, GError **error);

/* --- documents ------------------------------------------------------------------------------------------ */

/* <sysinfo type='smbios'> from what DMI the kernel shows. VIR_ERR_CONFIG_UNSUPPORTED when it shows none. */
char *host_sysinfo_xml(Host *host, GError **error);

/* What /dev/kvm can do here; asked of the device itself, once a call. */
gboolean host_kvm_usable(Host *host);
/* Highest number of vCPUs KVM takes, 0 when it is not usable. */
guint host_kvm_max_vcpus(Host *host);
