/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LUKS1: see luks.h.
 *
 *   0      "LUKS" BA BE, version 1 (16 bits), all numbers big-endian
 *   8      cipher name[32]   40 cipher mode[32]   72 hash[32]
 *   104    payload offset (sectors)   108 key bytes   112 key digest[20]   132 digest salt[32]
 *   164    digest iterations   168 uuid[40]
 *   208    8 key slots of 48 bytes: state, iterations, salt[32], key material (sector), stripes
 *
 * A slot's key material is the master key blown up to `stripes` times its size (anti-forensic split), encrypted by a
 * key made of the passphrase; merging all stripes gives the master key, its PBKDF2 digest tells whether it is right.
 */
#include "config.h"

#include "storage/luks.h"

#include <errno.h>
#include <nettle/aes.h>
#include <nettle/cbc.h>
#include <nettle/memops.h>
#include <nettle/nettle-meta.h>
#include <nettle/pbkdf2.h>
#include <nettle/hmac.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <nettle/xts.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/image_priv.h"

#define N_SLOTS 8
#define SLOT_OFFSET(i) (208 + 48 * (i))
#define SLOT_ENABLED 0x00ac71f3u
#define SLOT_DISABLED 0x0000deadu
#define STRIPES 4000
#define DIGEST_SIZE 20
#define SALT_SIZE 32
#define MAX_KEY 64
#define KEY_AREA_START 4096
#define MAX_ITERATIONS 100000000u /* an hour of work for a hostile header is enough */

typedef enum IvKind { IV_PLAIN, IV_PLAIN64, IV_ESSIV } IvKind;

typedef struct Cipher {
    bool xts;
    unsigned aes_bytes; /* 16, 24 or 32 */
    IvKind iv;
    union {
        struct xts_aes128_key xts128;
        struct xts_aes256_key xts256;
    } enc, dec;
    struct aes128_ctx enc128, dec128;
    struct aes192_ctx enc192, dec192;
    struct aes256_ctx enc256, dec256;
    struct aes256_ctx essiv;
} Cipher;

struct Luks {
    Cipher cipher;
};

/* Cleared even where the compiler thinks nobody looks any more. */
static void wipe(void *p, size_t n)
{
    explicit_bzero(p, n);
}

static int random_bytes(void *buffer, size_t length)
{
    uint8_t *p = buffer;

    while (length > 0) {
        ssize_t n = getrandom(p, MIN(length, (size_t)256), 0);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            p += n;
            length -= (size_t)n;
        }
    }
    return 0;
}

/* ---- Hashes ---- */

typedef struct HashKind {
    const char *name;
    const struct nettle_hash *hash;
    unsigned digest;
} HashKind;

static const HashKind hash_table[] = {
    {"sha256", &nettle_sha256, SHA256_DIGEST_SIZE},
    {"sha1", &nettle_sha1, SHA1_DIGEST_SIZE},
    {"sha512", &nettle_sha512, SHA512_DIGEST_SIZE},
    {"sha384", &nettle_sha384, SHA384_DIGEST_SIZE},
    {"sha224", &nettle_sha224, SHA224_DIGEST_SIZE},
};

static const HashKind *hash_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(hash_table); i++)
        if (strcmp(hash_table[i].name, name) == 0)
            return &hash_table[i];
    return NULL;
}

/* PBKDF2 (RFC 8018) with the HMAC of the hash. */
#define PBKDF2_WITH(NAME, SET_KEY, UPDATE, DIGEST, SIZE)                                                     \
    do {                                                                                                     \
        struct NAME ctx;                                                                                     \
        SET_KEY(&ctx, pass_len, pass);                                                                       \
        PBKDF2(&ctx, UPDATE, DIGEST, SIZE, iterations, SALT_SIZE, salt, out_len, out);                       \
        wipe(&ctx, sizeof ctx);                                                                              \
    } while (0)

