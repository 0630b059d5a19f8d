/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all net back ends have in common: watching their queues' descriptors, closing. */
#include "vmm/net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void ready(void *opaque, uint32_t events)
{
    NetQueueWatch *w = opaque;

    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && w->watch.active && w->user.on_readable)
        w->user.on_readable(w->user.opaque, w->queue);
    if ((events & EPOLLOUT) && w->watch.active && w->user.on_writable)
        w->user.on_writable(w->user.opaque, w->queue);
}

int net_watch(NetBackend *net, unsigned queue, Loop *loop, const NetWatch *watch)
{
    NetQueueWatch *w;

    if (queue >= net->queues || queue >= NET_QUEUES_MAX)
        return -EINVAL;
    w = &net->watches[queue];
    w->user = *watch;
    w->queue = queue;
    return loop_watch(loop, &w->watch, net->ops->queue_fd(net, queue), 0, ready, w);
}

void net_watch_events(NetBackend *net, unsigned queue, bool readable, bool writable)
{
    if (queue < NET_QUEUES_MAX)
        (void)loop_watch_events(&net->watches[queue].watch,
                                (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0));
}

void net_unwatch(NetBackend *net, unsigned queue)
{
    if (queue < NET_QUEUES_MAX)
        loop_unwatch(&net->watches[queue].watch);
}

void net_close(NetBackend *net)
{
    if (net == NULL)
        return;
    for (unsigned i = 0; i < net->vhost_fds; i++) {
        if (net->vhost_fd[i] >= 0)
            close(net->vhost_fd[i]);
    }
    net->ops->close(net);
    free(net);
}
