/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of the generations of virtio devices. */
#include "driver/conf/virtio_model.h"

ENUM_TABLE(virtio_model, VirtioModel, VIRTIO_MODEL_LAST, "default", "virtio", "virtio-transitional",
           "virtio-non-transitional")
