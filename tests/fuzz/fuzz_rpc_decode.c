/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decodes the input as the type that its first two bytes choose; what decodes must encode and decode to the
 * same. */
#include <stdint.h>
#include <string.h>

#include "driver/rpc/rpc_types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_type(const XdrType *type, const uint8_t *data, size_t size)
{
    g_autofree void *value = g_malloc0(type->size), *copy = g_malloc0(type->size);
    XdrWriter first = {0}, second = {0};

    if (xdr_decode(type, data, size, value, NULL, NULL)) {
        g_assert_true(xdr_encode(type, value, &first, G_MAXUINT32, NULL));
        g_assert_true(xdr_decode(type, first.data, first.length, copy, NULL, NULL));
        g_assert_true(xdr_encode(type, copy, &second, G_MAXUINT32, NULL));
        g_assert_cmpmem(first.data, first.length, second.data, second.length);
        xdr_clear(type, copy);
        xdr_clear(type, value);
    }
    xdr_writer_clear(&first);
    xdr_writer_clear(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static guint count;

    while (xdr_all_types[count] != NULL)
        count++;
    if (size < 2)
        return 0;
    if (data[0] == 0xff) { /* small inputs are tried as everything */
        for (guint i = 0; i < count && size < 4096; i++)
            try_type(xdr_all_types[i], data + 2, size - 2);
        return 0;
    }
    try_type(xdr_all_types[(data[0] << 8 | data[1]) % count], data + 2, size - 2);
    return 0;
}
