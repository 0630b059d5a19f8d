/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <source> of an <interface>, which each type writes in its own way. See def_interface.h. */
#include <string.h>

#include "common/error.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/fields.h"

static const Field network_fields[] = {
    FIELD_STR_REQUIRED(InterfaceDef, source, "network"),
    FIELD_STR(InterfaceDef, portgroup, "portgroup"),
    FIELD_END,
};
static const Field bridge_fields[] = {FIELD_STR_REQUIRED(InterfaceDef, source, "bridge"), FIELD_END};
static const Field internal_fields[] = {FIELD_STR_REQUIRED(InterfaceDef, source, "name"), FIELD_END};
static const Field direct_fields[] = {
    FIELD_STR_REQUIRED(InterfaceDef, source, "dev"),
    FIELD_ENUM_ALWAYS(InterfaceDef, mode, "mode", macvtap_mode, 0),
    FIELD_END,
};
static const Field vdpa_fields[] = {FIELD_STR_REQUIRED(InterfaceDef, source, "dev"), FIELD_END};
static const Field user_fields[] = {FIELD_STR(InterfaceDef, source, "dev"), FIELD_END};
static const Field server_fields[] = {
    FIELD_STR(InterfaceDef, socket_address, "address"),
    FIELD_OF(InterfaceDef, socket_port, "port", FIELD_KIND_INT, .absent = -1, .flags = FIELD_REQUIRED),
    FIELD_END,
};
static const Field client_fields[] = {
    FIELD_STR_REQUIRED(InterfaceDef, socket_address, "address"),
    FIELD_OF(InterfaceDef, socket_port, "port", FIELD_KIND_INT, .absent = -1, .flags = FIELD_REQUIRED),
    FIELD_END,
};
static const Field local_fields[] = {
    FIELD_STR_REQUIRED(InterfaceDef, local_address, "address"),
    FIELD_OF(InterfaceDef, local_port, "port", FIELD_KIND_INT, .absent = -1, .flags = FIELD_REQUIRED),
    FIELD_END,
};
/* Attributes of <source>, by type. Types that are not here are read by hand or have none. */
static const struct {
    const Field *fields;
    gboolean required; /* <source> must be there */
    gboolean virtualport;
    gboolean filterref;
} types[INTERFACE_LAST] = {
    [INTERFACE_USER] = {user_fields, FALSE, FALSE, FALSE},
    [INTERFACE_ETHERNET] = {NULL, FALSE, FALSE, TRUE},
    [INTERFACE_VHOSTUSER] = {NULL, TRUE, FALSE, FALSE},
    [INTERFACE_SERVER] = {server_fields, TRUE, FALSE, FALSE},
    [INTERFACE_CLIENT] = {client_fields, TRUE, FALSE, FALSE},
    [INTERFACE_MCAST] = {client_fields, TRUE, FALSE, FALSE},
    [INTERFACE_NETWORK] = {network_fields, TRUE, TRUE, TRUE},
    [INTERFACE_BRIDGE] = {bridge_fields, TRUE, TRUE, TRUE},
    [INTERFACE_INTERNAL] = {internal_fields, TRUE, FALSE, FALSE},
    [INTERFACE_DIRECT] = {direct_fields, TRUE, TRUE, FALSE},
    [INTERFACE_HOSTDEV] = {NULL, TRUE, TRUE, FALSE},
    [INTERFACE_UDP] = {client_fields, TRUE, FALSE, FALSE},
    [INTERFACE_VDPA] = {vdpa_fields, TRUE, FALSE, FALSE},
    [INTERFACE_VDS] = {NULL, TRUE, FALSE, FALSE},
};
static const Field vds_fields[] = {
    FIELD_STR_REQUIRED(InterfaceDef, vds_switchid, "switchid"),
    FIELD_STR_REQUIRED(InterfaceDef, vds_portgroupid, "portgroupid"),
    FIELD_END,
};

gboolean interface_type_has_virtualport(InterfaceType type)
{
    return types[type].virtualport;
}

gboolean interface_type_has_filterref(InterfaceType type)
{
    return types[type].filterref;
}

/* --- reading --- */

static gboolean parse_vhostuser(xmlNodePtr source, InterfaceDef *def, GError **error)
{
    g_autofree char *type = xml_get_attr(source, "type");
    g_autofree char *mode = xml_get_attr(source, "mode");

    if (g_strcmp0(type, "unix") != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "Type='%s' unsupported for <interface type='vhostuser'>", type != NULL ? type : "");
    def->vhostuser.type = CHR_TYPE_UNIX;
    def->vhostuser.path = xml_get_attr(source, "path");
    if (def->vhostuser.path == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "Missing required attribute 'path' in element 'source'");
    if (g_strcmp0(mode, "server") != 0 && g_strcmp0(mode, "client") != 0)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "Invalid value for attribute 'mode' in element 'source': '%s'.",
                         mode != NULL ? mode : "");
    def->vhostuser.mode = strcmp(mode, "server") == 0 ? CHR_MODE_BIND : CHR_MODE_CONNECT;
    return chr_reconnect_parse(source, &def->vhostuser.reconnect, error);
}

