/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block nodes over the image engine: constructors for block_table.c. Main thread. */
#pragma once

#include "vmm/block/block.h"

typedef Block *(*BlockFind)(void *opaque, const char *node_name);

/*
 * {"driver": "file" | "host_device", "node-name", "fd", "read-only", "discard": "ignore" | "unmap",
 *  "detect-zeroes": "off" | "on" | "unmap", "cache": {"direct", "no-flush"}, "locking": "on" | "off",
 *  "share-write"}
 * {"driver": "raw" | "qcow2" | "luks", "node-name", "file": NODE, "backing": NODE | null, "data-file": NODE,
 *  "read-only", "discard", "detect-zeroes", "offset", "size", "key-fd"}
 */
int image_node_create(Props *props, Loop *loop, BlockFind find, void *opaque, Block **ret, Err *err);
