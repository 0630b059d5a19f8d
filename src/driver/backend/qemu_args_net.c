/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network interfaces: -netdev and the card. Taps, vhost and the stream to passt come as descriptors. */
#include <string.h>

#include "driver/backend/qemu_args_priv.h"

static char *join_fds(QemuBuilder *b, const int *fds, guint n)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < n; i++)
        g_string_append_printf(text, "%s%d", i ? ":" : "", args_pass_fd(b, fds[i]));
    return g_string_free(text, FALSE);
}

static gboolean tap_netdev(QemuBuilder *b, const InterfaceDef *net, const QemuNetFds *fds, json_t *netdev,
                           GError **error)
{
    g_autofree char *taps = NULL;

    if (fds == NULL || fds->n_tap == 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "interface '%s' has no tap device", net->mac);
    prop_str(netdev, "type", "tap");
    taps = join_fds(b, fds->tap, fds->n_tap);
    prop_str(netdev, fds->n_tap > 1 ? "fds" : "fd", taps);
    if (fds->n_vhost > 0) {
        g_autofree char *vhosts = join_fds(b, fds->vhost, fds->n_vhost);

        json_object_set_new(netdev, "vhost", json_true());
        prop_str(netdev, fds->n_vhost > 1 ? "vhostfds" : "vhostfd", vhosts);
    }
    prop_uint(netdev, "sndbuf", net->has_sndbuf ? net->sndbuf : 0);
    return TRUE;
}

/* <portForward> of slirp: each port on its own. */
static gboolean slirp_forwards(const InterfaceDef *net, json_t *netdev, GError **error)
{
    json_t *list = json_array();

    for (guint i = 0; net->port_forwards != NULL && i < net->port_forwards->len; i++) {
        const PortForward *forward = net->port_forwards->pdata[i];
        const char *proto = forward->proto == PORT_PROTO_UDP ? "udp" : "tcp";

        for (guint k = 0; forward->ranges != NULL && k < forward->ranges->len; k++) {
            const PortRange *range = forward->ranges->pdata[k];
            guint end = range->end ? range->end : range->start;

            if (range->exclude == TRISTATE_YES)
                continue;
            for (guint port = range->start; port != 0 && port <= end && end - range->start < 1024; port++) {
                guint to = (range->to ? range->to : range->start) + (port - range->start);
                g_autofree char *text = g_strdup_printf("%s:%s:%u-:%u", proto,
                                                        forward->address ? forward->address : "", port, to);

                json_array_append_new(list, json_pack("{s:s}", "str", text));
            }
        }
        if (forward->ranges == NULL || forward->ranges->len == 0) {
            json_decref(list);
            return args_unsupported(error, "<portForward> without a range needs <backend type='passt'/>");
        }
    }
    if (json_array_size(list) > 0)
        json_object_set_new(netdev, "hostfwd", list);
    else
        json_decref(list);
    return TRUE;
}

static gboolean user_netdev(QemuBuilder *b, const InterfaceDef *net, const QemuNetFds *fds, json_t *netdev,
                            GError **error)
{
    if (net->backend == NET_BACKEND_PASST) {
        char number[16];

        if (fds == NULL || fds->stream < 0)
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "interface '%s' has no connection to passt",
                             net->mac);
        g_snprintf(number, sizeof(number), "%d", args_pass_fd(b, fds->stream));
        prop_str(netdev, "type", "stream");
        json_object_set_new(netdev, "server", json_false());
        json_object_set_new(netdev, "addr", json_pack("{s:s, s:s}", "type", "fd", "str", number));
        return TRUE;
    }
    if (b->context->caps != NULL && !qemu_caps_has_variant(b->context->caps, "netdev", "user"))
        return args_unsupported(error, "'%s' was built without slirp: use <backend type='passt'/>",
                                b->context->emulator);
    prop_str(netdev, "type", "user");
    for (guint i = 0; net->guest_ip.ips != NULL && i < net->guest_ip.ips->len; i++) {
        const NetIp *ip = net->guest_ip.ips->pdata[i];
        g_autofree char *text = NULL;

        if (ip->ipv6) {
            text = g_strdup(ip->address);
            prop_str(netdev, "ipv6-prefix", text);
            prop_uint(netdev, "ipv6-prefixlen", ip->prefix);
        } else {
            text = ip->prefix ? g_strdup_printf("%s/%u", ip->address, ip->prefix)
                              : g_strdup_printf("%s/24", ip->address);
            prop_str(netdev, "net", text);
        }
    }
    return slirp_forwards(net, netdev, error);
}

