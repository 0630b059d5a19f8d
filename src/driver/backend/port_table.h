/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TCP ports for displays. A port counts as taken when another start in this daemon holds it, or when binding
 * it fails. It is held only until QEMU has bound it itself, so nothing has to be remembered over a restart.
 * Any thread.
 */
#pragma once

#include <glib.h>

typedef struct PortTable PortTable;

PortTable *port_table_new(void);
void port_table_free(PortTable *table);

/* The first free port in [min, max]. VIR_ERR_OPERATION_FAILED when there is none. what: "vnc", for the
 * message. */
gboolean port_table_reserve_any(PortTable *table, const char *what, const char *address, guint min, guint max,
                                guint *ret_port, GError **error);
/* Just this one. VIR_ERR_INTERNAL_ERROR when it is taken. */
gboolean port_table_reserve(PortTable *table, const char *what, const char *address, guint port,
                            GError **error);
void port_table_release(PortTable *table, guint port);
