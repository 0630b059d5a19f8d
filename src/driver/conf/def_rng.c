/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <rng>: see def_rng.h. */
#include "driver/conf/def_rng.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/fields.h"
#include "driver/conf/supported.h"

ENUM_TABLE(rng_backend, RngBackend, RNG_BACKEND_LAST, "random", "egd", "builtin")

static const Field rng_fields[] = {
    FIELD_OF(RngDef, model, "model", FIELD_KIND_ENUM, .flags = FIELD_REQUIRED | FIELD_NONZERO,
             FIELD_TABLE(virtio_model), .unknown = "unknown RNG model"),
    FIELD_END,
};
static const Field rate_fields[] = {
    FIELD_UINT(RngDef, rate, "bytes"),
    FIELD_UINT(RngDef, period, "period"),
    FIELD_END,
};
static const Field backend_fields[] = {
    FIELD_ENUM_ALWAYS(RngDef, backend, "model", rng_backend, FIELD_REQUIRED,
                      .unknown = "unknown RNG backend model"),
    FIELD_END,
};
static const Field driver_fields[] = {FIELDS_VIRTIO_OPTIONS(RngDef, virtio), FIELD_END};

static gboolean rng_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    RngDef *def = (RngDef *)dev;
    xmlNodePtr backend = xml_child(node, "backend");
    xmlNodePtr rate = xml_child(node, "rate");

    if (!fields_parse(rng_fields, node, def, error) ||
        (rate != NULL && !fields_parse(rate_fields, rate, def, error)))
        return FALSE;
    if (xml_count(node, "backend") != 1)
        return error_set(error, VIR_ERR_XML_ERROR, "only one RNG backend is supported");
    if (!fields_parse(backend_fields, backend, def, error))
        return FALSE;
    if (def->backend == RNG_BACKEND_RANDOM) {
        def->file = xml_get_text(backend);
        if (def->file != NULL && *g_strstrip(def->file) == '\0')
            g_clear_pointer(&def->file, g_free);
    } else if (def->backend == RNG_BACKEND_EGD && !chr_source_parse(backend, &def->egd, ctx->flags, error)) {
        return FALSE;
    }
    return virtio_options_parse(&def->virtio, xml_child(node, "driver"), error) &&
           device_info_parse(dev, node, ctx->flags, error);
}

static void rng_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const RngDef *def = (const RngDef *)dev;

    xml_open(w, "rng");
    fields_format(w, rng_fields, def);
    if (def->rate != 0)
        fields_format_element(w, "rate", rate_fields, def);
    xml_open(w, "backend");
    fields_format(w, backend_fields, def);
    if (def->backend == RNG_BACKEND_RANDOM && def->file != NULL)
        xml_text(w, def->file);
    if (def->backend == RNG_BACKEND_EGD) {
        chr_source_format_type(w, &def->egd);
        chr_source_format_children(w, &def->egd, fmt->flags);
    }
    xml_close(w);
    fields_format_element(w, "driver", driver_fields, def);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

static gboolean rng_post_parse(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    RngDef *def = (RngDef *)dev;

    (void)ctx;
    (void)error;
    if (def->backend == RNG_BACKEND_RANDOM && def->file == NULL)
        def->file = g_strdup("/dev/random");
    return TRUE;
}

static gboolean rng_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const RngDef *def = (const RngDef *)dev;

    (void)ctx;
    if (def->file != NULL && def->file[0] != '/')
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "rng backend file '%s' is not an absolute path",
                         def->file);
    return def->backend != RNG_BACKEND_EGD || chr_source_validate(&def->egd, "rng", error);
}

/* libvirt: model, backend and its source. */
static gboolean rng_matches(const DeviceInfo *dev, const DeviceInfo *wanted_dev)
{
    const RngDef *def = (const RngDef *)dev;
    const RngDef *wanted = (const RngDef *)wanted_dev;

    if (def->model != wanted->model || def->backend != wanted->backend || def->rate != wanted->rate ||
        def->period != wanted->period)
        return FALSE;
    return def->backend == RNG_BACKEND_EGD ? chr_source_equal(&def->egd, &wanted->egd)
                                           : g_strcmp0(def->file, wanted->file) == 0;
}

static void rng_clear(DeviceInfo *dev)
{
    RngDef *def = (RngDef *)dev;

    g_free(def->file);
    chr_source_clear(&def->egd);
}

static guint rng_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    (void)domain;
    return (((const RngDef *)dev)->model == VIRTIO_MODEL_TRANSITIONAL ? PCI_CONNECT_CONVENTIONAL
                                                                      : PCI_CONNECT_EXPRESS) |
           PCI_CONNECT_HOTPLUG;
}

const DeviceDefOps rng_def_ops = {
    .kind = DEVICE_RNG,
    .size = sizeof(RngDef),
    .parse = rng_parse,
    .format = rng_format,
    .post_parse = rng_post_parse,
    .validate = rng_validate,
    .matches = rng_matches,
    .match_by_address = TRUE,
    .clear = rng_clear,
    .pci_connect = rng_pci_connect,
};
