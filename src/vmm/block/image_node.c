/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Block nodes over the image engine (storage/image.h).
 *
 * A "file" node has the descriptor, and is opened (locked) only when a device uses it as it is; a format node stands on
 * it. Only one image is open for a chain: when a node above takes a node over, the lower node's own image is closed (or
 * becomes the upper one's backing image), and the lower node is a name only until it is released.
 *
 * Life of a request: image_node_request.c.
 */
#include "vmm/block/image_node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checked.h"
#include "vmm/block/image_node_priv.h"
#include "vmm/log.h"

#define KEY_MAX 4096

/* --- BlockOps ---------------------------------------------------------------------------------------------- */

Block *image_node_storage(Block *block)
{
    ImageNode *node = (ImageNode *)(block->node != NULL ? block->node : block);

    return node->file != NULL ? &node->file->base : &node->base;
}

static void node_flush_queue(Block *block)
{
    block_io_flush(((ImageNode *)block)->io);
}

static int node_resize(Block *block, uint64_t size, Err *err)
{
    ImageNode *node = (ImageNode *)block;
    int r;

    if (node->image == NULL)
        return err_set(err, EBUSY, "block node %s is below another one", block->node_name);
    r = image_resize(node->image, size, IMAGE_PREALLOC_OFF, true, err);
    if (r == 0)
        block->info.size = ALIGN_DOWN(image_size(node->image), (uint64_t)block->info.alignment);
    return r;
}

static int node_attach_loop(Block *block, Loop *loop, Err *err)
{
    (void)err;
    block_io_attach_loop(((ImageNode *)block)->io, loop);
    return 0;
}

static void node_describe(Block *block, json_t *object)
{
    ImageNode *node = (ImageNode *)block;
    json_t *image = json_object();
    ImageInfo info;

    json_object_set_new(object, "detect_zeroes",
                        json_string(node_props_detect_name(&node->props)));
    json_object_set_new(object, "encrypted", json_boolean(node->key_len > 0));
    json_object_set_new(object, "write_threshold",
                        json_integer((json_int_t)__atomic_load_n(&block->write_threshold, __ATOMIC_RELAXED)));
    json_object_set_new(object, "cache",
                        json_pack("{s:b, s:b, s:b}", "writeback", 1, "direct", node->direct_align > 0, "no-flush",
                                  (int)node->no_flush));
    json_object_set_new(image, "format", json_string(block->ops->driver));
    json_object_set_new(image, "filename", json_string(""));
    json_object_set_new(image, "virtual-size", json_integer((json_int_t)block->info.size));
    if (node->image != NULL && image_get_info(node->image, &info) == 0) {
        json_object_set_new(image, "actual-size", json_integer((json_int_t)info.allocated_size));
        if (info.cluster_size > 0)
            json_object_set_new(image, "cluster-size", json_integer(info.cluster_size));
        json_object_set_new(image, "dirty-flag", json_boolean(info.dirty));
        json_object_set_new(object, "backing_file_depth", json_integer((json_int_t)info.depth));
        json_object_set_new(object, "x-highest-offset",
                            json_integer((json_int_t)MAX(info.high_offset, image_node_storage(block)->write_end)));
    }
    json_object_set_new(object, "image", image);
}

/* --- opening ----------------------------------------------------------------------------------------------- */

static int node_fd(const ImageNode *node)
{
    return node->file != NULL ? node->file->fd : node->fd;
}

static int dup_fd(const ImageNode *node, int *ret, Err *err)
{
    *ret = fcntl(node_fd(node), F_DUPFD_CLOEXEC, 0);
    return *ret < 0 ? err_set(err, errno, "block node %s: %s", node->base.node_name, strerror(errno)) : 0;
}

static void close_image(ImageNode *node)
{
    int r;

    if (node->image == NULL || node->is_view)
        return;
    r = image_close(node->image);
    node->image = NULL;
    if (r < 0)
        log_error("block node %s: not everything reached its file: %s", node->base.node_name, strerror(-r));
}

