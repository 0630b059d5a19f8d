/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors, atomic files, enum tables. */
#include <errno.h>
#include <glib/gstdio.h>

#include "common/atomic_file.h"
#include "common/enum_table.h"
#include "common/err.h"
#include "common/error.h"
#include "common/lock.h"

static void test_error_text(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;

    g_assert_false(error_set(&error, VIR_ERR_NO_DOMAIN, "no domain with matching name '%s'", "x"));
    text = error_full_text(error);
    g_assert_cmpstr(text, ==, "Domain not found: no domain with matching name 'x'");
    g_assert_cmpint(error_number(error), ==, VIR_ERR_NO_DOMAIN);
    g_assert_cmpint(error_from(error), ==, VIR_FROM_QEMU);
}

static void test_err_prefix(void)
{
    Err err = {0};

    g_assert_cmpint(err_set(&err, ENOENT, "no file"), ==, -ENOENT);
    g_assert_cmpint(err_prefix(&err, "disk '%s'", "vda"), ==, -ENOENT);
    g_assert_cmpstr(err.text, ==, "disk 'vda': no file");
}

static void test_atomic_file(void)
{
    g_autofree char *folder = g_dir_make_tmp("kite-test-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "state", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(atomic_file_write(path, "one", -1, 0600, &error));
    g_assert_true(atomic_file_write(path, "two", -1, 0600, &error));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "two");
    g_assert_cmpuint(atomic_file_sweep(folder), ==, 0);
    g_assert_true(atomic_file_remove(path, &error));
    g_assert_true(atomic_file_remove(path, &error));
    g_rmdir(folder);
}

static void test_lock(void)
{
    Lock lock;

    lock_init(&lock);
    {
        LOCK_SCOPE(&lock);
        lock_assert_held(&lock);
    }
    lock_assert_free(&lock);
    lock_clear(&lock);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/common/error/text", test_error_text);
    g_test_add_func("/common/err/prefix", test_err_prefix);
    g_test_add_func("/common/atomic-file", test_atomic_file);
    g_test_add_func("/common/lock", test_lock);
    return g_test_run();
}
