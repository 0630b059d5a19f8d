/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* passt: user-mode networking as a process of its own, joined to QEMU by a socket pair. It ends when QEMU
 * closes its end. Any thread. */
#pragma once

#include "driver/backend/helper.h"
#include "driver/conf/def_interface.h"

/* Starts it; *ret_fd is QEMU's end. A wrong argument ends it soon after, which the helper shows; what it said stands
 * in the log. */
Helper *passt_start(const BackendConfig *config, const InterfaceDef *net, const char *log_path, int *ret_fd,
                    GError **error);
/* passt's arguments after its path, for tests. fd: its end of the pair. NULL-terminated, free with
 * g_strfreev. */
char **passt_args(const InterfaceDef *net, int fd);
