/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <shmem>: formatdomain, "Shared memory device". */
#pragma once

#include "driver/conf/device_def.h"

typedef enum { SHMEM_IVSHMEM = 0, SHMEM_PLAIN, SHMEM_DOORBELL, SHMEM_LAST } ShmemModel;
ENUM_TABLE_DECL(shmem_model, ShmemModel)

typedef enum { SHMEM_ROLE_DEFAULT = 0, SHMEM_ROLE_MASTER, SHMEM_ROLE_PEER, SHMEM_ROLE_LAST } ShmemRole;
ENUM_TABLE_DECL(shmem_role, ShmemRole)

typedef struct {
    DeviceInfo info;
    char *name;
    ShmemRole role;
    ShmemModel model;
    guint64 size; /* bytes; 0: default */
    gboolean has_server;
    char *server_path;
    gboolean has_msi;
    guint msi_vectors;
    Tristate msi_ioeventfd;
} ShmemDef;

extern const DeviceDefOps shmem_def_ops;
