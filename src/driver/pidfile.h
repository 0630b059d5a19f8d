/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's pid file: holding the lock on it is what makes a daemon the only one. */
#pragma once

#include <glib.h>

/* Takes path and writes our pid. The descriptor, to be kept open, or -1: VIR_ERR_OPERATION_FAILED names the pid of the
 * daemon that holds it. A file that a killed daemon left is taken over. */
int pidfile_acquire(const char *path, GError **error);
/* Removes the file and closes the descriptor. */
void pidfile_release(const char *path, int fd);
