/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Constructors of the kinds of net back end for net_table.c, and what they share. Main thread. */
#pragma once

#include "vmm/net/net.h"

/* {"type": "tap", "id", "fds": [..] or "a:b" or "fd", "vhostfds"} */
int tap_create(Props *props, NetBackend **ret, Err *err);
/* {"type": "stream", "id", "fd"}: a connected UNIX stream socket, e.g. to passt */
int stream_create(Props *props, NetBackend **ret, Err *err);

/* Descriptors under a plural key (array, or names joined by colons) or a singular one; owned by the caller. */
int net_take_fds(Props *props, const char *plural, const char *singular, int *ret_fds, unsigned *ret_count, Err *err);
/* "vhost" and "queues" say what the descriptors say already. */
int net_ignore_vhost_words(Props *props, Err *err);
