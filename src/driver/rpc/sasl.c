/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libsasl2's server side and its security layer. Calls of one client come one at a time ("alone" calls). */
#define ERROR_FROM VIR_FROM_AUTH
#include <errno.h>
#include <netdb.h>
#include <sasl/sasl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "driver/rpc/private.h"

#define SSF_MIN 56
#define SSF_MAX 100000
#define BUFFER_MAX 65536

struct Sasl {
    sasl_conn_t *conn;
    GByteArray *out; /* encoded, not taken by the socket yet */
    gsize out_sent;
    const char *in; /* decoded, not given out yet; libsasl2's */
    unsigned in_length;
};

static gboolean sasl_ready(const char *service, GError **error)
{
    static gsize once;
    static int result;

    if (g_once_init_enter(&once)) {
        result = sasl_server_init(NULL, service);
        g_once_init_leave(&once, 1);
    }
    return result == SASL_OK ||
           error_set(error, VIR_ERR_AUTH_FAILED, "Failed to initialize SASL library: %d (%s)", result,
                     sasl_errstring(result, NULL, NULL));
}

static gboolean sasl_failed(Sasl *sasl, int code, const char *step, GError **error)
{
    return error_set(error, VIR_ERR_AUTH_FAILED, "%s: %d (%s)", step, code,
                     sasl->conn != NULL ? sasl_errdetail(sasl->conn) : sasl_errstring(code, NULL, NULL));
}

/* "host;port" of our end. Caller frees; NULL when unknown. */
static char *local_address(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char host[256], port[32];

    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
        getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return NULL;
    return g_strdup_printf("%s;%s", host, port);
}

Sasl *sasl_new(Client *client, GError **error)
{
    gboolean plain = client->kind == CLIENT_TRANSPORT_TCP;
    sasl_security_properties_t properties = {
        .min_ssf = plain ? SSF_MIN : 0,
        .max_ssf = plain ? SSF_MAX : 0,
        .maxbufsize = BUFFER_MAX,
        .security_flags = plain ? SASL_SEC_NOANONYMOUS | SASL_SEC_NOPLAINTEXT : 0,
    };
    g_autofree char *local = NULL;
    Sasl *sasl;
    int code;

    if (!sasl_ready(client->server->config.sasl_service, error))
        return NULL;
    sasl = g_new0(Sasl, 1);
    sasl->out = g_byte_array_new();
    if (client->kind != CLIENT_TRANSPORT_UNIX)
        local = local_address(client->transport.fd);
    code =
        sasl_server_new("libvirt", NULL, NULL, local, client->address, NULL, SASL_SUCCESS_DATA, &sasl->conn);
    if (code == SASL_OK && client->kind == CLIENT_TRANSPORT_TLS) {
        sasl_ssf_t external = 256; /* TLS protects the connection already */

        code = sasl_setprop(sasl->conn, SASL_SSF_EXTERNAL, &external);
    }
    if (code == SASL_OK)
        code = sasl_setprop(sasl->conn, SASL_SEC_PROPS, &properties);
    if (code != SASL_OK) {
        sasl_failed(sasl, code, "cannot set up a SASL session", error);
        sasl_free(sasl);
        return NULL;
    }
    return sasl;
}

void sasl_free(Sasl *sasl)
{
    if (sasl == NULL)
        return;
    if (sasl->conn != NULL)
        sasl_dispose(&sasl->conn);
    g_byte_array_unref(sasl->out);
    g_free(sasl);
}

char *sasl_mechanisms(Sasl *sasl, GError **error)
{
    const char *list = NULL;
    int code = sasl_listmech(sasl->conn, NULL, "", ",", "", &list, NULL, NULL);

    if (code != SASL_OK) {
        sasl_failed(sasl, code, "cannot list SASL mechanisms", error);
        return NULL;
    }
    return g_strdup(list);
}

