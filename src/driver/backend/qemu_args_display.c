/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a person sees, hears and touches: graphics servers, video cards, input, sound. Passwords never stand
 * here. */
#include <string.h>

#include "driver/backend/qemu_args_priv.h"
#include "driver/conf/def_audio.h"
#include "driver/conf/def_graphics.h"
#include "driver/conf/def_input.h"
#include "driver/conf/def_sound.h"
#include "driver/conf/def_video.h"

static gboolean add_device(QemuBuilder *b, json_t *props, const DeviceInfo *info, GError **error)
{
    if (!device_finish(b->def, props, info, error) ||
        !args_require_device(b, json_string_value(json_object_get(props, "driver")),
                             device_kind_to_string(info->kind), error)) {
        json_decref(props);
        return FALSE;
    }
    args_add_json(b, "-device", props);
    return TRUE;
}

/* --- input --- */

static gboolean add_evdev(QemuBuilder *b, const InputDef *input)
{
    json_t *props = json_pack("{s:s, s:s, s:s}", "qom-type", "input-linux", "id", input->info.alias, "evdev",
                              input->evdev);

    if (input->repeat != TRISTATE_ABSENT)
        json_object_set_new(props, "repeat", json_boolean(input->repeat == TRISTATE_YES));
    if (input->grab == INPUT_GRAB_ALL)
        json_object_set_new(props, "grab_all", json_true());
    if (input->grab_toggle != GRAB_TOGGLE_DEFAULT)
        prop_str(props, "grab-toggle", input_grab_toggle_to_string(input->grab_toggle));
    args_add_json(b, "-object", props);
    return TRUE;
}

gboolean args_input(QemuBuilder *b, const InputDef *input, GError **error)
{
    static const char *const usb[] = {
        [INPUT_MOUSE] = "usb-mouse", [INPUT_TABLET] = "usb-tablet", [INPUT_KEYBOARD] = "usb-kbd"};
    static const char *const virtio[] = {[INPUT_MOUSE] = "virtio-mouse",
                                         [INPUT_TABLET] = "virtio-tablet",
                                         [INPUT_KEYBOARD] = "virtio-keyboard",
                                         [INPUT_PASSTHROUGH] = "virtio-input-host"};

    if (input->type == INPUT_EVDEV)
        return add_evdev(b, input);
    if (input->bus == INPUT_BUS_PS2)
        return TRUE; /* part of the machine */
    if (input->bus == INPUT_BUS_USB && input->type <= INPUT_KEYBOARD)
        return add_device(b, device_props(usb[input->type]), &input->info, error);
    if (input->bus == INPUT_BUS_VIRTIO && input->type <= INPUT_PASSTHROUGH) {
        g_autofree char *driver = virtio_driver(virtio[input->type], input->model, &input->info);
        json_t *props = device_props(driver);

        prop_str(props, "evdev", input->type == INPUT_PASSTHROUGH ? input->evdev : NULL);
        virtio_props(props, &input->virtio);
        return add_device(b, props, &input->info, error);
    }
    return args_unsupported(error, "input type '%s' on bus '%s' is not supported",
                            input_type_to_string(input->type),
                            input->bus >= 0 ? input_bus_to_string(input->bus) : "(none)");
}

/* --- graphics --- */

/* "127.0.0.1", "[::1]" */
static char *bracketed(const char *address)
{
    return strchr(address, ':') != NULL ? g_strdup_printf("[%s]", address) : g_strdup(address);
}

