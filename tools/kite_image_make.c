/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kite-image: commands that make images and set their size: create, resize, convert. */
#include "kite_image.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const prealloc_names[] = {"off", "metadata", "falloc", "full"};

static ImagePreallocation parse_preallocation(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(prealloc_names); i++)
        if (strcmp(prealloc_names[i], text) == 0)
            return (ImagePreallocation)i;
    die("unknown preallocation '%s'", text);
}

/* Which of two words, or of their other spellings, the value of an option is: true for the first. */
static bool parse_either(const char *key, const char *text, const char *const yes[], const char *const no[])
{
    for (size_t i = 0; yes[i] != NULL; i++)
        if (strcmp(text, yes[i]) == 0)
            return true;
    for (size_t i = 0; no[i] != NULL; i++)
        if (strcmp(text, no[i]) == 0)
            return false;
    die("%s is %s or %s, not '%s'", key, yes[0], no[0], text);
}

static bool parse_on(const char *key, const char *text)
{
    return parse_either(key, text, (const char *const[]){"on", "true", "yes", NULL},
                        (const char *const[]){"off", "false", "no", NULL});
}

static uint32_t parse_number(const char *key, const char *text)
{
    uint64_t v = parse_size(text);

    if (v > UINT32_MAX)
        die("%s=%s is too large", key, text);
    return (uint32_t)v;
}

static bool encrypt; /* what is made: only when asked for, a key in the environment may be the source's */

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
    static const char *const v2[] = {"0.10", "v2", NULL}, *const v3[] = {"1.1", "v3", NULL};
    static const char *const zstd[] = {"zstd", NULL}, *const zlib[] = {"zlib", NULL};
    char *value;

    while (*text != 0) {
        int key = getsubopt(&text, (char *const *)(uintptr_t)keys, &value);

        if (key < 0 || value == NULL)
            die("unknown option '%s'", value != NULL ? value : "?");
        switch (key) {
        case BACKING: p->backing_name = value; break;
        case BACKING_FMT: p->backing_format = value; break;
        case CLUSTER: p->cluster_size = parse_number(keys[key], value); break;
        case COMPAT: p->version = parse_either(keys[key], value, v2, v3) ? 2 : 3; break;
        case LAZY: p->lazy_refcounts = parse_on(keys[key], value); break;
        case REFCOUNT: p->refcount_bits = parse_number(keys[key], value); break;
        case PREALLOC: p->preallocation = parse_preallocation(value); break;
        case EXTL2: p->extended_l2 = parse_on(keys[key], value); break;
        case COMPRESSION: p->zstd = parse_either(keys[key], value, zstd, zlib); break;
        case DATA: p->data_file = value; break;
        case DATA_RAW: p->data_file_raw = parse_on(keys[key], value); break;
        case ENC:
            if (strcmp(value, "luks") != 0)
                die("encrypt.format is luks, not '%s'", value);
            encrypt = true;
            break;
        case KEY: passphrase = value, encrypt = true; break;
        case ITER: p->luks_iterations = parse_number(keys[key], value); break;
        }
    }
}

static void create_file(const char *path, ImageCreateParams *p)
{
    int fd;
    Err err;

    if ((encrypt || p->format == IMAGE_FORMAT_LUKS) && passphrase == NULL)
        die("%s: encryption needs a passphrase in KITE_IMAGE_KEY", path);
    if (encrypt && p->format == IMAGE_FORMAT_RAW)
        die("%s: a raw image cannot be encrypted", path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
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
    if (encrypt || p->format == IMAGE_FORMAT_LUKS) {
        p->passphrase = passphrase;
        p->passphrase_len = strlen(passphrase);
    }
    if (image_create(fd, p, &err) < 0)
        die("%s: %s", path, err.text);
    close(fd);
    if (p->data_fd >= 0)
        close(p->data_fd);
}

/* What is to lie below must be there, and be another file. Returns its size. */
static uint64_t look_below(const char *path, const ImageCreateParams *p)
{
    char *folder = dir_of(path), *name = resolve(folder, p->backing_name);
    Image *below = open_image(name, p->backing_format, IMAGE_OPEN_RDONLY | IMAGE_OPEN_NO_BACKING);
    uint64_t size = image_size(below);
    struct stat a, b;

    if (stat(path, &a) == 0 && fstat(image_fd(below), &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
        die("%s cannot be its own backing file", path);
    image_close(below);
    free(name);
    free(folder);
    return size;
}

int cmd_create(int argc, char **argv)
{
    bool unsafe = false;
    ImageCreateParams p;
    int c;

    image_create_params_init(&p);
    p.format = IMAGE_FORMAT_RAW;
    while ((c = getopt(argc, argv, "f:o:b:F:qu")) != -1) {
        switch (c) {
        case 'f': p.format = parse_format(optarg); break;
        case 'o': parse_options(optarg, &p); break;
        case 'b': p.backing_name = optarg; break;
        case 'F': p.backing_format = optarg; break;
        case 'q': break;
        case 'u': unsafe = true; break;
        default: return 2;
        }
    }
    if (optind + 2 != argc && (optind + 1 != argc || p.backing_name == NULL || unsafe))
        return 2;
    if (p.backing_name != NULL && !unsafe)
        p.size = look_below(argv[optind], &p);
    if (optind + 2 == argc)
        p.size = parse_size(argv[optind + 1]);
    create_file(argv[optind], &p);
    return 0;
}

int cmd_resize(int argc, char **argv)
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
        size += image_size(image); /* both are below 2^63 */
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

int cmd_convert(int argc, char **argv)
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
