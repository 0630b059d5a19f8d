/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TLS listeners: GnuTLS with X.509 both ways, as libvirt's clients speak it. */
#define ERROR_FROM VIR_FROM_RPC
#define LOG_SOURCE "rpc"
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#include "common/error.h"
#include "common/log.h"
#include "driver/rpc/private.h"

struct Tls {
    gint references;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
    gboolean verify;
    char **allowed_dns;
};

struct TlsSession {
    Tls *tls;
    gnutls_session_t session;
};

static gboolean tls_failed(GError **error, int code, const char *what, const char *file)
{
    return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Unable to load the %s '%s': %s", what, file,
                     gnutls_strerror(code));
}

static gboolean load(Tls *tls, const RpcTlsConfig *config, GError **error)
{
    const char *priority = config->priority != NULL ? config->priority : "NORMAL", *at = NULL;
    int code;

    if ((code = gnutls_certificate_allocate_credentials(&tls->credentials)) < 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Unable to allocate x509 credentials: %s",
                         gnutls_strerror(code));
    if (config->ca_file != NULL && (code = gnutls_certificate_set_x509_trust_file(
                                        tls->credentials, config->ca_file, GNUTLS_X509_FMT_PEM)) < 0)
        return tls_failed(error, code, "CA certificate", config->ca_file);
    if (config->crl_file != NULL && (code = gnutls_certificate_set_x509_crl_file(
                                         tls->credentials, config->crl_file, GNUTLS_X509_FMT_PEM)) < 0)
        return tls_failed(error, code, "certificate revocation list", config->crl_file);
    if ((code = gnutls_certificate_set_x509_key_file(tls->credentials, config->cert_file, config->key_file,
                                                     GNUTLS_X509_FMT_PEM)) < 0)
        return tls_failed(error, code, "server certificate", config->cert_file);
    if ((code = gnutls_priority_init(&tls->priority, priority, &at)) < 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Failed to set TLS session priority to %s: %s",
                         priority, gnutls_strerror(code));
    return TRUE;
}

Tls *tls_new(const RpcTlsConfig *config, GError **error)
{
    Tls *tls;

    if (config->cert_file == NULL || config->key_file == NULL ||
        (config->verify_client && config->ca_file == NULL)) {
        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                  "TLS needs a server certificate and its key, and a CA certificate to verify clients with");
        return NULL;
    }
    tls = g_new0(Tls, 1);
    tls->references = 1;
    tls->verify = config->verify_client;
    tls->allowed_dns = g_strdupv((char **)config->allowed_dn_list);
    if (!load(tls, config, error)) {
        tls_unref(tls);
        return NULL;
    }
    return tls;
}

Tls *tls_ref(Tls *tls)
{
    g_atomic_int_inc(&tls->references);
    return tls;
}

void tls_unref(Tls *tls)
{
    if (tls == NULL || !g_atomic_int_dec_and_test(&tls->references))
        return;
    if (tls->credentials != NULL)
        gnutls_certificate_free_credentials(tls->credentials);
    if (tls->priority != NULL)
        gnutls_priority_deinit(tls->priority);
    g_strfreev(tls->allowed_dns);
    g_free(tls);
}

