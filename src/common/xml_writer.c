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
#define PRINTED_SIZE 128 /* what fits is printed without an allocation */

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
    char *data; /* with room for the NUL that finish() adds */
    gsize length, size;
    GArray *open; /* OpenElement */
    guint indent; /* of the outermost element */
};

XmlWriter *xml_writer_new(guint indent)
{
    XmlWriter *w = g_new0(XmlWriter, 1);

    w->size = 4096;
    w->data = g_malloc(w->size);
    w->open = g_array_sized_new(FALSE, FALSE, sizeof(OpenElement), 16);
    w->indent = indent;
    return w;
}

void xml_writer_free(XmlWriter *w)
{
    if (w == NULL)
        return;
    g_free(w->data);
    g_array_unref(w->open);
    g_free(w);
}

char *xml_writer_finish(XmlWriter *w)
{
    char *text = g_steal_pointer(&w->data);

    g_assert(w->open->len == 0);
    text[w->length] = '\0';
    xml_writer_free(w);
    return text;
}

/* --- bytes ---------------------------------------------------------------------------------------- */

/* Room for n bytes and a NUL, to be written at once. */
static char *reserve(XmlWriter *w, gsize n)
{
    char *at;

    if (w->size - w->length <= n) {
        w->size = MAX(w->size * 2, w->length + n + 1);
        w->data = g_realloc(w->data, w->size);
    }
    at = w->data + w->length;
    w->length += n;
    return at;
}

static void put_bytes(XmlWriter *w, const char *bytes, gsize n)
{
    memcpy(reserve(w, n), bytes, n);
}

static void put(XmlWriter *w, const char *text)
{
    put_bytes(w, text, strlen(text));
}

#define put_literal(w, text) put_bytes((w), (text), sizeof(text) - 1)

static OpenElement *innermost(XmlWriter *w)
{
    return w->open->len > 0 ? &g_array_index(w->open, OpenElement, w->open->len - 1) : NULL;
}

static void put_indent(XmlWriter *w)
{
    gsize n = ((gsize)w->indent + w->open->len) * XML_INDENT;

    memset(reserve(w, n), ' ', n);
}

void xml_body(XmlWriter *w)
{
    OpenElement *parent = innermost(w);

    if (parent == NULL)
        return;
    g_assert(parent->state != HAS_TEXT);
    if (parent->state == OPEN_TAG) {
        put_literal(w, ">\n");
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

/* Above every character that may need a replacement. */
#define PLAIN_ABOVE '>'

static void put_escaped(XmlWriter *w, const char *text, gboolean attribute)
{
    const char *start = text, *p;

    for (p = text; *p != '\0'; p++) {
        const char *with;

        if ((unsigned char)*p > PLAIN_ABOVE || (with = replacement((unsigned char)*p, attribute)) == NULL)
            continue;
        put_bytes(w, start, (gsize)(p - start));
        put(w, with);
        start = p + 1;
    }
    put_bytes(w, start, (gsize)(p - start));
}

/* The text that a format makes: in room if it fits, else *ret_long, which the caller frees. */
G_GNUC_PRINTF(3, 0) static const char *printed(char room[PRINTED_SIZE], char **ret_long, const char *format, va_list args)
{
    va_list again;
    int n;

    va_copy(again, args);
    n = g_vsnprintf(room, PRINTED_SIZE, format, args);
    if (n >= PRINTED_SIZE)
        *ret_long = g_strdup_vprintf(format, again);
    va_end(again);
    return n < PRINTED_SIZE ? room : *ret_long;
}

void xml_open(XmlWriter *w, const char *name)
{
    OpenElement element = {.name = name, .state = OPEN_TAG};

    xml_body(w);
    put_indent(w);
    put_literal(w, "<");
    put(w, name);
    g_array_append_val(w->open, element);
}

void xml_close(XmlWriter *w)
{
    OpenElement element;

    g_assert(w->open->len > 0);
    element = *innermost(w);
    g_array_set_size(w->open, w->open->len - 1);
    if (element.state == OPEN_TAG) {
        put_literal(w, "/>\n");
        return;
    }
    if (element.state == HAS_CHILD)
        put_indent(w);
    put_literal(w, "</");
    put(w, element.name);
    put_literal(w, ">\n");
}

void xml_attr(XmlWriter *w, const char *name, const char *value)
{
    g_assert(w->open->len > 0 && innermost(w)->state == OPEN_TAG);
    if (value == NULL)
        return;
    put_literal(w, " ");
    put(w, name);
    put_literal(w, "='");
    put_escaped(w, value, TRUE);
    put_literal(w, "'");
}

void xml_attr_printf(XmlWriter *w, const char *name, const char *format, ...)
{
    g_autofree char *longer = NULL;
    char room[PRINTED_SIZE];
    const char *value;
    va_list args;

    va_start(args, format);
    value = printed(room, &longer, format, args);
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

void xml_attr_hex(XmlWriter *w, const char *name, guint64 value, guint digits)
{
    char text[20], *p = text + sizeof(text) - 1;

    *p = '\0';
    for (guint n = 0; n < digits || value != 0; n++, value >>= 4)
        *--p = "0123456789abcdef"[value & 15];
    *--p = 'x';
    *--p = '0';
    xml_attr(w, name, p);
}

void xml_text(XmlWriter *w, const char *text)
{
    OpenElement *element = innermost(w);

    g_assert(element != NULL && element->state != HAS_CHILD);
    if (element->state == OPEN_TAG)
        put_literal(w, ">");
    element->state = HAS_TEXT;
    put_escaped(w, text, FALSE);
}

void xml_text_printf(XmlWriter *w, const char *format, ...)
{
    g_autofree char *longer = NULL;
    char room[PRINTED_SIZE];
    const char *text;
    va_list args;

    va_start(args, format);
    text = printed(room, &longer, format, args);
    va_end(args);
    xml_text(w, text);
}

void xml_text_u64(XmlWriter *w, guint64 value)
{
    char text[24];

    xml_text(w, u64_text(value, text));
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
    g_autofree char *longer = NULL;
    char room[PRINTED_SIZE];
    const char *text;
    va_list args;

    va_start(args, format);
    text = printed(room, &longer, format, args);
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
            put_bytes(w, lines, n);
        }
        put_literal(w, "\n");
        lines += n;
        if (*lines == '\n')
            lines++;
    }
}

void xml_raw_verbatim(XmlWriter *w, const char *bytes)
{
    xml_body(w);
    put(w, bytes);
}
