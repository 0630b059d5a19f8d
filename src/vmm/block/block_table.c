/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every block driver there is: one line each. */
#include "vmm/block/block.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/block/image_node.h"
#include "vmm/block/nbd_node.h"

typedef int (*BlockCreate)(Props *props, Loop *loop, Block *(*find)(void *opaque, const char *node_name),
                           void *opaque, Block **ret, Err *err);

static const struct {
    const char *driver;
    BlockCreate create;
} block_table[] = {
    {"file", image_node_create},
    {"host_device", image_node_create},
    {"raw", image_node_create},
    {"qcow2", image_node_create},
    {"luks", image_node_create},
    {"nbd", nbd_node_create},
};

int block_new(Props *props, Loop *loop, Block *(*find)(void *opaque, const char *node_name), void *opaque,
              Block **ret, Err *err)
{
    const char *driver;
    int r = props_string(props, "driver", "", &driver, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_LEN(block_table); i++) {
        if (strcmp(block_table[i].driver, driver) == 0)
            return block_table[i].create(props, loop, find, opaque, ret, err);
    }
    return err_set(err, EINVAL, "block driver '%s' is not known", driver);
}
