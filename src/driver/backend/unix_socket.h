/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UNIX stream sockets in folders whose path may be longer than sun_path takes (107 bytes): the folder is
 * opened and the name bound below /proc/self/fd. Any thread. Descriptors are close-on-exec. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* A listening socket at path. A socket that lies there already is removed, anything else is an error. owner
 * -1: ours. -1 and VIR_ERR_SYSTEM_ERROR. */
int unix_socket_listen(const char *path, mode_t mode, uid_t owner, gid_t group, GError **error);
/* Connected and blocking, or -1 with errno set. Does not wait for the peer to accept. */
int unix_socket_connect(const char *path);
