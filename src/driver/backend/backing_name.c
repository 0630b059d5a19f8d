/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of backing images: see backing_name.h. */
#include "driver/backend/backing_name.h"

#include <string.h>

#include "common/error.h"
#include "driver/backend/json_util.h"

enum { JSON_DEPTH_MAX = 8 };

/* --- hosts --- */

static StorageHost *add_host(StorageSource *source)
{
    StorageHost *host = storage_host_new();

    if (source->hosts == NULL)
        source->hosts = g_ptr_array_new_with_free_func((GDestroyNotify)storage_host_free);
    g_ptr_array_add(source->hosts, host);
    return host;
}

/* A port as text or number; 0 when there is none. FALSE: it is no port. */
static gboolean read_port(const char *text, guint *ret)
{
    guint64 port = 0;

    if (text != NULL && *text != '\0' && !g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT16, &port, NULL))
        return FALSE;
    *ret = (guint)port;
    return TRUE;
}

static void finish_hosts(StorageSource *source)
{
    for (guint i = 0; source->hosts != NULL && i < source->hosts->len; i++) {
        StorageHost *host = source->hosts->pdata[i];

        if (host->port == 0 && host->transport != STORAGE_TRANSPORT_UNIX)
            host->port = storage_protocol_default_port(source->protocol);
    }
}

/* --- URLs --- */

static gboolean parse_url(const char *url, StorageSource *source, gboolean *ret_usable, GError **error)
{
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_HAS_PASSWORD | G_URI_FLAGS_PARSE_RELAXED, NULL);
    g_auto(GStrv) scheme = NULL;
    StorageHost *host;
    const char *path;
    int protocol, transport = STORAGE_TRANSPORT_TCP;

    if (uri == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "failed to parse backing file location '%s'", url);
    scheme = g_strsplit(g_uri_get_scheme(uri), "+", 2);
    protocol = storage_protocol_from_string(scheme[0]);
    if (protocol <= STORAGE_PROTOCOL_NONE)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "invalid backing protocol '%s'", scheme[0]);
    if (scheme[1] != NULL && (transport = storage_transport_from_string(scheme[1])) < 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "invalid protocol transport type '%s'", scheme[1]);
    source->type = STORAGE_TYPE_NETWORK;
    source->protocol = (StorageProtocol)protocol;
    if (g_uri_get_user(uri) != NULL || g_uri_get_password(uri) != NULL)
        *ret_usable = FALSE;
    host = add_host(source);
    host->transport = (StorageTransport)transport;
    path = g_uri_get_path(uri);
    if (host->transport == STORAGE_TRANSPORT_UNIX) {
        const char *query = g_uri_get_query(uri);

        if (query == NULL || !g_str_has_prefix(query, "socket="))
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "missing socket in backing file location '%s'", url);
        host->socket = g_strdup(query + strlen("socket="));
    } else {
        if (g_uri_get_host(uri) == NULL || *g_uri_get_host(uri) == '\0')
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "missing host in backing file location '%s'", url);
        host->name = g_strdup(g_uri_get_host(uri));
        host->port = g_uri_get_port(uri) > 0 ? (guint)g_uri_get_port(uri) : 0;
        if (source->protocol == STORAGE_PROTOCOL_HTTP || source->protocol == STORAGE_PROTOCOL_HTTPS)
            source->query = g_strdup(g_uri_get_query(uri));
    }
    while (*path == '/')
        path++;
    if (*path != '\0')
        source->path = g_strdup(path);
    return TRUE;
}

/* --- QEMU's old forms --- */

/* nbd:HOST:PORT[:exportname=NAME] and nbd:unix:PATH[:exportname=NAME] */
static gboolean parse_nbd(const char *name, StorageSource *source, GError **error)
{
    const char *begin = name + strlen("nbd:"), *export = strstr(begin, ":exportname=");
    g_autofree char *place = export != NULL ? g_strndup(begin, (gsize)(export - begin)) : g_strdup(begin);
    StorageHost *host = add_host(source);
    char *colon = strrchr(place, ':');

    source->protocol = STORAGE_PROTOCOL_NBD;
    if (export != NULL)
        source->path = g_strdup(export + strlen(":exportname="));
    if (g_str_has_prefix(place, "unix:")) {
        host->transport = STORAGE_TRANSPORT_UNIX;
        host->socket = g_strdup(place + strlen("unix:"));
        return TRUE;
    }
    if (colon == NULL || colon == place || !read_port(colon + 1, &host->port))
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "malformed nbd string '%s'", name);
    host->name = g_strndup(place, (gsize)(colon - place));
    return TRUE;
}

