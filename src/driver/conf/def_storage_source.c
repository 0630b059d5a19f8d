/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images, volumes and backing chains: see def_storage_source.h. Secrets and encryption: storage_secret.c. */
#include "driver/conf/def_storage_source.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/fields.h"

/* Longest backing chain that is read: deeper ones are an attack or a loop. */
#define CHAIN_MAX 200
#define HOSTS_MAX 64
/* Of <backingStore> in our run-state files: the image's header named it, not the definition. */
#define DETECTED "detected"

ENUM_TABLE(storage_type, StorageType, STORAGE_TYPE_LAST, "none", "file", "block", "dir", "network", "volume",
           "nvme", "vhostuser")
ENUM_TABLE(storage_format, StorageFormat, STORAGE_FORMAT_LAST, "none", "raw", "dir", "bochs", "cloop", "dmg",
           "iso", "vpc", "vdi", "fat", "vhd", "ploop", "cow", "qcow", "qcow2", "qed", "vmdk")
ENUM_TABLE(storage_protocol, StorageProtocol, STORAGE_PROTOCOL_LAST, "none", "nbd", "rbd", "sheepdog",
           "gluster", "iscsi", "http", "https", "ftp", "ftps", "tftp", "ssh", "vxhs", "nfs")
ENUM_TABLE(storage_transport, StorageTransport, STORAGE_TRANSPORT_LAST, "tcp", "unix", "rdma")
ENUM_TABLE(startup_policy, StartupPolicy, STARTUP_POLICY_LAST, "default", "mandatory", "requisite",
           "optional")
ENUM_TABLE(storage_pool_mode, StoragePoolMode, STORAGE_POOL_MODE_LAST, "default", "host", "direct")

static const Field file_fields[] = {
    FIELD_STR(StorageSource, path, "file"),
    FIELD_STR(StorageSource, fdgroup, "fdgroup"),
    FIELD_END,
};
static const Field block_fields[] = {FIELD_STR(StorageSource, path, "dev"), FIELD_END};
static const Field dir_fields[] = {FIELD_STR(StorageSource, path, "dir"), FIELD_END};
static const Field volume_fields[] = {
    FIELD_STR(StorageSource, pool, "pool"),
    FIELD_STR(StorageSource, volume, "volume"),
    FIELD_ENUM(StorageSource, pool_mode, "mode", storage_pool_mode, .unknown = "unknown source mode"),
    FIELD_END,
};
static const Field nvme_fields[] = {
    FIELD_YES_NO(StorageSource, nvme_managed, "managed"),
    FIELD_U64(StorageSource, nvme_namespace, "namespace"),
    FIELD_END,
};
static const Field vhostuser_fields[] = {FIELD_STR(StorageSource, path, "path"), FIELD_END};

static const Field snapshot_fields[] = {FIELD_STR(StorageSource, snapshot, "name"), FIELD_END};
static const Field config_fields[] = {FIELD_STR(StorageSource, config_file, "file"), FIELD_END};
static const Field iqn_fields[] = {FIELD_STR(StorageSource, initiator_iqn, "name"), FIELD_END};
static const Field initiator_fields[] = {FIELD_ELEMENT("iqn", iqn_fields), FIELD_END};
static const Field ssl_fields[] = {FIELD_YES_NO(StorageSource, ssl_verify, "verify"), FIELD_END};
static const Field readahead_fields[] = {FIELD_U64(StorageSource, readahead, "size"), FIELD_END};
static const Field timeout_fields[] = {FIELD_U64(StorageSource, timeout, "seconds"), FIELD_END};
static const Field identity_fields[] = {
    FIELD_STR(StorageSource, nfs_user, "user"),
    FIELD_STR(StorageSource, nfs_group, "group"),
    FIELD_END,
};

static const Field network_fields[] = {
    FIELD_ENUM_ALWAYS(StorageSource, protocol, "protocol", storage_protocol, FIELD_REQUIRED | FIELD_NONZERO),
    FIELD_STR(StorageSource, path, "name"),
    FIELD_STR(StorageSource, query, "query"),
    FIELD_YES_NO(StorageSource, tls, "tls"),
    FIELD_STR(StorageSource, tls_hostname, "tlsHostname"),
    FIELD_END,
};
/* Children of a network source before and after the cookies. */
static const Field network_children[] = {
    FIELD_ELEMENT("identity", identity_fields), FIELD_ELEMENT("snapshot", snapshot_fields),
    FIELD_ELEMENT("config", config_fields),     FIELD_ELEMENT("initiator", initiator_fields),
    FIELD_ELEMENT("ssl", ssl_fields),           FIELD_END,
};
static const Field network_children_late[] = {
    FIELD_ELEMENT("readahead", readahead_fields),
    FIELD_ELEMENT("timeout", timeout_fields),
    FIELD_END,
};

