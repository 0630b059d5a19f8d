/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* proc(5). */
#include "driver/domain/stats_proc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_S G_GUINT64_CONSTANT(1000000000)

/* The beginning of /proc/PID/NAME or /proc/PID/task/TID/NAME as text. */
static gboolean read_proc(pid_t pid, pid_t tid, const char *name, char *text, gsize size)
{
    char path[96];
    gsize length = 0;
    ssize_t n;
    int fd;

    if (pid <= 0)
        return FALSE;
    if (tid != 0)
        snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)pid, (int)tid, name);
    else
        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return FALSE;
    while (length < size - 1 && (n = read(fd, text + length, size - 1 - length)) > 0)
        length += (gsize)n;
    close(fd);
    text[length] = '\0';
    return length > 0;
}

gboolean proc_figures(pid_t pid, pid_t tid, ProcFigures *ret)
{
    char text[1024];
    const char *at;
    guint64 ns_per_tick = NS_PER_S / (guint64)sysconf(_SC_CLK_TCK);

    *ret = (ProcFigures){0};
    /* The name in parentheses may hold anything, also spaces and parentheses. */
    if (!read_proc(pid, tid, "stat", text, sizeof(text)) || (at = strrchr(text, ')')) == NULL)
        return FALSE;
    at++;
    for (int field = 3; field <= 39 && *at == ' '; field++) {
        at++;
        if (field == 14)
            ret->user = g_ascii_strtoull(at, NULL, 10) * ns_per_tick;
        else if (field == 15)
            ret->system = g_ascii_strtoull(at, NULL, 10) * ns_per_tick;
        else if (field == 24)
            ret->rss_kib = g_ascii_strtoull(at, NULL, 10) * (guint64)sysconf(_SC_PAGESIZE) / 1024;
        else if (field == 39)
            ret->cpu = (int)strtol(at, NULL, 10);
        at += strcspn(at, " ");
    }
    return TRUE;
}

guint64 proc_wait(pid_t pid, pid_t tid)
{
    char text[16384];
    const char *at;

    if (!read_proc(pid, tid, "sched", text, sizeof(text)))
        return 0;
    at = strstr(text, "wait_sum");
    if (at == NULL || (at = strchr(at, ':')) == NULL)
        return 0;
    return (guint64)(g_ascii_strtod(at + 1, NULL) * 1000000); /* from ms */
}

guint64 proc_delay(pid_t pid, pid_t tid)
{
    char text[256];
    const char *at;

    if (!read_proc(pid, tid, "schedstat", text, sizeof(text)) || (at = strchr(text, ' ')) == NULL)
        return 0;
    return g_ascii_strtoull(at + 1, NULL, 10);
}

/* --- network devices ------------------------------------------------------------------------------------ */

GHashTable *net_figures_parse(const char *text)
{
    GHashTable *devices = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n'), *colon = strchr(line, ':');
        NetFigures figures;

        /* "  eth0: 1 2 3 ...": bytes packets errs drop fifo frame compressed multicast, twice */
        while (*line == ' ')
            line++;
        if (colon != NULL && (end == NULL || colon < end) &&
            sscanf(colon + 1,
                   "%" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT
                   " %*s %*s %*s %*s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT
                   " %" G_GINT64_FORMAT,
                   &figures.rx_bytes, &figures.rx_packets, &figures.rx_errs, &figures.rx_drop,
                   &figures.tx_bytes, &figures.tx_packets, &figures.tx_errs, &figures.tx_drop) == 8)
            g_hash_table_replace(devices, g_strndup(line, (gsize)(colon - line)),
                                 g_memdup2(&figures, sizeof(figures)));
        line = end != NULL ? end + 1 : NULL;
    }
    return devices;
}

GHashTable *net_figures_read(void)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/proc/net/dev", &text, NULL, NULL))
        text = g_strdup("");
    return net_figures_parse(text);
}

void net_figures_swap(NetFigures *figures)
{
    const NetFigures host = *figures;

    figures->rx_bytes = host.tx_bytes;
    figures->rx_packets = host.tx_packets;
    figures->rx_errs = host.tx_errs;
    figures->rx_drop = host.tx_drop;
    figures->tx_bytes = host.rx_bytes;
    figures->tx_packets = host.rx_packets;
    figures->tx_errs = host.rx_errs;
    figures->tx_drop = host.rx_drop;
}
