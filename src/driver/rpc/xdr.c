/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The XDR interpreter: see xdr.h. Recursion is bounded by the type descriptions, which contain no cycle. */
#define ERROR_FROM VIR_FROM_RPC
#include "driver/rpc/xdr.h"

#include <libvirt/libvirt.h>
#include <stddef.h>
#include <string.h>

#include "common/error.h"

typedef struct Reader {
    const guint8 *at;
    gsize left;
    const XdrType *type; /* of the field being read, for errors */
    const XdrField *field;
    GError **error;
} Reader;

static const XdrField typed_param_fields[] = {
    {"field", XDR_STRING, 0, offsetof(WireTypedParam, field), 0, 4194304, NULL},
    {"value", XDR_PARAM_VALUE, 0, offsetof(WireTypedParam, value), 0, 4194304, NULL},
};
const XdrType xdr_wire_typed_param = {
    "WireTypedParam", sizeof(WireTypedParam), 12, G_N_ELEMENTS(typed_param_fields), typed_param_fields,
};

typedef __typeof__(((WireTypedParam *)NULL)->value) ParamValue;

#define AT(type, value, field) ((type *)(void *)((guint8 *)(value) + (field)->offset))
#define COUNT_AT(value, field) ((guint32 *)(void *)((guint8 *)(value) + (field)->len_offset))

static gsize padded(gsize length)
{
    return (length + 3) & ~(gsize)3;
}

static gsize op_size(XdrOp op, const XdrType *type)
{
    switch (op) {
    case XDR_WORD:
        return 4;
    case XDR_HYPER:
        return 8;
    case XDR_STRING:
        return sizeof(char *);
    case XDR_STRUCT:
        return type->size;
    default:
        g_assert_not_reached();
    }
}

static gsize op_smallest(XdrOp op, const XdrType *type)
{
    return op == XDR_STRUCT ? MAX(type->smallest, 4) : op == XDR_HYPER ? 8 : 4;
}

/* --- decoding ------------------------------------------------------------------------------------ */

static gboolean bad(Reader *in, const char *what)
{
    return error_set(in->error, VIR_ERR_RPC, "Unable to decode message payload: %s.%s: %s", in->type->name,
                     in->field->name, what);
}

static gboolean get_word(Reader *in, guint32 *ret_value)
{
    guint32 value;

    if (in->left < 4)
        return bad(in, "message ends too early");
    memcpy(&value, in->at, 4);
    *ret_value = GUINT32_FROM_BE(value);
    in->at += 4;
    in->left -= 4;
    return TRUE;
}

static gboolean get_hyper(Reader *in, guint64 *ret_value)
{
    guint64 value;

    if (in->left < 8)
        return bad(in, "message ends too early");
    memcpy(&value, in->at, 8);
    *ret_value = GUINT64_FROM_BE(value);
    in->at += 8;
    in->left -= 8;
    return TRUE;
}

/* Reads a count and checks it against the limit and what the rest of the message can hold. */
static gboolean get_count(Reader *in, guint32 limit, gsize smallest, guint32 *ret_count)
{
    guint32 count = 0;

    if (!get_word(in, &count))
        return FALSE;
    if (count > limit)
        return bad(in, "longer than the protocol allows");
    if (count > in->left / smallest)
        return bad(in, "message ends too early");
    *ret_count = count;
    return TRUE;
}

static gboolean get_bytes(Reader *in, void *data, gsize length)
{
    if (in->left < padded(length))
        return bad(in, "message ends too early");
    memcpy(data, in->at, length);
    in->at += padded(length);
    in->left -= padded(length);
    return TRUE;
}

static gboolean get_string(Reader *in, guint32 limit, char **ret_string)
{
    g_autofree char *string = NULL;
    guint32 length;

    if (!get_count(in, limit, 1, &length))
        return FALSE;
    string = g_malloc((gsize)length + 1);
    if (!get_bytes(in, string, length))
        return FALSE;
    string[length] = '\0';
    if (strlen(string) != length)
        return bad(in, "a string with a NUL inside");
    *ret_string = g_steal_pointer(&string);
    return TRUE;
}

