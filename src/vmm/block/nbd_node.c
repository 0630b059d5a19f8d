/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NBD in transmission: see nbd_node.h. Everything happens on the node's loop.
 *
 * A request of the device takes one of WINDOW operations, or waits for one. An operation moves its range in pieces that the
 * server takes (nearly always one), one after the other:
 *
 *    submit -> [queue] --sendmsg--> with the server --reply--> payload, straight into the guest's memory -> complete
 *
 * What has been queued in one turn of the loop goes out together. What comes in is read past the end of a payload into a
 * small buffer, so that a stream of replies takes one system call each. Replies come in any order; each must name an
 * operation whose request went out whole.
 *
 * #syscalls recvmsg sendmsg
 */
#include "vmm/block/nbd_node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/checked.h"
#include "vmm/block/nbd_protocol.h"
#include "vmm/block/node_props.h"
#include "vmm/log.h"

enum {
    WINDOW = 64,
    IN_BUFFER = 4096,
    IOV_SEND = 256,
    IOV_RECEIVE = 64,
    READS_A_TURN = 64,
    RANGE_MAX = 1 << 30, /* of one trim or zeroing */
};

typedef struct NbdNode NbdNode;
typedef struct NbdOp NbdOp;

struct NbdOp {
    BlockRequest *request; /* NULL: free */
    NbdOp *next; /* of the queue, or of the free ones */
    uint64_t cookie;
    uint64_t done; /* bytes of the request that earlier pieces moved */
    uint32_t piece; /* bytes of this one */
    uint16_t command;
    size_t sent; /* of header and payload */
    uint8_t header[NBD_REQUEST_BYTES];
};

struct NbdNode {
    Block base;
    NodeProps props;
    NbdExport export;
    int fd, server_fd;
    bool no_flush;
    bool lost;
    bool wants_out;
    LoopWatch watch;
    LoopDefer sender;

    NbdOp ops[WINDOW], *free;
    uint64_t serial;
    NbdOp *queue, **queue_tail; /* not yet sent whole */
    BlockRequest *waiting, **waiting_tail; /* for an operation */

    NbdOp *filling; /* whose payload comes next */
    uint32_t filled;
    uint8_t in[IN_BUFFER];
    size_t in_start, in_len;
};

/* --- operations --- */

static bool has_payload(const NbdOp *op)
{
    return op->command == NBD_CMD_WRITE;
}

static size_t bytes_to_send(const NbdOp *op)
{
    return NBD_REQUEST_BYTES + (has_payload(op) ? op->piece : 0);
}

static void enqueue(NbdNode *n, NbdOp *op)
{
    op->next = NULL;
    if (n->queue == NULL)
        n->queue_tail = &n->queue;
    *n->queue_tail = op;
    n->queue_tail = &op->next;
    loop_defer(&n->sender);
}

static void send_command(NbdNode *n, NbdOp *op, uint16_t command, uint16_t flags, uint64_t offset, uint32_t length)
{
    uint8_t *at = op->header;

    op->command = command;
    op->piece = length;
    op->sent = 0;
    op->cookie = ++n->serial << 8 | (uint64_t)(op - n->ops);
    at = nbd_put16(nbd_put16(nbd_put32(at, NBD_REQUEST_MAGIC), flags), command);
    nbd_put32(nbd_put64(nbd_put64(at, op->cookie), offset), length);
    enqueue(n, op);
}

static void send_flush(NbdNode *n, NbdOp *op)
{
    send_command(n, op, NBD_CMD_FLUSH, 0, 0, 0);
}

