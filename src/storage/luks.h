/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LUKS version 1 (on-disk format 1.2.3 of the cryptsetup project): header and key slots, and the sector cipher of the
 * payload. AES with XTS or CBC, IVs plain, plain64 or essiv. A Luks object never changes after it is made: encrypting
 * and decrypting are safe from any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

typedef struct Luks Luks;

#define LUKS_SECTOR 512
#define LUKS_HEADER_SIZE 592
#define LUKS_MAX_PAYLOAD_OFFSET (64u * 1024 * 1024)

typedef int (*LuksRead)(void *opaque, void *buffer, size_t length, uint64_t offset);
typedef int (*LuksWrite)(void *opaque, const void *buffer, size_t length, uint64_t offset);

/* -EKEYREJECTED when no key slot opens with the passphrase, -EMEDIUMTYPE / -ENOTSUP for headers that are not ours. */
int luks_open(LuksRead read, void *opaque, const void *passphrase, size_t passphrase_len, Luks **ret_luks,
              uint64_t *ret_payload_offset, Err *err);
/* New master key, key slot 0, aes-xts-plain64 with 256-bit AES. iterations 0: about a second's work. The area up to
 * *ret_payload_offset (bytes, luks_payload_offset()) belongs to the header. */
int luks_create(LuksWrite write, void *opaque, const void *passphrase, size_t passphrase_len, unsigned iterations,
                Luks **ret_luks, Err *err);
uint64_t luks_payload_offset(void); /* of what luks_create makes */
void luks_free(Luks *luks);

/* `offset` (bytes) gives the IV; it and length are multiples of LUKS_SECTOR. In place. */
void luks_encrypt(const Luks *luks, uint64_t offset, void *buffer, size_t length);
void luks_decrypt(const Luks *luks, uint64_t offset, void *buffer, size_t length);
