/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <interface>: see def_interface.h. */
#include "driver/conf/def_interface.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/fields.h"

ENUM_TABLE(interface_type, InterfaceType, INTERFACE_LAST, "user", "ethernet", "vhostuser", "server", "client",
           "mcast", "network", "bridge", "internal", "direct", "hostdev", "udp", "vdpa", "null", "vds")
ENUM_TABLE(interface_model, InterfaceModel, INTERFACE_MODEL_LAST, "unknown", "netfront", "rtl8139", "virtio",
           "e1000", "e1000e", "virtio-transitional", "virtio-non-transitional", "usb-net", "spapr-vlan",
           "lan9118", "scm91c111", "vlance", "vmxnet", "vmxnet2", "vmxnet3", "Am79C970A", "Am79C973",
           "82540EM", "82545EM", "82543GC", "other")
ENUM_TABLE(net_driver, NetDriver, NET_DRIVER_LAST, "default", "qemu", "vhost")
ENUM_TABLE(net_txmode, NetTxmode, NET_TXMODE_LAST, "default", "iothread", "timer")
ENUM_TABLE(net_backend, NetBackend, NET_BACKEND_LAST, "default", "passt")
ENUM_TABLE(net_link, NetLink, NET_LINK_LAST, "default", "up", "down")
ENUM_TABLE(mac_type, MacType, MAC_TYPE_LAST, "default", "generated", "static")
ENUM_TABLE(macvtap_mode, MacvtapMode, MACVTAP_LAST, "vepa", "private", "bridge", "passthrough")

static const Field script_fields[] = {FIELD_STR(InterfaceDef, script, "path"), FIELD_END};
static const Field downscript_fields[] = {FIELD_STR(InterfaceDef, downscript, "path"), FIELD_END};
static const Field backenddomain_fields[] = {FIELD_STR(InterfaceDef, backend_domain, "name"), FIELD_END};
static const Field target_fields[] = {
    FIELD_STR(InterfaceDef, target, "dev"),
    FIELD_YES_NO(InterfaceDef, target_managed, "managed"),
    FIELD_END,
};
static const Field guest_dev_fields[] = {
    FIELD_STR(InterfaceDef, guest_dev, "dev"),
    FIELD_STR(InterfaceDef, guest_actual, "actual"),
    FIELD_END,
};
static const Field port_fields[] = {FIELD_YES_NO(InterfaceDef, port_isolated, "isolated"), FIELD_END};
static const Field scripts_fields[] = {
    FIELD_ELEMENT("script", script_fields),
    FIELD_ELEMENT("downscript", downscript_fields),
    FIELD_ELEMENT("backenddomain", backenddomain_fields),
    FIELD_END,
};

