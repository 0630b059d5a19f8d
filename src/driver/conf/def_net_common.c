/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of <interface>: see def_net_common.h. */
#include "driver/conf/def_net_common.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "driver/conf/fields.h"

#define LIST_MAX 1024 /* entries of any of the lists here */

ENUM_TABLE(vlan_native, VlanNative, VLAN_NATIVE_LAST, "default", "tagged", "untagged")
ENUM_TABLE(virtualport_type, VirtualportType, VIRTUALPORT_LAST, "none", "802.1Qbg", "802.1Qbh", "openvswitch",
           "midonet")
ENUM_TABLE(teaming_type, TeamingType, TEAMING_LAST, "none", "persistent", "transient")

static const Field route_fields[] = {
    FIELD_STR(NetRoute, family, "family"),
    FIELD_STR_REQUIRED(NetRoute, address, "address"),
    FIELD_STR(NetRoute, netmask, "netmask"),
    FIELD_END,
};
static const Field virtualport_fields[] = {
    FIELD_ENUM(NetVirtualport, type, "type", virtualport_type, .unknown = "unknown virtualport type"),
    FIELD_END,
};
static const Field parameter_fields[] = {
    FIELD_STR(NetVirtualport, managerid, "managerid"),
    FIELD_STR(NetVirtualport, typeid, "typeid"),
    FIELD_STR(NetVirtualport, typeidversion, "typeidversion"),
    FIELD_STR(NetVirtualport, instanceid, "instanceid"),
    FIELD_STR(NetVirtualport, interfaceid, "interfaceid"),
    FIELD_STR(NetVirtualport, profileid, "profileid"),
    FIELD_END,
};
static const Field rate_fields[] = {
    FIELD_U64(NetRate, average, "average"),
    FIELD_U64(NetRate, peak, "peak"),
    FIELD_U64(NetRate, floor, "floor"),
    FIELD_U64(NetRate, burst, "burst"),
    FIELD_END,
};
static const Field teaming_fields[] = {
    FIELD_ENUM(NetTeaming, type, "type", teaming_type, .unknown = "unknown teaming type"),
    FIELD_STR(NetTeaming, persistent, "persistent"),
    FIELD_END,
};

gboolean mac_parse(const char *text, char ret_mac[MAC_TEXT_LEN])
{
    guint byte[6];

    for (gsize i = 0; i < G_N_ELEMENTS(byte); i++) {
        gsize digits = strspn(text, "0123456789abcdefABCDEF");

        if (digits == 0 || digits > 2)
            return FALSE;
        byte[i] = (guint)g_ascii_xdigit_value(text[0]);
        if (digits == 2)
            byte[i] = byte[i] * 16 + (guint)g_ascii_xdigit_value(text[1]);
        text += digits;
        if (*text != (i < 5 ? ':' : '\0'))
            return FALSE;
        text++;
    }
    g_snprintf(ret_mac, MAC_TEXT_LEN, "%02x:%02x:%02x:%02x:%02x:%02x", byte[0], byte[1], byte[2], byte[3],
               byte[4], byte[5]);
    return TRUE;
}

gboolean mac_is_multicast(const char *mac)
{
    return (g_ascii_xdigit_value(mac[1]) & 1) != 0;
}

/* --- addresses --- */

static void ip_free(NetIp *ip)
{
    g_free(ip->address);
    g_free(ip->peer);
    g_free(ip);
}

static void route_free(NetRoute *route)
{
    fields_clear(route_fields, route);
    g_free(route->gateway);
    g_free(route);
}

void net_ip_info_clear(NetIpInfo *info)
{
    g_clear_pointer(&info->ips, g_ptr_array_unref);
    g_clear_pointer(&info->routes, g_ptr_array_unref);
}

gboolean net_ip_info_any(const NetIpInfo *info)
{
    return info->ips != NULL || info->routes != NULL;
}

char *net_address_parse(const char *text, gboolean *ret_ipv6)
{
    guint8 bytes[16];
    char canonical[INET6_ADDRSTRLEN];
    gboolean ipv6 = strchr(text, ':') != NULL;

    if (inet_pton(ipv6 ? AF_INET6 : AF_INET, text, bytes) != 1)
        return NULL;
    if (ret_ipv6 != NULL)
        *ret_ipv6 = ipv6;
    return g_strdup(inet_ntop(ipv6 ? AF_INET6 : AF_INET, bytes, canonical, sizeof(canonical)));
}