/* Opens the image of this node; those below give theirs up. */
static int open_image(ImageNode *node, Err *err)
{
    BlockInfo *info = &node->base.info;
    ImageOpenParams p;
    struct stat st;
    int r;

    image_open_params_init(&p);
    p.name = node->base.node_name;
    p.format = node->format;
    p.flags = (node->props.read_only ? IMAGE_OPEN_RDONLY : 0) | (node->props.unmap ? IMAGE_OPEN_UNMAP : 0) |
              (node->no_flush ? IMAGE_OPEN_NO_SYNC : 0) | (node->props.share_write ? IMAGE_OPEN_SHARE_WRITE : 0) |
              (node->no_backing ? IMAGE_OPEN_NO_BACKING : 0) |
              (node->no_lock && node->props.read_only ? IMAGE_OPEN_NO_LOCK : 0);
    p.passphrase = node->key;
    p.passphrase_len = node->key_len;
    p.raw_offset = node->raw_offset;
    p.raw_size = node->raw_size;
    if (node->file != NULL)
        close_image(node->file);
    if (node->data != NULL) {
        close_image(node->data);
        r = dup_fd(node->data, &p.data_fd, err);
        if (r < 0)
            return r;
    }
    if (node->backing != NULL && node->backing->image == NULL && (r = open_image(node->backing, err)) < 0)
        return r;
    r = dup_fd(node, &p.fd, err);
    if (r < 0)
        return r;
    p.backing = node->backing ? node->backing->image : NULL;
    r = image_open(&p, &node->image, err);
    if (r < 0) {
        close(p.fd);
        if (p.data_fd >= 0)
            close(p.data_fd);
        return r;
    }
    if (node->backing != NULL)
        node->backing->image = NULL;
    node->direct_align = image_direct_align(node->image);
    info->alignment = 512;
    info->buffer_alignment = node->direct_align;
    info->size = ALIGN_DOWN(image_size(node->image), (uint64_t)512);
    info->read_only = image_is_read_only(node->image);
    info->can_discard = node->props.unmap;
    info->can_write_zeroes = true;
    info->physical_block = 0;
    if (fstat(node_fd(node), &st) == 0 && S_ISREG(st.st_mode) && node->direct_align > 512)
        info->physical_block = node->direct_align;
    return 0;
}

static int node_reopen(Block *block, Err *err)
{
    ImageNode *node = (ImageNode *)block;

    return node->image == NULL ? open_image(node, err) : 0;
}

static void release_below(ImageNode *node)
{
    ImageNode *below[] = {node->file, node->backing, node->data};

    for (size_t i = 0; i < ARRAY_LEN(below); i++) {
        if (below[i] != NULL)
            block_release(&below[i]->base);
    }
    node->file = node->backing = node->data = NULL;
}

static void node_close(Block *block)
{
    ImageNode *node = (ImageNode *)block;

    close_image(node);
    block_io_free(node->io);
    release_below(node);
    image_node_requests_free(node);
    if (node->fd >= 0)
        close(node->fd);
    if (node->key != NULL)
        explicit_bzero(node->key, node->key_len);
    free(node->key);
}

/* The engine lets any number of threads read and write (storage/image.h): a view is a node with a ring, workers and
 * requests of its own on the same image. */
static int node_view(Block *block, Loop *loop, Block **ret, Err *err)
{
    const ImageNode *node = (ImageNode *)block;
    ImageNode *view = calloc(1, sizeof *view);
    int r;

    if (view == NULL)
        return err_set(err, ENOMEM, "out of memory");
    view->image = node->image;
    view->is_view = true;
    view->format = node->format;
    view->fd = -1;
    view->props = node->props;
    view->no_flush = node->no_flush;
    view->direct_align = node->direct_align;
    r = block_io_new(loop, &view->io, err);
    if (r < 0) {
        free(view);
        return r;
    }
    image_node_requests_init(view);
    *ret = &view->base;
    return 0;
}

#define NODE_OPS(name)                                                                                         \
    {                                                                                                          \
        .driver = name, .submit = image_node_submit, .flush_queue = node_flush_queue, .resize = node_resize,   \
        .reopen = node_reopen, .describe = node_describe, .attach_loop = node_attach_loop, .view = node_view,  \
        .storage = image_node_storage, .close = node_close,                                                    \
    }

static const struct {
    BlockOps ops;
    ImageFormat format;
    bool file;
} drivers[] = {
    {NODE_OPS("file"), IMAGE_FORMAT_RAW, true},     {NODE_OPS("host_device"), IMAGE_FORMAT_RAW, true},
    {NODE_OPS("raw"), IMAGE_FORMAT_RAW, false},     {NODE_OPS("qcow2"), IMAGE_FORMAT_QCOW2, false},
    {NODE_OPS("luks"), IMAGE_FORMAT_LUKS, false},
};

static int read_key(ImageNode *node, int fd, Err *err)
{
    ssize_t n;

    node->key = malloc(KEY_MAX);
    if (node->key == NULL)
        return err_set(err, ENOMEM, "out of memory");
    n = read(fd, node->key, KEY_MAX);
    if (n <= 0)
        return err_set(err, n < 0 ? errno : EINVAL, "block node %s: its passphrase cannot be read",
                       node->base.node_name);
    node->key_len = (size_t)n;
    return 0;
}

