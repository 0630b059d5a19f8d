/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File descriptor helpers of the daemon side. */
#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>

#include "common/error.h"

gboolean fd_set_nonblocking(int fd, gboolean nonblocking, GError **error)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
        return error_set_errno(error, errno, "cannot change blocking mode of descriptor %d", fd);
    return TRUE;
}

gboolean fd_write_all(int fd, const void *data, gsize length, GError **error)
{
    const char *p = data;

    while (length > 0) {
        ssize_t n = write(fd, p, length);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return error_set_errno(error, errno, "write failed");
        }
        p += n;
        length -= (gsize)n;
    }
    return TRUE;
}
