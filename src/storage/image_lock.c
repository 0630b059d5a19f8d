/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks that QEMU understands: see image_lock.h. */
#include "config.h"

#include "storage/image_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define PERM_BASE 100
#define UNSHARED_BASE 200
#define N_PERMS 4

static const char *const perm_names[N_PERMS] = {"read", "write", "write unchanged", "resize"};

/* One byte: F_RDLCK takes it, F_UNLCK gives it up. */
static int lock_byte(int fd, int offset, short type)
{
    struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};

    while (fcntl(fd, F_OFD_SETLK, &fl) < 0)
        if (errno != EINTR)
            return errno == EACCES ? -EAGAIN : -errno;
    return 0;
}

static bool byte_is_taken(int fd, int offset)
{
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};

    return fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type != F_UNLCK;
}

/* Brings the locked bytes from `from` to `to`; only taking can fail. */
static int move_locks(int fd, int base, unsigned from, unsigned to, bool release)
{
    for (int i = 0; i < N_PERMS; i++) {
        unsigned bit = 1u << i;

        if ((to & bit) && !(from & bit)) {
            int ret = lock_byte(fd, base + i, F_RDLCK);

            if (ret < 0)
                return ret;
        } else if (release && !(to & bit) && (from & bit)) {
            lock_byte(fd, base + i, F_UNLCK);
        }
    }
    return 0;
}

int image_lock_set(int fd, unsigned perms, unsigned shared, unsigned *held, unsigned *unshared, const char *name,
                   Err *err)
{
    unsigned deny = IMAGE_PERM_ALL & ~shared;
    int ret;

    ret = move_locks(fd, PERM_BASE, *held, perms, false);
    if (ret == 0)
        ret = move_locks(fd, UNSHARED_BASE, *unshared, deny, false);
    if (ret == -EINVAL || ret == -ENOLCK || ret == -ENOTSUP)
        return 0; /* a file system without locks: nothing to be had */
    if (ret < 0)
        err_set(err, -ret, "%s: cannot take the image's locks: %s", name, strerror(-ret));
    for (int i = 0; i < N_PERMS && ret == 0; i++) {
        unsigned bit = 1u << i;

        if ((perms & bit) && byte_is_taken(fd, UNSHARED_BASE + i))
            ret = err_set(err, EAGAIN, "%s: another process uses the image and does not share \"%s\": stop it first",
                          name, perm_names[i]);
        else if ((deny & bit) && byte_is_taken(fd, PERM_BASE + i))
            ret = err_set(err, EAGAIN, "%s: another process has the image open for \"%s\": stop it first", name,
                          perm_names[i]);
    }
    if (ret < 0) {
        move_locks(fd, PERM_BASE, *held | perms, *held, true);
        move_locks(fd, UNSHARED_BASE, *unshared | deny, *unshared, true);
        return ret;
    }
    move_locks(fd, PERM_BASE, *held, perms, true);
    move_locks(fd, UNSHARED_BASE, *unshared, deny, true);
    *held = perms;
    *unshared = deny;
    return 0;
}
