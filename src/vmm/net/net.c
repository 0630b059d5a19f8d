/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all net back ends have in common: watching their queues' descriptors, closing. */
#include "vmm/net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/log.h"
#include "vmm/net/backends.h"

void net_lost(NetBackend *net, const char *why)
{
    if (!net->link_up)
        return;
    net->link_up = false;
    log_note("net back end %s: %s", net->id, why);
    for (unsigned i = 0; i < net->queues; i++)
        net_unwatch(net, i);
    if (net->link_changed)
        net->link_changed(net->link_opaque, false);
}

static void ready(void *opaque, uint32_t events)
{
    NetQueueWatch *w = opaque;

    /* Reported whether asked for or not: somebody has to see it. */
    if ((events & (EPOLLERR | EPOLLHUP)) && w->net->ops->is_lost && w->net->ops->is_lost(w->net)) {
        net_lost(w->net, "it was removed");
        return;
    }
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
    w->net = net;
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

int net_take_fds(Props *props, const char *plural, const char *singular, int *ret_fds, unsigned *ret_count, Err *err)
{
    json_t *list;
    int r, fd;

    *ret_count = 0;
    if (props_has(props, singular)) {
        r = props_fd(props, singular, &fd, err);
        if (r == 0)
            ret_fds[(*ret_count)++] = fd;
        return r;
    }
    if (!props_is_text(props, plural)) {
        if ((r = props_json(props, plural, &list, err)) < 0)
            return r;
        for (size_t i = 0; i < json_array_size(list); i++) {
            r = *ret_count < NET_QUEUES_MAX
                    ? props_value_fd(props, plural, json_array_get(list, i), &fd, err)
                    : err_set(err, E2BIG, "net back end %s: more than %d queues", props_id(props), NET_QUEUES_MAX);
            if (r < 0)
                return r;
            ret_fds[(*ret_count)++] = fd;
        }
        return 0;
    }
    const char *text;

    if ((r = props_string(props, plural, "", &text, err)) < 0)
        return r;
    while (*text != '\0') {
        size_t len = strcspn(text, ":");
        json_t *name = json_stringn(text, len);

        r = *ret_count < NET_QUEUES_MAX
                ? props_value_fd(props, plural, name, &fd, err)
                : err_set(err, E2BIG, "net back end %s: more than %d queues", props_id(props), NET_QUEUES_MAX);
        json_decref(name);
        if (r < 0)
            return r;
        ret_fds[(*ret_count)++] = fd;
        text += len + (text[len] == ':');
    }
    return 0;
}

int net_ignore_vhost_words(Props *props, Err *err)
{
    uint64_t queues;
    bool vhost;
    int r = props_bool(props, "vhost", false, &vhost, err);

    return r < 0 ? r : props_uint(props, "queues", 1, NET_QUEUES_MAX, 1, &queues, err);
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
