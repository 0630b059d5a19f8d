/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parts of <interface> that networks and host devices share: addresses and routes, VLAN, virtual port, bandwidth,
 * filter reference, teaming, MAC addresses. formatdomain, "Network interfaces".
 */
#pragma once

#include "common/enum_table.h"
#include "common/xml.h"

#define MAC_TEXT_LEN 18 /* "52:54:00:12:34:56" and the end */
/* "52:54:0:12:34:56" into lower case with two digits each. FALSE when it is no MAC address. */
gboolean mac_parse(const char *text, char ret_mac[MAC_TEXT_LEN]);
gboolean mac_is_multicast(const char *mac);

/* The canonical form of an IPv4 or IPv6 address, to be freed; NULL when text is none. ret_ipv6 may be NULL. */
char *net_address_parse(const char *text, gboolean *ret_ipv6);

typedef struct {
    char *address;
    gboolean ipv6;
    guint prefix; /* 0: not given */
    char *peer;
} NetIp;

typedef struct {
    char *family; /* as written, or NULL */
    char *address;
    char *netmask;
    gboolean has_prefix;
    guint prefix;
    char *gateway;
    guint metric; /* 0: not given */
} NetRoute;

/* <ip> and <route> children of one element. */
typedef struct {
    GPtrArray *ips;    /* of NetIp; NULL when there is none */
    GPtrArray *routes; /* of NetRoute */
} NetIpInfo;

void net_ip_info_clear(NetIpInfo *info);
gboolean net_ip_info_parse(xmlNodePtr node, NetIpInfo *info, GError **error);
void net_ip_info_format(XmlWriter *w, const NetIpInfo *info);
gboolean net_ip_info_any(const NetIpInfo *info);

typedef enum {
    VLAN_NATIVE_DEFAULT = 0,
    VLAN_NATIVE_TAGGED,
    VLAN_NATIVE_UNTAGGED,
    VLAN_NATIVE_LAST
} VlanNative;
ENUM_TABLE_DECL(vlan_native, VlanNative)

typedef struct {
    guint *tags;
    guint n_tags; /* 0: no <vlan> */
    gboolean trunk;
    VlanNative native_mode;
    guint native_tag;
} NetVlan;

void net_vlan_clear(NetVlan *vlan);
gboolean net_vlan_parse(xmlNodePtr node, NetVlan *vlan, GError **error);
void net_vlan_format(XmlWriter *w, const NetVlan *vlan);

typedef enum {
    VIRTUALPORT_NONE = 0,
    VIRTUALPORT_8021QBG,
    VIRTUALPORT_8021QBH,
    VIRTUALPORT_OPENVSWITCH,
    VIRTUALPORT_MIDONET,
    VIRTUALPORT_LAST
} VirtualportType;
ENUM_TABLE_DECL(virtualport_type, VirtualportType)

typedef struct {
    gboolean present;
    VirtualportType type;
    char *managerid, *typeid, *typeidversion, *instanceid, *interfaceid, *profileid;
} NetVirtualport;

void net_virtualport_clear(NetVirtualport *port);
gboolean net_virtualport_parse(xmlNodePtr node, NetVirtualport *port, GError **error);
void net_virtualport_format(XmlWriter *w, const NetVirtualport *port);

/* Kilobytes (1024 bytes) a second; burst in kilobytes. average 0: not limited. */
typedef struct {
    guint64 average, peak, burst, floor;
} NetRate;

typedef struct {
    gboolean present;
    NetRate inbound, outbound;
} NetBandwidth;

gboolean net_bandwidth_parse(xmlNodePtr node, NetBandwidth *bandwidth, GError **error);
void net_bandwidth_format(XmlWriter *w, const NetBandwidth *bandwidth);

typedef struct {
    char *name;
    char *value;
} FilterParameter;

typedef struct {
    char *filter;          /* NULL: no <filterref> */
    GPtrArray *parameters; /* of FilterParameter, sorted by name */
} NetFilterref;

void net_filterref_clear(NetFilterref *ref);
gboolean net_filterref_parse(xmlNodePtr node, NetFilterref *ref, GError **error);
void net_filterref_format(XmlWriter *w, const NetFilterref *ref);

typedef enum { TEAMING_NONE = 0, TEAMING_PERSISTENT, TEAMING_TRANSIENT, TEAMING_LAST } TeamingType;
ENUM_TABLE_DECL(teaming_type, TeamingType)

typedef struct {
    TeamingType type;
    char *persistent; /* alias of the other device, of transient ones */
} NetTeaming;

gboolean net_teaming_parse(xmlNodePtr node, NetTeaming *teaming, GError **error);
void net_teaming_format(XmlWriter *w, const NetTeaming *teaming);
