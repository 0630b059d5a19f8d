/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls of the QMP client: from a command to its answer, for callers that wait and for those that do not. How the client
 * works is told in qmp_client.c. */
#include <string.h>

#include "common/error.h"
#include "driver/backend/qmp_client_priv.h"

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

/* What kite-vmm does not have, and why: as an answer to whoever asks for it. */
static const struct {
    const char *command, *reason;
} missing[] = {
    {"send-key", "kite-vmm makes no keyboard, QEMU does"},
    {"system_wakeup", "guests of kite-vmm have no sleep to wake from"},
    {"human-monitor-command", "kite-vmm has no monitor for humans, only QMP"},
};

static const char *why_missing(const char *command)
{
    for (gsize i = 0; i < G_N_ELEMENTS(missing); i++) {
        if (g_str_equal(missing[i].command, command))
            return missing[i].reason;
    }
    return NULL;
}

/* --- references --- */

void qmp_pending_unref(PendingCall *call)
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

PendingCall *qmp_pending_ref(PendingCall *call)
{
    g_atomic_ref_count_inc(&call->refs);
    return call;
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
    if (*ret_class == QMP_ERROR_COMMAND_NOT_FOUND) {
        const char *reason = why_missing(call->command);

        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                         "the VM process does not support this operation: it has no command '%s'%s%s", call->command,
                         reason ? ": " : "", reason ? reason : "");
    }
    desc = json_object_get(refusal, "desc");
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "unable to execute QEMU command '%s': %s", call->command,
                     json_is_string(desc) ? json_string_value(desc) : "unexpected error");
}

void qmp_pending_finish(QmpClient *client, PendingCall *call)
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
    qmp_pending_unref(call);
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
        qmp_pending_finish(client, call);
    return G_SOURCE_REMOVE;
}

static void pair_free(gpointer data)
{
    gpointer *pair = data;

    qmp_pending_unref(pair[1]);
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
        sent = qmp_client_post(client, text, fds, n_fds);
    }
    if (!sent) {
        call->failure = QMP_ERROR_LOST;
        call->done = TRUE;
        if (!is_async) {
            g_mutex_unlock(&client->lock);
            return call;
        }
    }
    g_hash_table_insert(client->pending, &call->id, qmp_pending_ref(call));
    if (is_async) {
        gpointer *pair = g_new(gpointer, 2);

        pair[0] = qmp_client_ref(client);
        pair[1] = qmp_pending_ref(call);
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
    qmp_pending_unref(call);
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
    qmp_pending_unref(begin(client, command, command_message(command, args), NULL, 0, TRUE, timeout_ms, func, opaque,
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
    qmp_pending_unref(call);
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
