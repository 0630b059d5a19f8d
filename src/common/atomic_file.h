/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * State files: written to a temporary name beside the target, fsynced, renamed, directory fsynced. A reader
 * sees the old or the new content, never a part; a full disk leaves the old content.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

gboolean atomic_file_write(const char *path, const void *data, gssize length, mode_t mode, GError **error);
/* Removes temporary files that a killed writer left in a folder. Returns how many. */
guint atomic_file_sweep(const char *folder);
/* unlink() that is content when the file is not there. */
gboolean atomic_file_remove(const char *path, GError **error);
