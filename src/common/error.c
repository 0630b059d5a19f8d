/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's error numbers as GErrors, and the standing words that clients expect before each detail. */
#include "common/error.h"

#include <stdarg.h>
#include <string.h>

typedef struct NumberText {
    virErrorNumber number;
    const char *text; /* without detail; with one, ": detail" follows unless with_detail says otherwise */
    const char *with_detail; /* a format with one %s, or NULL */
} NumberText;

static const NumberText number_texts[] = {
    {VIR_ERR_INTERNAL_ERROR, "internal error", NULL},
    {VIR_ERR_NO_MEMORY, "out of memory", NULL},
    {VIR_ERR_NO_SUPPORT, "this function is not supported by the connection driver", NULL},
    {VIR_ERR_INVALID_ARG, "invalid argument", NULL},
    {VIR_ERR_OPERATION_FAILED, "operation failed", NULL},
    {VIR_ERR_OPERATION_INVALID, "Requested operation is not valid", NULL},
    {VIR_ERR_NO_DOMAIN, "Domain not found", NULL},
    {VIR_ERR_XML_ERROR, "XML description is invalid or not well formed", "XML error: %s"},
    {VIR_ERR_CONFIG_UNSUPPORTED, "unsupported configuration", NULL},
};

G_DEFINE_QUARK(kite-error-quark, error)

static gboolean set_va(GError **error, virErrorDomain from, virErrorNumber number, const char *format, va_list ap)
{
    if (error != NULL)
        g_propagate_error(error, g_error_new_valist(KITE_ERROR, ERROR_CODE((int)from, (int)number), format, ap));
    return FALSE;
}

gboolean error_set_from(GError **error, virErrorDomain from, virErrorNumber number, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    set_va(error, from, number, format, ap);
    va_end(ap);
    return FALSE;
}

gboolean error_set_errno_from(GError **error, virErrorDomain from, int errnum, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    return error_set_from(error, from, VIR_ERR_SYSTEM_ERROR, "%s: %s", text, g_strerror(errnum));
}

virErrorNumber error_number(const GError *error)
{
    return error->domain == KITE_ERROR ? (virErrorNumber)(error->code & 0xffff) : VIR_ERR_INTERNAL_ERROR;
}

virErrorDomain error_from(const GError *error)
{
    return error->domain == KITE_ERROR ? (virErrorDomain)(error->code >> 16) : VIR_FROM_NONE;
}

gboolean error_is(const GError *error, virErrorNumber number)
{
    return error != NULL && error_number(error) == number;
}

const char *error_number_text(virErrorNumber number, gboolean with_detail)
{
    for (gsize i = 0; i < G_N_ELEMENTS(number_texts); i++) {
        if (number_texts[i].number == number)
            return with_detail && number_texts[i].with_detail ? number_texts[i].with_detail
                                                              : number_texts[i].text;
    }
    return "unknown error";
}

char *error_full_text(const GError *error)
{
    const char *text = error_number_text(error_number(error), TRUE);
    const char *hole = strstr(text, "%s");

    if (error_number(error) == VIR_ERR_SYSTEM_ERROR)
        return g_strdup(error->message);
    if (hole == NULL)
        return g_strdup_printf("%s: %s", text, error->message);
    return g_strdup_printf("%.*s%s%s", (int)(hole - text), text, error->message, hole + 2);
}
