/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Block nodes over the image engine (storage/image.h).
 *
 * A "file" node has the descriptor, and is opened (locked) only when a device uses it as it is; a format node stands on
 * it. Only one image is open for a chain: when a node above takes a node over, the lower node's own image is closed (or
 * becomes the upper one's backing image), and the lower node is a name only until it is released.
 *
 * Life of a read or write, on the node's loop:
 *
 *    submit ──image_begin──> extents ──ring──> all done ──image_end──> complete
 *       │          ├─ -EAGAIN: waits for resume                └─ more of the range: begin again
 *       │          └─ -EINPROGRESS: begun on a worker, for it reads from the disk: metadata, data to be copied up
 *       └─ encrypted, compressed, no ring, memory that O_DIRECT cannot use: image_preadv/pwritev on a worker
 *
 * Flush of qcow2, discard and zeroing block, so they go to a worker; flush of raw goes through the ring.
 */
#include "vmm/block/image_node.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checked.h"
#include "storage/image.h"
#include "vmm/block/io.h"
#include "vmm/block/node_props.h"
#include "vmm/log.h"

#define SLICES_MAX (1024 + 2 * IMAGE_MAX_EXTENTS)
#define OPS_KEPT 64
#define DIRECT_ALIGN_MAX 4096
#define KEY_MAX 4096

typedef struct ImageNode ImageNode;
typedef struct Op Op;

typedef struct OpIo {
    BlockTransfer transfer;
    BlockJob job; /* what the ring left undone */
    Op *op;
    struct iovec one; /* FILL */
    const struct iovec *iov;
    unsigned count;
    int fd;
    bool write;
    uint64_t offset, length;
    int result;
} OpIo;

struct Op {
    ImageNode *node;
    BlockRequest *request;
    Op *next;
    BlockJob job;
    BlockTransfer sync;
    ImageRequest ir;
    uint64_t done; /* bytes of the request that earlier rounds moved */
    bool on_worker; /* begin is being called there */
    bool resumed; /* meanwhile */
    unsigned left; /* extents in flight */
    int status;
    OpIo io[IMAGE_MAX_EXTENTS];
    struct iovec *slices; /* SLICES_MAX of them, made when first needed */
    unsigned slices_used;
};

struct ImageNode {
    Block base;
    Image *image; /* NULL while it belongs to a node above */
    bool is_view; /* the image is another node's */
    BlockIo *io;
    int fd; /* file nodes: ours; -1 else */
    ImageNode *file, *backing, *data; /* below */
    ImageFormat format;
    NodeProps props;
    bool no_flush, no_lock, no_backing;
    uint32_t direct_align; /* of memory; 0: no O_DIRECT */
    uint64_t raw_offset, raw_size;
    void *key;
    size_t key_len;

    Op *free_ops;
    unsigned free_count;
    pthread_mutex_t lock; /* guards resumed */
    Op *resumed;
    LoopPost resume_post;
};

/* --- one request ------------------------------------------------------------------------------------------- */

static void op_begin(Op *op);

static Op *op_new(ImageNode *node, BlockRequest *request)
{
    Op *op = node->free_ops;
    struct iovec *slices = NULL;

    if (op != NULL) {
        node->free_ops = op->next;
        node->free_count--;
        slices = op->slices;
    } else {
        op = malloc(sizeof *op);
        if (op == NULL)
            return NULL;
    }
    op->node = node;
    op->request = request;
    op->next = NULL;
    op->done = 0;
    op->on_worker = op->resumed = false;
    op->left = 0;
    op->status = 0;
    op->slices = slices;
    op->slices_used = 0;
    memset(&op->ir, 0, offsetof(ImageRequest, extents));
    op->ir.image = NULL;
    op->ir.next = NULL;
    op->ir.alloc = NULL;
    op->ir.epoch = 0;
    op->ir.queued = false;
    return op;
}

