/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qcow2's header: see qcow2_format.h. */
#include "config.h"

#include "storage/qcow2_format.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "storage/image_priv.h"

static void copy_text(char *dst, size_t size, const uint8_t *src, size_t len)
{
    len = MIN(len, size - 1);
    memcpy(dst, src, len);
    dst[len] = 0;
}

static int parse_extension(uint32_t type, const uint8_t *head, size_t at, uint32_t length, Qcow2Header *h, Err *err)
{
    const uint8_t *p = head + at;

    switch (type) {
    case QCOW2_EXT_BACKING_FORMAT:
        if (length >= sizeof h->backing_format)
            return err_set(err, EINVAL, "qcow2: backing format name of %u bytes is too long", length);
        copy_text(h->backing_format, sizeof h->backing_format, p, length);
        return 0;
    case QCOW2_EXT_DATA_FILE:
        if (length > QCOW2_MAX_NAME)
            return err_set(err, EINVAL, "qcow2: data file name of %u bytes is too long", length);
        copy_text(h->data_file, sizeof h->data_file, p, length);
        return 0;
    case QCOW2_EXT_CRYPT:
        if (length != 16)
            return err_set(err, EINVAL, "qcow2: encryption extension of %u bytes", length);
        h->has_crypt = true;
        h->crypt_offset = get_be64(p);
        h->crypt_length = get_be64(p + 8);
        return 0;
    case QCOW2_EXT_BITMAPS:
        if (length != 24)
            return err_set(err, EINVAL, "qcow2: bitmaps extension of %u bytes", length);
        h->has_bitmaps = true;
        h->n_bitmaps = get_be32(p);
        h->bitmap_dir_size = get_be64(p + 8);
        h->bitmap_dir_offset = get_be64(p + 16);
        return 0;
    case QCOW2_EXT_FEATURES:
        return 0; /* rewritten by us */
    default:
        if (h->n_unknown == QCOW2_MAX_UNKNOWN)
            return err_set(err, EINVAL, "qcow2: more than %d unknown header extensions", QCOW2_MAX_UNKNOWN);
        h->unknown[h->n_unknown].type = type;
        h->unknown[h->n_unknown].length = length;
        h->unknown[h->n_unknown].at = (uint32_t)at;
        h->n_unknown++;
        return 0;
    }
}

static int parse_extensions(const uint8_t *head, size_t len, size_t end, Qcow2Header *h, Err *err)
{
    size_t at = h->header_length;

    /* Version 2 has extensions too (the backing format), in the room between header and backing name. */
    while (at + 8 <= end && at + 8 <= len) {
        uint32_t type = get_be32(head + at), length = get_be32(head + at + 4);
        int ret;

        if (type == QCOW2_EXT_END)
            return 0;
        at += 8;
        if (!range_inside(at, length, end))
            return err_set(err, EINVAL, "qcow2: header extension 0x%x is longer than its place", type);
        if (!range_inside(at, length, len))
            return 0; /* probing sees only the beginning */
        ret = parse_extension(type, head, at, length, h, err);
        if (ret < 0)
            return ret;
        at += ALIGN_UP(length, 8u);
    }
    return 0;
}

static bool table_is_sane(uint64_t offset, uint64_t bytes, uint64_t limit, uint64_t cluster)
{
    return bytes <= limit && (offset & (cluster - 1)) == 0 && offset < QCOW2_MAX_OFFSET;
}

static int check_fixed(const Qcow2Header *h, Err *err)
{
    uint64_t cluster = 1ull << h->cluster_bits;

    if (h->header_length > cluster)
        return err_set(err, EINVAL, "qcow2: header of %u bytes does not fit the first cluster", h->header_length);
    if (h->size > INT64_MAX)
        return err_set(err, EFBIG, "qcow2: virtual size %llu is too large", (unsigned long long)h->size);
    if (h->crypt_method > QCOW2_CRYPT_LUKS)
        return err_set(err, EINVAL, "qcow2: encryption method %u is unknown", h->crypt_method);
    if (h->refcount_order > 6)
        return err_set(err, EINVAL, "qcow2: refcounts may have 64 bits at most");
    if (!table_is_sane(h->l1_offset, h->l1_size * 8ull, QCOW2_MAX_L1_BYTES, cluster))
        return err_set(err, h->l1_size * 8ull > QCOW2_MAX_L1_BYTES ? EFBIG : EINVAL,
                       "qcow2: place or size of the active L1 table is invalid");
    if (h->reftable_clusters == 0 ||
        !table_is_sane(h->reftable_offset, (uint64_t)h->reftable_clusters << h->cluster_bits,
                       MAX(QCOW2_MAX_REFTABLE_BYTES, cluster), cluster))
        return err_set(err, EINVAL, "qcow2: place or size of the refcount table is invalid");
    if (h->n_snapshots > QCOW2_MAX_SNAPSHOTS ||
        (h->n_snapshots > 0 && !table_is_sane(h->snapshots_offset, 0, 0, cluster)))
        return err_set(err, EINVAL, "qcow2: place or size of the snapshot table is invalid");
    return 0;
}

