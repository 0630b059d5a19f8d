/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The system call filters: what a thread class may do goes on working, anything else ends the process with the call's name
 * in the log. */
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "lib/tap.h"
#include "vmm/sandbox.h"

static void make_call(long number)
{
    (void)syscall(number, -1, 0, 0, 0, 0, 0);
}

static void signal_process(long pid)
{
    (void)syscall(SYS_tgkill, pid != 0 ? pid : getpid(), pid != 0 ? pid : gettid(), 0);
}

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* What the C library calls on its own account. */
static void use_library(long ignored)
{
    int numbers[1024];
    char *grown = malloc(256 * 1024);

    (void)ignored;
    for (int i = 0; i < 1024; i++)
        numbers[i] = i * 7919 % 1024;
    qsort(numbers, 1024, sizeof numbers[0], by_value);
    grown = grown != NULL ? realloc(grown, 1024 * 1024) : NULL;
    free(grown);
    _exit(grown != NULL && numbers[1] == 1 ? 0 : 3);
}

/* Status of a process that enters this class and does this; its log in text. */
static int act(const char *thread_class, void (*what)(long number), long number, char *text, size_t size)
{
    int pipes[2], status = 0;
    size_t len = 0;
    ssize_t n;
    pid_t pid;

    if (pipe(pipes) < 0 || (pid = fork()) < 0)
        return -1;
    if (pid == 0) {
        Err err = {0};

        dup2(pipes[1], STDERR_FILENO);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (sandbox_enter(&(SandboxOptions){.seccomp = true, .uid = -1, .gid = -1}, &err) < 0)
            _exit(2);
        sandbox_enter_thread(thread_class);
        what(number);
        _exit(0);
    }
    close(pipes[1]);
    while (len + 1 < size && (n = read(pipes[0], text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    close(pipes[0]);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int run(const char *thread_class, long number, char *text, size_t size)
{
    return act(thread_class, make_call, number, text, size);
}

int main(void)
{
    static const struct {
        const char *name;
        long number;
    } forbidden[] = {
        {"execve", SYS_execve}, {"socket", SYS_socket}, {"openat", SYS_openat}, {"ptrace", SYS_ptrace},
        {"mount", SYS_mount},   {"kill", SYS_kill},
    };
    char text[300];

#ifdef KITE_SANITIZED
    printf("1..0 # SKIP no filters in a build with sanitizers\n");
    return 0;
#endif
    ok(run("vcpu", SYS_ioctl, text, sizeof text) == 0 && run("vcpu", SYS_write, text, sizeof text) == 0,
       "a vCPU thread may do its ioctls and writes");
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
        int status = run("vcpu", forbidden[i].number, text, sizeof text);

        ok(status == 159 && strstr(text, "system call ") && strstr(text, forbidden[i].name), "vcpu, %s: %.100s",
           forbidden[i].name, strtok(text, "\n"));
    }
    ok(act("vcpu", signal_process, 0, text, sizeof text) == 0 && act("main", signal_process, 0, text, sizeof text) == 0,
       "threads are signalled");
    ok(act("vcpu", signal_process, getpid(), text, sizeof text) == 159 && strstr(text, "tgkill") &&
           act("main", signal_process, getpid(), text, sizeof text) == 159,
       "other processes are not, even of the same user: %.100s", strtok(text, "\n"));
    ok(run("vcpu", SYS_poll, text, sizeof text) == 0, "it looks for pending interrupts");
    ok(act("iothread", use_library, 0, text, sizeof text) == 0 && act("main", use_library, 0, text, sizeof text) == 0,
       "sorting and large blocks of memory work: %.100s", text);
    ok(run("main", SYS_memfd_create, text, sizeof text) == 0, "shared memory can grow");
    ok(run("iothread", SYS_io_uring_enter, text, sizeof text) == 0 &&
           run("iothread", SYS_execve, text, sizeof text) == 159,
       "an iothread may use its ring and start nothing");
    ok(run("main", SYS_execve, text, sizeof text) == 159 && strstr(text, "execve"), "nor may the main thread");
    return done();
}
