/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables of fields: see fields.h. */
#include "driver/conf/fields.h"

#include "common/error.h"

#define AT(Type, object, field) (*(Type *)((char *)(object) + (field)->offset))
#define AT_CONST(Type, object, field) (*(const Type *)((const char *)(object) + (field)->offset))

static gboolean missing(xmlNodePtr node, const Field *field, GError **error)
{
    return error_set(error, VIR_ERR_XML_ERROR, "Missing required attribute '%s' in element '%s'", field->name,
                     (const char *)node->name);
}

static gboolean parse_string(const Field *field, xmlNodePtr node, gpointer object, GError **error)
{
    g_autofree char *value = (field->flags & FIELD_CHILD) ? xml_get_child_text(node, field->name)
                                                          : xml_get_attr(node, field->name);

    if (value == NULL)
        return (field->flags & FIELD_REQUIRED) ? missing(node, field, error) : TRUE;
    /* An empty child text says nothing; an empty attribute is kept. */
    if ((field->flags & FIELD_CHILD) && *value == '\0')
        return TRUE;
    g_free(AT(char *, object, field));
    AT(char *, object, field) = g_steal_pointer(&value);
    return TRUE;
}

static gboolean parse_int(const Field *field, xmlNodePtr node, gpointer object, GError **error)
{
    guint64 value = 0;
    guint32 unsigned_value = 0;

    if (field->flags & FIELD_CHILD) {
        if (xml_child(node, field->name) == NULL)
            return TRUE;
        if (!xml_child_get_uint(node, field->name, XML_OPTIONAL, &unsigned_value, error))
            return FALSE;
        value = unsigned_value;
    } else if (field->kind == FIELD_KIND_INT_HEX) {
        g_autofree char *text = xml_get_attr(node, field->name);

        if (text == NULL)
            return TRUE;
        if (!xml_attr_get_hex(node, field->name, field->flags & 0xff, &value, error))
            return FALSE;
    } else {
        return xml_attr_get_int(node, field->name, field->flags & 0xff, &AT(int, object, field), error);
    }
    if (value > G_MAXINT)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "Invalid value for '%s' in element '%s': '%" G_GUINT64_FORMAT "'.", field->name,
                         (const char *)node->name, value);
    AT(int, object, field) = (int)value;
    return TRUE;
}

static gboolean parse_boolean(const Field *field, xmlNodePtr node, gpointer object, GError **error)
{
    Tristate value = TRISTATE_ABSENT;

    if (!xml_attr_get_yes_no(node, field->name, field->flags & 0xff, &value, error))
        return FALSE;
    if (value != TRISTATE_ABSENT)
        AT(gboolean, object, field) = value == TRISTATE_YES;
    return TRUE;
}

static gboolean parse_element(const Field *field, xmlNodePtr node, gpointer object, GError **error)
{
    xmlNodePtr child = xml_child(node, field->name);

    if (child == NULL)
        return TRUE;
    if (field->flags & FIELD_PRESENT)
        AT(gboolean, object, field) = TRUE;
    return fields_parse(field->items, child, object, error);
}

static gboolean parse_field(const Field *f, xmlNodePtr node, gpointer object, GError **error)
{
    XmlGetFlags flags = f->flags & 0xff;

    switch (f->kind) {
    case FIELD_KIND_STR:
        return parse_string(f, node, object, error);
    case FIELD_KIND_UINT:
        return (f->flags & FIELD_CHILD)
                   ? xml_child_get_uint(node, f->name, flags, &AT(guint, object, f), error)
                   : xml_attr_get_uint(node, f->name, flags, &AT(guint, object, f), error);
    case FIELD_KIND_INT:
    case FIELD_KIND_INT_HEX:
        return parse_int(f, node, object, error);
    case FIELD_KIND_U64:
        return (f->flags & FIELD_CHILD)
                   ? xml_child_get_u64(node, f->name, flags, &AT(guint64, object, f), error)
                   : xml_attr_get_u64(node, f->name, flags, &AT(guint64, object, f), error);
    case FIELD_KIND_ENUM:
        return xml_attr_get_word(node, f->name, f->from_string, flags, f->unknown, &AT(int, object, f),
                                 error);
    case FIELD_KIND_YES_NO:
        return xml_attr_get_yes_no(node, f->name, flags, &AT(Tristate, object, f), error);
    case FIELD_KIND_ON_OFF:
        return xml_attr_get_on_off(node, f->name, flags, &AT(Tristate, object, f), error);
    case FIELD_KIND_YES:
    case FIELD_KIND_YES_NO_2:
        return parse_boolean(f, node, object, error);
    case FIELD_KIND_FLAG:
        if (xml_child(node, f->name) != NULL)
            AT(gboolean, object, f) = TRUE;
        return TRUE;
    case FIELD_KIND_KIB:
        return xml_child_get_memory_kib(node, f->name, flags, &AT(guint64, object, f), error);
    case FIELD_KIND_ELEMENT:
        return parse_element(f, node, object, error);
    case FIELD_KIND_END:
        break;
    }
    return TRUE;
}

