/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtiofsd: a folder of the host as a process beside QEMU, which speaks vhost-user with it. QEMU connects to a socket in
 * the run folder whose listening end virtiofsd has inherited; it ends when QEMU closes the connection. Facts: virtiofsd(1)
 * of QEMU 7.2; libvirt's src/qemu/qemu_virtiofs.c. Any thread.
 */
#pragma once

#include "driver/backend/helper.h"
#include "driver/conf/def_filesystem.h"

/* The socket of a filesystem: its own, or the given one of somebody else's program. Caller frees. */
char *virtiofsd_socket(const FilesystemDef *fs, const char *run_dir);

/* Starts it. *ret_made: the socket's path, to be removed when the start fails. Caller frees. */
Helper *virtiofsd_start(const BackendConfig *config, const FilesystemDef *fs, const VmStartOptions *options,
                        char **ret_made, GError **error);

/* For tests: arguments after the path. NULL-terminated, free with g_strfreev. */
char **virtiofsd_args(const FilesystemDef *fs, int fd);