static gboolean socket_netdev(const InterfaceDef *net, json_t *netdev)
{
    g_autofree char *remote =
        g_strdup_printf("%s:%d", net->socket_address ? net->socket_address : "", net->socket_port);

    prop_str(netdev, "type", "socket");
    switch (interface_actual_type(net)) {
    case INTERFACE_SERVER:
        prop_str(netdev, "listen", remote);
        break;
    case INTERFACE_CLIENT:
        prop_str(netdev, "connect", remote);
        break;
    case INTERFACE_MCAST:
        prop_str(netdev, "mcast", remote);
        break;
    default: {
        g_autofree char *local =
            g_strdup_printf("%s:%d", net->local_address ? net->local_address : "", net->local_port);

        prop_str(netdev, "udp", remote);
        prop_str(netdev, "localaddr", local);
    }
    }
    return TRUE;
}

static gboolean vhostuser_netdev(QemuBuilder *b, const InterfaceDef *net, json_t *netdev, GError **error)
{
    g_autofree char *chardev = g_strconcat("char", net->info.alias, NULL);

    if (!args_chardev(b, &net->vhostuser, net->info.alias, error))
        return FALSE;
    prop_str(netdev, "type", "vhost-user");
    prop_str(netdev, "chardev", chardev);
    prop_uint(netdev, "queues", net->queues > 1 ? net->queues : 0);
    return TRUE;
}

static gboolean add_netdev(QemuBuilder *b, const InterfaceDef *net, const QemuNetFds *fds, GError **error)
{
    g_autofree char *id = g_strconcat("host", net->info.alias, NULL);
    json_t *netdev = json_object();
    gboolean ok;

    switch (interface_actual_type(net)) {
    case INTERFACE_USER:
        ok = user_netdev(b, net, fds, netdev, error);
        break;
    case INTERFACE_ETHERNET:
    case INTERFACE_BRIDGE:
    case INTERFACE_NETWORK:
        ok = tap_netdev(b, net, fds, netdev, error);
        break;
    case INTERFACE_SERVER:
    case INTERFACE_CLIENT:
    case INTERFACE_MCAST:
    case INTERFACE_UDP:
        ok = socket_netdev(net, netdev);
        break;
    case INTERFACE_VHOSTUSER:
        ok = vhostuser_netdev(b, net, netdev, error);
        break;
    case INTERFACE_VDPA:
        ok = TRUE;
        prop_str(netdev, "type", "vhost-vdpa");
        prop_str(netdev, "vhostdev", net->source);
        prop_uint(netdev, "queues", net->queues > 1 ? net->queues : 0);
        break;
    default:
        ok = args_unsupported(error, "<interface type='%s'> is not supported",
                              interface_type_to_string(interface_actual_type(net)));
    }
    if (!ok) {
        json_decref(netdev);
        return FALSE;
    }
    prop_str(netdev, "id", id);
    args_add_json(b, "-netdev", netdev);
    return TRUE;
}

static const struct {
    InterfaceModel model;
    const char *driver;
} cards[] = {
    {INTERFACE_MODEL_RTL8139, "rtl8139"}, {INTERFACE_MODEL_E1000, "e1000"},
    {INTERFACE_MODEL_E1000E, "e1000e"},   {INTERFACE_MODEL_USB_NET, "usb-net"},
    {INTERFACE_MODEL_VMXNET3, "vmxnet3"}, {INTERFACE_MODEL_82540EM, "e1000"},
    {INTERFACE_MODEL_AM79C973, "pcnet"},  {INTERFACE_MODEL_82545EM, "e1000-82545em"},
};

