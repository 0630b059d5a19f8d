/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Volumes that are files: looking at them, making, copying, changing and removing them with the image engine.
 * All of it blocks; no locks. The contracts are those of PoolOps (pool.h).
 */
#pragma once

#include "storage/pool.h"

/* What is at path, as a volume of that name. known: what was found there before, or NULL. NULL when it cannot
 * be a volume: a socket, a FIFO, a dangling link, not readable for us. */
VolumeDef *volume_file_probe(const char *name, const char *path, const VolumeDef *known);
VolumeDef *volume_file_refresh(const VolumeDef *volume, GError **error);

gboolean volume_file_create(const PoolDef *pool, const VolumeDef *volume, guint flags, GError **error);
gboolean volume_file_clone(const PoolDef *pool, const VolumeDef *volume, const VolumeDef *source, guint flags,
                           GError **error);
gboolean volume_file_unlink(const VolumeDef *volume, GError **error);
gboolean volume_file_resize(const VolumeDef *volume, guint64 capacity, guint flags, GError **error);
gboolean volume_file_wipe(const VolumeDef *volume, guint algorithm, GError **error);

/* Opens the image of a volume with what it is based on, which is opened read only. The format is the one that
 * the volume has; a format that backing files do not declare is probed, and honoured only when that file
 * refers to no other. rdwr: for writing. NULL on error. */
Image *volume_image_open(const VolumeDef *volume, gboolean rdwr, GError **error);
