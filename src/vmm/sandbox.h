/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Isolation in stages. sandbox_enter() once on the main thread, when everything is open: own user, empty
 * root, no capabilities, no new privileges, limits. sandbox_enter_thread() then on each thread: the system
 * calls of its class, made from the #syscalls comments by tools/gen/seccompgen.py; a violation is logged with
 * the call's name and ends the process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

typedef struct SandboxOptions {
    bool seccomp;
    /* Where allowed: an empty root of its own, namespaces for IPC and host name. For who is not root also one for users,
     * and for the network; root is given an empty one by the daemon. */
    bool chroot;
    bool drop_privileges; /* capabilities, no_new_privs, limits */
    int64_t uid, gid; /* -1: keep */
    void (*before_kill)(void); /* async-signal-safe, what every thread may do; NULL: nothing */
} SandboxOptions;

int sandbox_enter(const SandboxOptions *options, Err *err);
/* thread_class: "main", "vcpu", "iothread". Ends the process when it fails. */
void sandbox_enter_thread(const char *thread_class);
