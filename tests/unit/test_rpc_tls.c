/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TLS listeners: the byte after verification, who is refused, large replies through the layer. Keys are made
 * here. */
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/rpc/call.h"
#include "driver/rpc/procedure.h"
#include "rpc_raw.h"

static char *last_name;

static gboolean run_open(Call *call, const void *args, void *ret, GError **error)
{
    g_free(last_name);
    last_name = client_x509_name(call_client(call));
    g_assert_true(client_encrypted(call_client(call)));
    return TRUE;
}

static gboolean run_capabilities(Call *call, const void *args, void *ret, GError **error)
{
    ((ConnectGetCapabilitiesRet *)ret)->capabilities = g_strnfill(2000000, 'c');
    return TRUE;
}

static const RpcProcedure remote[] = {
    [RPC_REMOTE_CONNECT_OPEN] = {"OPEN", "virConnectOpen", &xdr_connect_open_args, &xdr_connect_open_ret,
                                 run_open, VIR_FROM_NONE, RPC_FLAG_READONLY | RPC_FLAG_ALONE,
                                 RPC_STAGE_AUTHENTICATED, 0},
    [RPC_REMOTE_CONNECT_GET_CAPABILITIES] = {"CAPS", "virConnectGetCapabilities",
                                             &xdr_connect_get_capabilities_args,
                                             &xdr_connect_get_capabilities_ret, run_capabilities,
                                             VIR_FROM_NONE, RPC_FLAG_READONLY, RPC_STAGE_OPEN, 0},
};
const RpcProgram rpc_programs[] = {{RPC_PROGRAM_REMOTE, RPC_VERSION_REMOTE, G_N_ELEMENTS(remote), remote}};
const guint rpc_program_count = 1;

typedef struct Identity {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t cert;
} Identity;

static Identity identity(const char *name, const Identity *signer, unsigned serial)
{
    Identity id;
    guint8 number = (guint8)serial;
    const Identity *by = signer != NULL ? signer : &id;

    gnutls_x509_privkey_init(&id.key);
    g_assert_cmpint(gnutls_x509_privkey_generate(id.key, GNUTLS_PK_ECDSA,
                                                 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                    ==, 0);
    gnutls_x509_crt_init(&id.cert);
    gnutls_x509_crt_set_version(id.cert, 3);
    gnutls_x509_crt_set_serial(id.cert, &number, 1);
    gnutls_x509_crt_set_activation_time(id.cert, time(NULL) - 3600);
    gnutls_x509_crt_set_expiration_time(id.cert, time(NULL) + 3600);
    gnutls_x509_crt_set_dn_by_oid(id.cert, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned)strlen(name));
    gnutls_x509_crt_set_basic_constraints(id.cert, signer == NULL, -1);
    gnutls_x509_crt_set_key_usage(id.cert,
                                  signer == NULL ? GNUTLS_KEY_KEY_CERT_SIGN : GNUTLS_KEY_DIGITAL_SIGNATURE);
    gnutls_x509_crt_set_key(id.cert, id.key);
    g_assert_cmpint(gnutls_x509_crt_sign2(id.cert, by->cert, by->key, GNUTLS_DIG_SHA256, 0), ==, 0);
    return id;
}

static void identity_clear(Identity *id)
{
    gnutls_x509_crt_deinit(id->cert);
    gnutls_x509_privkey_deinit(id->key);
}

static char *save(const char *folder, const char *name, const gnutls_datum_t *pem)
{
    char *path = g_build_filename(folder, name, NULL);

    g_assert_true(g_file_set_contents(path, (const char *)pem->data, pem->size, NULL));
    gnutls_free(pem->data);
    return path;
}

typedef struct Fixture {
    RpcServer *server;
    char *folder, *socket, *ca_file, *cert_file, *key_file;
    Identity ca, host, client, stranger_ca, stranger;
} Fixture;