gboolean fields_parse(const Field *fields, xmlNodePtr node, gpointer object, GError **error)
{
    for (const Field *f = fields; f->kind != FIELD_KIND_END; f++) {
        if (!(f->flags & FIELD_NO_PARSE) && !parse_field(f, node, object, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean field_given(const Field *f, gconstpointer object)
{
    switch (f->kind) {
    case FIELD_KIND_STR:
        return AT_CONST(char *, object, f) != NULL;
    case FIELD_KIND_UINT:
    case FIELD_KIND_YES_NO:
    case FIELD_KIND_ON_OFF:
        return AT_CONST(guint, object, f) != 0;
    case FIELD_KIND_INT:
    case FIELD_KIND_INT_HEX:
    case FIELD_KIND_ENUM:
        return AT_CONST(int, object, f) != f->absent;
    case FIELD_KIND_U64:
    case FIELD_KIND_KIB:
        return AT_CONST(guint64, object, f) != 0;
    case FIELD_KIND_YES:
    case FIELD_KIND_FLAG:
        return AT_CONST(gboolean, object, f);
    case FIELD_KIND_YES_NO_2:
        return TRUE;
    case FIELD_KIND_ELEMENT:
        return ((f->flags & FIELD_PRESENT) && AT_CONST(gboolean, object, f)) || fields_any(f->items, object);
    case FIELD_KIND_END:
        break;
    }
    return FALSE;
}

#define FIELD_TEXT_SIZE 24 /* the longest number and a NUL */

/* The value as text, or NULL for elements and flags; numbers are written to room. */
static const char *field_text(const Field *f, gconstpointer object, char room[FIELD_TEXT_SIZE])
{
    switch (f->kind) {
    case FIELD_KIND_STR:
        return AT_CONST(char *, object, f);
    case FIELD_KIND_UINT:
        g_snprintf(room, FIELD_TEXT_SIZE, "%u", AT_CONST(guint, object, f));
        return room;
    case FIELD_KIND_INT:
        g_snprintf(room, FIELD_TEXT_SIZE, "%d", AT_CONST(int, object, f));
        return room;
    case FIELD_KIND_INT_HEX:
        g_snprintf(room, FIELD_TEXT_SIZE, "0x%x", (guint)AT_CONST(int, object, f));
        return room;
    case FIELD_KIND_U64:
    case FIELD_KIND_KIB:
        g_snprintf(room, FIELD_TEXT_SIZE, "%" G_GUINT64_FORMAT, AT_CONST(guint64, object, f));
        return room;
    case FIELD_KIND_ENUM:
        return f->to_string(AT_CONST(int, object, f));
    case FIELD_KIND_YES_NO:
        return tristate_yes_no(AT_CONST(Tristate, object, f));
    case FIELD_KIND_ON_OFF:
        return tristate_on_off(AT_CONST(Tristate, object, f));
    case FIELD_KIND_YES:
    case FIELD_KIND_YES_NO_2:
        return AT_CONST(gboolean, object, f) ? "yes" : "no";
    case FIELD_KIND_FLAG:
    case FIELD_KIND_ELEMENT:
    case FIELD_KIND_END:
        break;
    }
    return NULL;
}

void fields_format(XmlWriter *w, const Field *fields, gconstpointer object)
{
    for (const Field *f = fields; f->kind != FIELD_KIND_END; f++) {
        char room[FIELD_TEXT_SIZE];
        const char *text;

        if (!field_given(f, object))
            continue;
        if (f->kind == FIELD_KIND_FLAG) {
            xml_element_empty(w, f->name);
            continue;
        }
        if (f->kind == FIELD_KIND_ELEMENT) {
            xml_open(w, f->name);
            fields_format(w, f->items, object);
            xml_close(w);
            continue;
        }
        text = field_text(f, object, room);
        if (!(f->flags & FIELD_CHILD)) {
            xml_attr(w, f->name, text);
        } else if (f->kind == FIELD_KIND_KIB) {
            xml_open(w, f->name);
            xml_attr(w, "unit", "KiB");
            xml_text(w, text);
            xml_close(w);
        } else {
            xml_element_text(w, f->name, text);
        }
    }
}

void fields_format_element(XmlWriter *w, const char *name, const Field *fields, gconstpointer object)
{
    if (!fields_any(fields, object))
        return;
    xml_open(w, name);
    fields_format(w, fields, object);
    xml_close(w);
}

gboolean fields_any(const Field *fields, gconstpointer object)
{
    for (const Field *f = fields; f->kind != FIELD_KIND_END; f++) {
        if (field_given(f, object))
            return TRUE;
    }
    return FALSE;
}

void fields_clear(const Field *fields, gpointer object)
{
    for (const Field *f = fields; f->kind != FIELD_KIND_END; f++) {
        if (f->kind == FIELD_KIND_STR)
            g_clear_pointer(&AT(char *, object, f), g_free);
        else if (f->kind == FIELD_KIND_ELEMENT)
            fields_clear(f->items, object);
    }
}

gboolean fields_equal(const Field *fields, gconstpointer a, gconstpointer b)
{
    for (const Field *f = fields; f->kind != FIELD_KIND_END; f++) {
        char room_a[FIELD_TEXT_SIZE], room_b[FIELD_TEXT_SIZE];

        if (field_given(f, a) != field_given(f, b))
            return FALSE;
        if (!field_given(f, a))
            continue;
        if (f->kind == FIELD_KIND_ELEMENT && !fields_equal(f->items, a, b))
            return FALSE;
        if (g_strcmp0(field_text(f, a, room_a), field_text(f, b, room_b)) != 0)
            return FALSE;
    }
    return TRUE;
}
