/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Streams: see stream.h. A stream is in its client's table (client->streams, by serial) from its activation
 * to its end; whoever takes it out of there ends it, so that end runs once. ops run on the I/O thread only:
 * functions that are called elsewhere and have to call an op post it.
 */
#define ERROR_FROM VIR_FROM_STREAMS
#define LOG_SOURCE "rpc"
#include <string.h>

#include "common/error.h"
#include "common/log.h"
#include "driver/rpc/private.h"

struct Stream {
    gint references;
    Client *client;
    WireHeader header; /* of its messages */
    StreamOps ops;
    void *opaque;
    gboolean sparse;

    /* guarded by the client's lock */
    gboolean active; /* in the table */
    gboolean over; /* no message is sent any more */
    gboolean aborted; /* for ops.end */
    gboolean thirsty; /* stream_room() said 0: tell when there is some */
    gboolean full; /* counted in client->streams_full */
    gsize queued; /* to the client */
    gsize pending; /* from the client, not consumed */

    /* I/O thread */
    gboolean started; /* ops.start was called */
    gboolean finishing; /* the client has sent its finish */
    gboolean ended; /* ops.end was called */
};

static gpointer stream_key(guint32 serial)
{
    return GUINT_TO_POINTER(serial);
}

Stream *stream_open(Call *call, const StreamOps *ops, void *opaque, GError **error)
{
    Stream *stream = g_new0(Stream, 1);

    stream->references = 1;
    stream->client = client_ref(call->client);
    stream->header = call->header;
    stream->header.type = WIRE_STREAM;
    stream->ops = *ops;
    stream->opaque = opaque;
    stream->sparse = (call->procedure->flags & RPC_FLAG_SPARSE) != 0;
    if (call->stream != NULL || call->procedure->stream == 0) {
        error_set(error, VIR_ERR_INTERNAL_ERROR, "%s: %s", call_api(call),
                  call->stream != NULL ? "a call can open one stream only" : "this call has no stream");
        stream_discard(stream);
        return NULL;
    }
    call->stream = stream;
    return stream;
}

Stream *stream_ref(Stream *stream)
{
    g_atomic_int_inc(&stream->references);
    return stream;
}

void stream_unref(Stream *stream)
{
    if (stream != NULL && g_atomic_int_dec_and_test(&stream->references)) {
        client_unref(stream->client);
        g_free(stream);
    }
}

/* I/O thread, or before activation. */
static void end(Stream *stream)
{
    if (stream->ended)
        return;
    stream->ended = TRUE;
    if (stream->ops.end != NULL)
        stream->ops.end(stream, stream->aborted, stream->opaque);
}

static void end_posted(void *opaque)
{
    g_autoptr(Stream) stream = opaque;

    end(stream);
}

void stream_discard(Stream *stream)
{
    stream->over = stream->aborted = TRUE;
    end(stream);
    stream_unref(stream);
}

/* Takes the stream out of the table. FALSE: it was not in it. The caller then calls or posts end. */
static gboolean leave_locked(Stream *stream, gboolean aborted)
{
    Client *client = stream->client;

    if (!stream->active)
        return FALSE;
    stream->active = FALSE;
    stream->over = TRUE;
    stream->aborted = aborted;
    if (stream->full)
        client->streams_full--;
    stream->full = FALSE;
    stream_ref(stream); /* the table's reference becomes end's */
    g_hash_table_remove(client->streams, stream_key(stream->header.serial));
    connection_poke_locked(client);
    return TRUE;
}

static void end_soon(Stream *stream)
{
    /* never at once: an op of this stream may be what got us here */
    io_loop_post(stream->client->server->loop, end_posted, stream);
}

static void start(Stream *stream)
{
    if (stream->started || stream->ended)
        return;
    stream->started = TRUE;
    if (stream->ops.start != NULL)
        stream->ops.start(stream, stream->opaque);
}

static void start_posted(void *opaque)
{
    g_autoptr(Stream) stream = opaque;

    start(stream);
}

gboolean stream_register(Stream *stream, GError **error)
{
    Client *client = stream->client;
    gboolean full, refused;

    g_mutex_lock(&client->lock);
    full = g_hash_table_size(client->streams) >= CLIENT_STREAMS_MAX;
    refused = full || g_atomic_int_get(&client->closed) || client->broken ||
              g_hash_table_contains(client->streams, stream_key(stream->header.serial));
    if (!refused) {
        stream->active = TRUE;
        g_hash_table_insert(client->streams, stream_key(stream->header.serial), stream_ref(stream));
    }
    g_mutex_unlock(&client->lock);
    if (refused)
        error_set(error, VIR_ERR_OPERATION_FAILED, "cannot open a stream: %s",
                  full ? "too many streams are open on this connection" : "the connection is closing");
    return !refused;
}

