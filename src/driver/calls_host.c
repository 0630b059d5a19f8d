/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handlers of the connection itself: open, names, versions, features, capabilities. Close is the RPC layer's. */
#include "driver/calls_host.h"

#include <libvirt/libvirt.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/error.h"
#include "driver/driver.h"
#include "driver/host/capabilities.h"
#include "driver/host/domcaps.h"
#include "driver/host/host.h"
#include "driver/host/qemu_caps.h"
#include "driver/host/vmm_caps.h"
#include "driver/rpc/call.h"

/* Key of client_set_data(): the URI under which this client opened us. */

/* What kite-vmm behaves like where no QEMU is installed: the version that virConnectGetVersion then answers. */
enum { FALLBACK_QEMU_VERSION = 7002000 };

/* libvirt_internal.h: numbers of the features that a driver, not the connection, answers for. */
enum { FEATURE_TYPED_PARAM_STRING = 9, FEATURE_XML_MIGRATABLE = 11, FEATURE_NETWORK_UPDATE_ORDER = 16 };

/* Migration (1 to 7 without 2, 12, 13) is not there yet; what is in no case here is answered with 0. */
gint calls_host_supports_feature(void *driver, gint32 feature)
{
    switch (feature) {
    case FEATURE_TYPED_PARAM_STRING:
    case FEATURE_XML_MIGRATABLE:
    case FEATURE_NETWORK_UPDATE_ORDER:
        return 1;
    default:
        return 0;
    }
}

/* --- open ---------- ------------------------------------------------------------------------------------ */

static gboolean is_scheme(const char *uri, const char *scheme)
{
    gsize length = strlen(scheme);

    /* Clients leave a transport ("+ssh") out of what they send, but not all bindings do. */
    return strncmp(uri, scheme, length) == 0 && (uri[length] == ':' || uri[length] == '+');
}

/* "kite:///system?x=y" -> "/system"; NULL when it is no URI with a path. Caller frees. */
static char *uri_path(const char *uri)
{
    g_autoptr(GUri) parsed = g_uri_parse(uri, G_URI_FLAGS_PARSE_RELAXED, NULL);

    return parsed != NULL ? g_strdup(g_uri_get_path(parsed)) : NULL;
}

gboolean call_connect_open(Call *call, const ConnectOpenArgs *args, ConnectOpenRet *ret, GError **error)
{
    Driver *driver = call_driver(call);
    const char *own = driver->paths->privileged ? "/system" : "/session";
    const char *scheme = "kite";
    g_autofree char *path = NULL;

    /* Flags are the client library's own: it sends bits of its inner workings too (autostart is 4), and libvirt's daemons
     * look at none but RO, which the socket has decided already. */
    if (args->name != NULL && args->name[0] != '\0') {
        if (is_scheme(args->name, "qemu"))
            scheme = "qemu";
        else if (!is_scheme(args->name, "kite"))
            return error_set(error, VIR_ERR_NO_CONNECT, "%s: this is kite:///%s", args->name, own + 1);
        path = uri_path(args->name);
        if (path == NULL || path[0] == '\0')
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "no %s URI path given, try %s://%s",
                             scheme[0] == 'q' ? "QEMU" : "kite", scheme, own);
        /* As libvirt's QEMU driver, root's daemon also answers to the path of sessions. */
        if (!g_str_equal(path, own) && !(driver->paths->privileged && g_str_equal(path, "/session")))
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "unexpected %s URI path '%s', try %s://%s", scheme, path,
                             scheme, own);
    }
    client_set_data(call_client(call), CLIENT_URI_KEY, g_strdup_printf("%s://%s", scheme, own), g_free);
    return TRUE;
}

gboolean call_connect_get_uri(Call *call, const ConnectGetUriArgs *args, ConnectGetUriRet *ret, GError **error)
{
    Driver *driver = call_driver(call);
    const char *uri = client_get_data(call_client(call), CLIENT_URI_KEY);

    ret->uri = g_strdup(uri != NULL ? uri : driver->paths->privileged ? "kite:///system" : "kite:///session");
    return TRUE;
}

gboolean call_connect_is_secure(Call *call, const ConnectIsSecureArgs *args, ConnectIsSecureRet *ret, GError **error)
{
    ret->secure = client_secure(call_client(call));
    return TRUE;
}

/* The daemon closes connections only by ending, which clients see by themselves; so there is nothing to keep. */
gboolean call_connect_register_close_callback(Call *call, const ConnectRegisterCloseCallbackArgs *args,
                                              ConnectRegisterCloseCallbackRet *ret, GError **error)
{
    Client *client = call_client(call);

    if (client_get_data(client, "close-callback") != NULL)
        return error_set(error, VIR_ERR_OPERATION_FAILED, "A close callback is already registered");
    client_set_data(client, "close-callback", GINT_TO_POINTER(1), NULL);
    return TRUE;
}

gboolean call_connect_unregister_close_callback(Call *call, const ConnectUnregisterCloseCallbackArgs *args,
                                                ConnectUnregisterCloseCallbackRet *ret, GError **error)
{
    Client *client = call_client(call);

    if (client_get_data(client, "close-callback") == NULL)
        return error_set(error, VIR_ERR_OPERATION_FAILED, "A different callback was requested");
    client_set_data(client, "close-callback", NULL, NULL);
    return TRUE;
}

