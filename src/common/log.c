/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Logging to stderr, files, journald and syslog. A message passes when its level reaches the level of the first
 * filter that matches its source, or the default level where none does; it then goes to each output whose own
 * level it reaches. One lock guards the settings and keeps lines whole; a line is one write().
 */
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define TEXT_MAX (64 * 1024)
#define LIST_MAX 64

typedef enum { TARGET_STDERR, TARGET_FILE, TARGET_JOURNALD, TARGET_SYSLOG } Target;

static const struct {
    const char *name;
    guint fields; /* of LEVEL:NAME[:DATA] */
} targets[] = {
    [TARGET_STDERR] = {"stderr", 2},
    [TARGET_FILE] = {"file", 3},
    [TARGET_JOURNALD] = {"journald", 2},
    [TARGET_SYSLOG] = {"syslog", 3},
};

typedef struct Output {
    LogLevel level;
    Target target;
    int fd;     /* file and journald; stderr uses 2 */
    char *data; /* path, or the name for syslog, which keeps the pointer */
} Output;

typedef struct Filter {
    LogLevel level;
    char *pattern; /* glob, "*" around it */
} Filter;

int log_threshold = LOG_LEVEL_WARNING;

static GMutex mutex;
static LogLevel default_level = LOG_LEVEL_WARNING;
static GPtrArray *outputs; /* Output; NULL: stderr, all levels */
static GPtrArray *filters; /* Filter */

static const char *const level_names[] = {"", "debug", "info", "warning", "error"};
static const int syslog_levels[] = {LOG_DEBUG, LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR};

static void output_free(gpointer data)
{
    Output *output = data;

    if (output->fd >= 0)
        close(output->fd);
    g_free(output->data);
    g_free(output);
}

static void filter_free(gpointer data)
{
    Filter *filter = data;

    g_free(filter->pattern);
    g_free(filter);
}

/* --- writing -------------------------------------------------------------------------------------------- */

static void write_line(int fd, const char *line, gsize length)
{
    while (length > 0) {
        ssize_t n = write(fd, line, length);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return; /* nobody left to tell */
        }
        line += n;
        length -= (gsize)n;
    }
}

/* systemd.journal-fields(7) and the native protocol: NAME, newline, 64-bit little-endian length, value, newline. */
static void journal_field(GString *packet, const char *name, const char *value)
{
    guint64 length = GUINT64_TO_LE(strlen(value));

    g_string_append_printf(packet, "%s\n", name);
    g_string_append_len(packet, (const char *)&length, sizeof(length));
    g_string_append_printf(packet, "%s\n", value);
}