static void op_finish(Op *op, int status)
{
    ImageNode *node = op->node;
    BlockRequest *request = op->request;

    if (node->free_count < OPS_KEPT) {
        op->next = node->free_ops;
        node->free_ops = op;
        node->free_count++;
    } else {
        free(op->slices);
        free(op);
    }
    block_complete(&node->base, request, status);
}

static int slice(const struct iovec *iov, unsigned count, uint64_t skip, uint64_t len, struct iovec *ret, unsigned max)
{
    unsigned n = 0;

    for (unsigned i = 0; i < count && len > 0; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        if (n == max)
            return -E2BIG;
        ret[n].iov_base = (uint8_t *)iov[i].iov_base + skip;
        ret[n].iov_len = MIN(iov[i].iov_len - skip, len);
        len -= ret[n++].iov_len;
        skip = 0;
    }
    return len == 0 ? (int)n : -EINVAL;
}

/* Part of the request's memory as a list that stays until the op ends; ret_iov may be the request's own. */
static int op_slice(Op *op, uint64_t from, uint64_t len, const struct iovec **ret_iov, unsigned *ret_count)
{
    const BlockRequest *request = op->request;
    int n;

    if (from == 0 && len == request->length) {
        *ret_iov = request->iov;
        *ret_count = request->iov_count;
        return 0;
    }
    if (op->slices == NULL) {
        op->slices = malloc(SLICES_MAX * sizeof *op->slices);
        if (op->slices == NULL)
            return -ENOMEM;
    }
    n = slice(request->iov, request->iov_count, from, len, op->slices + op->slices_used,
              SLICES_MAX - op->slices_used);
    if (n < 0)
        return n;
    *ret_iov = op->slices + op->slices_used;
    *ret_count = (unsigned)n;
    op->slices_used += (unsigned)n;
    return 0;
}

static void zero_slice(const Op *op, uint64_t from, uint64_t len)
{
    const BlockRequest *request = op->request;

    for (unsigned i = 0; i < request->iov_count && len > 0; i++) {
        size_t here = request->iov[i].iov_len, part;

        if (from >= here) {
            from -= here;
            continue;
        }
        part = MIN(here - from, len);
        memset((uint8_t *)request->iov[i].iov_base + from, 0, part);
        from = 0;
        len -= part;
    }
}

/* The node that has the file; of a view it is that of the node. */
static Block *node_storage(Block *block)
{
    ImageNode *node = (ImageNode *)(block->node != NULL ? block->node : block);

    return node->file != NULL ? &node->file->base : &node->base;
}

/* --- on a worker ------------------------------------------------------------------------------------------- */

static int whole_request(Op *op)
{
    Image *image = op->node->image;
    const BlockRequest *r = op->request;
    int ret;

    switch (r->kind) {
    case BLOCK_READ:
        return image_preadv(image, r->iov, (int)r->iov_count, r->offset);
    case BLOCK_WRITE:
        ret = image_pwritev(image, r->iov, (int)r->iov_count, r->offset);
        block_note_write(node_storage(&op->node->base), image_write_end(image));
        break;
    case BLOCK_DISCARD:
        ret = image_discard(image, r->offset, r->length, NULL);
        break;
    case BLOCK_WRITE_ZEROES:
        ret = image_write_zeroes(image, r->offset, r->length, (r->flags & BLOCK_MAY_UNMAP) && op->node->props.unmap, NULL);
        break;
    default:
        return image_flush(image);
    }
    return ret >= 0 && (r->flags & BLOCK_FUA) ? image_flush(image) : ret;
}

static void whole_work(BlockJob *job)
{
    Op *op = container_of(job, Op, job);
    int r = whole_request(op);

    op->status = r < 0 ? r : 0;
}

static void whole_finish(BlockJob *job)
{
    Op *op = container_of(job, Op, job);

    op_finish(op, op->status);
}

