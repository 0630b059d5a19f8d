/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Frames of libvirt's RPC: a length word that counts itself, six header words, a payload; descriptors follow
 * a message of a *_WITH_FDS type as one dummy byte each. Any thread.
 */
#pragma once

#include <glib.h>

#include "driver/rpc/xdr.h"

#define WIRE_LENGTH_SIZE 4
#define WIRE_HEADER_SIZE 24
#define WIRE_FRAME_SIZE (WIRE_LENGTH_SIZE + WIRE_HEADER_SIZE)
#define WIRE_MESSAGE_MAX (32 * 1024 * 1024) /* header and payload */
#define WIRE_FRAME_MAX (WIRE_LENGTH_SIZE + WIRE_MESSAGE_MAX)
#define WIRE_FRAME_ANONYMOUS_MAX (256 * 1024) /* from who is not authenticated yet */
#define WIRE_FDS_MAX 32

typedef enum {
    WIRE_CALL = 0,
    WIRE_REPLY = 1,
    WIRE_MESSAGE = 2,
    WIRE_STREAM = 3,
    WIRE_CALL_WITH_FDS = 4,
    WIRE_REPLY_WITH_FDS = 5,
    WIRE_STREAM_HOLE = 6,
    WIRE_TYPE_LAST
} WireType;

typedef enum { WIRE_OK = 0, WIRE_ERROR = 1, WIRE_CONTINUE = 2, WIRE_STATUS_LAST } WireStatus;

typedef struct WireHeader {
    guint32 program;
    guint32 version;
    gint32 procedure;
    guint32 type;
    guint32 serial;
    guint32 status;
} WireHeader;

guint32 wire_get_word(const guint8 *data);
void wire_decode_header(const guint8 *data, WireHeader *ret_header);
/* Appends a frame with its length still open; returns where it begins. */
gsize wire_begin(XdrWriter *writer, const WireHeader *header);
void wire_end(XdrWriter *writer, gsize begin);
/* The body of an error reply: libvirt's remote_error. */
void wire_put_error(XdrWriter *writer, const GError *error);
/* A whole frame with an error body, status WIRE_ERROR. */
void wire_error_frame(XdrWriter *writer, const WireHeader *header, const GError *error);
