/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Growing sets of small numbers. */
#include "common/bitmap.h"

#include <string.h>

#include "common/error.h"

struct Bitmap {
    guint64 *words;
    guint n_words;
};

Bitmap *bitmap_new(void)
{
    return g_new0(Bitmap, 1);
}

Bitmap *bitmap_copy(const Bitmap *map)
{
    Bitmap *copy;

    if (map == NULL)
        return NULL;
    copy = bitmap_new();
    copy->n_words = map->n_words;
    if (map->n_words > 0) {
        copy->words = g_new(guint64, map->n_words);
        memcpy(copy->words, map->words, map->n_words * sizeof(guint64));
    }
    return copy;
}

void bitmap_free(Bitmap *map)
{
    if (map == NULL)
        return;
    g_free(map->words);
    g_free(map);
}

gboolean bitmap_set(Bitmap *map, guint bit)
{
    guint word = bit / 64;

    if (bit >= BITMAP_MAX_BITS)
        return FALSE;
    if (word >= map->n_words) {
        map->words = g_renew(guint64, map->words, word + 1);
        memset(map->words + map->n_words, 0, (word + 1 - map->n_words) * sizeof(guint64));
        map->n_words = word + 1;
    }
    map->words[word] |= G_GUINT64_CONSTANT(1) << (bit % 64);
    return TRUE;
}

void bitmap_clear(Bitmap *map, guint bit)
{
    if (bit / 64 < map->n_words)
        map->words[bit / 64] &= ~(G_GUINT64_CONSTANT(1) << (bit % 64));
}

gboolean bitmap_get(const Bitmap *map, guint bit)
{
    return map != NULL && bit / 64 < map->n_words && (map->words[bit / 64] >> (bit % 64) & 1) != 0;
}

guint bitmap_count(const Bitmap *map)
{
    guint count = 0;

    for (guint i = 0; map != NULL && i < map->n_words; i++)
        count += (guint)__builtin_popcountll(map->words[i]);
    return count;
}

gboolean bitmap_is_empty(const Bitmap *map)
{
    return bitmap_next(map, 0) < 0;
}

static guint64 word_of(const Bitmap *map, guint i)
{
    return map != NULL && i < map->n_words ? map->words[i] : 0;
}

static guint words_of_both(const Bitmap *a, const Bitmap *b)
{
    return MAX(a != NULL ? a->n_words : 0, b != NULL ? b->n_words : 0);
}

gboolean bitmap_equal(const Bitmap *a, const Bitmap *b)
{
    for (guint i = 0; i < words_of_both(a, b); i++) {
        if (word_of(a, i) != word_of(b, i))
            return FALSE;
    }
    return TRUE;
}

gboolean bitmap_overlaps(const Bitmap *a, const Bitmap *b)
{
    for (guint i = 0; i < words_of_both(a, b); i++) {
        if ((word_of(a, i) & word_of(b, i)) != 0)
            return TRUE;
    }
    return FALSE;
}

int bitmap_next(const Bitmap *map, guint from)
{
    for (guint i = from / 64; map != NULL && i < map->n_words; i++) {
        guint64 word = map->words[i];

        if (i == from / 64)
            word &= ~G_GUINT64_CONSTANT(0) << (from % 64);
        if (word != 0)
            return (int)(i * 64 + (guint)__builtin_ctzll(word));
    }
    return -1;
}

int bitmap_last(const Bitmap *map)
{
    for (guint i = map != NULL ? map->n_words : 0; i > 0; i--) {
        if (map->words[i - 1] != 0)
            return (int)((i - 1) * 64 + 63 - (guint)__builtin_clzll(map->words[i - 1]));
    }
    return -1;
}

static const char *skip_space(const char *p)
{
    while (g_ascii_isspace(*p))
        p++;
    return p;
}

/* A number at *p below max. */
static gboolean read_number(const char **p, guint max, guint *ret)
{
    guint value = 0;

    if (!g_ascii_isdigit(**p))
        return FALSE;
    for (; g_ascii_isdigit(**p); (*p)++) {
        value = value * 10 + (guint)(**p - '0');
        if (value >= max)
            return FALSE;
    }
    *ret = value;
    return TRUE;
}

Bitmap *bitmap_parse(const char *text, guint max, GError **error)
{
    g_autoptr(Bitmap) map = bitmap_new();
    const char *p = skip_space(text);

    if (max == 0 || max > BITMAP_MAX_BITS)
        max = BITMAP_MAX_BITS;
    while (*p != '\0') {
        gboolean negate = *p == '^';
        guint first, last;

        if (negate)
            p++;
        if (!read_number(&p, max, &first))
            goto failed;
        last = first;
        p = skip_space(p);
        if (*p == '-') {
            if (negate)
                goto failed;
            p = skip_space(p + 1);
            if (!read_number(&p, max, &last) || last < first)
                goto failed;
            p = skip_space(p);
        }
        if (negate) {
            if (!bitmap_get(map, first))
                goto failed;
            bitmap_clear(map, first);
        }
        for (guint i = first; !negate && i <= last; i++)
            bitmap_set(map, i);
        if (*p == ',') {
            p = skip_space(p + 1);
            if (*p == '\0')
                goto failed;
        } else if (*p != '\0') {
            goto failed;
        }
    }
    return g_steal_pointer(&map);

failed:
    error_set(error, VIR_ERR_INVALID_ARG, "Failed to parse bitmap '%s'", text);
    return NULL;
}

char *bitmap_format(const Bitmap *map)
{
    GString *out = g_string_new(NULL);

    for (int first = bitmap_next(map, 0); first >= 0;) {
        int last = first;

        while (bitmap_get(map, (guint)last + 1))
            last++;
        if (out->len > 0)
            g_string_append_c(out, ',');
        if (last > first)
            g_string_append_printf(out, "%d-%d", first, last);
        else
            g_string_append_printf(out, "%d", first);
        first = bitmap_next(map, (guint)last + 1);
    }
    return g_string_free(out, FALSE);
}

Bitmap *bitmap_from_bytes(const guint8 *bytes, gsize length)
{
    Bitmap *map = bitmap_new();

    for (gsize i = 0; i < MIN(length * 8, BITMAP_MAX_BITS); i++) {
        if (bytes[i / 8] >> (i % 8) & 1)
            bitmap_set(map, (guint)i);
    }
    return map;
}

void bitmap_to_bytes(const Bitmap *map, guint8 *bytes, gsize length)
{
    memset(bytes, 0, length);
    BITMAP_FOREACH(bit, map)
    {
        if ((gsize)bit / 8 >= length)
            break;
        bytes[bit / 8] |= (guint8)(1u << (bit % 8));
    }
}
