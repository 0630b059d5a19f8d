/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by host*.c only: the object, and reading small kernel files below its root. */
#pragma once

#include "driver/host/host.h"

struct Host {
    char *root; /* "" or a folder */
    const char *arch;
    guint8 uuid[16];
    GMutex mutex; /* guards what is read late */
    HostTopology *topology;
};

/* The path below the root: "%s" arguments are the caller's. Caller frees. */
char *host_path(const Host *host, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The content without the space around it, NULL when it cannot be read. Caller frees. */
char *host_read(const Host *host, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* A number file; fallback when it is missing or no number. */
guint64 host_read_number(const Host *host, guint64 fallback, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* "0-2,7" into an array of guint, ascending. Nonsense and numbers from HOST_MAX_CPUS on are left out. */
GArray *host_parse_list(const char *text);
/* Numbers N of the entries PREFIXN of a folder, ascending. */
GArray *host_list_numbers(const Host *host, const char *folder, const char *prefix);

enum { HOST_MAX_CPUS = 16384 };

HostTopology *host_topology_read(Host *host);
void host_topology_free(HostTopology *topology);
/* HostPages of one cell, or of the host with cell -1, by rising size. */
GArray *host_pages_read(const Host *host, int cell, guint64 memory_kib);
