/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a start, a reconnection and the end of a VM process have in common, whichever program it runs: the
 * log, the environment, the monitor by its socket in the run folder, last words, sockets to remove.
 */
#pragma once

#include "driver/backend/backend.h"
#include "driver/backend/qemu_host.h"

enum {
    BACKEND_START_TIMEOUT_MS = 30000,
    BACKEND_RECONNECT_TIMEOUT_MS = 10000,
    BACKEND_KNOCK_MS = 500, /* until another attempt where the monitor's queue is full */
    BACKEND_END_TIMEOUT_MS = 5000, /* for a process that closed its monitor, or was killed, to be gone */
};

/* Opens the log and writes what is started: program with version, then command. Where this run's own words
 * begin is in *ret_offset. The descriptor, -1 with *error. */
int backend_open_log(const DomainDef *live, const VmStartOptions *options, const char *program,
                     const char *command, gint64 *ret_offset, GError **error);

/* What every VM gets, and extra (char *, may be NULL). g_strfreev(). */
char **backend_environment(const VmStartOptions *options, const GPtrArray *extra);
/* What the options say about the process itself. */
void backend_spawn_options(VmSpawn *spawn, const VmStartOptions *options);

/* The monitor's socket in the run folder becomes vm's QmpClient. On FALSE errno says why, too: EAGAIN while the process
 * lets nobody in and its queue is full. */
gboolean backend_connect_monitor(VmProcess *vm, const char *run_dir, GError **error);

/* BackendOps.reconnect, .refresh and .cleanup. */
gboolean backend_find_again(const BackendOps *ops, const BackendConfig *config, DomainDef *live,
                            const VmReconnectOptions *options, const VmCallbacks *callbacks, gpointer opaque,
                            GDestroyNotify free_opaque, VmProcess **ret, VmLiveInfo **ret_live, GError **error);
gboolean backend_refresh(VmProcess *vm, DomainDef *live, VmLiveInfo **ret_live, GError **error);
void backend_cleanup(const BackendConfig *config, DomainDef *live, const char *run_dir);
