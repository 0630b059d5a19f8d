/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes documents in libvirt's style: two spaces a level, single-quoted attributes, <name/> for an element
 * that stayed empty, one newline behind every element. Misuse (closing what is not open, an attribute after
 * content) is a bug of the caller and asserts.
 */
#include "common/xml.h"

#include <stdarg.h>
#include <string.h>

#define XML_INDENT 2

typedef enum {
    OPEN_TAG, /* "<name" written, attributes may follow */
    HAS_CHILD, /* ">\n" written */
    HAS_TEXT /* ">text" written */
} OpenState;

typedef struct OpenElement {
    const char *name; /* lives until the element is closed */
    OpenState state;
} OpenElement;

struct XmlWriter {
    GString *out;
    GArray *open; /* OpenElement */
    guint indent; /* of the outermost element */
};

XmlWriter *xml_writer_new(guint indent)
{
    XmlWriter *w = g_new0(XmlWriter, 1);

    w->out = g_string_sized_new(4096);
    w->open = g_array_sized_new(FALSE, FALSE, sizeof(OpenElement), 16);
    w->indent = indent;
    return w;
}

void xml_writer_free(XmlWriter *w)
{
    if (w == NULL)
        return;
    g_string_free(w->out, TRUE);
    g_array_unref(w->open);
    g_free(w);
}

char *xml_writer_finish(XmlWriter *w)
{
    char *text;

    g_assert(w->open->len == 0);
    text = g_string_free(w->out, FALSE);
    g_array_unref(w->open);
    g_free(w);
    return text;
}

static OpenElement *innermost(XmlWriter *w)
{
    return w->open->len > 0 ? &g_array_index(w->open, OpenElement, w->open->len - 1) : NULL;
}

static void put_indent(XmlWriter *w)
{
    static const char spaces[] = "                                                                ";
    gsize left = ((gsize)w->indent + w->open->len) * XML_INDENT;

    while (left > 0) {
        gsize n = MIN(left, sizeof(spaces) - 1);

        g_string_append_len(w->out, spaces, (gssize)n);
        left -= n;
    }
}

void xml_body(XmlWriter *w)
{
    OpenElement *parent = innermost(w);

    if (parent == NULL)
        return;
    g_assert(parent->state != HAS_TEXT);
    if (parent->state == OPEN_TAG) {
        g_string_append(w->out, ">\n");
        parent->state = HAS_CHILD;
    }
}

static const char *replacement(unsigned char c, gboolean attribute)
{
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\'':
        return "&apos;";
    case '\r':
        return "&#13;";
    case '\n':
        return attribute ? "&#10;" : NULL;
    case '\t':
        return attribute ? "&#9;" : NULL;
    default:
        return c < 0x20 ? "" : NULL;
    }
}

static void put_escaped(XmlWriter *w, const char *text, gboolean attribute)
{
    const char *start = text;

    for (const char *p = text; *p != '\0'; p++) {
        const char *with = replacement((unsigned char)*p, attribute);

        if (with == NULL)
            continue;
        g_string_append_len(w->out, start, p - start);
        g_string_append(w->out, with);
        start = p + 1;
    }
    g_string_append(w->out, start);
}

void xml_open(XmlWriter *w, const char *name)
{
    OpenElement element = {.name = name, .state = OPEN_TAG};

    xml_body(w);
    put_indent(w);
    g_string_append_c(w->out, '<');
    g_string_append(w->out, name);
    g_array_append_val(w->open, element);
}

void xml_close(XmlWriter *w)
{
    OpenElement element;

    g_assert(w->open->len > 0);
    element = *innermost(w);
    g_array_set_size(w->open, w->open->len - 1);
    if (element.state == OPEN_TAG) {
        g_string_append(w->out, "/>\n");
        return;
    }
    if (element.state == HAS_CHILD)
        put_indent(w);
    g_string_append(w->out, "</");
    g_string_append(w->out, element.name);
    g_string_append(w->out, ">\n");
}

void xml_attr(XmlWriter *w, const char *name, const char *value)
{
    g_assert(w->open->len > 0 && innermost(w)->state == OPEN_TAG);
    if (value == NULL)
        return;
    g_string_append_c(w->out, ' ');
    g_string_append(w->out, name);
    g_string_append(w->out, "='");
    put_escaped(w, value, TRUE);
    g_string_append_c(w->out, '\'');
}

void xml_attr_printf(XmlWriter *w, const char *name, const char *format, ...)
{
    g_autofree char *value = NULL;
    va_list args;

    va_start(args, format);
    value = g_strdup_vprintf(format, args);
    va_end(args);
    xml_attr(w, name, value);
}

static const char *u64_text(guint64 value, char text[24])
{
    char *p = text + 23;

    *p = '\0';
    do {
        *--p = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return p;
}

void xml_attr_u64(XmlWriter *w, const char *name, guint64 value)
{
    char text[24];

    xml_attr(w, name, u64_text(value, text));
}

void xml_text(XmlWriter *w, const char *text)
{
    OpenElement *element = innermost(w);

    g_assert(element != NULL && element->state != HAS_CHILD);
    if (element->state == OPEN_TAG)
        g_string_append_c(w->out, '>');
    element->state = HAS_TEXT;
    put_escaped(w, text, FALSE);
}

void xml_text_printf(XmlWriter *w, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    xml_text(w, text);
}

void xml_element_text(XmlWriter *w, const char *name, const char *text)
{
    if (text == NULL)
        return;
    xml_open(w, name);
    xml_text(w, text);
    xml_close(w);
}

void xml_element_printf(XmlWriter *w, const char *name, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    xml_element_text(w, name, text);
}

void xml_element_u64(XmlWriter *w, const char *name, guint64 value)
{
    char text[24];

    xml_element_text(w, name, u64_text(value, text));
}

void xml_element_empty(XmlWriter *w, const char *name)
{
    xml_open(w, name);
    xml_close(w);
}

void xml_raw_indented(XmlWriter *w, const char *lines)
{
    xml_body(w);
    while (*lines != '\0') {
        gsize n = strcspn(lines, "\n");

        if (n > 0) {
            put_indent(w);
            g_string_append_len(w->out, lines, (gssize)n);
        }
        g_string_append_c(w->out, '\n');
        lines += n;
        if (*lines == '\n')
            lines++;
    }
}

void xml_raw_verbatim(XmlWriter *w, const char *bytes)
{
    xml_body(w);
    g_string_append(w->out, bytes);
}
