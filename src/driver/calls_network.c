/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Networks and their ports: the calls that clients send over the same connection. This daemon keeps none of these
 * objects: lists are empty, look-ups say that there is no such object, and what would make one is not supported
 * (records without handler).
 */
#define ERROR_FROM VIR_FROM_NETWORK
#include "driver/calls_absent.h"

/* The change of metadata, which libvirt has since 9.8 and the headers of older ones do not name. */
enum { LAST_NETWORK_EVENT = VIR_NETWORK_EVENT_ID_LIFECYCLE + 1 };

EMPTY(connect_list_defined_networks, ConnectListDefinedNetworks)
EMPTY(connect_list_networks, ConnectListNetworks)
EMPTY(connect_num_of_defined_networks, ConnectNumOfDefinedNetworks)
EMPTY(connect_num_of_networks, ConnectNumOfNetworks)
EMPTY_FLAGS(connect_list_all_networks, ConnectListAllNetworks,
            VIR_CONNECT_LIST_NETWORKS_INACTIVE | VIR_CONNECT_LIST_NETWORKS_ACTIVE |
                VIR_CONNECT_LIST_NETWORKS_PERSISTENT | VIR_CONNECT_LIST_NETWORKS_TRANSIENT |
                VIR_CONNECT_LIST_NETWORKS_AUTOSTART | VIR_CONNECT_LIST_NETWORKS_NO_AUTOSTART)

ABSENT(network_lookup_by_name, NetworkLookupByName, VIR_ERR_NO_NETWORK,
       "no network with matching name '%s'", args->name)
ABSENT(network_lookup_by_uuid, NetworkLookupByUuid, VIR_ERR_NO_NETWORK,
       "no network with matching uuid '%s'", UUID(args->uuid))

/* Of an object that is named by args->net. */
#define NO_NET(fn, Type)                                                                                     \
    ABSENT(fn, Type, VIR_ERR_NO_NETWORK,                                                                     \
           "no network with matching uuid '%s' (%s)", UUID(args->net.uuid), args->net.name)
NO_NET(network_create, NetworkCreate)
NO_NET(network_destroy, NetworkDestroy)
NO_NET(network_get_xml_desc, NetworkGetXmlDesc)
NO_NET(network_get_autostart, NetworkGetAutostart)
NO_NET(network_get_bridge_name, NetworkGetBridgeName)
NO_NET(network_set_autostart, NetworkSetAutostart)
NO_NET(network_undefine, NetworkUndefine)
NO_NET(network_is_active, NetworkIsActive)
NO_NET(network_is_persistent, NetworkIsPersistent)
NO_NET(network_update, NetworkUpdate)
NO_NET(network_get_dhcp_leases, NetworkGetDhcpLeases)

/* Of an object that is named by args->network. */
#define NO_NET_NETWORK(fn, Type)                                                                             \
    ABSENT(fn, Type, VIR_ERR_NO_NETWORK,                                                                     \
           "no network with matching uuid '%s' (%s)", UUID(args->network.uuid), args->network.name)
NO_NET_NETWORK(network_list_all_ports, NetworkListAllPorts)
NO_NET_NETWORK(network_port_lookup_by_uuid, NetworkPortLookupByUuid)
NO_NET_NETWORK(network_port_create_xml, NetworkPortCreateXml)
NO_NET_NETWORK(network_set_metadata, NetworkSetMetadata)
NO_NET_NETWORK(network_get_metadata, NetworkGetMetadata)

/* Of an object that is named by args->port. */
#define NO_PORT(fn, Type)                                                                                    \
    ABSENT(fn, Type, VIR_ERR_NO_NETWORK,                                                                     \
           "no network with matching uuid '%s' (%s)", UUID(args->port.net.uuid), args->port.net.name)
NO_PORT(network_port_get_parameters, NetworkPortGetParameters)
NO_PORT(network_port_set_parameters, NetworkPortSetParameters)
NO_PORT(network_port_get_xml_desc, NetworkPortGetXmlDesc)
NO_PORT(network_port_delete, NetworkPortDelete)

gboolean call_connect_network_event_register_any(Call *call, const ConnectNetworkEventRegisterAnyArgs *args,
    ConnectNetworkEventRegisterAnyRet *ret, GError **error)
{
    return absent_subscribe(call, EVENT_KIND_NETWORK, args->eventID, LAST_NETWORK_EVENT,
                            args->net != NULL ? args->net->uuid : NULL, NULL, &ret->callbackID, error);
}

gboolean call_connect_network_event_deregister_any(Call *call, const ConnectNetworkEventDeregisterAnyArgs *args,
    ConnectNetworkEventDeregisterAnyRet *ret, GError **error)
{
    return absent_unsubscribe(call, EVENT_KIND_NETWORK, args->callbackID, error);
}
