/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QMP client. Theory of operation:
 *
 * A caller formats its command, enters it into the table of pending calls and writes it to the non-blocking
 * socket itself, all under client->lock; what the socket does not take is left in a queue that the VM thread
 * empties when the socket is writable again. Only the VM thread reads. It cuts the stream into objects
 * (qmp_framer.c), finds the pending call by id, and either stores the reply and signals the sleeping caller,
 * or runs the callback, without the lock.
 *
 * Calls from a caller's side are in qmp_call.c. One that ran out of time leaves the table; its reply is dropped when it
 * comes. Loss of the socket empties the table. Everything that runs on the VM thread holds its own reference through its
 * GSource.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "driver/backend/qmp_client_priv.h"

typedef struct OutMessage {
    char *text;
    gsize length, sent;
    int fds[QMP_FDS_MAX]; /* own duplicates when queued */
    guint n_fds;
} OutMessage;

/* --- small things --- */

static void out_free(OutMessage *out)
{
    for (guint i = 0; i < out->n_fds; i++)
        close(out->fds[i]);
    g_free(out->text);
    g_free(out);
}

QmpClient *qmp_client_ref(QmpClient *client)
{
    g_atomic_ref_count_inc(&client->refs);
    return client;
}

void qmp_client_unref(QmpClient *client)
{
    if (client == NULL || !g_atomic_ref_count_dec(&client->refs))
        return;
    g_assert(client->in_source == NULL && client->out_source == NULL);
    if (client->fd >= 0)
        close(client->fd);
    g_hash_table_unref(client->pending);
    g_queue_clear_full(&client->out, (GDestroyNotify)out_free);
    qmp_framer_clear(&client->framer);
    g_main_context_unref(client->context);
    g_mutex_clear(&client->lock);
    g_cond_clear(&client->greeted_cond);
    g_free(client->lost_why);
    if (client->free_opaque != NULL)
        client->free_opaque(client->opaque);
    g_free(client);
}

static GSource *attach(QmpClient *client, GSource *source, GSourceFunc func)
{
    g_source_set_callback(source, func, qmp_client_ref(client), (GDestroyNotify)qmp_client_unref);
    g_source_attach(source, client->context);
    return source;
}

static void drop_source(GSource **source)
{
    if (*source == NULL)
        return;
    g_source_destroy(*source);
    g_source_unref(*source);
    *source = NULL;
}

/* --- loss --- */

/* VM thread. Tells everybody who is not a sleeping caller. */
static gboolean tell_lost(gpointer data)
{
    QmpClient *client = data;
    g_autoptr(GPtrArray) calls = g_ptr_array_new();
    g_autofree char *why = NULL;
    GHashTableIter iter;
    gpointer call;

    g_mutex_lock(&client->lock);
    drop_source(&client->in_source);
    drop_source(&client->out_source);
    if (client->lost_told) {
        g_mutex_unlock(&client->lock);
        return G_SOURCE_REMOVE;
    }
    client->lost_told = TRUE;
    if (client->fd >= 0)
        fd_clear(&client->fd);
    g_hash_table_iter_init(&iter, client->pending);
    while (g_hash_table_iter_next(&iter, NULL, &call)) {
        g_ptr_array_add(calls, call);
        g_hash_table_iter_steal(&iter);
    }
    why = g_strdup(client->lost_why);
    g_mutex_unlock(&client->lock);

    for (guint i = 0; i < calls->len; i++)
        qmp_pending_finish(client, calls->pdata[i]);
    if (client->ops->lost != NULL)
        client->ops->lost(client, why, client->opaque);
    return G_SOURCE_REMOVE;
}

/* Lock held. Wakes sleeping callers; asynchronous calls wait for tell_lost(). */
static void mark_lost(QmpClient *client, const char *why)
{
    GHashTableIter iter;
    gpointer value;

    if (client->lost)
        return;
    client->lost = TRUE;
    client->lost_why = g_strdup(why);
    shutdown(client->fd, SHUT_RDWR);
    g_queue_clear_full(&client->out, (GDestroyNotify)out_free);
    g_queue_init(&client->out);
    g_cond_broadcast(&client->greeted_cond);
    g_hash_table_iter_init(&iter, client->pending);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        PendingCall *call = value;

        call->failure = QMP_ERROR_LOST;
        if (call->is_async)
            continue;
        call->done = TRUE;
        g_cond_signal(&call->cond);
        g_hash_table_iter_steal(&iter);
        qmp_pending_unref(call);
    }
}

static void schedule_tell_lost(QmpClient *client)
{
    GSource *source = g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_unref(attach(client, source, tell_lost));
}

void qmp_client_close(QmpClient *client, const char *why)
{
    gboolean already;

    g_mutex_lock(&client->lock);
    already = client->lost;
    mark_lost(client, why ? why : "connection closed");
    g_mutex_unlock(&client->lock);
    if (!already)
        schedule_tell_lost(client);
}

