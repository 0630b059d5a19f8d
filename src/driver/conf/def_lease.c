/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <lease>: see def_lease.h. */
#include "driver/conf/def_lease.h"

#include "common/error.h"
#include "driver/conf/fields.h"

static const Field target_fields[] = {
    FIELD_STR_REQUIRED(LeaseDef, path, "path"),
    FIELD_U64(LeaseDef, offset, "offset"),
    FIELD_END,
};
static const Field lease_fields[] = {
    FIELD_STR_CHILD(LeaseDef, lockspace, "lockspace"),
    FIELD_STR_CHILD(LeaseDef, key, "key"),
    FIELD_ELEMENT("target", target_fields),
    FIELD_END,
};

static gboolean lease_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    LeaseDef *def = (LeaseDef *)dev;

    (void)ctx;
    if (!fields_parse(lease_fields, node, def, error))
        return FALSE;
    if (def->key == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "Missing 'key' element for lease");
    return def->path != NULL || error_set(error, VIR_ERR_XML_ERROR, "Missing 'target' element for lease");
}

static void lease_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    (void)fmt;
    xml_open(w, "lease");
    fields_format(w, lease_fields, dev);
    xml_close(w);
}

static gboolean lease_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    (void)ctx;
    return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                     "lease '%s' is not supported: there is no lock manager; remove the <lease> element",
                     ((const LeaseDef *)dev)->key);
}

static gboolean lease_matches(const DeviceInfo *dev, const DeviceInfo *wanted_dev)
{
    const LeaseDef *def = (const LeaseDef *)dev;
    const LeaseDef *wanted = (const LeaseDef *)wanted_dev;

    return g_strcmp0(def->key, wanted->key) == 0 && g_strcmp0(def->lockspace, wanted->lockspace) == 0;
}

static void lease_clear(DeviceInfo *dev)
{
    fields_clear(lease_fields, dev);
}

const DeviceDefOps lease_def_ops = {
    .kind = DEVICE_LEASE,
    .size = sizeof(LeaseDef),
    .no_info = TRUE,
    .parse = lease_parse,
    .format = lease_format,
    .validate = lease_validate,
    .matches = lease_matches,
    .clear = lease_clear,
};
