/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <iommu>: formatdomain, "IOMMU devices". */
#pragma once

#include "driver/conf/device_def.h"

typedef enum { IOMMU_INTEL = 0, IOMMU_SMMUV3, IOMMU_VIRTIO, IOMMU_LAST } IommuModel;
ENUM_TABLE_DECL(iommu_model, IommuModel)

typedef struct {
    DeviceInfo info;
    IommuModel model;
    Tristate intremap, caching_mode, eim, iotlb;
    guint aw_bits; /* 0: default */
} IommuDef;

extern const DeviceDefOps iommu_def_ops;
