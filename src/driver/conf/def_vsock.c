/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <vsock>: see def_vsock.h. */
#include "driver/conf/def_vsock.h"

#include "common/error.h"
#include "driver/conf/fields.h"

#define CID_FIRST_GUEST 3 /* 0 to 2 are the hypervisor, local and the host: vsock(7) */

static const Field vsock_fields[] = {FIELD_ENUM(VsockDef, model, "model", virtio_model), FIELD_END};
static const Field cid_fields[] = {
    FIELD_YES_NO(VsockDef, auto_cid, "auto"),
    FIELD_OF(VsockDef, cid, "address", FIELD_KIND_UINT, .flags = FIELD_NONZERO),
    FIELD_END,
};
static const Field driver_fields[] = {FIELDS_VIRTIO_OPTIONS(VsockDef, virtio), FIELD_END};

static gboolean vsock_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    VsockDef *def = (VsockDef *)dev;
    xmlNodePtr cid = xml_child(node, "cid");

    if (!fields_parse(vsock_fields, node, def, error) ||
        (cid != NULL && !fields_parse(cid_fields, cid, def, error)) ||
        !virtio_options_parse(&def->virtio, xml_child(node, "driver"), error))
        return FALSE;
    if (def->auto_cid == TRISTATE_YES && (ctx->flags & DOMAIN_DEF_PARSE_INACTIVE))
        def->cid = 0; /* chosen at each start */
    return device_info_parse(dev, node, ctx->flags, error);
}

static void vsock_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    xml_open(w, "vsock");
    fields_format(w, vsock_fields, dev);
    fields_format_element(w, "cid", cid_fields, dev);
    device_info_format(w, dev, fmt->flags);
    fields_format_element(w, "driver", driver_fields, dev);
    xml_close(w);
}

static gboolean vsock_post_parse(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    VsockDef *def = (VsockDef *)dev;

    (void)ctx;
    (void)error;
    if (def->model == VIRTIO_MODEL_DEFAULT)
        def->model = VIRTIO_MODEL_VIRTIO;
    return TRUE;
}

static gboolean vsock_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const VsockDef *def = (const VsockDef *)dev;

    (void)ctx;
    if (def->cid != 0 && def->cid < CID_FIRST_GUEST)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "guest CIDs must be >= 3");
    return def->cid != 0 || def->auto_cid == TRISTATE_YES ||
           error_set(error, VIR_ERR_XML_ERROR, "vsock needs <cid auto='yes'/> or <cid address=…/>");
}

static gboolean vsock_matches(const DeviceInfo *dev, const DeviceInfo *wanted_dev)
{
    const VsockDef *def = (const VsockDef *)dev;
    const VsockDef *wanted = (const VsockDef *)wanted_dev;

    return def->model == wanted->model && (wanted->cid == 0 || def->cid == wanted->cid);
}

static guint vsock_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    (void)domain;
    return (((const VsockDef *)dev)->model == VIRTIO_MODEL_TRANSITIONAL ? PCI_CONNECT_CONVENTIONAL
                                                                        : PCI_CONNECT_EXPRESS) |
           PCI_CONNECT_HOTPLUG;
}

const DeviceDefOps vsock_def_ops = {
    .kind = DEVICE_VSOCK,
    .size = sizeof(VsockDef),
    .single = TRUE,
    .parse = vsock_parse,
    .format = vsock_format,
    .post_parse = vsock_post_parse,
    .validate = vsock_validate,
    .matches = vsock_matches,
    .pci_connect = vsock_pci_connect,
};