static void set_up(Fixture *f, gconstpointer allowed)
{
    const char *const names[] = {allowed, NULL};
    g_autoptr(GError) error = NULL;
    RpcListener listener = RPC_LISTENER_INIT;
    RpcServerConfig config;
    RpcTlsConfig tls = {.verify_client = TRUE, .allowed_dn_list = allowed != NULL ? names : NULL};
    gnutls_datum_t pem;

    f->ca = identity("Test CA", NULL, 1);
    f->host = identity("localhost", &f->ca, 2);
    f->client = identity("client", &f->ca, 3);
    f->stranger_ca = identity("Other CA", NULL, 4);
    f->stranger = identity("client", &f->stranger_ca, 5);
    f->folder = g_dir_make_tmp("kite-tls-XXXXXX", NULL);
    gnutls_x509_crt_export2(f->ca.cert, GNUTLS_X509_FMT_PEM, &pem);
    f->ca_file = save(f->folder, "ca.pem", &pem);
    gnutls_x509_crt_export2(f->host.cert, GNUTLS_X509_FMT_PEM, &pem);
    f->cert_file = save(f->folder, "cert.pem", &pem);
    gnutls_x509_privkey_export2(f->host.key, GNUTLS_X509_FMT_PEM, &pem);
    f->key_file = save(f->folder, "key.pem", &pem);
    f->socket = g_build_filename(f->folder, "sock", NULL);
    tls.ca_file = f->ca_file;
    tls.cert_file = f->cert_file;
    tls.key_file = f->key_file;
    rpc_server_config_init(&config);
    f->server = rpc_server_new(&config);
    g_assert_true(rpc_server_set_tls(f->server, &tls, &error));
    g_assert_no_error(error);
    listener.unix_path = f->socket;
    listener.tls = TRUE;
    g_assert_true(rpc_server_add_listener(f->server, &listener, &error));
    g_assert_true(rpc_server_start(f->server, &error));
}

static void tear_down(Fixture *f, gconstpointer data)
{
    rpc_server_free(f->server);
    unlink(f->ca_file);
    unlink(f->cert_file);
    unlink(f->key_file);
    rmdir(f->folder);
    g_free(f->folder);
    g_free(f->socket);
    g_free(f->ca_file);
    g_free(f->cert_file);
    g_free(f->key_file);
    identity_clear(&f->ca);
    identity_clear(&f->host);
    identity_clear(&f->client);
    identity_clear(&f->stranger_ca);
    identity_clear(&f->stranger);
    g_clear_pointer(&last_name, g_free);
}

/* Connects as somebody (NULL: without certificate), and shakes hands on a transport of its own if there is one. */
static gboolean shake_hands(Fixture *f, Identity *who, gnutls_session_t *ret_session,
                            gnutls_certificate_credentials_t *ret_credentials, int *ret_fd,
                            void (*own_transport)(gnutls_session_t session, int fd))
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), code;

    g_strlcpy(address.sun_path, f->socket, sizeof address.sun_path);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    gnutls_certificate_allocate_credentials(ret_credentials);
    gnutls_certificate_set_x509_trust_file(*ret_credentials, f->ca_file, GNUTLS_X509_FMT_PEM);
    if (who != NULL)
        gnutls_certificate_set_x509_key(*ret_credentials, &who->cert, 1, who->key);
    gnutls_init(ret_session, GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT | GNUTLS_NO_SIGNAL);
    gnutls_set_default_priority(*ret_session);
    gnutls_credentials_set(*ret_session, GNUTLS_CRD_CERTIFICATE, *ret_credentials);
    if (own_transport != NULL)
        own_transport(*ret_session, fd);
    else
        gnutls_transport_set_int(*ret_session, fd);
    *ret_fd = fd;
    do {
        code = gnutls_handshake(*ret_session);
    } while (code < 0 && !gnutls_error_is_fatal(code));
    return code >= 0;
}

static gboolean is_welcome(gnutls_session_t session)
{
    char byte = 0;

    return gnutls_record_recv(session, &byte, 1) == 1 && byte == '\1';
}

/* Whether the server said its "\1". */
static gboolean greet(Fixture *f, Identity *who, gnutls_session_t *ret_session,
                      gnutls_certificate_credentials_t *ret_credentials, int *ret_fd)
{
    return shake_hands(f, who, ret_session, ret_credentials, ret_fd, NULL) && is_welcome(*ret_session);
}

static void part(gnutls_session_t session, gnutls_certificate_credentials_t credentials, int fd)
{
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    close(fd);
}

static void refused(Fixture *f, Identity *who)
{
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
    int fd;

    g_assert_false(greet(f, who, &session, &credentials, &fd));
    part(session, credentials, fd);
}

static void take(gnutls_session_t session, void *data, gsize length)
{
    guint8 *at = data;

    while (length > 0) {
        ssize_t n = gnutls_record_recv(session, at, length);

        g_assert_cmpint(n, >, 0);
        at += n;
        length -= (gsize)n;
    }
}

