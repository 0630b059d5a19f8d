/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by qmp_client.c (the connection) and qmp_call.c (the calls). Nobody else includes this. */
#pragma once

#include "driver/backend/qmp_client.h"
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

/* --- qmp_client.c --- */
/* Lock held. Sends or queues text, which is stolen; fds are borrowed. FALSE: the socket takes no more, ever. */
gboolean qmp_client_post(QmpClient *client, char *text, const int *fds, guint n_fds);

/* --- qmp_call.c --- */
PendingCall *qmp_pending_ref(PendingCall *call);
void qmp_pending_unref(PendingCall *call);
/* VM thread, no lock: runs the callback of an asynchronous call and drops the table's reference. */
void qmp_pending_finish(QmpClient *client, PendingCall *call);
