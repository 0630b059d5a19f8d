/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control groups on a tree of files: v1, v2, names, limits, figures, the v2 device program. No root, no kernel. */
#include <glib/gstdio.h>
#include <linux/bpf.h>
#include <string.h>

#include "common/error.h"
#include "driver/host/cgroup_private.h"
#include "driver/host/cgroup_systemd.h"

typedef struct Tree {
    char *root;
    char *record;
} Tree;

static void put(const Tree *tree, const char *path, const char *text)
{
    g_autofree char *file = g_strconcat(tree->root, path, NULL);
    g_autofree char *folder = g_path_get_dirname(file);

    g_assert_cmpint(g_mkdir_with_parents(folder, 0755), ==, 0);
    g_assert_true(g_file_set_contents(file, text, -1, NULL));
}

static char *get(const Tree *tree, const char *path)
{
    g_autofree char *file = g_strconcat(tree->root, path, NULL);
    char *text = NULL;

    g_file_get_contents(file, &text, NULL, NULL);
    return text;
}

#define assert_file(tree, path, text)                                                                        \
    do {                                                                                                     \
        g_autofree char *is = get((tree), (path));                                                           \
        g_assert_cmpstr(is, ==, (text));                                                                     \
    } while (0)

static gboolean there(const Tree *tree, const char *path)
{
    g_autofree char *file = g_strconcat(tree->root, path, NULL);

    return g_file_test(file, G_FILE_TEST_EXISTS);
}

static void erase(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *below = g_build_filename(path, name, NULL);

        erase(below);
    }
    if (dir != NULL)
        g_dir_close(dir);
    g_remove(path);
}

static Tree tree_new(const char *mounts)
{
    Tree tree = {.root = g_dir_make_tmp("kite-cgroup-XXXXXX", NULL)};

    put(&tree, "/proc/mounts", mounts);
    put(&tree, "/proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t1\t1\nmemory\t2\t1\t1\n");
    return tree;
}

static void tree_free(Tree *tree)
{
    erase(tree->root);
    g_free(tree->root);
    g_free(tree->record);
}

static Tree tree_v1(void)
{
    Tree tree = tree_new("tmpfs /sys/fs/cgroup tmpfs rw 0 0\n"
                         "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0\n"
                         "cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0\n"
                         "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
                         "cgroup /sys/fs/cgroup/blkio cgroup rw,blkio 0 0\n"
                         "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n");

    put(&tree, "/sys/fs/cgroup/cpu,cpuacct/tasks", "");
    put(&tree, "/sys/fs/cgroup/cpuset/cpuset.cpus", "0-3\n");
    put(&tree, "/sys/fs/cgroup/cpuset/cpuset.mems", "0-1\n");
    put(&tree, "/sys/fs/cgroup/cpuset/cpuset.memory_migrate", "0\n");
    put(&tree, "/sys/fs/cgroup/memory/tasks", "");
    put(&tree, "/sys/fs/cgroup/blkio/tasks", "");
    put(&tree, "/sys/fs/cgroup/unified/cgroup.controllers", "\n");
    return tree;
}

static Tree tree_v2(const char *controllers)
{
    Tree tree = tree_new("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nsdelegate 0 0\n");

    put(&tree, "/sys/fs/cgroup/cgroup.controllers", controllers);
    return tree;
}

static void keep_record(const char *record, gpointer opaque)
{
    Tree *tree = opaque;

    g_free(tree->record);
    tree->record = g_strdup(record);
}

static Cgroup *make(Tree *tree, const char *name, const char *partition)
{
    const CgroupMachine machine = {.root = tree->root,
                                   .name = name,
                                   .id = 3,
                                   .partition = partition,
                                   .controllers = CGROUP_ALL,
                                   .pid = 4711,
                                   .announce = keep_record,
                                   .opaque = tree};
    g_autoptr(GError) error = NULL;
    Cgroup *group = NULL;

    g_assert_true(cgroup_make(&machine, &group, &error));
    g_assert_no_error(error);
    return group;
}

#define V1(controller, rest) "/sys/fs/cgroup/" controller "/machine/kite-3-web.libvirt-kite" rest
#define V2(rest) "/sys/fs/cgroup/machine/kite-3-web.libvirt-kite" rest

