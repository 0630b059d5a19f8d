/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* model='virtio', 'virtio-transitional', 'virtio-non-transitional': the generation of a virtio device. */
#pragma once

#include "common/enum_table.h"

typedef enum {
    VIRTIO_MODEL_DEFAULT = 0,
    VIRTIO_MODEL_VIRTIO,
    VIRTIO_MODEL_TRANSITIONAL,
    VIRTIO_MODEL_NON_TRANSITIONAL,
    VIRTIO_MODEL_LAST
} VirtioModel;
ENUM_TABLE_DECL(virtio_model, VirtioModel)
