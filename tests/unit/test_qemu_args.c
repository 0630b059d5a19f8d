/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Definition -> QEMU's command line, against golden files: tests/golden/argv/ok-*.xml with .args, bad-*.xml
 * with .error, ok-*.args-newer what a QEMU 11.1 is told instead. KITE_TEST_REGENERATE=1 writes the expected files anew,
 * for review.
 */
#include <string.h>

#include "definition.h"
#include "golden.h"
#include "recorded_caps.h"

static QemuArgs *build(DomainDef *def, const QemuCaps *caps, GError **error)
{
    g_autofree QemuNetFds *nets = definition_nets(def);
    QemuArgsContext context = {.caps = caps,
                               .emulator = def->emulator,
                               .run_dir = "/run/kite/domains/x",
                               .memory_dir = "/var/lib/kite/ram",
                               .sandbox = TRUE,
                               .privileged = TRUE,
                               .monitor_fd = 30,
                               .now = 1600000000,
                               .nets = nets,
                               .tpm_fd = 31};

    qemu_args_prepare(def);
    return qemu_args_build(def, &context, error);
}

static void test_ok(const char *xml)
{
    g_autoptr(DomainDef) def = definition_load(xml, FALSE);
    g_autoptr(GError) error = NULL;
    g_autoptr(QemuArgs) args = build(def, NULL, &error);
    g_autofree char *text = NULL;

    g_assert_no_error(error);
    text = qemu_args_to_text(args);
    g_assert_null(strstr(text, "secret'")); /* no password ever */
    definition_compare(xml, ".args", text);
}

static void test_bad(const char *xml)
{
    g_autoptr(DomainDef) def = definition_load(xml, FALSE);
    g_autoptr(GError) error = NULL;
    g_autoptr(QemuArgs) args = build(def, NULL, &error);

    g_assert_null(args);
    definition_compare_error(xml, error);
}

/* The newest recorded words of QEMU, on command lines that have something to do with them. */
static void test_newer(void)
{
    static const char *const names[] = {"ok-chardevs"};
    g_autoptr(QemuCaps) caps = recorded_caps_newer();

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *relative = g_strdup_printf("tests/golden/argv/%s.xml", names[i]);
        g_autofree char *xml = golden_source_path(relative);
        g_autoptr(DomainDef) def = definition_load(xml, FALSE);
        g_autoptr(GError) error = NULL;
        g_autoptr(QemuArgs) args = build(def, caps, &error);
        g_autofree char *text = NULL;

        g_assert_no_error(error);
        text = qemu_args_to_text(args);
        definition_compare(xml, ".args-newer", text);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    definition_add_tests("argv", "argv", test_ok, test_bad);
    g_test_add_func("/argv/newer", test_newer);
    return g_test_run();
}
