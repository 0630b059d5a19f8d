/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors, atomic files, enum tables. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/enum_table.h"
#include "common/err.h"
#include "common/error.h"
#include "common/lock.h"
#include "common/slow_file.h"

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

static void test_error_flags(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;

    g_assert_false(error_set_flags(&error, VIR_FROM_DOMAIN, "unsupported flags (0x%x)", 4));
    text = error_full_text(error);
    g_assert_cmpstr(text, ==, "unsupported flags (0x4)"); /* no "invalid argument: " */
    g_assert_true(error_is(error, VIR_ERR_INVALID_ARG));
    g_assert_cmpint(error_from(error), ==, VIR_FROM_DOMAIN);
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

/* --- files that may not answer --- */

typedef struct Looks {
    const char *paths[3];
    int seen[3];
    int gate; /* the second one waits for this pipe */
} Looks;

static void look(gpointer data, guint i)
{
    Looks *looks = data;
    char byte;

    looks->seen[i] = 1;
    if (i == 1)
        g_assert_cmpint(read(looks->gate, &byte, 1), >=, 0);
}

static int looks_cleared;

static void looks_clear(gpointer data)
{
    g_atomic_int_inc(&looks_cleared);
}

/* Three looks, of which the second one hangs, into the gate. A busy machine may not give a thread 50 ms of time in
 * which to look at the others: then again, elsewhere, with more patience. */
static Looks *three_looks(int ret_gate[2])
{
    static const char *const paths[3][3] = {{"/a/1", "/b/1", "/c/1"}, {"/d/1", "/e/1", "/f/1"}, {"/g/1", "/h/1", "/i/1"}};
    guint patience = 50;

    for (guint round = 0; round < G_N_ELEMENTS(paths); round++, patience *= 20) {
        Looks *looks = g_atomic_rc_box_new0(Looks);
        gboolean done[3] = {FALSE, FALSE, FALSE};

        g_assert_cmpint(pipe(ret_gate), ==, 0);
        *looks = (Looks){.gate = ret_gate[0]};
        memcpy(looks->paths, paths[round], sizeof(looks->paths));
        slow_file_each(looks->paths, 3, look, looks, looks_clear, patience, done);
        g_assert_false(done[1]);
        if (done[0] && done[2])
            return looks;
        close(ret_gate[1]);
        g_atomic_rc_box_release_full(looks, looks_clear);
        while (g_atomic_int_get(&looks_cleared) == 0)
            g_usleep(1000);
        g_atomic_int_set(&looks_cleared, 0);
        close(ret_gate[0]);
    }
    g_assert_not_reached();
}

static void test_slow_file(void)
{
    gboolean done[1] = {FALSE};
    struct stat st;
    int gate[2], fd;
    Looks *looks = three_looks(gate);

    /* While it hangs, nobody waits for its folder. */
    looks->paths[0] = looks->paths[1];
    slow_file_each(looks->paths, 1, look, looks, looks_clear, 60000, done);
    g_assert_false(done[0]);
    g_atomic_rc_box_release_full(looks, looks_clear);
    g_assert_cmpint(g_atomic_int_get(&looks_cleared), ==, 0); /* the sleeper has it */
    close(gate[1]);
    for (int i = 0; i < 10000 && g_atomic_int_get(&looks_cleared) == 0; i++)
        g_usleep(1000);
    g_assert_cmpint(g_atomic_int_get(&looks_cleared), ==, 1);
    close(gate[0]);

    fd = slow_file_open("/dev/null", O_RDONLY, &st, 0);
    g_assert_cmpint(fd, >=, 0);
    g_assert_true(S_ISCHR(st.st_mode));
    close(fd);
    g_assert_cmpint(slow_file_open("/nonexistent", O_RDONLY, NULL, 0), ==, -ENOENT);
    g_assert_cmpint(slow_file_open_data("/dev/null", O_RDONLY, NULL, 0), ==, -EMEDIUMTYPE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/common/error/text", test_error_text);
    g_test_add_func("/common/error/text-flags", test_error_flags);
    g_test_add_func("/common/err/prefix", test_err_prefix);
    g_test_add_func("/common/atomic-file", test_atomic_file);
    g_test_add_func("/common/lock", test_lock);
    g_test_add_func("/common/slow-file", test_slow_file);
    return g_test_run();
}
