/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See port_forward.h. */
#include "driver/conf/port_forward.h"

#include "common/error.h"
#include "driver/conf/def_net_common.h"
#include "driver/conf/fields.h"

#define FORWARDS_MAX 1024

ENUM_TABLE(port_proto, PortProto, PORT_PROTO_LAST, "none", "tcp", "udp")

static const Field range_fields[] = {
    FIELD_UINT(PortRange, start, "start"),
    FIELD_UINT(PortRange, end, "end"),
    FIELD_UINT(PortRange, to, "to"),
    FIELD_YES_NO(PortRange, exclude, "exclude"),
    FIELD_END,
};
static const Field forward_fields[] = {
    FIELD_ENUM(PortForward, proto, "proto", port_proto),
    FIELD_STR(PortForward, address, "address"),
    FIELD_STR(PortForward, dev, "dev"),
    FIELD_END,
};

static void range_free(gpointer range)
{
    g_free(range);
}

static void forward_free(PortForward *forward)
{
    fields_clear(forward_fields, forward);
    if (forward->ranges != NULL)
        g_ptr_array_unref(forward->ranges);
    g_free(forward);
}

static gboolean parse_forward(xmlNodePtr node, PortForward *forward, GError **error)
{
    if (!fields_parse(forward_fields, node, forward, error))
        return FALSE;
    if (forward->proto == PORT_PROTO_NONE)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "Missing required attribute 'proto' in element 'portForward'");
    if (forward->address != NULL) {
        char *canonical = net_address_parse(forward->address, NULL);

        if (canonical == NULL)
            return error_set(error, VIR_ERR_XML_ERROR, "Invalid address '%s' in <portForward>", forward->address);
        g_free(forward->address);
        forward->address = canonical;
    }
    XML_FOREACH(child, node, "range")
    {
        PortRange *range = g_new0(PortRange, 1);

        if (forward->ranges == NULL)
            forward->ranges = g_ptr_array_new_with_free_func(range_free);
        g_ptr_array_add(forward->ranges, range);
        if (forward->ranges->len > FORWARDS_MAX)
            return error_set(error, VIR_ERR_XML_ERROR, "<portForward> has more than %d ranges", FORWARDS_MAX);
        if (!fields_parse(range_fields, child, range, error))
            return FALSE;
        if (range->start > G_MAXUINT16 || range->end > G_MAXUINT16 || range->to > G_MAXUINT16)
            return error_set(error, VIR_ERR_XML_ERROR, "port out of range in <range> of <portForward>");
    }
    return TRUE;
}

gboolean port_forwards_parse(xmlNodePtr node, GPtrArray **ret, GError **error)
{
    XML_FOREACH(child, node, "portForward")
    {
        PortForward *forward = g_new0(PortForward, 1);

        if (*ret == NULL)
            *ret = g_ptr_array_new_with_free_func((GDestroyNotify)forward_free);
        g_ptr_array_add(*ret, forward);
        if ((*ret)->len > FORWARDS_MAX)
            return error_set(error, VIR_ERR_XML_ERROR, "<interface> has more than %d <portForward>",
                             FORWARDS_MAX);
        if (!parse_forward(child, forward, error))
            return FALSE;
    }
    return TRUE;
}

void port_forwards_format(XmlWriter *w, const GPtrArray *forwards)
{
    for (guint i = 0; forwards != NULL && i < forwards->len; i++) {
        const PortForward *forward = g_ptr_array_index(forwards, i);

        xml_open(w, "portForward");
        fields_format(w, forward_fields, forward);
        for (guint k = 0; forward->ranges != NULL && k < forward->ranges->len; k++)
            fields_format_element(w, "range", range_fields, g_ptr_array_index(forward->ranges, k));
        xml_close(w);
    }
}

gboolean port_forwards_check(const GPtrArray *forwards, GError **error)
{
    for (guint i = 0; forwards != NULL && i < forwards->len; i++) {
        const PortForward *forward = g_ptr_array_index(forwards, i);

        for (guint k = 0; forward->ranges != NULL && k < forward->ranges->len; k++) {
            const PortRange *range = g_ptr_array_index(forward->ranges, k);

            if (range->start == 0 && fields_any(range_fields, range))
                return error_set(
                    error, VIR_ERR_CONFIG_UNSUPPORTED,
                    "The 'range' of a 'portForward' requires 'start' attribute if 'end', 'to', or "
                    "'exclude' is specified");
            if (range->end != 0 && range->end < range->start)
                return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "The 'end' %u of a 'portForward' range lies before its 'start' %u",
                                 range->end, range->start);
        }
    }
    return TRUE;
}