static void write_journal(int fd, LogLevel level, const char *source, const char *text)
{
    static const struct sockaddr_un address = {AF_UNIX, JOURNAL_SOCKET};
    g_autoptr(GString) packet = g_string_new(NULL);
    g_autofree char *priority = g_strdup_printf("%d", syslog_levels[level]);

    journal_field(packet, "MESSAGE", text);
    journal_field(packet, "PRIORITY", priority);
    journal_field(packet, "KITE_SOURCE", source);
    journal_field(packet, "SYSLOG_IDENTIFIER", "virtkited");
    if (sendto(fd, packet->str, packet->len, MSG_NOSIGNAL, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        g_autofree char *line = g_strdup_printf("%s : %s : %s\n", level_names[level], source, text);

        write_line(STDERR_FILENO, line, strlen(line));
    }
}

static void write_output(const Output *output, LogLevel level, const char *source, const char *text,
                         const char *line)
{
    switch (output->target) {
    case TARGET_STDERR:
        write_line(STDERR_FILENO, line, strlen(line));
        break;
    case TARGET_FILE:
        write_line(output->fd, line, strlen(line));
        break;
    case TARGET_JOURNALD:
        write_journal(output->fd, level, source, text);
        break;
    case TARGET_SYSLOG:
        syslog(syslog_levels[level], "%s: %s", source, text);
        break;
    }
}

/* Under the mutex. */
static LogLevel level_for(const char *source)
{
    for (guint i = 0; filters != NULL && i < filters->len; i++) {
        const Filter *filter = filters->pdata[i];

        if (g_pattern_match_simple(filter->pattern, source))
            return filter->level;
    }
    return default_level;
}

void log_write(LogLevel level, const char *source, const char *format, ...)
{
    int saved = errno;
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *stamp = g_date_time_format(now, "%F %T");
    g_autofree char *text = NULL;
    g_autofree char *line = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    if (strlen(text) > TEXT_MAX)
        text[TEXT_MAX] = '\0';
    line = g_strdup_printf("%s.%03d+0000: %d: %s : %s : %s\n", stamp, g_date_time_get_microsecond(now) / 1000,
                           (int)gettid(), level_names[level], source, text);

    g_mutex_lock(&mutex);
    if (level >= level_for(source)) {
        if (outputs == NULL)
            write_line(STDERR_FILENO, line, strlen(line));
        for (guint i = 0; outputs != NULL && i < outputs->len; i++) {
            const Output *output = outputs->pdata[i];

            if (level >= output->level)
                write_output(output, level, source, text, line);
        }
    }
    g_mutex_unlock(&mutex);
    errno = saved;
}

/* --- settings ------------------------------------------------------------------------------------------- */

/* Under the mutex: the lowest level that can pass any filter. */
static void update_threshold(void)
{
    int lowest = default_level;

    for (guint i = 0; filters != NULL && i < filters->len; i++)
        lowest = MIN(lowest, (int)((const Filter *)filters->pdata[i])->level);
    g_atomic_int_set(&log_threshold, lowest);
}

void log_set_level(LogLevel level)
{
    g_mutex_lock(&mutex);
    default_level = CLAMP(level, LOG_LEVEL_DEBUG, LOG_LEVEL_ERROR);
    update_threshold();
    g_mutex_unlock(&mutex);
}

static gboolean parse_level(const char *text, const char *what, LogLevel *ret, GError **error)
{
    if (text[0] < '1' || text[0] > '4' || text[1] != '\0')
        return error_set(error, VIR_ERR_INVALID_ARG, "invalid log level '%s' in '%s': 1 (debug) to 4 (error)", text,
                         what);
    *ret = (LogLevel)(text[0] - '0');
    return TRUE;
}

static gboolean output_open(Output *output, GError **error)
{
    if (output->target == TARGET_FILE) {
        output->fd = open(output->data, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
        if (output->fd < 0)
            return error_set_errno(error, errno, "cannot open log file '%s'", output->data);
    } else if (output->target == TARGET_JOURNALD) {
        output->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (output->fd < 0)
            return error_set_errno(error, errno, "cannot make a socket for the journal");
    } else if (output->target == TARGET_SYSLOG) {
        openlog(output->data, LOG_PID, LOG_DAEMON);
    }
    return TRUE;
}

static Output *output_parse(const char *spec, GError **error)
{
    g_auto(GStrv) field = g_strsplit(spec, ":", 3);
    g_autofree Output *output = g_new0(Output, 1);
    guint count = g_strv_length(field);

    output->fd = -1;
    if (count < 2) {
        error_set(error, VIR_ERR_INVALID_ARG, "malformed log output '%s': LEVEL:stderr, LEVEL:file:PATH, "
                  "LEVEL:journald or LEVEL:syslog:NAME", spec);
        return NULL;
    }
    if (!parse_level(field[0], spec, &output->level, error))
        return NULL;
    for (guint i = 0; i < G_N_ELEMENTS(targets); i++) {
        if (!g_str_equal(field[1], targets[i].name))
            continue;
        if (count != targets[i].fields || (count == 3 && field[2][0] == '\0')) {
            error_set(error, VIR_ERR_INVALID_ARG, "log output '%s' has not what '%s' needs", spec, field[1]);
            return NULL;
        }
        output->target = (Target)i;
        if (i == TARGET_FILE)
            output->data = g_canonicalize_filename(field[2], NULL);
        else if (i == TARGET_SYSLOG)
            output->data = (char *)g_intern_string(field[2]); /* openlog() keeps it */
        if (!output_open(output, error)) {
            g_free(output->data);
            return NULL;
        }
        if (i == TARGET_SYSLOG)
            output->data = NULL;
        return g_steal_pointer(&output);
    }
    error_set(error, VIR_ERR_INVALID_ARG, "unknown log destination '%s' in '%s'", field[1], spec);
    return NULL;
}

static Filter *filter_parse(const char *spec, GError **error)
{
    const char *colon = strchr(spec, ':');
    g_autofree char *level_text = colon != NULL ? g_strndup(spec, (gsize)(colon - spec)) : NULL;
    const char *match;
    LogLevel level = LOG_LEVEL_DEBUG;
    Filter *filter;

    if (colon == NULL) {
        error_set(error, VIR_ERR_INVALID_ARG, "malformed log filter '%s': LEVEL:NAME", spec);
        return NULL;
    }
    if (!parse_level(level_text, spec, &level, error))
        return NULL;
    match = colon[1] == '+' ? colon + 2 : colon + 1; /* libvirt's '+' once meant a stack trace */
    if (*match == '\0') {
        error_set(error, VIR_ERR_INVALID_ARG, "log filter '%s' names no source", spec);
        return NULL;
    }
    filter = g_new0(Filter, 1);
    filter->level = level;
    filter->pattern = g_strdup_printf("*%s*", match);
    return filter;
}

static GPtrArray *parse_list(const char *spec, gpointer (*parse)(const char *, GError **), GDestroyNotify item_free,
                             GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(item_free);
    g_auto(GStrv) word = g_strsplit_set(spec, " \t\n", -1);

    for (guint i = 0; word[i] != NULL; i++) {
        gpointer item;

        if (word[i][0] == '\0')
            continue;
        if (list->len >= LIST_MAX) {
            error_set(error, VIR_ERR_INVALID_ARG, "more than %d entries in '%.64s...'", LIST_MAX, spec);
            return NULL;
        }
        item = parse(word[i], error);
        if (item == NULL)
            return NULL;
        g_ptr_array_add(list, item);
    }
    return g_steal_pointer(&list);
}

static gpointer output_parse_item(const char *spec, GError **error)
{
    return output_parse(spec, error);
}

static gpointer filter_parse_item(const char *spec, GError **error)
{
    return filter_parse(spec, error);
}

static void replace(GPtrArray **place, GPtrArray *list)
{
    GPtrArray *old;

    if (list->len == 0)
        g_clear_pointer(&list, g_ptr_array_unref);
    g_mutex_lock(&mutex);
    old = *place;
    *place = list;
    update_threshold();
    g_mutex_unlock(&mutex);
    if (old != NULL)
        g_ptr_array_unref(old);
}

gboolean log_set_outputs(const char *spec, GError **error)
{
    GPtrArray *list = parse_list(spec, output_parse_item, output_free, error);

    if (list == NULL)
        return FALSE;
    replace(&outputs, list);
    return TRUE;
}

gboolean log_set_filters(const char *spec, GError **error)
{
    GPtrArray *list = parse_list(spec, filter_parse_item, filter_free, error);

    if (list == NULL)
        return FALSE;
    replace(&filters, list);
    return TRUE;
}
