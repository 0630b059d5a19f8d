/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by cgroup*.c only: where hierarchies are mounted, the object, its files. */
#pragma once

#include "driver/host/cgroup.h"

/* Where the controllers are: for each its v1 mount point, or else v2's. */
typedef struct CgroupLayout {
    char *v1[CGROUP_LAST];
    char *v2; /* a v2 mount that hands out controllers, or NULL */
    guint v2_controllers;
} CgroupLayout;

/* From ROOT/proc/mounts, for the controllers wanted. FALSE: nothing is mounted. */
gboolean cgroup_layout_read(const char *root, guint wanted, CgroupLayout *ret);
void cgroup_layout_clear(CgroupLayout *layout);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CgroupLayout, cgroup_layout_clear)
/* Name in this version: "blkio" is "io" in v2. */
const char *cgroup_controller_name(CgroupController controller, gboolean v2);

struct Cgroup {
    gatomicrefcount refs;
    char *root;
    CgroupLayout layout; /* less what could not be made for this group */
    char *path; /* "/machine/kite-3-web.libvirt-kite": the outermost group that is ours */
    char *unit; /* systemd's name of it, or NULL */
    gboolean machined; /* registered with systemd-machined */
    char *machine; /* "kite-3-web" */
    gboolean inside; /* the process that it was made for is in it already, in every hierarchy */
};

/* The folder of a controller: of the unit (outer), of the VM (thread NULL), of a thread. Caller frees; NULL: not there. */
char *cgroup_folder(const Cgroup *group, CgroupController controller, const char *thread, gboolean outer);
gboolean cgroup_is_v2(const Cgroup *group, CgroupController controller);

/* One value into, one text out of a file of /sys/fs/cgroup, without the newline; NULL with *error. Caller frees. */
gboolean cgroup_file_write(const char *path, const char *value, GError **error);
char *cgroup_file_read(const char *path, GError **error);
/* Set by tests: files that the kernel would bring along are made when they are written. */
extern gboolean cgroup_fake_tree;
/* errno of the VIR_ERR_SYSTEM_ERROR that these, or whoever noted it, set on this thread last. */
int cgroup_file_errno(void);
void cgroup_file_note(int errnum);

/* "kite-3-web": letters, digits, single dots and dashes, at most 64. Caller frees. */
char *cgroup_machine_name(int id, const char *name);
/* "/a/b" -> "/a.partition/b.partition"; "/machine" stays. Caller frees. */
char *cgroup_partition_path(const char *root, const char *partition);
/* Prefixes '_' to what the kernel would take for a file of its own. Takes name; caller frees. */
char *cgroup_escape(const char *root, char *name);

/* cgroup_bpf.c: the device rules of a v2 group. */
gboolean cgroup_bpf_set(const char *folder, const GArray *devices, GError **error);
/* The program, as struct bpf_insn (8 bytes each). Caller unrefs. */
GArray *cgroup_bpf_program(const GArray *devices);
