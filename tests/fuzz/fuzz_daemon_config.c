/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtkited.conf from anybody. */
#include <stdint.h>

#include "driver/daemon_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(DaemonConfig) config = daemon_config_new();
    g_autoptr(GError) error = NULL;

    daemon_config_parse(config, (const char *)data, size, "fuzz", &error);
    return 0;
}