static void whole_on_worker(Op *op)
{
    op->job = (BlockJob){.work = whole_work, .finish = whole_finish};
    block_io_job(op->node->io, &op->job);
}

static void flush_work(BlockJob *job)
{
    Op *op = container_of(job, Op, job);

    op->status = image_flush(op->node->image);
}

static void flush_done(BlockTransfer *transfer, int result)
{
    Op *op = container_of(transfer, Op, sync);

    op_finish(op, result < 0 ? result : 0);
}

/* What ended before becomes durable, then the op is done. */
static void op_flush(Op *op)
{
    ImageNode *node = op->node;

    if (node->no_flush && node->format == IMAGE_FORMAT_RAW) {
        op_finish(op, 0);
        return;
    }
    op->sync.done = flush_done;
    if (node->format == IMAGE_FORMAT_RAW && block_io_sync(node->io, image_fd(node->image), &op->sync))
        return;
    op->job = (BlockJob){.work = flush_work, .finish = whole_finish};
    block_io_job(node->io, &op->job);
}

/* --- through the ring -------------------------------------------------------------------------------------- */

static void op_round_done(Op *op)
{
    uint64_t moved = op->ir.length;
    int r = image_end(&op->ir, op->status);

    if (r < 0) {
        op_finish(op, r);
        return;
    }
    op->done += moved;
    if (op->request->kind == BLOCK_WRITE && op->node->format != IMAGE_FORMAT_RAW)
        block_note_write(node_storage(&op->node->base), image_write_end(op->node->image)); /* metadata */
    if (op->done < op->request->length)
        op_begin(op);
    else if (op->request->flags & BLOCK_FUA)
        op_flush(op);
    else
        op_finish(op, 0);
}

static void extent_finished(Op *op, int result)
{
    if (result < 0 && op->status == 0)
        op->status = result;
    if (--op->left == 0)
        op_round_done(op);
}

/* Byte by byte what a short or interrupted transfer left; a read beyond the end of the file gives zeros. */
static void redo_work(BlockJob *job)
{
    OpIo *io = container_of(job, OpIo, job);
    uint64_t offset = io->offset;

    io->result = 0;
    for (unsigned i = 0; i < io->count; i++) {
        uint8_t *at = io->iov[i].iov_base;
        size_t left = io->iov[i].iov_len;

        while (left > 0) {
            ssize_t n = io->write ? pwrite(io->fd, at, left, (off_t)offset) : pread(io->fd, at, left, (off_t)offset);
            struct stat st;

            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0 && !io->write && fstat(io->fd, &st) == 0 && S_ISREG(st.st_mode) &&
                offset >= ALIGN_DOWN((uint64_t)st.st_size, (uint64_t)512)) {
                memset(at, 0, left);
                n = (ssize_t)left;
            } else if (n <= 0) {
                io->result = n < 0 ? -errno : -EIO;
                return;
            }
            at += n;
            offset += (uint64_t)n;
            left -= (size_t)n;
        }
    }
}

static void redo_finish(BlockJob *job)
{
    OpIo *io = container_of(job, OpIo, job);

    extent_finished(io->op, io->result);
}

static void redo(OpIo *io)
{
    io->job = (BlockJob){.work = redo_work, .finish = redo_finish};
    block_io_job(io->op->node->io, &io->job);
}

static void extent_done(BlockTransfer *transfer, int result)
{
    OpIo *io = container_of(transfer, OpIo, transfer);

    if (result >= 0 && (uint64_t)result == io->length)
        extent_finished(io->op, 0);
    else if (result >= 0 || result == -EINTR || result == -EAGAIN)
        redo(io);
    else
        extent_finished(io->op, result);
}

