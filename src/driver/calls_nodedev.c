/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Node devices: the calls that clients send over the same connection. This daemon keeps none of these
 * objects: lists are empty, look-ups say that there is no such object, and what would make one is not supported
 * (records without handler).
 */
#define ERROR_FROM VIR_FROM_NODEDEV
#include "driver/calls_absent.h"

EMPTY_FLAGS(node_num_of_devices, NodeNumOfDevices, 0)
EMPTY_FLAGS(node_list_devices, NodeListDevices, 0)
EMPTY(connect_list_all_node_devices, ConnectListAllNodeDevices)

ABSENT(node_device_lookup_by_name, NodeDeviceLookupByName, VIR_ERR_NO_NODE_DEVICE,
       "no node device with matching name '%s'", args->name)
ABSENT(node_device_lookup_scsi_host_by_wwn, NodeDeviceLookupScsiHostByWwn, VIR_ERR_NO_NODE_DEVICE,
       "no node device with wwnn '%s' and wwpn '%s'", args->wwnn, args->wwpn)

/* Of an object that is named by args->name. */
#define NO_DEV(fn, Type)                                                                                     \
    ABSENT(fn, Type, VIR_ERR_NO_NODE_DEVICE,                                                                 \
           "no node device with matching name '%s'", args->name)
NO_DEV(node_device_get_xml_desc, NodeDeviceGetXmlDesc)
NO_DEV(node_device_get_parent, NodeDeviceGetParent)
NO_DEV(node_device_num_of_caps, NodeDeviceNumOfCaps)
NO_DEV(node_device_list_caps, NodeDeviceListCaps)
NO_DEV(node_device_dettach, NodeDeviceDettach)
NO_DEV(node_device_re_attach, NodeDeviceReAttach)
NO_DEV(node_device_reset, NodeDeviceReset)
NO_DEV(node_device_destroy, NodeDeviceDestroy)
NO_DEV(node_device_detach_flags, NodeDeviceDetachFlags)
NO_DEV(node_device_undefine, NodeDeviceUndefine)
NO_DEV(node_device_create, NodeDeviceCreate)
NO_DEV(node_device_get_autostart, NodeDeviceGetAutostart)
NO_DEV(node_device_set_autostart, NodeDeviceSetAutostart)
NO_DEV(node_device_is_persistent, NodeDeviceIsPersistent)
NO_DEV(node_device_is_active, NodeDeviceIsActive)
NO_DEV(node_device_update, NodeDeviceUpdate)

gboolean call_connect_node_device_event_register_any(Call *call, const ConnectNodeDeviceEventRegisterAnyArgs *args,
    ConnectNodeDeviceEventRegisterAnyRet *ret, GError **error)
{
    return absent_subscribe(call, EVENT_KIND_NODE_DEVICE, args->eventID, VIR_NODE_DEVICE_EVENT_ID_UPDATE,
                            NULL, args->dev != NULL ? args->dev->name : NULL, &ret->callbackID, error);
}

gboolean call_connect_node_device_event_deregister_any(Call *call, const ConnectNodeDeviceEventDeregisterAnyArgs *args,
    ConnectNodeDeviceEventDeregisterAnyRet *ret, GError **error)
{
    return absent_unsubscribe(call, EVENT_KIND_NODE_DEVICE, args->callbackID, error);
}
