/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QMP on an inherited UNIX socket (QEMU, docs/interop/qmp-spec): greeting, capability negotiation, commands
 * in order, events. Main thread.
 */
#pragma once

#include <jansson.h>

#include "common/err.h"
#include "vmm/machine.h"

typedef struct QmpServer QmpServer;

/* fd: connected, or listening (then one client after the other is served); owned from now on. */
int qmp_server_new(Machine *machine, int fd, QmpServer **ret, Err *err);
void qmp_server_free(QmpServer *server); /* sends what is queued first, as far as the peer takes it at once */
/* data is stolen. */
void qmp_server_event(QmpServer *server, const char *name, json_t *data);
/* A descriptor that the client passed with getfd or add-fd ("/dev/fdset/N"); the caller owns it. -1: unknown.
 */
int qmp_server_take_fd(QmpServer *server, const char *name);