static gboolean parse_hostdev(xmlNodePtr node, xmlNodePtr source, InterfaceDef *def, GError **error)
{
    xmlNodePtr address = xml_child(source, "address");
    g_autofree char *type = address != NULL ? xml_get_attr(address, "type") : NULL;
    Tristate managed = TRISTATE_ABSENT;
    int value;

    if (type == NULL && xml_child(source, "vendor") != NULL)
        type = g_strdup("usb");
    value = hostdev_type_from_string(type);
    if (type == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "missing source address type");
    if (value < 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown host device source address type '%s'",
                         type);
    def->hostdev = g_new0(HostdevDef, 1);
    def->hostdev->type = value;
    if (!xml_attr_get_yes_no(node, "managed", XML_OPTIONAL, &managed, error))
        return FALSE;
    def->hostdev->managed = managed == TRISTATE_YES;
    return hostdev_parse_source(node, def->hostdev, error);
}

static gboolean parse_vds(xmlNodePtr source, InterfaceDef *def, GError **error)
{
    g_autofree char *port = xml_get_attr(source, "portid");
    g_autofree char *connection = xml_get_attr(source, "connectionid");

    if (!fields_parse(vds_fields, source, def, error))
        return FALSE;
    if (port == NULL || !g_ascii_string_to_signed(port, 10, G_MININT64, G_MAXINT64, &def->vds_portid, NULL) ||
        connection == NULL ||
        !g_ascii_string_to_signed(connection, 10, G_MININT64, G_MAXINT64, &def->vds_connectionid, NULL))
        return error_set(error, VIR_ERR_XML_ERROR,
                         "interface type='vds' needs numbers in portid and connectionid");
    return TRUE;
}

gboolean interface_source_parse(xmlNodePtr node, InterfaceDef *def, guint flags, GError **error)
{
    xmlNodePtr source = xml_child(node, "source");

    if (source == NULL)
        return !types[def->type].required ||
               error_set(error, VIR_ERR_XML_ERROR, "interface type='%s' requires a 'source' element",
                         interface_type_to_string(def->type));
    if (!net_ip_info_parse(source, &def->source_ip, error) ||
        (types[def->type].fields != NULL && !fields_parse(types[def->type].fields, source, def, error)))
        return FALSE;
    switch (def->type) {
    case INTERFACE_NETWORK:
        if (!(flags & DOMAIN_DEF_PARSE_INACTIVE))
            def->portid = xml_get_attr(source, "portid");
        return TRUE;
    case INTERFACE_VHOSTUSER:
        return parse_vhostuser(source, def, error);
    case INTERFACE_HOSTDEV:
        return parse_hostdev(node, source, def, error);
    case INTERFACE_VDS:
        return parse_vds(source, def, error);
    case INTERFACE_UDP:
        source = xml_child(source, "local");
        if (source == NULL)
            return error_set(error, VIR_ERR_XML_ERROR,
                             "'<local>' element missing for 'udp' socket interface");
        return fields_parse(local_fields, source, def, error);
    default:
        return TRUE;
    }
}

/* --- writing --- */

static void format_source_attributes(XmlWriter *w, const InterfaceDef *def, guint flags)
{
    if (types[def->type].fields != NULL)
        fields_format(w, types[def->type].fields, def);
    switch (def->type) {
    case INTERFACE_NETWORK:
        if (!(flags & DOMAIN_DEF_FORMAT_INACTIVE))
            xml_attr(w, "portid", def->portid);
        break;
    case INTERFACE_VHOSTUSER:
        xml_attr(w, "type", "unix");
        xml_attr(w, "path", def->vhostuser.path);
        xml_attr(w, "mode", def->vhostuser.mode == CHR_MODE_BIND ? "server" : "client");
        chr_reconnect_format(w, &def->vhostuser.reconnect);
        break;
    case INTERFACE_VDS:
        xml_attr(w, "switchid", def->vds_switchid);
        xml_attr_printf(w, "portid", "%" G_GINT64_FORMAT, def->vds_portid);
        xml_attr(w, "portgroupid", def->vds_portgroupid);
        xml_attr_printf(w, "connectionid", "%" G_GINT64_FORMAT, def->vds_connectionid);
        break;
    case INTERFACE_UDP:
        fields_format_element(w, "local", local_fields, def);
        break;
    default:
        break;
    }
}

static gboolean has_source(const InterfaceDef *def)
{
    switch (def->type) {
    case INTERFACE_USER:
        return def->source != NULL && def->backend == NET_BACKEND_PASST;
    case INTERFACE_ETHERNET:
    case INTERFACE_NULL:
        return FALSE;
    default:
        return TRUE;
    }
}

/* A running interface of type network shows what the network gave. */
static void format_actual_source(XmlWriter *w, const InterfaceDef *def)
{
    xml_open(w, "source");
    xml_attr(w, "network", def->source);
    xml_attr(w, "portgroup", def->portgroup);
    xml_attr(w, "portid", def->portid);
    if (def->actual_type == INTERFACE_DIRECT) {
        xml_attr(w, "dev", def->actual_source);
        xml_attr(w, "mode", macvtap_mode_to_string(def->actual_mode));
    } else if (def->actual_source != NULL) {
        xml_attr(w, "bridge", def->actual_source);
    }
    xml_close(w);
}

void interface_source_format(XmlWriter *w, const InterfaceDef *def, gboolean actual, guint flags)
{
    if (actual) {
        format_actual_source(w, def);
        return;
    }
    if (def->type == INTERFACE_HOSTDEV && def->hostdev != NULL) {
        hostdev_format_source(w, def->hostdev, TRUE, flags);
        return;
    }
    if (!has_source(def) && !net_ip_info_any(&def->source_ip))
        return;
    xml_open(w, "source");
    if (has_source(def))
        format_source_attributes(w, def, flags);
    net_ip_info_format(w, &def->source_ip);
    xml_close(w);
}