static void derive(const HashKind *kind, const void *pass, size_t pass_len, const uint8_t *salt, unsigned iterations,
                   uint8_t *out, size_t out_len)
{
    if (kind->hash == &nettle_sha1)
        PBKDF2_WITH(hmac_sha1_ctx, hmac_sha1_set_key, hmac_sha1_update, hmac_sha1_digest, SHA1_DIGEST_SIZE);
    else if (kind->hash == &nettle_sha224)
        PBKDF2_WITH(hmac_sha224_ctx, hmac_sha224_set_key, hmac_sha224_update, hmac_sha224_digest,
                    SHA224_DIGEST_SIZE);
    else if (kind->hash == &nettle_sha384)
        PBKDF2_WITH(hmac_sha384_ctx, hmac_sha384_set_key, hmac_sha384_update, hmac_sha384_digest,
                    SHA384_DIGEST_SIZE);
    else if (kind->hash == &nettle_sha512)
        PBKDF2_WITH(hmac_sha512_ctx, hmac_sha512_set_key, hmac_sha512_update, hmac_sha512_digest,
                    SHA512_DIGEST_SIZE);
    else
        PBKDF2_WITH(hmac_sha256_ctx, hmac_sha256_set_key, hmac_sha256_update, hmac_sha256_digest,
                    SHA256_DIGEST_SIZE);
}

static void diffuse(const HashKind *kind, uint8_t *block, size_t length)
{
    union {
        struct sha1_ctx sha1;
        struct sha256_ctx sha256;
        struct sha512_ctx sha512;
    } ctx;
    uint8_t index[4];

    for (size_t i = 0; i * kind->digest < length; i++) {
        size_t n = MIN((size_t)kind->digest, length - i * kind->digest);

        put_be32(index, (uint32_t)i);
        kind->hash->init(&ctx);
        kind->hash->update(&ctx, sizeof index, index);
        kind->hash->update(&ctx, n, block + i * kind->digest);
        kind->hash->digest(&ctx, n, block + i * kind->digest);
    }
}

static void af_merge(const HashKind *kind, const uint8_t *material, size_t key_len, uint8_t *key)
{
    memset(key, 0, key_len);
    for (unsigned s = 0; s < STRIPES; s++) {
        memxor(key, material + s * key_len, key_len);
        if (s + 1 < STRIPES)
            diffuse(kind, key, key_len);
    }
}

static int af_split(const HashKind *kind, const uint8_t *key, size_t key_len, uint8_t *material)
{
    uint8_t block[MAX_KEY] = {0};
    int ret = random_bytes(material, key_len * (STRIPES - 1));

    if (ret < 0)
        return ret;
    for (unsigned s = 0; s + 1 < STRIPES; s++) {
        memxor(block, material + s * key_len, key_len);
        diffuse(kind, block, key_len);
    }
    memxor3(material + (STRIPES - 1) * key_len, block, key, key_len);
    wipe(block, sizeof block);
    return 0;
}

/* ---- Sector cipher ---- */

static void cipher_set_key(Cipher *c, const uint8_t *key)
{
    if (c->xts && c->aes_bytes == 16) {
        xts_aes128_set_encrypt_key(&c->enc.xts128, key);
        xts_aes128_set_decrypt_key(&c->dec.xts128, key);
    } else if (c->xts) {
        xts_aes256_set_encrypt_key(&c->enc.xts256, key);
        xts_aes256_set_decrypt_key(&c->dec.xts256, key);
    } else if (c->aes_bytes == 16) {
        aes128_set_encrypt_key(&c->enc128, key);
        aes128_set_decrypt_key(&c->dec128, key);
    } else if (c->aes_bytes == 24) {
        aes192_set_encrypt_key(&c->enc192, key);
        aes192_set_decrypt_key(&c->dec192, key);
    } else {
        aes256_set_encrypt_key(&c->enc256, key);
        aes256_set_decrypt_key(&c->dec256, key);
    }
    if (c->iv == IV_ESSIV) {
        uint8_t digest[SHA256_DIGEST_SIZE];
        struct sha256_ctx ctx;

        sha256_init(&ctx);
        sha256_update(&ctx, (c->xts ? 2 : 1) * c->aes_bytes, key);
        sha256_digest(&ctx, sizeof digest, digest);
        aes256_set_encrypt_key(&c->essiv, digest);
        wipe(digest, sizeof digest);
    }
}

