/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kite-confine: starts a program that serves an image (qemu-storage-daemon) with as little as it can do its work with, and
 * ends it when whom it serves is gone.
 *
 *   kite-confine [OPTION]... -- PROGRAM [ARGUMENT]...
 *     --life FD       the reading end of a pipe: when nobody has the other end any more, the program is ended (SIGTERM,
 *                     SIGKILL 5 s later)
 *     --user UID:GID  whom it becomes
 *     --root DIR      a folder, in whose place a root of its own is made: /usr and what stands below, read-only
 *     --read PATH, --write PATH   and in that, under their names, these files, folders or devices
 *     --network host  it has the host's network, else none
 *
 * With --root it also has nobody's shared memory. Of the capabilities it keeps one: to read and write files whoever
 * owns them, of which there are none but those that were named. Without --root it keeps none. System calls that it has no
 * business with fail. A host that does not let us make namespaces (a container) is taken as it is, with a line on standard
 * error. An ordinary user's daemon has no rights to give up: then the options say nothing but --life.
 *
 * The process that was started becomes the program, so that whoever waits for it learns how it ended; beside it a child
 * waits for the end of either side.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/checked.h"

enum { PATHS_MAX = 1024, PATIENCE_MS = 5000 };

typedef struct Place {
    const char *path;
    bool write;
} Place;

static struct {
    int life;
    unsigned long uid, gid;
    bool has_user;
    bool network;
    const char *root;
    Place places[PATHS_MAX];
    unsigned count;
    char **command;
} args = {.life = -1};

static int fail(const char *step, const char *what)
{
    fprintf(stderr, "kite-confine: cannot %s%s%s: %s\n", step, what[0] ? " " : "", what, strerror(errno));
    return -1;
}

/* --- a root of its own --- */

/* The folders above a path below the new root, which is where we are. */
static int make_parents(const char *path)
{
    char name[PATH_MAX];

    if (snprintf(name, sizeof name, ".%s", path) >= (int)sizeof name) {
        errno = ENAMETOOLONG;
        return fail("make a place for", path);
    }
    for (char *at = name + 2; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        if (mkdir(name, 0755) < 0 && errno != EEXIST)
            return fail("make the folder", name);
        *at = '/';
    }
    return 0;
}

/* A bind mount cannot be made read-only before it is there; what its file system forbids must be said again. */
static int make_read_only(const char *name)
{
    static const struct {
        unsigned long has, flag;
    } flags[] = {{ST_NOSUID, MS_NOSUID}, {ST_NODEV, MS_NODEV}, {ST_NOEXEC, MS_NOEXEC}, {ST_NOATIME, MS_NOATIME},
                 {ST_NODIRATIME, MS_NODIRATIME}, {ST_RELATIME, MS_RELATIME}};
    unsigned long keep = MS_REMOUNT | MS_BIND | MS_RDONLY;
    struct statvfs fs;

    if (statvfs(name, &fs) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        keep |= fs.f_flag & flags[i].has ? flags[i].flag : 0;
    return mount(NULL, name, NULL, keep, NULL);
}

static int put_in(const char *path, bool write)
{
    char name[PATH_MAX];
    struct stat st;
    int fd;

    if (path[0] != '/' || stat(path, &st) < 0) {
        errno = path[0] != '/' ? EINVAL : errno;
        return fail("find", path);
    }
    if (make_parents(path) < 0)
        return -1;
    snprintf(name, sizeof name, ".%s", path);
    if (S_ISDIR(st.st_mode)) {
        if (mkdir(name, 0755) < 0 && errno != EEXIST)
            return fail("make a place for", path);
    } else {
        fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
        if (fd < 0)
            return fail("make a place for", path);
        close(fd);
    }
    if (mount(path, name, NULL, MS_BIND | MS_REC, NULL) < 0 || (!write && make_read_only(name) < 0))
        return fail("show it", path);
    return 0;
}

/* /lib is part of /usr today, and was a folder of its own. */
static int put_in_system(void)
{
    static const char *const paths[] = {"/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/etc/ld.so.cache",
                                        "/dev/null", "/dev/urandom"};
    char target[PATH_MAX], name[32];
    struct stat st;

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        ssize_t n;

        if (lstat(paths[i], &st) < 0)
            continue;
        if (!S_ISLNK(st.st_mode)) {
            if (put_in(paths[i], strncmp(paths[i], "/dev/", 5) == 0) < 0)
                return -1;
            continue;
        }
        n = readlink(paths[i], target, sizeof target - 1);
        if (n < 0)
            return fail("read", paths[i]);
        target[n] = '\0';
        snprintf(name, sizeof name, ".%s", paths[i]);
        if (symlink(target, name) < 0 && errno != EEXIST)
            return fail("make the link", paths[i]);
    }
    return 0;
}