gboolean qmp_client_is_lost(QmpClient *client)
{
    gboolean lost;

    g_mutex_lock(&client->lock);
    lost = client->lost;
    g_mutex_unlock(&client->lock);
    return lost;
}

guint qmp_client_version(QmpClient *client)
{
    guint version;

    g_mutex_lock(&client->lock);
    version = client->version;
    g_mutex_unlock(&client->lock);
    return version;
}

/* --- writing --- */

/* Lock held. 1: all sent, 0: the socket is full, -1: errno. */
static int send_out(QmpClient *client, OutMessage *out)
{
    while (out->sent < out->length) {
        struct iovec iov = {out->text + out->sent, out->length - out->sent};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        union {
            struct cmsghdr header;
            char space[CMSG_SPACE(sizeof(int) * QMP_FDS_MAX)];
        } control;
        ssize_t n;

        if (out->n_fds > 0 && out->sent == 0) {
            memset(&control, 0, sizeof(control));
            msg.msg_control = &control;
            msg.msg_controllen = CMSG_SPACE(sizeof(int) * out->n_fds);
            CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
            CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
            CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(sizeof(int) * out->n_fds);
            memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), out->fds, sizeof(int) * out->n_fds);
        }
        n = sendmsg(client->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return errno == EAGAIN ? 0 : -1;
        }
        out->sent += (gsize)n;
    }
    return 1;
}

static gboolean on_writable(gint fd, GIOCondition condition, gpointer data)
{
    QmpClient *client = data;
    OutMessage *out;
    int sent = 1;

    g_mutex_lock(&client->lock);
    while (!client->lost && (out = g_queue_peek_head(&client->out)) != NULL) {
        sent = send_out(client, out);
        if (sent <= 0)
            break;
        out_free(g_queue_pop_head(&client->out));
    }
    if (sent == 0 && !client->lost) {
        g_mutex_unlock(&client->lock);
        return G_SOURCE_CONTINUE;
    }
    if (client->out_source != NULL) {
        g_source_unref(client->out_source);
        client->out_source = NULL;
    }
    g_mutex_unlock(&client->lock);
    return G_SOURCE_REMOVE; /* an error shows up at the reading side too */
}

gboolean qmp_client_post(QmpClient *client, char *text, const int *fds, guint n_fds)
{
    OutMessage *out = g_new0(OutMessage, 1);
    gboolean behind = !g_queue_is_empty(&client->out);
    int sent = 0;

    out->text = text;
    out->length = strlen(text);
    if (!behind) {
        if (n_fds > 0)
            memcpy(out->fds, fds, sizeof(int) * n_fds);
        out->n_fds = n_fds;
        sent = send_out(client, out);
        out->n_fds = 0; /* borrowed so far */
        if (sent > 0) {
            out_free(out);
            return TRUE;
        }
        if (sent < 0) {
            out_free(out);
            return FALSE;
        }
    }
    if (out->sent == 0) {
        for (guint i = 0; i < n_fds; i++) {
            int copy = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

            if (copy < 0) {
                out_free(out);
                return FALSE;
            }
            out->fds[out->n_fds++] = copy;
        }
    }
    g_queue_push_tail(&client->out, out);
    if (client->out_source == NULL) {
        client->out_source = g_unix_fd_source_new(client->fd, G_IO_OUT);
        attach(client, client->out_source, G_SOURCE_FUNC(on_writable));
    }
    return TRUE;
}

/* --- reading, VM thread --- */

static guint greeting_version(json_t *greeting)
{
    static const char *const parts[] = {"major", "minor", "micro"};
    json_t *qemu = json_object_get(json_object_get(json_object_get(greeting, "QMP"), "version"), "qemu");
    guint version = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++)
        version = version * 1000 + (guint)CLAMP(json_integer_value(json_object_get(qemu, parts[i])), 0, 999);
    return version;
}

static void handle_reply(QmpClient *client, json_t *object, const char *text)
{
    const char *id_text = json_string_value(json_object_get(object, "id"));
    PendingCall *call = NULL;
    guint64 id;

    /* Ids are ours ("kite-7"); anything else, or one that is not waited for any more, is dropped. */
    if (id_text == NULL || !g_str_has_prefix(id_text, "kite-") ||
        !g_ascii_string_to_unsigned(id_text + 5, 10, 1, G_MAXUINT64, &id, NULL)) {
        log_debug("QMP: dropped a reply without an id of ours");
        return;
    }
    g_mutex_lock(&client->lock);
    call = g_hash_table_lookup(client->pending, &id);
    if (call == NULL) {
        g_mutex_unlock(&client->lock);
        log_debug("QMP: dropped the late reply %s", id_text);
        return;
    }
    g_hash_table_steal(client->pending, &id);
    call->reply = json_incref(object);
    if (call->keep_text)
        call->text = g_strdup(text);
    if (!call->is_async) {
        call->done = TRUE;
        g_cond_signal(&call->cond);
        g_mutex_unlock(&client->lock);
        qmp_pending_unref(call);
        return;
    }
    g_mutex_unlock(&client->lock);
    qmp_pending_finish(client, call);
}

