/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kite-image: disk images from the command line. Options and output follow qemu-img where both have a command, so that
 * one can stand in for the other in scripts and tests. Paths in images are followed (this is a tool for its user).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/image.h"

#define CHUNK (2u << 20)

static const char *passphrase;
static int open_direct; /* O_DIRECT, for bench -t none */

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...)
{
    va_list ap;

    fputs("kite-image: ", stderr);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

/* ---- Arguments ---- */

static uint64_t parse_size(const char *text)
{
    char *end;
    double v = strtod(text, &end);
    static const char units[] = "bkMGTPE";
    const char *u;

    if (end == text || v < 0)
        die("'%s' is no size", text);
    if (*end == 'K')
        *end = 'k';
    if (*end == 0)
        return (uint64_t)v;
    u = strchr(units, *end);
    if (u == NULL || end[1] != 0)
        die("'%s' is no size: use a suffix k, M, G, T, P or E", text);
    for (; u > units; u--)
        v *= 1024;
    if (v >= 9.2e18)
        die("size '%s' is too large", text);
    return (uint64_t)v;
}

static ImageFormat parse_format(const char *name)
{
    ImageFormat format = image_format_from_name(name);

    if (format == IMAGE_FORMAT_AUTO)
        die("unknown format '%s'", name);
    return format;
}

/* ---- Opening ---- */

typedef struct PathOpener {
    struct PathOpener *next;
    char *path; /* ours, when a reference led here */
    char *dir; /* of the image whose references are resolved */
    bool rw_backing;
    unsigned flags;
    const char *data_path; /* resolved */
} PathOpener;

static PathOpener *openers;

static int open_ref(void *opaque, ImageRef ref, const char *name, const char *format, ImageOpenParams *ret, Err *err);

static char *resolve(const char *dir, const char *name)
{
    char *path = NULL;

    if (strncmp(name, "file:", 5) == 0)
        name += 5;
    if (name[0] == '/' || dir == NULL) {
        path = strdup(name);
    } else if (asprintf(&path, "%s/%s", dir, name) < 0) {
        path = NULL;
    }
    if (path == NULL)
        die("out of memory");
    return path;
}

static char *dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static int fill_params(const char *path, ImageFormat format, unsigned flags, ImageOpenParams *p, Err *err)
{
    PathOpener *opener = calloc(1, sizeof *opener);

    image_open_params_init(p);
    p->fd = open(path, (flags & IMAGE_OPEN_RDONLY ? O_RDONLY : O_RDWR) | O_CLOEXEC | open_direct);
    if (p->fd < 0) {
        free(opener);
        return err_set(err, errno, "cannot open '%s': %s", path, strerror(errno));
    }
    p->format = format;
    p->flags = flags;
    p->name = path;
    p->passphrase = passphrase;
    p->passphrase_len = passphrase != NULL ? strlen(passphrase) : 0;
    opener->dir = dir_of(path);
    opener->next = openers; /* images ask it as long as they are open: it lives as long as the process */
    openers = opener;
    opener->flags = flags;
    p->opener = open_ref;
    p->opener_opaque = opener;
    return 0;
}

static int open_ref(void *opaque, ImageRef ref, const char *name, const char *format, ImageOpenParams *ret, Err *err)
{
    PathOpener *opener = opaque;
    char *path = resolve(opener->dir, name); /* params->name points at it */
    unsigned flags = opener->flags & (IMAGE_OPEN_NO_LOCK | IMAGE_OPEN_NO_SYNC);

    flags |= ref == IMAGE_REF_BACKING ? IMAGE_OPEN_RDONLY : opener->flags & IMAGE_OPEN_RDONLY;
    int status = fill_params(path, format[0] != 0 ? parse_format(format) : IMAGE_FORMAT_AUTO, flags, ret, err);

    if (status < 0)
        free(path);
    else
        openers->path = path; /* the one just made */
    return status;
}

static Image *open_image(const char *path, const char *format, unsigned flags)
{
    ImageOpenParams p;
    Image *image;
    Err err;

    if (fill_params(path, format != NULL ? parse_format(format) : IMAGE_FORMAT_AUTO, flags, &p, &err) < 0 ||
        image_open(&p, &image, &err) < 0)
        die("%s", err.text);
    return image;
}

static void close_image(Image *image)
{
    int ret = image_close(image);

    if (ret < 0)
        die("cannot finish writing: %s", strerror(-ret));
}

/* ---- info, map, check ---- */

static int cmd_info(int argc, char **argv)
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

static int cmd_map(int argc, char **argv)
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

static int cmd_check(int argc, char **argv)
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

/* ---- create, resize, convert ---- */

static const char *const prealloc_names[] = {"off", "metadata", "falloc", "full"};

static ImagePreallocation parse_preallocation(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(prealloc_names); i++)
        if (strcmp(prealloc_names[i], text) == 0)
            return (ImagePreallocation)i;
    die("unknown preallocation '%s'", text);
}

