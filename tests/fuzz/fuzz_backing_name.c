/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of backing images, as they stand in headers that a guest may have written. */
#include <stdint.h>
#include <string.h>

#include "driver/backend/backing_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *name = g_strndup((const char *)data, size);
    g_autoptr(StorageSource) parent = storage_source_new(STORAGE_TYPE_FILE);
    g_autoptr(StorageSource) source = NULL;
    g_autofree char *words = NULL;
    gboolean usable;

    /* The client of the helper that reads headers lets nothing else through (probe_client.c). */
    if (strlen(name) > 1023 || name[0] == '\0' || !g_utf8_validate(name, -1, NULL))
        return 0;
    parent->path = g_strdup("/folder/image");
    if (backing_name_parse(parent, name, &source, &usable, NULL))
        words = storage_source_describe(source);
    return 0;
}
