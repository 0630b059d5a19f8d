/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asks a guest's vsock port for a connection, and says what came of it: "refused" is the guest's own answer, so packets
 * went there and back. usage: vsock_probe CID PORT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

int main(int argc, char **argv)
{
    struct sockaddr_vm to = {.svm_family = AF_VSOCK};
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (argc != 3 || fd < 0)
        return 2;
    to.svm_cid = (unsigned)strtoul(argv[1], NULL, 10);
    to.svm_port = (unsigned)strtoul(argv[2], NULL, 10);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        puts("connected");
    else
        puts(errno == ECONNRESET ? "refused" : strerror(errno));
    close(fd);
    return 0;
}
