/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as a domain definition: what is accepted must be written and read again. */
#include <stdint.h>
#include <string.h>

#include "driver/conf/domain_def.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(DomainDef) def = domain_def_parse(text, NULL, DOMAIN_DEF_PARSE_ABI_UPDATE, NULL);

    if (def != NULL) {
        g_autoptr(GError) error = NULL;
        g_autoptr(DomainDef) live = NULL;
        g_autoptr(DomainDef) again = NULL;

        domain_def_assign_aliases(def);
        live = domain_def_copy(def, NULL, &error);
        g_assert_no_error(error);
        again = domain_def_copy_inactive(def, NULL, &error);
        g_assert_no_error(error);
    }
    return 0;
}
