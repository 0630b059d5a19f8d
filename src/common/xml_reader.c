/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parses documents with libxml2 and turns nodes into values. A document may come from anybody who reaches the
 * socket, so nothing is loaded besides its own text, a DOCTYPE is refused, and libxml2's own limits (depth
 * 256, 10 MB a text node) stay on.
 */
#define ERROR_FROM VIR_FROM_XML
#include "common/xml.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/xmlerror.h>
#include <string.h>

#include "common/error.h"

#define XML_TEXT_MAX (32u << 20)

/* --- documents ------------------------------------------------------------------------------------------ */

typedef struct ParseReport {
    const char *what;
    char *text; /* first complaint */
} ParseReport;

/* The line of the input that libxml2 complains about, and a line with a caret under the place. */
static char *error_context(xmlParserInputPtr input)
{
    const xmlChar *start = input->cur, *end = input->cur, *base = input->base;
    GString *out = g_string_new(NULL);
    gsize column;

    while (start > base && (*start == '\n' || *start == '\r' || *start == '\0'))
        start--;
    while (start > base && start[-1] != '\n' && start[-1] != '\r' && input->cur - start < 80)
        start--;
    while (*end != '\0' && *end != '\n' && *end != '\r' && end - start < 80)
        end++;
    if (end < start)
        end = start;
    column = input->cur > start ? (gsize)(input->cur - start) : 0;
    g_string_append_len(out, (const char *)start, end - start);
    g_string_append_c(out, '\n');
    for (gsize i = 0; i < column; i++)
        g_string_append_c(out, start[i] == '\t' ? '\t' : '-');
    g_string_append_c(out, '^');
    return g_string_free(out, FALSE);
}

static void parse_complaint(void *data, xmlErrorPtr problem)
{
    xmlParserCtxtPtr ctxt = data;
    ParseReport *report = ctxt != NULL ? ctxt->_private : NULL;
    g_autofree char *context = NULL;
    g_autofree char *message = NULL;

    if (report == NULL || report->text != NULL || problem->level < XML_ERR_ERROR)
        return;
    message = g_strchomp(g_strdup(problem->message ? problem->message : "unknown error"));
    context = ctxt->input != NULL ? error_context(ctxt->input) : g_strdup("");
    report->text = g_strdup_printf("%s:%d: %s\n%s", report->what, problem->line, message, context);
    if (!g_utf8_validate(report->text, -1, NULL)) {
        char *valid = g_utf8_make_valid(report->text, -1);

        g_free(report->text);
        report->text = valid;
    }
}

xmlDocPtr xml_parse_from(virErrorDomain from, const char *text, const char *what, const char *root, GError **error)
{
    static gsize initialised;
    ParseReport report = {.what = what != NULL ? what : "(document)"};
    g_autofree char *complaint = NULL;
    xmlParserCtxtPtr ctxt;
    xmlDocPtr doc;
    gsize length = strlen(text);
    const char *name;

    if (g_once_init_enter(&initialised)) {
        xmlInitParser();
        g_once_init_leave(&initialised, 1);
    }
    if (length > XML_TEXT_MAX) {
        error_set(error, VIR_ERR_XML_ERROR, "%s is %zu bytes long, the limit is %u", report.what, length,
                  XML_TEXT_MAX);
        return NULL;
    }
    ctxt = xmlNewParserCtxt();
    if (ctxt == NULL)
        g_error("out of memory");
    ctxt->_private = &report;
    ctxt->sax->serror = parse_complaint;
    doc = xmlCtxtReadMemory(ctxt, text, (int)length, NULL, NULL,
                            XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_COMPACT);
    complaint = report.text;
    if (doc != NULL && !ctxt->wellFormed) {
        xmlFreeDoc(doc);
        doc = NULL;
    }
    xmlFreeParserCtxt(ctxt);
    if (doc == NULL) {
        error_set_from(error, from, VIR_ERR_XML_DETAIL, "%s",
                       complaint != NULL ? complaint : "document is not well formed");
        return NULL;
    }
    if (xmlGetIntSubset(doc) != NULL) {
        error_set_from(error, from, VIR_ERR_XML_DETAIL, "%s: a document type declaration is not allowed",
                       report.what);
        xmlFreeDoc(doc);
        return NULL;
    }
    if (xmlDocGetRootElement(doc) == NULL) {
        error_set_from(error, from, VIR_ERR_XML_DETAIL, "%s: missing root element", report.what);
        xmlFreeDoc(doc);
        return NULL;
    }
    name = (const char *)xmlDocGetRootElement(doc)->name;
    if (root != NULL && strcmp(name, root) != 0) {
        error_set(error, VIR_ERR_XML_ERROR, "expecting root element of '%s', not '%s'", root, name);
        xmlFreeDoc(doc);
        return NULL;
    }
    return doc;
}