static void start_extent(Op *op, unsigned index, uint64_t *pos)
{
    const ImageExtent *e = &op->ir.extents[index];
    OpIo *io = &op->io[index];
    int r = 0;

    if (e->kind == IMAGE_EXTENT_ZERO) {
        zero_slice(op, *pos, e->length);
        *pos += e->length;
        return;
    }
    *io = (OpIo){.op = op, .fd = e->fd, .offset = e->offset, .length = e->length};
    io->transfer.done = extent_done;
    if (e->kind == IMAGE_EXTENT_FILL) {
        io->one = (struct iovec){(void *)(uintptr_t)e->buffer, e->length};
        io->iov = &io->one;
        io->count = 1;
        io->write = true;
    } else {
        io->write = op->request->kind == BLOCK_WRITE;
        r = op_slice(op, *pos, e->length, &io->iov, &io->count);
        *pos += e->length;
    }
    op->left++;
    if (io->write && op->node->data == NULL)
        block_note_write(node_storage(&op->node->base), io->offset + io->length);
    if (r < 0)
        extent_finished(op, r);
    else if (!block_io_rw(op->node->io, io->write, io->fd, io->iov, io->count, io->offset, &io->transfer))
        redo(io);
}

static bool has_indirect(const ImageRequest *ir)
{
    for (unsigned i = 0; i < ir->n_extents; i++) {
        if (ir->extents[i].kind == IMAGE_EXTENT_INDIRECT)
            return true;
    }
    return false;
}

static int image_begin(Op *op, bool no_wait)
{
    const BlockRequest *request = op->request;
    uint64_t offset = request->offset + op->done, length = request->length - op->done;

    op->ir.no_wait = no_wait;
    return request->kind == BLOCK_READ ? image_begin_read(op->node->image, offset, length, &op->ir)
                                       : image_begin_write(op->node->image, offset, length, &op->ir);
}

static void op_begun(Op *op, int r);

static void begin_work(BlockJob *job)
{
    Op *op = container_of(job, Op, job);

    op->status = image_begin(op, false);
}

static void begin_finish(BlockJob *job)
{
    Op *op = container_of(job, Op, job);

    op->on_worker = false;
    if (op->status == -EAGAIN && op->resumed)
        op_begin(op);
    else
        op_begun(op, op->status);
}

static void op_begin(Op *op)
{
    int r = image_begin(op, true);

    if (r != -EINPROGRESS) {
        op_begun(op, r);
        return;
    }
    op->on_worker = true;
    op->resumed = false;
    op->job = (BlockJob){.work = begin_work, .finish = begin_finish};
    block_io_job(op->node->io, &op->job);
}

static void op_begun(Op *op, int r)
{
    uint64_t pos = op->done;

    if (r == -EAGAIN)
        return; /* resume comes */
    if (r < 0) {
        op_finish(op, r);
        return;
    }
    op->status = 0;
    op->slices_used = 0;
    if (has_indirect(&op->ir)) {
        image_end(&op->ir, 0);
        whole_on_worker(op);
        return;
    }
    op->left = 1; /* until all have been started */
    for (unsigned i = 0; i < op->ir.n_extents; i++)
        start_extent(op, i, &pos);
    extent_finished(op, 0);
}

/* Any thread, with a lock of the image held. */
static void op_resume(ImageRequest *ir)
{
    Op *op = ir->user;
    ImageNode *node = op->node;

    pthread_mutex_lock(&node->lock);
    op->next = node->resumed;
    node->resumed = op;
    pthread_mutex_unlock(&node->lock);
    loop_post(node->base.loop, &node->resume_post);
}

static void resume_posted(void *opaque)
{
    ImageNode *node = opaque;
    Op *list, *reversed = NULL;

    pthread_mutex_lock(&node->lock);
    list = node->resumed;
    node->resumed = NULL;
    pthread_mutex_unlock(&node->lock);
    while (list != NULL) {
        Op *op = list;

        list = op->next;
        op->next = reversed;
        reversed = op;
    }
    while (reversed != NULL) {
        Op *op = reversed;

        reversed = op->next;
        if (op->on_worker)
            op->resumed = true; /* its begin has not come back yet to say that it waits */
        else
            op_begin(op);
    }
}