static const Field host_fields[] = {
    FIELD_STR(StorageHost, name, "name"),
    FIELD_UINT(StorageHost, port, "port"),
    FIELD_ENUM_ALWAYS(StorageHost, transport, "transport", storage_transport, 0,
                      .unknown = "unknown protocol transport type"),
    FIELD_STR(StorageHost, socket, "socket"),
    FIELD_END,
};

static const Field *const source_fields[STORAGE_TYPE_LAST] = {
    [STORAGE_TYPE_FILE] = file_fields,
    [STORAGE_TYPE_BLOCK] = block_fields,
    [STORAGE_TYPE_DIR] = dir_fields,
    [STORAGE_TYPE_NETWORK] = network_fields,
    [STORAGE_TYPE_VOLUME] = volume_fields,
    [STORAGE_TYPE_NVME] = nvme_fields,
    [STORAGE_TYPE_VHOSTUSER] = vhostuser_fields,
};

/* --- reading --- */

guint storage_protocol_default_port(StorageProtocol protocol)
{
    static const guint ports[STORAGE_PROTOCOL_LAST] = {
        [STORAGE_PROTOCOL_NBD] = 10809,     [STORAGE_PROTOCOL_SHEEPDOG] = 7000,
        [STORAGE_PROTOCOL_GLUSTER] = 24007, [STORAGE_PROTOCOL_ISCSI] = 3260,
        [STORAGE_PROTOCOL_HTTP] = 80,       [STORAGE_PROTOCOL_HTTPS] = 443,
        [STORAGE_PROTOCOL_FTP] = 21,        [STORAGE_PROTOCOL_FTPS] = 990,
        [STORAGE_PROTOCOL_TFTP] = 69,       [STORAGE_PROTOCOL_SSH] = 22,
        [STORAGE_PROTOCOL_VXHS] = 9999,
    };

    return ports[protocol];
}

static gboolean parse_host(xmlNodePtr node, StorageSource *source, GError **error)
{
    StorageHost *host = storage_host_new();

    if (source->hosts == NULL)
        source->hosts = g_ptr_array_new_with_free_func((GDestroyNotify)storage_host_free);
    g_ptr_array_add(source->hosts, host);
    if (source->hosts->len > HOSTS_MAX)
        return error_set(error, VIR_ERR_XML_ERROR, "disk source has more than %d hosts", HOSTS_MAX);
    if (!fields_parse(host_fields, node, host, error))
        return FALSE;
    if (host->port > G_MAXUINT16)
        return error_set(error, VIR_ERR_XML_ERROR, "host port %u of disk source is out of range", host->port);
    if (host->transport == STORAGE_TRANSPORT_UNIX)
        return host->socket != NULL ||
               error_set(error, VIR_ERR_XML_ERROR, "missing socket for unix transport");
    if (host->socket != NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "transport '%s' does not support socket attribute",
                         storage_transport_to_string(host->transport));
    if (host->name == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "missing name for host");
    if (host->port == 0 && host->transport == STORAGE_TRANSPORT_TCP)
        host->port = storage_protocol_default_port(source->protocol);
    return TRUE;
}

/* RFC 6265: a value holds none of these, but may stand between quotes. */
static gboolean cookie_value_is_safe(const char *value)
{
    gsize length = strlen(value);

    if (length >= 2 && value[0] == '"' && value[length - 1] == '"') {
        value++;
        length -= 2;
    }
    return strcspn(value, "\",;\\ \t\r\n") >= length;
}

