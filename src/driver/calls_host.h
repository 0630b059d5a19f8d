/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handlers of the connection and the host are calls_host.c, calls_node.c and calls_cpu.c; this is the rest. */
#pragma once

#include <glib.h>

/* Which optional features of libvirt's drivers (VIR_DRV_FEATURE_*) this driver has: RpcServerConfig.supports_feature. */
gint calls_host_supports_feature(void *driver, gint32 feature);

/* What virConnectGetLibVersion answers: the libvirt API level we follow. */
enum { CALLS_HOST_LIB_VERSION = 10000000 };
