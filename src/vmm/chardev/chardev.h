/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Character back ends for serial ports and console ports: stdio, a pty master, a connected or listening UNIX
 * or TCP socket, a file, null; all from descriptors that the daemon opened. A log descriptor may copy the
 * output.
 *
 * Everything runs on the chardev's loop, the main loop; chardev_write() is also safe on vCPU threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/loop.h"
#include "vmm/props.h"

typedef struct Chardev Chardev;

typedef struct ChardevUser {
    /* Bytes the user can take now; 0 stops reading until chardev_accept_input(). */
    size_t (*can_receive)(void *opaque);
    void (*receive)(void *opaque, const uint8_t *data, size_t len);
    /* Space for output again after chardev_write() took less than it was given. */
    void (*writable)(void *opaque);
    /* A peer connected or went; once at start with the present state. May be NULL. */
    void (*connected)(void *opaque, bool open);
} ChardevUser;

/* {"backend": "stdio" | "pty" | "socket" | "file" | "null", "id", "fd", "server", "logfd"} */
int chardev_new(Props *props, Loop *loop, Chardev **ret, Err *err);
void chardev_free(Chardev *chardev);
/* Of "stdio": as it was before it was made raw. Also done at exit() and when a signal ends the process. Any thread,
 * async-signal-safe. */
void chardev_restore_terminal(void);
const char *chardev_id(const Chardev *chardev);
/* -EBUSY when it already has a user. user NULL: detach. */
int chardev_attach(Chardev *chardev, const ChardevUser *user, void *opaque);
/* Bytes taken: all of them when nobody is connected (output is dropped, only logged), fewer when the peer is
 * slow. */
size_t chardev_write(Chardev *chardev, const void *data, size_t len);
void chardev_accept_input(Chardev *chardev);
bool chardev_in_use(const Chardev *chardev); /* it has a user */
/* The guest opened its end (a channel's port); without a word about it: open while there is a user. */
void chardev_set_frontend_open(Chardev *chardev, bool open);
bool chardev_frontend_open(const Chardev *chardev);
/* QEMU's query-chardev "filename": "pty:/dev/pts/3", "unix:", "file", "null", "stdio". */
const char *chardev_describe(const Chardev *chardev);
