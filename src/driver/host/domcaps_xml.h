/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pieces that domain capabilities consist of, for the files domcaps*.c. */
#pragma once

#include "common/xml.h"
#include "driver/conf/supported.h"

/* <name supported='…'>, left open. */
void domcaps_open(XmlWriter *w, const char *name, gboolean supported);
/* The same and nothing in it. */
void domcaps_empty(XmlWriter *w, const char *name, gboolean supported);
/* <enum name='…'>, left open. */
void domcaps_open_enum(XmlWriter *w, const char *name);
/* With its values, NULL-terminated. */
void domcaps_enum(XmlWriter *w, const char *name, const char *const *values);
#define DOMCAPS_VALUES(...) (const char *const[]){__VA_ARGS__, NULL}

/* Whether a value can be had; opaque is the caller's. */
typedef gboolean (*DomcapsHas)(gconstpointer opaque, Supported what, const char *value);
/* An element of enums, each with what can be had of supported_values(); supported when its first enum has a value.
 * names: NULL-terminated, what: as many. */
void domcaps_device(XmlWriter *w, const char *element, const char *const *names, const Supported *what, DomcapsHas has,
                    gconstpointer opaque);
/* One enum of that kind. */
void domcaps_enum_of(XmlWriter *w, const char *name, Supported what, DomcapsHas has, gconstpointer opaque);
