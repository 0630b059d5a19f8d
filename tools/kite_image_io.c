/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kite-image: requests one by one: bench measures them, io makes those of a script, for tests. */
#include "kite_image.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

int cmd_bench(int argc, char **argv)
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

int cmd_io(int argc, char **argv)
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
