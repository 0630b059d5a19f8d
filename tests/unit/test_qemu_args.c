/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Definition -> QEMU's command line, against golden files: tests/golden/argv/ok-*.xml with .args, bad-*.xml
 * with .error. KITE_TEST_REGENERATE=1 writes the expected files anew, for review.
 */
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "driver/backend/qemu_args.h"

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
    domain_def_assign_aliases(def);
    return def;
}

static QemuArgs *build(DomainDef *def, GError **error)
{
    guint n = domain_def_n(def, DEVICE_INTERFACE);
    g_autofree QemuNetFds *nets = g_new0(QemuNetFds, n + 1);
    int taps[] = {40, 41, 42, 43}, vhosts[] = {50, 51, 52, 53};
    QemuArgsContext context = {.emulator = def->emulator,
                               .run_dir = "/run/kite/domains/x",
                               .memory_dir = "/var/lib/kite/ram",
                               .sandbox = TRUE,
                               .privileged = TRUE,
                               .monitor_fd = 30,
                               .now = 1600000000,
                               .nets = nets,
                               .tpm_fd = 31};

    for (guint i = 0; i < n; i++) {
        const InterfaceDef *net = domain_def_get(def, DEVICE_INTERFACE, i);
        guint queues = MAX(net->queues, 1);

        nets[i] = (QemuNetFds){.tap = taps, .n_tap = queues, .stream = 60};
        if (net->driver == NET_DRIVER_VHOST) {
            nets[i].vhost = vhosts;
            nets[i].n_vhost = queues;
        }
    }
    qemu_args_prepare(def);
    return qemu_args_build(def, &context, error);
}

static void test_ok(gconstpointer data)
{
    const char *name = data;
    g_autofree char *xml = g_build_filename(folder, name, NULL);
    g_autofree char *stem = g_strndup(xml, strlen(xml) - strlen(".xml"));
    g_autofree char *expected = g_strconcat(stem, ".args", NULL);
    g_autoptr(DomainDef) def = load(xml);
    g_autoptr(GError) error = NULL;
    g_autoptr(QemuArgs) args = build(def, &error);
    g_autofree char *text = NULL;

    g_assert_no_error(error);
    text = qemu_args_to_text(args);
    g_assert_null(strstr(text, "secret'")); /* no password ever */
    compare(expected, text);
}

static void test_bad(gconstpointer data)
{
    const char *name = data;
    g_autofree char *xml = g_build_filename(folder, name, NULL);
    g_autofree char *stem = g_strndup(xml, strlen(xml) - strlen(".xml"));
    g_autofree char *expected = g_strconcat(stem, ".error", NULL);
    g_autoptr(DomainDef) def = load(xml);
    g_autoptr(GError) error = NULL;
    g_autoptr(QemuArgs) args = build(def, &error);
    g_autofree char *text = NULL;

    g_assert_null(args);
    g_assert_nonnull(error);
    text = g_strdup_printf("%d %s\n", (int)error_number(error), error->message);
    compare(expected, text);
}

int main(int argc, char **argv)
{
    const char *top = g_getenv("abs_top_srcdir");
    GDir *dir;
    const char *name;

    g_test_init(&argc, &argv, NULL);
    g_setenv("TZ", "UTC", TRUE);
    regenerate = g_getenv("KITE_TEST_REGENERATE") != NULL;
    folder = g_build_filename(top ? top : ".", "tests/golden/argv", NULL);
    dir = g_dir_open(folder, 0, NULL);
    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_strdup_printf("/argv/%s", name);

        if (g_str_has_suffix(name, ".xml"))
            g_test_add_data_func_full(path, g_strdup(name),
                                      g_str_has_prefix(name, "bad-") ? test_bad : test_ok, g_free);
    }
    g_dir_close(dir);
    return g_test_run();
}
