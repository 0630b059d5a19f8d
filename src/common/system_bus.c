/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* D-Bus's system bus: see system_bus.h. */
#include "common/system_bus.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { DESCRIPTORS = 16 }; /* a connection, its thread's event loop, a call's, and some for others meanwhile */

static gboolean descriptors_left(GError **error)
{
    int fds[DESCRIPTORS], n = 0, errnum = 0;

    while (n < DESCRIPTORS && errnum == 0) {
        fds[n] = open("/", O_PATH | O_CLOEXEC);
        if (fds[n] < 0)
            errnum = errno;
        else
            n++;
    }
    while (n > 0)
        close(fds[--n]);
    if (errnum == 0)
        return TRUE;
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errnum), "no descriptors for the system bus: %s",
                g_strerror(errnum));
    return FALSE;
}

GDBusConnection *system_bus(GError **error)
{
    GDBusConnection *bus = descriptors_left(error) ? g_bus_get_sync(G_BUS_TYPE_SYSTEM, NULL, error) : NULL;

    if (bus != NULL)
        g_dbus_connection_set_exit_on_close(bus, FALSE);
    return bus;
}
