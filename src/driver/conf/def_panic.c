/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <panic>: see def_panic.h. */
#include "driver/conf/def_panic.h"

#include "common/error.h"
#include "driver/conf/fields.h"
#include "driver/conf/supported.h"

ENUM_TABLE(panic_model, PanicModel, PANIC_LAST, "default", "isa", "pseries", "hyperv", "s390", "pvpanic")

static const Field panic_fields[] = {
    FIELD_ENUM(PanicDef, model, "model", panic_model, .unknown = "unknown panic model"), FIELD_END};

static gboolean panic_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    return fields_parse(panic_fields, node, dev, error) && device_info_parse(dev, node, ctx->flags, error);
}

static void panic_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    xml_open(w, "panic");
    fields_format(w, panic_fields, dev);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

static gboolean panic_post_parse(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    PanicDef *def = (PanicDef *)dev;

    (void)ctx;
    (void)error;
    if (def->model == PANIC_DEFAULT)
        def->model = PANIC_ISA;
    return TRUE;
}

static gboolean panic_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const PanicDef *def = (const PanicDef *)dev;
    AddressType address = dev->address.type;

    (void)ctx;
    if (!supported_check(SUPPORTED_PANIC_MODEL, panic_model_to_string(def->model), "panic model", error))
        return FALSE;
    if (def->model == PANIC_HYPERV && address != ADDRESS_NONE)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "setting the panic device address is not supported for model 'hyperv'");
    if (def->model == PANIC_ISA && address != ADDRESS_NONE && address != ADDRESS_ISA)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "panic is supported only with ISA address type");
    return TRUE;
}

static gboolean panic_matches(const DeviceInfo *dev, const DeviceInfo *wanted)
{
    return ((const PanicDef *)dev)->model == ((const PanicDef *)wanted)->model;
}

static guint panic_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    (void)domain;
    return ((const PanicDef *)dev)->model == PANIC_PVPANIC ? PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_INTEGRATED
                                                           : PCI_CONNECT_NONE;
}

const DeviceDefOps panic_def_ops = {
    .kind = DEVICE_PANIC,
    .size = sizeof(PanicDef),
    .parse = panic_parse,
    .format = panic_format,
    .post_parse = panic_post_parse,
    .validate = panic_validate,
    .matches = panic_matches,
    .match_by_address = TRUE,
    .pci_connect = panic_pci_connect,
};
