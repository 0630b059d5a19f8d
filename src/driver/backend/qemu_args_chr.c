/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Character devices: -chardev back ends, serial and parallel ports, virtio consoles and channels. */
#include <string.h>

#include "driver/backend/qemu_args_priv.h"

static void add_reconnect(QemuBuilder *b, GString *text, const ChrReconnect *reconnect)
{
    guint seconds = reconnect->timeout;

    if (reconnect->enabled == TRISTATE_ABSENT)
        return;
    if (reconnect->enabled == TRISTATE_NO)
        seconds = 0;
    if (b->context->caps != NULL && qemu_caps_has_option(b->context->caps, "chardev", "reconnect-ms"))
        g_string_append_printf(text, ",reconnect-ms=%" G_GUINT64_FORMAT, (guint64)seconds * 1000);
    else
        g_string_append_printf(text, ",reconnect=%u", seconds);
}

static void add_value(GString *text, const char *key, const char *value)
{
    g_autofree char *escaped = value ? args_escape(value) : NULL;

    if (value != NULL)
        g_string_append_printf(text, ",%s=%s", key, escaped);
}

static gboolean socket_text(QemuBuilder *b, const ChrSource *source, GString *text, const char *id,
                            GError **error)
{
    gpointer fd;

    g_string_append_printf(text, "socket,id=%s", id);
    if (b->context->sockets != NULL && source->mode == CHR_MODE_BIND && g_str_has_prefix(id, "char") &&
        g_hash_table_lookup_extended(b->context->sockets, id + strlen("char"), NULL, &fd)) {
        g_string_append_printf(text, ",fd=%d,server=on,wait=off", args_pass_fd(b, GPOINTER_TO_INT(fd)));
        return TRUE;
    }
    if (source->type == CHR_TYPE_UNIX) {
        add_value(text, "path", source->path);
    } else {
        add_value(text, "host", source->host);
        add_value(text, "port", source->service);
        if (source->protocol == CHR_PROTOCOL_TELNET)
            g_string_append(text, ",telnet=on");
        else if (source->protocol == CHR_PROTOCOL_TLS || source->tls == TRISTATE_YES)
            return args_unsupported(error, "TLS for character devices is not supported");
    }
    if (source->mode == CHR_MODE_BIND)
        g_string_append(text, ",server=on,wait=off");
    else
        add_reconnect(b, text, &source->reconnect);
    return TRUE;
}

static gboolean chardev_text(QemuBuilder *b, const ChrSource *source, const char *id, GString *text,
                             GError **error)
{
    switch (source->type) {
    case CHR_TYPE_NULL:
        g_string_append_printf(text, "null,id=%s", id);
        return TRUE;
    case CHR_TYPE_VC:
        g_string_append_printf(text, "vc,id=%s", id);
        return TRUE;
    case CHR_TYPE_PTY:
        g_string_append_printf(text, "pty,id=%s", id);
        return TRUE;
    case CHR_TYPE_STDIO:
        g_string_append_printf(text, "stdio,id=%s", id);
        return TRUE;
    case CHR_TYPE_DEV:
        g_string_append_printf(
            text, "%s,id=%s",
            g_str_has_prefix(source->path ? source->path : "", "/dev/parport") ? "parallel" : "serial", id);
        add_value(text, "path", source->path);
        return TRUE;
    case CHR_TYPE_FILE:
        g_string_append_printf(text, "file,id=%s", id);
        add_value(text, "path", source->path);
        if (source->append != TRISTATE_ABSENT)
            g_string_append_printf(text, ",append=%s", source->append == TRISTATE_YES ? "on" : "off");
        else
            g_string_append(text, ",append=on"); /* as libvirt: a log is not lost by a restart of the guest */
        return TRUE;
    case CHR_TYPE_PIPE:
        g_string_append_printf(text, "pipe,id=%s", id);
        add_value(text, "path", source->path);
        return TRUE;
    case CHR_TYPE_UDP:
        g_string_append_printf(text, "udp,id=%s", id);
        add_value(text, "host", source->host ? source->host : "");
        add_value(text, "port", source->service);
        add_value(text, "localaddr", source->bind_host ? source->bind_host : "");
        add_value(text, "localport", source->bind_service ? source->bind_service : "0");
        return TRUE;
    case CHR_TYPE_TCP:
    case CHR_TYPE_UNIX:
        return socket_text(b, source, text, id, error);
    case CHR_TYPE_SPICEVMC:
    case CHR_TYPE_SPICEPORT:
        if (b->context->caps != NULL && !qemu_caps_has_option(b->context->caps, "spice", NULL))
            return args_unsupported(error, "spice is not supported with '%s'", b->context->emulator);
        if (source->type == CHR_TYPE_SPICEVMC)
            g_string_append_printf(text, "spicevmc,id=%s,name=%s", id,
                                   strstr(id, "redir") != NULL ? "usbredir" : "vdagent");
        else
            g_string_append_printf(text, "spiceport,id=%s,name=%s", id,
                                   source->channel ? source->channel : "");
        return TRUE;
    case CHR_TYPE_QEMU_VDAGENT:
        g_string_append_printf(text, "qemu-vdagent,id=%s,name=vdagent", id);
        if (source->clipboard_copypaste != TRISTATE_ABSENT)
            g_string_append_printf(text, ",clipboard=%s",
                                   source->clipboard_copypaste == TRISTATE_YES ? "on" : "off");
        if (source->mouse_mode != MOUSE_MODE_DEFAULT)
            g_string_append_printf(text, ",mouse=%s", source->mouse_mode == MOUSE_MODE_CLIENT ? "on" : "off");
        return TRUE;
    default:
        return args_unsupported(error, "character device type '%s' is not supported",
                                chr_type_to_string(source->type));
    }
}

