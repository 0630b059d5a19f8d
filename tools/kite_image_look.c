/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kite-image: commands that look at images: info, map, check (which also repairs), compare. */
#include "kite_image.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cmd_info(int argc, char **argv)
{
    unsigned flags = IMAGE_OPEN_RDONLY | IMAGE_OPEN_NO_BACKING | IMAGE_OPEN_CHECK;
    const char *format = NULL;
    ImageSnapshot *list;
    unsigned n;
    ImageInfo info;
    Image *image;
    int c;

    while ((c = getopt(argc, argv, "f:U")) != -1) {
        if (c == 'f')
            format = optarg;
        else if (c == 'U')
            flags |= IMAGE_OPEN_NO_LOCK;
        else
            return 2;
    }
    if (optind + 1 != argc)
        return 2;
    image = open_image(argv[optind], format, flags);
    if (image_get_info(image, &info) < 0)
        die("cannot read the image's facts");
    printf("image: %s\nfile format: %s\nvirtual size: %" PRIu64 "\ndisk size: %" PRIu64 "\n", argv[optind],
           image_format_name(info.format), info.virtual_size, info.allocated_size);
    if (info.encrypted)
        printf("encrypted: yes\n");
    if (info.cluster_size != 0)
        printf("cluster_size: %u\n", info.cluster_size);
    if (info.backing_name[0] != 0)
        printf("backing file: %s\n", info.backing_name);
    if (info.backing_format[0] != 0)
        printf("backing file format: %s\n", info.backing_format);
    if (info.format == IMAGE_FORMAT_QCOW2) {
        printf("compat: %s\nrefcount bits: %u\ncompression type: %s\nlazy refcounts: %s\nextended l2: %s\n"
               "corrupt: %s\ndirty: %s\n",
               info.version == 3 ? "1.1" : "0.10", info.refcount_bits, info.zstd ? "zstd" : "zlib",
               info.lazy_refcounts ? "true" : "false", info.extended_l2 ? "true" : "false",
               info.corrupt ? "true" : "false", info.dirty ? "true" : "false");
        if (info.external_data)
            printf("data file: %s\ndata file raw: %s\n", info.data_file, info.external_data_raw ? "true" : "false");
    }
    if (image_snapshot_list(image, &list, &n, NULL) == 0) {
        for (unsigned i = 0; i < n; i++)
            printf("snapshot: %s %s\n", list[i].id, list[i].name);
        free(list);
    }
    image_close(image);
    return 0;
}

int cmd_map(int argc, char **argv)
{
    const char *format = NULL;
    bool first = true;
    Image *image;
    int c;

    while ((c = getopt(argc, argv, "f:")) != -1) {
        if (c != 'f')
            return 2;
        format = optarg;
    }
    if (optind + 1 != argc)
        return 2;
    image = open_image(argv[optind], format, IMAGE_OPEN_RDONLY);
    for (uint64_t at = 0; at < image_size(image);) {
        ImageMapEntry e;
        int ret = image_map(image, at, image_size(image) - at, &e);

        if (ret < 0)
            die("cannot map: %s", image_last_error(image)[0] ? image_last_error(image) : strerror(-ret));
        printf("%s{ \"start\": %" PRIu64 ", \"length\": %" PRIu64 ", \"depth\": %u, \"present\": %s, \"zero\": %s, "
               "\"data\": %s",
               first ? "[" : ",\n", e.offset, e.length, e.depth, e.allocated ? "true" : "false",
               e.zero ? "true" : "false", e.data ? "true" : "false");
        if (e.has_host_offset)
            printf(", \"offset\": %" PRIu64, e.host_offset);
        printf("}");
        first = false;
        at += e.length;
    }
    printf("%s]\n", first ? "[" : "");
    image_close(image);
    return 0;
}

static void print_line(void *opaque, const char *line)
{
    puts(line);
}

