/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <graphics>: see def_graphics.h. Passwords are written only with DOMAIN_DEF_FORMAT_SECURE. */
#include "driver/conf/def_graphics.h"

#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "driver/conf/def_audio.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/fields.h"
#include "driver/conf/supported.h"

#define LISTENS_MAX 16

ENUM_TABLE(graphics_type, GraphicsType, GRAPHICS_LAST, "sdl", "vnc", "rdp", "desktop", "spice",
           "egl-headless", "dbus")
ENUM_TABLE(listen_type, ListenType, LISTEN_LAST, "none", "address", "network", "socket")
ENUM_TABLE(auth_connected, AuthConnected, AUTH_CONNECTED_LAST, "default", "fail", "disconnect", "keep")
ENUM_TABLE(vnc_share, VncSharePolicy, VNC_SHARE_LAST, "default", "allow-exclusive", "force-shared", "ignore")
ENUM_TABLE(spice_channel, SpiceChannel, SPICE_CHANNEL_LAST, "main", "display", "inputs", "cursor", "playback",
           "record", "smartcard", "usbredir")
ENUM_TABLE(spice_mode, SpiceChannelMode, SPICE_MODE_LAST, "any", "secure", "insecure")
ENUM_TABLE(spice_image, SpiceImage, SPICE_IMAGE_LAST, "default", "auto_glz", "auto_lz", "quic", "glz", "lz",
           "off")
ENUM_TABLE(spice_jpeg, SpiceJpeg, SPICE_JPEG_LAST, "default", "auto", "never", "always")
ENUM_TABLE(spice_streaming, SpiceStreaming, SPICE_STREAMING_LAST, "default", "filter", "all", "off")

#define FLAGGED(Type, member, name, kind) FIELD_OF(Type, member, name, kind, .flags = FIELD_REQUIRED)
#define WORD(member, name, table)                                                                            \
    FIELD_OF(GraphicsDef, member, name, FIELD_KIND_ENUM, .flags = FIELD_REQUIRED | FIELD_NONZERO,            \
             FIELD_TABLE(table))

