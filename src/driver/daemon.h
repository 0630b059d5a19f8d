/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One running virtkited: makes the parts in order, runs until it is told to stop, takes them down again.
 *
 * Start: settings and log, folders, pid file, VM thread, definitions and the state of running VMs from disk, listeners,
 * "ready" (parent process of --daemon, systemd); only then the slow part, in the background: monitors of running VMs,
 * autostart. Nothing before "ready" runs a program or asks a guest.
 * Stop: listeners and clients, VM thread, lists. VMs go on running.
 *
 * All functions are the main thread's.
 */
#pragma once

#include <glib.h>

typedef struct Daemon Daemon;

typedef struct DaemonOptions {
    gboolean session;    /* --session, or not root: serve this user only */
    gboolean verbose;    /* --verbose */
    gboolean background; /* --daemon: no terminal to log to */
    gboolean listen;     /* --listen */
    guint timeout_s;     /* --timeout; 0: stay */
    char *config_path;   /* --config; NULL: the default place, may be missing */
    char *pid_path;      /* --pid-file; NULL: the default place */
    GPtrArray *also;     /* --also names; NULL-terminated char * */
} DaemonOptions;

/* Reads settings, sets up the log, makes folders and takes the pid file. NULL with the reason. options are borrowed and
 * must outlive the daemon. */
Daemon *daemon_new(const DaemonOptions *options, GError **error);
/* Loads state and opens the sockets: clients are served when it returns. */
gboolean daemon_start(Daemon *daemon, GError **error);
/* Until a signal or the timeout ends it. */
void daemon_run(Daemon *daemon);
void daemon_free(Daemon *daemon);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Daemon, daemon_free)
