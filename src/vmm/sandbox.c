/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Isolation. What is not allowed here (a namespace inside a container, capabilities that the user never had)
 * is left out with a line in the log; what was asked for by number (uid, gid) must work.
 *
 * Filters: seccomp_filters.h is generated from the #syscalls comments of the sources
 * (tools/gen/seccompgen.py). The last resort of a filter is SECCOMP_RET_TRAP: the handler logs the call's
 * number and name, then ends the process.
 *
 * #syscalls:* rt_sigreturn exit exit_group write futex close munmap mmap mremap mprotect madvise brk sched_yield
 * #syscalls:* clock_gettime clock_nanosleep gettid getpid tgkill rt_sigprocmask rt_sigaction restart_syscall
 * #syscalls:* set_robust_list rseq getrandom
 *
 * An iothread that comes later begins under the main thread's filter and adds its own, which can only take away:
 * #syscalls:main seccomp
 */
#include "vmm/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/checked.h"
#include "config.h"
#include "vmm/log.h"
#include "vmm/seccomp_filters.h"

/* --- stage 1: the process
 * ------------------------------------------------------------------------------------- */

/*
 * An empty read-only root, mounted nowhere: no path leads out of it, no directory is open, and there is no capability to
 * chroot or mount with. Better than a mount namespace of our own that is emptied with umount2(), which waits for all CPUs
 * (2 ms and more), and than one that is not, which would keep the host's file systems busy.
 */
static int enter_detached_root(void)
{
    static const char *const options[][2] = {{"size", "4k"}, {"nr_inodes", "2"}, {"mode", "0555"}};
    int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), root, r = 0;

    if (fs < 0)
        return -errno;
    for (size_t i = 0; i < ARRAY_LEN(options) && r == 0; i++)
        r = fsconfig(fs, FSCONFIG_SET_STRING, options[i][0], options[i][1], 0);
    if (r == 0)
        r = fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
    root = r == 0 ? fsmount(fs, FSMOUNT_CLOEXEC,
                            MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
                  : -1;
    /* root stays open: closing it would unmount, and wait for all CPUs. */
    r = root < 0 || fchdir(root) < 0 || chroot(".") < 0 || chdir("/") < 0 ? -errno : 0;
    close(fs);
    return r;
}

/* In a mount namespace of our own: it is emptied. */
static int enter_own_root(void)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=2,mode=0555") <
            0)
        return -errno;
    if (chdir("/tmp") < 0 ||
        mount(NULL, ".", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return -errno;
    if (syscall(SYS_pivot_root, ".", ".") == 0)
        return umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 ? -errno : 0;
    /* An initramfs is no mount that can be left: the new root is moved over it (Linux,
     * ramfs-rootfs-initramfs.rst). */
    if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        return -errno;
    return 0;
}

/* One line into a file below /proc/self. */
static int write_self(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CLOEXEC), r;

    if (fd < 0)
        return -errno;
    r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return r;
}

/* An ordinary user may do all that in a user namespace of his own, where the host allows these; a mount namespace belongs
 * to it, which would keep the host's file systems busy if it were not emptied. */
static int enter_users_root(void)
{
    char uids[32], gids[32];
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int r;

    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET) < 0)
        return -EPERM;
    snprintf(uids, sizeof uids, "%u %u 1", uid, uid);
    snprintf(gids, sizeof gids, "%u %u 1", gid, gid);
    if ((r = write_self("/proc/self/setgroups", "deny")) < 0 || (r = write_self("/proc/self/gid_map", gids)) < 0 ||
        (r = write_self("/proc/self/uid_map", uids)) < 0)
        return r;
    return enter_own_root();
}

static int enter_empty_root(void)
{
    int r;

    if (unshare(CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        return errno == EPERM && geteuid() != 0 ? enter_users_root() : -errno;
    r = enter_detached_root();
    if (r == -ENOSYS) /* older than 5.2 */
        r = unshare(CLONE_NEWNS) < 0 ? -errno : enter_own_root();
    return r;
}

/* While we may: the last right that goes is the one to give up others. */
static void drop_bounding_set(void)
{
    for (int cap = 0; cap <= 63 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
        ;
}

static int drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};

    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &head, none) < 0 ? -errno : 0;
}

