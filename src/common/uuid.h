/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UUIDs: 16 bytes, and the text form that documents carry. Any thread. */
#pragma once

#include <glib.h>

/* "xxxxxxxx-xxxx-..." */
#define UUID_TEXT_SIZE 37
void uuid_format(const guint8 uuid[16], char text[UUID_TEXT_SIZE]);
/* 32 hexadecimal digits with dashes wherever, surrounding space allowed. FALSE: it is none; uuid is
 * undefined. */
gboolean uuid_parse(const char *text, guint8 uuid[16]);
/* A random one (version 4). */
void uuid_generate(guint8 uuid[16]);
