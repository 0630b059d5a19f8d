/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <tpm>: see def_tpm.h. */
#include "driver/conf/def_tpm.h"

#include "common/error.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/fields.h"
#include "driver/conf/supported.h"

ENUM_TABLE(tpm_model, TpmModel, TPM_MODEL_LAST, "default", "tpm-tis", "tpm-crb", "tpm-spapr",
           "spapr-tpm-proxy")
ENUM_TABLE(tpm_backend, TpmBackend, TPM_BACKEND_LAST, "passthrough", "emulator", "external")
ENUM_TABLE(tpm_version, TpmVersion, TPM_VERSION_LAST, "default", "1.2", "2.0")
ENUM_TABLE(pcr_bank, PcrBank, PCR_BANK_LAST, "sha1", "sha256", "sha384", "sha512")

static const Field tpm_fields[] = {FIELD_ENUM(TpmDef, model, "model", tpm_model), FIELD_END};
static const Field backend_fields[] = {
    FIELD_ENUM_ALWAYS(TpmDef, backend, "type", tpm_backend, FIELD_REQUIRED),
    FIELD_END,
};
static const Field device_fields[] = {FIELD_STR(TpmDef, device, "path"), FIELD_END};
static const Field passthrough_fields[] = {FIELD_ELEMENT("device", device_fields), FIELD_END};
static const Field secret_fields[] = {FIELD_STR(TpmDef, secret, "secret"), FIELD_END};
static const Field emulator_fields[] = {
    FIELD_ENUM(TpmDef, version, "version", tpm_version),
    FIELD_YES(TpmDef, persistent_state, "persistent_state"),
    FIELD_ELEMENT("encryption", secret_fields),
    FIELD_END,
};

static gboolean parse_emulator(xmlNodePtr backend, TpmDef *def, GError **error)
{
    xmlNodePtr banks = xml_child(backend, "active_pcr_banks");
    guint8 uuid[16];
    char text[UUID_TEXT_SIZE];

    if (!fields_parse(emulator_fields, backend, def, error))
        return FALSE;
    if (def->secret != NULL) {
        if (!uuid_parse(def->secret, uuid))
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "Unable to parse secret uuid '%s'", def->secret);
        uuid_format(uuid, text);
        g_free(def->secret);
        def->secret = g_strdup(text);
    }
    if (banks == NULL)
        return TRUE;
    XML_FOREACH(child, banks, NULL)
    {
        int bank = pcr_bank_from_string((const char *)child->name);

        if (bank < 0)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Unsupported PCR banks '%s'",
                             (const char *)child->name);
        def->pcr_banks |= 1u << bank;
    }
    return TRUE;
}

static gboolean parse_external(xmlNodePtr backend, TpmDef *def, GError **error)
{
    xmlNodePtr source = xml_child(backend, "source");
    g_autofree char *type = source != NULL ? xml_get_attr(source, "type") : NULL;
    int mode = CHR_MODE_CONNECT;

    if (type == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "missing external TPM backend type");
    if (chr_type_from_string(type) != CHR_TYPE_UNIX)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown backend type '%s' for external TPM",
                         type);
    if (!xml_attr_get_enum(source, "mode", chr_mode_from_string, XML_OPTIONAL, &mode, error))
        return FALSE;
    def->source.type = CHR_TYPE_UNIX;
    def->source.mode = mode;
    def->source.path = xml_get_attr(source, "path");
    return TRUE;
}