static gboolean parse_cookies(xmlNodePtr node, StorageSource *source, GError **error)
{
    source->cookies = g_ptr_array_new_with_free_func((GDestroyNotify)storage_cookie_free);
    XML_FOREACH(child, node, "cookie")
    {
        StorageCookie *cookie = g_new0(StorageCookie, 1);

        g_ptr_array_add(source->cookies, cookie);
        cookie->name = xml_get_attr(child, "name");
        cookie->value = xml_get_text(child);
        if (cookie->name == NULL || *cookie->name == '\0')
            return error_set(error, VIR_ERR_XML_ERROR, "missing cookie name");
        if (cookie->value == NULL)
            return error_set(error, VIR_ERR_XML_ERROR, "missing value for cookie '%s'", cookie->name);
        if (strpbrk(cookie->name, "\"(),/:;<=>?@[]{} \t\r\n\\") != NULL)
            return error_set(error, VIR_ERR_XML_ERROR, "cookie name '%s' contains invalid characters",
                             cookie->name);
        if (!cookie_value_is_safe(cookie->value))
            return error_set(error, VIR_ERR_XML_ERROR, "value of cookie '%s' contains invalid characters",
                             cookie->name);
    }
    return TRUE;
}

static gboolean parse_network(xmlNodePtr node, StorageSource *source, GError **error)
{
    xmlNodePtr cookies = xml_child(node, "cookies");
    gboolean http;

    if (!fields_parse(network_fields, node, source, error) ||
        !fields_parse(network_children, node, source, error) ||
        !fields_parse(network_children_late, node, source, error))
        return FALSE;
    http = source->protocol == STORAGE_PROTOCOL_HTTP || source->protocol == STORAGE_PROTOCOL_HTTPS;
    if (source->path == NULL && source->protocol != STORAGE_PROTOCOL_NBD)
        return error_set(error, VIR_ERR_XML_ERROR, "missing name for disk source");
    if ((source->protocol == STORAGE_PROTOCOL_GLUSTER || source->protocol == STORAGE_PROTOCOL_RBD) &&
        (source->path[0] == '/' || strchr(source->path, '/') == NULL))
        return error_set(error, VIR_ERR_XML_ERROR, "can't split path '%s' into pool name and image name",
                         source->path);
    if (!http)
        g_clear_pointer(&source->query, g_free);
    XML_FOREACH(child, node, "host")
    {
        if (!parse_host(child, source, error))
            return FALSE;
    }
    return !http || cookies == NULL || parse_cookies(cookies, source, error);
}

static gboolean parse_nvme(xmlNodePtr node, StorageSource *source, GError **error)
{
    g_autofree char *type = xml_get_attr(node, "type");
    xmlNodePtr address = xml_child(node, "address");

    if (g_strcmp0(type, "pci") != 0)
        return error_set(error, VIR_ERR_XML_ERROR, "unsupported source type for nvme disk: '%s'",
                         type != NULL ? type : "");
    if (address == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "NVMe source is missing address");
    return fields_parse(nvme_fields, node, source, error) &&
           pci_address_parse(&source->nvme_address, address, error);
}

static gboolean parse_vhostuser(xmlNodePtr node, StorageSource *source, GError **error)
{
    g_autofree char *type = xml_get_attr(node, "type");

    if (g_strcmp0(type, "unix") != 0)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "invalid vhostuser disk source type '%s', it must be 'unix'",
                         type != NULL ? type : "");
    if (!fields_parse(vhostuser_fields, node, source, error))
        return FALSE;
    if (source->path == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "missing 'path' attribute for vhostuser disk source");
    return chr_reconnect_parse(node, &source->reconnect, error);
}

static gboolean parse_slice(xmlNodePtr node, StorageSource *source, GError **error)
{
    xmlNodePtr slices = xml_child(node, "slices");

    if (slices == NULL)
        return TRUE;
    XML_FOREACH(slice, slices, "slice")
    {
        g_autofree char *type = xml_get_attr(slice, "type");

        if (g_strcmp0(type, "storage") != 0)
            continue;
        if (!xml_attr_get_u64(slice, "offset", XML_REQUIRED, &source->slice_offset, error) ||
            !xml_attr_get_u64(slice, "size", XML_REQUIRED, &source->slice_size, error))
            return FALSE;
        source->has_slice = TRUE;
        break;
    }
    return TRUE;
}