static int check_features(const Qcow2Header *h, Err *err)
{
    uint64_t unknown = h->incompatible & ~QCOW2_INCOMPAT_KNOWN;

    if (unknown != 0)
        return err_set(err, ENOTSUP, "qcow2: the image needs features this version does not know (bits 0x%llx)",
                       (unsigned long long)unknown);
    if ((h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2) && h->cluster_bits < 14)
        return err_set(err, EINVAL, "qcow2: extended L2 entries need clusters of 16 KiB or more");
    if (((h->incompatible & QCOW2_INCOMPAT_COMPRESSION) != 0) != (h->compression != 0))
        return err_set(err, EINVAL, "qcow2: compression type and its feature bit contradict each other");
    if (h->compression > 1)
        return err_set(err, ENOTSUP, "qcow2: compression type %u is unknown", h->compression);
    if ((h->crypt_method == QCOW2_CRYPT_LUKS) != h->has_crypt)
        return err_set(err, EINVAL, "qcow2: encryption header missing, or there without encryption");
    if (h->has_crypt && (h->crypt_offset & ((1ull << h->cluster_bits) - 1) || h->crypt_offset >= QCOW2_MAX_OFFSET ||
                         h->crypt_length > (64u << 20)))
        return err_set(err, EINVAL, "qcow2: place of the encryption header is invalid");
    return 0;
}

int qcow2_header_parse(const uint8_t *head, size_t len, Qcow2Header *ret, Err *err)
{
    Qcow2Header *h = ret;
    uint64_t backing_at, cluster, end;
    uint32_t backing_len;
    int r;

    memset(h, 0, sizeof *h);
    if (len < QCOW2_V2_HEADER || memcmp(head, "QFI\xfb", 4) != 0)
        return err_set(err, EMEDIUMTYPE, "not a qcow2 image");
    if (get_be32(head + 4) != 2 && get_be32(head + 4) != 3)
        return err_set(err, ENOTSUP, "qcow2 version %u is not supported, only 2 and 3", get_be32(head + 4));
    h->cluster_bits = get_be32(head + 20);
    if (h->cluster_bits < QCOW2_MIN_CLUSTER_BITS || h->cluster_bits > QCOW2_MAX_CLUSTER_BITS)
        return err_set(err, EINVAL, "qcow2: clusters of 2^%u bytes are not supported, only 512 bytes to 2 MiB",
                       h->cluster_bits);
    cluster = 1ull << h->cluster_bits;
    backing_at = get_be64(head + 8);
    backing_len = get_be32(head + 16);
    h->size = get_be64(head + 24);
    h->crypt_method = get_be32(head + 32);
    h->l1_size = get_be32(head + 36);
    h->l1_offset = get_be64(head + 40);
    h->reftable_offset = get_be64(head + 48);
    h->reftable_clusters = get_be32(head + 56);
    h->n_snapshots = get_be32(head + 60);
    h->snapshots_offset = get_be64(head + 64);
    h->refcount_order = 4;
    h->header_length = QCOW2_V2_HEADER;
    h->version = get_be32(head + 4);
    if (h->version == 3) {
        if (len < 104) {
            h->version = 0;
            return err_set(err, EINVAL, "qcow2: the header is cut off");
        }
        h->incompatible = get_be64(head + 72);
        h->compatible = get_be64(head + 80);
        h->autoclear = get_be64(head + 88);
        h->refcount_order = get_be32(head + 96);
        h->header_length = get_be32(head + 100);
        if (h->header_length < 104)
            return err_set(err, EINVAL, "qcow2: header length %u is too small", h->header_length);
        if (h->header_length > 104 && len > 104)
            h->compression = head[104];
    }
    r = check_fixed(h, err);
    if (r < 0)
        return r;
    end = cluster;
    if (backing_at != 0) {
        if (backing_len > QCOW2_MAX_NAME || !range_inside(backing_at, backing_len, cluster))
            return err_set(err, EINVAL, "qcow2: the backing file name is too long or misplaced");
        if (range_inside(backing_at, backing_len, len))
            copy_text(h->backing_name, sizeof h->backing_name, head + backing_at, backing_len);
        if (backing_at > h->header_length)
            end = backing_at;
    }
    r = parse_extensions(head, len, end, h, err);
    return r < 0 ? r : check_features(h, err);
}

/* ---- Building ---- */

typedef struct Out {
    uint8_t *buf;
    size_t at, size;
    bool full;
} Out;

