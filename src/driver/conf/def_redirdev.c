/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <redirdev>: see def_redirdev.h. */
#include "driver/conf/def_redirdev.h"

#include "common/error.h"
#include "driver/conf/fields.h"

#define DBUS_CHANNEL "org.qemu.usbredir"

ENUM_TABLE(redirdev_bus, RedirdevBus, REDIRDEV_BUS_LAST, "usb")

static const Field redirdev_fields[] = {
    FIELD_ENUM_ALWAYS(RedirdevDef, bus, "bus", redirdev_bus, 0, .unknown = "unknown redirdev bus"),
    FIELD_END,
};

static gboolean redirdev_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    RedirdevDef *def = (RedirdevDef *)dev;

    if (!fields_parse(redirdev_fields, node, def, error) ||
        !chr_source_parse(node, &def->source, ctx->flags, error) ||
        !device_info_parse(dev, node, ctx->flags, error))
        return FALSE;
    return dev->address.type == ADDRESS_NONE || dev->address.type == ADDRESS_USB ||
           error_set(error, VIR_ERR_XML_ERROR, "Invalid address for a USB device");
}

static void redirdev_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const RedirdevDef *def = (const RedirdevDef *)dev;

    xml_open(w, "redirdev");
    fields_format(w, redirdev_fields, def);
    chr_source_format_type(w, &def->source);
    chr_source_format_children(w, &def->source, fmt->flags);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

static gboolean redirdev_post_parse(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    ChrSource *source = &((RedirdevDef *)dev)->source;

    (void)ctx;
    (void)error;
    if (source->type == CHR_TYPE_DBUS && source->channel == NULL)
        source->channel = g_strdup(DBUS_CHANNEL);
    return TRUE;
}

static gboolean redirdev_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    (void)ctx;
    return chr_source_validate(&((const RedirdevDef *)dev)->source, "redirdev", error);
}

static gboolean redirdev_matches(const DeviceInfo *dev, const DeviceInfo *wanted)
{
    return chr_source_equal(&((const RedirdevDef *)dev)->source, &((const RedirdevDef *)wanted)->source);
}

static void redirdev_clear(DeviceInfo *dev)
{
    chr_source_clear(&((RedirdevDef *)dev)->source);
}

const DeviceDefOps redirdev_def_ops = {
    .kind = DEVICE_REDIRDEV,
    .size = sizeof(RedirdevDef),
    .parse = redirdev_parse,
    .format = redirdev_format,
    .post_parse = redirdev_post_parse,
    .validate = redirdev_validate,
    .matches = redirdev_matches,
    .match_by_address = TRUE,
    .clear = redirdev_clear,
};
