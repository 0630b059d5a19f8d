/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Host facts from trees of /proc and /sys made here: two NUMA cells with threads, and a container that shows nothing. */
#include <glib/gstdio.h>
#include <string.h>

#include "common/error.h"
#include "common/xml.h"
#include "driver/host/capabilities.h"
#include "driver/host/cpu_models.h"
#include "driver/host/domcaps.h"
#include "driver/host/host.h"

static char *root;

static void put(const char *path, const char *text)
{
    g_autofree char *full = g_strconcat(root, path, NULL);
    g_autofree char *dir = g_path_get_dirname(full);

    g_assert_cmpint(g_mkdir_with_parents(dir, 0755), ==, 0);
    g_assert_true(g_file_set_contents(full, text, -1, NULL));
}

static void G_GNUC_PRINTF(2, 3) put_at(const char *text, const char *format, ...)
{
    g_autofree char *path = NULL;
    va_list ap;

    va_start(ap, format);
    path = g_strdup_vprintf(format, ap);
    va_end(ap);
    put(path, text);
}

static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        if (g_file_test(child, G_FILE_TEST_IS_DIR))
            remove_tree(child);
        else
            g_unlink(child);
    }
    g_rmdir(path);
}

/* Two cells, a socket each, two cores a socket, two threads a core; CPU 7 is offline when so asked. */
static void make_numa(gboolean offline)
{
    static const char *const siblings[] = {"0,4", "1,5", "2,6", "3,7"};

    put("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 26\n"
                         "stepping\t: 3\nmicrocode\t: 0x1f\ncpu MHz\t\t: 2400.123\n"
                         "flags\t\t: fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush "
                         "mmx fxsr sse sse2 ss ht syscall nx lm pni ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm aes\n\n");
    put("/proc/meminfo", "MemTotal: 8000000 kB\nMemFree: 3000000 kB\nMemAvailable: 6000000 kB\nBuffers: 1000 kB\n"
                         "Cached: 2000000 kB\nSwapCached: 7 kB\n");
    put("/proc/stat", "cpu  10 20 30 40 50 6 7 0 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
    put("/proc/sys/kernel/hostname", "testhost\n");
    put("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    put("/sys/devices/system/cpu/online", offline ? "0-6\n" : "0-7\n");
    for (guint cpu = 0; cpu < 8; cpu++) {
        put_at(cpu % 4 < 2 ? "0\n" : "1\n", "/sys/devices/system/cpu/cpu%u/topology/physical_package_id", cpu);
        put_at(cpu % 2 == 0 ? "0\n" : "1\n", "/sys/devices/system/cpu/cpu%u/topology/core_id", cpu);
        put_at("-1\n", "/sys/devices/system/cpu/cpu%u/topology/cluster_id", cpu);
        put_at("0\n", "/sys/devices/system/cpu/cpu%u/topology/die_id", cpu);
        put_at(siblings[cpu % 4], "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
        put_at("3\n", "/sys/devices/system/cpu/cpu%u/cache/index3/level", cpu);
        put_at("Unified\n", "/sys/devices/system/cpu/cpu%u/cache/index3/type", cpu);
        put_at("8192K\n", "/sys/devices/system/cpu/cpu%u/cache/index3/size", cpu);
        put_at(cpu % 4 < 2 ? "0-1,4-5\n" : "2-3,6-7\n", "/sys/devices/system/cpu/cpu%u/cache/index3/shared_cpu_list",
               cpu);
        put_at(cpu % 4 < 2 ? "0\n" : "1\n", "/sys/devices/system/cpu/cpu%u/cache/index3/id", cpu);
    }
    put("/sys/devices/system/node/online", "0-1\n");
    for (guint node = 0; node < 2; node++) {
        put_at(node == 0 ? "0-1,4-5\n" : "2-3,6-7\n", "/sys/devices/system/node/node%u/cpulist", node);
        put_at(node == 0 ? "10 21\n" : "21 10\n", "/sys/devices/system/node/node%u/distance", node);
        put_at("Node 0 MemTotal: 4000000 kB\nNode 0 MemFree: 1500000 kB\n", "/sys/devices/system/node/node%u/meminfo",
               node);
        put_at("100\n", "/sys/devices/system/node/node%u/hugepages/hugepages-2048kB/nr_hugepages", node);
        put_at("40\n", "/sys/devices/system/node/node%u/hugepages/hugepages-2048kB/free_hugepages", node);
    }
    put("/sys/kernel/mm/ksm/pages_to_scan", "100\n");
    put("/sys/kernel/mm/ksm/pages_shared", "5\n");
    put("/sys/class/dmi/id/sys_vendor", "Kite & Sons\n");
    put("/sys/class/dmi/id/bios_vendor", "SeaBIOS\n");
}

static void test_names(void)
{
    g_autoptr(Host) host = NULL;
    g_autofree char *name = NULL;
    g_autofree char *uuid = NULL;

    make_numa(FALSE);
    host = host_new(root, NULL, NULL);
    name = host_hostname(host);
    uuid = host_uuid_string(host);
    g_assert_cmpstr(name, ==, "testhost");
    g_assert_cmpstr(uuid, ==, "01234567-89ab-cdef-0123-456789abcdef");
}

static void test_uuid_order(void)
{
    g_autoptr(Host) smbios = NULL;
    g_autoptr(Host) machine = NULL;
    g_autoptr(Host) configured = NULL;
    g_autofree char *a = NULL;
    g_autofree char *b = NULL;
    g_autofree char *c = NULL;

    make_numa(FALSE);
    put("/sys/class/dmi/id/product_uuid", "C0FFEE00-0000-4000-8000-000000000001\n");
    smbios = host_new(root, NULL, NULL);
    machine = host_new(root, NULL, "machine-id");
    configured = host_new(root, "11111111-2222-3333-4444-555555555555", NULL);
    a = host_uuid_string(smbios);
    b = host_uuid_string(machine);
    c = host_uuid_string(configured);
    g_assert_cmpstr(a, ==, "c0ffee00-0000-4000-8000-000000000001");
    g_assert_cmpstr(b, ==, "01234567-89ab-cdef-0123-456789abcdef");
    g_assert_cmpstr(c, ==, "11111111-2222-3333-4444-555555555555");
}

static void test_topology(void)
{
    g_autoptr(Host) host = NULL;
    const HostTopology *t;
    const HostCell *cell;
    const HostCpu *cpu;

    make_numa(FALSE);
    host = host_new(root, NULL, NULL);
    t = host_topology(host);
    g_assert_cmpuint(t->online, ==, 8);
    g_assert_cmpuint(t->cells->len, ==, 2);
    g_assert_cmpuint(t->sockets, ==, 1); /* a cell */
    g_assert_cmpuint(t->cores, ==, 2);
    g_assert_cmpuint(t->threads, ==, 2);
    g_assert_cmpuint(t->mhz, ==, 2400);
    g_assert_cmpuint(t->caches->len, ==, 2);
    cell = t->cells->pdata[1];
    g_assert_cmpuint(cell->cpus->len, ==, 4);
    g_assert_cmpuint(g_array_index(cell->cpus, guint, 0), ==, 2);
    g_assert_cmpuint(g_array_index(cell->distances, HostDistance, 0).value, ==, 21);
    g_assert_cmpuint(cell->pages->len, ==, 2);
    g_assert_cmpuint(g_array_index(cell->pages, HostPages, 1).total, ==, 100);
    cpu = t->cpus->pdata[6];
    g_assert_cmpuint(cpu->socket, ==, 1);
    g_assert_cmpuint(cpu->cluster, ==, 0); /* the kernel wrote -1 */
    g_assert_cmpuint(cpu->siblings->len, ==, 2);
}

static void test_offline(void)
{
    g_autoptr(Host) host = NULL;

    make_numa(TRUE);
    host = host_new(root, NULL, NULL);
    g_assert_cmpuint(host_topology(host)->online, ==, 7);
    g_assert_cmpuint(host_topology(host)->cpus->len, ==, 8);
}

static void test_bare(void)
{
    g_autoptr(Host) host = NULL;
    const HostTopology *t;

    remove_tree(root);
    put("/proc/cpuinfo", "processor : 0\n\nprocessor : 1\n\nprocessor : 2\n");
    put("/proc/meminfo", "MemTotal: 1000 kB\n");
    host = host_new(root, NULL, NULL);
    t = host_topology(host);
    g_assert_cmpuint(t->online, ==, 3);
    g_assert_cmpuint(t->cells->len, ==, 1);
    g_assert_cmpuint(((const HostCell *)t->cells->pdata[0])->memory_kib, ==, 1000);
    remove_tree(root);
}

static void test_memory(void)
{
    g_autoptr(Host) host = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) ksm = NULL;
    HostMemory all, cell;
    HostCpuTimes times;
    guint64 count;

    make_numa(FALSE);
    host = host_new(root, NULL, NULL);
    g_assert_true(host_memory(host, -1, &all, &error));
    g_assert_cmpuint(all.cached, ==, 2000000);
    g_assert_true(host_memory(host, 1, &cell, &error));
    g_assert_cmpuint(cell.free, ==, 1500000);
    g_assert_true(host_memory(host, 0, &all, &error));
    all.total += cell.total;
    g_assert_true(host_memory_of_cells(host, &cell, &error));
    g_assert_cmpuint(cell.total, ==, all.total);
    g_assert_false(host_memory(host, 2, &cell, &error));
    g_assert_true(error_is(error, VIR_ERR_INVALID_ARG));
    g_clear_error(&error);
    g_assert_true(host_free_pages(host, 0, 2048, &count, &error));
    g_assert_cmpuint(count, ==, 40);
    g_assert_true(host_free_pages(host, 0, 4, &count, &error));
    g_assert_cmpuint(count, ==, 375000);
    g_assert_false(host_free_pages(host, 0, 3, &count, NULL));
    g_assert_true(host_alloc_pages(host, 0, 2048, 20, TRUE, &error));
    g_assert_no_error(error);
    ksm = host_ksm(host);
    g_assert_cmpuint(ksm->len, ==, 2);
    g_assert_true(host_ksm_set(host, "pages_to_scan", 77, &error));
    g_assert_false(host_ksm_set(host, "pages_shared", 1, NULL));
    g_assert_true(host_cpu_times(host, -1, &times, &error));
    g_assert_cmpuint(times.user, ==, 30 * 10000000ULL);
    g_assert_cmpuint(times.kernel, ==, 43 * 10000000ULL);
    g_assert_false(host_cpu_times(host, 9, &times, NULL));
}

static void test_sysinfo(void)
{
    g_autoptr(Host) host = NULL;
    g_autofree char *xml = NULL;

    make_numa(FALSE);
    host = host_new(root, NULL, NULL);
    xml = host_sysinfo_xml(host, NULL);
    g_assert_nonnull(strstr(xml, "<entry name='vendor'>SeaBIOS</entry>"));
    g_assert_nonnull(strstr(xml, "<entry name='manufacturer'>Kite &amp; Sons</entry>"));
}

static void check_golden(const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(g_getenv("abs_top_srcdir"), "tests/golden/host", name, NULL);
    g_autofree char *want = NULL;

    if (g_getenv("KITE_TEST_REGENERATE") != NULL)
        g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_true(g_file_get_contents(path, &want, NULL, NULL));
    g_assert_cmpstr(text, ==, want);
}

static void check_schema(const char *schema, const char *text)
{
    g_autofree char *path = g_build_filename("/usr/share/libvirt/schemas", schema, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(xmlDoc) doc = NULL;

    if (!g_file_test(path, G_FILE_TEST_EXISTS))
        return;
    doc = xml_parse(text, "(test)", NULL, &error);
    g_assert_no_error(error);
    xml_validate_rng(path, doc, &error);
    g_assert_no_error(error);
}

static void test_capabilities(void)
{
    g_autoptr(Host) host = NULL;
    g_autoptr(QemuCapsCache) cache = qemu_caps_cache_new(NULL, "/no/such/qemu");
    g_autofree char *xml = NULL;
    g_autoptr(GError) error = NULL;

    make_numa(FALSE);
    host = host_new(root, NULL, "machine-id");
    xml = capabilities_xml(host, cache, "q35", NULL, &error);
    g_assert_no_error(error);
    check_golden("capabilities-numa.xml", xml);
    check_schema("capability.rng", xml);
}

/* A script in QEMU's place that plays the recorded answers. */
static void test_domcaps(void)
{
    g_autofree char *golden = g_build_filename(g_getenv("abs_top_srcdir"), "tests/golden/qmp/qemu-7.2-tcg.jsonl", NULL);
    g_autofree char *binary = g_build_filename(root, "qemu", NULL);
    g_autofree char *script = g_strdup_printf("#!/bin/sh\nwhile read -r answer; do printf '%%s\\n' \"$answer\"; "
                                              "read -r request <&3; done 3<&0 < '%s'\n", golden);
    g_autoptr(QemuCapsCache) cache = qemu_caps_cache_new(NULL, binary);
    g_autoptr(Host) host = NULL;
    static const struct {
        DomcapsRequest request;
        const char *has, *has_not;
    } good[] = {
        {{.default_machine = "q35"}, "<machine>pc-q35-7.2</machine>", "<value>ide</value>"},
        {{.arch = "x86_64", .default_machine = "q35"}, "<domain>qemu</domain>", "<domain>kvm"},
        {{.machine = "pc", .default_machine = "q35"}, "<value>ide</value>", "q35"},
        {{.arch = "i686", .default_machine = "q35"}, "<arch>i686</arch>", "x86_64</arch>"},
    };
    static const DomcapsRequest bad[] = {
        {.machine = "nonsense"}, {.virt_type = "kvm"}, {.virt_type = "xen"}, {.arch = "s390x", .emulator = "/bin/no"}};

    make_numa(FALSE);
    host = host_new(root, NULL, NULL);
    put("/qemu", script);
    g_chmod(binary, 0755);
    for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *xml = domcaps_xml(host, cache, &good[i].request, &error);

        g_assert_no_error(error);
        g_assert_nonnull(strstr(xml, good[i].has));
        g_assert_null(strstr(xml, good[i].has_not));
        check_schema("domaincaps.rng", xml);
    }
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(domcaps_xml(host, cache, &bad[i], &error));
        g_assert_nonnull(error);
    }
}

/* --- CPU models -------------------------------------------------------------------------------------------- */

static CpuDef *cpu(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(xmlDoc) doc = xml_parse(text, "(cpu)", NULL, &error);
    CpuDef *def;

    g_assert_no_error(error);
    def = cpu_def_parse(xmlDocGetRootElement(doc), TRUE, &error);
    g_assert_no_error(error);
    return def;
}

static void test_cpu_name(void)
{
    g_autoptr(Host) host = NULL;
    g_autoptr(CpuData) data = NULL;
    g_autoptr(CpuDef) named = NULL;

    make_numa(FALSE);
    host = host_new(root, NULL, NULL);
    data = cpu_data_host(host);
    named = cpu_data_name(data, &(CpuNaming){.host = TRUE}, NULL);
    g_assert_cmpstr(data->vendor, ==, "Intel");
    g_assert_cmpstr(named->model, ==, "Nehalem"); /* by signature, though Westmere has aes too */
    g_assert_nonnull(cpu_def_find_feature(named, "aes"));
    g_assert_null(cpu_def_find_feature(named, "sse4.2"));
}

static void test_cpu_compare(void)
{
    static const struct {
        const char *xml;
        int want;
    } cases[] = {
        {"<cpu match='exact'><model>Nehalem</model></cpu>", 2},
        {"<cpu match='strict'><model>Nehalem</model></cpu>", 0},
        {"<cpu match='exact'><model>Haswell</model></cpu>", 0},
        {"<cpu match='exact'><model>Nehalem</model><vendor>AMD</vendor></cpu>", 0},
        {"<cpu match='exact'><model>Nehalem</model><feature policy='forbid' name='aes'/></cpu>", 0},
        {"<cpu match='exact'><model>Nehalem</model><feature policy='require' name='avx'/></cpu>", 0},
        {"<cpu match='exact'><model>Nehalem</model><feature policy='require' name='aes'/>"
         "<feature policy='require' name='ss'/><feature policy='require' name='ht'/>"
         "<feature policy='require' name='vme'/></cpu>", 1},
        {"<cpu match='exact'><model>NoSuch</model></cpu>", -1},
        {"<cpu match='exact'><model>Nehalem</model><feature policy='require' name='nope'/></cpu>", -1},
        {"<cpu mode='host-passthrough'/>", 2},
        {"<cpu match='exact'><model>Nehalem</model><feature policy='force' name='avx'/></cpu>", 2},
        {"<cpu match='exact'><model>Nehalem</model><feature policy='optional' name='avx'/></cpu>", 2},
        {"<cpu match='exact'><model>Westmere</model><feature policy='disable' name='avx'/></cpu>", 2},
    };
    g_autoptr(Host) host = NULL;
    g_autoptr(CpuData) data = NULL;
    g_autoptr(CpuDef) named = NULL;

    make_numa(FALSE);
    host = host_new(root, NULL, NULL);
    data = cpu_data_host(host);
    named = cpu_data_name(data, &(CpuNaming){.host = TRUE}, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(CpuDef) def = cpu(cases[i].xml);
        g_autoptr(GError) error = NULL;
        g_autofree char *why = NULL;
        int got = cpu_compare(named, def, &why, &error);

        if (got != cases[i].want)
            g_error("%s: %d, not %d (%s)", cases[i].xml, got, cases[i].want, why != NULL ? why : "");
        g_assert_true((got == 0) == (why != NULL));
        g_assert_true((got == -1) == (error != NULL));
    }
}

static void test_cpu_baseline(void)
{
    g_autoptr(CpuDef) a = cpu("<cpu match='exact'><model>Haswell</model></cpu>");
    g_autoptr(CpuDef) b = cpu("<cpu match='exact'><model>Nehalem</model><feature policy='require' name='aes'/></cpu>");
    g_autoptr(CpuDef) c = cpu("<cpu match='exact'><model>EPYC</model></cpu>");
    g_autoptr(CpuDef) intel = cpu("<cpu match='exact'><model>Haswell</model><vendor>Intel</vendor></cpu>");
    const CpuDef *both[] = {a, b}, *mixed[] = {intel, c};
    g_autoptr(CpuDef) common = cpu_baseline(both, 2, NULL, FALSE, NULL);
    g_autoptr(CpuDef) none = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(common);
    g_assert_null(common->vendor); /* none of them said one */
    g_assert_cmpstr(common->model, ==, "Westmere"); /* Nehalem with aes */
    g_assert_true(cpu_expand(common, NULL));
    g_assert_nonnull(cpu_def_find_feature(common, "sse4.2"));
    g_assert_null(cpu_def_find_feature(common, "avx"));
    none = cpu_baseline(mixed, 2, NULL, FALSE, &error);
    g_assert_null(none);
    g_assert_true(error_is(error, VIR_ERR_OPERATION_FAILED));
}

/* The table's own rules: every feature has one number, every model one name, and names go both ways. */
static void test_cpu_tables(void)
{
    guint count = 0;

    for (; cpu_model_at(count) != NULL; count++) {
        const CpuModel *model = cpu_model_at(count);
        CpuFeatures both = *cpu_model_features(model);

        g_assert_true(cpu_model_find(cpu_model_name(model)) == model);
        g_assert_false(cpu_features_empty(&both));
        cpu_features_intersect(&both, cpu_model_removed(model));
        g_assert_true(cpu_features_empty(&both));
    }
    g_assert_cmpuint(count, >, 50);
    for (guint i = 0; cpu_feature_name(i) != NULL; i++) {
        g_assert_cmpint(cpu_feature_number(cpu_feature_name(i)), ==, (int)i);
        g_assert_cmpstr(cpu_feature_from_qemu(cpu_feature_to_qemu(cpu_feature_name(i))), ==, cpu_feature_name(i));
    }
    g_assert_cmpstr(cpu_feature_name(0), ==, "fpu");
    g_assert_cmpstr(cpu_feature_from_qemu("pclmulqdq"), ==, "pclmuldq");
    g_assert_cmpstr(cpu_feature_from_qemu("lahf-lm"), ==, "lahf_lm");
    g_assert_cmpstr(cpu_feature_from_qemu("sse3"), ==, "pni");
    g_assert_null(cpu_feature_from_qemu("migratable"));
}

int main(int argc, char **argv)
{
    int rc;

    g_test_init(&argc, &argv, NULL);
    root = g_dir_make_tmp("kite-test-XXXXXX", NULL);
    g_test_add_func("/host/names", test_names);
    g_test_add_func("/host/uuid-order", test_uuid_order);
    g_test_add_func("/host/topology", test_topology);
    g_test_add_func("/host/offline", test_offline);
    g_test_add_func("/host/bare", test_bare);
    g_test_add_func("/host/memory", test_memory);
    g_test_add_func("/host/sysinfo", test_sysinfo);
    g_test_add_func("/host/capabilities", test_capabilities);
    g_test_add_func("/host/domcaps", test_domcaps);
    g_test_add_func("/cpu/name", test_cpu_name);
    g_test_add_func("/cpu/compare", test_cpu_compare);
    g_test_add_func("/cpu/baseline", test_cpu_baseline);
    g_test_add_func("/cpu/tables", test_cpu_tables);
    rc = g_test_run();
    remove_tree(root);
    g_free(root);
    return rc;
}