static gboolean parse_reservations(xmlNodePtr node, StorageSource *source, GError **error)
{
    xmlNodePtr reservations = xml_child(node, "reservations");
    xmlNodePtr pr_source;
    g_autofree char *type = NULL;
    g_autofree char *mode = NULL;

    if (reservations == NULL)
        return TRUE;
    if (!xml_attr_get_yes_no(reservations, "managed", XML_REQUIRED, &source->pr_managed, error))
        return FALSE;
    if (source->pr_managed == TRISTATE_YES)
        return TRUE;
    pr_source = xml_child(reservations, "source");
    if (pr_source == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "missing source for unmanaged <reservations>");
    type = xml_get_attr(pr_source, "type");
    mode = xml_get_attr(pr_source, "mode");
    source->pr_path = xml_get_attr(pr_source, "path");
    if (g_strcmp0(type, "unix") != 0 || g_strcmp0(mode, "client") != 0)
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "unsupported source of <reservations>: type '%s', mode '%s'; it must be unix and client",
            type != NULL ? type : "", mode != NULL ? mode : "");
    return source->pr_path != NULL ||
           error_set(error, VIR_ERR_XML_ERROR, "missing path of the source of <reservations>");
}

gboolean storage_source_parse(xmlNodePtr node, StorageSource *source, guint parse_flags, GError **error)
{
    xmlNodePtr auth = xml_child(node, "auth");
    xmlNodePtr encryption = xml_child(node, "encryption");
    gboolean ok;

    switch (source->type) {
    case STORAGE_TYPE_NETWORK:
        ok = parse_network(node, source, error);
        break;
    case STORAGE_TYPE_NVME:
        ok = parse_nvme(node, source, error);
        break;
    case STORAGE_TYPE_VHOSTUSER:
        ok = parse_vhostuser(node, source, error);
        break;
    case STORAGE_TYPE_NONE:
    case STORAGE_TYPE_LAST:
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "disk source has no type");
    default:
        ok = fields_parse(source_fields[source->type], node, source, error);
        break;
    }
    if (!ok)
        return FALSE;
    if (source->type == STORAGE_TYPE_VOLUME && (source->pool == NULL) != (source->volume == NULL))
        return error_set(error, VIR_ERR_XML_ERROR,
                         "'pool' and 'volume' must be specified together for 'pool' type source");
    if (auth != NULL && (source->auth = storage_auth_parse(auth, error)) == NULL)
        return FALSE;
    if (encryption != NULL && (source->encryption = storage_encryption_parse(encryption, error)) == NULL)
        return FALSE;
    if (!parse_reservations(node, source, error) || !parse_slice(node, source, error) ||
        !security_labels_parse(node, &source->seclabels, error))
        return FALSE;
    if (!(parse_flags & DOMAIN_DEF_PARSE_INACTIVE) &&
        !xml_attr_get_uint(node, "index", XML_OPTIONAL, &source->index, error))
        return FALSE;
    /* file='' means an empty drive. */
    if (source->path != NULL && *source->path == '\0')
        g_clear_pointer(&source->path, g_free);
    return TRUE;
}

/* <format type=…><metadata_cache>…: shared by <backingStore>, <mirror> and a disk's <driver>. */
gboolean storage_format_parse(xmlNodePtr node, StorageSource *source, GError **error)
{
    xmlNodePtr cache = xml_child(node, "metadata_cache");
    g_autofree char *type = xml_get_attr(node, "type");
    g_autofree char *size = NULL;
    gboolean driver = xml_is(node, "driver");

    if (type != NULL) {
        int format = storage_format_from_string(type);

        if (driver && strcmp(type, "aio") == 0)
            format = STORAGE_FORMAT_RAW; /* definitions of old Xen hosts */
        if (format <= 0 && driver)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown driver format value '%s'", type);
        if (format <= 0)
            return error_set(error, VIR_ERR_XML_ERROR, "unknown storage source format '%s'", type);
        source->format = format;
    }
    if (cache == NULL || xml_child(cache, "max_size") == NULL)
        return TRUE;
    size = xml_get_child_text(cache, "max_size");
    {
        g_autofree char *unit = xml_get_attr(xml_child(cache, "max_size"), "unit");

        return xml_parse_scaled(size, unit, 1, &source->metadata_cache, error);
    }
}

void storage_metadata_cache_format(XmlWriter *w, const StorageSource *source)
{
    if (source->metadata_cache == 0)
        return;
    xml_open(w, "metadata_cache");
    xml_open(w, "max_size");
    xml_attr(w, "unit", "bytes");
    xml_text_u64(w, source->metadata_cache);
    xml_close(w);
    xml_close(w);
}

