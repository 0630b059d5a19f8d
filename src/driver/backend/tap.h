/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tap devices for interfaces of type bridge and ethernet (Linux Documentation/networking/tuntap). A tap that
 * we made is not persistent: it goes with the last descriptor, that is with the VM. Any thread.
 */
#pragma once

#include <glib.h>

#include "driver/conf/def_net_common.h"

/* What a port of an Open vSwitch bridge is told. */
typedef struct OvsPort {
    const NetVirtualport *virtualport;
    const NetVlan *vlan; /* no tags: an access port of no VLAN */
    const char *vm_uuid;
} OvsPort;

typedef struct TapRequest {
    const char *name; /* NULL or a pattern "vnet%d": chosen by the kernel */
    const char *mac; /* the guest's: names the interface in errors, and gives the tap's own */
    const char *bridge; /* NULL: joined to nothing */
    const OvsPort *ovs; /* that is Open vSwitch's; NULL: Linux's */
    gboolean vnet_hdr; /* virtio cards */
    guint queues; /* >= 1 */
    guint mtu; /* 0: the bridge's */
    gboolean isolated; /* bridge port isolation */
    gboolean existing; /* <target managed='no'>: must be there already, is not set up */
} TapRequest;

/* Opens queues descriptors into ret_fds, and says the name. VIR_ERR_SYSTEM_ERROR naming device, step and
 * cure. */
gboolean tap_open(const TapRequest *request, int *ret_fds, char **ret_name, GError **error);
/* Opens /dev/vhost-net n times. FALSE with errno in *ret_errnum when it is not there; opened ones are closed.
 */
gboolean vhost_net_open(int *ret_fds, guint n, int *ret_errnum);
/* Shapes a tap by tc(8): inbound is what the guest receives (rate, ceiling and burst of an HTB class),
 * outbound what it sends (a policer). NULL or empty: no limits any more. Works without the kernel's sfq.
 * VIR_ERR_INTERNAL_ERROR with tc's words. */
gboolean tap_set_bandwidth(const char *name, const NetBandwidth *bandwidth, GError **error);
/* Moves a tap from a bridge (NULL: from none) to another; on failure it is in the old one. VIR_ERR_SYSTEM_ERROR,
 * OPERATION_FAILED for a bridge that does not exist. */
gboolean tap_change_bridge(const char *name, const char *old, const char *bridge, gboolean isolated, GError **error);
/* A tap into an Open vSwitch bridge, and out again: its database outlives the tap. VIR_ERR_INTERNAL_ERROR with
 * ovs-vsctl's words. */
gboolean tap_ovs_join(const char *name, const char *bridge, const char *mac, const OvsPort *port, GError **error);
void tap_ovs_leave(const char *name);
/* Session mode: qemu-bridge-helper gives a tap on the bridge. */
gboolean tap_from_helper(const char *helper, const char *bridge, gboolean vnet_hdr, int *ret_fd,
                         GError **error);
