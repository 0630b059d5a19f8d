/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <graphics>: formatdomain, "Graphical framebuffers". */
#pragma once

#include "driver/conf/def_chr_source.h"
#include "driver/conf/device_def.h"

typedef enum {
    GRAPHICS_SDL = 0,
    GRAPHICS_VNC,
    GRAPHICS_RDP,
    GRAPHICS_DESKTOP,
    GRAPHICS_SPICE,
    GRAPHICS_EGL_HEADLESS,
    GRAPHICS_DBUS,
    GRAPHICS_LAST
} GraphicsType;
ENUM_TABLE_DECL(graphics_type, GraphicsType)

typedef enum {
    LISTEN_NONE = 0,
    LISTEN_ADDRESS,
    LISTEN_NETWORK,
    LISTEN_SOCKET,
    LISTEN_LAST
} ListenType;
ENUM_TABLE_DECL(listen_type, ListenType)

typedef enum {
    AUTH_CONNECTED_DEFAULT = 0,
    AUTH_CONNECTED_FAIL,
    AUTH_CONNECTED_DISCONNECT,
    AUTH_CONNECTED_KEEP,
    AUTH_CONNECTED_LAST
} AuthConnected;
ENUM_TABLE_DECL(auth_connected, AuthConnected)

typedef enum {
    VNC_SHARE_DEFAULT = 0,
    VNC_SHARE_ALLOW_EXCLUSIVE,
    VNC_SHARE_FORCE_SHARED,
    VNC_SHARE_IGNORE,
    VNC_SHARE_LAST
} VncSharePolicy;
ENUM_TABLE_DECL(vnc_share, VncSharePolicy)

typedef enum {
    SPICE_CHANNEL_MAIN = 0,
    SPICE_CHANNEL_DISPLAY,
    SPICE_CHANNEL_INPUTS,
    SPICE_CHANNEL_CURSOR,
    SPICE_CHANNEL_PLAYBACK,
    SPICE_CHANNEL_RECORD,
    SPICE_CHANNEL_SMARTCARD,
    SPICE_CHANNEL_USBREDIR,
    SPICE_CHANNEL_LAST
} SpiceChannel;
ENUM_TABLE_DECL(spice_channel, SpiceChannel)

typedef enum {
    SPICE_MODE_ANY = 0,
    SPICE_MODE_SECURE,
    SPICE_MODE_INSECURE,
    SPICE_MODE_LAST
} SpiceChannelMode;
ENUM_TABLE_DECL(spice_mode, SpiceChannelMode)

typedef enum {
    SPICE_IMAGE_DEFAULT = 0,
    SPICE_IMAGE_AUTO_GLZ,
    SPICE_IMAGE_AUTO_LZ,
    SPICE_IMAGE_QUIC,
    SPICE_IMAGE_GLZ,
    SPICE_IMAGE_LZ,
    SPICE_IMAGE_OFF,
    SPICE_IMAGE_LAST
} SpiceImage;
ENUM_TABLE_DECL(spice_image, SpiceImage)

/* Also of <zlib>. */
typedef enum { SPICE_JPEG_DEFAULT = 0, SPICE_JPEG_AUTO, SPICE_JPEG_NEVER, SPICE_JPEG_ALWAYS, SPICE_JPEG_LAST } SpiceJpeg;
ENUM_TABLE_DECL(spice_jpeg, SpiceJpeg)

typedef enum {
    SPICE_STREAMING_DEFAULT = 0,
    SPICE_STREAMING_FILTER,
    SPICE_STREAMING_ALL,
    SPICE_STREAMING_OFF,
    SPICE_STREAMING_LAST
} SpiceStreaming;
ENUM_TABLE_DECL(spice_streaming, SpiceStreaming)

typedef struct {
    ListenType type;
    char *address; /* address; network: live */
    char *network;
    char *socket;
    gboolean auto_generated; /* socket path chosen by us */
    gboolean from_config;    /* from the daemon's configuration, not from the XML */
} GraphicsListen;

typedef struct {
    DeviceInfo info; /* unused: graphics have neither alias nor address */
    GraphicsType type;

    int port;      /* vnc, spice, rdp; 0: none, -1: to be chosen; live: the real one */
    int tls_port;  /* spice */
    int websocket; /* vnc; 0: none, -1: to be chosen */
    gboolean websocket_generated;
    gboolean autoport;
    char *keymap;
    char *passwd; /* NULL: none. Written only with DOMAIN_DEF_FORMAT_SECURE */
    gboolean has_passwd_valid_to;
    gint64 passwd_valid_to; /* seconds since 1970, UTC */
    AuthConnected connected;
    GPtrArray *listens; /* of GraphicsListen; never NULL; at least one for vnc and spice after parsing */

    VncSharePolicy share_policy;
    Tristate power_control;
    guint audio_id; /* vnc, dbus; 0: none */

    char *display; /* sdl, desktop */
    char *xauth;   /* sdl */
    gboolean fullscreen;
    Tristate gl;      /* sdl, spice, dbus */
    char *rendernode; /* spice, egl-headless, dbus */

    gboolean replace_user, multi_user; /* rdp */

    SpiceChannelMode default_mode; /* spice, from here on */
    SpiceChannelMode channels[SPICE_CHANNEL_LAST];
    SpiceImage image;
    SpiceJpeg jpeg, zlib;
    Tristate playback;
    SpiceStreaming streaming;
    Tristate copypaste, filetransfer;
    MouseMode mouse_mode;

    gboolean p2p; /* dbus */
    char *dbus_address;
} GraphicsDef;

/* First listen, or NULL. */
GraphicsListen *graphics_listen(const GraphicsDef *def);
/* Replaces listens by one of the type; strings are copied. */
void graphics_set_listen(GraphicsDef *def, ListenType type, const char *address_or_socket);

extern const DeviceDefOps graphics_def_ops;