TlsSession *tls_session_new(Tls *tls, int fd, GError **error)
{
    TlsSession *session = g_new0(TlsSession, 1);
    int code;

    session->tls = tls_ref(tls);
    code = gnutls_init(&session->session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    if (code == 0)
        code = gnutls_priority_set(session->session, tls->priority);
    if (code == 0)
        code = gnutls_credentials_set(session->session, GNUTLS_CRD_CERTIFICATE, tls->credentials);
    if (code < 0) {
        error_set(error, VIR_ERR_INTERNAL_ERROR, "Failed to set up a TLS session: %s", gnutls_strerror(code));
        tls_session_free(session);
        return NULL;
    }
    gnutls_certificate_server_set_request(session->session,
                                          tls->verify ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_REQUEST);
    gnutls_transport_set_int(session->session, fd);
    return session;
}

void tls_session_free(TlsSession *session)
{
    if (session == NULL)
        return;
    if (session->session != NULL)
        gnutls_deinit(session->session);
    tls_unref(session->tls);
    g_free(session);
}

static gboolean dn_allowed(const Tls *tls, const char *dn)
{
    if (tls->allowed_dns == NULL)
        return TRUE;
    for (gsize i = 0; tls->allowed_dns[i] != NULL; i++) {
        if (g_pattern_match_simple(tls->allowed_dns[i], dn))
            return TRUE;
    }
    return FALSE;
}

/* The client's certificate: signed by our CA, in its time, not revoked, and of an allowed name. */
static gboolean verify(TlsSession *session, char **ret_dn, GError **error)
{
    g_autofree char *dn = NULL;
    gnutls_x509_crt_t cert = NULL;
    const gnutls_datum_t *chain;
    unsigned status = 0, count = 0;
    size_t length = 1024;
    int code;

    if (session->tls->verify) {
        code = gnutls_certificate_verify_peers2(session->session, &status);
        if (code < 0)
            return error_set(error, VIR_ERR_SYSTEM_ERROR, "Unable to verify TLS peer: %s",
                             gnutls_strerror(code));
        if (status != 0) {
            gnutls_datum_t text = {0};

            gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);
            error_set(error, VIR_ERR_SYSTEM_ERROR, "Client certificate is refused: %s",
                      text.data != NULL ? (char *)text.data : "invalid");
            gnutls_free(text.data);
            return FALSE;
        }
    }
    chain = gnutls_certificate_get_peers(session->session, &count);
    if (chain == NULL || count == 0)
        return !session->tls->verify ||
               error_set(error, VIR_ERR_SYSTEM_ERROR, "The client sent no certificate");
    dn = g_malloc0(length);
    code = gnutls_x509_crt_init(&cert);
    if (code == 0)
        code = gnutls_x509_crt_import(cert, &chain[0], GNUTLS_X509_FMT_DER);
    if (code == 0)
        code = gnutls_x509_crt_get_dn(cert, dn, &length);
    if (cert != NULL)
        gnutls_x509_crt_deinit(cert);
    if (code < 0)
        return error_set(error, VIR_ERR_SYSTEM_ERROR, "Failed to read the client certificate's name: %s",
                         gnutls_strerror(code));
    if (session->tls->verify && !dn_allowed(session->tls, dn))
        return error_set(error, VIR_ERR_SYSTEM_ERROR,
                         "Client's Distinguished Name '%s' is not in tls_allowed_dn_list", dn);
    *ret_dn = g_steal_pointer(&dn);
    return TRUE;
}

gssize tls_session_handshake(TlsSession *session, guint32 *ret_events, char **ret_dn, GError **error)
{
    int code = gnutls_handshake(session->session);

    if (code == GNUTLS_E_AGAIN || code == GNUTLS_E_INTERRUPTED ||
        (code < 0 && !gnutls_error_is_fatal(code))) {
        *ret_events = gnutls_record_get_direction(session->session) ? EPOLLOUT : EPOLLIN;
        return TRANSPORT_AGAIN;
    }
    if (code < 0) {
        error_set(error, VIR_ERR_SYSTEM_ERROR, "TLS handshake failed: %s", gnutls_strerror(code));
        return TRANSPORT_FAILED;
    }
    return verify(session, ret_dn, error) ? 1 : TRANSPORT_FAILED;
}

static gssize layer_read(void *layer, int fd, void *data, gsize size, GError **error)
{
    TlsSession *session = layer;
    ssize_t n;

    do {
        n = gnutls_record_recv(session->session, data, size);
    } while (n == GNUTLS_E_INTERRUPTED);
    if (n >= 0)
        return n;
    if (n == GNUTLS_E_PREMATURE_TERMINATION)
        return TRANSPORT_EOF;
    if (n == GNUTLS_E_AGAIN || !gnutls_error_is_fatal((int)n))
        return TRANSPORT_AGAIN;
    error_set(error, VIR_ERR_SYSTEM_ERROR, "Cannot read over TLS: %s", gnutls_strerror((int)n));
    return TRANSPORT_FAILED;
}

/* After AGAIN GnuTLS wants the same data again: the head of the output queue does not change meanwhile. */
static gssize layer_write(void *layer, int fd, const void *data, gsize length, GError **error)
{
    TlsSession *session = layer;
    ssize_t n;

    do {
        n = gnutls_record_send(session->session, data, length);
    } while (n == GNUTLS_E_INTERRUPTED);
    if (n >= 0)
        return n;
    if (n == GNUTLS_E_AGAIN)
        return TRANSPORT_AGAIN;
    error_set(error, VIR_ERR_SYSTEM_ERROR, "Cannot write over TLS: %s", gnutls_strerror((int)n));
    return TRANSPORT_FAILED;
}

static gboolean layer_has_input(void *layer)
{
    return gnutls_record_check_pending(((TlsSession *)layer)->session) > 0;
}

static gssize layer_flush(void *layer, int fd, GError **error)
{
    return 1;
}

static void layer_free(void *layer)
{
    tls_session_free(layer);
}

const TransportOps tls_transport_ops = {layer_read, layer_write, layer_has_input, layer_flush, layer_free};
