/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starting a VM process. clone(CLONE_VM | CLONE_VFORK): the child borrows our memory until it executes, so a
 * start costs the same whatever the size of the daemon, and works while other threads run. Between clone and
 * exec the child makes system calls only: no allocation, no locks, no glibc wrapper that talks to other
 * threads (setuid).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clone */
#endif
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/backend/vm_process.h"

enum { CHILD_STACK = 256 * 1024 };

typedef struct ChildContext {
    const VmSpawn *spawn;
    int null_fd;
    int errnum; /* set by the child when it failed */
    const char *step; /* at which step */
} ChildContext;

static int child_fail(ChildContext *context, const char *step)
{
    context->errnum = errno;
    context->step = step;
    _exit(127);
}

static int child_main(void *data)
{
    ChildContext *context = data;
    const VmSpawn *spawn = context->spawn;
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    sigset_t none;

    setsid();
    for (int sig = 1; sig < NSIG; sig++)
        sigaction(sig, &dfl, NULL); /* fails for SIGKILL, SIGSTOP and glibc's own: no matter */
    if (dup2(context->null_fd, 0) < 0 || dup2(spawn->output_fd, 1) < 0 || dup2(spawn->output_fd, 2) < 0)
        return child_fail(context, "set up standard input and output");
    syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC); /* before Linux 5.11 all have it anyway */
    for (guint i = 0; i < spawn->n_fds; i++) {
        if (fcntl(spawn->fds[i], F_SETFD, 0) < 0)
            return child_fail(context, "pass a descriptor");
    }
    if (spawn->max_core != 0 || spawn->max_locked != 0) {
        struct rlimit core = {spawn->max_core, spawn->max_core},
                      locked = {spawn->max_locked, spawn->max_locked};

        if (setrlimit(RLIMIT_CORE, &core) < 0 && spawn->max_core != 0)
            return child_fail(context, "set the limit of core dumps");
        if (spawn->max_locked != 0 && setrlimit(RLIMIT_MEMLOCK, &locked) < 0)
            return child_fail(context, "set the limit of locked memory");
    }
    if (spawn->gid != (gid_t)-1 && (syscall(SYS_setgroups, (size_t)spawn->n_groups, spawn->groups) < 0 ||
                                    syscall(SYS_setgid, spawn->gid) < 0))
        return child_fail(context, "change the group");
    if (spawn->uid != (uid_t)-1 && syscall(SYS_setuid, spawn->uid) < 0)
        return child_fail(context, "change the user");
    if (chdir(spawn->cwd ? spawn->cwd : "/") < 0)
        return child_fail(context, "change the folder");
    umask(0002);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(spawn->argv[0], (char *const *)spawn->argv, (char *const *)spawn->env);
    return child_fail(context, "execute it");
}

gboolean vm_spawn(const VmSpawn *spawn, pid_t *ret_pid, int *ret_pidfd, GError **error)
{
    ChildContext context = {.spawn = spawn};
    autofd null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t all, old;
    int pidfd = -1, errnum;
    pid_t pid;
    void *stack;

    if (null_fd < 0)
        return error_set_errno(error, errno, "cannot start '%s': cannot open '/dev/null'", spawn->argv[0]);
    context.null_fd = null_fd;
    stack = mmap(NULL, CHILD_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return error_set_errno(error, errno, "cannot start '%s': no memory for a stack", spawn->argv[0]);

    /* A handler of ours must not run in the child, on our memory. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pid = clone(child_main, (char *)stack + CHILD_STACK, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
                &context, &pidfd);
    errnum = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    munmap(stack, CHILD_STACK);

    if (pid < 0)
        return error_set_errno(error, errnum, "cannot start '%s': cannot make a process", spawn->argv[0]);
    if (context.errnum != 0) {
        waitpid(pid, NULL, 0);
        close(pidfd);
        return error_set_errno(error, context.errnum, "cannot start '%s': cannot %s", spawn->argv[0],
                               context.step);
    }
    *ret_pid = pid;
    *ret_pidfd = pidfd;
    return TRUE;
}