static gboolean tpm_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    TpmDef *def = (TpmDef *)dev;
    xmlNodePtr backend = xml_child(node, "backend");
    gboolean ok = TRUE;

    if (!fields_parse(tpm_fields, node, def, error))
        return FALSE;
    if (xml_count(node, "backend") != 1)
        return error_set(error, VIR_ERR_XML_ERROR,
                         backend != NULL ? "only one TPM backend is supported"
                                         : "missing TPM device backend");
    if (!fields_parse(backend_fields, backend, def, error))
        return FALSE;
    switch (def->backend) {
    case TPM_PASSTHROUGH:
        ok = fields_parse(passthrough_fields, backend, def, error);
        if (def->device == NULL)
            def->device = g_strdup("/dev/tpm0");
        break;
    case TPM_EMULATOR:
        ok = parse_emulator(backend, def, error);
        break;
    default:
        ok = parse_external(backend, def, error);
        break;
    }
    return ok && device_info_parse(dev, node, ctx->flags, error);
}

static void format_banks(XmlWriter *w, guint banks)
{
    if (banks == 0)
        return;
    xml_open(w, "active_pcr_banks");
    for (int bank = 0; bank < PCR_BANK_LAST; bank++) {
        if (banks & (1u << bank))
            xml_element_empty(w, pcr_bank_to_string(bank));
    }
    xml_close(w);
}

static void tpm_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const TpmDef *def = (const TpmDef *)dev;

    xml_open(w, "tpm");
    fields_format(w, tpm_fields, def);
    xml_open(w, "backend");
    fields_format(w, backend_fields, def);
    if (def->backend == TPM_PASSTHROUGH)
        fields_format(w, passthrough_fields, def);
    if (def->backend == TPM_EMULATOR) {
        fields_format(w, emulator_fields, def);
        format_banks(w, def->pcr_banks);
    }
    if (def->backend == TPM_EXTERNAL) {
        xml_open(w, "source");
        xml_attr(w, "type", "unix");
        xml_attr(w, "mode", "connect");
        xml_attr(w, "path", def->source.path);
        xml_close(w);
    }
    xml_close(w);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

static gboolean tpm_post_parse(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    TpmDef *def = (TpmDef *)dev;

    (void)ctx;
    (void)error;
    if (def->model == TPM_MODEL_DEFAULT)
        def->model = TPM_MODEL_TIS;
    if (def->backend == TPM_EMULATOR && def->version == TPM_VERSION_DEFAULT)
        def->version = def->model == TPM_MODEL_TIS ? TPM_VERSION_1_2 : TPM_VERSION_2_0;
    return TRUE;
}

static gboolean tpm_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const TpmDef *def = (const TpmDef *)dev;

    (void)ctx;
    if (!supported_check(SUPPORTED_TPM_MODEL, tpm_model_to_string(def->model), "tpm model", error))
        return FALSE;
    if (def->model == TPM_MODEL_CRB && def->version == TPM_VERSION_1_2)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Unsupported interface '%s' for TPM 1.2",
                         "tpm-crb");
    if (def->pcr_banks != 0 && def->version != TPM_VERSION_2_0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "<active_pcr_banks/> requires TPM version '2.0'");
    if (def->backend == TPM_EXTERNAL && def->source.path == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "missing path of the source of the external TPM backend");
    if (def->backend == TPM_EXTERNAL && def->source.mode != CHR_MODE_CONNECT)
        return error_set(error, VIR_ERR_XML_ERROR, "only 'client' mode is supported for external TPM device");
    return TRUE;
}

static gboolean tpm_matches(const DeviceInfo *dev, const DeviceInfo *wanted_dev)
{
    const TpmDef *def = (const TpmDef *)dev;
    const TpmDef *wanted = (const TpmDef *)wanted_dev;

    return def->model == wanted->model && def->backend == wanted->backend;
}

static void tpm_clear(DeviceInfo *dev)
{
    TpmDef *def = (TpmDef *)dev;

    g_free(def->device);
    g_free(def->secret);
    chr_source_clear(&def->source);
}

const DeviceDefOps tpm_def_ops = {
    .kind = DEVICE_TPM,
    .size = sizeof(TpmDef),
    .parse = tpm_parse,
    .format = tpm_format,
    .post_parse = tpm_post_parse,
    .validate = tpm_validate,
    .matches = tpm_matches,
    .match_by_address = TRUE,
    .clear = tpm_clear,
};