static gboolean parse_ip(xmlNodePtr node, NetIpInfo *info, GError **error)
{
    g_autofree char *address = xml_get_attr(node, "address");
    g_autofree char *family = xml_get_attr(node, "family");
    g_autofree char *peer = xml_get_attr(node, "peer");
    NetIp *ip = g_new0(NetIp, 1);
    gboolean peer_ipv6 = FALSE;

    if (info->ips == NULL)
        info->ips = g_ptr_array_new_with_free_func((GDestroyNotify)ip_free);
    g_ptr_array_add(info->ips, ip);
    if (info->ips->len > LIST_MAX)
        return error_set(error, VIR_ERR_XML_ERROR, "<interface> has more than %d addresses", LIST_MAX);
    if (address == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "Missing required address in <ip>");
    ip->address = net_address_parse(address, &ip->ipv6);
    if (ip->address == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "Invalid address '%s' in <ip>", address);
    if (family != NULL && strcmp(family, ip->ipv6 ? "ipv6" : "ipv4") != 0)
        return error_set(error, VIR_ERR_XML_ERROR, "family '%s' does not fit the address '%s' in <ip>",
                         family, address);
    if (!xml_attr_get_uint(node, "prefix", XML_OPTIONAL, &ip->prefix, error))
        return FALSE;
    if (ip->prefix > (ip->ipv6 ? 128u : 32u))
        return error_set(error, VIR_ERR_XML_ERROR, "Invalid prefix value '%u' in <ip>", ip->prefix);
    if (peer == NULL)
        return TRUE;
    ip->peer = net_address_parse(peer, &peer_ipv6);
    if (ip->peer == NULL || peer_ipv6 != ip->ipv6)
        return error_set(error, VIR_ERR_XML_ERROR, "Invalid peer '%s' in <ip>", peer);
    return TRUE;
}

static gboolean parse_route(xmlNodePtr node, NetIpInfo *info, GError **error)
{
    NetRoute *route = g_new0(NetRoute, 1);
    g_autofree char *prefix = xml_get_attr(node, "prefix");

    if (info->routes == NULL)
        info->routes = g_ptr_array_new_with_free_func((GDestroyNotify)route_free);
    g_ptr_array_add(info->routes, route);
    if (info->routes->len > LIST_MAX)
        return error_set(error, VIR_ERR_XML_ERROR, "<interface> has more than %d routes", LIST_MAX);
    route->has_prefix = prefix != NULL;
    route->gateway = xml_get_attr(node, "gateway");
    if (!fields_parse(route_fields, node, route, error) ||
        !xml_attr_get_uint(node, "prefix", XML_OPTIONAL, &route->prefix, error) ||
        !xml_attr_get_uint(node, "metric", XML_NONZERO, &route->metric, error))
        return FALSE;
    return route->gateway != NULL ||
           error_set(error, VIR_ERR_XML_ERROR, "Missing required gateway address in <route>");
}

gboolean net_ip_info_parse(xmlNodePtr node, NetIpInfo *info, GError **error)
{
    XML_FOREACH(child, node, "ip")
    {
        if (!parse_ip(child, info, error))
            return FALSE;
    }
    XML_FOREACH(child, node, "route")
    {
        if (!parse_route(child, info, error))
            return FALSE;
    }
    return TRUE;
}

void net_ip_info_format(XmlWriter *w, const NetIpInfo *info)
{
    for (guint i = 0; info->ips != NULL && i < info->ips->len; i++) {
        const NetIp *ip = g_ptr_array_index(info->ips, i);

        xml_open(w, "ip");
        xml_attr(w, "address", ip->address);
        xml_attr(w, "family", ip->ipv6 ? "ipv6" : "ipv4");
        if (ip->prefix != 0)
            xml_attr_u64(w, "prefix", ip->prefix);
        xml_attr(w, "peer", ip->peer);
        xml_close(w);
    }
    for (guint i = 0; info->routes != NULL && i < info->routes->len; i++) {
        const NetRoute *route = g_ptr_array_index(info->routes, i);

        xml_open(w, "route");
        fields_format(w, route_fields, route);
        if (route->has_prefix)
            xml_attr_u64(w, "prefix", route->prefix);
        xml_attr(w, "gateway", route->gateway);
        if (route->metric != 0)
            xml_attr_u64(w, "metric", route->metric);
        xml_close(w);
    }
}

/* --- VLAN --- */

void net_vlan_clear(NetVlan *vlan)
{
    g_clear_pointer(&vlan->tags, g_free);
    vlan->n_tags = 0;
}

