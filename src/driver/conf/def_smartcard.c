/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <smartcard>: see def_smartcard.h. */
#include "driver/conf/def_smartcard.h"

#include "common/error.h"
#include "driver/conf/fields.h"

ENUM_TABLE(smartcard_mode, SmartcardMode, SMARTCARD_LAST, "host", "host-certificates", "passthrough")

static const Field smartcard_fields[] = {
    FIELD_ENUM_ALWAYS(SmartcardDef, mode, "mode", smartcard_mode, FIELD_REQUIRED),
    FIELD_END,
};

static gboolean parse_certificates(xmlNodePtr node, SmartcardDef *def, GError **error)
{
    guint n = 0;

    if (xml_count(node, "certificate") != SMARTCARD_CERTIFICATES)
        return error_set(error, VIR_ERR_XML_ERROR, "host-certificates mode needs exactly three certificates");
    XML_FOREACH(child, node, "certificate")
    def->certificates[n++] = xml_get_text(child);
    def->database = xml_get_child_text(node, "database");
    return def->database == NULL || def->database[0] == '/' ||
           error_set(error, VIR_ERR_XML_ERROR, "expecting absolute path: %s", def->database);
}

static gboolean smartcard_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    SmartcardDef *def = (SmartcardDef *)dev;

    if (!fields_parse(smartcard_fields, node, def, error))
        return FALSE;
    if (def->mode == SMARTCARD_HOST_CERTIFICATES && !parse_certificates(node, def, error))
        return FALSE;
    if (def->mode == SMARTCARD_PASSTHROUGH && !chr_source_parse(node, &def->source, ctx->flags, error))
        return FALSE;
    return device_info_parse(dev, node, ctx->flags, error);
}

static void smartcard_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const SmartcardDef *def = (const SmartcardDef *)dev;

    xml_open(w, "smartcard");
    fields_format(w, smartcard_fields, def);
    if (def->mode == SMARTCARD_PASSTHROUGH) {
        chr_source_format_type(w, &def->source);
        chr_source_format_children(w, &def->source, fmt->flags);
    } else if (def->mode == SMARTCARD_HOST_CERTIFICATES) {
        for (guint i = 0; i < SMARTCARD_CERTIFICATES; i++)
            xml_element_text(w, "certificate", def->certificates[i]);
        xml_element_text(w, "database", def->database);
    }
    /* libvirt's schema knows no <alias> here. */
    device_info_format(w, dev, fmt->flags | DEVICE_INFO_FORMAT_NO_OWN_ALIAS);
    xml_close(w);
}

static gboolean smartcard_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const SmartcardDef *def = (const SmartcardDef *)dev;

    (void)ctx;
    if (dev->address.type != ADDRESS_NONE && dev->address.type != ADDRESS_CCID)
        return error_set(error, VIR_ERR_XML_ERROR, "Controllers must use the 'ccid' address type");
    return def->mode != SMARTCARD_PASSTHROUGH || chr_source_validate(&def->source, "smartcard", error);
}

static gboolean smartcard_matches(const DeviceInfo *dev, const DeviceInfo *wanted_dev)
{
    const SmartcardDef *def = (const SmartcardDef *)dev;
    const SmartcardDef *wanted = (const SmartcardDef *)wanted_dev;

    return def->mode == wanted->mode && chr_source_equal(&def->source, &wanted->source);
}

static void smartcard_clear(DeviceInfo *dev)
{
    SmartcardDef *def = (SmartcardDef *)dev;

    for (guint i = 0; i < SMARTCARD_CERTIFICATES; i++)
        g_free(def->certificates[i]);
    g_free(def->database);
    chr_source_clear(&def->source);
}

const DeviceDefOps smartcard_def_ops = {
    .kind = DEVICE_SMARTCARD,
    .size = sizeof(SmartcardDef),
    .parse = smartcard_parse,
    .format = smartcard_format,
    .validate = smartcard_validate,
    .matches = smartcard_matches,
    .match_by_address = TRUE,
    .clear = smartcard_clear,
};