static bool parse_on(const char *text)
{
    return strcmp(text, "on") == 0 || strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
}

/* -o key=value,…; strings point into text. */
static void parse_options(char *text, ImageCreateParams *p)
{
    enum { BACKING, BACKING_FMT, CLUSTER, COMPAT, LAZY, REFCOUNT, PREALLOC, EXTL2, COMPRESSION, DATA, DATA_RAW, ENC, KEY,
           ITER };
    static const char *const keys[] = {[BACKING] = "backing_file", [BACKING_FMT] = "backing_fmt", [CLUSTER] = "cluster_size",
                          [COMPAT] = "compat", [LAZY] = "lazy_refcounts", [REFCOUNT] = "refcount_bits",
                          [PREALLOC] = "preallocation", [EXTL2] = "extended_l2", [COMPRESSION] = "compression_type",
                          [DATA] = "data_file", [DATA_RAW] = "data_file_raw", [ENC] = "encrypt.format",
                          [KEY] = "key", [ITER] = "iterations", NULL};
    char *value;

    while (*text != 0) {
        int key = getsubopt(&text, (char *const *)(uintptr_t)keys, &value);

        if (key < 0 || value == NULL)
            die("unknown option '%s'", value != NULL ? value : "?");
        switch (key) {
        case BACKING: p->backing_name = value; break;
        case BACKING_FMT: p->backing_format = value; break;
        case CLUSTER: p->cluster_size = (uint32_t)parse_size(value); break;
        case COMPAT: p->version = strcmp(value, "0.10") == 0 || strcmp(value, "v2") == 0 ? 2 : 3; break;
        case LAZY: p->lazy_refcounts = parse_on(value); break;
        case REFCOUNT: p->refcount_bits = (unsigned)parse_size(value); break;
        case PREALLOC: p->preallocation = parse_preallocation(value); break;
        case EXTL2: p->extended_l2 = parse_on(value); break;
        case COMPRESSION: p->zstd = strcmp(value, "zstd") == 0; break;
        case DATA: p->data_file = value; break;
        case DATA_RAW: p->data_file_raw = parse_on(value); break;
        case ENC: break; /* LUKS is the only one */
        case KEY: passphrase = value; break;
        case ITER: p->luks_iterations = (unsigned)parse_size(value); break;
        }
    }
}

static void create_file(const char *path, ImageCreateParams *p)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    Err err;

    if (fd < 0)
        die("cannot create '%s': %s", path, strerror(errno));
    if (p->data_file != NULL) {
        char *folder = dir_of(path), *data = resolve(folder, p->data_file);

        p->data_fd = open(data, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (p->data_fd < 0)
            die("cannot create '%s': %s", data, strerror(errno));
        free(data);
        free(folder);
    }
    if (passphrase != NULL && p->format != IMAGE_FORMAT_RAW) {
        p->passphrase = passphrase;
        p->passphrase_len = strlen(passphrase);
    }
    if (image_create(fd, p, &err) < 0)
        die("%s: %s", path, err.text);
    close(fd);
    if (p->data_fd >= 0)
        close(p->data_fd);
}

