/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The qcow2 file on disk (QEMU's docs/interop/qcow2): constants, and the header with its extensions. All big-endian.
 *
 *   header | extensions | backing name        first cluster
 *   refcount table -> refcount blocks         one count a host cluster
 *   L1 table -> L2 tables -> data clusters    one entry a guest cluster
 *   snapshot table -> L1 tables of snapshots
 *
 *   L1 entry   63: refcount of the L2 table is 1   55..9: offset
 *   L2 entry   63: refcount is 1   62: compressed   55..9: offset   0: reads as zeros
 *   extended   a second word: 63..32 subcluster reads as zeros, 31..0 subcluster is allocated
 *   compressed 61..x: further 512-byte sectors   x-1..0: offset, x = 62 - (cluster_bits - 8)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define QCOW2_INCOMPAT_DIRTY (1ull << 0)
#define QCOW2_INCOMPAT_CORRUPT (1ull << 1)
#define QCOW2_INCOMPAT_DATA_FILE (1ull << 2)
#define QCOW2_INCOMPAT_COMPRESSION (1ull << 3)
#define QCOW2_INCOMPAT_EXTENDED_L2 (1ull << 4)
#define QCOW2_INCOMPAT_KNOWN 0x1full
#define QCOW2_COMPAT_LAZY (1ull << 0)
#define QCOW2_AUTOCLEAR_BITMAPS (1ull << 0)
#define QCOW2_AUTOCLEAR_DATA_RAW (1ull << 1)

#define QCOW2_CRYPT_NONE 0
#define QCOW2_CRYPT_AES 1
#define QCOW2_CRYPT_LUKS 2

#define QCOW2_COPIED (1ull << 63)
#define QCOW2_COMPRESSED (1ull << 62)
#define QCOW2_ZERO (1ull << 0)
#define QCOW2_OFFSET_MASK 0x00fffffffffffe00ull
#define QCOW2_L1_RESERVED 0x7f000000000001ffull
#define QCOW2_L2_RESERVED 0x3f000000000001feull
#define QCOW2_REFTABLE_RESERVED 0x1ffull

#define QCOW2_MIN_CLUSTER_BITS 9
#define QCOW2_MAX_CLUSTER_BITS 21
#define QCOW2_MAX_L1_BYTES (32u << 20)
#define QCOW2_MAX_REFTABLE_BYTES (8u << 20)
#define QCOW2_MAX_SNAPSHOTS 65536u
#define QCOW2_MAX_SNAPSHOT_TABLE (64u << 20)
#define QCOW2_MAX_SNAPSHOT_EXTRA 1024u
#define QCOW2_MAX_BITMAPS 65535u
#define QCOW2_MAX_NAME 1023u
#define QCOW2_MAX_OFFSET (1ull << 56) /* no cluster at or behind it */
#define QCOW2_V2_HEADER 72u
#define QCOW2_V3_HEADER 112u /* with compression type and padding: what we write */

/* Offsets of fields that are written alone. */
#define QCOW2_AT_SIZE 24
#define QCOW2_AT_L1 36        /* l1_size (4), l1_offset (8) */
#define QCOW2_AT_REFTABLE 48  /* offset (8), clusters (4) */
#define QCOW2_AT_SNAPSHOTS 60 /* count (4), offset (8) */
#define QCOW2_AT_FEATURES 72  /* incompatible, compatible, autoclear (8 each) */

#define QCOW2_EXT_END 0x00000000u
#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXT_FEATURES 0x6803f857u
#define QCOW2_EXT_BITMAPS 0x23852875u
#define QCOW2_EXT_CRYPT 0x0537be77u
#define QCOW2_EXT_DATA_FILE 0x44415441u
#define QCOW2_MAX_UNKNOWN 16

typedef struct Qcow2Header {
    uint32_t version, cluster_bits, crypt_method, l1_size, reftable_clusters, n_snapshots, refcount_order;
    uint32_t header_length, compression;
    uint64_t size, l1_offset, reftable_offset, snapshots_offset;
    uint64_t incompatible, compatible, autoclear;
    char backing_name[QCOW2_MAX_NAME + 1], data_file[QCOW2_MAX_NAME + 1], backing_format[32];
    bool has_crypt, has_bitmaps;
    uint64_t crypt_offset, crypt_length;
    uint32_t n_bitmaps;
    uint64_t bitmap_dir_size, bitmap_dir_offset;
    unsigned n_unknown; /* extensions of others, kept when the header is rewritten */
    struct {
        uint32_t type, length, at; /* data position in the buffer that was parsed */
    } unknown[QCOW2_MAX_UNKNOWN];
} Qcow2Header;

/*
 * Everything that can be judged by the header alone is checked. `len` may be less than the first cluster (probing):
 * strings that lie behind it stay "". On error ret->version is 0 when not even the fixed part was read.
 */
int qcow2_header_parse(const uint8_t *head, size_t len, Qcow2Header *ret, Err *err);
/* Writes header, extensions and backing name into buf (cleared, cluster_size bytes). `old` is the buffer that was
 * parsed (for unknown extensions), may be NULL. -ENOSPC when it does not fit. Returns the bytes used. */
int qcow2_header_build(const Qcow2Header *header, const uint8_t *old, uint8_t *buf, size_t cluster_size);
