/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as the status file of a running domain: what is accepted must be written and read again. */
#include <stdint.h>

#include "driver/domain/status_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_auto(StatusFile) status = {0};
    g_auto(StatusFile) again = {0};
    g_autoptr(GError) error = NULL;

    if (status_file_parse(text, NULL, &status, NULL)) {
        g_autofree char *written = status_file_format(&status);

        g_assert_true(status_file_parse(written, NULL, &again, &error));
        g_assert_no_error(error);
        g_assert_cmpint(again.pid, ==, status.pid);
        g_assert_cmpuint(again.info->n_vcpus, ==, status.info->n_vcpus);
    }
    return 0;
}