/* 0, or -EPERM where that cannot be. */
static int enter_root(void)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (args.network ? 0 : CLONE_NEWNET)) < 0)
        return errno == EPERM ? -EPERM : fail("have namespaces of its own", "");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", args.root, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=0755") < 0 || chdir(args.root) < 0)
        return fail("make a root in", args.root);
    umask(0);
    if (put_in_system() < 0)
        return -1;
    for (unsigned i = 0; i < args.count; i++) {
        if (put_in(args.places[i].path, args.places[i].write) < 0)
            return -1;
    }
    if (make_read_only(".") < 0)
        return fail("make a root in", args.root);
    /* An initramfs is no mount that can be left: the new root is moved over it. */
    if (syscall(SYS_pivot_root, ".", ".") == 0 ? umount2(".", MNT_DETACH) < 0
                                               : mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
        return fail("enter its root", "");
    return chdir("/") < 0 ? fail("enter its root", "") : 0;
}

/* --- rights --- */

/* A user namespace may have fewer, and a container takes some away. */
static void drop_bounding_set(uint64_t keep)
{
    for (unsigned cap = 0; cap < 64; cap++) {
        if (!(keep >> cap & 1))
            (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    }
}

static int set_capabilities(uint64_t keep)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    uint32_t low = (uint32_t)keep;
    struct __user_cap_data_struct data[2] = {{low, low, low}, {0, 0, 0}};

    if (syscall(SYS_capset, &head, data) < 0)
        return fail("drop capabilities", "");
    if (keep != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0) < 0)
        return fail("keep a capability", "");
    return 0;
}

static int drop_rights(void)
{
    uint64_t keep = args.root != NULL ? (uint64_t)1 << CAP_DAC_OVERRIDE : 0;

    drop_bounding_set(keep);
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return fail("keep a capability", "");
    if (args.has_user) {
        if (setgroups(0, NULL) < 0 && errno != EPERM)
            return fail("drop its groups", "");
        if (setresgid((gid_t)args.gid, (gid_t)args.gid, (gid_t)args.gid) < 0 ||
            setresuid((uid_t)args.uid, (uid_t)args.uid, (uid_t)args.uid) < 0)
            return fail("become its user", "");
    }
    return set_capabilities(keep);
}

/*
 * qemu-storage-daemon filters no system calls itself (7.2 to 11.1 have no --sandbox). It cannot be told here what all that
 * drivers and their libraries may call, so this is a list of what none of them has business with: other processes, mounts
 * and namespaces, keys, the kernel's own affairs. Such a call fails.
 */
static const int forbidden[] = {
    SYS_acct, SYS_add_key, SYS_adjtimex, SYS_bpf, SYS_chroot, SYS_clock_adjtime, SYS_clock_settime, SYS_delete_module,
    SYS_finit_module, SYS_fsconfig, SYS_fsmount, SYS_fsopen, SYS_fspick, SYS_init_module, SYS_kcmp, SYS_kexec_file_load,
    SYS_kexec_load, SYS_keyctl, SYS_kill, SYS_mount, SYS_move_mount, SYS_name_to_handle_at, SYS_open_by_handle_at,
    SYS_open_tree, SYS_perf_event_open, SYS_personality, SYS_pidfd_getfd, SYS_pidfd_open, SYS_pidfd_send_signal,
    SYS_pivot_root, SYS_process_vm_readv, SYS_process_vm_writev, SYS_ptrace, SYS_quotactl, SYS_reboot, SYS_request_key,
    SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_setdomainname, SYS_sethostname, SYS_setns, SYS_settimeofday,
    SYS_swapoff, SYS_swapon, SYS_syslog, SYS_tkill, SYS_umount2, SYS_unshare, SYS_userfaultfd, SYS_vhangup,
#ifdef __x86_64__
    SYS_ioperm, SYS_iopl, SYS_modify_ldt,
#endif
};

