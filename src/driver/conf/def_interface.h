/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <interface>: formatdomain, "Network interfaces". */
#pragma once

#include "driver/conf/def_chr_source.h"
#include "driver/conf/def_hostdev.h"
#include "driver/conf/def_net_common.h"
#include "driver/conf/device_def.h"
#include "driver/conf/port_forward.h"

typedef enum {
    INTERFACE_USER = 0,
    INTERFACE_ETHERNET,
    INTERFACE_VHOSTUSER,
    INTERFACE_SERVER,
    INTERFACE_CLIENT,
    INTERFACE_MCAST,
    INTERFACE_NETWORK,
    INTERFACE_BRIDGE,
    INTERFACE_INTERNAL,
    INTERFACE_DIRECT,
    INTERFACE_HOSTDEV,
    INTERFACE_UDP,
    INTERFACE_VDPA,
    INTERFACE_NULL,
    INTERFACE_VDS,
    INTERFACE_LAST
} InterfaceType;
ENUM_TABLE_DECL(interface_type, InterfaceType)

/* Models by name; INTERFACE_MODEL_OTHER keeps a name we do not know in model_name. */
typedef enum {
    INTERFACE_MODEL_NONE = 0,
    INTERFACE_MODEL_NETFRONT,
    INTERFACE_MODEL_RTL8139,
    INTERFACE_MODEL_VIRTIO,
    INTERFACE_MODEL_E1000,
    INTERFACE_MODEL_E1000E,
    INTERFACE_MODEL_VIRTIO_TRANSITIONAL,
    INTERFACE_MODEL_VIRTIO_NON_TRANSITIONAL,
    INTERFACE_MODEL_USB_NET,
    INTERFACE_MODEL_SPAPR_VLAN,
    INTERFACE_MODEL_LAN9118,
    INTERFACE_MODEL_SCM91C111,
    INTERFACE_MODEL_VLANCE,
    INTERFACE_MODEL_VMXNET,
    INTERFACE_MODEL_VMXNET2,
    INTERFACE_MODEL_VMXNET3,
    INTERFACE_MODEL_AM79C970A,
    INTERFACE_MODEL_AM79C973,
    INTERFACE_MODEL_82540EM,
    INTERFACE_MODEL_82545EM,
    INTERFACE_MODEL_82543GC,
    INTERFACE_MODEL_OTHER,
    INTERFACE_MODEL_LAST
} InterfaceModel;
ENUM_TABLE_DECL(interface_model, InterfaceModel)

typedef enum { NET_DRIVER_DEFAULT = 0, NET_DRIVER_QEMU, NET_DRIVER_VHOST, NET_DRIVER_LAST } NetDriver;
ENUM_TABLE_DECL(net_driver, NetDriver)

typedef enum { NET_TXMODE_DEFAULT = 0, NET_TXMODE_IOTHREAD, NET_TXMODE_TIMER, NET_TXMODE_LAST } NetTxmode;
ENUM_TABLE_DECL(net_txmode, NetTxmode)

/* <backend type=>: default is slirp for type user. */
typedef enum { NET_BACKEND_DEFAULT = 0, NET_BACKEND_PASST, NET_BACKEND_LAST } NetBackend;
ENUM_TABLE_DECL(net_backend, NetBackend)

typedef enum { NET_LINK_DEFAULT = 0, NET_LINK_UP, NET_LINK_DOWN, NET_LINK_LAST } NetLink;
ENUM_TABLE_DECL(net_link, NetLink)

typedef enum { MAC_TYPE_DEFAULT = 0, MAC_TYPE_GENERATED, MAC_TYPE_STATIC, MAC_TYPE_LAST } MacType;
ENUM_TABLE_DECL(mac_type, MacType)

typedef enum {
    MACVTAP_VEPA = 0,
    MACVTAP_PRIVATE,
    MACVTAP_BRIDGE,
    MACVTAP_PASSTHROUGH,
    MACVTAP_LAST
} MacvtapMode;
ENUM_TABLE_DECL(macvtap_mode, MacvtapMode)

