/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <audio>: see def_audio.h. */
#include "driver/conf/def_audio.h"

#include "common/error.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/fields.h"

ENUM_TABLE(audio_type, AudioType, AUDIO_LAST, "none", "alsa", "coreaudio", "jack", "oss", "pulseaudio", "sdl",
           "spice", "file", "dbus")
ENUM_TABLE(audio_sdl_driver, AudioSdlDriver, AUDIO_SDL_LAST, "", "esd", "alsa", "arts", "pulseaudio")
ENUM_TABLE(audio_format, AudioFormat, AUDIO_FORMAT_LAST, "", "u8", "s8", "u16", "s16", "u32", "s32", "f32")

static const Field audio_fields[] = {
    FIELD_OF(AudioDef, id, "id", FIELD_KIND_UINT, .flags = FIELD_REQUIRED | FIELD_NONZERO),
    FIELD_ENUM_ALWAYS(AudioDef, type, "type", audio_type, FIELD_REQUIRED),
    FIELD_UINT(AudioDef, timer_period, "timerPeriod"),
    FIELD_END,
};
static const Field io_fields[] = {
    FIELD_YES_NO(AudioIo, mixing_engine, "mixingEngine"),
    FIELD_YES_NO(AudioIo, fixed_settings, "fixedSettings"),
    FIELD_UINT(AudioIo, voices, "voices"),
    FIELD_UINT(AudioIo, buffer_length, "bufferLength"),
    FIELD_END,
};
static const Field settings_fields[] = {
    FIELD_UINT(AudioIo, frequency, "frequency"),
    FIELD_UINT(AudioIo, channels, "channels"),
    FIELD_ENUM(AudioIo, format, "format", audio_format),
    FIELD_END,
};

/* By type: attributes of <audio> itself, and of <input> and <output>. */
static const Field no_fields[] = {FIELD_END};
static const Field alsa_io[] = {FIELD_STR(AudioIo, dev, "dev"), FIELD_END};
static const Field buffers_io[] = {FIELD_UINT(AudioIo, buffer_count, "bufferCount"), FIELD_END};
static const Field jack_io[] = {
    FIELD_STR(AudioIo, server_name, "serverName"),
    FIELD_STR(AudioIo, client_name, "clientName"),
    FIELD_STR(AudioIo, connect_ports, "connectPorts"),
    FIELD_YES_NO(AudioIo, exact_name, "exactName"),
    FIELD_END,
};
static const Field oss_fields[] = {
    FIELD_YES_NO(AudioDef, try_mmap, "tryMMap"),
    FIELD_YES_NO(AudioDef, exclusive, "exclusive"),
    FIELD_END,
};
static const Field oss_io[] = {
    FIELD_STR(AudioIo, dev, "dev"),
    FIELD_UINT(AudioIo, buffer_count, "bufferCount"),
    FIELD_YES_NO(AudioIo, try_poll, "tryPoll"),
    FIELD_END,
};
static const Field pulseaudio_fields[] = {FIELD_STR(AudioDef, server_name, "serverName"), FIELD_END};
static const Field pulseaudio_io[] = {
    FIELD_STR(AudioIo, name, "name"),
    FIELD_STR(AudioIo, stream_name, "streamName"),
    FIELD_UINT(AudioIo, latency, "latency"),
    FIELD_END,
};
static const Field sdl_fields[] = {FIELD_ENUM(AudioDef, sdl_driver, "driver", audio_sdl_driver), FIELD_END};
static const Field file_fields[] = {FIELD_STR(AudioDef, path, "path"), FIELD_END};
static const struct {
    const Field *own, *io;
} type_fields[AUDIO_LAST] = {
    [AUDIO_NONE] = {no_fields, no_fields},       [AUDIO_ALSA] = {no_fields, alsa_io},
    [AUDIO_COREAUDIO] = {no_fields, buffers_io}, [AUDIO_JACK] = {no_fields, jack_io},
    [AUDIO_OSS] = {oss_fields, oss_io},          [AUDIO_PULSEAUDIO] = {pulseaudio_fields, pulseaudio_io},
    [AUDIO_SDL] = {sdl_fields, buffers_io},      [AUDIO_SPICE] = {no_fields, no_fields},
    [AUDIO_FILE] = {file_fields, no_fields},     [AUDIO_DBUS] = {no_fields, no_fields},
};

