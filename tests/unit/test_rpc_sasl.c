/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SASL over TCP on the loopback: DIGEST-MD5 against a database made here, then calls under its security
 * layer. Skipped where there is no loopback or no such mechanism.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sasl/sasl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/rpc/call.h"
#include "driver/rpc/procedure.h"
#include "rpc_raw.h"

#define REMOTE RPC_PROGRAM_REMOTE

/* libsasl2's DIGEST-MD5 plug-in loads OpenSSL's legacy provider for each session and never unloads it. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libcrypto.so";
}

static char *last_user;
static char *folder; /* configuration and database; libsasl2 reads them once a process */
static gboolean usable;

static gboolean run_open(Call *call, const void *args, void *ret, GError **error)
{
    g_free(last_user);
    last_user = client_sasl_user(call_client(call));
    g_assert_true(client_encrypted(call_client(call)));
    return TRUE;
}

static gboolean run_list(Call *call, const void *args, void *ret, GError **error)
{
    return call_auth_list(call, args, ret, error);
}

static gboolean run_init(Call *call, const void *args, void *ret, GError **error)
{
    return call_auth_sasl_init(call, args, ret, error);
}

static gboolean run_start(Call *call, const void *args, void *ret, GError **error)
{
    return call_auth_sasl_start(call, args, ret, error);
}

static gboolean run_step(Call *call, const void *args, void *ret, GError **error)
{
    return call_auth_sasl_step(call, args, ret, error);
}

static gboolean run_capabilities(Call *call, const void *args, void *ret, GError **error)
{
    ((ConnectGetCapabilitiesRet *)ret)->capabilities = g_strnfill(300000, 'c');
    return TRUE;
}

#define PROCEDURE(NAME, name, run, flags, stage)                                                             \
    [RPC_REMOTE_##NAME] = {#NAME, #NAME,         &xdr_##name##_args,          &xdr_##name##_ret,             \
                           run,   VIR_FROM_NONE, RPC_FLAG_READONLY | (flags), stage,                         \
                           0}
static const RpcProcedure remote[] = {
    PROCEDURE(CONNECT_OPEN, connect_open, run_open, RPC_FLAG_ALONE, RPC_STAGE_AUTHENTICATED),
    PROCEDURE(AUTH_LIST, auth_list, run_list, RPC_FLAG_ALONE | RPC_FLAG_INLINE, RPC_STAGE_GREETING),
    PROCEDURE(AUTH_SASL_INIT, auth_sasl_init, run_init, RPC_FLAG_ALONE, RPC_STAGE_GREETING),
    PROCEDURE(AUTH_SASL_START, auth_sasl_start, run_start, RPC_FLAG_ALONE, RPC_STAGE_GREETING),
    PROCEDURE(AUTH_SASL_STEP, auth_sasl_step, run_step, RPC_FLAG_ALONE, RPC_STAGE_GREETING),
    PROCEDURE(CONNECT_GET_CAPABILITIES, connect_get_capabilities, run_capabilities, 0, RPC_STAGE_OPEN),
};
const RpcProgram rpc_programs[] = {{REMOTE, RPC_VERSION_REMOTE, G_N_ELEMENTS(remote), remote}};
const guint rpc_program_count = 1;

typedef struct Fixture {
    RpcServer *server;
    int fd; /* the client's; -1: skip */
    sasl_conn_t *client;
    const char *password;
} Fixture;

static void write_config(void)
{
    g_autofree char *database = g_build_filename(folder, "users.db", NULL);
    g_autofree char *text = g_strdup_printf("mech_list: digest-md5\npwcheck_method: auxprop\n"
                                            "auxprop_plugin: sasldb\nsasldb_path: %s\nlog_level: 0\n",
                                            database);
    g_autofree char *path = g_build_filename(folder, "libvirt.conf", NULL);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    sasl_set_path(SASL_PATH_TYPE_CONFIG, folder);
}

static gboolean make_user(void)
{
    sasl_conn_t *conn = NULL;
    gboolean made;

    if (sasl_server_init(NULL, "libvirt") != SASL_OK ||
        sasl_server_new("libvirt", NULL, NULL, NULL, NULL, NULL, 0, &conn) != SASL_OK)
        return FALSE;
    made = sasl_setpass(conn, "fred", "secret", 6, NULL, 0, SASL_SET_CREATE) == SASL_OK;
    sasl_dispose(&conn);
    return made;
}

static int get_name(void *context, int id, const char **result, unsigned *length)
{
    *result = "fred";
    if (length != NULL)
        *length = 4;
    return SASL_OK;
}

static int get_secret(sasl_conn_t *conn, void *context, int id, sasl_secret_t **secret)
{
    static union {
        sasl_secret_t secret;
        char space[64];
    } buffer;
    Fixture *f = context;

    buffer.secret.len = strlen(f->password);
    memcpy(buffer.secret.data, f->password, buffer.secret.len + 1);
    *secret = &buffer.secret;
    return SASL_OK;
}

