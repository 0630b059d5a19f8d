/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Host side of character devices: see def_chr_source.h. */
#include "driver/conf/def_chr_source.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/fields.h"

ENUM_TABLE(chr_type, ChrType, CHR_TYPE_LAST, "null", "vc", "pty", "dev", "file", "pipe", "stdio", "udp",
           "tcp", "unix", "spicevmc", "spiceport", "nmdm", "qemu-vdagent", "dbus")
ENUM_TABLE(chr_protocol, ChrProtocol, CHR_PROTOCOL_LAST, "raw", "telnet", "telnets", "tls")
ENUM_TABLE(chr_mode, ChrMode, CHR_MODE_LAST, "connect", "bind")
ENUM_TABLE(mouse_mode, MouseMode, MOUSE_MODE_LAST, "default", "server", "client")

static const Field path_fields[] = {FIELD_STR(ChrSource, path, "path"), FIELD_END};
static const Field file_fields[] = {
    FIELD_STR(ChrSource, path, "path"),
    FIELD_ON_OFF(ChrSource, append, "append"),
    FIELD_END,
};
static const Field nmdm_fields[] = {
    FIELD_STR(ChrSource, master, "master"),
    FIELD_STR(ChrSource, slave, "slave"),
    FIELD_END,
};
static const Field tcp_fields[] = {
    FIELD_ENUM_ALWAYS(ChrSource, mode, "mode", chr_mode, 0),
    FIELD_STR(ChrSource, host, "host"),
    FIELD_STR(ChrSource, service, "service"),
    FIELD_YES_NO(ChrSource, tls, "tls"),
    FIELD_END,
};
static const Field unix_fields[] = {
    FIELD_ENUM_ALWAYS(ChrSource, mode, "mode", chr_mode, 0),
    FIELD_STR(ChrSource, path, "path"),
    FIELD_END,
};
static const Field port_fields[] = {FIELD_STR(ChrSource, channel, "channel"), FIELD_END};
static const Field clipboard_fields[] = {
    FIELD_YES_NO(ChrSource, clipboard_copypaste, "copypaste"),
    FIELD_END,
};
static const Field mouse_fields[] = {FIELD_ENUM(ChrSource, mouse_mode, "mode", mouse_mode), FIELD_END};
static const Field vdagent_fields[] = {
    FIELD_ELEMENT("clipboard", clipboard_fields),
    FIELD_ELEMENT("mouse", mouse_fields),
    FIELD_END,
};
static const Field udp_to_fields[] = {
    FIELD_STR(ChrSource, host, "host"),
    FIELD_STR(ChrSource, service, "service"),
    FIELD_END,
};
static const Field udp_bind_fields[] = {
    FIELD_STR(ChrSource, bind_host, "host"),
    FIELD_STR(ChrSource, bind_service, "service"),
    FIELD_END,
};
static const Field log_fields[] = {
    FIELD_STR(ChrSource, log_file, "file"),
    FIELD_ON_OFF(ChrSource, log_append, "append"),
    FIELD_END,
};
static const Field protocol_fields[] = {
    FIELD_ENUM_ALWAYS(ChrSource, protocol, "type", chr_protocol, 0, .unknown = "Unknown protocol"),
    FIELD_END,
};

/* What <source> holds, by type; NULL: nothing. udp is read and written by hand: it may have two sources. */
static const Field *const source_fields[CHR_TYPE_LAST] = {
    [CHR_TYPE_PTY] = path_fields,
    [CHR_TYPE_DEV] = path_fields,
    [CHR_TYPE_FILE] = file_fields,
    [CHR_TYPE_PIPE] = path_fields,
    [CHR_TYPE_TCP] = tcp_fields,
    [CHR_TYPE_UNIX] = unix_fields,
    [CHR_TYPE_SPICEPORT] = port_fields,
    [CHR_TYPE_NMDM] = nmdm_fields,
    [CHR_TYPE_QEMU_VDAGENT] = vdagent_fields,
    [CHR_TYPE_DBUS] = port_fields,
};

void chr_source_clear(ChrSource *source)
{
    for (gsize i = 0; i < G_N_ELEMENTS(source_fields); i++) {
        if (source_fields[i] != NULL)
            fields_clear(source_fields[i], source);
    }
    fields_clear(udp_to_fields, source);
    fields_clear(udp_bind_fields, source);
    fields_clear(log_fields, source);
    g_clear_pointer(&source->seclabels, g_ptr_array_unref);
}

