/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of hot plug with QEMU; the entries are qemu_plug() and qemu_unplugged() of backend.h. */
#pragma once

#include <glib.h>
#include <jansson.h>

/* The words after -chardev ("pty,id=charserial0,...") as the "backend" of QMP's chardev-add (qemu qapi/char.json).
 * fd_name: what the descriptor of a "fd=" is called there, or NULL. *ret_id: caller frees.
 * VIR_ERR_OPERATION_UNSUPPORTED for a type that QMP cannot add. */
json_t *qemu_hotplug_chardev(const char *words, const char *fd_name, char **ret_id, GError **error);
