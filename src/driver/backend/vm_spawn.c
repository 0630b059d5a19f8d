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
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/thread.h"
#include "driver/backend/vm_process.h"

enum { CHILD_STACK = 256 * 1024 };

/* Shared with the child, also when it has memory of its own. */
typedef struct ChildContext {
    const VmSpawn *spawn;
    int null_fd;
    int network; /* namespace to enter; -1: ours */
    pid_t parent;
    int here[2], go[2]; /* the gate's: it says its pid, and waits for a byte */
    int errnum; /* set by the child when it failed */
    const char *step; /* at which step */
} ChildContext;

/* The thread that lets the child through its gate, while the one that made it stands still until its exec. */
typedef struct Gate {
    const VmSpawn *spawn;
    int here, go;
    GError *error;
} Gate;

static int child_fail(ChildContext *context, const char *step)
{
    context->errnum = errno;
    context->step = step;
    _exit(127);
}

static int child_wait(ChildContext *context)
{
    pid_t pid = (pid_t)syscall(SYS_getpid);
    ssize_t n;
    char word;

    close(context->go[1]);
    if (write(context->here[1], &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
        return -1;
    do {
        n = read(context->go[0], &word, 1);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        errno = ECANCELED;
    return n == 1 ? 0 : -1;
}

static int child_main(void *data)
{
    ChildContext *context = data;
    const VmSpawn *spawn = context->spawn;
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    sigset_t none;

    setsid();
    /* Should we be killed before it has a name to be found by (processes_kill_of()), it ends too. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || (pid_t)syscall(SYS_getppid) != context->parent)
        return child_fail(context, "tie it to its parent");
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
        /* Not allowed to raise it: up to where it goes. If that is too little the VM will say so. */
        if (spawn->max_locked != 0 && setrlimit(RLIMIT_MEMLOCK, &locked) < 0 &&
            getrlimit(RLIMIT_MEMLOCK, &locked) == 0) {
            locked.rlim_cur = locked.rlim_max;
            setrlimit(RLIMIT_MEMLOCK, &locked);
        }
    }
    if (spawn->gate != NULL && child_wait(context) < 0)
        return child_fail(context, "wait until it is placed");
    if (context->network >= 0 && setns(context->network, CLONE_NEWNET) < 0)
        return child_fail(context, "leave the network");
    if (spawn->memory_policy != 0 &&
        syscall(SYS_set_mempolicy, spawn->memory_policy, spawn->memory_nodes, spawn->memory_nodes_max) < 0)
        return child_fail(context, "set the memory policy");
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
    prctl(PR_SET_PDEATHSIG, 0);
    execve(spawn->argv[0], (char *const *)spawn->argv, (char *const *)spawn->env);
    return child_fail(context, "execute it");
}

static gpointer gate_main(gpointer data)
{
    Gate *gate = data;
    pid_t pid;

    if (read(gate->here, &pid, sizeof(pid)) == (ssize_t)sizeof(pid) &&
        gate->spawn->gate(pid, gate->spawn->gate_opaque, &gate->error)) {
        if (write(gate->go, "", 1) != 1)
            error_set_errno(&gate->error, errno, "cannot let process %d go on", (int)pid);
    }
    close(gate->go); /* otherwise it ends */
    return NULL;
}

/* FALSE with errno set. */
static gboolean open_gate(const VmSpawn *spawn, ChildContext *context, Gate *gate)
{
    context->here[0] = context->here[1] = context->go[0] = context->go[1] = -1;
    if (spawn->gate == NULL)
        return TRUE;
    if (pipe2(context->here, O_CLOEXEC) < 0 || pipe2(context->go, O_CLOEXEC) < 0)
        return FALSE;
    *gate = (Gate){.spawn = spawn, .here = context->here[0], .go = context->go[1]};
    return TRUE;
}

static void close_gate(ChildContext *context, GThread *thread)
{
    fd_clear(&context->here[1]); /* a child that has ended before it said its pid */
    if (thread != NULL) {
        context->go[1] = -1; /* the thread's */
        g_thread_join(thread);
    }
    fd_clear(&context->here[0]);
    fd_clear(&context->go[0]);
    fd_clear(&context->go[1]);
}

static gpointer make_empty_network(gpointer data)
{
    /* A thread's namespaces are its own; what is open stays when it ends. */
    if (unshare(CLONE_NEWNET) < 0)
        return GINT_TO_POINTER(-1);
    return GINT_TO_POINTER(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
}

/*
 * A network namespace with nothing in it but a loopback device that is down. One for all: making one takes the kernel
 * half a millisecond. -1: we may not make any, or there is no room for a thread. io_uring makes sockets past a system
 * call filter, so this is what keeps a VM that was taken over off the host's network and its abstract sockets.
 */
static int empty_network(void)
{
    static gsize once;
    static int network = -1;

    if (g_once_init_enter(&once)) {
        GThread *thread = thread_new("network", make_empty_network, NULL, NULL);

        if (thread != NULL)
            network = GPOINTER_TO_INT(g_thread_join(thread));
        if (network < 0)
            log_info("no network namespaces can be made here: VMs stay in ours");
        g_once_init_leave(&once, 1);
    }
    return network;
}

static void *map_memory(gsize size, int how)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | how, -1, 0);

    return memory != MAP_FAILED ? memory : NULL;
}

/* The child, until its exec or its end. -1 with errno. */
static pid_t make_child(ChildContext *context, void *stack, int *ret_pidfd)
{
    int flags = CLONE_VFORK | CLONE_PIDFD | SIGCHLD | (context->spawn->own_memory ? 0 : CLONE_VM);
    sigset_t all, old;
    int errnum;
    pid_t pid;

    /* A handler of ours must not run in the child, on our memory. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pid = clone(child_main, (char *)stack + CHILD_STACK, flags, context, ret_pidfd);
    errnum = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = errnum;
    return pid;
}

static gboolean run_child(ChildContext *context, void *stack, pid_t *ret_pid, int *ret_pidfd, GError **error)
{
    const char *program = context->spawn->argv[0];
    GThread *thread = NULL;
    Gate gate = {0};
    int pidfd = -1, errnum;
    pid_t pid;

    if (!open_gate(context->spawn, context, &gate)) {
        errnum = errno;
        close_gate(context, NULL);
        return error_set_errno(error, errnum, "cannot start '%s': cannot make a pipe", program);
    }
    if (context->spawn->gate != NULL && (thread = thread_new("gate", gate_main, &gate, error)) == NULL) {
        close_gate(context, NULL);
        g_prefix_error(error, "cannot start '%s': ", program);
        return FALSE;
    }
    pid = make_child(context, stack, &pidfd);
    errnum = errno;
    close_gate(context, thread);
    if (pid < 0)
        return error_set_errno(error, errnum, "cannot start '%s': cannot make a process", program);
    if (context->errnum == 0 && gate.error == NULL) {
        *ret_pid = pid;
        *ret_pidfd = pidfd;
        return TRUE;
    }
    waitpid(pid, NULL, 0);
    close(pidfd);
    if (gate.error == NULL)
        return error_set_errno(error, context->errnum, "cannot start '%s': cannot %s", program, context->step);
    g_propagate_error(error, gate.error);
    return FALSE;
}

gboolean vm_spawn(const VmSpawn *spawn, pid_t *ret_pid, int *ret_pidfd, GError **error)
{
    autofd null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    ChildContext *context;
    void *stack;
    gboolean done;

    if (null_fd < 0)
        return error_set_errno(error, errno, "cannot start '%s': cannot open '/dev/null'", spawn->argv[0]);
    stack = map_memory(CHILD_STACK, MAP_PRIVATE | MAP_STACK);
    context = map_memory(sizeof(*context), MAP_SHARED);
    if (stack != NULL && context != NULL) {
        *context = (ChildContext){.spawn = spawn, .null_fd = null_fd, .parent = getpid(),
                                  .network = spawn->no_network ? empty_network() : -1};
        done = run_child(context, stack, ret_pid, ret_pidfd, error);
    } else {
        done = error_set_errno(error, ENOMEM, "cannot start '%s': no memory for a stack", spawn->argv[0]);
    }
    if (stack != NULL)
        munmap(stack, CHILD_STACK);
    if (context != NULL)
        munmap(context, sizeof(*context));
    return done;
}
