/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sets of small numbers (CPUs, NUMA nodes) that grow as needed, and libvirt's text form of them: "0-3,^2,8".
 * A NULL Bitmap reads as the empty set. Objects belong to one thread at a time.
 */
#pragma once

#include <glib.h>

#define BITMAP_MAX_BITS 16384

typedef struct Bitmap Bitmap;

Bitmap *bitmap_new(void);
Bitmap *bitmap_copy(const Bitmap *map); /* NULL gives NULL */
void bitmap_free(Bitmap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Bitmap, bitmap_free)

/* bit < BITMAP_MAX_BITS, else FALSE. */
gboolean bitmap_set(Bitmap *map, guint bit);
void bitmap_clear(Bitmap *map, guint bit);
gboolean bitmap_get(const Bitmap *map, guint bit);
guint bitmap_count(const Bitmap *map);
gboolean bitmap_is_empty(const Bitmap *map);
gboolean bitmap_equal(const Bitmap *a, const Bitmap *b);
gboolean bitmap_overlaps(const Bitmap *a, const Bitmap *b);
/* The first set bit >= from, or -1. */
int bitmap_next(const Bitmap *map, guint from);
int bitmap_last(const Bitmap *map);
#define BITMAP_FOREACH(bit, map)                                                                             \
    for (int bit = bitmap_next((map), 0); bit >= 0; bit = bitmap_next((map), (guint)bit + 1))

/* "0-3,^2,8". max: first number not allowed (0: BITMAP_MAX_BITS). VIR_ERR_INVALID_ARG with libvirt's words.
 */
Bitmap *bitmap_parse(const char *text, guint max, GError **error);
char *bitmap_format(const Bitmap *map);
/* The wire's little-endian byte maps. */
Bitmap *bitmap_from_bytes(const guint8 *bytes, gsize length);
void bitmap_to_bytes(const Bitmap *map, guint8 *bytes, gsize length);
