/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <crypto>: see def_crypto.h. */
#include "driver/conf/def_crypto.h"

#include "common/error.h"
#include "driver/conf/fields.h"

ENUM_TABLE(crypto_model, CryptoModel, CRYPTO_MODEL_LAST, "virtio")
ENUM_TABLE(crypto_type, CryptoType, CRYPTO_TYPE_LAST, "qemu")
ENUM_TABLE(crypto_backend, CryptoBackend, CRYPTO_BACKEND_LAST, "builtin", "lkcf")

static const Field crypto_fields[] = {
    FIELD_ENUM_ALWAYS(CryptoDef, model, "model", crypto_model, FIELD_REQUIRED),
    FIELD_ENUM_ALWAYS(CryptoDef, type, "type", crypto_type, FIELD_REQUIRED),
    FIELD_END,
};
static const Field backend_fields[] = {
    FIELD_ENUM_ALWAYS(CryptoDef, backend, "model", crypto_backend, FIELD_REQUIRED),
    FIELD_UINT(CryptoDef, queues, "queues"),
    FIELD_END,
};
static const Field driver_fields[] = {FIELDS_VIRTIO_OPTIONS(CryptoDef, virtio), FIELD_END};

static gboolean crypto_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    CryptoDef *def = (CryptoDef *)dev;
    xmlNodePtr backend = xml_child(node, "backend");

    if (!fields_parse(crypto_fields, node, def, error))
        return FALSE;
    if (xml_count(node, "backend") != 1)
        return error_set(error, VIR_ERR_XML_ERROR, "only one crypto backend is supported");
    return fields_parse(backend_fields, backend, def, error) &&
           virtio_options_parse(&def->virtio, xml_child(node, "driver"), error) &&
           device_info_parse(dev, node, ctx->flags, error);
}

static void crypto_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    xml_open(w, "crypto");
    fields_format(w, crypto_fields, dev);
    fields_format_element(w, "backend", backend_fields, dev);
    fields_format_element(w, "driver", driver_fields, dev);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

static gboolean crypto_matches(const DeviceInfo *dev, const DeviceInfo *wanted_dev)
{
    const CryptoDef *def = (const CryptoDef *)dev;
    const CryptoDef *wanted = (const CryptoDef *)wanted_dev;

    return def->model == wanted->model && def->type == wanted->type && def->backend == wanted->backend;
}

static guint crypto_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    (void)dev;
    (void)domain;
    return PCI_CONNECT_EXPRESS | PCI_CONNECT_HOTPLUG;
}

const DeviceDefOps crypto_def_ops = {
    .kind = DEVICE_CRYPTO,
    .size = sizeof(CryptoDef),
    .parse = crypto_parse,
    .format = crypto_format,
    .matches = crypto_matches,
    .match_by_address = TRUE,
    .pci_connect = crypto_pci_connect,
};
