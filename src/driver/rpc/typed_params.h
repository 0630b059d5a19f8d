/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lists of typed parameters (virTypedParameter): built for a reply, and read from a call's arguments.
 * One thread at a time.
 */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

#include "driver/rpc/xdr.h"

/* --- building ------------------------------------------------------------------------------------ */

typedef struct TypedParams {
    GArray *list; /* of WireTypedParam */
} TypedParams;

void typed_params_init(TypedParams *params);
void typed_params_clear(TypedParams *params);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TypedParams, typed_params_clear)
guint typed_params_count(const TypedParams *params);
/* The list becomes the caller's: g_malloc'ed elements for a generated Ret. params is empty afterwards. */
WireTypedParam *typed_params_steal(TypedParams *params, guint32 *ret_count);

/* A parameter of that type (VIR_TYPED_PARAM_*) whose value, zero now, the caller fills in; takes field, which is
 * g_malloc'ed. Valid until the next one is added. For long lists whose names are cheaply made. */
WireTypedParam *typed_params_append(TypedParams *params, char *field, int type);
/* The one at index, which must be there. */
WireTypedParam *typed_params_at(TypedParams *params, guint index);
/* Takes out those that got no type (appended with type 0 and never filled in). */
void typed_params_drop_unset(TypedParams *params);

/* field: copied. The _fmt forms take the field as a format, e.g. ("vcpu.%u.state", i). A NULL string adds
 * nothing. */
void typed_params_add_int(TypedParams *params, const char *field, gint32 value);
void typed_params_add_uint(TypedParams *params, const char *field, guint32 value);
void typed_params_add_llong(TypedParams *params, const char *field, gint64 value);
void typed_params_add_ullong(TypedParams *params, const char *field, guint64 value);
void typed_params_add_double(TypedParams *params, const char *field, double value);
void typed_params_add_boolean(TypedParams *params, const char *field, gboolean value);
void typed_params_add_string(TypedParams *params, const char *field, const char *value);
void typed_params_addf_int(TypedParams *params, gint32 value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void typed_params_addf_uint(TypedParams *params, guint32 value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void typed_params_addf_llong(TypedParams *params, gint64 value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void typed_params_addf_ullong(TypedParams *params, guint64 value, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
void typed_params_addf_boolean(TypedParams *params, gboolean value, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
void typed_params_addf_string(TypedParams *params, const char *value, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* --- reading ------------------------------------------------------------------------------------- */

typedef struct TypedParamSpec {
    const char *field;
    int type; /* VIR_TYPED_PARAM_* */
    gboolean multiple; /* may be given more than once */
} TypedParamSpec;

/* Every parameter is known, has its type and is given once. VIR_ERR_INVALID_ARG in libvirt's words. */
gboolean typed_params_validate(const WireTypedParam *params, guint32 count, const TypedParamSpec *specs,
                               gsize n_specs, GError **error);
/* The first one of that name, or NULL. */
const WireTypedParam *typed_params_find(const WireTypedParam *params, guint32 count, const char *field);
