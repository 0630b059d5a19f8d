/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Definition -> kite-vmm's machine description, against golden files: tests/golden/vmmdesc/ok-*.xml with
 * .json, bad-*.xml with .error; each description is also read by kite-vmm's own reader. The daemon's tables
 * of what kite-vmm has are held against kite-vmm's. KITE_TEST_REGENERATE=1 writes the expected files anew.
 */
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "definition.h"
#include "golden.h"
#include "driver/backend/backend.h"
#include "driver/backend/storage_daemon.h"
#include "driver/backend/vmm_desc.h"
#include "driver/host/cpu_features.h"
#include "driver/host/vmm_caps.h"
#include "vmm_side.h"

#define SERVER "/usr/bin/qemu-storage-daemon" /* as if it were there: nobody starts it */

/* Descriptors by the order in which they are asked for. */
static int next_fd(gpointer opaque, const char *purpose)
{
    return ++*(int *)opaque;
}

static json_t *build(DomainDef *def, GError **error)
{
    g_autofree QemuNetFds *nets = definition_nets(def);
    int fd = 10;
    VmmDescContext context = {
        .fd = next_fd, .opaque = &fd, .nets = nets, .now = 1600000000, .uid = 990, .gid = -1, .sandbox = TRUE};

    qemu_args_prepare(def);
    return vmm_desc_build(def, &context, error);
}

static void test_ok(const char *xml)
{
    g_autoptr(DomainDef) def = definition_load(xml, TRUE);
    g_autoptr(GError) error = NULL;
    json_t *desc = build(def, &error);
    g_autofree char *text = NULL;
    char *dumped, problem[512] = "";

    g_assert_no_error(error);
    dumped = json_dumps(desc, JSON_INDENT(2));
    text = g_strconcat(dumped, "\n", NULL);
    free(dumped);
    json_decref(desc);
    if (!vmm_side_accepts(text, problem, sizeof(problem)))
        g_error("kite-vmm's reader refuses the description of %s: %s", xml, problem);
    definition_compare(xml, ".json", text);
    g_assert_true(backend_choose(def, NULL) == &backend_vmm);
}

static void test_bad(const char *xml)
{
    g_autoptr(DomainDef) def = definition_load(xml, TRUE);
    g_autoptr(GError) error = NULL;

    g_assert_null(build(def, &error));
    definition_compare_error(xml, error);
}

/* What both sides have a table of. */
static void test_tables(void)
{
    guint features = 0;
    CpuWord word;

    for (const char *const *name = vmm_caps_devices(); *name != NULL; name++) {
        if (!vmm_side_has_device(*name))
            g_error("kite-vmm has no device '%s'", *name);
    }
    for (const char *const *name = vmm_caps_cpu_models(); *name != NULL; name++) {
        if (!vmm_side_has_cpu_model(*name))
            g_error("kite-vmm has no CPU model '%s'", *name);
    }
    for (guint n = 0; cpu_features_word(n, &word); n++) {
        for (guint bit = 0; bit < 32; bit++) {
            CpuFeatures one = {{0}};
            int number;

            word.value = 1u << bit;
            cpu_features_add_word(&one, &word);
            number = cpu_features_next(&one, 0);
            features += number >= 0;
            if (number >= 0 &&
                !vmm_side_has_cpu_feature(cpu_feature_name((guint)number), word.leaf, word.subleaf, word.reg, bit))
                g_error("kite-vmm has no CPU feature '%s' in bit %u of register %u of leaf 0x%x",
                        cpu_feature_name((guint)number), bit, word.reg, word.leaf);
        }
    }
    g_assert_null(cpu_feature_name(features));
    g_assert_nonnull(cpu_feature_name(features - 1));
}

static void test_choice(void)
{
    static const struct {
        const char *type, *emulator, *os;
        const BackendOps *expected;
        const char *words;
    } cases[] = {
        {"kvm", NULL, "<kernel>/k</kernel>", &backend_vmm, NULL},
        {"kvm", NULL, "", &backend_qemu, NULL},
        {"kvm", "/usr/bin/qemu-system-x86_64", "<kernel>/k</kernel>", &backend_qemu, NULL},
        {"kvm", "/usr/libexec/kite-vmm", "<kernel>/k</kernel>", &backend_vmm, NULL},
        {"kvm", "/usr/libexec/kite-vmm", "", NULL, "booting from a device"},
        {"qemu", NULL, "<kernel>/k</kernel>", &backend_qemu, NULL},
        {"qemu", "/usr/libexec/kite-vmm", "<kernel>/k</kernel>", NULL, "<domain type='qemu'>"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *emulator =
            cases[i].emulator ? g_strdup_printf("<emulator>%s</emulator>", cases[i].emulator) : g_strdup("");
        g_autofree char *xml = g_strdup_printf(
            "<domain type='%s'><name>a</name><memory>65536</memory><os><type arch='x86_64' machine='q35'>hvm</type>"
            "%s</os><devices>%s<memballoon model='none'/></devices></domain>",
            cases[i].type, cases[i].os, emulator);
        g_autoptr(GError) error = NULL;
        g_autoptr(DomainDef) def = domain_def_parse(xml, NULL, DOMAIN_DEF_PARSE_INACTIVE, &error);

        g_assert_no_error(error);
        g_assert_true(backend_choose(def, &error) == cases[i].expected);
        if (cases[i].words != NULL) {
            g_assert_cmpint((int)error_number(error), ==, VIR_ERR_CONFIG_UNSUPPORTED);
            g_assert_nonnull(strstr(error->message, cases[i].words));
        }
    }
}

/* Without the program such a definition is QEMU's, and says why. */
static void test_storage_daemon(void)
{
    g_autofree char *xml = golden_source_path("tests/golden/vmmdesc/ok-disks-served.xml");
    static const StorageWay ways[] = {STORAGE_DAEMON, STORAGE_DAEMON, STORAGE_NBD,
                                      STORAGE_DAEMON, STORAGE_NBD,    STORAGE_DAEMON};
    g_autoptr(DomainDef) def = definition_load(xml, TRUE);
    g_autofree char *reason = NULL;

    g_assert_cmpuint(domain_def_n(def, DEVICE_DISK), ==, G_N_ELEMENTS(ways));
    DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
    {
        g_assert_cmpint(storage_way(disk), ==, ways[disk_i]);
    }
    storage_daemon_set_path("");
    g_assert_true(backend_choose(def, NULL) == &backend_qemu);
    g_assert_false(vmm_desc_supported(def, &reason));
    g_assert_cmpstr(reason, ==, "kite-vmm does not support disk 'vda' without qemu-storage-daemon, which is not installed");
    storage_daemon_set_path(SERVER);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    storage_daemon_set_path(SERVER);
    definition_add_tests("vmmdesc", "vmmdesc", test_ok, test_bad);
    g_test_add_func("/vmmdesc/tables", test_tables);
    g_test_add_func("/vmmdesc/choice", test_choice);
    g_test_add_func("/vmmdesc/storage-daemon", test_storage_daemon);
    return g_test_run();
}