static gboolean parse_colon(const char *name, StorageSource *source, GError **error)
{
    g_autofree char *protocol = g_strndup(name, strcspn(name, ":"));

    source->type = STORAGE_TYPE_NETWORK;
    if (strcmp(protocol, "nbd") == 0)
        return parse_nbd(name, source, error);
    if (storage_protocol_from_string(protocol) <= STORAGE_PROTOCOL_NONE)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "invalid backing protocol '%s'", protocol);
    return error_set(error, VIR_ERR_INTERNAL_ERROR,
                     "cannot read the backing file name '%s': protocol '%s' is understood in the form json: only", name,
                     protocol);
}

/* --- json: --- */

/* "server.host" as a member of an object "server", all the way down. */
static json_t *unflatten(const json_t *object, guint depth)
{
    json_t *result = json_object();
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(guintptr)object, key, value)
    {
        const char *dot = strchr(key, '.');
        json_t *inner;
        g_autofree char *first = NULL;

        if (dot == NULL || dot == key || dot[1] == '\0') {
            json_object_set(result, key, value);
            continue;
        }
        first = g_strndup(key, (gsize)(dot - key));
        inner = json_object_get(result, first);
        if (!json_is_object(inner)) {
            json_object_set_new(result, first, json_object());
            inner = json_object_get(result, first);
        }
        json_object_set(inner, dot + 1, value);
    }
    json_object_foreach(result, key, value)
    {
        if (json_is_object(value) && depth < JSON_DEPTH_MAX)
            json_object_set_new(result, key, unflatten(value, depth + 1));
    }
    return result;
}

/* Text, or a number as text. Caller frees; NULL: neither. */
static char *text_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_integer(value))
        return g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return g_strdup(json_string_value(value));
}

static gboolean missing(const char *field, GError **error)
{
    return error_set(error, VIR_ERR_INVALID_ARG, "missing '%s' field in JSON backing volume definition", field);
}

/* {"type": "inet", "host": ..., "port": ...} or {"type": "unix", "path": ...}; without type it is inet. */
static gboolean read_server(const json_t *server, StorageSource *source, GError **error)
{
    const char *type = jstr(server, "type");
    StorageHost *host = add_host(source);
    g_autofree char *port = text_of(server, "port");

    if (type != NULL && strcmp(type, "unix") == 0) {
        const char *path = jstr(server, "path");

        host->transport = STORAGE_TRANSPORT_UNIX;
        host->socket = g_strdup(path != NULL ? path : jstr(server, "socket"));
        return host->socket != NULL || missing("path", error);
    }
    if (type != NULL && strcmp(type, "inet") != 0 && strcmp(type, "tcp") != 0)
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "cannot read the JSON backing file name: a server of type '%s' is neither inet, tcp nor unix",
                         type);
    host->name = g_strdup(jstr(server, "host"));
    if (host->name == NULL)
        return missing("host", error);
    return read_port(port, &host->port) ||
           error_set(error, VIR_ERR_INVALID_ARG, "port '%s' in JSON backing volume definition is no port", port);
}

static gboolean json_path(const json_t *json, StorageSource *source, gboolean *ret_usable, GError **error)
{
    (void)ret_usable;
    source->type = strcmp(jstr(json, "driver"), "file") == 0 ? STORAGE_TYPE_FILE : STORAGE_TYPE_BLOCK;
    source->path = g_strdup(jstr(json, "filename"));
    if (source->path != NULL && source->path[0] != '/')
        return error_set(error, VIR_ERR_INVALID_ARG, "'%s' in JSON backing volume definition is no absolute path",
                         source->path);
    return source->path != NULL || missing("filename", error);
}

static gboolean json_url(const json_t *json, StorageSource *source, gboolean *ret_usable, GError **error)
{
    const char *url = jstr(json, "url");

    if (url == NULL)
        return missing("url", error);
    if (!parse_url(url, source, ret_usable, error))
        return FALSE;
    if (strcmp(storage_protocol_to_string(source->protocol), jstr(json, "driver")) != 0)
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "expected protocol '%s' but got '%s' in URI JSON volume definition", jstr(json, "driver"),
                         storage_protocol_to_string(source->protocol));
    if (json_object_get(json, "cookie") != NULL || json_object_get(json, "cookie-secret") != NULL ||
        json_object_get(json, "password-secret") != NULL)
        *ret_usable = FALSE;
    if (json_is_boolean(json_object_get(json, "sslverify")))
        source->ssl_verify = jbool(json, "sslverify") ? TRISTATE_YES : TRISTATE_NO;
    source->readahead = juint(json, "readahead");
    source->timeout = juint(json, "timeout");
    return TRUE;
}

