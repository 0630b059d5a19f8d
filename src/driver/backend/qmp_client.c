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
 * A call that ran out of time leaves the table; its reply is dropped when it comes. Loss of the socket
 * empties the table. Everything that runs on the VM thread holds its own reference through its GSource.
 */
#include "driver/backend/qmp_client.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "driver/backend/qmp_framer.h"

typedef struct PendingCall {
    gatomicrefcount refs; /* the table, and the sleeping caller */
    guint64 id;
    char *command;
    gboolean keep_text;
    /* asynchronous */
    QmpReplyFunc func;
    gpointer opaque;
    GSource *deadline;
    /* synchronous: guarded by the client's lock */
    gboolean is_async;
    gboolean done;
    GCond cond;
    /* the answer */
    json_t *reply; /* whole object; NULL when lost or out of time */
    char *text; /* with keep_text */
    QmpErrorClass failure;
} PendingCall;

typedef struct OutMessage {
    char *text;
    gsize length, sent;
    int fds[QMP_FDS_MAX]; /* own duplicates when queued */
    guint n_fds;
} OutMessage;

struct QmpClient {
    gatomicrefcount refs;
    GMainContext *context; /* immutable */
    const QmpClientOps *ops; /* immutable */
    gpointer opaque; /* immutable */
    GDestroyNotify free_opaque;

    GMutex lock; /* guards all below but the framer */
    GCond greeted_cond;
    int fd; /* -1 once lost */
    gboolean greeted, negotiated, lost, lost_told;
    guint version;
    char *lost_why; /* NULL: closed by the peer */
    guint64 next_id;
    GHashTable *pending; /* guint64 * (in the call) -> PendingCall */
    GQueue out; /* OutMessage */
    GSource *in_source, *out_source;

    QmpFramer framer; /* VM thread */
};

static const struct {
    const char *name;
    QmpErrorClass value;
} error_classes[] = {
    {"GenericError", QMP_ERROR_GENERIC},
    {"CommandNotFound", QMP_ERROR_COMMAND_NOT_FOUND},
    {"DeviceNotActive", QMP_ERROR_DEVICE_NOT_ACTIVE},
    {"DeviceNotFound", QMP_ERROR_DEVICE_NOT_FOUND},
    {"KVMMissingCap", QMP_ERROR_KVM_MISSING_CAP},
};

/* --- small things --- */

static void call_unref(PendingCall *call)
{
    if (!g_atomic_ref_count_dec(&call->refs))
        return;
    if (call->deadline != NULL)
        g_source_unref(call->deadline);
    g_cond_clear(&call->cond);
    json_decref(call->reply);
    g_free(call->text);
    g_free(call->command);
    g_free(call);
}

static PendingCall *call_ref(PendingCall *call)
{
    g_atomic_ref_count_inc(&call->refs);
    return call;
}

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

/* --- answers --- */

static gboolean fail_lost(QmpClient *client, const char *command, GError **error)
{
    g_autofree char *why = NULL;

    g_mutex_lock(&client->lock);
    why = g_strdup(client->lost_why);
    g_mutex_unlock(&client->lock);
    return error_set(error, VIR_ERR_INTERNAL_ERROR,
                     "unable to execute QEMU command '%s': the monitor was closed%s%s", command,
                     why ? ": " : "", why ? why : "");
}

/* Turns a finished call into its caller's terms. *ret borrows from the reply. */
static gboolean call_result(QmpClient *client, PendingCall *call, QmpErrorClass *ret_class, json_t **ret,
                            GError **error)
{
    json_t *refusal, *desc;
    const char *name;

    *ret = NULL;
    *ret_class = call->failure;
    if (call->failure == QMP_ERROR_TIMEOUT)
        return error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                         "unable to execute QEMU command '%s': the monitor did not answer in time",
                         call->command);
    if (call->failure == QMP_ERROR_LOST)
        return fail_lost(client, call->command, error);
    refusal = json_object_get(call->reply, "error");
    if (refusal == NULL) {
        *ret = json_object_get(call->reply, "return");
        return TRUE;
    }
    *ret_class = QMP_ERROR_GENERIC;
    name = json_string_value(json_object_get(refusal, "class"));
    for (gsize i = 0; name != NULL && i < G_N_ELEMENTS(error_classes); i++) {
        if (strcmp(name, error_classes[i].name) == 0)
            *ret_class = error_classes[i].value;
    }
    if (*ret_class == QMP_ERROR_COMMAND_NOT_FOUND)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                         "the VM process does not support this operation: it has no command '%s'",
                         call->command);
    desc = json_object_get(refusal, "desc");
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "unable to execute QEMU command '%s': %s", call->command,
                     json_is_string(desc) ? json_string_value(desc) : "unexpected error");
}

