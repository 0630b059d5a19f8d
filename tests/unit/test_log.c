/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Levels, outputs and filters; standing texts of all error numbers. */
#define LOG_SOURCE "test.one"
#include <glib/gstdio.h>
#include <string.h>

#include "common/error.h"
#include "common/log.h"

static char *folder;
static char *path;

static void write_to_file(LogLevel level)
{
    g_autofree char *spec = g_strdup_printf("%d:file:%s", level, path);
    g_autoptr(GError) error = NULL;

    g_unlink(path);
    g_assert_true(log_set_outputs(spec, &error));
    g_assert_no_error(error);
}

static char *written(void)
{
    char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static void test_levels(void)
{
    g_autofree char *text = NULL;

    write_to_file(LOG_LEVEL_DEBUG);
    log_set_level(LOG_LEVEL_INFO);
    log_debug("not this");
    log_info("line %d", 1);
    log_error("line %d", 2);
    text = written();
    g_assert_null(strstr(text, "not this"));
    g_assert_nonnull(strstr(text, ": info : test.one : line 1\n"));
    g_assert_nonnull(strstr(text, ": error : test.one : line 2\n"));
}

static void test_output_level(void)
{
    g_autofree char *text = NULL;

    write_to_file(LOG_LEVEL_ERROR);
    log_set_level(LOG_LEVEL_DEBUG);
    log_warning("quiet");
    log_error("loud");
    text = written();
    g_assert_null(strstr(text, "quiet"));
    g_assert_nonnull(strstr(text, "loud"));
}

static void test_filters(void)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    write_to_file(LOG_LEVEL_DEBUG);
    log_set_level(LOG_LEVEL_ERROR);
    g_assert_true(log_set_filters("4:test.two  1:test", &error));
    g_assert_cmpint(log_threshold, ==, LOG_LEVEL_DEBUG);
    log_debug("mine");
    log_write(LOG_LEVEL_WARNING, "test.two", "theirs");
    log_write(LOG_LEVEL_WARNING, "other", "foreign");
    g_assert_true(log_set_filters("", &error));
    text = written();
    g_assert_nonnull(strstr(text, "mine"));
    g_assert_null(strstr(text, "theirs"));
    g_assert_null(strstr(text, "foreign"));
}

static void test_wrong(void)
{
    static const char *const outputs[] = {"stderr", "5:stderr", "0:stderr", "1:nowhere", "1:file", "1:file:",
                                          "1:stderr:x", "1:stderr 2:bad", "1:file:/no/such/folder/log"};
    static const char *const filters[] = {"x", "9:x", "1:", "1:+"};

    for (guint i = 0; i < G_N_ELEMENTS(outputs); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(log_set_outputs(outputs[i], &error));
        g_assert_nonnull(error);
    }
    for (guint i = 0; i < G_N_ELEMENTS(filters); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(log_set_filters(filters[i], &error));
        g_assert_true(error_is(error, VIR_ERR_INVALID_ARG));
    }
}

static gpointer writer(gpointer data)
{
    for (int i = 0; i < 200; i++)
        log_error("thread %d line %d end", GPOINTER_TO_INT(data), i);
    return NULL;
}

static void test_threads(void)
{
    GThread *thread[4];
    g_autofree char *text = NULL;
    g_auto(GStrv) line = NULL;

    write_to_file(LOG_LEVEL_DEBUG);
    for (int i = 0; i < 4; i++)
        thread[i] = g_thread_new("writer", writer, GINT_TO_POINTER(i));
    for (int i = 0; i < 4; i++)
        g_thread_join(thread[i]);
    text = written();
    line = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(line), ==, 801);
    for (guint i = 0; i < 800; i++)
        g_assert_true(g_str_has_suffix(line[i], " end"));
}

static void test_texts(void)
{
    static const struct {
        int number;
        const char *want;
    } cases[] = {
        {VIR_ERR_INTERNAL_ERROR, "internal error: x"},
        {VIR_ERR_NO_DOMAIN, "Domain not found: x"},
        {VIR_ERR_XML_ERROR, "XML error: x"},
        {VIR_ERR_SYSTEM_ERROR, "x"},
        {VIR_ERR_DOM_EXIST, "domain x exists already"},
        {VIR_ERR_OPERATION_DENIED, "operation forbidden: x"},
        {VIR_ERR_OS_TYPE, "unknown OS type x"},
        {VIR_ERR_NO_CONNECT, "no connection driver available for x"},
        {VIR_ERR_NO_STORAGE_VOL, "Storage volume not found: x"},
        {VIR_ERR_STORAGE_VOL_EXIST, "storage volume x exists already"},
        {VIR_ERR_NO_NODE_DEVICE, "Node device not found: x"},
        {VIR_ERR_DEVICE_MISSING, "device not found: x"},
        {VIR_ERR_MULTIPLE_DOMAINS, "multiple matching domains found: x"},
        {VIR_ERR_NO_SUPPORT, "this function is not supported by the connection driver: x"},
        {4711, "unknown error: x"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = NULL;

        error_set(&error, cases[i].number, "x");
        text = error_full_text(error);
        g_assert_cmpstr(text, ==, cases[i].want);
    }
    for (int n = 1; n <= VIR_ERR_MULTIPLE_DOMAINS; n++) {
        g_assert_cmpstr(error_number_text(n, FALSE), !=, "unknown error");
        g_assert_nonnull(strstr(error_number_text(n, TRUE), "%s"));
    }
}

int main(int argc, char **argv)
{
    int rc;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("kite-test-XXXXXX", NULL);
    path = g_build_filename(folder, "log", NULL);
    g_test_add_func("/common/log/levels", test_levels);
    g_test_add_func("/common/log/output-level", test_output_level);
    g_test_add_func("/common/log/filters", test_filters);
    g_test_add_func("/common/log/wrong", test_wrong);
    g_test_add_func("/common/log/threads", test_threads);
    g_test_add_func("/common/error/texts", test_texts);
    rc = g_test_run();
    g_unlink(path);
    g_rmdir(folder);
    g_free(path);
    g_free(folder);
    return rc;
}