static void cipher_iv(const Cipher *c, uint64_t sector, uint8_t iv[AES_BLOCK_SIZE])
{
    memset(iv, 0, AES_BLOCK_SIZE);
    if (c->iv == IV_PLAIN)
        sector &= UINT32_MAX;
    for (int i = 0; i < 8; i++)
        iv[i] = (uint8_t)(sector >> (8 * i));
    if (c->iv == IV_ESSIV)
        aes256_encrypt(&c->essiv, AES_BLOCK_SIZE, iv, iv);
}

static void crypt_sector(const Cipher *cipher, uint64_t sector, uint8_t *p, bool encrypt)
{
    Cipher *c = (Cipher *)(uintptr_t)cipher; /* nettle's XTS takes it unqualified, and does not write */
    uint8_t iv[AES_BLOCK_SIZE];

    cipher_iv(c, sector, iv);
    if (c->xts && c->aes_bytes == 16) {
        if (encrypt)
            xts_aes128_encrypt_message(&c->enc.xts128, iv, LUKS_SECTOR, p, p);
        else
            xts_aes128_decrypt_message(&c->dec.xts128, iv, LUKS_SECTOR, p, p);
    } else if (c->xts) {
        if (encrypt)
            xts_aes256_encrypt_message(&c->enc.xts256, iv, LUKS_SECTOR, p, p);
        else
            xts_aes256_decrypt_message(&c->dec.xts256, iv, LUKS_SECTOR, p, p);
    } else {
        const void *ctx = c->aes_bytes == 16   ? (encrypt ? (const void *)&c->enc128 : &c->dec128)
                          : c->aes_bytes == 24 ? (encrypt ? (const void *)&c->enc192 : &c->dec192)
                                               : (encrypt ? (const void *)&c->enc256 : &c->dec256);
        const struct nettle_cipher *aes = c->aes_bytes == 16   ? &nettle_aes128
                                          : c->aes_bytes == 24 ? &nettle_aes192
                                                               : &nettle_aes256;

        if (encrypt)
            cbc_encrypt(ctx, aes->encrypt, AES_BLOCK_SIZE, iv, LUKS_SECTOR, p, p);
        else
            cbc_decrypt(ctx, aes->decrypt, AES_BLOCK_SIZE, iv, LUKS_SECTOR, p, p);
    }
}

static void crypt_range(const Cipher *c, uint64_t offset, void *buffer, size_t length, bool encrypt)
{
    uint8_t *p = buffer;

    for (uint64_t sector = offset / LUKS_SECTOR; length >= LUKS_SECTOR; sector++) {
        crypt_sector(c, sector, p, encrypt);
        p += LUKS_SECTOR;
        length -= LUKS_SECTOR;
    }
}

void luks_encrypt(const Luks *luks, uint64_t offset, void *buffer, size_t length)
{
    crypt_range(&luks->cipher, offset, buffer, length, true);
}

void luks_decrypt(const Luks *luks, uint64_t offset, void *buffer, size_t length)
{
    crypt_range(&luks->cipher, offset, buffer, length, false);
}

void luks_free(Luks *luks)
{
    if (luks != NULL) {
        wipe(luks, sizeof *luks);
        free(luks);
    }
}

/* ---- Header ---- */

static size_t slot_sectors(size_t key_len)
{
    return ALIGN_UP(DIV_ROUND_UP(key_len * STRIPES, (size_t)LUKS_SECTOR), (size_t)(KEY_AREA_START / LUKS_SECTOR));
}