/* --- nodes ---------------------------------------------------------------------------------------------- */

gboolean xml_is(xmlNodePtr node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && (name == NULL || strcmp((const char *)node->name, name) == 0);
}

static xmlNodePtr first_from(xmlNodePtr node, const char *name)
{
    while (node != NULL && !xml_is(node, name))
        node = node->next;
    return node;
}

xmlNodePtr xml_child(xmlNodePtr node, const char *name)
{
    return node != NULL ? first_from(node->children, name) : NULL;
}

xmlNodePtr xml_next(xmlNodePtr node, const char *name)
{
    return first_from(node->next, name);
}

guint xml_count(xmlNodePtr node, const char *name)
{
    guint n = 0;

    XML_FOREACH(child, node, name)
    n++;
    return n;
}

/* The text of a node when it is one plain text node, which is nearly always so; else NULL. */
static const char *plain_text(xmlNodePtr children)
{
    if (children != NULL && children->next == NULL &&
        (children->type == XML_TEXT_NODE || children->type == XML_CDATA_SECTION_NODE))
        return (const char *)children->content;
    return NULL;
}

static xmlAttrPtr find_attr(xmlNodePtr node, const char *name)
{
    for (xmlAttrPtr attr = node->properties; attr != NULL; attr = attr->next) {
        if (strcmp((const char *)attr->name, name) == 0)
            return attr;
    }
    return NULL;
}

static char *content(xmlNodePtr node)
{
    xmlChar *text = xmlNodeGetContent(node);
    char *copy = g_strdup(text != NULL ? (const char *)text : "");

    xmlFree(text);
    return copy;
}

char *xml_get_attr(xmlNodePtr node, const char *name)
{
    xmlAttrPtr attr = node != NULL ? find_attr(node, name) : NULL;
    const char *text;

    if (attr == NULL)
        return NULL;
    text = plain_text(attr->children);
    return text != NULL ? g_strdup(text) : content((xmlNodePtr)attr);
}

char *xml_get_text(xmlNodePtr node)
{
    const char *text;

    if (node == NULL)
        return NULL;
    text = plain_text(node->children);
    return text != NULL ? g_strdup(text) : content(node);
}

char *xml_get_child_text(xmlNodePtr node, const char *child)
{
    return xml_get_text(xml_child(node, child));
}