static int cmd_create(int argc, char **argv)
{
    ImageCreateParams p;
    int c;

    image_create_params_init(&p);
    p.format = IMAGE_FORMAT_RAW;
    while ((c = getopt(argc, argv, "f:o:b:F:q")) != -1) {
        switch (c) {
        case 'f': p.format = parse_format(optarg); break;
        case 'o': parse_options(optarg, &p); break;
        case 'b': p.backing_name = optarg; break;
        case 'F': p.backing_format = optarg; break;
        case 'q': break;
        default: return 2;
        }
    }
    if (optind + 2 == argc) {
        p.size = parse_size(argv[optind + 1]);
    } else if (optind + 1 == argc && p.backing_name != NULL) {
        char *path = resolve(dir_of(argv[optind]), p.backing_name);
        Image *below = open_image(path, p.backing_format, IMAGE_OPEN_RDONLY | IMAGE_OPEN_NO_BACKING);

        p.size = image_size(below);
        image_close(below);
        free(path);
    } else {
        return 2;
    }
    create_file(argv[optind], &p);
    return 0;
}

static int cmd_resize(int argc, char **argv)
{
    ImagePreallocation preallocation = IMAGE_PREALLOC_OFF;
    static const struct option longs[] = {{"shrink", no_argument, NULL, 's'},
                                          {"preallocation", required_argument, NULL, 'p'},
                                          {0}};
    const char *format = NULL;
    bool shrink = false;
    uint64_t size;
    Image *image;
    Err err;
    int c;

    while ((c = getopt_long(argc, argv, "f:q", longs, NULL)) != -1) {
        if (c == 'f')
            format = optarg;
        else if (c == 's')
            shrink = true;
        else if (c == 'p')
            preallocation = parse_preallocation(optarg);
        else if (c != 'q')
            return 2;
    }
    if (optind + 2 != argc)
        return 2;
    image = open_image(argv[optind], format, 0);
    size = parse_size(argv[optind + 1] + (argv[optind + 1][0] == '+'));
    if (argv[optind + 1][0] == '+')
        size += image_size(image);
    if (image_resize(image, size, preallocation, shrink, &err) < 0)
        die("%s", err.text);
    close_image(image);
    return 0;
}

