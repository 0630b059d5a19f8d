/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Host interfaces: the calls that clients send over the same connection. This daemon keeps none of these
 * objects: lists are empty, look-ups say that there is no such object, and what would make one is not supported
 * (records without handler).
 */
#define ERROR_FROM VIR_FROM_INTERFACE
#include "driver/calls_absent.h"

EMPTY(connect_num_of_interfaces, ConnectNumOfInterfaces)
EMPTY(connect_list_interfaces, ConnectListInterfaces)
EMPTY(connect_num_of_defined_interfaces, ConnectNumOfDefinedInterfaces)
EMPTY(connect_list_defined_interfaces, ConnectListDefinedInterfaces)
EMPTY_FLAGS(connect_list_all_interfaces, ConnectListAllInterfaces,
            VIR_CONNECT_LIST_INTERFACES_INACTIVE | VIR_CONNECT_LIST_INTERFACES_ACTIVE)

ABSENT(interface_lookup_by_name, InterfaceLookupByName, VIR_ERR_NO_INTERFACE,
       "couldn't find interface named '%s'", args->name)
ABSENT(interface_lookup_by_mac_string, InterfaceLookupByMacString, VIR_ERR_NO_INTERFACE,
       "couldn't find interface with MAC address '%s'", args->mac)

/* Of an object that is named by args->iface. */
#define NO_IFACE(fn, Type)                                                                                   \
    ABSENT(fn, Type, VIR_ERR_NO_INTERFACE,                                                                   \
           "couldn't find interface named '%s'", args->iface.name)
NO_IFACE(interface_get_xml_desc, InterfaceGetXmlDesc)
NO_IFACE(interface_undefine, InterfaceUndefine)
NO_IFACE(interface_create, InterfaceCreate)
NO_IFACE(interface_destroy, InterfaceDestroy)
NO_IFACE(interface_is_active, InterfaceIsActive)
