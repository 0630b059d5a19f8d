/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Definition -> QEMU's command line, against golden files: tests/golden/argv/ok-*.xml with .args, bad-*.xml
 * with .error. KITE_TEST_REGENERATE=1 writes the expected files anew, for review.
 */
#include <string.h>

#include "definition.h"

static QemuArgs *build(DomainDef *def, GError **error)
{
    g_autofree QemuNetFds *nets = definition_nets(def);
    QemuArgsContext context = {.emulator = def->emulator,
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
    g_autoptr(QemuArgs) args = build(def, &error);
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
    g_autoptr(QemuArgs) args = build(def, &error);

    g_assert_null(args);
    definition_compare_error(xml, error);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    definition_add_tests("argv", "argv", test_ok, test_bad);
    return g_test_run();
}