static bool is_zero(const uint8_t *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static void copy_image(Image *from, Image *to, bool compress, uint32_t cluster)
{
    uint8_t *buf;
    int ret = 0;

    if (posix_memalign((void **)&buf, 4096, CHUNK) != 0)
        die("out of memory");
    for (uint64_t at = 0; at < image_size(from) && ret == 0;) {
        uint32_t unit = compress ? cluster : CHUNK;
        uint64_t n = MIN(image_size(from) - at, (uint64_t)unit);
        ImageMapEntry e;

        ret = image_map(from, at, image_size(from) - at, &e);
        if (ret == 0 && e.zero && e.length >= n) {
            at += compress ? ALIGN_DOWN(e.length, (uint64_t)cluster) ?: n : e.length;
            continue;
        }
        if (ret == 0)
            ret = image_pread(from, buf, n, at);
        memset(buf + n, 0, unit - n);
        if (ret == 0 && compress) {
            if (!is_zero(buf, unit))
                ret = image_write_compressed(to, buf, at);
        } else if (ret == 0) {
            for (uint64_t i = 0; i < n && ret == 0; i += 65536) {
                size_t part = MIN(n - i, 65536u);

                if (!is_zero(buf + i, part))
                    ret = image_pwrite(to, buf + i, part, at + i);
            }
        }
        at += n;
    }
    free(buf);
    if (ret < 0)
        die("copying failed: %s", strerror(-ret));
}

static int cmd_convert(int argc, char **argv)
{
    const char *from_format = NULL;
    bool compress = false;
    ImageCreateParams p;
    ImageInfo info;
    Image *from, *to;
    int c;

    image_create_params_init(&p);
    p.format = IMAGE_FORMAT_RAW;
    while ((c = getopt(argc, argv, "f:O:o:cq")) != -1) {
        switch (c) {
        case 'f': from_format = optarg; break;
        case 'O': p.format = parse_format(optarg); break;
        case 'o': parse_options(optarg, &p); break;
        case 'c': compress = true; break;
        case 'q': break;
        default: return 2;
        }
    }
    if (optind + 2 != argc)
        return 2;
    from = open_image(argv[optind], from_format, IMAGE_OPEN_RDONLY);
    p.size = image_size(from);
    create_file(argv[optind + 1], &p);
    to = open_image(argv[optind + 1], image_format_name(p.format), IMAGE_OPEN_NO_SYNC);
    if (image_get_info(to, &info) < 0)
        die("cannot read the new image's facts");
    copy_image(from, to, compress, info.cluster_size);
    close_image(to);
    image_close(from);
    return 0;
}

/* ---- commit, rebase, snapshot, compare ---- */

static int cmd_commit(int argc, char **argv)
{
    const char *format = NULL;
    char *dir, *path;
    ImageOpenParams p;
    ImageInfo info;
    Image *top, *below;
    bool empty = true;
    Err err;
    int c;

    while ((c = getopt(argc, argv, "f:dq")) != -1) {
        if (c == 'f')
            format = optarg;
        else if (c == 'd')
            empty = false;
        else if (c != 'q')
            return 2;
    }
    if (optind + 1 != argc)
        return 2;
    top = open_image(argv[optind], format, IMAGE_OPEN_RDONLY | IMAGE_OPEN_NO_BACKING);
    if (image_get_info(top, &info) < 0 || info.backing_name[0] == 0)
        die("%s: there is no backing image", argv[optind]);
    image_close(top);
    dir = dir_of(argv[optind]);
    path = resolve(dir, info.backing_name);
    below = open_image(path, info.backing_format[0] ? info.backing_format : NULL, 0);
    if (fill_params(argv[optind], IMAGE_FORMAT_QCOW2, 0, &p, &err) < 0)
        die("%s", err.text);
    p.backing = below;
    if (image_open(&p, &top, &err) < 0 || image_commit(top, empty, NULL, NULL, &err) < 0)
        die("%s", err.text);
    close_image(top);
    free(path);
    free(dir);
    return 0;
}

static int cmd_rebase(int argc, char **argv)
{
    const char *format = NULL, *backing = NULL, *backing_format = NULL;
    bool unsafe = false;
    Image *image, *new = NULL;
    Err err;
    int c, ret;

    while ((c = getopt(argc, argv, "f:b:F:uq")) != -1) {
        switch (c) {
        case 'f': format = optarg; break;
        case 'b': backing = optarg; break;
        case 'F': backing_format = optarg; break;
        case 'u': unsafe = true; break;
        case 'q': break;
        default: return 2;
        }
    }
    if (optind + 1 != argc || backing == NULL)
        return 2;
    if (backing[0] == 0)
        backing = NULL;
    image = open_image(argv[optind], format, unsafe ? IMAGE_OPEN_NO_BACKING : 0);
    if (unsafe) {
        ret = image_set_backing_name(image, backing, backing_format, &err);
    } else {
        if (backing != NULL) {
            char *path = resolve(dir_of(argv[optind]), backing);

            new = open_image(path, backing_format, IMAGE_OPEN_RDONLY);
            free(path);
        }
        ret = image_rebase(image, new, backing, backing_format, &err);
    }
    if (ret < 0)
        die("%s", err.text);
    close_image(image);
    return 0;
}

static int cmd_snapshot(int argc, char **argv)
{
    const char *name = NULL;
    char action = 'l';
    ImageSnapshot *list, new = {.date_sec = (uint64_t)time(NULL)};
    unsigned n;
    Image *image;
    Err err;
    int c, ret;

    while ((c = getopt(argc, argv, "lc:a:d:q")) != -1) {
        if (c == '?')
            return 2;
        if (c != 'q') {
            action = (char)c;
            name = optarg;
        }
    }
    if (optind + 1 != argc)
        return 2;
    image = open_image(argv[optind], "qcow2",
                       IMAGE_OPEN_NO_BACKING | IMAGE_OPEN_UNMAP | (action == 'l' ? IMAGE_OPEN_RDONLY : 0));
    switch (action) {
    case 'c':
        snprintf(new.name, sizeof new.name, "%s", name);
        ret = image_snapshot_create(image, &new, &err);
        break;
    case 'a':
        ret = image_snapshot_apply(image, name, &err);
        break;
    case 'd':
        ret = image_snapshot_delete(image, name, &err);
        break;
    default:
        ret = image_snapshot_list(image, &list, &n, &err);
        for (unsigned i = 0; ret == 0 && i < n; i++)
            printf("%-10s%-24s%12" PRIu64 " %" PRIu64 "\n", list[i].id, list[i].name, list[i].vm_state_size,
                   list[i].date_sec);
        if (ret == 0)
            free(list);
    }
    if (ret < 0)
        die("%s", err.text);
    close_image(image);
    return 0;
}

static int cmd_compare(int argc, char **argv)
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

/* ---- bench ---- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int cmd_bench(int argc, char **argv)
{
    uint64_t count = 75000, size = 4096, step = 0, offset = 0, flush_every = 0, seed = 88172645463325252ull, span;
    bool write = false, random_access = false;
    const char *format = NULL;
    struct timespec t0, t1;
    Image *image;
    void *buf;
    int c, ret = 0;

    while ((c = getopt(argc, argv, "f:c:s:S:o:d:t:wrq")) != -1) {
        switch (c) {
        case 'f': format = optarg; break;
        case 'c': count = parse_size(optarg); break;
        case 's': size = parse_size(optarg); break;
        case 'S': step = parse_size(optarg); break;
        case 'o': offset = parse_size(optarg); break;
        case 'd': break; /* qemu-img's; here always one at a time: the engine below io_uring */
        case 't': open_direct = strcmp(optarg, "none") == 0 ? O_DIRECT : 0; break;
        case 'w': write = true; break;
        case 'r': random_access = true; break;
        case 'q': break;
        default: return 2;
        }
    }
    if (optind + 1 != argc)
        return 2;
    image = open_image(argv[optind], format, write ? 0 : IMAGE_OPEN_RDONLY);
    if (posix_memalign(&buf, 4096, size) != 0)
        die("out of memory");
    memset(buf, 0xa5, size);
    if (step == 0)
        step = size;
    if (size == 0 || size > image_size(image))
        die("the image is smaller than one request");
    span = image_size(image) - size + 1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    for (uint64_t i = 0; i < count && ret == 0; i++) {
        if (random_access)
            offset = ALIGN_DOWN(next_random(&seed) % span, size);
        ret = write ? image_pwrite(image, buf, size, offset) : image_pread(image, buf, size, offset);
        offset = (offset + step) % image_size(image); /* as qemu-img bench */
        if (offset >= span)
            offset = 0;
        if (flush_every != 0 && i % flush_every == 0 && ret == 0)
            ret = image_flush(image);
    }
    if (ret == 0 && write)
        ret = image_flush(image);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    if (ret < 0)
        die("%s failed: %s", write ? "write" : "read", strerror(-ret));
    printf("Run completed in %.3f seconds.\n",
           (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9);
    free(buf);
    close_image(image);
    return 0;
}

