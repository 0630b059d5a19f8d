/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QMP commands: one table; a command is a line in it and a handler. Main thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"
#include "vmm/machine.h"

typedef struct QmpServer QmpServer;

typedef struct QmpCommand {
    const char *name;
    /* Arguments: "name:kind" separated by spaces, kinds s (string) i (integer) b (bool) o (object) a (array)
     * * (any);
     * '?' behind the kind: optional. "..." allows any others. Checked before the handler runs. */
    const char *arguments;
    /* *ret: the reply, an empty object when left NULL. Errors: ENODEV is QMP's class DeviceNotFound, ENXIO DeviceNotActive,
     * the rest GenericError. */
    int (*run)(QmpServer *server, Machine *machine, json_t *args, json_t **ret, Err *err);
} QmpCommand;

const QmpCommand *qmp_command_find(const char *name);
const QmpCommand *qmp_command_at(unsigned index); /* NULL behind the last */
/* -EINVAL with QEMU's words for a missing, unexpected or wrongly typed argument. args may be NULL. */
int qmp_command_check(const QmpCommand *command, json_t *args, Err *err);

/* For handlers (qmp_server.c): descriptors that came with this command. */
int qmp_server_keep_fd(QmpServer *server, const char *name, Err *err);
int qmp_server_close_fd(QmpServer *server, const char *name, Err *err);
int qmp_server_add_fd(QmpServer *server, int64_t fdset, int64_t *ret_fdset, int *ret_fd, Err *err);
int qmp_server_remove_fd(QmpServer *server, int64_t fdset, Err *err);