static gboolean add_vnc(QemuBuilder *b, const GraphicsDef *graphics, GError **error)
{
    const GraphicsListen *listen = graphics_listen(graphics);
    GString *text = g_string_new("vnc=");

    if (listen != NULL && listen->type == LISTEN_SOCKET && listen->socket != NULL) {
        g_autofree char *path = args_escape(listen->socket);

        g_string_append_printf(text, "unix:%s", path);
    } else if (listen != NULL && listen->type == LISTEN_NONE) {
        g_string_assign(text, "vnc=none");
    } else {
        g_autofree char *address = bracketed(listen && listen->address ? listen->address : "127.0.0.1");

        if (graphics->port < 5900) {
            g_string_free(text, TRUE);
            return args_unsupported(error, "vnc port must be in range [5900,65535], not %d", graphics->port);
        }
        g_string_append_printf(text, "%s:%d", address, graphics->port - 5900);
        if (graphics->websocket > 0)
            g_string_append_printf(text, ",websocket=%d", graphics->websocket);
    }
    if (graphics->share_policy != VNC_SHARE_DEFAULT)
        g_string_append_printf(text, ",share=%s", vnc_share_to_string(graphics->share_policy));
    if (graphics->passwd != NULL || b->context->vnc_password != NULL)
        g_string_append(text, ",password=on");
    if (graphics->power_control != TRISTATE_ABSENT)
        g_string_append_printf(text, ",power-control=%s",
                               graphics->power_control == TRISTATE_YES ? "on" : "off");
    if (graphics->audio_id != 0)
        g_string_append_printf(text, ",audiodev=audio%u", graphics->audio_id);
    else if (domain_def_n(b->def, DEVICE_AUDIO) > 0)
        g_string_append_printf(text, ",audiodev=audio%u",
                               DOMAIN_DEF_SINGLE(AudioDef, b->def, DEVICE_AUDIO)->id);
    args_add_text(b, "-vnc", g_string_free(text, FALSE));
    if (graphics->keymap != NULL)
        args_add(b, "-k", "%s", graphics->keymap);
    return TRUE;
}

static gboolean add_spice(QemuBuilder *b, const GraphicsDef *graphics, GError **error)
{
    const GraphicsListen *listen = graphics_listen(graphics);
    GString *text;

    if (b->context->caps != NULL && !qemu_caps_has_option(b->context->caps, "spice", NULL))
        return args_unsupported(error,
                                "spice graphics are not supported with '%s': use <graphics type='vnc'>",
                                b->context->emulator);
    if (graphics->tls_port > 0 || graphics->default_mode == SPICE_MODE_SECURE)
        return args_unsupported(error, "spice secure channels need TLS, which is not supported yet");
    text = g_string_new(NULL);
    if (listen != NULL && listen->type == LISTEN_SOCKET && listen->socket != NULL) {
        g_autofree char *path = args_escape(listen->socket);

        g_string_append_printf(text, "unix=on,addr=%s", path);
    } else if (listen != NULL && listen->type == LISTEN_NONE) {
        g_string_append(text, "port=0"); /* clients come as descriptors by add_client */
    } else {
        g_string_append_printf(text, "port=%d,addr=%s", graphics->port,
                               listen && listen->address ? listen->address : "127.0.0.1");
    }
    if (graphics->passwd == NULL)
        g_string_append(text, ",disable-ticketing=on");
    if (graphics->image != SPICE_IMAGE_DEFAULT)
        g_string_append_printf(text, ",image-compression=%s", spice_image_to_string(graphics->image));
    if (graphics->jpeg != SPICE_JPEG_DEFAULT)
        g_string_append_printf(text, ",jpeg-wan-compression=%s", spice_jpeg_to_string(graphics->jpeg));
    if (graphics->zlib != SPICE_JPEG_DEFAULT)
        g_string_append_printf(text, ",zlib-glz-wan-compression=%s", spice_jpeg_to_string(graphics->zlib));
    if (graphics->playback != TRISTATE_ABSENT)
        g_string_append_printf(text, ",playback-compression=%s",
                               graphics->playback == TRISTATE_YES ? "on" : "off");
    if (graphics->streaming != SPICE_STREAMING_DEFAULT)
        g_string_append_printf(text, ",streaming-video=%s", spice_streaming_to_string(graphics->streaming));
    if (graphics->mouse_mode != MOUSE_MODE_DEFAULT)
        g_string_append_printf(text, ",agent-mouse=%s",
                               graphics->mouse_mode == MOUSE_MODE_CLIENT ? "on" : "off");
    if (graphics->copypaste == TRISTATE_NO)
        g_string_append(text, ",disable-copy-paste=on");
    if (graphics->filetransfer == TRISTATE_NO)
        g_string_append(text, ",disable-agent-file-xfer=on");
    if (graphics->gl == TRISTATE_YES) {
        g_string_append(text, ",gl=on");
        if (graphics->rendernode != NULL)
            g_string_append_printf(text, ",rendernode=%s", graphics->rendernode);
    }
    g_string_append(text, ",seamless-migration=on");
    args_add_text(b, "-spice", g_string_free(text, FALSE));
    if (graphics->keymap != NULL)
        args_add(b, "-k", "%s", graphics->keymap);
    return TRUE;
}

