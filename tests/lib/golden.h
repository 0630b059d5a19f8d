/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Golden files: tests/golden/<folder>/ok-NAME.xml must give ok-NAME.out, bad-NAME.xml must fail with the text
 * of bad-NAME.err. KITE_TEST_REGENERATE=1 writes the expected files anew, for review with git diff.
 */
#pragma once

#include <glib.h>

/* The text for one input, or NULL with error set. */
typedef char *(*GoldenTransform)(const char *input, GError **error);

/* One test "/<folder>/<file>" for each input of the folder. Call after g_test_init(). */
void golden_add_tests(const char *folder, GoldenTransform transform);
/* Path of a file of the source tree; caller frees. */
char *golden_source_path(const char *relative);