/* VM thread, no lock: runs the callback of an asynchronous call and drops the table's reference. */
static void finish_async(QmpClient *client, PendingCall *call)
{
    g_autoptr(GError) error = NULL;
    QmpErrorClass class;
    json_t *result;

    if (call->deadline != NULL)
        g_source_destroy(call->deadline);
    if (call_result(client, call, &class, &result, &error) && result == NULL)
        result = json_null();
    if (call->func != NULL)
        call->func(client, result, error, call->opaque);
    call_unref(call);
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
        finish_async(client, calls->pdata[i]);
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
        call_unref(call);
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

/* Lock held. Text is stolen; fds are borrowed. */
static gboolean post(QmpClient *client, char *text, const int *fds, guint n_fds)
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
        call_unref(call);
        return;
    }
    g_mutex_unlock(&client->lock);
    finish_async(client, call);
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
    client->pending = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, (GDestroyNotify)call_unref);
    g_queue_init(&client->out);
    qmp_framer_init(&client->framer, QMP_MESSAGE_MAX, QMP_DEPTH_MAX);
    client->in_source = g_unix_fd_source_new(fd, G_IO_IN | G_IO_HUP | G_IO_ERR);
    /* The source may fire before it is returned: it touches in_source only under the lock. */
    g_mutex_lock(&client->lock);
    attach(client, client->in_source, G_SOURCE_FUNC(on_readable));
    g_mutex_unlock(&client->lock);
    return client;
}

/* --- calls --- */

static gboolean on_deadline(gpointer data)
{
    gpointer *pair = data;
    QmpClient *client = pair[0];
    PendingCall *call = pair[1];
    gboolean ours;

    g_mutex_lock(&client->lock);
    ours = g_hash_table_lookup(client->pending, &call->id) == call;
    if (ours) {
        g_hash_table_steal(client->pending, &call->id);
        if (call->failure == QMP_ERROR_NONE)
            call->failure = QMP_ERROR_TIMEOUT;
    }
    g_mutex_unlock(&client->lock);
    if (ours)
        finish_async(client, call);
    return G_SOURCE_REMOVE;
}

static void pair_free(gpointer data)
{
    gpointer *pair = data;

    call_unref(pair[1]);
    qmp_client_unref(pair[0]);
    g_free(pair);
}

/* message: object with "execute" etc., stolen. Returns the call with a reference for the caller; failure is
 * in it already when it could not be sent. */
static PendingCall *begin(QmpClient *client, const char *command, json_t *message, const int *fds,
                          guint n_fds, gboolean is_async, guint timeout_ms, QmpReplyFunc func,
                          gpointer opaque, gboolean keep_text)
{
    PendingCall *call = g_new0(PendingCall, 1);
    char id[32], *json, *text;
    gboolean sent;

    g_atomic_ref_count_init(&call->refs);
    g_cond_init(&call->cond);
    call->command = g_strdup(command);
    call->is_async = is_async;
    call->func = func;
    call->opaque = opaque;
    call->keep_text = keep_text;

    g_mutex_lock(&client->lock);
    call->id = client->next_id++;
    g_mutex_unlock(&client->lock);
    g_snprintf(id, sizeof(id), "kite-%" G_GUINT64_FORMAT, call->id);
    json_object_set_new(message, "id", json_string(id));
    json = json_dumps(message, JSON_COMPACT);
    text = json ? g_strconcat(json, "\r\n", NULL) : NULL;
    free(json);
    json_decref(message);

    g_mutex_lock(&client->lock);
    if (text == NULL || client->lost || n_fds > QMP_FDS_MAX ||
        g_hash_table_size(client->pending) >= QMP_PENDING_MAX) {
        g_free(text);
        sent = FALSE;
    } else {
        sent = post(client, text, fds, n_fds);
    }
    if (!sent) {
        call->failure = QMP_ERROR_LOST;
        call->done = TRUE;
        if (!is_async) {
            g_mutex_unlock(&client->lock);
            return call;
        }
    }
    g_hash_table_insert(client->pending, &call->id, call_ref(call));
    if (is_async) {
        gpointer *pair = g_new(gpointer, 2);

        pair[0] = qmp_client_ref(client);
        pair[1] = call_ref(call);
        call->deadline = g_timeout_source_new(sent ? timeout_ms : 0);
        g_source_set_callback(call->deadline, on_deadline, pair, pair_free);
        g_source_attach(call->deadline, client->context);
    }
    g_mutex_unlock(&client->lock);
    return call;
}

/* Sleeps until the call is done or out of time. */
static void await(QmpClient *client, PendingCall *call, guint timeout_ms)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;

    g_mutex_lock(&client->lock);
    while (!call->done) {
        if (g_cond_wait_until(&call->cond, &client->lock, deadline) || call->done)
            continue;
        g_hash_table_remove(client->pending, &call->id);
        call->failure = QMP_ERROR_TIMEOUT;
        call->done = TRUE;
    }
    g_mutex_unlock(&client->lock);
}

