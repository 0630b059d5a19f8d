/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See golden.h. */
#include "golden.h"

#include <string.h>

#include "common/error.h"

typedef struct GoldenCase {
    char *input;
    GoldenTransform transform;
} GoldenCase;

char *golden_source_path(const char *relative)
{
    const char *root = g_getenv("abs_top_srcdir");

    return g_build_filename(root != NULL ? root : ".", relative, NULL);
}

static void compare(const char *path, const char *text)
{
    g_autofree char *expected = NULL;
    g_autoptr(GError) error = NULL;

    if (g_strcmp0(g_getenv("KITE_TEST_REGENERATE"), "1") == 0) {
        g_assert_true(g_file_set_contents(path, text, -1, NULL));
        return;
    }
    if (!g_file_get_contents(path, &expected, NULL, &error))
        g_error("%s (make it with KITE_TEST_REGENERATE=1)", error->message);
    if (strcmp(expected, text) != 0)
        g_error("%s differs from what is expected; it is now:\n%s", path, text);
}

static void run(gconstpointer data)
{
    const GoldenCase *one = data;
    g_autofree char *name = g_path_get_basename(one->input);
    g_autofree char *stem = g_strndup(one->input, strlen(one->input) - strlen(".xml"));
    g_autofree char *input = NULL;
    g_autofree char *text = NULL;
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(g_file_get_contents(one->input, &input, NULL, NULL));
    text = one->transform(input, &error);
    if (g_str_has_prefix(name, "ok-")) {
        if (text == NULL)
            g_error("%s: %s", name, error->message);
        path = g_strconcat(stem, ".out", NULL);
        compare(path, text);
    } else {
        g_autofree char *report = NULL;

        if (text != NULL)
            g_error("%s was accepted", name);
        report = g_strdup_printf("%d %s\n", (int)error_number(error), error->message);
        path = g_strconcat(stem, ".err", NULL);
        compare(path, report);
    }
}

static void case_free(gpointer data)
{
    GoldenCase *one = data;

    g_free(one->input);
    g_free(one);
}

void golden_add_tests(const char *folder, GoldenTransform transform)
{
    g_autofree char *relative = g_build_filename("tests", "golden", folder, NULL);
    g_autofree char *path = golden_source_path(relative);
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;

    if (dir == NULL)
        g_error("no folder %s", path);
    while ((name = g_dir_read_name(dir)) != NULL) {
        GoldenCase *one;
        g_autofree char *test = NULL;

        if (!g_str_has_suffix(name, ".xml"))
            continue;
        one = g_new0(GoldenCase, 1);
        one->input = g_build_filename(path, name, NULL);
        one->transform = transform;
        test = g_strdup_printf("/%s/%s", folder, name);
        g_test_add_data_func_full(test, one, run, case_free);
    }
    g_dir_close(dir);
}