static int get_realm(void *context, int id, const char **realms, const char **result)
{
    *result = realms != NULL && realms[0] != NULL ? realms[0] : "";
    return SASL_OK;
}

static char *address_text(int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;

    g_assert_cmpint(get(fd, (struct sockaddr *)&address, &length), ==, 0);
    return g_strdup_printf("127.0.0.1;%u", ntohs(address.sin_port));
}

static int getpeer(int fd, struct sockaddr *address, socklen_t *length)
{
    return getpeername(fd, address, length);
}

static int getsock(int fd, struct sockaddr *address, socklen_t *length)
{
    return getsockname(fd, address, length);
}

static void make_client(Fixture *f)
{
    static sasl_callback_t callbacks[5];
    sasl_security_properties_t properties = {.min_ssf = 56, .max_ssf = 100000, .maxbufsize = 65536};
    g_autofree char *local = address_text(f->fd, getsock), *peer = address_text(f->fd, getpeer);

    callbacks[0] = (sasl_callback_t){SASL_CB_USER, (int (*)(void))(void *)get_name, f};
    callbacks[1] = (sasl_callback_t){SASL_CB_AUTHNAME, (int (*)(void))(void *)get_name, f};
    callbacks[2] = (sasl_callback_t){SASL_CB_PASS, (int (*)(void))(void *)get_secret, f};
    callbacks[3] = (sasl_callback_t){SASL_CB_GETREALM, (int (*)(void))(void *)get_realm, f};
    callbacks[4] = (sasl_callback_t){SASL_CB_LIST_END, NULL, NULL};
    g_assert_cmpint(sasl_client_init(NULL), ==, SASL_OK);
    g_assert_cmpint(
        sasl_client_new("libvirt", "localhost", local, peer, callbacks, SASL_SUCCESS_DATA, &f->client), ==,
        SASL_OK);
    sasl_setprop(f->client, SASL_SEC_PROPS, &properties);
}

static void set_up(Fixture *f, gconstpointer allowed)
{
    const char *const users[] = {allowed, NULL};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    RpcListener listener = RPC_LISTENER_INIT;
    struct timeval patience = {10, 0};
    g_autoptr(GError) error = NULL;
    RpcServerConfig config;

    f->fd = -1;
    f->password = "secret";
    if (!usable)
        return;
    listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener.fd < 0 || bind(listener.fd, (struct sockaddr *)&address, sizeof address) < 0)
        return;
    getsockname(listener.fd, (struct sockaddr *)&address, &length);
    listener.auth = CLIENT_AUTH_SASL;
    rpc_server_config_init(&config);
    if (allowed != NULL)
        config.sasl_allowed_username_list = users;
    f->server = rpc_server_new(&config);
    g_assert_true(rpc_server_add_listener(f->server, &listener, &error));
    g_assert_true(rpc_server_start(f->server, &error));
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    g_assert_cmpint(connect(f->fd, (struct sockaddr *)&address, length), ==, 0);
    make_client(f);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    if (f->fd >= 0)
        close(f->fd);
    if (f->client != NULL)
        sasl_dispose(&f->client);
    rpc_server_free(f->server);
    g_clear_pointer(&last_user, g_free);
}

/* The exchange up to the server's last word. Its serial is 5 or more; *ret_complete tells whether it agreed.
 */
static void exchange(Fixture *f, guint32 *ret_serial, gboolean *ret_complete)
{
    AuthSaslInitRet init = {0};
    AuthSaslStartArgs start = {.mech = (char *)"DIGEST-MD5"};
    const char *out = NULL, *mechanism;
    unsigned length = 0;
    guint32 serial = 3;
    int code;

    raw_call(f->fd, REMOTE, RPC_REMOTE_AUTH_SASL_INIT, 2, NULL, NULL);
    raw_reply(f->fd, 2, &xdr_auth_sasl_init_ret, &init);
    g_assert_cmpstr(init.mechlist, ==, "DIGEST-MD5");
    code = sasl_client_start(f->client, init.mechlist, NULL, &out, &length, &mechanism);
    g_assert_true(code == SASL_OK || code == SASL_CONTINUE);
    xdr_clear(&xdr_auth_sasl_init_ret, &init);
    start.nil = out == NULL;
    start.data = (char *)out;
    start.data_len = length;
    raw_call(f->fd, REMOTE, RPC_REMOTE_AUTH_SASL_START, serial, &xdr_auth_sasl_start_args, &start);
    for (;;) {
        g_auto(RawMessage) message = {0};
        AuthSaslStepRet step = {0};
        AuthSaslStepArgs args = {0};

        g_assert_true(raw_receive(f->fd, &message));
        g_assert_cmpuint(message.header.serial, ==, serial);
        *ret_serial = serial;
        *ret_complete = FALSE;
        if (message.header.status == WIRE_ERROR)
            return;
        g_assert_true(
            xdr_decode(&xdr_auth_sasl_step_ret, message.payload, message.length, &step, NULL, NULL));
        *ret_complete = step.complete;
        if (step.data != NULL || !step.complete) {
            code = sasl_client_step(f->client,
                                    step.nil            ? NULL
                                    : step.data != NULL ? step.data
                                                        : "",
                                    step.data_len, NULL, &out, &length);
            g_assert_true(code == SASL_OK || code == SASL_CONTINUE);
        }
        xdr_clear(&xdr_auth_sasl_step_ret, &step);
        if (*ret_complete)
            return;
        args.nil = out == NULL;
        args.data = (char *)out;
        args.data_len = length;
        raw_call(f->fd, REMOTE, RPC_REMOTE_AUTH_SASL_STEP, ++serial, &xdr_auth_sasl_step_args, &args);
    }
}