void stream_activate(Stream *stream)
{
    io_loop_post(stream->client->server->loop, start_posted, stream);
}

/* --- to the client ------------------------------------------------------------------------------- */

static OutMessage *stream_message(Stream *stream, guint32 type, guint32 status, const void *data,
                                  gsize length)
{
    WireHeader header = stream->header;
    XdrWriter writer = {0};
    gsize begin;

    header.type = type;
    header.status = status;
    begin = wire_begin(&writer, &header);
    xdr_put_bytes(&writer, data, length);
    wire_end(&writer, begin);
    return out_message_new(&writer, OUT_STREAM);
}

static gboolean goes_on_locked(OutMessage *message)
{
    Stream *stream = message->stream;

    if (!stream->active || stream->over)
        return FALSE;
    stream->queued += message->stream_bytes;
    return TRUE;
}

/* Queues a message that belongs to a stream that goes on. */
static gboolean queue_data(Stream *stream, OutMessage *message)
{
    message->stream_bytes = message->length;
    message->stream = stream_ref(stream);
    return connection_queue_if(stream->client, message, TRUE, goes_on_locked);
}

gsize stream_room(Stream *stream)
{
    gsize room;

    g_mutex_lock(&stream->client->lock);
    room = stream->queued < STREAM_QUEUE_MAX ? STREAM_QUEUE_MAX - stream->queued : 0;
    if (room == 0)
        stream->thirsty = TRUE;
    g_mutex_unlock(&stream->client->lock);
    return room;
}

static void writable_posted(void *opaque)
{
    g_autoptr(Stream) stream = opaque;

    if (!stream->ended && stream->ops.writable != NULL)
        stream->ops.writable(stream, stream->opaque);
}

void stream_sent_locked(Stream *stream, gsize bytes)
{
    stream->queued -= bytes;
    if (stream->thirsty && stream->queued <= STREAM_QUEUE_MAX / 2) {
        stream->thirsty = FALSE;
        io_loop_post(stream->client->server->loop, writable_posted, stream_ref(stream));
    }
}

gboolean stream_send(Stream *stream, const void *data, gsize length)
{
    const guint8 *at = data;

    while (length > 0) {
        gsize part = MIN(length, STREAM_CHUNK_MAX);

        if (!queue_data(stream, stream_message(stream, WIRE_STREAM, WIRE_CONTINUE, at, part)))
            return FALSE;
        at += part;
        length -= part;
    }
    return TRUE;
}

gboolean stream_send_hole(Stream *stream, gint64 length)
{
    guint8 body[12] = {0};
    guint64 value = GUINT64_TO_BE((guint64)length);

    memcpy(body, &value, 8); /* then 32 bits of flags: none */
    return queue_data(stream, stream_message(stream, WIRE_STREAM_HOLE, WIRE_CONTINUE, body, sizeof body));
}

gboolean stream_send_eof(Stream *stream)
{
    return queue_data(stream, stream_message(stream, WIRE_STREAM, WIRE_CONTINUE, NULL, 0));
}

/* The last message of a stream; takes it. */
static void conclude(Stream *stream, OutMessage *message, gboolean aborted)
{
    Client *client = stream->client;
    gboolean left, queued = FALSE;

    g_mutex_lock(&client->lock);
    left = leave_locked(stream, aborted);
    if (left)
        queued = connection_queue_locked(client, message, TRUE);
    g_mutex_unlock(&client->lock);
    if (!queued)
        out_message_free(message);
    if (left)
        end_soon(stream);
}

void stream_finish(Stream *stream)
{
    conclude(stream, stream_message(stream, WIRE_STREAM, WIRE_OK, NULL, 0), FALSE);
}

void stream_fail(Stream *stream, const GError *error)
{
    XdrWriter writer = {0};

    wire_error_frame(&writer, &stream->header, error);
    conclude(stream, out_message_new(&writer, OUT_STREAM), TRUE);
}

/* --- from the client (I/O thread) ---------------------------------------------------------------- */

void stream_consumed(Stream *stream, gsize length)
{
    Client *client = stream->client;

    g_mutex_lock(&client->lock);
    stream->pending -= MIN(length, stream->pending);
    if (stream->full && stream->pending <= STREAM_PENDING_MAX / 2) {
        stream->full = FALSE;
        client->streams_full--;
        connection_poke_locked(client);
    }
    g_mutex_unlock(&client->lock);
}