static gboolean get_present(Reader *in, gboolean *ret_present)
{
    guint32 word = 0;

    if (!get_word(in, &word))
        return FALSE;
    /* RFC 4506 has 0 and 1 only, but libvirtd takes any other word for 1, and clients rely on it: go-libvirt sends
     * 0x01000000 in CONNECT_OPEN. */
    *ret_present = word != 0;
    return TRUE;
}

/* Characters that take a word each; "words" must have room for count. */
static gboolean get_chars(Reader *in, char *chars, guint32 count)
{
    for (guint32 i = 0; i < count; i++) {
        guint32 word;

        if (!get_word(in, &word))
            return FALSE;
        chars[i] = (char)(guint8)word;
    }
    return TRUE;
}

static gboolean get_param_value(Reader *in, guint32 limit, ParamValue *value)
{
    guint32 type = 0, word = 0;
    guint64 hyper = 0;

    if (!get_word(in, &type))
        return FALSE;
    switch (type) {
    case VIR_TYPED_PARAM_INT:
    case VIR_TYPED_PARAM_UINT:
    case VIR_TYPED_PARAM_BOOLEAN:
        if (!get_word(in, &word))
            return FALSE;
        value->ui = word;
        break;
    case VIR_TYPED_PARAM_LLONG:
    case VIR_TYPED_PARAM_ULLONG:
    case VIR_TYPED_PARAM_DOUBLE:
        if (!get_hyper(in, &hyper))
            return FALSE;
        memcpy(&value->ul, &hyper, 8);
        break;
    case VIR_TYPED_PARAM_STRING:
        if (!get_string(in, limit, &value->s))
            return FALSE;
        break;
    default:
        return bad(in, "unknown parameter type");
    }
    value->type = (gint32)type;
    return TRUE;
}

static gboolean get_struct(Reader *in, const XdrType *type, void *value);

static gboolean get_array(Reader *in, const XdrField *field, void *value)
{
    gsize size = op_size(field->element, field->type);
    guint32 *count = COUNT_AT(value, field);
    guint8 *items;
    guint32 n;

    if (!get_count(in, field->limit, op_smallest(field->element, field->type), &n))
        return FALSE;
    if (n == 0)
        return TRUE;
    items = g_malloc0_n(n, size);
    *AT(void *, value, field) = items;
    *count = n; /* now, so that a failure half way frees what is there: the rest is zeroed */
    for (guint32 i = 0; i < n; i++) {
        void *item = items + size * i;
        gboolean fine;

        switch (field->element) {
        case XDR_WORD:
            fine = get_word(in, item);
            break;
        case XDR_HYPER:
            fine = get_hyper(in, item);
            break;
        case XDR_STRING:
            fine = get_string(in, 4194304, item);
            break;
        default:
            fine = get_struct(in, field->type, item);
            break;
        }
        if (!fine)
            return FALSE;
    }
    return TRUE;
}

static gboolean get_counted_chars(Reader *in, const XdrField *field, void *value)
{
    gboolean text = field->op == XDR_TEXT;
    g_autofree char *chars = NULL;
    guint32 n;

    if (!get_count(in, field->limit, 4, &n))
        return FALSE;
    if (n == 0)
        return TRUE;
    chars = g_malloc((gsize)n + 1);
    if (!get_chars(in, chars, n))
        return FALSE;
    chars[n] = '\0';
    if (!text)
        *COUNT_AT(value, field) = n;
    *AT(char *, value, field) = g_steal_pointer(&chars);
    return TRUE;
}