int cmd_check(int argc, char **argv)
{
    unsigned flags = IMAGE_OPEN_NO_BACKING | IMAGE_OPEN_CHECK;
    ImageRepair repair = IMAGE_REPAIR_NONE;
    const char *format = NULL;
    ImageCheck check;
    Image *image;
    bool quiet = false;
    Err err;
    int c;

    while ((c = getopt(argc, argv, "f:r:Uq")) != -1) {
        if (c == 'f')
            format = optarg;
        else if (c == 'U')
            flags |= IMAGE_OPEN_NO_LOCK;
        else if (c == 'q')
            quiet = true;
        else if (c == 'r' && strcmp(optarg, "leaks") == 0)
            repair = IMAGE_REPAIR_LEAKS;
        else if (c == 'r' && strcmp(optarg, "all") == 0)
            repair = IMAGE_REPAIR_ALL;
        else
            return 2;
    }
    if (optind + 1 != argc)
        return 2;
    if (repair == IMAGE_REPAIR_NONE)
        flags |= IMAGE_OPEN_RDONLY;
    image = open_image(argv[optind], format, flags);
    if (image_check(image, repair, quiet ? NULL : print_line, NULL, &check, &err) < 0) {
        if (err.errnum == ENOTSUP)
            return 63;
        die("%s", err.text);
    }
    if (!quiet) {
        if (check.leaks_fixed || check.corruptions_fixed)
            printf("The following inconsistencies were found and repaired:\n\n    %" PRIu64 " leaked clusters\n    %" PRIu64
                   " corruptions\n\n",
                   check.leaks_fixed, check.corruptions_fixed);
        if (check.corruptions)
            printf("\n%" PRIu64 " errors were found on the image.\n", check.corruptions);
        if (check.leaks)
            printf("\n%" PRIu64 " leaked clusters were found on the image.\n", check.leaks);
        if (!check.corruptions && !check.leaks && !check.check_errors)
            printf("No errors were found on the image.\n");
        printf("%" PRIu64 "/%" PRIu64 " allocated, %" PRIu64 " fragmented, %" PRIu64 " compressed clusters\n"
               "Image end offset: %" PRIu64 "\n",
               check.allocated_clusters, check.total_clusters, check.fragmented_clusters, check.compressed_clusters,
               check.image_end);
    }
    image_close(image);
    return check.check_errors ? 1 : check.corruptions ? 2 : check.leaks ? 3 : 0;
}

int cmd_compare(int argc, char **argv)
{
    const char *f1 = NULL, *f2 = NULL;
    uint64_t size, small;
    uint8_t *x, *y;
    Image *a, *b;
    int c, ret;

    while ((c = getopt(argc, argv, "f:F:q")) != -1) {
        if (c == 'f')
            f1 = optarg;
        else if (c == 'F')
            f2 = optarg;
        else if (c != 'q')
            return 2;
    }
    if (optind + 2 != argc)
        return 2;
    a = open_image(argv[optind], f1, IMAGE_OPEN_RDONLY);
    b = open_image(argv[optind + 1], f2, IMAGE_OPEN_RDONLY);
    size = MAX(image_size(a), image_size(b));
    small = MIN(image_size(a), image_size(b));
    x = malloc(CHUNK);
    y = malloc(CHUNK);
    if (x == NULL || y == NULL)
        die("out of memory");
    for (uint64_t at = 0; at < size;) {
        Image *longer = image_size(a) > small ? a : b;
        size_t n = (size_t)MIN(at < small ? small - at : size - at, (uint64_t)CHUNK);

        if (at < small) {
            ret = image_pread(a, x, n, at) ?: image_pread(b, y, n, at);
        } else {
            ret = image_pread(longer, x, n, at);
            memset(y, 0, n);
        }
        if (ret < 0)
            die("cannot read: %s", strerror(-ret));
        if (memcmp(x, y, n) != 0) {
            while (*x == *y)
                x++, y++, at++;
            printf("Content mismatch at offset %" PRIu64 "!\n", at);
            return 1;
        }
        at += n;
    }
    printf("Images are identical.\n");
    free(x);
    free(y);
    image_close(a);
    image_close(b);
    return 0;
}