gboolean chr_reconnect_parse(xmlNodePtr source, ChrReconnect *reconnect, GError **error)
{
    xmlNodePtr node = xml_child(source, "reconnect");

    if (node == NULL)
        return TRUE;
    if (!xml_attr_get_yes_no(node, "enabled", XML_OPTIONAL, &reconnect->enabled, error))
        return FALSE;
    return reconnect->enabled != TRISTATE_YES ||
           xml_attr_get_uint(node, "timeout", XML_REQUIRED, &reconnect->timeout, error);
}

void chr_reconnect_format(XmlWriter *w, const ChrReconnect *reconnect)
{
    if (reconnect->enabled == TRISTATE_ABSENT)
        return;
    xml_open(w, "reconnect");
    xml_attr(w, "enabled", tristate_yes_no(reconnect->enabled));
    if (reconnect->enabled == TRISTATE_YES)
        xml_attr_u64(w, "timeout", reconnect->timeout);
    xml_close(w);
}

static gboolean parse_udp(xmlNodePtr node, ChrSource *source, GError **error)
{
    int mode = CHR_MODE_CONNECT;

    if (!xml_attr_get_enum(node, "mode", chr_mode_from_string, XML_OPTIONAL, &mode, error))
        return FALSE;
    return fields_parse(mode == CHR_MODE_BIND ? udp_bind_fields : udp_to_fields, node, source, error);
}

static gboolean parse_source(xmlNodePtr node, ChrSource *source, guint parse_flags, GError **error)
{
    const Field *fields = source_fields[source->type];

    if (source->type == CHR_TYPE_UDP)
        return parse_udp(node, source, error);
    if (source->type == CHR_TYPE_PTY && (parse_flags & DOMAIN_DEF_PARSE_INACTIVE))
        fields = NULL;
    if (fields != NULL && !fields_parse(fields, node, source, error))
        return FALSE;
    if ((source->type == CHR_TYPE_TCP || source->type == CHR_TYPE_UNIX) &&
        !chr_reconnect_parse(node, &source->reconnect, error))
        return FALSE;
    return security_labels_parse(node, &source->seclabels, error);
}

static gboolean at_most(xmlNodePtr node, const char *child, guint limit, const char *words, GError **error)
{
    if (xml_count(node, child) <= limit)
        return TRUE;
    return error_set(error, VIR_ERR_XML_ERROR, "only %s %s allowed for character device", words,
                     limit == 1 ? "element is" : "elements are");
}

gboolean chr_source_parse(xmlNodePtr node, ChrSource *source, guint parse_flags, GError **error)
{
    g_autofree char *type = xml_get_attr(node, "type");

    if (type != NULL) {
        int value = chr_type_from_string(type);

        if (value < 0)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "unknown type presented to host for character device: %s", type);
        source->type = value;
    } else if (source->type == CHR_TYPE_NULL) {
        return error_set(error, VIR_ERR_XML_ERROR, "Missing required attribute 'type' in element '%s'",
                         (const char *)node->name);
    }
    if (!at_most(node, "source", source->type == CHR_TYPE_UDP ? 2 : 1,
                 source->type == CHR_TYPE_UDP ? "two source" : "one source", error) ||
        !at_most(node, "log", 1, "one log", error) || !at_most(node, "protocol", 1, "one protocol", error))
        return FALSE;
    XML_FOREACH(child, node, "source")
    {
        if (!parse_source(child, source, parse_flags, error))
            return FALSE;
    }
    if (xml_child(node, "log") != NULL && !fields_parse(log_fields, xml_child(node, "log"), source, error))
        return FALSE;
    return source->type != CHR_TYPE_TCP || xml_child(node, "protocol") == NULL ||
           fields_parse(protocol_fields, xml_child(node, "protocol"), source, error);
}

void chr_source_format_type(XmlWriter *w, const ChrSource *source)
{
    xml_attr(w, "type", chr_type_to_string(source->type));
}

static void format_udp(XmlWriter *w, const char *mode, const Field *fields, const ChrSource *source)
{
    if (!fields_any(fields, source))
        return;
    xml_open(w, "source");
    xml_attr(w, "mode", mode);
    fields_format(w, fields, source);
    xml_close(w);
}