static gboolean get_field(Reader *in, const XdrField *field, void *value)
{
    gboolean present = FALSE;
    guint32 word = 0;

    switch ((XdrOp)field->op) {
    case XDR_WORD:
        return get_word(in, AT(guint32, value, field));
    case XDR_HYPER:
        return get_hyper(in, AT(guint64, value, field));
    case XDR_CHAR:
    case XDR_UCHAR:
        if (!get_word(in, &word))
            return FALSE;
        *AT(guint8, value, field) = (guint8)word;
        return TRUE;
    case XDR_USHORT:
        if (!get_word(in, &word))
            return FALSE;
        *AT(guint16, value, field) = (guint16)word;
        return TRUE;
    case XDR_STRING:
        return get_string(in, field->limit, AT(char *, value, field));
    case XDR_OPT_STRING:
        return get_present(in, &present) &&
               (!present || get_string(in, field->limit, AT(char *, value, field)));
    case XDR_UUID:
        return get_bytes(in, AT(guint8, value, field), 16);
    case XDR_STRUCT:
        return get_struct(in, field->type, AT(void, value, field));
    case XDR_OPT_STRUCT:
        if (!get_present(in, &present))
            return FALSE;
        if (!present)
            return TRUE;
        *AT(void *, value, field) = g_malloc0(field->type->size);
        return get_struct(in, field->type, *AT(void *, value, field));
    case XDR_ARRAY:
        return get_array(in, field, value);
    case XDR_OPAQUE:
        if (!get_count(in, field->limit, 1, &word))
            return FALSE;
        if (word == 0)
            return TRUE;
        *AT(void *, value, field) = g_malloc(word);
        *COUNT_AT(value, field) = word;
        return get_bytes(in, *AT(void *, value, field), word);
    case XDR_CHAR_FIXED:
        return get_chars(in, AT(char, value, field), field->limit);
    case XDR_TEXT:
    case XDR_CHARS:
        return get_counted_chars(in, field, value);
    case XDR_PARAM_VALUE:
        return get_param_value(in, field->limit, AT(ParamValue, value, field));
    case XDR_NONE:
        break;
    }
    g_assert_not_reached();
}

static gboolean get_struct(Reader *in, const XdrType *type, void *value)
{
    for (guint32 i = 0; i < type->n_fields; i++) {
        in->type = type;
        in->field = &type->fields[i];
        if (!get_field(in, &type->fields[i], value))
            return FALSE;
    }
    return TRUE;
}

gboolean xdr_decode(const XdrType *type, const guint8 *data, gsize length, void *value, gsize *ret_used,
                    GError **error)
{
    Reader in = {.at = data, .left = length, .type = type, .error = error};

    memset(value, 0, type->size);
    if (!get_struct(&in, type, value)) {
        xdr_clear(type, value);
        return FALSE;
    }
    if (ret_used != NULL)
        *ret_used = length - in.left;
    return TRUE;
}

/* --- encoding ------------------------------------------------------------------------------------ */

void xdr_writer_clear(XdrWriter *writer)
{
    g_free(writer->data);
    *writer = (XdrWriter){0};
}

static guint8 *writer_room(XdrWriter *writer, gsize length)
{
    guint8 *at;

    if (writer->size - writer->length < length) {
        writer->size = MAX(writer->size * 2, padded(writer->length + length + 64));
        writer->data = g_realloc(writer->data, writer->size);
    }
    at = writer->data + writer->length;
    writer->length += length;
    return at;
}

void xdr_put_bytes(XdrWriter *writer, const void *data, gsize length)
{
    if (length > 0)
        memcpy(writer_room(writer, length), data, length);
}

void xdr_put_word(XdrWriter *writer, guint32 value)
{
    guint32 word = GUINT32_TO_BE(value);

    memcpy(writer_room(writer, 4), &word, 4);
}

void xdr_patch_word(XdrWriter *writer, gsize offset, guint32 value)
{
    guint32 word = GUINT32_TO_BE(value);

    memcpy(writer->data + offset, &word, 4);
}

static void put_hyper(XdrWriter *out, guint64 value)
{
    guint64 word = GUINT64_TO_BE(value);

    memcpy(writer_room(out, 8), &word, 8);
}

typedef struct Encoder {
    XdrWriter *out;
    gsize max_length;
    const XdrType *type;
    const XdrField *field;
    GError **error;
} Encoder;

static gboolean fits(Encoder *enc, gsize count, guint32 limit, gsize bytes)
{
    if (count > limit)
        return error_set(enc->error, VIR_ERR_RPC,
                         "Unable to encode message payload: %s.%s has %zu elements, the limit is %u",
                         enc->type->name, enc->field->name, count, limit);
    if (enc->out->length > enc->max_length || bytes > enc->max_length - enc->out->length)
        return error_set(enc->error, VIR_ERR_RPC,
                         "Unable to encode message payload: the message is larger than %zu bytes",
                         enc->max_length);
    return TRUE;
}

