/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Short words for reading QMP's answers. Missing members read as NULL, 0, FALSE or the default. */
#pragma once

#include <glib.h>
#include <jansson.h>

static inline const char *jstr(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static inline gint64 jint(const json_t *object, const char *key, gint64 missing)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? json_integer_value(value) : missing;
}

/* Counters and sizes: negative and missing read as 0. */
static inline guint64 juint(const json_t *object, const char *key)
{
    gint64 value = jint(object, key, 0);

    return value > 0 ? (guint64)value : 0;
}

static inline gboolean jbool(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static inline void json_decref_p(json_t **value)
{
    json_decref(*value);
}
#define autojson __attribute__((cleanup(json_decref_p))) json_t