/* Caller frees. */
static char *card_driver(const InterfaceDef *net)
{
    const char *name = interface_model_text(net);

    switch (net->model) {
    case INTERFACE_MODEL_VIRTIO:
        return g_strdup("virtio-net-pci");
    case INTERFACE_MODEL_VIRTIO_TRANSITIONAL:
        return g_strdup("virtio-net-pci-transitional");
    case INTERFACE_MODEL_VIRTIO_NON_TRANSITIONAL:
        return g_strdup("virtio-net-pci-non-transitional");
    default:
        break;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(cards); i++) {
        if (cards[i].model == net->model)
            return g_strdup(cards[i].driver);
    }
    return g_strdup(name ? name : "rtl8139"); /* QEMU's own names: ne2k_pci, pcnet, igb, ... */
}

static void virtio_net_props(const InterfaceDef *net, json_t *props)
{
    if (net->txmode == NET_TXMODE_IOTHREAD)
        prop_str(props, "tx", "bh");
    else if (net->txmode == NET_TXMODE_TIMER)
        prop_str(props, "tx", "timer");
    prop_bool(props, "ioeventfd", net->ioeventfd);
    prop_bool(props, "event_idx", net->event_idx);
    prop_bool(props, "csum", net->host.csum);
    prop_bool(props, "gso", net->host.gso);
    prop_bool(props, "host_tso4", net->host.tso4);
    prop_bool(props, "host_tso6", net->host.tso6);
    prop_bool(props, "host_ecn", net->host.ecn);
    prop_bool(props, "host_ufo", net->host.ufo);
    prop_bool(props, "mrg_rxbuf", net->host.mrg_rxbuf);
    prop_bool(props, "guest_csum", net->guest.csum);
    prop_bool(props, "guest_tso4", net->guest.tso4);
    prop_bool(props, "guest_tso6", net->guest.tso6);
    prop_bool(props, "guest_ecn", net->guest.ecn);
    prop_bool(props, "guest_ufo", net->guest.ufo);
    if (net->queues > 1) {
        json_object_set_new(props, "mq", json_true());
        prop_int(props, "vectors", (gint64)net->queues * 2 + 2);
    }
    prop_bool(props, "rss", net->rss);
    prop_bool(props, "hash", net->rss_hash_report);
    prop_uint(props, "rx_queue_size", net->rx_queue_size);
    prop_uint(props, "tx_queue_size", net->tx_queue_size);
    prop_uint(props, "host_mtu", net->mtu);
    if (net->teaming.type == TEAMING_PERSISTENT)
        json_object_set_new(props, "failover", json_true());
    virtio_props(props, &net->virtio);
}

json_t *qemu_interface_device(const DomainDef *def, const InterfaceDef *net, GError **error)
{
    g_autofree char *driver = card_driver(net);
    g_autofree char *netdev = g_strconcat("host", net->info.alias, NULL);
    json_t *props = device_props(driver);

    if (interface_is_virtio(net))
        virtio_net_props(net, props);
    prop_str(props, "netdev", netdev);
    prop_str(props, "mac", net->mac);
    if (!device_finish(def, props, &net->info, error)) {
        json_decref(props);
        return NULL;
    }
    return props;
}

gboolean args_interface(QemuBuilder *b, const InterfaceDef *net, const QemuNetFds *fds, GError **error)
{
    json_t *props;

    if (net->type == INTERFACE_HOSTDEV)
        return args_hostdev_interface(b, net, error);
    if (!add_netdev(b, net, fds, error))
        return FALSE;
    props = qemu_interface_device(b->def, net, error);
    if (props == NULL)
        return FALSE;
    if (!args_require_device(b, json_string_value(json_object_get(props, "driver")), "<interface>", error)) {
        json_decref(props);
        return FALSE;
    }
    args_add_json(b, "-device", props);
    return TRUE;
}

gboolean args_interfaces(QemuBuilder *b, GError **error)
{
    guint i = 0;

    DOMAIN_DEF_FOREACH(InterfaceDef, net, b->def, DEVICE_INTERFACE)
    {
        if (!args_interface(b, net, b->context->nets ? &b->context->nets[i] : NULL, error))
            return FALSE;
        i++;
    }
    return TRUE;
}