static gboolean add_graphics(QemuBuilder *b, const GraphicsDef *graphics, GError **error)
{
    switch (graphics->type) {
    case GRAPHICS_VNC:
        return add_vnc(b, graphics, error);
    case GRAPHICS_SPICE:
        return add_spice(b, graphics, error);
    case GRAPHICS_EGL_HEADLESS:
        if (b->context->caps != NULL && !qemu_caps_has_variant(b->context->caps, "display", "egl-headless"))
            return args_unsupported(error, "egl-headless graphics are not supported with '%s'",
                                    b->context->emulator);
        args_add(b, "-display", "egl-headless%s%s", graphics->rendernode ? ",rendernode=" : "",
                 graphics->rendernode ? graphics->rendernode : "");
        return TRUE;
    case GRAPHICS_SDL:
        if (graphics->display != NULL)
            g_ptr_array_add(b->args->env, g_strdup_printf("DISPLAY=%s", graphics->display));
        if (graphics->xauth != NULL)
            g_ptr_array_add(b->args->env, g_strdup_printf("XAUTHORITY=%s", graphics->xauth));
        if (graphics->fullscreen)
            args_add_text(b, "-full-screen", NULL);
        args_add(b, "-display", "sdl%s",
                 graphics->gl == TRISTATE_YES  ? ",gl=on"
                 : graphics->gl == TRISTATE_NO ? ",gl=off"
                                               : "");
        return TRUE;
    default:
        return args_unsupported(error, "graphics type '%s' is not supported",
                                graphics_type_to_string(graphics->type));
    }
}

/* --- video --- */

static json_t *video_props(QemuBuilder *b, const VideoDef *video, gboolean primary, GError **error)
{
    gboolean accel3d = video->has_acceleration && video->accel3d == TRISTATE_YES;
    json_t *props;

    switch (video->model) {
    case VIDEO_VGA:
        props = device_props(primary ? "VGA" : "secondary-vga");
        prop_uint(props, "vgamem_mb", video->vram / 1024);
        return props;
    case VIDEO_CIRRUS:
        return device_props("cirrus-vga");
    case VIDEO_VMVGA:
        props = device_props("vmware-svga");
        prop_uint(props, "vgamem_mb", video->vram / 1024);
        return props;
    case VIDEO_QXL:
        props = device_props(primary ? "qxl-vga" : "qxl");
        prop_uint(props, "max_outputs", video->heads);
        prop_uint(props, "ram_size", (guint64)video->ram * 1024);
        prop_uint(props, "vram_size", (guint64)video->vram * 1024);
        prop_uint(props, "vram64_size_mb", video->vram64 / 1024);
        prop_uint(props, "vgamem_mb", video->vgamem / 1024);
        return props;
    case VIDEO_VIRTIO:
        props = device_props(primary && args_has_device(b, "virtio-vga")
                                 ? (accel3d ? "virtio-vga-gl" : "virtio-vga")
                             : accel3d ? "virtio-gpu-gl-pci"
                                       : "virtio-gpu-pci");
        prop_uint(props, "max_outputs", video->heads);
        virtio_props(props, &video->virtio);
        return props;
    case VIDEO_BOCHS:
        props = device_props("bochs-display");
        prop_uint(props, "vgamem", (guint64)video->vram * 1024);
        return props;
    case VIDEO_RAMFB:
        return device_props("ramfb");
    default:
        args_unsupported(error, "video model '%s' is not supported", video_model_to_string(video->model));
        return NULL;
    }
}

