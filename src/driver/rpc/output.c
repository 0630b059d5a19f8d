/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client's output queue. Any thread queues; whoever can writes at once, so that a reply needs no change of
 * threads, and the I/O thread goes on when the socket is full. Messages leave in the order of queueing,
 * descriptors right after the message they belong to.
 */
#define LOG_SOURCE "rpc"
#include <unistd.h>

#include "common/log.h"
#include "driver/rpc/private.h"

#define IOVECS 128

OutMessage *out_message_new(XdrWriter *writer, OutKind kind)
{
    OutMessage *message = g_new0(OutMessage, 1);

    message->data = g_steal_pointer(&writer->data);
    message->length = writer->length;
    message->kind = kind;
    *writer = (XdrWriter){0};
    return message;
}

void out_message_free(OutMessage *message)
{
    for (guint i = message->fds_sent; i < message->n_fds; i++)
        close(message->fds[i]);
    g_free(message->fds);
    g_free(message->data);
    if (message->stream != NULL)
        stream_unref(message->stream);
    g_free(message);
}

static void sent_locked(Client *client, OutMessage *message)
{
    client->out_bytes -= message->length;
    if (message->kind == OUT_EVENT) {
        client->out_events--;
        client->out_event_bytes -= message->length;
    }
    if (message->stream != NULL)
        stream_sent_locked(message->stream, message->stream_bytes);
    if (message->then_close) {
        client->input_over = TRUE;
        connection_poke_locked(client);
    }
    if (message->then_sasl && client->sasl != NULL) {
        transport_set_layer(&client->transport, &sasl_transport_ops, client->sasl);
        client->encrypted_by_sasl = TRUE;
    }
}

/* Sends the descriptors of a message whose bytes are out. */
static gssize send_fds_locked(Client *client, OutMessage *message, GError **error)
{
    while (message->fds_sent < message->n_fds) {
        gssize n = transport_send_fd(&client->transport, message->fds[message->fds_sent], error);

        if (n < 0)
            return n;
        close(message->fds[message->fds_sent++]);
    }
    return 1;
}

/* Marks n bytes at the head of the queue as sent. done collects what is finished. */
static void advance_locked(Client *client, gsize n, GQueue *done)
{
    OutMessage *message;

    while ((message = g_queue_peek_head(&client->out)) != NULL) {
        gsize part = MIN(n, message->length - message->sent);

        message->sent += part;
        n -= part;
        if (message->sent < message->length || message->fds_sent < message->n_fds)
            break;
        g_queue_pop_head(&client->out);
        sent_locked(client, message);
        g_queue_push_tail(done, message);
    }
}

static gssize write_some_locked(Client *client, GError **error)
{
    struct iovec iov[IOVECS];
    OutMessage *head = g_queue_peek_head(&client->out);
    int count = 0;

    if (head->sent == head->length)
        return send_fds_locked(client, head, error) < 0 ? TRANSPORT_AGAIN : 0;
    for (GList *l = client->out.head; l != NULL && count < IOVECS; l = l->next) {
        OutMessage *message = l->data;

        iov[count].iov_base = message->data + message->sent;
        iov[count++].iov_len = message->length - message->sent;
        if (message->n_fds > 0 || message->then_sasl || message->then_close)
            break;
    }
    return transport_writev(&client->transport, iov, count, error);
}

/* Writes as much as the socket takes. A layer (TLS, SASL) is the I/O thread's alone. */
static void flush_locked(Client *client, GQueue *done)
{
    g_autoptr(GError) error = NULL;

    if (client->handshake != NULL)
        return;
    if (client->transport.ops != NULL && !io_loop_is_current(client->server->loop)) {
        connection_poke_locked(client);
        return;
    }
    while (!client->broken && !g_atomic_int_get(&client->closed)) {
        gssize n = transport_flush(&client->transport, &error);

        if (n > 0) {
            if (g_queue_is_empty(&client->out)) {
                client->want_write = FALSE;
                return;
            }
            n = write_some_locked(client, &error);
        }
        if (n == TRANSPORT_AGAIN && error == NULL) {
            if (!client->want_write) {
                client->want_write = TRUE;
                connection_poke_locked(client); /* to wait for EPOLLOUT */
            }
            return;
        }
        if (n < 0) {
            log_debug("client %" G_GUINT64_FORMAT ": %s", client->id,
                      error != NULL ? error->message : "write failed");
            client->broken = TRUE;
            break;
        }
        advance_locked(client, (gsize)n, done);
    }
    if (client->broken)
        connection_poke_locked(client);
}

void out_messages_free(GQueue *messages)
{
    OutMessage *message;

    while ((message = g_queue_pop_head(messages)) != NULL)
        out_message_free(message);
}

void connection_flush(Client *client)
{
    GQueue done = G_QUEUE_INIT;

    g_mutex_lock(&client->lock);
    flush_locked(client, &done);
    g_mutex_unlock(&client->lock);
    out_messages_free(&done);
}

static gboolean queue_locked(Client *client, OutMessage *message)
{
    if (g_atomic_int_get(&client->closed) || client->broken)
        return FALSE;
    g_queue_push_tail(&client->out, message);
    client->out_bytes += message->length;
    if (message->kind == OUT_EVENT) {
        client->out_events++;
        client->out_event_bytes += message->length;
    }
    return TRUE;
}

gboolean connection_queue_if(Client *client, OutMessage *message, gboolean now,
                             gboolean (*check)(OutMessage *message))
{
    GQueue done = G_QUEUE_INIT;
    gboolean queued;

    g_mutex_lock(&client->lock);
    queued = (check == NULL || check(message)) && queue_locked(client, message);
    if (queued && now && !client->want_write)
        flush_locked(client, &done);
    g_mutex_unlock(&client->lock);
    out_messages_free(&done);
    if (!queued)
        out_message_free(message);
    return queued;
}

gboolean connection_queue(Client *client, OutMessage *message, gboolean now)
{
    return connection_queue_if(client, message, now, NULL);
}

/* For callers that hold the lock: the I/O thread sends it. The message is not freed when it is refused. */
gboolean connection_queue_locked(Client *client, OutMessage *message, gboolean now)
{
    gboolean queued = queue_locked(client, message);

    if (queued && now)
        connection_poke_locked(client);
    return queued;
}

gboolean connection_send_empty(Client *client, const WireHeader *header)
{
    XdrWriter writer = {0};

    wire_end(&writer, wire_begin(&writer, header));
    return connection_queue(client, out_message_new(&writer, OUT_REPLY), TRUE);
}
