/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Upload to and download from a regular file or block device; part of stream_attach_fd (stream.h). */
#pragma once

#include "driver/rpc/stream.h"

/* One direction only: reading wins when both are asked for. Takes fd also on failure. */
gboolean stream_file_attach(Call *call, int fd, StreamFdFlags flags, const StreamFdOptions *options,
                            GError **error);
