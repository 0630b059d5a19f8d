/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UNIX sockets by path of any length. */
#include "driver/backend/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/error.h"
#include "common/fd.h"

/* Fills address so that it means path; *ret_dir keeps the folder open meanwhile. FALSE with errno. */
static gboolean fill_address(const char *path, struct sockaddr_un *address, int *ret_dir)
{
    g_autofree char *folder = NULL;
    g_autofree char *name = NULL;

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) < sizeof(address->sun_path)) {
        memcpy(address->sun_path, path, strlen(path) + 1);
        return TRUE;
    }
    folder = g_path_get_dirname(path);
    name = g_path_get_basename(path);
    *ret_dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*ret_dir < 0)
        return FALSE;
    if ((gsize)snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", *ret_dir,
                        name) >= sizeof(address->sun_path)) {
        errno = ENAMETOOLONG;
        return FALSE;
    }
    return TRUE;
}

int unix_socket_listen(const char *path, mode_t mode, uid_t owner, gid_t group, GError **error)
{
    autofd dir = -1;
    autofd fd = -1;
    struct sockaddr_un address;
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !fill_address(path, &address, &dir) ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        error_set_errno(error, errno, "cannot make the socket '%s'", path);
        return -1;
    }
    if (chmod(path, mode) < 0 ||
        ((owner != (uid_t)-1 || group != (gid_t)-1) && lchown(path, owner, group) < 0) || listen(fd, 8) < 0) {
        error_set_errno(error, errno, "cannot set up the socket '%s'", path);
        unlink(path);
        return -1;
    }
    return fd_steal(&fd);
}

int unix_socket_connect(const char *path)
{
    autofd dir = -1;
    autofd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;

    /* Non-blocking: a full backlog is EAGAIN, not a wait. */
    if (fd < 0 || !fill_address(path, &address, &dir) ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -1;
    return fd_steal(&fd);
}
