/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Definition -> kite-vmm's machine description, against golden files: tests/golden/vmmdesc/ok-*.xml with
 * .json, bad-*.xml with .error; each description is also read by kite-vmm's own reader. The daemon's tables
 * of what kite-vmm has are held against kite-vmm's. KITE_TEST_REGENERATE=1 writes the expected files anew.
 */
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "driver/backend/backend.h"
#include "driver/backend/vmm_desc.h"
#include "driver/host/vmm_caps.h"
#include "vmm_side.h"

static char *folder;
static gboolean regenerate;

static void compare(const char *path, const char *text)
{
    g_autofree char *expected = NULL;

    if (regenerate) {
        g_assert_true(g_file_set_contents(path, text, -1, NULL));
        return;
    }
    if (!g_file_get_contents(path, &expected, NULL, NULL))
        g_error("%s is missing: run with KITE_TEST_REGENERATE=1 and review it", path);
    g_assert_cmpstr(text, ==, expected);
}

static DomainDef *load(const char *path)
{
    g_autoptr(GError) error = NULL;
    DomainDef *def =
        domain_def_parse_file(path, NULL, DOMAIN_DEF_PARSE_INACTIVE | DOMAIN_DEF_PARSE_SKIP_VALIDATE, &error);

    g_assert_no_error(error);
    g_assert_true(domain_def_assign_addresses(def, &domain_def_env_default, &error));
    g_assert_no_error(error);
    domain_def_assign_aliases(def);
    return def;
}

/* Descriptors by the order in which they are asked for. */
static int next_fd(gpointer opaque, const char *purpose)
{
    return ++*(int *)opaque;
}

static json_t *build(DomainDef *def, GError **error)
{
    guint n = domain_def_n(def, DEVICE_INTERFACE);
    g_autofree QemuNetFds *nets = g_new0(QemuNetFds, n + 1);
    int taps[] = {40, 41, 42, 43}, vhosts[] = {50, 51, 52, 53}, fd = 10;
    VmmDescContext context = {
        .fd = next_fd, .opaque = &fd, .nets = nets, .now = 1600000000, .uid = 990, .gid = -1, .sandbox = TRUE};

    for (guint i = 0; i < n; i++) {
        const InterfaceDef *net = domain_def_get(def, DEVICE_INTERFACE, i);
        guint queues = MAX(net->queues, 1);

        if (net->backend == NET_BACKEND_PASST) {
            nets[i].stream = 60;
            continue;
        }
        nets[i] = (QemuNetFds){.tap = taps, .n_tap = queues, .stream = -1};
        if (net->driver == NET_DRIVER_VHOST) {
            nets[i].vhost = vhosts;
            nets[i].n_vhost = queues;
        }
    }
    qemu_args_prepare(def);
    return vmm_desc_build(def, &context, error);
}

static void test_ok(gconstpointer data)
{
    g_autofree char *xml = g_build_filename(folder, (const char *)data, NULL);
    g_autofree char *stem = g_strndup(xml, strlen(xml) - strlen(".xml"));
    g_autofree char *expected = g_strconcat(stem, ".json", NULL);
    g_autoptr(DomainDef) def = load(xml);
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
        g_error("kite-vmm's reader refuses the description of %s: %s", (const char *)data, problem);
    compare(expected, text);
    g_assert_true(backend_choose(def, NULL) == &backend_vmm);
}

static void test_bad(gconstpointer data)
{
    g_autofree char *xml = g_build_filename(folder, (const char *)data, NULL);
    g_autofree char *stem = g_strndup(xml, strlen(xml) - strlen(".xml"));
    g_autofree char *expected = g_strconcat(stem, ".error", NULL);
    g_autoptr(DomainDef) def = load(xml);
    g_autoptr(GError) error = NULL;
    json_t *desc = build(def, &error);
    g_autofree char *text = NULL;

    g_assert_null(desc);
    g_assert_nonnull(error);
    text = g_strdup_printf("%d %s\n", (int)error_number(error), error->message);
    compare(expected, text);
}

static void test_tables(void)
{
    for (const char *const *name = vmm_caps_devices(); *name != NULL; name++) {
        if (!vmm_side_has_device(*name))
            g_error("kite-vmm has no device '%s'", *name);
    }
    for (const char *const *name = vmm_caps_cpu_models(); *name != NULL; name++) {
        if (!vmm_side_has_cpu_model(*name))
            g_error("kite-vmm has no CPU model '%s'", *name);
    }
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

int main(int argc, char **argv)
{
    const char *top = g_getenv("abs_top_srcdir");
    GDir *dir;
    const char *name;

    g_test_init(&argc, &argv, NULL);
    g_setenv("TZ", "UTC", TRUE);
    regenerate = g_getenv("KITE_TEST_REGENERATE") != NULL;
    folder = g_build_filename(top ? top : ".", "tests/golden/vmmdesc", NULL);
    dir = g_dir_open(folder, 0, NULL);
    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_strdup_printf("/vmmdesc/%s", name);

        if (g_str_has_suffix(name, ".xml"))
            g_test_add_data_func_full(path, g_strdup(name),
                                      g_str_has_prefix(name, "bad-") ? test_bad : test_ok, g_free);
    }
    g_dir_close(dir);
    g_test_add_func("/vmmdesc/tables", test_tables);
    g_test_add_func("/vmmdesc/choice", test_choice);
    return g_test_run();
}