static const Field host_fields[] = {
    FIELD_ON_OFF(InterfaceDef, host.csum, "csum"),
    FIELD_ON_OFF(InterfaceDef, host.gso, "gso"),
    FIELD_ON_OFF(InterfaceDef, host.tso4, "tso4"),
    FIELD_ON_OFF(InterfaceDef, host.tso6, "tso6"),
    FIELD_ON_OFF(InterfaceDef, host.ecn, "ecn"),
    FIELD_ON_OFF(InterfaceDef, host.ufo, "ufo"),
    FIELD_ON_OFF(InterfaceDef, host.mrg_rxbuf, "mrg_rxbuf"),
    FIELD_END,
};
static const Field guest_fields[] = {
    FIELD_ON_OFF(InterfaceDef, guest.csum, "csum"), FIELD_ON_OFF(InterfaceDef, guest.tso4, "tso4"),
    FIELD_ON_OFF(InterfaceDef, guest.tso6, "tso6"), FIELD_ON_OFF(InterfaceDef, guest.ecn, "ecn"),
    FIELD_ON_OFF(InterfaceDef, guest.ufo, "ufo"),   FIELD_END,
};
static const Field driver_fields[] = {
    FIELD_ENUM(InterfaceDef, driver, "name", net_driver),
    FIELD_ENUM(InterfaceDef, txmode, "txmode", net_txmode),
    FIELD_ON_OFF(InterfaceDef, ioeventfd, "ioeventfd"),
    FIELD_ON_OFF(InterfaceDef, event_idx, "event_idx"),
    FIELD_UINT(InterfaceDef, queues, "queues"),
    FIELD_UINT(InterfaceDef, rx_queue_size, "rx_queue_size"),
    FIELD_UINT(InterfaceDef, tx_queue_size, "tx_queue_size"),
    FIELD_ON_OFF(InterfaceDef, rss, "rss"),
    FIELD_ON_OFF(InterfaceDef, rss_hash_report, "rss_hash_report"),
    FIELDS_VIRTIO_OPTIONS(InterfaceDef, virtio),
    FIELD_ELEMENT("host", host_fields),
    FIELD_ELEMENT("guest", guest_fields),
    FIELD_END,
};
static const Field backend_fields[] = {
    FIELD_ENUM(InterfaceDef, backend, "type", net_backend),
    FIELD_STR(InterfaceDef, backend_tap, "tap"),
    FIELD_STR(InterfaceDef, backend_vhost, "vhost"),
    FIELD_STR(InterfaceDef, backend_log_file, "logFile"),
    FIELD_END,
};
static const Field link_fields[] = {
    FIELD_ENUM(InterfaceDef, link, "state", net_link, .unknown = "unknown interface link state"), FIELD_END};
static const Field mtu_fields[] = {FIELD_UINT(InterfaceDef, mtu, "size"), FIELD_END};
static const Field frames_fields[] = {FIELD_UINT(InterfaceDef, coalesce_rx_frames, "max"), FIELD_END};
static const Field rx_fields[] = {FIELD_ELEMENT("frames", frames_fields), FIELD_END};
static const Field coalesce_fields[] = {FIELD_ELEMENT("rx", rx_fields), FIELD_END};
static const Field tail_fields[] = {
    FIELD_ELEMENT("link", link_fields),
    FIELD_ELEMENT("mtu", mtu_fields),
    FIELD_ELEMENT("coalesce", coalesce_fields),
    FIELD_END,
};
/* Children that are read as their tables say. */
static const Field child_fields[] = {
    FIELD_ELEMENT("target", target_fields),
    FIELD_ELEMENT("guest", guest_dev_fields),
    FIELD_ELEMENT("script", script_fields),
    FIELD_ELEMENT("downscript", downscript_fields),
    FIELD_ELEMENT("backenddomain", backenddomain_fields),
    FIELD_ELEMENT("backend", backend_fields),
    FIELD_ELEMENT("port", port_fields),
    FIELD_ELEMENT("link", link_fields),
    FIELD_ELEMENT("mtu", mtu_fields),
    FIELD_ELEMENT("coalesce", coalesce_fields),
    FIELD_END,
};
static const Field interface_attributes[] = {
    FIELD_YES_NO(InterfaceDef, trust_guest_rx_filters, "trustGuestRxFilters"),
    FIELD_END,
};
static const Field mac_fields[] = {
    FIELD_ENUM(InterfaceDef, mac_type, "type", mac_type),
    FIELD_YES_NO(InterfaceDef, mac_check, "check"),
    FIELD_END,
};
/* --- questions --- */

InterfaceType interface_actual_type(const InterfaceDef *def)
{
    return def->type == INTERFACE_NETWORK && def->has_actual ? def->actual_type : def->type;
}

gboolean interface_is_ovs(const InterfaceDef *def)
{
    return interface_actual_type(def) == INTERFACE_BRIDGE && def->virtualport.present &&
           def->virtualport.type == VIRTUALPORT_OPENVSWITCH;
}

const char *interface_actual_source(const InterfaceDef *def)
{
    return def->type == INTERFACE_NETWORK && def->has_actual ? def->actual_source : def->source;
}