gboolean sasl_step(Sasl *sasl, const char *mechanism, const char *data, guint32 length,
                   gboolean *ret_complete, const char **ret_data, guint32 *ret_length, GError **error)
{
    unsigned out_length = 0;
    int code = mechanism != NULL
                   ? sasl_server_start(sasl->conn, mechanism, data, length, ret_data, &out_length)
                   : sasl_server_step(sasl->conn, data, length, ret_data, &out_length);

    if (code != SASL_OK && code != SASL_CONTINUE)
        return sasl_failed(sasl, code,
                           mechanism != NULL ? "Failed to start SASL negotiation"
                                             : "Failed to step SASL negotiation",
                           error);
    if (out_length > RPC_LIMIT_AUTH_SASL_DATA)
        return error_set(error, VIR_ERR_AUTH_FAILED, "SASL mechanism answers with %u bytes, the limit is %u",
                         out_length, RPC_LIMIT_AUTH_SASL_DATA);
    *ret_complete = code == SASL_OK;
    *ret_length = out_length;
    return TRUE;
}

gint sasl_ssf(Sasl *sasl)
{
    const void *value = NULL;

    return sasl_getprop(sasl->conn, SASL_SSF, &value) == SASL_OK && value != NULL
               ? (gint) * (const sasl_ssf_t *)value
               : 0;
}

char *sasl_user(Sasl *sasl, GError **error)
{
    const void *value = NULL;
    int code = sasl_getprop(sasl->conn, SASL_USERNAME, &value);

    if (code != SASL_OK || value == NULL) {
        sasl_failed(sasl, code, "SASL names no user", error);
        return NULL;
    }
    return g_strdup(value);
}

/* --- the security layer -------------------------------------------------------------------------- */

static gssize layer_read(void *opaque, int fd, void *data, gsize size, GError **error)
{
    Sasl *sasl = opaque;
    gsize part;

    while (sasl->in_length == 0) {
        char raw[8192];
        ssize_t n = recv(fd, raw, sizeof raw, MSG_DONTWAIT);
        int code;

        if (n == 0)
            return TRANSPORT_EOF;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            return TRANSPORT_AGAIN;
        if (n < 0) {
            error_set_errno(error, errno, "Cannot read from the client's socket");
            return TRANSPORT_FAILED;
        }
        code = sasl_decode(sasl->conn, raw, (unsigned)n, &sasl->in, &sasl->in_length);
        if (code != SASL_OK) {
            sasl_failed(sasl, code, "failed to decode SASL data", error);
            return TRANSPORT_FAILED;
        }
    }
    part = MIN(size, sasl->in_length);
    memcpy(data, sasl->in, part);
    sasl->in += part;
    sasl->in_length -= (unsigned)part;
    return (gssize)part;
}

static gssize layer_flush(void *opaque, int fd, GError **error)
{
    Sasl *sasl = opaque;

    while (sasl->out_sent < sasl->out->len) {
        ssize_t n = send(fd, sasl->out->data + sasl->out_sent, sasl->out->len - sasl->out_sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return TRANSPORT_AGAIN;
        if (n < 0) {
            error_set_errno(error, errno, "Cannot write to the client's socket");
            return TRANSPORT_FAILED;
        }
        sasl->out_sent += (gsize)n;
    }
    g_byte_array_set_size(sasl->out, 0);
    sasl->out_sent = 0;
    return 1;
}

static gssize layer_write(void *opaque, int fd, const void *data, gsize length, GError **error)
{
    Sasl *sasl = opaque;
    const void *property = NULL;
    const char *encoded = NULL;
    unsigned encoded_length = 0, most = BUFFER_MAX / 2;
    gssize flushed = layer_flush(sasl, fd, error);
    int code;

    if (flushed < 0)
        return flushed;
    if (sasl_getprop(sasl->conn, SASL_MAXOUTBUF, &property) == SASL_OK && property != NULL &&
        *(const unsigned *)property > 0)
        most = *(const unsigned *)property;
    length = MIN(length, most);
    code = sasl_encode(sasl->conn, data, (unsigned)length, &encoded, &encoded_length);
    if (code != SASL_OK) {
        sasl_failed(sasl, code, "failed to encode SASL data", error);
        return TRANSPORT_FAILED;
    }
    g_byte_array_append(sasl->out, (const guint8 *)encoded, encoded_length);
    if (layer_flush(sasl, fd, error) == TRANSPORT_FAILED)
        return TRANSPORT_FAILED;
    return (gssize)length; /* what is left is flushed before the next write */
}

static gboolean layer_has_input(void *opaque)
{
    return ((Sasl *)opaque)->in_length > 0;
}

static void layer_free(void *opaque)
{
    sasl_free(opaque);
}

const TransportOps sasl_transport_ops = {layer_read, layer_write, layer_has_input, layer_flush, layer_free};