static gboolean parse_tag(xmlNodePtr node, NetVlan *vlan, GError **error)
{
    guint id = 0;
    int native = VLAN_NATIVE_DEFAULT;

    if (!xml_attr_get_uint(node, "id", XML_REQUIRED, &id, error) ||
        !xml_attr_get_enum(node, "nativeMode", vlan_native_from_string, XML_NONZERO, &native, error))
        return FALSE;
    if (id > 4095)
        return error_set(error, VIR_ERR_XML_ERROR, "vlan tag id %u too large (maximum 4095)", id);
    if (native != VLAN_NATIVE_DEFAULT) {
        if (vlan->native_mode != VLAN_NATIVE_DEFAULT)
            return error_set(error, VIR_ERR_XML_ERROR, "duplicate native vlan setting");
        vlan->native_mode = native;
        vlan->native_tag = id;
    }
    vlan->tags = g_renew(guint, vlan->tags, vlan->n_tags + 1);
    vlan->tags[vlan->n_tags++] = id;
    return TRUE;
}

gboolean net_vlan_parse(xmlNodePtr node, NetVlan *vlan, GError **error)
{
    xmlNodePtr child = xml_child(node, "vlan");
    Tristate trunk = TRISTATE_ABSENT;

    if (child == NULL)
        return TRUE;
    if (xml_count(child, "tag") > 4096)
        return error_set(error, VIR_ERR_XML_ERROR, "<vlan> has more tags than there are");
    XML_FOREACH(tag, child, "tag")
    {
        if (!parse_tag(tag, vlan, error))
            return FALSE;
    }
    if (vlan->n_tags == 0)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "missing tag id - each <vlan> must have at least one <tag id='n'/> subelement");
    if (!xml_attr_get_yes_no(child, "trunk", XML_OPTIONAL, &trunk, error))
        return FALSE;
    if (trunk == TRISTATE_NO && (vlan->n_tags > 1 || vlan->native_mode != VLAN_NATIVE_DEFAULT))
        return error_set(error, VIR_ERR_XML_ERROR,
                         "invalid \"trunk='no'\" in <vlan>: with several tags it is a trunk");
    vlan->trunk = trunk == TRISTATE_YES || vlan->n_tags > 1 || vlan->native_mode != VLAN_NATIVE_DEFAULT;
    return TRUE;
}

void net_vlan_format(XmlWriter *w, const NetVlan *vlan)
{
    if (vlan->n_tags == 0)
        return;
    xml_open(w, "vlan");
    if (vlan->trunk)
        xml_attr(w, "trunk", "yes");
    for (guint i = 0; i < vlan->n_tags; i++) {
        xml_open(w, "tag");
        xml_attr_u64(w, "id", vlan->tags[i]);
        if (vlan->native_mode != VLAN_NATIVE_DEFAULT && vlan->native_tag == vlan->tags[i])
            xml_attr(w, "nativeMode", vlan_native_to_string(vlan->native_mode));
        xml_close(w);
    }
    xml_close(w);
}

/* --- virtual port, bandwidth --- */

void net_virtualport_clear(NetVirtualport *port)
{
    fields_clear(parameter_fields, port);
    port->present = FALSE;
}

gboolean net_virtualport_parse(xmlNodePtr node, NetVirtualport *port, GError **error)
{
    xmlNodePtr child = xml_child(node, "virtualport");
    xmlNodePtr parameters;

    if (child == NULL)
        return TRUE;
    parameters = xml_child(child, "parameters");
    if (!fields_parse(virtualport_fields, child, port, error) ||
        (parameters != NULL && !fields_parse(parameter_fields, parameters, port, error)))
        return FALSE;
    port->present = port->type != VIRTUALPORT_NONE || fields_any(parameter_fields, port);
    return TRUE;
}

void net_virtualport_format(XmlWriter *w, const NetVirtualport *port)
{
    if (!port->present)
        return;
    xml_open(w, "virtualport");
    fields_format(w, virtualport_fields, port);
    fields_format_element(w, "parameters", parameter_fields, port);
    xml_close(w);
}

static gboolean parse_rate(xmlNodePtr node, const char *name, NetRate *rate, GError **error)
{
    xmlNodePtr child = xml_child(node, name);

    if (child == NULL)
        return TRUE;
    if (!fields_parse(rate_fields, child, rate, error))
        return FALSE;
    if (rate->average == 0 && rate->floor == 0)
        return error_set(error, VIR_ERR_XML_DETAIL, "Missing mandatory average or floor attributes");
    if (rate->average == 0 && (rate->peak != 0 || rate->burst != 0))
        return error_set(error, VIR_ERR_XML_DETAIL, "'peak' and 'burst' require 'average' attribute");
    if (rate->floor != 0 && strcmp(name, "outbound") == 0)
        return error_set(error, VIR_ERR_XML_DETAIL, "'floor' attribute allowed only in <inbound> element");
    return TRUE;
}

