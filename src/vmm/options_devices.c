/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * --disk and --channel of the command line as parts of the machine description. A backing chain is followed by the names
 * in the images, as a person who types the name of an image means it; the daemon passes descriptors instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "storage/image.h"
#include "vmm/options.h"

#define CHAIN_MAX 16
#define PATH_BYTES 4096

typedef struct DiskWords {
    bool ro, direct;
    char format[16], serial[32], queues[8];
} DiskWords;

static int parse_words(char *text, DiskWords *w, Err *err)
{
    char *save = NULL;

    for (char *word = strtok_r(text, ",", &save); word != NULL; word = strtok_r(NULL, ",", &save)) {
        if (strcmp(word, "ro") == 0)
            w->ro = true;
        else if (strcmp(word, "direct") == 0)
            w->direct = true;
        else if (strncmp(word, "format=", 7) == 0)
            snprintf(w->format, sizeof w->format, "%s", word + 7);
        else if (strncmp(word, "serial=", 7) == 0)
            snprintf(w->serial, sizeof w->serial, "%s", word + 7);
        else if (strncmp(word, "queues=", 7) == 0)
            snprintf(w->queues, sizeof w->queues, "%s", word + 7);
        else
            return err_set(err, EINVAL, "--disk FILE[,ro][,direct][,format=raw|qcow2][,serial=TEXT][,queues=N]: "
                                        "'%s' is not understood", word);
    }
    return 0;
}

/* Backing names are relative to the image that has them. */
static int resolve(const char *image, const char *name, char *ret, Err *err)
{
    const char *slash = strrchr(image, '/');
    int n = name[0] == '/' || slash == NULL
                ? snprintf(ret, PATH_BYTES, "%s", name)
                : snprintf(ret, PATH_BYTES, "%.*s/%s", (int)(slash - image), image, name);

    return n < PATH_BYTES ? 0 : err_set(err, ENAMETOOLONG, "the backing file of %s has too long a name", image);
}

/* Adds the nodes of one image and what is below it; the top one is called node. */
static int add_chain(json_t *nodes, const char *path, const DiskWords *w, const char *node, unsigned depth, Err *err)
{
    char file[80], backing_path[PATH_BYTES], backing[64];
    bool ro = w->ro || depth > 0;
    DiskWords below = {.ro = true, .direct = w->direct};
    ImageProbe probe = {.format = IMAGE_FORMAT_RAW};
    size_t len = strlen(path);
    const char *format = w->format[0] ? w->format : len > 6 && !strcmp(path + len - 6, ".qcow2") ? "qcow2" : "raw";
    json_t *top, *cache = w->direct ? json_pack("{s:b}", "direct", 1) : json_object();
    int fd, r;

    if (depth == CHAIN_MAX)
        return err_set(err, ELOOP, "%s: more than %d backing files", path, CHAIN_MAX);
    if (strcmp(format, "raw") != 0 && strcmp(format, "qcow2") != 0)
        return err_set(err, EINVAL, "%s: the format '%s' is not supported; raw and qcow2 are", path, format);
    fd = options_open(path, ro ? O_RDONLY : O_RDWR, depth > 0 ? "backing file" : "disk", err);
    if (fd < 0) {
        json_decref(cache);
        return fd;
    }
    snprintf(file, sizeof file, "%s-file", node);
    json_array_append_new(nodes, json_pack("{s:s, s:s, s:i, s:b, s:s, s:o}", "driver", "file", "node-name", file, "fd",
                                           fd, "read-only", ro, "discard", "unmap", "cache", cache));
    top = json_pack("{s:s, s:s, s:s, s:b, s:s}", "driver", format, "node-name", node, "file", file, "read-only", ro,
                    "discard", "unmap");
    if (strcmp(format, "qcow2") == 0) {
        r = image_probe_fd(fd, &probe, err);
        if (r == 0 && probe.backing_name[0] != '\0') {
            snprintf(backing, sizeof backing, "%.48s-b", node);
            snprintf(below.format, sizeof below.format, "%.15s", probe.backing_format);
            r = resolve(path, probe.backing_name, backing_path, err);
            if (r == 0 && below.format[0] == '\0')
                r = err_set(err, EINVAL, "%s: it does not say what format its backing file has; see qemu-img rebase -u",
                            path);
            if (r == 0)
                r = add_chain(nodes, backing_path, &below, backing, depth + 1, err);
            json_object_set_new(top, "backing", json_string(backing));
        }
        if (r < 0) {
            json_decref(top);
            return r;
        }
    }
    json_array_append_new(nodes, top);
    return 0;
}