/* libvirt's proxy daemon passes on who its client is. On a UNIX socket that only root may write to, the identity changes
 * nothing that we decide by; it is checked for form only. */
gboolean call_connect_set_identity(Call *call, const ConnectSetIdentityArgs *args, ConnectSetIdentityRet *ret,
                                   GError **error)
{
    return call_check_flags(call, args->flags, 0, error);
}

/* --- names and versions --------------------------------------------------------------------------------- */

gboolean call_connect_get_type(Call *call, const ConnectGetTypeArgs *args, ConnectGetTypeRet *ret, GError **error)
{
    Driver *driver = call_driver(call);

    ret->type = g_strdup(driver->config->connection_type);
    return TRUE;
}

gboolean call_connect_get_version(Call *call, const ConnectGetVersionArgs *args, ConnectGetVersionRet *ret,
                                  GError **error)
{
    Driver *driver = call_driver(call);
    g_autoptr(GError) cause = NULL;
    g_autoptr(QemuCaps) caps = qemu_caps_cache_get(driver->qemu_caps, NULL, &cause);

    ret->hv_ver = caps != NULL ? qemu_caps_version(caps) : FALLBACK_QEMU_VERSION;
    return TRUE;
}

gboolean call_connect_get_lib_version(Call *call, const ConnectGetLibVersionArgs *args, ConnectGetLibVersionRet *ret,
                                      GError **error)
{
    ret->lib_ver = CALLS_HOST_LIB_VERSION;
    return TRUE;
}

gboolean call_connect_get_hostname(Call *call, const ConnectGetHostnameArgs *args, ConnectGetHostnameRet *ret,
                                   GError **error)
{
    Driver *driver = call_driver(call);

    ret->hostname = host_hostname(driver->host);
    return TRUE;
}

gboolean call_connect_get_sysinfo(Call *call, const ConnectGetSysinfoArgs *args, ConnectGetSysinfoRet *ret,
                                  GError **error)
{
    Driver *driver = call_driver(call);

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    ret->sysinfo = host_sysinfo_xml(driver->host, error);
    return ret->sysinfo != NULL;
}

/* --- what guests can have ------------------------------------------------------------------------------- */

gboolean call_connect_get_max_vcpus(Call *call, const ConnectGetMaxVcpusArgs *args, ConnectGetMaxVcpusRet *ret,
                                    GError **error)
{
    enum { TCG_MAX_VCPUS = 16 }; /* what libvirt's QEMU driver answers without KVM */
    Driver *driver = call_driver(call);
    guint kvm;

    if (args->type == NULL || g_ascii_strcasecmp(args->type, "qemu") == 0) {
        ret->max_vcpus = TCG_MAX_VCPUS;
        return TRUE;
    }
    if (g_ascii_strcasecmp(args->type, "kvm") != 0)
        return error_set(error, VIR_ERR_INVALID_ARG, "unknown type '%s'", args->type);
    kvm = host_kvm_max_vcpus(driver->host);
    if (kvm == 0)
        return error_set(error, VIR_ERR_INVALID_ARG, "/dev/kvm is not usable on this host");
    ret->max_vcpus = (gint32)kvm;
    return TRUE;
}

/* NULL where it is not installed. */
static const char *vmm_path(const Driver *driver)
{
    const char *path =
        driver->config->vmm_binary != NULL ? driver->config->vmm_binary : vmm_caps_default_path();

    return access(path, X_OK) == 0 ? path : NULL;
}

/* Neither back end starts encrypted guests, so there is nothing to say about the host's ability either. */
gboolean call_node_get_sev_info(Call *call, const NodeGetSevInfoArgs *args, NodeGetSevInfoRet *ret, GError **error)
{
    return call_check_flags(call, args->flags, VIR_TYPED_PARAM_STRING_OKAY, error) &&
           error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "QEMU does not support SEV guest");
}

/* The capabilities advertise no way of suspending the host: what is asked for is checked and refused by its name. */
gboolean call_node_suspend_for_duration(Call *call, const NodeSuspendForDurationArgs *args,
                                        NodeSuspendForDurationRet *ret, GError **error)
{
    static const char *const targets[] = {"Suspend-to-RAM", "Suspend-to-Disk", "Hybrid-Suspend"};

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    if (args->target >= G_N_ELEMENTS(targets))
        return error_set(error, VIR_ERR_INVALID_ARG, "Invalid suspend target");
    return error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "%s", targets[args->target]);
}

gboolean call_connect_get_capabilities(Call *call, const ConnectGetCapabilitiesArgs *args,
                                       ConnectGetCapabilitiesRet *ret, GError **error)
{
    Driver *driver = call_driver(call);

    ret->capabilities = capabilities_xml(driver->host, driver->qemu_caps, driver->config->default_machine,
                                         vmm_path(driver), error);
    return ret->capabilities != NULL;
}

gboolean call_connect_get_domain_capabilities(Call *call, const ConnectGetDomainCapabilitiesArgs *args,
                                              ConnectGetDomainCapabilitiesRet *ret, GError **error)
{
    Driver *driver = call_driver(call);
    DomcapsRequest request = {args->emulatorbin, args->arch, args->machine, args->virttype,
                              driver->config->default_machine, vmm_path(driver)};

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    ret->capabilities = domcaps_xml(driver->host, driver->qemu_caps, &request, error);
    return ret->capabilities != NULL;
}