/* --- names ---------------------------------------------------------------------------------------------- */

static void test_names(void)
{
    static const struct {
        const char *name, *machine, *scope;
    } cases[] = {{"web", "kite-3-web", "machine-kite\\x2d3\\x2dweb.scope"},
                 {"a b/c", "kite-3-abc", "machine-kite\\x2d3\\x2dabc.scope"},
                 {"..x..y.", "kite-3-x.y", "machine-kite\\x2d3\\x2dx.y.scope"},
                 {"\xc3\xa4", "kite-3", "machine-kite\\x2d3.scope"}};
    g_autofree char *slice = systemd_slice_name("/machine/prod");
    g_autofree char *dash = systemd_slice_name("/machine/a-b");
    g_autofree char *path = cgroup_partition_path("/nowhere", "/machine/prod/web.slice/x");
    g_autofree char *up = cgroup_partition_path("/nowhere", "/../etc");

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *machine = cgroup_machine_name(3, cases[i].name);
        g_autofree char *scope = systemd_scope_name(machine);

        g_assert_cmpstr(machine, ==, cases[i].machine);
        g_assert_cmpstr(scope, ==, cases[i].scope);
    }
    g_assert_cmpstr(slice, ==, "machine-prod.slice");
    g_assert_cmpstr(dash, ==, "machine-a\\x2db.slice");
    g_assert_cmpstr(path, ==, "/machine/prod.partition/web.slice/x.partition");
    g_assert_cmpstr(up, ==, "/_../etc.partition");
    g_assert_cmpint(cgroup_controller_from_string("blkio"), ==, CGROUP_BLKIO);
    g_assert_cmpint(cgroup_controller_from_string("io"), ==, -1);
}

/* --- v1 ------------------------------------------------------------------------------------------------- */

static void test_v1_groups(void)
{
    Tree tree = tree_v1();
    g_autoptr(Cgroup) group = make(&tree, "web", NULL);
    g_autoptr(Cgroup) again = NULL;
    g_autoptr(GError) error = NULL;
    CgroupThread vcpu;

    g_assert_cmpstr(cgroup_path(group), ==, "/machine/kite-3-web.libvirt-kite");
    g_assert_true(cgroup_has(group, CGROUP_CPU) && cgroup_has(group, CGROUP_BLKIO));
    g_assert_false(cgroup_has(group, CGROUP_DEVICES) || cgroup_has(group, CGROUP_FREEZER) || cgroup_has(NULL, CGROUP_CPU));
    assert_file(&tree, V1("cpuset", "/cpuset.cpus"), "0-3");
    assert_file(&tree, V1("cpuset", "/emulator/cpuset.mems"), "0-1");
    g_assert_true(there(&tree, V1("cpu,cpuacct", "/emulator")) && !there(&tree, V1("memory", "/emulator")));

    g_assert_true(cgroup_thread_make(group, cgroup_thread(vcpu, "vcpu", 1), &error));
    g_assert_true(cgroup_attach(group, 4711, &error) && cgroup_thread_attach(group, vcpu, 4712, &error));
    assert_file(&tree, V1("memory", "/cgroup.procs"), "4711");
    assert_file(&tree, V1("cpuset", "/emulator/cgroup.procs"), "4711");
    assert_file(&tree, V1("cpu,cpuacct", "/vcpu1/tasks"), "4712");

    again = cgroup_open(tree.root, tree.record, CGROUP_ALL);
    g_assert_nonnull(again);
    g_assert_cmpstr(cgroup_path(again), ==, cgroup_path(group));
    put(&tree, "/proc/4711/cgroup", "1:cpu,cpuacct:/machine/kite-3-web.libvirt-kite/emulator\n0::/\n");
    put(&tree, "/proc/4713/cgroup", "1:cpu,cpuacct:/user\n");
    g_assert_true(cgroup_holds(again, 4711) && !cgroup_holds(again, 4713));
    /* A record that somebody has damaged names nothing that is not a VM's. */
    g_assert_null(cgroup_open(tree.root, "machine=x\npath=/machine\n", CGROUP_ALL));
    g_assert_null(cgroup_open(tree.root, "machine=x\npath=/a/../b.libvirt-kite\n", CGROUP_ALL));
    g_assert_null(cgroup_open(tree.root, "nonsense", CGROUP_ALL));

    cgroup_thread_remove(again, vcpu);
    g_assert_false(there(&tree, V1("cpuset", "/vcpu1")));
    /* The process has gone, as the kernel would show it. */
    put(&tree, V1("memory", "/cgroup.procs"), "");
    g_assert_true(cgroup_remove(again));
    g_assert_false(there(&tree, V1("memory", "")) || there(&tree, V1("cpu,cpuacct", "")));
    g_assert_null(cgroup_open(tree.root, tree.record, CGROUP_ALL));
    tree_free(&tree);
}

