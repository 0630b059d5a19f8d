/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Properties of one object (device, block node, net back end, chardev) as they come from the machine
 * description or from device_add: a JSON object with QEMU's key names ("driver", "id", "bus", "addr",
 * "drive", "mac", …). Values may be JSON values or, as device_add allows, strings that spell them ("on",
 * "4096"). Keys that nobody asked for are an error (props_finish()), so a misspelt or unsupported property is
 * refused by name.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

typedef struct Props Props;

/* object: borrowed, must outlive props. fd lookup resolves "fd" values that are names given to getfd /
 * add-fd. */
int props_new(json_t *object, int (*take_fd)(void *opaque, const char *name), void *opaque, Props **ret,
              Err *err);
void props_free(Props *props);

const char *props_id(const Props *props); /* "id", or "" */
/* Absent keys give the default. -EINVAL and a text that names the object and the key otherwise. */
int props_string(Props *props, const char *key, const char *def, const char **ret, Err *err);
int props_uint(Props *props, const char *key, uint64_t min, uint64_t max, uint64_t def, uint64_t *ret,
               Err *err);
int props_bool(Props *props, const char *key, bool def, bool *ret, Err *err);
/* An inherited or passed descriptor: a number, or a name known to take_fd. -1 when absent. The caller owns
 * it. */
int props_fd(Props *props, const char *key, int *ret, Err *err);
/* The same for one value of a list under this key. */
int props_value_fd(Props *props, const char *key, json_t *value, int *ret, Err *err);
/* The key is there and holds a string. */
bool props_is_text(Props *props, const char *key);
/* A nested object or array, borrowed; NULL when absent. */
int props_json(Props *props, const char *key, json_t **ret, Err *err);
bool props_has(Props *props, const char *key);
bool props_is_string(Props *props, const char *key, const char *text); /* has this text; not counted as asked for */
/* The key is there and says null (which counts as asked for). */
bool props_is_null(Props *props, const char *key);
/* Error when a key was never asked for. */
int props_finish(Props *props, Err *err);
