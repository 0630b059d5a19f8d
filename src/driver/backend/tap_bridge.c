/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tap of a running guest from one bridge to another (Linux: SIOCBRADDIF, SIOCBRDELIF). */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/backend/tap.h"

static int change_port(int ctl, unsigned long request, const char *bridge, const char *name)
{
    struct ifreq ifr = {0};

    if (g_strlcpy(ifr.ifr_name, bridge, sizeof(ifr.ifr_name)) >= sizeof(ifr.ifr_name))
        return ENAMETOOLONG;
    ifr.ifr_ifindex = (int)if_nametoindex(name);
    if (ifr.ifr_ifindex == 0)
        return ENODEV;
    return ioctl(ctl, request, &ifr) < 0 ? errno : 0;
}

static gboolean isolate(const char *name, gboolean isolated)
{
    g_autofree char *path = g_strdup_printf("/sys/class/net/%s/brport/isolated", name);
    autofd fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 ? write(fd, isolated ? "1" : "0", 1) == 1 : !isolated;
}

gboolean tap_change_bridge(const char *name, const char *old, const char *bridge, gboolean isolated, GError **error)
{
    autofd ctl = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int errnum;

    if (ctl < 0)
        return error_set_errno(error, errno, "Cannot open control socket for '%s'", name);
    if (bridge == NULL || if_nametoindex(bridge) == 0)
        return error_set(error, VIR_ERR_OPERATION_FAILED, "bridge %s doesn't exist", bridge != NULL ? bridge : "");
    if (old != NULL && (errnum = change_port(ctl, SIOCBRDELIF, old, name)) != 0 && errnum != EINVAL)
        return error_set_errno(error, errnum, "Unable to remove bridge %s port %s", old, name);
    errnum = change_port(ctl, SIOCBRADDIF, bridge, name);
    if (errnum == 0 && !isolate(name, isolated)) {
        errnum = errno;
        change_port(ctl, SIOCBRDELIF, bridge, name);
    }
    if (errnum == 0)
        return TRUE;
    if (old != NULL)
        change_port(ctl, SIOCBRADDIF, old, name);
    return error_set_errno(error, errnum, "Unable to add bridge %s port %s", bridge, name);
}