static void send_encoded(Fixture *f, gint32 procedure, guint32 serial, const XdrType *type, const void *args)
{
    WireHeader header = {REMOTE, 1, procedure, WIRE_CALL, serial, WIRE_OK};
    XdrWriter writer = {0};
    gsize begin = wire_begin(&writer, &header);
    const char *encoded;
    unsigned length;

    g_assert_true(xdr_encode(type, args, &writer, G_MAXUINT32, NULL));
    wire_end(&writer, begin);
    g_assert_cmpint(sasl_encode(f->client, (char *)writer.data, (unsigned)writer.length, &encoded, &length),
                    ==, SASL_OK);
    g_assert_null(memmem(encoded, length, writer.data, writer.length)); /* it does encrypt */
    raw_bytes(f->fd, encoded, length);
    xdr_writer_clear(&writer);
}

static void take_decoded(Fixture *f, GByteArray *into, gsize want)
{
    while (into->len < want) {
        char raw[4096];
        ssize_t n = recv(f->fd, raw, sizeof raw, 0);
        const char *decoded;
        unsigned length;

        g_assert_cmpint(n, >, 0);
        g_assert_cmpint(sasl_decode(f->client, raw, (unsigned)n, &decoded, &length), ==, SASL_OK);
        g_byte_array_append(into, (const guint8 *)decoded, length);
    }
}

static void test_layer(Fixture *f, gconstpointer data)
{
    g_autoptr(GByteArray) got = g_byte_array_new();
    gboolean complete = FALSE;
    guint32 serial = 0;

    if (f->fd < 0) {
        g_test_skip("no loopback, or no DIGEST-MD5 with sasldb");
        return;
    }
    exchange(f, &serial, &complete);
    g_assert_true(complete);
    send_encoded(f, RPC_REMOTE_CONNECT_OPEN, 100, &xdr_connect_open_args, &(ConnectOpenArgs){0});
    take_decoded(f, got, WIRE_FRAME_SIZE);
    g_assert_cmpuint(got->len, ==, WIRE_FRAME_SIZE);
    g_assert_nonnull(last_user);
    g_assert_true(g_str_has_prefix(last_user, "fred"));
    g_byte_array_set_size(got, 0);
    send_encoded(f, RPC_REMOTE_CONNECT_GET_CAPABILITIES, 101, &xdr_connect_get_capabilities_args,
                 &(ConnectGetCapabilitiesArgs){0});
    take_decoded(f, got, WIRE_FRAME_SIZE + 4 + 300000);
    g_assert_cmpint(got->data[got->len - 1], ==, 'c');
}

static void test_refused(Fixture *f, gconstpointer data)
{
    gboolean complete = TRUE;
    guint32 serial = 0;

    if (f->fd < 0) {
        g_test_skip("no loopback, or no DIGEST-MD5 with sasldb");
        return;
    }
    if (data == NULL)
        f->password = "wrong";
    exchange(f, &serial, &complete);
    g_assert_false(complete);
    raw_call(f->fd, REMOTE, RPC_REMOTE_CONNECT_OPEN, 100, &xdr_connect_open_args, &(ConnectOpenArgs){0});
    raw_error(f->fd, 100, VIR_ERR_RPC, "authentication required");
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"users.db", "libvirt.conf"};
    int result;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("kite-sasl-XXXXXX", NULL);
    write_config();
    usable = make_user();
    g_test_add("/rpc/sasl/layer", Fixture, "fred*", set_up, test_layer, tear_down);
    g_test_add("/rpc/sasl/wrong-password", Fixture, NULL, set_up, test_refused, tear_down);
    g_test_add("/rpc/sasl/not-on-the-list", Fixture, "joe", set_up, test_refused, tear_down);
    result = g_test_run();
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(folder, names[i], NULL);

        unlink(path);
    }
    rmdir(folder);
    g_free(folder);
    return result;
}
