/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Telling formats apart by their first bytes. Magic numbers as published by each format's makers; where only a name
 * and a size are wanted, nothing else of the header is read. All input is untrusted.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/image.h"
#include "storage/image_priv.h"
#include "storage/qcow2_format.h"

static const char *const format_names[IMAGE_FORMAT_LAST] = {
    [IMAGE_FORMAT_RAW] = "raw",     [IMAGE_FORMAT_QCOW2] = "qcow2", [IMAGE_FORMAT_LUKS] = "luks",
    [IMAGE_FORMAT_QCOW] = "qcow",   [IMAGE_FORMAT_QED] = "qed",     [IMAGE_FORMAT_VMDK] = "vmdk",
    [IMAGE_FORMAT_VDI] = "vdi",     [IMAGE_FORMAT_VPC] = "vpc",     [IMAGE_FORMAT_VHDX] = "vhdx",
    [IMAGE_FORMAT_PARALLELS] = "parallels", [IMAGE_FORMAT_BOCHS] = "bochs", [IMAGE_FORMAT_CLOOP] = "cloop",
    [IMAGE_FORMAT_DMG] = "dmg",     [IMAGE_FORMAT_ISO] = "iso",
};

const char *image_format_name(ImageFormat format)
{
    return format < IMAGE_FORMAT_LAST ? format_names[format] : NULL;
}

ImageFormat image_format_from_name(const char *name)
{
    for (int i = 0; i < IMAGE_FORMAT_LAST; i++)
        if (format_names[i] != NULL && strcmp(format_names[i], name) == 0)
            return (ImageFormat)i;
    return IMAGE_FORMAT_AUTO;
}

/* Where the virtual size stands, in which unit and byte order; size_offset 0: not simple. */
static const struct {
    ImageFormat format;
    uint32_t offset;
    const char *magic;
    uint8_t magic_len;
    uint32_t size_offset;
    uint32_t unit;
    bool big_endian;
    uint32_t version; /* of qcow, which shares its magic with qcow2; else 0 */
} magics[] = {
    {IMAGE_FORMAT_QCOW, 0, "QFI\xfb\0\0\0\1", 8, 24, 1, true, 1},
    {IMAGE_FORMAT_QED, 0, "QED\0", 4, 48, 1, false, 0},
    {IMAGE_FORMAT_VMDK, 0, "KDMV", 4, 12, 512, false, 0},
    {IMAGE_FORMAT_VMDK, 0, "COWD", 4, 0, 0, false, 0},
    {IMAGE_FORMAT_VMDK, 0, "# Disk DescriptorFile", 21, 0, 0, false, 0},
    {IMAGE_FORMAT_VDI, 64, "\x7f\x10\xda\xbe", 4, 368, 1, false, 0},
    {IMAGE_FORMAT_VPC, 0, "conectix", 8, 48, 1, true, 0},
    {IMAGE_FORMAT_VHDX, 0, "vhdxfile", 8, 0, 0, false, 0},
    {IMAGE_FORMAT_PARALLELS, 0, "WithoutFreeSpace", 16, 36, 512, false, 0},
    {IMAGE_FORMAT_PARALLELS, 0, "WithouFreSpacExt", 16, 36, 512, false, 0},
    {IMAGE_FORMAT_BOCHS, 0, "Bochs Virtual HD Image", 22, 0, 0, false, 0},
    {IMAGE_FORMAT_CLOOP, 0, "#!/bin/sh\n#V2.0 Format\nmodprobe cloop", 37, 0, 0, false, 0},
    {IMAGE_FORMAT_DMG, 0, "koly", 4, 0, 0, false, 0},
    {IMAGE_FORMAT_ISO, 32769, "CD001", 5, 0, 0, false, 0},
};

static uint64_t read_size(const uint8_t *p, bool big_endian, uint32_t unit)
{
    uint64_t size = get_be64(p);

    if (!big_endian)
        size = __builtin_bswap64(size);
    return checked_mul(size, unit, &size) && size <= INT64_MAX ? size : 0;
}

static void probe_qcow2(const uint8_t *head, size_t len, ImageProbe *ret)
{
    Qcow2Header header;

    if (qcow2_header_parse(head, len, &header, NULL) < 0 && header.version == 0)
        return;
    ret->virtual_size = header.size <= INT64_MAX ? header.size : 0;
    ret->version = header.version;
    ret->cluster_size = header.cluster_bits < 32 ? 1u << header.cluster_bits : 0;
    ret->encrypted = header.crypt_method != 0;
    ret->luks = header.crypt_method == QCOW2_CRYPT_LUKS;
    ret->extended_l2 = header.incompatible & QCOW2_INCOMPAT_EXTENDED_L2;
    ret->dirty = header.incompatible & QCOW2_INCOMPAT_DIRTY;
    ret->corrupt = header.incompatible & QCOW2_INCOMPAT_CORRUPT;
    ret->external_data = header.incompatible & QCOW2_INCOMPAT_DATA_FILE;
    ret->external_data_raw = header.autoclear & QCOW2_AUTOCLEAR_DATA_RAW;
    ret->lazy_refcounts = header.compatible & QCOW2_COMPAT_LAZY;
    ret->n_snapshots = header.n_snapshots;
    memcpy(ret->backing_name, header.backing_name, sizeof ret->backing_name);
    memcpy(ret->backing_format, header.backing_format, sizeof ret->backing_format);
    memcpy(ret->data_file, header.data_file, sizeof ret->data_file);
}