static unsigned count_driver(json_t *devices, const char *driver)
{
    unsigned n = 0;

    for (size_t i = 0; i < json_array_size(devices); i++)
        n += strcmp(json_string_value(json_object_get(json_array_get(devices, i), "driver")), driver) == 0;
    return n;
}

int options_add_disk(json_t *desc, const char *spec, Err *err)
{
    json_t *devices = json_object_get(desc, "devices"), *device;
    char path[PATH_BYTES], words[256], node[32], id[32];
    unsigned n = count_driver(devices, "virtio-blk-pci");
    size_t len = strcspn(spec, ",");
    DiskWords w = {0};
    int r;

    if (len >= sizeof path || strlen(spec + len) >= sizeof words)
        return err_set(err, ENAMETOOLONG, "--disk: the name is too long");
    snprintf(path, sizeof path, "%.*s", (int)len, spec);
    snprintf(words, sizeof words, "%s", spec + len);
    snprintf(node, sizeof node, "disk%u", n);
    snprintf(id, sizeof id, "virtio-disk%u", n);
    if ((r = parse_words(words, &w, err)) < 0 ||
        (r = add_chain(json_object_get(desc, "blockdevs"), path, &w, node, 0, err)) < 0)
        return r;
    device = json_pack("{s:s, s:s, s:s}", "driver", "virtio-blk-pci", "id", id, "drive", node);
    if (w.serial[0])
        json_object_set_new(device, "serial", json_string(w.serial));
    if (w.queues[0])
        json_object_set_new(device, "num-queues", json_string(w.queues));
    json_array_append_new(devices, device);
    return 0;
}

static void need_serial_bus(json_t *devices)
{
    if (count_driver(devices, "virtio-serial-pci") == 0)
        json_array_append_new(devices, json_pack("{s:s, s:s}", "driver", "virtio-serial-pci", "id", "virtio-serial0"));
}

void options_add_virtio_console(json_t *desc)
{
    json_t *devices = json_object_get(desc, "devices");

    need_serial_bus(devices);
    json_array_append_new(json_object_get(desc, "chardevs"),
                          json_pack("{s:s, s:s}", "id", "console", "backend", "stdio"));
    json_array_append_new(devices, json_pack("{s:s, s:s, s:s, s:s, s:i}", "driver", "virtconsole", "id", "console0",
                                             "bus", "virtio-serial0.0", "chardev", "console", "nr", 0));
}

int options_add_channel(json_t *desc, const char *spec, Err *err)
{
    json_t *devices = json_object_get(desc, "devices");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *colon = strchr(spec, ':');
    unsigned n = count_driver(devices, "virtserialport");
    char chardev[32], id[32];
    int fd;

    if (colon == NULL || colon == spec || strlen(colon + 1) == 0 || strlen(colon + 1) >= sizeof address.sun_path)
        return err_set(err, EINVAL, "--channel takes NAME:SOCKET");
    memcpy(address.sun_path, colon + 1, strlen(colon + 1) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(address.sun_path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4) < 0) {
        int e = errno;

        if (fd >= 0)
            close(fd);
        return err_set(err, e, "cannot listen on %s: %s", colon + 1, strerror(e));
    }
    need_serial_bus(devices);
    snprintf(chardev, sizeof chardev, "channel%u", n);
    snprintf(id, sizeof id, "port%u", n);
    json_array_append_new(json_object_get(desc, "chardevs"), json_pack("{s:s, s:s, s:i, s:b}", "id", chardev, "backend",
                                                                       "socket", "fd", fd, "server", 1));
    json_array_append_new(devices, json_pack("{s:s, s:s, s:s, s:s, s:s%}", "driver", "virtserialport", "id", id, "bus",
                                             "virtio-serial0.0", "chardev", chardev, "name", spec,
                                             (size_t)(colon - spec)));
    return 0;
}