/* Whether there is a <source> to write. */
static gboolean has_source(const ChrSource *source, guint format_flags)
{
    switch (source->type) {
    case CHR_TYPE_PTY:
        return source->path != NULL && !(format_flags & DOMAIN_DEF_FORMAT_INACTIVE);
    case CHR_TYPE_UNIX:
        return source->path != NULL;
    case CHR_TYPE_TCP:
        return TRUE;
    default:
        return source_fields[source->type] != NULL && fields_any(source_fields[source->type], source);
    }
}

void chr_source_format_children(XmlWriter *w, const ChrSource *source, guint format_flags)
{
    if (source->type == CHR_TYPE_UDP) {
        format_udp(w, "bind", udp_bind_fields, source);
        format_udp(w, "connect", udp_to_fields, source);
    } else if (has_source(source, format_flags)) {
        xml_open(w, "source");
        fields_format(w, source_fields[source->type], source);
        security_labels_format(w, source->seclabels, format_flags);
        chr_reconnect_format(w, &source->reconnect);
        xml_close(w);
    }
    if (source->type == CHR_TYPE_TCP)
        fields_format_element(w, "protocol", protocol_fields, source);
    if (source->log_file != NULL)
        fields_format_element(w, "log", log_fields, source);
}

static gboolean check_channel_name(const char *name, GError **error)
{
    if (name == NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "Missing source channel attribute for char device");
    for (const char *p = name; *p != '\0'; p++) {
        if (!g_ascii_isalnum(*p) && strchr("_.-", *p) == NULL)
            return error_set(error, VIR_ERR_INVALID_ARG,
                             "Invalid character in source channel for char device");
    }
    return TRUE;
}

gboolean chr_source_validate(const ChrSource *source, const char *what, GError **error)
{
    switch (source->type) {
    case CHR_TYPE_DEV:
    case CHR_TYPE_FILE:
    case CHR_TYPE_PIPE:
    case CHR_TYPE_UNIX:
        if (source->path == NULL)
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "Missing source path attribute for char device");
        break;
    case CHR_TYPE_TCP:
        if (source->host == NULL)
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "Missing source host attribute for char device");
        if (source->service == NULL)
            return error_set(error, VIR_ERR_INTERNAL_ERROR,
                             "Missing source service attribute for char device");
        if (source->protocol != CHR_PROTOCOL_RAW && source->protocol != CHR_PROTOCOL_TELNET)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "%s: protocol type '%s' is not supported; supported are raw, telnet", what,
                             chr_protocol_to_string(source->protocol));
        break;
    case CHR_TYPE_UDP:
        if (source->service == NULL)
            return error_set(error, VIR_ERR_INTERNAL_ERROR,
                             "Missing source service attribute for char device");
        break;
    case CHR_TYPE_SPICEPORT:
    case CHR_TYPE_DBUS:
        if (!check_channel_name(source->channel, error))
            return FALSE;
        break;
    case CHR_TYPE_NMDM:
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "%s: type 'nmdm' is not supported: Linux has no such device", what);
    default:
        break;
    }
    if ((source->type == CHR_TYPE_TCP || source->type == CHR_TYPE_UNIX) && source->mode == CHR_MODE_BIND &&
        source->reconnect.enabled == TRISTATE_YES)
        return error_set(error, VIR_ERR_INTERNAL_ERROR,
                         "chardev reconnect is possible only for connect mode");
    return source->reconnect.enabled != TRISTATE_YES || source->reconnect.timeout != 0 ||
           error_set(error, VIR_ERR_INVALID_ARG, "chardev reconnect source timeout cannot be '0'");
}

gboolean chr_source_equal(const ChrSource *a, const ChrSource *b)
{
    if (a->type != b->type)
        return FALSE;
    switch (a->type) {
    case CHR_TYPE_UDP:
        return fields_equal(udp_to_fields, a, b) && fields_equal(udp_bind_fields, a, b);
    case CHR_TYPE_TCP:
        return a->mode == b->mode && a->protocol == b->protocol && g_strcmp0(a->host, b->host) == 0 &&
               g_strcmp0(a->service, b->service) == 0;
    case CHR_TYPE_UNIX:
        return a->mode == b->mode && g_strcmp0(a->path, b->path) == 0;
    case CHR_TYPE_PTY:
        return TRUE; /* the path is only known while running */
    default:
        return source_fields[a->type] == NULL || fields_equal(source_fields[a->type], a, b);
    }
}
