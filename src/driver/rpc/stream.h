/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server side of virStream. A handler of a call with "stream=" opens at most one stream; it becomes
 * active when the call's reply has been queued, and is dropped when the handler fails.
 *
 *     client                                  server
 *       | -- call ------------------------------> |
 *       | <------------------------------ reply - |
 *       | -- STREAM CONTINUE data/HOLE ---------> |  ops->data, ops->hole
 *       | <--------- STREAM CONTINUE data/HOLE -- |  stream_send, stream_send_hole
 *       | <-------- STREAM CONTINUE, no data ---- |  stream_send_eof: end of what the client reads
 *       | -- STREAM OK (finish) ----------------> |  ops->finish, answered by stream_finish or stream_fail
 *       | -- STREAM ERROR (abort) --------------> |  ops->abort; the answer is sent by this layer
 *       | <------------------------ STREAM OK --- |  stream_finish
 *       | <------------ STREAM ERROR + error ---- |  stream_fail, at any time
 *
 * Flow control. Out: stream_room() says how much may still be queued; a source that finds none waits for
 * ops->writable. In: chunks given to ops->data count as pending until stream_consumed(); while more than
 * STREAM_PENDING_MAX bytes are pending, nothing is read from the client.
 *
 * ops run on the I/O thread, never two at once for one stream, and must not block. stream_*() functions may
 * be called from any thread that holds a reference; after the end of the stream they do nothing.
 */
#pragma once

#include <glib.h>

#include "driver/rpc/call.h"

#define STREAM_PENDING_MAX (1024 * 1024) /* bytes from the client that nobody has consumed */
#define STREAM_QUEUE_MAX (1024 * 1024) /* bytes to the client that are not on the wire */
#define STREAM_CHUNK_MAX 262120 /* payload of one message, as libvirt's daemons send it */

typedef struct Stream Stream;

typedef struct StreamOps {
    /* Active: sending is possible from now on. May be NULL. */
    void (*start)(Stream *stream, void *opaque);
    /* Data from the client; NULL when the client may only read. Take a reference to keep chunk. */
    void (*data)(Stream *stream, GBytes *chunk, void *opaque);
    /* A hole from the client; NULL: holes are refused with an error. */
    void (*hole)(Stream *stream, gint64 length, guint32 flags, void *opaque);
    /* The client has sent everything / wants no more. Answer with stream_finish() or stream_fail(), now or
     * when the data is safe. NULL: answered with stream_finish(). */
    void (*finish)(Stream *stream, void *opaque);
    /* There is room again after stream_room() was 0. May be NULL. */
    void (*writable)(Stream *stream, void *opaque);
    /* The stream is over, by whatever cause (aborted: client abort, disconnect or stream_fail); no op is
     * called after it. Frees opaque. */
    void (*end)(Stream *stream, gboolean aborted, void *opaque);
} StreamOps;

/* Opens the stream of this call; opaque is ops' from here on, also on failure (end is called). The returned
 * stream is valid until ops->end returns; stream_ref to use it from other threads. NULL with
 * VIR_ERR_INTERNAL_ERROR when the call has no stream or has one already. */
Stream *stream_open(Call *call, const StreamOps *ops, void *opaque, GError **error);
Stream *stream_ref(Stream *stream);
void stream_unref(Stream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Stream, stream_unref)

/* Bytes that may be queued now; 0: wait for ops->writable. */
gsize stream_room(Stream *stream);
/* Queue data for the client (any length; cut into messages). FALSE when the stream is over. */
gboolean stream_send(Stream *stream, const void *data, gsize length);
gboolean stream_send_hole(Stream *stream, gint64 length);
gboolean stream_send_eof(Stream *stream);
/* length bytes given to ops->data have been dealt with. */
void stream_consumed(Stream *stream, gsize length);
/* Confirms the client's finish; the stream is over. */
void stream_finish(Stream *stream);
/* Sends the error; the stream is over. Takes no ownership. */
void stream_fail(Stream *stream, const GError *error);

typedef enum StreamFdFlags {
    STREAM_FD_READ = 1 << 0, /* the client reads what the descriptor gives */
    STREAM_FD_WRITE = 1 << 1, /* what the client writes goes to the descriptor */
    STREAM_FD_SPARSE = 1 << 2, /* files: holes as holes, both ways (VIR_STORAGE_VOL_*_SPARSE_STREAM) */
} StreamFdFlags;

/* Bridges the client and a descriptor, of which it takes ownership also on failure. A pty, pipe or socket is
 * served on the I/O thread; a regular file or block device by a thread of its own, from its current offset,
 * fsynced before finish is confirmed. EOF and EIO of a pty (its other side was closed) are the end of what
 * the client reads. */
typedef void (*StreamEndFunc)(gboolean aborted, void *opaque);
gboolean stream_attach_fd(Call *call, int fd, StreamFdFlags flags, GError **error);
/* The same with limits and a callback: offset from which to start (files; -1: current), length at most (0:
 * all). on_end, unless NULL, is called once after the descriptor was closed, on the I/O thread or the file's
 * thread; aborted is FALSE when the client finished in order. */
typedef struct StreamFdOptions {
    gint64 offset;
    guint64 length;
    StreamEndFunc on_end;
    void *opaque;
    Stream **ret_stream; /* unless NULL: a reference to the stream, set before on_end can be called (not for
                            files) */
} StreamFdOptions;
gboolean stream_attach_fd_full(Call *call, int fd, StreamFdFlags flags, const StreamFdOptions *options,
                               GError **error);
/* The client reads these bytes (screenshots); takes a reference. */
gboolean stream_attach_bytes(Call *call, GBytes *bytes, GError **error);