static bool field_is(const uint8_t *field, const char *text)
{
    return memchr(field, 0, 32) != NULL && strcmp((const char *)field, text) == 0;
}

static int parse_cipher(const uint8_t *header, size_t key_len, Cipher *c, Err *err)
{
    static const struct {
        const char *mode;
        bool xts;
        IvKind iv;
    } modes[] = {
        {"xts-plain64", true, IV_PLAIN64},      {"xts-plain", true, IV_PLAIN},
        {"cbc-plain64", false, IV_PLAIN64},     {"cbc-plain", false, IV_PLAIN},
        {"cbc-essiv:sha256", false, IV_ESSIV}, {"xts-essiv:sha256", true, IV_ESSIV},
    };

    if (!field_is(header + 8, "aes"))
        return err_set(err, ENOTSUP, "LUKS: cipher '%.32s' is not supported, only aes", header + 8);
    for (size_t i = 0; i < ARRAY_LEN(modes); i++)
        if (field_is(header + 40, modes[i].mode)) {
            c->xts = modes[i].xts;
            c->iv = modes[i].iv;
            c->aes_bytes = (unsigned)(c->xts ? key_len / 2 : key_len);
            if ((c->aes_bytes != 16 && c->aes_bytes != 32 && (c->xts || c->aes_bytes != 24)) ||
                (c->xts && key_len % 2))
                return err_set(err, ENOTSUP, "LUKS: a key of %zu bytes is not supported", key_len);
            return 0;
        }
    return err_set(err, ENOTSUP, "LUKS: cipher mode '%.32s' is not supported", header + 40);
}

/* One key slot: 1 when the passphrase opens it, 0 when not. */
static int try_slot(LuksRead read, void *opaque, const uint8_t *header, const uint8_t *slot, const HashKind *hash,
                    const Cipher *like, const void *passphrase, size_t passphrase_len, uint8_t *key, size_t key_len)
{
    size_t length = slot_sectors(key_len) * LUKS_SECTOR;
    cleanup_free uint8_t *material = malloc(length);
    uint8_t slot_key[MAX_KEY], digest[DIGEST_SIZE];
    Cipher c = *like;
    int ret;

    if (material == NULL)
        return -ENOMEM;
    derive(hash, passphrase, passphrase_len, slot + 8, get_be32(slot + 4), slot_key, key_len);
    cipher_set_key(&c, slot_key);
    ret = read(opaque, material, length, (uint64_t)get_be32(slot + 40) * LUKS_SECTOR);
    if (ret == 0) {
        crypt_range(&c, 0, material, ALIGN_DOWN(length, (size_t)LUKS_SECTOR), false);
        af_merge(hash, material, key_len, key);
        derive(hash, key, key_len, header + 132, get_be32(header + 164), digest, sizeof digest);
        ret = memeql_sec(digest, header + 112, sizeof digest);
    }
    wipe(slot_key, sizeof slot_key);
    wipe(&c, sizeof c);
    wipe(material, length);
    return ret;
}

