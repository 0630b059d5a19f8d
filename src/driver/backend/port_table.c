/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TCP ports for displays. */
#include "driver/backend/port_table.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/fd.h"

struct PortTable {
    GMutex lock;
    guint8 held[65536 / 8];
};

PortTable *port_table_new(void)
{
    PortTable *table = g_new0(PortTable, 1);

    g_mutex_init(&table->lock);
    return table;
}

void port_table_free(PortTable *table)
{
    if (table == NULL)
        return;
    g_mutex_clear(&table->lock);
    g_free(table);
}

/* 0 when the port can be bound at every address the name stands for, else errno. */
static int try_bind(const char *address, guint port)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM},
                    *found = NULL;
    char service[8];
    int errnum = 0;

    g_snprintf(service, sizeof(service), "%u", port);
    if (getaddrinfo(address, service, &hints, &found) != 0)
        return EADDRNOTAVAIL;
    for (struct addrinfo *ai = found; ai != NULL && errnum == 0; ai = ai->ai_next) {
        autofd fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int one = 1;

        if (fd < 0)
            continue; /* the family is not there */
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (ai->ai_family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
        if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, 1) < 0)
            errnum = errno;
    }
    freeaddrinfo(found);
    return errnum;
}

static gboolean hold(PortTable *table, guint port)
{
    gboolean free_;

    g_mutex_lock(&table->lock);
    free_ = !(table->held[port / 8] & (1u << (port % 8)));
    table->held[port / 8] |= (guint8)(1u << (port % 8));
    g_mutex_unlock(&table->lock);
    return free_;
}

void port_table_release(PortTable *table, guint port)
{
    if (port == 0 || port > 65535)
        return;
    g_mutex_lock(&table->lock);
    table->held[port / 8] &= (guint8) ~(1u << (port % 8));
    g_mutex_unlock(&table->lock);
}

gboolean port_table_reserve(PortTable *table, const char *what, const char *address, guint port,
                            GError **error)
{
    int errnum;

    if (port == 0 || port > 65535)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "%s port %u is no TCP port", what, port);
    if (!hold(table, port))
        return error_set(error, VIR_ERR_INTERNAL_ERROR,
                         "%s port %u is being used by another domain: choose another port or autoport='yes'",
                         what, port);
    errnum = try_bind(address, port);
    if (errnum == 0)
        return TRUE;
    port_table_release(table, port);
    return error_set(error, VIR_ERR_INTERNAL_ERROR,
                     "cannot listen on %s port %u of '%s': %s; choose another %s", what, port, address,
                     g_strerror(errnum), errnum == EADDRINUSE ? "port or autoport='yes'" : "address");
}

gboolean port_table_reserve_any(PortTable *table, const char *what, const char *address, guint min, guint max,
                                guint *ret_port, GError **error)
{
    for (guint port = min; port <= max && port <= 65535; port++) {
        int errnum;

        if (!hold(table, port))
            continue;
        errnum = try_bind(address, port);
        if (errnum == 0) {
            *ret_port = port;
            return TRUE;
        }
        port_table_release(table, port);
        if (errnum == EADDRNOTAVAIL)
            return error_set(error, VIR_ERR_INTERNAL_ERROR,
                             "cannot listen on '%s' for %s: %s; choose an address of this host", address,
                             what, g_strerror(errnum));
    }
    return error_set(error, VIR_ERR_OPERATION_FAILED, "Unable to find an unused port in range '%s' (%u-%u)",
                     what, min, max);
}