static void handle_event(QmpClient *client, json_t *object)
{
    json_t *stamp = json_object_get(object, "timestamp");
    const char *name = json_string_value(json_object_get(object, "event"));

    if (name == NULL || client->ops->event == NULL)
        return;
    client->ops->event(client, name, json_object_get(object, "data"),
                       json_integer_value(json_object_get(stamp, "seconds")),
                       (guint32)json_integer_value(json_object_get(stamp, "microseconds")), client->opaque);
}

static gboolean handle_text(QmpClient *client, const char *text, gsize length, char **ret_why)
{
    json_t *object = qmp_parse_object(text, length, ret_why);

    if (object == NULL)
        return FALSE;
    if (json_object_get(object, "event") != NULL) {
        handle_event(client, object);
    } else if (json_object_get(object, "return") != NULL || json_object_get(object, "error") != NULL) {
        handle_reply(client, object, text);
    } else if (json_is_object(json_object_get(object, "QMP"))) {
        g_mutex_lock(&client->lock);
        client->greeted = TRUE;
        client->version = greeting_version(object);
        g_cond_broadcast(&client->greeted_cond);
        g_mutex_unlock(&client->lock);
    } else {
        *ret_why = g_strdup("it sent an object that is neither greeting, reply nor event");
        json_decref(object);
        return FALSE;
    }
    json_decref(object);
    return TRUE;
}

/* Reads what is there, at most a bounded amount so that one flooding VM does not starve the others. FALSE: it
 * is over, *ret_why says why (NULL: closed by the peer). */
static gboolean read_some(QmpClient *client, gboolean everything, char **ret_why)
{
    char chunk[65536];
    int rounds = everything ? 1024 : 4;

    while (rounds-- > 0) {
        ssize_t n = recv(client->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        const char *why = NULL;
        char *text;
        gsize length;
        int more;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return TRUE;
        if (n < 0 && errno != ECONNRESET)
            *ret_why = g_strdup(g_strerror(errno));
        if (n <= 0)
            return FALSE;
        qmp_framer_feed(&client->framer, chunk, (gsize)n);
        while ((more = qmp_framer_next(&client->framer, &text, &length, &why)) > 0) {
            gboolean ok = handle_text(client, text, length, ret_why);

            g_free(text);
            if (!ok)
                return FALSE;
        }
        if (more < 0) {
            *ret_why = g_strdup(why);
            return FALSE;
        }
        if ((gsize)n < sizeof(chunk) && !everything)
            return TRUE;
    }
    return TRUE;
}

static void read_and_check(QmpClient *client, gboolean everything)
{
    g_autofree char *why = NULL;
    gboolean over;

    g_mutex_lock(&client->lock);
    over = client->lost;
    g_mutex_unlock(&client->lock);
    if (over || read_some(client, everything, &why))
        return;
    g_mutex_lock(&client->lock);
    mark_lost(client, why);
    g_mutex_unlock(&client->lock);
    tell_lost(client);
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
    QmpClient *client = data;
    gboolean lost;

    read_and_check(client, FALSE);
    g_mutex_lock(&client->lock);
    lost = client->lost;
    g_mutex_unlock(&client->lock);
    return lost ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

void qmp_client_drain(QmpClient *client)
{
    g_autoptr(QmpClient) keep = qmp_client_ref(client);

    read_and_check(keep, TRUE);
}

QmpClient *qmp_client_new(GMainContext *context, int fd, const QmpClientOps *ops, gpointer opaque,
                          GDestroyNotify free_opaque)
{
    QmpClient *client = g_new0(QmpClient, 1);

    g_atomic_ref_count_init(&client->refs);
    client->context = g_main_context_ref(context);
    client->ops = ops;
    client->opaque = opaque;
    client->free_opaque = free_opaque;
    g_mutex_init(&client->lock);
    g_cond_init(&client->greeted_cond);
    client->fd = fd;
    client->next_id = 1;
    client->pending = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, (GDestroyNotify)qmp_pending_unref);
    g_queue_init(&client->out);
    qmp_framer_init(&client->framer, QMP_MESSAGE_MAX, QMP_DEPTH_MAX);
    client->in_source = g_unix_fd_source_new(fd, G_IO_IN | G_IO_HUP | G_IO_ERR);
    /* The source may fire before it is returned: it touches in_source only under the lock. */
    g_mutex_lock(&client->lock);
    attach(client, client->in_source, G_SOURCE_FUNC(on_readable));
    g_mutex_unlock(&client->lock);
    return client;
}
