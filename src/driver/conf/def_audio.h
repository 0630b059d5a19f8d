/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <audio>: formatdomain, "Audio backends". */
#pragma once

#include "driver/conf/device_def.h"

typedef enum {
    AUDIO_NONE = 0,
    AUDIO_ALSA,
    AUDIO_COREAUDIO,
    AUDIO_JACK,
    AUDIO_OSS,
    AUDIO_PULSEAUDIO,
    AUDIO_SDL,
    AUDIO_SPICE,
    AUDIO_FILE,
    AUDIO_DBUS,
    AUDIO_LAST
} AudioType;
ENUM_TABLE_DECL(audio_type, AudioType)

typedef enum {
    AUDIO_SDL_DEFAULT = 0,
    AUDIO_SDL_ESD,
    AUDIO_SDL_ALSA,
    AUDIO_SDL_ARTS,
    AUDIO_SDL_PULSEAUDIO,
    AUDIO_SDL_LAST
} AudioSdlDriver;
ENUM_TABLE_DECL(audio_sdl_driver, AudioSdlDriver)

typedef enum {
    AUDIO_FORMAT_DEFAULT = 0,
    AUDIO_FORMAT_U8,
    AUDIO_FORMAT_S8,
    AUDIO_FORMAT_U16,
    AUDIO_FORMAT_S16,
    AUDIO_FORMAT_U32,
    AUDIO_FORMAT_S32,
    AUDIO_FORMAT_F32,
    AUDIO_FORMAT_LAST
} AudioFormat;
ENUM_TABLE_DECL(audio_format, AudioFormat)

/* <input> or <output>; fields a type does not have stay empty. */
typedef struct {
    Tristate mixing_engine, fixed_settings;
    guint voices;
    guint buffer_length; /* microseconds */
    guint frequency, channels;
    AudioFormat format;
    char *dev;          /* alsa, oss */
    guint buffer_count; /* coreaudio, oss, sdl */
    char *server_name, *client_name, *connect_ports; /* jack */
    Tristate exact_name;                             /* jack */
    Tristate try_poll;                               /* oss */
    char *name, *stream_name;                        /* pulseaudio */
    guint latency;                                   /* pulseaudio, microseconds */
} AudioIo;

typedef struct {
    DeviceInfo info; /* unused */
    AudioType type;
    guint id;
    guint timer_period; /* microseconds; 0: default */
    AudioIo input, output;
    Tristate try_mmap, exclusive; /* oss */
    gboolean has_dsp_policy;
    int dsp_policy;
    char *server_name;         /* pulseaudio */
    AudioSdlDriver sdl_driver; /* sdl */
    char *path;                /* file */
} AudioDef;

extern const DeviceDefOps audio_def_ops;

/* Whether def (NULL: unknown) has the <audio> that a device names; 0: it names none. VIR_ERR_XML_ERROR. */
gboolean audio_id_check(const DomainDef *def, guint id, GError **error);
