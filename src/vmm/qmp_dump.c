/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QMP commands on dumps (QEMU 7.2, qapi/dump.json). They are done when they are answered, whatever "detach" says. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vmm/qmp_handlers.h"
#include "vmm/qmp_server.h"

int qmp_query_dump_capability(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    (void)s;
    (void)m;
    (void)args;
    (void)err;
    *ret = json_pack("{s:[s, s]}", "formats", "elf", "kdump-zlib");
    return 0;
}

int qmp_dump_guest_memory(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    const char *protocol = json_string_value(json_object_get(args, "protocol"));
    const char *format = json_string_value(json_object_get(args, "format"));
    int fd, r;

    (void)ret;
    if (json_is_true(json_object_get(args, "paging")))
        return err_set(err, ENOTSUP, "a dump with the guest's own addresses (paging) is not supported");
    if (json_object_get(args, "begin") != NULL || json_object_get(args, "length") != NULL)
        return err_set(err, ENOTSUP, "a dump of a part of memory (begin, length) is not supported");
    if (strncmp(protocol, "fd:", 3) != 0)
        return err_set(err, EINVAL, "parameter 'protocol' must be \"fd:NAME\": this process can open no file");
    fd = qmp_server_take_fd(s, protocol + 3);
    if (fd < 0)
        return err_set(err, ENOENT, "File descriptor named '%.60s' not found", protocol + 3);
    r = machine_dump(m, fd, format != NULL ? format : "elf", err);
    if (close(fd) < 0 && r == 0)
        r = err_set(err, errno, "dump: cannot finish the file: %s", strerror(errno));
    return r;
}
