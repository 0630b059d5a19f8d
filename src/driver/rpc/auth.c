/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The calls of the connection itself: authentication, features, close. All authentication calls are "alone":
 * no other call of the client runs beside them or passes them.
 */
#define ERROR_FROM VIR_FROM_RPC
#define LOG_SOURCE "rpc"
#include <string.h>

#include "common/error.h"
#include "common/log.h"
#include "driver/rpc/private.h"

/* libvirt's internal feature numbers (VIR_DRV_FEATURE_*) that are the connection's. */
enum {
    FEATURE_FD_PASSING = 8,
    FEATURE_KEEPALIVE = 10,
    FEATURE_EVENT_CALLBACK = 14,
    FEATURE_CLOSE_CALLBACK = 15
};

#define SSF_MIN 56 /* what libvirt asks of SASL where nothing else protects the connection */

void client_set_authenticated(Client *client, ClientAuth auth)
{
    g_atomic_int_set(&client->auth, (gint)auth);
    if (g_atomic_int_compare_and_exchange(&client->stage, RPC_STAGE_GREETING, RPC_STAGE_AUTHENTICATED))
        server_authenticated(client);
}

static gboolean expect_auth(Client *client, ClientAuth auth, GError **error)
{
    if (g_atomic_int_get(&client->stage) == RPC_STAGE_GREETING && client_auth(client) == auth)
        return TRUE;
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "client tried invalid %s init request",
                     auth == CLIENT_AUTH_SASL ? "SASL" : "PolicyKit");
}

gboolean call_auth_list(Call *call, const AuthListArgs *args, AuthListRet *ret, GError **error)
{
    Client *client = call_client(call);
    ClientAuth auth = client_auth(client);

    /* root is not asked by polkit */
    if (auth == CLIENT_AUTH_POLKIT && client->has_peer && client->uid == 0) {
        client_set_authenticated(client, CLIENT_AUTH_NONE);
        auth = CLIENT_AUTH_NONE;
    }
    ret->types = g_new(gint32, 1);
    ret->types[0] = (gint32)auth;
    ret->types_len = 1;
    return TRUE;
}

gboolean call_auth_polkit(Call *call, const AuthPolkitArgs *args, AuthPolkitRet *ret, GError **error)
{
    Client *client = call_client(call);
    const RpcServerConfig *config = &client->server->config;
    const char *action = client->readonly ? config->polkit_action_ro : config->polkit_action_rw;

    if (!expect_auth(client, CLIENT_AUTH_POLKIT, error))
        return FALSE;
    if (!client->has_peer)
        return error_set(error, VIR_ERR_AUTH_FAILED, "polkit can judge local processes only");
    if (!polkit_check(action, client->pid, client->uid, error)) {
        log_info("client %" G_GUINT64_FORMAT " (pid %d, uid %u) is not authorised for %s: %s", client->id,
                 (int)client->pid, (unsigned)client->uid, action,
                 error != NULL && *error != NULL ? (*error)->message : "");
        return FALSE;
    }
    client_set_authenticated(client, CLIENT_AUTH_POLKIT);
    ret->complete = 1;
    return TRUE;
}

/* --- SASL ---------------------------------------------------------------------------------------- */

gboolean call_auth_sasl_init(Call *call, const AuthSaslInitArgs *args, AuthSaslInitRet *ret, GError **error)
{
    Client *client = call_client(call);
    Sasl *sasl;

    if (!expect_auth(client, CLIENT_AUTH_SASL, error))
        return FALSE;
    if (client->sasl != NULL)
        return error_set(error, VIR_ERR_AUTH_FAILED, "client tried invalid SASL init request");
    sasl = sasl_new(client, error);
    if (sasl == NULL)
        return FALSE;
    ret->mechlist = sasl_mechanisms(sasl, error);
    if (ret->mechlist == NULL) {
        sasl_free(sasl);
        return FALSE;
    }
    g_mutex_lock(&client->lock);
    client->sasl = sasl;
    g_mutex_unlock(&client->lock);
    return TRUE;
}

static void drop_sasl(Client *client)
{
    Sasl *sasl;

    g_mutex_lock(&client->lock);
    sasl = g_steal_pointer(&client->sasl);
    g_mutex_unlock(&client->lock);
    sasl_free(sasl);
}

static gboolean user_allowed(const RpcServerConfig *config, const char *user)
{
    if (config->sasl_allowed_username_list == NULL)
        return TRUE;
    for (gsize i = 0; config->sasl_allowed_username_list[i] != NULL; i++) {
        if (g_pattern_match_simple(config->sasl_allowed_username_list[i], user))
            return TRUE;
    }
    return FALSE;
}