/* ---- io: scripted reads and writes, for tests ---- */

static int cmd_io(int argc, char **argv)
{
    Image *image;
    int ret = 0;

    if (argc < 2)
        return 2;
    image = open_image(argv[1], NULL, IMAGE_OPEN_UNMAP);
    for (int i = 2; i < argc && ret == 0; i++) {
        uint64_t at, n;
        unsigned pattern = 0;
        char op;
        uint8_t *buf;

        if (sscanf(argv[i], "%c:%" SCNu64 ":%" SCNu64 ":%u", &op, &at, &n, &pattern) < 3)
            die("'%s': use w:OFFSET:LENGTH:BYTE, r:…, z:OFFSET:LENGTH, u:…, d:…", argv[i]);
        buf = malloc(n + 1);
        if (buf == NULL)
            die("out of memory");
        memset(buf, (int)pattern, n);
        if (op == 'w') {
            ret = image_pwrite(image, buf, n, at);
        } else if (op == 'r') {
            ret = image_pread(image, buf, n, at);
            for (uint64_t k = 0; k < n && ret == 0; k++)
                if (buf[k] != pattern)
                    die("byte %" PRIu64 " is %u, expected %u", at + k, buf[k], pattern);
        } else if (op == 'z' || op == 'u') {
            ret = image_write_zeroes(image, at, n, op == 'u', NULL);
        } else if (op == 'd') {
            ret = image_discard(image, at, n, NULL);
        }
        free(buf);
    }
    if (ret < 0)
        die("%s", image_last_error(image)[0] ? image_last_error(image) : strerror(-ret));
    close_image(image);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage;
} commands[] = {
    {"bench", cmd_bench,
     "[-w] [-r] [-t none] [-c COUNT] [-s SIZE] [-S STEP] [-o OFFSET] [-d DEPTH] [-f FMT] [-q] FILE"},
    {"check", cmd_check, "[-f FMT] [-r leaks|all] [-U] [-q] FILE"},
    {"commit", cmd_commit, "[-f FMT] [-d] [-q] FILE"},
    {"compare", cmd_compare, "[-f FMT] [-F FMT] [-q] FILE1 FILE2"},
    {"convert", cmd_convert, "[-c] [-f FMT] [-O FMT] [-o OPTIONS] [-q] FROM TO"},
    {"create", cmd_create, "[-f FMT] [-b BACKING [-F FMT]] [-o OPTIONS] [-q] FILE [SIZE]"},
    {"info", cmd_info, "[-f FMT] [-U] FILE"},
    {"io", cmd_io, "FILE w:OFFSET:LENGTH:BYTE|r:…|z:OFFSET:LENGTH|u:…|d:…"},
    {"map", cmd_map, "[-f FMT] FILE"},
    {"rebase", cmd_rebase, "[-f FMT] [-u] -b BACKING [-F FMT] [-q] FILE"},
    {"resize", cmd_resize, "[-f FMT] [--shrink] [--preallocation MODE] [-q] FILE [+]SIZE"},
    {"snapshot", cmd_snapshot, "[-l | -c NAME | -a NAME | -d NAME] [-q] FILE"},
};

static void usage(FILE *out)
{
    fputs("usage: kite-image COMMAND ...\n", out);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(out, "  %s %s\n", commands[i].name, commands[i].usage);
    fputs("  -h | --help | --version\n"
          "KITE_IMAGE_KEY in the environment is the passphrase of encrypted images.\n", out);
}

int main(int argc, char **argv)
{
    passphrase = getenv("KITE_IMAGE_KEY");
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        usage(stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("kite-image " PACKAGE_VERSION);
        return 0;
    }
    for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            int ret = commands[i].run(argc - 1, argv + 1);

            if (ret != 2 || strcmp(argv[1], "check") == 0)
                return ret;
            fprintf(stderr, "usage: kite-image %s %s\n", commands[i].name, commands[i].usage);
            return 2;
        }
    usage(stderr);
    return 2;
}
