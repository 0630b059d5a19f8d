/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recursive-descent reader of the configuration syntax; works on bytes, limits length and list size. */
#include "driver/conf_file.h"

#include <string.h>

#include "common/error.h"

typedef struct Reader {
    const char *p, *end;
    guint line;
    const char *name;
} Reader;

static gboolean G_GNUC_PRINTF(3, 4) fail(const Reader *r, GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    return error_set(error, VIR_ERR_CONF_SYNTAX, "%s:%u: %s", r->name, r->line, text);
}

static gboolean at(const Reader *r, char c)
{
    return r->p < r->end && *r->p == c;
}

static void skip_blanks(Reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\r'))
        r->p++;
}

static void skip_comment(Reader *r)
{
    if (at(r, '#'))
        while (r->p < r->end && *r->p != '\n')
            r->p++;
}

/* Blanks, comments and line ends. */
static void skip_all(Reader *r)
{
    while (r->p < r->end) {
        skip_blanks(r);
        skip_comment(r);
        if (!at(r, '\n'))
            return;
        r->p++;
        r->line++;
    }
}

static gboolean read_string(Reader *r, char **ret, GError **error)
{
    char quote = *r->p;
    const char *start;

    if (quote == '"' && r->end - r->p >= 3 && memcmp(r->p, "\"\"\"", 3) == 0) {
        const char *close = memmem(r->p + 3, (gsize)(r->end - r->p - 3), "\"\"\"", 3);

        if (close == NULL)
            return fail(r, error, "the string in \"\"\" has no end");
        *ret = g_strndup(r->p + 3, (gsize)(close - r->p - 3));
        for (const char *c = r->p; c < close; c++)
            r->line += *c == '\n';
        r->p = close + 3;
        return TRUE;
    }
    start = ++r->p;
    while (r->p < r->end && *r->p != quote && *r->p != '\n')
        r->p++;
    if (!at(r, quote))
        return fail(r, error, "the string has no closing %c", quote);
    *ret = g_strndup(start, (gsize)(r->p - start));
    r->p++;
    return TRUE;
}

static gboolean read_number(Reader *r, gint64 *ret, GError **error)
{
    g_autofree char *digits = NULL;
    const char *start = r->p;

    if (at(r, '-'))
        r->p++;
    while (r->p < r->end && g_ascii_isdigit(*r->p))
        r->p++;
    digits = g_strndup(start, (gsize)(r->p - start));
    if (!g_ascii_string_to_signed(digits, 10, G_MININT64, G_MAXINT64, ret, NULL))
        return fail(r, error, "'%s' is no number or too large", digits);
    return TRUE;
}

static gboolean read_scalar(Reader *r, ConfType *type, gint64 *number, char **string, GError **error)
{
    if (at(r, '"') || at(r, '\'')) {
        *type = CONF_STRING;
        return read_string(r, string, error);
    }
    if (at(r, '-') || (r->p < r->end && g_ascii_isdigit(*r->p))) {
        *type = CONF_NUMBER;
        return read_number(r, number, error);
    }
    return fail(r, error, "expected a number, a quoted string or a list");
}

static gboolean read_list(Reader *r, GPtrArray *list, GError **error)
{
    r->p++; /* [ */
    for (;;) {
        ConfType type;
        gint64 number = 0;
        char *string = NULL;

        skip_all(r);
        if (at(r, ']'))
            break;
        if (list->len >= CONF_FILE_MAX_LIST)
            return fail(r, error, "the list has more than %d entries", CONF_FILE_MAX_LIST);
        if (!read_scalar(r, &type, &number, &string, error))
            return FALSE;
        g_ptr_array_add(list, type == CONF_STRING ? string : g_strdup_printf("%" G_GINT64_FORMAT, number));
        skip_all(r);
        if (at(r, ',')) {
            r->p++;
            continue;
        }
        if (!at(r, ']'))
            return fail(r, error, "expected ',' or ']' in the list");
    }
    r->p++;
    g_ptr_array_add(list, NULL);
    return TRUE;
}

static gboolean is_key_char(char c)
{
    return g_ascii_isalnum(c) || c == '_' || c == '-' || c == '.' || c == ':' || c == '/';
}

static gboolean read_entry(Reader *r, ConfEntryFunc func, gpointer data, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *key = NULL;
    g_autofree char *string = NULL;
    const char *start = r->p;
    ConfEntry entry = {.line = r->line};

    while (r->p < r->end && is_key_char(*r->p))
        r->p++;
    if (r->p == start || !g_ascii_isalpha(*start))
        return fail(r, error, "expected a key");
    key = g_strndup(start, (gsize)(r->p - start));
    skip_blanks(r);
    if (!at(r, '='))
        return fail(r, error, "expected '=' after '%s'", key);
    r->p++;
    skip_blanks(r);
    if (at(r, '[')) {
        entry.type = CONF_LIST;
        if (!read_list(r, list, error))
            return FALSE;
    } else if (!read_scalar(r, &entry.type, &entry.number, &string, error)) {
        return FALSE;
    }
    skip_blanks(r);
    skip_comment(r);
    if (r->p < r->end && *r->p != '\n')
        return fail(r, error, "unexpected text after the value of '%s'", key);
    entry.key = key;
    entry.string = string;
    entry.list = (char *const *)list->pdata;
    return func(&entry, data, error);
}

gboolean conf_file_parse(const char *text, gsize length, const char *name, ConfEntryFunc func, gpointer data,
                         GError **error)
{
    Reader r = {text, text + length, 1, name};

    if (length > CONF_FILE_MAX_BYTES)
        return error_set(error, VIR_ERR_CONF_SYNTAX, "%s:1: larger than %d bytes", name, CONF_FILE_MAX_BYTES);
    if (memchr(text, '\0', length) != NULL)
        return error_set(error, VIR_ERR_CONF_SYNTAX, "%s:1: holds a zero byte", name);
    for (;;) {
        skip_all(&r);
        if (r.p == r.end)
            return TRUE;
        if (!read_entry(&r, func, data, error))
            return FALSE;
    }
}