static void set_limits(void)
{
    static const struct {
        int resource;
        rlim_t limit;
    } limits[] = {
        {RLIMIT_CORE, 0},
        {RLIMIT_FSIZE, RLIM_INFINITY},
        {RLIMIT_NOFILE, 4096},
    };

    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct rlimit old, wanted = {.rlim_cur = limits[i].limit, .rlim_max = limits[i].limit};

        if (getrlimit((__rlimit_resource_t)limits[i].resource, &old) == 0 && old.rlim_max < limits[i].limit)
            continue;
        (void)setrlimit((__rlimit_resource_t)limits[i].resource, &wanted);
    }
}

#define FILTER_MAX 512 /* instructions */

/* --- stage 2: system calls of a thread
 * ------------------------------------------------------------------------- */

static const char *call_name(int number)
{
    for (size_t i = 0; i < ARRAY_LEN(seccomp_names); i++) {
        if (seccomp_names[i].number == number)
            return seccomp_names[i].name;
    }
    return "?";
}

static void (*before_kill)(void);

/* Only async-signal-safe calls that every filter allows. */
static void on_violation(int signum, siginfo_t *info, void *context)
{
    char text[160], *at = text;
    const char *name = call_name(info->si_syscall);
    int number = info->si_syscall;
    char digits[12];
    int n = 0;

    (void)signum;
    (void)context;
    at = stpcpy(at, "kite-vmm: sandbox: system call ");
    at = stpcpy(at, name);
    at = stpcpy(at, " (");
    do {
        digits[n++] = (char)('0' + number % 10);
    } while ((number /= 10) > 0);
    while (n > 0)
        *at++ = digits[--n];
    at = stpcpy(at, ") is not allowed in this thread; the VM is killed\n");
    if (before_kill != NULL)
        before_kill();
    (void)!write(STDERR_FILENO, text, (size_t)(at - text));
    _exit(159); /* 128 + SIGSYS */
}

static int install_handler(void)
{
    struct sigaction action = {.sa_sigaction = on_violation, .sa_flags = SA_SIGINFO | SA_NODEFER};

    return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}

void sandbox_enter_thread(const char *thread_class)
{
#ifdef KITE_SANITIZED
    (void)thread_class; /* sanitizers make calls of their own choice at any time */
#else
    for (size_t i = 0; i < ARRAY_LEN(seccomp_filters); i++) {
        const SeccompFilter *f = &seccomp_filters[i];
        struct sock_filter code[FILTER_MAX];
        struct sock_fprog program = {.len = f->len, .filter = code};

        if (strcmp(f->thread_class, thread_class) != 0 || f->len > FILTER_MAX)
            continue;
        for (unsigned k = 0; k < f->len; k++) {
            code[k] = f->code[k];
            if (code[k].k == SECCOMP_OWN_PID)
                code[k].k = (uint32_t)getpid();
        }
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) {
            log_error("cannot install the system call filter for %s threads: %s", thread_class,
                      strerror(errno));
            _exit(1);
        }
        return;
    }
    log_error("no system call filter for %s threads", thread_class);
    _exit(1);
#endif
}

int sandbox_enter(const SandboxOptions *o, Err *err)
{
    int r;

    if (o->drop_privileges)
        set_limits();
    if (o->chroot && (r = enter_empty_root()) < 0 && r != -EPERM)
        log_note("no empty root for this VM: %s", strerror(-r));
    if (o->drop_privileges)
        drop_bounding_set();
    if (o->gid >= 0 && (setgroups(0, NULL) < 0 || setresgid((gid_t)o->gid, (gid_t)o->gid, (gid_t)o->gid) < 0))
        return err_set(err, errno, "cannot become group %lld: %s", (long long)o->gid, strerror(errno));
    if (o->uid >= 0 && setresuid((uid_t)o->uid, (uid_t)o->uid, (uid_t)o->uid) < 0)
        return err_set(err, errno, "cannot become user %lld: %s", (long long)o->uid, strerror(errno));
    if (o->drop_privileges) {
        r = drop_capabilities();
        if (r < 0)
            return err_set(err, -r, "cannot drop capabilities: %s", strerror(-r));
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
            return err_set(err, errno, "cannot forbid new privileges: %s", strerror(errno));
    }
    before_kill = o->before_kill;
    if (o->seccomp && (r = install_handler()) < 0)
        return err_set(err, -r, "cannot set the sandbox's signal handler: %s", strerror(-r));
    return 0;
}