static int check_header(const uint8_t *header, size_t *ret_key_len, const HashKind **ret_hash, Err *err)
{
    size_t key_len = get_be32(header + 108);
    uint64_t payload = get_be32(header + 104);

    if (memcmp(header, "LUKS\xba\xbe", 6) != 0)
        return err_set(err, EMEDIUMTYPE, "not a LUKS volume");
    if (get_be16(header + 6) != 1)
        return err_set(err, ENOTSUP, "LUKS version %u is not supported, only 1", get_be16(header + 6));
    if (key_len < 16 || key_len > MAX_KEY)
        return err_set(err, ENOTSUP, "LUKS: a key of %zu bytes is not supported", key_len);
    if (payload < KEY_AREA_START / LUKS_SECTOR || payload > LUKS_MAX_PAYLOAD_OFFSET / LUKS_SECTOR)
        return err_set(err, EINVAL, "LUKS: payload offset %llu is not sane", (unsigned long long)payload);
    if (memchr(header + 72, 0, 32) == NULL || (*ret_hash = hash_find((const char *)header + 72)) == NULL)
        return err_set(err, ENOTSUP, "LUKS: hash '%.32s' is not supported", header + 72);
    if (get_be32(header + 164) == 0 || get_be32(header + 164) > MAX_ITERATIONS)
        return err_set(err, EINVAL, "LUKS: iteration count of the key digest is not sane");
    for (unsigned i = 0; i < N_SLOTS; i++) {
        const uint8_t *slot = header + SLOT_OFFSET(i);
        uint64_t start = get_be32(slot + 40);

        if (get_be32(slot) == SLOT_DISABLED)
            continue;
        if (get_be32(slot) != SLOT_ENABLED || get_be32(slot + 44) != STRIPES || get_be32(slot + 4) == 0 ||
            get_be32(slot + 4) > MAX_ITERATIONS || start < KEY_AREA_START / LUKS_SECTOR ||
            start + slot_sectors(key_len) > payload)
            return err_set(err, EINVAL, "LUKS: key slot %u is damaged", i);
    }
    *ret_key_len = key_len;
    return 0;
}

int luks_open(LuksRead read, void *opaque, const void *passphrase, size_t passphrase_len, Luks **ret_luks,
              uint64_t *ret_payload_offset, Err *err)
{
    uint8_t header[LUKS_HEADER_SIZE], key[MAX_KEY];
    const HashKind *hash = NULL;
    size_t key_len = 0;
    Luks *luks;
    int ret = read(opaque, header, sizeof header, 0);

    if (ret < 0)
        return err_set(err, -ret, "LUKS: cannot read the header: %s", strerror(-ret));
    ret = check_header(header, &key_len, &hash, err);
    if (ret < 0)
        return ret;
    if (passphrase == NULL)
        return err_set(err, ENOKEY, "the image is encrypted with LUKS and no passphrase was given");
    luks = calloc(1, sizeof *luks);
    if (luks == NULL)
        return err_set(err, ENOMEM, "out of memory");
    ret = parse_cipher(header, key_len, &luks->cipher, err);
    if (ret < 0) {
        free(luks);
        return ret;
    }
    for (unsigned i = 0; i < N_SLOTS && ret == 0; i++)
        if (get_be32(header + SLOT_OFFSET(i)) == SLOT_ENABLED)
            ret = try_slot(read, opaque, header, header + SLOT_OFFSET(i), hash, &luks->cipher, passphrase,
                           passphrase_len, key, key_len);
    if (ret <= 0) {
        free(luks);
        return ret < 0 ? err_set(err, -ret, "LUKS: cannot read key material: %s", strerror(-ret))
                       : err_set(err, EKEYREJECTED, "LUKS: the passphrase opens none of the key slots");
    }
    cipher_set_key(&luks->cipher, key);
    wipe(key, sizeof key);
    *ret_payload_offset = (uint64_t)get_be32(header + 104) * LUKS_SECTOR;
    *ret_luks = luks;
    return 0;
}

/* ---- Creating ---- */

#define NEW_KEY_LEN 64

uint64_t luks_payload_offset(void)
{
    return KEY_AREA_START + N_SLOTS * (uint64_t)slot_sectors(NEW_KEY_LEN) * LUKS_SECTOR;
}

/* PBKDF2 rounds that take about a second of CPU time for a slot's key. */
static unsigned calibrate(const HashKind *hash)
{
    static const uint8_t salt[SALT_SIZE] = "calibration";
    uint8_t out[NEW_KEY_LEN];
    unsigned rounds = 1 << 12;

    for (;;) {
        struct timespec a, b;
        double seconds;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
        derive(hash, "passphrase", 10, salt, rounds, out, sizeof out);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
        seconds = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
        if (seconds > 0.05 || rounds >= MAX_ITERATIONS / 64)
            return (unsigned)MAX(MIN(rounds / MAX(seconds, 1e-3), MAX_ITERATIONS / 2.0), 1000.0);
        rounds *= 2;
    }
}