static void test_v1_partition(void)
{
    Tree tree = tree_v1();
    const CgroupMachine machine = {
        .root = tree.root, .name = "web", .id = 3, .partition = "/prod", .controllers = CGROUP_ALL, .pid = 1};
    g_autoptr(GError) error = NULL;
    g_autoptr(Cgroup) group = NULL;
    g_autoptr(Cgroup) other = NULL;

    g_assert_false(cgroup_make(&machine, &group, &error));
    g_assert_true(error_is(error, VIR_ERR_SYSTEM_ERROR));
    g_assert_nonnull(strstr(error->message, "Failed to create v1 controller cpu for group"));
    /* Somebody's VM of the same name and number is in there: another name is found. */
    put(&tree, V1("memory", "/cgroup.procs"), "99");
    other = make(&tree, "web", NULL);
    g_assert_cmpstr(cgroup_path(other), ==, "/machine/kite-3-web-4711.libvirt-kite");
    tree_free(&tree);
}

static void test_v1_limits(void)
{
    Tree tree = tree_v1();
    g_autoptr(Cgroup) group = make(&tree, "web", NULL);
    g_autoptr(Bitmap) cpus = bitmap_parse("1-2", 0, NULL);
    g_autoptr(GError) error = NULL;
    guint64 period, kib, shares;
    gint64 quota;
    guint weight;

    g_assert_false(cgroup_set_shares(group, 1, &error));
    g_assert_cmpstr(error->message, ==, "shares '1' must be in range [2, 262144]");
    g_clear_error(&error);
    g_assert_true(cgroup_set_shares(group, 2048, NULL) && cgroup_get_shares(group, &shares, NULL) && shares == 2048);
    g_assert_false(cgroup_has_bandwidth(group));
    put(&tree, V1("cpu,cpuacct", "/cpu.cfs_period_us"), "100000\n");
    put(&tree, V1("cpu,cpuacct", "/cpu.cfs_quota_us"), "-1\n");
    g_assert_true(cgroup_has_bandwidth(group));
    g_assert_true(cgroup_get_bandwidth(group, NULL, &period, &quota, NULL) && period == 100000 && quota == -1);
    g_assert_true(cgroup_set_bandwidth(group, NULL, 50000, 25000, NULL));
    assert_file(&tree, V1("cpu,cpuacct", "/cpu.cfs_period_us"), "50000");
    assert_file(&tree, V1("cpu,cpuacct", "/cpu.cfs_quota_us"), "25000");
    g_assert_false(cgroup_set_bandwidth(group, NULL, 999, 0, NULL) || cgroup_set_bandwidth(group, NULL, 0, 999, NULL));
    g_assert_true(cgroup_set_cpus(group, CGROUP_EMULATOR, cpus, NULL));
    assert_file(&tree, V1("cpuset", "/emulator/cpuset.cpus"), "1-2");

    g_assert_true(cgroup_set_memory(group, CGROUP_HARD_LIMIT, 1024, NULL));
    assert_file(&tree, V1("memory", "/memory.limit_in_bytes"), "1048576");
    g_assert_true(cgroup_set_memory(group, CGROUP_SOFT_LIMIT, CGROUP_MEMORY_UNLIMITED, NULL));
    assert_file(&tree, V1("memory", "/memory.soft_limit_in_bytes"), "-1");
    put(&tree, V1("memory", "/memory.soft_limit_in_bytes"), "9223372036854771712\n");
    g_assert_true(cgroup_get_memory(group, CGROUP_SOFT_LIMIT, &kib, NULL) && kib == CGROUP_MEMORY_UNLIMITED);
    g_assert_true(cgroup_get_memory(group, CGROUP_HARD_LIMIT, &kib, NULL) && kib == 1024);
    /* A kernel that does not count swap has no such file. */
    g_assert_true(cgroup_get_memory(group, CGROUP_SWAP_LIMIT, &kib, NULL) && kib == CGROUP_MEMORY_UNLIMITED);

    g_assert_false(cgroup_get_weight(group, &weight, &error));
    g_assert_true(error_is(error, VIR_ERR_OPERATION_INVALID));
    put(&tree, V1("blkio", "/blkio.bfq.weight"), "100\n");
    g_assert_true(cgroup_set_weight(group, 500, NULL) && cgroup_get_weight(group, &weight, NULL) && weight == 500);
    tree_free(&tree);
}

