/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <memory> below <devices>: formatdomain, "Memory devices". */
#pragma once

#include "driver/conf/cpu_def.h"
#include "driver/conf/device_def.h"

typedef enum {
    MEMORY_MODEL_NONE = 0,
    MEMORY_MODEL_DIMM,
    MEMORY_MODEL_NVDIMM,
    MEMORY_MODEL_VIRTIO_PMEM,
    MEMORY_MODEL_VIRTIO_MEM,
    MEMORY_MODEL_SGX_EPC,
    MEMORY_MODEL_LAST
} MemoryModel;
ENUM_TABLE_DECL(memory_model, MemoryModel)

/* All sizes in KiB. */
typedef struct {
    DeviceInfo info;
    MemoryModel model;
    MemoryAccess access;
    Tristate discard;
    char *uuid;

    char *nodemask;   /* host nodes, "0-1,3"; NULL: any */
    guint64 pagesize; /* 0: default */
    char *path;       /* nvdimm, virtio-pmem */
    guint64 alignsize;
    gboolean pmem;

    guint64 size;
    int node; /* guest node; -1: none */
    guint64 labelsize;
    gboolean readonly;
    guint64 block, requested; /* virtio-mem */
    guint64 current;          /* live */
} MemoryDef;

extern const DeviceDefOps memory_def_ops;