gboolean net_bandwidth_parse(xmlNodePtr node, NetBandwidth *bandwidth, GError **error)
{
    xmlNodePtr child = xml_child(node, "bandwidth");

    if (child == NULL)
        return TRUE;
    if (xml_count(child, "inbound") > 1 || xml_count(child, "outbound") > 1)
        return error_set(error, VIR_ERR_XML_DETAIL, "Only one child <inbound> element allowed");
    if (!parse_rate(child, "inbound", &bandwidth->inbound, error) ||
        !parse_rate(child, "outbound", &bandwidth->outbound, error))
        return FALSE;
    bandwidth->present = xml_child(child, "inbound") != NULL || xml_child(child, "outbound") != NULL;
    return TRUE;
}

void net_bandwidth_format(XmlWriter *w, const NetBandwidth *bandwidth)
{
    if (!bandwidth->present)
        return;
    xml_open(w, "bandwidth");
    fields_format_element(w, "inbound", rate_fields, &bandwidth->inbound);
    fields_format_element(w, "outbound", rate_fields, &bandwidth->outbound);
    xml_close(w);
}

/* --- filter, teaming --- */

static void parameter_free(FilterParameter *parameter)
{
    g_free(parameter->name);
    g_free(parameter->value);
    g_free(parameter);
}

static int compare_parameters(gconstpointer a, gconstpointer b)
{
    const FilterParameter *const *first = a;
    const FilterParameter *const *second = b;

    return strcmp((*first)->name, (*second)->name);
}

void net_filterref_clear(NetFilterref *ref)
{
    g_clear_pointer(&ref->filter, g_free);
    g_clear_pointer(&ref->parameters, g_ptr_array_unref);
}

gboolean net_filterref_parse(xmlNodePtr node, NetFilterref *ref, GError **error)
{
    xmlNodePtr child = xml_child(node, "filterref");

    if (child == NULL)
        return TRUE;
    ref->filter = xml_get_attr(child, "filter");
    if (ref->filter == NULL)
        return TRUE; /* as libvirt: says nothing */
    ref->parameters = g_ptr_array_new_with_free_func((GDestroyNotify)parameter_free);
    XML_FOREACH(node_parameter, child, "parameter")
    {
        FilterParameter *parameter = g_new0(FilterParameter, 1);

        g_ptr_array_add(ref->parameters, parameter);
        parameter->name = xml_get_attr(node_parameter, "name");
        parameter->value = xml_get_attr(node_parameter, "value");
        if (parameter->name == NULL || parameter->value == NULL)
            return error_set(error, VIR_ERR_XML_ERROR, "<parameter> of filterref '%s' needs name and value",
                             ref->filter);
        if (ref->parameters->len > LIST_MAX)
            return error_set(error, VIR_ERR_XML_ERROR, "filterref '%s' has more than %d parameters",
                             ref->filter, LIST_MAX);
    }
    g_ptr_array_sort(ref->parameters, compare_parameters);
    return TRUE;
}

void net_filterref_format(XmlWriter *w, const NetFilterref *ref)
{
    if (ref->filter == NULL)
        return;
    xml_open(w, "filterref");
    xml_attr(w, "filter", ref->filter);
    for (guint i = 0; i < ref->parameters->len; i++) {
        const FilterParameter *parameter = g_ptr_array_index(ref->parameters, i);

        xml_open(w, "parameter");
        xml_attr(w, "name", parameter->name);
        xml_attr(w, "value", parameter->value);
        xml_close(w);
    }
    xml_close(w);
}

gboolean net_teaming_parse(xmlNodePtr node, NetTeaming *teaming, GError **error)
{
    xmlNodePtr child = xml_child(node, "teaming");

    if (child == NULL)
        return TRUE;
    if (!fields_parse(teaming_fields, child, teaming, error))
        return FALSE;
    if (teaming->type == TEAMING_NONE)
        return error_set(error, VIR_ERR_XML_ERROR, "Missing required attribute 'type' in element 'teaming'");
    if (teaming->type == TEAMING_TRANSIENT && teaming->persistent == NULL)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "teaming persistent attribute must be set if teaming type is 'transient'");
    if (teaming->type == TEAMING_PERSISTENT && teaming->persistent != NULL)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "teaming persistent attribute not allowed if teaming type is 'persistent'");
    return TRUE;
}

void net_teaming_format(XmlWriter *w, const NetTeaming *teaming)
{
    if (teaming->type != TEAMING_NONE)
        fields_format_element(w, "teaming", teaming_fields, teaming);
}
