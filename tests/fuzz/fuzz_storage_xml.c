/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as <pool>, <poolstate> and <volume>: what is accepted must be written and read again, and stay the
 * same. */
#include <stdint.h>
#include <string.h>

#include "storage/pool_xml.h"
#include "storage/volume_xml.h"

static void try_pool(const char *text)
{
    g_autoptr(PoolDef) def = pool_def_parse(text, NULL, NULL);
    g_autoptr(PoolDef) state = pool_def_parse_state(text, NULL);
    g_autoptr(PoolDef) again = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *first = NULL, *second = NULL;

    g_assert_true(def == NULL || state == NULL); /* their root elements differ */
    if (def == NULL)
        return;
    first = pool_def_format(def);
    again = pool_def_parse(first, NULL, &error);
    g_assert_no_error(error);
    second = pool_def_format(again);
    g_assert_cmpstr(first, ==, second);
}

static void try_volume(const char *text)
{
    g_autoptr(VolumeDef) def = volume_def_parse(text, VOLUME_PARSE_NO_CAPACITY, NULL, NULL);
    g_autoptr(VolumeDef) again = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *first = NULL, *second = NULL;

    if (def == NULL)
        return;
    first = volume_def_format(def);
    again = volume_def_parse(first, 0, NULL, &error);
    g_assert_no_error(error);
    g_free(again->key); /* given by the pool, never read */
    again->key = g_strdup(def->key);
    second = volume_def_format(again);
    g_assert_cmpstr(first, ==, second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);

    try_pool(text);
    try_volume(text);
    return 0;
}