static void test_v1_figures(void)
{
    Tree tree = tree_v1();
    g_autoptr(Cgroup) group = make(&tree, "web", NULL);
    g_autoptr(GArray) each = NULL;
    CgroupTimes times;

    g_assert_false(cgroup_cpu_times(group, &times, NULL));
    put(&tree, V1("cpu,cpuacct", "/cpuacct.usage"), "123456789\n");
    put(&tree, V1("cpu,cpuacct", "/cpuacct.stat"), "user 7\nsystem 5\n");
    put(&tree, V1("cpu,cpuacct", "/cpuacct.usage_percpu"), "100 23356789 \n");
    g_assert_true(cgroup_cpu_times(group, &times, NULL));
    g_assert_cmpuint(times.total, ==, 123456789);
    g_assert_cmpuint(times.user, ==, 7 * G_GUINT64_CONSTANT(10000000));
    g_assert_cmpuint(times.system, ==, 5 * G_GUINT64_CONSTANT(10000000));
    each = cgroup_cpu_times_each(group, NULL, NULL);
    g_assert_cmpuint(each->len, ==, 2);
    g_assert_cmpuint(g_array_index(each, guint64, 1), ==, 23356789);
    tree_free(&tree);
}

/* --- v2 ------------------------------------------------------------------------------------------------- */