static int make_uuid(char text[40])
{
    uint8_t u[16];
    int ret = random_bytes(u, sizeof u);

    u[6] = (u[6] & 0x0f) | 0x40; /* RFC 4122, version 4 */
    u[8] = (u[8] & 0x3f) | 0x80;
    snprintf(text, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3],
             u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
    return ret;
}

int luks_create(LuksWrite write, void *opaque, const void *passphrase, size_t passphrase_len, unsigned iterations,
                Luks **ret_luks, Err *err)
{
    const HashKind *hash = &hash_table[0];
    size_t material_len = NEW_KEY_LEN * STRIPES;
    cleanup_free uint8_t *material = calloc(1, ALIGN_UP(material_len, (size_t)LUKS_SECTOR));
    uint8_t header[LUKS_HEADER_SIZE] = {0}, key[NEW_KEY_LEN], slot_key[NEW_KEY_LEN];
    Luks *luks = calloc(1, sizeof *luks);
    Cipher c = {.xts = true, .aes_bytes = 32, .iv = IV_PLAIN64};
    int ret;

    if (material == NULL || luks == NULL) {
        free(luks);
        return err_set(err, ENOMEM, "out of memory");
    }
    if (iterations == 0)
        iterations = calibrate(hash);
    iterations = MAX(iterations, 1000u);
    memcpy(header, "LUKS\xba\xbe\0\1", 8);
    memcpy(header + 8, "aes", sizeof "aes");
    memcpy(header + 40, "xts-plain64", sizeof "xts-plain64");
    memcpy(header + 72, "sha256", sizeof "sha256");
    put_be32(header + 104, (uint32_t)(luks_payload_offset() / LUKS_SECTOR));
    put_be32(header + 108, NEW_KEY_LEN);
    put_be32(header + 164, MAX(iterations / 8, 1000u));
    for (unsigned i = 0; i < N_SLOTS; i++) {
        uint8_t *slot = header + SLOT_OFFSET(i);

        put_be32(slot, i == 0 ? SLOT_ENABLED : SLOT_DISABLED);
        put_be32(slot + 40, (uint32_t)(KEY_AREA_START / LUKS_SECTOR + i * slot_sectors(NEW_KEY_LEN)));
        put_be32(slot + 44, STRIPES);
    }
    put_be32(header + SLOT_OFFSET(0) + 4, iterations);
    ret = random_bytes(key, sizeof key);
    if (ret == 0)
        ret = random_bytes(header + 132, SALT_SIZE);
    if (ret == 0)
        ret = random_bytes(header + SLOT_OFFSET(0) + 8, SALT_SIZE);
    if (ret == 0)
        ret = make_uuid((char *)header + 168);
    if (ret == 0)
        ret = af_split(hash, key, sizeof key, material);
    if (ret == 0) {
        derive(hash, key, sizeof key, header + 132, get_be32(header + 164), header + 112, DIGEST_SIZE);
        derive(hash, passphrase, passphrase_len, header + SLOT_OFFSET(0) + 8, iterations, slot_key, sizeof slot_key);
        cipher_set_key(&c, slot_key);
        crypt_range(&c, 0, material, ALIGN_UP(material_len, (size_t)LUKS_SECTOR), true);
        luks->cipher = c;
        cipher_set_key(&luks->cipher, key);
        ret = write(opaque, material, ALIGN_UP(material_len, (size_t)LUKS_SECTOR), KEY_AREA_START);
    }
    if (ret == 0)
        ret = write(opaque, header, sizeof header, 0);
    wipe(key, sizeof key);
    wipe(slot_key, sizeof slot_key);
    wipe(&c, sizeof c);
    if (ret < 0) {
        luks_free(luks);
        return err_set(err, -ret, "LUKS: cannot make the header: %s", strerror(-ret));
    }
    *ret_luks = luks;
    return 0;
}
