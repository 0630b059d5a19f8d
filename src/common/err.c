/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Error texts for code without GLib. */
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(Err *err, int errnum, const char *format, ...)
{
    if (errnum <= 0)
        errnum = EINVAL;
    if (err != NULL) {
        va_list ap;

        err->errnum = errnum;
        va_start(ap, format);
        vsnprintf(err->text, sizeof err->text, format, ap);
        va_end(ap);
    }
    return -errnum;
}

int err_prefix(Err *err, const char *format, ...)
{
    char old[sizeof err->text];
    va_list ap;
    size_t len;

    if (err == NULL)
        return -EINVAL;
    memcpy(old, err->text, sizeof old);
    va_start(ap, format);
    vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
    len = strlen(err->text);
    snprintf(err->text + len, sizeof err->text - len, ": %s", old);
    return err->errnum > 0 ? -err->errnum : -EINVAL;
}