/* --- BlockOps ---------------------------------------------------------------------------------------------- */

static bool memory_fits(const ImageNode *node, const BlockRequest *request)
{
    uintptr_t bits = 0;

    if (node->direct_align == 0)
        return true;
    for (unsigned i = 0; i < request->iov_count; i++)
        bits |= (uintptr_t)request->iov[i].iov_base | request->iov[i].iov_len;
    return ((bits | request->offset | request->length) & (node->direct_align - 1)) == 0;
}

static void node_submit(Block *block, BlockRequest *request)
{
    ImageNode *node = (ImageNode *)block;
    bool through_ring;
    Op *op;

    if (node->image == NULL) {
        block_complete(block, request, -ENOMEDIUM);
        return;
    }
    if (request->kind == BLOCK_DISCARD && !node->props.unmap) {
        block_complete(block, request, 0);
        return;
    }
    node_props_detect_zeroes(&node->props, request);
    op = op_new(node, request);
    if (op == NULL) {
        block_complete(block, request, -ENOMEM);
        return;
    }
    through_ring = block_io_has_ring(node->io) && image_is_direct(node->image);
    if (request->kind == BLOCK_FLUSH) {
        op_flush(op);
    } else if ((request->kind == BLOCK_READ || request->kind == BLOCK_WRITE) && through_ring &&
               memory_fits(node, request)) {
        op->ir.resume = op_resume;
        op->ir.user = op;
        op_begin(op);
    } else {
        whole_on_worker(op);
    }
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
                            json_integer((json_int_t)MAX(info.high_offset, node_storage(block)->write_end)));
    }
    json_object_set_new(object, "image", image);
}

/* --- opening ----------------------------------------------------------------------------------------------- */

/* The smallest alignment that O_DIRECT takes here, found by trying; 0: no O_DIRECT. */
static uint32_t find_direct_align(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    uint8_t *buffer;
    uint32_t found = DIRECT_ALIGN_MAX;

    if (flags < 0 || !(flags & O_DIRECT))
        return 0;
    if (posix_memalign((void **)&buffer, DIRECT_ALIGN_MAX, 2 * DIRECT_ALIGN_MAX) != 0)
        return found;
    for (uint32_t align = 512; align < DIRECT_ALIGN_MAX; align *= 2) {
        if (pread(fd, buffer + align, align, align) >= 0) {
            found = align;
            break;
        }
    }
    free(buffer);
    return found;
}

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
    node->direct_align = find_direct_align(node_fd(node));
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
    loop_post_cancel(block->loop, &node->resume_post);
    while (node->free_ops != NULL) {
        Op *op = node->free_ops;

        node->free_ops = op->next;
        free(op->slices);
        free(op);
    }
    if (node->fd >= 0)
        close(node->fd);
    if (node->key != NULL)
        explicit_bzero(node->key, node->key_len);
    free(node->key);
    pthread_mutex_destroy(&node->lock);
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
    pthread_mutex_init(&view->lock, NULL);
    view->resume_post = (LoopPost){.run = resume_posted, .opaque = view};
    r = block_io_new(loop, &view->io, err);
    if (r < 0) {
        pthread_mutex_destroy(&view->lock);
        free(view);
        return r;
    }
    *ret = &view->base;
    return 0;
}

#define NODE_OPS(name)                                                                                                 \
    {                                                                                                                  \
        .driver = name, .submit = node_submit, .flush_queue = node_flush_queue, .resize = node_resize,                 \
        .reopen = node_reopen, .describe = node_describe, .attach_loop = node_attach_loop, .view = node_view,          \
        .storage = node_storage,                                                                                       \
        .close = node_close                                                                                            \
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
    if (block->ops->submit != node_submit) {
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
    pthread_mutex_init(&node->lock, NULL);
    node->resume_post = (LoopPost){.run = resume_posted, .opaque = node};
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
