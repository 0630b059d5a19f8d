/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <portForward> of an interface with passt: ports of the host that lead to the guest. */
#pragma once

#include "common/enum_table.h"
#include "common/xml.h"

typedef enum { PORT_PROTO_NONE = 0, PORT_PROTO_TCP, PORT_PROTO_UDP, PORT_PROTO_LAST } PortProto;
ENUM_TABLE_DECL(port_proto, PortProto)

typedef struct {
    guint start; /* 0: the whole host */
    guint end;   /* 0: one port */
    guint to;    /* 0: same as start */
    Tristate exclude;
} PortRange;

typedef struct {
    PortProto proto;
    char *address;
    char *dev;
    GPtrArray *ranges; /* of PortRange; NULL when there is none */
} PortForward;

/* Every <portForward> of node into *ret (of PortForward; stays NULL when there is none). */
gboolean port_forwards_parse(xmlNodePtr node, GPtrArray **ret, GError **error);
void port_forwards_format(XmlWriter *w, const GPtrArray *forwards);
/* VIR_ERR_CONFIG_UNSUPPORTED for a range that says nothing. NULL is right. */
gboolean port_forwards_check(const GPtrArray *forwards, GError **error);