static void set_backing(ImageProbe *ret, const uint8_t *name, size_t length, const char *format)
{
    if (length > IMAGE_NAME_MAX)
        return;
    memcpy(ret->backing_name, name, length);
    ret->backing_name[length] = '\0';
    strncpy(ret->backing_format, format, sizeof ret->backing_format - 1);
}

static uint64_t get_le(const uint8_t *p, size_t bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | p[bytes];
    return value;
}

/* docs/interop/qed_spec of QEMU: features at 16, place and length of the backing file's name at 56 and 60. */
static void probe_qed(const uint8_t *p, size_t len, ImageProbe *ret)
{
    enum { HAS_BACKING = 1, BACKING_IS_RAW = 4 };
    uint64_t features, at, n;

    if (len < 64)
        return;
    features = get_le(p + 16, 8);
    at = get_le(p + 56, 4);
    n = get_le(p + 60, 4);
    if ((features & HAS_BACKING) && range_inside(at, n, len))
        set_backing(ret, p + at, n, features & BACKING_IS_RAW ? "raw" : "");
}

/* The text of a VMDK, by itself or embedded in the second sector: parentFileNameHint="NAME". */
static void probe_vmdk(const uint8_t *p, size_t len, ImageProbe *ret)
{
    static const char key[] = "parentFileNameHint=\"";
    size_t start = len > 0 && p[0] == '#' ? 0 : 512, limit = MIN(len, start + 20 * 512);
    const uint8_t *found, *end;

    if (start >= limit)
        return;
    found = memmem(p + start, limit - start, key, sizeof key - 1);
    if (found == NULL)
        return;
    found += sizeof key - 1;
    end = memchr(found, '"', (size_t)(p + limit - found));
    if (end != NULL && memchr(found, '\0', (size_t)(end - found)) == NULL)
        set_backing(ret, found, (size_t)(end - found), "vmdk");
}

void image_probe(const void *head, size_t len, ImageProbe *ret)
{
    const uint8_t *p = head;

    memset(ret, 0, sizeof *ret);
    ret->format = IMAGE_FORMAT_RAW;
    if (len >= 8 && memcmp(p, "QFI\xfb", 4) == 0 && get_be32(p + 4) >= 2) {
        ret->format = IMAGE_FORMAT_QCOW2;
        probe_qcow2(p, len, ret);
        return;
    }
    if (len >= 8 && memcmp(p, "LUKS\xba\xbe", 6) == 0) {
        ret->format = IMAGE_FORMAT_LUKS;
        ret->version = get_be16(p + 6);
        ret->encrypted = ret->luks = true;
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
        if (!range_inside(magics[i].offset, magics[i].magic_len, len) ||
            memcmp(p + magics[i].offset, magics[i].magic, magics[i].magic_len) != 0)
            continue;
        ret->format = magics[i].format;
        ret->version = magics[i].version;
        if (magics[i].size_offset != 0 && range_inside(magics[i].size_offset, 8, len))
            ret->virtual_size = read_size(p + magics[i].size_offset, magics[i].big_endian, magics[i].unit);
        if (ret->format == IMAGE_FORMAT_QCOW && len >= 48 && get_be64(p + 8) != 0) {
            uint64_t at = get_be64(p + 8);
            uint32_t n = get_be32(p + 16);

            if (range_inside(at, n, len))
                set_backing(ret, p + at, n, "");
        } else if (ret->format == IMAGE_FORMAT_QED) {
            probe_qed(p, len, ret);
        } else if (ret->format == IMAGE_FORMAT_VMDK) {
            probe_vmdk(p, len, ret);
        }
        return;
    }
}

int image_probe_fd(int fd, ImageProbe *ret, Err *err)
{
    cleanup_free uint8_t *head = NULL;
    HostFile file;
    int r = host_file_open(&file, fd, NULL, NULL, err);

    if (r < 0)
        return r;
    head = calloc(1, IMAGE_PROBE_SIZE);
    if (head == NULL)
        return err_set(err, ENOMEM, "out of memory");
    r = host_file_pread(&file, head, IMAGE_PROBE_SIZE, 0);
    if (r < 0)
        return err_set(err, -r, "cannot read the image's first bytes: %s", strerror(-r));
    image_probe(head, IMAGE_PROBE_SIZE, ret);
    if (ret->format == IMAGE_FORMAT_RAW || ret->format == IMAGE_FORMAT_ISO) {
        r = host_file_size(&file, &ret->virtual_size);
        if (r < 0)
            return err_set(err, -r, "cannot tell the image's size: %s", strerror(-r));
    }
    return 0;
}
