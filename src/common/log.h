/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Logging of the daemon side. Levels mean:
 *   debug    what the code does, for its developers; off by default
 *   info     what the daemon did for its users: domain started, client refused
 *   warning  survived, but somebody should look
 *   error    a request or a VM failed because of it
 * A library function does not log an error that it also returns; the one who gives up logs once.
 *
 * Outputs and filters use libvirt's syntax: "LEVEL:stderr", "LEVEL:file:PATH", "LEVEL:journald",
 * "LEVEL:syslog:NAME", and filters "LEVEL:PREFIX" matched against the source (LOG_SOURCE).
 * Thread-safe. Never blocks on a full pipe of stderr longer than a write does.
 */
#pragma once

#include <glib.h>

typedef enum { LOG_LEVEL_DEBUG = 1, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR } LogLevel;

#ifndef LOG_SOURCE
#define LOG_SOURCE "kite"
#endif

extern int log_threshold; /* lowest level that anything wants; read without a lock */

void log_write(LogLevel level, const char *source, const char *format, ...) G_GNUC_PRINTF(3, 4);

#define log_at(level, ...)                                                                                   \
    do {                                                                                                     \
        if ((int)(level) >= log_threshold)                                                                   \
            log_write((level), LOG_SOURCE, __VA_ARGS__);                                                     \
    } while (0)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)

/* Default level for outputs that name none. */
void log_set_level(LogLevel level);
/* Replace all outputs / filters by a space-separated list; on error nothing changes. */
gboolean log_set_outputs(const char *spec, GError **error);
gboolean log_set_filters(const char *spec, GError **error);
