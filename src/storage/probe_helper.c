/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kite-probe: reads the headers of images for the daemon. An image is written by its guest, so what looks at it must have
 * nothing to lose: no user, no capability, no file but the one it is handed, a few system calls, and a bound on
 * everything. The daemon kills it when it does not answer in time. See probe_protocol.h for what it hears and says.
 *
 * By hand it says what it is and ends.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/checked.h"
#include "storage/image_priv.h"
#include "storage/probe_protocol.h"

enum { NOBODY = 65534, CPU_SECONDS = 60, MEMORY_LIMIT = 64 << 20 };

static uint8_t head[IMAGE_PROBE_SIZE];

/* --- confinement --- */

static int fail(const char *step)
{
    fprintf(stderr, PROBE_HELPER_NAME ": cannot %s: %s\n", step, strerror(errno));
    return -1;
}

static int set_limits(void)
{
    static const struct {
        int resource;
        rlim_t limit;
    } limits[] = {
        {RLIMIT_CORE, 0},    {RLIMIT_FSIZE, 0}, {RLIMIT_NOFILE, 8}, {RLIMIT_NPROC, 0}, {RLIMIT_CPU, CPU_SECONDS},
#ifndef KITE_SANITIZED
        {RLIMIT_AS, MEMORY_LIMIT},
#endif
    };

    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        const struct rlimit limit = {limits[i].limit, limits[i].limit};

        if (setrlimit((__rlimit_resource_t)limits[i].resource, &limit) < 0)
            return fail("limit itself");
    }
    return 0;
}

/* A root of its own, if it can have one: a folder of the process table, in which nobody can make anything. What a container
 * or user namespace does not allow is left out: then it stays who it is, without capabilities. */
static int drop_user(void)
{
    struct __user_cap_header_struct version = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};

    if (geteuid() != 0)
        return 0;
    if (chroot("/proc/self/fdinfo") < 0 && errno != EPERM && errno != ENOENT)
        return fail("leave the file system");
    if (chdir("/") < 0)
        return fail("leave its folder");
    if (setgroups(0, NULL) < 0 && errno != EPERM)
        return fail("drop its groups");
    if ((setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0) && errno != EINVAL &&
        errno != EPERM)
        return fail("become nobody");
    return syscall(SYS_capset, &version, none) < 0 ? fail("drop its capabilities") : 0;
}

#define ALLOW(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int filter_calls(void)
{
#if defined(KITE_SANITIZED) || !defined(__x86_64__)
    return 0; /* sanitizers make calls of their own choice at any time */
#else
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(__NR_pread64),
        ALLOW(__NR_recvmsg),
        ALLOW(__NR_sendto),
        ALLOW(__NR_fstat),
        ALLOW(__NR_lseek),
        ALLOW(__NR_close),
        ALLOW(__NR_exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    const struct sock_fprog program = {.len = ARRAY_LEN(code), .filter = code};

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? fail("filter its system calls") : 0;
#endif
}

static int confine(void)
{
    const struct timeval idle = {.tv_sec = PROBE_IDLE_SECONDS};

    if (setsockopt(0, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle) < 0) {
        fprintf(stderr, PROBE_HELPER_NAME " reads image headers for virtkited, which starts it with a socket\n");
        return -1;
    }
    syscall(SYS_close_range, 3u, ~0u, 0u);
    (void)prctl(PR_SET_DUMPABLE, 0);
    if (set_limits() < 0 || drop_user() < 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail("forbid new privileges");
    return filter_calls();
}

/* --- work: from here on only the calls of the filter --- */

static int read_head(int fd, size_t *ret_length)
{
    size_t length = 0;

    while (length < sizeof head) {
        ssize_t n = pread(fd, head + length, sizeof head - length, (off_t)length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            break;
        length += (size_t)n;
    }
    *ret_length = length;
    return 0;
}

static int look(int fd, ProbeAnswer *answer)
{
    size_t length = 0;
    struct stat st;
    off_t end;
    int r;

    if (syscall(SYS_fstat, fd, &st) < 0)
        return errno;
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return EMEDIUMTYPE;
    r = read_head(fd, &length);
    if (r != 0)
        return r;
    image_probe(head, length, &answer->probe);
    if (answer->probe.format == IMAGE_FORMAT_RAW || answer->probe.format == IMAGE_FORMAT_ISO) {
        end = lseek(fd, 0, SEEK_END);
        if (end < 0)
            return errno;
        answer->probe.virtual_size = (uint64_t)end;
    }
    /* LUKS1: the payload's offset in sectors, big endian, at byte 104 of the header */
    if (answer->probe.format == IMAGE_FORMAT_LUKS && answer->probe.version == 1 && length >= 108)
        answer->payload = 512 * (uint64_t)get_be32(head + 104);
    return 0;
}

/* A descriptor, or -1: the other end is gone, or speaks nonsense. */
static int hear(ProbeRequest *request)
{
    struct iovec iov = {.iov_base = request, .iov_len = sizeof *request};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    const struct cmsghdr *c;
    ssize_t n;
    int fd;

    do {
        n = recvmsg(0, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n != sizeof *request || request->version != PROBE_VERSION)
        return -1;
    c = CMSG_FIRSTHDR(&message);
    if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
        c->cmsg_len != CMSG_LEN(sizeof fd))
        return -1;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

int main(void)
{
    ProbeRequest request;
    int fd;

    if (confine() < 0)
        _exit(1);
    while ((fd = hear(&request)) >= 0) {
        ProbeAnswer answer;

        memset(&answer, 0, sizeof answer);
        answer.version = PROBE_VERSION;
        answer.size = sizeof answer;
        answer.serial = request.serial;
        answer.errnum = look(fd, &answer);
        close(fd);
        if (send(0, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer)
            break;
    }
    _exit(0);
}
