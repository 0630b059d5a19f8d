/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Device rules of a v2 group: an eBPF program that the kernel runs whenever a device is opened
 * (cgroup-v2.rst, "Device controller"; struct bpf_cgroup_dev_ctx of linux/bpf.h). The program is a list of
 * comparisons that ends with "no"; a change is a new program, which replaces the old one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/host/cgroup_private.h"

enum { RULES_MAX = 480, PROGRAMS_MAX = 16 }; /* of old kernels: 4096 instructions */

/* --- program -------------------------------------------------------------------------------------------- */

static void emit(GArray *program, guint8 code, guint8 dst, guint8 src, gint16 off, gint32 imm)
{
    const struct bpf_insn insn = {.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm};

    g_array_append_val(program, insn);
}

/* r1: the question. r2: what is to be done, r3: kind, r4: major, r5: minor. */
static void emit_question(GArray *program)
{
    const guint8 load = BPF_LDX | BPF_W | BPF_MEM;

    emit(program, load, BPF_REG_2, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
    emit(program, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
    emit(program, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_3, 0, 0, 0xffff);
    emit(program, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_2, 0, 0, 16);
    emit(program, load, BPF_REG_4, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
    emit(program, load, BPF_REG_5, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
}

static void emit_answer(GArray *program, gint32 answer)
{
    emit(program, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, answer);
    emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void emit_rule(GArray *program, const CgroupDevice *device)
{
    const gint32 kind = device->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
    const gint32 refused = BPF_DEVCG_ACC_MKNOD | (device->write ? 0 : BPF_DEVCG_ACC_WRITE);
    gint16 left = device->minor >= 0 ? 5 : 4; /* instructions behind this comparison up to the next rule */

    emit(program, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_3, 0, left--, kind);
    emit(program, BPF_JMP | BPF_JSET | BPF_K, BPF_REG_2, 0, left--, refused);
    emit(program, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_4, 0, left--, (gint32)device->major);
    if (device->minor >= 0)
        emit(program, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_5, 0, left--, device->minor);
    emit_answer(program, 1);
}

GArray *cgroup_bpf_program(const GArray *devices)
{
    GArray *program = g_array_new(FALSE, FALSE, sizeof(struct bpf_insn));

    emit_question(program);
    for (guint i = 0; i < devices->len && i < RULES_MAX; i++)
        emit_rule(program, &g_array_index(devices, CgroupDevice, i));
    emit_answer(program, 0);
    return program;
}

/* --- kernel --------------------------------------------------------------------------------------------- */

static long bpf(enum bpf_cmd command, union bpf_attr *attr)
{
    return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int load(const GArray *program)
{
    union bpf_attr attr = {0};

    attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attr.insns = (guint64)(gsize)program->data;
    attr.insn_cnt = program->len;
    attr.license = (guint64)(gsize) "LGPL";
    return (int)bpf(BPF_PROG_LOAD, &attr);
}

static gboolean attach(int group, int program)
{
    union bpf_attr attr = {0};

    attr.target_fd = (guint32)group;
    attr.attach_bpf_fd = (guint32)program;
    attr.attach_type = BPF_CGROUP_DEVICE;
    attr.attach_flags = BPF_F_ALLOW_MULTI; /* those of the groups above are asked too */
    return bpf(BPF_PROG_ATTACH, &attr) == 0;
}

/* Programs of this very group: all are ours. */
static guint attached(int group, guint32 ids[PROGRAMS_MAX])
{
    union bpf_attr attr = {0};

    attr.query.target_fd = (guint32)group;
    attr.query.attach_type = BPF_CGROUP_DEVICE;
    attr.query.prog_ids = (guint64)(gsize)ids;
    attr.query.prog_cnt = PROGRAMS_MAX;
    return bpf(BPF_PROG_QUERY, &attr) == 0 ? attr.query.prog_cnt : 0;
}

static void detach(int group, guint32 id)
{
    union bpf_attr attr = {0};
    autofd program = -1;

    attr.prog_id = id;
    program = (int)bpf(BPF_PROG_GET_FD_BY_ID, &attr);
    if (program < 0)
        return;
    attr = (union bpf_attr){0};
    attr.target_fd = (guint32)group;
    attr.attach_bpf_fd = (guint32)program;
    attr.attach_type = BPF_CGROUP_DEVICE;
    bpf(BPF_PROG_DETACH, &attr);
}

gboolean cgroup_bpf_set(const char *folder, const GArray *devices, GError **error)
{
    autofd group = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_autoptr(GArray) instructions = cgroup_bpf_program(devices);
    autofd program = -1;
    guint32 old[PROGRAMS_MAX];
    guint n_old = group >= 0 ? attached(group, old) : 0;

    program = group >= 0 ? load(instructions) : -1;
    if (program < 0 || !attach(group, program)) {
        cgroup_file_note(errno);
        return error_set_errno(error, errno, "failed to attach the device filter to '%s'", folder);
    }
    /* The new one is asked already: nothing is open to all meanwhile. What only the old one refuses comes now. */
    for (guint i = 0; i < MIN(n_old, PROGRAMS_MAX); i++)
        detach(group, old[i]);
    return TRUE;
}
