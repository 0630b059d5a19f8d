/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <rng>: formatdomain, "Random number generator device". */
#pragma once

#include "driver/conf/def_chr_source.h"
#include "driver/conf/device_def.h"
#include "driver/conf/virtio_model.h"

typedef enum { RNG_BACKEND_RANDOM = 0, RNG_BACKEND_EGD, RNG_BACKEND_BUILTIN, RNG_BACKEND_LAST } RngBackend;
ENUM_TABLE_DECL(rng_backend, RngBackend)

typedef struct {
    DeviceInfo info;
    VirtioModel model;
    RngBackend backend;
    char *file;     /* random: device on the host */
    ChrSource egd;  /* egd */
    guint rate;     /* bytes in a period; 0: no limit */
    guint period;   /* ms; 0: 1000 */
    VirtioOptions virtio;
} RngDef;

extern const DeviceDefOps rng_def_ops;