static gboolean add_video(QemuBuilder *b, const VideoDef *video, gboolean primary, GError **error)
{
    json_t *props;

    if (video->model == VIDEO_NONE)
        return TRUE;
    props = video_props(b, video, primary, error);
    if (props == NULL)
        return FALSE;
    if (video->has_resolution && video->model != VIDEO_CIRRUS && video->model != VIDEO_VMVGA) {
        prop_uint(props, "xres", video->res_x);
        prop_uint(props, "yres", video->res_y);
    }
    return add_device(b, props, &video->info, error);
}

/* --- audio --- */

static const char *const audio_formats[AUDIO_FORMAT_LAST] = {
    [AUDIO_FORMAT_U8] = "u8",   [AUDIO_FORMAT_S8] = "s8",   [AUDIO_FORMAT_U16] = "u16",
    [AUDIO_FORMAT_S16] = "s16", [AUDIO_FORMAT_U32] = "u32", [AUDIO_FORMAT_S32] = "s32",
    [AUDIO_FORMAT_F32] = "f32"};

static void audio_io(json_t *audio, const char *key, AudioType type, const AudioIo *io)
{
    json_t *props = json_object();

    prop_bool(props, "mixing-engine", io->mixing_engine);
    prop_bool(props, "fixed-settings", io->fixed_settings);
    prop_uint(props, "voices", io->voices);
    prop_uint(props, "buffer-length", io->buffer_length);
    prop_uint(props, "frequency", io->frequency);
    prop_uint(props, "channels", io->channels);
    prop_str(props, "format", audio_formats[io->format]);
    prop_str(props, "dev", io->dev);
    prop_uint(props, "buffer-count", io->buffer_count);
    prop_str(props, "server-name", io->server_name);
    prop_str(props, "client-name", io->client_name);
    prop_str(props, "connect-ports", io->connect_ports);
    prop_bool(props, "exact-name", io->exact_name);
    prop_bool(props, "try-poll", io->try_poll);
    prop_str(props, "name", io->name);
    prop_str(props, "stream-name", io->stream_name);
    prop_uint(props, "latency", io->latency);
    if (json_object_size(props) > 0)
        json_object_set_new(audio, key, props);
    else
        json_decref(props);
}

static const char *const audio_drivers[AUDIO_LAST] = {
    [AUDIO_NONE] = "none", [AUDIO_ALSA] = "alsa",   [AUDIO_COREAUDIO] = "coreaudio",
    [AUDIO_JACK] = "jack", [AUDIO_OSS] = "oss",     [AUDIO_PULSEAUDIO] = "pa",
    [AUDIO_SDL] = "sdl",   [AUDIO_SPICE] = "spice", [AUDIO_FILE] = "wav",
    [AUDIO_DBUS] = "dbus"};

gboolean args_audio(QemuBuilder *b, GError **error)
{
    DOMAIN_DEF_FOREACH(AudioDef, audio, b->def, DEVICE_AUDIO)
    {
        const char *driver = audio_drivers[audio->type];
        g_autofree char *id = g_strdup_printf("audio%u", audio->id);
        json_t *props;

        props = json_pack("{s:s, s:s}", "id", id, "driver", driver);
        prop_uint(props, "timer-period", audio->timer_period);
        prop_bool(props, "try-mmap", audio->try_mmap);
        prop_bool(props, "exclusive", audio->exclusive);
        if (audio->has_dsp_policy)
            prop_int(props, "dsp-policy", audio->dsp_policy);
        prop_str(props, "server", audio->server_name);
        prop_str(props, "path", audio->path);
        audio_io(props, "in", audio->type, &audio->input);
        audio_io(props, "out", audio->type, &audio->output);
        if (audio->type == AUDIO_SDL && audio->sdl_driver != AUDIO_SDL_DEFAULT)
            g_ptr_array_add(b->args->env, g_strdup_printf("SDL_AUDIODRIVER=%s",
                                                          audio_sdl_driver_to_string(audio->sdl_driver)));
        args_add_json(b, "-audiodev", props);
    }
    return TRUE;
}

