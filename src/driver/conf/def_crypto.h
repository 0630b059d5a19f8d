/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <crypto>: formatdomain, "Crypto" (in libvirt since 9.1). */
#pragma once

#include "driver/conf/device_def.h"

typedef enum { CRYPTO_MODEL_VIRTIO = 0, CRYPTO_MODEL_LAST } CryptoModel;
ENUM_TABLE_DECL(crypto_model, CryptoModel)

typedef enum { CRYPTO_TYPE_QEMU = 0, CRYPTO_TYPE_LAST } CryptoType;
ENUM_TABLE_DECL(crypto_type, CryptoType)

typedef enum { CRYPTO_BACKEND_BUILTIN = 0, CRYPTO_BACKEND_LKCF, CRYPTO_BACKEND_LAST } CryptoBackend;
ENUM_TABLE_DECL(crypto_backend, CryptoBackend)

typedef struct {
    DeviceInfo info;
    CryptoModel model;
    CryptoType type;
    CryptoBackend backend;
    guint queues; /* 0: default */
    VirtioOptions virtio;
} CryptoDef;

extern const DeviceDefOps crypto_def_ops;
