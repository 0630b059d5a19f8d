/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A stream bridged to a descriptor that can be polled: consoles, channels, sockets. Everything on the I/O
 * thread. Regular files and block devices never say "not now": they have a thread, see stream_file.c.
 */
#define ERROR_FROM VIR_FROM_STREAMS
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/rpc/private.h"
#include "driver/rpc/stream_file.h"

#define READ_MAX 65536

typedef struct FdBridge {
    RpcServer *server;
    int fd;
    StreamFdFlags flags;
    StreamEndFunc on_end;
    void *opaque;
    IoWatch *watch;
    GQueue queue; /* of GBytes: to the descriptor */
    gsize head_sent; /* of the first */
    gboolean eof; /* nothing more to read */
    gboolean dead; /* the other side has gone: what the client writes is dropped */
    gboolean stuck; /* no room towards the client */
    gboolean finish; /* the client's finish waits for the queue */
    Stream *stream;
} FdBridge;

static void update(FdBridge *bridge)
{
    guint32 events = 0;

    if (bridge->watch == NULL)
        return;
    if ((bridge->flags & STREAM_FD_READ) && !bridge->eof && !bridge->stuck)
        events |= EPOLLIN;
    if (!g_queue_is_empty(&bridge->queue))
        events |= EPOLLOUT;
    io_watch_set(bridge->watch, events);
}

static void fail(FdBridge *bridge, const char *what)
{
    g_autoptr(GError) error = NULL;

    error_set_errno(&error, errno, "cannot %s stream", what);
    bridge->dead = bridge->eof = TRUE;
    stream_fail(bridge->stream, error);
}

static void input_ended(FdBridge *bridge)
{
    if (bridge->eof)
        return;
    bridge->eof = TRUE;
    stream_send_eof(bridge->stream);
}

static void read_some(FdBridge *bridge)
{
    guint8 buffer[READ_MAX];
    gsize room = stream_room(bridge->stream);
    ssize_t n;

    bridge->stuck = room == 0;
    if (room == 0)
        return;
    n = read(bridge->fd, buffer, MIN(room, sizeof buffer));
    if (n > 0)
        stream_send(bridge->stream, buffer, (gsize)n);
    else if (n == 0 || errno == EIO || errno == ECONNRESET)
        input_ended(bridge); /* EIO: nobody has the other side of the pty open */
    else if (errno != EAGAIN && errno != EINTR)
        fail(bridge, "read from");
}

static void drop_queue(FdBridge *bridge)
{
    GBytes *chunk;

    while ((chunk = g_queue_pop_head(&bridge->queue)) != NULL) {
        stream_consumed(bridge->stream, g_bytes_get_size(chunk));
        g_bytes_unref(chunk);
    }
    bridge->head_sent = 0;
}

static void write_some(FdBridge *bridge)
{
    GBytes *chunk;

    while ((chunk = g_queue_peek_head(&bridge->queue)) != NULL) {
        gsize size;
        const guint8 *data = g_bytes_get_data(chunk, &size);
        ssize_t n = write(bridge->fd, data + bridge->head_sent, size - bridge->head_sent);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            fail(bridge, "write to");
            return;
        }
        bridge->head_sent += (gsize)n;
        if (bridge->head_sent < size)
            continue;
        bridge->head_sent = 0;
        stream_consumed(bridge->stream, size);
        g_bytes_unref(g_queue_pop_head(&bridge->queue));
    }
    if (bridge->finish)
        stream_finish(bridge->stream);
}

static void ready(guint32 events, void *opaque)
{
    FdBridge *bridge = opaque;

    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && (bridge->flags & STREAM_FD_READ) && !bridge->eof)
        read_some(bridge);
    if ((events & EPOLLOUT) && !bridge->dead)
        write_some(bridge);
    /* Hung up and read empty (or hung up while nobody wants to read): epoll would report it for ever. */
    if ((events & (EPOLLHUP | EPOLLERR)) && (bridge->eof || !(bridge->flags & STREAM_FD_READ))) {
        bridge->dead = TRUE;
        io_watch_remove(bridge->watch);
        bridge->watch = NULL;
        drop_queue(bridge);
        if (bridge->finish)
            stream_finish(bridge->stream);
        return;
    }
    if ((events & (EPOLLHUP | EPOLLERR)) && bridge->stuck) {
        /* Hung up with data left that the client has no room for: look again when there is. */
        io_watch_remove(bridge->watch);
        bridge->watch = NULL;
        return;
    }
    update(bridge);
}

