/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client's functions as the domain layer calls them, for tests without a server: nobody is connected, nothing closes.
 * What is sent is the test's own client_send_event(). */
#include "driver/rpc/client.h"

gboolean client_add_close_hook(Client *client, ClientCloseFunc fn, void *opaque, GDestroyNotify destroy)
{
    return TRUE;
}

void client_set_lost_hook(Client *client, ClientLostFunc fn, void *opaque)
{
}

gboolean client_closed(const Client *client)
{
    return FALSE;
}

guint64 client_id(const Client *client)
{
    return 1;
}
