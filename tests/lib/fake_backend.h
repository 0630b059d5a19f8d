/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands before libkitebackend.a at link time: every domain is run by the program fake_vm, over real QMP, with real
 * processes, descriptors and signals. */
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include "driver/backend/backend.h"

typedef struct FakeBackend {
    const char *program; /* path of fake_vm */
    gboolean fail_start;
    gboolean hold_start; /* start() waits after the process exists, until it dies or this is cleared */
    GMutex mutex;
    GCond go;
    gint starts, cleanups;
} FakeBackend;

extern FakeBackend fake_backend;

static inline int pidfd_for(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}