static void test_v2(void)
{
    Tree tree = tree_v2("cpuset cpu io memory pids\n");
    g_autoptr(Cgroup) group = make(&tree, "web", NULL);
    g_autoptr(Cgroup) again = NULL;
    g_autoptr(GError) error = NULL;
    CgroupThread vcpu;
    CgroupTimes times;
    guint64 period, kib;
    gint64 quota;
    guint weight;

    assert_file(&tree, "/sys/fs/cgroup/machine/cgroup.subtree_control", "+cpu +cpuset +memory +io");
    /* Nobody has asked for groups of threads: a thread then has the kernel's default. */
    g_assert_false(cgroup_is_divided(group) || there(&tree, V2("/emulator")));
    g_assert_true(cgroup_attach(group, 4711, &error));
    assert_file(&tree, V2("/cgroup.procs"), "4711");
    g_assert_true(cgroup_get_bandwidth(group, "vcpu0", &period, &quota, NULL));
    g_assert_true(period == 100000 && quota == CGROUP_QUOTA_MAX);
    g_assert_true(cgroup_thread_make(group, CGROUP_EMULATOR, &error) && cgroup_is_divided(group));
    assert_file(&tree, V2("/cgroup.subtree_control"), "+cpu +cpuset"); /* for threads: the two that know of them */
    assert_file(&tree, V2("/emulator/cgroup.type"), "threaded");
    g_assert_true(cgroup_thread_make(group, cgroup_thread(vcpu, "vcpu", 0), &error));
    g_assert_true(cgroup_attach(group, 4711, &error) && cgroup_thread_attach(group, vcpu, 4712, &error));
    assert_file(&tree, V2("/emulator/cgroup.procs"), "4711");
    assert_file(&tree, V2("/vcpu0/cgroup.threads"), "4712");

    g_assert_true(cgroup_set_shares(group, 200, NULL));
    assert_file(&tree, V2("/cpu.weight"), "200");
    put(&tree, V2("/cpu.max"), "max 100000\n");
    g_assert_true(cgroup_get_bandwidth(group, NULL, &period, &quota, NULL));
    g_assert_true(period == 100000 && quota == CGROUP_QUOTA_MAX);
    g_assert_true(cgroup_set_bandwidth(group, NULL, 0, 25000, NULL));
    assert_file(&tree, V2("/cpu.max"), "25000 100000");
    g_assert_true(cgroup_set_bandwidth(group, NULL, 50000, 0, NULL));
    assert_file(&tree, V2("/cpu.max"), "25000 50000");
    g_assert_true(cgroup_set_bandwidth(group, NULL, 0, -1, NULL));
    assert_file(&tree, V2("/cpu.max"), "max 50000");

    g_assert_true(cgroup_set_memory(group, CGROUP_HARD_LIMIT, 1024, NULL));
    assert_file(&tree, V2("/memory.max"), "1048576");
    g_assert_true(cgroup_set_memory(group, CGROUP_SOFT_LIMIT, CGROUP_MEMORY_UNLIMITED, NULL));
    assert_file(&tree, V2("/memory.high"), "max");
    g_assert_true(cgroup_get_memory(group, CGROUP_SOFT_LIMIT, &kib, NULL) && kib == CGROUP_MEMORY_UNLIMITED);
    put(&tree, V2("/io.weight"), "default 100\n");
    g_assert_true(cgroup_get_weight(group, &weight, NULL) && weight == 100);
    g_assert_true(cgroup_set_weight(group, 300, NULL));
    assert_file(&tree, V2("/io.weight"), "default 300");
    put(&tree, V2("/cpu.stat"), "usage_usec 12\nuser_usec 7\nsystem_usec 5\nnr_periods 0\n");
    g_assert_true(cgroup_cpu_times(group, &times, NULL) && times.total == 12000 && times.user == 7000);
    g_assert_null(cgroup_cpu_times_each(group, NULL, &error));
    g_assert_true(error_is(error, VIR_ERR_OPERATION_UNSUPPORTED));
    g_assert_true(cgroup_set_memory_migrate(group, NULL, NULL)); /* always so */

    /* Found again with what it has been handed. */
    put(&tree, V2("/cgroup.controllers"), "cpu memory\n");
    again = cgroup_open(tree.root, tree.record, CGROUP_ALL);
    g_assert_true(cgroup_has(again, CGROUP_CPU) && cgroup_has(again, CGROUP_MEMORY) && cgroup_has(again, CGROUP_CPUACCT));
    g_assert_false(cgroup_has(again, CGROUP_BLKIO) || cgroup_has(again, CGROUP_CPUSET));
    put(&tree, V2("/emulator/cgroup.procs"), "");
    g_assert_true(cgroup_remove(again));
    g_assert_false(there(&tree, V2("")));
    tree_free(&tree);
}

/* A container's own root holds processes and hands out nothing: then there is only what needs no controller. */
static void test_v2_refused(void)
{
    Tree tree = tree_v2("cpu memory\n");
    g_autofree char *control = g_strconcat(tree.root, "/sys/fs/cgroup/cgroup.subtree_control", NULL);
    g_autoptr(Cgroup) group = NULL;

    g_assert_cmpint(g_mkdir(control, 0755), ==, 0); /* cannot be written by anybody */
    group = make(&tree, "web", NULL);
    g_assert_nonnull(group);
    g_assert_false(cgroup_has(group, CGROUP_CPU) || cgroup_has(group, CGROUP_MEMORY));
    g_assert_true(cgroup_has(group, CGROUP_CPUACCT));
    tree_free(&tree);
}

static void test_none(void)
{
    Tree tree = tree_new("proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");

    put(&tree, "/sys/fs/cgroup/cgroup.controllers", "\n");
    g_assert_null(make(&tree, "web", NULL));
    tree_free(&tree);
}

/* --- the device program --------------------------------------------------------------------------------- */