gboolean interface_is_virtio(const InterfaceDef *def)
{
    return def->model == INTERFACE_MODEL_VIRTIO || def->model == INTERFACE_MODEL_VIRTIO_TRANSITIONAL ||
           def->model == INTERFACE_MODEL_VIRTIO_NON_TRANSITIONAL;
}

const char *interface_model_text(const InterfaceDef *def)
{
    switch (def->model) {
    case INTERFACE_MODEL_NONE:
        return NULL;
    case INTERFACE_MODEL_OTHER:
        return def->model_name;
    default:
        return interface_model_to_string(def->model);
    }
}

/* --- reading --- */

static gboolean parse_model(xmlNodePtr node, InterfaceDef *def, GError **error)
{
    xmlNodePtr model = xml_child(node, "model");
    g_autofree char *type = model != NULL ? xml_get_attr(model, "type") : NULL;

    if (type == NULL || *type == '\0')
        return TRUE;
    for (int i = INTERFACE_MODEL_NETFRONT; i < INTERFACE_MODEL_OTHER; i++) {
        if (g_ascii_strcasecmp(type, interface_model_to_string(i)) == 0) {
            def->model = i;
            return TRUE;
        }
    }
    for (const char *p = type; *p != '\0'; p++) {
        if (!g_ascii_isalnum(*p) && strchr("-_", *p) == NULL)
            return error_set(error, VIR_ERR_INVALID_ARG,
                             "Model name '%s' of interface contains invalid characters", type);
    }
    def->model = INTERFACE_MODEL_OTHER;
    def->model_name = g_steal_pointer(&type);
    return TRUE;
}

static gboolean parse_mac(xmlNodePtr node, InterfaceDef *def, GError **error)
{
    xmlNodePtr mac = xml_child(node, "mac");
    g_autofree char *address = mac != NULL ? xml_get_attr(mac, "address") : NULL;
    char canonical[MAC_TEXT_LEN];

    if (mac == NULL)
        return TRUE;
    if (address != NULL) {
        if (!mac_parse(address, canonical))
            return error_set(error, VIR_ERR_XML_ERROR, "unable to parse mac address '%s'", address);
        if (mac_is_multicast(canonical))
            return error_set(error, VIR_ERR_XML_ERROR, "expected unicast mac address, found multicast '%s'",
                             address);
        def->mac = g_strdup(canonical);
    }
    return fields_parse(mac_fields, mac, def, error);
}

static gboolean parse_virtualport(xmlNodePtr node, InterfaceDef *def, GError **error)
{
    NetVirtualport *port = &def->virtualport;
    guint8 uuid[16];
    char text[UUID_TEXT_SIZE];

    if (xml_child(node, "virtualport") == NULL)
        return TRUE;
    if (!interface_type_has_virtualport(def->type))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "<virtualport> element unsupported for <interface type='%s'>",
                         interface_type_to_string(def->type));
    if (!net_virtualport_parse(node, port, error))
        return FALSE;
    if (port->type == VIRTUALPORT_NONE && def->type != INTERFACE_NETWORK)
        return error_set(error, VIR_ERR_XML_ERROR, "missing required virtualport type");
    if (port->interfaceid != NULL && !uuid_parse(port->interfaceid, uuid))
        return error_set(error, VIR_ERR_XML_ERROR, "cannot parse interfaceid parameter '%s' as a uuid",
                         port->interfaceid);
    if (port->instanceid != NULL && !uuid_parse(port->instanceid, uuid))
        return error_set(error, VIR_ERR_XML_ERROR, "cannot parse instanceid parameter '%s' as a uuid",
                         port->instanceid);
    if (port->type == VIRTUALPORT_OPENVSWITCH && port->interfaceid == NULL) {
        uuid_generate(uuid);
        uuid_format(uuid, text);
        port->interfaceid = g_strdup(text);
    }
    return TRUE;
}

