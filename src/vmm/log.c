/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Log lines, each one write() so that lines of several threads stay whole.
 *
 * #syscalls write clock_gettime
 */
#include "vmm/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GUEST_FAULTS_PER_MINUTE 20

static const char *log_name = "";

void log_set_name(const char *name)
{
    log_name = name;
}

static void __attribute__((format(printf, 2, 0))) emit(const char *level, const char *format, va_list ap)
{
    char line[1280];
    struct timespec now;
    struct tm tm;
    size_t n;

    /* UTC by hand: no time zone file is reachable from inside the sandbox. */
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ kite-vmm%s%.100s: %s", now.tv_nsec / 1000000,
                          log_name[0] ? " " : "", log_name, level);
    int body = vsnprintf(line + n, sizeof line - n - 1, format, ap);

    if (body > 0)
        n += (size_t)body < sizeof line - n - 1 ? (size_t)body : sizeof line - n - 2;
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0) {
        /* nobody left to tell */
    }
}

void log_note(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    emit("", format, ap);
    va_end(ap);
}

void log_error(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    emit("error: ", format, ap);
    va_end(ap);
}

void log_guest_fault(const char *format, ...)
{
    static uint64_t window; /* minute << 16 | count */
    struct timespec now;
    uint64_t old, minute, count;
    va_list ap;

    clock_gettime(CLOCK_MONOTONIC, &now);
    minute = (uint64_t)now.tv_sec / 60 + 1;
    old = __atomic_load_n(&window, __ATOMIC_RELAXED);
    count = old >> 16 == minute ? (old & 0xffff) + 1 : 1;
    __atomic_store_n(&window, minute << 16 | count, __ATOMIC_RELAXED);
    if (count > GUEST_FAULTS_PER_MINUTE)
        return;
    va_start(ap, format);
    emit("guest fault: ", format, ap);
    va_end(ap);
}
