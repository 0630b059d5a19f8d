/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Network filters and their bindings: the calls that clients send over the same connection. This daemon keeps none of these
 * objects: lists are empty, look-ups say that there is no such object, and what would make one is not supported
 * (records without handler).
 */
#define ERROR_FROM VIR_FROM_NWFILTER
#include "driver/calls_absent.h"

EMPTY(connect_num_of_nwfilters, ConnectNumOfNwfilters)
EMPTY(connect_list_nwfilters, ConnectListNwfilters)
EMPTY_FLAGS(connect_list_all_nwfilters, ConnectListAllNwfilters, 0)
EMPTY_FLAGS(connect_list_all_nwfilter_bindings, ConnectListAllNwfilterBindings, 0)

ABSENT(nwfilter_lookup_by_name, NwfilterLookupByName, VIR_ERR_NO_NWFILTER,
       "no nwfilter with matching name '%s'", args->name)
ABSENT(nwfilter_lookup_by_uuid, NwfilterLookupByUuid, VIR_ERR_NO_NWFILTER,
       "no nwfilter with matching uuid '%s'", UUID(args->uuid))
ABSENT(nwfilter_binding_lookup_by_port_dev, NwfilterBindingLookupByPortDev, VIR_ERR_NO_NWFILTER_BINDING,
       "no nwfilter binding for port dev '%s'", args->name)

/* Of an object that is named by args->nwfilter. */
#define NO_FILTER(fn, Type)                                                                                  \
    ABSENT(fn, Type, VIR_ERR_NO_NWFILTER,                                                                    \
           "no nwfilter with matching uuid '%s' (%s)", UUID(args->nwfilter.uuid), args->nwfilter.name)
NO_FILTER(nwfilter_get_xml_desc, NwfilterGetXmlDesc)
NO_FILTER(nwfilter_undefine, NwfilterUndefine)

/* Of an object that is named by args->nwfilter. */
#define NO_BINDING(fn, Type)                                                                                 \
    ABSENT(fn, Type, VIR_ERR_NO_NWFILTER_BINDING,                                                            \
           "no nwfilter binding for port dev '%s'", args->nwfilter.portdev)
NO_BINDING(nwfilter_binding_get_xml_desc, NwfilterBindingGetXmlDesc)
NO_BINDING(nwfilter_binding_delete, NwfilterBindingDelete)
