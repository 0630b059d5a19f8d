/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening vhost-vsock: see vsock.h. */
#include "driver/backend/vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>

#include "common/error.h"
#include "common/fd.h"

enum { CID_FIRST = 3, CIDS_TRIED = 65536 };

/* 0 or an errno. */
static int take(int fd, guint cid)
{
    guint64 wanted = cid;

    return ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, &wanted) < 0 ? errno : 0;
}

int vsock_open(VsockDef *vsock, GError **error)
{
    autofd fd = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);
    guint first = vsock->auto_cid == TRISTATE_YES ? CID_FIRST : vsock->cid;
    guint last = vsock->auto_cid == TRISTATE_YES ? CID_FIRST + CIDS_TRIED : vsock->cid;
    int errnum = EADDRINUSE;

    if (fd < 0) {
        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unable to open vhost-vsock device (load the module vhost_vsock): %s",
                  g_strerror(errno));
        return -1;
    }
    for (guint cid = first; errnum == EADDRINUSE && cid <= last; cid++) {
        errnum = take(fd, cid);
        if (errnum == 0)
            vsock->cid = cid;
    }
    if (errnum != 0) {
        if (vsock->auto_cid == TRISTATE_YES)
            error_set_errno(error, errnum, "failed to acquire guest cid");
        else
            error_set_errno(error, errnum, "failed to set guest cid %u", vsock->cid);
        return -1;
    }
    return fd_steal(&fd);
}
