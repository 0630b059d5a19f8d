/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests of image nodes. Life of a read or write, on the node's loop:
 *
 *    submit ──image_begin──> extents ──ring──> all done ──image_end──> complete
 *       │          ├─ -EAGAIN: waits for resume                └─ more of the range: begin again
 *       │          └─ -EINPROGRESS: begun on a worker, for it reads from the disk: metadata, data to be copied up
 *       └─ encrypted, compressed, no ring, memory that O_DIRECT cannot use: image_preadv/pwritev on a worker
 *
 * Flush of qcow2, discard and zeroing block, so they go to a worker; flush of raw goes through the ring.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/iov.h"
#include "vmm/block/image_node_priv.h"

#define SLICES_MAX (1024 + 2 * IMAGE_MAX_EXTENTS)
#define OPS_KEPT 64

typedef struct ImageNodeOp Op;

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

struct ImageNodeOp {
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
    n = iov_slice(request->iov, request->iov_count, from, len, op->slices + op->slices_used,
                  SLICES_MAX - op->slices_used);
    if (n < 0)
        return n;
    *ret_iov = op->slices + op->slices_used;
    *ret_count = (unsigned)n;
    op->slices_used += (unsigned)n;
    return 0;
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
        block_note_write(image_node_storage(&op->node->base), image_write_end(image));
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
        block_note_write(image_node_storage(&op->node->base), image_write_end(op->node->image)); /* metadata */
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
        iov_fill(op->request->iov, op->request->iov_count, *pos, 0, e->length);
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
        block_note_write(image_node_storage(&op->node->base), io->offset + io->length);
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

/* Clusters can be smaller than what O_DIRECT takes. */
static bool extents_fit(const Op *op)
{
    uint64_t bits = 0;

    if (op->node->direct_align == 0)
        return true;
    for (unsigned i = 0; i < op->ir.n_extents; i++) {
        const ImageExtent *e = &op->ir.extents[i];

        if (e->kind != IMAGE_EXTENT_ZERO)
            bits |= e->offset | e->length;
    }
    return (bits & (op->node->direct_align - 1)) == 0;
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
    if (has_indirect(&op->ir) || !extents_fit(op)) {
        image_end(&op->ir, op->request->kind == BLOCK_WRITE ? -EAGAIN : 0); /* forget it */
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

/* --- into and out of it ----------------------------------------------------------------------------------- */

static bool memory_fits(const ImageNode *node, const BlockRequest *request)
{
    uintptr_t bits = 0;

    if (node->direct_align == 0)
        return true;
    for (unsigned i = 0; i < request->iov_count; i++)
        bits |= (uintptr_t)request->iov[i].iov_base | request->iov[i].iov_len;
    return ((bits | request->offset | request->length) & (node->direct_align - 1)) == 0;
}

void image_node_submit(Block *block, BlockRequest *request)
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

void image_node_requests_init(ImageNode *node)
{
    pthread_mutex_init(&node->lock, NULL);
    node->resume_post = (LoopPost){.run = resume_posted, .opaque = node};
}

void image_node_requests_free(ImageNode *node)
{
    loop_post_cancel(node->base.loop, &node->resume_post);
    while (node->free_ops != NULL) {
        Op *op = node->free_ops;

        node->free_ops = op->next;
        free(op->slices);
        free(op);
    }
    pthread_mutex_destroy(&node->lock);
}
