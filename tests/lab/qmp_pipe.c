/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For the lab's shell scripts: runs kite-vmm with a QMP connection whose other end is a FIFO and a file.
 *
 * usage: qmp_pipe IN OUT PROGRAM [ARG...]
 *
 * Lines written to the FIFO IN go to the VM, what it answers is appended to OUT. "--qmp-fd N" is added to the program's
 * arguments. Ends with the program, with its exit status (128 + the signal when one killed it).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Moves what is there; false at the end of the input. */
static int copy(int from, int to)
{
    char buffer[65536];
    ssize_t n = read(from, buffer, sizeof buffer);

    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    for (ssize_t at = 0; at < n;) {
        ssize_t w = write(to, buffer + at, (size_t)(n - at));

        if (w < 0 && errno != EINTR)
            return 0;
        at += w > 0 ? w : 0;
    }
    return n > 0;
}

int main(int argc, char **argv)
{
    int pair[2], status, in, out;
    char number[16];
    char **args = calloc((size_t)argc + 3, sizeof *args);
    pid_t pid;

    if (argc < 4 || args == NULL) {
        fprintf(stderr, "usage: qmp_pipe IN OUT PROGRAM [ARG...]\n");
        return 2;
    }
    in = mkfifo(argv[1], 0600) < 0 && errno != EEXIST ? -1 : open(argv[1], O_RDWR | O_CLOEXEC);
    out = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (in < 0 || out < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        perror("qmp_pipe");
        return 2;
    }
    snprintf(number, sizeof number, "%d", pair[1]);
    memcpy(args, argv + 3, (size_t)(argc - 3) * sizeof *args);
    args[argc - 3] = strdup("--qmp-fd");
    args[argc - 2] = number;
    pid = fork();
    if (pid == 0) {
        fcntl(pair[1], F_SETFD, 0);
        execv(args[0], args);
        perror(argv[3]);
        _exit(127);
    }
    close(pair[1]);
    for (int open_end = 1; pid > 0 && open_end;) {
        struct pollfd fds[] = {{.fd = pair[0], .events = POLLIN}, {.fd = in, .events = POLLIN}};

        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents & POLLIN)
            (void)copy(in, pair[0]);
        if (fds[0].revents != 0)
            open_end = copy(pair[0], out);
    }
    free(args);
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return 2;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
