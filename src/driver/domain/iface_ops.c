/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RPC handlers that tell of network interfaces: virDomainInterfaceStats. The kernel's counters, no monitor.
 */
#include <string.h>

#include "driver/conf/def_interface.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/stats_proc.h"
#include "driver/rpc/call.h"

/* The device on the host whose counters are this interface's. Caller frees. */
static char *host_device(Domain *dom, const char *name, gboolean *ret_swap, GError **error)
{
    const InterfaceDef *net;
    LOCK_SCOPE(&dom->lock);

    if (!domain_require_active(dom, error))
        return NULL;
    net = (const InterfaceDef *)domain_def_find_interface(domain_def(dom), name);
    if (net == NULL) {
        error_set_from(error, VIR_FROM_DOMAIN, VIR_ERR_INVALID_ARG, "'%s' is not a known interface", name);
        return NULL;
    }
    if (net->target == NULL) {
        error_set(error, VIR_ERR_INTERNAL_ERROR, "Interface name not provided");
        return NULL;
    }
    /* A macvtap and the guest look the same way; of a tap the host has the other end. */
    *ret_swap = interface_actual_type(net) != INTERFACE_DIRECT;
    return g_strdup(net->target);
}

gboolean call_domain_interface_stats(Call *call, const DomainInterfaceStatsArgs *args,
                                     DomainInterfaceStatsRet *ret, GError **error)
{
    g_autoptr(Domain) dom = domain_from_wire(call, &args->dom, error);
    g_autoptr(GHashTable) devices = NULL;
    g_autofree char *device = NULL;
    gboolean swap;
    const NetFigures *found;
    NetFigures figures;

    if (dom == NULL || (device = host_device(dom, args->device, &swap, error)) == NULL)
        return FALSE;
    devices = net_figures_read();
    found = g_hash_table_lookup(devices, device);
    if (found == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "/proc/net/dev: Interface not found");
    figures = *found;
    if (swap)
        net_figures_swap(&figures);
    ret->rx_bytes = figures.rx_bytes;
    ret->rx_packets = figures.rx_packets;
    ret->rx_errs = figures.rx_errs;
    ret->rx_drop = figures.rx_drop;
    ret->tx_bytes = figures.tx_bytes;
    ret->tx_packets = figures.tx_packets;
    ret->tx_errs = figures.tx_errs;
    ret->tx_drop = figures.tx_drop;
    return TRUE;
}
