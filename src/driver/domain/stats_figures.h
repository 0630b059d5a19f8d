/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a VM's monitor says about itself in numbers: the questions, and their answers as compact arrays. An
 * answer is a GArray of one of the structs below; it is never changed once made, so that any thread may read
 * it with a reference. Source: QEMU's qapi/{block-core,stats,misc-target,migration}.json.
 */
#pragma once

#include <glib.h>
#include <jansson.h>

typedef enum {
    FIGURES_BALLOON = 0, /* BalloonFigure, one */
    FIGURES_GUEST_MEMORY, /* MemoryFigure, in libvirt's order */
    FIGURES_DRIVES, /* BlockFigure: drives and the nodes below them */
    FIGURES_NODES, /* BlockFigure: all nodes, also those of no drive */
    FIGURES_IMAGES, /* ImageFigure */
    FIGURES_IO_STATUS, /* IoStatusFigure */
    FIGURES_IOTHREADS, /* IothreadFigure */
    FIGURES_DIRTY_RATE, /* DirtyRateFigure: the first is the whole VM's, the others one vCPU's each */
    FIGURES_KVM_SCHEMA, /* KvmSchema */
    FIGURES_KVM_VM, /* KvmFigure */
    FIGURES_KVM_VCPUS, /* KvmFigure */
    FIGURES_LAST
} FiguresKind;

#define FIGURES_BIT(kind) (1u << (kind))

typedef struct BalloonFigure {
    guint64 kib;
} BalloonFigure;

typedef struct MemoryFigure {
    int tag; /* VIR_DOMAIN_MEMORY_STAT_* */
    guint64 value;
} MemoryFigure;

/* Operations, bytes, nanoseconds since the start. */
typedef struct BlockFigure {
    char *qdev; /* as QEMU names the device: vm_qdev_matches(); NULL: not a device's own figures */
    char *node; /* NULL: an empty drive */
    guint64 rd_reqs, rd_bytes, rd_times, wr_reqs, wr_bytes, wr_times, fl_reqs, fl_times;
    guint64 wr_highest; /* highest byte written to the node below */
    gboolean wr_highest_known;
} BlockFigure;

typedef struct ImageFigure {
    char *node;
    guint64 capacity, physical, threshold; /* bytes; 0: not told */
    gboolean look; /* physical is for the caller to look up: what the file takes, or else its length */
} ImageFigure;

typedef struct IoStatusFigure {
    char *qdev;
    int error; /* VIR_DOMAIN_DISK_ERROR_* */
} IoStatusFigure;

typedef struct IothreadFigure {
    guint id;
    int tid;
    gboolean poll_known;
    guint64 poll_max_ns;
    guint poll_grow, poll_shrink;
} IothreadFigure;

typedef struct DirtyRateFigure {
    int vcpu; /* -1: the whole VM */
    int status; /* VIR_DOMAIN_DIRTYRATE_* */
    gint64 start_time; /* seconds */
    int period; /* seconds */
    const char *mode;
    gint64 rate; /* MiB/s */
} DirtyRateFigure;

typedef struct KvmSchema {
    char *name;
    const char *type; /* "sum", "cur", "max" */
    gboolean boolean;
} KvmSchema;

typedef struct KvmFigure {
    char *object; /* QOM path of the vCPU; NULL: the VM */
    char *name;
    gboolean boolean;
    guint64 value;
} KvmFigure;

/* "iothread7" is number 7. */
gboolean figures_iothread_number(const char *id, guint *ret);
/* libvirt's name; the numbers are those of kite-vmm (vmm/dirty_rate.h). */
const char *figures_dirty_rate_mode(guint number);
/* An empty array for such figures. */
GArray *figures_new(FiguresKind kind);
/* The QMP command that asks for it. */
const char *figures_command(FiguresKind kind);
/* Its arguments; NULL: none. balloon: QOM path of the balloon, for FIGURES_GUEST_MEMORY. */
json_t *figures_arguments(FiguresKind kind, const char *balloon);
/* The answer as an array (caller unrefs). What is not as it should be is left out. */
GArray *figures_read(FiguresKind kind, const json_t *answer);