void storage_format_format(XmlWriter *w, const StorageSource *source)
{
    xml_open(w, "format");
    if (source->format != STORAGE_FORMAT_NONE)
        xml_attr(w, "type", storage_format_to_string(source->format));
    storage_metadata_cache_format(w, source);
    xml_close(w);
}

static StorageSource *backing_parse_one(xmlNodePtr node, guint parse_flags, GError **error)
{
    g_autoptr(StorageSource) backing = storage_source_new(STORAGE_TYPE_NONE);
    g_autofree char *type = xml_get_attr(node, "type");
    xmlNodePtr format = xml_child(node, "format");
    xmlNodePtr source = xml_child(node, "source");
    int value;

    if (type == NULL)
        return g_steal_pointer(&backing);
    value = storage_type_from_string(type);
    if (value <= 0) {
        error_set(error, VIR_ERR_XML_ERROR, "unknown storage source type '%s'", type);
        return NULL;
    }
    backing->type = value;
    if (format == NULL || !xml_is(format, "format")) {
        error_set(error, VIR_ERR_XML_ERROR, "missing disk backing store format");
        return NULL;
    }
    if (source == NULL) {
        error_set(error, VIR_ERR_XML_ERROR, "missing disk backing store source");
        return NULL;
    }
    if (!storage_format_parse(format, backing, error) ||
        !storage_source_parse(source, backing, parse_flags | DOMAIN_DEF_PARSE_INACTIVE, error))
        return NULL;
    if (backing->format == STORAGE_FORMAT_NONE) {
        error_set(error, VIR_ERR_XML_ERROR, "missing disk backing store format");
        return NULL;
    }
    if (!(parse_flags & DOMAIN_DEF_PARSE_INACTIVE) &&
        !xml_attr_get_uint(node, "index", XML_OPTIONAL, &backing->index, error))
        return NULL;
    if (parse_flags & DOMAIN_DEF_PARSE_STATUS) {
        g_autofree char *detected = xml_get_attr(node, DETECTED);

        backing->detected = detected != NULL;
    }
    return g_steal_pointer(&backing);
}

gboolean storage_backing_parse(xmlNodePtr node, StorageSource *source, guint parse_flags, GError **error)
{
    StorageSource **tail = &source->backing;
    guint depth = 0;

    for (node = xml_child(node, "backingStore"); node != NULL; node = xml_child(node, "backingStore")) {
        if (++depth > CHAIN_MAX)
            return error_set(error, VIR_ERR_XML_ERROR, "backing chain of disk is longer than %d images",
                             CHAIN_MAX);
        *tail = backing_parse_one(node, parse_flags, error);
        if (*tail == NULL)
            return FALSE;
        if ((*tail)->type == STORAGE_TYPE_NONE)
            break;
        tail = &(*tail)->backing;
    }
    return TRUE;
}

/* --- writing --- */

static void format_hosts(XmlWriter *w, const GPtrArray *hosts)
{
    for (guint i = 0; hosts != NULL && i < hosts->len; i++) {
        const StorageHost *host = g_ptr_array_index(hosts, i);

        xml_open(w, "host");
        xml_attr(w, "name", host->name);
        if (host->port != 0)
            xml_attr_u64(w, "port", host->port);
        if (host->transport != STORAGE_TRANSPORT_TCP)
            xml_attr(w, "transport", storage_transport_to_string(host->transport));
        xml_attr(w, "socket", host->socket);
        xml_close(w);
    }
}

static void format_cookies(XmlWriter *w, const GPtrArray *cookies, guint format_flags)
{
    if (cookies == NULL || cookies->len == 0 || !(format_flags & DOMAIN_DEF_FORMAT_SECURE))
        return;
    xml_open(w, "cookies");
    for (guint i = 0; i < cookies->len; i++) {
        const StorageCookie *cookie = g_ptr_array_index(cookies, i);

        xml_open(w, "cookie");
        xml_attr(w, "name", cookie->name);
        xml_text(w, cookie->value);
        xml_close(w);
    }
    xml_close(w);
}

static void format_attributes(XmlWriter *w, const StorageSource *source)
{
    if (source->type == STORAGE_TYPE_NVME)
        xml_attr(w, "type", "pci");
    else if (source->type == STORAGE_TYPE_VHOSTUSER)
        xml_attr(w, "type", "unix");
    fields_format(w, source_fields[source->type], source);
}

