/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <sound>: see def_sound.h. */
#include "driver/conf/def_sound.h"

#include "common/error.h"
#include "driver/conf/def_audio.h"
#include "driver/conf/fields.h"
#include "driver/conf/supported.h"

#define CODECS_MAX 16

ENUM_TABLE(sound_model, SoundModel, SOUND_LAST, "sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb",
           "ich7")
ENUM_TABLE(sound_codec, SoundCodec, SOUND_CODEC_LAST, "duplex", "micro", "output")

static const Field sound_fields[] = {
    FIELD_ENUM_ALWAYS(SoundDef, model, "model", sound_model, FIELD_REQUIRED),
    FIELD_END,
};
static const Field audio_fields[] = {
    FIELD_OF(SoundDef, audio_id, "id", FIELD_KIND_UINT, .flags = FIELD_REQUIRED | FIELD_NONZERO),
    FIELD_END,
};

static gboolean has_codecs(const SoundDef *def)
{
    return def->model == SOUND_ICH6 || def->model == SOUND_ICH9;
}

static gboolean sound_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    SoundDef *def = (SoundDef *)dev;
    xmlNodePtr audio = xml_child(node, "audio");

    if (!fields_parse(sound_fields, node, def, error) ||
        (audio != NULL && !fields_parse(audio_fields, audio, def, error)))
        return FALSE;
    if (has_codecs(def)) {
        XML_FOREACH(child, node, "codec")
        {
            int codec = 0;

            if (!xml_attr_get_word(child, "type", sound_codec_from_string, XML_REQUIRED, "unknown codec type",
                                   &codec, error))
                return FALSE;
            if (def->codecs == NULL)
                def->codecs = g_array_new(FALSE, FALSE, sizeof(int));
            if (def->codecs->len == CODECS_MAX)
                return error_set(error, VIR_ERR_XML_ERROR, "sound device has more than %d codecs",
                                 CODECS_MAX);
            g_array_append_val(def->codecs, codec);
        }
    }
    return device_info_parse(dev, node, ctx->flags, error);
}

static void sound_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const SoundDef *def = (const SoundDef *)dev;

    xml_open(w, "sound");
    fields_format(w, sound_fields, def);
    for (guint i = 0; def->codecs != NULL && i < def->codecs->len; i++) {
        xml_open(w, "codec");
        xml_attr(w, "type", sound_codec_to_string(g_array_index(def->codecs, int, i)));
        xml_close(w);
    }
    fields_format_element(w, "audio", audio_fields, def);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

static gboolean sound_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    if (!audio_id_check(ctx->def, ((const SoundDef *)dev)->audio_id, error))
        return FALSE;
    return supported_check(SUPPORTED_SOUND_MODEL, sound_model_to_string(((const SoundDef *)dev)->model),
                           "sound model", error);
}

static gboolean sound_matches(const DeviceInfo *dev, const DeviceInfo *wanted)
{
    return ((const SoundDef *)dev)->model == ((const SoundDef *)wanted)->model;
}

static void sound_clear(DeviceInfo *dev)
{
    SoundDef *def = (SoundDef *)dev;

    if (def->codecs != NULL)
        g_array_unref(def->codecs);
}

static guint sound_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    (void)domain;
    switch (((const SoundDef *)dev)->model) {
    case SOUND_ES1370:
    case SOUND_AC97:
    case SOUND_ICH6:
        return PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_HOTPLUG;
    case SOUND_ICH9:
    case SOUND_ICH7:
        return PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_INTEGRATED;
    default:
        return PCI_CONNECT_NONE;
    }
}

const DeviceDefOps sound_def_ops = {
    .kind = DEVICE_SOUND,
    .size = sizeof(SoundDef),
    .parse = sound_parse,
    .format = sound_format,
    .validate = sound_validate,
    .matches = sound_matches,
    .match_by_address = TRUE,
    .clear = sound_clear,
    .pci_connect = sound_pci_connect,
};
