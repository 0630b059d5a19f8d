/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes on the QMP socket of a machine with ports, an rng and a serial port. Inputs that name descriptors by number are
 * left out: they would close the fuzzer's own. */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fake_machine.h"
#include "vmm/qmp_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char description[] =
    "{\"memory\": {\"size\": 16777216}, \"cpus\": {\"count\": 1, \"max\": 2},"
    " \"chardevs\": [{\"id\": \"c0\"}], \"serials\": [\"c0\"],"
    " \"ports\": [{\"id\": \"pci.1\", \"addr\": \"1.0\"}, {\"id\": \"pci.2\", \"addr\": \"2.0\"}],"
    " \"devices\": [{\"driver\": \"virtio-rng-pci\", \"id\": \"rng0\", \"bus\": \"pci.1\"}]}";

static int names_fd(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"\"fd\"", "\"fds\"", "\"vhostfd", "-fd\"", "logfd\"", "\\u"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (memmem(data, size, keys[i], strlen(keys[i])) != NULL)
            return 1;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    MachineDesc *desc = NULL;
    Machine *machine;
    QmpServer *server = NULL;
    char sink[65536];
    Err err = {0};
    int pair[2];

    if (names_fd(data, size) || size > 60000)
        return 0;
    machine = fake_machine(description, &desc, &err);
    if (machine == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 ||
        qmp_server_new(machine, pair[1], &server, &err) < 0)
        __builtin_trap();
    for (size_t at = 0; at < size;) {
        ssize_t n = write(pair[0], data + at, size - at < 4096 ? size - at : 4096);

        fake_settle(machine);
        while (read(pair[0], sink, sizeof sink) > 0)
            ;
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    fake_settle(machine);
    qmp_server_free(server);
    close(pair[0]);
    fake_machine_free(machine, desc);
    return 0;
}
