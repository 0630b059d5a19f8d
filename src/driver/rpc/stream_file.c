/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files as streams. Disks block, so each transfer has a thread of its own that takes orders from a queue
 * (uploads) or waits for room (downloads). The stream's ops, on the I/O thread, only put things in and
 * signal.
 */
#define ERROR_FROM VIR_FROM_STREAMS
#include "driver/rpc/stream_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/thread.h"
#include "driver/rpc/private.h"

typedef struct Item {
    GBytes *bytes; /* or a hole */
    guint64 hole;
} Item;

typedef struct FileJob {
    gint references; /* the ops and the thread */
    RpcServer *server;
    Stream *stream; /* a reference while the thread runs */
    int fd;
    gboolean download, sparse, block_device;
    guint64 left; /* bytes that may still be moved */
    StreamEndFunc on_end;
    void *opaque;

    GMutex lock;
    GCond changed;
    GQueue items; /* of Item; guarded by lock */
    gboolean finish; /* guarded by lock: the client has sent everything */
    gboolean over; /* guarded by lock: the stream has ended */
    gboolean aborted;
    gboolean room; /* guarded by lock: worth asking stream_room again */
} FileJob;

static void item_free(gpointer opaque)
{
    Item *item = opaque;

    if (item->bytes != NULL)
        g_bytes_unref(item->bytes);
    g_free(item);
}

static void job_unref(FileJob *job)
{
    if (!g_atomic_int_dec_and_test(&job->references))
        return;
    close(job->fd);
    g_queue_clear_full(&job->items, item_free);
    if (job->on_end != NULL)
        job->on_end(job->aborted, job->opaque);
    g_mutex_clear(&job->lock);
    g_cond_clear(&job->changed);
    g_free(job);
}

/* --- download ------------------------------------------------------------------------------------ */

/* FALSE: the stream is over. */
static gboolean wait_for_room(FileJob *job, gsize *ret_room)
{
    for (;;) {
        gboolean over;

        g_mutex_lock(&job->lock);
        job->room = FALSE;
        g_mutex_unlock(&job->lock);
        *ret_room = stream_room(job->stream);
        g_mutex_lock(&job->lock);
        while (*ret_room == 0 && !job->room && !job->over)
            g_cond_wait(&job->changed, &job->lock);
        over = job->over;
        g_mutex_unlock(&job->lock);
        if (over)
            return FALSE;
        if (*ret_room > 0)
            return TRUE;
    }
}

/* Where data goes on: sends the hole before it. *ret_data is how much of it there is. FALSE: error is set or
 * over. */
static gboolean skip_hole(FileJob *job, guint64 *ret_data, GError **error)
{
    off_t at = lseek(job->fd, 0, SEEK_CUR), data, end;
    guint64 hole;

    *ret_data = G_MAXUINT64;
    if (!job->sparse || at < 0)
        return TRUE;
    data = lseek(job->fd, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO)
        data = lseek(job->fd, 0, SEEK_END); /* the rest is a hole */
    if (data < 0 || data < at) {
        lseek(job->fd, at, SEEK_SET);
        return TRUE; /* a file system without holes, or reading past the end */
    }
    hole = MIN((guint64)(data - at), job->left);
    if (lseek(job->fd, at + (off_t)hole, SEEK_SET) < 0)
        return error_set_errno(error, errno, "Unable to seek in the file");
    job->left -= hole;
    if (hole > 0 && !stream_send_hole(job->stream, (gint64)hole))
        return FALSE;
    end = lseek(job->fd, at + (off_t)hole, SEEK_HOLE);
    if (end >= 0)
        *ret_data = (guint64)(end - at) - hole;
    if (lseek(job->fd, at + (off_t)hole, SEEK_SET) < 0)
        return error_set_errno(error, errno, "Unable to seek in the file");
    return TRUE;
}