/* What the kernel would answer: the few instructions that such programs have. */
static int ask(const GArray *program, guint kind, guint access, guint major, guint minor)
{
    guint64 r[11] = {0};

    for (guint at = 0; at < program->len; at++) {
        const struct bpf_insn *i = &g_array_index(program, struct bpf_insn, at);
        const guint32 question[] = {access << 16 | kind, major, minor};

        switch (i->code) {
        case BPF_LDX | BPF_W | BPF_MEM:
            r[i->dst_reg] = question[i->off / 4];
            break;
        case BPF_ALU64 | BPF_MOV | BPF_X:
            r[i->dst_reg] = r[i->src_reg];
            break;
        case BPF_ALU64 | BPF_MOV | BPF_K:
            r[i->dst_reg] = (guint64)i->imm;
            break;
        case BPF_ALU64 | BPF_AND | BPF_K:
            r[i->dst_reg] &= (guint64)i->imm;
            break;
        case BPF_ALU64 | BPF_RSH | BPF_K:
            r[i->dst_reg] >>= i->imm;
            break;
        case BPF_JMP | BPF_JNE | BPF_K:
            at += r[i->dst_reg] != (guint64)i->imm ? (guint)i->off : 0;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            at += (r[i->dst_reg] & (guint64)i->imm) != 0 ? (guint)i->off : 0;
            break;
        case BPF_JMP | BPF_EXIT:
            return (int)r[0];
        default:
            g_assert_not_reached();
        }
    }
    g_assert_not_reached();
}

static void test_program(void)
{
    const CgroupDevice rules[] = {{'c', 1, 3, TRUE}, {'b', 8, 16, FALSE}, {'c', 136, -1, TRUE}};
    g_autoptr(GArray) devices = g_array_new(FALSE, FALSE, sizeof(CgroupDevice));
    g_autoptr(GArray) program = NULL;
    const guint chr = BPF_DEVCG_DEV_CHAR, blk = BPF_DEVCG_DEV_BLOCK;
    const guint make_node = BPF_DEVCG_ACC_MKNOD, rd = BPF_DEVCG_ACC_READ, wr = BPF_DEVCG_ACC_WRITE;

    g_array_append_vals(devices, rules, G_N_ELEMENTS(rules));
    program = cgroup_bpf_program(devices);
    g_assert_cmpint(ask(program, chr, rd | wr, 1, 3), ==, 1);
    g_assert_cmpint(ask(program, chr, make_node, 1, 3), ==, 0);
    g_assert_cmpint(ask(program, blk, rd, 1, 3), ==, 0);
    g_assert_cmpint(ask(program, chr, rd, 1, 4), ==, 0);
    g_assert_cmpint(ask(program, blk, rd, 8, 16), ==, 1);
    g_assert_cmpint(ask(program, blk, rd | wr, 8, 16), ==, 0);
    g_assert_cmpint(ask(program, chr, wr, 136, 77), ==, 1);
    g_assert_cmpint(ask(program, chr, wr, 137, 77), ==, 0);
}

static void test_devices(void)
{
    g_autoptr(GArray) devices = g_array_new(FALSE, FALSE, sizeof(CgroupDevice));

    cgroup_device_add(devices, "/dev/null", FALSE);
    cgroup_device_add(devices, "/dev/null", TRUE);
    cgroup_device_add(devices, "/nowhere", TRUE);
    cgroup_device_add(devices, "/", TRUE);
    cgroup_device_add(devices, NULL, TRUE);
    g_assert_cmpuint(devices->len, ==, 1);
    g_assert_cmpuint(g_array_index(devices, CgroupDevice, 0).major, ==, 1);
    g_assert_true(g_array_index(devices, CgroupDevice, 0).write);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    cgroup_fake_tree = TRUE;
    g_test_add_func("/cgroup/names", test_names);
    g_test_add_func("/cgroup/v1/groups", test_v1_groups);
    g_test_add_func("/cgroup/v1/partition", test_v1_partition);
    g_test_add_func("/cgroup/v1/limits", test_v1_limits);
    g_test_add_func("/cgroup/v1/figures", test_v1_figures);
    g_test_add_func("/cgroup/v2/all", test_v2);
    g_test_add_func("/cgroup/v2/refused", test_v2_refused);
    g_test_add_func("/cgroup/none", test_none);
    g_test_add_func("/cgroup/devices/program", test_program);
    g_test_add_func("/cgroup/devices/list", test_devices);
    return g_test_run();
}
