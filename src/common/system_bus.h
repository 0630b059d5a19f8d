/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* D-Bus's system bus. Any thread; blocks. */
#pragma once

#include <gio/gio.h>

/* A reference to the connection that all of the process share. GIO's own g_bus_get_sync() gives one that ends the
 * process when the bus goes away, and whose calls end it when they find no descriptor for their event loop: this one
 * outlives a restart of the bus, and is refused (G_IO_ERROR) while descriptors are scarce. */
GDBusConnection *system_bus(GError **error);
