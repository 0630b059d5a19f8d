/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QMP, the client's side (qemu docs/interop/qmp-spec): JSON objects on a UNIX socket, the greeting,
 * capability negotiation, commands with ids, events. The same for QEMU and for kite-vmm.
 *
 * Threads: socket and events belong to one GMainContext, "the VM thread". qmp_call() is for every *other*
 * thread: it queues, wakes the VM thread and sleeps on a condition until reply, deadline or loss of the
 * socket, whichever is first. qmp_call_async() may be used anywhere; its callback runs on the VM thread.
 *
 * Life: reference counted; the last reference does not close, so call qmp_client_close() when done. The
 * socket is lost when the peer closes it, when it sends something that is not QMP or breaks a limit, or by
 * qmp_client_close(); then every pending call fails at once, later calls fail at once, and `lost` is called
 * exactly once, after the last event.
 */
#pragma once

#include <glib.h>
#include <jansson.h>

typedef struct QmpClient QmpClient;

/* Limits on what the peer may send; beyond them the connection is lost. */
#define QMP_MESSAGE_MAX                                                                                      \
    (64u * 1024 * 1024) /* bytes of one message: query-stats of 1,000s of objects is < 10 MiB */
#define QMP_DEPTH_MAX 1024u /* levels; nested backing images are a level each */
#define QMP_PENDING_MAX 1024u /* calls without a reply yet; further calls fail */
#define QMP_FDS_MAX 16u /* descriptors with one command */

/* Default deadline of a call, milliseconds. */
#define QMP_TIMEOUT_DEFAULT 30000u

/* QAPI's QapiErrorClass, and why a call failed without the peer having said so. */
typedef enum QmpErrorClass {
    QMP_ERROR_NONE = 0,
    QMP_ERROR_GENERIC, /* GenericError */
    QMP_ERROR_COMMAND_NOT_FOUND, /* CommandNotFound */
    QMP_ERROR_DEVICE_NOT_ACTIVE, /* DeviceNotActive */
    QMP_ERROR_DEVICE_NOT_FOUND, /* DeviceNotFound */
    QMP_ERROR_KVM_MISSING_CAP, /* KVMMissingCap */
    QMP_ERROR_TIMEOUT, /* no reply before the deadline; a late one is dropped */
    QMP_ERROR_LOST, /* the socket is gone */
} QmpErrorClass;

/* Numbers: QEMU writes unsigned 64-bit integers, JSON here has signed ones only; what is larger than
 * G_MAXINT64 arrives as G_MAXINT64 (that is how "unknown", 2^64 - 1, looks). qmp_call_raw() gives the text as
 * it came. */

typedef struct QmpClientOps {
    /* VM thread. An event of the guest's process. data is borrowed, may be NULL; time is the peer's clock. */
    void (*event)(QmpClient *client, const char *name, json_t *data, gint64 seconds, guint32 microseconds,
                  gpointer opaque);
    /* VM thread, once. why: what was wrong, or NULL when the peer simply closed the socket. */
    void (*lost)(QmpClient *client, const char *why, gpointer opaque);
} QmpClientOps;

/* Takes the connected stream socket fd. context: the VM thread's; ops must be static, members may be NULL.
 * free_opaque (may be NULL) runs when the last reference goes. Nothing is sent yet. */
QmpClient *qmp_client_new(GMainContext *context, int fd, const QmpClientOps *ops, gpointer opaque,
                          GDestroyNotify free_opaque);
QmpClient *qmp_client_ref(QmpClient *client);
void qmp_client_unref(QmpClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(QmpClient, qmp_client_unref)

/* Waits for the greeting and negotiates capabilities; at once when that was done before. Any thread but the
 * VM thread. Errors: as qmp_call(). */
gboolean qmp_client_negotiate(QmpClient *client, guint timeout_ms, GError **error);

/* VM thread: handles what has already arrived, so that no event is missed when the process is seen to be gone
 * first. */
void qmp_client_drain(QmpClient *client);

/* Ends the connection now; any thread, does not wait. Pending calls fail with why (NULL: "connection
 * closed"). */
void qmp_client_close(QmpClient *client, const char *why);
gboolean qmp_client_is_lost(QmpClient *client);
/* Version of the peer from its greeting, 0 before: major * 1000000 + minor * 1000 + micro. */
guint qmp_client_version(QmpClient *client);

/*
 * One command, waiting for its reply. args may be NULL; its reference is stolen, also on failure. *ret (may
 * be NULL) gets the "return" value, to be json_decref'ed. timeout_ms 0: QMP_TIMEOUT_DEFAULT. Errors:
 * VIR_ERR_INTERNAL_ERROR "unable to execute QEMU command 'x': <the peer's words>" when the peer refused,
 * VIR_ERR_OPERATION_TIMEOUT on the deadline, VIR_ERR_INTERNAL_ERROR when the socket is (or gets) lost.
 */
gboolean qmp_call(QmpClient *client, const char *command, json_t *args, guint timeout_ms, json_t **ret,
                  GError **error);

/* The same with everything: up to QMP_FDS_MAX descriptors (borrowed, sent by SCM_RIGHTS with the command),
 * and the class of the error in *ret_class (may be NULL; QMP_ERROR_NONE on success). */
gboolean qmp_call_full(QmpClient *client, const char *command, json_t *args, const int *fds, guint n_fds,
                       guint timeout_ms, QmpErrorClass *ret_class, json_t **ret, GError **error);

/* Deadlines for callers that do several calls in a row: the rest of the time until a g_get_monotonic_time()
 * value, in ms, at least 1. */
guint qmp_time_left(gint64 deadline);

/* VM thread. Exactly one of result and error is set; both borrowed. */
typedef void (*QmpReplyFunc)(QmpClient *client, json_t *result, const GError *error, gpointer opaque);
/* Any thread; args stolen. func may be NULL. func is always called once, also on loss and deadline, and never
 * from within this call. */
void qmp_call_async(QmpClient *client, const char *command, json_t *args, guint timeout_ms, QmpReplyFunc func,
                    gpointer opaque);

/* Sends a raw object (as `virsh qemu-monitor-command` gives it; stolen; an "id" in it is replaced) and
 * returns the text of the whole reply object, also when it is an error reply. Caller frees. */
gboolean qmp_call_raw(QmpClient *client, json_t *message, const int *fds, guint n_fds, guint timeout_ms,
                      char **ret_reply, GError **error);

/* Descriptors over to the peer: `getfd` under a name, `add-fd` into a set (fdset < 0: a new one), its number
 * in *ret_fdset. fd is borrowed. */
gboolean qmp_send_fd(QmpClient *client, int fd, const char *name, GError **error);
gboolean qmp_add_fd(QmpClient *client, int fd, gint64 fdset, const char *opaque, gint64 *ret_fdset,
                    GError **error);