static void send_piece(NbdNode *n, NbdOp *op)
{
    static const uint16_t commands[] = {[BLOCK_READ] = NBD_CMD_READ,
                                        [BLOCK_WRITE] = NBD_CMD_WRITE,
                                        [BLOCK_DISCARD] = NBD_CMD_TRIM,
                                        [BLOCK_WRITE_ZEROES] = NBD_CMD_WRITE_ZEROES};
    const BlockRequest *request = op->request;
    bool moves = request->kind == BLOCK_READ || request->kind == BLOCK_WRITE;
    uint32_t most = moves ? ALIGN_DOWN(n->export.payload_max, n->base.info.alignment) : RANGE_MAX;
    uint16_t flags = 0;

    if ((request->flags & BLOCK_FUA) && (n->export.flags & NBD_CAN_FUA) && request->kind != BLOCK_READ)
        flags |= NBD_FLAG_FUA;
    if (request->kind == BLOCK_WRITE_ZEROES && (!(request->flags & BLOCK_MAY_UNMAP) || !n->props.unmap))
        flags |= NBD_FLAG_NO_HOLE;
    send_command(n, op, commands[request->kind], flags, request->offset + op->done,
                 (uint32_t)MIN(request->length - op->done, (uint64_t)most));
}

static void begin(NbdNode *n, BlockRequest *request)
{
    NbdOp *op = n->free;

    n->free = op->next;
    op->request = request;
    op->done = 0;
    if (request->kind == BLOCK_FLUSH)
        send_flush(n, op);
    else
        send_piece(n, op);
}

static BlockRequest *release(NbdNode *n, NbdOp *op)
{
    BlockRequest *request = op->request;

    op->request = NULL;
    op->next = n->free;
    n->free = op;
    return request;
}

static void finish(NbdNode *n, NbdOp *op, int result)
{
    BlockRequest *request = release(n, op), *next = n->waiting;

    if (next != NULL) {
        n->waiting = next->next;
        begin(n, next);
    }
    block_complete(&n->base, request, result);
}

static void piece_done(NbdNode *n, NbdOp *op, int result)
{
    const BlockRequest *request = op->request;
    bool flushed = op->command == NBD_CMD_FLUSH;

    op->done += op->piece;
    if (result < 0 || flushed)
        finish(n, op, result);
    else if (op->done < request->length)
        send_piece(n, op);
    else if ((request->flags & BLOCK_FUA) && request->kind != BLOCK_READ && !(n->export.flags & NBD_CAN_FUA) &&
             (n->export.flags & NBD_CAN_FLUSH) && !n->no_flush)
        send_flush(n, op);
    else
        finish(n, op, 0);
}

/* --- the end of a server --- */

static void lose(NbdNode *n, const char *why)
{
    if (n->lost)
        return;
    n->lost = true;
    log_error("block node %s: its server is gone: %s; all requests fail from now on", n->base.node_name, why);
    loop_unwatch(&n->watch);
    loop_defer_cancel(&n->sender);
    n->queue = NULL;
    n->filling = NULL;
    for (unsigned i = 0; i < WINDOW; i++) {
        if (n->ops[i].request != NULL)
            block_complete(&n->base, release(n, &n->ops[i]), -EIO);
    }
    while (n->waiting != NULL) {
        BlockRequest *request = n->waiting;

        n->waiting = request->next;
        block_complete(&n->base, request, -EIO);
    }
}

/* --- out --- */

/* Part [skip, skip + len) of a request's memory; how many entries of at most `max`. *ret_bytes: what they hold. */
static unsigned slice(const BlockRequest *request, uint64_t skip, uint64_t len, struct iovec *ret, unsigned max,
                      uint64_t *ret_bytes)
{
    unsigned n = 0;

    *ret_bytes = 0;
    for (unsigned i = 0; i < request->iov_count && len > 0 && n < max; i++) {
        const struct iovec *v = &request->iov[i];
        size_t part;

        if (skip >= v->iov_len) {
            skip -= v->iov_len;
            continue;
        }
        part = MIN(v->iov_len - skip, len);
        ret[n++] = (struct iovec){(uint8_t *)v->iov_base + skip, part};
        *ret_bytes += part;
        len -= part;
        skip = 0;
    }
    return n;
}

