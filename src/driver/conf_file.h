/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reader of libvirt's configuration syntax (virconf): lines "key = value", where a value is a whole number, a
 * string in "..." or '...' (on one line) or in """...""" (over several), or a list [ "a", "b" ] of strings and numbers;
 * '#' starts a comment. No escapes inside strings.
 */
#pragma once

#include <glib.h>

enum { CONF_FILE_MAX_BYTES = 1024 * 1024, CONF_FILE_MAX_LIST = 4096 };

typedef enum { CONF_NUMBER, CONF_STRING, CONF_LIST } ConfType;

typedef struct ConfEntry {
    const char *key;
    guint line; /* where the key stands */
    ConfType type;
    gint64 number;
    const char *string;
    char *const *list; /* NULL-terminated; numbers in it as text */
} ConfEntry;

/* Called once an entry, in order; the entry is borrowed. FALSE stops, with the error set. */
typedef gboolean (*ConfEntryFunc)(const ConfEntry *entry, gpointer data, GError **error);

/* name stands in errors: "NAME:LINE: ...", VIR_ERR_CONF_SYNTAX. */
gboolean conf_file_parse(const char *text, gsize length, const char *name, ConfEntryFunc func, gpointer data,
                         GError **error);