static void watch(FdBridge *bridge)
{
    g_autoptr(GError) error = NULL;

    bridge->watch = io_watch_add(bridge->server->loop, bridge->fd, 0, ready, bridge, &error);
    if (bridge->watch == NULL)
        stream_fail(bridge->stream, error);
    update(bridge);
}

static void bridge_start(Stream *stream, void *opaque)
{
    FdBridge *bridge = opaque;

    bridge->stream = stream;
    watch(bridge);
}

static void bridge_data(Stream *stream, GBytes *chunk, void *opaque)
{
    FdBridge *bridge = opaque;

    if (bridge->dead) {
        stream_consumed(stream, g_bytes_get_size(chunk));
        return;
    }
    g_queue_push_tail(&bridge->queue, g_bytes_ref(chunk));
    if (bridge->queue.length == 1)
        write_some(bridge);
    update(bridge);
}

static void bridge_finish(Stream *stream, void *opaque)
{
    FdBridge *bridge = opaque;

    if (g_queue_is_empty(&bridge->queue))
        stream_finish(stream);
    else
        bridge->finish = TRUE;
}

static void bridge_writable(Stream *stream, void *opaque)
{
    FdBridge *bridge = opaque;

    bridge->stuck = FALSE;
    if (bridge->watch == NULL && !bridge->dead)
        watch(bridge);
    else
        update(bridge);
}

static void bridge_end(Stream *stream, gboolean aborted, void *opaque)
{
    FdBridge *bridge = opaque;

    io_watch_remove(bridge->watch);
    close(bridge->fd);
    g_queue_clear_full(&bridge->queue, (GDestroyNotify)g_bytes_unref);
    if (bridge->on_end != NULL)
        bridge->on_end(aborted, bridge->opaque);
    g_free(bridge);
}

static gboolean attach_pollable(Call *call, int fd, StreamFdFlags flags, const StreamFdOptions *options,
                                GError **error)
{
    static const StreamOps both = {.start = bridge_start,
                                   .data = bridge_data,
                                   .finish = bridge_finish,
                                   .writable = bridge_writable,
                                   .end = bridge_end};
    StreamOps ops = both;
    FdBridge *bridge;
    Stream *stream;

    if (!fd_set_nonblocking(fd, TRUE, error)) {
        close(fd);
        if (options->on_end != NULL)
            options->on_end(TRUE, options->opaque);
        return FALSE;
    }
    if (!(flags & STREAM_FD_WRITE))
        ops.data = NULL;
    bridge = g_new0(FdBridge, 1);
    bridge->server = call_client(call)->server;
    bridge->fd = fd;
    bridge->flags = flags;
    bridge->on_end = options->on_end;
    bridge->opaque = options->opaque;
    g_queue_init(&bridge->queue);
    /* The stream starts when the handler has returned: nothing of it ends before the reference is taken. */
    stream = stream_open(call, &ops, bridge, error);
    if (stream != NULL && options->ret_stream != NULL)
        *options->ret_stream = stream_ref(stream);
    return stream != NULL;
}

gboolean stream_attach_fd_full(Call *call, int fd, StreamFdFlags flags, const StreamFdOptions *options,
                               GError **error)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        error_set_errno(error, errno, "Unable to access stream");
        close(fd);
        if (options->on_end != NULL)
            options->on_end(TRUE, options->opaque);
        return FALSE;
    }
    if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
        return stream_file_attach(call, fd, flags, options, error);
    return attach_pollable(call, fd, flags, options, error);
}

gboolean stream_attach_fd(Call *call, int fd, StreamFdFlags flags, GError **error)
{
    static const StreamFdOptions none = {.offset = -1};

    return stream_attach_fd_full(call, fd, flags, &none, error);
}
