/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kite-image: commands that change what an image is made of: commit, rebase, snapshot. */
#include "kite_image.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int cmd_commit(int argc, char **argv)
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

int cmd_rebase(int argc, char **argv)
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

int cmd_snapshot(int argc, char **argv)
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