gboolean args_chardev(QemuBuilder *b, const ChrSource *source, const char *alias, GError **error)
{
    g_autofree char *id = g_strconcat("char", alias, NULL);
    GString *text = g_string_new(NULL);

    if (!chardev_text(b, source, id, text, error)) {
        g_string_free(text, TRUE);
        return FALSE;
    }
    if (source->log_file != NULL) {
        add_value(text, "logfile", source->log_file);
        g_string_append_printf(text, ",logappend=%s", source->log_append == TRISTATE_NO ? "off" : "on");
    }
    args_add_text(b, "-chardev", g_string_free(text, FALSE));
    return TRUE;
}

/* --- front ends --- */

static gboolean add_front(QemuBuilder *b, const ChrDef *chr, json_t *props, GError **error)
{
    g_autofree char *chardev = g_strconcat("char", chr->info.alias, NULL);

    prop_str(props, "chardev", chardev);
    if (!device_finish(b->def, props, &chr->info, error) ||
        !args_require_device(b, json_string_value(json_object_get(props, "driver")),
                             device_kind_to_string(chr->info.kind), error)) {
        json_decref(props);
        return FALSE;
    }
    args_add_json(b, "-device", props);
    return TRUE;
}

static gboolean add_serial(QemuBuilder *b, const ChrDef *chr, GError **error)
{
    json_t *props;

    if (!args_chardev(b, &chr->source, chr->info.alias, error))
        return FALSE;
    switch (chr->target.serial) {
    case SERIAL_TARGET_USB:
        props = device_props("usb-serial");
        break;
    case SERIAL_TARGET_PCI:
        props = device_props("pci-serial");
        break;
    case SERIAL_TARGET_ISA_DEBUG:
        props = device_props("isa-debugcon");
        break;
    case SERIAL_TARGET_NONE:
    case SERIAL_TARGET_ISA:
        props = device_props("isa-serial");
        if (chr->port >= 0)
            prop_int(props, "index", chr->port);
        break;
    default:
        return args_unsupported(error, "serial target type '%s' is not supported",
                                serial_target_to_string(chr->target.serial));
    }
    return add_front(b, chr, props, error);
}

static gboolean add_parallel(QemuBuilder *b, const ChrDef *chr, GError **error)
{
    json_t *props = device_props("isa-parallel");

    if (!args_chardev(b, &chr->source, chr->info.alias, error)) {
        json_decref(props);
        return FALSE;
    }
    if (chr->port >= 0)
        prop_int(props, "index", chr->port);
    return add_front(b, chr, props, error);
}

static gboolean add_console(QemuBuilder *b, const ChrDef *chr, GError **error)
{
    if (chr_is_serial_console(chr))
        return TRUE; /* the first serial port by another name */
    if (chr->target.console != CONSOLE_TARGET_VIRTIO)
        return args_unsupported(error, "console target type '%s' is not supported",
                                console_target_to_string(chr->target.console));
    return args_chardev(b, &chr->source, chr->info.alias, error) &&
           add_front(b, chr, device_props("virtconsole"), error);
}

static gboolean add_channel(QemuBuilder *b, const ChrDef *chr, GError **error)
{
    json_t *props;

    if (chr->target.channel != CHANNEL_TARGET_VIRTIO && chr->target.channel != CHANNEL_TARGET_GUESTFWD)
        return args_unsupported(error, "channel target type '%s' is not supported",
                                channel_target_to_string(chr->target.channel));
    if (!args_chardev(b, &chr->source, chr->info.alias, error))
        return FALSE;
    if (chr->target.channel == CHANNEL_TARGET_GUESTFWD) {
        args_add(b, "-netdev", "user,guestfwd=tcp:%s:%i-chardev:char%s,id=%s", chr->address, chr->port,
                 chr->info.alias, chr->info.alias);
        return TRUE;
    }
    props = device_props("virtserialport");
    prop_str(props, "name", chr->name);
    return add_front(b, chr, props, error);
}

static const struct {
    DeviceKind kind;
    gboolean (*add)(QemuBuilder *b, const ChrDef *chr, GError **error);
} kinds[] = {{DEVICE_SERIAL, add_serial},
             {DEVICE_PARALLEL, add_parallel},
             {DEVICE_CHANNEL, add_channel},
             {DEVICE_CONSOLE, add_console}};

gboolean args_chr(QemuBuilder *b, const ChrDef *chr, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (kinds[i].kind == chr->info.kind)
            return kinds[i].add(b, chr, error);
    }
    return FALSE;
}

gboolean args_chrs(QemuBuilder *b, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        DOMAIN_DEF_FOREACH(ChrDef, chr, b->def, kinds[i].kind)
        {
            if (!kinds[i].add(b, chr, error))
                return FALSE;
        }
    }
    return TRUE;
}