/* Names that we give to devices ourselves: new at each start. */
static gboolean is_generated_name(const char *name)
{
    return g_str_has_prefix(name, "vnet") || g_str_has_prefix(name, "macvtap") ||
           g_str_has_prefix(name, "macvlan");
}

static gboolean parse_driver(xmlNodePtr node, InterfaceDef *def, GError **error)
{
    xmlNodePtr driver = xml_child(node, "driver");
    xmlNodePtr tune = xml_child(node, "tune");

    if (driver != NULL && def->type != INTERFACE_HOSTDEV) {
        if (interface_is_virtio(def)) {
            if (!fields_parse(driver_fields, driver, def, error))
                return FALSE;
        } else if (!virtio_options_parse(&def->virtio, driver, error)) { /* to be refused later */
            return FALSE;
        }
    }
    if (!interface_is_virtio(def))
        g_clear_pointer(&def->backend_vhost, g_free);
    if (def->queues == 1)
        def->queues = 0;
    def->has_sndbuf = tune != NULL && xml_child(tune, "sndbuf") != NULL;
    return !def->has_sndbuf || xml_child_get_u64(tune, "sndbuf", XML_OPTIONAL, &def->sndbuf, error);
}

static gboolean interface_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    InterfaceDef *def = (InterfaceDef *)dev;

    if (!xml_attr_get_enum(node, "type", interface_type_from_string, XML_OPTIONAL, (int *)&def->type,
                           error) ||
        !fields_parse(interface_attributes, node, def, error) || !parse_model(node, def, error) ||
        !interface_source_parse(node, def, ctx->flags, error) || !parse_virtualport(node, def, error) ||
        !fields_parse(child_fields, node, def, error) || !net_bandwidth_parse(node, &def->bandwidth, error) ||
        !net_vlan_parse(node, &def->vlan, error) || !parse_mac(node, def, error) ||
        !net_ip_info_parse(node, &def->guest_ip, error) || !port_forwards_parse(node, &def->port_forwards, error) ||
        !parse_driver(node, def, error) || !net_teaming_parse(node, &def->teaming, error))
        return FALSE;
    if (interface_type_has_filterref(def->type) && !net_filterref_parse(node, &def->filterref, error))
        return FALSE;
    if (def->bandwidth.inbound.floor != 0 && def->type != INTERFACE_NETWORK)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "unsupported 'floor' parameter for interface of type '%s': it needs type 'network'",
                         interface_type_to_string(def->type));
    if (def->target != NULL && def->target_managed != TRISTATE_NO &&
        (ctx->flags & DOMAIN_DEF_PARSE_INACTIVE) && is_generated_name(def->target))
        g_clear_pointer(&def->target, g_free);
    return device_info_parse(dev, node, ctx->flags, error);
}

/* --- writing --- */

static void format_target(XmlWriter *w, const InterfaceDef *def, guint flags)
{
    gboolean hidden = def->target != NULL && def->target_managed != TRISTATE_NO &&
                      (flags & DOMAIN_DEF_FORMAT_INACTIVE) && is_generated_name(def->target);
    InterfaceDef twin = {.target = hidden ? NULL : def->target, .target_managed = def->target_managed};

    fields_format_element(w, "target", target_fields, &twin);
}

