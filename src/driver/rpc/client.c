/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What other layers see of a client: see client.h. */
#define ERROR_FROM VIR_FROM_RPC
#define LOG_SOURCE "rpc"
#include <unistd.h>

#include "common/error.h"
#include "common/log.h"
#include "driver/rpc/private.h"

typedef struct Datum {
    void *value;
    GDestroyNotify destroy;
} Datum;

static void datum_free(gpointer opaque)
{
    Datum *datum = opaque;

    if (datum->destroy != NULL && datum->value != NULL)
        datum->destroy(datum->value);
    g_free(datum);
}

Client *client_ref(Client *client)
{
    g_atomic_int_inc(&client->references);
    return client;
}

static void client_free(Client *client)
{
    OutMessage *message;

    while ((message = g_queue_pop_head(&client->out)) != NULL)
        out_message_free(message);
    for (GSList *l = client->hooks; l != NULL; l = l->next) {
        CloseHook *hook = l->data;

        if (hook->destroy != NULL)
            hook->destroy(hook->opaque);
    }
    g_slist_free_full(client->hooks, g_free);
    g_clear_pointer(&client->data, g_hash_table_unref);
    g_clear_pointer(&client->handshake, tls_session_free);
    if (client->transport.ops == &sasl_transport_ops)
        client->sasl = NULL;
    transport_clear(&client->transport);
    g_clear_pointer(&client->sasl, sasl_free);
    g_hash_table_unref(client->streams);
    for (guint i = 0; i < client->rx_fds->len; i++)
        close(g_array_index(client->rx_fds, int, i));
    g_array_unref(client->rx_fds);
    g_free(client->rx);
    g_free(client->address);
    g_free(client->sasl_user);
    g_free(client->x509_name);
    g_mutex_clear(&client->lock);
    g_free(client);
}

void client_unref(Client *client)
{
    if (client != NULL && g_atomic_int_dec_and_test(&client->references))
        client_free(client);
}

guint64 client_id(const Client *client)
{
    return client->id;
}

gboolean client_readonly(const Client *client)
{
    return client->readonly;
}

ClientTransport client_transport(const Client *client)
{
    return client->kind;
}

ClientAuth client_auth(const Client *client)
{
    return (ClientAuth)g_atomic_int_get(&client->auth);
}

gboolean client_encrypted(const Client *client)
{
    Client *c = (Client *)client;
    gboolean encrypted;

    g_mutex_lock(&c->lock);
    encrypted = c->kind == CLIENT_TRANSPORT_TLS || c->encrypted_by_sasl;
    g_mutex_unlock(&c->lock);
    return encrypted;
}

gboolean client_secure(const Client *client)
{
    return client->kind == CLIENT_TRANSPORT_UNIX || client_encrypted(client);
}

gboolean client_peer(const Client *client, uid_t *ret_uid, gid_t *ret_gid, pid_t *ret_pid)
{
    if (ret_uid != NULL)
        *ret_uid = client->uid;
    if (ret_gid != NULL)
        *ret_gid = client->gid;
    if (ret_pid != NULL)
        *ret_pid = client->pid;
    return client->has_peer;
}

static char *dup_locked(const Client *client, char *const *text)
{
    Client *c = (Client *)client;
    char *copy;

    g_mutex_lock(&c->lock);
    copy = g_strdup(*text);
    g_mutex_unlock(&c->lock);
    return copy;
}

char *client_sasl_user(const Client *client)
{
    return dup_locked(client, &client->sasl_user);
}

char *client_x509_name(const Client *client)
{
    return dup_locked(client, &client->x509_name);
}

char *client_address(const Client *client)
{
    return g_strdup(client->address);
}

gint64 client_connect_time(const Client *client)
{
    return client->connect_time;
}

gboolean client_closed(const Client *client)
{
    return g_atomic_int_get(&client->closed);
}

void client_set_data(Client *client, const char *key, void *data, GDestroyNotify destroy)
{
    Datum *datum = g_new(Datum, 1), *old = NULL;
    char *old_key = NULL;

    *datum = (Datum){data, destroy};
    g_mutex_lock(&client->lock);
    if (client->data == NULL)
        client->data = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, datum_free);
    g_hash_table_steal_extended(client->data, key, (gpointer *)&old_key, (gpointer *)&old);
    g_hash_table_insert(client->data, g_strdup(key), datum);
    g_mutex_unlock(&client->lock);
    g_free(old_key);
    if (old != NULL)
        datum_free(old);
}

