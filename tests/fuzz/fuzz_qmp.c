/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a QMP peer sends: the whole client on a socket pair, with one call pending. */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver/backend/qmp_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_event(QmpClient *client, const char *name, json_t *data, gint64 seconds, guint32 micros,
                     gpointer opaque)
{
    if (data != NULL)
        free(json_dumps(data, JSON_COMPACT));
}

static void on_reply(QmpClient *client, json_t *result, const GError *error, gpointer opaque)
{
    ++*(int *)opaque;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const QmpClientOps ops = {on_event, NULL};
    GMainContext *context = g_main_context_new();
    QmpClient *client;
    int pair[2], replies = 0;

    if (size > 100000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        g_main_context_unref(context);
        return 0;
    }
    client = qmp_client_new(context, pair[1], &ops, NULL, NULL);
    qmp_call_async(client, "x", NULL, 60000, on_reply, &replies); /* "kite-1" */
    if (send(pair[0], data, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        shutdown(pair[0], SHUT_RDWR);
    shutdown(pair[0], SHUT_WR);
    while (g_main_context_iteration(context, FALSE))
        ;
    qmp_client_close(client, NULL);
    while (g_main_context_iteration(context, FALSE))
        ;
    g_assert_cmpint(replies, ==, 1); /* exactly once, whatever came */
    qmp_client_unref(client);
    close(pair[0]);
    g_main_context_unref(context);
    return 0;
}
