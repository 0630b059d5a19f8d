/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the golden tests of both back ends share: definitions in tests/golden/FOLDER, ok-*.xml and bad-*.xml, what stands
 * beside them, and interfaces whose descriptors have fixed numbers.
 */
#pragma once

#include "driver/backend/qemu_args.h"
#include "driver/conf/domain_def.h"

/* xml: path of the definition. */
typedef void (*DefinitionTest)(const char *xml);

/* One test "/NAME/<file>" for each definition of tests/golden/FOLDER. Call after g_test_init(). The zone is UTC then. */
void definition_add_tests(const char *name, const char *folder, DefinitionTest ok, DefinitionTest bad);
/* Parsed and with aliases; addresses too where asked for. */
DomainDef *definition_load(const char *xml, gboolean addresses);
/* Descriptors for its interfaces, one more than there are; g_free(). What they point to is static. */
QemuNetFds *definition_nets(const DomainDef *def);
/* text against the file beside xml with this ending (".json"); KITE_TEST_REGENERATE=1 writes it. */
void definition_compare(const char *xml, const char *ending, const char *text);
/* The same for an error: its number and text, ".error". */
void definition_compare_error(const char *xml, const GError *error);