static uint8_t *out_reserve(Out *o, size_t n)
{
    static uint8_t nowhere[8 + 1024 + 48 * 16];
    uint8_t *p = o->buf + o->at;

    if (o->full || !range_inside(o->at, n, o->size)) {
        o->full = true;
        return nowhere;
    }
    o->at += n;
    return p;
}

static void out_extension(Out *o, uint32_t type, const void *data, uint32_t length)
{
    uint8_t *p = out_reserve(o, 8);

    put_be32(p, type);
    put_be32(p + 4, length);
    if (length > 0 && range_inside(o->at, ALIGN_UP(length, 8u), o->size))
        memcpy(out_reserve(o, ALIGN_UP(length, 8u)), data, length);
    else if (length > 0)
        o->full = true;
}

/* Names for programs that know fewer features than we do. */
static const struct {
    uint8_t kind, bit;
    char name[46];
} feature_names[] = {
    {0, 0, "dirty bit"},        {0, 1, "corrupt bit"},    {0, 2, "external data file"}, {0, 3, "compression type"},
    {0, 4, "extended L2 entries"}, {1, 0, "lazy refcounts"}, {2, 0, "bitmaps"},            {2, 1, "raw external data"},
};

int qcow2_header_build(const Qcow2Header *h, const uint8_t *old, uint8_t *buf, size_t cluster_size)
{
    Out o = {.buf = buf, .size = cluster_size};
    bool v3 = h->version >= 3;
    uint8_t *p;

    memset(buf, 0, cluster_size);
    /* Fields of header lengths beyond what we know are kept. */
    o.at = v3 ? MAX(h->header_length, h->compression != 0 ? QCOW2_V3_HEADER : 104u) : QCOW2_V2_HEADER;
    if (o.at > cluster_size)
        return -ENOSPC;
    if (old != NULL && v3 && h->header_length > 104)
        memcpy(buf + 104, old + 104, h->header_length - 104);
    memcpy(buf, "QFI\xfb", 4);
    put_be32(buf + 4, h->version);
    put_be32(buf + 20, h->cluster_bits);
    put_be64(buf + 24, h->size);
    put_be32(buf + 32, h->crypt_method);
    put_be32(buf + 36, h->l1_size);
    put_be64(buf + 40, h->l1_offset);
    put_be64(buf + 48, h->reftable_offset);
    put_be32(buf + 56, h->reftable_clusters);
    put_be32(buf + 60, h->n_snapshots);
    put_be64(buf + 64, h->snapshots_offset);
    if (v3) {
        put_be64(buf + 72, h->incompatible);
        put_be64(buf + 80, h->compatible);
        put_be64(buf + 88, h->autoclear);
        put_be32(buf + 96, h->refcount_order);
        put_be32(buf + 100, (uint32_t)o.at);
        if (o.at > 104)
            buf[104] = (uint8_t)h->compression;
    }
    if (h->backing_format[0] != 0)
        out_extension(&o, QCOW2_EXT_BACKING_FORMAT, h->backing_format, (uint32_t)strlen(h->backing_format));
    if (h->data_file[0] != 0)
        out_extension(&o, QCOW2_EXT_DATA_FILE, h->data_file, (uint32_t)strlen(h->data_file));
    if (h->has_crypt) {
        uint8_t data[16];

        put_be64(data, h->crypt_offset);
        put_be64(data + 8, h->crypt_length);
        out_extension(&o, QCOW2_EXT_CRYPT, data, sizeof data);
    }
    if (h->has_bitmaps) {
        uint8_t data[24] = {0};

        put_be32(data, h->n_bitmaps);
        put_be64(data + 8, h->bitmap_dir_size);
        put_be64(data + 16, h->bitmap_dir_offset);
        out_extension(&o, QCOW2_EXT_BITMAPS, data, sizeof data);
    }
    for (unsigned i = 0; i < h->n_unknown && old != NULL; i++)
        out_extension(&o, h->unknown[i].type, old + h->unknown[i].at, h->unknown[i].length);
    if (v3 && cluster_size >= 4096) {
        uint8_t names[ARRAY_LEN(feature_names) * 48];

        for (size_t i = 0; i < ARRAY_LEN(feature_names); i++) {
            names[i * 48] = feature_names[i].kind;
            names[i * 48 + 1] = feature_names[i].bit;
            memcpy(names + i * 48 + 2, feature_names[i].name, 46);
        }
        out_extension(&o, QCOW2_EXT_FEATURES, names, sizeof names);
    }
    out_extension(&o, QCOW2_EXT_END, NULL, 0);
    if (h->backing_name[0] != 0) {
        size_t n = strlen(h->backing_name);

        put_be64(buf + 8, o.at);
        put_be32(buf + 16, (uint32_t)n);
        p = out_reserve(&o, n);
        memcpy(p, h->backing_name, n);
    }
    return o.full ? -ENOSPC : (int)o.at;
}
