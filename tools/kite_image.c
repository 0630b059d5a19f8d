/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kite-image: disk images from the command line. Options and output follow qemu-img where both have a command, so that
 * one can stand in for the other in scripts and tests. Paths in images are followed (this is a tool for its user).
 */
#include "kite_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

const char *passphrase;
int open_direct;

void die(const char *format, ...)
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

/* Whole numbers stay exact; a fraction needs a suffix. */
uint64_t parse_size(const char *text)
{
    static const char units[] = "bkMGTPE";
    const char *end = text + strspn(text, "0123456789"), *u;
    uint64_t whole, size;
    double fraction = 0;
    unsigned shift = 0;

    errno = 0;
    whole = strtoull(text, NULL, 10);
    if (end == text || errno != 0)
        die("'%s' is no size", text);
    if (*end == '.') {
        const char *digits = end + 1;
        double weight = 1;

        for (end = digits; *end >= '0' && *end <= '9'; end++)
            fraction += (*end - '0') * (weight /= 10);
        if (end == digits || *end == 0)
            die("'%s' is no size", text);
    }
    if (*end != 0) {
        u = strchr(units, *end == 'K' ? 'k' : *end);
        if (u == NULL || end[1] != 0)
            die("'%s' is no size: use a suffix k, M, G, T, P or E", text);
        shift = 10 * (unsigned)(u - units);
    }
    size = whole << shift;
    if (size >> shift != whole || size > INT64_MAX || (shift == 0 && fraction != 0))
        die(size > INT64_MAX || size >> shift != whole ? "size '%s' is too large" : "'%s' is no size", text);
    return size + (uint64_t)(fraction * (double)(1ull << shift));
}

ImageFormat parse_format(const char *name)
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
    unsigned flags;
} PathOpener;

static PathOpener *openers;

static int open_ref(void *opaque, ImageRef ref, const char *name, const char *format, ImageOpenParams *ret, Err *err);

char *resolve(const char *dir, const char *name)
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

char *dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    char *dir = slash == NULL ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));

    if (dir == NULL)
        die("out of memory");
    return dir;
}

int fill_params(const char *path, ImageFormat format, unsigned flags, ImageOpenParams *p, Err *err)
{
    PathOpener *opener = calloc(1, sizeof *opener);

    if (opener == NULL)
        die("out of memory");
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
    unsigned flags = opener->flags & (IMAGE_OPEN_NO_LOCK | IMAGE_OPEN_NO_SYNC);
    char *path;

    if (strncmp(name, "json:", 5) == 0 || strstr(name, "://") != NULL)
        return err_set(err, ENOTSUP, "'%s' is no path, and only files are opened here: use qemu-img", name);
    path = resolve(opener->dir, name); /* params->name points at it */
    flags |= ref == IMAGE_REF_BACKING ? IMAGE_OPEN_RDONLY : opener->flags & IMAGE_OPEN_RDONLY;
    int status = fill_params(path, format[0] != 0 ? parse_format(format) : IMAGE_FORMAT_AUTO, flags, ret, err);

    if (status < 0)
        free(path);
    else
        openers->path = path; /* the one just made */
    return status;
}

Image *open_image(const char *path, const char *format, unsigned flags)
{
    ImageOpenParams p;
    Image *image;
    Err err;

    if (fill_params(path, format != NULL ? parse_format(format) : IMAGE_FORMAT_AUTO, flags, &p, &err) < 0 ||
        image_open(&p, &image, &err) < 0)
        die("%s", err.text);
    return image;
}

void close_image(Image *image)
{
    int ret = image_close(image);

    if (ret < 0)
        die("cannot finish writing: %s", strerror(-ret));
}

/* ---- Commands ---- */

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
    {"create", cmd_create, "[-f FMT] [-b BACKING [-F FMT]] [-u] [-o OPTIONS] [-q] FILE [SIZE]"},
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