static const Field vnc_fields[] = {
    FIELD_STR(GraphicsDef, keymap, "keymap"),
    FIELD_OF(GraphicsDef, share_policy, "sharePolicy", FIELD_KIND_ENUM, FIELD_TABLE(vnc_share)),
    FIELD_YES_NO(GraphicsDef, power_control, "powerControl"),
    FIELD_END,
};
static const Field sdl_gl_fields[] = {FLAGGED(GraphicsDef, gl, "enable", FIELD_KIND_YES_NO), FIELD_END};
static const Field sdl_fields[] = {
    FIELD_STR(GraphicsDef, display, "display"),
    FIELD_STR(GraphicsDef, xauth, "xauth"),
    FIELD_YES(GraphicsDef, fullscreen, "fullscreen"),
    FIELD_ELEMENT("gl", sdl_gl_fields),
    FIELD_END,
};
static const Field desktop_fields[] = {
    FIELD_STR(GraphicsDef, display, "display"),
    FIELD_YES(GraphicsDef, fullscreen, "fullscreen"),
    FIELD_END,
};
static const Field egl_gl_fields[] = {FIELD_STR(GraphicsDef, rendernode, "rendernode"), FIELD_END};
static const Field egl_fields[] = {FIELD_ELEMENT("gl", egl_gl_fields), FIELD_END};
static const Field gl_fields[] = {
    FLAGGED(GraphicsDef, gl, "enable", FIELD_KIND_YES_NO),
    FIELD_STR(GraphicsDef, rendernode, "rendernode"),
    FIELD_END,
};
static const Field audio_fields[] = {
    FIELD_OF(GraphicsDef, audio_id, "id", FIELD_KIND_UINT, .flags = FIELD_REQUIRED | FIELD_NONZERO),
    FIELD_END,
};
static const Field dbus_fields[] = {
    FIELD_YES(GraphicsDef, p2p, "p2p"),
    FIELD_STR(GraphicsDef, dbus_address, "address"),
    FIELD_ELEMENT("gl", gl_fields),
    FIELD_ELEMENT("audio", audio_fields),
    FIELD_END,
};
static const Field vnc_children[] = {FIELD_ELEMENT("audio", audio_fields), FIELD_END};
static const Field spice_fields[] = {
    FIELD_STR(GraphicsDef, keymap, "keymap"),
    FIELD_OF(GraphicsDef, default_mode, "defaultMode", FIELD_KIND_ENUM, FIELD_TABLE(spice_mode)),
    FIELD_END,
};
static const Field image_fields[] = {WORD(image, "compression", spice_image), FIELD_END};
static const Field jpeg_fields[] = {WORD(jpeg, "compression", spice_jpeg), FIELD_END};
static const Field zlib_fields[] = {WORD(zlib, "compression", spice_jpeg), FIELD_END};
static const Field playback_fields[] = {
    FLAGGED(GraphicsDef, playback, "compression", FIELD_KIND_ON_OFF),
    FIELD_END,
};
static const Field streaming_fields[] = {WORD(streaming, "mode", spice_streaming), FIELD_END};
static const Field mouse_fields[] = {WORD(mouse_mode, "mode", mouse_mode), FIELD_END};
static const Field clipboard_fields[] = {
    FLAGGED(GraphicsDef, copypaste, "copypaste", FIELD_KIND_YES_NO),
    FIELD_END,
};
static const Field filetransfer_fields[] = {
    FLAGGED(GraphicsDef, filetransfer, "enable", FIELD_KIND_YES_NO),
    FIELD_END,
};
static const Field spice_children[] = {
    FIELD_ELEMENT("image", image_fields),
    FIELD_ELEMENT("jpeg", jpeg_fields),
    FIELD_ELEMENT("zlib", zlib_fields),
    FIELD_ELEMENT("playback", playback_fields),
    FIELD_ELEMENT("streaming", streaming_fields),
    FIELD_ELEMENT("mouse", mouse_fields),
    FIELD_ELEMENT("clipboard", clipboard_fields),
    FIELD_ELEMENT("filetransfer", filetransfer_fields),
    FIELD_ELEMENT("gl", gl_fields),
    FIELD_END,
};
static const Field rdp_fields[] = {
    FIELD_YES(GraphicsDef, replace_user, "replaceUser"),
    FIELD_YES(GraphicsDef, multi_user, "multiUser"),
    FIELD_END,
};
/* What stands before and after <listen>, by type. */
static const struct {
    const Field *before, *after;
} type_fields[GRAPHICS_LAST] = {
    [GRAPHICS_SDL] = {sdl_fields, NULL},
    [GRAPHICS_VNC] = {vnc_fields, vnc_children},
    [GRAPHICS_RDP] = {rdp_fields, NULL},
    [GRAPHICS_DESKTOP] = {desktop_fields, NULL},
    [GRAPHICS_SPICE] = {spice_fields, spice_children},
    [GRAPHICS_EGL_HEADLESS] = {egl_fields, NULL},
    [GRAPHICS_DBUS] = {dbus_fields, NULL},
};

/* --- listens --- */

static void listen_free(GraphicsListen *listen)
{
    g_free(listen->address);
    g_free(listen->network);
    g_free(listen->socket);
    g_free(listen);
}

static void graphics_init(DeviceInfo *dev)
{
    ((GraphicsDef *)dev)->listens = g_ptr_array_new_with_free_func((GDestroyNotify)listen_free);
}

GraphicsListen *graphics_listen(const GraphicsDef *def)
{
    return def->listens->len > 0 ? g_ptr_array_index(def->listens, 0) : NULL;
}

void graphics_set_listen(GraphicsDef *def, ListenType type, const char *address_or_socket)
{
    GraphicsListen *listen = g_new0(GraphicsListen, 1);

    listen->type = type;
    if (type == LISTEN_SOCKET)
        listen->socket = g_strdup(address_or_socket);
    else
        listen->address = g_strdup(address_or_socket);
    g_ptr_array_set_size(def->listens, 0);
    g_ptr_array_add(def->listens, listen);
}

static char *non_empty_attr(xmlNodePtr node, const char *name)
{
    char *value = xml_get_attr(node, name);

    if (value != NULL && *value == '\0')
        g_clear_pointer(&value, g_free);
    return value;
}

/* An attribute of <graphics> from before <listen> existed must say the same as the first <listen>. */
static gboolean settle(char **value, const char *old, const char *attribute, const char *name, GError **error)
{
    if (old == NULL || (*value != NULL && strcmp(*value, old) == 0))
        return TRUE;
    if (*value == NULL) {
        *value = g_strdup(old);
        return TRUE;
    }
    return error_set(
        error, VIR_ERR_CONFIG_UNSUPPORTED,
        "graphics '%s' attribute '%s' must match '%s' attribute of first listen element (found '%s')",
        attribute, old, name, *value);
}

