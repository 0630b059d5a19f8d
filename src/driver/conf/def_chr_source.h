/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a character device's bytes go on the host: the part that serial, parallel, console, channel, redirdev,
 * rng (egd), smartcard, tpm and vhost-user elements share. formatdomain, "Host interface".
 */
#pragma once

#include "common/enum_table.h"
#include "common/xml.h"
#include "driver/conf/def_security_label.h"
#include "driver/conf/device_info.h"

typedef enum {
    CHR_TYPE_NULL = 0,
    CHR_TYPE_VC,
    CHR_TYPE_PTY,
    CHR_TYPE_DEV,
    CHR_TYPE_FILE,
    CHR_TYPE_PIPE,
    CHR_TYPE_STDIO,
    CHR_TYPE_UDP,
    CHR_TYPE_TCP,
    CHR_TYPE_UNIX,
    CHR_TYPE_SPICEVMC,
    CHR_TYPE_SPICEPORT,
    CHR_TYPE_NMDM,
    CHR_TYPE_QEMU_VDAGENT,
    CHR_TYPE_DBUS,
    CHR_TYPE_LAST
} ChrType;
ENUM_TABLE_DECL(chr_type, ChrType)

typedef enum {
    CHR_PROTOCOL_RAW = 0,
    CHR_PROTOCOL_TELNET,
    CHR_PROTOCOL_TELNETS,
    CHR_PROTOCOL_TLS,
    CHR_PROTOCOL_LAST
} ChrProtocol;
ENUM_TABLE_DECL(chr_protocol, ChrProtocol)

typedef enum { CHR_MODE_CONNECT = 0, CHR_MODE_BIND, CHR_MODE_LAST } ChrMode;
ENUM_TABLE_DECL(chr_mode, ChrMode)

typedef enum { MOUSE_MODE_DEFAULT = 0, MOUSE_MODE_SERVER, MOUSE_MODE_CLIENT, MOUSE_MODE_LAST } MouseMode;
ENUM_TABLE_DECL(mouse_mode, MouseMode)

/* <reconnect enabled='yes' timeout='10'/> of client sockets; the timeout is in seconds. */
typedef struct {
    Tristate enabled;
    guint timeout;
} ChrReconnect;

/* Fields that a type does not use are NULL or 0. All strings are owned. */
typedef struct {
    ChrType type;
    char *path;      /* pty (live: the slave device), dev, file, pipe, unix */
    Tristate append; /* file: on = keep what the file holds */
    ChrMode mode;    /* tcp, unix: connect or bind (listen) */
    char *host;      /* tcp; udp: where to send to */
    char *service;
    char *bind_host; /* udp: where to receive on */
    char *bind_service;
    ChrProtocol protocol; /* tcp */
    Tristate tls;         /* tcp */
    ChrReconnect reconnect; /* tcp, unix */
    char *channel;          /* spiceport, dbus: name of the port */
    char *master;           /* nmdm */
    char *slave;
    Tristate clipboard_copypaste; /* qemu-vdagent */
    MouseMode mouse_mode;         /* qemu-vdagent */
    GPtrArray *seclabels;         /* of SecurityLabel; NULL when there is none */
    char *log_file;
    Tristate log_append;
} ChrSource;

void chr_source_clear(ChrSource *source);
/* Reads attribute "type" of node (required unless source->type is preset to other than null), and its children
 * <source>, <protocol>, <log>. The path of a pty is read from live XML only. */
gboolean chr_source_parse(xmlNodePtr node, ChrSource *source, guint parse_flags, GError **error);
/* Writes type='…' on the element that is open, and the children. */
void chr_source_format_type(XmlWriter *w, const ChrSource *source);
void chr_source_format_children(XmlWriter *w, const ChrSource *source, guint format_flags);
/* What QEMU on x86 cannot do is refused. what names the element in errors, e.g. "serial". */
gboolean chr_source_validate(const ChrSource *source, const char *what, GError **error);
gboolean chr_source_equal(const ChrSource *a, const ChrSource *b);

/* The shared <reconnect> child of a <source>. */
gboolean chr_reconnect_parse(xmlNodePtr source, ChrReconnect *reconnect, GError **error);
void chr_reconnect_format(XmlWriter *w, const ChrReconnect *reconnect);