static int take_below(ImageNode *node, Props *props, const char *key, BlockFind find, void *opaque, ImageNode **ret,
                      Err *err)
{
    const char *name;
    Block *block;
    int r = props_string(props, key, NULL, &name, err);

    if (r < 0 || name == NULL)
        return r;
    block = find(opaque, name);
    if (block == NULL)
        return err_set(err, ENOENT, "block node %s: its '%s' node '%s' does not exist or is in use",
                       node->base.node_name, key, name);
    if (block->ops->submit != image_node_submit) {
        block_release(block);
        return err_set(err, EINVAL, "block node %s: node '%s' cannot be its '%s'", node->base.node_name, name, key);
    }
    *ret = (ImageNode *)block;
    return 0;
}

static bool cache_flag(json_t *cache, const char *key)
{
    return json_is_true(json_object_get(cache, key));
}

static int parse_file(ImageNode *node, Props *props, Err *err)
{
    const char *locking, *aio;
    json_t *cache;
    int r, flags;

    if ((r = props_fd(props, props_has(props, "fd") ? "fd" : "filename", &node->fd, err)) < 0 ||
        (r = props_json(props, "cache", &cache, err)) < 0 ||
        (r = props_string(props, "locking", "auto", &locking, err)) < 0 ||
        (r = props_string(props, "aio", "io_uring", &aio, err)) < 0)
        return r;
    if (node->fd < 0)
        return err_set(err, EINVAL, "block node %s: it needs a descriptor ('fd')", node->base.node_name);
    node->no_flush = cache_flag(cache, "no-flush");
    node->no_lock = strcmp(locking, "off") == 0;
    flags = fcntl(node->fd, F_GETFL);
    if (cache_flag(cache, "direct") && flags >= 0 && !(flags & O_DIRECT) &&
        fcntl(node->fd, F_SETFL, flags | O_DIRECT) < 0)
        return err_set(err, errno, "block node %s: its file cannot be read without the page cache: %s",
                       node->base.node_name, strerror(errno));
    if ((flags & O_ACCMODE) == O_RDONLY)
        node->props.read_only = true;
    return 0;
}

static int parse_format(ImageNode *node, Props *props, BlockFind find, void *opaque, Err *err)
{
    int r, key_fd;

    if ((r = take_below(node, props, "file", find, opaque, &node->file, err)) < 0 ||
        (r = props_uint(props, "offset", 0, INT64_MAX, 0, &node->raw_offset, err)) < 0 ||
        (r = props_uint(props, "size", 0, INT64_MAX, 0, &node->raw_size, err)) < 0 ||
        (r = props_fd(props, "key-fd", &key_fd, err)) < 0)
        return r;
    if (key_fd >= 0) {
        r = read_key(node, key_fd, err);
        close(key_fd);
        if (r < 0)
            return r;
    }
    if (node->file == NULL || node->file->fd < 0)
        return err_set(err, EINVAL, "block node %s: 'file' must name a file node", node->base.node_name);
    if (node->format == IMAGE_FORMAT_QCOW2) {
        node->no_backing = props_is_null(props, "backing");
        if ((!node->no_backing &&
             (r = take_below(node, props, "backing", find, opaque, &node->backing, err)) < 0) ||
            (r = take_below(node, props, "data-file", find, opaque, &node->data, err)) < 0)
            return r;
    }
    node->props.read_only |= node->file->props.read_only;
    node->props.unmap |= node->file->props.unmap && !props_has(props, "discard");
    node->no_flush = node->file->no_flush;
    node->no_lock = node->file->no_lock;
    node->props.share_write |= node->file->props.share_write;
    return 0;
}

int image_node_create(Props *props, Loop *loop, BlockFind find, void *opaque, Block **ret, Err *err)
{
    ImageNode *node = calloc(1, sizeof *node);
    const char *driver;
    size_t i = 0;
    int r = props_string(props, "driver", "", &driver, err);

    if (r < 0 || node == NULL) {
        free(node);
        return r < 0 ? r : err_set(err, ENOMEM, "out of memory");
    }
    while (i < ARRAY_LEN(drivers) - 1 && strcmp(drivers[i].ops.driver, driver) != 0)
        i++;
    node->base.ops = &drivers[i].ops;
    node->base.loop = loop;
    node->format = drivers[i].format;
    node->fd = -1;
    image_node_requests_init(node);
    if ((r = node_props_parse(&node->props, &node->base, props, err)) < 0 ||
        (r = drivers[i].file ? parse_file(node, props, err) : parse_format(node, props, find, opaque, err)) < 0 ||
        (r = props_finish(props, err)) < 0 || (r = block_io_new(loop, &node->io, err)) < 0 ||
        (r = drivers[i].file ? 0 : open_image(node, err)) < 0) {
        block_close(&node->base);
        return r;
    }
    *ret = &node->base;
    return 0;
}
