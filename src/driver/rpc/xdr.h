/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * XDR (RFC 4506) as libvirt's protocol uses it, driven by descriptors that tools/gen/rpcgen.py generates: one
 * decoder, one encoder and one clearer for every message, so that limits are checked in one place.
 *
 * Any thread; nothing here is shared. Decoding never allocates more than a small multiple of the bytes it was
 * given: an element count is believed only when the remaining bytes can hold that many elements.
 */
#pragma once

#include <glib.h>

typedef enum XdrOp {
    XDR_NONE,
    XDR_WORD, /* 32 bits */
    XDR_HYPER, /* 64 bits, also doubles */
    XDR_CHAR, /* a word on the wire, gint8 in C */
    XDR_UCHAR, /* a word, guint8 */
    XDR_USHORT, /* a word, guint16 */
    XDR_STRING, /* char *, NULL is sent as "" */
    XDR_OPT_STRING, /* a word "present", then a string */
    XDR_UUID, /* 16 bytes */
    XDR_STRUCT,
    XDR_OPT_STRUCT,
    XDR_ARRAY, /* count, then elements of op "element" */
    XDR_OPAQUE, /* count, bytes, padding */
    XDR_CHAR_FIXED, /* "limit" words, a character each */
    XDR_TEXT, /* count, then a word a character including a final NUL */
    XDR_CHARS, /* count, then a word a character */
    XDR_PARAM_VALUE /* libvirt's typed parameter value: type, then by type */
} XdrOp;

typedef struct XdrType XdrType;

typedef struct XdrField {
    const char *name;
    guint8 op;
    guint8 element; /* XDR_ARRAY only */
    guint32 offset;
    guint32 len_offset; /* of the guint32 count, when the op has one */
    guint32 limit; /* elements, or bytes of a string */
    const XdrType *type;
} XdrField;

struct XdrType {
    const char *name;
    guint32 size; /* of the C struct */
    guint32 smallest; /* bytes on the wire at least */
    guint32 n_fields;
    const XdrField *fields;
};

/* A typed parameter (virTypedParameter). type is VIR_TYPED_PARAM_*; s is owned when type is STRING. */
typedef struct WireTypedParam {
    char *field;
    struct {
        gint32 type;
        union {
            gint32 i;
            guint32 ui;
            gint64 l;
            guint64 ul;
            gdouble d;
            gint32 b;
            char *s;
        };
    } value;
} WireTypedParam;
extern const XdrType xdr_wire_typed_param;

/* All generated types, NULL-terminated: for tests and the fuzz target. */
extern const XdrType *const xdr_all_types[];

/* Output: a growing buffer. Start with {0}; data is g_malloc'ed and the caller's. */
typedef struct XdrWriter {
    guint8 *data;
    gsize length;
    gsize size;
} XdrWriter;

void xdr_writer_clear(XdrWriter *writer);
void xdr_put_bytes(XdrWriter *writer, const void *data, gsize length);
void xdr_put_word(XdrWriter *writer, guint32 value);
/* Overwrites the word at an offset already written. */
void xdr_patch_word(XdrWriter *writer, gsize offset, guint32 value);

/* Decodes value (type->size bytes, need not be zeroed). On FALSE value is cleared and VIR_ERR_RPC is set.
 * *ret_used, unless NULL, is the number of bytes consumed. */
gboolean xdr_decode(const XdrType *type, const guint8 *data, gsize length, void *value, gsize *ret_used,
                    GError **error);
/* Appends value. FALSE and VIR_ERR_RPC when a limit is exceeded or the writer would grow beyond max_length
 * bytes; what was appended so far is then taken back. */
gboolean xdr_encode(const XdrType *type, const void *value, XdrWriter *writer, gsize max_length,
                    GError **error);
/* Frees everything the value owns and zeroes it. A zeroed value is fine. */
void xdr_clear(const XdrType *type, void *value);
