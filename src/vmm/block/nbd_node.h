/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block nodes whose bytes a server has that speaks NBD: constructor for block_table.c. Main thread. */
#pragma once

#include "vmm/block/image_node.h"

/*
 * {"driver": "nbd", "node-name", "fd", "export", "server-fd", "read-only", "discard": "ignore" | "unmap",
 *  "detect-zeroes": "off" | "on" | "unmap", "cache": {"no-flush"}, "share-write"}
 *
 * fd: a connected stream socket, on which nothing has been said; negotiated here, which waits for the server
 * NBD_NODE_PATIENCE_S at most. server-fd: a descriptor that is kept open as long as the node is, and nothing else: whoever
 * started the server ends it when that is closed.
 *
 * When the server goes, what is under way and everything later fails with -EIO: the devices' error policy decides,
 * until another server is given to the node.
 */
int nbd_node_create(Props *props, Loop *loop, BlockFind find, void *opaque, Block **ret, Err *err);

/*
 * Another server for a node whose server is gone, with the same contents: "fd", "export", "server-fd" as above, "driver"
 * and "node-name" as they are, whatever else stands there ("read-only", …) stays as it was. -EBUSY: its server is there;
 * -ENOTSUP: a node of another driver. Main thread.
 */
int nbd_node_reopen(Block *block, json_t *object, int (*take_fd)(void *opaque, const char *name), void *opaque, Err *err);

enum { NBD_NODE_PATIENCE_S = 10 };