static gboolean send_extent(FileJob *job, guint64 extent, guint8 *buffer, gboolean *ret_eof, GError **error)
{
    while (extent > 0 && job->left > 0) {
        gsize room;
        ssize_t n;

        if (!wait_for_room(job, &room))
            return FALSE;
        n = read(job->fd, buffer, MIN(MIN(extent, job->left), MIN(room, STREAM_CHUNK_MAX)));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(error, errno, "Unable to read from the file");
        if (n == 0) {
            *ret_eof = TRUE;
            return TRUE;
        }
        if (!stream_send(job->stream, buffer, (gsize)n))
            return FALSE;
        extent -= (guint64)n;
        job->left -= (guint64)n;
    }
    return TRUE;
}

static gboolean download(FileJob *job, GError **error)
{
    g_autofree guint8 *buffer = g_malloc(STREAM_CHUNK_MAX);
    gboolean eof = FALSE;

    while (!eof && job->left > 0) {
        guint64 extent;

        if (!skip_hole(job, &extent, error) ||
            !send_extent(job, extent == 0 ? 1 : extent, buffer, &eof, error))
            return FALSE;
    }
    return stream_send_eof(job->stream);
}

/* --- upload -------------------------------------------------------------------------------------- */

static gboolean no_space(GError **error)
{
    return error_set_errno(error, ENOSPC, "cannot write to stream");
}

static gboolean write_bytes(FileJob *job, GBytes *bytes, GError **error)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);

    if (size > job->left)
        return no_space(error);
    job->left -= size;
    return fd_write_all(job->fd, data, size, error);
}

static gboolean write_zeroes(FileJob *job, guint64 length, GError **error)
{
    static const guint8 zeroes[65536];

    while (length > 0) {
        gsize part = MIN(length, sizeof zeroes);

        if (!fd_write_all(job->fd, zeroes, part, error))
            return FALSE;
        length -= part;
    }
    return TRUE;
}

/* What is there already must read as zeroes; beyond the end of a file nothing needs to be written. */
static gboolean write_hole(FileJob *job, guint64 length, GError **error)
{
    off_t at = lseek(job->fd, 0, SEEK_CUR);
    struct stat st;

    if (length > job->left)
        return no_space(error);
    job->left -= length;
    if (at < 0 || fstat(job->fd, &st) < 0)
        return error_set_errno(error, errno, "unable to seek in the file");
    if (length > (guint64)(G_MAXINT64 - at))
        return error_set_errno(error, EFBIG, "cannot write to stream");
    if ((job->block_device || at < st.st_size) && length > 0 &&
        fallocate(job->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, (off_t)length) < 0) {
        if (job->block_device)
            return write_zeroes(job, length, error);
        /* no holes in this file system: zeroes up to the old end */
        guint64 inside = MIN(length, (guint64)(st.st_size - at));

        if (!write_zeroes(job, inside, error))
            return FALSE;
    }
    if (lseek(job->fd, at + (off_t)length, SEEK_SET) < 0)
        return error_set_errno(error, errno, "unable to seek in the file");
    if (!job->block_device && at + (off_t)length > st.st_size && ftruncate(job->fd, at + (off_t)length) < 0)
        return error_set_errno(error, errno, "unable to extend the file");
    return TRUE;
}

/* NULL: everything was written, or the stream is over. */
static Item *next_item(FileJob *job, gboolean *ret_over)
{
    Item *item;

    g_mutex_lock(&job->lock);
    while (g_queue_is_empty(&job->items) && !job->finish && !job->over)
        g_cond_wait(&job->changed, &job->lock);
    *ret_over = job->over;
    item = job->over ? NULL : g_queue_pop_head(&job->items);
    g_mutex_unlock(&job->lock);
    return item;
}

static gboolean upload(FileJob *job, GError **error)
{
    gboolean over = FALSE, fine = TRUE;
    Item *item;

    while (fine && (item = next_item(job, &over)) != NULL) {
        gsize size = item->bytes != NULL ? g_bytes_get_size(item->bytes) : 0;

        fine =
            item->bytes != NULL ? write_bytes(job, item->bytes, error) : write_hole(job, item->hole, error);
        item_free(item);
        stream_consumed(job->stream, size);
    }
    if (!fine || over)
        return FALSE;
    if (fsync(job->fd) < 0 && errno != EINVAL)
        return error_set_errno(error, errno, "Unable to write the file to its disk");
    stream_finish(job->stream);
    return TRUE;
}

