/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RNG validation. A compiled schema costs tens of milliseconds, so each is compiled once and kept. One
 * validation at a time: libxml2 does not promise that a compiled schema may be shared by threads.
 */
#define ERROR_FROM VIR_FROM_XML
#include <libxml/relaxng.h>

#include "common/error.h"
#include "common/xml.h"

static GMutex cache_mutex;
static GHashTable *cache; /* path -> xmlRelaxNGPtr */

static void collect(void *data, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void collect(void *data, const char *format, ...)
{
    GString *text = data;
    va_list args;

    if (text->len > 2000)
        return;
    va_start(args, format);
    g_string_append_vprintf(text, format, args);
    va_end(args);
}

/* With cache_mutex held. */
static xmlRelaxNGPtr load_schema(const char *path, GError **error)
{
    xmlRelaxNGPtr schema;
    xmlRelaxNGParserCtxtPtr parser;
    g_autoptr(GString) text = g_string_new(NULL);

    if (cache == NULL)
        cache = g_hash_table_new(g_str_hash, g_str_equal);
    schema = g_hash_table_lookup(cache, path);
    if (schema == NULL) {
        parser = xmlRelaxNGNewParserCtxt(path);
        if (parser != NULL) {
            xmlRelaxNGSetParserErrors(parser, collect, collect, text);
            schema = xmlRelaxNGParse(parser);
            xmlRelaxNGFreeParserCtxt(parser);
        }
        if (schema != NULL)
            g_hash_table_insert(cache, g_strdup(path), schema);
        else
            error_set(error, VIR_ERR_INTERNAL_ERROR, "Unable to parse RNG %s: %s", path,
                      g_strchomp(text->str));
    }
    return schema;
}

gboolean xml_validate_rng(const char *schema_path, xmlDocPtr doc, GError **error)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&cache_mutex);
    xmlRelaxNGPtr schema = load_schema(schema_path, error);
    xmlRelaxNGValidCtxtPtr valid;
    g_autoptr(GString) text = g_string_new(NULL);
    int result;

    if (schema == NULL)
        return FALSE;
    valid = xmlRelaxNGNewValidCtxt(schema);
    if (valid == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Unable to create RNG validation context %s",
                         schema_path);
    xmlRelaxNGSetValidErrors(valid, collect, collect, text);
    result = xmlRelaxNGValidateDoc(valid, doc);
    xmlRelaxNGFreeValidCtxt(valid);
    if (result != 0)
        return error_set(error, VIR_ERR_XML_INVALID_SCHEMA, "Unable to validate doc against %s\n%s",
                         schema_path, g_strchomp(text->str));
    return TRUE;
}
