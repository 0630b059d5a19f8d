/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copying what one volume holds into another, of any formats that the image engine writes. Blocks; no locks.
 */
#pragma once

#include "storage/volume_file.h"

/* The target exists and reads as zeros. sparse: blocks of zeros are left out. */
gboolean volume_copy(const VolumeDef *target, const VolumeDef *source, gboolean sparse, GError **error);
/* Space for the first `length` bytes of a file of at least that size. */
gboolean volume_allocate(int fd, guint64 length, const char *path, GError **error);