static int forbid_calls(void)
{
#ifdef __x86_64__
    const uint32_t machine = AUDIT_ARCH_X86_64, last_number = 0x3fffffff; /* above: x32 */
#else
    const uint32_t machine = AUDIT_ARCH_AARCH64, last_number = 0x7fffffff;
#endif
    const uint32_t refused = SECCOMP_RET_ERRNO | EPERM;
    struct sock_filter code[ARRAY_LEN(forbidden) + 7];
    struct sock_fprog program = {.filter = code};
    unsigned n = 0;

    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, machine, 1, 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, refused);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last_number, ARRAY_LEN(forbidden) + 1, 0);
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++)
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)forbidden[i],
                                                 (uint8_t)(ARRAY_LEN(forbidden) - i), 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, refused);
    program.len = (unsigned short)n;
    /* A kernel without filters runs it as it is, with a line. */
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        (void)fail("filter system calls of", args.command[0]);
    return 0;
}

static int confine(void)
{
    const struct rlimit none = {0, 0};
    int r;

    (void)setrlimit(RLIMIT_CORE, &none);
    if (geteuid() == 0) {
        r = args.root != NULL ? enter_root() : 0;
        if (r == -EPERM)
            fprintf(stderr, "kite-confine: no namespaces can be made here: %s sees all files\n", args.command[0]);
        else if (r < 0)
            return r;
        if (drop_rights() < 0)
            return -1;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail("give up new privileges", "");
    return forbid_calls();
}

/* --- the other end --- */

/* It is as little as the program, which it may signal as one of the same user. */
static void watch(int program)
{
    enum { LIFE = 0, PROGRAM = 1 };
    struct pollfd fds[2] = {{.fd = LIFE}, {.fd = PROGRAM, .events = POLLIN}};

    if (dup2(args.life, LIFE) < 0 || dup2(program, PROGRAM) < 0)
        _exit(1);
    syscall(SYS_close_range, PROGRAM + 1, ~0u, 0u);
    setsid();
    if (geteuid() == 0 && args.has_user &&
        ((setgroups(0, NULL) < 0 && errno != EPERM) || setresgid((gid_t)args.gid, (gid_t)args.gid, (gid_t)args.gid) < 0 ||
         setresuid((uid_t)args.uid, (uid_t)args.uid, (uid_t)args.uid) < 0))
        _exit(1);
    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        continue;
    if (fds[1].revents != 0)
        _exit(0);
    pidfd_send_signal(PROGRAM, SIGTERM, NULL, 0);
    if (poll(&fds[1], 1, PATIENCE_MS) == 0)
        pidfd_send_signal(PROGRAM, SIGKILL, NULL, 0);
    _exit(0);
}

static int start_watch(void)
{
    int self;
    pid_t pid;

    if (args.life < 0)
        return 0;
    self = pidfd_open(getpid(), 0);
    if (self < 0)
        return fail("watch itself", "");
    pid = fork();
    if (pid < 0)
        return fail("make a process", "");
    if (pid == 0)
        watch(self);
    close(self);
    close(args.life);
    return 0;
}

/* --- options --- */

static bool take_option(const char *name, char *value)
{
    char *end;

    if (strcmp(name, "--life") == 0) {
        args.life = (int)strtoul(value, &end, 10);
        return *end == '\0';
    }
    if (strcmp(name, "--user") == 0) {
        args.uid = strtoul(value, &end, 10);
        args.gid = *end == ':' ? strtoul(end + 1, &end, 10) : 0;
        args.has_user = true;
        return *end == '\0';
    }
    if (strcmp(name, "--root") == 0) {
        args.root = value;
        return true;
    }
    if (strcmp(name, "--network") == 0) {
        args.network = strcmp(value, "host") == 0;
        return args.network;
    }
    if ((strcmp(name, "--read") == 0 || strcmp(name, "--write") == 0) && args.count < PATHS_MAX) {
        args.places[args.count++] = (Place){value, name[2] == 'w'};
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    int i = 1;

    while (i + 1 < argc && strcmp(argv[i], "--") != 0) {
        if (!take_option(argv[i], argv[i + 1])) {
            fprintf(stderr, "kite-confine: '%s %s' is no option of it\n", argv[i], argv[i + 1]);
            return 2;
        }
        i += 2;
    }
    if (i + 1 >= argc) {
        fputs("kite-confine (" PACKAGE_NAME " " PACKAGE_VERSION "): starts what serves an image; not to be run by hand\n"
              "usage: kite-confine [--life FD] [--user UID:GID] [--root DIR [--read PATH]... [--write PATH]... "
              "[--network host]] -- PROGRAM [ARGUMENT]...\n",
              stderr);
        return 2;
    }
    args.command = argv + i + 1;
    if (start_watch() < 0 || confine() < 0)
        return 1;
    execv(args.command[0], args.command);
    fail("execute", args.command[0]);
    return 1;
}