char *xml_node_dump(xmlNodePtr node)
{
    /* The copy carries the declarations of namespaces that were made further up. */
    xmlNodePtr copy = xmlDocCopyNode(node, node->doc, 1);
    xmlBufferPtr buffer = xmlBufferCreate();
    char *text;

    if (copy == NULL || buffer == NULL)
        g_error("out of memory");
    xmlNodeDump(buffer, node->doc, copy, 0, 0);
    text = g_strdup((const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    xmlFreeNode(copy);
    return text;
}

/* --- typed attributes ----------------------------------------------------------------------------------- */

static gboolean missing(xmlNodePtr node, const char *name, XmlGetFlags flags, GError **error)
{
    if (flags & XML_REQUIRED)
        return error_set(error, VIR_ERR_XML_ERROR, "Missing required attribute '%s' in element '%s'", name,
                         (const char *)node->name);
    return TRUE;
}

static gboolean invalid(xmlNodePtr node, const char *name, const char *value, const char *expected,
                        GError **error)
{
    return error_set(error, VIR_ERR_XML_ERROR, "Invalid value for attribute '%s' in element '%s': '%s'.%s%s",
                     name, (const char *)node->name, value, expected != NULL ? " Expected " : "",
                     expected != NULL ? expected : "");
}

static gboolean zero(xmlNodePtr node, const char *name, GError **error)
{
    return error_set(error, VIR_ERR_XML_ERROR,
                     "Invalid value for attribute '%s' in element '%s': Zero is not permitted", name,
                     (const char *)node->name);
}

/* Whole text as a number of the given base; leading space is allowed as strtoull() does, a sign is not unless
 * min < 0. Only ERANGE says something of the number: GLib's first conversion in a process makes a locale, and a thread that
 * waits meanwhile comes back with errno from its waiting. */
static gboolean text_to_int(const char *text, int base, gint64 min, guint64 max, gint64 *ret_signed,
                            guint64 *ret_unsigned)
{
    char *end;

    errno = 0;
    if (min < 0) {
        gint64 value = g_ascii_strtoll(text, &end, base);

        if (errno == ERANGE || end == text || *end != '\0' || value < min || value > (gint64)max)
            return FALSE;
        *ret_signed = value;
    } else {
        guint64 value = g_ascii_strtoull(text, &end, base);

        if (errno == ERANGE || end == text || *end != '\0' || strchr(text, '-') != NULL || value > max)
            return FALSE;
        *ret_unsigned = value;
    }
    return TRUE;
}

static gboolean attr_unsigned(xmlNodePtr node, const char *name, XmlGetFlags flags, int base, guint64 max,
                              guint64 *ret, gboolean *ret_found, GError **error)
{
    g_autofree char *text = xml_get_attr(node, name);

    *ret_found = text != NULL;
    if (text == NULL)
        return missing(node, name, flags, error);
    if (!text_to_int(text, base, 0, max, NULL, ret))
        return invalid(node, name, text, "non-negative integer value", error);
    if ((flags & XML_NONZERO) && *ret == 0)
        return zero(node, name, error);
    return TRUE;
}

gboolean xml_attr_get_uint(xmlNodePtr node, const char *name, XmlGetFlags flags, guint *ret, GError **error)
{
    guint64 value = 0;
    gboolean found;

    if (!attr_unsigned(node, name, flags, 10, G_MAXUINT, &value, &found, error))
        return FALSE;
    if (found)
        *ret = (guint)value;
    return TRUE;
}

gboolean xml_attr_get_int(xmlNodePtr node, const char *name, XmlGetFlags flags, gint *ret, GError **error)
{
    g_autofree char *text = xml_get_attr(node, name);
    gint64 value = 0;

    if (text == NULL)
        return missing(node, name, flags, error);
    if (!text_to_int(text, 10, G_MININT, G_MAXINT, &value, NULL))
        return invalid(node, name, text, "integer value", error);
    if ((flags & XML_NONZERO) && value == 0)
        return zero(node, name, error);
    *ret = (gint)value;
    return TRUE;
}

gboolean xml_attr_get_u64(xmlNodePtr node, const char *name, XmlGetFlags flags, guint64 *ret, GError **error)
{
    guint64 value = 0;
    gboolean found;

    if (!attr_unsigned(node, name, flags, 10, G_MAXUINT64, &value, &found, error))
        return FALSE;
    if (found)
        *ret = value;
    return TRUE;
}

gboolean xml_attr_get_hex(xmlNodePtr node, const char *name, XmlGetFlags flags, guint64 *ret, GError **error)
{
    guint64 value = 0;
    gboolean found;

    if (!attr_unsigned(node, name, flags, 0, G_MAXUINT64, &value, &found, error))
        return FALSE;
    if (found)
        *ret = value;
    return TRUE;
}

static gboolean attr_tristate(xmlNodePtr node, const char *name, XmlGetFlags flags, const char *yes,
                              const char *no, const char *expected, Tristate *ret, GError **error)
{
    g_autofree char *text = xml_get_attr(node, name);

    if (text == NULL)
        return missing(node, name, flags, error);
    if (strcmp(text, yes) == 0)
        *ret = TRISTATE_YES;
    else if (strcmp(text, no) == 0)
        *ret = TRISTATE_NO;
    else
        return invalid(node, name, text, expected, error);
    return TRUE;
}

gboolean xml_attr_get_yes_no(xmlNodePtr node, const char *name, XmlGetFlags flags, Tristate *ret,
                             GError **error)
{
    return attr_tristate(node, name, flags, "yes", "no", "'yes' or 'no'", ret, error);
}

gboolean xml_attr_get_on_off(xmlNodePtr node, const char *name, XmlGetFlags flags, Tristate *ret,
                             GError **error)
{
    return attr_tristate(node, name, flags, "on", "off", "'on' or 'off'", ret, error);
}

const char *tristate_yes_no(Tristate t)
{
    return t == TRISTATE_YES ? "yes" : t == TRISTATE_NO ? "no" : NULL;
}

const char *tristate_on_off(Tristate t)
{
    return t == TRISTATE_YES ? "on" : t == TRISTATE_NO ? "off" : NULL;
}

gboolean xml_attr_get_enum(xmlNodePtr node, const char *name, int (*from_string)(const char *),
                           XmlGetFlags flags, int *ret, GError **error)
{
    return xml_attr_get_word(node, name, from_string, flags, NULL, ret, error);
}

gboolean xml_attr_get_word(xmlNodePtr node, const char *name, int (*from_string)(const char *),
                           XmlGetFlags flags, const char *unknown, int *ret, GError **error)
{
    g_autofree char *text = xml_get_attr(node, name);
    int value;

    if (text == NULL)
        return missing(node, name, flags, error);
    value = from_string(text);
    if (value < 0 || ((flags & XML_NONZERO) && value == 0))
        return unknown != NULL ? error_set_from(error, VIR_FROM_DOMAIN, VIR_ERR_CONFIG_UNSUPPORTED, "%s '%s'",
                                                unknown, text)
                               : invalid(node, name, text, NULL, error);
    *ret = value;
    return TRUE;
}

/* --- children as numbers -------------------------------------------------------------------------------- */

static gboolean child_unsigned(xmlNodePtr node, const char *child, XmlGetFlags flags, guint64 max,
                               guint64 *ret, gboolean *ret_found, GError **error)
{
    g_autofree char *text = xml_get_child_text(node, child);

    *ret_found = text != NULL;
    if (text == NULL) {
        if (flags & XML_REQUIRED)
            return error_set(error, VIR_ERR_XML_ERROR, "missing element '%s' in element '%s'", child,
                             (const char *)node->name);
        return TRUE;
    }
    g_strchomp(text);
    if (!text_to_int(text, 10, 0, max, NULL, ret))
        return error_set(error, VIR_ERR_XML_ERROR,
                         "Invalid value for element '%s': '%s'. Expected non-negative integer value", child,
                         text);
    if ((flags & XML_NONZERO) && *ret == 0)
        return error_set(error, VIR_ERR_XML_ERROR, "Invalid value for element '%s': Zero is not permitted",
                         child);
    return TRUE;
}

gboolean xml_child_get_uint(xmlNodePtr node, const char *child, XmlGetFlags flags, guint *ret, GError **error)
{
    guint64 value = 0;
    gboolean found;

    if (!child_unsigned(node, child, flags, G_MAXUINT, &value, &found, error))
        return FALSE;
    if (found)
        *ret = (guint)value;
    return TRUE;
}

gboolean xml_child_get_u64(xmlNodePtr node, const char *child, XmlGetFlags flags, guint64 *ret,
                           GError **error)
{
    guint64 value = 0;
    gboolean found;

    if (!child_unsigned(node, child, flags, G_MAXUINT64, &value, &found, error))
        return FALSE;
    if (found)
        *ret = value;
    return TRUE;
}

/* "KiB", "k", "MB", ...: a letter alone and "iB" are powers of 1024, "B" behind the letter powers of 1000. */
static guint64 unit_scale(const char *unit)
{
    static const char letters[] = "kmgtpe";
    const char *letter;
    guint64 base, scale = 1;

    if (g_ascii_strcasecmp(unit, "b") == 0 || g_ascii_strcasecmp(unit, "byte") == 0 ||
        g_ascii_strcasecmp(unit, "bytes") == 0)
        return 1;
    letter = *unit != '\0' ? strchr(letters, g_ascii_tolower(*unit)) : NULL;
    if (letter == NULL)
        return 0;
    if (unit[1] == '\0' || g_ascii_strcasecmp(unit + 1, "iB") == 0)
        base = 1024;
    else if (g_ascii_strcasecmp(unit + 1, "B") == 0)
        base = 1000;
    else
        return 0;
    for (const char *p = letters; p <= letter; p++)
        scale *= base;
    return scale;
}

gboolean xml_parse_scaled(const char *text, const char *unit, guint64 default_scale, guint64 *ret_bytes,
                          GError **error)
{
    g_autofree char *number = g_strstrip(g_strdup(text));
    guint64 scale = default_scale, value = 0;

    if (!text_to_int(number, 10, 0, G_MAXUINT64, NULL, &value))
        return error_set(error, VIR_ERR_XML_ERROR, "Invalid value '%s': expected a size", text);
    if (unit != NULL && *unit != '\0') {
        scale = unit_scale(unit);
        if (scale == 0)
            return error_set(error, VIR_ERR_INVALID_ARG, "unknown suffix '%s'", unit);
    }
    if (__builtin_mul_overflow(value, scale, ret_bytes))
        return error_set(error, VIR_ERR_OVERFLOW, "value too large: %s%s", number, unit != NULL ? unit : "");
    return TRUE;
}

gboolean xml_child_get_memory_kib(xmlNodePtr node, const char *child, XmlGetFlags flags, guint64 *ret_kib,
                                  GError **error)
{
    xmlNodePtr element = xml_child(node, child);
    g_autofree char *text = xml_get_text(element);
    g_autofree char *unit = xml_get_attr(element, "unit");
    g_autoptr(GError) cause = NULL;
    guint64 bytes = 0;

    if (element == NULL) {
        if (flags & XML_REQUIRED)
            return error_set(error, VIR_ERR_XML_ERROR, "missing element '%s' in element '%s'", child,
                             (const char *)node->name);
        return TRUE;
    }
    if (!xml_parse_scaled(text, unit, 1024, &bytes, &cause))
        return error_set(error, error_number(cause), "element '%s': %s", child, cause->message);
    *ret_kib = bytes / 1024 + (bytes % 1024 != 0);
    if (*ret_kib == 0 && (flags & XML_NONZERO))
        return error_set(error, VIR_ERR_XML_ERROR, "Invalid value for element '%s': Zero is not permitted",
                         child);
    return TRUE;
}
