/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <interface>: defaults and rules. See def_interface.h. */
#include <string.h>

#include "common/error.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/supported.h"

gboolean interface_post_parse(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    InterfaceDef *def = (InterfaceDef *)dev;

    (void)ctx;
    (void)error;
    if (def->mac == NULL) {
        guint32 random = g_random_int();

        def->mac = g_strdup_printf("52:54:00:%02x:%02x:%02x", (random >> 16) & 0xff, (random >> 8) & 0xff,
                                   random & 0xff);
        def->mac_generated = TRUE;
    }
    if (def->model == INTERFACE_MODEL_NONE && def->type == INTERFACE_VDPA)
        def->model = INTERFACE_MODEL_VIRTIO;
    else if (def->model == INTERFACE_MODEL_NONE && def->type != INTERFACE_HOSTDEV)
        def->model = INTERFACE_MODEL_RTL8139;
    return TRUE;
}

static gboolean check_queue_size(const InterfaceDef *def, guint size, const char *name, guint max,
                                 GError **error)
{
    if (size == 0)
        return TRUE;
    if ((size & (size - 1)) != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s has to be a power of two", name);
    return size <= max ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s of interface %s must not exceed %u", name,
                     def->mac != NULL ? def->mac : "?", max);
}

static gboolean check_driver(const InterfaceDef *def, GError **error)
{
    if (!interface_is_virtio(def)) {
        if (virtio_options_given(&def->virtio))
            return error_set(
                error, VIR_ERR_CONFIG_UNSUPPORTED,
                "iommu, ats, packed and page_per_vq driver options are only supported for virtio devices");
        return TRUE;
    }
    return check_queue_size(def, def->rx_queue_size, "rx_queue_size", 1024, error) &&
           check_queue_size(def, def->tx_queue_size, "tx_queue_size", 1024, error);
}

static gboolean check_forwards(const InterfaceDef *def, GError **error)
{
    if (def->port_forwards != NULL && (def->type != INTERFACE_USER || def->backend != NET_BACKEND_PASST))
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "<portForward> is only supported with interface type='user' and backend type='passt'");
    return port_forwards_check(def->port_forwards, error);
}

static gboolean check_vlan(const InterfaceDef *def, GError **error)
{
    if (def->vlan.n_tags == 0 || def->type == INTERFACE_NETWORK ||
        (def->type == INTERFACE_BRIDGE && def->virtualport.type == VIRTUALPORT_OPENVSWITCH) ||
        def->type == INTERFACE_HOSTDEV || (def->type == INTERFACE_DIRECT && def->mode == MACVTAP_PASSTHROUGH))
        return TRUE;
    return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                     "interface %s - vlan tag not supported for this connection type", def->mac);
}

gboolean interface_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const InterfaceDef *def = (const InterfaceDef *)dev;
    const char *type = interface_type_to_string(def->type);

    (void)ctx;
    /* A model may be any word: whether the emulator has such a card shows when it is started. */
    if (!supported_check(SUPPORTED_INTERFACE_TYPE, type, "interface type", error))
        return FALSE;
    if (net_ip_info_any(&def->source_ip) && def->type != INTERFACE_ETHERNET)
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "Invalid attempt to set network interface host-side IP route and/or address info on interface "
            "of type '%s'. This is only supported on interfaces of type 'ethernet'",
            type);
    if (def->target_managed == TRISTATE_NO && def->type != INTERFACE_ETHERNET)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "unmanaged target dev is not supported on interfaces of type '%s'", type);
    if (def->target != NULL && strlen(def->target) > 15)
        return error_set(error, VIR_ERR_XML_ERROR, "interface target dev '%s' is longer than 15 characters",
                         def->target);
    if (def->port_isolated == TRISTATE_YES && def->type != INTERFACE_NETWORK && def->type != INTERFACE_BRIDGE)
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "interface %s - <port isolated='yes'/> is not supported for network interfaces with type='%s'",
            def->mac, type);
    if (def->port_isolated == TRISTATE_YES && def->virtualport.type != VIRTUALPORT_NONE)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "interface %s - <port isolated='yes'/> is not supported for network interfaces with "
                         "virtualport type='%s'",
                         def->mac, virtualport_type_to_string(def->virtualport.type));
    if (def->backend == NET_BACKEND_PASST && def->type != INTERFACE_USER)
        return error_set(error, VIR_ERR_INTERNAL_ERROR,
                         "The 'passt' backend can only be used with interface type='user'");
    if (def->backend_log_file != NULL && def->backend != NET_BACKEND_PASST)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "backend logFile is only supported with type='passt'");
    if ((def->type == INTERFACE_VHOSTUSER || def->type == INTERFACE_VDPA) && !interface_is_virtio(def))
        return error_set(
            error, VIR_ERR_INTERNAL_ERROR,
            "Wrong or no <model> 'type' attribute specified with <interface type='%s'/>. %s requires the "
            "virtio-net* frontend",
            type, type);
    if (def->type == INTERFACE_VHOSTUSER && def->vhostuser.mode == CHR_MODE_BIND &&
        def->vhostuser.reconnect.enabled == TRISTATE_YES)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "'reconnect' attribute unsupported 'server' mode for <interface type='vhostuser'>");
    if (def->script != NULL && def->type != INTERFACE_ETHERNET && def->type != INTERFACE_BRIDGE)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "scripts are not supported on interfaces of type %s", type);
    if (def->guest_ip.routes != NULL && def->type != INTERFACE_ETHERNET)
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "Invalid attempt to set network interface guest-side IP route, not supported by QEMU");
    return check_driver(def, error) && check_forwards(def, error) && check_vlan(def, error);
}