static gboolean put_counted(Encoder *enc, const void *data, gsize length, guint32 limit)
{
    static const guint8 zeroes[4];

    if (!fits(enc, length, limit, padded(length) + 4))
        return FALSE;
    xdr_put_word(enc->out, (guint32)length);
    xdr_put_bytes(enc->out, data, length);
    xdr_put_bytes(enc->out, zeroes, padded(length) - length);
    return TRUE;
}

static gboolean put_string(Encoder *enc, const char *string, guint32 limit)
{
    return put_counted(enc, string != NULL ? string : "", string != NULL ? strlen(string) : 0, limit);
}

static void put_chars(XdrWriter *out, const char *chars, gsize count)
{
    /* xdr_char sends a signed char: characters above 127 are sign-extended on the wire */
    for (gsize i = 0; i < count; i++)
        xdr_put_word(out, (guint32)(gint32)(gint8)chars[i]);
}

static gboolean put_param_value(Encoder *enc, const ParamValue *value, guint32 limit)
{
    xdr_put_word(enc->out, (guint32)value->type);
    switch (value->type) {
    case VIR_TYPED_PARAM_INT:
    case VIR_TYPED_PARAM_UINT:
    case VIR_TYPED_PARAM_BOOLEAN:
        xdr_put_word(enc->out, value->ui);
        return TRUE;
    case VIR_TYPED_PARAM_LLONG:
    case VIR_TYPED_PARAM_ULLONG:
    case VIR_TYPED_PARAM_DOUBLE:
        put_hyper(enc->out, value->ul);
        return TRUE;
    case VIR_TYPED_PARAM_STRING:
        return put_string(enc, value->s, limit);
    default:
        return error_set(enc->error, VIR_ERR_RPC,
                         "Unable to encode message payload: unknown parameter type %d", value->type);
    }
}

static gboolean put_struct(Encoder *enc, const XdrType *type, const void *value);

static gboolean put_array(Encoder *enc, const XdrField *field, const void *value)
{
    const guint8 *items = *AT(const guint8 *, value, field);
    gsize size = op_size(field->element, field->type);
    guint32 n = *COUNT_AT(value, field);

    if (!fits(enc, n, field->limit, 4 + n * op_smallest(field->element, field->type)))
        return FALSE;
    xdr_put_word(enc->out, n);
    for (guint32 i = 0; i < n; i++) {
        const void *item = items + size * i;
        gboolean fine = TRUE;

        switch (field->element) {
        case XDR_WORD:
            xdr_put_word(enc->out, *(const guint32 *)item);
            break;
        case XDR_HYPER:
            put_hyper(enc->out, *(const guint64 *)item);
            break;
        case XDR_STRING:
            fine = put_string(enc, *(char *const *)item, 4194304);
            break;
        default:
            fine = put_struct(enc, field->type, item);
            break;
        }
        if (!fine)
            return FALSE;
    }
    return TRUE;
}

static gboolean put_text(Encoder *enc, const XdrField *field, const void *value)
{
    const char *text = *AT(char *, value, field);
    gsize count = text == NULL ? 0 : field->op == XDR_TEXT ? strlen(text) + 1 : *COUNT_AT(value, field);

    if (!fits(enc, count, field->limit, 4 + 4 * count))
        return FALSE;
    xdr_put_word(enc->out, (guint32)count);
    put_chars(enc->out, text, count);
    return TRUE;
}

