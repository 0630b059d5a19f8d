/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <hub>: see def_hub.h. */
#include "driver/conf/def_hub.h"

#include "common/error.h"
#include "driver/conf/fields.h"

ENUM_TABLE(hub_type, HubType, HUB_LAST, "usb")

static const Field hub_fields[] = {
    FIELD_ENUM_ALWAYS(HubDef, type, "type", hub_type, FIELD_REQUIRED, .unknown = "unknown hub device type"),
    FIELD_END,
};

static gboolean hub_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    return fields_parse(hub_fields, node, dev, error) && device_info_parse(dev, node, ctx->flags, error);
}

static void hub_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    xml_open(w, "hub");
    fields_format(w, hub_fields, dev);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

static gboolean hub_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    (void)ctx;
    return dev->address.type == ADDRESS_NONE || dev->address.type == ADDRESS_USB ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                     "hub of type 'usb' needs an address of type 'usb', not '%s'",
                     address_type_to_string(dev->address.type));
}

static gboolean hub_matches(const DeviceInfo *dev, const DeviceInfo *wanted)
{
    return ((const HubDef *)dev)->type == ((const HubDef *)wanted)->type;
}

const DeviceDefOps hub_def_ops = {
    .kind = DEVICE_HUB,
    .size = sizeof(HubDef),
    .parse = hub_parse,
    .format = hub_format,
    .validate = hub_validate,
    .matches = hub_matches,
    .match_by_address = TRUE,
};
