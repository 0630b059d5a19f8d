/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A scripted QMP peer in a thread of its own, on one end of a socket pair. A script is text, a line a step:
 *
 *   S: TEXT        send TEXT and a newline; $ID is the id of the last command read
 *   S+ TEXT        send TEXT as it is, no newline (parts of a message)
 *   C: NAME        read one command, which must be NAME; "C: *" takes any
 *   G              the usual greeting, then qmp_capabilities answered
 *   R              read a command of any name and answer {"return": {}}
 *   FLOOD N        send N events of the name FLOOD
 *   RAW HEX        send bytes
 *   EOF            close the socket
 *   HANG           read and drop everything until the other end closes
 *
 * Lines that are empty or begin with # are skipped. At the end of the script the socket is closed. The same
 * format serves recorded conversations (tests/golden/qmp).
 */
#pragma once

#include <glib.h>
#include <jansson.h>

typedef struct FakeQmp FakeQmp;

/* *ret_fd is the client's end. */
FakeQmp *fake_qmp_start(const char *script, int *ret_fd);
/* Waits for the thread; the commands it read in order, as arrays of json_t *. Fails the test when a "C:" did
 * not match. */
GPtrArray *fake_qmp_finish(FakeQmp *fake);
/* Descriptors that came with commands so far. */
guint fake_qmp_fds(FakeQmp *fake);
