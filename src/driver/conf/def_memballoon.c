/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <memballoon>: see def_memballoon.h. */
#include "driver/conf/def_memballoon.h"

#include "common/error.h"
#include "driver/conf/fields.h"

ENUM_TABLE(memballoon_model, MemballoonModel, MEMBALLOON_LAST, "virtio", "xen", "none", "virtio-transitional",
           "virtio-non-transitional")

static const Field memballoon_fields[] = {
    FIELD_ENUM_ALWAYS(MemballoonDef, model, "model", memballoon_model, FIELD_REQUIRED),
    FIELD_ON_OFF(MemballoonDef, autodeflate, "autodeflate"),
    FIELD_ON_OFF(MemballoonDef, free_page_reporting, "freePageReporting"),
    FIELD_END,
};
static const Field stats_fields[] = {FIELD_UINT(MemballoonDef, period, "period"), FIELD_END};
static const Field driver_fields[] = {FIELDS_VIRTIO_OPTIONS(MemballoonDef, virtio), FIELD_END};

static gboolean memballoon_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    MemballoonDef *def = (MemballoonDef *)dev;
    xmlNodePtr stats = xml_child(node, "stats");

    if (!fields_parse(memballoon_fields, node, def, error) ||
        (stats != NULL && !fields_parse(stats_fields, stats, def, error)))
        return FALSE;
    if (def->period > G_MAXINT)
        return error_set(error, VIR_ERR_XML_ERROR, "invalid statistics collection period %u of memballoon",
                         def->period);
    if (def->model == MEMBALLOON_NONE)
        return TRUE; /* a device that is not there has neither address nor alias */
    return device_info_parse(dev, node, ctx->flags, error) &&
           virtio_options_parse(&def->virtio, xml_child(node, "driver"), error);
}

static void memballoon_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    xml_open(w, "memballoon");
    fields_format(w, memballoon_fields, dev);
    fields_format_element(w, "stats", stats_fields, dev);
    device_info_format(w, dev, fmt->flags);
    fields_format_element(w, "driver", driver_fields, dev);
    xml_close(w);
}

static gboolean memballoon_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const MemballoonDef *def = (const MemballoonDef *)dev;

    (void)ctx;
    if (def->model == MEMBALLOON_XEN)
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "memballoon model 'xen' is not supported; supported are virtio, virtio-transitional, "
            "virtio-non-transitional, none");
    if (dev->address.type != ADDRESS_NONE && dev->address.type != ADDRESS_PCI)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "memballoon unsupported with address type '%s'",
                         address_type_to_string(dev->address.type));
    return TRUE;
}

static gboolean memballoon_matches(const DeviceInfo *dev, const DeviceInfo *wanted)
{
    return ((const MemballoonDef *)dev)->model == ((const MemballoonDef *)wanted)->model;
}

static guint memballoon_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    (void)domain;
    switch (((const MemballoonDef *)dev)->model) {
    case MEMBALLOON_NONE:
    case MEMBALLOON_XEN:
        return PCI_CONNECT_NONE;
    case MEMBALLOON_TRANSITIONAL:
        return PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_HOTPLUG;
    default:
        return PCI_CONNECT_EXPRESS | PCI_CONNECT_HOTPLUG;
    }
}

const DeviceDefOps memballoon_def_ops = {
    .kind = DEVICE_MEMBALLOON,
    .size = sizeof(MemballoonDef),
    .single = TRUE,
    .parse = memballoon_parse,
    .format = memballoon_format,
    .validate = memballoon_validate,
    .matches = memballoon_matches,
    .pci_connect = memballoon_pci_connect,
};