typedef struct {
    DeviceInfo info;
    InterfaceType type;
    Tristate trust_guest_rx_filters;

    char *mac; /* "52:54:00:12:34:56"; NULL: to be generated */
    gboolean mac_generated; /* mac was not in the XML: an XML to detach or update then fits any */
    MacType mac_type;
    Tristate mac_check;

    /* <source>, by type */
    char *source;               /* network, bridge, internal name; direct, vdpa dev; user (passt) dev */
    char *portgroup;            /* network */
    char *portid;               /* network, live */
    MacvtapMode mode;           /* direct */
    char *socket_address;       /* server, client, mcast, udp */
    int socket_port;
    char *local_address; /* udp */
    int local_port;
    ChrSource vhostuser;  /* vhostuser: type unix, path, mode (bind = server), reconnect */
    HostdevDef *hostdev;  /* hostdev; its info is unused */
    NetIpInfo source_ip;  /* <source><ip/>…: addresses on the host's side */
    char *vds_switchid, *vds_portgroupid;
    gint64 vds_portid, vds_connectionid;
    /* Live, type network: what the network gave (bridge, macvtap); written in place of type and source. */
    gboolean has_actual;
    InterfaceType actual_type;
    char *actual_source;
    MacvtapMode actual_mode;

    NetVlan vlan;
    NetVirtualport virtualport;
    NetBandwidth bandwidth;
    Tristate port_isolated;
    NetIpInfo guest_ip;
    GPtrArray *port_forwards; /* of PortForward; NULL when there is none */
    char *script, *downscript;
    char *backend_domain;
    char *target; /* <target dev>: name of the tap on the host */
    Tristate target_managed;
    char *guest_dev, *guest_actual;

    InterfaceModel model;
    char *model_name; /* model OTHER: as written */

    NetDriver driver; /* virtio models: <driver> */
    NetTxmode txmode;
    Tristate ioeventfd, event_idx;
    guint queues, rx_queue_size, tx_queue_size; /* 0: default */
    Tristate rss, rss_hash_report;
    VirtioOptions virtio;
    struct {
        Tristate csum, gso, tso4, tso6, ecn, ufo, mrg_rxbuf;
    } host;
    struct {
        Tristate csum, tso4, tso6, ecn, ufo;
    } guest;

    NetBackend backend;
    char *backend_tap, *backend_vhost, *backend_log_file;
    NetFilterref filterref;
    gboolean has_sndbuf;
    guint64 sndbuf; /* bytes */
    NetTeaming teaming;
    NetLink link;
    guint mtu;                /* 0: default */
    guint coalesce_rx_frames; /* 0: not given */
} InterfaceDef;

/* What the interface really is while the domain runs. */
InterfaceType interface_actual_type(const InterfaceDef *def);
/* On a bridge of Open vSwitch. */
gboolean interface_is_ovs(const InterfaceDef *def);
const char *interface_actual_source(const InterfaceDef *def); /* bridge or device; may be NULL */
gboolean interface_is_virtio(const InterfaceDef *def);
/* "virtio", "e1000", or the name as written; NULL when none is chosen yet. */
const char *interface_model_text(const InterfaceDef *def);

extern const DeviceDefOps interface_def_ops;

/* def_interface_source.c: <source>, and what an interface of each type may have beside it. */
gboolean interface_source_parse(xmlNodePtr node, InterfaceDef *def, guint flags, GError **error);
/* actual: what the network gave, in place of what the definition says. */
void interface_source_format(XmlWriter *w, const InterfaceDef *def, gboolean actual, guint flags);
gboolean interface_type_has_virtualport(InterfaceType type);
gboolean interface_type_has_filterref(InterfaceType type);

/* def_interface_rules.c: what libvirt adds to an interface, and what it refuses. DeviceDefOps. */
gboolean interface_post_parse(DeviceInfo *dev, const DeviceContext *ctx, GError **error);
gboolean interface_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error);
