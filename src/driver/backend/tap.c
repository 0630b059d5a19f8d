/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tap devices. */
#include "driver/backend/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"

static gboolean name_fits(const char *name)
{
    return strlen(name) < IFNAMSIZ && strchr(name, '/') == NULL;
}

static void set_name(struct ifreq *ifr, const char *name)
{
    memset(ifr->ifr_name, 0, IFNAMSIZ);
    memcpy(ifr->ifr_name, name, MIN(strlen(name), (gsize)IFNAMSIZ - 1));
}

static gboolean open_queue(const TapRequest *request, char *name, int *ret_fd, GError **error)
{
    struct ifreq ifr = {0};
    autofd fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return error_set_errno(
            error, errno, "interface '%s': Unable to open /dev/net/tun, is tun module loaded?", request->mac);
    ifr.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (request->queues > 1)
        ifr.ifr_flags |= IFF_MULTI_QUEUE;
    if (request->vnet_hdr)
        ifr.ifr_flags |= IFF_VNET_HDR;
    set_name(&ifr, name);
    if (ioctl(fd, TUNSETIFF, &ifr) < 0)
        return error_set_errno(error, errno, "interface '%s': Unable to create tap device %s%s", request->mac,
                               name, errno == EPERM ? " (it needs CAP_NET_ADMIN)" : "");
    g_strlcpy(name, ifr.ifr_name, IFNAMSIZ);
    *ret_fd = fd_steal(&fd);
    return TRUE;
}

/* The guest's MAC with 0xFE first: a bridge takes the lowest MAC of its ports for its own, and must not take
 * this. */
static gboolean own_mac(const char *guest, unsigned char mac[6])
{
    unsigned int v[6];

    if (guest == NULL ||
        sscanf(guest, "%2x:%2x:%2x:%2x:%2x:%2x", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5]) != 6)
        return FALSE;
    for (int i = 0; i < 6; i++)
        mac[i] = (unsigned char)v[i];
    mac[0] = 0xFE;
    return TRUE;
}

static gboolean write_sysfs(const char *path, const char *value)
{
    autofd fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, value, strlen(value)) >= 0;
}

static gboolean set_up(const TapRequest *request, const char *name, GError **error)
{
    autofd ctl = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq ifr = {0};
    unsigned char mac[6];
    guint mtu = request->mtu;

    if (ctl < 0)
        return error_set_errno(error, errno, "cannot make a socket for the tap '%s'", name);
    if (request->bridge != NULL) {
        if (!name_fits(request->bridge) || if_nametoindex(request->bridge) == 0)
            return error_set_errno(
                error, ENODEV,
                "interface '%s': Cannot get interface MTU on '%s' (create the bridge first: "
                "ip link add %s type bridge; ip link set %s up)",
                request->mac, request->bridge, request->bridge, request->bridge);
        set_name(&ifr, request->bridge);
        if (mtu == 0 && ioctl(ctl, SIOCGIFMTU, &ifr) == 0)
            mtu = (guint)ifr.ifr_mtu;
    }
    if (own_mac(request->mac, mac)) {
        set_name(&ifr, name);
        ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
        memcpy(ifr.ifr_hwaddr.sa_data, mac, 6);
        if (ioctl(ctl, SIOCSIFHWADDR, &ifr) < 0)
            return error_set_errno(error, errno, "interface '%s': Cannot set interface MAC on '%s'",
                                   request->mac, name);
    }
    if (mtu != 0) {
        set_name(&ifr, name);
        ifr.ifr_mtu = (int)mtu;
        if (ioctl(ctl, SIOCSIFMTU, &ifr) < 0)
            return error_set_errno(error, errno, "interface '%s': Cannot set interface MTU %u on '%s'",
                                   request->mac, mtu, name);
    }
    if (request->bridge != NULL && request->ovs != NULL &&
        !tap_ovs_join(name, request->bridge, request->mac, request->ovs, error))
        return FALSE;
    if (request->bridge != NULL && request->ovs == NULL) {
        g_autofree char *isolated = g_strdup_printf("/sys/class/net/%s/brport/isolated", name);

        set_name(&ifr, request->bridge);
        ifr.ifr_ifindex = (int)if_nametoindex(name);
        if (ioctl(ctl, SIOCBRADDIF, &ifr) < 0)
            return error_set_errno(error, errno, "interface '%s': Unable to add bridge %s port %s%s",
                                   request->mac, request->bridge, name,
                                   errno == EOPNOTSUPP || errno == EINVAL ? " (is it a Linux bridge?)" : "");
        if (request->isolated && !write_sysfs(isolated, "1"))
            return error_set_errno(error, errno, "interface '%s': Unable to set port isolation of '%s'",
                                   request->mac, name);
    }
    set_name(&ifr, name);
    if (ioctl(ctl, SIOCGIFFLAGS, &ifr) == 0) {
        ifr.ifr_flags |= IFF_UP;
        if (ioctl(ctl, SIOCSIFFLAGS, &ifr) == 0)
            return TRUE;
    }
    return error_set_errno(error, errno, "interface '%s': Cannot set interface flags on '%s'", request->mac,
                           name);
}

