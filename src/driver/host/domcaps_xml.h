/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pieces that domain capabilities consist of, for the files domcaps*.c. */
#pragma once

#include "common/xml.h"

/* <name supported='…'>, left open. */
void domcaps_open(XmlWriter *w, const char *name, gboolean supported);
/* The same and nothing in it. */
void domcaps_empty(XmlWriter *w, const char *name, gboolean supported);
/* <enum name='…'>, left open. */
void domcaps_open_enum(XmlWriter *w, const char *name);
/* With its values, NULL-terminated. */
void domcaps_enum(XmlWriter *w, const char *name, const char *const *values);
#define DOMCAPS_VALUES(...) (const char *const[]){__VA_ARGS__, NULL}
