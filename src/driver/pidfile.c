/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pid file with a POSIX lock, as libvirt's daemons lock theirs. */
#include "driver/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"

/* 1: locked, 0: somebody else has it (*ret_pid), -1: errno. */
static int try_lock(int fd, pid_t *ret_pid)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};

    if (fcntl(fd, F_SETLK, &lock) == 0)
        return 1;
    if (errno != EACCES && errno != EAGAIN)
        return -1;
    *ret_pid = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? lock.l_pid : 0;
    return 0;
}

int pidfile_acquire(const char *path, GError **error)
{
    for (;;) {
        autofd fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());
        struct stat opened, present;
        pid_t holder = 0;
        int locked;

        if (fd < 0) {
            error_set_errno(error, errno, "cannot open pid file '%s'", path);
            return -1;
        }
        locked = try_lock(fd, &holder);
        if (locked < 0) {
            error_set_errno(error, errno, "cannot lock pid file '%s'", path);
            return -1;
        }
        if (locked == 0) {
            error_set(error, VIR_ERR_OPERATION_FAILED,
                      "pid file '%s' is held by the running daemon %d: stop that one first, or name another with "
                      "--pid-file", path, (int)holder);
            return -1;
        }
        /* The one that held it may have removed it between our open and our lock. */
        if (fstat(fd, &opened) < 0 || stat(path, &present) < 0 || opened.st_ino != present.st_ino ||
            opened.st_dev != present.st_dev)
            continue;
        /* Others may read who runs, whatever our umask. */
        if (fchmod(fd, 0644) < 0 || ftruncate(fd, 0) < 0 || !fd_write_all(fd, text, strlen(text), NULL)) {
            error_set_errno(error, errno, "cannot write pid file '%s'", path);
            return -1;
        }
        return fd_steal(&fd);
    }
}

void pidfile_release(const char *path, int fd)
{
    if (fd < 0)
        return;
    unlink(path);
    close(fd);
}