static gboolean parse_io(xmlNodePtr node, const char *name, AudioIo *io, const Field *own, GError **error)
{
    xmlNodePtr child = xml_child(node, name);
    xmlNodePtr settings = child != NULL ? xml_child(child, "settings") : NULL;

    if (child == NULL)
        return TRUE;
    if (!fields_parse(io_fields, child, io, error) || !fields_parse(own, child, io, error))
        return FALSE;
    if (settings != NULL && io->fixed_settings != TRISTATE_YES)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "settings are not allowed when fixed settings are not enabled");
    return settings == NULL || fields_parse(settings_fields, settings, io, error);
}

static gboolean audio_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    AudioDef *def = (AudioDef *)dev;
    g_autofree char *policy = xml_get_attr(node, "dspPolicy");

    (void)ctx;
    if (!fields_parse(audio_fields, node, def, error) ||
        !fields_parse(type_fields[def->type].own, node, def, error) ||
        !parse_io(node, "input", &def->input, type_fields[def->type].io, error) ||
        !parse_io(node, "output", &def->output, type_fields[def->type].io, error))
        return FALSE;
    if (policy == NULL || def->type != AUDIO_OSS)
        return TRUE;
    def->has_dsp_policy = TRUE;
    return xml_attr_get_int(node, "dspPolicy", XML_OPTIONAL, &def->dsp_policy, error);
}

static void format_io(XmlWriter *w, const char *name, const AudioIo *io, const Field *own)
{
    if (!fields_any(io_fields, io) && !fields_any(own, io))
        return;
    xml_open(w, name);
    fields_format(w, io_fields, io);
    fields_format(w, own, io);
    if (io->fixed_settings == TRISTATE_YES) {
        xml_open(w, "settings");
        fields_format(w, settings_fields, io);
        xml_close(w);
    }
    xml_close(w);
}

static void audio_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const AudioDef *def = (const AudioDef *)dev;

    (void)fmt;
    xml_open(w, "audio");
    fields_format(w, audio_fields, def);
    fields_format(w, type_fields[def->type].own, def);
    if (def->has_dsp_policy)
        xml_attr_printf(w, "dspPolicy", "%d", def->dsp_policy);
    format_io(w, "input", &def->input, type_fields[def->type].io);
    format_io(w, "output", &def->output, type_fields[def->type].io);
    xml_close(w);
}

static gboolean audio_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const AudioDef *def = (const AudioDef *)dev;

    for (guint i = 0; ctx->def != NULL && i < domain_def_n(ctx->def, DEVICE_AUDIO); i++) {
        const AudioDef *other = domain_def_get(ctx->def, DEVICE_AUDIO, i);

        if (other != def && other->id == def->id)
            return error_set(error, VIR_ERR_XML_ERROR, "audio ID %u is used multiple times", def->id);
    }
    if (def->type == AUDIO_COREAUDIO)
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "audio type 'coreaudio' is not supported; supported are none, alsa, jack, oss, pulseaudio, "
            "sdl, spice, file, dbus");
    return TRUE;
}

static gboolean audio_matches(const DeviceInfo *dev, const DeviceInfo *wanted)
{
    return ((const AudioDef *)dev)->id == ((const AudioDef *)wanted)->id;
}

static void clear_io(AudioIo *io)
{
    g_free(io->dev);
    g_free(io->server_name);
    g_free(io->client_name);
    g_free(io->connect_ports);
    g_free(io->name);
    g_free(io->stream_name);
}

static void audio_clear(DeviceInfo *dev)
{
    AudioDef *def = (AudioDef *)dev;

    clear_io(&def->input);
    clear_io(&def->output);
    g_free(def->server_name);
    g_free(def->path);
}

gboolean audio_id_check(const DomainDef *def, guint id, GError **error)
{
    if (def == NULL || id == 0)
        return TRUE;
    DOMAIN_DEF_FOREACH(AudioDef, audio, def, DEVICE_AUDIO)
    {
        if (audio->id == id)
            return TRUE;
    }
    return error_set(error, VIR_ERR_XML_ERROR, "no audio device with ID %u", id);
}

const DeviceDefOps audio_def_ops = {
    .kind = DEVICE_AUDIO,
    .size = sizeof(AudioDef),
    .no_info = TRUE,
    .parse = audio_parse,
    .format = audio_format,
    .validate = audio_validate,
    .matches = audio_matches,
    .clear = audio_clear,
};