static gboolean parse_listen(xmlNodePtr node, GraphicsDef *def, const char *old_address,
                             const char *old_socket, guint flags, GError **error)
{
    GraphicsListen *listen = g_new0(GraphicsListen, 1);
    g_autofree char *address = non_empty_attr(node, "address");
    Tristate generated = TRISTATE_ABSENT;

    g_ptr_array_add(def->listens, listen);
    if (def->listens->len > LISTENS_MAX)
        return error_set(error, VIR_ERR_XML_ERROR, "<graphics> has more than %d <listen>", LISTENS_MAX);
    if (!xml_attr_get_enum(node, "type", listen_type_from_string, XML_REQUIRED, (int *)&listen->type, error))
        return FALSE;
    if ((listen->type == LISTEN_SOCKET || listen->type == LISTEN_NONE) && def->type != GRAPHICS_VNC &&
        def->type != GRAPHICS_SPICE)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "listen type '%s' is not available for graphics type '%s'",
                         listen_type_to_string(listen->type), graphics_type_to_string(def->type));
    listen->network = non_empty_attr(node, "network");
    listen->socket = non_empty_attr(node, "socket");
    if (listen->network != NULL && listen->type != LISTEN_NETWORK)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "'network' attribute is valid only for listen type 'network'");
    if (listen->socket != NULL && listen->type != LISTEN_SOCKET)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "'socket' attribute is valid only for listen type 'socket'");
    if (listen->type == LISTEN_ADDRESS && !settle(&address, old_address, "listen", "address", error))
        return FALSE;
    if (listen->type == LISTEN_SOCKET && !settle(&listen->socket, old_socket, "socket", "socket", error))
        return FALSE;
    if (listen->type == LISTEN_ADDRESS ||
        (listen->type == LISTEN_NETWORK && !(flags & DOMAIN_DEF_PARSE_INACTIVE)))
        listen->address = g_steal_pointer(&address);
    if (flags & DOMAIN_DEF_PARSE_STATUS) {
        if (!xml_attr_get_yes_no(node, "autoGenerated", XML_OPTIONAL, &generated, error))
            return FALSE;
        listen->auto_generated = generated == TRISTATE_YES;
    }
    return TRUE;
}

static gboolean parse_listens(xmlNodePtr node, GraphicsDef *def, guint flags, GError **error)
{
    g_autofree char *address = non_empty_attr(node, "listen");
    g_autofree char *socket = def->type == GRAPHICS_VNC ? non_empty_attr(node, "socket") : NULL;
    gboolean first = TRUE;

    XML_FOREACH(child, node, "listen")
    {
        if (!parse_listen(child, def, first ? address : NULL, first ? socket : NULL, flags, error))
            return FALSE;
        first = FALSE;
    }
    if (def->listens->len == 0) {
        graphics_set_listen(def, socket != NULL ? LISTEN_SOCKET : LISTEN_ADDRESS,
                            socket != NULL ? socket : address);
    } else if (socket != NULL && (graphics_listen(def)->type == LISTEN_ADDRESS ||
                                  graphics_listen(def)->type == LISTEN_NETWORK)) {
        GraphicsListen *listen = graphics_listen(def);

        g_clear_pointer(&listen->address, g_free);
        g_clear_pointer(&listen->network, g_free);
        listen->type = LISTEN_SOCKET;
        listen->socket = g_strdup(socket);
    }
    return TRUE;
}

/* --- reading --- */

static gboolean parse_valid_to(const char *text, gint64 *ret, GError **error)
{
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) then = NULL;
    int year, month, day, hour, minute, second, end = 0;

    if (sscanf(text, "%d-%d-%dT%d:%d:%d%n", &year, &month, &day, &hour, &minute, &second, &end) == 6 &&
        text[end] == '\0')
        then = g_date_time_new(utc, year, month, day, hour, minute, second);
    if (then == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR,
                         "cannot parse password validity time '%s', expect YYYY-MM-DDTHH:MM:SS", text);
    *ret = g_date_time_to_unix(then);
    return TRUE;
}

