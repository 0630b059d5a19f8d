/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Headers of images, for the daemon: they are read in kite-probe, a confined process that is handed a descriptor (DESIGN,
 * section 4), so that whatever a guest wrote into its image meets no process that could do harm. A helper is started at
 * the first question, kept for the next ones and ends itself when it is idle; questions at the same time get one each.
 * Whoever asks waits PROBE_TIMEOUT_MS at most, also when the file's server is gone. Any thread.
 */
#pragma once

#include <glib.h>
#include <sys/stat.h>

#include "storage/image.h"

#define PROBE_TIMEOUT_MS 5000

/* Where the helper is, instead of the installed one; copied. Before the first question. For tests. */
void probe_client_set_helper(const char *path);
/* Lets the helpers that are idle go. */
void probe_client_shut_down(void);

/*
 * What the header of the regular file or block device behind fd says. `path` is for messages only. ret_payload (may be
 * NULL): where the data of a LUKS1 container begins, bytes. Strings that are no UTF-8 are errors, for they end up in
 * XML. VIR_ERR_SYSTEM_ERROR: cannot be read, or not in time; VIR_ERR_INTERNAL_ERROR: no helper.
 */
gboolean probe_fd(int fd, const char *path, ImageProbe *ret, guint64 *ret_payload, GError **error);

/*
 * Opens path for reading and does the same; ret_st may be NULL. Neither opening nor reading outlasts
 * PROBE_TIMEOUT_MS. Returns 0, or -errno with *error set, whose text names the path.
 */
int probe_path(const char *path, ImageProbe *ret, struct stat *ret_st, GError **error);
