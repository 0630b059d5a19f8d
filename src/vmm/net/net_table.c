/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every kind of net back end there is: one line each. */
#include "vmm/net/net.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/net/backends.h"

static const struct {
    const char *type;
    int (*create)(Props *props, NetBackend **ret, Err *err);
} net_table[] = {
    {"tap", tap_create},
    {"stream", stream_create},
};

int net_new(Props *props, NetBackend **ret, Err *err)
{
    const char *type;
    int r = props_string(props, "type", "", &type, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_LEN(net_table); i++) {
        if (strcmp(net_table[i].type, type) == 0)
            return net_table[i].create(props, ret, err);
    }
    return err_set(err, EINVAL, "net back end '%s' is not known", type);
}
