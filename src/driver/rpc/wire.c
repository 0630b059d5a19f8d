/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames and error bodies: see wire.h. */
#define ERROR_FROM VIR_FROM_RPC
#include "driver/rpc/wire.h"

#include <string.h>

#include "common/error.h"

#define STRING_MAX 4194304

guint32 wire_get_word(const guint8 *data)
{
    guint32 word;

    memcpy(&word, data, 4);
    return GUINT32_FROM_BE(word);
}

void wire_decode_header(const guint8 *data, WireHeader *ret_header)
{
    ret_header->program = wire_get_word(data);
    ret_header->version = wire_get_word(data + 4);
    ret_header->procedure = (gint32)wire_get_word(data + 8);
    ret_header->type = wire_get_word(data + 12);
    ret_header->serial = wire_get_word(data + 16);
    ret_header->status = wire_get_word(data + 20);
}

gsize wire_begin(XdrWriter *writer, const WireHeader *header)
{
    gsize begin = writer->length;

    xdr_put_word(writer, 0);
    xdr_put_word(writer, header->program);
    xdr_put_word(writer, header->version);
    xdr_put_word(writer, (guint32)header->procedure);
    xdr_put_word(writer, header->type);
    xdr_put_word(writer, header->serial);
    xdr_put_word(writer, header->status);
    return begin;
}

void wire_end(XdrWriter *writer, gsize begin)
{
    xdr_patch_word(writer, begin, (guint32)(writer->length - begin));
}

static void put_string(XdrWriter *writer, const char *string)
{
    static const guint8 zeroes[4];
    gsize length;

    xdr_put_word(writer, string != NULL);
    if (string == NULL)
        return;
    length = MIN(strlen(string), STRING_MAX);
    xdr_put_word(writer, (guint32)length);
    xdr_put_bytes(writer, string, length);
    xdr_put_bytes(writer, zeroes, -length & 3);
}

/* As libvirt fills its error object: str1 is the format of the number's standing text, str2 the detail, the
 * integers -1; the domain and network of older days are never set. */
void wire_put_error(XdrWriter *writer, const GError *error)
{
    g_autofree char *text = error_full_text(error);
    g_autofree char *format = NULL;
    const char *standing = error_number_text(error_number(error), TRUE);

    if (error_number(error) == VIR_ERR_SYSTEM_ERROR)
        format = g_strdup("%s");
    else if (strstr(standing, "%s") != NULL)
        format = g_strdup(standing);
    else
        format = g_strdup_printf("%s: %%s", standing);
    xdr_put_word(writer, (guint32)error_number(error));
    xdr_put_word(writer, (guint32)error_from(error));
    put_string(writer, text);
    xdr_put_word(writer, VIR_ERR_ERROR);
    xdr_put_word(writer, 0);
    put_string(writer, format);
    put_string(writer, error->message);
    put_string(writer, NULL);
    xdr_put_word(writer, (guint32)-1);
    xdr_put_word(writer, (guint32)-1);
    xdr_put_word(writer, 0);
}

void wire_error_frame(XdrWriter *writer, const WireHeader *header, const GError *error)
{
    WireHeader reply = *header;
    gsize begin;

    reply.status = WIRE_ERROR;
    begin = wire_begin(writer, &reply);
    wire_put_error(writer, error);
    wire_end(writer, begin);
}