static gpointer file_thread(gpointer opaque)
{
    FileJob *job = opaque;
    g_autoptr(GError) error = NULL;
    RpcServer *server = job->server;
    Stream *stream = job->stream;

    if (!(job->download ? download(job, &error) : upload(job, &error)) && error != NULL)
        stream_fail(stream, error);
    job_unref(job);
    stream_unref(stream);
    server_helper_end(server);
    return NULL;
}

/* --- ops, on the I/O thread ---------------------------------------------------------------------- */

static void file_start(Stream *stream, void *opaque)
{
    FileJob *job = opaque;

    g_autoptr(GError) error = NULL;

    job->stream = stream_ref(stream);
    g_atomic_int_inc(&job->references);
    server_helper_begin(job->server);
    if (thread_detached("rpc-file", file_thread, job, &error))
        return;
    server_helper_end(job->server);
    g_atomic_int_add(&job->references, -1); /* the ops' remains */
    stream_fail(stream, error);
    stream_unref(stream);
}

static void add_item(FileJob *job, GBytes *bytes, guint64 hole)
{
    Item *item = g_new(Item, 1);

    *item = (Item){bytes, hole};
    g_mutex_lock(&job->lock);
    g_queue_push_tail(&job->items, item);
    g_cond_signal(&job->changed);
    g_mutex_unlock(&job->lock);
}

static void file_data(Stream *stream, GBytes *chunk, void *opaque)
{
    add_item(opaque, g_bytes_ref(chunk), 0);
}

static void file_hole(Stream *stream, gint64 length, guint32 flags, void *opaque)
{
    add_item(opaque, NULL, (guint64)length);
}

static void file_finish(Stream *stream, void *opaque)
{
    FileJob *job = opaque;

    if (job->download) {
        stream_finish(stream);
        return;
    }
    g_mutex_lock(&job->lock);
    job->finish = TRUE;
    g_cond_signal(&job->changed);
    g_mutex_unlock(&job->lock);
}

static void file_writable(Stream *stream, void *opaque)
{
    FileJob *job = opaque;

    g_mutex_lock(&job->lock);
    job->room = TRUE;
    g_cond_signal(&job->changed);
    g_mutex_unlock(&job->lock);
}

static void file_end(Stream *stream, gboolean aborted, void *opaque)
{
    FileJob *job = opaque;

    g_mutex_lock(&job->lock);
    job->over = TRUE;
    job->aborted = aborted;
    g_cond_signal(&job->changed);
    g_mutex_unlock(&job->lock);
    job_unref(job);
}

gboolean stream_file_attach(Call *call, int fd, StreamFdFlags flags, const StreamFdOptions *options,
                            GError **error)
{
    StreamOps ops = {.start = file_start, .finish = file_finish, .writable = file_writable, .end = file_end};
    struct stat st;
    FileJob *job = g_new0(FileJob, 1);

    job->references = 1;
    job->server = call_client(call)->server;
    job->fd = fd;
    job->download = (flags & STREAM_FD_READ) != 0;
    job->sparse = (flags & STREAM_FD_SPARSE) != 0;
    job->left = options->length > 0 ? options->length : G_MAXUINT64;
    job->on_end = options->on_end;
    job->opaque = options->opaque;
    job->block_device = fstat(fd, &st) == 0 && S_ISBLK(st.st_mode);
    g_mutex_init(&job->lock);
    g_cond_init(&job->changed);
    g_queue_init(&job->items);
    if (!job->download)
        ops.data = file_data;
    if (!job->download && job->sparse)
        ops.hole = file_hole;
    if (options->offset >= 0 && lseek(fd, options->offset, SEEK_SET) < 0) {
        error_set_errno(error, errno, "Unable to seek to %" G_GINT64_FORMAT " in the file", options->offset);
        job->aborted = TRUE;
        job_unref(job);
        return FALSE;
    }
    return stream_open(call, &ops, job, error) != NULL;
}