static gboolean json_nbd(const json_t *json, StorageSource *source, gboolean *ret_usable, GError **error)
{
    const json_t *server = json_object_get(json, "server");
    const char *path = jstr(json, "path");

    (void)ret_usable;
    source->type = STORAGE_TYPE_NETWORK;
    source->protocol = STORAGE_PROTOCOL_NBD;
    source->path = g_strdup(jstr(json, "export"));
    if (path != NULL) {
        StorageHost *host = add_host(source);

        host->transport = STORAGE_TRANSPORT_UNIX;
        host->socket = g_strdup(path);
        return TRUE;
    }
    return read_server(server != NULL ? server : json, source, error);
}

static gboolean json_iscsi(const json_t *json, StorageSource *source, gboolean *ret_usable, GError **error)
{
    const char *portal = jstr(json, "portal"), *target = jstr(json, "target"), *transport = jstr(json, "transport");
    g_autofree char *lun = text_of(json, "lun");
    StorageHost *host = add_host(source);
    const char *colon;

    source->type = STORAGE_TYPE_NETWORK;
    source->protocol = STORAGE_PROTOCOL_ISCSI;
    if (jstr(json, "user") != NULL || jstr(json, "password-secret") != NULL)
        *ret_usable = FALSE;
    if (transport == NULL || strcmp(transport, "tcp") != 0)
        return error_set(error, VIR_ERR_INVALID_ARG, "only TCP transport is supported for iSCSI volumes");
    if (portal == NULL || target == NULL)
        return missing(portal == NULL ? "portal" : "target", error);
    colon = strrchr(portal, ':');
    if (colon != NULL && portal[strlen(portal) - 1] == ']')
        colon = NULL; /* an IPv6 address without a port */
    host->name = colon != NULL ? g_strndup(portal, (gsize)(colon - portal)) : g_strdup(portal);
    if (!read_port(colon != NULL ? colon + 1 : NULL, &host->port))
        return error_set(error, VIR_ERR_INVALID_ARG, "failed to parse host/port of iSCSI portal '%s'", portal);
    source->path = g_strdup_printf("%s/%s", target, lun != NULL ? lun : "0");
    source->initiator_iqn = g_strdup(jstr(json, "initiator-name"));
    return TRUE;
}

static gboolean json_ssh(const json_t *json, StorageSource *source, gboolean *ret_usable, GError **error)
{
    const json_t *server = json_object_get(json, "server");

    source->type = STORAGE_TYPE_NETWORK;
    source->protocol = STORAGE_PROTOCOL_SSH;
    source->path = g_strdup(jstr(json, "path"));
    if (source->path == NULL)
        return missing("path", error);
    if (jstr(json, "user") != NULL)
        *ret_usable = FALSE;
    return read_server(server != NULL ? server : json, source, error);
}

static gboolean parse_object(const json_t *json, const char *text, StorageSource *source, gboolean nested,
                             gboolean *ret_usable, GError **error);

/* A part of a file. */
static gboolean json_raw(const json_t *json, StorageSource *source, gboolean *ret_usable, GError **error)
{
    const json_t *file = json_object_get(json, "file");
    g_autofree char *offset = text_of(json, "offset");
    g_autofree char *size = text_of(json, "size");

    if (file == NULL)
        return error_set(error, VIR_ERR_INVALID_ARG, "JSON backing volume definition of driver 'raw' lacks 'file'");
    if (!parse_object(file, "raw", source, TRUE, ret_usable, error))
        return FALSE;
    if (offset == NULL && size == NULL)
        return TRUE;
    source->has_slice = TRUE;
    return (offset == NULL || g_ascii_string_to_unsigned(offset, 10, 0, G_MAXINT64, &source->slice_offset, NULL)) &&
                   (size == NULL || g_ascii_string_to_unsigned(size, 10, 0, G_MAXINT64, &source->slice_size, NULL))
               ? TRUE
               : error_set(error, VIR_ERR_INVALID_ARG,
                           "malformed 'offset' or 'size' in JSON backing volume definition");
}