static gboolean parse_auth(xmlNodePtr node, GraphicsDef *def, GError **error)
{
    g_autofree char *valid_to = xml_get_attr(node, "passwdValidTo");
    g_autofree char *connected = xml_get_attr(node, "connected");

    def->passwd = xml_get_attr(node, "passwd");
    if (def->passwd == NULL)
        return TRUE;
    if (valid_to != NULL) {
        if (!parse_valid_to(valid_to, &def->passwd_valid_to, error))
            return FALSE;
        def->has_passwd_valid_to = TRUE;
    }
    if (connected != NULL) {
        int value = auth_connected_from_string(connected);

        if (value <= 0)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown connected value %s", connected);
        if (def->type == GRAPHICS_VNC && value != AUTH_CONNECTED_KEEP)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "VNC supports connected='keep' only");
        def->connected = value;
    }
    return TRUE;
}

static gboolean parse_ports(xmlNodePtr node, GraphicsDef *def, guint flags, GError **error)
{
    g_autofree char *port = xml_get_attr(node, "port");
    Tristate automatic = TRISTATE_ABSENT;
    gboolean inactive = (flags & DOMAIN_DEF_PARSE_INACTIVE) != 0;

    if (!xml_attr_get_int(node, "port", XML_OPTIONAL, &def->port, def->type == GRAPHICS_VNC ? NULL : error))
        return def->type == GRAPHICS_VNC &&
               error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot parse vnc port %s", port);
    if (!xml_attr_get_int(node, "tlsPort", XML_OPTIONAL, &def->tls_port, error) ||
        !xml_attr_get_int(node, "websocket", XML_OPTIONAL, &def->websocket, error) ||
        !xml_attr_get_yes_no(node, "autoport", XML_OPTIONAL, &automatic, error))
        return FALSE;
    if (def->port < -1 || def->port > G_MAXUINT16 || def->tls_port < -1 || def->tls_port > G_MAXUINT16 ||
        def->websocket < -1 || def->websocket > G_MAXUINT16)
        return error_set(error, VIR_ERR_XML_ERROR, "port of %s graphics is out of range",
                         graphics_type_to_string(def->type));
    if (def->type == GRAPHICS_VNC || def->type == GRAPHICS_RDP) {
        def->autoport = port == NULL ? def->type == GRAPHICS_VNC : def->port == -1;
        if (automatic != TRISTATE_ABSENT)
            def->autoport = automatic == TRISTATE_YES;
    } else {
        def->autoport = automatic == TRISTATE_YES || (def->port == -1 && def->tls_port == -1);
    }
    if (inactive && (def->port == -1 || def->autoport) && def->type != GRAPHICS_SPICE)
        def->port = 0;
    if (inactive && def->autoport && def->type == GRAPHICS_SPICE)
        def->port = def->tls_port = 0;
    return TRUE;
}

static gboolean parse_channels(xmlNodePtr node, GraphicsDef *def, GError **error)
{
    XML_FOREACH(child, node, "channel")
    {
        int name = 0;
        int mode = 0;

        if (!xml_attr_get_enum(child, "name", spice_channel_from_string, XML_REQUIRED, &name, error) ||
            !xml_attr_get_enum(child, "mode", spice_mode_from_string, XML_REQUIRED, &mode, error))
            return FALSE;
        def->channels[name] = mode;
    }
    return TRUE;
}

static gboolean graphics_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    GraphicsDef *def = (GraphicsDef *)dev;
    const Field *before, *after;

    if (!xml_attr_get_enum(node, "type", graphics_type_from_string, XML_REQUIRED, (int *)&def->type, error))
        return FALSE;
    before = type_fields[def->type].before;
    after = type_fields[def->type].after;
    if (!fields_parse(before, node, def, error) || (after != NULL && !fields_parse(after, node, def, error)))
        return FALSE;
    if (def->type != GRAPHICS_VNC && def->type != GRAPHICS_SPICE && def->type != GRAPHICS_RDP)
        return TRUE;
    return parse_listens(node, def, ctx->flags, error) && parse_ports(node, def, ctx->flags, error) &&
           (def->type == GRAPHICS_RDP || parse_auth(node, def, error)) &&
           (def->type != GRAPHICS_SPICE || parse_channels(node, def, error));
}

/* --- writing --- */

static void format_listen_attribute(XmlWriter *w, const GraphicsListen *listen, guint flags)
{
    if (listen->type == LISTEN_NETWORK &&
        (flags & (DOMAIN_DEF_FORMAT_INACTIVE | DOMAIN_DEF_FORMAT_MIGRATABLE)))
        return;
    if (!(listen->from_config && (flags & DOMAIN_DEF_FORMAT_MIGRATABLE)))
        xml_attr(w, "listen", listen->address);
}

static void format_port(XmlWriter *w, const char *name, int port)
{
    if (port != 0)
        xml_attr_printf(w, name, "%d", port);
}