static void receive_data(Stream *stream, const guint8 *payload, gsize length)
{
    g_autoptr(GBytes) chunk = NULL;
    Client *client = stream->client;

    if (length == 0)
        return;
    if (stream->ops.data == NULL) {
        g_autoptr(GError) error = NULL;

        error_set(&error, VIR_ERR_OPERATION_INVALID, "stream is not open for writing");
        stream_fail(stream, error);
        return;
    }
    g_mutex_lock(&client->lock);
    stream->pending += length;
    if (!stream->full && stream->active && stream->pending > STREAM_PENDING_MAX) {
        stream->full = TRUE;
        client->streams_full++;
    }
    g_mutex_unlock(&client->lock);
    chunk = g_bytes_new(payload, length);
    stream->ops.data(stream, chunk, stream->opaque);
}

static void receive_hole(Stream *stream, const guint8 *payload, gsize length)
{
    g_autoptr(GError) error = NULL;
    gint64 hole =
        length >= 12 ? (gint64)((guint64)wire_get_word(payload) << 32 | wire_get_word(payload + 4)) : -1;

    if (hole < 0) {
        error_set(&error, VIR_ERR_RPC,
                  "Unable to decode message payload: a stream hole of impossible length");
    } else if (!stream->sparse || stream->ops.hole == NULL) {
        error_set(&error, VIR_ERR_RPC, "Unexpected stream hole");
    } else {
        stream->ops.hole(stream, hole, wire_get_word(payload + 8), stream->opaque);
        return;
    }
    stream_fail(stream, error);
}

static void abort_stream(Stream *stream, guint32 status)
{
    g_autoptr(GError) error = NULL;

    if (status == WIRE_ERROR) {
        conclude(stream, stream_message(stream, WIRE_STREAM, WIRE_OK, NULL, 0), TRUE);
        return;
    }
    error_set(&error, VIR_ERR_RPC, "stream aborted with unexpected status %u", status);
    stream_fail(stream, error);
}

void stream_receive(Client *client, const WireHeader *header, const guint8 *payload, gsize length)
{
    g_autoptr(Stream) stream = NULL;

    g_mutex_lock(&client->lock);
    stream = g_hash_table_lookup(client->streams, stream_key(header->serial));
    if (stream != NULL)
        stream_ref(stream);
    g_mutex_unlock(&client->lock);
    /* Data is not acknowledged, so some may still come after the end: it is dropped. */
    if (stream == NULL || stream->ended || header->program != stream->header.program ||
        header->version != stream->header.version || header->procedure != stream->header.procedure)
        return;
    if (header->status == WIRE_CONTINUE && stream->finishing)
        return;
    start(stream);
    if (header->status == WIRE_CONTINUE) {
        if (header->type == WIRE_STREAM_HOLE)
            receive_hole(stream, payload, length);
        else
            receive_data(stream, payload, length);
    } else if (header->status == WIRE_OK && !stream->finishing) {
        stream->finishing = TRUE;
        if (stream->ops.finish != NULL)
            stream->ops.finish(stream, stream->opaque);
        else
            stream_finish(stream);
    } else {
        abort_stream(stream, header->status);
    }
}

void stream_close_all(Client *client)
{
    g_autoptr(GPtrArray) streams = g_ptr_array_new();
    GHashTableIter iter;
    gpointer value;

    g_mutex_lock(&client->lock);
    g_hash_table_iter_init(&iter, client->streams);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        g_ptr_array_add(streams, stream_ref(value));
    for (guint i = 0; i < streams->len; i++) {
        if (leave_locked(streams->pdata[i], TRUE))
            stream_unref(streams->pdata[i]); /* end's reference: end is called below */
    }
    g_mutex_unlock(&client->lock);
    for (guint i = 0; i < streams->len; i++) {
        end(streams->pdata[i]);
        stream_unref(streams->pdata[i]);
    }
}

/* --- bytes --------------------------------------------------------------------------------------- */

typedef struct BytesSource {
    GBytes *bytes;
    gsize at;
    gboolean eof;
} BytesSource;

static void bytes_send(Stream *stream, void *opaque)
{
    BytesSource *source = opaque;
    gsize size, room;
    const guint8 *data = g_bytes_get_data(source->bytes, &size);

    while (source->at < size && (room = stream_room(stream)) > 0) {
        gsize part = MIN(MIN(room, size - source->at), STREAM_CHUNK_MAX);

        if (!stream_send(stream, data + source->at, part))
            return;
        source->at += part;
    }
    if (source->at == size && !source->eof) {
        source->eof = TRUE;
        stream_send_eof(stream);
    }
}

static void bytes_end(Stream *stream, gboolean aborted, void *opaque)
{
    BytesSource *source = opaque;

    g_bytes_unref(source->bytes);
    g_free(source);
}

gboolean stream_attach_bytes(Call *call, GBytes *bytes, GError **error)
{
    static const StreamOps ops = {.start = bytes_send, .writable = bytes_send, .end = bytes_end};
    BytesSource *source = g_new0(BytesSource, 1);

    source->bytes = g_bytes_ref(bytes);
    return stream_open(call, &ops, source, error) != NULL;
}