static json_t *command_message(const char *command, json_t *args)
{
    json_t *message = json_object();

    json_object_set_new(message, "execute", json_string(command));
    if (args != NULL)
        json_object_set_new(message, "arguments", args);
    return message;
}

static gboolean on_vm_thread(QmpClient *client)
{
    return g_main_context_is_owner(client->context);
}

gboolean qmp_call_full(QmpClient *client, const char *command, json_t *args, const int *fds, guint n_fds,
                       guint timeout_ms, QmpErrorClass *ret_class, json_t **ret, GError **error)
{
    QmpErrorClass class;
    PendingCall *call;
    json_t *result;
    gboolean ok;

    if (ret != NULL)
        *ret = NULL;
    g_assert(!on_vm_thread(client)); /* it would wait for itself */
    if (timeout_ms == 0)
        timeout_ms = QMP_TIMEOUT_DEFAULT;
    call = begin(client, command, command_message(command, args), fds, n_fds, FALSE, 0, NULL, NULL, FALSE);
    await(client, call, timeout_ms);
    ok = call_result(client, call, &class, &result, error);
    if (ok && ret != NULL)
        *ret = json_incref(result);
    if (ret_class != NULL)
        *ret_class = class;
    call_unref(call);
    return ok;
}

gboolean qmp_call(QmpClient *client, const char *command, json_t *args, guint timeout_ms, json_t **ret,
                  GError **error)
{
    return qmp_call_full(client, command, args, NULL, 0, timeout_ms, NULL, ret, error);
}

void qmp_call_async(QmpClient *client, const char *command, json_t *args, guint timeout_ms, QmpReplyFunc func,
                    gpointer opaque)
{
    if (timeout_ms == 0)
        timeout_ms = QMP_TIMEOUT_DEFAULT;
    call_unref(begin(client, command, command_message(command, args), NULL, 0, TRUE, timeout_ms, func, opaque,
                     FALSE));
}

gboolean qmp_call_raw(QmpClient *client, json_t *message, const int *fds, guint n_fds, guint timeout_ms,
                      char **ret_reply, GError **error)
{
    const char *command = json_string_value(json_object_get(message, "execute"));
    g_autofree char *name = g_strdup(command ? command : "(raw)");
    PendingCall *call;
    gboolean ok = TRUE;

    *ret_reply = NULL;
    g_assert(!on_vm_thread(client));
    call = begin(client, name, message, fds, n_fds, FALSE, 0, NULL, NULL, TRUE);
    await(client, call, timeout_ms ? timeout_ms : QMP_TIMEOUT_DEFAULT);
    if (call->text != NULL) {
        *ret_reply = g_steal_pointer(&call->text);
    } else {
        QmpErrorClass class;
        json_t *result;

        ok = call_result(client, call, &class, &result, error);
    }
    call_unref(call);
    return ok;
}

gboolean qmp_client_negotiate(QmpClient *client, guint timeout_ms, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    gboolean lost, greeted, negotiated;

    g_assert(!on_vm_thread(client));
    g_mutex_lock(&client->lock);
    while (!client->greeted && !client->lost) {
        if (!g_cond_wait_until(&client->greeted_cond, &client->lock, deadline))
            break;
    }
    lost = client->lost;
    greeted = client->greeted;
    negotiated = client->negotiated;
    g_mutex_unlock(&client->lock);
    if (lost)
        return fail_lost(client, "qmp_capabilities", error);
    if (!greeted)
        return error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                         "cannot connect to the monitor: no greeting came within %u seconds",
                         timeout_ms / 1000);
    if (negotiated)
        return TRUE;
    if (!qmp_call(client, "qmp_capabilities", NULL, qmp_time_left(deadline), NULL, error))
        return FALSE;
    g_mutex_lock(&client->lock);
    client->negotiated = TRUE;
    g_mutex_unlock(&client->lock);
    return TRUE;
}

guint qmp_time_left(gint64 deadline)
{
    gint64 left = (deadline - g_get_monotonic_time()) / 1000;

    return (guint)CLAMP(left, 1, G_MAXINT32);
}

gboolean qmp_send_fd(QmpClient *client, int fd, const char *name, GError **error)
{
    return qmp_call_full(client, "getfd", json_pack("{s:s}", "fdname", name), &fd, 1, 0, NULL, NULL, error);
}

gboolean qmp_add_fd(QmpClient *client, int fd, gint64 fdset, const char *opaque, gint64 *ret_fdset,
                    GError **error)
{
    json_t *args = json_object(), *result = NULL;

    if (fdset >= 0)
        json_object_set_new(args, "fdset-id", json_integer(fdset));
    if (opaque != NULL)
        json_object_set_new(args, "opaque", json_string(opaque));
    if (!qmp_call_full(client, "add-fd", args, &fd, 1, 0, NULL, &result, error))
        return FALSE;
    if (ret_fdset != NULL)
        *ret_fdset = json_integer_value(json_object_get(result, "fdset-id"));
    json_decref(result);
    return TRUE;
}