gboolean tap_open(const TapRequest *request, int *ret_fds, char **ret_name, GError **error)
{
    char name[IFNAMSIZ] = "vnet%d";
    guint opened = 0;
    gboolean ok = TRUE;

    if (request->name != NULL && !name_fits(request->name))
        return error_set(error, VIR_ERR_XML_ERROR,
                         "interface '%s': '%s' is no name for a network device: it may have "
                         "up to %d characters",
                         request->mac, request->name, IFNAMSIZ - 1);
    if (request->name != NULL)
        g_strlcpy(name, request->name, sizeof(name));
    if (request->existing && if_nametoindex(name) == 0)
        return error_set_errno(
            error, ENODEV, "interface '%s': target '%s' with managed='no' does not exist: create it first",
            request->mac, name);
    for (; ok && opened < request->queues; opened += ok)
        ok = open_queue(request, name, &ret_fds[opened], error);
    if (ok && !request->existing)
        ok = set_up(request, name, error);
    if (!ok) {
        while (opened > 0)
            fd_clear(&ret_fds[--opened]);
        return FALSE;
    }
    *ret_name = g_strdup(name);
    return TRUE;
}

gboolean vhost_net_open(int *ret_fds, guint n, int *ret_errnum)
{
    for (guint i = 0; i < n; i++) {
        ret_fds[i] = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
        if (ret_fds[i] < 0) {
            *ret_errnum = errno;
            while (i > 0)
                fd_clear(&ret_fds[--i]);
            return FALSE;
        }
    }
    return TRUE;
}

/* --- the setuid helper --- */

static int receive_fd(int socket)
{
    char byte;
    struct iovec iov = {&byte, 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    int fd;

    if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) <= 0 || CMSG_FIRSTHDR(&msg) == NULL ||
        CMSG_FIRSTHDR(&msg)->cmsg_type != SCM_RIGHTS)
        return -1;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
    return fd;
}

static void keep_fd(gpointer data)
{
    fcntl(GPOINTER_TO_INT(data), F_SETFD, 0);
}

gboolean tap_from_helper(const char *helper, const char *bridge, gboolean vnet_hdr, int *ret_fd,
                         GError **error)
{
    int pair[2];
    g_autofree char *br = g_strdup_printf("--br=%s", bridge);
    g_autofree char *fd_arg = NULL;
    g_autofree char *words = NULL;
    g_autoptr(GError) local = NULL;
    gboolean ok;
    int status = 0;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set_errno(error, errno, "cannot make a socket pair for '%s'", helper);
    fd_arg = g_strdup_printf("--fd=%d", pair[1]);
    {
        const char *argv[] = {helper, vnet_hdr ? "--use-vnet" : br, vnet_hdr ? br : fd_arg,
                              vnet_hdr ? fd_arg : NULL, NULL};

        ok = g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_LEAVE_DESCRIPTORS_OPEN, keep_fd,
                          GINT_TO_POINTER(pair[1]), NULL, &words, &status, &local);
    }
    close(pair[1]);
    *ret_fd = ok && status == 0 ? receive_fd(pair[0]) : -1;
    close(pair[0]);
    if (*ret_fd >= 0)
        return TRUE;
    return error_set(
        error, VIR_ERR_INTERNAL_ERROR,
        "failed to retrieve file descriptor for interface: bridge helper '%s' for bridge '%s': %s", helper,
        bridge,
        local   ? local->message
        : words ? g_strstrip(words)
                : "no descriptor came");
}
