/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See io_policy.h. */
#include "vmm/virtio/io_policy.h"

#include <errno.h>
#include <string.h>

static const char *const names[IO_POLICY_LAST] = {"report", "ignore", "stop", "enospc"};

int io_policy_parse(Props *props, const char *key, IoPolicy def, bool write, IoPolicy *ret, Err *err)
{
    const char *text;
    int r = props_string(props, key, NULL, &text, err);

    *ret = def;
    if (r < 0 || text == NULL || strcmp(text, "auto") == 0)
        return r;
    for (unsigned i = 0; i < (write ? IO_POLICY_LAST : IO_ENOSPC); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = (IoPolicy)i;
            return 0;
        }
    }
    return err_set(err, EINVAL, "%s: '%.40s' is no %s policy", props_id(props), text, key);
}

IoPolicy io_policy_apply(IoPolicy policy, DeviceHost *host, const char *device, const char *node, bool write,
                         int error)
{
    if (policy == IO_ENOSPC)
        policy = error == ENOSPC ? IO_STOP : IO_REPORT;
    host->event(host, "BLOCK_IO_ERROR",
                json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s}", "device", "", "qom-path", device,
                          "node-name", node, "operation", write ? "write" : "read", "action", names[policy],
                          "nospace", error == ENOSPC, "reason", strerror(error)));
    if (policy == IO_STOP)
        host->stop_vm(host, "io-error");
    return policy;
}
