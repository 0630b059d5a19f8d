/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UUIDs as libvirt's documents write them. See uuid.h. */
#include "common/uuid.h"

#include <string.h>
#include <sys/random.h>

void uuid_format(const guint8 uuid[16], char text[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *p = text;

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = digits[uuid[i] >> 4];
        *p++ = digits[uuid[i] & 15];
    }
    *p = '\0';
}

/* 32 hexadecimal digits with dashes wherever, surrounding space allowed, as libvirt reads them. */
gboolean uuid_parse(const char *text, guint8 uuid[16])
{
    const char *p = text;

    if (p == NULL)
        return FALSE;
    while (g_ascii_isspace(*p))
        p++;
    for (int i = 0; i < 32;) {
        int digit;

        if (*p == '-') {
            p++;
            continue;
        }
        digit = g_ascii_xdigit_value(*p);
        if (digit < 0)
            return FALSE;
        uuid[i / 2] = (guint8)(i % 2 == 0 ? digit << 4 : uuid[i / 2] | digit);
        i++;
        p++;
    }
    while (g_ascii_isspace(*p))
        p++;
    return *p == '\0';
}

void uuid_generate(guint8 uuid[16])
{
    if (getrandom(uuid, 16, 0) != 16) {
        for (int i = 0; i < 4; i++) {
            guint32 r = g_random_int();

            memcpy(uuid + i * 4, &r, 4);
        }
    }
    /* RFC 4122: version 4, variant 1. */
    uuid[6] = (uuid[6] & 0x0f) | 0x40;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
}
