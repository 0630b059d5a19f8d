/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <iommu>: see def_iommu.h. */
#include "driver/conf/def_iommu.h"

#include "common/error.h"
#include "driver/conf/fields.h"

ENUM_TABLE(iommu_model, IommuModel, IOMMU_LAST, "intel", "smmuv3", "virtio")

static const Field iommu_fields[] = {
    FIELD_ENUM_ALWAYS(IommuDef, model, "model", iommu_model, FIELD_REQUIRED),
    FIELD_END,
};
static const Field driver_fields[] = {
    FIELD_ON_OFF(IommuDef, intremap, "intremap"), FIELD_ON_OFF(IommuDef, caching_mode, "caching_mode"),
    FIELD_ON_OFF(IommuDef, eim, "eim"),           FIELD_ON_OFF(IommuDef, iotlb, "iotlb"),
    FIELD_UINT(IommuDef, aw_bits, "aw_bits"),     FIELD_END,
};
static const Field child_fields[] = {FIELD_ELEMENT("driver", driver_fields), FIELD_END};

static gboolean iommu_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    return fields_parse(iommu_fields, node, dev, error) && fields_parse(child_fields, node, dev, error) &&
           device_info_parse(dev, node, ctx->flags, error);
}

static void iommu_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    xml_open(w, "iommu");
    fields_format(w, iommu_fields, dev);
    fields_format(w, child_fields, dev);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

static gboolean iommu_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const IommuDef *def = (const IommuDef *)dev;
    const char *model = iommu_model_to_string(def->model);

    (void)ctx;
    if (def->model == IOMMU_SMMUV3)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "iommu model '%s' is not supported on x86_64; supported are intel, virtio", model);
    if (def->model != IOMMU_INTEL && fields_any(driver_fields, def))
        return error_set(error, VIR_ERR_XML_ERROR, "iommu model '%s' doesn't support additional attributes",
                         model);
    if (def->model == IOMMU_INTEL && dev->address.type != ADDRESS_NONE)
        return error_set(error, VIR_ERR_XML_ERROR, "iommu model '%s' can't have address", model);
    return TRUE;
}

static guint iommu_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    (void)domain;
    return ((const IommuDef *)dev)->model == IOMMU_VIRTIO ? PCI_CONNECT_EXPRESS | PCI_CONNECT_INTEGRATED
                                                          : PCI_CONNECT_NONE;
}

const DeviceDefOps iommu_def_ops = {
    .kind = DEVICE_IOMMU,
    .size = sizeof(IommuDef),
    .single = TRUE,
    .parse = iommu_parse,
    .format = iommu_format,
    .validate = iommu_validate,
    .pci_connect = iommu_pci_connect,
};
