/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owned file descriptors, always close-on-exec, and passing them over UNIX sockets. Any thread. */
#pragma once

#include <glib.h>
#include <unistd.h>

static inline void autofd_closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define autofd __attribute__((cleanup(autofd_closep))) int

static inline int fd_steal(int *fd)
{
    int old = *fd;

    *fd = -1;
    return old;
}

static inline void fd_clear(int *fd)
{
    int old = *fd;

    *fd = -1;
    if (old >= 0)
        close(old);
}

gboolean fd_set_nonblocking(int fd, gboolean nonblocking, GError **error);
/* Writes all of it, going on after EINTR and short writes. */
gboolean fd_write_all(int fd, const void *data, gsize length, GError **error);