static void format_vnc_ports(XmlWriter *w, const GraphicsDef *def, const GraphicsListen *listen, guint flags)
{
    gboolean inactive = (flags & DOMAIN_DEF_FORMAT_INACTIVE) != 0;

    if (listen->type == LISTEN_SOCKET) {
        if (!((listen->auto_generated || listen->from_config) && (flags & DOMAIN_DEF_FORMAT_MIGRATABLE)))
            xml_attr(w, "socket", listen->socket);
        return;
    }
    if (listen->type == LISTEN_NONE)
        return;
    if (def->port != 0 && (!def->autoport || !inactive))
        format_port(w, "port", def->port);
    else if (def->autoport)
        format_port(w, "port", -1);
    xml_attr(w, "autoport", def->autoport ? "yes" : "no");
    format_port(w, "websocket", def->websocket_generated && inactive ? -1 : def->websocket);
    format_listen_attribute(w, listen, flags);
}

static void format_spice_ports(XmlWriter *w, const GraphicsDef *def, const GraphicsListen *listen,
                               guint flags)
{
    if (listen->type == LISTEN_ADDRESS || listen->type == LISTEN_NETWORK) {
        format_port(w, "port", def->port);
        format_port(w, "tlsPort", def->tls_port);
        xml_attr(w, "autoport", def->autoport ? "yes" : "no");
        format_listen_attribute(w, listen, flags);
    } else if (listen->type == LISTEN_NONE && (flags & DOMAIN_DEF_FORMAT_MIGRATABLE)) {
        xml_attr(w, "autoport", "no");
    }
}

static void format_rdp(XmlWriter *w, const GraphicsDef *def, const GraphicsListen *listen, guint flags)
{
    if (def->port != 0)
        format_port(w, "port", def->port);
    else if (def->autoport)
        xml_attr(w, "port", "0");
    if (def->autoport)
        xml_attr(w, "autoport", "yes");
    fields_format(w, rdp_fields, def);
    format_listen_attribute(w, listen, flags);
}

static void format_auth(XmlWriter *w, const GraphicsDef *def, guint flags)
{
    if (def->passwd == NULL)
        return;
    if (flags & DOMAIN_DEF_FORMAT_SECURE)
        xml_attr(w, "passwd", def->passwd);
    if (def->has_passwd_valid_to) {
        g_autoptr(GDateTime) then = g_date_time_new_from_unix_utc(def->passwd_valid_to);
        g_autofree char *text = then != NULL ? g_date_time_format(then, "%Y-%m-%dT%H:%M:%S") : NULL;

        xml_attr(w, "passwdValidTo", text);
    }
    if (def->connected != AUTH_CONNECTED_DEFAULT)
        xml_attr(w, "connected", auth_connected_to_string(def->connected));
}

static gboolean skip_listen(const GraphicsDef *def, const GraphicsListen *listen, guint flags)
{
    if (!(flags & DOMAIN_DEF_FORMAT_MIGRATABLE))
        return FALSE;
    return listen->from_config ||
           (def->type == GRAPHICS_VNC && listen->type == LISTEN_SOCKET && listen->socket != NULL &&
            !listen->auto_generated) ||
           (def->type == GRAPHICS_SPICE && listen->type == LISTEN_NONE);
}

static void format_listens(XmlWriter *w, const GraphicsDef *def, guint flags)
{
    for (guint i = 0; i < def->listens->len; i++) {
        const GraphicsListen *listen = g_ptr_array_index(def->listens, i);

        if (skip_listen(def, listen, flags))
            continue;
        xml_open(w, "listen");
        xml_attr(w, "type", listen_type_to_string(listen->type));
        if (listen->type == LISTEN_ADDRESS ||
            (listen->type == LISTEN_NETWORK && !(flags & DOMAIN_DEF_FORMAT_INACTIVE)))
            xml_attr(w, "address", listen->address);
        xml_attr(w, "network", listen->network);
        if (!(listen->auto_generated && (flags & DOMAIN_DEF_FORMAT_MIGRATABLE)))
            xml_attr(w, "socket", listen->socket);
        if ((flags & DOMAIN_DEF_FORMAT_STATUS) && listen->auto_generated)
            xml_attr(w, "autoGenerated", "yes");
        xml_close(w);
    }
}