/* The exchange succeeded: is it who and as strong as wanted? */
static gboolean sasl_accept(Call *call, GError **error)
{
    Client *client = call_client(call);
    gboolean plain = client->kind == CLIENT_TRANSPORT_TCP;
    g_autofree char *user = sasl_user(client->sasl, error);

    if (user == NULL)
        return FALSE;
    if (!user_allowed(&client->server->config, user)) {
        log_info("SASL user '%s' is not in sasl_allowed_username_list", user);
        return error_set(error, VIR_ERR_AUTH_FAILED, "SASL client identity '%s' not allowed by ACL", user);
    }
    if (plain && sasl_ssf(client->sasl) < SSF_MIN)
        return error_set(error, VIR_ERR_AUTH_FAILED, "negotiated SSF %d was not strong enough",
                         sasl_ssf(client->sasl));
    g_mutex_lock(&client->lock);
    client->sasl_user = g_steal_pointer(&user);
    g_mutex_unlock(&client->lock);
    call->then_sasl = plain;
    client_set_authenticated(client, CLIENT_AUTH_SASL);
    return TRUE;
}

typedef struct SaslReply {
    gint32 *complete;
    gint32 *nil;
    char **data;
    guint32 *data_len;
} SaslReply;

static gboolean sasl_exchange(Call *call, const char *mechanism, gint32 nil, const char *in,
                              guint32 in_length, SaslReply reply, GError **error)
{
    Client *client = call_client(call);
    const char *out = NULL;
    guint32 out_length = 0;
    gboolean complete = FALSE;

    if (!expect_auth(client, CLIENT_AUTH_SASL, error))
        return FALSE;
    if (client->sasl == NULL)
        return error_set(error, VIR_ERR_AUTH_FAILED, "client tried invalid SASL start request");
    if (!sasl_step(client->sasl, mechanism,
                   nil          ? NULL
                   : in != NULL ? in
                                : "",
                   in_length, &complete, &out, &out_length, error) ||
        (complete && !sasl_accept(call, error))) {
        drop_sasl(client);
        return FALSE;
    }
    *reply.complete = complete ? 1 : 0;
    *reply.nil = out == NULL;
    if (out != NULL) {
        *reply.data = g_memdup2(out, MAX(out_length, 1));
        *reply.data_len = out_length;
    }
    return TRUE;
}

gboolean call_auth_sasl_start(Call *call, const AuthSaslStartArgs *args, AuthSaslStartRet *ret,
                              GError **error)
{
    return sasl_exchange(call, args->mech, args->nil, args->data, args->data_len,
                         (SaslReply){&ret->complete, &ret->nil, &ret->data, &ret->data_len}, error);
}

gboolean call_auth_sasl_step(Call *call, const AuthSaslStepArgs *args, AuthSaslStepRet *ret, GError **error)
{
    return sasl_exchange(call, NULL, args->nil, args->data, args->data_len,
                         (SaslReply){&ret->complete, &ret->nil, &ret->data, &ret->data_len}, error);
}

/* --- features and close -------------------------------------------------------------------------- */

gboolean call_connect_supports_feature(Call *call, const ConnectSupportsFeatureArgs *args,
                                       ConnectSupportsFeatureRet *ret, GError **error)
{
    Client *client = call_client(call);
    const RpcServerConfig *config = &client->server->config;

    /* Asked before CONNECT_OPEN, and the sign that the client answers our pings. */
    if (args->feature == FEATURE_KEEPALIVE) {
        g_atomic_int_set(&client->wants_keepalive, TRUE);
        ret->supported = 1;
        return TRUE;
    }
    if (g_atomic_int_get(&client->stage) != RPC_STAGE_OPEN)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "connection not open");
    if (args->feature == FEATURE_FD_PASSING)
        ret->supported = client->kind == CLIENT_TRANSPORT_UNIX;
    else if (args->feature == FEATURE_EVENT_CALLBACK || args->feature == FEATURE_CLOSE_CALLBACK)
        ret->supported = 1;
    else
        ret->supported =
            config->supports_feature != NULL ? config->supports_feature(config->driver, args->feature) : 0;
    return TRUE;
}

/* Nothing more is read once the reply is out; the connection ends when calls that still run are answered.
 * Close hooks do the rest. */
gboolean call_connect_close(Call *call, const ConnectCloseArgs *args, ConnectCloseRet *ret, GError **error)
{
    call->then_close = TRUE;
    return TRUE;
}