static unsigned gather(const NbdNode *n, struct iovec *iov)
{
    unsigned count = 0;

    for (NbdOp *op = n->queue; op != NULL && count < IOV_SEND; op = op->next) {
        size_t from = op->sent;
        uint64_t bytes;

        if (from < NBD_REQUEST_BYTES) {
            iov[count++] = (struct iovec){op->header + from, NBD_REQUEST_BYTES - from};
            from = NBD_REQUEST_BYTES;
        }
        if (!has_payload(op))
            continue;
        from -= NBD_REQUEST_BYTES;
        count += slice(op->request, op->done + from, op->piece - from, iov + count, IOV_SEND - count, &bytes);
        if (from + bytes < op->piece)
            break;
    }
    return count;
}

static void sent(NbdNode *n, size_t bytes)
{
    while (bytes > 0) {
        NbdOp *op = n->queue;
        size_t part = MIN(bytes, bytes_to_send(op) - op->sent);

        op->sent += part;
        bytes -= part;
        if (op->sent == bytes_to_send(op))
            n->queue = op->next;
    }
}

static void want_out(NbdNode *n, bool on)
{
    if (n->wants_out == on)
        return;
    n->wants_out = on;
    (void)loop_watch_events(&n->watch, on ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void send_queued(void *opaque)
{
    NbdNode *n = opaque;
    struct iovec iov[IOV_SEND];

    while (n->queue != NULL) {
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = gather(n, iov)};
        ssize_t r = sendmsg(n->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (r >= 0) {
            sent(n, (size_t)r);
        } else if (errno == EAGAIN) {
            want_out(n, true);
            return;
        } else if (errno != EINTR) {
            lose(n, strerror(errno));
            return;
        }
    }
    want_out(n, false);
}

/* --- in --- */

static void fill_from_buffer(NbdNode *n)
{
    uint32_t part = (uint32_t)MIN(n->in_len, (size_t)(n->filling->piece - n->filled));

    while (part > 0) {
        struct iovec v;
        uint64_t bytes;

        slice(n->filling->request, n->filling->done + n->filled, part, &v, 1, &bytes);
        memcpy(v.iov_base, n->in + n->in_start, v.iov_len);
        n->in_start += v.iov_len;
        n->in_len -= v.iov_len;
        n->filled += (uint32_t)v.iov_len;
        part -= (uint32_t)v.iov_len;
    }
}

static void take_reply(NbdNode *n)
{
    const uint8_t *reply = n->in + n->in_start;
    uint32_t error = get_be32(reply + 4);
    uint64_t cookie = get_be64(reply + 8);
    NbdOp *op = &n->ops[cookie % 256 < WINDOW ? cookie % 256 : 0];

    if (get_be32(reply) != NBD_SIMPLE_REPLY_MAGIC) {
        lose(n, "it sent what is no reply");
        return;
    }
    if (op->request == NULL || op->cookie != cookie || op->sent < bytes_to_send(op)) {
        lose(n, "it answered a request that it was not sent");
        return;
    }
    n->in_start += NBD_REPLY_BYTES;
    n->in_len -= NBD_REPLY_BYTES;
    op->cookie = 0; /* it is answered once */
    if (error == 0 && op->command == NBD_CMD_READ) {
        n->filling = op;
        n->filled = 0;
    } else {
        piece_done(n, op, error != 0 ? -nbd_errno(error) : 0);
    }
}

/* A request that ends may turn the loop: nothing of the node is remembered across it. */
static void consume(NbdNode *n)
{
    while (!n->lost) {
        if (n->filling != NULL) {
            NbdOp *op = n->filling;

            fill_from_buffer(n);
            if (n->filled < op->piece)
                break;
            n->filling = NULL;
            piece_done(n, op, 0);
        } else if (n->in_len >= NBD_REPLY_BYTES) {
            take_reply(n);
        } else {
            break;
        }
    }
}

/* The rest of a payload goes where it belongs, what is behind it into the buffer. Whether something came. */
static bool receive(NbdNode *n)
{
    struct iovec iov[IOV_RECEIVE + 1];
    struct msghdr message = {.msg_iov = iov};
    uint64_t payload = 0, left = 0;
    ssize_t r;

    memmove(n->in, n->in + n->in_start, n->in_len);
    n->in_start = 0;
    if (n->filling != NULL) {
        left = n->filling->piece - n->filled;
        message.msg_iovlen =
            slice(n->filling->request, n->filling->done + n->filled, left, iov, IOV_RECEIVE, &payload);
    }
    if (payload == left)
        iov[message.msg_iovlen++] = (struct iovec){n->in + n->in_len, IN_BUFFER - n->in_len};
    do {
        r = recvmsg(n->fd, &message, MSG_DONTWAIT);
    } while (r < 0 && errno == EINTR);
    if (r == 0)
        lose(n, "it closed the connection");
    else if (r < 0 && errno != EAGAIN)
        lose(n, strerror(errno));
    if (r <= 0)
        return false;
    payload = MIN(payload, (uint64_t)r);
    n->filled += (uint32_t)payload;
    n->in_len += (size_t)r - payload;
    return true;
}

static void ready(void *opaque, uint32_t events)
{
    NbdNode *n = opaque;

    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        for (unsigned i = 0; i < READS_A_TURN && !n->lost && receive(n); i++)
            consume(n);
    }
    if (!n->lost && n->queue != NULL)
        send_queued(n);
}

/* --- BlockOps --- */

static void node_submit(Block *block, BlockRequest *request)
{
    NbdNode *n = (NbdNode *)block;

    if (n->export.flags & NBD_CAN_WRITE_ZEROES)
        node_props_detect_zeroes(&n->props, request);
    if (n->lost) {
        block_complete(block, request, -EIO);
    } else if (request->kind != BLOCK_FLUSH && request->length == 0) {
        block_complete(block, request, 0);
    } else if ((request->kind == BLOCK_FLUSH && (!(n->export.flags & NBD_CAN_FLUSH) || n->no_flush)) ||
               (request->kind == BLOCK_DISCARD && (!(n->export.flags & NBD_CAN_TRIM) || !n->props.unmap))) {
        block_complete(block, request, 0);
    } else if (request->kind == BLOCK_WRITE_ZEROES && !(n->export.flags & NBD_CAN_WRITE_ZEROES)) {
        block_complete(block, request, -ENOTSUP);
    } else if (n->free != NULL) {
        begin(n, request);
    } else {
        if (n->waiting == NULL)
            n->waiting_tail = &n->waiting;
        request->next = NULL;
        *n->waiting_tail = request;
        n->waiting_tail = &request->next;
    }
}

static void node_flush_queue(Block *block)
{
    NbdNode *n = (NbdNode *)block;

    if (n->queue != NULL && !n->wants_out)
        send_queued(n);
}

static void node_describe(Block *block, json_t *object)
{
    NbdNode *n = (NbdNode *)block;

    json_object_set_new(object, "detect_zeroes", json_string(node_props_detect_name(&n->props)));
    json_object_set_new(object, "encrypted", json_false());
    json_object_set_new(object, "cache",
                        json_pack("{s:b, s:b, s:b}", "writeback", 1, "direct", 0, "no-flush", (int)n->no_flush));
    json_object_set_new(object, "x-lost", json_boolean(n->lost));
    json_object_set_new(object, "image",
                        json_pack("{s:s, s:s, s:I}", "format", "nbd", "filename", "", "virtual-size",
                                  (json_int_t)block->info.size));
}

static void watch(NbdNode *n)
{
    loop_defer_init(n->base.loop, &n->sender, send_queued, n);
    n->wants_out = false;
    if (!n->lost)
        (void)loop_watch(n->base.loop, &n->watch, n->fd, EPOLLIN, ready, n);
}

static void unwatch(void *opaque)
{
    NbdNode *n = opaque;

    loop_unwatch(&n->watch);
    loop_defer_cancel(&n->sender);
}

/* Adding to the new loop touches nothing that its thread touches. */
static int node_attach_loop(Block *block, Loop *loop, Err *err)
{
    NbdNode *n = (NbdNode *)block;

    (void)err;
    loop_call(block->loop, unwatch, n);
    block->loop = loop;
    watch(n);
    return 0;
}

static void say_goodbye(const NbdNode *n)
{
    uint8_t request[NBD_REQUEST_BYTES] = {0};

    nbd_put16(nbd_put16(nbd_put32(request, NBD_REQUEST_MAGIC), 0), NBD_CMD_DISCONNECT);
    (void)!send(n->fd, request, sizeof request, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void node_close(Block *block)
{
    NbdNode *n = (NbdNode *)block;

    loop_call(block->loop, unwatch, n);
    if (n->fd >= 0) {
        if (n->export.flags != 0 && !n->lost)
            say_goodbye(n);
        close(n->fd);
    }
    if (n->server_fd >= 0)
        close(n->server_fd);
}

static const BlockOps nbd_ops = {
    .driver = "nbd",
    .submit = node_submit,
    .flush_queue = node_flush_queue,
    .describe = node_describe,
    .attach_loop = node_attach_loop,
    .close = node_close,
};

/* --- opening --- */

static int negotiate(const NbdNode *n, int fd, const char *name, NbdExport *ret, Err *err)
{
    int r = nbd_negotiate(fd, name, loop_now() + NBD_NODE_PATIENCE_S * (uint64_t)1000000000, ret, err);

    return r < 0 ? err_prefix(err, "block node %s", n->base.node_name) : 0;
}

static int open_export(NbdNode *n, const char *name, Err *err)
{
    BlockInfo *info = &n->base.info;
    int r = negotiate(n, n->fd, name, &n->export, err);

    if (r < 0)
        return r;
    info->alignment = MAX(n->export.block_min, 512u);
    if (info->alignment > 4096 || n->export.payload_max < info->alignment)
        return err_set(err, ENOTSUP, "block node %s: its server moves blocks of %u to %u bytes only", n->base.node_name,
                       n->export.block_min, n->export.payload_max);
    if ((n->export.flags & NBD_READ_ONLY) && !n->props.read_only)
        return err_set(err, EACCES, "block node %s: its server lets nobody write: make the disk read-only",
                       n->base.node_name);
    info->size = ALIGN_DOWN(n->export.size, (uint64_t)info->alignment);
    info->read_only = n->props.read_only;
    info->can_discard = n->props.unmap && (n->export.flags & NBD_CAN_TRIM);
    info->can_write_zeroes = n->export.flags & NBD_CAN_WRITE_ZEROES;
    return 0;
}

static int parse(NbdNode *n, Props *props, const char **ret_name, Err *err)
{
    json_t *cache;
    int r;

    if ((r = node_props_parse(&n->props, &n->base, props, err)) < 0 ||
        (r = props_fd(props, "fd", &n->fd, err)) < 0 || (r = props_fd(props, "server-fd", &n->server_fd, err)) < 0 ||
        (r = props_string(props, "export", "", ret_name, err)) < 0 ||
        (r = props_json(props, "cache", &cache, err)) < 0)
        return r;
    n->no_flush = json_is_true(json_object_get(cache, "no-flush"));
    if (n->fd < 0)
        return err_set(err, EINVAL, "block node %s: it needs a connected socket ('fd')", n->base.node_name);
    return props_finish(props, err);
}

int nbd_node_create(Props *props, Loop *loop, BlockFind find, void *opaque, Block **ret, Err *err)
{
    NbdNode *n = calloc(1, sizeof *n);
    const char *name, *driver;
    int r;

    (void)find;
    (void)opaque;
    if (n == NULL)
        return err_set(err, ENOMEM, "out of memory");
    n->base.ops = &nbd_ops;
    n->base.loop = loop;
    n->fd = n->server_fd = -1;
    for (unsigned i = 0; i < WINDOW; i++) {
        n->ops[i].next = n->free;
        n->free = &n->ops[i];
    }
    if ((r = props_string(props, "driver", "", &driver, err)) < 0 || (r = parse(n, props, &name, err)) < 0 ||
        (r = open_export(n, name, err)) < 0) {
        block_close(&n->base);
        return r;
    }
    watch(n);
    *ret = &n->base;
    return 0;
}

/* --- another server --- */

typedef struct Reopen {
    NbdNode *node;
    int fd, server_fd;
    NbdExport export;
} Reopen;

/* What was under way has failed when the old one went. */
static void swap_server(void *opaque)
{
    Reopen *r = opaque;
    NbdNode *n = r->node;
    int old_fd = n->fd, old_server = n->server_fd;

    n->fd = r->fd;
    n->server_fd = r->server_fd;
    r->fd = old_fd;
    r->server_fd = old_server;
    n->export = r->export;
    n->in_start = n->in_len = 0;
    n->lost = false;
    watch(n);
    log_note("block node %s: it has a server again", n->base.node_name);
}

static void ask_lost(void *opaque)
{
    Reopen *r = opaque;

    if (!r->node->lost)
        r->node = NULL;
}

static int reopen(Reopen *r, const char *name, Err *err)
{
    NbdNode *n = r->node;
    int e;

    if (r->fd < 0)
        return err_set(err, EINVAL, "block node %s: it needs a connected socket ('fd')", n->base.node_name);
    loop_call(n->base.loop, ask_lost, r);
    if (r->node == NULL)
        return err_set(err, EBUSY, "block node %s: its server is there", n->base.node_name);
    if ((e = negotiate(n, r->fd, name, &r->export, err)) < 0)
        return e;
    /* The guest knows what it has: nothing of that may be less than it was. */
    if (ALIGN_DOWN(r->export.size, (uint64_t)n->base.info.alignment) != n->base.info.size ||
        r->export.block_min > n->base.info.alignment || r->export.payload_max < n->base.info.alignment ||
        ((r->export.flags & NBD_READ_ONLY) && !n->base.info.read_only) ||
        (n->base.info.can_discard && !(r->export.flags & NBD_CAN_TRIM)) ||
        (n->base.info.can_write_zeroes && !(r->export.flags & NBD_CAN_WRITE_ZEROES)))
        return err_set(err, EINVAL, "block node %s: the other server has another disk", n->base.node_name);
    loop_call(n->base.loop, swap_server, r);
    return 0;
}

int nbd_node_reopen(Block *block, json_t *object, int (*take_fd)(void *opaque, const char *name), void *opaque, Err *err)
{
    Reopen r = {.node = (NbdNode *)block, .fd = -1, .server_fd = -1};
    const char *name, *driver;
    Props *props;
    int e;

    if (block->ops != &nbd_ops)
        return err_set(err, ENOTSUP, "block node %s: only nodes of driver 'nbd' can be reopened", block->node_name);
    if ((e = props_new(object, take_fd, opaque, &props, err)) < 0)
        return e;
    if ((e = props_string(props, "driver", "nbd", &driver, err)) == 0 && (e = props_fd(props, "fd", &r.fd, err)) == 0 &&
        (e = props_fd(props, "server-fd", &r.server_fd, err)) == 0 &&
        (e = props_string(props, "export", "", &name, err)) == 0)
        e = reopen(&r, name, err);
    if (r.fd >= 0)
        close(r.fd);
    if (r.server_fd >= 0)
        close(r.server_fd);
    props_free(props);
    return e;
}
