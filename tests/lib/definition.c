/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See definition.h. */
#include "definition.h"

#include <string.h>

#include "common/error.h"
#include "golden.h"

typedef struct Case {
    char *xml;
    DefinitionTest run;
} Case;

static void free_case(gpointer data)
{
    Case *c = data;

    g_free(c->xml);
    g_free(c);
}

static void run_case(gconstpointer data)
{
    const Case *c = data;

    c->run(c->xml);
}

void definition_add_tests(const char *name, const char *folder, DefinitionTest ok, DefinitionTest bad)
{
    g_autofree char *relative = g_build_filename("tests/golden", folder, NULL);
    g_autofree char *path = golden_source_path(relative);
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *file;

    g_assert_nonnull(dir);
    g_setenv("TZ", "UTC", TRUE);
    while ((file = g_dir_read_name(dir)) != NULL) {
        g_autofree char *test = g_strdup_printf("/%s/%s", name, file);
        Case *c;

        if (!g_str_has_suffix(file, ".xml"))
            continue;
        c = g_new0(Case, 1);
        c->xml = g_build_filename(path, file, NULL);
        c->run = g_str_has_prefix(file, "bad-") ? bad : ok;
        g_test_add_data_func_full(test, c, run_case, free_case);
    }
    g_dir_close(dir);
}

DomainDef *definition_load(const char *xml, gboolean addresses)
{
    g_autoptr(GError) error = NULL;
    DomainDef *def =
        domain_def_parse_file(xml, NULL, DOMAIN_DEF_PARSE_INACTIVE | DOMAIN_DEF_PARSE_SKIP_VALIDATE, &error);

    g_assert_no_error(error);
    if (addresses) {
        g_assert_true(domain_def_assign_addresses(def, &domain_def_env_default, &error));
        g_assert_no_error(error);
    }
    domain_def_assign_aliases(def);
    return def;
}

QemuNetFds *definition_nets(const DomainDef *def)
{
    static int taps[] = {40, 41, 42, 43}, vhosts[] = {50, 51, 52, 53};
    guint n = domain_def_n(def, DEVICE_INTERFACE);
    QemuNetFds *nets = g_new0(QemuNetFds, n + 1);

    for (guint i = 0; i < n; i++) {
        const InterfaceDef *net = domain_def_get(def, DEVICE_INTERFACE, i);
        guint queues = MAX(net->queues, 1);

        nets[i].stream = net->backend == NET_BACKEND_PASST ? 60 : -1;
        if (net->backend == NET_BACKEND_PASST)
            continue;
        nets[i].tap = taps;
        nets[i].n_tap = queues;
        if (net->driver == NET_DRIVER_VHOST) {
            nets[i].vhost = vhosts;
            nets[i].n_vhost = queues;
        }
    }
    return nets;
}

void definition_compare(const char *xml, const char *ending, const char *text)
{
    g_autofree char *stem = g_strndup(xml, strlen(xml) - strlen(".xml"));
    g_autofree char *path = g_strconcat(stem, ending, NULL);
    g_autofree char *expected = NULL;

    if (g_getenv("KITE_TEST_REGENERATE") != NULL) {
        g_assert_true(g_file_set_contents(path, text, -1, NULL));
        return;
    }
    if (!g_file_get_contents(path, &expected, NULL, NULL))
        g_error("%s is missing: run with KITE_TEST_REGENERATE=1 and review it", path);
    g_assert_cmpstr(text, ==, expected);
}

void definition_compare_error(const char *xml, const GError *error)
{
    g_autofree char *text = NULL;

    g_assert_nonnull(error);
    text = g_strdup_printf("%d %s\n", (int)error_number(error), error->message);
    definition_compare(xml, ".error", text);
}