static const struct {
    const char *driver;
    gboolean format; /* only at the top */
    gboolean (*parse)(const json_t *json, StorageSource *source, gboolean *ret_usable, GError **error);
} drivers[] = {
    {"file", FALSE, json_path}, {"host_device", FALSE, json_path}, {"host_cdrom", FALSE, json_path},
    {"http", FALSE, json_url},  {"https", FALSE, json_url},        {"ftp", FALSE, json_url},
    {"ftps", FALSE, json_url},  {"tftp", FALSE, json_url},         {"nbd", FALSE, json_nbd},
    {"iscsi", FALSE, json_iscsi}, {"ssh", FALSE, json_ssh},        {"raw", TRUE, json_raw},
};

static gboolean parse_object(const json_t *json, const char *text, StorageSource *source, gboolean nested,
                             gboolean *ret_usable, GError **error)
{
    const char *driver = jstr(json, "driver");

    if (driver == NULL)
        return error_set(error, VIR_ERR_INVALID_ARG, "JSON backing volume definition '%s' lacks driver name", text);
    for (gsize i = 0; i < G_N_ELEMENTS(drivers); i++) {
        if (strcmp(driver, drivers[i].driver) != 0)
            continue;
        if (nested && drivers[i].format)
            return error_set(error, VIR_ERR_INVALID_ARG,
                             "JSON backing volume definition '%s' must not have nested format drivers", text);
        return drivers[i].parse(json, source, ret_usable, error);
    }
    return error_set(error, VIR_ERR_INTERNAL_ERROR,
                     "missing parser implementation for JSON backing volume driver '%s'", driver);
}

static gboolean parse_json(const char *text, StorageSource *source, gboolean *ret_usable, GError **error)
{
    autojson *flat = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    autojson *root = json_is_object(flat) ? unflatten(flat, 0) : NULL;
    const json_t *object = root;

    if (root == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot parse json %s", text);
    if (json_object_get(root, "driver") == NULL && json_is_object(json_object_get(root, "file")))
        object = json_object_get(root, "file");
    return parse_object(object, text, source, FALSE, ret_usable, error);
}

/* --- all of them --- */

static gboolean is_path(const char *name)
{
    const char *colon = strchr(name, ':'), *slash = strchr(name, '/');

    return colon == NULL || (slash != NULL && slash < colon);
}

/* Beside the parent, wherever that is. */
static gboolean parse_relative(const StorageSource *parent, const char *name, StorageSource *source, GError **error)
{
    g_autofree char *folder = NULL;

    if (parent->path == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "backing image '%s' is relative to an image without a path",
                         name);
    folder = g_path_get_dirname(parent->path);
    source->path = strcmp(folder, "/") == 0 ? g_strconcat("/", name, NULL) : g_strconcat(folder, "/", name, NULL);
    if (parent->type == STORAGE_TYPE_NETWORK) {
        source->type = STORAGE_TYPE_NETWORK;
        source->protocol = parent->protocol;
        for (guint i = 0; parent->hosts != NULL && i < parent->hosts->len; i++) {
            const StorageHost *from = parent->hosts->pdata[i];
            StorageHost *host = add_host(source);

            *host = *from;
            host->name = g_strdup(from->name);
            host->socket = g_strdup(from->socket);
        }
    }
    return TRUE;
}

gboolean backing_name_parse(const StorageSource *parent, const char *name, StorageSource **ret, gboolean *ret_usable,
                            GError **error)
{
    g_autoptr(StorageSource) source = storage_source_new(STORAGE_TYPE_FILE);
    gboolean good = TRUE;

    *ret = NULL;
    *ret_usable = TRUE;
    source->detected = TRUE;
    if (g_str_has_prefix(name, "file:") && !g_str_has_prefix(name, "file://"))
        name += strlen("file:"); /* as QEMU reads it */
    if (is_path(name)) {
        if (name[0] == '/')
            source->path = g_strdup(name);
        else
            good = parse_relative(parent, name, source, error);
    } else if (g_str_has_prefix(name, "json:")) {
        good = parse_json(name + strlen("json:"), source, ret_usable, error);
    } else if (g_str_has_prefix(name, "fat:")) {
        source->type = STORAGE_TYPE_DIR;
        source->format = STORAGE_FORMAT_FAT;
        source->path = g_strdup(name + strlen("fat:"));
    } else if (strstr(name, "://") != NULL) {
        good = parse_url(name, source, ret_usable, error);
    } else {
        good = parse_colon(name, source, error);
    }
    if (!good)
        return FALSE;
    finish_hosts(source);
    *ret = g_steal_pointer(&source);
    return TRUE;
}
