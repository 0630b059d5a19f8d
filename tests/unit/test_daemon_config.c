/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtkited.conf: syntax, kinds, limits, error places; folders of the daemon. */
#include <string.h>

#include "common/error.h"
#include "driver/daemon_config.h"
#include "driver/paths.h"

static void test_defaults(void)
{
    g_autoptr(DaemonConfig) c = daemon_config_new();

    g_assert_cmpuint(c->max_clients, ==, 5000);
    g_assert_cmpstr(c->connection_type, ==, "QEMU");
    g_assert_cmphex(daemon_config_rw_mode(c, TRUE), ==, 0777);
    g_assert_cmphex(daemon_config_rw_mode(c, FALSE), ==, 0700);
    g_assert_cmphex(daemon_config_ro_mode(c), ==, 0777);
}

static void test_values(void)
{
    static const char text[] = "# a comment\n"
                               "listen_tcp = 1\n"
                               "tcp_port = \"1234\"   # trailing\n"
                               "  tls_port=4321\n"
                               "unix_sock_group = 'libvirt'\n"
                               "unix_sock_rw_perms = \"0770\"\n"
                               "keepalive_interval = -1\n"
                               "tls_allowed_dn_list = [ \"C=GB,*\",\n  # inside\n  'O=x', ]\n"
                               "sasl_allowed_username_list = []\n"
                               "log_filters = \"\"\"1:rpc\n4:host\"\"\"\n"
                               "admin_max_workers = 3\n"
                               "also = [\"qemu\"]\r\n"
                               "log_level = 2";
    g_autoptr(DaemonConfig) c = daemon_config_new();
    g_autoptr(GError) error = NULL;

    g_assert_true(daemon_config_parse(c, text, strlen(text), "test", &error));
    g_assert_no_error(error);
    g_assert_true(c->listen_tcp);
    g_assert_cmpstr(c->tcp_port, ==, "1234");
    g_assert_cmpstr(c->tls_port, ==, "4321");
    g_assert_cmpstr(c->unix_sock_group, ==, "libvirt");
    g_assert_cmphex(daemon_config_rw_mode(c, TRUE), ==, 0770);
    g_assert_cmpint(c->keepalive_interval, ==, -1);
    g_assert_cmpuint(g_strv_length(c->tls_allowed_dn_list), ==, 2);
    g_assert_cmpstr(c->tls_allowed_dn_list[1], ==, "O=x");
    g_assert_cmpuint(g_strv_length(c->sasl_allowed_username_list), ==, 0);
    g_assert_cmpstr(c->log_filters, ==, "1:rpc\n4:host");
    g_assert_cmpstr(c->also[0], ==, "qemu");
    g_assert_cmpuint(c->log_level, ==, 2);
}

static void test_wrong(void)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"\nnonsense = 1\n", "test:2: unknown key 'nonsense'"},
        {"max_clients", "test:1: expected '=' after 'max_clients'"},
        {"max_clients = \"x\"", "test:1: 'max_clients' must be a number from 1 to 1000000"},
        {"max_clients = 0", "test:1: 'max_clients' must be a number from 1 to 1000000"},
        {"max_clients = 99999999999999999999", "no number or too large"},
        {"listen_tls = 2", "'listen_tls' must be a number from 0 to 1"},
        {"unix_sock_rw_perms = \"0888\"", "must be octal"},
        {"auth_tcp = \"polkit\"", "must be one of 'none', 'sasl'"},
        {"tls_port = \"70000\"", "a port from 1 to 65535"},
        {"log_level = 2 3", "unexpected text after the value of 'log_level'"},
        {"key_file = \"/x\n", "no closing \""},
        {"key_file = \"\"\"/x\n", "has no end"},
        {"also = [ \"qemu\"", "expected ',' or ']'"},
        {"also = [ \"xen\" ]", "knows \"qemu\" only"},
        {"= 3", "expected a key"},
        {"access_drivers = [ \"polkit\" ]", "\"polkit\" is not supported"},
        {"host_uuid = \"x\"", "is no UUID"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(DaemonConfig) c = daemon_config_new();
        g_autoptr(GError) error = NULL;

        g_assert_false(daemon_config_parse(c, cases[i].text, strlen(cases[i].text), "test", &error));
        g_assert_true(error_is(error, VIR_ERR_CONF_SYNTAX));
        if (strstr(error->message, cases[i].want) == NULL)
            g_error("'%s' gave '%s', not '%s'", cases[i].text, error->message, cases[i].want);
    }
}

static void test_missing_file(void)
{
    g_autoptr(DaemonConfig) c = daemon_config_new();
    g_autoptr(GError) error = NULL;

    g_assert_false(daemon_config_load(c, "/no/such/file", &error));
    g_assert_true(error_is(error, VIR_ERR_OPEN_FAILED));
}

/* What we install must be what we understand, also with every comment sign before a key taken away. */
static void test_shipped(void)
{
    g_autofree char *path = g_build_filename(g_getenv("abs_top_srcdir"), "data", "virtkited.conf", NULL);
    g_autoptr(DaemonConfig) c = daemon_config_new();
    g_autoptr(DaemonConfig) all = daemon_config_new();
    g_autoptr(GString) uncommented = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    g_auto(GStrv) line = NULL;
    guint count = 0;

    g_assert_true(daemon_config_load(c, path, &error));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    line = g_strsplit(text, "\n", -1);
    for (guint i = 0; line[i] != NULL; i++) {
        if (line[i][0] == '#' && g_ascii_islower(line[i][1]) && strstr(line[i], " = ") != NULL) {
            g_string_append_printf(uncommented, "%s\n", line[i] + 1);
            count++;
        }
    }
    g_assert_cmpuint(count, >, 40);
    daemon_config_parse(all, uncommented->str, uncommented->len, "uncommented", &error);
    g_assert_no_error(error);
}

static void test_paths(void)
{
    g_autoptr(Paths) p = NULL;

    g_setenv("XDG_RUNTIME_DIR", "/tmp/r", TRUE);
    p = paths_new(FALSE);
    g_assert_cmpstr(p->socket_dir, ==, "/tmp/r/libvirt");
    g_assert_cmpstr(p->domain_run_dir, ==, "/tmp/r/kite/domains");
    g_assert_false(p->privileged);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/config/defaults", test_defaults);
    g_test_add_func("/config/values", test_values);
    g_test_add_func("/config/wrong", test_wrong);
    g_test_add_func("/config/missing-file", test_missing_file);
    g_test_add_func("/config/shipped", test_shipped);
    g_test_add_func("/config/paths", test_paths);
    return g_test_run();
}
