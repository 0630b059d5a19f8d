/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cuts a byte stream into JSON objects without parsing them: follows braces and strings only. Objects may be
 * divided in any way between reads, stand on one line or many. Used by the clients of QMP and of the guest
 * agent. No thread of its own, no errors beyond the texts below.
 */
#pragma once

#include <glib.h>
#include <jansson.h>

typedef struct QmpFramer {
    GByteArray *buffer;
    gsize scanned; /* bytes looked at, of the object that is being read */
    guint depth;
    gboolean in_string, escaped;
    gsize max_bytes;
    guint max_depth;
} QmpFramer;

void qmp_framer_init(QmpFramer *framer, gsize max_bytes, guint max_depth);
void qmp_framer_clear(QmpFramer *framer);
void qmp_framer_feed(QmpFramer *framer, const void *data, gsize length);
/* Drops everything up to and including the last byte 0xFF; FALSE when there is none (then all is dropped). */
gboolean qmp_framer_skip_to_delimiter(QmpFramer *framer);
/* The next object. 1: *ret_text (NUL-terminated, caller frees) and *ret_length. 0: more bytes are needed. -1:
 * this is no JSON object or is beyond a limit, *ret_why is a static text; the stream cannot be used any more.
 */
int qmp_framer_next(QmpFramer *framer, char **ret_text, gsize *ret_length, const char **ret_why);
/* Parses one such object; integers beyond G_MAXINT64 become G_MAXINT64 (in a copy: text stays as it is). NULL
 * and *ret_why (caller frees) when it is not valid JSON. */
json_t *qmp_parse_object(const char *text, gsize length, char **ret_why);