/* Which <audio> a sound card plays on; NULL: none, QEMU's default. Caller frees. */
static char *audio_of(QemuBuilder *b, const SoundDef *sound)
{
    const AudioDef *first = DOMAIN_DEF_SINGLE(AudioDef, b->def, DEVICE_AUDIO);

    if (sound->audio_id != 0)
        return g_strdup_printf("audio%u", sound->audio_id);
    return first != NULL ? g_strdup_printf("audio%u", first->id) : NULL;
}

static gboolean add_codecs(QemuBuilder *b, const SoundDef *sound, const char *audiodev, GError **error)
{
    static const char *const codecs[SOUND_CODEC_LAST] = {[SOUND_CODEC_DUPLEX] = "hda-duplex",
                                                         [SOUND_CODEC_MICRO] = "hda-micro",
                                                         [SOUND_CODEC_OUTPUT] = "hda-output"};
    guint n = sound->codecs != NULL ? sound->codecs->len : 0;

    for (guint i = 0; i < MAX(n, 1); i++) {
        SoundCodec codec = n > 0 ? g_array_index(sound->codecs, SoundCodec, i) : SOUND_CODEC_DUPLEX;
        g_autofree char *id = g_strdup_printf("%s-codec%u", sound->info.alias, i);
        g_autofree char *bus = g_strdup_printf("%s.0", sound->info.alias);
        json_t *props =
            json_pack("{s:s, s:s, s:s, s:i}", "driver", codecs[codec], "id", id, "bus", bus, "cad", (int)i);

        prop_str(props, "audiodev", audiodev);
        args_add_json(b, "-device", props);
    }
    return TRUE;
}

static gboolean add_sound(QemuBuilder *b, const SoundDef *sound, GError **error)
{
    static const char *const drivers[SOUND_LAST] = {
        [SOUND_SB16] = "sb16",      [SOUND_ES1370] = "ES1370",       [SOUND_AC97] = "AC97",
        [SOUND_ICH6] = "intel-hda", [SOUND_ICH9] = "ich9-intel-hda", [SOUND_USB] = "usb-audio"};
    const char *driver = drivers[sound->model];
    g_autofree char *audiodev = audio_of(b, sound);
    gboolean hda = sound->model == SOUND_ICH6 || sound->model == SOUND_ICH9;
    json_t *props;

    if (sound->model == SOUND_PCSPK) {
        if (audiodev != NULL)
            args_add(b, "-machine", "pcspk-audiodev=%s", audiodev);
        return TRUE;
    }
    if (driver == NULL)
        return args_unsupported(error, "sound card model '%s' is not supported",
                                sound_model_to_string(sound->model));
    props = device_props(driver);
    if (!hda)
        prop_str(props, "audiodev", audiodev);
    return add_device(b, props, &sound->info, error) && (!hda || add_codecs(b, sound, audiodev, error));
}

gboolean args_display(QemuBuilder *b, GError **error)
{
    guint n = 0;

    DOMAIN_DEF_FOREACH(InputDef, input, b->def, DEVICE_INPUT)
    {
        if (!args_input(b, input, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(GraphicsDef, graphics, b->def, DEVICE_GRAPHICS)
    {
        if (!add_graphics(b, graphics, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(VideoDef, video, b->def, DEVICE_VIDEO)
    {
        if (!add_video(b, video, n++ == 0, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(SoundDef, sound, b->def, DEVICE_SOUND)
    {
        if (!add_sound(b, sound, error))
            return FALSE;
    }
    return TRUE;
}