void *client_get_data(Client *client, const char *key)
{
    Datum *datum = NULL;
    void *value;

    g_mutex_lock(&client->lock);
    if (client->data != NULL)
        datum = g_hash_table_lookup(client->data, key);
    value = datum != NULL ? datum->value : NULL;
    g_mutex_unlock(&client->lock);
    return value;
}

gboolean client_add_close_hook(Client *client, ClientCloseFunc fn, void *opaque, GDestroyNotify destroy)
{
    CloseHook *hook = g_new(CloseHook, 1);
    gboolean closed;

    *hook = (CloseHook){fn, opaque, destroy};
    g_mutex_lock(&client->lock);
    closed = g_atomic_int_get(&client->closed);
    if (!closed)
        client->hooks = g_slist_prepend(client->hooks, hook);
    g_mutex_unlock(&client->lock);
    if (closed) {
        if (destroy != NULL)
            destroy(opaque);
        g_free(hook);
    }
    return !closed;
}

gboolean client_remove_close_hook(Client *client, ClientCloseFunc fn, void *opaque)
{
    CloseHook *found = NULL;

    g_mutex_lock(&client->lock);
    for (GSList *l = client->hooks; l != NULL && found == NULL; l = l->next) {
        CloseHook *hook = l->data;

        if (hook->fn == fn && hook->opaque == opaque)
            found = hook;
    }
    if (found != NULL)
        client->hooks = g_slist_remove(client->hooks, found);
    g_mutex_unlock(&client->lock);
    if (found == NULL)
        return FALSE;
    if (found->destroy != NULL)
        found->destroy(found->opaque);
    g_free(found);
    return TRUE;
}

void client_run_hooks(void *opaque)
{
    g_autoptr(Client) client = opaque;

    for (;;) {
        CloseHook *hook = NULL;

        g_mutex_lock(&client->lock);
        if (client->hooks != NULL) {
            hook = client->hooks->data;
            client->hooks = g_slist_delete_link(client->hooks, client->hooks);
        }
        g_mutex_unlock(&client->lock);
        if (hook == NULL)
            return;
        hook->fn(client, hook->opaque);
        if (hook->destroy != NULL)
            hook->destroy(hook->opaque);
        g_free(hook);
    }
}

void client_close(Client *client)
{
    g_mutex_lock(&client->lock);
    client->broken = TRUE;
    connection_poke_locked(client);
    g_mutex_unlock(&client->lock);
}

static gboolean event_lost(Client *client)
{
    gboolean closed;

    g_mutex_lock(&client->lock);
    closed = g_atomic_int_get(&client->closed) || client->broken;
    if (!closed) {
        client->events_lost++;
        client->events_lost_unreported++;
        __atomic_fetch_add(&client->server->events_lost, 1, __ATOMIC_RELAXED);
    }
    g_mutex_unlock(&client->lock);
    return FALSE;
}

static gboolean event_fits(Client *client, gsize length)
{
    const RpcServerConfig *config = &client->server->config;
    gboolean fits;

    g_mutex_lock(&client->lock);
    fits = client->out_events < config->max_event_messages &&
           client->out_event_bytes + length <= config->max_event_bytes;
    g_mutex_unlock(&client->lock);
    return fits;
}

gboolean client_send_event(Client *client, guint32 program, guint32 version, gint32 procedure,
                           const XdrType *type, const void *msg)
{
    WireHeader header = {program, version, procedure, WIRE_MESSAGE, 0, WIRE_OK};
    g_autoptr(GError) error = NULL;
    XdrWriter writer = {0};
    gsize begin;

    if (client_closed(client))
        return FALSE;
    if (!event_fits(client, 0))
        return event_lost(client);
    begin = wire_begin(&writer, &header);
    if (!xdr_encode(type, msg, &writer, WIRE_FRAME_MAX, &error)) {
        log_warning("event %d for client %" G_GUINT64_FORMAT " is lost: %s", procedure, client->id,
                    error->message);
        xdr_writer_clear(&writer);
        return event_lost(client);
    }
    wire_end(&writer, begin);
    if (!event_fits(client, writer.length)) {
        xdr_writer_clear(&writer);
        return event_lost(client);
    }
    return connection_queue(client, out_message_new(&writer, OUT_EVENT), TRUE);
}

void client_set_lost_hook(Client *client, ClientLostFunc fn, void *opaque)
{
    g_mutex_lock(&client->lock);
    client->lost_hook = fn;
    client->lost_opaque = opaque;
    g_mutex_unlock(&client->lock);
}
