/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Framing of JSON objects in a byte stream. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memrchr */
#endif
#include "driver/backend/qmp_framer.h"

#include <string.h>

void qmp_framer_init(QmpFramer *framer, gsize max_bytes, guint max_depth)
{
    *framer = (QmpFramer){.buffer = g_byte_array_new(), .max_bytes = max_bytes, .max_depth = max_depth};
}

void qmp_framer_clear(QmpFramer *framer)
{
    g_clear_pointer(&framer->buffer, g_byte_array_unref);
}

void qmp_framer_feed(QmpFramer *framer, const void *data, gsize length)
{
    g_byte_array_append(framer->buffer, data, (guint)length);
}

static void drop_front(QmpFramer *framer, gsize length)
{
    g_byte_array_remove_range(framer->buffer, 0, (guint)length);
    framer->scanned = 0;
    framer->depth = 0;
    framer->in_string = framer->escaped = FALSE;
}

gboolean qmp_framer_skip_to_delimiter(QmpFramer *framer)
{
    const guint8 *last =
        framer->buffer->len ? memrchr(framer->buffer->data, 0xFF, framer->buffer->len) : NULL;

    if (last == NULL) {
        drop_front(framer, framer->buffer->len);
        return FALSE;
    }
    drop_front(framer, (gsize)(last - framer->buffer->data) + 1);
    return TRUE;
}

/* Blanks before an object. Done in one go, so that a flood of newlines costs linear time. */
static void drop_blanks(QmpFramer *framer)
{
    gsize n = 0;

    while (n < framer->buffer->len && strchr(" \t\r\n", framer->buffer->data[n]) != NULL &&
           framer->buffer->data[n] != '\0')
        n++;
    if (n > 0)
        drop_front(framer, n);
}

int qmp_framer_next(QmpFramer *framer, char **ret_text, gsize *ret_length, const char **ret_why)
{
    if (framer->scanned == 0) {
        drop_blanks(framer);
        if (framer->buffer->len > 0 && framer->buffer->data[0] != '{') {
            *ret_why = "it sent something that is not a JSON object";
            return -1;
        }
    }
    for (; framer->scanned < framer->buffer->len; framer->scanned++) {
        guint8 c = framer->buffer->data[framer->scanned];

        if (framer->in_string) {
            if (framer->escaped)
                framer->escaped = FALSE;
            else if (c == '\\')
                framer->escaped = TRUE;
            else if (c == '"')
                framer->in_string = FALSE;
            continue;
        }
        if (c == '"') {
            framer->in_string = TRUE;
        } else if (c == '{' || c == '[') {
            if (++framer->depth > framer->max_depth) {
                *ret_why = "it sent a message that is nested too deeply";
                return -1;
            }
        } else if ((c == '}' || c == ']') && --framer->depth == 0) {
            gsize length = framer->scanned + 1;

            *ret_text = g_strndup((const char *)framer->buffer->data, length);
            *ret_length = length;
            drop_front(framer, length);
            return 1;
        }
    }
    if (framer->buffer->len > framer->max_bytes) {
        *ret_why = "it sent a message that is too long";
        return -1;
    }
    return 0;
}

/* Whether digits (without sign or leading zeros) are more than G_MAXINT64. */
static gboolean beyond_int64(const char *digits, gsize length)
{
    static const char max[] = "9223372036854775807";

    return length > 19 || (length == 19 && memcmp(digits, max, 19) > 0);
}

/* Replaces integers that jansson refuses by the largest it takes. NULL when there is none. */
static char *clamp_integers(const char *text, gsize length)
{
    char *copy = NULL;
    gboolean in_string = FALSE;

    for (gsize i = 0; i < length; i++) {
        gsize start = i;

        if (in_string) {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"')
                in_string = FALSE;
            continue;
        }
        if (text[i] == '"') {
            in_string = TRUE;
            continue;
        }
        if (!g_ascii_isdigit(text[i]))
            continue;
        while (i < length && g_ascii_isdigit(text[i]))
            i++;
        if (i < length && strchr(".eE", text[i]) == NULL && beyond_int64(text + start, i - start)) {
            if (copy == NULL)
                copy = g_memdup2(text, length);
            memset(copy + start, ' ', i - start);
            memcpy(copy + start, "9223372036854775807", 19);
        } else {
            /* the rest of a fraction or exponent is not a number of its own */
            while (i < length && (g_ascii_isdigit(text[i]) || strchr(".eE+-", text[i]) != NULL))
                i++;
        }
        i--;
    }
    return copy;
}

json_t *qmp_parse_object(const char *text, gsize length, char **ret_why)
{
    g_autofree char *clamped = clamp_integers(text, length);
    json_error_t where;
    json_t *object = json_loadb(clamped ? clamped : text, length, 0, &where);

    if (object == NULL)
        *ret_why = g_strdup_printf("it sent a message that is not JSON (%s)", where.text);
    return object;
}