static gboolean put_field(Encoder *enc, const XdrField *field, const void *value)
{
    switch ((XdrOp)field->op) {
    case XDR_WORD:
        xdr_put_word(enc->out, *AT(guint32, value, field));
        return TRUE;
    case XDR_HYPER:
        put_hyper(enc->out, *AT(guint64, value, field));
        return TRUE;
    case XDR_CHAR:
        xdr_put_word(enc->out, (guint32)(gint32)*AT(gint8, value, field));
        return TRUE;
    case XDR_UCHAR:
        xdr_put_word(enc->out, *AT(guint8, value, field));
        return TRUE;
    case XDR_USHORT:
        xdr_put_word(enc->out, *AT(guint16, value, field));
        return TRUE;
    case XDR_STRING:
        return put_string(enc, *AT(char *, value, field), field->limit);
    case XDR_OPT_STRING:
        xdr_put_word(enc->out, *AT(char *, value, field) != NULL);
        return *AT(char *, value, field) == NULL || put_string(enc, *AT(char *, value, field), field->limit);
    case XDR_UUID:
        xdr_put_bytes(enc->out, AT(guint8, value, field), 16);
        return TRUE;
    case XDR_STRUCT:
        return put_struct(enc, field->type, AT(void, value, field));
    case XDR_OPT_STRUCT:
        xdr_put_word(enc->out, *AT(void *, value, field) != NULL);
        return *AT(void *, value, field) == NULL || put_struct(enc, field->type, *AT(void *, value, field));
    case XDR_ARRAY:
        return put_array(enc, field, value);
    case XDR_OPAQUE:
        return put_counted(enc, *AT(void *, value, field), *COUNT_AT(value, field), field->limit);
    case XDR_CHAR_FIXED:
        put_chars(enc->out, AT(char, value, field), field->limit);
        return TRUE;
    case XDR_TEXT:
    case XDR_CHARS:
        return put_text(enc, field, value);
    case XDR_PARAM_VALUE:
        return put_param_value(enc, AT(const ParamValue, value, field), field->limit);
    case XDR_NONE:
        break;
    }
    g_assert_not_reached();
}

static gboolean put_struct(Encoder *enc, const XdrType *type, const void *value)
{
    for (guint32 i = 0; i < type->n_fields; i++) {
        enc->type = type;
        enc->field = &type->fields[i];
        if (!put_field(enc, &type->fields[i], value))
            return FALSE;
    }
    return fits(enc, 0, 0, 0);
}

gboolean xdr_encode(const XdrType *type, const void *value, XdrWriter *writer, gsize max_length,
                    GError **error)
{
    Encoder enc = {.out = writer, .max_length = max_length, .type = type, .error = error};
    gsize start = writer->length;

    if (!put_struct(&enc, type, value)) {
        writer->length = start;
        return FALSE;
    }
    return TRUE;
}

/* --- clearing ------------------------------------------------------------------------------------ */

static void clear_struct(const XdrType *type, void *value);

static void clear_field(const XdrField *field, void *value)
{
    guint32 n;

    switch ((XdrOp)field->op) {
    case XDR_STRING:
    case XDR_OPT_STRING:
    case XDR_OPAQUE:
    case XDR_TEXT:
    case XDR_CHARS:
        g_free(*AT(void *, value, field));
        break;
    case XDR_STRUCT:
        clear_struct(field->type, AT(void, value, field));
        break;
    case XDR_OPT_STRUCT:
        if (*AT(void *, value, field) != NULL)
            clear_struct(field->type, *AT(void *, value, field));
        g_free(*AT(void *, value, field));
        break;
    case XDR_ARRAY:
        n = *AT(void *, value, field) != NULL ? *COUNT_AT(value, field) : 0;
        for (guint32 i = 0; i < n; i++) {
            if (field->element == XDR_STRING)
                g_free((*AT(char **, value, field))[i]);
            else if (field->element == XDR_STRUCT)
                clear_struct(field->type, *AT(guint8 *, value, field) + (gsize)i * field->type->size);
        }
        g_free(*AT(void *, value, field));
        break;
    case XDR_PARAM_VALUE:
        if (AT(ParamValue, value, field)->type == VIR_TYPED_PARAM_STRING)
            g_free(AT(ParamValue, value, field)->s);
        break;
    default:
        break;
    }
}

static void clear_struct(const XdrType *type, void *value)
{
    for (guint32 i = 0; i < type->n_fields; i++)
        clear_field(&type->fields[i], value);
}

void xdr_clear(const XdrType *type, void *value)
{
    clear_struct(type, value);
    memset(value, 0, type->size);
}
