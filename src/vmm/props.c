/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Typed getters over a JSON object, each key marked as used. */
#include "vmm/props.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 64

struct Props {
    json_t *object;
    int (*take_fd)(void *opaque, const char *name);
    void *opaque;
    const char *used[KEYS_MAX];
    unsigned used_count;
    char label[96];
};

static int key_error(const Props *props, Err *err, const char *key, const char *what)
{
    return err_set(err, EINVAL, "%s: property '%s' %s", props->label, key, what);
}

int props_new(json_t *object, int (*take_fd)(void *opaque, const char *name), void *opaque, Props **ret,
              Err *err)
{
    Props *props;
    const char *kind = NULL;
    static const char *const kinds[] = {"driver", "qom-type", "backend", "type"};

    if (!json_is_object(object))
        return err_set(err, EINVAL, "an object of the machine description is not a JSON object");
    if (json_object_size(object) > KEYS_MAX)
        return err_set(err, EINVAL, "an object of the machine description has more than %d properties",
                       KEYS_MAX);
    props = calloc(1, sizeof *props);
    if (props == NULL)
        return err_set(err, ENOMEM, "out of memory");
    props->object = object;
    props->take_fd = take_fd;
    props->opaque = opaque;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && kind == NULL; i++)
        kind = json_string_value(json_object_get(object, kinds[i]));
    snprintf(props->label, sizeof props->label, "%.40s %.50s", kind ? kind : "object", props_id(props));
    *ret = props;
    return 0;
}

void props_free(Props *props)
{
    free(props);
}

static json_t *take(Props *props, const char *key)
{
    json_t *value = json_object_get(props->object, key);

    if (value != NULL && props->used_count < KEYS_MAX)
        props->used[props->used_count++] = key;
    return value;
}

const char *props_id(const Props *props)
{
    const char *id = json_string_value(json_object_get(props->object, "id"));

    return id ? id : "";
}

bool props_has(Props *props, const char *key)
{
    return json_object_get(props->object, key) != NULL;
}

bool props_is_string(Props *props, const char *key, const char *text)
{
    const char *value = json_string_value(json_object_get(props->object, key));

    return value != NULL && strcmp(value, text) == 0;
}

bool props_is_null(Props *props, const char *key)
{
    return json_is_null(json_object_get(props->object, key)) && take(props, key) != NULL;
}

int props_string(Props *props, const char *key, const char *def, const char **ret, Err *err)
{
    json_t *value = take(props, key);

    *ret = def;
    if (value == NULL)
        return 0;
    if (!json_is_string(value))
        return key_error(props, err, key, "must be a string");
    *ret = json_string_value(value);
    return 0;
}

int props_uint(Props *props, const char *key, uint64_t min, uint64_t max, uint64_t def, uint64_t *ret,
               Err *err)
{
    json_t *value = take(props, key);
    uint64_t n;

    *ret = def;
    if (value == NULL)
        return 0;
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        n = (uint64_t)json_integer_value(value);
    } else if (json_is_string(value)) {
        const char *text = json_string_value(value);
        char *end;

        errno = 0;
        n = strtoull(text, &end, 0);
        if (errno != 0 || end == text || *end != '\0' || strchr(text, '-') != NULL)
            return key_error(props, err, key, "must be a number");
    } else {
        return key_error(props, err, key, "must be a number");
    }
    if (n < min || n > max)
        return err_set(err, ERANGE, "%s: property '%s' is %" PRIu64 ", allowed is %" PRIu64 " to %" PRIu64,
                       props->label, key, n, min, max);
    *ret = n;
    return 0;
}

int props_bool(Props *props, const char *key, bool def, bool *ret, Err *err)
{
    json_t *value = take(props, key);

    *ret = def;
    if (value == NULL)
        return 0;
    if (json_is_boolean(value)) {
        *ret = json_is_true(value);
        return 0;
    }
    const char *text = json_string_value(value);

    if (text != NULL && (!strcmp(text, "on") || !strcmp(text, "yes") || !strcmp(text, "true")))
        *ret = true;
    else if (text != NULL && (!strcmp(text, "off") || !strcmp(text, "no") || !strcmp(text, "false")))
        *ret = false;
    else
        return key_error(props, err, key, "must be true or false");
    return 0;
}

int props_value_fd(Props *props, const char *key, json_t *value, int *ret, Err *err)
{
    const char *text = json_string_value(value);
    int fd = -1;

    *ret = -1;
    if (json_is_integer(value)) {
        fd = json_integer_value(value) >= 0 && json_integer_value(value) < 1 << 20
                 ? (int)json_integer_value(value)
                 : -1;
    } else if (text != NULL && text[0] >= '0' && text[0] <= '9') {
        char *end;
        long n = strtol(text, &end, 10);

        fd = *end == '\0' && n >= 0 && n < 1 << 20 ? (int)n : -1;
    } else if (text != NULL && props->take_fd != NULL) {
        fd = props->take_fd(props->opaque, text);
    }
    if (fd < 0 || fcntl(fd, F_GETFD) < 0)
        return key_error(props, err, key, "names no descriptor that was passed");
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    *ret = fd;
    return 0;
}

int props_fd(Props *props, const char *key, int *ret, Err *err)
{
    json_t *value = take(props, key);

    *ret = -1;
    return value == NULL ? 0 : props_value_fd(props, key, value, ret, err);
}

bool props_is_text(Props *props, const char *key)
{
    return json_is_string(json_object_get(props->object, key));
}

int props_json(Props *props, const char *key, json_t **ret, Err *err)
{
    json_t *value = take(props, key);

    *ret = value;
    if (value != NULL && !json_is_object(value) && !json_is_array(value))
        return key_error(props, err, key, "must be an object or an array");
    return 0;
}

int props_finish(Props *props, Err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach(props->object, key, value)
    {
        bool known = !strcmp(key, "id") || !strcmp(key, "driver") || !strcmp(key, "qom-type");

        for (unsigned i = 0; i < props->used_count && !known; i++)
            known = !strcmp(props->used[i], key);
        if (!known)
            return key_error(props, err, key, "is not known");
    }
    return 0;
}