static void format_children(XmlWriter *w, const StorageSource *source, guint format_flags)
{
    if (source->type == STORAGE_TYPE_NETWORK) {
        format_hosts(w, source->hosts);
        fields_format(w, network_children, source);
        format_cookies(w, source->cookies, format_flags);
        fields_format(w, network_children_late, source);
    } else if (source->type == STORAGE_TYPE_NVME) {
        xml_open(w, "address");
        pci_address_attrs(w, &source->nvme_address);
        xml_close(w);
    } else if (source->type == STORAGE_TYPE_VHOSTUSER) {
        chr_reconnect_format(w, &source->reconnect);
    }
    if (source->has_slice) {
        xml_open(w, "slices");
        xml_open(w, "slice");
        xml_attr(w, "type", "storage");
        xml_attr_u64(w, "offset", source->slice_offset);
        xml_attr_u64(w, "size", source->slice_size);
        xml_close(w);
        xml_close(w);
    }
}

static void format_reservations(XmlWriter *w, const StorageSource *source, guint format_flags)
{
    if (source->pr_managed == TRISTATE_ABSENT)
        return;
    xml_open(w, "reservations");
    xml_attr(w, "managed", tristate_yes_no(source->pr_managed));
    if (source->pr_path != NULL &&
        (source->pr_managed == TRISTATE_NO || !(format_flags & DOMAIN_DEF_FORMAT_MIGRATABLE))) {
        xml_open(w, "source");
        xml_attr(w, "type", "unix");
        xml_attr(w, "path", source->pr_path);
        xml_attr(w, "mode", "client");
        xml_close(w);
    }
    xml_close(w);
}

/* Whether <source> would have anything in it: an empty drive has none. */
static gboolean anything(const StorageSource *source, const StorageSourceFormat *how)
{
    return source->type == STORAGE_TYPE_NVME || source->type == STORAGE_TYPE_VHOSTUSER ||
           fields_any(source_fields[source->type], source) || source->hosts != NULL || source->has_slice ||
           source->seclabels != NULL || (source->auth != NULL && !how->skip_auth) ||
           (source->encryption != NULL && !how->skip_encryption) || source->pr_managed != TRISTATE_ABSENT ||
           how->policy != STARTUP_POLICY_DEFAULT || (how->with_index && source->index != 0);
}

void storage_source_format(XmlWriter *w, const StorageSource *source, const StorageSourceFormat *how,
                           guint format_flags)
{
    if (source->type == STORAGE_TYPE_NONE || !anything(source, how))
        return;
    xml_open(w, how->element);
    format_attributes(w, source);
    if (how->policy != STARTUP_POLICY_DEFAULT && source->type != STORAGE_TYPE_NETWORK)
        xml_attr(w, "startupPolicy", startup_policy_to_string(how->policy));
    if (how->with_index && source->index != 0)
        xml_attr_u64(w, "index", source->index);
    format_children(w, source, format_flags);
    if (source->type != STORAGE_TYPE_NETWORK)
        security_labels_format(w, source->seclabels, format_flags);
    if (source->auth != NULL && !how->skip_auth && source->type != STORAGE_TYPE_VOLUME)
        storage_auth_format(w, source->auth);
    if (source->encryption != NULL && !how->skip_encryption)
        storage_encryption_format(w, source->encryption);
    format_reservations(w, source, format_flags);
    xml_close(w);
}

void storage_backing_format(XmlWriter *w, const StorageSource *source, guint format_flags)
{
    static const StorageSourceFormat how = {.element = "source"};
    guint open = 0;

    for (source = source->backing; source != NULL; source = source->backing) {
        if (source->detected && (format_flags & DOMAIN_DEF_FORMAT_INACTIVE))
            break;
        xml_open(w, "backingStore");
        open++;
        if (source->type == STORAGE_TYPE_NONE)
            break;
        xml_attr(w, "type", storage_type_to_string(source->type));
        if (source->index != 0)
            xml_attr_u64(w, "index", source->index);
        if (source->detected && (format_flags & DOMAIN_DEF_FORMAT_STATUS))
            xml_attr(w, DETECTED, "yes");
        storage_format_format(w, source);
        storage_source_format(w, source, &how, format_flags);
    }
    while (open-- > 0)
        xml_close(w);
}