static void format_channels(XmlWriter *w, const GraphicsDef *def)
{
    for (int i = 0; i < SPICE_CHANNEL_LAST; i++) {
        if (def->channels[i] == SPICE_MODE_ANY)
            continue;
        xml_open(w, "channel");
        xml_attr(w, "name", spice_channel_to_string(i));
        xml_attr(w, "mode", spice_mode_to_string(def->channels[i]));
        xml_close(w);
    }
}

static void graphics_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const GraphicsDef *def = (const GraphicsDef *)dev;
    const GraphicsListen *listen = graphics_listen(def);

    xml_open(w, "graphics");
    xml_attr(w, "type", graphics_type_to_string(def->type));
    if (def->type == GRAPHICS_VNC && listen != NULL)
        format_vnc_ports(w, def, listen, fmt->flags);
    if (def->type == GRAPHICS_SPICE && listen != NULL)
        format_spice_ports(w, def, listen, fmt->flags);
    if (def->type == GRAPHICS_RDP && listen != NULL)
        format_rdp(w, def, listen, fmt->flags);
    else if (type_fields[def->type].before == vnc_fields || type_fields[def->type].before == spice_fields) {
        fields_format(w, type_fields[def->type].before, def);
        format_auth(w, def, fmt->flags);
    } else {
        fields_format(w, type_fields[def->type].before, def);
    }
    format_listens(w, def, fmt->flags);
    if (def->type == GRAPHICS_SPICE)
        format_channels(w, def);
    if (type_fields[def->type].after != NULL)
        fields_format(w, type_fields[def->type].after, def);
    xml_close(w);
}

/* --- the rest --- */

static gboolean graphics_post_parse(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    GraphicsDef *def = (GraphicsDef *)dev;
    GraphicsListen *listen = graphics_listen(def);

    (void)error;
    (void)ctx;
    /* libvirt: spice with no port at all, and nothing said of listening, listens nowhere. */
    if (def->type == GRAPHICS_SPICE && listen != NULL && listen->type == LISTEN_ADDRESS && !def->autoport &&
        def->port == 0 && def->tls_port == 0) {
        listen->type = LISTEN_NONE;
        g_clear_pointer(&listen->address, g_free);
    }
    return TRUE;
}

static gboolean graphics_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const GraphicsDef *def = (const GraphicsDef *)dev;

    if (def->type == GRAPHICS_VNC && !audio_id_check(ctx->def, def->audio_id, error))
        return FALSE;
    if (!supported_check(SUPPORTED_GRAPHICS, graphics_type_to_string(def->type), "graphics type", error))
        return FALSE;
    if (def->listens->len > 1)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "%s graphics do not support multiple listens for one graphics device",
                         graphics_type_to_string(def->type));
    for (guint i = 0; i < def->listens->len; i++) {
        const GraphicsListen *listen = g_ptr_array_index(def->listens, i);

        if (listen->type == LISTEN_NETWORK && listen->network == NULL)
            return error_set(error, VIR_ERR_XML_ERROR, "'network' attribute is required for listen type 'network'");
    }
    if (def->type == GRAPHICS_SPICE && def->tls_port > 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "spice TLS port %d is set, but TLS of displays is not supported: leave out tlsPort",
                         def->tls_port);
    if (def->type == GRAPHICS_SPICE && def->connected != AUTH_CONNECTED_DEFAULT && def->passwd == NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "graphics attribute connected needs passwd");
    if (def->type == GRAPHICS_DBUS && def->p2p && def->dbus_address != NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "dbus graphics: p2p and address exclude each other");
    return TRUE;
}

static gboolean graphics_matches(const DeviceInfo *dev, const DeviceInfo *wanted)
{
    return ((const GraphicsDef *)dev)->type == ((const GraphicsDef *)wanted)->type;
}

static void graphics_clear(DeviceInfo *dev)
{
    GraphicsDef *def = (GraphicsDef *)dev;

    g_ptr_array_unref(def->listens);
    g_free(def->keymap);
    if (def->passwd != NULL)
        explicit_bzero(def->passwd, strlen(def->passwd));
    g_free(def->passwd);
    g_free(def->display);
    g_free(def->xauth);
    g_free(def->rendernode);
    g_free(def->dbus_address);
}

const DeviceDefOps graphics_def_ops = {
    .kind = DEVICE_GRAPHICS,
    .size = sizeof(GraphicsDef),
    .no_info = TRUE,
    .init = graphics_init,
    .parse = graphics_parse,
    .format = graphics_format,
    .post_parse = graphics_post_parse,
    .validate = graphics_validate,
    .matches = graphics_matches,
    .clear = graphics_clear,
};
