/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the daemon listens: its UNIX sockets, those of the further names (--also), TCP and TLS, or what systemd has opened
 * for it (sd_listen_fds(3)); and telling systemd that it is ready (sd_notify(3)).
 */
#pragma once

#include <glib.h>

#include "driver/daemon_config.h"
#include "driver/paths.h"

typedef struct RpcServer RpcServer;

typedef struct SocketsOptions {
    const DaemonConfig *config;
    const Paths *paths;
    gboolean listen;         /* --listen: TCP and TLS too */
    const char *const *also; /* further names, NULL-terminated; may be NULL */
} SocketsOptions;

/* Adds all listeners. Inherited sockets are used first; what they cover is not made again. */
gboolean sockets_add(RpcServer *server, const SocketsOptions *options, GError **error);
/* Certificates for TLS listeners from the configured or libvirt's default places; also used to reload them. */
gboolean sockets_set_tls(RpcServer *server, const DaemonConfig *config, GError **error);
/* "READY=1" and the like to $NOTIFY_SOCKET; nothing when systemd did not start us. */
void sockets_notify(const char *state);
/* Whether polkit runs on this host and our (libvirt's) actions are known to it. */
gboolean sockets_polkit_present(void);