static void interface_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const InterfaceDef *def = (const InterfaceDef *)dev;
    gboolean actual = def->type == INTERFACE_NETWORK && def->has_actual &&
                      !(fmt->flags & (DOMAIN_DEF_FORMAT_INACTIVE | DOMAIN_DEF_FORMAT_MIGRATABLE));
    const char *model = interface_model_text(def);

    xml_open(w, "interface");
    xml_attr(w, "type", interface_type_to_string(actual ? def->actual_type : def->type));
    if (def->hostdev != NULL && def->hostdev->managed)
        xml_attr(w, "managed", "yes");
    fields_format(w, interface_attributes, def);
    if (def->mac != NULL) {
        xml_open(w, "mac");
        xml_attr(w, "address", def->mac);
        fields_format(w, mac_fields, def);
        xml_close(w);
    }
    interface_source_format(w, def, actual, fmt->flags);
    net_vlan_format(w, &def->vlan);
    net_virtualport_format(w, &def->virtualport);
    net_bandwidth_format(w, &def->bandwidth);
    fields_format_element(w, "port", port_fields, def);
    net_ip_info_format(w, &def->guest_ip);
    port_forwards_format(w, def->port_forwards);
    fields_format(w, scripts_fields, def);
    format_target(w, def, fmt->flags);
    fields_format_element(w, "guest", guest_dev_fields, def);
    if (model != NULL) {
        xml_open(w, "model");
        xml_attr(w, "type", model);
        xml_close(w);
    }
    if (interface_is_virtio(def))
        fields_format_element(w, "driver", driver_fields, def);
    fields_format_element(w, "backend", backend_fields, def);
    net_filterref_format(w, &def->filterref);
    if (def->has_sndbuf) {
        xml_open(w, "tune");
        xml_element_u64(w, "sndbuf", def->sndbuf);
        xml_close(w);
    }
    net_teaming_format(w, &def->teaming);
    fields_format(w, tail_fields, def);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

/* libvirt: by MAC, if one was given; address and alias are compared by the caller. */
static gboolean interface_matches(const DeviceInfo *dev, const DeviceInfo *wanted_dev)
{
    const InterfaceDef *def = (const InterfaceDef *)dev;
    const InterfaceDef *wanted = (const InterfaceDef *)wanted_dev;

    return wanted->mac == NULL || wanted->mac_generated || g_strcmp0(def->mac, wanted->mac) == 0;
}

static void interface_clear(DeviceInfo *dev)
{
    InterfaceDef *def = (InterfaceDef *)dev;

    fields_clear(child_fields, def);
    g_free(def->mac);
    g_free(def->source);
    g_free(def->portgroup);
    g_free(def->portid);
    g_free(def->socket_address);
    g_free(def->local_address);
    g_free(def->vds_switchid);
    g_free(def->vds_portgroupid);
    g_free(def->actual_source);
    g_free(def->model_name);
    g_free(def->teaming.persistent);
    chr_source_clear(&def->vhostuser);
    if (def->hostdev != NULL)
        hostdev_clear_source(def->hostdev);
    g_free(def->hostdev);
    net_ip_info_clear(&def->source_ip);
    net_ip_info_clear(&def->guest_ip);
    net_vlan_clear(&def->vlan);
    net_virtualport_clear(&def->virtualport);
    net_filterref_clear(&def->filterref);
    g_clear_pointer(&def->port_forwards, g_ptr_array_unref);
}

static guint interface_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    const InterfaceDef *def = (const InterfaceDef *)dev;

    (void)domain;
    if (def->type == INTERFACE_HOSTDEV)
        return def->hostdev != NULL && def->hostdev->type == HOSTDEV_PCI
                   ? PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_EXPRESS | PCI_CONNECT_HOTPLUG
                   : PCI_CONNECT_NONE;
    switch (def->model) {
    case INTERFACE_MODEL_USB_NET:
        return PCI_CONNECT_NONE;
    case INTERFACE_MODEL_VIRTIO:
    case INTERFACE_MODEL_VIRTIO_NON_TRANSITIONAL:
    case INTERFACE_MODEL_E1000E:
    case INTERFACE_MODEL_OTHER: /* as libvirt: who knows */
        return PCI_CONNECT_EXPRESS | PCI_CONNECT_HOTPLUG;
    default:
        return PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_HOTPLUG;
    }
}

const DeviceDefOps interface_def_ops = {
    .kind = DEVICE_INTERFACE,
    .size = sizeof(InterfaceDef),
    .parse = interface_parse,
    .format = interface_format,
    .post_parse = interface_post_parse,
    .validate = interface_validate,
    .matches = interface_matches,
    .match_by_address = TRUE,
    .clear = interface_clear,
    .pci_connect = interface_pci_connect,
};