static void ask(gnutls_session_t session, gint32 procedure, guint32 serial, const XdrType *type,
                const void *args)
{
    WireHeader header = {RPC_PROGRAM_REMOTE, 1, procedure, WIRE_CALL, serial, WIRE_OK};
    XdrWriter writer = {0};
    gsize begin = wire_begin(&writer, &header);

    g_assert_true(xdr_encode(type, args, &writer, G_MAXUINT32, NULL));
    wire_end(&writer, begin);
    g_assert_cmpint(gnutls_record_send(session, writer.data, writer.length), ==, (gssize)writer.length);
    xdr_writer_clear(&writer);
}

static void test_accepted(Fixture *f, gconstpointer data)
{
    gnutls_certificate_credentials_t credentials;
    g_autofree guint8 *big = g_malloc(2100000);
    gnutls_session_t session;
    guint8 head[WIRE_FRAME_SIZE];
    int fd;

    g_assert_true(greet(f, &f->client, &session, &credentials, &fd));
    ask(session, RPC_REMOTE_CONNECT_OPEN, 1, &xdr_connect_open_args, &(ConnectOpenArgs){0});
    take(session, head, sizeof head);
    g_assert_cmpuint(wire_get_word(head), ==, WIRE_FRAME_SIZE);
    g_assert_cmpstr(last_name, ==, "CN=client");
    for (guint32 serial = 2; serial < 6; serial++)
        ask(session, RPC_REMOTE_CONNECT_GET_CAPABILITIES, serial, &xdr_connect_get_capabilities_args,
            &(ConnectGetCapabilitiesArgs){0});
    for (guint32 serial = 2; serial < 6; serial++) {
        take(session, head, sizeof head);
        g_assert_cmpuint(wire_get_word(head), ==, WIRE_FRAME_SIZE + 4 + 2000000);
        take(session, big, 4 + 2000000);
        g_assert_cmpint(big[4 + 1999999], ==, 'c');
    }
    part(session, credentials, fd);
}

/* A transport that keeps back what is sent once the other end has answered. */
static struct {
    int fd;
    gboolean answered;
    GByteArray *kept;
} late;

static ssize_t late_push(gnutls_transport_ptr_t opaque, const void *data, size_t length)
{
    if (!late.answered)
        return send(late.fd, data, length, MSG_NOSIGNAL);
    g_byte_array_append(late.kept, data, (guint)length);
    return (ssize_t)length;
}

static ssize_t late_pull(gnutls_transport_ptr_t opaque, void *data, size_t length)
{
    late.answered = TRUE;
    return recv(late.fd, data, length, 0);
}

static void be_late(gnutls_session_t session, int fd)
{
    late.fd = fd;
    late.answered = FALSE;
    late.kept = g_byte_array_new();
    gnutls_transport_set_push_function(session, late_push);
    gnutls_transport_set_pull_function(session, late_pull);
}

/* The end of the handshake and the first call arrive in one piece. */
static void test_quick(Fixture *f, gconstpointer data)
{
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
    guint8 head[WIRE_FRAME_SIZE];
    WireHeader header;
    int fd;

    g_assert_true(shake_hands(f, &f->client, &session, &credentials, &fd, be_late));
    ask(session, RPC_REMOTE_AUTH_LIST, 1, &xdr_auth_list_args, &(AuthListArgs){0});
    g_assert_true(fd_write_all(fd, late.kept->data, late.kept->len, NULL));
    g_byte_array_unref(late.kept);
    g_assert_true(is_welcome(session));
    take(session, head, sizeof head);
    wire_decode_header(head + WIRE_LENGTH_SIZE, &header);
    g_assert_cmpint(header.type, ==, WIRE_REPLY);
    g_assert_cmpuint(header.serial, ==, 1);
    part(session, credentials, fd);
}

static void test_refused(Fixture *f, gconstpointer data)
{
    refused(f, NULL);
    refused(f, &f->stranger);
}

static void test_name_refused(Fixture *f, gconstpointer data)
{
    refused(f, &f->client);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/rpc/tls/accepted", Fixture, "CN=cli*", set_up, test_accepted, tear_down);
    g_test_add("/rpc/tls/quick", Fixture, NULL, set_up, test_quick, tear_down);
    g_test_add("/rpc/tls/refused", Fixture, NULL, set_up, test_refused, tear_down);
    g_test_add("/rpc/tls/name-refused", Fixture, "CN=somebody", set_up, test_name_refused, tear_down);
    return g_test_run();
}
