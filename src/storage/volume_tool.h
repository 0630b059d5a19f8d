/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Volumes of formats that the image engine does not write (vmdk, vdi, ...): by qemu-img, as libvirt's daemon
 * makes them. All calls block until the program has ended. VIR_ERR_OPERATION_FAILED with its words;
 * VIR_ERR_CONFIG_UNSUPPORTED where it is not installed.
 */
#pragma once

#include "storage/volume_file.h"

/* qcow, qed, vmdk, vdi, vpc. */
gboolean volume_tool_knows(VolumeFormat format);
/* Into the file that exists already. */
gboolean volume_tool_create(const VolumeDef *volume, const char *backing_path, GError **error);
/* At least one of both is of such a format. The result has the source's size. */
gboolean volume_tool_convert(const VolumeDef *volume, const VolumeDef *source, GError **error);
