/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of typed parameters. */
#define ERROR_FROM VIR_FROM_RPC
#include "driver/rpc/typed_params.h"

#include <string.h>

#include "common/error.h"

void typed_params_init(TypedParams *params)
{
    params->list = g_array_sized_new(FALSE, TRUE, sizeof(WireTypedParam), 16);
}

static void free_param(WireTypedParam *param)
{
    g_free(param->field);
    if (param->value.type == VIR_TYPED_PARAM_STRING)
        g_free(param->value.s);
}

void typed_params_clear(TypedParams *params)
{
    if (params->list == NULL)
        return;
    for (guint i = 0; i < params->list->len; i++)
        free_param(&g_array_index(params->list, WireTypedParam, i));
    g_array_free(params->list, TRUE);
    params->list = NULL;
}

guint typed_params_count(const TypedParams *params)
{
    return params->list->len;
}

WireTypedParam *typed_params_steal(TypedParams *params, guint32 *ret_count)
{
    gsize count;
    gpointer list = g_array_steal(params->list, &count);

    *ret_count = (guint32)count;
    return list;
}

WireTypedParam *typed_params_append(TypedParams *params, char *field, int type)
{
    WireTypedParam *param;

    g_array_set_size(params->list, params->list->len + 1);
    param = &g_array_index(params->list, WireTypedParam, params->list->len - 1);
    param->field = field;
    param->value.type = type;
    return param;
}

WireTypedParam *typed_params_at(TypedParams *params, guint index)
{
    g_assert(index < params->list->len);
    return &g_array_index(params->list, WireTypedParam, index);
}

void typed_params_drop_unset(TypedParams *params)
{
    guint kept = 0;

    for (guint i = 0; i < params->list->len; i++) {
        WireTypedParam *param = typed_params_at(params, i);

        if (param->value.type == 0)
            free_param(param);
        else
            *typed_params_at(params, kept++) = *param;
    }
    g_array_set_size(params->list, kept);
}

/* One pair of functions a type: with the field as it is, and as a format. */
#define ADDER(name, ctype, TYPE, member)                                                                     \
    void typed_params_add_##name(TypedParams *params, const char *field, ctype value)                        \
    {                                                                                                        \
        typed_params_append(params, g_strdup(field), VIR_TYPED_PARAM_##TYPE)->value.member = value;                       \
    }
#define ADDER_F(name, ctype, TYPE, member)                                                                   \
    void typed_params_addf_##name(TypedParams *params, ctype value, const char *format, ...)                 \
    {                                                                                                        \
        va_list ap;                                                                                          \
        va_start(ap, format);                                                                                \
        typed_params_append(params, g_strdup_vprintf(format, ap), VIR_TYPED_PARAM_##TYPE)->value.member = value;          \
        va_end(ap);                                                                                          \
    }

ADDER(int, gint32, INT, i)
ADDER(uint, guint32, UINT, ui)
ADDER(llong, gint64, LLONG, l)
ADDER(ullong, guint64, ULLONG, ul)
ADDER(double, double, DOUBLE, d)
ADDER_F(int, gint32, INT, i)
ADDER_F(uint, guint32, UINT, ui)
ADDER_F(llong, gint64, LLONG, l)
ADDER_F(ullong, guint64, ULLONG, ul)
ADDER_F(boolean, gboolean, BOOLEAN, b)

void typed_params_add_boolean(TypedParams *params, const char *field, gboolean value)
{
    typed_params_append(params, g_strdup(field), VIR_TYPED_PARAM_BOOLEAN)->value.b = value;
}

void typed_params_add_string(TypedParams *params, const char *field, const char *value)
{
    if (value != NULL)
        typed_params_append(params, g_strdup(field), VIR_TYPED_PARAM_STRING)->value.s = g_strdup(value);
}

void typed_params_addf_string(TypedParams *params, const char *value, const char *format, ...)
{
    va_list ap;

    if (value == NULL)
        return;
    va_start(ap, format);
    typed_params_append(params, g_strdup_vprintf(format, ap), VIR_TYPED_PARAM_STRING)->value.s = g_strdup(value);
    va_end(ap);
}

static const char *type_name(int type)
{
    static const char *const names[] = {"unknown", "int",    "uint",    "llong",
                                        "ullong",  "double", "boolean", "string"};

    return type > 0 && type < (int)G_N_ELEMENTS(names) ? names[type] : names[0];
}

gboolean typed_params_validate(const WireTypedParam *params, guint32 count, const TypedParamSpec *specs,
                               gsize n_specs, GError **error)
{
    for (guint32 i = 0; i < count; i++) {
        const TypedParamSpec *spec = NULL;

        for (gsize k = 0; k < n_specs && spec == NULL; k++) {
            if (strcmp(specs[k].field, params[i].field) == 0)
                spec = &specs[k];
        }
        if (spec == NULL)
            return error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "parameter '%s' not supported",
                             params[i].field);
        if (spec->type != params[i].value.type)
            return error_set(error, VIR_ERR_INVALID_ARG,
                             "invalid type '%s' for parameter '%s', expected '%s'",
                             type_name(params[i].value.type), spec->field, type_name(spec->type));
        for (guint32 k = 0; k < i && !spec->multiple; k++) {
            if (strcmp(params[k].field, spec->field) == 0)
                return error_set(error, VIR_ERR_INVALID_ARG, "parameter '%s' occurs multiple times",
                                 spec->field);
        }
    }
    return TRUE;
}

const WireTypedParam *typed_params_find(const WireTypedParam *params, guint32 count, const char *field)
{
    for (guint32 i = 0; i < count; i++) {
        if (strcmp(params[i].field, field) == 0)
            return &params[i];
    }
    return NULL;
}
