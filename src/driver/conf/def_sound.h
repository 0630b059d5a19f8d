/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <sound>: formatdomain, "Sound devices". */
#pragma once

#include "driver/conf/device_def.h"

typedef enum {
    SOUND_SB16 = 0,
    SOUND_ES1370,
    SOUND_PCSPK,
    SOUND_AC97,
    SOUND_ICH6,
    SOUND_ICH9,
    SOUND_USB,
    SOUND_ICH7,
    SOUND_LAST
} SoundModel;
ENUM_TABLE_DECL(sound_model, SoundModel)

typedef enum { SOUND_CODEC_DUPLEX = 0, SOUND_CODEC_MICRO, SOUND_CODEC_OUTPUT, SOUND_CODEC_LAST } SoundCodec;
ENUM_TABLE_DECL(sound_codec, SoundCodec)

typedef struct {
    DeviceInfo info;
    SoundModel model;
    GArray *codecs; /* of SoundCodec; NULL when there is none */
    guint audio_id; /* of the <audio> it plays on; 0: the only one */
} SoundDef;

extern const DeviceDefOps sound_def_ops;
